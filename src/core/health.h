/* How a model fares: requests, errors, and a histogram of latencies from which percentiles are
 * read.
 *
 * Buckets are logarithmic, four to each doubling, so that a percentile is right within a fifth of
 * its value; the first holds everything below 128 us, the last everything from 67 s on. */
#ifndef CORE_HEALTH_H
#define CORE_HEALTH_H

#include <stdbool.h>
#include <stdint.h>

enum { HEALTH_BUCKETS = 78, HEALTH_LATENCY_US_MIN = 128 };

struct health {
    uint64_t requests; /* answered, errors included */
    uint64_t errors;
    uint64_t latency[HEALTH_BUCKETS];
};

void health_count(struct health *health, bool error, uint64_t latency_us);

/* The bucket of a latency, and the latency below which all of a bucket's lie. */
unsigned health_bucket(uint64_t latency_us);
uint64_t health_bucket_limit_us(unsigned bucket);

void health_add(struct health *to, const struct health *from);
/* What came since `before`, an earlier reading of the same counters; counters that went back began
 * anew: then it is all of `now`. */
void health_since(const struct health *now, const struct health *before, struct health *out);

/* The latency that `permille` of the requests did not exceed, as the upper limit of its bucket; 0
 * without requests. */
uint64_t health_percentile_us(const struct health *health, unsigned permille);
/* Errors in 1000 requests, rounded up; 0 without requests. */
unsigned health_errors_permille(const struct health *health);

#endif
