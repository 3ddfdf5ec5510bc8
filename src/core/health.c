#include "core/health.h"

#include <assert.h>

unsigned health_bucket(uint64_t latency_us)
{
    if (latency_us < HEALTH_LATENCY_US_MIN)
        return 0;
    unsigned exponent = 63 - (unsigned)__builtin_clzll(latency_us); /* >= 7 */
    unsigned quarter = (unsigned)(latency_us >> (exponent - 2)) & 3;
    unsigned bucket = 1 + (exponent - 7) * 4 + quarter;
    return bucket < HEALTH_BUCKETS ? bucket : HEALTH_BUCKETS - 1;
}

uint64_t health_bucket_limit_us(unsigned bucket)
{
    assert(bucket < HEALTH_BUCKETS);
    if (bucket == 0)
        return HEALTH_LATENCY_US_MIN;
    unsigned exponent = 7 + (bucket - 1) / 4;
    unsigned quarter = (bucket - 1) % 4;
    return (UINT64_C(5) + quarter) << (exponent - 2);
}

void health_count(struct health *health, bool error, uint64_t latency_us)
{
    health->requests++;
    health->errors += error;
    health->latency[health_bucket(latency_us)]++;
}

void health_add(struct health *to, const struct health *from)
{
    to->requests += from->requests;
    to->errors += from->errors;
    for (unsigned i = 0; i < HEALTH_BUCKETS; i++)
        to->latency[i] += from->latency[i];
}

void health_since(const struct health *now, const struct health *before, struct health *out)
{
    struct health since = *now;
    bool anew = now->requests < before->requests || now->errors < before->errors;
    for (unsigned i = 0; i < HEALTH_BUCKETS && !anew; i++)
        anew = now->latency[i] < before->latency[i];
    if (!anew) {
        since.requests -= before->requests;
        since.errors -= before->errors;
        for (unsigned i = 0; i < HEALTH_BUCKETS; i++)
            since.latency[i] -= before->latency[i];
    }
    *out = since;
}

uint64_t health_percentile_us(const struct health *health, unsigned permille)
{
    uint64_t total = 0;
    for (unsigned i = 0; i < HEALTH_BUCKETS; i++)
        total += health->latency[i];
    uint64_t wanted = (total * permille + 999) / 1000;
    uint64_t seen = 0;
    for (unsigned i = 0; i < HEALTH_BUCKETS && total > 0; i++) {
        seen += health->latency[i];
        if (seen >= wanted && seen > 0)
            return health_bucket_limit_us(i);
    }
    return 0;
}

unsigned health_errors_permille(const struct health *health)
{
    if (health->requests == 0)
        return 0;
    return (unsigned)((health->errors * 1000 + health->requests - 1) / health->requests);
}
