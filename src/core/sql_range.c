#include "core/sql_range.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/clock.h"
#include "base/mem.h"
#include "core/sql_ast.h"
#include "core/sql_plan_internal.h"

enum {
    SQL_RANGE_ZONE_MS = 15 * 3600 * 1000, /* a time without a zone may be meant in any */
    SQL_RANGE_SLACK_MS = 60 * 1000,       /* now() of the query is not ours */
    SQL_RANGE_DEPTH_MAX = 64,
};

struct sql_range_walk {
    const struct sql_range_columns *columns;
    int64_t now_ms;
    struct sql_range *out;
};

static const json_t *sql_range_uncast(const json_t *e)
{
    while (sql_ast_is(e, "class", "CAST"))
        e = json_object_get(e, "child");
    return e;
}

static const json_t *sql_range_value(const json_t *e)
{
    e = sql_range_uncast(e);
    return sql_ast_is(e, "class", "CONSTANT")
               ? json_object_get(json_object_get(e, "value"), "value")
               : NULL;
}

static bool sql_range_is_column(const json_t *e, const char *name)
{
    const json_t *names = json_object_get(e, "column_names");
    const char *last = json_string_value(json_array_get(names, json_array_size(names) - 1));
    return name != NULL && sql_ast_is(e, "class", "COLUMN_REF") && last != NULL &&
           strcasecmp(last, name) == 0;
}

/* ---- times ----------------------------------------------------------------------------------- */

/* "2026-11-20", "2026-11-20 20:15:00", with a zone or without: how far it may be off then. */
static bool sql_range_time(const char *text, int64_t *ms, int64_t *slack_ms)
{
    char form[64];
    int y, mo, d, h = 0, mi = 0, n = 0;
    double s = 0;
    if (sscanf(text, "%4d-%2d-%2d%n", &y, &mo, &d, &n) != 3)
        return false;
    const char *at = text + n;
    if (*at == ' ' || *at == 'T') {
        n = 0;
        int got = sscanf(at + 1, "%2d:%2d%n", &h, &mi, &n);
        if (got != 2)
            return false;
        at += 1 + n;
        if (*at == ':') {
            if (sscanf(at + 1, "%9lf%n", &s, &n) != 1)
                return false;
            at += 1 + n;
        }
    }
    bool zoned = strcmp(at, "Z") == 0 || strcmp(at, "+00") == 0 || strcmp(at, "+00:00") == 0;
    if (!zoned && *at != '\0')
        return false;
    (void)snprintf(form, sizeof form, "%04d-%02d-%02dT%02d:%02d:%06.3fZ", y, mo, d, h, mi, s);
    *slack_ms = zoned ? 0 : SQL_RANGE_ZONE_MS;
    return clock_parse_rfc3339(form, ms) == 0;
}

static bool sql_range_unit(const char *unit, int64_t *ms)
{
    static const struct {
        const char *name;
        int64_t ms;
    } units[] = {{"milliseconds", 1}, {"seconds", 1000},  {"minutes", 60000},
                 {"hours", 3600000},  {"days", 86400000}, {"weeks", 604800000}};
    for (size_t i = 0; i < MEM_COUNT(units); i++) {
        size_t len = strlen(units[i].name);
        if (strcasecmp(unit, units[i].name) == 0 ||
            (strncasecmp(unit, units[i].name, len - 1) == 0 && unit[len - 1] == '\0')) {
            *ms = units[i].ms;
            return true;
        }
    }
    return false;
}

/* INTERVAL '1 hour', INTERVAL 10 MINUTE. */
static bool sql_range_interval(const json_t *e, int64_t *ms)
{
    const json_t *value = sql_range_value(e);
    char unit[32];
    double count;
    int64_t each;
    if (json_is_string(value)) {
        int n = 0;
        if (sscanf(json_string_value(value), "%15lf %31[a-zA-Z]%n", &count, unit, &n) != 2 ||
            json_string_value(value)[n] != '\0' || !sql_range_unit(unit, &each))
            return false;
    } else {
        const char *function = sql_ast_text(e, "function_name");
        const json_t *argument = json_array_get(json_object_get(e, "children"), 0);
        if (strncmp(function, "to_", 3) != 0 || !sql_range_unit(function + 3, &each))
            return false;
        argument = sql_range_uncast(argument);
        if (strcmp(sql_ast_text(argument, "function_name"), "trunc") == 0)
            argument = json_array_get(json_object_get(argument, "children"), 0);
        value = sql_range_value(argument);
        if (!json_is_number(value))
            return false;
        count = json_number_value(value);
    }
    if (!(count >= 0) || count > 1e9)
        return false;
    *ms = (int64_t)(count * (double)each);
    return true;
}

static bool sql_range_is_now(const json_t *e)
{
    e = sql_range_uncast(e);
    const char *function = sql_ast_text(e, "function_name");
    return strcmp(function, "now") == 0 || strcmp(function, "get_current_timestamp") == 0 ||
           strcmp(function, "transaction_timestamp") == 0 ||
           sql_range_is_column(e, "current_timestamp");
}

/* What an expression stands for, and how much it may be off. */
static bool sql_range_moment(const struct sql_range_walk *w, const json_t *e, int64_t *ms,
                             int64_t *slack_ms)
{
    const json_t *value = sql_range_value(e);
    int64_t back_ms = 0;
    if (json_is_string(value))
        return sql_range_time(json_string_value(value), ms, slack_ms);
    *slack_ms = SQL_RANGE_SLACK_MS;
    const json_t *children = json_object_get(e, "children");
    if (strcmp(sql_ast_text(e, "function_name"), "-") == 0 && json_array_size(children) == 2) {
        if (!sql_range_interval(json_array_get(children, 1), &back_ms))
            return false;
        e = json_array_get(children, 0);
    }
    *ms = w->now_ms - back_ms;
    return sql_range_is_now(e);
}

/* ---- conditions ------------------------------------------------------------------------------ */

static void sql_range_lower(const struct sql_range_walk *w, const json_t *e)
{
    int64_t ms, slack_ms;
    if (sql_range_moment(w, e, &ms, &slack_ms) && ms - slack_ms > w->out->since_ms)
        w->out->since_ms = ms - slack_ms;
}

static void sql_range_upper(const struct sql_range_walk *w, const json_t *e)
{
    int64_t ms, slack_ms;
    if (sql_range_moment(w, e, &ms, &slack_ms) && ms + slack_ms < w->out->until_ms)
        w->out->until_ms = ms + slack_ms;
}

/* ---- the number and the text ----------------------------------------------------------------- */

static bool sql_range_integer(const json_t *e, int64_t *n)
{
    static const char *const types[] = {"TINYINT", "SMALLINT", "INTEGER", "BIGINT"};
    const json_t *value = json_object_get(e, "value");
    const char *type = sql_ast_text(json_object_get(value, "type"), "id");
    if (!sql_ast_is(e, "class", "CONSTANT") || !json_is_integer(json_object_get(value, "value")))
        return false;
    *n = json_integer_value(json_object_get(value, "value"));
    for (size_t i = 0; i < MEM_COUNT(types); i++)
        if (strcmp(type, types[i]) == 0)
            return *n > INT64_MIN && *n < INT64_MAX;
    return false;
}

/* A bound of the number; whether it says all that the condition does. */
static bool sql_range_bound(const struct sql_range_walk *w, const json_t *e, bool lower,
                            bool itself)
{
    int64_t n;
    if (!sql_range_integer(e, &n))
        return false;
    n += itself ? 0 : lower ? 1 : -1;
    if (lower && n > w->out->first)
        w->out->first = n;
    if (!lower && n < w->out->last)
        w->out->last = n;
    return true;
}

static bool sql_range_text(const struct sql_range_walk *w, const json_t *e)
{
    const json_t *value = json_object_get(json_object_get(e, "value"), "value");
    const char *text = json_string_value(value);
    if (!sql_ast_is(e, "class", "CONSTANT") || text == NULL || *text == '\0' ||
        strlen(text) != json_string_length(value) || strlen(text) > SQL_RANGE_TEXT_MAX)
        return false;
    if (w->out->text[0] != '\0' && strcmp(w->out->text, text) != 0)
        return false;
    (void)snprintf(w->out->text, sizeof w->out->text, "%s", text);
    return true;
}

/* ---- conditions: true when the range says all that they do ------------------------------------
 */

static bool sql_range_compare(const struct sql_range_walk *w, const json_t *e)
{
    const struct sql_range_columns *columns = w->columns;
    const json_t *left = json_object_get(e, "left"), *right = json_object_get(e, "right");
    const char *type = sql_ast_text(e, "type");
    bool swapped = sql_ast_is(right, "class", "COLUMN_REF");
    const json_t *column = swapped ? right : left, *other = swapped ? left : right;
    bool equal = strcmp(type, "COMPARE_EQUAL") == 0;
    bool lower = equal || strncmp(type, swapped ? "COMPARE_LESSTHAN" : "COMPARE_GREATERTHAN",
                                  swapped ? 16 : 19) == 0;
    bool upper = equal || strncmp(type, swapped ? "COMPARE_GREATERTHAN" : "COMPARE_LESSTHAN",
                                  swapped ? 19 : 16) == 0;
    bool itself = equal || strstr(type, "OREQUALTO") != NULL;
    bool is_number = sql_range_is_column(column, columns->number);
    bool exact = equal && sql_range_is_column(column, columns->text) && sql_range_text(w, other);
    if (lower && sql_range_is_column(column, columns->time))
        sql_range_lower(w, other);
    if (upper && sql_range_is_column(column, columns->time))
        sql_range_upper(w, other);
    if (lower && is_number)
        exact = sql_range_bound(w, other, true, itself);
    if (upper && is_number)
        exact = sql_range_bound(w, other, false, itself);
    return exact;
}

static bool sql_range_between(const struct sql_range_walk *w, const json_t *e)
{
    const json_t *input = json_object_get(e, "input");
    const json_t *lower = json_object_get(e, "lower"), *upper = json_object_get(e, "upper");
    if (sql_range_is_column(input, w->columns->time)) {
        sql_range_lower(w, lower);
        sql_range_upper(w, upper);
    }
    if (!sql_range_is_column(input, w->columns->number))
        return false;
    bool exact = sql_range_bound(w, lower, true, true);
    return sql_range_bound(w, upper, false, true) && exact;
}

static bool sql_range_condition(const struct sql_range_walk *w, const json_t *e, unsigned depth)
{
    if (depth > SQL_RANGE_DEPTH_MAX)
        return false;
    if (sql_ast_is(e, "class", "COMPARISON"))
        return sql_range_compare(w, e);
    if (sql_ast_is(e, "type", "COMPARE_BETWEEN"))
        return sql_range_between(w, e);
    if (!sql_ast_is(e, "type", "CONJUNCTION_AND"))
        return !json_is_object(e);
    const json_t *children = json_object_get(e, "children");
    bool exact = true;
    for (size_t i = 0; i < json_array_size(children); i++)
        exact = sql_range_condition(w, json_array_get(children, i), depth + 1) && exact;
    return exact;
}

/* ---- LIMIT ----------------------------------------------------------------------------------- */

/* What the select list may hold for each row of the table to be one of the answer. */
static bool sql_range_is_plain(const json_t *item, const char *number)
{
    bool is_star = sql_ast_is(item, "class", "STAR");
    const char *alias = sql_ast_text(item, "alias");
    bool is_same = json_array_size(json_object_get(item, "replace_list")) == 0 &&
                   json_object_size(json_object_get(item, "replace_list")) == 0 &&
                   json_array_size(json_object_get(item, "rename_list")) == 0 &&
                   json_object_size(json_object_get(item, "rename_list")) == 0 &&
                   !json_is_object(json_object_get(item, "expr"));
    item = sql_range_uncast(item);
    if (number != NULL && strcasecmp(alias, number) == 0)
        return false; /* ORDER BY means the item */
    return (is_star && is_same) || sql_ast_is(item, "class", "COLUMN_REF") ||
           sql_ast_is(item, "class", "CONSTANT");
}

/* ORDER BY nothing, or the number alone. */
static bool sql_range_order(const struct sql_range_walk *w, const json_t *orders)
{
    const json_t *order = json_array_get(orders, 0);
    if (json_array_size(orders) == 0)
        return true;
    w->out->backwards = sql_ast_is(order, "type", "DESCENDING");
    return json_array_size(orders) == 1 &&
           sql_range_is_column(json_object_get(order, "expression"), w->columns->number) &&
           (w->out->backwards || sql_ast_is(order, "type", "ASCENDING") ||
            sql_ast_is(order, "type", "ORDER_DEFAULT"));
}

static void sql_range_limit(const struct sql_range_walk *w, const json_t *query)
{
    const json_t *list = json_object_get(query, "select_list");
    struct sql_tail tail;
    sql_tail_read((json_t *)(uintptr_t)query, &tail);
    bool good = tail.limit >= 0 && !tail.odd && !tail.distinct &&
                json_array_size(json_object_get(query, "group_expressions")) == 0 &&
                json_array_size(json_object_get(query, "group_sets")) == 0 &&
                sql_ast_is(query, "aggregate_handling", "STANDARD_HANDLING") &&
                !json_is_object(json_object_get(query, "having")) &&
                !json_is_object(json_object_get(query, "qualify")) &&
                !json_is_object(json_object_get(query, "sample")) &&
                !json_is_object(json_object_get(json_object_get(query, "from_table"), "sample"));
    for (size_t i = 0; good && i < json_array_size(list); i++)
        good = sql_range_is_plain(json_array_get(list, i), w->columns->number);
    if (good && sql_range_order(w, tail.orders))
        w->out->rows = tail.limit + tail.offset;
    else
        w->out->backwards = false;
}

/* Whether there is any other query in it, which would see the table too. */
static bool sql_range_count(json_t *object, void *ctx)
{
    unsigned *n = ctx;
    *n += sql_ast_is_query(object);
    return true;
}

void sql_range_of(const json_t *query, const char *schema, const char *table,
                  const struct sql_range_columns *columns, int64_t now_ms, struct sql_range *out)
{
    struct sql_range_walk w = {.columns = columns, .now_ms = now_ms, .out = out};
    const json_t *from = json_object_get(query, "from_table");
    unsigned queries = 0;
    *out = (struct sql_range){.since_ms = INT64_MIN,
                              .until_ms = INT64_MAX,
                              .first = INT64_MIN,
                              .last = INT64_MAX,
                              .rows = -1};
    if (query == NULL) /* a statement without a tree */
        return;
    sql_ast_walk((json_t *)(uintptr_t)query, sql_range_count, &queries);
    if (queries != 1 || !sql_ast_is(query, "type", "SELECT_NODE") ||
        !sql_ast_is(from, "type", "BASE_TABLE") ||
        strcasecmp(sql_ast_text(from, "schema_name"), schema) != 0 ||
        strcasecmp(sql_ast_text(from, "table_name"), table) != 0 ||
        json_array_size(json_object_get(from, "column_name_alias")) != 0)
        return;
    if (sql_range_condition(&w, json_object_get(query, "where_clause"), 0))
        sql_range_limit(&w, query);
}
