/* Types of the keys that rows are dealt by. hash() gives the same for equal values of one type
 * only, so that both sides of a join are cast to a type that holds every value of either exactly.
 */
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/mem.h"
#include "core/sql_shuffle.h"

enum { SQL_KEY_DIGITS_MAX = 38 };

/* Digits before the point that a type has at most. */
static const struct sql_key_integer {
    const char *name;
    unsigned digits;
} sql_key_integers[] = {
    {"TINYINT", 3},  {"SMALLINT", 5},  {"INTEGER", 10},  {"BIGINT", 19},
    {"UTINYINT", 3}, {"USMALLINT", 5}, {"UINTEGER", 10}, {"UBIGINT", 20},
};

/* Types whose values are equal when their bytes are, with hash() of DuckDB. */
static const char *const sql_key_plain[] = {
    "VARCHAR", "DATE", "TIMESTAMP", "TIMESTAMP WITH TIME ZONE", "TIME", "BOOLEAN", "UUID", "BLOB",
};

static bool sql_key_is_plain(const char *type)
{
    for (size_t i = 0; i < MEM_COUNT(sql_key_plain); i++) {
        if (strcasecmp(sql_key_plain[i], type) == 0)
            return true;
    }
    return false;
}

/* Digits before and behind the point; false when that isn't known. */
static bool sql_key_digits(const struct sql_term *term, unsigned *before, unsigned *behind)
{
    unsigned width;
    if (term->type == NULL)
        return false;
    for (size_t i = 0; i < MEM_COUNT(sql_key_integers); i++) {
        if (strcasecmp(sql_key_integers[i].name, term->type) == 0) {
            *before = sql_key_integers[i].digits;
            *behind = 0;
            return true;
        }
    }
    if (term->class != SQL_CLASS_DECIMAL || strncasecmp(term->type, "DECIMAL(", 8) != 0 ||
        sscanf(term->type + 8, "%u,%u", &width, behind) != 2 || width < *behind)
        return false;
    *before = width - *behind;
    return true;
}

static char *sql_key_decimal(struct planner *p, const struct sql_term *const *terms, size_t n)
{
    unsigned before = 0, behind = 0;
    for (size_t i = 0; i < n; i++) {
        unsigned a, b;
        if (!sql_key_digits(terms[i], &a, &b))
            return NULL;
        before = a > before ? a : before;
        behind = b > behind ? b : behind;
    }
    if (before + behind > SQL_KEY_DIGITS_MAX)
        return NULL;
    return sql_keep(p, mem_printf("DECIMAL(%d,%u)", SQL_KEY_DIGITS_MAX, behind));
}

static bool sql_key_all(const struct sql_term *const *terms, size_t n, enum sql_class class)
{
    for (size_t i = 0; i < n; i++) {
        if (terms[i]->class != class)
            return false;
    }
    return true;
}

char *sql_key_type(struct planner *p, const struct sql_term *const *terms, size_t n)
{
    bool same = true;
    for (size_t i = 0; i < n; i++)
        same = same && terms[i]->type != NULL && sql_same(terms[i]->type, terms[0]->type);
    if (same && (sql_key_is_plain(terms[0]->type) || terms[0]->class != SQL_CLASS_UNKNOWN))
        return sql_keep(p, mem_strdup(""));
    if (sql_key_all(terms, n, SQL_CLASS_INTEGER))
        return sql_keep(p, mem_strdup("HUGEINT"));
    if (sql_key_all(terms, n, SQL_CLASS_FLOAT))
        return sql_keep(p, mem_strdup("DOUBLE"));
    for (size_t i = 0; i < n; i++) {
        if (terms[i]->class != SQL_CLASS_UNKNOWN)
            return sql_key_decimal(p, terms, n);
        if (terms[i]->type == NULL || (strcasecmp(terms[i]->type, "DATE") != 0 &&
                                       strcasecmp(terms[i]->type, "TIMESTAMP") != 0))
            return NULL;
    }
    return sql_keep(p, mem_strdup("TIMESTAMP"));
}

json_t *sql_key_cast(json_t *expression, const char *type)
{
    unsigned width, scale;
    if (type[0] == '\0')
        return expression;
    if (sscanf(type, "DECIMAL(%u,%u)", &width, &scale) != 2)
        return sql_ast_cast(expression, type);
    json_t *cast = sql_ast_cast(expression, "DECIMAL");
    json_t *info = json_pack("{s:s,s:s,s:n,s:i,s:i}", "type", "DECIMAL_TYPE_INFO", "alias", "",
                             "extension_info", "width", (int)width, "scale", (int)scale);
    json_object_set_new(json_object_get(cast, "cast_type"), "type_info", info);
    return cast;
}

unsigned sql_key_width(const char *type)
{
    static const struct {
        const char *type;
        unsigned width;
    } rows[] = {
        {"BOOLEAN", 1}, {"TINYINT", 1},  {"UTINYINT", 1},  {"SMALLINT", 2}, {"USMALLINT", 2},
        {"INTEGER", 4}, {"UINTEGER", 4}, {"DATE", 4},      {"FLOAT", 4},    {"BIGINT", 8},
        {"UBIGINT", 8}, {"DOUBLE", 8},   {"TIMESTAMP", 8}, {"TIME", 8},
    };
    for (size_t i = 0; i < MEM_COUNT(rows); i++) {
        if (sql_same(rows[i].type, type))
            return rows[i].width;
    }
    return sql_class_of_type(type) == SQL_CLASS_DECIMAL ? 6 : 16;
}
