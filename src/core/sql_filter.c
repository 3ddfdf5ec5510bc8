/* Conditions "column op literal" of a WHERE clause, for leaving files out by their statistics. What
 * isn't surely such a condition is left to DuckDB. */
#include "core/sql_filter.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/mem.h"

struct sql_filters {
    const struct sql_scope *scope;
    const struct sql_source *source;
    struct sql_filter *filters;
    size_t n, cap;
};

static char *sql_decimal_text(const json_t *value)
{
    const json_t *info = json_object_get(json_object_get(value, "type"), "type_info");
    long long scale = json_integer_value(json_object_get(info, "scale"));
    const json_t *number = json_object_get(value, "value");
    if (!json_is_integer(number) || scale < 0 || scale > 18)
        return NULL;
    long long n = json_integer_value(number);
    unsigned long long magnitude = n < 0 ? 0ULL - (unsigned long long)n : (unsigned long long)n;
    unsigned long long unit = 1;
    for (long long i = 0; i < scale; i++)
        unit *= 10;
    if (scale == 0)
        return mem_printf("%lld", n);
    return mem_printf("%s%llu.%0*llu", n < 0 ? "-" : "", magnitude / unit, (int)scale,
                      magnitude % unit);
}

/* The text of a constant and the type that it has; NULL when it isn't one that can be compared. */
static char *sql_constant_text(const json_t *expression, const char **type)
{
    if (sql_ast_is(expression, "class", "CAST")) {
        const json_t *child = json_object_get(expression, "child");
        const char *inner;
        char *text = sql_constant_text(child, &inner);
        *type = sql_ast_text(json_object_get(expression, "cast_type"), "id");
        if (text != NULL &&
            (strcmp(inner, "VARCHAR") != 0 || !sql_ast_is(child, "class", "CONSTANT"))) {
            free(text);
            text = NULL;
        }
        return text;
    }
    if (!sql_ast_is(expression, "class", "CONSTANT"))
        return NULL;
    const json_t *value = json_object_get(expression, "value");
    *type = sql_ast_text(json_object_get(value, "type"), "id");
    const json_t *v = json_object_get(value, "value");
    if (json_is_true(json_object_get(value, "is_null")))
        return NULL;
    if (strcmp(*type, "DECIMAL") == 0)
        return sql_decimal_text(value);
    if (json_is_string(v) && strcmp(*type, "VARCHAR") == 0)
        return mem_strdup(json_string_value(v));
    if (json_is_integer(v) && sql_class_of_type(*type) == SQL_CLASS_INTEGER)
        return mem_printf("%" JSON_INTEGER_FORMAT, json_integer_value(v));
    if (json_is_real(v))
        return mem_printf("%.17g", json_real_value(v));
    if (json_is_boolean(v))
        return mem_strdup(json_is_true(v) ? "true" : "false");
    return NULL;
}

/* Whether DuckDB compares the two as values of the column's type: not a DOUBLE beside exact
 * numbers, a FLOAT beside anything, a time with a zone beside one without. */
static bool sql_comparable(const char *column, const char *constant)
{
    if (column == NULL)
        return false;
    enum sql_class left = sql_class_of_type(column);
    enum sql_class right = sql_class_of_type(constant);
    if (left == SQL_CLASS_INTEGER || left == SQL_CLASS_DECIMAL)
        return right == SQL_CLASS_INTEGER || right == SQL_CLASS_DECIMAL;
    if (left == SQL_CLASS_FLOAT)
        return strcasecmp(column, "DOUBLE") == 0 &&
               (right == SQL_CLASS_INTEGER || right == SQL_CLASS_DECIMAL ||
                right == SQL_CLASS_FLOAT);
    if (strcasecmp(column, "DATE") != 0 && strcasecmp(column, "TIMESTAMP") != 0)
        return strcasecmp(column, constant) == 0 && strchr(column, ' ') == NULL;
    return strcasecmp(column, constant) == 0 || strcmp(constant, "VARCHAR") == 0;
}

static void sql_filter_add(struct sql_filters *f, size_t column, enum sql_op op, char **values,
                           size_t n)
{
    MEM_GROW(f->filters, f->cap, f->n + 1);
    f->filters[f->n++] = (struct sql_filter){column, op, values, n};
}

/* The column of the source that the expression is, or SIZE_MAX. */
static size_t sql_filter_column(const struct sql_filters *f, const json_t *expression)
{
    size_t s, c;
    if (!sql_ast_is(expression, "class", "COLUMN_REF") ||
        sql_resolve(f->scope, expression, &s, &c) != SQL_FOUND ||
        &f->scope->sources[s] != f->source)
        return SIZE_MAX;
    return c;
}

static void sql_filter_compare(struct sql_filters *f, const json_t *left, enum sql_op op,
                               const json_t *right)
{
    size_t column = sql_filter_column(f, left);
    const char *type = "";
    if (column == SIZE_MAX)
        return;
    char *text = sql_constant_text(right, &type);
    if (text == NULL)
        return;
    if (!sql_comparable(f->source->types[column], type)) {
        free(text);
        return;
    }
    char **values = mem_calloc(1, sizeof *values);
    values[0] = text;
    sql_filter_add(f, column, op, values, 1);
}

static void sql_filter_comparison(struct sql_filters *f, const json_t *expression)
{
    static const struct {
        const char *type;
        enum sql_op op, flipped;
    } rows[] = {
        {"COMPARE_EQUAL", SQL_OP_EQ, SQL_OP_EQ},
        {"COMPARE_LESSTHAN", SQL_OP_LT, SQL_OP_GT},
        {"COMPARE_GREATERTHAN", SQL_OP_GT, SQL_OP_LT},
        {"COMPARE_LESSTHANOREQUALTO", SQL_OP_LE, SQL_OP_GE},
        {"COMPARE_GREATERTHANOREQUALTO", SQL_OP_GE, SQL_OP_LE},
    };
    const json_t *left = json_object_get(expression, "left");
    const json_t *right = json_object_get(expression, "right");
    for (size_t i = 0; i < MEM_COUNT(rows); i++) {
        if (sql_ast_is(expression, "type", rows[i].type)) {
            sql_filter_compare(f, left, rows[i].op, right);
            sql_filter_compare(f, right, rows[i].flipped, left);
        }
    }
}

static void sql_filter_in(struct sql_filters *f, const json_t *children)
{
    size_t n = json_array_size(children);
    size_t column = sql_filter_column(f, json_array_get(children, 0));
    if (column == SIZE_MAX || n < 2)
        return;
    char **values = mem_calloc(n, sizeof *values);
    size_t got = 0;
    for (size_t i = 1; i < n; i++) {
        const char *type = "";
        char *text = sql_constant_text(json_array_get(children, i), &type);
        if (text == NULL)
            break;
        values[got++] = text;
        if (!sql_comparable(f->source->types[column], type)) {
            got = SIZE_MAX;
            n = i + 1;
            break;
        }
    }
    if (got == n - 1) {
        sql_filter_add(f, column, SQL_OP_IN, values, got);
        return;
    }
    for (size_t i = 0; i < n; i++)
        free(values[i]);
    free(values);
}

static void sql_filter_like(struct sql_filters *f, const json_t *children)
{
    const char *type = "";
    size_t column = sql_filter_column(f, json_array_get(children, 0));
    if (column == SIZE_MAX || json_array_size(children) != 2)
        return;
    char *text = sql_constant_text(json_array_get(children, 1), &type);
    size_t prefix = text != NULL ? strcspn(text, "%_\\") : 0;
    if (prefix == 0 || text[prefix] == '\\' || strcmp(type, "VARCHAR") != 0 ||
        f->source->types[column] == NULL || strcasecmp(f->source->types[column], "VARCHAR") != 0) {
        free(text);
        return;
    }
    text[prefix] = '\0';
    char **values = mem_calloc(1, sizeof *values);
    values[0] = text;
    sql_filter_add(f, column, SQL_OP_PREFIX, values, 1);
}

static void sql_filter_conjunct(struct sql_filters *f, const json_t *expression)
{
    const char *type = sql_ast_text(expression, "type");
    const json_t *children = json_object_get(expression, "children");
    if (strcmp(type, "CONJUNCTION_AND") == 0) {
        for (size_t i = 0; i < json_array_size(children); i++)
            sql_filter_conjunct(f, json_array_get(children, i));
    } else if (sql_ast_is(expression, "class", "COMPARISON")) {
        sql_filter_comparison(f, expression);
    } else if (sql_ast_is(expression, "class", "BETWEEN")) {
        const json_t *input = json_object_get(expression, "input");
        sql_filter_compare(f, input, SQL_OP_GE, json_object_get(expression, "lower"));
        sql_filter_compare(f, input, SQL_OP_LE, json_object_get(expression, "upper"));
    } else if (strcmp(type, "COMPARE_IN") == 0) {
        sql_filter_in(f, children);
    } else if (strcmp(type, "OPERATOR_IS_NULL") == 0 || strcmp(type, "OPERATOR_IS_NOT_NULL") == 0) {
        bool is_null = strcmp(type, "OPERATOR_IS_NULL") == 0;
        size_t column = sql_filter_column(f, json_array_get(children, 0));
        if (column != SIZE_MAX && !(is_null && f->source->nullable))
            sql_filter_add(f, column, is_null ? SQL_OP_IS_NULL : SQL_OP_IS_NOT_NULL, NULL, 0);
    } else if (sql_ast_is(expression, "function_name", "~~")) {
        sql_filter_like(f, children);
    }
}

struct sql_filter *sql_filters_of(const json_t *where, const struct sql_scope *scope,
                                  const struct sql_source *source, size_t *n)
{
    struct sql_filters f = {.scope = scope, .source = source};
    if (json_is_object(where))
        sql_filter_conjunct(&f, where);
    *n = f.n;
    return f.filters;
}

void sql_filters_free(struct sql_filter *filters, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        for (size_t j = 0; j < filters[i].values_n; j++)
            free(filters[i].values[j]);
        free(filters[i].values);
    }
    free(filters);
}
