/* Which input of a block is split.
 *
 * A block that only joins, filters and projects gives the union of what it gives for the parts of
 * one of its inputs, if that input's rows decide which rows come out: any side of an inner join,
 * the left one of LEFT, SEMI, ANTI and ASOF joins, the right one of a RIGHT join. So the largest
 * such input is split and all others are whole in each task, also the tables in correlated
 * subqueries. */
#include "core/sql_plan_internal.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "core/sql_shuffle.h"

struct sql_leaf {
    json_t *ref;
    size_t view; /* of a table; SIZE_MAX: a subquery */
    bool may;    /* it may be split */
    bool split;  /* a subquery whose rows come from several tasks */
    uint64_t weight;
};

struct sql_leaves {
    struct sql_leaf *leaves;
    size_t n, cap;
};

static void sql_from_block(struct planner *p, json_t *select, bool may, struct sql_leaves *out);

bool sql_is_simple(json_t *query)
{
    if (!sql_ast_is(query, "type", "SELECT_NODE"))
        return false;
    json_t *list = json_object_get(query, "select_list");
    return json_array_size(json_object_get(query, "modifiers")) == 0 &&
           json_array_size(json_object_get(query, "group_expressions")) == 0 &&
           json_array_size(json_object_get(query, "group_sets")) == 0 &&
           sql_ast_is(query, "aggregate_handling", "STANDARD_HANDLING") &&
           !json_is_object(json_object_get(query, "having")) &&
           !json_is_object(json_object_get(query, "qualify")) &&
           !json_is_object(json_object_get(query, "sample")) && !sql_has_aggregate(list) &&
           !sql_has_window(list);
}

static struct sql_leaf *sql_leaf_new(struct sql_leaves *out, json_t *ref, bool may)
{
    MEM_GROW(out->leaves, out->cap, out->n + 1);
    struct sql_leaf *leaf = &out->leaves[out->n++];
    *leaf = (struct sql_leaf){.ref = ref, .view = SIZE_MAX, .may = may};
    return leaf;
}

/* A table reference becomes another one under the alias that it had. */
static void sql_ref_replace(json_t *ref, json_t *by)
{
    json_t *names = json_incref(json_object_get(ref, "column_name_alias"));
    json_object_clear(ref);
    json_object_update(ref, by);
    json_decref(by);
    if (json_array_size(names) > 0)
        json_object_set(ref, "column_name_alias", names);
    json_decref(names);
}

/* Heavy enough that no two tasks should both do it. */
static bool sql_is_heavy(struct planner *p, json_t *query)
{
    uint64_t bytes = sql_bytes_below(p, query);
    return bytes > 0 && bytes >= 2 * p->options->split_bytes_min;
}

/* Makes a stage of the subquery and turns `ref` into what reads it. False when its columns have no
 * names that a file could keep. */
static bool sql_ref_close(struct planner *p, json_t *ref, const char *what)
{
    json_t *subquery = json_object_get(ref, "subquery");
    json_t *query = json_object_get(subquery, "node");
    size_t n;
    char **names = sql_query_columns(p, query, &n);
    if (names == NULL)
        return false;
    for (size_t i = 0; i < n; i++)
        names[i] = names[i] != NULL ? sql_keep(p, mem_strdup(names[i])) : NULL;
    char *alias = sql_keep(p, mem_strdup(sql_ast_text(ref, "alias")));
    size_t stage = sql_stage_close(p, json_incref(query), SQL_OUTPUT_GATHER, NULL, 0, what);
    const json_t *cte = json_object_get(ref, "_cte");
    if (json_is_integer(cte)) {
        struct sql_cte *c = &p->ctes[json_integer_value(cte)];
        *c = (struct sql_cte){c->uses, true, stage, names, n};
    }
    sql_ref_replace(ref, sql_stage_ref(p, stage, false, alias, names, n));
    return true;
}

/* A subquery in FROM that groups, sorts, ...: planned by itself. */
static void sql_from_derived(struct planner *p, json_t *ref, bool may, struct sql_leaves *out)
{
    json_t *subquery = json_object_get(ref, "subquery");
    const json_t *cte = json_object_get(ref, "_cte");
    struct sql_cte *c = json_is_integer(cte) ? &p->ctes[json_integer_value(cte)] : NULL;
    if (c != NULL && c->closed) {
        char *alias = sql_keep(p, mem_strdup(sql_ast_text(ref, "alias")));
        sql_ref_replace(ref, sql_stage_ref(p, c->stage, false, alias, c->columns, c->columns_n));
        return;
    }
    bool named = json_array_size(json_object_get(ref, "column_name_alias")) > 0;
    uint64_t weight = sql_bytes_below(p, subquery);
    struct sql_part part =
        sql_query(p, json_incref(json_object_get(subquery, "node")), !named, NULL);
    json_object_set_new(subquery, "node", part.query);
    bool shared = c != NULL && p->ctes[json_integer_value(cte)].uses > 1;
    if (shared && (part.split || sql_is_heavy(p, part.query)) &&
        sql_ref_close(p, ref, "WITH, read in several places"))
        return;
    struct sql_leaf *leaf = sql_leaf_new(out, ref, may);
    leaf->split = part.split;
    leaf->weight = weight / 4; /* it has done most of its work */
}

static void sql_from_ref(struct planner *p, json_t *select, const struct sql_scope *scope,
                         json_t *ref, bool may, struct sql_leaves *out)
{
    const char *type = sql_ast_text(ref, "type");
    if (strcmp(type, "BASE_TABLE") == 0) {
        if (json_object_get(ref, "_table") == NULL || json_object_get(ref, "_view") != NULL)
            return;
        size_t view = sql_view_table(p, ref, select, scope);
        struct sql_leaf *leaf = sql_leaf_new(out, ref, may);
        leaf->view = view;
        leaf->weight = p->views[view].bytes;
        leaf->may &= sql_tasks_for(p, leaf->weight, p->views[view].files_n) > 1;
    } else if (strcmp(type, "JOIN") == 0) {
        const char *join = sql_ast_text(ref, "join_type");
        bool inner = strcmp(join, "INNER") == 0 && !sql_ast_is(ref, "ref_type", "ASOF") &&
                     !sql_ast_is(ref, "ref_type", "POSITIONAL");
        bool left = inner || ((strcmp(join, "LEFT") == 0 || strcmp(join, "SEMI") == 0 ||
                               strcmp(join, "ANTI") == 0 || strcmp(join, "INNER") == 0) &&
                              !sql_ast_is(ref, "ref_type", "POSITIONAL"));
        bool right = inner || strcmp(join, "RIGHT") == 0;
        sql_views_whole(p, json_object_get(ref, "condition"));
        sql_from_ref(p, select, scope, json_object_get(ref, "left"), may && left, out);
        sql_from_ref(p, select, scope, json_object_get(ref, "right"), may && right, out);
    } else if (strcmp(type, "SUBQUERY") == 0) {
        json_t *query = json_object_get(json_object_get(ref, "subquery"), "node");
        if (sql_is_correlated(p, query))
            sql_views_whole(p, query); /* LATERAL */
        else if (sql_is_simple(query))
            sql_from_block(p, query, may, out);
        else
            sql_from_derived(p, ref, may, out);
    } else {
        sql_views_whole(p, ref);
    }
}

/* Subqueries in expressions. */

void sql_exists_shorten(json_t *expression)
{
    const char *type = sql_ast_text(expression, "subquery_type");
    json_t *query = json_object_get(json_object_get(expression, "subquery"), "node");
    if ((strcmp(type, "EXISTS") != 0 && strcmp(type, "NOT_EXISTS") != 0) || !sql_is_simple(query))
        return;
    json_t *list = json_array();
    json_array_append_new(list, sql_ast_integer(1));
    json_object_set_new(query, "select_list", list);
}

static void sql_from_subquery(struct planner *p, json_t *expression)
{
    json_t *subquery = json_object_get(expression, "subquery");
    json_t *query = json_object_get(subquery, "node");
    if (!sql_ast_is_query(query))
        return;
    sql_exists_shorten(expression);
    bool alone = !sql_is_correlated(p, query);
    if (alone)
        json_object_set_new(query, "_alone", json_true());
    if (!alone || !sql_is_heavy(p, query)) {
        sql_views_whole(p, query);
        return;
    }
    struct sql_part part = sql_query(p, json_incref(query), false, NULL);
    json_object_set_new(part.query, "_alone", json_true());
    json_object_set_new(subquery, "node", part.query);
    size_t n;
    if (!part.split && !sql_is_heavy(p, part.query))
        return;
    if (sql_query_columns(p, part.query, &n) == NULL) {
        sql_views_unsplit(p, part.query);
        return;
    }
    size_t stage =
        sql_stage_close(p, json_incref(part.query), SQL_OUTPUT_GATHER, NULL, 0, "subquery");
    json_t *list = json_array();
    json_array_append_new(list, sql_ast_star());
    json_t *reads = sql_ast_select(list, sql_stage_ref(p, stage, false, "", NULL, 0), NULL);
    json_object_set_new(reads, "_alone", json_true());
    json_object_set_new(subquery, "node", reads);
}

static bool sql_from_expression(json_t *object, void *ctx)
{
    if (sql_ast_is_query(object))
        return false;
    if (!sql_ast_is(object, "class", "SUBQUERY"))
        return true;
    sql_ast_walk(json_object_get(object, "child"), sql_from_expression, ctx);
    sql_from_subquery(ctx, object);
    return false;
}

/* A block: its subqueries, then its FROM. */
static void sql_from_block(struct planner *p, json_t *select, bool may, struct sql_leaves *out)
{
    for (size_t i = 0; sql_clauses[i] != NULL; i++)
        sql_ast_walk(json_object_get(select, sql_clauses[i]), sql_from_expression, p);
    struct sql_scope scope;
    json_t *from = json_object_get(select, "from_table");
    sql_scope_init(p, &scope, from);
    sql_from_ref(p, select, &scope, from, may, out);
    sql_scope_done(&scope);
}

bool sql_from(struct planner *p, json_t *select)
{
    struct sql_leaves leaves = {0};
    bool dealt = sql_shuffle(p, select);
    sql_from_block(p, select, !dealt, &leaves);
    struct sql_leaf *best = NULL;
    for (size_t i = 0; i < leaves.n; i++) {
        struct sql_leaf *leaf = &leaves.leaves[i];
        if (leaf->may && (leaf->view != SIZE_MAX || leaf->split) &&
            (best == NULL || leaf->weight > best->weight))
            best = leaf;
    }
    for (size_t i = 0; i < leaves.n; i++) {
        struct sql_leaf *leaf = &leaves.leaves[i];
        if (leaf == best || leaf->view != SIZE_MAX)
            continue;
        json_t *query = json_object_get(json_object_get(leaf->ref, "subquery"), "node");
        if ((leaf->split || ((dealt || best != NULL) && sql_is_heavy(p, query))) &&
            !sql_ref_close(p, leaf->ref, "subquery"))
            sql_views_unsplit(p, query);
    }
    if (best != NULL && best->view != SIZE_MAX)
        p->views[best->view].split = true;
    bool split = dealt || best != NULL;
    free(leaves.leaves);
    return split;
}
