/* Routes: which handler serves a method and a path.
 *
 * A module has a const table of routes and adds it with its own argument. The router is shared by
 * every listener, and by http_dispatch(), which serves a request that came another way (forwarded
 * over a peer link, or made up by a test) with the same handlers.
 */
#ifndef RUN_HTTP_ROUTER_H
#define RUN_HTTP_ROUTER_H

#include <stddef.h>
#include <stdint.h>

#include "run/http_request.h"

enum http_route_flag {
    HTTP_ROUTE_PUBLIC = 1 << 0, /* no token needed */
    HTTP_ROUTE_STREAM = 1 << 1, /* may answer with http_stream_…() */
    HTTP_ROUTE_BYTES = 1 << 2,  /* the body is anything; without this flag it is JSON (else 415) */
    HTTP_ROUTE_UPLOAD = 1 << 3, /* the body goes to a file */
    HTTP_ROUTE_KEYED = 1 << 4 /* asked again with the same Idempotency-Key, it does its work once */
};

struct http_route {
    const char *method; /* "GET", ... HEAD and OPTIONS come by themselves */
    const char *path;   /* "/api/jobs/{id}/tasks"; a literal wins over a parameter */
    unsigned flags;     /* enum http_route_flag */
    uint64_t body_max;  /* bytes; 0: HTTP_BODY_DEFAULT_MAX, or the server's upload limit */
    http_request_fn handler;
};

enum {
    HTTP_BODY_DEFAULT_MAX = 1024 * 1024,
    HTTP_PARAM_MAX = 4, /* parameters in a path */
};

struct http_router;

struct http_router *http_router_new(void);
/* No server may use it any more. NULL allowed. */
void http_router_free(struct http_router *router);

/* Borrows the table (it must outlive the router). A method and path that are there already are a
 * programmer's error. */
void http_router_add(struct http_router *router, const struct http_route *routes, size_t count,
                     void *arg);

/* A request without a connection. Everything is copied. */
struct http_message {
    const char *method;
    const char *target;          /* path and query */
    const char *content_type;    /* may be NULL */
    const char *idempotency_key; /* the header of that name; may be NULL */
    const char *traceparent;     /* as well */
    const char *user;            /* who asks, as http_request_user() said there */
    const void *body;
    size_t body_len;
};

/* What comes back; borrowed for the call. `headers` holds "Name: value\r\n" lines. */
struct http_result {
    unsigned status;
    const char *type; /* may be NULL */
    const char *headers;
    const void *body;
    size_t body_len;
};

typedef void (*http_result_fn)(void *arg, const struct http_result *result);

/* Serves `message` and calls `fn` once with the answer, maybe before this returns. The caller is
 * trusted. Routes that stream or take uploads answer 501. */
struct http_request *http_dispatch(struct http_router *router, const struct http_message *message,
                                   http_result_fn fn, void *arg);
/* Whoever waits for a dispatched request is gone: on_close of the handler is called, `fn` is not.
 */
void http_dispatch_cancel(struct http_request *req);

#endif
