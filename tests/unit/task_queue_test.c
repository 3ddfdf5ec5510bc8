#include "role/task_queue.h"

#include <string.h>

#include "base/mem.h"
#include "core/scheduler.h"
#include "tests/unit/generated.h"

struct item {
    struct task_queue_item item;
    bool held;
};

static struct task_queue_item make(uint32_t index, uint32_t cpus)
{
    struct task_queue_item item = {.cpus = cpus};
    item.key.index = index;
    item.key.attempt = 1;
    return item;
}

static void let_go(struct task_queue *queue)
{
    for (unsigned state = 0; state <= TASK_QUEUE_ENDED; state++)
        while (!TAILQ_EMPTY(&queue->lists[state]))
            task_queue_remove(queue, TAILQ_FIRST(&queue->lists[state]));
}

static void slots_are_given_in_the_order_of_arrival(void **state)
{
    struct task_queue queue;
    struct task_queue_item items[3] = {make(0, 1), make(1, 0), make(2, 1)};
    (void)state;
    task_queue_init(&queue, 2);
    for (unsigned i = 0; i < 3; i++)
        assert_int_equal(task_queue_add(&queue, &items[i], 0), 0);
    assert_ptr_equal(task_queue_next(&queue), &items[0]);
    task_queue_run(&queue, &items[0]);
    assert_ptr_equal(task_queue_next(&queue), &items[1]);
    task_queue_run(&queue, &items[1]);
    assert_null(task_queue_next(&queue));
    task_queue_end(&queue, &items[1]);
    assert_ptr_equal(task_queue_next(&queue), &items[2]);
    let_go(&queue);
}

static void one_that_needs_several_slots_lets_nobody_pass(void **state)
{
    struct task_queue queue;
    struct task_queue_item items[3] = {make(0, 1), make(1, 2), make(2, 1)};
    (void)state;
    task_queue_init(&queue, 2);
    for (unsigned i = 0; i < 3; i++)
        assert_int_equal(task_queue_add(&queue, &items[i], 0), 0);
    task_queue_run(&queue, &items[0]);
    assert_null(task_queue_next(&queue));
    task_queue_end(&queue, &items[0]);
    assert_ptr_equal(task_queue_next(&queue), &items[1]);
    task_queue_run(&queue, &items[1]);
    assert_null(task_queue_next(&queue));
    let_go(&queue);
}

static void a_held_key_is_refused_until_it_was_let_go(void **state)
{
    struct task_queue queue;
    struct task_queue_item first = make(7, 1);
    struct task_queue_item again = make(7, 1);
    (void)state;
    task_queue_init(&queue, 1);
    assert_int_equal(task_queue_add(&queue, &first, 0), 0);
    assert_int_equal(task_queue_add(&queue, &again, 0), ERR_EXISTS);
    task_queue_end(&queue, &first);
    assert_int_equal(task_queue_add(&queue, &again, 0), ERR_EXISTS);
    assert_ptr_equal(task_queue_find(&queue, &again.key), &first);
    task_queue_remove(&queue, &first);
    assert_null(task_queue_find(&queue, &again.key));
    assert_int_equal(task_queue_add(&queue, &again, 0), 0);
    let_go(&queue);
}

static void as_many_are_accepted_as_a_scheduler_gives(void **state)
{
    struct task_queue queue;
    struct task_queue_item items[21];
    (void)state;
    task_queue_init(&queue, 3);
    assert_int_equal(sched_slots_ahead(3), 20);
    for (unsigned i = 0; i < 21; i++) {
        items[i] = make(i, 1);
        assert_int_equal(task_queue_add(&queue, &items[i], 0), i < 20 ? 0 : ERR_BUSY);
    }
    task_queue_end(&queue, &items[0]);
    assert_int_equal(task_queue_add(&queue, &items[20], 0), 0);
    let_go(&queue);
}

static void plain_items_are_handed_on_at_once_and_others_wait_for_them(void **state)
{
    struct task_queue queue;
    struct task_queue_item items[4] = {make(0, 1), make(1, 1), make(2, 1), make(3, 1)};
    (void)state;
    task_queue_init(&queue, 2);
    for (unsigned i = 0; i < 4; i++) {
        items[i].plain = i != 2;
        assert_int_equal(task_queue_add(&queue, &items[i], 0), 0);
    }
    for (unsigned i = 0; i < 2; i++) {
        assert_ptr_equal(task_queue_next(&queue), &items[i]);
        task_queue_hand(&queue, &items[i]);
    }
    assert_null(task_queue_next(&queue));
    task_queue_run(&queue, &items[0]);
    assert_null(task_queue_next(&queue)); /* one is free, who came before has not started */
    task_queue_recall(&queue, &items[1]);
    assert_null(task_queue_next(&queue)); /* it may start yet */
    task_queue_remove(&queue, &items[1]);
    assert_ptr_equal(task_queue_next(&queue), &items[2]);
    assert_int_equal(task_queue_line_slots(&queue), 2);
    task_queue_run(&queue, &items[2]);
    assert_int_equal(task_queue_line_slots(&queue), 1);
    assert_ptr_equal(task_queue_next(&queue), &items[3]);
    task_queue_end(&queue, &items[2]);
    assert_int_equal(task_queue_line_slots(&queue), 2);
    let_go(&queue);
}

static void what_was_handed_on_is_overdue_once(void **state)
{
    struct task_queue queue;
    struct task_queue_item items[2] = {make(0, 1), make(1, 1)};
    (void)state;
    task_queue_init(&queue, 1);
    for (unsigned i = 0; i < 2; i++) {
        items[i].plain = true;
        assert_int_equal(task_queue_add(&queue, &items[i], 10 * i), 0);
        task_queue_hand(&queue, &items[i]);
    }
    assert_ptr_equal(task_queue_overdue(&queue, TASK_QUEUE_HOLD_MS), &items[0]);
    task_queue_recall(&queue, &items[0]);
    assert_null(task_queue_overdue(&queue, TASK_QUEUE_HOLD_MS));
    assert_int_equal(task_queue_due_ms(&queue), 10 + TASK_QUEUE_HOLD_MS);
    assert_int_equal(task_queue_waiting_n(&queue), 2);
    task_queue_run(&queue, &items[0]); /* it had started */
    assert_int_equal(task_queue_waiting_n(&queue), 1);
    assert_int_equal(task_queue_active_n(&queue), 2);
    let_go(&queue);
}

static void more_slots_than_there_are_are_refused(void **state)
{
    struct task_queue queue;
    struct task_queue_item item = make(0, 3);
    (void)state;
    task_queue_init(&queue, 2);
    assert_int_equal(task_queue_add(&queue, &item, 0), ERR_TOO_LARGE);
    assert_null(task_queue_find(&queue, &item.key));
    assert_int_equal(task_queue_due_ms(&queue), INT64_MAX);
}

static void what_waited_a_quarter_of_a_second_is_overdue(void **state)
{
    struct task_queue queue;
    struct task_queue_item items[2] = {make(0, 1), make(1, 1)};
    (void)state;
    task_queue_init(&queue, 1);
    assert_int_equal(task_queue_add(&queue, &items[0], 1000), 0);
    task_queue_run(&queue, &items[0]);
    assert_int_equal(task_queue_due_ms(&queue), INT64_MAX);
    assert_int_equal(task_queue_add(&queue, &items[1], 1010), 0);
    assert_int_equal(task_queue_due_ms(&queue), 1010 + TASK_QUEUE_HOLD_MS);
    assert_null(task_queue_overdue(&queue, 1009 + TASK_QUEUE_HOLD_MS));
    assert_ptr_equal(task_queue_overdue(&queue, 1010 + TASK_QUEUE_HOLD_MS), &items[1]);
    let_go(&queue);
}

static void check_counts(const struct generated *g, const struct task_queue *queue,
                         const struct item *items, size_t n)
{
    uint32_t counts[TASK_QUEUE_STATES] = {0};
    uint32_t slots = 0;
    uint32_t apart = 0;
    for (size_t i = 0; i < n; i++) {
        const struct task_queue_item *item = &items[i].item;
        generated_check(g, (task_queue_find(queue, &item->key) == item) == items[i].held,
                        "item %zu is%s found", i, items[i].held ? " not" : "");
        if (!items[i].held)
            continue;
        counts[item->state]++;
        if (item->state != TASK_QUEUE_RUNNING)
            continue;
        slots += task_queue_cpus(item);
        apart += item->plain ? 0 : task_queue_cpus(item);
    }
    for (unsigned i = 0; i < TASK_QUEUE_STATES; i++)
        generated_check(g, counts[i] == queue->n[i], "%u are in state %u, not %u", counts[i], i,
                        queue->n[i]);
    generated_check(g, slots == queue->slots_used && slots <= queue->slots,
                    "%u slots are used, not %u", slots, queue->slots_used);
    generated_check(g, task_queue_line_slots(queue) == queue->slots - apart,
                    "plain items share %u slots", task_queue_line_slots(queue));
}

/* Starts what is in line and fits, as the spawner would. */
static void run_line(struct task_queue *queue)
{
    struct task_queue_item *first;
    while ((first = TAILQ_FIRST(&queue->lists[TASK_QUEUE_HANDED])) != NULL &&
           queue->slots_used + task_queue_cpus(first) <= queue->slots)
        task_queue_run(queue, first);
}

/* What may start, starts; order of arrival is kept. */
static void pump(const struct generated *g, struct task_queue *queue)
{
    struct task_queue_item *next;
    while ((next = task_queue_next(queue)) != NULL) {
        generated_check(g, next == TAILQ_FIRST(&queue->lists[TASK_QUEUE_QUEUED]),
                        "%u passes another", next->key.index);
        if (next->plain)
            task_queue_hand(queue, next);
        else
            task_queue_run(queue, next);
    }
}

static void counts_and_slots_add_up_whatever_happens(void **state)
{
    struct generated g;
    enum { ITEMS = 40 };
    struct item items[ITEMS];
    (void)state;
    generated_init(&g, 300);
    while (generated_next(&g)) {
        struct task_queue queue;
        task_queue_init(&queue, (uint32_t)prng_below(&g.prng, 6));
        memset(items, 0, sizeof items);
        for (unsigned i = 0; i < ITEMS; i++) {
            items[i].item = make(i, (uint32_t)prng_below(&g.prng, 4));
            items[i].item.plain = prng_below(&g.prng, 3) > 0;
        }
        for (unsigned step = 0; step < 200; step++) {
            struct item *one = &items[prng_below(&g.prng, ITEMS)];
            uint64_t what = prng_below(&g.prng, 6);
            if (!one->held)
                one->held = task_queue_add(&queue, &one->item, step) == 0;
            else if (what == 0 && one->item.state != TASK_QUEUE_ENDED)
                task_queue_end(&queue, &one->item);
            else if (what == 1)
                pump(&g, &queue);
            else if (what == 2)
                run_line(&queue);
            else if (what == 3 && one->item.state == TASK_QUEUE_HANDED)
                task_queue_recall(&queue, &one->item);
            else if (what == 4) {
                task_queue_remove(&queue, &one->item);
                one->held = false;
            }
            check_counts(&g, &queue, items, ITEMS);
        }
        let_go(&queue);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(slots_are_given_in_the_order_of_arrival),
        cmocka_unit_test(one_that_needs_several_slots_lets_nobody_pass),
        cmocka_unit_test(a_held_key_is_refused_until_it_was_let_go),
        cmocka_unit_test(as_many_are_accepted_as_a_scheduler_gives),
        cmocka_unit_test(plain_items_are_handed_on_at_once_and_others_wait_for_them),
        cmocka_unit_test(what_was_handed_on_is_overdue_once),
        cmocka_unit_test(more_slots_than_there_are_are_refused),
        cmocka_unit_test(what_waited_a_quarter_of_a_second_is_overdue),
        cmocka_unit_test(counts_and_slots_add_up_whatever_happens),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
