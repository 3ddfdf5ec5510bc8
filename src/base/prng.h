/* Deterministic random numbers for simulated worlds, generated tests and jitter: one seed gives one
 * sequence on every machine. Never for secrets; those come from random_bytes (base/uuid.h).
 *
 * xoshiro256**, its state filled by SplitMix64 as its authors advise: D. Blackman, S. Vigna,
 * "Scrambled Linear Pseudorandom Number Generators", ACM TOMS 47(4), 2021;
 * https://prng.di.unimi.it/ (public domain). */
#ifndef BASE_PRNG_H
#define BASE_PRNG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct prng {
    uint64_t state[4]; /* not all zero */
};

/* Every seed is good, also 0 and its neighbours. */
void prng_init(struct prng *prng, uint64_t seed);

uint64_t prng_next(struct prng *prng);

/* Without bias: [0, bound), bound > 0; and [first, last], first <= last. */
uint64_t prng_below(struct prng *prng, uint64_t bound);
uint64_t prng_between(struct prng *prng, uint64_t first, uint64_t last);

/* True `hits` times in `of`; of > 0. */
bool prng_chance(struct prng *prng, uint64_t hits, uint64_t of);

void prng_bytes(struct prng *prng, void *out, size_t len);

#endif
