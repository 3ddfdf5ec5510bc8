/* Sends finished spans (base/trace.h) to a collector by OTLP/HTTP, in JSON.
 *
 * Happy path: once a second, or at once when many wait, a batch is posted; one at a time.
 *
 * How it fails: what may pass (no connection, timeout, 429, 502, 503, 504) is tried again with
 * growing pauses, TRACE_EXPORT_TRIES_MAX times in all; anything else, and what still failed then,
 * is dropped and counted. Meanwhile spans wait in their queue up to its bound. A line in the log
 * once a minute says what is wrong. Nothing else of the node waits for any of it. */
#ifndef RUN_TRACE_EXPORT_H
#define RUN_TRACE_EXPORT_H

#include "base/error.h"
#include "base/trace.h"
#include "run/loop.h"

struct http_client;

enum {
    TRACE_EXPORT_BATCH_MAX = 512,
    TRACE_EXPORT_BYTES_MAX = 16 << 20,
    TRACE_EXPORT_MS = 1000,
    TRACE_EXPORT_TIMEOUT_MS = 10000,
    TRACE_EXPORT_TRIES_MAX = 4,
    TRACE_EXPORT_HEADERS_MAX = 16,
    TRACE_EXPORT_COMPLAIN_MS = 60000,
    TRACE_EXPORT_FINISH_MS = 2000,
};

/* Everything is copied. */
struct trace_export_options {
    struct loop *loop;
    struct http_client *http;
    const char *url;            /* http or https; without a path "/v1/traces" is added */
    const char *token;          /* bearer; "" or NULL: none */
    const char *const *headers; /* "NAME=VALUE" */
    size_t headers_n;
    struct trace_resource resource;
    int64_t interval_ms; /* 0: TRACE_EXPORT_MS; also the first pause after a failure */
};

struct trace_export;

/* ERR_INVALID with `e`: the URL or a header is none. */
int trace_export_new(const struct trace_export_options *options, struct trace_export **out,
                     struct error *e);
/* The node is in its cluster now. */
void trace_export_set_cluster(struct trace_export *export, const char *cluster);
/* Sends what waits, without trying again, for at most TRACE_EXPORT_FINISH_MS, then calls `done`
 * once, maybe from within; the rest is dropped. Before trace_export_free(). */
void trace_export_finish(struct trace_export *export, void (*done)(void *arg), void *arg);
/* What waits is not sent any more. NULL allowed. */
void trace_export_free(struct trace_export *export);

#endif
