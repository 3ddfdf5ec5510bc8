#include "base/prng.h"

#include <assert.h>

static uint64_t prng_rotate_left(uint64_t x, unsigned bits)
{
    return x << bits | x >> (64 - bits);
}

static uint64_t prng_splitmix64(uint64_t *state)
{
    *state += UINT64_C(0x9e3779b97f4a7c15);
    uint64_t z = *state;
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

void prng_init(struct prng *prng, uint64_t seed)
{
    for (unsigned i = 0; i < 4; i++)
        prng->state[i] = prng_splitmix64(&seed);
}

uint64_t prng_next(struct prng *prng)
{
    uint64_t *s = prng->state;
    uint64_t result = prng_rotate_left(s[1] * 5, 7) * 9;
    uint64_t shifted = s[1] << 17;
    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= shifted;
    s[3] = prng_rotate_left(s[3], 45);
    return result;
}

uint64_t prng_below(struct prng *prng, uint64_t bound)
{
    assert(bound > 0);
    uint64_t excess =
        (0 - bound) % bound; /* 2^64 mod bound: that many values would come too often */
    uint64_t value;
    do {
        value = prng_next(prng);
    } while (value < excess);
    return value % bound;
}

uint64_t prng_between(struct prng *prng, uint64_t first, uint64_t last)
{
    assert(first <= last);
    uint64_t span = last - first;
    return span == UINT64_MAX ? prng_next(prng) : first + prng_below(prng, span + 1);
}

bool prng_chance(struct prng *prng, uint64_t hits, uint64_t of)
{
    return prng_below(prng, of) < hits;
}

/* Little-endian by hand, so that every machine gets the same bytes. */
void prng_bytes(struct prng *prng, void *out, size_t len)
{
    uint8_t *at = out;
    uint64_t word = 0;
    for (size_t i = 0; i < len; i++) {
        word = i % 8 == 0 ? prng_next(prng) : word >> 8;
        at[i] = (uint8_t)word;
    }
}
