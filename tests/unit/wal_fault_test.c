#include "run/wal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "run/wal_format.h"
#include "tests/unit/generated.h"
#include "tests/unit/wal_fixture.h"

static const char *segment_path(const char *dir, unsigned number)
{
    static char path[WAL_FIXTURE_PATH_MAX + 32];
    snprintf(path, sizeof path, "%s/%016x.wal", dir, number);
    return path;
}

/* Offsets of the blocks in the first segment; the last is the end. */
static size_t find_blocks(const char *dir, uint64_t *offsets, size_t max)
{
    uint8_t *data;
    size_t len;
    wal_fixture_read(segment_path(dir, 1), &data, &len);
    struct wal_head head;
    assert_int_equal(wal_format_get_head(data, &head), 0);
    struct wal_block block;
    size_t count = 0;
    uint64_t offset = WAL_PAGE_BYTES;
    for (; wal_format_get_block(data, len, head.salt, offset, &block); count++) {
        assert_true(count + 1 < max);
        offsets[count] = offset;
        offset += WAL_BLOCK_HEAD_BYTES + block.len;
    }
    offsets[count] = offset;
    free(data);
    return count;
}

/* A closed log of `blocks` blocks, two records in each, in one segment. */
static void make_log(struct wal_fixture *f, unsigned blocks, uint32_t len)
{
    wal_fixture_init(f, 1, false);
    wal_fixture_must_open(f);
    for (unsigned i = 0; i < blocks; i++) {
        assert_int_equal(wal_fixture_append(f, 2, len + i), 0);
        wal_fixture_wait(f);
    }
    wal_fixture_close(f);
}

/* ---- torn tails
 * ---------------------------------------------------------------------------------- */

static void tear_at(struct wal_fixture *f, uint64_t offset, uint64_t end, uint8_t with)
{
    size_t len = end - offset;
    uint8_t *rest = mem_alloc(len + 1);
    memset(rest, with, len);
    wal_fixture_poke(segment_path(f->dir, 1), offset, rest, len);
    free(rest);
}

static void a_tail_torn_at(uint8_t rest)
{
    struct wal_fixture f;
    make_log(&f, 4, 100);
    uint64_t offsets[8];
    size_t blocks = find_blocks(f.dir, offsets, 8);
    assert_int_equal(blocks, 4);
    uint64_t begin = offsets[3];
    uint64_t end = offsets[4];
    uint8_t *whole;
    size_t len;
    wal_fixture_read(segment_path(f.dir, 1), &whole, &len);
    size_t count = f.count;
    for (uint64_t at = begin; at < end; at++) {
        wal_fixture_poke(segment_path(f.dir, 1), 0, whole, len);
        tear_at(&f, at, end, rest);
        wal_fixture_must_open(&f);
        uint64_t torn = wal_torn_bytes(f.wal);
        bool same = memcmp(whole + at, whole + end, end - at) == 0; /* zeros were torn off */
        assert_int_equal(wal_last_index(f.wal), same ? 8 : 6);
        if (!same && (rest != 0 || at > begin))
            assert_in_range(torn, 1, end - begin);
        const char *wrong = wal_fixture_check(&f, 6);
        if (wrong != NULL)
            fail_msg("torn at %" PRIu64 ": %s", at, wrong);
        wal_fixture_close(&f);
        f.count = count;
    }
    free(whole);
    wal_fixture_done(&f);
}

static void a_tail_torn_at_any_byte_is_cut_and_reported(void **state)
{
    (void)state;
    a_tail_torn_at(0x00);
    a_tail_torn_at(0xa5);
}

static void a_log_cut_at_a_torn_tail_takes_new_records_there(void **state)
{
    (void)state;
    struct wal_fixture f;
    make_log(&f, 4, 100);
    uint64_t offsets[8];
    find_blocks(f.dir, offsets, 8);
    tear_at(&f, offsets[3] + 50, offsets[4], 0);
    wal_fixture_must_open(&f);
    assert_null(wal_fixture_check(&f, 6));
    for (int i = 0; i < 100; i++) /* on into the next segments */
        assert_int_equal(wal_fixture_append(&f, 2, 1000), 0);
    wal_fixture_wait(&f);
    wal_fixture_close(&f);
    wal_fixture_must_open(&f);
    assert_null(wal_fixture_check(&f, f.acked));
    assert_int_equal(wal_torn_bytes(f.wal), 0);
    wal_fixture_done(&f);
}

/* ---- flipped bits ---------------------------------------------------------------------------- */

/* Flips a bit of `path` and opens: refused, or at most the last block is gone. */
static void flip(struct wal_fixture *f, const char *path, size_t offset, unsigned bit,
                 uint64_t last_min, unsigned *refused)
{
    uint8_t *data;
    size_t len;
    wal_fixture_read(path, &data, &len);
    uint8_t flipped = data[offset] ^ (uint8_t)(1u << bit);
    wal_fixture_poke(path, offset, &flipped, 1);
    size_t count = f->count;
    struct error e = {0};
    int rc = wal_fixture_open(f, &e);
    if (rc == 0) {
        const char *wrong = wal_fixture_check(f, last_min);
        if (wrong != NULL)
            fail_msg("%s, bit %u at %zu: %s", path, bit, offset, wrong);
        wal_fixture_close(f);
        f->count = count;
    } else {
        (*refused)++;
        if (rc != ERR_CORRUPT || strstr(e.text, f->dir) == NULL)
            fail_msg("%s, bit %u at %zu: %s: %s", path, bit, offset, err_text(rc), e.text);
    }
    wal_fixture_poke(path, 0, data, len);
    free(data);
}

static void a_flipped_bit_never_gives_other_records(void **state)
{
    (void)state;
    struct wal_fixture f;
    make_log(&f, 5, 60);
    uint64_t offsets[8];
    size_t blocks = find_blocks(f.dir, offsets, 8);
    struct prng prng;
    prng_init(&prng, 7);
    unsigned refused = 0;
    for (uint64_t at = 0; at < WAL_PAGE_BYTES; at += at < 64 ? 1 : 97)
        flip(&f, segment_path(f.dir, 1), at, (unsigned)prng_below(&prng, 8), 10, &refused);
    assert_int_equal(refused, 56); /* each byte of the segment's head */
    refused = 0;
    for (uint64_t at = WAL_PAGE_BYTES; at < offsets[blocks]; at++)
        flip(&f, segment_path(f.dir, 1), at, (unsigned)prng_below(&prng, 8), 8, &refused);
    assert_int_equal(refused, offsets[blocks - 1] - WAL_PAGE_BYTES); /* all but the last block */
    wal_fixture_done(&f);
}

static void a_flipped_bit_in_the_head_file_changes_nothing(void **state)
{
    (void)state;
    struct wal_fixture f;
    make_log(&f, 3, 60);
    char *path = mem_printf("%s/head", f.dir);
    unsigned refused = 0;
    for (uint64_t at = 0; at < 2 * WAL_PAGE_BYTES; at += at % WAL_PAGE_BYTES < 80 ? 1 : 173)
        flip(&f, path, at, at % 8, 6, &refused);
    assert_int_equal(refused, 0);
    uint8_t garbage[2 * WAL_PAGE_BYTES];
    memset(garbage, 0x11, sizeof garbage);
    wal_fixture_poke(path, 0, garbage, sizeof garbage);
    struct error e;
    assert_int_equal(wal_fixture_open(&f, &e), ERR_CORRUPT);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(wal_fixture_open(&f, &e), ERR_CORRUPT);
    free(path);
    wal_fixture_done(&f);
}

/* A log over several segments, the first trimmed and used again. */
static void make_long_log(struct wal_fixture *f)
{
    wal_fixture_init(f, 1, false);
    wal_fixture_must_open(f);
    for (int i = 0; i < 300; i++) {
        assert_int_equal(wal_fixture_append(f, 1, 1000), 0);
        wal_fixture_wait(f);
        if (i == 150)
            wal_fixture_trim(f, 120);
    }
    wal_fixture_close(f);
}

static void a_missing_segment_is_noticed(void **state)
{
    (void)state;
    struct wal_fixture f;
    make_long_log(&f);
    unsigned refused = 0;
    for (unsigned number = 1; number <= 6; number++) {
        char *path = mem_strdup(segment_path(f.dir, number));
        char *away = mem_printf("%s.away", path);
        if (rename(path, away) == 0) {
            struct error e;
            size_t count = f.count;
            int rc = wal_fixture_open(&f, &e);
            refused += rc == ERR_CORRUPT;
            if (rc == 0) { /* it was a spare or the reserve */
                assert_null(wal_fixture_check(&f, 300));
                wal_fixture_close(&f);
                f.count = count;
            }
            assert_int_equal(rename(away, path), 0);
        }
        free(away);
        free(path);
    }
    assert_in_range(refused, 3, 4);
    wal_fixture_done(&f);
}

static void flips_over_several_segments_never_give_other_records(void **state)
{
    (void)state;
    struct wal_fixture f;
    make_long_log(&f);
    struct generated g;
    generated_init(&g, 300);
    unsigned refused = 0;
    while (generated_next(&g)) {
        const char *path = segment_path(f.dir, (unsigned)prng_between(&g.prng, 1, 6));
        if (access(path, F_OK) == 0)
            flip(&f, path, prng_below(&g.prng, WAL_FIXTURE_SEGMENT_BYTES),
                 (unsigned)prng_below(&g.prng, 8), 299, &refused);
    }
    wal_fixture_done(&f);
}

static void a_segment_of_another_log_is_refused(void **state)
{
    (void)state;
    struct wal_fixture f;
    make_log(&f, 2, 60);
    struct wal_fixture other;
    make_log(&other, 2, 60);
    uint8_t *data;
    size_t len;
    wal_fixture_read(segment_path(other.dir, 1), &data, &len);
    wal_fixture_poke(segment_path(f.dir, 9), 0, data, len);
    struct error e;
    assert_int_equal(wal_fixture_open(&f, &e), ERR_CORRUPT);
    assert_non_null(strstr(e.text, "another log"));
    free(data);
    wal_fixture_done(&other);
    wal_fixture_done(&f);
}

/* ---- failing calls --------------------------------------------------------------------------- */

static void wait_for_reserve(struct wal_fixture *f)
{
    for (;;) {
        assert_int_equal(wal_fixture_append(f, 1, 100), 0);
        wal_fixture_wait(f);
        if (access(segment_path(f->dir, 2), F_OK) != 0)
            continue;
        uint8_t *data;
        size_t len;
        wal_fixture_read(segment_path(f->dir, 2), &data, &len);
        struct wal_head head;
        int rc = len < WAL_PAGE_BYTES ? ERR_CORRUPT : wal_format_get_head(data, &head);
        free(data);
        if (rc == 0)
            break;
    }
    assert_int_equal(wal_fixture_append(f, 1, 100), 0);
    wal_fixture_wait(f); /* the thread is through with the reserve */
}

enum writer { LOOP, THREAD, THREAD_BUFFERED };

static void write_by(struct wal_fixture *f, enum writer writer)
{
    f->options.buffered = writer == THREAD_BUFFERED;
    if (writer == THREAD)
        f->disk.io.start = NULL;
}

static void a_failed_call_stops_the_log(enum writer writer, enum wal_fault fault, int code)
{
    struct wal_fixture f;
    wal_fixture_init(&f, 1, true);
    write_by(&f, writer);
    wal_fixture_must_open(&f);
    wait_for_reserve(&f);
    uint64_t acked = f.acked;
    wal_disk_fail(&f.disk, fault, 0, code);
    for (int i = 0; i < 20; i++)
        assert_int_equal(wal_fixture_append(&f, 1, 100), 0);
    wal_fixture_wait(&f);
    assert_int_equal(f.failed, -code);
    assert_int_equal(f.failures, 1);
    assert_int_equal(f.acked, acked);
    assert_int_equal(wal_status(f.wal), -code);
    /* The fault is over, and still nothing is taken. */
    assert_int_equal(wal_fixture_append(&f, 1, 100), -code);
    assert_int_equal(wal_truncate(f.wal, 2), -code);
    wal_fixture_close(&f);
    wal_disk_fail(&f.disk, WAL_FAULT_NONE, 0, 0);
    wal_fixture_must_open(&f);
    assert_null(wal_fixture_check(&f, acked));
    assert_int_equal(wal_fixture_append(&f, 1, 100), 0);
    wal_fixture_wait(&f);
    assert_int_equal(f.failed, 0);
    wal_fixture_done(&f);
}

static void a_failed_write_is_reported_to_all_and_stops_the_log(void **state)
{
    (void)state;
    a_failed_call_stops_the_log(LOOP, WAL_FAULT_WRITE, EIO);
    a_failed_call_stops_the_log(LOOP, WAL_FAULT_WRITE, ENOSPC);
    a_failed_call_stops_the_log(THREAD, WAL_FAULT_WRITE, EIO);
    a_failed_call_stops_the_log(THREAD, WAL_FAULT_WRITE, ENOSPC);
    a_failed_call_stops_the_log(THREAD_BUFFERED, WAL_FAULT_WRITE, EIO);
    a_failed_call_stops_the_log(THREAD_BUFFERED, WAL_FAULT_SYNC, EIO);
}

static void short_writes_of(enum writer writer)
{
    struct wal_fixture f;
    wal_fixture_init(&f, 1, true);
    write_by(&f, writer);
    wal_disk_fail(&f.disk, WAL_FAULT_SHORT, 0, 0);
    wal_fixture_must_open(&f);
    for (int i = 0; i < 50; i++)
        assert_int_equal(wal_fixture_append(&f, 1, 20000), 0);
    wal_fixture_wait(&f);
    assert_int_equal(f.failed, 0);
    wal_fixture_close(&f);
    wal_fixture_must_open(&f);
    assert_null(wal_fixture_check(&f, 50));
    wal_fixture_done(&f);
}

static void short_writes_are_continued(void **state)
{
    (void)state;
    short_writes_of(LOOP);
    short_writes_of(THREAD);
}

/* The thread would take them all: that the loop did is in `started`. */
static void plain_writes_are_started_by_the_loop(void **state)
{
    (void)state;
    struct wal_fixture f;
    wal_fixture_init(&f, 1, true);
    wal_fixture_must_open(&f);
    if (!wal_is_direct(f.wal)) {
        wal_fixture_done(&f);
        skip();
    }
    wait_for_reserve(&f);
    unsigned started = f.disk.started;
    for (int i = 0; i < 20; i++) {
        assert_int_equal(wal_fixture_append(&f, 1, 100), 0);
        wal_fixture_wait(&f);
    }
    assert_true(f.disk.started > started + 10); /* the kernel may decline one */
    assert_int_equal(wal_fixture_append(&f, 1, 100), 0);
    assert_int_equal(wal_sync(f.wal), 0); /* without the loop */
    wal_fixture_wait(&f);
    wal_fixture_done(&f);
}

static void what_the_kernel_declines_is_written_by_the_thread(void **state)
{
    (void)state;
    struct wal_fixture f;
    wal_fixture_init(&f, 1, true);
    f.disk.declines = true;
    wal_fixture_must_open(&f);
    for (uint32_t i = 0; i < 200; i++) {
        assert_int_equal(wal_fixture_append(&f, 1 + i % 3, i * 10), 0);
        if (i % 3 == 0)
            wal_fixture_wait(&f);
        if (i % 50 == 0)
            assert_int_equal(wal_sync(f.wal), 0);
    }
    wal_fixture_wait(&f);
    assert_int_equal(f.failed, 0);
    wal_fixture_close(&f);
    wal_fixture_must_open(&f);
    assert_null(wal_fixture_check(&f, f.acked));
    wal_fixture_done(&f);
}

/* Appends until the log has no room for more, with the last one waiting. */
static void fill_disk(struct wal_fixture *f)
{
    wal_disk_fail(&f->disk, WAL_FAULT_SPACE, 0, 0);
    while (!wal_is_stalled(f->wal)) {
        if (f->in_flight == 0)
            assert_int_equal(wal_fixture_append(f, 1, 1000), 0);
        loop_turn(f->loop);
    }
    assert_int_equal(f->in_flight, 1);
}

static void a_full_disk_is_told_before_the_log_waits_for_room(void **state)
{
    (void)state;
    struct wal_fixture f;
    wal_fixture_init(&f, 1, false);
    wal_fixture_must_open(&f);
    wal_disk_fail(&f.disk, WAL_FAULT_SPACE, 0, 0);
    uint64_t told_at = 0;
    while (told_at == 0) {
        assert_int_equal(wal_fixture_append(&f, 1, 1000), 0);
        wal_fixture_wait(&f);
        if (f.reserve_calls > 0)
            told_at = f.acked;
    }
    assert_int_equal(f.reserve, -ENOSPC);
    fill_disk(&f);
    assert_true(f.acked - told_at > 20);        /* a good part of a segment before the end */
    assert_int_equal(wal_sync(f.wal), -ENOSPC); /* does not wait for ever */
    for (int i = 0; i < 50; i++)
        assert_int_equal(wal_fixture_append(&f, 2, 5000), 0);
    assert_int_equal(wal_fixture_append(&f, 1, 200000), 0); /* needs a segment of its own */
    wal_disk_fail(&f.disk, WAL_FAULT_NONE, 0, 0);
    wal_fixture_wait(&f);
    assert_int_equal(f.failed, 0);
    assert_false(wal_is_stalled(f.wal));
    while (f.reserve < 0)
        loop_turn(f.loop);
    uint64_t acked = f.acked;
    wal_fixture_close(&f);
    wal_fixture_must_open(&f);
    assert_null(wal_fixture_check(&f, acked));
    wal_fixture_done(&f);
}

static void a_log_that_waits_for_room_can_be_closed(void **state)
{
    (void)state;
    struct wal_fixture f;
    wal_fixture_init(&f, 1, false);
    wal_fixture_must_open(&f);
    fill_disk(&f);
    assert_int_equal(wal_fixture_append(&f, 3, 1000), 0);
    uint64_t acked = f.acked;
    wal_fixture_close(&f);
    assert_int_equal(f.failed, -ENOSPC);
    assert_int_equal(f.acked, acked);
    wal_disk_fail(&f.disk, WAL_FAULT_NONE, 0, 0);
    wal_fixture_must_open(&f);
    assert_null(wal_fixture_check(&f, acked));
    wal_fixture_done(&f);
}

static void a_trim_behind_what_waits_makes_room_for_it(void **state)
{
    (void)state;
    struct wal_fixture f;
    wal_fixture_init(&f, 1, false);
    wal_fixture_must_open(&f);
    for (int i = 0; i < 150; i++) { /* into the third segment */
        assert_int_equal(wal_fixture_append(&f, 1, 1000), 0);
        wal_fixture_wait(&f);
    }
    fill_disk(&f);
    wal_fixture_truncate(&f, f.acked - 5);
    assert_int_equal(wal_fixture_append(&f, 5, 1000), 0);
    wal_fixture_trim(&f, 120);
    wal_fixture_wait(&f);
    assert_int_equal(f.failed, 0);
    uint64_t acked = f.acked;
    wal_fixture_close(&f);
    wal_fixture_must_open(&f);
    assert_null(wal_fixture_check(&f, acked));
    wal_fixture_done(&f);
}

static void a_trim_brings_the_reserve_back(void **state)
{
    (void)state;
    struct wal_fixture f;
    wal_fixture_init(&f, 1, false);
    wal_fixture_must_open(&f);
    for (int i = 0; i < 100; i++) { /* into the second segment */
        assert_int_equal(wal_fixture_append(&f, 1, 1000), 0);
        wal_fixture_wait(&f);
        if (i == 30)
            wal_disk_fail(&f.disk, WAL_FAULT_SPACE, 0, 0);
    }
    while (f.reserve_calls == 0)
        loop_turn(f.loop);
    assert_int_equal(f.reserve, -ENOSPC);
    wal_fixture_trim(&f, 90);
    while (f.reserve < 0)
        loop_turn(f.loop);
    assert_int_equal(f.failed, 0);
    for (int i = 0; i < 30; i++) {
        assert_int_equal(wal_fixture_append(&f, 1, 1000), 0);
        wal_fixture_wait(&f);
    }
    assert_int_equal(f.failed, 0);
    wal_fixture_done(&f);
}

static void the_wait_is_seen_of(enum writer writer)
{
    struct wal_fixture f;
    wal_fixture_init(&f, 1, false);
    write_by(&f, writer);
    wal_fixture_must_open(&f);
    assert_int_equal(wal_oldest_wait_ms(f.wal), 0);
    wal_disk_fail(&f.disk, WAL_FAULT_HANG, 0, 0);
    assert_int_equal(wal_fixture_append(&f, 1, 10), 0);
    struct loop_timer timer;
    loop_timer_init(&timer, f.loop, (loop_timer_fn)wal_disk_release, &f.disk);
    loop_timer_start(&timer, 5);
    uint64_t longest = 0;
    while (f.in_flight > 0) {
        loop_turn(f.loop);
        if (wal_oldest_wait_ms(f.wal) > longest)
            longest = wal_oldest_wait_ms(f.wal);
    }
    assert_true(longest >= 5);
    assert_int_equal(wal_oldest_wait_ms(f.wal), 0);
    wal_fixture_done(&f);
}

static void the_wait_for_a_hanging_disk_can_be_seen(void **state)
{
    (void)state;
    the_wait_is_seen_of(LOOP);
    the_wait_is_seen_of(THREAD);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_tail_torn_at_any_byte_is_cut_and_reported),
        cmocka_unit_test(a_log_cut_at_a_torn_tail_takes_new_records_there),
        cmocka_unit_test(a_flipped_bit_never_gives_other_records),
        cmocka_unit_test(a_flipped_bit_in_the_head_file_changes_nothing),
        cmocka_unit_test(a_missing_segment_is_noticed),
        cmocka_unit_test(flips_over_several_segments_never_give_other_records),
        cmocka_unit_test(a_segment_of_another_log_is_refused),
        cmocka_unit_test(a_failed_write_is_reported_to_all_and_stops_the_log),
        cmocka_unit_test(short_writes_are_continued),
        cmocka_unit_test(plain_writes_are_started_by_the_loop),
        cmocka_unit_test(what_the_kernel_declines_is_written_by_the_thread),
        cmocka_unit_test(a_full_disk_is_told_before_the_log_waits_for_room),
        cmocka_unit_test(a_log_that_waits_for_room_can_be_closed),
        cmocka_unit_test(a_trim_behind_what_waits_makes_room_for_it),
        cmocka_unit_test(a_trim_brings_the_reserve_back),
        cmocka_unit_test(the_wait_for_a_hanging_disk_can_be_seen),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
