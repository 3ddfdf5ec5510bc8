/* /api/events, /api/vitals, /api/frame (docs/events.md). The collector answers; any other node
 * passes on what the collector streams, as fast as its client reads. While no collector can be
 * reached the node answers with what there is (events_dark.c). */
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "role/api_json.h"
#include "role/events_internal.h"

enum {
    /* That the collector may send ahead of the client. */
    EVENTS_WINDOW_BYTES = HTTP_STREAM_OVER_MAX,
};

/* A client of this node. */
struct events_client {
    struct events *events;
    struct http_request *req;
    struct events_reader *reader; /* of this node */
    uint64_t call;                /* or of the collector; 0: none */
    uint64_t collector;
    uint64_t owed; /* bytes of credit that wait for the client */
    bool report;
    bool full;
};

static void client_free(struct events_client *client)
{
    http_request_on_close(client->req, NULL, NULL);
    http_stream_on_drain(client->req, NULL, NULL);
    free(client);
}

/* The last line says why there will be no more; a stream that was complete ends without. */
static void client_end(struct events_client *client, const struct error *e)
{
    struct http_request *req = client->req;
    bool report = client->report;
    client_free(client);
    if (e != NULL && report) {
        log_warn(LOG_ABOUT(.role = "events", .code = e->code), "a report was not made: %s",
                 e->text);
        http_stream_abort(req); /* a part only */
        return;
    }
    if (e != NULL) {
        json_t *json = json_pack("{s:{s:s, s:o}}", "error", "code", err_name(e->code), "message",
                                 api_json_text(e->text));
        char *text = json_dumps(json, JSON_COMPACT);
        char *line = mem_printf("%s\n", text);
        (void)http_stream_write(req, line, strlen(line));
        free(line);
        free(text);
        json_decref(json);
    }
    http_stream_end(req);
}

static void client_on_close(struct http_request *req, void *arg)
{
    struct events_client *client = arg;
    struct events *events = client->events;
    if (client->reader != NULL)
        events_reader_free(client->reader);
    if (client->call != 0) {
        Wire__EventReadCancel cancel = WIRE__EVENT_READ_CANCEL__INIT;
        cancel.call = client->call;
        (void)node_send(events->node, client->collector, WIRE_EVENT_READ_CANCEL, &cancel.base);
        node_call_end(events->node, client->call);
    }
    client_free(client);
    http_stream_abort(req);
}

/* ---- on the collector ------------------------------------------------------------------------ */

static int client_write(void *arg, const void *data, size_t len)
{
    struct events_client *client = arg;
    return http_stream_write(client->req, data, len);
}

static void client_on_end(void *arg, const struct error *e)
{
    struct events_client *client = arg;
    client->reader = NULL;
    client_end(client, e);
}

/* ---- elsewhere ------------------------------------------------------------------------------- */

static void client_pay(struct events_client *client)
{
    Wire__EventCredit credit = WIRE__EVENT_CREDIT__INIT;
    if (client->owed == 0 || client->full)
        return;
    credit.call = client->call;
    credit.bytes = client->owed;
    client->owed = 0;
    (void)node_send(client->events->node, client->collector, WIRE_EVENT_CREDIT, &credit.base);
}

static void client_on_chunk(void *arg, int code, const ProtobufCMessage *message)
{
    struct events_client *client = arg;
    const Wire__EventChunk *chunk = (const Wire__EventChunk *)message;
    struct error e;
    if (chunk == NULL) {
        client->call = 0;
        (void)error_set(&e, code, "the node that collects the events is lost: ask again");
        client_end(client, &e);
        return;
    }
    for (size_t at = 0; at < chunk->data.len; at += HTTP_STREAM_WRITE_MAX) {
        size_t n = chunk->data.len - at;
        n = n < HTTP_STREAM_WRITE_MAX ? n : HTTP_STREAM_WRITE_MAX;
        client->full =
            http_stream_write(client->req, chunk->data.data + at, n) == 1 || client->full;
    }
    client->owed += chunk->data.len;
    if (chunk->eof) {
        node_call_end(client->events->node, client->call);
        client->call = 0;
        if (chunk->code < 0)
            (void)error_set(&e, chunk->code, "%s", chunk->text);
        client_end(client, chunk->code < 0 ? &e : NULL);
        return;
    }
    client_pay(client);
}

static void client_on_drain(struct http_request *req, void *arg)
{
    struct events_client *client = arg;
    (void)req;
    client->full = false;
    if (client->reader != NULL)
        events_reader_resume(client->reader);
    else if (client->call != 0)
        client_pay(client);
}

/* `partial`: to one that does not collect either, but has what the last one collected. */
static void client_pass(struct events_client *client, uint64_t to, bool partial)
{
    Wire__EventRead read = WIRE__EVENT_READ__INIT;
    read.target = (char *)(uintptr_t)http_request_target(client->req);
    read.user = (char *)(uintptr_t)http_request_user(client->req);
    read.credit = EVENTS_WINDOW_BYTES;
    read.partial = partial;
    client->collector = to;
    client->call = node_call(client->events->node, client->collector, WIRE_EVENT_READ, &read.base,
                             true, 0, client_on_chunk, client);
}

/* Says with the head that it is a part, for those who read no lines. */
static void events_say_partial(const struct events *events, struct http_request *req)
{
    enum { EVENTS_HEAD_TEXT_MAX = 400 };
    json_t *partial = events_dark_json(events);
    const json_t *missing = json_object_get(partial, "missing");
    struct buf text;
    buf_init(&text, EVENTS_HEAD_TEXT_MAX);
    (void)buf_append_str(&text, json_string_value(json_object_get(partial, "reason")));
    for (size_t i = 0; i < json_array_size(missing); i++)
        (void)buf_printf(&text, "%s%s", i > 0 ? ", " : "; not reached: ",
                         json_string_value(json_array_get(missing, i)));
    http_reply_header(req, "Clusterd-Partial", buf_cstr(&text));
    buf_done(&text);
    json_decref(partial);
}

static void events_begin_stream(struct events *events, struct http_request *req,
                                enum events_what what, struct events_query *query)
{
    bool dark = !events_has_collector(events);
    struct events_client *client = mem_zalloc(sizeof *client);
    client->events = events;
    client->req = req;
    client->report = what == EVENTS_OF_REPORT;
    if (dark)
        events_say_partial(events, req);
    http_stream_begin(req, 200, client->report ? "application/x-tar" : "application/x-ndjson",
                      HTTP_STREAM_CHUNKED);
    http_request_on_close(req, client_on_close, client);
    http_stream_on_drain(req, client_on_drain, client);
    struct events_out out = {.write = client_write, .end = client_on_end, .arg = client};
    uint64_t to = events->collecting ? 0
                  : dark             ? events_dark_other(events)
                                     : node_leader(events->node);
    if (to != 0)
        client_pass(client, to, dark);
    else
        client->reader = events_reader_new(events, query, &out);
}

static void events_stream(struct events *events, struct http_request *req, enum events_what what,
                          http_request_fn again)
{
    struct events_query query;
    struct error e = {0};
    if (what == EVENTS_OF_REPORT && !events->stopping && events_must_wait(events)) {
        events_wait(events, req, again);
        return;
    }
    if (events_query_parse(events, http_request_target(req), what, &query, &e) < 0) {
        http_reply_failure(req, &e, "docs/events.md shows the parameters");
        return;
    }
    if (events->stopping || events->readers_n >= EVENTS_READERS_MAX) {
        (void)error_set(&e, ERR_BUSY, "%u clients read the events already", events->readers_n);
        http_reply_failure(req, &e, NULL);
    } else {
        events_begin_stream(events, req, what, &query);
    }
    events_query_done(&query);
}

static void events_get_events(struct http_request *req, void *arg)
{
    events_stream(arg, req, EVENTS_OF_STREAM, events_get_events);
}

static void events_get_vitals(struct http_request *req, void *arg)
{
    events_stream(arg, req, EVENTS_OF_VITALS, events_get_vitals);
}

static void events_get_report(struct http_request *req, void *arg)
{
    events_stream(arg, req, EVENTS_OF_REPORT, events_get_report);
}

static void events_get_settings(struct http_request *req, void *arg)
{
    const struct events *events = arg;
    http_reply_json(req, 200, events_report_settings(events->node));
}

/* ---- frames ---------------------------------------------------------------------------------- */

static void events_get_frame(struct http_request *req, void *arg)
{
    struct events *events = arg;
    struct error e;
    const char *at = http_request_query(req, "at");
    int64_t at_ms = 0;
    if (at != NULL && *at != '\0' && events_query_time(events, "at", at, &at_ms, &e) < 0) {
        http_reply_failure(req, &e, NULL);
        return;
    }
    if (!events->stopping && events_must_wait(events)) {
        events_wait(events, req, events_get_frame);
        return;
    }
    int64_t now_ms = loop_wall_ms(node_loop(events->node));
    if (!events_has_collector(events)) {
        if (!events_dark_pass(events, req))
            events_past_frame(events, req, at_ms > 0 && at_ms < now_ms ? at_ms : now_ms);
        return;
    }
    if (!node_serves(events->node, req, events_get_frame, arg))
        return;
    if (!events->begun) {
        (void)error_set(&e, ERR_BUSY, "the node that leads still reads the state");
        http_reply_failure(req, &e, "ask again in a moment");
        return;
    }
    if (at_ms > 0 && at_ms < now_ms) {
        events_past_frame(events, req, at_ms);
        return;
    }
    size_t len;
    char *text = events_frame_text(events, &len);
    http_reply_take(req, 200, "application/json", text, len);
}

static const struct http_route events_routes[] = {
    {.method = "GET",
     .path = "/api/events",
     .flags = HTTP_ROUTE_STREAM,
     .handler = events_get_events},
    {.method = "GET",
     .path = "/api/vitals",
     .flags = HTTP_ROUTE_STREAM,
     .handler = events_get_vitals},
    {.method = "GET", .path = "/api/frame", .handler = events_get_frame},
    {.method = "GET",
     .path = "/api/report",
     .flags = HTTP_ROUTE_STREAM,
     .handler = events_get_report},
    {.method = "GET", .path = "/api/settings", .handler = events_get_settings},
    {.method = "GET", .path = "/api/events/rows", .handler = events_get_rows},
    {.method = "GET", .path = "/api/vitals/rows", .handler = events_get_vitals_rows},
};

void events_api_add_routes(struct events *events)
{
    http_router_add(node_router(events->node), events_routes, MEM_COUNT(events_routes), events);
}
