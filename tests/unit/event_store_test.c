/* Events on the disk: what is written is read again, within bounds, whatever happens to the file.
 */
#include "run/event_store.h"

#include <errno.h>
#include <fcntl.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "run/event_seq.h"
#include "tests/unit/generated.h"

struct bed {
    char dir[64];
    char path[96];
    struct loop *loop;
    struct event_store *store;
    struct event_store_options options;
    struct event_store_found found;
    int troubles;
    int code;
    uint64_t lost;
    bool closed;

    bool answered;
    uint64_t numbers[20000];
    size_t n;
    uint64_t last;
    size_t ticks_n;
    char frame[64];
    uint64_t position;
    int64_t at_ms;
};

static struct bed bed;

static void bed_on_trouble(void *arg, int code, const char *text, uint64_t lost)
{
    (void)arg;
    (void)text;
    bed.troubles++;
    bed.code = code;
    bed.lost = lost;
}

static void bed_open(void)
{
    struct error e;
    bed.options.loop = bed.loop;
    bed.options.path = bed.path;
    bed.options.trouble = bed_on_trouble;
    int err = event_store_open(&bed.store, &bed.options, &bed.found, &e);
    if (err < 0)
        fail_msg("%s", e.text);
}

static void bed_on_closed(void *arg)
{
    (void)arg;
    bed.closed = true;
}

static void bed_close(void)
{
    bed.closed = false;
    event_store_close(bed.store, bed_on_closed, NULL);
    while (!bed.closed)
        loop_turn(bed.loop);
    free(bed.found.marks);
    bed.found.marks = NULL;
}

static int setup(void **state)
{
    (void)state;
    bed = (struct bed){0};
    (void)snprintf(bed.dir, sizeof bed.dir, "/tmp/event_store_test.XXXXXX");
    assert_non_null(mkdtemp(bed.dir));
    (void)snprintf(bed.path, sizeof bed.path, "%s/events.db", bed.dir);
    bed.loop = loop_new();
    bed.options = (struct event_store_options){.bytes_max = 64 << 20, .keep_ms = 3600 * 1000};
    for (unsigned i = 0; i < 3; i++)
        bed.options.ticks_keep_ms[i] = 3600 * 1000;
    bed_open();
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    bed_close();
    loop_free(bed.loop);
    char *command = mem_printf("rm -rf %s", bed.dir);
    assert_int_equal(system(command), 0);
    free(command);
    return 0;
}

static void add(enum event_store_list list, uint64_t number, int64_t at_ms, size_t len)
{
    Wire__Event event = WIRE__EVENT__INIT;
    char *json = mem_zalloc(len + 1);
    struct prng prng;
    prng_init(&prng, number);
    for (size_t i = 0; i < len; i++) /* does not compress to nothing */
        json[i] = (char)('a' + prng_below(&prng, 26));
    event.seq = event.position = number;
    event.at_ms = (uint64_t)at_ms;
    event.kind = (char *)(uintptr_t) "log.record";
    event.json.data = (uint8_t *)json;
    event.json.len = len;
    event_store_add(bed.store, list, number, &event);
    free(json);
}

static void on_events(void *arg, int code, const Wire__EventBatch *batch, uint64_t first,
                      uint64_t last)
{
    (void)arg;
    (void)first;
    bed.answered = true;
    bed.code = code;
    bed.last = batch != NULL ? last : 0;
    for (size_t i = 0; batch != NULL && i < batch->n_events; i++)
        bed.numbers[bed.n++] = batch->events[i]->seq;
}

static void await(void)
{
    while (!bed.answered)
        loop_turn(bed.loop);
}

/* Everything of a list behind `after`, block by block. */
static void read_all(enum event_store_list list, uint64_t after, int64_t since_ms)
{
    bed.n = 0;
    do {
        struct event_store_want want = {
            .list = list, .after = after, .before = UINT64_MAX, .since_ms = since_ms};
        bed.answered = false;
        (void)event_store_read_events(bed.store, &want, on_events, NULL);
        await();
        assert_int_equal(bed.code, 0);
        after = bed.last;
    } while (bed.last > 0);
}

static void reopen(void)
{
    bed_close();
    bed_open();
}

static void test_what_was_added_is_there_after_opening_again(void **state)
{
    (void)state;
    int64_t now_ms = clock_wall_ms();
    for (uint64_t i = 1; i <= 1000; i++) {
        add(EVENT_STORE_OWN, i, now_ms, 200);
        add(EVENT_STORE_STREAM, 5000 + i, now_ms, 300);
    }
    event_store_add_mark(bed.store, 3, 77);
    event_store_add_mark(bed.store, 3, 78);
    reopen();
    assert_int_equal(bed.found.last[EVENT_STORE_OWN], 1000);
    assert_int_equal(bed.found.last[EVENT_STORE_STREAM], 6000);
    assert_int_equal(bed.found.marks_n, 1);
    assert_int_equal(bed.found.marks[0].node, 3);
    assert_int_equal(bed.found.marks[0].seq, 78);
    read_all(EVENT_STORE_OWN, 0, INT64_MIN);
    assert_int_equal(bed.n, 1000);
    for (uint64_t i = 0; i < 1000; i++)
        assert_int_equal(bed.numbers[i], i + 1);
    read_all(EVENT_STORE_STREAM, 5990, INT64_MIN);
    assert_int_equal(bed.numbers[bed.n - 1], 6000);
}

/* Written in pieces of any size, into one file after the other opening. */
static void test_blocks_hold_every_event_once_and_in_order(void **state)
{
    struct generated g;
    uint64_t number = 0;
    (void)state;
    generated_init(&g, 20);
    while (generated_next(&g)) {
        unsigned n = 1 + (unsigned)prng_below(&g.prng, 400);
        for (unsigned i = 0; i < n && number < 10000; i++)
            add(EVENT_STORE_OWN, ++number, clock_wall_ms(), prng_below(&g.prng, 500));
        if (prng_below(&g.prng, 3) == 0)
            reopen();
        else if (prng_below(&g.prng, 2) == 0)
            loop_turn(bed.loop); /* the timer */
        if (prng_below(&g.prng, 4) != 0)
            continue;
        reopen();
        read_all(EVENT_STORE_OWN, 0, INT64_MIN);
        generated_check(&g, bed.n == number, "%zu of %llu", bed.n, (unsigned long long)number);
        for (size_t i = 0; i < bed.n; i++)
            generated_check(&g, bed.numbers[i] == i + 1, "at %zu", i);
    }
}

static void test_blocks_that_end_too_early_are_left_out(void **state)
{
    (void)state;
    int64_t now_ms = clock_wall_ms();
    for (uint64_t i = 1; i <= 300; i++)
        add(EVENT_STORE_OWN, i, now_ms - 600000, 400);
    reopen(); /* begins a block of its own */
    for (uint64_t i = 301; i <= 400; i++)
        add(EVENT_STORE_OWN, i, now_ms, 400);
    reopen();
    read_all(EVENT_STORE_OWN, 0, now_ms - 1000);
    assert_int_equal(bed.n, 100);
    assert_int_equal(bed.numbers[0], 301);
}

static void test_the_oldest_goes_when_the_bound_is_reached(void **state)
{
    (void)state;
    bed.options.bytes_max = 300000;
    reopen();
    int64_t now_ms = clock_wall_ms();
    uint64_t number = 0;
    for (unsigned round = 0; round < 30; round++) {
        for (unsigned i = 0; i < 100; i++, number++)
            add(EVENT_STORE_OWN, number + 1, now_ms + (int64_t)number, 500);
        reopen();
        assert_true(event_store_bytes(bed.store) <= 300000 + 65536);
    }
    read_all(EVENT_STORE_OWN, 0, INT64_MIN);
    assert_true(bed.n > 0 && bed.n < number);
    assert_int_equal(bed.numbers[bed.n - 1], number);
    struct stat st;
    assert_int_equal(stat(bed.path, &st), 0);
    assert_true(st.st_size < 4 << 20);
}

static void test_what_is_too_old_goes(void **state)
{
    (void)state;
    int64_t now_ms = clock_wall_ms();
    add(EVENT_STORE_OWN, 1, now_ms - 7200 * 1000, 100);
    reopen();
    add(EVENT_STORE_OWN, 2, now_ms, 100);
    reopen();
    add(EVENT_STORE_OWN, 3, now_ms, 100);
    reopen();
    read_all(EVENT_STORE_OWN, 0, INT64_MIN);
    assert_int_equal(bed.numbers[0], 2);
}

static void on_frame(void *arg, int code, const char *data, size_t len, uint64_t position,
                     int64_t at_ms)
{
    (void)arg;
    bed.answered = true;
    bed.code = code;
    (void)snprintf(bed.frame, sizeof bed.frame, "%.*s", (int)len, data != NULL ? data : "");
    bed.position = position;
    bed.at_ms = at_ms;
}

static void read_frame(int64_t at_ms)
{
    bed.answered = false;
    (void)event_store_read_frame(bed.store, at_ms, on_frame, NULL);
    await();
}

static void test_the_frame_before_a_time_or_the_first_behind_it(void **state)
{
    (void)state;
    int64_t now_ms = clock_wall_ms();
    read_frame(now_ms);
    assert_int_equal(bed.code, ERR_NOT_FOUND);
    for (int i = 1; i <= 3; i++) {
        char *text = mem_printf("frame %d", i);
        event_store_add_frame(bed.store, (uint64_t)i * 10, now_ms + i * 1000, text, strlen(text));
    }
    reopen();
    read_frame(now_ms + 2500);
    assert_string_equal(bed.frame, "frame 2");
    assert_int_equal(bed.position, 20);
    assert_int_equal(bed.at_ms, now_ms + 2000);
    read_frame(now_ms);
    assert_string_equal(bed.frame, "frame 1");
}

static void on_ticks(void *arg, int code, const struct event_store_tick *ticks, size_t n)
{
    (void)arg;
    bed.answered = true;
    bed.code = code;
    bed.ticks_n = n;
    for (size_t i = 0; i < n; i++)
        bed.numbers[i] = ticks[i].step_ms;
}

static void test_coarse_ticks_fill_what_fine_ones_leave(void **state)
{
    (void)state;
    int64_t now_ms = clock_wall_ms();
    for (int i = 0; i < 3; i++) {
        event_store_add_tick(bed.store, 60000, now_ms - 600000 + i * 60000, mem_strdup("m"), 1);
        event_store_add_tick(bed.store, 10000, now_ms - 480000 + i * 10000, mem_strdup("t"), 1);
        event_store_add_tick(bed.store, 1000, now_ms - 470000 + i * 1000, mem_strdup("s"), 1);
    }
    reopen();
    bed.answered = false;
    (void)event_store_read_ticks(bed.store, 0, INT64_MAX, on_ticks, NULL);
    await();
    assert_int_equal(bed.ticks_n, 6);
    const uint64_t steps[] = {60000, 60000, 10000, 1000, 1000, 1000};
    for (unsigned i = 0; i < 6; i++)
        assert_int_equal(bed.numbers[i], steps[i]);
}

static void test_a_damaged_file_is_put_aside(void **state)
{
    (void)state;
    for (uint64_t i = 1; i <= 100; i++)
        add(EVENT_STORE_OWN, i, clock_wall_ms(), 500);
    bed_close();
    int fd = open(bed.path, O_WRONLY);
    char noise[8192];
    memset(noise, 0x5a, sizeof noise);
    assert_int_equal(pwrite(fd, noise, sizeof noise, 0), sizeof noise);
    (void)close(fd);
    bed_open();
    assert_true(bed.found.renewed);
    assert_int_equal(bed.found.last[EVENT_STORE_OWN], 0);
    char *aside = mem_printf("%s.damaged", bed.path);
    assert_int_equal(access(aside, F_OK), 0);
    free(aside);
    add(EVENT_STORE_OWN, 101, clock_wall_ms(), 10);
    reopen();
    assert_int_equal(bed.found.last[EVENT_STORE_OWN], 101);
}

static void test_a_file_of_a_newer_program_is_refused(void **state)
{
    (void)state;
    bed_close();
    sqlite3 *db;
    assert_int_equal(sqlite3_open(bed.path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, "PRAGMA user_version=9", NULL, NULL, NULL), SQLITE_OK);
    (void)sqlite3_close(db);
    struct event_store *store = NULL;
    struct error e;
    assert_int_equal(event_store_open(&store, &bed.options, &bed.found, &e), ERR_VERSION);
    assert_non_null(strstr(e.text, "newer clusterd"));
    assert_int_equal(unlink(bed.path), 0);
    bed_open();
}

/* A table is gone: writes fail until it is there again. */
static void test_trouble_is_told_once_with_what_was_lost(void **state)
{
    (void)state;
    sqlite3 *db;
    assert_int_equal(sqlite3_open(bed.path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, "ALTER TABLE own RENAME TO gone", NULL, NULL, NULL),
                     SQLITE_OK);
    uint64_t number = 0;
    while (bed.troubles == 0) {
        add(EVENT_STORE_OWN, ++number, clock_wall_ms(), 10);
        loop_turn(bed.loop);
    }
    assert_true(bed.code < 0);
    assert_int_equal(sqlite3_exec(db, "ALTER TABLE gone RENAME TO own", NULL, NULL, NULL),
                     SQLITE_OK);
    (void)sqlite3_close(db);
    while (bed.troubles == 1) {
        add(EVENT_STORE_OWN, ++number, clock_wall_ms(), 10);
        loop_turn(bed.loop);
    }
    assert_int_equal(bed.code, 0);
    assert_true(bed.lost > 0 && bed.lost < number);
}

static void test_more_than_the_disk_takes_is_counted(void **state)
{
    (void)state;
    size_t each = 60000, n = EVENT_STORE_PENDING_MAX / each + 50;
    for (uint64_t i = 1; i <= n; i++)
        add(EVENT_STORE_OWN, i, clock_wall_ms(), each);
    while (bed.troubles == 0)
        loop_turn(bed.loop);
    assert_int_equal(bed.code, 0);
    assert_true(bed.lost >= 40);
}

/* ---- numbers --------------------------------------------------------------------------------- */

static void test_numbers_go_on_after_a_kill(void **state)
{
    struct event_seq seq;
    struct error e;
    bool skipped;
    (void)state;
    char *path = mem_printf("%s/events.seq", bed.dir);
    assert_int_equal(event_seq_open(&seq, path, 0, &skipped, &e), 0);
    assert_false(skipped);
    assert_int_equal(event_seq_next(&seq), 1);
    assert_int_equal(event_seq_next(&seq), 2);
    struct event_seq again; /* the first was never closed */
    assert_int_equal(event_seq_open(&again, path, 1, &skipped, &e), 0);
    assert_false(skipped);
    assert_int_equal(event_seq_next(&again), 3);
    event_seq_raise(&again, 10);
    event_seq_raise(&again, 5);
    assert_int_equal(event_seq_next(&again), 11);
    event_seq_close(&again);
    assert_int_equal(event_seq_open(&again, path, 500, &skipped, &e), 0);
    assert_int_equal(event_seq_next(&again), 501);
    event_seq_close(&again);
    event_seq_close(&seq);
    free(path);
}

static void test_numbers_are_skipped_when_the_page_is_gone(void **state)
{
    struct event_seq seq;
    struct error e;
    bool skipped;
    (void)state;
    char *path = mem_printf("%s/events.seq", bed.dir);
    assert_int_equal(event_seq_open(&seq, path, 700, &skipped, &e), 0);
    assert_true(skipped);
    assert_true(event_seq_next(&seq) > 700 + EVENT_SEQ_SKIP);
    event_seq_close(&seq);
    free(path);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_what_was_added_is_there_after_opening_again),
        TEST(test_blocks_hold_every_event_once_and_in_order),
        TEST(test_blocks_that_end_too_early_are_left_out),
        TEST(test_the_oldest_goes_when_the_bound_is_reached),
        TEST(test_what_is_too_old_goes),
        TEST(test_the_frame_before_a_time_or_the_first_behind_it),
        TEST(test_coarse_ticks_fill_what_fine_ones_leave),
        TEST(test_a_damaged_file_is_put_aside),
        TEST(test_a_file_of_a_newer_program_is_refused),
        TEST(test_trouble_is_told_once_with_what_was_lost),
        TEST(test_more_than_the_disk_takes_is_counted),
        TEST(test_numbers_go_on_after_a_kill),
        TEST(test_numbers_are_skipped_when_the_page_is_gone),
    };
#undef TEST
    return cmocka_run_group_tests(tests, NULL, NULL);
}
