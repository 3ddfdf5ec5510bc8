/* What the files of base/metric share; nobody else includes it. */
#ifndef BASE_METRIC_INTERNAL_H
#define BASE_METRIC_INTERNAL_H

#include "base/metric.h"

enum { METRIC_CHAINS = 32 };

struct metric_series {
    struct metric_series *next;        /* in its chain */
    struct metric_series *made_before; /* of the same metric */
    enum metric metric;
    uint32_t hash;
    bool shown;
    char *values[METRIC_LABELS_MAX];
    uint64_t word;      /* count; a gauge's double; sum of what a histogram observed, unscaled */
    uint64_t buckets[]; /* one more than bounds */
};

struct metric_head {
    struct metric_series *chains[METRIC_CHAINS];
    struct metric_series *last; /* made */
    size_t series_n;
};

const struct metric_head *metric_head(enum metric metric);
size_t metric_labels_n(const struct metric_row *row);
/* Upper bounds, ascending; the bucket above has none. NULL: no histogram. */
const double *metric_bounds(enum metric_buckets buckets, size_t *n);

/* What a stored integer is multiplied with. */
static inline double metric_scale(enum metric_unit unit)
{
    return unit == METRIC_SECONDS ? 1e-6 : 1;
}

#endif
