/* A connection to a model. Its answer is parsed, its head is written anew, its body passed on as it
 * comes; a body that only the connection's end delimits is chunked for the client, so that a broken
 * one is told from a complete one. */
#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/mem.h"
#include "run/proxy_internal.h"

static const struct proxy_stream_ops proxy_upstream_ops;

static struct proxy_upstream *proxy_upstream_of(struct proxy_stream *stream)
{
    return (struct proxy_upstream *)(void *)((char *)stream -
                                             offsetof(struct proxy_upstream, stream));
}

static void proxy_upstream_reset(struct proxy_upstream *u)
{
    http_parser_init(&u->parser, HTTP_RESPONSE);
    u->parser.data = u;
    proxy_fields_clear(&u->fields);
    u->heard = false;
    u->head_done = false;
    u->done = false;
    u->rechunk = false;
    u->informal = false;
}

/* ---- making one ------------------------------------------------------------------------------ */

static void proxy_upstream_on_idle(void *arg)
{
    proxy_upstream_drop(arg);
}

static void proxy_upstream_attach(struct proxy_upstream *u, struct proxy_client *client)
{
    u->client = client;
    client->upstream = u;
}

static void proxy_upstream_on_connected(uv_connect_t *request, int status);

static void proxy_upstream_connect(struct proxy_upstream *u)
{
    const struct sockaddr *address =
        (const struct sockaddr *)(const void *)&u->backend->addresses[u->address];
    u->connect.data = u;
    int err = uv_tcp_connect(&u->connect, &u->stream.tcp, address, proxy_upstream_on_connected);
    if (err < 0)
        proxy_client_failed(u->client, 502, ERR_UNAVAILABLE, uv_strerror(err));
}

static void proxy_upstream_on_connected(uv_connect_t *request, int status)
{
    struct proxy_upstream *u = request->data;
    struct proxy_client *client = u->client;
    if (u->stream.closing)
        return;
    if (status == 0) {
        u->connected = true;
        (void)uv_tcp_nodelay(&u->stream.tcp, 1);
        proxy_stream_read(&u->stream, true);
        proxy_client_connected(client, u);
    } else if (u->address + 1 < u->backend->addresses_n) {
        struct proxy_backend *backend = u->backend;
        unsigned next = u->address + 1;
        proxy_backend_hold(backend);
        proxy_upstream_drop(u);
        proxy_upstream_open(backend, client, next);
        proxy_backend_release(backend);
    } else {
        proxy_client_failed(client, 502, ERR_UNAVAILABLE, uv_strerror(status));
    }
}

void proxy_upstream_open(struct proxy_backend *backend, struct proxy_client *client,
                         unsigned address)
{
    struct proxy_core *core = backend->core;
    struct proxy_upstream *u = mem_zalloc(sizeof *u);
    u->core = core;
    u->backend = backend;
    u->address = address;
    proxy_backend_hold(backend);
    backend->connections++;
    core->handles++;
    TAILQ_INSERT_TAIL(&core->upstreams, u, of_core);
    proxy_fields_init(&u->fields);
    proxy_upstream_reset(u);
    loop_timer_init(&u->timer, core->loop, proxy_upstream_on_idle, u);
    proxy_stream_init(&u->stream, &core->streams, &proxy_upstream_ops);
    proxy_upstream_attach(u, client);
    proxy_upstream_connect(u);
}

/* ---- keeping it, letting it go --------------------------------------------------------------- */

void proxy_upstream_take(struct proxy_upstream *u, struct proxy_client *client)
{
    TAILQ_REMOVE(&u->backend->idle, u, of_backend);
    loop_timer_stop(&u->timer);
    u->reused = true;
    proxy_upstream_reset(u);
    proxy_upstream_attach(u, client);
    proxy_client_connected(client, u);
}

static void proxy_upstream_detach(struct proxy_upstream *u)
{
    if (u->client != NULL)
        u->client->upstream = NULL;
    u->client = NULL;
}

void proxy_upstream_drop(struct proxy_upstream *u)
{
    if (u->stream.closing)
        return;
    if (u->client == NULL)
        TAILQ_REMOVE(&u->backend->idle, u, of_backend);
    proxy_upstream_detach(u);
    loop_timer_stop(&u->timer);
    u->backend->connections--;
    proxy_stream_close(&u->stream);
    proxy_backend_pump(u->backend);
}

/* Keeps it for the next request, unless either side wants it closed. */
static void proxy_upstream_keep(struct proxy_upstream *u, bool reusable)
{
    proxy_upstream_detach(u);
    TAILQ_INSERT_HEAD(&u->backend->idle, u, of_backend);
    if (!reusable || u->core->draining || u->stream.ended || u->stream.lost) {
        proxy_upstream_drop(u);
        return;
    }
    loop_timer_start(&u->timer, u->core->options.idle_timeout_ms);
    proxy_stream_read(&u->stream, true);
    proxy_backend_pump(u->backend);
}

static void proxy_upstream_on_closed(struct proxy_stream *stream)
{
    struct proxy_upstream *u = proxy_upstream_of(stream);
    struct proxy_core *core = u->core;
    TAILQ_REMOVE(&core->upstreams, u, of_core);
    proxy_fields_done(&u->fields);
    proxy_backend_release(u->backend);
    free(u);
    proxy_core_released(core);
}

/* ---- the answer's head ----------------------------------------------------------------------- */

/* How the client learns where the body ends. */
static int proxy_upstream_write_framing(struct proxy_upstream *u, struct buf *out)
{
    struct proxy_client *c = u->client;
    const char *length = proxy_fields_get(&u->fields, "Content-Length");
    bool bodiless = c->parser.method == HTTP_HEAD || u->parser.status_code == 204 ||
                    u->parser.status_code == 304;
    int err = 0;
    if (length != NULL && (u->parser.flags & F_CHUNKED) == 0 && u->parser.status_code != 204)
        err = buf_printf(out, "Content-Length: %s\r\n", length);
    else if (!bodiless && c->parser.http_major == 1 && c->parser.http_minor >= 1)
        u->rechunk = true;
    else if (!bodiless)
        c->keep = false; /* HTTP/1.0: the connection's end is the body's */
    if (err == 0 && u->rechunk)
        err = buf_append_str(out, "Transfer-Encoding: chunked\r\n");
    if (err == 0 && !c->keep)
        err = buf_append_str(out, "Connection: close\r\n");
    else if (err == 0 && c->parser.http_minor == 0)
        err = buf_append_str(out, "Connection: keep-alive\r\n");
    return err;
}

static int proxy_upstream_write_head(struct proxy_upstream *u)
{
    struct proxy_client *c = u->client;
    struct buf *out = proxy_stream_out(&c->stream);
    if (!c->request_done || u->core->draining)
        c->keep = false;
    int err = buf_printf(out, "HTTP/1.1 %u %s\r\n", u->parser.status_code,
                         http_status_str((enum http_status)u->parser.status_code));
    if (err == 0)
        err = proxy_fields_pass(&u->fields, NULL, out);
    if (err == 0)
        err = buf_printf(
            out, "X-Clusterd-Model: %s\r\nX-Clusterd-Version: %" PRIu64 "\r\nVia: 1.1 clusterd\r\n",
            c->model->counters->model, c->route->version);
    if (err == 0)
        err = proxy_upstream_write_framing(u, out);
    return err == 0 ? buf_append(out, "\r\n", 2) : err;
}

/* ---- parsing --------------------------------------------------------------------------------- */

static int proxy_upstream_on_name(http_parser *parser, const char *at, size_t len)
{
    struct proxy_upstream *u = parser->data;
    if (!u->head_done)
        proxy_fields_name(&u->fields, at, len);
    return u->fields.code < 0;
}

static int proxy_upstream_on_value(http_parser *parser, const char *at, size_t len)
{
    struct proxy_upstream *u = parser->data;
    if (!u->head_done)
        proxy_fields_value(&u->fields, at, len);
    return u->fields.code < 0;
}

static int proxy_upstream_on_head(http_parser *parser)
{
    struct proxy_upstream *u = parser->data;
    const char *coding = proxy_fields_get(&u->fields, "Transfer-Encoding");
    parser->upgrade = 0;
    if (parser->http_major != 1)
        return -1;
    if (parser->status_code < 200) {
        u->informal = true; /* 100 was answered by ourselves; nothing else is awaited */
        return parser->status_code == 101 ? -1 : 0;
    }
    if (coding != NULL && (strcasecmp(coding, "chunked") != 0 ||
                           proxy_fields_count(&u->fields, "Transfer-Encoding") > 1))
        return -1;
    if (proxy_upstream_write_head(u) < 0)
        return -1;
    u->head_done = true;
    return u->client->parser.method == HTTP_HEAD ? 1 : 0;
}

static int proxy_upstream_on_body(http_parser *parser, const char *at, size_t len)
{
    struct proxy_upstream *u = parser->data;
    struct buf *out = proxy_stream_out(&u->client->stream);
    int err = u->rechunk ? buf_printf(out, "%zx\r\n", len) : 0;
    if (err == 0)
        err = buf_append(out, at, len);
    if (err == 0 && u->rechunk)
        err = buf_append(out, "\r\n", 2);
    return err < 0;
}

static int proxy_upstream_on_end(http_parser *parser)
{
    struct proxy_upstream *u = parser->data;
    if (u->informal) {
        u->informal = false;
        proxy_fields_clear(&u->fields);
        return 0;
    }
    u->done = true;
    http_parser_pause(parser, 1);
    return u->rechunk && proxy_stream_put(&u->client->stream, "0\r\n\r\n", 5) < 0;
}

static const http_parser_settings proxy_upstream_settings = {
    .on_header_field = proxy_upstream_on_name,
    .on_header_value = proxy_upstream_on_value,
    .on_headers_complete = proxy_upstream_on_head,
    .on_body = proxy_upstream_on_body,
    .on_message_complete = proxy_upstream_on_end,
};

static void proxy_upstream_finish(struct proxy_upstream *u, bool clean)
{
    struct proxy_client *c = u->client;
    bool reusable = clean && c->request_done && http_should_keep_alive(&u->parser) != 0 &&
                    proxy_stream_queued(&u->stream) == 0;
    unsigned status = u->parser.status_code;
    proxy_upstream_keep(u, reusable);
    proxy_client_answered(c, status);
}

/* Parses `len` bytes; 0 means that the connection has ended. What is broken within the bytes that
 * its head came with has not gone to the client yet: it is taken back for a 502. */
static void proxy_upstream_parse(struct proxy_upstream *u, const char *data, size_t len)
{
    struct buf *out = proxy_stream_out(&u->client->stream);
    bool head_has_gone = u->head_done;
    size_t before = out->len;
    size_t n = http_parser_execute(&u->parser, &proxy_upstream_settings, data, len);
    enum http_errno err = HTTP_PARSER_ERRNO(&u->parser);
    if (!u->done && err != HPE_OK && !head_has_gone) {
        out->len = before;
        u->head_done = false;
    }
    if (u->done)
        proxy_upstream_finish(u, len > 0 && n == len);
    else if (err != HPE_OK)
        proxy_client_failed(u->client, 502, ERR_PROTOCOL,
                            len > 0 ? "it answered with what is no valid HTTP"
                                    : "it ended the connection in the middle of its answer");
    else if (proxy_stream_is_high(&u->client->stream))
        proxy_stream_read(&u->stream, false);
}

static void proxy_upstream_on_data(struct proxy_stream *stream, const char *data, size_t len)
{
    struct proxy_upstream *u = proxy_upstream_of(stream);
    if (u->client == NULL) {
        proxy_upstream_drop(u); /* nobody asked it anything */
        return;
    }
    u->heard = true;
    proxy_client_progress(u->client);
    proxy_upstream_parse(u, data, len);
}

static void proxy_upstream_on_end_of_stream(struct proxy_stream *stream, int code)
{
    struct proxy_upstream *u = proxy_upstream_of(stream);
    if (u->client == NULL)
        proxy_upstream_drop(u);
    else if (code == 0 && u->head_done)
        proxy_upstream_parse(u, NULL, 0);
    else
        proxy_client_failed(u->client, 502, ERR_UNAVAILABLE,
                            code < 0   ? err_text(code)
                            : u->heard ? "it ended the connection in the middle of its answer"
                                       : "it ended the connection without an answer");
    /* after the last byte of an answer that has no length this is its regular end */
}

static void proxy_upstream_on_drained(struct proxy_stream *stream)
{
    struct proxy_upstream *u = proxy_upstream_of(stream);
    if (u->client == NULL)
        return;
    proxy_client_progress(u->client);
    proxy_client_room(u->client);
}

void proxy_upstream_resume(struct proxy_upstream *u)
{
    proxy_stream_read(&u->stream, true);
}

static const struct proxy_stream_ops proxy_upstream_ops = {
    .data = proxy_upstream_on_data,
    .end = proxy_upstream_on_end_of_stream,
    .drained = proxy_upstream_on_drained,
    .closed = proxy_upstream_on_closed,
};
