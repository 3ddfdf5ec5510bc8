/* Spans of distributed traces, as OpenTelemetry means them: what began when, how it ended, and
 * under which other span, over processes and nodes.
 *
 * A context (trace, span, whether it is sampled) travels as a W3C traceparent: in HTTP requests,
 * messages between nodes, the environment of jobs. A trace is recorded when whoever gave it to us
 * records it, else by trace_configure()'s ratio, decided by its number alone. While nothing is
 * recorded every call here costs a load and a branch.
 *
 * Finished spans wait in a bounded queue for whoever sends them (run/trace_export.h); what does not
 * fit is counted and dropped. Safe on any thread; a span belongs to one at a time. */
#ifndef BASE_TRACE_H
#define BASE_TRACE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include "base/buf.h"
#include "base/uuid.h"

enum {
    TRACE_TEXT_MAX = 56, /* of a traceparent, with its NUL */
    TRACE_ID_BYTES = 16,
    TRACE_SPAN_BYTES = 8,
    TRACE_ATTRIBUTES_MAX = 12,
    TRACE_VALUE_MAX = 256, /* bytes of an attribute or a name; longer ones are cut */
    TRACE_QUEUE_MAX = 4096,
};

struct trace_context {
    uint8_t trace[TRACE_ID_BYTES]; /* all zero: there is none */
    uint8_t span[TRACE_SPAN_BYTES];
    bool sampled;
};

/* Of W3C trace context, level 1; later versions are read as far as they are known. ERR_INVALID, and
 * `out` is none. NULL and "" are invalid. */
int trace_parse(const char *traceparent, struct trace_context *out);
/* "" for none. */
const char *trace_format(const struct trace_context *context, char out[static TRACE_TEXT_MAX]);
bool trace_is_set(const struct trace_context *context);

/* OpenTelemetry's numbers. */
enum trace_kind {
    TRACE_INTERNAL = 1,
    TRACE_SERVER = 2,
    TRACE_CLIENT = 3,
    TRACE_PRODUCER = 4,
    TRACE_CONSUMER = 5,
};

struct trace_attribute {
    const char *key; /* static storage */
    char *text;      /* NULL: number */
    int64_t number;
};

struct trace_span {
    struct trace_context context;
    uint8_t parent[TRACE_SPAN_BYTES]; /* all zero: a root */
    enum trace_kind kind;
    const char *name; /* static storage */
    int64_t began_us; /* since the epoch */
    int64_t ended_us;
    int code; /* 0: well; else it failed */
    char *text;
    struct trace_attribute attributes[TRACE_ATTRIBUTES_MAX];
    unsigned attributes_n;
    STAILQ_ENTRY(trace_span) entry;
};

STAILQ_HEAD(trace_spans, trace_span);

/* `ratio` of new traces are recorded, from 0 to 1; before this call, none is. When not `on` even
 * those are not that came sampled. */
void trace_configure(bool on, double ratio);
bool trace_is_on(void);

/* A span below `parent`; NULL when that is none or not sampled. */
struct trace_span *trace_child(const struct trace_context *parent, const char *name,
                               enum trace_kind kind);
/* A span below `incoming` if it is there, else the first of a new trace. `share` of the ratio
 * counts for it (1: all), for what happens often. NULL: not recorded. */
struct trace_span *trace_root(const struct trace_context *incoming, double share, const char *name,
                              enum trace_kind kind);
/* The root of the trace that `id` numbers, the same and recorded alike on every node. */
struct trace_span *trace_root_of(const struct uuid *id, const char *name, enum trace_kind kind);
/* The context of that root, for spans below it; none when it is not recorded. */
struct trace_context trace_context_of(const struct uuid *id);

/* A span that was begun under this context by whoever knew of it first; NULL when it is none or not
 * sampled. `parent`: what it is under; none: nothing. */
struct trace_span *trace_resume(const struct trace_context *context,
                                const struct trace_context *parent, const char *name,
                                enum trace_kind kind);

/* Of a span or, for NULL, none. */
const struct trace_context *trace_context(const struct trace_span *span);

/* Each does nothing for NULL. Values are copied. */
void trace_text(struct trace_span *span, const char *key, const char *value);
void trace_number(struct trace_span *span, const char *key, int64_t value);
/* When it really began, and ended (0: when trace_end is called). Microseconds since the epoch. */
void trace_times(struct trace_span *span, int64_t began_us, int64_t ended_us);
/* Takes the span. `code` negative (base/error.h) or any other that is not 0: it failed, with `text`
 * (NULL allowed). */
void trace_end(struct trace_span *span, int code, const char *text);
void trace_free(struct trace_span *span); /* it never was */

int64_t trace_now_us(void); /* since the epoch */

/* ---- for whoever sends them ------------------------------------------------------------------ */

/* Moves up to `max` spans into `out` (initialised, behind what is there); how many. */
size_t trace_take(struct trace_spans *out, size_t max);
size_t trace_waiting(void);
void trace_free_all(struct trace_spans *spans);

/* What the spans are of. */
struct trace_resource {
    const char *service; /* service.name */
    const char *version;
    const char *instance; /* service.instance.id: the node's identity */
    const char *node;     /* its name */
    const char *cluster;  /* id of the cluster, may be "" */
};

/* Appends an ExportTraceServiceRequest in OTLP's JSON encoding. ERR_TOO_LARGE. */
int trace_write(struct buf *out, const struct trace_resource *resource,
                const struct trace_spans *spans);

#endif
