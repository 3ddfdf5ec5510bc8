/* A cluster as a console sees it: requests to its HTTP API (docs/api.md), answered by callbacks.
 *
 * There is no loop in here. The program polls client_fd() and calls client_dispatch() whenever it
 * is readable; timers are behind the same descriptor. Callbacks run inside client_dispatch() and
 * may start and cancel calls, but not free the client. One thread.
 *
 * A client knows several endpoints of one cluster and keeps to the one that answered last. A call
 * that could not be sent goes to the next endpoint; when all refuse, and when the cluster has no
 * leader or is busy, it is tried again with growing, jittered pauses until retry_ms have passed. A
 * call that may have been carried out is repeated only when that does no harm (see `repeatable`).
 */
#ifndef CLIENT_CLIENT_H
#define CLIENT_CLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <jansson.h>

#include "base/error.h"

enum {
    CLIENT_ENDPOINTS_MAX = 64,
    CLIENT_CALLS_MAX = 256,
    CLIENT_REPLY_BYTES_MAX = 64 * 1024 * 1024,
    CLIENT_LINE_BYTES_MAX = 1024 * 1024,
    CLIENT_HINT_MAX = 256,
};

struct client;
struct client_call;
struct client_replay;

struct client_options {
    const char *endpoints;  /* as client_endpoint.h, separated by commas; NULL: the usual places */
    const char *token;      /* NULL: found as client_token.h says */
    const char *token_file; /* may be NULL */
    const char *ca_file;    /* for https; NULL: the system's authorities */
    const char *cert_file;  /* client certificate and its key; NULL: none */
    const char *key_file;
    unsigned connect_timeout_ms;  /* 0: 3000 */
    unsigned retry_ms;            /* 0: 10000 */
    bool retry_first;             /* keep trying even if no endpoint has ever answered */
    struct client_replay *replay; /* answers in place of a cluster (client_replay.h); borrowed as
                                   * long as the client lives; NULL: none */
};

/* How the body of a successful answer is delivered. An error's body is always taken whole. */
enum client_body {
    CLIENT_BODY_JSON,  /* parsed, in the reply */
    CLIENT_BODY_WHOLE, /* bytes, in the reply */
    CLIENT_BODY_BYTES, /* by the data callback as they come */
    CLIENT_BODY_LINES, /* by the data callback line by line, without the newline */
};

struct client_request {
    const char *method; /* "GET", "POST", "PUT", "DELETE" */
    const char *path;   /* escaped, with its query: see client_path.h */
    const void *data;   /* body; copied */
    size_t data_len;
    bool from_fd; /* the body is fd_bytes of `fd` instead, from its start; borrowed until done */
    int fd;
    uint64_t fd_bytes;
    const char *content_type; /* NULL: application/json */
    const char
        *idempotency_key; /* NULL: POST gets a fresh one. A given key makes a call repeatable */
    bool repeatable;      /* doing it twice does no harm; always true for GET */
    enum client_body body;
    uint64_t attempt_ms; /* without an answer for so long, another endpoint is asked, if there is
                          * one and the call is repeatable; 0: never */
    uint64_t timeout_ms; /* of the whole call with its repetitions; 0: none, for streams */
};

#define CLIENT_REQUEST(...) ((struct client_request){__VA_ARGS__})

struct client_reply {
    int code;            /* 0, or ERR_UNAVAILABLE when no endpoint answered, or the API's error */
    unsigned status;     /* of HTTP; 0 when no answer came */
    bool connected;      /* false when no endpoint could be reached */
    const char *text;    /* of a failure: a whole sentence; never NULL */
    const char *hint;    /* what to do next; "" when the server gave none */
    const char *etag;    /* without quotes; "" when there is none */
    const char *partial; /* why the answer is a part only (docs/events.md); "" when it is whole */
    const char *bytes;   /* CLIENT_BODY_WHOLE; NUL-terminated besides */
    size_t bytes_len;
    json_t *json; /* CLIENT_BODY_JSON; NULL on failure or an empty body; borrowed */
};

struct client_handler {
    /* A chunk or a line; may be NULL for JSON and WHOLE. */
    void (*data)(void *arg, const char *bytes, size_t len);
    /* Exactly once, last, unless the call was cancelled; the call is gone when it returns. */
    void (*done)(void *arg, const struct client_reply *reply);
};

/* Makes a client without connecting anywhere. ERR_INVALID for an endpoint of a wrong form,
 * ERR_NOT_FOUND when no endpoint was given and none of the usual places has a socket, -errno when
 * the token file can't be read. */
int client_open(const struct client_options *options, struct client **client, struct error *e);
/* Cancels every call. NULL allowed. */
void client_close(struct client *client);

/* Level-triggered: readable as long as client_dispatch() has something to do. */
int client_fd(const struct client *client);
void client_dispatch(struct client *client);

/* Starts a call; copies what it needs of `request`. Never calls back before client_dispatch().
 * NULL with ERR_BUSY when CLIENT_CALLS_MAX are under way. */
struct client_call *client_start(struct client *client, const struct client_request *request,
                                 const struct client_handler *handler, void *arg, struct error *e);
/* Ends a call without another callback; closes its connection if an answer was under way. */
void client_cancel(struct client_call *call);

/* The endpoint that answered last, or the first. */
const char *client_endpoint(const struct client *client);
/* The first of those that it was opened with. */
const char *client_endpoint_first(const struct client *client);
/* The token that it shows, wherever that was found; NULL: none. */
const char *client_token(const struct client *client);
/* True once an endpoint has answered, until a call has found none that does. */
bool client_is_connected(const struct client *client);
/* Why calls are being repeated right now, as a sentence; NULL when none is. */
const char *client_trouble(const struct client *client);

/* Takes further endpoints from an answer of GET /api/nodes. From a Unix socket it learns plain HTTP
 * only on loopback addresses: a token never travels in the clear. */
void client_learn(struct client *client, const json_t *nodes);
/* The same for one node's api_address; "" allowed. False when no more find a place. */
bool client_learn_address(struct client *client, const char *address);

#endif
