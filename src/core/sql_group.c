/* Aggregates of a block whose rows come from several tasks.
 *
 * When every aggregate can be put together from parts: each task groups its rows (a map), the parts
 * are shuffled by the keys, and one more grouping makes the final values. DISTINCT aggregates keep
 * their arguments as further keys of the map. Otherwise the rows themselves are shuffled by the
 * keys, and each group is aggregated where all of its rows are. In either case a block of two
 * levels stands at the end: the inner one groups, the outer one has the select list, HAVING,
 * windows and the tail. */
#include "core/sql_plan_internal.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/mem.h"

struct sql_aggregate {
    char *key;
    json_t *outer; /* the value, over columns of the inner block */
};

struct sql_grouping {
    struct planner *p;
    const struct sql_scope *scope;
    const json_t *groups;
    char **group_keys;
    size_t groups_n;
    bool by_parts; /* aggregates are put together from parts */
    struct sql_aggregate *aggregates;
    size_t aggregates_n, aggregates_cap;
    json_t *map;                /* select list of the map: groups, arguments of DISTINCT, parts */
    size_t keys_n;              /* how many of the map's columns it groups by */
    json_t *distinct;           /* arguments of DISTINCT aggregates: {key: number} */
    json_t *parts;              /* parts, appended to the map at the end */
    json_t *inner;              /* select list of the inner block */
    struct sql_project project; /* when not by parts */
    bool windows;
    bool failed;
};

/* How an aggregate is put together: by which function its parts are. */
static const struct sql_merge {
    const char *function, *merge;
    bool count; /* the sum of counts is a BIGINT again */
} sql_merges[] = {
    {"sum", "sum", false},
    {"count", "sum", true},
    {"count_star", "sum", true},
    {"min", "min", false},
    {"max", "max", false},
    {"bool_and", "bool_and", false},
    {"bool_or", "bool_or", false},
    {"bit_and", "bit_and", false},
    {"bit_or", "bit_or", false},
    {"bit_xor", "bit_xor", false},
    {"any_value", "any_value", false},
    {"product", "product", false},
    {"count_if", "sum", false},
    {"countif", "sum", false},
    {"fsum", "fsum", false},
    {"kahan_sum", "fsum", false},
    {"sumkahan", "fsum", false},
};

static const struct sql_merge *sql_merge_of(const char *function)
{
    for (size_t i = 0; i < MEM_COUNT(sql_merges); i++) {
        if (strcasecmp(sql_merges[i].function, function) == 0)
            return &sql_merges[i];
    }
    return NULL;
}

static bool sql_is_average(const char *function)
{
    return strcasecmp(function, "avg") == 0 || strcasecmp(function, "mean") == 0;
}

static bool sql_call_is_plain(const json_t *call)
{
    return json_array_size(json_object_get(json_object_get(call, "order_bys"), "orders")) == 0 &&
           json_array_size(json_object_get(call, "children")) <= 1;
}

/* Whether the aggregate can be put together from parts. */
static bool sql_has_parts(const struct sql_grouping *g, const json_t *call)
{
    const char *function = sql_ast_text(call, "function_name");
    const json_t *argument = json_array_get(json_object_get(call, "children"), 0);
    if (!sql_call_is_plain(call) || (argument != NULL && sql_has_subquery((json_t *)argument)))
        return false;
    if (json_is_true(json_object_get(call, "distinct")))
        return argument != NULL;
    if (sql_is_average(function)) {
        enum sql_class class = sql_class_of(g->scope, argument);
        return class == SQL_CLASS_INTEGER || class == SQL_CLASS_DECIMAL || class == SQL_CLASS_FLOAT;
    }
    return sql_merge_of(function) != NULL;
}

static bool sql_parts_visit(json_t *object, void *ctx)
{
    struct sql_grouping *g = ctx;
    if (sql_ast_is_query(object))
        return false;
    if (!sql_ast_is(object, "class", "FUNCTION") ||
        !sql_is_aggregate(sql_ast_text(object, "function_name")))
        return true;
    g->by_parts &= sql_has_parts(g, object);
    return false;
}

/* The columns of the inner block. */

static json_t *sql_inner_column(struct sql_grouping *g, json_t *expression)
{
    char *name = sql_fresh(g->p, "a", json_array_size(g->inner));
    json_array_append_new(g->inner, sql_ast_alias(expression, name));
    return sql_ast_column(name);
}

/* A part: `call` in the map, `merge` of it in the inner block. */
static json_t *sql_part_of(struct sql_grouping *g, json_t *call, const char *merge)
{
    char *name = sql_fresh(g->p, "p", json_array_size(g->parts));
    json_array_append_new(g->parts, sql_ast_alias(call, name));
    return sql_ast_call(merge, sql_ast_column(name), NULL);
}

static json_t *sql_call_as(const json_t *call, const char *function)
{
    json_t *made = json_deep_copy(call);
    json_object_set_new(made, "function_name", json_string(function));
    json_object_set_new(made, "schema", json_string(""));
    return sql_ast_alias(made, "");
}

/* sum / count as DuckDB's avg does it: exactly, rounded once. Whole part and rest of two HUGEINTs.
 */
static json_t *sql_quotient(json_t *a, json_t *b)
{
    json_t *whole = sql_ast_operator("//", json_deep_copy(a), json_deep_copy(b));
    json_t *rest = sql_ast_operator("%", a, json_deep_copy(b));
    json_t *fraction =
        sql_ast_operator("/", sql_ast_cast(rest, "DOUBLE"), sql_ast_cast(b, "DOUBLE"));
    return sql_ast_operator("+", sql_ast_cast(whole, "DOUBLE"), fraction);
}

static json_t *sql_call3(const char *function, json_t *a, json_t *b, json_t *c)
{
    json_t *call = sql_ast_call(function, a, b);
    json_array_append_new(json_object_get(call, "children"), c);
    return call;
}

/* avg over parts: `sum` and `count` are the merged ones, expressions of the inner block. */
static json_t *sql_average(struct sql_grouping *g, enum sql_class class, json_t *sum, json_t *count)
{
    if (class == SQL_CLASS_FLOAT)
        return sql_ast_operator("/", sql_inner_column(g, sum), sql_inner_column(g, count));
    if (class == SQL_CLASS_INTEGER)
        return sql_quotient(sql_inner_column(g, sum), sql_inner_column(g, count));
    /* A decimal: as integers, without its point, and the count times 10^digits behind the point. */
    json_t *text = sql_ast_cast(sum, "VARCHAR");
    json_t *digits =
        sql_call3("replace", json_deep_copy(text), sql_ast_string("."), sql_ast_string(""));
    json_t *behind = sql_call3("split_part", text, sql_ast_string("."), sql_ast_integer(2));
    json_t *unit = sql_ast_call("power", sql_ast_integer(10), sql_ast_call("length", behind, NULL));
    json_t *scaled = sql_ast_operator("*", count, sql_ast_cast(unit, "HUGEINT"));
    return sql_quotient(sql_inner_column(g, sql_ast_cast(digits, "HUGEINT")),
                        sql_inner_column(g, scaled));
}

/* The column of the map that holds an argument of a DISTINCT aggregate. */
static json_t *sql_distinct_column(struct sql_grouping *g, const json_t *argument)
{
    char *key = sql_ast_key(argument);
    const json_t *known = json_object_get(g->distinct, key);
    size_t i = known != NULL ? (size_t)json_integer_value(known) : json_object_size(g->distinct);
    char *name = sql_fresh(g->p, "d", i);
    if (known == NULL) {
        json_object_set_new(g->distinct, key, json_integer((json_int_t)i));
        json_array_append_new(g->map, sql_ast_alias(json_deep_copy(argument), name));
        g->keys_n++;
    }
    free(key);
    return sql_ast_column(name);
}

static json_t *sql_or_zero(json_t *expression)
{
    json_t *zero = sql_ast_cast(sql_ast_integer(0), "HUGEINT");
    return json_pack("{s:s,s:s,s:s,s:[o,o]}", "class", "OPERATOR", "type", "OPERATOR_COALESCE",
                     "alias", "", "children", expression, zero);
}

/* The value of an aggregate as the outer block names it. */
static json_t *sql_aggregate_by_parts(struct sql_grouping *g, const json_t *call)
{
    const char *function = sql_ast_text(call, "function_name");
    json_t *argument = json_array_get(json_object_get(call, "children"), 0);
    if (json_is_true(json_object_get(call, "distinct"))) {
        json_t *made = sql_call_as(call, function);
        json_array_set_new(json_object_get(made, "children"), 0, sql_distinct_column(g, argument));
        json_t *filter = json_object_get(call, "filter");
        if (json_is_object(filter))
            json_object_set_new(made, "filter", sql_distinct_column(g, filter));
        return sql_inner_column(g, made);
    }
    if (sql_is_average(function)) {
        enum sql_class class = sql_class_of(g->scope, argument);
        json_t *sum = sql_part_of(g, sql_call_as(call, "sum"), "sum");
        json_t *count = sql_part_of(g, sql_call_as(call, "count"), "sum");
        return sql_average(g, class, sum, count);
    }
    const struct sql_merge *merge = sql_merge_of(function);
    json_t *part = sql_part_of(g, sql_call_as(call, function), merge->merge);
    if (merge->count || strcasecmp(merge->function, "count_if") == 0 ||
        strcasecmp(merge->function, "countif") == 0)
        part = sql_or_zero(part); /* a map by arguments of DISTINCT may have no rows */
    return sql_inner_column(g, merge->count ? sql_ast_cast(part, "BIGINT") : part);
}

static json_t *sql_aggregate_by_rows(struct sql_grouping *g, const json_t *call)
{
    json_t *made = sql_call_as(call, sql_ast_text(call, "function_name"));
    /* The call itself is no column, but everything in it is. */
    if (!sql_project_add(g->p, g->scope, &g->project, &made))
        g->failed = true;
    return sql_inner_column(g, made);
}

static json_t *sql_aggregate_value(struct sql_grouping *g, const json_t *call)
{
    char *key = sql_ast_key(call);
    for (size_t i = 0; i < g->aggregates_n; i++) {
        if (strcmp(g->aggregates[i].key, key) == 0) {
            free(key);
            return json_deep_copy(g->aggregates[i].outer);
        }
    }
    json_t *outer = g->by_parts ? sql_aggregate_by_parts(g, call) : sql_aggregate_by_rows(g, call);
    MEM_GROW(g->aggregates, g->aggregates_cap, g->aggregates_n + 1);
    g->aggregates[g->aggregates_n++] = (struct sql_aggregate){key, outer};
    return json_deep_copy(outer);
}

/* Expressions above the grouping: keys and aggregates become columns of the inner block. */
static json_t *sql_outer_change(json_t *object, void *ctx)
{
    struct sql_grouping *g = ctx;
    if (sql_ast_is_query(object)) {
        g->failed |= sql_is_correlated(g->p, object);
        return json_incref(object);
    }
    if (!sql_ast_is_expression(object))
        return NULL;
    const char *alias = sql_ast_text(object, "alias");
    char *key = g->groups_n > 0 ? sql_ast_key(object) : NULL;
    for (size_t i = 0; i < g->groups_n; i++) {
        if (strcmp(g->group_keys[i], key) == 0) {
            free(key);
            return sql_ast_alias(sql_ast_column(sql_fresh(g->p, "g", i)), alias);
        }
    }
    free(key);
    if (sql_ast_is(object, "class", "FUNCTION") &&
        sql_is_aggregate(sql_ast_text(object, "function_name")))
        return sql_ast_alias(sql_aggregate_value(g, object), alias);
    g->windows |= sql_ast_is(object, "class", "WINDOW");
    if (sql_ast_is(object, "class", "COLUMN_REF") || sql_ast_is(object, "class", "STAR"))
        g->failed = true; /* neither a key nor inside of an aggregate */
    return NULL;
}

static json_t *sql_outer(struct sql_grouping *g, const json_t *expression)
{
    return sql_ast_rewrite(json_deep_copy(expression), sql_outer_change, g);
}

/* GROUP BY the first n columns of the select list. */
static void sql_group_by_first(json_t *select, size_t n)
{
    json_t *groups = json_array();
    json_t *set = json_array();
    for (size_t i = 0; i < n; i++) {
        json_array_append_new(groups, sql_ast_integer((long long)i + 1));
        json_array_append_new(set, json_integer((json_int_t)i));
    }
    json_object_set_new(select, "group_expressions", groups);
    json_object_set_new(select, "group_sets", n > 0 ? json_pack("[o]", set) : json_array());
    if (n == 0)
        json_decref(set);
}

/* GROUP BY ALL: by every item without aggregates. */
static json_t *sql_groups_of(const json_t *select, const struct sql_items *items)
{
    if (!sql_ast_is(select, "aggregate_handling", "FORCE_AGGREGATES"))
        return json_incref(json_object_get(select, "group_expressions"));
    json_t *groups = json_array();
    for (size_t i = 0; i < items->n; i++) {
        if (!sql_has_aggregate(items->items[i]))
            json_array_append(groups, items->items[i]);
    }
    return groups;
}

static bool sql_group_fits(struct sql_grouping *g, const json_t *select)
{
    const json_t *sets = json_object_get(select, "group_sets");
    const char *handling = sql_ast_text(select, "aggregate_handling");
    if (json_array_size(sets) > 1)
        return sql_why(g->p, "GROUPING SETS, ROLLUP, CUBE");
    if (strcmp(handling, "STANDARD_HANDLING") != 0 && strcmp(handling, "FORCE_AGGREGATES") != 0)
        return sql_why(g->p, "a way to group that isn't known");
    if (json_array_size(sets) == 1 && json_array_size(json_array_get(sets, 0)) != g->groups_n)
        return sql_why(g->p, "GROUPING SETS, ROLLUP, CUBE");
    for (size_t i = 0; i < g->groups_n; i++) {
        json_t *group = json_array_get(g->groups, i);
        if (sql_has_subquery(group) || sql_has_unnest(group))
            return sql_why(g->p, "groups by a subquery");
    }
    return g->by_parts || g->groups_n > 0 ||
           sql_why(g->p, "an aggregate that needs all rows in one place");
}

/* Everything above the grouping, in columns of the inner block. */
struct sql_above {
    struct sql_items items;
    json_t *having, *qualify, *orders;
};

static void sql_above_take(struct sql_grouping *g, const json_t *select,
                           const struct sql_items *items, const struct sql_tail *tail,
                           struct sql_above *above)
{
    above->items.n = items->n;
    above->items.items = mem_calloc(items->n + 1, sizeof *above->items.items);
    above->items.names = mem_dup(items->names, items->n * sizeof *items->names);
    for (size_t i = 0; i < items->n; i++)
        above->items.items[i] = sql_outer(g, items->items[i]);
    const json_t *having = json_object_get(select, "having");
    const json_t *qualify = json_object_get(select, "qualify");
    above->having = json_is_object(having) ? sql_outer(g, having) : NULL;
    above->qualify = json_is_object(qualify) ? sql_outer(g, qualify) : NULL;
    above->orders = tail->orders != NULL ? sql_outer(g, tail->orders) : NULL;
}

static void sql_above_done(struct sql_above *above)
{
    sql_items_done(&above->items);
    json_decref(above->having);
    json_decref(above->qualify);
    json_decref(above->orders);
}

/* The map: the block's rows, grouped or only projected. Takes select. */
static size_t sql_group_map(struct sql_grouping *g, json_t *select, bool shuffle)
{
    struct planner *p = g->p;
    json_t *list = g->map;
    json_t *more = g->by_parts ? json_incref(g->parts) : sql_project_list(p, &g->project);
    json_array_extend(list, more);
    json_decref(more);
    json_object_set(select, "select_list", list);
    json_object_set_new(select, "modifiers", json_array());
    json_object_set_new(select, "having", json_null());
    json_object_set_new(select, "qualify", json_null());
    json_object_set_new(select, "aggregate_handling", json_string("STANDARD_HANDLING"));
    sql_group_by_first(select, g->by_parts ? g->keys_n : 0);
    const char **keys = mem_calloc(g->groups_n + 1, sizeof *keys);
    for (size_t i = 0; i < g->groups_n; i++)
        keys[i] = sql_fresh(p, "g", i);
    size_t stage = sql_stage_close(p, select, shuffle ? SQL_OUTPUT_HASH : SQL_OUTPUT_GATHER, keys,
                                   shuffle ? g->groups_n : 0,
                                   g->by_parts ? "partial aggregates" : "rows for aggregates");
    free(keys);
    return stage;
}

static struct sql_part sql_group_build(struct sql_grouping *g, json_t *select,
                                       struct sql_above *above, struct sql_tail *tail)
{
    struct planner *p = g->p;
    bool split = g->groups_n > 0 && !g->windows && above->qualify == NULL;
    size_t stage = sql_group_map(g, select, split);
    json_t *list = json_array();
    for (size_t i = 0; i < g->groups_n; i++) {
        char *name = sql_fresh(p, "g", i);
        json_array_append_new(list, sql_ast_alias(sql_ast_column(name), name));
    }
    json_array_extend(list, g->inner);
    if (json_array_size(list) == 0) /* SELECT 1 FROM t HAVING true */
        json_array_append_new(list, sql_ast_alias(sql_ast_integer(1), sql_fresh(p, "a", 0)));
    json_t *inner = sql_ast_select(list, sql_stage_ref(p, stage, split, "", NULL, 0), NULL);
    sql_group_by_first(inner, g->groups_n);
    if (g->groups_n == 0)
        json_object_set_new(inner, "aggregate_handling", json_string("FORCE_AGGREGATES"));
    json_t *outer = sql_ast_select(json_array(), sql_ast_subquery(inner, sql_fresh(p, "q", stage)),
                                   above->having);
    above->having = NULL;
    if (above->qualify != NULL)
        json_object_set(outer, "qualify", above->qualify);
    tail->orders = above->orders;
    return sql_tail_plan(p, outer, &above->items, tail, split, "final aggregates");
}

static void sql_grouping_done(struct sql_grouping *g)
{
    for (size_t i = 0; i < g->aggregates_n; i++) {
        free(g->aggregates[i].key);
        json_decref(g->aggregates[i].outer);
    }
    for (size_t i = 0; i < g->groups_n; i++)
        free(g->group_keys[i]);
    free(g->group_keys);
    free(g->aggregates);
    json_decref((json_t *)g->groups);
    json_decref(g->map);
    json_decref(g->distinct);
    json_decref(g->parts);
    json_decref(g->inner);
    sql_project_done(&g->project);
}

static void sql_grouping_init(struct sql_grouping *g, const json_t *select,
                              const struct sql_items *items, const struct sql_tail *tail)
{
    g->groups = sql_groups_of(select, items);
    g->groups_n = json_array_size(g->groups);
    g->group_keys = mem_calloc(g->groups_n + 1, sizeof *g->group_keys);
    g->map = json_array();
    g->distinct = json_object();
    g->parts = json_array();
    g->inner = json_array();
    g->keys_n = g->groups_n;
    for (size_t i = 0; i < g->groups_n; i++) {
        json_t *group = json_array_get(g->groups, i);
        g->group_keys[i] = sql_ast_key(group);
        json_array_append_new(g->map,
                              sql_ast_alias(json_deep_copy(group), sql_fresh(g->p, "g", i)));
    }
    g->by_parts = true;
    for (size_t i = 0; i < items->n; i++)
        sql_ast_walk(items->items[i], sql_parts_visit, g);
    sql_ast_walk(json_object_get(select, "having"), sql_parts_visit, g);
    sql_ast_walk(json_object_get(select, "qualify"), sql_parts_visit, g);
    if (tail->orders != NULL)
        sql_ast_walk(tail->orders, sql_parts_visit, g);
}

struct sql_part sql_group(struct planner *p, json_t *select, const struct sql_scope *scope,
                          bool names_matter, const char *printed)
{
    struct sql_grouping g = {.p = p, .scope = scope};
    struct sql_items items;
    struct sql_above above = {0};
    struct sql_tail tail;
    struct sql_part part = {0};
    if (!sql_items_take(p, select, scope, names_matter, printed, &items))
        return part;
    sql_tail_read(select, &tail);
    sql_grouping_init(&g, select, &items, &tail);
    bool fits = !tail.odd && sql_group_fits(&g, select);
    if (fits)
        sql_above_take(&g, select, &items, &tail, &above);
    if (fits && g.failed)
        fits = sql_why(
            p, "a column that is neither grouped nor aggregated, or depends on the outside");
    if (fits && tail.distinct)
        fits = sql_tail_fits(p, &above.items, above.orders);
    if (fits)
        part = sql_group_build(&g, select, &above, &tail);
    sql_above_done(&above);
    sql_grouping_done(&g);
    sql_items_done(&items);
    return part;
}
