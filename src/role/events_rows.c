/* GET /api/events/rows: pages of events as the tables cluster.events and cluster.log have them, on
 * the node that collects. While there is none: what this node has, which the first row says. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "role/api_json.h"
#include "role/events_internal.h"
#include "wire/cluster_rows.h"

enum { EVENTS_ROWS_MAX = 1000 };

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

void events_get_rows(struct http_request *req, void *arg)
{
    struct events *events = arg;
    struct events_query query;
    struct error e = {0};
    uint64_t after = 0;
    if (!events->stopping && events_must_wait(events)) {
        events_wait(events, req, events_get_rows);
        return;
    }
    bool dark = !events_has_collector(events);
    if (dark && events_dark_pass(events, req))
        return;
    if (!dark && !node_serves(events->node, req, events_get_rows, arg))
        return;
    int err = http_request_query_u64(req, "after", 0, INT64_MAX, &after, &e);
    if (err == 0)
        err = events_query_parse(events, http_request_target(req), EVENTS_OF_STREAM, &query, &e);
    if (err < 0) {
        http_reply_failure(req, &e, NULL);
        return;
    }
    query.follow = false;
    query.has_since = true; /* 0: from the first that is kept */
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
