#include "core/sql_ast.h"

#include <assert.h>
#include <stdarg.h>
#include <string.h>

#include "base/mem.h"

const char *sql_ast_text(const json_t *object, const char *member)
{
    const char *s = json_string_value(json_object_get(object, member));
    return s != NULL ? s : "";
}

bool sql_ast_is(const json_t *object, const char *member, const char *value)
{
    return strcmp(sql_ast_text(object, member), value) == 0;
}

bool sql_ast_is_expression(const json_t *object)
{
    return json_object_get(object, "class") != NULL;
}

static bool sql_ast_is_one_of(const json_t *object, const char *const *types, size_t n)
{
    if (!json_is_object(object) || sql_ast_is_expression(object))
        return false;
    const char *type = sql_ast_text(object, "type");
    for (size_t i = 0; i < n; i++) {
        if (strcmp(type, types[i]) == 0)
            return true;
    }
    return false;
}

bool sql_ast_is_query(const json_t *object)
{
    static const char *const types[] = {"SELECT_NODE", "SET_OPERATION_NODE", "RECURSIVE_CTE_NODE",
                                        "CTE_NODE", "STATEMENT_NODE"};
    return sql_ast_is_one_of(object, types, MEM_COUNT(types));
}

bool sql_ast_is_table(const json_t *object)
{
    static const char *const types[] = {
        "BASE_TABLE",  "JOIN",      "SUBQUERY",        "TABLE_FUNCTION",
        "EMPTY",       "PIVOT",     "SHOW_REF",        "EXPRESSION_LIST",
        "COLUMN_DATA", "DELIM_GET", "BOUND_TABLE_REF", "CTE"};
    return sql_ast_is_one_of(object, types, MEM_COUNT(types));
}

size_t sql_ast_at(const json_t *object)
{
    const json_t *at = json_object_get(object, "query_location");
    return json_is_integer(at) && json_integer_value(at) >= 0 ? (size_t)json_integer_value(at)
                                                              : SQL_AT_NONE;
}

void sql_ast_walk(json_t *tree, sql_ast_visit *visit, void *ctx)
{
    json_t *value;
    size_t i;
    const char *key;
    if (json_is_array(tree)) {
        json_array_foreach(tree, i, value) sql_ast_walk(value, visit, ctx);
    } else if (json_is_object(tree) && visit(tree, ctx)) {
        json_object_foreach(tree, key, value) sql_ast_walk(value, visit, ctx);
    }
}

json_t *sql_ast_rewrite(json_t *tree, sql_ast_change *change, void *ctx)
{
    json_t *value;
    size_t i;
    const char *key;
    if (json_is_array(tree)) {
        json_array_foreach(tree, i, value)
        {
            json_t *made = sql_ast_rewrite(json_incref(value), change, ctx);
            json_array_set_new(tree, i, made);
        }
    } else if (json_is_object(tree)) {
        json_t *made = change(tree, ctx);
        if (made != NULL) {
            json_decref(tree);
            return made;
        }
        json_object_foreach(tree, key, value)
        {
            if (!json_is_object(value) && !json_is_array(value))
                continue;
            made = sql_ast_rewrite(json_incref(value), change, ctx);
            if (made != value)
                json_object_set_new(tree, key, made);
            else
                json_decref(made);
        }
    }
    return tree;
}

/* New trees. A tree that can't be made is a programmer's error: all forms are constants. */

static json_t *sql_ast_pack(const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    json_t *made = json_vpack_ex(NULL, 0, fmt, args);
    va_end(args);
    assert(made != NULL);
    return made;
}

json_t *sql_ast_column(const char *name)
{
    return sql_ast_pack("{s:s,s:s,s:s,s:[s]}", "class", "COLUMN_REF", "type", "COLUMN_REF", "alias",
                        "", "column_names", name);
}

json_t *sql_ast_column_of(const char *table, const char *name)
{
    return sql_ast_pack("{s:s,s:s,s:s,s:[s,s]}", "class", "COLUMN_REF", "type", "COLUMN_REF",
                        "alias", "", "column_names", table, name);
}

static json_t *sql_ast_function(const char *name, bool is_operator, json_t *a, json_t *b)
{
    json_t *children = json_array();
    if (a != NULL)
        json_array_append_new(children, a);
    if (b != NULL)
        json_array_append_new(children, b);
    return sql_ast_pack("{s:s,s:s,s:s,s:s,s:s,s:o,s:n,s:{s:s,s:[]},s:b,s:b,s:b,s:s}", "class",
                        "FUNCTION", "type", "FUNCTION", "alias", "", "function_name", name,
                        "schema", "", "children", children, "filter", "order_bys", "type",
                        "ORDER_MODIFIER", "orders", "distinct", 0, "is_operator", is_operator,
                        "export_state", 0, "catalog", "");
}

json_t *sql_ast_call(const char *function, json_t *a, json_t *b)
{
    return sql_ast_function(function, false, a, b);
}

json_t *sql_ast_operator(const char *op, json_t *a, json_t *b)
{
    return sql_ast_function(op, true, a, b);
}

json_t *sql_ast_compare(const char *type, json_t *a, json_t *b)
{
    return sql_ast_pack("{s:s,s:s,s:s,s:o?,s:o?}", "class", "COMPARISON", "type", type, "alias", "",
                        "left", a, "right", b);
}

json_t *sql_ast_and(json_t *a, json_t *b)
{
    if (a == NULL || b == NULL)
        return a != NULL ? a : b;
    return sql_ast_pack("{s:s,s:s,s:s,s:[o?,o?]}", "class", "CONJUNCTION", "type",
                        "CONJUNCTION_AND", "alias", "", "children", a, b);
}

json_t *sql_ast_cast(json_t *child, const char *type)
{
    return sql_ast_pack("{s:s,s:s,s:s,s:o?,s:{s:s,s:n},s:b}", "class", "CAST", "type",
                        "OPERATOR_CAST", "alias", "", "child", child, "cast_type", "id", type,
                        "type_info", "try_cast", 0);
}

json_t *sql_ast_integer(long long value)
{
    return sql_ast_pack("{s:s,s:s,s:s,s:{s:{s:s,s:n},s:b,s:I}}", "class", "CONSTANT", "type",
                        "VALUE_CONSTANT", "alias", "", "value", "type", "id", "BIGINT", "type_info",
                        "is_null", 0, "value", (json_int_t)value);
}

json_t *sql_ast_string(const char *value)
{
    return sql_ast_pack("{s:s,s:s,s:s,s:{s:{s:s,s:n},s:b,s:s}}", "class", "CONSTANT", "type",
                        "VALUE_CONSTANT", "alias", "", "value", "type", "id", "VARCHAR",
                        "type_info", "is_null", 0, "value", value);
}

json_t *sql_ast_null(void)
{
    return sql_ast_pack("{s:s,s:s,s:s,s:{s:{s:s,s:n},s:b}}", "class", "CONSTANT", "type",
                        "VALUE_CONSTANT", "alias", "", "value", "type", "id", "NULL", "type_info",
                        "is_null", 1);
}

json_t *sql_ast_star(void)
{
    return sql_ast_pack("{s:s,s:s,s:s,s:s,s:[],s:[],s:b,s:n,s:[],s:[]}", "class", "STAR", "type",
                        "STAR", "alias", "", "relation_name", "", "exclude_list", "replace_list",
                        "columns", 0, "expr", "qualified_exclude_list", "rename_list");
}

json_t *sql_ast_alias(json_t *expression, const char *alias)
{
    json_object_set_new(expression, "alias", json_string(alias));
    return expression;
}

json_t *sql_ast_base_table(const char *name, const char *alias)
{
    return sql_ast_pack("{s:s,s:s,s:n,s:s,s:s,s:[],s:s,s:n}", "type", "BASE_TABLE", "alias", alias,
                        "sample", "schema_name", "", "table_name", name, "column_name_alias",
                        "catalog_name", "", "at_clause");
}

json_t *sql_ast_subquery(json_t *query, const char *alias)
{
    return sql_ast_pack("{s:s,s:s,s:n,s:{s:o?,s:[]},s:[]}", "type", "SUBQUERY", "alias", alias,
                        "sample", "subquery", "node", query, "named_param_map",
                        "column_name_alias");
}

json_t *sql_ast_empty_table(void)
{
    return sql_ast_pack("{s:s,s:s,s:n}", "type", "EMPTY", "alias", "", "sample");
}

json_t *sql_ast_select(json_t *select_list, json_t *from, json_t *where)
{
    return sql_ast_pack("{s:s,s:[],s:{s:[]},s:o?,s:o?,s:o?,s:[],s:[],s:s,s:n,s:n,s:n}", "type",
                        "SELECT_NODE", "modifiers", "cte_map", "map", "select_list", select_list,
                        "from_table", from, "where_clause", where != NULL ? where : json_null(),
                        "group_expressions", "group_sets", "aggregate_handling",
                        "STANDARD_HANDLING", "having", "sample", "qualify");
}

json_t *sql_ast_limit(json_t *limit, json_t *offset)
{
    return sql_ast_pack("{s:s,s:o?,s:o?}", "type", "LIMIT_MODIFIER", "limit",
                        limit != NULL ? limit : json_null(), "offset",
                        offset != NULL ? offset : json_null());
}
