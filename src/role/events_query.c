/* What a request for events or vitals asks for. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/str.h"
#include "role/events_internal.h"

enum { EVENTS_LIMIT_MAX = 10000000 };

const char *events_cursor(uint64_t position, int64_t at_ms, char out[static EVENTS_CURSOR_MAX])
{
    (void)snprintf(out, EVENTS_CURSOR_MAX, "c%" PRIx64 "-%" PRIx64, position, (uint64_t)at_ms);
    return out;
}

/* Digits as events_cursor() writes them, up to `end`. */
static bool events_parse_hex(const char *text, size_t len, uint64_t *out)
{
    uint64_t value = 0;
    if (len == 0 || len > 16 || strspn(text, "0123456789abcdef") < len)
        return false;
    for (size_t i = 0; i < len; i++)
        value = value << 4 | (uint64_t)(text[i] <= '9' ? text[i] - '0' : text[i] - 'a' + 10);
    *out = value;
    return true;
}

static bool events_parse_cursor(const char *text, struct events_query *query)
{
    uint64_t position, at_ms;
    const char *dash = strchr(text, '-');
    if (text[0] != 'c' || dash == NULL ||
        !events_parse_hex(text + 1, (size_t)(dash - text - 1), &position) ||
        !events_parse_hex(dash + 1, strlen(dash + 1), &at_ms) || at_ms > INT64_MAX)
        return false;
    query->has_cursor = true;
    query->cursor = position;
    query->since_ms = (int64_t)at_ms;
    return true;
}

int events_query_time(struct events *events, const char *name, const char *text, int64_t *at_ms,
                      struct error *e)
{
    if (clock_parse_moment(text, loop_wall_ms(node_loop(events->node)), at_ms) == 0)
        return 0;
    return error_set(e, ERR_INVALID,
                     "%s=%.64s is neither a time as 2026-11-20T20:15:00Z nor a duration back as "
                     "10m%s",
                     name, text, strcmp(name, "since") == 0 ? " nor a cursor" : "");
}

static int events_parse_u64(const struct http_target *target, const char *name, uint64_t min,
                            uint64_t max, uint64_t *out, struct error *e)
{
    const char *text = http_target_query(target, name);
    if (text == NULL || str_parse_u64(text, min, max, out) == 0)
        return 0;
    return error_set(e, ERR_INVALID, "%s must be a number from %" PRIu64 " to %" PRIu64, name, min,
                     max);
}

static int events_parse_span(struct events *events, const struct http_target *target,
                             struct events_query *query, struct error *e)
{
    const char *since = http_target_query(target, "since");
    const char *until = http_target_query(target, "until");
    const char *follow = http_target_query(target, "follow");
    int err = 0;
    query->has_since = since != NULL && *since != '\0';
    query->has_until = until != NULL && *until != '\0';
    if (query->has_since && (query->vitals || query->report || !events_parse_cursor(since, query)))
        err = events_query_time(events, "since", since, &query->since_ms, e);
    if (err == 0 && query->has_until)
        err = events_query_time(events, "until", until, &query->until_ms, e);
    if (err == 0 && follow != NULL) {
        query->follow = *follow == '\0' || strcmp(follow, "true") == 0 || strcmp(follow, "1") == 0;
        if (!query->follow && strcmp(follow, "false") != 0 && strcmp(follow, "0") != 0)
            err = error_set(e, ERR_INVALID, "follow must be true or false");
    }
    return err;
}

static int events_parse_nodes(struct events *events, const struct http_target *target,
                              struct events_query *query, struct error *e)
{
    const char *text = http_target_query(target, query->vitals ? "nodes" : "node");
    if (text == NULL || *text == '\0')
        return 0;
    query->has_nodes = true;
    if (node_resolve(events->node, text, &query->nodes, NULL) == 0)
        return 0;
    nodeset_done(&query->nodes); /* it may have been removed since */
    nodeset_init(&query->nodes);
    return nodeset_parse(&query->nodes, text, NULL, NULL, e);
}

static int events_parse_filters(const struct http_target *target, struct events_query *query,
                                struct error *e)
{
    const char *kinds = http_target_query(target, "kind");
    const char *level = http_target_query(target, "level");
    const char *table = http_target_query(target, "table");
    query->level = LOG_LEVEL_DEBUG;
    if (kinds != NULL && *kinds != '\0') {
        if (event_kind_check_patterns(kinds, e) < 0)
            return e->code;
        (void)snprintf(query->kinds, sizeof query->kinds, "%s", kinds);
    }
    if (level != NULL && *level != '\0' && log_parse_level(level, &query->level) < 0)
        return error_set(e, ERR_INVALID, "level must be debug, info, warn or error");
    if (table != NULL && *table != '\0') {
        if (event_state_table(table) == NULL && strcmp(table, "tasks") != 0)
            return error_set(e, ERR_INVALID, "there is no table \"%.64s\" of the state", table);
        (void)snprintf(query->table, sizeof query->table, "%s", table);
    }
    return 0;
}

int events_query_parse(struct events *events, const char *text, enum events_what what,
                       struct events_query *query, struct error *e)
{
    bool vitals = what == EVENTS_OF_VITALS;
    struct http_target target;
    *query = (struct events_query){.vitals = vitals,
                                   .report = what == EVENTS_OF_REPORT,
                                   .limit = EVENTS_LIMIT_MAX,
                                   .step_ms = vitals ? 1000 : 0};
    nodeset_init(&query->nodes);
    query->target = mem_strdup(text);
    int err = http_target_parse(&target, text, e);
    if (err < 0) {
        events_query_done(query);
        return err;
    }
    err = events_parse_span(events, &target, query, e);
    if (err == 0)
        err = events_parse_nodes(events, &target, query, e);
    if (err == 0)
        err = events_parse_u64(&target, "limit", 1, EVENTS_LIMIT_MAX, &query->limit, e);
    if (err == 0 && vitals)
        err = events_parse_u64(&target, "step_ms", 1000, 86400000, &query->step_ms, e);
    if (err == 0 && !vitals)
        err = events_parse_filters(&target, query, e);
    http_target_done(&target);
    if (err < 0)
        events_query_done(query);
    return err;
}

void events_query_done(struct events_query *query)
{
    nodeset_done(&query->nodes);
    free(query->target);
    query->target = NULL;
}

bool events_query_wants(const struct events_query *query, const struct event *event)
{
    return event->level >= query->level &&
           (query->kinds[0] == '\0' || event_kind_matches(query->kinds, event->kind)) &&
           (query->table[0] == '\0' || strcmp(query->table, event->table) == 0) &&
           (!query->has_nodes || nodeset_contains(&query->nodes, event->about));
}
