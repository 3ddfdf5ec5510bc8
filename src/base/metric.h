/* What the process counts and measures, for Prometheus and for cluster.metrics.
 *
 * One row of metric_rows.h makes a metric: its name, type, unit, labels and help; from it come what
 * is exposed, docs/metrics.md and their test. A metric without labels is one series that is always
 * there; one with labels has a series for each combination of values that was met, at most
 * METRIC_SERIES_MAX: further ones are counted together under the value "other".
 *
 * Values are single atomic words: counting takes some nanoseconds, on any thread. Finding a series
 * by its labels takes no lock either, yet what is counted often keeps the series, which stays valid
 * for the life of the process.
 *
 * Times are given in microseconds and exposed in seconds. */
#ifndef BASE_METRIC_H
#define BASE_METRIC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/metric_rows.h"

enum metric_type { METRIC_COUNTER, METRIC_GAUGE, METRIC_HISTOGRAM };

/* What a value counts, and its scale: the name of the metric ends in it. */
enum metric_unit { METRIC_NONE, METRIC_SECONDS, METRIC_BYTES, METRIC_RATIO };

/* The bounds of a histogram's buckets. */
enum metric_buckets {
    METRIC_NO_BUCKETS,
    METRIC_LATENCY, /* 50 us to 10 s */
    METRIC_SPAN,    /* 5 ms to 4 h */
    METRIC_COUNTS,  /* 1 to 16384 */
};

enum {
    METRIC_LABELS_MAX = 3,
    METRIC_VALUE_MAX = 64, /* bytes of a label's value; longer ones are cut */
    METRIC_SERIES_MAX = 1024,
    METRIC_TEXT_MAX = 16 << 20, /* bytes of an exposition */
};

#define METRIC_ENUM(id, ...) METRIC_##id,
enum metric { METRIC_ROWS(METRIC_ENUM) METRIC_N };
#undef METRIC_ENUM

struct metric_row {
    const char *name;
    enum metric_type type;
    enum metric_unit unit;
    enum metric_buckets buckets;
    const char *labels; /* "kind,result"; "": none */
    const char *help;   /* no full stop at its end */
};

const struct metric_row *metric_row(enum metric metric);

struct metric_series;

/* The series of these label values, as many as the row has labels; never NULL. */
#define metric_series(metric, ...)                                                                 \
    metric_find((metric), (const char *const[]){__VA_ARGS__},                                      \
                sizeof((const char *const[]){__VA_ARGS__}) / sizeof(const char *))
struct metric_series *metric_find(enum metric metric, const char *const *values, size_t n);

/* ---- metrics without labels ------------------------------------------------------------------ */

void metric_add(enum metric metric, uint64_t n);
void metric_set(enum metric metric, double value);      /* a gauge */
void metric_observe(enum metric metric, int64_t value); /* a histogram; negative: as 0 */
/* Since `from_us` of clock_mono_us(). */
void metric_observe_since(enum metric metric, int64_t from_us);
/* A counter that somebody else keeps; it never goes back. */
void metric_set_counter(enum metric metric, uint64_t value);

/* ---- the same for a series ------------------------------------------------------------------- */

void metric_series_add(struct metric_series *series, uint64_t n);
void metric_series_set(struct metric_series *series, double value);
void metric_series_observe(struct metric_series *series, int64_t value);
void metric_series_set_counter(struct metric_series *series, uint64_t value);

/* ---- read ------------------------------------------------------------------------------------ */

/* Hides the gauges of all series of this metric until they are set again: those of things that are
 * gone don't come back. For collectors. */
void metric_clear(enum metric metric);

/* Called before values are read, to set the gauges of what is only looked at then; on the thread
 * that reads, which is the loop's. At most METRIC_COLLECTORS_MAX at once. */
typedef void (*metric_collect_fn)(void *arg);
enum { METRIC_COLLECTORS_MAX = 32 };
void metric_add_collector(metric_collect_fn fn, void *arg);
void metric_remove_collector(metric_collect_fn fn, void *arg);
void metric_collect(void);

/* One value. `labels` are `n` pairs of name and value. Histograms give _bucket with the label "le",
 * _sum and _count. All is borrowed for the call. */
struct metric_sample {
    enum metric metric;
    const char *suffix; /* "", "_bucket", "_sum", "_count" */
    const char *labels[METRIC_LABELS_MAX + 1][2];
    size_t labels_n;
    double value;
};

/* 0, or what `fn` returned to end it. In the order of the rows, the samples of a metric in a fixed
 * order. */
int metric_each(int (*fn)(void *arg, const struct metric_sample *sample), void *arg);

enum metric_format {
    METRIC_FORMAT_PROMETHEUS, /* text format 0.0.4 */
    METRIC_FORMAT_OPENMETRICS /* OpenMetrics 1.0.0 */
};

/* The content type of that format. */
const char *metric_format_type(enum metric_format format);
/* The format that an Accept header (NULL: none) asks for. */
enum metric_format metric_format_accepted(const char *accept);

/* Appends the exposition of everything. ERR_TOO_LARGE. */
int metric_write(struct buf *out, enum metric_format format);
/* Appends the table of all rows as Markdown: docs/metrics.md. */
int metric_write_reference(struct buf *out);

#endif
