/* GET /api/events/rows: pages of events as the tables cluster.events and cluster.log have them, on
 * the node that collects. While there is none: what this node has, which the first row says.
 *
 * GET /api/vitals/rows: the same of cluster.vitals, a row for each node that was heard in a step.
 * `position` is the step's time; what is asked for behind it begins with the next step. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "role/api_json.h"
#include "role/events_internal.h"
#include "wire/cluster_rows.h"

enum {
    EVENTS_ROWS_MAX = 1000,
    VITALS_ROWS_MAX = 4000, /* of a page, unless one step has more */
    VITALS_LINES_BYTES_MAX = 64 << 20,
};

struct events_rows {
    struct http_request *req;
    json_t *rows;
};

static json_t *row_of_event(const json_t *event)
{
    json_t *row = json_object();
    json_t *patch = json_object_get(event, "row");
    for (const struct cluster_event_field *f = cluster_event_fields; f->key != NULL; f++)
        if (json_is_string(json_object_get(event, f->key)))
            (void)json_object_set(row, f->column, json_object_get(event, f->key));
    if (json_is_object(patch)) {
        char *text = json_dumps(patch, JSON_COMPACT | JSON_REAL_PRECISION(6));
        (void)json_object_set_new(row, "row", json_string(text));
        free(text);
    }
    return row;
}

static void rows_on_event(void *arg, const char *json, size_t len, uint64_t position)
{
    struct events_rows *rows = arg;
    json_t *event = json_loadb(json, len, 0, NULL);
    json_t *row = row_of_event(event);
    (void)json_object_set_new(row, "position", json_integer((json_int_t)position));
    json_array_append_new(rows->rows, row);
    json_decref(event);
}

static void rows_on_end(void *arg, const struct error *e)
{
    struct events_rows *rows = arg;
    if (e != NULL)
        http_reply_failure(rows->req, e, NULL);
    else
        http_reply_json(rows->req, 200, json_incref(rows->rows));
    json_decref(rows->rows);
    free(rows);
}

/* Without a position: it is no event. */
static json_t *rows_partial(const struct events *events)
{
    char reason[EVENT_SOURCE_TEXT_MAX];
    char *text = mem_printf("%s: these are the events that %s has",
                            events_dark_reason(events, reason), events->name);
    json_t *row = json_pack("{s:I, s:o, s:s, s:s, s:s, s:o}", "position", (json_int_t)0, "time",
                            api_json_time((uint64_t)loop_wall_ms(node_loop(events->node))), "kind",
                            "events.partial", "level", "warn", "node",
                            node_options(events->node)->name, "text", api_json_text(text));
    free(text);
    return row;
}

/* Whether this node answers: it waits, passes the request on, or has refused it otherwise. */
static bool rows_serve(struct events *events, struct http_request *req, http_request_fn again,
                       bool *dark)
{
    if (!events->stopping && events_must_wait(events)) {
        events_wait(events, req, again);
        return false;
    }
    *dark = !events_has_collector(events);
    return *dark ? !events_dark_pass(events, req) : node_serves(events->node, req, again, events);
}

static int rows_parse(struct events *events, struct http_request *req, enum events_what what,
                      struct events_query *query, uint64_t *after)
{
    struct error e = {0};
    int err = http_request_query_u64(req, "after", 0, INT64_MAX, after, &e);
    if (err == 0)
        err = events_query_parse(events, http_request_target(req), what, query, &e);
    if (err < 0) {
        http_reply_failure(req, &e, NULL);
        return err;
    }
    query->follow = false;
    query->has_since = true; /* 0: from the first that is kept */
    return 0;
}

void events_get_rows(struct http_request *req, void *arg)
{
    struct events *events = arg;
    struct events_query query;
    uint64_t after = 0;
    bool dark;
    if (!rows_serve(events, req, events_get_rows, &dark) ||
        rows_parse(events, req, EVENTS_OF_STREAM, &query, &after) < 0)
        return;
    if (query.limit > EVENTS_ROWS_MAX)
        query.limit = EVENTS_ROWS_MAX;
    struct events_rows *rows = mem_zalloc(sizeof *rows);
    rows->req = req;
    rows->rows = json_array();
    query.rows = true;
    if (dark && after == 0)
        json_array_append_new(rows->rows, rows_partial(events));
    struct events_out out = {.event = rows_on_event, .end = rows_on_end, .arg = rows};
    query.begin = after;
    (void)events_reader_new(events, &query, &out);
}

/* ---- vitals ---------------------------------------------------------------------------------- */

struct vitals_rows {
    struct http_request *req;
    struct buf lines;
    uint64_t after; /* steps up to here have been given */
};

/* {"at","step_ms","columns":[...],"nodes":{"n1":[...],"n2":null}} */
static void vitals_add_line(json_t *rows, const json_t *line, uint64_t after)
{
    const json_t *columns = json_object_get(line, "columns");
    const char *at = json_string_value(json_object_get(line, "at")), *name;
    int64_t at_ms;
    json_t *values;
    if (at == NULL || clock_parse_rfc3339(at, &at_ms) < 0 || at_ms <= (int64_t)after)
        return;
    json_object_foreach(json_object_get(line, "nodes"), name, values)
    {
        const json_t *column;
        size_t i;
        if (!json_is_array(values))
            continue;
        json_t *row =
            json_pack("{s:I, s:s, s:o, s:O}", "position", (json_int_t)at_ms, "time", at, "node",
                      api_json_text(name), "step_ms", json_object_get(line, "step_ms"));
        json_array_foreach(columns, i, column)
            json_object_set(row, json_string_value(column), json_array_get(values, i));
        json_array_append_new(rows, row);
    }
}

static int vitals_on_write(void *arg, const void *data, size_t len)
{
    struct vitals_rows *rows = arg;
    return buf_append(&rows->lines, data, len) < 0 ? ERR_CLOSED : 0;
}

static void vitals_on_end(void *arg, const struct error *e)
{
    struct vitals_rows *rows = arg;
    json_t *array = json_array();
    const char *line = buf_cstr(&rows->lines);
    while (e == NULL && *line != '\0') {
        size_t len = strcspn(line, "\n");
        json_t *tick = json_loadb(line, len, 0, NULL);
        vitals_add_line(array, tick, rows->after);
        json_decref(tick);
        line += len + (line[len] == '\n');
    }
    if (e != NULL)
        http_reply_failure(rows->req, e, NULL);
    else
        http_reply_json(rows->req, 200, json_incref(array));
    json_decref(array);
    buf_done(&rows->lines);
    free(rows);
}

void events_get_vitals_rows(struct http_request *req, void *arg)
{
    struct events *events = arg;
    struct events_query query;
    uint64_t after = 0;
    bool dark;
    if (!rows_serve(events, req, events_get_vitals_rows, &dark) ||
        rows_parse(events, req, EVENTS_OF_VITALS, &query, &after) < 0)
        return;
    size_t n = node_members(events->node)->n_nodes;
    query.limit = n < VITALS_ROWS_MAX ? VITALS_ROWS_MAX / (n > 0 ? n : 1) : 1;
    if (after > 0 && query.since_ms <= (int64_t)after)
        query.since_ms = (int64_t)after + 1;
    struct vitals_rows *rows = mem_zalloc(sizeof *rows);
    rows->req = req;
    rows->after = after;
    buf_init(&rows->lines, VITALS_LINES_BYTES_MAX);
    struct events_out out = {.write = vitals_on_write, .end = vitals_on_end, .arg = rows};
    (void)events_reader_new(events, &query, &out);
}
