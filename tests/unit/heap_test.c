#include "base/heap.h"

#include "tests/unit/generated.h"

struct thing {
    uint64_t key;
    size_t place;
};

static bool thing_before(const void *a, const void *b)
{
    const struct thing *left = a;
    const struct thing *right = b;
    return left->key != right->key ? left->key < right->key : left < right;
}

static void items_come_out_in_order_whatever_was_moved_and_removed(void **state)
{
    (void)state;
    struct generated g;
    generated_init(&g, 300);
    while (generated_next(&g)) {
        struct thing things[64] = {0};
        size_t n = 1 + prng_below(&g.prng, 64);
        struct heap heap;
        heap_init(&heap, thing_before, offsetof(struct thing, place));
        for (int i = 0; i < 200; i++) {
            struct thing *thing = &things[prng_below(&g.prng, n)];
            uint64_t key = prng_below(&g.prng, 40);
            if (!heap_holds(&heap, thing)) {
                thing->key = key;
                heap_insert(&heap, thing);
            } else if (prng_chance(&g.prng, 1, 2)) {
                heap_remove(&heap, thing);
            } else {
                thing->key = key;
                heap_moved(&heap, thing);
            }
            heap_check(&heap);
        }
        const struct thing *last = NULL;
        for (struct thing *first; (first = heap_first(&heap)) != NULL;) {
            generated_check(&g, last == NULL || thing_before(last, first), "%d", 0);
            heap_remove(&heap, first);
            generated_check(&g, !heap_holds(&heap, first), "%d", 0);
            last = first;
        }
        heap_done(&heap);
    }
}

struct offered {
    struct thing *things[64];
    size_t n;
    size_t take;
    size_t stop;
};

static enum heap_verdict offered_judge(const void *item, void *arg)
{
    struct offered *offered = arg;
    offered->things[offered->n++] = (struct thing *)(uintptr_t)item;
    if (offered->n == offered->take)
        return HEAP_VERDICT_TAKE;
    return offered->n == offered->stop ? HEAP_VERDICT_STOP : HEAP_VERDICT_NEXT;
}

static void a_search_offers_items_in_order_until_one_is_taken(void **state)
{
    (void)state;
    struct generated g;
    generated_init(&g, 300);
    while (generated_next(&g)) {
        struct thing things[64] = {0};
        size_t n = 1 + prng_below(&g.prng, 64);
        struct heap heap;
        heap_init(&heap, thing_before, offsetof(struct thing, place));
        for (size_t i = 0; i < n; i++) {
            things[i].key = prng_below(&g.prng, 100);
            heap_insert(&heap, &things[i]);
        }
        struct offered offered = {.take = 1 + prng_below(&g.prng, 80)};
        const struct thing *taken = heap_search(&heap, offered_judge, &offered);
        generated_check(&g, offered.n == (offered.take < n ? offered.take : n), "%zu", offered.n);
        generated_check(&g, (taken != NULL) == (offered.take <= n), "%zu of %zu", offered.take, n);
        for (size_t i = 0; i < offered.n; i++) {
            generated_check(&g, heap_first(&heap) == offered.things[i], "at %zu", i);
            heap_remove(&heap, offered.things[i]);
        }
        heap_done(&heap);
    }
}

static void a_search_can_stop_without_taking(void **state)
{
    (void)state;
    struct thing things[9] = {0};
    struct heap heap;
    heap_init(&heap, thing_before, offsetof(struct thing, place));
    struct offered none = {0};
    assert_null(heap_search(&heap, offered_judge, &none));
    for (size_t i = 0; i < 9; i++)
        heap_insert(&heap, &things[i]);
    struct offered offered = {.stop = 4};
    assert_null(heap_search(&heap, offered_judge, &offered));
    assert_int_equal(offered.n, 4);
    heap_done(&heap);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(items_come_out_in_order_whatever_was_moved_and_removed),
        cmocka_unit_test(a_search_offers_items_in_order_until_one_is_taken),
        cmocka_unit_test(a_search_can_stop_without_taking),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
