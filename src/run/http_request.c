/* The part of a request that is the same wherever it came from: what the handler asks, and how its
 * answer is put together. The backend takes it from there. */
#include "run/http_request.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/str.h"
#include "run/http_internal.h"
#include "run/http_status.h"

void http_request_reset(struct http_request *req, const struct http_backend *backend, void *owner)
{
    struct buf body = req->body;
    memset(req, 0, sizeof *req);
    req->backend = backend;
    req->owner = owner;
    req->body = body;
    SLIST_INIT(&req->texts);
}

void http_request_done(struct http_request *req)
{
    if (req->upload.path != NULL && !req->upload_kept)
        (void)unlink(req->upload.path);
    req->upload.path = NULL;
    for (unsigned i = 0; i < req->headers_len; i++) {
        free(req->headers[i].name);
        free(req->headers[i].value);
    }
    req->headers_len = 0;
    struct http_text *text;
    while ((text = SLIST_FIRST(&req->texts)) != NULL) {
        SLIST_REMOVE_HEAD(&req->texts, next);
        free(text);
    }
    http_target_done(&req->target);
    buf_clear(&req->body);
    if (req->body.cap > HTTP_BODY_KEEP_MAX)
        buf_done(&req->body);
}

void http_request_set_state(struct http_request *req, enum http_request_state state)
{
    static const unsigned allowed[] = {
        [HTTP_REQUEST_RECEIVING] = 1 << HTTP_REQUEST_HANDLING | 1 << HTTP_REQUEST_ANSWERED,
        [HTTP_REQUEST_HANDLING] = 1 << HTTP_REQUEST_STREAMING | 1 << HTTP_REQUEST_ANSWERED,
        [HTTP_REQUEST_STREAMING] = 1 << HTTP_REQUEST_ANSWERED,
        [HTTP_REQUEST_ANSWERED] = 0,
    };
    assert((allowed[req->state] & 1U << state) != 0);
    req->state = state;
}

const char *http_request_text(struct http_request *req, const char *s)
{
    if (s == NULL)
        return NULL;
    size_t size = strlen(s) + 1;
    struct http_text *text = mem_alloc(sizeof *text + size);
    memcpy(text->text, s, size);
    SLIST_INSERT_HEAD(&req->texts, text, next);
    return text->text;
}

void http_request_handle(struct http_request *req)
{
    http_request_set_state(req, HTTP_REQUEST_HANDLING);
    req->since_us = clock_mono_us();
    req->route->handler(req, req->route_arg);
}

void http_request_deliver(struct http_request *req)
{
    assert(req->state != HTTP_REQUEST_ANSWERED);
    bool drained = req->draining;
    req->draining = false;
    if (req->closed && !req->told && req->on_close != NULL) {
        req->told = true;
        req->on_close(req, req->on_close_arg);
    } else if (drained && !req->closed && req->on_drain != NULL) {
        req->on_drain(req, req->on_drain_arg);
    }
}

const char *http_request_method(const struct http_request *req)
{
    return req->method;
}

bool http_request_is_repeatable(const struct http_request *req)
{
    return strcmp(req->method, "GET") == 0 || ((req->route->flags & HTTP_ROUTE_KEYED) != 0 &&
                                               http_request_header(req, "Idempotency-Key") != NULL);
}

const char *http_request_target(const struct http_request *req)
{
    return req->target.raw;
}

const char *http_request_param(const struct http_request *req, const char *name)
{
    for (size_t i = 0; i < req->target.segments_len; i++)
        if (req->param_names[i] != NULL && strcmp(req->param_names[i], name) == 0)
            return req->target.segments[i];
    assert(!"the route has this parameter");
    return "";
}

const char *http_request_query(const struct http_request *req, const char *name)
{
    return http_target_query(&req->target, name);
}

int http_request_query_u64(const struct http_request *req, const char *name, uint64_t min,
                           uint64_t max, uint64_t *out, struct error *e)
{
    const char *value = http_request_query(req, name);
    if (value == NULL || str_parse_u64(value, min, max, out) == 0)
        return 0;
    return error_set(e, ERR_INVALID, "query parameter %s must be a number from %llu to %llu", name,
                     (unsigned long long)min, (unsigned long long)max);
}

int http_request_query_bool(const struct http_request *req, const char *name, bool *out,
                            struct error *e)
{
    const char *value = http_request_query(req, name);
    if (value == NULL)
        return 0;
    if (*value == '\0' || strcmp(value, "true") == 0 || strcmp(value, "1") == 0)
        *out = true;
    else if (strcmp(value, "false") == 0 || strcmp(value, "0") == 0)
        *out = false;
    else
        return error_set(e, ERR_INVALID, "query parameter %s must be true or false", name);
    return 0;
}

const char *http_request_header(const struct http_request *req, const char *name)
{
    return req->backend->header(req, name);
}

const char *http_request_body(const struct http_request *req, size_t *len)
{
    *len = req->body.len;
    return req->body.data != NULL ? (const char *)req->body.data : "";
}

int http_request_json(const struct http_request *req, json_t **out, struct error *e)
{
    size_t len;
    const char *body = http_request_body(req, &len);
    if (len == 0) {
        *out = json_object();
        return 0;
    }
    json_error_t je;
    json_t *json = json_loadb(body, len, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &je);
    if (json == NULL)
        return error_set(e, ERR_INVALID, "invalid JSON at line %d, column %d: %s", je.line,
                         je.column, je.text);
    *out = json;
    return 0;
}

const char *http_request_user(const struct http_request *req)
{
    return req->backend->user((struct http_request *)req);
}

const char *http_request_peer(const struct http_request *req)
{
    return req->backend->peer((struct http_request *)req);
}

const struct http_upload *http_request_upload(const struct http_request *req)
{
    assert(req->route->flags & HTTP_ROUTE_UPLOAD);
    return &req->upload;
}

void http_request_keep_upload(struct http_request *req)
{
    req->upload_kept = true;
}

bool http_request_closed(const struct http_request *req)
{
    return req->closed;
}

void http_request_on_close(struct http_request *req, http_request_fn fn, void *arg)
{
    req->on_close = fn;
    req->on_close_arg = arg;
    if (fn != NULL && req->closed && !req->told)
        req->backend->notice(req);
}

void http_reply_header(struct http_request *req, const char *name, const char *value)
{
    assert(req->headers_len < HTTP_HEADERS_MAX);
    req->headers[req->headers_len++] = (struct http_header){mem_strdup(name), mem_strdup(value)};
}

static void http_reply_whole(struct http_request *req, const struct http_whole *whole)
{
    http_request_set_state(req, HTTP_REQUEST_ANSWERED);
    req->backend->answer(req, whole);
}

void http_reply(struct http_request *req, unsigned status, const char *type, const void *body,
                size_t len)
{
    http_reply_whole(
        req, &(struct http_whole){
                 .status = status, .type = type, .body = (char *)(uintptr_t)body, .body_len = len});
}

void http_reply_take(struct http_request *req, unsigned status, const char *type, char *body,
                     size_t len)
{
    http_reply_whole(req, &(struct http_whole){status, type, body, len, true});
}

void http_reply_json(struct http_request *req, unsigned status, json_t *json)
{
    char *text = json_dumps(json, JSON_COMPACT | JSON_ENCODE_ANY);
    json_decref(json);
    assert(text !=
           NULL); /* only a value that is not UTF-8 fails, and jansson refuses to make one */
    size_t len = strlen(text);
    text[len++] = '\n';
    http_reply_take(req, status, "application/json", text, len);
}

void http_reply_error(struct http_request *req, unsigned status, const char *code,
                      const char *message, const char *hint)
{
    if (status == 429 || status == 503)
        http_reply_header(req, "Retry-After", "1");
    if (status == 401)
        http_reply_header(req, "WWW-Authenticate", "Bearer");
    char *safe = str_printable(message, strlen(message), true);
    json_t *json =
        json_pack("{s:{s:s, s:s, s:s*}}", "error", "code", code, "message", safe, "hint", hint);
    free(safe);
    http_reply_json(req, status, json);
}

void http_reply_failure(struct http_request *req, const struct error *e, const char *hint)
{
    http_reply_error(req, http_status_of(e->code), err_name(e->code), e->text, hint);
}

void http_request_refuse(struct http_request *req, const struct http_refusal *refusal)
{
    if (refusal->allow[0] != '\0')
        http_reply_header(req, "Allow", refusal->allow);
    if (refusal->status == 204)
        http_reply(req, 204, NULL, NULL, 0);
    else
        http_reply_error(req, refusal->status, refusal->code, refusal->text, refusal->hint);
}

void http_stream_begin(struct http_request *req, unsigned status, const char *type, uint64_t len)
{
    assert(req->backend->stream_begin != NULL);
    http_request_set_state(req, HTTP_REQUEST_STREAMING);
    req->backend->stream_begin(req, status, type, len);
}

int http_stream_write(struct http_request *req, const void *data, size_t len)
{
    assert(req->state == HTTP_REQUEST_STREAMING);
    assert(len <= HTTP_STREAM_WRITE_MAX);
    if (req->closed)
        return ERR_CLOSED;
    return req->backend->stream_write(req, data, len);
}

void http_stream_end(struct http_request *req)
{
    assert(req->state == HTTP_REQUEST_STREAMING);
    http_request_set_state(req, HTTP_REQUEST_ANSWERED);
    req->backend->stream_end(req, true);
}

void http_stream_abort(struct http_request *req)
{
    assert(req->state == HTTP_REQUEST_STREAMING);
    http_request_set_state(req, HTTP_REQUEST_ANSWERED);
    req->backend->stream_end(req, false);
}

void http_stream_on_drain(struct http_request *req, http_request_fn fn, void *arg)
{
    req->on_drain = fn;
    req->on_drain_arg = arg;
}
