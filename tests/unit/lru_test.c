/* What is kept, and what goes when there is no room. */
#include "tests/unit/generated.h"

#include <string.h>

#include "base/lru.h"

enum { THINGS = 24 };

struct thing {
    struct lru_item item;
    bool dropped;
};

static struct lru lru;
static struct thing things[THINGS];

static void thing_drop(struct lru_item *item)
{
    struct thing *thing = (struct thing *)(void *)item;
    assert_int_equal(item->users, 0);
    assert_false(thing->dropped);
    thing->dropped = true;
    lru_remove(&lru, item);
}

static void things_init(uint64_t bytes_max, size_t n_max)
{
    memset(things, 0, sizeof things);
    lru_init(&lru, bytes_max, n_max, thing_drop);
}

static void the_longest_unused_goes_first_and_what_is_in_use_stays(void **state)
{
    (void)state;
    things_init(100, 10);
    for (int i = 0; i < 4; i++)
        lru_add(&lru, &things[i].item, 25);
    things[1].item.users = 1;
    lru_use(&lru, &things[0].item);
    assert_true(lru_make_room(&lru, 50));
    assert_false(things[0].dropped);
    assert_false(things[1].dropped);
    assert_true(things[2].dropped && things[3].dropped);
    assert_false(lru_make_room(&lru, 80)); /* one is in use */
    assert_true(things[0].dropped);
    assert_int_equal(lru.n, 1);
    assert_int_equal(lru.bytes, 25);
}

static void for_what_never_fits_nothing_goes(void **state)
{
    (void)state;
    things_init(100, 10);
    lru_add(&lru, &things[0].item, 100);
    assert_false(lru_make_room(&lru, 101));
    assert_false(lru_make_room(&lru, UINT64_MAX));
    assert_false(things[0].dropped);
    assert_true(lru_make_room(&lru, 100));
    assert_true(things[0].dropped);
}

static void what_was_there_before_may_be_too_much(void **state)
{
    (void)state;
    things_init(10, 10);
    for (int i = 0; i < 4; i++)
        lru_add(&lru, &things[i].item, 5); /* as found on a disk */
    assert_true(lru_make_room(&lru, 0));
    assert_int_equal(lru.bytes, 10);
    assert_true(things[0].dropped && things[1].dropped);
}

static void their_number_is_bounded_too(void **state)
{
    (void)state;
    things_init(1000, 2);
    lru_add(&lru, &things[0].item, 1);
    lru_add(&lru, &things[1].item, 0);
    assert_true(lru_make_room(&lru, 1));
    assert_true(things[0].dropped);
    assert_false(things[1].dropped);
    things[1].item.users = 1;
    lru_add(&lru, &things[2].item, 1);
    lru_clear(&lru);
    assert_true(things[2].dropped);
    assert_int_equal(lru.n, 1);
}

/* Beside a plain model: an array in order of use. */
static void it_does_as_a_plain_list_does(void **state)
{
    (void)state;
    struct generated g;
    generated_init(&g, 300);
    while (generated_next(&g)) {
        size_t order[THINGS];
        size_t n = 0;
        uint64_t bytes = 0;
        things_init(60, 6);
        for (int turn = 0; turn < 60; turn++) {
            size_t i = prng_below(&g.prng, THINGS);
            struct lru_item *item = &things[i].item;
            size_t at = 0;
            while (at < n && order[at] != i)
                at++;
            if (at == n && !things[i].dropped) {
                uint64_t size = prng_below(&g.prng, 30);
                bool room = true;
                for (size_t k = 0; k < n && (bytes + size > 60 || n >= 6);) {
                    if (things[order[k]].item.users > 0) {
                        k++;
                        continue;
                    }
                    bytes -= things[order[k]].item.bytes;
                    memmove(&order[k], &order[k + 1], (n - k - 1) * sizeof *order);
                    n--;
                }
                room = bytes + size <= 60 && n < 6;
                assert_int_equal(lru_make_room(&lru, size), room);
                if (room) {
                    lru_add(&lru, item, size);
                    order[n++] = i;
                    bytes += size;
                }
            } else if (at < n) {
                item->users = prng_below(&g.prng, 3) == 0;
                lru_use(&lru, item);
                memmove(&order[at], &order[at + 1], (n - at - 1) * sizeof *order);
                order[n - 1] = i;
            }
            assert_int_equal(lru.n, n);
            assert_int_equal(lru.bytes, bytes);
            const struct lru_item *kept = TAILQ_FIRST(&lru.items);
            for (size_t k = 0; k < n; k++, kept = TAILQ_NEXT(kept, link))
                assert_ptr_equal(kept, &things[order[k]].item);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_longest_unused_goes_first_and_what_is_in_use_stays),
        cmocka_unit_test(for_what_never_fits_nothing_goes),
        cmocka_unit_test(what_was_there_before_may_be_too_much),
        cmocka_unit_test(their_number_is_bounded_too),
        cmocka_unit_test(it_does_as_a_plain_list_does),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
