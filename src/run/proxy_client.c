/* A client's connection.
 *
 *     idle -> head -> wait -> forward -> idle        a request that a model answers
 *             head -> echo -> delay -> idle          the built-in model
 *             head -> idle                           a page, an error
 *     ... -> answer -> idle                          the client is slow to read
 *     ... -> linger -> gone                          the connection ends with this answer
 *
 * proxy_client_run() parses what came as long as the state takes input; everything else reacts to
 * events. A client that goes away takes its request with it. */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/metric.h"
#include "base/str.h"
#include "base/trace.h"
#include "run/proxy_internal.h"

#define PROXY_TRACE_SHARE 0.1 /* of the traces that are recorded elsewhere: requests are many */

static const struct proxy_stream_ops proxy_client_ops;

static struct proxy_client *proxy_client_of(struct proxy_stream *stream)
{
    return (struct proxy_client *)(void *)((char *)stream - offsetof(struct proxy_client, stream));
}

/* ---- states ---------------------------------------------------------------------------------- */

#define TO(state) (1u << PROXY_CLIENT_##state)

static const unsigned proxy_client_edges[] = {
    [PROXY_CLIENT_IDLE] = TO(HEAD) | TO(LINGER) | TO(GONE),
    [PROXY_CLIENT_HEAD] = TO(WAIT) | TO(ECHO) | TO(ANSWER) | TO(IDLE) | TO(LINGER) | TO(GONE),
    [PROXY_CLIENT_WAIT] = TO(FORWARD) | TO(ANSWER) | TO(IDLE) | TO(LINGER) | TO(GONE),
    [PROXY_CLIENT_FORWARD] = TO(WAIT) | TO(ANSWER) | TO(IDLE) | TO(LINGER) | TO(GONE),
    [PROXY_CLIENT_ECHO] = TO(DELAY) | TO(ANSWER) | TO(IDLE) | TO(LINGER) | TO(GONE),
    [PROXY_CLIENT_DELAY] = TO(ANSWER) | TO(IDLE) | TO(LINGER) | TO(GONE),
    [PROXY_CLIENT_ANSWER] = TO(IDLE) | TO(LINGER) | TO(GONE),
    [PROXY_CLIENT_LINGER] = TO(GONE),
    [PROXY_CLIENT_GONE] = 0,
};

bool proxy_client_state_allows(enum proxy_client_state from, enum proxy_client_state to)
{
    return (proxy_client_edges[from] & (1u << to)) != 0;
}

/* `timeout_ms` is what the state may take. */
static void proxy_client_set(struct proxy_client *c, enum proxy_client_state state,
                             int64_t timeout_ms)
{
    assert(proxy_client_state_allows(c->state, state));
    c->state = state;
    c->progress_ms = loop_now_ms(c->core->loop);
    if (state == PROXY_CLIENT_GONE)
        loop_timer_stop(&c->timer);
    else
        loop_timer_start(&c->timer, timeout_ms);
}

/* ---- the end of a request -------------------------------------------------------------------- */

static struct metric_series *proxy_client_requests(struct proxy_counters *counters, unsigned status)
{
    char code[16];
    if (counters->requests != NULL && counters->code == status)
        return counters->requests;
    (void)snprintf(code, sizeof code, "%u", status);
    counters->code = status;
    counters->requests =
        metric_series(METRIC_DATA_REQUESTS, counters->service, counters->model, code);
    return counters->requests;
}

/* Lets go of the model. `status` of the answer; 0: there was none to count. */
static void proxy_client_count(struct proxy_client *c, unsigned status)
{
    if (!c->counted)
        return;
    struct proxy_stats *stats = &c->model->counters->stats;
    c->counted = false;
    stats->active--;
    trace_number(c->span, "http.response.status_code", status);
    trace_end(c->span, status == 0 || status >= 500, status == 0 ? "broken off" : NULL);
    c->span = NULL;
    if (status == 0)
        return;
    int64_t took_us = clock_mono_us() - c->since_us;
    stats->requests++;
    stats->errors += status >= 500;
    stats->latency_us += (uint64_t)took_us;
    stats->buckets[proxy_bucket_of((uint64_t)took_us)]++;
    metric_series_observe(c->model->counters->latency, took_us);
    metric_series_add(proxy_client_requests(c->model->counters, status), 1);
}

static void proxy_client_release(struct proxy_client *c)
{
    proxy_client_count(c, 0);
    proxy_backend_forget(c);
    if (c->upstream != NULL)
        proxy_upstream_drop(c->upstream);
    proxy_routes_release(c->routes);
    c->routes = NULL;
    c->route = NULL;
    c->model = NULL;
}

void proxy_client_close(struct proxy_client *c)
{
    if (c->state == PROXY_CLIENT_GONE)
        return;
    proxy_client_release(c);
    proxy_client_set(c, PROXY_CLIENT_GONE, 0);
    proxy_stream_close(&c->stream);
}

static void proxy_client_run(struct proxy_client *c);

/* All of the answer is queued: on to the next request, or to the end. */
static void proxy_client_next(struct proxy_client *c)
{
    proxy_client_release(c);
    if (c->keep && proxy_stream_is_high(&c->stream)) {
        proxy_client_set(c, PROXY_CLIENT_ANSWER, c->core->options.answer_timeout_ms);
        return;
    }
    if (!c->keep || c->core->draining) {
        proxy_client_set(c, PROXY_CLIENT_LINGER,
                         proxy_stream_queued(&c->stream) > PROXY_STREAM_LOW_BYTES
                             ? c->core->options.answer_timeout_ms
                             : PROXY_LINGER_MS);
        proxy_stream_finish(&c->stream);
        proxy_stream_read(&c->stream, true);
        return;
    }
    proxy_client_set(c, PROXY_CLIENT_IDLE, c->core->options.idle_timeout_ms);
    proxy_stream_read(&c->stream, true);
    proxy_client_run(c);
}

static void proxy_client_error(struct proxy_client *c, unsigned status, int code, const char *text)
{
    proxy_answer_error(c, status, code, text);
    proxy_client_count(c, status);
    proxy_client_next(c);
}

void proxy_client_answered(struct proxy_client *c, unsigned status)
{
    proxy_client_count(c, status);
    proxy_client_next(c);
}

void proxy_client_failed(struct proxy_client *c, unsigned status, int code, const char *text)
{
    struct proxy_upstream *u = c->upstream;
    char message[ERROR_TEXT_MAX];
    if (u != NULL && u->head_done) {
        proxy_client_count(c, 502);
        proxy_client_close(c);
        return;
    }
    bool again = u != NULL && u->reused && !u->heard && !c->fresh && status == 502 &&
                 proxy_request_is_repeatable(c);
    if (u != NULL)
        proxy_upstream_drop(u);
    if (again) {
        proxy_client_set(c, PROXY_CLIENT_WAIT, c->core->options.connect_timeout_ms);
        proxy_backend_want(c->model->backend, c, true);
        return;
    }
    proxy_backend_forget(c);
    (void)snprintf(message, sizeof message, "model %s at %s: %s", c->model->counters->model,
                   c->model->host, text);
    proxy_client_error(c, status, code, message);
}

/* ---- the beginning of a request -------------------------------------------------------------- */

/* The path of the target: of "/a?b" and of "http://host/a?b" it is "/a". */
static const char *proxy_client_path(const struct proxy_client *c, size_t *len)
{
    const char *at = buf_cstr((struct buf *)(uintptr_t)&c->target);
    if (strncasecmp(at, "http://", 7) == 0)
        at += 7 + strcspn(at + 7, "/?#");
    *len = strcspn(at, "?#");
    return at;
}

static void proxy_client_page(struct proxy_client *c, const struct proxy_page *page)
{
    if (c->parser.method != HTTP_GET && c->parser.method != HTTP_HEAD) {
        proxy_client_error(c, 405, ERR_UNSUPPORTED, "this can only be read: GET or HEAD");
        return;
    }
    proxy_answer_write(c, page->status, page->json, strlen(page->json));
    proxy_client_next(c);
}

/* Status and text of what forbids the request as such; 0: nothing does. */
static unsigned proxy_client_check(const struct proxy_client *c, const char **text)
{
    const char *coding = proxy_fields_get(&c->fields, "Transfer-Encoding");
    const char *expect = proxy_fields_get(&c->fields, "Expect");
    unsigned hosts = proxy_fields_count(&c->fields, "Host");
    *text = "";
    if (hosts > 1 || (hosts == 0 && c->parser.http_minor > 0)) {
        *text = "a request has one Host";
        return 400;
    }
    if (c->parser.http_major != 1) {
        *text = "HTTP/1.0 and HTTP/1.1 are spoken here";
        return 505;
    }
    if (coding != NULL && (strcasecmp(coding, "chunked") != 0 ||
                           proxy_fields_count(&c->fields, "Transfer-Encoding") > 1)) {
        *text = "of transfer codings only chunked is known";
        return 501;
    }
    if (expect != NULL && strcasecmp(expect, "100-continue") != 0) {
        *text = "of expectations only 100-continue is known";
        return 417;
    }
    if (c->parser.method == HTTP_CONNECT || c->parser.method == HTTP_TRACE) {
        *text = "this method is not for a proxy of models";
        return 405;
    }
    return 0;
}

static void proxy_client_trace(struct proxy_client *c)
{
    struct trace_context incoming;
    if (!trace_is_on())
        return;
    (void)trace_parse(proxy_fields_get(&c->fields, "traceparent"), &incoming);
    c->span = trace_root(&incoming, PROXY_TRACE_SHARE, "predict", TRACE_SERVER);
    trace_text(c->span, "clusterd.service", c->model->counters->service);
    trace_text(c->span, "clusterd.model", c->model->counters->model);
}

static void proxy_client_forward(struct proxy_client *c, struct proxy_route *route)
{
    const struct proxy_options *options = &c->core->options;
    const char *sticky = options->sticky_header != NULL
                             ? proxy_fields_get(&c->fields, options->sticky_header)
                             : NULL;
    uint64_t body_max = options->body_bytes_max;
    c->route = route;
    if (route->closed != NULL) {
        proxy_client_error(c, 503, ERR_UNAVAILABLE, route->closed);
        return;
    }
    c->model = proxy_route_choose(route, sticky);
    if (c->model == NULL) {
        proxy_client_error(c, 503, ERR_UNAVAILABLE, "this service has no model");
        return;
    }
    if (c->model->backend == NULL && body_max > PROXY_ECHO_BYTES_MAX)
        body_max = PROXY_ECHO_BYTES_MAX;
    if (c->sized && c->body_length > body_max) {
        proxy_client_error(c, 413, ERR_TOO_LARGE, "the body is larger than this node forwards");
        return;
    }
    c->counted = true;
    proxy_client_trace(c);
    c->model->counters->stats.active++;
    c->since_us = clock_mono_us();
    if (c->model->backend != NULL) {
        proxy_client_set(c, PROXY_CLIENT_WAIT, options->connect_timeout_ms);
        proxy_backend_want(c->model->backend, c, false);
        return;
    }
    proxy_client_set(c, PROXY_CLIENT_ECHO, options->answer_timeout_ms);
    buf_init(&c->body, PROXY_ECHO_BYTES_MAX);
}

static void proxy_client_begin(struct proxy_client *c)
{
    static const char prefix[] = "/predict";
    const size_t prefix_len = sizeof prefix - 1;
    const char *text;
    size_t len;
    const char *path = proxy_client_path(c, &len);
    unsigned status = proxy_client_check(c, &text);
    c->begun = true;
    if (status != 0) {
        proxy_client_error(c, status, status == 501 ? ERR_UNSUPPORTED : ERR_INVALID, text);
        return;
    }
    c->routes = proxy_routes_hold(c->core->routes);
    const struct proxy_page *page = proxy_routes_page(c->routes, path, len);
    struct proxy_route *route = NULL;
    bool predicts = len >= prefix_len && memcmp(path, prefix, prefix_len) == 0 &&
                    (len == prefix_len || path[prefix_len] == '/');
    if (predicts && len > prefix_len + 1)
        route = proxy_routes_find(c->routes, path + prefix_len + 1, len - prefix_len - 1);
    else if (predicts)
        route = c->routes->fallback;
    if (page != NULL)
        proxy_client_page(c, page);
    else if (route != NULL)
        proxy_client_forward(c, route);
    else
        proxy_client_error(c, 404, ERR_NOT_FOUND,
                           predicts && len > prefix_len + 1 ? "no such service; /routing lists them"
                           : predicts
                               ? "no service is the default one: ask for /predict/SERVICE; "
                                 "/routing lists them"
                               : "here are /predict, /predict/SERVICE, /health, /routing and "
                                 "/routing/state");
}

/* ---- input ----------------------------------------------------------------------------------- */

static bool proxy_client_takes_input(const struct proxy_client *c)
{
    switch (c->state) {
    case PROXY_CLIENT_IDLE:
    case PROXY_CLIENT_HEAD:
        return true;
    case PROXY_CLIENT_FORWARD:
    case PROXY_CLIENT_ECHO:
        return !c->request_done;
    default:
        return false;
    }
}

static void proxy_client_malformed(struct proxy_client *c)
{
    static const struct {
        unsigned status;
        int code;
        const char *text;
    } rows[] = {
        {413, ERR_TOO_LARGE, "the body is larger than this node forwards"},
        {414, ERR_TOO_LARGE, "the request's target is longer than 8 KiB"},
        {431, ERR_TOO_LARGE, "the request's head has more than 32 KiB or 100 fields"},
        {400, ERR_PROTOCOL, "this is no valid HTTP request"},
    };
    unsigned i = 0;
    while (rows[i].status != c->malformed && rows[i].status != 400)
        i++;
    if (c->upstream != NULL && c->upstream->head_done) {
        proxy_client_close(c);
        return;
    }
    proxy_client_count(c, 0); /* the client's fault */
    if (c->upstream != NULL)
        proxy_upstream_drop(c->upstream);
    proxy_client_error(c, rows[i].status, rows[i].code, rows[i].text);
}

int proxy_client_body(struct proxy_client *c, const char *at, size_t len)
{
    int err = 0;
    if (c->state == PROXY_CLIENT_ECHO) {
        err = buf_append(&c->body, at, len);
    } else if (c->body_bytes > c->core->options.body_bytes_max) {
        err = ERR_TOO_LARGE;
    } else if (c->upstream != NULL) {
        struct buf *out = proxy_stream_out(&c->upstream->stream);
        if (c->chunked)
            err = buf_printf(out, "%zx\r\n", len);
        if (err == 0)
            err = buf_append(out, at, len);
        if (err == 0 && c->chunked)
            err = buf_append(out, "\r\n", 2);
        if (proxy_stream_is_high(&c->upstream->stream))
            proxy_stream_read(&c->stream, false);
    }
    if (err < 0)
        c->malformed = 413;
    return err;
}

static void proxy_client_complete(struct proxy_client *c)
{
    c->completed = true;
    if (c->state == PROXY_CLIENT_FORWARD) {
        if (c->chunked)
            (void)proxy_stream_put(&c->upstream->stream, "0\r\n\r\n", 5);
    } else if (c->model->delay_ms > 0) {
        proxy_client_set(c, PROXY_CLIENT_DELAY, c->model->delay_ms);
    } else {
        proxy_client_answered(c, proxy_answer_echo(c));
    }
}

static bool proxy_client_parse(struct proxy_client *c)
{
    ssize_t n = proxy_request_parse(c, (const char *)c->in.data + c->in_at, c->in.len - c->in_at);
    c->in_at = n < 0 ? c->in.len : c->in_at + (size_t)n;
    if (c->in_at == c->in.len) {
        buf_clear(&c->in);
        c->in_at = 0;
    }
    if (n < 0)
        proxy_client_malformed(c);
    return n >= 0;
}

/* One step of the parser and what follows from it. It stops before the last byte of a head: a
 * request that has no body is complete one step later. */
static void proxy_client_step(struct proxy_client *c)
{
    if (c->state == PROXY_CLIENT_IDLE) {
        proxy_request_reset(c);
        proxy_client_set(c, PROXY_CLIENT_HEAD, c->core->options.head_timeout_ms);
    }
    if (!proxy_client_parse(c))
        return;
    if (c->head_done && !c->begun) {
        proxy_request_go_on(c);
        if (!c->chunked && c->body_length == 0 && !proxy_client_parse(c))
            return;
        proxy_client_begin(c);
    }
    if (c->request_done && !c->completed &&
        (c->state == PROXY_CLIENT_FORWARD || c->state == PROXY_CLIENT_ECHO))
        proxy_client_complete(c);
}

static void proxy_client_run(struct proxy_client *c)
{
    if (c->running)
        return;
    c->running = true;
    while (c->in.len > c->in_at && proxy_client_takes_input(c))
        proxy_client_step(c);
    c->running = false;
    if (c->state != PROXY_CLIENT_GONE && c->in.len > c->in_at)
        proxy_stream_read(&c->stream, false);
}

static void proxy_client_on_data(struct proxy_stream *stream, const char *data, size_t len)
{
    struct proxy_client *c = proxy_client_of(stream);
    if (c->state == PROXY_CLIENT_LINGER)
        return;
    proxy_client_progress(c);
    if (buf_append(&c->in, data, len) < 0)
        proxy_client_close(c);
    else
        proxy_client_run(c);
}

static void proxy_client_on_end(struct proxy_stream *stream, int code)
{
    struct proxy_client *c = proxy_client_of(stream);
    bool asked = c->request_done && c->state != PROXY_CLIENT_IDLE && c->state != PROXY_CLIENT_HEAD;
    if (code == 0 && (asked || c->state == PROXY_CLIENT_ANSWER)) {
        c->keep = false; /* it wants no more than the answer */
        return;
    }
    proxy_client_close(c);
}

/* ---- events ---------------------------------------------------------------------------------- */

void proxy_client_connected(struct proxy_client *c, struct proxy_upstream *u)
{
    proxy_client_set(c, PROXY_CLIENT_FORWARD, c->core->options.answer_timeout_ms);
    if (proxy_request_write(c, proxy_stream_out(&u->stream)) < 0) {
        proxy_client_failed(c, 502, ERR_TOO_LARGE, "the request's head is too large for it");
        return;
    }
    if (proxy_fields_get(&c->fields, "Expect") != NULL && c->parser.http_minor > 0)
        (void)proxy_stream_put(&c->stream, "HTTP/1.1 100 Continue\r\n\r\n", 25);
    proxy_stream_read(&c->stream, true);
    proxy_client_run(c);
}

void proxy_client_progress(struct proxy_client *c)
{
    c->progress_ms = loop_now_ms(c->core->loop);
}

void proxy_client_room(struct proxy_client *c)
{
    if (c->state == PROXY_CLIENT_FORWARD && !c->request_done)
        proxy_stream_read(&c->stream, true);
}

static void proxy_client_on_drained(struct proxy_stream *stream)
{
    struct proxy_client *c = proxy_client_of(stream);
    proxy_client_progress(c);
    if (c->state == PROXY_CLIENT_ANSWER)
        proxy_client_next(c);
    else if (c->state == PROXY_CLIENT_FORWARD && c->upstream != NULL)
        proxy_upstream_resume(c->upstream);
}

/* Bytes flow while a state lasts: it is over when nothing came for so long. */
static bool proxy_client_is_flowing(struct proxy_client *c)
{
    if (c->state != PROXY_CLIENT_FORWARD && c->state != PROXY_CLIENT_ECHO &&
        c->state != PROXY_CLIENT_ANSWER)
        return false;
    int64_t left_ms =
        c->progress_ms + c->core->options.answer_timeout_ms - loop_now_ms(c->core->loop);
    if (left_ms <= 0)
        return false;
    loop_timer_start(&c->timer, left_ms);
    return true;
}

static void proxy_client_on_timer(void *arg)
{
    struct proxy_client *c = arg;
    if (proxy_client_is_flowing(c))
        return;
    switch (c->state) {
    case PROXY_CLIENT_HEAD:
    case PROXY_CLIENT_ECHO:
        proxy_client_count(c, 0);
        c->malformed = 408;
        proxy_client_error(c, 408, ERR_TIMEOUT, "the request did not come in time");
        break;
    case PROXY_CLIENT_WAIT:
        proxy_client_failed(c, 504, ERR_TIMEOUT, "no connection to it in time");
        break;
    case PROXY_CLIENT_FORWARD:
        if (c->request_done || (c->upstream != NULL && c->upstream->head_done)) {
            proxy_client_failed(c, 504, ERR_TIMEOUT, "no answer in time");
            break;
        }
        proxy_client_count(c, 0);
        proxy_upstream_drop(c->upstream);
        c->malformed = 408;
        proxy_client_error(c, 408, ERR_TIMEOUT, "the request's body did not come in time");
        break;
    case PROXY_CLIENT_DELAY:
        proxy_client_answered(c, proxy_answer_echo(c));
        break;
    default:
        proxy_client_close(c);
        break;
    }
}

/* ---- coming and going ------------------------------------------------------------------------ */

static void proxy_client_on_closed(struct proxy_stream *stream)
{
    struct proxy_client *c = proxy_client_of(stream);
    struct proxy_core *core = c->core;
    TAILQ_REMOVE(&core->clients, c, of_core);
    core->clients_n--;
    buf_done(&c->in);
    buf_done(&c->target);
    buf_done(&c->body);
    proxy_fields_done(&c->fields);
    free(c);
    proxy_core_listen(core);
    proxy_core_released(core);
}

static void proxy_client_name(struct proxy_client *c)
{
    struct sockaddr_storage address = {0};
    int len = sizeof address;
    (void)uv_tcp_getpeername(&c->stream.tcp, (struct sockaddr *)&address, &len);
    (void)address_format((struct sockaddr *)&address, c->peer);
}

void proxy_client_accept(struct proxy_core *core, uv_stream_t *listener)
{
    struct proxy_client *c = mem_zalloc(sizeof *c);
    c->core = core;
    c->state = PROXY_CLIENT_IDLE;
    buf_init(&c->in, 2 * PROXY_STREAM_READ_BYTES);
    buf_init(&c->target, PROXY_TARGET_BYTES_MAX);
    proxy_fields_init(&c->fields);
    loop_timer_init(&c->timer, core->loop, proxy_client_on_timer, c);
    proxy_stream_init(&c->stream, &core->streams, &proxy_client_ops);
    TAILQ_INSERT_TAIL(&core->clients, c, of_core);
    core->clients_n++;
    core->handles++;
    if (uv_accept(listener, (uv_stream_t *)&c->stream.tcp) < 0) {
        proxy_client_close(c);
        return;
    }
    (void)uv_tcp_nodelay(&c->stream.tcp, 1);
    proxy_client_name(c);
    loop_timer_start(&c->timer, core->options.idle_timeout_ms);
    proxy_stream_read(&c->stream, true);
}

void proxy_client_drain(struct proxy_client *c)
{
    if (c->state == PROXY_CLIENT_IDLE || c->state == PROXY_CLIENT_HEAD)
        proxy_client_close(c);
}

static const struct proxy_stream_ops proxy_client_ops = {
    .data = proxy_client_on_data,
    .end = proxy_client_on_end,
    .drained = proxy_client_on_drained,
    .closed = proxy_client_on_closed,
};
