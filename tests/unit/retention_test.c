#include "run/retention.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/mem.h"
#include "run/task_dir.h"

enum { KIB = 1024, HOUR_MS = 3600 * 1000 };

static const int64_t now_ms = INT64_C(2000000000000);

struct fixture {
    char dir[64];
    struct retention_stats stats;
    struct error e;
};

static int setup(void **state)
{
    struct fixture *f = mem_zalloc(sizeof *f);

    snprintf(f->dir, sizeof f->dir, "/tmp/clusterd-test-XXXXXX");
    assert_non_null(mkdtemp(f->dir));
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(task_dir_remove(f->dir, NULL), 0);
    free(f);
    return 0;
}

static struct task_key key_of(uint32_t index)
{
    struct task_key key = {.index = index, .attempt = 1};

    memset(key.job.bytes, 0x42, sizeof key.job.bytes);
    return key;
}

static void set_time(const char *path, int64_t ms)
{
    struct timespec times[2] = {{.tv_sec = ms / 1000}, {.tv_sec = ms / 1000}};

    assert_int_equal(utimensat(AT_FDCWD, path, times, 0), 0);
}

/* An attempt with so much output that was written so long ago. */
static void make(struct fixture *f, uint32_t index, size_t bytes, int64_t age_ms)
{
    struct task_key key = key_of(index);
    char *dir = task_dir_path(f->dir, &key);
    char *out = mem_printf("%s/%s", dir, TASK_DIR_STDOUT);
    char *data = mem_zalloc(bytes);

    assert_int_equal(task_dir_make(dir, NULL), 0);
    assert_int_equal(task_dir_remove_work(dir, NULL), 0);
    int fd = open(out, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    assert_int_equal(write(fd, data, bytes), bytes);
    assert_int_equal(fsync(fd), 0); /* so that its blocks are counted */
    close(fd);
    set_time(out, now_ms - age_ms);
    set_time(dir, now_ms - age_ms);
    free(data);
    free(out);
    free(dir);
}

static bool is_there(struct fixture *f, uint32_t index)
{
    struct task_key key = key_of(index);
    char *dir = task_dir_path(f->dir, &key);
    bool there = access(dir, F_OK) == 0;

    free(dir);
    return there;
}

static int sweep(struct fixture *f, struct retention_policy policy, const struct task_key *keep,
                 size_t n)
{
    return retention_sweep(f->dir, &policy, keep, n, now_ms, &f->stats, &f->e);
}

static void what_is_older_than_the_age_goes(void **state)
{
    struct fixture *f = *state;

    make(f, 1, 10 * KIB, 3 * HOUR_MS);
    make(f, 2, 10 * KIB, HOUR_MS);
    assert_int_equal(sweep(f, (struct retention_policy){.age_max_ms = 2 * HOUR_MS}, NULL, 0), 0);
    assert_false(is_there(f, 1));
    assert_true(is_there(f, 2));
    assert_int_equal(f->stats.attempts_removed, 1);
    assert_int_equal(f->stats.attempts_kept, 1);
    assert_true(f->stats.bytes_removed >= 10 * KIB && f->stats.bytes_kept >= 10 * KIB);
}

static void above_the_size_the_oldest_go_first(void **state)
{
    struct fixture *f = *state;

    make(f, 1, 100 * KIB, 2 * HOUR_MS);
    make(f, 2, 100 * KIB, 4 * HOUR_MS);
    make(f, 3, 100 * KIB, 3 * HOUR_MS);
    assert_int_equal(sweep(f, (struct retention_policy){.bytes_max = 150 * KIB}, NULL, 0), 0);
    assert_true(is_there(f, 1));
    assert_false(is_there(f, 2));
    assert_false(is_there(f, 3));
    assert_true(f->stats.bytes_kept <= 150 * KIB);
}

static void what_must_be_kept_stays_however_old_and_large(void **state)
{
    struct fixture *f = *state;
    struct task_key keep[] = {key_of(1), key_of(7)};

    make(f, 1, 500 * KIB, 9 * HOUR_MS);
    make(f, 2, 10 * KIB, 8 * HOUR_MS);
    assert_int_equal(
        sweep(f, (struct retention_policy){.age_max_ms = HOUR_MS, .bytes_max = KIB}, keep, 2), 0);
    assert_true(is_there(f, 1));
    assert_false(is_there(f, 2));
}

static void what_was_written_just_now_stays(void **state)
{
    struct fixture *f = *state;

    make(f, 1, 500 * KIB, RETENTION_FRESH_MS / 2);
    assert_int_equal(sweep(f, (struct retention_policy){.bytes_max = KIB}, NULL, 0), 0);
    assert_true(is_there(f, 1));
}

static void without_limits_everything_stays(void **state)
{
    struct fixture *f = *state;

    make(f, 1, KIB, INT64_C(1000) * HOUR_MS);
    assert_int_equal(sweep(f, (struct retention_policy){0}, NULL, 0), 0);
    assert_true(is_there(f, 1));
}

static void what_is_no_attempt_is_left_alone(void **state)
{
    static const char *const names[] = {".spare", "notes", "42424242-4242-4242-4242-424242424242",
                                        "42424242-4242-4242-4242-424242424242_1.1x",
                                        "42424242-4242-4242-4242-424242424242_01.1"};
    struct fixture *f = *state;

    for (size_t i = 0; i < MEM_COUNT(names); i++) {
        char *path = mem_printf("%s/%s", f->dir, names[i]);
        assert_int_equal(mkdir(path, 0700), 0);
        set_time(path, 0);
        free(path);
    }
    assert_int_equal(sweep(f, (struct retention_policy){.age_max_ms = 1, .bytes_max = 1}, NULL, 0),
                     0);
    assert_int_equal(f->stats.attempts_kept + f->stats.attempts_removed, 0);
    for (size_t i = 0; i < MEM_COUNT(names); i++) {
        char *path = mem_printf("%s/%s", f->dir, names[i]);
        assert_int_equal(access(path, F_OK), 0);
        free(path);
    }
}

static void a_missing_directory_is_an_error(void **state)
{
    struct fixture *f = *state;
    struct retention_policy policy = {.age_max_ms = 1};

    assert_int_equal(
        retention_sweep("/no/such/directory", &policy, NULL, 0, now_ms, &f->stats, &f->e), -2);
    assert_non_null(strstr(f->e.text, "/no/such/directory"));
}

static void swept(void *arg, int code, const struct retention_stats *stats, const char *text)
{
    struct fixture *f = arg;

    (void)text;
    assert_int_equal(code, 0);
    f->stats = *stats;
}

static void a_sweep_off_the_loop_reports_on_it(void **state)
{
    struct fixture *f = *state;
    struct retention_policy policy = {.age_max_ms = HOUR_MS};
    struct task_key keep = key_of(2);
    uv_loop_t loop;

    make(f, 1, KIB, now_ms); /* in 1970 */
    make(f, 2, KIB, now_ms);
    uv_loop_init(&loop);
    retention_start(&loop, f->dir, &policy, &keep, 1, swept, f);
    uv_run(&loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&loop), 0);
    assert_int_equal(f->stats.attempts_removed, 1);
    assert_true(is_there(f, 2));
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    static const struct CMUnitTest tests[] = {
        CASE(what_is_older_than_the_age_goes),
        CASE(above_the_size_the_oldest_go_first),
        CASE(what_must_be_kept_stays_however_old_and_large),
        CASE(what_was_written_just_now_stays),
        CASE(without_limits_everything_stays),
        CASE(what_is_no_attempt_is_left_alone),
        CASE(a_missing_directory_is_an_error),
        CASE(a_sweep_off_the_loop_reports_on_it),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
