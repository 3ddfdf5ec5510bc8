/* A request without a connection: routed and handled like any other, its answer goes to a function.
 */
#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "run/http_internal.h"

struct http_dispatch {
    struct http_request req;
    char *content_type;
    char *idempotency_key;
    char *traceparent;
    char *user;
    http_result_fn fn; /* NULL: cancelled */
    void *arg;
    bool dispatching; /* http_dispatch() has not returned */
    bool answered;
};

static void http_dispatch_free(struct http_dispatch *d)
{
    http_request_done(&d->req);
    buf_done(&d->req.body);
    free(d->content_type);
    free(d->idempotency_key);
    free(d->traceparent);
    free(d->user);
    free(d);
}

static void http_dispatch_answer(struct http_request *req, const struct http_whole *whole)
{
    struct http_dispatch *d = req->owner;
    struct buf headers;
    buf_init(&headers, 16 * 1024);
    for (unsigned i = 0; i < req->headers_len; i++)
        (void)buf_printf(&headers, "%s: %s\r\n", req->headers[i].name, req->headers[i].value);
    if (d->fn != NULL)
        d->fn(d->arg, &(struct http_result){.status = whole->status,
                                            .type = whole->type,
                                            .headers = buf_cstr(&headers),
                                            .body = whole->body,
                                            .body_len = whole->body_len});
    buf_done(&headers);
    if (whole->owned)
        free(whole->body);
    d->answered = true;
    if (!d->dispatching)
        http_dispatch_free(d);
}

static const char *http_dispatch_header(const struct http_request *req, const char *name)
{
    const struct http_dispatch *d = req->owner;
    if (strcasecmp(name, "Content-Type") == 0)
        return d->content_type;
    if (strcasecmp(name, "Idempotency-Key") == 0)
        return d->idempotency_key;
    if (strcasecmp(name, "traceparent") == 0)
        return d->traceparent;
    return NULL;
}

static const char *http_dispatch_user(struct http_request *req)
{
    const struct http_dispatch *d = req->owner;
    return d->user != NULL ? d->user : "unknown";
}

static const char *http_dispatch_peer(struct http_request *req)
{
    (void)req;
    return "forwarded";
}

static void http_dispatch_notice(struct http_request *req)
{
    (void)req; /* http_dispatch_cancel() delivers by itself, after on_close can be set */
}

static const struct http_backend http_dispatch_backend = {
    .answer = http_dispatch_answer,
    .header = http_dispatch_header,
    .user = http_dispatch_user,
    .peer = http_dispatch_peer,
    .notice = http_dispatch_notice,
};

static void http_dispatch_judge(struct http_router *router, struct http_request *req,
                                const struct http_message *message, struct http_refusal *refusal)
{
    struct error e;
    if (http_target_parse(&req->target, message->target, &e) != 0) {
        *refusal = (struct http_refusal){.status = 400, .code = "invalid"};
        (void)snprintf(refusal->text, sizeof refusal->text, "%.180s", e.text);
        return;
    }
    http_router_find(router, req, refusal);
    if (refusal->status != 0 || (req->route->flags & (HTTP_ROUTE_STREAM | HTTP_ROUTE_UPLOAD)) == 0)
        return;
    *refusal = (struct http_refusal){.status = 501, .code = "unsupported"};
    (void)snprintf(refusal->text, sizeof refusal->text, "this request cannot be forwarded");
}

struct http_request *http_dispatch(struct http_router *router, const struct http_message *message,
                                   http_result_fn fn, void *arg)
{
    assert(fn != NULL);
    struct http_dispatch *d = mem_zalloc(sizeof *d);
    struct http_request *req = &d->req;
    http_request_reset(req, &http_dispatch_backend, d);
    d->content_type = mem_strdup(message->content_type);
    d->idempotency_key = mem_strdup(message->idempotency_key);
    d->traceparent = mem_strdup(message->traceparent);
    d->user = mem_strdup(message->user);
    d->fn = fn;
    d->arg = arg;
    (void)snprintf(req->method, sizeof req->method, "%s", message->method);
    buf_init(&req->body, message->body_len);
    (void)buf_append(&req->body, message->body, message->body_len);
    (void)buf_cstr(&req->body);

    struct http_refusal refusal = {.status = 0};
    d->dispatching = true;
    http_dispatch_judge(router, req, message, &refusal);
    if (refusal.status != 0)
        http_request_refuse(req, &refusal);
    else
        http_request_handle(req);
    d->dispatching = false;
    if (!d->answered)
        return req;
    http_dispatch_free(d);
    return NULL;
}

void http_dispatch_cancel(struct http_request *req)
{
    struct http_dispatch *d = req->owner;
    d->fn = NULL;
    req->closed = true;
    http_request_deliver(req);
}
