/* What the files of the HTTP server share and nobody else sees: a request with its answer, and how
 * a matched route is found. */
#ifndef RUN_HTTP_INTERNAL_H
#define RUN_HTTP_INTERNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include "base/buf.h"
#include "run/http_request.h"
#include "run/http_router.h"
#include "wire/http_target.h"

enum {
    HTTP_HEADERS_MAX = 8,
    HTTP_ALLOW_MAX = 96,
    HTTP_BODY_KEEP_MAX = 16 * 1024 /* a larger buffer is given back after the request */
};

/* receiving → handling → answered; handling → streaming → answered. Refused requests go from
 * receiving to answered. */
enum http_request_state {
    HTTP_REQUEST_RECEIVING,
    HTTP_REQUEST_HANDLING,
    HTTP_REQUEST_STREAMING,
    HTTP_REQUEST_ANSWERED
};

struct http_header {
    char *name;
    char *value;
};

/* An answer in one piece, until the backend takes it. */
struct http_whole {
    unsigned status;
    const char *type;
    char *body;
    size_t body_len;
    bool owned; /* free() the body */
};

/* How a request gets its answer out. `conn` is NULL for a dispatched request. */
struct http_backend {
    /* Takes the whole answer; frees the request, now or later. */
    void (*answer)(struct http_request *req, const struct http_whole *whole);
    /* NULL where streams are not possible. */
    void (*stream_begin)(struct http_request *req, unsigned status, const char *type, uint64_t len);
    int (*stream_write)(struct http_request *req, const void *data, size_t len);
    void (*stream_end)(struct http_request *req, bool complete);
    const char *(*header)(const struct http_request *req, const char *name);
    const char *(*user)(struct http_request *req);
    const char *(*peer)(struct http_request *req);
    /* Has http_request_deliver() called soon. */
    void (*notice)(struct http_request *req);
};

struct http_text {
    SLIST_ENTRY(http_text) next;
    char text[];
};

struct http_request {
    const struct http_backend *backend;
    void *owner; /* the backend's own: server or dispatch */
    struct http_conn *conn;
    enum http_request_state state;
    int64_t since_us; /* when the handler got it; 0: not yet */
    bool closed;      /* the client is gone */
    bool told;        /* on_close was called */
    bool draining;    /* a write was told to wait */
    char method[8];
    struct http_target target;
    const struct http_route *route;
    const char *const *param_names; /* by segment; NULL where the route has a literal */
    void *route_arg;
    struct buf body;
    struct http_upload upload;
    bool upload_kept;
    struct http_header headers[HTTP_HEADERS_MAX];
    unsigned headers_len;
    SLIST_HEAD(, http_text) texts; /* strings that live as long as the request */
    http_request_fn on_close;
    void *on_close_arg;
    http_request_fn on_drain;
    void *on_drain_arg;
    TAILQ_ENTRY(http_request) entry; /* of the server's open requests */
    TAILQ_ENTRY(http_request) notice_entry;
    bool held;    /* in the list of open requests */
    bool noticed; /* in the list of notices */
};

/* Prepares a zeroed or used request. */
void http_request_reset(struct http_request *req, const struct http_backend *backend, void *owner);
/* Frees what the request holds (also an upload that nobody kept), but not the request. */
void http_request_done(struct http_request *req);
void http_request_set_state(struct http_request *req, enum http_request_state state);
/* A copy of `s` (NULL allowed) that lives as long as the request. */
const char *http_request_text(struct http_request *req, const char *s);
/* Hands the complete request to its handler. */
void http_request_handle(struct http_request *req);
/* Calls on_close (once) or on_drain, as there is reason to. The request may be gone afterwards. */
void http_request_deliver(struct http_request *req);

/* A reason not to serve a request. */
struct http_refusal {
    unsigned status; /* 0: none */
    const char *code;
    const char *hint;
    char text[192];
    char allow[HTTP_ALLOW_MAX]; /* for 405 and OPTIONS, else "" */
};

/* Finds the route for req->method and req->target and fills route, route_arg, param_names; a HEAD
 * becomes a GET. Otherwise fills `refusal`: 404, 405, or 204 for OPTIONS. */
void http_router_find(const struct http_router *router, struct http_request *req,
                      struct http_refusal *refusal);
void http_request_refuse(struct http_request *req, const struct http_refusal *refusal);

#endif
