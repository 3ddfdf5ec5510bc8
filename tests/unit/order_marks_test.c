#include "core/order_marks.h"

#include <string.h>

#include "base/error.h"
#include "tests/unit/generated.h"

enum { NUMBERS = 200, CLIENTS = 5 };

static struct uuid client_of(unsigned i)
{
    struct uuid client = {{0}};
    client.bytes[0] = 1;
    client.bytes[3] = (uint8_t)i;
    client.bytes[4] = (uint8_t)(i >> 8);
    client.bytes[5] = (uint8_t)(i >> 16);
    return client;
}

static size_t gaps_in(const bool in[NUMBERS + 1])
{
    size_t gaps = 0;
    for (unsigned i = 2; i <= NUMBERS; i++)
        gaps += in[i] && !in[i - 1];
    return gaps;
}

static void every_number_is_known_once_it_came_in_whatever_order(void **state)
{
    (void)state;
    struct generated g;
    generated_init(&g, 300);
    while (generated_next(&g)) {
        struct order_marks marks;
        bool in[CLIENTS][NUMBERS + 1] = {{false}};
        order_marks_init(&marks, g.seed);
        for (unsigned i = 0; i < 400; i++) {
            unsigned who = (unsigned)prng_below(&g.prng, CLIENTS);
            struct uuid client = client_of(who);
            uint64_t number = 1 + prng_below(&g.prng, NUMBERS);
            generated_check(&g, order_marks_has(&marks, &client, number) == in[who][number],
                            "%" PRIu64, number);
            bool before = in[who][number];
            in[who][number] = true;
            size_t gaps = order_marks_gaps(&marks, &client, number);
            generated_check(&g, gaps == gaps_in(in[who]), "%zu gaps", gaps);
            generated_check(&g, order_marks_add(&marks, &client, number) == !before, "%" PRIu64,
                            number);
        }
        struct buf saved;
        buf_init(&saved, 1 << 20);
        assert_int_equal(order_marks_save(&marks, &saved), 0);
        struct order_marks loaded;
        order_marks_init(&loaded, g.seed + 1);
        assert_int_equal(order_marks_load(&loaded, saved.data, saved.len), 0);
        assert_true(loaded.clients == marks.clients);
        for (unsigned who = 0; who < CLIENTS; who++) {
            struct uuid client = client_of(who);
            for (uint64_t number = 1; number <= NUMBERS; number++)
                generated_check(&g, order_marks_has(&loaded, &client, number) == in[who][number],
                                "%" PRIu64, number);
        }
        order_marks_done(&loaded);
        order_marks_done(&marks);
        buf_done(&saved);
    }
}

static void a_client_that_counts_on_costs_no_more_however_far_it_gets(void **state)
{
    (void)state;
    struct order_marks marks;
    struct uuid client = client_of(1);
    order_marks_init(&marks, 1);
    assert_true(order_marks_add(&marks, &client, 1));
    uint64_t bytes = marks.bytes;
    for (uint64_t number = 2; number < 100000; number++)
        assert_true(order_marks_add(&marks, &client, number ^ 1)); /* 3 2 5 4 ... */
    assert_true(marks.bytes <= bytes + 64);
    order_marks_done(&marks);
}

static void a_hundred_thousand_clients_fit_in_seven_megabytes(void **state)
{
    (void)state;
    struct order_marks marks;
    order_marks_init(&marks, 1);
    for (unsigned i = 0; i < 100000; i++) {
        struct uuid client = client_of(i);
        assert_true(order_marks_add(&marks, &client, 1));
    }
    assert_true(marks.clients == 100000);
    assert_true(marks.bytes < 7000000);
    for (unsigned i = 0; i < 100000; i++) {
        struct uuid client = client_of(i);
        assert_true(order_marks_has(&marks, &client, 1));
        assert_false(order_marks_has(&marks, &client, 2));
    }
    order_marks_done(&marks);
}

static void damaged_marks_are_refused_and_crash_nothing(void **state)
{
    (void)state;
    struct generated g;
    generated_init(&g, 500);
    while (generated_next(&g)) {
        struct order_marks marks;
        order_marks_init(&marks, 1);
        for (unsigned i = 0; i < 30; i++) {
            struct uuid client = client_of((unsigned)prng_below(&g.prng, 4));
            order_marks_add(&marks, &client, 1 + prng_below(&g.prng, 50));
        }
        struct buf saved;
        buf_init(&saved, 1 << 20);
        assert_int_equal(order_marks_save(&marks, &saved), 0);
        size_t len = prng_below(&g.prng, saved.len);
        uint8_t *copy = malloc(len + 1);
        memcpy(copy, saved.data, len);
        for (unsigned flips = (unsigned)prng_below(&g.prng, 3); flips > 0 && len > 0; flips--)
            copy[prng_below(&g.prng, len)] ^= (uint8_t)prng_next(&g.prng);
        struct order_marks loaded;
        order_marks_init(&loaded, 2);
        int err = order_marks_load(&loaded, copy, len);
        assert_true(err == 0 || err == ERR_CORRUPT);
        order_marks_done(&loaded);
        order_marks_done(&marks);
        buf_done(&saved);
        free(copy);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_number_is_known_once_it_came_in_whatever_order),
        cmocka_unit_test(a_client_that_counts_on_costs_no_more_however_far_it_gets),
        cmocka_unit_test(a_hundred_thousand_clients_fit_in_seven_megabytes),
        cmocka_unit_test(damaged_marks_are_refused_and_crash_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
