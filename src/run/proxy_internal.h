/* What the parts of the proxy share; nobody else includes it. All of it lives on the proxy's
 * thread.
 *
 *     proxy.c           the thread, the listener, tables that come in, totals that go out
 *     proxy_table.c     services, models, pages, totals; which model a request gets
 *     proxy_client.c    a client's connection: states, what a request goes through
 *     proxy_answer.c    answers of our own
 *     proxy_request.c   parsing a request, its head written anew for the model
 *     proxy_backend.c   a model's address: resolving, connections that are kept, requests that wait
 *     proxy_upstream.c  a connection to a model: its answer, passed on to the client
 *     proxy_fields.c    header fields: keeping, filtering
 *     proxy_stream.c    bytes */
#ifndef RUN_PROXY_INTERNAL_H
#define RUN_PROXY_INTERNAL_H

#include <http_parser.h>
#include <sys/queue.h>

#include "run/address.h"
#include "run/proxy.h"
#include "run/proxy_stream.h"

enum {
    PROXY_PATH_MAX = 2048,         /* of a model's URL */
    PROXY_RESOLVE_KEPT_MS = 30000, /* an address list is asked for again after this */
    PROXY_LINGER_MS = 1000,        /* for a client to read an answer before the connection goes */
    PROXY_ADDRESSES_MAX = 8,
    PROXY_COUNTERS_MAX = 1024, /* models whose totals are kept */
    PROXY_CHUNK_HEAD_MAX = 20,
};

struct proxy_client;
struct proxy_core;
struct proxy_upstream;

/* ---- header fields --------------------------------------------------------------------------- */

struct proxy_field {
    uint32_t name; /* offsets into `text`, NUL-terminated */
    uint32_t value;
};

struct proxy_fields {
    struct buf text;
    struct proxy_field items[PROXY_FIELDS_MAX];
    unsigned n;
    bool in_value; /* the last piece belonged to a value */
    int code;      /* 0, ERR_TOO_LARGE, ERR_PROTOCOL (a control character in a value) */
};

void proxy_fields_init(struct proxy_fields *fields);
void proxy_fields_done(struct proxy_fields *fields);
void proxy_fields_clear(struct proxy_fields *fields);
/* Pieces as the parser gives them. */
void proxy_fields_name(struct proxy_fields *fields, const char *at, size_t len);
void proxy_fields_value(struct proxy_fields *fields, const char *at, size_t len);
const char *proxy_fields_at_name(const struct proxy_fields *fields, unsigned i);
const char *proxy_fields_at_value(const struct proxy_fields *fields, unsigned i);
/* The first of this name, NULL when there is none. */
const char *proxy_fields_get(const struct proxy_fields *fields, const char *name);
unsigned proxy_fields_count(const struct proxy_fields *fields, const char *name);
/* Appends "Name: value\r\n" of all that may pass from one connection to the next: not the
 * hop-by-hop ones, none that Connection names, none that frames the body, not Host, nor `but`
 * (NULL: nothing more). */
int proxy_fields_pass(const struct proxy_fields *fields, const char *but, struct buf *out);

/* ---- tables ---------------------------------------------------------------------------------- */

struct proxy_counters {
    char *service;
    char *model;
    struct proxy_stats stats;
    struct metric_series *latency, *requests; /* `requests`: of the status `code` */
    unsigned code;
    unsigned refs; /* of models; 0: only its totals are kept */
    TAILQ_ENTRY(proxy_counters) of_core;
};

struct proxy_model {
    struct proxy_counters *counters;
    unsigned weight;
    struct proxy_backend *backend; /* NULL: the echo model */
    char *host;                    /* for Host */
    char *path;                    /* of its URL, with a query if there is one */
    unsigned fail_percent;
    unsigned fail_ticket;
    int64_t delay_ms;
};

struct proxy_route {
    char *name;
    uint64_t seed; /* of sticky choices: a client isn't the first in every service */
    uint64_t version;
    char *closed;
    struct proxy_model models[PROXY_TARGETS_MAX];
    unsigned models_n;
    unsigned ticket;
};

struct proxy_routes {
    struct proxy_core *core;
    unsigned refs; /* the core's, and one of each request under way */
    struct proxy_route *items;
    size_t n;
    struct proxy_route *fallback; /* of requests that name none; may be NULL */
    struct proxy_page *pages;     /* strings owned */
    size_t pages_n;
};

/* Copies; may be made on any thread, but is tied to a core on its own by proxy_routes_bind(). */
struct proxy_routes *proxy_routes_new(const struct proxy_table *table);
void proxy_routes_bind(struct proxy_routes *routes, struct proxy_core *core);
struct proxy_routes *proxy_routes_hold(struct proxy_routes *routes);
void proxy_routes_release(struct proxy_routes *routes);
/* NULL: no such service. */
struct proxy_route *proxy_routes_find(struct proxy_routes *routes, const char *name, size_t len);
const struct proxy_page *proxy_routes_page(const struct proxy_routes *routes, const char *path,
                                           size_t len);
/* By the sticky value when there is one. */
struct proxy_model *proxy_route_choose(struct proxy_route *route, const char *sticky);
/* Whether it is this request of the echo model that fails. */
bool proxy_model_fails(struct proxy_model *model);

/* ---- backends -------------------------------------------------------------------------------- */

struct proxy_backend {
    struct proxy_core *core;
    char host[ADDRESS_HOST_MAX];
    uint16_t port;
    unsigned refs; /* models, upstreams, a resolution under way */
    unsigned connections;
    TAILQ_HEAD(, proxy_upstream) idle; /* the last used first */
    TAILQ_HEAD(, proxy_client) waiting;
    struct sockaddr_storage addresses[PROXY_ADDRESSES_MAX];
    unsigned addresses_n; /* 0: not known */
    int64_t found_ms;
    bool resolving;
    uv_getaddrinfo_t resolve;
    TAILQ_ENTRY(proxy_backend) of_core;
};

struct proxy_backend *proxy_backend_get(struct proxy_core *core, const char *host, uint16_t port);
void proxy_backend_hold(struct proxy_backend *backend);
void proxy_backend_release(struct proxy_backend *backend);
/* Gives the client a connection now or later, through proxy_client_connected() or
 * proxy_client_failed(); `fresh`: none that was kept. */
void proxy_backend_want(struct proxy_backend *backend, struct proxy_client *client, bool fresh);
void proxy_backend_forget(struct proxy_client *client); /* it waits no longer */
/* A connection is free, or gone. */
void proxy_backend_pump(struct proxy_backend *backend);

/* ---- connections to models ------------------------------------------------------------------- */

struct proxy_upstream {
    struct proxy_stream stream;
    struct proxy_core *core;
    struct proxy_backend *backend;
    struct proxy_client *client; /* NULL: kept for the next request, or closing */
    unsigned address;            /* which of the backend's */
    uv_connect_t connect;
    bool connected;
    bool reused;
    bool heard;     /* a byte of the answer came */
    bool head_done; /* the answer's head is with the client */
    bool done;      /* the answer is complete */
    bool rechunk;   /* towards the client */
    bool informal;  /* the head at hand is a 1xx */
    http_parser parser;
    struct proxy_fields fields;
    struct loop_timer timer; /* while kept */
    TAILQ_ENTRY(proxy_upstream) of_backend;
    TAILQ_ENTRY(proxy_upstream) of_core;
};

/* Connects to the backend's addresses from the `address`'th on. */
void proxy_upstream_open(struct proxy_backend *backend, struct proxy_client *client,
                         unsigned address);
/* Takes a kept connection for `client`. */
void proxy_upstream_take(struct proxy_upstream *u, struct proxy_client *client);
/* The client needs it no longer: it is closed. */
void proxy_upstream_drop(struct proxy_upstream *u);
void proxy_upstream_resume(struct proxy_upstream *u); /* the client has room again */

/* ---- clients --------------------------------------------------------------------------------- */

/* X(symbol, name) */
#define PROXY_CLIENT_LIST(X)                                                                       \
    X(PROXY_CLIENT_IDLE, "idle")       /* between requests */                                      \
    X(PROXY_CLIENT_HEAD, "head")       /* a request's head is coming */                            \
    X(PROXY_CLIENT_WAIT, "wait")       /* for a connection to the model */                         \
    X(PROXY_CLIENT_FORWARD, "forward") /* bodies flow */                                           \
    X(PROXY_CLIENT_ECHO, "echo")       /* a body is gathered for the built-in model */             \
    X(PROXY_CLIENT_DELAY, "delay")     /* of the built-in model */                                 \
    X(PROXY_CLIENT_ANSWER, "answer")   /* the rest of an answer is written */                      \
    X(PROXY_CLIENT_LINGER, "linger")   /* our side is closed, what comes is dropped */             \
    X(PROXY_CLIENT_GONE, "gone")

enum proxy_client_state {
#define PROXY_CLIENT_ENUM(symbol, name) symbol,
    PROXY_CLIENT_LIST(PROXY_CLIENT_ENUM)
#undef PROXY_CLIENT_ENUM
};

struct proxy_client {
    struct proxy_stream stream;
    struct proxy_core *core;
    enum proxy_client_state state;
    struct loop_timer timer; /* of the state */
    int64_t progress_ms;     /* of the request at hand */
    char peer[ADDRESS_TEXT_MAX];
    struct buf in; /* read; parsed up to in_at */
    size_t in_at;
    bool running; /* proxy_client_run() is under way */

    /* the request at hand */
    http_parser parser;
    struct buf target;
    struct proxy_fields fields;
    bool head_done;
    bool begun;
    bool request_done; /* its body came whole */
    bool completed;
    bool keep;               /* the connection, after it */
    bool chunked;            /* its body, to the model */
    bool sized;              /* its body has a length */
    struct trace_span *span; /* NULL: not traced */
    bool counted;            /* as active for `model` */
    bool fresh;              /* only a new connection to the model will do */
    bool waiting;            /* in backend->waiting */
    unsigned malformed;      /* status that says what is wrong with it; 0: nothing */
    uint64_t body_length;    /* when it is sized */
    uint64_t body_bytes;     /* that came */
    struct buf body;         /* for the echo model */
    struct proxy_routes *routes;
    struct proxy_route *route;
    struct proxy_model *model;
    struct proxy_upstream *upstream;
    int64_t since_us;

    TAILQ_ENTRY(proxy_client) of_core;
    TAILQ_ENTRY(proxy_client) of_waiting;
};

bool proxy_client_state_allows(enum proxy_client_state from, enum proxy_client_state to);

/* Takes over an accepted socket. */
void proxy_client_accept(struct proxy_core *core, uv_stream_t *listener);
/* Ends it: at once, or (for a proxy that closes) after the request under way. */
void proxy_client_close(struct proxy_client *c);
void proxy_client_drain(struct proxy_client *c);

/* From the parser of its request; not 0 ends the parsing, `malformed` says why. */
int proxy_client_body(struct proxy_client *c, const char *at, size_t len);

/* From the backend and the upstream. The client has a connection to its model. */
void proxy_client_connected(struct proxy_client *c, struct proxy_upstream *u);
/* A byte came or went. */
void proxy_client_progress(struct proxy_client *c);
/* The model takes more of the body. */
void proxy_client_room(struct proxy_client *c);
/* The answer is complete. */
void proxy_client_answered(struct proxy_client *c, unsigned status);
/* The model failed: an answer of ours, another try, or a broken connection. */
void proxy_client_failed(struct proxy_client *c, unsigned status, int code, const char *text);

/* ---- requests -------------------------------------------------------------------------------- */

void proxy_request_reset(struct proxy_client *c);
/* Feeds bytes to the parser and returns how many it took: fewer when it stopped behind a head or a
 * request. ERR_PROTOCOL: malformed. */
ssize_t proxy_request_parse(struct proxy_client *c, const char *data, size_t len);
void proxy_request_go_on(struct proxy_client *c); /* behind the head */
/* Whether it can be sent twice. */
bool proxy_request_is_repeatable(const struct proxy_client *c);
/* Writes the head for the model. */
int proxy_request_write(const struct proxy_client *c, struct buf *out);
const char *proxy_request_method(const struct proxy_client *c);

/* ---- answers of our own ---------------------------------------------------------------------- */

/* Queues a whole answer; the caller sees to what comes after it. `text` of an error is for people.
 */
void proxy_answer_write(struct proxy_client *c, unsigned status, const char *json, size_t len);
void proxy_answer_error(struct proxy_client *c, unsigned status, int code, const char *text);
/* What the built-in model says; returns the status. */
unsigned proxy_answer_echo(struct proxy_client *c);

/* ---- the core: everything on the thread ------------------------------------------------------ */

struct proxy_core {
    struct loop *loop;
    struct proxy_options options;
    char *sticky_header;
    struct proxy_streams streams;
    uv_tcp_t listener;
    bool listening;
    bool full; /* connections wait in the backlog */
    bool draining;
    unsigned clients_n;
    unsigned waiting_n;
    unsigned handles; /* clients and upstreams that have not closed */
    TAILQ_HEAD(, proxy_client) clients;
    TAILQ_HEAD(, proxy_upstream) upstreams;
    TAILQ_HEAD(, proxy_backend) backends;
    TAILQ_HEAD(, proxy_counters) counters;
    unsigned counters_n;
    struct proxy_routes *routes;
};

struct proxy_counters *proxy_core_counters(struct proxy_core *core, const char *service,
                                           const char *model);
void proxy_core_released(struct proxy_core *core); /* a handle has closed */
void proxy_core_listen(struct proxy_core *core);   /* there is room for a client again */

#endif
