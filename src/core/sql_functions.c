/* What the planner must know of DuckDB's functions: aggregates, those that aren't the same each
 * time, those that are the time of the statement; and of which class of number an expression is. */
#include "core/sql_plan_internal.h"

#include <string.h>
#include <strings.h>

#include "base/mem.h"

/* Also macros that DuckDB expands to aggregates. */
static const char *const sql_aggregates[] = {"any_value",
                                             "approx_count_distinct",
                                             "approx_quantile",
                                             "approx_top_k",
                                             "arbitrary",
                                             "arg_max",
                                             "arg_max_null",
                                             "arg_min",
                                             "arg_min_null",
                                             "argmax",
                                             "argmin",
                                             "array_agg",
                                             "avg",
                                             "bit_and",
                                             "bit_or",
                                             "bit_xor",
                                             "bitstring_agg",
                                             "bool_and",
                                             "bool_or",
                                             "corr",
                                             "count",
                                             "count_if",
                                             "count_star",
                                             "countif",
                                             "covar_pop",
                                             "covar_samp",
                                             "entropy",
                                             "favg",
                                             "first",
                                             "fsum",
                                             "geomean",
                                             "geometric_mean",
                                             "group_concat",
                                             "histogram",
                                             "histogram_exact",
                                             "json_group_array",
                                             "json_group_object",
                                             "json_group_structure",
                                             "kahan_sum",
                                             "kurtosis",
                                             "kurtosis_pop",
                                             "last",
                                             "list",
                                             "listagg",
                                             "mad",
                                             "max",
                                             "max_by",
                                             "mean",
                                             "median",
                                             "min",
                                             "min_by",
                                             "mode",
                                             "product",
                                             "quantile",
                                             "quantile_cont",
                                             "quantile_disc",
                                             "regr_avgx",
                                             "regr_avgy",
                                             "regr_count",
                                             "regr_intercept",
                                             "regr_r2",
                                             "regr_slope",
                                             "regr_sxx",
                                             "regr_sxy",
                                             "regr_syy",
                                             "reservoir_quantile",
                                             "sem",
                                             "skewness",
                                             "stddev",
                                             "stddev_pop",
                                             "stddev_samp",
                                             "string_agg",
                                             "sum",
                                             "sum_no_overflow",
                                             "sumkahan",
                                             "var_pop",
                                             "var_samp",
                                             "variance",
                                             "wavg",
                                             "weighted_avg"};

static const char *const sql_volatiles[] = {"random",
                                            "uuid",
                                            "uuidv4",
                                            "uuidv7",
                                            "gen_random_uuid",
                                            "setseed",
                                            "nextval",
                                            "currval",
                                            "current_connection_id",
                                            "current_query",
                                            "current_query_id",
                                            "current_transaction_id",
                                            "txid_current",
                                            "stats",
                                            "write_log",
                                            "error",
                                            "getvariable",
                                            "current_setting",
                                            "clock_timestamp",
                                            "get_current_time",
                                            "localtime",
                                            "current_time",
                                            "localtimestamp"};

static bool sql_listed(const char *const *names, size_t n, const char *name)
{
    for (size_t i = 0; i < n; i++) {
        if (strcasecmp(names[i], name) == 0)
            return true;
    }
    return false;
}

bool sql_is_aggregate(const char *function)
{
    return sql_listed(sql_aggregates, MEM_COUNT(sql_aggregates), function);
}

bool sql_is_volatile(const char *function)
{
    return sql_listed(sql_volatiles, MEM_COUNT(sql_volatiles), function);
}

struct sql_search {
    const char *class;
    const char *function; /* or any aggregate when NULL and class is "FUNCTION" */
    bool found;
};

static bool sql_search_visit(json_t *object, void *ctx)
{
    struct sql_search *search = ctx;
    if (search->found || sql_ast_is_query(object))
        return false;
    if (sql_ast_is(object, "class", search->class)) {
        const char *name = sql_ast_text(object, "function_name");
        search->found = strcmp(search->class, "FUNCTION") != 0 ||
                        (search->function != NULL ? strcasecmp(name, search->function) == 0
                                                  : sql_is_aggregate(name));
    }
    /* sum(x) OVER (...) is no aggregate, but sum(sum(x)) OVER () holds one. */
    return true;
}

static bool sql_search(json_t *tree, const char *class, const char *function)
{
    struct sql_search search = {class, function, false};
    sql_ast_walk(tree, sql_search_visit, &search);
    return search.found;
}

bool sql_has_aggregate(json_t *tree)
{
    return sql_search(tree, "FUNCTION", NULL);
}

bool sql_has_window(json_t *tree)
{
    return sql_search(tree, "WINDOW", NULL);
}

bool sql_has_unnest(const json_t *tree)
{
    return sql_search((json_t *)tree, "FUNCTION", "unnest");
}

static bool sql_subquery_visit(json_t *object, void *ctx)
{
    bool *found = ctx;
    *found |= sql_ast_is(object, "class", "SUBQUERY");
    return !*found;
}

bool sql_has_subquery(json_t *tree)
{
    bool found = false;
    sql_ast_walk(tree, sql_subquery_visit, &found);
    return found;
}

/* Time. */

struct sql_clock {
    const char *now;
    bool random;
};

static json_t *sql_clock_change(json_t *object, void *ctx)
{
    static const char *const stamps[] = {"now", "current_timestamp", "transaction_timestamp",
                                         "get_current_timestamp"};
    static const char *const days[] = {"current_date", "today"};
    struct sql_clock *clock = ctx;
    const char *name = NULL;
    if (sql_ast_is(object, "class", "FUNCTION"))
        name = sql_ast_text(object, "function_name");
    else if (sql_ast_is(object, "class", "COLUMN_REF") &&
             json_array_size(json_object_get(object, "column_names")) == 1)
        name = json_string_value(json_array_get(json_object_get(object, "column_names"), 0));
    if (name == NULL)
        return NULL;
    clock->random |= sql_is_volatile(name);
    bool stamp = sql_listed(stamps, MEM_COUNT(stamps), name);
    bool day = sql_listed(days, MEM_COUNT(days), name);
    if ((!stamp && !day) || clock->now == NULL)
        return NULL;
    json_t *made = sql_ast_cast(sql_ast_string(clock->now), "TIMESTAMP WITH TIME ZONE");
    if (day)
        made = sql_ast_cast(made, "DATE");
    const char *alias = sql_ast_text(object, "alias");
    return sql_ast_alias(made, alias);
}

bool sql_fix_time(json_t **query, const char *now)
{
    struct sql_clock clock = {now, false};
    *query = sql_ast_rewrite(*query, sql_clock_change, &clock);
    return !clock.random;
}

/* Classes. */

enum sql_class sql_class_of_type(const char *type)
{
    static const char *const integers[] = {"TINYINT", "SMALLINT",        "INTEGER",   "BIGINT",
                                           "HUGEINT", "UTINYINT",        "USMALLINT", "UINTEGER",
                                           "UBIGINT", "INTEGER_LITERAL", "INT",       "LONG"};
    if (type == NULL)
        return SQL_CLASS_UNKNOWN;
    if (sql_listed(integers, MEM_COUNT(integers), type))
        return SQL_CLASS_INTEGER;
    if (strncasecmp(type, "DECIMAL", 7) == 0)
        return strchr(type, '[') == NULL ? SQL_CLASS_DECIMAL : SQL_CLASS_UNKNOWN;
    if (strcasecmp(type, "DOUBLE") == 0 || strcasecmp(type, "FLOAT") == 0)
        return SQL_CLASS_FLOAT;
    return strcasecmp(type, "NULL") == 0 ? SQL_CLASS_NULL : SQL_CLASS_UNKNOWN;
}

static enum sql_class sql_class_merge(enum sql_class a, enum sql_class b)
{
    if (a == SQL_CLASS_NULL || b == SQL_CLASS_NULL)
        return a == SQL_CLASS_NULL ? b : a;
    if (a == SQL_CLASS_UNKNOWN || b == SQL_CLASS_UNKNOWN)
        return SQL_CLASS_UNKNOWN;
    return a > b ? a : b; /* INTEGER < DECIMAL < FLOAT */
}

static enum sql_class sql_class_of_call(const struct sql_scope *scope, const json_t *call)
{
    static const char *const same[] = {"+", "-", "*", "%", "sum", "min", "max", "abs"};
    static const char *const counts[] = {"count", "count_star", "length",    "strlen", "year",
                                         "month", "day",        "date_part", "//"};
    const char *name = sql_ast_text(call, "function_name");
    const json_t *children = json_object_get(call, "children");
    if (sql_listed(counts, MEM_COUNT(counts), name))
        return SQL_CLASS_INTEGER;
    if (strcasecmp(name, "avg") == 0)
        return SQL_CLASS_FLOAT;
    if (!sql_listed(same, MEM_COUNT(same), name) && strcmp(name, "/") != 0)
        return SQL_CLASS_UNKNOWN;
    enum sql_class class = SQL_CLASS_NULL;
    for (size_t i = 0; i < json_array_size(children); i++)
        class = sql_class_merge(class, sql_class_of(scope, json_array_get(children, i)));
    if (class == SQL_CLASS_NULL)
        return SQL_CLASS_UNKNOWN;
    return strcmp(name, "/") == 0 && class != SQL_CLASS_UNKNOWN ? SQL_CLASS_FLOAT : class;
}

static enum sql_class sql_class_of_case(const struct sql_scope *scope, const json_t *expression)
{
    const json_t *checks = json_object_get(expression, "case_checks");
    enum sql_class class = sql_class_of(scope, json_object_get(expression, "else_expr"));
    for (size_t i = 0; i < json_array_size(checks); i++)
        class = sql_class_merge(
            class, sql_class_of(scope, json_object_get(json_array_get(checks, i), "then_expr")));
    return class;
}

enum sql_class sql_class_of(const struct sql_scope *scope, const json_t *expression)
{
    size_t s, c;
    const char *class = sql_ast_text(expression, "class");
    if (strcmp(class, "COLUMN_REF") == 0)
        return sql_resolve(scope, expression, &s, &c) == SQL_FOUND ? scope->sources[s].classes[c]
                                                                   : SQL_CLASS_UNKNOWN;
    if (strcmp(class, "CONSTANT") == 0)
        return sql_class_of_type(
            sql_ast_text(json_object_get(json_object_get(expression, "value"), "type"), "id"));
    if (strcmp(class, "CAST") == 0)
        return sql_class_of_type(sql_ast_text(json_object_get(expression, "cast_type"), "id"));
    if (strcmp(class, "FUNCTION") == 0)
        return sql_class_of_call(scope, expression);
    if (strcmp(class, "CASE") == 0)
        return sql_class_of_case(scope, expression);
    if (sql_ast_is(expression, "type", "OPERATOR_COALESCE")) {
        const json_t *children = json_object_get(expression, "children");
        enum sql_class all = SQL_CLASS_NULL;
        for (size_t i = 0; i < json_array_size(children); i++)
            all = sql_class_merge(all, sql_class_of(scope, json_array_get(children, i)));
        return all;
    }
    return SQL_CLASS_UNKNOWN;
}
