/* DISTINCT, ORDER BY and LIMIT of a block whose rows come from several tasks.
 *
 * DISTINCT: each task's rows without repetition are shuffled by all columns. ORDER BY and LIMIT:
 * each task gives its first rows, with the expressions that order them as columns; one task puts
 * them together. */
#include "core/sql_plan_internal.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

void sql_tail_read(json_t *query, struct sql_tail *tail)
{
    *tail = (struct sql_tail){.limit = -1};
    const json_t *modifiers = json_object_get(query, "modifiers");
    for (size_t i = 0; i < json_array_size(modifiers); i++) {
        json_t *modifier = json_array_get(modifiers, i);
        const char *type = sql_ast_text(modifier, "type");
        if (strcmp(type, "DISTINCT_MODIFIER") == 0) {
            tail->distinct = true;
            tail->odd |= json_array_size(json_object_get(modifier, "distinct_on_targets")) > 0;
        } else if (strcmp(type, "ORDER_MODIFIER") == 0) {
            tail->orders = json_object_get(modifier, "orders");
        } else if (strcmp(type, "LIMIT_MODIFIER") == 0) {
            tail->limited = true;
            static const char *const members[] = {"limit", "offset"};
            for (size_t m = 0; m < MEM_COUNT(members); m++) {
                const json_t *e = json_object_get(modifier, members[m]);
                const json_t *n = json_object_get(json_object_get(e, "value"), "value");
                if (!json_is_object(e))
                    continue;
                if (!sql_ast_is(e, "class", "CONSTANT") || !json_is_integer(n) ||
                    json_integer_value(n) < 0 || json_integer_value(n) > INT64_MAX / 4)
                    tail->odd = true;
                else if (m == 0)
                    tail->limit = json_integer_value(n);
                else
                    tail->offset = json_integer_value(n);
            }
        } else {
            tail->odd = true;
        }
    }
}

/* Modifiers: DISTINCT, ORDER BY columns[i] in the way of the original orders, LIMIT. */
static json_t *sql_tail_modifiers(bool distinct, const json_t *orders, char *const *columns,
                                  int64_t limit, int64_t offset)
{
    json_t *modifiers = json_array();
    if (distinct)
        json_array_append_new(
            modifiers, json_pack("{s:s,s:[]}", "type", "DISTINCT_MODIFIER", "distinct_on_targets"));
    if (json_array_size(orders) > 0) {
        json_t *made = json_array();
        for (size_t i = 0; i < json_array_size(orders); i++) {
            const json_t *order = json_array_get(orders, i);
            json_t *expression = columns != NULL
                                     ? sql_ast_column(columns[i])
                                     : json_deep_copy(json_object_get(order, "expression"));
            json_array_append_new(
                made, json_pack("{s:s,s:s,s:o}", "type", sql_ast_text(order, "type"), "null_order",
                                sql_ast_text(order, "null_order"), "expression", expression));
        }
        json_array_append_new(modifiers,
                              json_pack("{s:s,s:o}", "type", "ORDER_MODIFIER", "orders", made));
    }
    if (limit >= 0 || offset > 0)
        json_array_append_new(modifiers,
                              sql_ast_limit(limit >= 0 ? sql_ast_integer(limit) : NULL,
                                            offset > 0 ? sql_ast_integer(offset) : NULL));
    return modifiers;
}

/* For each order the item that it is, or SIZE_MAX. Kept. */
static size_t *sql_tail_matches(struct planner *p, const struct sql_items *items,
                                const json_t *orders)
{
    size_t n = json_array_size(orders);
    size_t *matches = sql_keep(p, mem_calloc(n + 1, sizeof *matches));
    for (size_t i = 0; i < n; i++) {
        char *key = sql_ast_key(json_object_get(json_array_get(orders, i), "expression"));
        matches[i] = SIZE_MAX;
        for (size_t k = 0; k < items->n && matches[i] == SIZE_MAX; k++) {
            char *item = sql_ast_key(items->items[k]);
            if (strcmp(item, key) == 0)
                matches[i] = k;
            free(item);
        }
        free(key);
    }
    return matches;
}

/* A block in one task: as it was written. */
static json_t *sql_tail_whole(struct planner *p, const json_t *select,
                              const struct sql_items *items, const struct sql_tail *tail,
                              char *const *columns)
{
    json_t *made = json_deep_copy(select);
    json_object_set_new(made, "select_list", sql_items_list(p, items, false));
    json_object_set_new(
        made, "modifiers",
        sql_tail_modifiers(tail->distinct, tail->orders, columns, tail->limit, tail->offset));
    return made;
}

/* Items that read the planner's columns of a closed stage. */
static struct sql_items sql_tail_columns(struct planner *p, const struct sql_items *items)
{
    struct sql_items made = {.n = items->n};
    made.items = mem_calloc(items->n + 1, sizeof *made.items);
    made.names = mem_calloc(items->n + 1, sizeof *made.names);
    for (size_t i = 0; i < items->n; i++) {
        made.items[i] = sql_ast_column(sql_fresh(p, "c", i));
        made.names[i] = items->names[i];
    }
    return made;
}

/* Shuffles distinct rows; the block then reads them. */
static json_t *sql_tail_distinct(struct planner *p, json_t *select, const struct sql_items *items,
                                 const char *what)
{
    char **keys = mem_calloc(items->n + 1, sizeof *keys);
    for (size_t i = 0; i < items->n; i++)
        keys[i] = sql_fresh(p, "c", i);
    json_object_set_new(select, "select_list", sql_items_list(p, items, true));
    json_object_set_new(select, "modifiers", sql_tail_modifiers(true, NULL, NULL, -1, 0));
    char *text = mem_printf("%s, distinct rows", what);
    size_t stage =
        sql_stage_close(p, select, SQL_OUTPUT_HASH, (const char *const *)keys, items->n, text);
    free(text);
    json_t *ref = sql_stage_ref(p, stage, true, "", keys, items->n);
    free(keys);
    return sql_ast_select(json_array(), ref, NULL);
}

static struct sql_part sql_tail_top(struct planner *p, json_t *select,
                                    const struct sql_items *items, const struct sql_tail *tail,
                                    const char *what)
{
    size_t n = json_array_size(tail->orders);
    size_t *matches = sql_tail_matches(p, items, tail->orders);
    char **columns = sql_keep(p, mem_calloc(n + 1, sizeof *columns));
    json_t *list = sql_items_list(p, items, true);
    for (size_t i = 0; i < n; i++) {
        columns[i] = matches[i] != SIZE_MAX ? sql_fresh(p, "c", matches[i]) : sql_fresh(p, "o", i);
        if (matches[i] == SIZE_MAX)
            json_array_append_new(
                list, sql_ast_alias(json_deep_copy(json_object_get(json_array_get(tail->orders, i),
                                                                   "expression")),
                                    columns[i]));
    }
    json_decref(p->alone);
    p->alone = sql_tail_whole(p, select, items, tail, NULL);
    int64_t most = tail->limit >= 0 ? tail->limit + tail->offset : -1;
    json_object_set_new(select, "select_list", list);
    json_object_set_new(
        select, "modifiers",
        sql_tail_modifiers(tail->distinct, most >= 0 ? tail->orders : NULL, columns, most, 0));
    char *text = most >= 0 ? mem_printf("%s, first %lld rows", what, (long long)most)
                           : mem_printf("%s", what);
    size_t stage = sql_stage_close(p, select, SQL_OUTPUT_GATHER, NULL, 0, text);
    free(text);
    p->plan->stages[stage].limit = most;
    json_t *outer = sql_ast_select(json_array(), sql_stage_ref(p, stage, false, "", NULL, 0), NULL);
    struct sql_items last = sql_tail_columns(p, items);
    struct sql_tail rest = *tail;
    rest.distinct = false;
    json_t *query = sql_tail_whole(p, outer, &last, &rest, columns);
    json_decref(outer);
    sql_items_done(&last);
    return (struct sql_part){query, false, p->alone};
}

bool sql_tail_fits(struct planner *p, const struct sql_items *items, const json_t *orders)
{
    const size_t *matches = sql_tail_matches(p, items, orders);
    for (size_t i = 0; i < json_array_size(orders); i++) {
        if (matches[i] == SIZE_MAX)
            return sql_why(p, "SELECT DISTINCT ordered by something else");
    }
    return true;
}

struct sql_part sql_tail_plan(struct planner *p, json_t *select, const struct sql_items *items,
                              const struct sql_tail *tail, bool split, const char *what)
{
    if (tail->odd) {
        sql_why(p, "DISTINCT ON, or a LIMIT that is no plain number");
        return (struct sql_part){0};
    }
    if (!split) {
        json_t *whole = sql_tail_whole(p, select, items, tail, NULL);
        json_decref(select);
        return (struct sql_part){whole, false, NULL};
    }
    struct sql_items distinct = {0};
    struct sql_tail now = *tail;
    json_t *orders = json_incref(tail->orders); /* they may be a part of select */
    if (tail->distinct) {
        size_t *matches = sql_tail_matches(p, items, tail->orders);
        size_t n = json_array_size(tail->orders);
        if (!sql_tail_fits(p, items, tail->orders)) {
            json_decref(orders);
            return (struct sql_part){0};
        }
        select = sql_tail_distinct(p, select, items, what);
        what = "distinct rows";
        distinct = sql_tail_columns(p, items);
        json_t *copy = json_deep_copy(orders);
        json_decref(orders);
        orders = copy;
        for (size_t i = 0; i < n; i++)
            json_object_set_new(json_array_get(orders, i), "expression",
                                sql_ast_column(sql_fresh(p, "c", matches[i])));
        now.orders = orders;
        items = &distinct;
    }
    struct sql_part part;
    if (json_array_size(now.orders) == 0 && !now.limited) {
        part = (struct sql_part){sql_tail_whole(p, select, items, &now, NULL), true, NULL};
        json_decref(select);
    } else {
        part = sql_tail_top(p, select, items, &now, what);
    }
    sql_items_done(&distinct);
    json_decref(orders);
    return part;
}
