/* A client's request, by http_parser. The parser is paused behind the head and behind the end, so
 * that nothing of a body comes before there is somewhere to send it, and nothing of the next
 * request before this one is answered. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/trace.h"
#include "run/proxy_internal.h"

void proxy_request_reset(struct proxy_client *c)
{
    http_parser_init(&c->parser, HTTP_REQUEST);
    c->parser.data = c;
    buf_clear(&c->target);
    proxy_fields_clear(&c->fields);
    buf_done(&c->body);
    c->head_done = false;
    c->begun = false;
    c->completed = false;
    c->request_done = false;
    c->keep = false;
    c->chunked = false;
    c->sized = false;
    c->fresh = false;
    c->malformed = 0;
    c->body_bytes = 0;
}

static int proxy_request_on_url(http_parser *parser, const char *at, size_t len)
{
    struct proxy_client *c = parser->data;
    if (buf_append(&c->target, at, len) == 0)
        return 0;
    c->malformed = 414;
    return 1;
}

static int proxy_request_check_fields(struct proxy_client *c)
{
    if (c->fields.code == ERR_TOO_LARGE)
        c->malformed = 431;
    else if (c->fields.code < 0)
        c->malformed = 400;
    return c->malformed != 0;
}

static int proxy_request_on_name(http_parser *parser, const char *at, size_t len)
{
    struct proxy_client *c = parser->data;
    proxy_fields_name(&c->fields, at, len);
    return proxy_request_check_fields(c);
}

static int proxy_request_on_value(http_parser *parser, const char *at, size_t len)
{
    struct proxy_client *c = parser->data;
    if (c->head_done)
        return 0; /* a trailer */
    proxy_fields_value(&c->fields, at, len);
    return proxy_request_check_fields(c);
}

static int proxy_request_on_trailer_name(http_parser *parser, const char *at, size_t len)
{
    struct proxy_client *c = parser->data;
    return c->head_done ? 0 : proxy_request_on_name(parser, at, len);
}

static int proxy_request_on_head(http_parser *parser)
{
    struct proxy_client *c = parser->data;
    c->head_done = true;
    c->keep = http_should_keep_alive(parser) != 0;
    c->chunked = (parser->flags & F_CHUNKED) != 0;
    c->sized = !c->chunked && (parser->flags & F_CONTENTLENGTH) != 0;
    c->body_length = c->sized ? parser->content_length : 0;
    parser->upgrade = 0; /* no other protocol is spoken: the fields are left out */
    http_parser_pause(parser, 1);
    return 0;
}

static int proxy_request_on_body(http_parser *parser, const char *at, size_t len)
{
    struct proxy_client *c = parser->data;
    c->body_bytes += len;
    return proxy_client_body(c, at, len);
}

static int proxy_request_on_end(http_parser *parser)
{
    struct proxy_client *c = parser->data;
    c->request_done = true;
    http_parser_pause(parser, 1);
    return 0;
}

static const http_parser_settings proxy_request_settings = {
    .on_url = proxy_request_on_url,
    .on_header_field = proxy_request_on_trailer_name,
    .on_header_value = proxy_request_on_value,
    .on_headers_complete = proxy_request_on_head,
    .on_body = proxy_request_on_body,
    .on_message_complete = proxy_request_on_end,
};

ssize_t proxy_request_parse(struct proxy_client *c, const char *data, size_t len)
{
    size_t n = http_parser_execute(&c->parser, &proxy_request_settings, data, len);
    enum http_errno err = HTTP_PARSER_ERRNO(&c->parser);
    if (err == HPE_OK || err == HPE_PAUSED)
        return (ssize_t)n;
    if (c->malformed == 0)
        c->malformed = err == HPE_HEADER_OVERFLOW ? 431 : 400;
    return ERR_PROTOCOL;
}

void proxy_request_go_on(struct proxy_client *c)
{
    http_parser_pause(&c->parser, 0);
}

const char *proxy_request_method(const struct proxy_client *c)
{
    return http_method_str((enum http_method)c->parser.method);
}

bool proxy_request_is_repeatable(const struct proxy_client *c)
{
    switch (c->parser.method) {
    case HTTP_GET:
    case HTTP_HEAD:
    case HTTP_OPTIONS:
    case HTTP_PUT:
    case HTTP_DELETE:
        return c->request_done && c->body_bytes == 0;
    default:
        return false;
    }
}

/* The model's path, with the query of the request behind its own. */
static void proxy_request_write_line(const struct proxy_client *c, struct buf *out)
{
    const char *query = memchr(c->target.data, '?', c->target.len);
    (void)buf_append_str(out, proxy_request_method(c));
    (void)buf_append_byte(out, ' ');
    (void)buf_append_str(out, c->model->path);
    if (query != NULL) {
        const char *end = (const char *)c->target.data + c->target.len;
        (void)buf_append_byte(out, strchr(c->model->path, '?') != NULL ? '&' : '?');
        (void)buf_append(out, query + 1, (size_t)(end - query) - 1);
    }
    (void)buf_append_str(out, " HTTP/1.1\r\nHost: ");
    (void)buf_append_str(out, c->model->host);
    (void)buf_append(out, "\r\n", 2);
}

/* The address without its port. */
static int proxy_request_peer_len(const struct proxy_client *c)
{
    const char *colon = strrchr(c->peer, ':');
    return colon != NULL ? (int)(colon - c->peer) : (int)strlen(c->peer);
}

int proxy_request_write(const struct proxy_client *c, struct buf *out)
{
    const char *host = proxy_fields_get(&c->fields, "Host");
    proxy_request_write_line(c, out);
    char trace[TRACE_TEXT_MAX];
    int err = proxy_fields_pass(&c->fields, c->span != NULL ? "traceparent" : NULL, out);
    if (err == 0 && c->span != NULL)
        err = buf_printf(out, "traceparent: %s\r\n", trace_format(trace_context(c->span), trace));
    if (err == 0)
        err = buf_printf(out, "X-Forwarded-For: %.*s\r\nVia: 1.1 clusterd\r\n",
                         proxy_request_peer_len(c), c->peer);
    if (err == 0 && host != NULL && proxy_fields_get(&c->fields, "X-Forwarded-Host") == NULL)
        err = buf_printf(out, "X-Forwarded-Host: %s\r\n", host);
    if (err == 0 && c->chunked)
        err = buf_append_str(out, "Transfer-Encoding: chunked\r\n");
    else if (err == 0 && c->sized)
        err = buf_printf(out, "Content-Length: %" PRIu64 "\r\n", c->body_length);
    return err == 0 ? buf_append(out, "\r\n", 2) : err;
}
