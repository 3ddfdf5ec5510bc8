#include "run/journal.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/str.h"
#include "run/wal_file.h"
#include "run/writer_thread.h"
#include "tests/unit/generated.h"
#include "tests/unit/journal_fixture.h"

static void a_new_journal_is_empty_and_begins_at_one(void **state)
{
    (void)state;
    struct journal_fixture f;
    journal_fixture_init(&f, 1, true);
    journal_fixture_must_open(&f);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(journal_first(f.journal), 1);
        assert_int_equal(journal_last(f.journal), 0);
        assert_int_equal(journal_torn_bytes(f.journal), 0);
        journal_fixture_reopen(&f);
        journal_fixture_must_hold(&f);
    }
    journal_fixture_done(&f);
}

static void lines_come_back_in_order_over_many_segments(void **state)
{
    (void)state;
    struct journal_fixture f;
    journal_fixture_init(&f, 1, true);
    journal_fixture_must_open(&f);
    for (size_t pad = 0; pad < 3000; pad += 37) {
        assert_int_equal(journal_fixture_append(&f, 1 + pad % 3, pad), 0);
        if (pad % 5 == 0)
            journal_fixture_wait(&f);
    }
    journal_fixture_reopen(&f);
    journal_fixture_must_hold(&f);
    assert_int_equal(journal_torn_bytes(f.journal), 0);
    assert_true(journal_segments(f.journal) > 3);
    assert_int_equal(journal_fixture_append(&f, 2, 100000), 0); /* larger than a segment */
    journal_fixture_reopen(&f);
    journal_fixture_must_hold(&f);
    journal_fixture_done(&f);
}

static void a_directory_belongs_to_one_journal(void **state)
{
    (void)state;
    struct journal_fixture f;
    journal_fixture_init(&f, 1, false);
    journal_fixture_must_open(&f);
    struct journal *second;
    struct error e;
    assert_int_equal(journal_open(&second, f.loop, f.dir, &f.options, &e), ERR_BUSY);
    assert_non_null(strstr(e.text, "in use"));
    journal_fixture_done(&f);
}

/* What jq reads: JSON values with white space between. */
static void a_file_is_json_values_with_white_space_between(void **state)
{
    (void)state;
    struct journal_fixture f;
    journal_fixture_init(&f, 1, true);
    journal_fixture_must_open(&f);
    assert_int_equal(journal_fixture_append(&f, 5, 10), 0);
    journal_fixture_wait(&f);
    char path[WAL_FIXTURE_PATH_MAX];
    journal_fixture_path(&f, 1, path);
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    json_error_t error;
    json_t *head = json_loadf(file, JSON_DISABLE_EOF_CHECK, &error);
    assert_int_equal(json_integer_value(json_object_get(head, "journal")), 1);
    json_decref(head);
    for (int i = 1; i <= 5; i++) {
        json_t *line = json_loadf(file, JSON_DISABLE_EOF_CHECK, &error);
        assert_int_equal(json_integer_value(json_object_get(line, "seq")), i);
        assert_int_equal(json_integer_value(json_object_get(line, "batch")), 1);
        assert_int_equal(json_integer_value(json_object_get(line, "stamp")), i);
        json_decref(line);
    }
    int c;
    while ((c = getc(file)) != EOF)
        assert_int_equal(c, '\n');
    fclose(file);
    journal_fixture_done(&f);
}

static void what_one_turn_appends_leaves_in_one_write(void **state)
{
    (void)state;
    struct journal_fixture f;
    journal_fixture_init(&f, 1, true);
    f.options.segment_bytes = 1 << 20;
    journal_fixture_must_open(&f);
    assert_int_equal(journal_fixture_append(&f, 1, 0), 0);
    journal_fixture_wait(&f);
    for (int turn = 0; turn < 3; turn++) {
        assert_int_equal(journal_fixture_append(&f, 100, 10), 0);
        journal_fixture_wait(&f);
    }
    journal_fixture_reopen(&f);
    struct journal_read read = {.from = 2, .bytes_max = 1 << 20};
    assert_int_equal(journal_read_now(f.journal, &read), 0);
    struct journal_line line;
    size_t at = 0;
    while (journal_next_line(&read.lines, &at, &line)) {
        char batch[64];
        snprintf(batch, sizeof batch, "\"batch\":%" PRIu64 ",", (line.seq - 2) / 100 * 100 + 2);
        assert_non_null(strstr(line.text, batch));
    }
    assert_int_equal(read.next, 302);
    journal_read_done(&read);
    journal_fixture_done(&f);
}

static void more_than_the_bound_in_flight_is_refused(void **state)
{
    (void)state;
    struct journal_fixture f;
    journal_fixture_init(&f, 1, false);
    f.options.in_flight_bytes_max = 10000;
    journal_fixture_must_open(&f);
    unsigned taken = 0;
    while (journal_fixture_append(&f, 1, 900) == 0)
        taken++;
    assert_in_range(taken, 8, 11);
    assert_int_equal(journal_fixture_append(&f, 1, 900), ERR_BUSY);
    assert_true(journal_bytes_in_flight(f.journal) <= 10000);
    journal_fixture_wait(&f);
    assert_int_equal(journal_bytes_in_flight(f.journal), 0);
    assert_int_equal(journal_fixture_append(&f, 1, 20000), 0); /* alone it may exceed the bound */
    journal_fixture_reopen(&f);
    journal_fixture_must_hold(&f);
    journal_fixture_done(&f);
}

static void a_line_over_the_limit_is_refused(void **state)
{
    (void)state;
    struct journal_fixture f;
    journal_fixture_init(&f, 1, false);
    journal_fixture_must_open(&f);
    char *object = mem_alloc(JOURNAL_LINE_BYTES_MAX + 1);
    memset(object, 'x', JOURNAL_LINE_BYTES_MAX + 1);
    memcpy(object, "{\"a\":\"", 6);
    memcpy(object + JOURNAL_LINE_BYTES_MAX - 1, "\"}", 2);
    assert_int_equal(journal_append(f.journal, object, JOURNAL_LINE_BYTES_MAX + 1), ERR_TOO_LARGE);
    free(object);
    assert_int_equal(journal_last(f.journal), 0);
    journal_fixture_done(&f);
}

static void a_truncated_end_is_replaced(void **state)
{
    (void)state;
    struct journal_fixture f;
    journal_fixture_init(&f, 1, true);
    journal_fixture_must_open(&f);
    assert_int_equal(journal_fixture_append(&f, 60, 1500), 0);
    journal_fixture_truncate(&f, 25);
    assert_int_equal(journal_fixture_append(&f, 3, 60), 0);
    journal_fixture_wait(&f);
    assert_int_equal(journal_durable(f.journal), 27);
    journal_fixture_truncate(&f, 26);
    assert_int_equal(journal_durable(f.journal), 25);
    journal_fixture_reopen(&f);
    journal_fixture_must_hold(&f);
    journal_fixture_truncate(&f, 1);
    assert_int_equal(journal_fixture_append(&f, 3, 10), 0);
    journal_fixture_reopen(&f);
    journal_fixture_must_hold(&f);
    assert_int_equal(journal_last(f.journal), 3);
    journal_fixture_done(&f);
}

static void a_reset_journal_goes_on_where_it_was_told(void **state)
{
    (void)state;
    struct journal_fixture f;
    journal_fixture_init(&f, 1, true);
    journal_fixture_must_open(&f);
    assert_int_equal(journal_fixture_append(&f, 40, 1500), 0);
    journal_fixture_reset(&f, 5000);
    journal_fixture_reopen(&f);
    journal_fixture_must_hold(&f);
    assert_int_equal(journal_first(f.journal), 5000);
    assert_int_equal(journal_last(f.journal), 4999);
    assert_int_equal(journal_fixture_append(&f, 3, 10), 0);
    journal_fixture_reset(&f, 7);
    assert_int_equal(journal_fixture_append(&f, 3, 10), 0);
    journal_fixture_reopen(&f);
    journal_fixture_must_hold(&f);
    journal_fixture_done(&f);
}

static void any_number_is_read_without_reading_all(void **state)
{
    (void)state;
    struct journal_fixture f;
    journal_fixture_init(&f, 1, false);
    f.options.segment_bytes = 256 << 10;
    journal_fixture_must_open(&f);
    for (int i = 0; i < 200; i++) {
        assert_int_equal(journal_fixture_append(&f, 50, (size_t)i), 0);
        journal_fixture_wait(&f);
    }
    for (int pass = 0; pass < 2; pass++) {
        for (uint64_t from = 1; from <= 10000; from += 777) {
            struct journal_read read = {.from = from, .lines_max = 3, .bytes_max = 1 << 20};
            assert_int_equal(journal_read_now(f.journal, &read), 0);
            struct journal_line line;
            size_t at = 0;
            uint64_t seq = from;
            while (journal_next_line(&read.lines, &at, &line)) {
                assert_int_equal(line.seq, seq);
                assert_int_equal(strtoull(line.members + 8, NULL, 10), seq);
                seq++;
            }
            assert_int_equal(read.next, seq);
            assert_in_range(seq - from, 1, 3);
            journal_read_done(&read);
        }
        struct journal_read none = {.from = 10001, .bytes_max = 1000};
        assert_int_equal(journal_read_now(f.journal, &none), ERR_NOT_FOUND);
        none.from = 0;
        assert_int_equal(journal_read_now(f.journal, &none), ERR_NOT_FOUND);
        journal_fixture_reopen(&f);
    }
    journal_fixture_done(&f);
}

struct reading {
    struct journal_read read;
    bool done;
    int status;
};

static void on_read(struct journal_read *read, int status)
{
    struct reading *r = read->data;
    r->done = true;
    r->status = status;
}

static void a_read_beside_the_loop_is_called_back_and_can_be_cancelled(void **state)
{
    (void)state;
    struct journal_fixture f;
    journal_fixture_init(&f, 1, false);
    journal_fixture_must_open(&f);
    assert_int_equal(journal_fixture_append(&f, 100, 1000), 0);
    journal_fixture_wait(&f);
    struct reading r = {.read = {.from = 50, .bytes_max = 4000, .data = &r}};
    journal_read(f.journal, &r.read, on_read);
    assert_false(r.done);
    while (!r.done)
        loop_turn(f.loop);
    assert_int_equal(r.status, 0);
    assert_int_equal(r.read.next, 53);
    r.done = false;
    r.read.from = 1;
    journal_read(f.journal, &r.read, on_read);
    journal_read_cancel(&r.read);
    journal_fixture_close(&f);
    assert_false(r.done);
    journal_read_done(&r.read);
    journal_fixture_done(&f);
}

static void reads_go_on_while_lines_are_cut_off_and_dropped(void **state)
{
    (void)state;
    struct generated g;
    generated_init(&g, 60);
    while (generated_next(&g)) {
        struct journal_fixture f;
        journal_fixture_init(&f, g.seed, false);
        journal_fixture_must_open(&f);
        assert_int_equal(journal_fixture_append(&f, 100, 1000), 0);
        journal_fixture_wait(&f);
        struct reading r = {.read = {.bytes_max = 50000, .data = &r}};
        r.read.from = prng_between(&g.prng, 1, 100);
        journal_read(f.journal, &r.read, on_read);
        if (prng_chance(&g.prng, 1, 2))
            journal_fixture_truncate(&f, prng_between(&g.prng, 1, 100));
        else
            assert_int_equal(journal_drop(f.journal, prng_between(&g.prng, 1, 100), NULL), 0);
        journal_fixture_append(&f, 3, 1000);
        while (!r.done)
            loop_turn(f.loop);
        generated_check(&g, r.status == 0 || r.status == ERR_NOT_FOUND, "status %d: %s", r.status,
                        err_text(r.status));
        struct journal_damage damage;
        generated_check(&g, !journal_damage(f.journal, 0, &damage), "%s was seen", "damage");
        journal_read_done(&r.read);
        journal_fixture_done(&f);
    }
}

static void whole_segments_go_by_size_and_carry_over(void **state)
{
    (void)state;
    struct journal_fixture f;
    journal_fixture_init(&f, 1, true);
    journal_fixture_must_open(&f);
    struct buf carry;
    buf_init(&carry, 10000);
    for (int round = 1; round <= 10; round++) {
        assert_int_equal(journal_fixture_append(&f, 40, 1000), 0);
        journal_fixture_wait(&f);
        uint64_t seq = journal_retain(f.journal, 50000, 0);
        buf_clear(&carry);
        (void)buf_printf(&carry, "{\"round\":%d}\n{\"before\":%" PRIu64 "}\n", round, seq);
        f.dropped = seq;
        assert_int_equal(journal_drop(f.journal, seq, &carry), 0);
        journal_fixture_wait(&f);
        assert_int_equal(journal_first(f.journal), seq);
        assert_true(journal_bytes_on_disk(f.journal) <= 50000 + JOURNAL_FIXTURE_SEGMENT_BYTES);
        journal_fixture_reopen(&f);
        journal_fixture_must_hold(&f);
        if (seq == 1)
            continue;
        assert_int_equal(f.carried_n, 2);
        char expected[64];
        snprintf(expected, sizeof expected, "\"before\":%" PRIu64 "}", seq);
        assert_string_equal(f.carried, expected);
    }
    assert_true(journal_first(f.journal) > 300);
    buf_done(&carry);
    journal_fixture_done(&f);
}

static void a_new_journal_is_small_and_its_segments_grow(void **state)
{
    (void)state;
    struct journal_fixture f;
    journal_fixture_init(&f, 1, false);
    f.options.segment_bytes = 0;
    journal_fixture_must_open(&f);
    char path[WAL_FIXTURE_PATH_MAX];
    journal_fixture_path(&f, 1, path);
    struct stat st;
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_size, JOURNAL_SEGMENT_BYTES_FIRST);
    uint64_t largest;
    for (int i = 0; i < 12; i++) {
        assert_int_equal(journal_fixture_append(&f, 20, 100000), 0);
        journal_fixture_wait(&f);
        if (i % 2 != 0)
            journal_fixture_reopen(&f);
    }
    (void)wal_fixture_usage(f.dir, &largest);
    assert_int_equal(largest, JOURNAL_SEGMENT_BYTES);
    journal_fixture_must_hold(&f);
    journal_fixture_done(&f);
}

static void turn_for_a_moment(struct journal_fixture *f)
{
    struct loop_timer timer;
    loop_timer_init(&timer, f->loop, (loop_timer_fn)loop_stop, f->loop);
    loop_timer_start(&timer, 5);
    loop_turn(f->loop);
    loop_timer_stop(&timer);
}

static void a_reset_does_not_wait_for_a_reserve_that_is_being_made(void **state)
{
    (void)state;
    struct journal_fixture f;
    journal_fixture_init(&f, 1, false);
    f.options.segment_bytes = 0;
    wal_disk_fail(&f.disk, WAL_FAULT_HANG, 10, 0);
    journal_fixture_must_open(&f);
    while (!wal_disk_is_hanging(&f.disk))
        turn_for_a_moment(&f);
    journal_fixture_reset(&f, 100);
    wal_disk_release(&f.disk);
    journal_fixture_wait(&f);
    char path[WAL_FIXTURE_PATH_MAX];
    journal_fixture_path(&f, 100, path);
    struct stat st;
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_size, 2 * JOURNAL_SEGMENT_BYTES_FIRST);
    journal_fixture_reopen(&f);
    journal_fixture_must_hold(&f);
    journal_fixture_done(&f);
}

static void segments_go_by_age_but_never_the_last(void **state)
{
    (void)state;
    struct journal_fixture f;
    journal_fixture_init(&f, 1, false);
    journal_fixture_must_open(&f);
    for (int i = 0; i < 10; i++) {
        assert_int_equal(journal_fixture_append(&f, 10, 1000), 0);
        journal_fixture_wait(&f);
    }
    assert_int_equal(journal_retain(f.journal, 0, 1), 1);
    uint64_t seq = journal_retain(f.journal, 0, INT64_MAX);
    assert_in_range(seq, 80, 100);
    f.dropped = seq;
    struct buf carry;
    buf_init(&carry, 100);
    (void)buf_append_str(&carry, "{\"a\":1}");
    assert_int_equal(journal_drop(f.journal, seq, &carry), 0); /* into the one being written */
    assert_int_equal(journal_fixture_append(&f, 3, 10), 0);
    journal_fixture_reopen(&f);
    journal_fixture_must_hold(&f);
    assert_int_equal(f.carried_n, 1);
    assert_int_equal(journal_drop(f.journal, seq, &(struct buf){.data = (uint8_t *)"no", .len = 2}),
                     ERR_INVALID);
    buf_done(&carry);
    journal_fixture_done(&f);
}

static void a_failed_write_is_told_once_and_what_is_durable_is_read(void **state)
{
    (void)state;
    const struct {
        enum wal_fault fault;
        int code;
        bool buffered;
        bool by_thread;
    } cases[] = {{WAL_FAULT_WRITE, EIO, false, false},
                 {WAL_FAULT_WRITE, EIO, false, true},
                 {WAL_FAULT_WRITE, ENOSPC, true, true},
                 {WAL_FAULT_SYNC, EIO, true, true}};
    for (size_t i = 0; i < MEM_COUNT(cases); i++) {
        struct journal_fixture f;
        journal_fixture_init(&f, i, true);
        f.options.buffered = cases[i].buffered;
        if (cases[i].by_thread)
            f.disk.io.start = NULL;
        f.options.segment_bytes = 1 << 20;
        journal_fixture_must_open(&f);
        assert_int_equal(journal_fixture_append(&f, 10, 100), 0);
        journal_fixture_wait(&f);
        assert_int_equal(journal_sync_now(f.journal), 0);
        wal_disk_fail(&f.disk, cases[i].fault, 0, cases[i].code);
        /* The reserve may take the first failure. */
        while (f.failures == 0) {
            journal_fixture_append(&f, 10, 100);
            journal_fixture_wait(&f);
            if (f.failures == 0)
                wal_disk_fail(&f.disk, cases[i].fault, 0, cases[i].code);
        }
        assert_int_equal(f.failures, 1);
        assert_int_equal(journal_status(f.journal), -cases[i].code);
        assert_int_equal(journal_fixture_append(&f, 1, 10), -cases[i].code);
        struct journal_read read = {.from = 1, .bytes_max = 100000};
        assert_int_equal(journal_read_now(f.journal, &read), 0);
        assert_true(read.next >= 11);
        journal_read_done(&read);
        journal_fixture_wait(&f);
        journal_fixture_close(&f);
        wal_disk_fail(&f.disk, WAL_FAULT_NONE, 0, 0);
        journal_fixture_must_open(&f);
        journal_fixture_must_hold(&f);
        journal_fixture_done(&f);
    }
}

static void short_writes_are_completed(void **state)
{
    (void)state;
    struct journal_fixture f;
    journal_fixture_init(&f, 5, true);
    wal_disk_fail(&f.disk, WAL_FAULT_SHORT, 0, 0);
    journal_fixture_must_open(&f);
    for (int i = 0; i < 30; i++) {
        assert_int_equal(journal_fixture_append(&f, 20, 300), 0);
        journal_fixture_wait(&f);
    }
    journal_fixture_reopen(&f);
    journal_fixture_must_hold(&f);
    journal_fixture_done(&f);
}

static void a_lost_reserve_is_told_while_there_is_room(void **state)
{
    (void)state;
    struct journal_fixture f;
    journal_fixture_init(&f, 1, false);
    journal_fixture_must_open(&f);
    wal_disk_fail(&f.disk, WAL_FAULT_SPACE, 0, 0);
    while (f.reserve == 0) {
        if (journal_segments(f.journal) > 2)
            break;
        assert_int_equal(journal_fixture_append(&f, 1, 1000), 0);
        journal_fixture_wait(&f);
    }
    assert_int_equal(f.reserve, -ENOSPC);
    assert_int_equal(f.failures, 0);
    assert_int_equal(journal_fixture_append(&f, 1, 1000), 0);
    journal_fixture_wait(&f);
    assert_int_equal(f.failures, 0);
    wal_disk_fail(&f.disk, WAL_FAULT_NONE, 0, 0);
    while (f.reserve != 0)
        loop_turn(f.loop);
    assert_int_equal(journal_fixture_append(&f, 100, 1000), 0);
    journal_fixture_reopen(&f);
    journal_fixture_must_hold(&f);
    journal_fixture_done(&f);
}

static void a_lost_reserve_is_made_in_one_go_when_there_is_room(void **state)
{
    (void)state;
    struct journal_fixture f;
    journal_fixture_init(&f, 1, false);
    f.options.segment_bytes = 0;
    wal_disk_fail(&f.disk, WAL_FAULT_SPACE, 3, 0); /* the first segment is there by then */
    journal_fixture_must_open(&f);
    while (f.reserve == 0)
        loop_turn(f.loop);
    wal_disk_fail(&f.disk, WAL_FAULT_NONE, 0, 0);
    int64_t since_ms = clock_mono_ms();
    while (f.reserve != 0)
        loop_turn(f.loop);
    int64_t steps = JOURNAL_SEGMENT_BYTES / WAL_FILE_SLICE_BYTES;
    assert_true(clock_mono_ms() - since_ms < steps * WRITER_THREAD_RETRY_S * 1000);
    journal_fixture_done(&f);
}

static void nothing_may_go_while_a_reset_is_written(void **state)
{
    (void)state;
    struct journal_fixture f;
    journal_fixture_init(&f, 1, false);
    journal_fixture_must_open(&f);
    assert_int_equal(journal_fixture_append(&f, 2, 100), 0);
    journal_fixture_wait(&f);
    assert_int_equal(journal_drop(f.journal, 1, NULL), 0);
    uint64_t first = 0;
    for (bool is_written = false; !is_written;) {
        first += 5000;
        wal_disk_fail(&f.disk, WAL_FAULT_HANG, 0, 0);
        journal_fixture_reset(&f, first);
        journal_fixture_sync(&f);
        while (!wal_disk_is_hanging(&f.disk))
            turn_for_a_moment(&f);
        is_written = journal_segments(f.journal) == 0;
        if (!is_written) { /* it is the next file that is being made: once more, when it is there */
            wal_disk_release(&f.disk);
            journal_fixture_wait(&f);
        }
    }
    assert_int_equal(journal_retain(f.journal, 1, INT64_MAX), first);
    wal_disk_release(&f.disk);
    journal_fixture_wait(&f);
    assert_int_equal(journal_first(f.journal), first);
    journal_fixture_reopen(&f);
    journal_fixture_must_hold(&f);
    journal_fixture_done(&f);
}

static void the_wait_is_seen(bool by_thread)
{
    struct journal_fixture f;
    journal_fixture_init(&f, 1, false);
    if (by_thread)
        f.disk.io.start = NULL;
    journal_fixture_must_open(&f);
    assert_int_equal(journal_fixture_append(&f, 1, 10), 0);
    journal_fixture_wait(&f);
    assert_int_equal(journal_oldest_wait_ms(f.journal), 0);
    wal_disk_fail(&f.disk, WAL_FAULT_HANG, 0, 0);
    assert_int_equal(journal_fixture_append(&f, 1, 10), 0);
    journal_fixture_sync(&f);
    while (journal_oldest_wait_ms(f.journal) < 20 || !wal_disk_is_hanging(&f.disk))
        turn_for_a_moment(&f);
    assert_int_equal(f.in_flight, 1);
    assert_int_equal(journal_durable(f.journal), 1);
    wal_disk_release(&f.disk);
    journal_fixture_wait(&f);
    assert_int_equal(journal_durable(f.journal), 2);
    journal_fixture_done(&f);
}

static void a_hanging_disk_shows_as_waiting(void **state)
{
    (void)state;
    the_wait_is_seen(false);
    the_wait_is_seen(true);
}

static void plain_writes_are_started_by_the_loop(void **state)
{
    (void)state;
    struct journal_fixture f;
    journal_fixture_init(&f, 1, true);
    f.options.segment_bytes = 1 << 20;
    journal_fixture_must_open(&f);
    unsigned before = f.disk.started;
    for (int i = 0; i < 20; i++) {
        assert_int_equal(journal_fixture_append(&f, 3, 100), 0);
        journal_fixture_wait(&f);
        assert_int_equal(journal_beat(f.journal), 0);
        journal_fixture_wait(&f);
    }
    if (f.disk.started == before) { /* no O_DIRECT here */
        journal_fixture_done(&f);
        skip();
    }
    assert_true(f.disk.started > before + 20); /* the kernel may decline one */
    assert_int_equal(journal_fixture_append(&f, 1, 100), 0);
    assert_int_equal(journal_sync_now(f.journal), 0); /* without the loop */
    journal_fixture_reopen(&f);
    journal_fixture_must_hold(&f);
    journal_fixture_done(&f);
}

static void what_comes_in_bulk_goes_to_the_disk_once(void **state)
{
    (void)state;
    struct journal_fixture f;
    journal_fixture_init(&f, 1, true);
    f.options.segment_bytes = 1 << 20;
    journal_fixture_must_open(&f);
    uint64_t before = f.disk.bytes;
    for (int i = 0; i < 40; i++) {
        assert_int_equal(journal_fixture_append_bulk(&f, 300, 900), 0);
        journal_fixture_wait(&f);
    }
    uint64_t lines = journal_bytes_on_disk(f.journal);
    assert_true(lines > 10 << 20);
    assert_true(f.disk.bytes - before < lines + lines / 3); /* it, and a reserve */
    assert_true(journal_segments(f.journal) < 20);
    unsigned started = f.disk.started;
    for (int i = 0; i < 20; i++) { /* small ones go where they cost the disk little, again */
        assert_int_equal(journal_fixture_append(&f, 1, 100), 0);
        journal_fixture_wait(&f);
    }
    bool starts = f.disk.started > 0; /* O_DIRECT here */
    assert_true(!starts || f.disk.started > started + 10);
    journal_fixture_reopen(&f);
    journal_fixture_must_hold(&f);
    journal_fixture_done(&f);
}

static void on_a_full_disk_what_comes_in_bulk_goes_into_the_reserve(void **state)
{
    (void)state;
    for (unsigned grown = 0; grown < 12; grown++) {
        struct journal_fixture f;
        journal_fixture_init(&f, grown, false);
        f.options.segment_bytes = 64 << 10;
        f.options.buffered = grown % 2 == 1;
        journal_fixture_must_open(&f);
        do {
            assert_int_equal(journal_fixture_append_bulk(&f, 10, 1000), 0);
            journal_fixture_wait(&f);
        } while (journal_segments(f.journal) < 3);
        assert_int_equal(journal_fixture_append_bulk(&f, 4 * grown, 1000), 0);
        journal_fixture_wait(&f);
        wal_disk_fail(&f.disk, WAL_FAULT_SPACE, 0, 0);
        assert_int_equal(journal_fixture_append_bulk(&f, 20, 1000), 0);
        journal_fixture_wait(&f);
        assert_int_equal(f.failures, 0);
        assert_int_equal(journal_durable(f.journal), f.next - 1);
        journal_fixture_close(&f);
        wal_disk_release(&f.disk);
        journal_fixture_must_open(&f);
        assert_int_equal(journal_torn_bytes(f.journal), 0);
        journal_fixture_must_hold(&f);
        journal_fixture_done(&f);
    }
}

static void any_sequence_of_changes_is_what_the_next_open_finds(void **state)
{
    (void)state;
    struct generated g;
    generated_init(&g, 60);
    while (generated_next(&g)) {
        struct journal_fixture f;
        journal_fixture_init(&f, g.seed, false);
        wal_disk_vary(&f.disk, &g.prng);
        journal_fixture_must_open(&f);
        for (int i = 0; i < 60; i++) {
            uint64_t first = journal_first(f.journal);
            switch (prng_below(&g.prng, 13)) {
            case 0:
                if (f.next > first)
                    journal_fixture_truncate(&f, prng_between(&g.prng, first, f.next - 1));
                break;
            case 1:
                if (prng_chance(&g.prng, 1, 3))
                    journal_fixture_reset(&f, prng_between(&g.prng, 1, f.next + 50));
                break;
            case 2:
                journal_fixture_wait(&f);
                f.dropped = prng_between(&g.prng, journal_first(f.journal), f.next);
                assert_int_equal(journal_drop(f.journal, f.dropped, NULL), 0);
                journal_fixture_wait(&f);
                break;
            case 3:
                journal_fixture_reopen(&f);
                journal_fixture_must_hold(&f);
                f.dropped = UINT64_MAX; /* what was dropped stays so */
                break;
            case 4:
                assert_int_equal(journal_beat(f.journal), 0);
                break;
            case 5:
                journal_fixture_sync(&f);
                loop_turn(f.loop);
                break;
            case 6:
            case 7:
                journal_fixture_append_bulk(&f, 1 + (unsigned)prng_below(&g.prng, 30),
                                            prng_below(&g.prng, 1500));
                break;
            default:
                journal_fixture_append(&f, 1 + (unsigned)prng_below(&g.prng, 10),
                                       prng_below(&g.prng, 1500));
            }
        }
        f.dropped = UINT64_MAX;
        journal_fixture_reopen(&f);
        const char *wrong = journal_fixture_check(&f);
        generated_check(&g, wrong == NULL, "%s", wrong);
        journal_fixture_done(&f);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_new_journal_is_empty_and_begins_at_one),
        cmocka_unit_test(lines_come_back_in_order_over_many_segments),
        cmocka_unit_test(a_directory_belongs_to_one_journal),
        cmocka_unit_test(a_file_is_json_values_with_white_space_between),
        cmocka_unit_test(what_one_turn_appends_leaves_in_one_write),
        cmocka_unit_test(more_than_the_bound_in_flight_is_refused),
        cmocka_unit_test(a_line_over_the_limit_is_refused),
        cmocka_unit_test(a_truncated_end_is_replaced),
        cmocka_unit_test(a_reset_journal_goes_on_where_it_was_told),
        cmocka_unit_test(any_number_is_read_without_reading_all),
        cmocka_unit_test(a_read_beside_the_loop_is_called_back_and_can_be_cancelled),
        cmocka_unit_test(reads_go_on_while_lines_are_cut_off_and_dropped),
        cmocka_unit_test(whole_segments_go_by_size_and_carry_over),
        cmocka_unit_test(a_new_journal_is_small_and_its_segments_grow),
        cmocka_unit_test(a_reset_does_not_wait_for_a_reserve_that_is_being_made),
        cmocka_unit_test(segments_go_by_age_but_never_the_last),
        cmocka_unit_test(nothing_may_go_while_a_reset_is_written),
        cmocka_unit_test(a_failed_write_is_told_once_and_what_is_durable_is_read),
        cmocka_unit_test(short_writes_are_completed),
        cmocka_unit_test(a_lost_reserve_is_told_while_there_is_room),
        cmocka_unit_test(a_lost_reserve_is_made_in_one_go_when_there_is_room),
        cmocka_unit_test(a_hanging_disk_shows_as_waiting),
        cmocka_unit_test(plain_writes_are_started_by_the_loop),
        cmocka_unit_test(what_comes_in_bulk_goes_to_the_disk_once),
        cmocka_unit_test(on_a_full_disk_what_comes_in_bulk_goes_into_the_reserve),
        cmocka_unit_test(any_sequence_of_changes_is_what_the_next_open_finds),
    };
    return cmocka_run_group_tests_name("journal", tests, NULL, NULL);
}
