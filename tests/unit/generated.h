/* Generated test cases that replay: each case has a seed of its own, and a failure names it.
 *
 *     struct generated g;
 *     generated_init(&g, 1000);
 *     while (generated_next(&g)) {
 *         ... prng_below(&g.prng, 10) ...
 *         generated_check(&g, a == b, "a is %d, b is %d", a, b);
 *     }
 *
 * TEST_SEED=N begins with that case; SOAK=1 runs a hundred times as many. */
#ifndef TESTS_UNIT_GENERATED_H
#define TESTS_UNIT_GENERATED_H

#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/prng.h"

struct generated {
    uint64_t seed; /* of the present case */
    uint64_t cases_left;
    struct prng prng;
};

static inline void generated_init(struct generated *g, unsigned cases)
{
    const char *seed = getenv("TEST_SEED");
    const char *soak = getenv("SOAK");
    g->seed = (seed != NULL ? strtoull(seed, NULL, 10) : 1) - 1;
    g->cases_left = soak != NULL && soak[0] == '1' ? cases * UINT64_C(100) : cases;
}

static inline bool generated_next(struct generated *g)
{
    if (g->cases_left == 0)
        return false;
    g->cases_left--;
    g->seed++;
    prng_init(&g->prng, g->seed);
    return true;
}

/* A string of up to len_max - 1 characters of `alphabet`. */
static inline const char *generated_text(struct generated *g, const char *alphabet, size_t len_max,
                                         char *out)
{
    size_t letters = 0;
    while (alphabet[letters] != '\0')
        letters++;
    size_t len = prng_below(&g->prng, len_max);
    for (size_t i = 0; i < len; i++)
        out[i] = alphabet[prng_below(&g->prng, letters)];
    out[len] = '\0';
    return out;
}

#define generated_check(g, condition, fmt, ...)                                                    \
    do {                                                                                           \
        if (!(condition))                                                                          \
            fail_msg("TEST_SEED=%" PRIu64 ": not %s: " fmt, (g)->seed, #condition, __VA_ARGS__);   \
    } while (0)

#endif
