/* Views: what fragments read. A stage is closed over those that its fragment names: their wanted
 * columns, and how the split ones are dealt out to tasks. */
#include "core/sql_plan_internal.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "core/sql_filter.h"

size_t sql_tasks_for(const struct planner *p, uint64_t bytes, size_t files)
{
    const struct sql_plan_options *o = p->options;
    uint64_t least = o->split_bytes_min;
    uint64_t worth = least > 0 ? bytes / least + (bytes % least >= least - least / 2) : files;
    size_t most = o->workers * o->tasks_per_worker;
    size_t tasks = files < most ? files : most;
    if (tasks > SQL_TASKS_MAX)
        tasks = SQL_TASKS_MAX;
    if (worth < tasks)
        tasks = (size_t)worth;
    return tasks > 0 ? tasks : 1;
}

size_t sql_partitions(const struct planner *p)
{
    size_t n = p->options->partitions;
    if (n == 0)
        n = p->options->workers * p->options->tasks_per_worker;
    return n < SQL_TASKS_MAX ? n : SQL_TASKS_MAX;
}

static struct sql_view *sql_view_new(struct planner *p, enum sql_input_kind kind, size_t index)
{
    MEM_GROW(p->views, p->views_cap, p->views_n + 1);
    struct sql_view *view = &p->views[p->views_n];
    *view = (struct sql_view){.kind = kind, .index = index};
    view->name = sql_fresh(p, kind == SQL_INPUT_TABLE ? "t" : "s", p->views_n);
    p->views_n++;
    return view;
}

static void sql_view_prune(struct sql_view *view, const struct sql_table *table)
{
    bool *keep = mem_alloc(table->files_n + 1);
    memset(keep, true, table->files_n);
    if (table->prune != NULL && view->filters_n > 0)
        table->prune(table, view->filters, view->filters_n, keep);
    view->files = mem_calloc(table->files_n + 1, sizeof *view->files);
    for (size_t i = 0; i < table->files_n; i++) {
        if (!keep[i])
            continue;
        view->files[view->files_n++] = i;
        view->bytes += table->files[i].bytes;
    }
    free(keep);
}

/* Turns a table reference into the view: the names that it had still work. */
static void sql_ref_becomes(json_t *ref, size_t index, const struct sql_view *view)
{
    const char *alias = sql_ast_text(ref, "alias");
    json_t *name = json_string(alias[0] != '\0' ? alias : sql_ast_text(ref, "table_name"));
    json_object_set_new(ref, "alias", name);
    json_object_set_new(ref, "table_name", json_string(view->name));
    json_object_set_new(ref, "schema_name", json_string(""));
    json_object_set_new(ref, "at_clause", json_null());
    json_object_set_new(ref, "_view", json_integer((json_int_t)index));
}

static void sql_view_filter(struct sql_view *view, const json_t *ref, const json_t *select,
                            const struct sql_scope *scope, const struct sql_table *table)
{
    for (size_t i = 0; scope != NULL && i < scope->n; i++) {
        if (scope->sources[i].ref == ref)
            view->filters = sql_filters_of(json_object_get(select, "where_clause"), scope,
                                           &scope->sources[i], &view->filters_n);
    }
    sql_view_prune(view, table);
}

uint64_t sql_table_bytes(struct planner *p, const json_t *ref, const json_t *select,
                         const struct sql_scope *scope)
{
    struct sql_view view = {.kind = SQL_INPUT_TABLE};
    sql_view_filter(&view, ref, select, scope,
                    &p->tables[json_integer_value(json_object_get(ref, "_table"))]);
    sql_filters_free(view.filters, view.filters_n);
    free(view.files);
    return view.bytes;
}

size_t sql_view_table(struct planner *p, json_t *ref, const json_t *select,
                      const struct sql_scope *scope)
{
    size_t table = (size_t)json_integer_value(json_object_get(ref, "_table"));
    struct sql_view *view = sql_view_new(p, SQL_INPUT_TABLE, table);
    size_t index = p->views_n - 1;
    sql_view_filter(view, ref, select, scope, &p->tables[table]);
    sql_ref_becomes(ref, index, view);
    return index;
}

/* Every marked table that isn't a view yet becomes one. */
struct sql_whole {
    struct planner *p;
    const json_t *select;
    const struct sql_scope *scope;
};

static bool sql_whole_visit(json_t *object, void *ctx)
{
    struct sql_whole *w = ctx;
    if (sql_ast_is(object, "type", "SELECT_NODE")) {
        struct sql_scope scope;
        json_t *from = json_object_get(object, "from_table");
        sql_scope_init(w->p, &scope, from);
        struct sql_whole inner = {w->p, object, &scope};
        const char *key;
        json_t *value;
        json_object_foreach(object, key, value) sql_ast_walk(value, sql_whole_visit, &inner);
        sql_scope_done(&scope);
        return false;
    }
    if (json_is_integer(json_object_get(object, "_table")) &&
        json_object_get(object, "_view") == NULL)
        sql_view_table(w->p, object, w->select, w->scope);
    return true;
}

void sql_views_whole(struct planner *p, json_t *tree)
{
    struct sql_whole w = {.p = p};
    sql_ast_walk(tree, sql_whole_visit, &w);
}

static bool sql_unsplit_visit(json_t *object, void *ctx)
{
    struct planner *p = ctx;
    const json_t *view = json_object_get(object, "_view");
    if (json_is_integer(view))
        p->views[json_integer_value(view)].split = false;
    return true;
}

void sql_views_unsplit(struct planner *p, json_t *tree)
{
    sql_ast_walk(tree, sql_unsplit_visit, p);
}

struct sql_weight {
    struct planner *p;
    uint64_t bytes;
};

static bool sql_weight_visit(json_t *object, void *ctx)
{
    struct sql_weight *w = ctx;
    const json_t *view = json_object_get(object, "_view");
    const json_t *table = json_object_get(object, "_table");
    if (json_is_integer(view)) {
        w->bytes += w->p->views[json_integer_value(view)].bytes;
    } else if (json_is_integer(table)) {
        const struct sql_table *t = &w->p->tables[json_integer_value(table)];
        for (size_t i = 0; i < t->files_n; i++)
            w->bytes += t->files[i].bytes;
    }
    return true;
}

uint64_t sql_bytes_below(struct planner *p, json_t *tree)
{
    struct sql_weight w = {p, 0};
    sql_ast_walk(tree, sql_weight_visit, &w);
    return w.bytes;
}

json_t *sql_stage_ref(struct planner *p, size_t stage, bool split, const char *alias,
                      char *const *columns, size_t n)
{
    struct sql_view *view = sql_view_new(p, SQL_INPUT_STAGE, stage);
    view->split = split;
    json_t *ref = sql_ast_base_table(view->name, alias);
    json_object_set_new(ref, "_view", json_integer((json_int_t)p->views_n - 1));
    if (columns != NULL) {
        json_t *names = json_array();
        for (size_t i = 0; i < n; i++)
            json_array_append_new(names,
                                  json_string(columns[i] != NULL ? columns[i] : "\x01unnamed"));
        json_object_set_new(ref, "_columns", names);
    }
    return ref;
}

/* Which columns of a view a fragment wants: those whose name occurs anywhere in it. */

struct sql_wanted {
    struct planner *p;
    char **names; /* borrowed from the tree, as they come */
    size_t n, cap;
    char **rows; /* names that stand alone: they may mean a whole row */
    size_t rows_n, rows_cap;
    size_t *views; /* in order of appearance */
    const char **aliases;
    bool *all; /* by position in views */
    size_t views_n, views_cap;
};

static void sql_wanted_name(struct sql_wanted *w, const json_t *name)
{
    if (!json_is_string(name))
        return;
    MEM_GROW(w->names, w->cap, w->n + 1);
    w->names[w->n++] = (char *)json_string_value(name);
}

static bool sql_wanted_visit(json_t *object, void *ctx)
{
    struct sql_wanted *w = ctx;
    static const char *const lists[] = {"column_names", "using_columns"};
    for (size_t l = 0; l < MEM_COUNT(lists); l++) {
        const json_t *names = json_object_get(object, lists[l]);
        if (l == 0 && json_array_size(names) == 1) {
            MEM_GROW(w->rows, w->rows_cap, w->rows_n + 1);
            w->rows[w->rows_n++] = (char *)json_string_value(json_array_get(names, 0));
        }
        for (size_t i = 0; i < json_array_size(names); i++)
            sql_wanted_name(w, json_array_get(names, i));
    }
    const json_t *view = json_object_get(object, "_view");
    if (json_is_integer(view)) {
        size_t cap = w->views_cap;
        MEM_GROW(w->views, cap, w->views_n + 1);
        if (cap != w->views_cap) {
            w->aliases = mem_reallocarray(w->aliases, cap, sizeof *w->aliases);
            w->all = mem_reallocarray(w->all, cap, sizeof *w->all);
            w->views_cap = cap;
        }
        w->views[w->views_n] = (size_t)json_integer_value(view);
        w->aliases[w->views_n] = sql_ast_text(object, "alias");
        w->all[w->views_n++] = json_array_size(json_object_get(object, "column_name_alias")) > 0;
    }
    return true;
}

static void sql_wanted_all_below(struct sql_wanted *w, json_t *from)
{
    const json_t *view = json_object_get(from, "_view");
    if (json_is_integer(view)) {
        for (size_t i = 0; i < w->views_n; i++) {
            if (w->views[i] == (size_t)json_integer_value(view))
                w->all[i] = true;
        }
    }
    if (sql_ast_is(from, "type", "JOIN")) {
        sql_wanted_all_below(w, json_object_get(from, "left"));
        sql_wanted_all_below(w, json_object_get(from, "right"));
    }
}

static bool sql_star_visit(json_t *object, void *ctx)
{
    bool *found = ctx;
    if (sql_ast_is_query(object))
        return false;
    *found |= sql_ast_is(object, "class", "STAR");
    return !*found;
}

static bool sql_stars_visit(json_t *object, void *ctx)
{
    struct sql_wanted *w = ctx;
    if (sql_ast_is(object, "ref_type", "NATURAL"))
        sql_wanted_all_below(w, object);
    if (!sql_ast_is(object, "type", "SELECT_NODE"))
        return true;
    bool found = false;
    for (size_t i = 0; sql_clauses[i] != NULL; i++)
        sql_ast_walk(json_object_get(object, sql_clauses[i]), sql_star_visit, &found);
    if (found)
        sql_wanted_all_below(w, json_object_get(object, "from_table"));
    return true;
}

static bool sql_wants(char *const *names, size_t n, const char *name)
{
    for (size_t i = 0; i < n; i++) {
        if (names[i] != NULL && sql_same(names[i], name))
            return true;
    }
    return false;
}

static void sql_input_columns(const struct sql_wanted *w, size_t at, const struct sql_table *table,
                              struct sql_input *input)
{
    bool all = w->all[at] || sql_wants(w->rows, w->rows_n, w->aliases[at]);
    input->columns = mem_calloc(table->columns_n + 1, sizeof *input->columns);
    for (size_t i = 0; i < table->columns_n; i++) {
        if (all || sql_wants(w->names, w->n, table->columns[i].name))
            input->columns[input->columns_n++] = i;
    }
    for (size_t i = 0; i < table->columns_n && input->columns_n == 0; i++) {
        if (!table->columns[i].partition)
            input->columns[input->columns_n++] = i; /* something to count */
    }
}

static struct sql_filter *sql_filters_copy(const struct sql_filter *filters, size_t n)
{
    if (n == 0)
        return NULL;
    struct sql_filter *copy = mem_dup(filters, n * sizeof *filters);
    for (size_t i = 0; i < n; i++) {
        copy[i].values = mem_calloc(copy[i].values_n + 1, sizeof *copy[i].values);
        for (size_t j = 0; j < copy[i].values_n; j++)
            copy[i].values[j] = mem_strdup(filters[i].values[j]);
    }
    return copy;
}

static void sql_stage_inputs(struct planner *p, struct sql_stage *stage, const struct sql_wanted *w)
{
    stage->inputs = mem_calloc(w->views_n + 1, sizeof *stage->inputs);
    for (size_t i = 0; i < w->views_n; i++) {
        const struct sql_view *view = &p->views[w->views[i]];
        struct sql_input *input = &stage->inputs[stage->inputs_n++];
        *input = (struct sql_input){.schema = mem_strdup(""),
                                    .view = mem_strdup(view->name),
                                    .kind = view->kind,
                                    .split = view->split,
                                    .index = view->index,
                                    .bytes = view->bytes};
        if (view->kind != SQL_INPUT_TABLE)
            continue;
        sql_input_columns(w, i, &p->tables[view->index], input);
        input->filters = sql_filters_copy(view->filters, view->filters_n);
        input->filters_n = view->filters_n;
        input->files = mem_dup(view->files, (view->files_n + 1) * sizeof *view->files);
        input->files_n = view->files_n;
    }
}

/* Deals the split inputs out. */
static void sql_stage_tasks(struct planner *p, struct sql_stage *stage)
{
    uint64_t bytes = 0;
    size_t files = 0;
    bool split = false;
    stage->tasks = 1;
    for (size_t i = 0; i < stage->inputs_n; i++) {
        const struct sql_input *input = &stage->inputs[i];
        if (!input->split)
            continue;
        split = true;
        if (input->kind == SQL_INPUT_STAGE)
            stage->tasks = p->plan->stages[input->index].partitions;
        bytes += input->bytes;
        files += input->files_n;
    }
    if (split && stage->tasks == 1)
        stage->tasks = sql_tasks_for(p, bytes, files);
    stage->first = mem_calloc(stage->inputs_n + 1, sizeof *stage->first);
    for (size_t i = 0; i < stage->inputs_n; i++) {
        const struct sql_input *input = &stage->inputs[i];
        if (!input->split || input->kind != SQL_INPUT_TABLE)
            continue;
        uint64_t *sizes = mem_calloc(input->files_n + 1, sizeof *sizes);
        for (size_t f = 0; f < input->files_n; f++)
            sizes[f] = p->tables[input->index].files[input->files[f]].bytes;
        stage->first[i] = mem_calloc(stage->tasks + 1, sizeof *stage->first[i]);
        sql_split_files(sizes, input->files_n, stage->tasks, stage->first[i]);
        free(sizes);
    }
}

/* Which column of the query has that alias. */
static size_t sql_place_of(const json_t *query, const char *alias)
{
    const json_t *list = json_object_get(query, "select_list");
    size_t i = 0;
    while (i < json_array_size(list) && !sql_ast_is(json_array_get(list, i), "alias", alias))
        i++;
    assert(i < json_array_size(list));
    return i;
}

size_t sql_stage_close(struct planner *p, json_t *query, enum sql_output_kind output,
                       const char *const *keys, size_t keys_n, const char *what)
{
    struct sql_wanted w = {.p = p};
    sql_ast_walk(query, sql_wanted_visit, &w);
    sql_ast_walk(query, sql_stars_visit, &w);
    MEM_GROW(p->plan->stages, p->stages_cap, p->plan->stages_n + 1);
    struct sql_stage *stage = &p->plan->stages[p->plan->stages_n];
    *stage = (struct sql_stage){.output = output, .limit = -1, .what = mem_strdup(what)};
    sql_stage_inputs(p, stage, &w);
    sql_stage_tasks(p, stage);
    stage->fragment = sql_ast_write(query);
    stage->partitions = output == SQL_OUTPUT_HASH ? sql_partitions(p) : 1;
    stage->keys = mem_calloc(keys_n + 1, sizeof *stage->keys);
    stage->key_places = mem_calloc(keys_n + 1, sizeof *stage->key_places);
    for (size_t i = 0; i < keys_n; i++) {
        stage->keys[i] = mem_strdup(keys[i]);
        stage->key_places[i] = sql_place_of(query, keys[i]);
    }
    stage->keys_n = keys_n;
    free(w.names);
    free(w.rows);
    free(w.views);
    free(w.aliases);
    free(w.all);
    json_decref(query);
    return p->plan->stages_n++;
}
