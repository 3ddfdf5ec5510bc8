#include "run/wal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "run/wal_format.h"
#include "tests/unit/generated.h"
#include "tests/unit/wal_fixture.h"

static void reopen(struct wal_fixture *f)
{
    wal_fixture_wait(f);
    wal_fixture_close(f);
    wal_fixture_must_open(f);
}

static void must_hold(struct wal_fixture *f)
{
    const char *wrong = wal_fixture_check(f, f->acked);
    if (wrong != NULL)
        fail_msg("%s", wrong);
}

static void a_new_log_is_empty_and_begins_at_one(void **state)
{
    (void)state;
    struct wal_fixture f;
    wal_fixture_init(&f, 1, true);
    wal_fixture_must_open(&f);
    assert_int_equal(wal_first_index(f.wal), 1);
    assert_int_equal(wal_last_index(f.wal), 0);
    assert_int_equal(wal_torn_bytes(f.wal), 0);
    must_hold(&f);
    reopen(&f);
    must_hold(&f);
    wal_fixture_done(&f);
}

static void records_come_back_in_order_with_all_they_had(void **state)
{
    (void)state;
    struct wal_fixture f;
    wal_fixture_init(&f, 1, true);
    wal_fixture_must_open(&f);
    for (uint32_t len = 0; len < 300; len += 7)
        assert_int_equal(wal_fixture_append(&f, 1 + len % 3, len), 0);
    reopen(&f);
    must_hold(&f);
    assert_int_equal(wal_torn_bytes(f.wal), 0);
    assert_int_equal(wal_fixture_append(&f, 2, 100), 0);
    reopen(&f);
    must_hold(&f);
    wal_fixture_done(&f);
}

static void a_record_larger_than_a_segment_finds_its_place(void **state)
{
    (void)state;
    struct wal_fixture f;
    wal_fixture_init(&f, 1, false);
    wal_fixture_must_open(&f);
    const uint32_t lens[] = {10, 100000, 20, 3000000, 64000, 65535, 30};
    for (size_t i = 0; i < MEM_COUNT(lens); i++)
        assert_int_equal(wal_fixture_append(&f, 1, lens[i]), 0);
    reopen(&f);
    must_hold(&f);
    wal_fixture_done(&f);
}

static void a_record_over_the_limit_is_refused(void **state)
{
    (void)state;
    struct wal_fixture f;
    wal_fixture_init(&f, 1, false);
    wal_fixture_must_open(&f);
    struct wal_req req;
    struct wal_record record = {.index = 1, .len = WAL_RECORD_BYTES_MAX + 1, .data = ""};
    assert_int_equal(wal_append(f.wal, &req, &record, 1, (wal_fn)abort), ERR_TOO_LARGE);
    assert_int_equal(wal_last_index(f.wal), 0);
    wal_fixture_done(&f);
}

static unsigned count_blocks(const struct wal_fixture *f)
{
    char *path = mem_printf("%s/%016x.wal", f->dir, 1);
    uint8_t *data;
    size_t len;
    wal_fixture_read(path, &data, &len);
    struct wal_head head;
    assert_int_equal(wal_format_get_head(data, &head), 0);
    struct wal_block block;
    unsigned blocks = 0;
    uint64_t offset = WAL_PAGE_BYTES;
    while (wal_format_get_block(data, len, head.salt, offset, &block)) {
        blocks++;
        offset += WAL_BLOCK_HEAD_BYTES + block.len;
    }
    free(data);
    free(path);
    return blocks;
}

static void what_one_turn_appends_leaves_in_one_write(void **state)
{
    (void)state;
    struct wal_fixture f;
    wal_fixture_init(&f, 1, true);
    wal_fixture_must_open(&f);
    for (int turn = 1; turn <= 3; turn++) {
        for (int i = 0; i < 100; i++)
            assert_int_equal(wal_fixture_append(&f, 1, 10), 0);
        wal_fixture_wait(&f);
        assert_int_equal(count_blocks(&f), turn);
    }
    wal_fixture_done(&f);
}

static void more_than_the_bound_in_flight_is_refused_and_nothing_lost(void **state)
{
    (void)state;
    struct wal_fixture f;
    wal_fixture_init(&f, 1, false);
    f.options.in_flight_bytes_max = 10000;
    wal_fixture_must_open(&f);
    unsigned taken = 0;
    while (wal_fixture_append(&f, 1, 1000) == 0)
        taken++;
    assert_int_equal(taken, 9);
    assert_int_equal(wal_fixture_append(&f, 1, 1000), ERR_BUSY);
    assert_true(wal_bytes_in_flight(f.wal) <= 10000);
    wal_fixture_wait(&f);
    assert_int_equal(wal_bytes_in_flight(f.wal), 0);
    assert_int_equal(wal_fixture_append(&f, 1, 20000), 0); /* alone it may exceed the bound */
    reopen(&f);
    must_hold(&f);
    wal_fixture_done(&f);
}

static void a_trim_gives_segments_back_and_they_are_used_again(void **state)
{
    (void)state;
    struct wal_fixture f;
    wal_fixture_init(&f, 1, false);
    wal_fixture_must_open(&f);
    uint64_t largest = 0;
    for (int round = 0; round < 60; round++) {
        for (int i = 0; i < 20; i++)
            assert_int_equal(wal_fixture_append(&f, 1, 1500), 0);
        wal_fixture_wait(&f);
        wal_fixture_trim(&f, f.acked - 5);
        if (wal_bytes_on_disk(f.wal) > largest)
            largest = wal_bytes_on_disk(f.wal);
        if (round % 7 == 0) {
            reopen(&f);
            must_hold(&f);
        }
    }
    assert_true(largest <= 4 * WAL_FIXTURE_SEGMENT_BYTES);
    wal_fixture_done(&f);
}

static void a_log_that_holds_little_takes_little_and_its_segments_grow(void **state)
{
    (void)state;
    struct wal_fixture f;
    wal_fixture_init(&f, 1, false);
    f.options.segment_bytes = 0;
    wal_fixture_must_open(&f);
    assert_int_equal(wal_fixture_append(&f, 10, 1000), 0);
    reopen(&f);
    uint64_t largest;
    assert_true(wal_fixture_usage(f.dir, &largest) <= 4 * WAL_SEGMENT_BYTES_FIRST);
    for (int i = 0; i < 12; i++) {
        assert_int_equal(wal_fixture_append(&f, 4, 500000), 0);
        wal_fixture_wait(&f);
        if (i % 2 != 0)
            reopen(&f);
    }
    (void)wal_fixture_usage(f.dir, &largest);
    assert_int_equal(largest, WAL_SEGMENT_BYTES);
    must_hold(&f);
    wal_fixture_done(&f);
}

static void a_reset_log_goes_on_at_the_index_it_was_told(void **state)
{
    (void)state;
    struct wal_fixture f;
    wal_fixture_init(&f, 1, false);
    wal_fixture_must_open(&f);
    for (int i = 0; i < 100; i++)
        assert_int_equal(wal_fixture_append(&f, 1, 1500), 0);
    wal_fixture_reset(&f, 5000);
    assert_int_equal(wal_last_index(f.wal), 4999);
    reopen(&f);
    must_hold(&f);
    assert_int_equal(wal_fixture_append(&f, 3, 10), 0);
    reopen(&f);
    must_hold(&f);
    wal_fixture_reset(&f, 7); /* backwards too */
    assert_int_equal(wal_fixture_append(&f, 3, 10), 0);
    reopen(&f);
    must_hold(&f);
    wal_fixture_done(&f);
}

static void a_truncated_end_is_replaced(void **state)
{
    (void)state;
    struct wal_fixture f;
    wal_fixture_init(&f, 1, true);
    wal_fixture_must_open(&f);
    assert_int_equal(wal_fixture_append(&f, 10, 50), 0);
    wal_fixture_truncate(&f, 4);
    assert_int_equal(wal_fixture_append(&f, 3, 60), 0);
    wal_fixture_truncate(&f, 6);
    reopen(&f);
    assert_int_equal(wal_last_index(f.wal), 5);
    must_hold(&f);
    wal_fixture_truncate(&f, 1);
    reopen(&f);
    assert_int_equal(wal_last_index(f.wal), 0);
    must_hold(&f);
    wal_fixture_done(&f);
}

static void on_second_closed(void *arg)
{
    *(bool *)arg = true;
}

static void sync_returns_when_all_is_durable(void **state)
{
    (void)state;
    struct wal_fixture f;
    wal_fixture_init(&f, 1, true);
    wal_fixture_must_open(&f);
    assert_int_equal(wal_fixture_append(&f, 5, 50), 0);
    assert_int_equal(wal_sync(f.wal), 0);
    char copy[WAL_FIXTURE_PATH_MAX + 8];
    snprintf(copy, sizeof copy, "%s-copy", f.dir);
    wal_fixture_copy(f.dir, copy);
    struct wal *second;
    struct error e;
    assert_int_equal(wal_open(&second, f.loop, copy, &f.options, &e), 0);
    assert_int_equal(wal_last_index(second), 5);
    bool closed = false;
    wal_close(second, on_second_closed, &closed);
    while (!closed)
        loop_turn(f.loop);
    wal_fixture_wait(&f);
    wal_fixture_done(&f);
    wal_fixture_remove(copy);
}

static void a_random_step(struct wal_fixture *f, struct generated *g)
{
    uint64_t last = f->first + f->count - 1;
    switch (prng_below(&g->prng, 16)) {
    case 0:
        if (f->count > 0)
            wal_fixture_truncate(f, prng_between(&g->prng, f->first, last));
        break;
    case 1:
        if (f->count > 0)
            wal_fixture_trim(f, prng_between(&g->prng, f->first, last));
        break;
    case 2:
        if (prng_chance(&g->prng, 1, 4))
            wal_fixture_reset(f, prng_between(&g->prng, 1, last + 100));
        break;
    case 3:
        wal_fixture_wait(f);
        break;
    case 4:
        reopen(f);
        generated_check(g, wal_torn_bytes(f->wal) == 0, "%" PRIu64, wal_torn_bytes(f->wal));
        const char *wrong = wal_fixture_check(f, last);
        generated_check(g, wrong == NULL, "%s", wrong);
        break;
    case 5:
        generated_check(g, wal_fixture_append(f, 1, (uint32_t)prng_below(&g->prng, 100000)) == 0,
                        "%d", 0);
        break;
    default:
        generated_check(g,
                        wal_fixture_append(f, (unsigned)prng_between(&g->prng, 1, 5),
                                           (uint32_t)prng_below(&g->prng, 3000)) == 0,
                        "%d", 0);
    }
}

static void any_sequence_of_changes_gives_what_the_model_says(void **state)
{
    (void)state;
    struct generated g;
    generated_init(&g, 100);
    while (generated_next(&g)) {
        struct wal_fixture f;
        wal_fixture_init(&f, g.seed, false);
        f.options.buffered = prng_chance(&g.prng, 1, 2);
        if (prng_chance(&g.prng, 1, 3))
            wal_disk_fail(&f.disk, WAL_FAULT_SHORT, 0, 0);
        wal_fixture_must_open(&f);
        for (int i = 0; i < 200; i++)
            a_random_step(&f, &g);
        wal_fixture_wait(&f);
        wal_fixture_done(&f);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_new_log_is_empty_and_begins_at_one),
        cmocka_unit_test(records_come_back_in_order_with_all_they_had),
        cmocka_unit_test(a_record_larger_than_a_segment_finds_its_place),
        cmocka_unit_test(a_record_over_the_limit_is_refused),
        cmocka_unit_test(what_one_turn_appends_leaves_in_one_write),
        cmocka_unit_test(more_than_the_bound_in_flight_is_refused_and_nothing_lost),
        cmocka_unit_test(a_trim_gives_segments_back_and_they_are_used_again),
        cmocka_unit_test(a_log_that_holds_little_takes_little_and_its_segments_grow),
        cmocka_unit_test(a_reset_log_goes_on_at_the_index_it_was_told),
        cmocka_unit_test(a_truncated_end_is_replaced),
        cmocka_unit_test(sync_returns_when_all_is_durable),
        cmocka_unit_test(any_sequence_of_changes_gives_what_the_model_says),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
