/* Happy path: the tree is copied, its tables marked, CTEs put into place; sql_query plans from the
 * outside in, closing stages where rows must meet; what is left at the end is the last stage. A
 * shape that doesn't distribute makes its block one task; when that leaves nothing to distribute,
 * the query runs as it was written. */
#include "core/sql_plan.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "core/sql_filter.h"
#include "core/sql_plan_internal.h"

enum {
    SQL_SMALL_TASKS = 4, /* bytes that so many tasks of a table are worth */
    SQL_SMALL_ROWS = 256 * 1024,
};

void *sql_keep(struct planner *p, void *allocated)
{
    MEM_GROW(p->arena, p->arena_cap, p->arena_n + 1);
    p->arena[p->arena_n++] = allocated;
    return allocated;
}

bool sql_why(struct planner *p, const char *why)
{
    if (p->why == NULL)
        p->why = why;
    return false;
}

char *sql_fresh(struct planner *p, const char *kind, size_t n)
{
    return sql_keep(p, mem_printf("%s%s%zu", p->prefix, kind, n));
}

/* UNION ALL of two that are both split is split; otherwise its sides are read by one task. */
static bool sql_setop_sides(struct planner *p, json_t *query, bool names_matter)
{
    static const char *const members[] = {"left", "right"};
    bool split[2];
    for (size_t i = 0; i < 2; i++) {
        struct sql_part part =
            sql_query(p, json_incref(json_object_get(query, members[i])), names_matter, NULL);
        json_object_set_new(query, members[i], part.query);
        split[i] = part.split;
    }
    const char *type = sql_ast_text(query, "setop_type");
    bool all = json_is_true(json_object_get(query, "setop_all"));
    bool is_union = strcmp(type, "UNION") == 0 || (strcmp(type, "UNION_BY_NAME") == 0 && all);
    if (is_union && split[0] && split[1])
        return true;
    for (size_t i = 0; i < 2; i++) {
        json_t *side = json_object_get(query, members[i]);
        size_t n;
        if (!split[i])
            continue;
        char **names = sql_query_columns(p, side, &n);
        if (names == NULL) {
            sql_views_unsplit(p, side);
            continue;
        }
        for (size_t k = 0; k < n; k++)
            names[k] = names[k] != NULL ? sql_keep(p, mem_strdup(names[k])) : NULL;
        size_t stage = sql_stage_close(p, json_incref(side), SQL_OUTPUT_GATHER, NULL, 0,
                                       "side of a set operation");
        json_t *list = json_array();
        json_array_append_new(list, sql_ast_star());
        json_object_set_new(
            query, members[i],
            sql_ast_select(list, sql_stage_ref(p, stage, false, "", names, n), NULL));
    }
    return false;
}

/* SELECT * FROM (the set operation) with the modifiers of its outside. */
static json_t *sql_setop_wrap(struct planner *p, json_t *query)
{
    json_t *modifiers = json_incref(json_object_get(query, "modifiers"));
    json_object_set_new(query, "modifiers", json_array());
    bool distinct = sql_ast_is(query, "setop_type", "UNION") &&
                    !json_is_true(json_object_get(query, "setop_all"));
    json_t *list = json_array();
    json_array_append_new(list, sql_ast_star());
    json_t *select =
        sql_ast_select(list, sql_ast_subquery(json_incref(query), sql_fresh(p, "u", 0)), NULL);
    if (distinct) {
        json_object_set_new(query, "setop_all", json_true());
        json_t *modifier =
            json_pack("{s:s,s:[]}", "type", "DISTINCT_MODIFIER", "distinct_on_targets");
        json_array_insert_new(modifiers, 0, modifier);
    }
    json_object_set_new(select, "modifiers", modifiers);
    return select;
}

static struct sql_part sql_plain_tail(struct planner *p, json_t *select, bool names_matter,
                                      const char *printed)
{
    struct sql_scope scope;
    struct sql_items items;
    struct sql_tail tail;
    struct sql_part part = {0};
    sql_scope_init(p, &scope, json_object_get(select, "from_table"));
    if (sql_items_take(p, select, &scope, names_matter, printed, &items)) {
        sql_tail_read(select, &tail);
        part = sql_tail_plan(p, select, &items, &tail, true, "scan");
        sql_items_done(&items);
    }
    sql_scope_done(&scope);
    return part;
}

static struct sql_part sql_setop(struct planner *p, json_t *query, bool names_matter)
{
    bool split = sql_setop_sides(p, query, names_matter);
    struct sql_part part = {query, split, NULL};
    bool plain = json_is_true(json_object_get(query, "setop_all")) &&
                 json_array_size(json_object_get(query, "modifiers")) == 0;
    if (!split || plain)
        return part;
    bool all = json_is_true(json_object_get(query, "setop_all"));
    json_t *modifiers = json_incref(json_object_get(query, "modifiers"));
    json_t *select = sql_setop_wrap(p, query);
    part = sql_plain_tail(p, select, names_matter, NULL);
    if (part.query == NULL) {
        json_decref(select);
        json_object_set(query, "modifiers", modifiers);
        json_object_set_new(query, "setop_all", json_boolean(all));
        sql_views_unsplit(p, query);
        part = (struct sql_part){query, false, NULL};
    } else {
        json_decref(query);
    }
    json_decref(modifiers);
    return part;
}

static bool sql_is_grouped(json_t *select)
{
    return json_array_size(json_object_get(select, "group_expressions")) > 0 ||
           json_array_size(json_object_get(select, "group_sets")) > 0 ||
           !sql_ast_is(select, "aggregate_handling", "STANDARD_HANDLING") ||
           json_is_object(json_object_get(select, "having")) ||
           sql_has_aggregate(json_object_get(select, "select_list")) ||
           sql_has_aggregate(json_object_get(select, "qualify")) ||
           sql_has_aggregate(json_object_get(select, "modifiers"));
}

static bool sql_is_windowed(json_t *select)
{
    return json_is_object(json_object_get(select, "qualify")) ||
           sql_has_window(json_object_get(select, "select_list")) ||
           sql_has_window(json_object_get(select, "modifiers"));
}

static bool sql_columns_visit(json_t *object, void *ctx)
{
    bool *found = ctx;
    *found |=
        sql_ast_is(object, "class", "STAR") && json_is_true(json_object_get(object, "columns"));
    return !*found;
}

/* COLUMNS(...) stands for as many expressions as there are columns. */
static bool sql_has_columns(json_t *tree)
{
    bool found = false;
    sql_ast_walk(tree, sql_columns_visit, &found);
    return found;
}

static struct sql_part sql_select(struct planner *p, json_t *select, bool names_matter,
                                  const char *printed)
{
    struct sql_part part = {select, false, NULL};
    if (!sql_from(p, select))
        return part;
    bool grouped = sql_is_grouped(select);
    if ((grouped || sql_is_windowed(select)) &&
        sql_has_columns(json_object_get(select, "select_list"))) {
        sql_why(p, "COLUMNS in aggregates or windows");
        sql_views_unsplit(p, select);
        return part;
    }
    if (!grouped && !sql_is_windowed(select)) {
        if (json_array_size(json_object_get(select, "modifiers")) == 0)
            return (struct sql_part){select, true, NULL};
        json_t *copy = json_deep_copy(select);
        part = sql_plain_tail(p, copy, names_matter, printed);
        if (part.query == NULL)
            json_decref(copy);
    } else {
        struct sql_scope scope;
        json_t *copy = json_deep_copy(select);
        sql_scope_init(p, &scope, json_object_get(copy, "from_table"));
        part = grouped ? sql_group(p, copy, &scope, names_matter, printed)
                       : sql_window(p, copy, &scope, names_matter, printed);
        sql_scope_done(&scope);
        if (part.query == NULL)
            json_decref(copy);
    }
    if (part.query == NULL) {
        sql_views_unsplit(p, select);
        return (struct sql_part){select, false, NULL};
    }
    json_decref(select);
    return part;
}

struct sql_part sql_query(struct planner *p, json_t *query, bool names_matter, const char *printed)
{
    if (p->plan->stages_n + 8 < SQL_STAGES_MAX) {
        if (sql_ast_is(query, "type", "SELECT_NODE"))
            return sql_select(p, query, names_matter, printed);
        if (sql_ast_is(query, "type", "SET_OPERATION_NODE"))
            return sql_setop(p, query, names_matter);
    }
    sql_views_whole(p, query);
    return (struct sql_part){query, false, NULL};
}

/* Shapes that the planner leaves alone, wherever they are. */
static bool sql_odd_visit(json_t *object, void *ctx)
{
    static const struct {
        const char *member, *value, *why;
    } rows[] = {
        {"type", "RECURSIVE_CTE_NODE", "WITH RECURSIVE"},
        {"type", "CTE_NODE", "WITH in a form that stays whole"},
        {"type", "PIVOT", "PIVOT"},
        {"type", "SHOW_REF", "DESCRIBE or SUMMARIZE"},
        {"class", "PARAMETER", "parameters"},
        {"class", "POSITIONAL_REFERENCE", "columns by position"},
        {"class", "DEFAULT", "DEFAULT"},
        {"function_name", "row", "a row without names"},
    };
    const char **why = ctx;
    for (size_t i = 0; i < MEM_COUNT(rows) && *why == NULL; i++) {
        if (sql_ast_is(object, rows[i].member, rows[i].value))
            *why = rows[i].why;
    }
    if (*why == NULL && json_is_object(json_object_get(object, "sample")))
        *why = "a sample";
    return *why == NULL;
}

static void sql_plan_stages(struct planner *p, json_t *tree)
{
    p->top = tree;
    struct sql_part part = sql_query(p, tree, false, p->printed);
    if (!part.split && p->plan->stages_n == 0) {
        json_decref(part.query);
        return;
    }
    if (!sql_names_fit(p, &part.query)) {
        sql_why(p, "names of columns that aren't certain");
        json_decref(part.query);
        for (size_t i = 0; i < p->plan->stages_n; i++)
            sql_stage_done(&p->plan->stages[i]);
        p->plan->stages_n = 0;
        return;
    }
    size_t last = sql_stage_close(p, part.query, SQL_OUTPUT_ROWS, NULL, 0,
                                  part.split ? "rows of each task" : "last rows");
    if (part.alone != NULL && part.alone == p->alone && sql_names_fit(p, &p->alone))
        p->plan->stages[last - 1].alone = sql_ast_write(p->alone);
}

/* A prefix that occurs in no name of the query. */
static char *sql_prefix_for(struct planner *p, const json_t *query)
{
    char *text = sql_ast_write(query);
    char *prefix = mem_strdup("__");
    for (;;) {
        if (strstr(text, prefix) == NULL)
            break;
        char *longer = mem_printf("%s_", prefix);
        free(prefix);
        prefix = longer;
    }
    free(text);
    return sql_keep(p, prefix);
}

static void sql_planner_done(struct planner *p)
{
    for (size_t i = 0; i < p->views_n; i++) {
        sql_filters_free(p->views[i].filters, p->views[i].filters_n);
        free(p->views[i].files);
    }
    json_decref(p->alone);
    free(p->views);
    free(p->ctes);
    for (size_t i = 0; i < p->arena_n; i++)
        free(p->arena[i]);
    free(p->arena);
}

bool sql_stage_is_small(uint64_t bytes, uint64_t rows, uint64_t split_bytes_min)
{
    return bytes / SQL_SMALL_TASKS <= split_bytes_min && rows <= SQL_SMALL_ROWS;
}

int sql_plan_query(const json_t *query, const char *printed, const char *text,
                   const struct sql_refs *refs, const struct sql_table *tables,
                   const struct sql_plan_options *options, struct sql_plan *out,
                   struct sql_error *e)
{
    struct sql_plan plan = {.why = ""};
    struct planner p = {
        .refs = refs, .tables = tables, .options = options, .printed = printed, .plan = &plan};
    p.prefix = sql_prefix_for(&p, query);
    json_t *tree = json_deep_copy(query);
    if (!sql_mark_tables(tree, refs)) {
        json_decref(tree);
        sql_planner_done(&p);
        return sql_error_set(e, ERR_INTERNAL, SQL_AT_NONE, NULL,
                             "the query names a table that was not looked up");
    }
    const char *why = options->workers * options->tasks_per_worker < 2 ? "one worker" : NULL;
    if (why == NULL)
        sql_ast_walk(tree, sql_odd_visit, &why);
    if (why == NULL && !sql_fix_time(&tree, options->now))
        why = "a function that isn't the same each time";
    if (why == NULL && sql_expand_ctes(&p, tree))
        sql_plan_stages(&p, tree);
    else
        json_decref(tree);
    if (plan.stages_n == 0)
        sql_plan_whole(&p, query, text, why != NULL ? why : p.why != NULL ? p.why : "small");
    sql_planner_done(&p);
    *out = plan;
    return 0;
}

/* One task for each file of the view, which becomes the first input. */
static void sql_stage_each_file(struct sql_stage *stage, const char *view, size_t files)
{
    size_t at = 0;
    while (strcmp(stage->inputs[at].view, view) != 0)
        at++;
    struct sql_input first = stage->inputs[at];
    memmove(stage->inputs + 1, stage->inputs, at * sizeof *stage->inputs);
    first.split = true;
    stage->inputs[0] = first;
    free(stage->first[0]);
    stage->first[0] = mem_calloc(files + 1, sizeof *stage->first[0]);
    for (size_t f = 0; f <= files; f++)
        stage->first[0][f] = f;
    stage->tasks = files;
}

/* NOT coalesce(c, false) in place of c, or nothing. */
static void sql_files_where(json_t *select, bool invert)
{
    json_t *where = json_incref(json_object_get(select, "where_clause"));
    json_t *made = json_null();
    if (invert && json_is_object(where)) {
        json_t *no = sql_ast_cast(sql_ast_integer(0), "BOOLEAN");
        json_t *sure = json_pack("{s:s,s:s,s:s,s:[O,o]}", "class", "OPERATOR", "type",
                                 "OPERATOR_COALESCE", "alias", "", "children", where, no);
        made = json_pack("{s:s,s:s,s:s,s:[o]}", "class", "OPERATOR", "type", "OPERATOR_NOT",
                         "alias", "", "children", sure);
    }
    json_decref(where);
    json_object_set_new(select, "where_clause", made);
}

/* The condition chose the files; of these all rows are read. */
static void sql_stage_forget_filters(struct sql_stage *stage)
{
    for (size_t i = 0; i < stage->inputs_n; i++) {
        sql_filters_free(stage->inputs[i].filters, stage->inputs[i].filters_n);
        stage->inputs[i].filters = NULL;
        stage->inputs[i].filters_n = 0;
    }
}

int sql_plan_files(const json_t *query, bool invert, const struct sql_refs *refs,
                   const struct sql_table *tables, struct sql_plan *out, struct sql_error *e)
{
    struct sql_plan plan = {.why = ""};
    struct sql_plan_options options = {.workers = SIZE_MAX / 2, .tasks_per_worker = 1};
    struct planner p = {.refs = refs, .tables = tables, .options = &options, .plan = &plan};
    p.prefix = sql_prefix_for(&p, query);
    json_t *tree = json_deep_copy(query);
    json_t *from = json_object_get(tree, "from_table");
    if (!sql_is_simple(tree) || !sql_ast_is(from, "type", "BASE_TABLE") ||
        !sql_mark_tables(tree, refs) || json_object_get(from, "_table") == NULL) {
        json_decref(tree);
        sql_planner_done(&p);
        return sql_error_set(e, ERR_UNSUPPORTED, SQL_AT_NONE, NULL,
                             "the statement isn't about one table");
    }
    struct sql_scope scope;
    sql_scope_init(&p, &scope, from);
    size_t view = sql_view_table(&p, from, tree, &scope);
    sql_scope_done(&scope);
    sql_files_where(tree, invert);
    sql_views_whole(&p, tree);
    size_t files = p.views[view].files_n;
    size_t stage = sql_stage_close(&p, tree, SQL_OUTPUT_ROWS, NULL, 0, "files written anew");
    sql_stage_each_file(&plan.stages[stage], p.views[view].name, files);
    sql_stage_forget_filters(&plan.stages[stage]);
    sql_planner_done(&p);
    *out = plan;
    return 0;
}
