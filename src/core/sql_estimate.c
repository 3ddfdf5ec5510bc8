/* How many bytes the sides of a block are, about: of each table the columns that the block names
 * somewhere, by the width of their types. */
#include <ctype.h>
#include <stdlib.h>

#include "base/mem.h"
#include "core/sql_shuffle.h"

/* ---- names that are used --------------------------------------------------------------------- */

static void sql_used_add(json_t *used, const json_t *name)
{
    if (!json_is_string(name))
        return;
    char *lower = mem_strdup(json_string_value(name));
    for (char *c = lower; *c != '\0'; c++)
        *c = (char)tolower((unsigned char)*c);
    json_object_set_new(used, lower, json_true());
    free(lower);
}

static bool sql_used_visit(json_t *object, void *ctx)
{
    static const char *const lists[] = {"column_names", "using_columns"};
    struct sql_sides *sides = ctx;
    for (size_t l = 0; l < MEM_COUNT(lists); l++) {
        const json_t *names = json_object_get(object, lists[l]);
        for (size_t i = 0; i < json_array_size(names); i++)
            sql_used_add(sides->used, json_array_get(names, i));
    }
    return true;
}

void sql_estimate_names(struct sql_sides *sides, json_t *select)
{
    sql_ast_walk(select, sql_used_visit, sides);
}

static bool sql_used_has(const json_t *used, const char *name)
{
    json_t *one = json_object();
    json_t *text = json_string(name);
    sql_used_add(one, text);
    bool has = false;
    const char *key;
    json_t *value;
    json_object_foreach(one, key, value) has = json_object_get(used, key) != NULL;
    json_decref(text);
    json_decref(one);
    return has;
}

/* ---- bytes ----------------------------------------------------------------------------------- */

struct sql_estimate {
    const struct sql_sides *sides;
    uint64_t bytes;
};

uint64_t sql_estimate_columns(const struct sql_sides *sides, const json_t *ref, uint64_t bytes)
{
    const struct sql_table *table =
        &sides->p->tables[json_integer_value(json_object_get(ref, "_table"))];
    uint64_t all = 0, wanted = 0;
    for (size_t i = 0; i < table->columns_n; i++) {
        unsigned width = sql_key_width(table->columns[i].type);
        all += width;
        wanted += sql_used_has(sides->used, table->columns[i].name) ? width : 0;
    }
    return all > 0 ? (uint64_t)((double)bytes * (double)wanted / (double)all) : bytes;
}

static bool sql_estimate_visit(json_t *object, void *ctx)
{
    struct sql_estimate *estimate = ctx;
    if (json_is_integer(json_object_get(object, "_table")))
        estimate->bytes += sql_estimate_columns(estimate->sides, object,
                                                sql_bytes_below(estimate->sides->p, object));
    return true;
}

uint64_t sql_estimate_query(const struct sql_sides *sides, json_t *query)
{
    struct sql_estimate estimate = {sides, 0};
    sql_ast_walk(query, sql_estimate_visit, &estimate);
    return sql_is_simple(query) ? estimate.bytes : estimate.bytes / 4;
}
