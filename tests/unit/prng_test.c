#include "base/prng.h"

#include <string.h>

#include "tests/unit/generated.h"

/* The values that the authors' C code gives. */
static void it_is_xoshiro256_star_star(void **state)
{
    (void)state;
    static const uint64_t want[] = {UINT64_C(11520),
                                    UINT64_C(0),
                                    UINT64_C(1509978240),
                                    UINT64_C(1215971899390074240),
                                    UINT64_C(1216172134540287360),
                                    UINT64_C(607988272756665600),
                                    UINT64_C(16172922978634559625),
                                    UINT64_C(8476171486693032832),
                                    UINT64_C(10595114339597558777),
                                    UINT64_C(2904607092377533576)};
    struct prng prng = {.state = {1, 2, 3, 4}};
    for (size_t i = 0; i < sizeof want / sizeof *want; i++)
        assert_true(prng_next(&prng) == want[i]);
}

static void the_seed_is_spread_by_splitmix64(void **state)
{
    (void)state;
    static const uint64_t want[] = {UINT64_C(6457827717110365317), UINT64_C(3203168211198807973),
                                    UINT64_C(9817491932198370423), UINT64_C(4593380528125082431)};
    struct prng prng;
    prng_init(&prng, 1234567);
    assert_memory_equal(prng.state, want, sizeof want);
}

static void one_seed_gives_one_sequence_and_its_neighbour_another(void **state)
{
    (void)state;
    struct prng a;
    struct prng b;
    struct prng c;
    prng_init(&a, 0);
    prng_init(&b, 0);
    prng_init(&c, 1);
    unsigned same = 0;
    for (int i = 0; i < 1000; i++) {
        uint64_t value = prng_next(&a);
        assert_true(value == prng_next(&b));
        same += value == prng_next(&c);
    }
    assert_int_equal(same, 0);
}

static void values_stay_inside_their_bounds(void **state)
{
    (void)state;
    struct generated g;
    generated_init(&g, 2000);
    while (generated_next(&g)) {
        uint64_t bound = prng_next(&g.prng) >> prng_below(&g.prng, 64);
        bound += bound == 0;
        uint64_t value = prng_below(&g.prng, bound);
        generated_check(&g, value < bound, "%" PRIu64 " of %" PRIu64, value, bound);
        uint64_t first = prng_next(&g.prng);
        uint64_t last = prng_chance(&g.prng, 1, 9) ? UINT64_MAX : first | prng_next(&g.prng);
        value = prng_between(&g.prng, first, last);
        generated_check(&g, first <= value && value <= last, "%" PRIu64, value);
    }
    struct prng prng;
    prng_init(&prng, 5);
    assert_int_equal(prng_below(&prng, 1), 0);
    assert_true(prng_between(&prng, UINT64_MAX, UINT64_MAX) == UINT64_MAX);
    (void)prng_between(&prng, 0, UINT64_MAX);
    assert_true(prng_chance(&prng, 3, 3));
    assert_false(prng_chance(&prng, 0, 3));
}

/* 60,000 throws: each face within five standard deviations (91) of 10,000. */
static void a_die_is_fair(void **state)
{
    (void)state;
    struct prng prng;
    unsigned faces[6] = {0};
    prng_init(&prng, 42);
    for (int i = 0; i < 60000; i++)
        faces[prng_below(&prng, 6)]++;
    for (int face = 0; face < 6; face++)
        assert_in_range(faces[face], 10000 - 455, 10000 + 455);
}

/* With a bound of 3/4 of all values, plain modulo would give the lowest third half of the throws:
 * 30,000 throws, five standard deviations (82). */
static void large_bounds_have_no_bias(void **state)
{
    (void)state;
    struct prng prng;
    unsigned low = 0;
    prng_init(&prng, 43);
    for (int i = 0; i < 30000; i++)
        low += prng_below(&prng, UINT64_C(3) << 62) < UINT64_C(1) << 62;
    assert_in_range(low, 10000 - 410, 10000 + 410);
}

static void bytes_are_those_of_the_sequence_in_little_endian(void **state)
{
    (void)state;
    struct prng a;
    struct prng b;
    uint8_t bytes[13];
    prng_init(&a, 7);
    prng_init(&b, 7);
    prng_bytes(&a, bytes, sizeof bytes);
    uint64_t word = 0;
    for (size_t i = 0; i < sizeof bytes; i++) {
        if (i % 8 == 0)
            word = prng_next(&b);
        assert_int_equal(bytes[i], word >> (i % 8 * 8) & 0xff);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_is_xoshiro256_star_star),
        cmocka_unit_test(the_seed_is_spread_by_splitmix64),
        cmocka_unit_test(one_seed_gives_one_sequence_and_its_neighbour_another),
        cmocka_unit_test(values_stay_inside_their_bounds),
        cmocka_unit_test(a_die_is_fair),
        cmocka_unit_test(large_bounds_have_no_bias),
        cmocka_unit_test(bytes_are_those_of_the_sequence_in_little_endian),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
