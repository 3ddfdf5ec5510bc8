/* The HTTP data plane: a reverse proxy that splits requests over models by weight.
 *
 * It has a thread and a loop of its own, so that traffic never delays the cluster's heartbeats and
 * the other way round. The owner hands it whole tables; each takes effect between two requests,
 * requests under way keep the model that they were given, connections stay open.
 *
 *     /predict, /predict/SERVICE   any method, forwarded to the model that the weights choose
 *     a page's path                GET: the text that the owner gave for it
 *
 * Happy path of a request: its head is read and checked, a model is chosen (by the sticky header
 * when there is one, else so that each hundred requests are split exactly), a kept connection to
 * the model is taken or a new one made, the head is written anew without hop-by-hop fields, and
 * bodies flow both ways in bounded memory (RFC 9112, RFC 9110 section 7.6).
 *
 * How it fails, each an answer in JSON and counted for the model: no such service 404; head, target
 * or body too large 431, 414, 413; malformed 400; out of rotation or too busy 503; the model does
 * not answer, or with garbage 502; not in time 504. Once the answer's head is out, a failure
 * breaks the connection off. A request that a kept connection lost before any byte of an answer is
 * sent again if its method is idempotent and it has no body.
 *
 * All functions belong to the owner's loop, where the callbacks come. */
#ifndef RUN_PROXY_H
#define RUN_PROXY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "run/loop.h"

enum {
    PROXY_SERVICES_MAX = 64,
    PROXY_TARGETS_MAX = 8, /* of one service */
    PROXY_PAGES_MAX = PROXY_SERVICES_MAX + 8,
    PROXY_HEAD_BYTES_MAX = 32 * 1024,
    PROXY_TARGET_BYTES_MAX = 8 * 1024, /* path and query of a request */
    PROXY_FIELDS_MAX = 100,
    PROXY_ECHO_BYTES_MAX = 1 << 20,
    PROXY_STATS_MS = 1000,
};

struct proxy;

struct proxy_options {
    struct loop *loop;
    const char *host;
    uint16_t port;              /* 0: a free one */
    const char *sticky_header;  /* requests with the same value meet the same model; NULL: none */
    unsigned connections_max;   /* of clients; further ones wait in the backlog */
    unsigned model_connections; /* to one model's address */
    unsigned waiting_max;       /* requests that wait for such a connection */
    uint64_t body_bytes_max;
    unsigned head_timeout_ms;    /* from a request's first byte to the end of its head */
    unsigned idle_timeout_ms;    /* between requests; also of kept connections to models */
    unsigned connect_timeout_ms; /* to a model, with waiting for a connection */
    unsigned answer_timeout_ms;  /* without a byte from the model, or none taken by the client */
};

/* Defaults: 1024 connections, 256 to a model, 4096 waiting, 64 MiB, 10 s, 60 s, 2 s, 30 s. */
void proxy_options_init(struct proxy_options *options);

/* `url`: "http://HOST[:PORT]/PATH", or "echo:[fail=PERCENT][,delay=DURATION]", the built-in model
 * that answers with what it was sent. */
struct proxy_target {
    const char *model;
    const char *url;
    unsigned weight; /* percent; those of a service sum to 100 */
};

struct proxy_service {
    const char *name;
    uint64_t version;   /* of its routing state; told in answers */
    const char *closed; /* why it is out of rotation; NULL: it is served */
    struct proxy_target targets[PROXY_TARGETS_MAX];
    size_t targets_n;
};

struct proxy_page {
    const char *path; /* "/health" */
    unsigned status;
    const char *json;
};

struct proxy_table {
    const struct proxy_service *services;
    size_t services_n;
    const char *service; /* the one of /predict; NULL: one must be named */
    const struct proxy_page *pages;
    size_t pages_n;
};

/* Whether `url` can be a model's. ERR_INVALID, ERR_UNSUPPORTED (https) say why not. */
int proxy_check_url(const char *url, struct error *e);

/* Latencies in microseconds: bucket 4 e + m counts those in [2^e (4 + m) / 4, 2^e (5 + m) / 4). */
enum { PROXY_BUCKETS = 4 * 32 };

unsigned proxy_bucket_of(uint64_t us);
uint64_t proxy_bucket_limit_us(unsigned bucket); /* the first value above it */

/* Totals since the start of the proxy; kept for every model that a table ever named, up to a bound,
 * beyond which those that are named no longer are forgotten. */
struct proxy_stats {
    const char *service;
    const char *model;
    uint64_t requests; /* ended */
    uint64_t errors;   /* of these: 5xx answers, the model's and ours for it, and broken ones */
    uint64_t active;
    uint64_t latency_us; /* sum */
    uint64_t buckets[PROXY_BUCKETS];
};

/* Called every PROXY_STATS_MS with all rows; they are borrowed. */
typedef void (*proxy_stats_fn)(void *arg, const struct proxy_stats *rows, size_t n);

/* Listens and starts the thread; no service is known yet. */
int proxy_open(struct proxy **out, const struct proxy_options *options, proxy_stats_fn on_stats,
               void *arg, struct error *e);
uint16_t proxy_port(const struct proxy *proxy);

/* Copies `table`. URLs have been checked; weights sum to 100. */
void proxy_set_table(struct proxy *proxy, const struct proxy_table *table);

/* Takes no more connections, lets requests under way end for at most `drain_ms`, then frees the
 * proxy and calls `closed` (NULL allowed). No stats come after this call. */
void proxy_close(struct proxy *proxy, unsigned drain_ms, void (*closed)(void *arg), void *arg);

#endif
