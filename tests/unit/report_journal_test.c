#include "role/report_journal.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/mem.h"

enum { FOUND_MAX = 64 };

struct fixture {
    char dir[32];
    char *path;
    struct report_journal *journal;
    uint32_t found[FOUND_MAX]; /* indexes of the last opening */
    size_t sizes[FOUND_MAX];
    size_t found_n;
    char text[64]; /* of the last one */
};

static void on_found(void *arg, Wire__TaskReport *report, size_t size)
{
    struct fixture *f = arg;
    if (f->found_n < FOUND_MAX) {
        f->found[f->found_n] = report->key->index;
        f->sizes[f->found_n] = size;
    }
    f->found_n++;
    (void)snprintf(f->text, sizeof f->text, "%s", report->text);
    wire__task_report__free_unpacked(report, NULL);
}

static void open_journal(struct fixture *f)
{
    struct error e;
    f->found_n = 0;
    assert_int_equal(report_journal_open(f->path, on_found, f, &f->journal, &e), 0);
}

/* What the next process finds. */
static void reopen(struct fixture *f)
{
    report_journal_close(f->journal);
    open_journal(f);
}

static void flush(struct fixture *f)
{
    struct error e;
    assert_int_equal(report_journal_flush(f->journal, &e), 0);
}

static struct task_key key_of(uint32_t index)
{
    struct task_key key = {.index = index, .attempt = 3};
    memset(key.job.bytes, 0xab, sizeof key.job.bytes);
    return key;
}

static void fill(Wire__TaskReport *report, Wire__TaskKey *message, const struct task_key *key)
{
    wire__task_report__init(report);
    task_key_write(key, message);
    report->key = message;
    report->phase = WIRE__TASK_PHASE__TASK_PHASE_COMPLETED;
    report->text = (char *)(uintptr_t) "it went well";
}

static size_t add(struct fixture *f, uint32_t index)
{
    struct task_key key = key_of(index);
    Wire__TaskReport report;
    Wire__TaskKey message;
    fill(&report, &message, &key);
    return report_journal_add(f->journal, &report);
}

static void drop(struct fixture *f, uint32_t index, size_t size)
{
    struct task_key key = key_of(index);
    report_journal_drop(f->journal, &key, size);
}

static off_t size_of(const struct fixture *f)
{
    struct stat st;
    assert_int_equal(stat(f->path, &st), 0);
    return st.st_size;
}

static int setup(void **state)
{
    struct fixture *f = mem_zalloc(sizeof *f);
    (void)strcpy(f->dir, "/tmp/clusterd-test-XXXXXX");
    assert_non_null(mkdtemp(f->dir));
    f->path = mem_printf("%s/reports", f->dir);
    open_journal(f);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    report_journal_close(f->journal);
    (void)unlink(f->path);
    (void)rmdir(f->dir);
    free(f->path);
    free(f);
    return 0;
}

static void a_fresh_journal_holds_nothing(void **state)
{
    struct fixture *f = *state;
    reopen(f);
    assert_int_equal(f->found_n, 0);
}

static void what_was_flushed_is_found_in_order(void **state)
{
    struct fixture *f = *state;
    size_t size = add(f, 5);
    (void)add(f, 4);
    flush(f);
    (void)add(f, 6);
    flush(f);
    reopen(f);
    assert_int_equal(f->found_n, 3);
    assert_int_equal(f->found[0], 5);
    assert_int_equal(f->found[1], 4);
    assert_int_equal(f->found[2], 6);
    assert_int_equal(f->sizes[0], size);
    assert_string_equal(f->text, "it went well");
}

static void what_was_not_flushed_is_not_in_the_file(void **state)
{
    struct fixture *f = *state;
    (void)add(f, 1);
    flush(f);
    (void)add(f, 2);
    reopen(f);
    assert_int_equal(f->found_n, 1);
    assert_int_equal(f->found[0], 1);
}

static void what_was_acknowledged_is_not_found(void **state)
{
    struct fixture *f = *state;
    size_t size = add(f, 1);
    (void)add(f, 2);
    flush(f);
    drop(f, 1, size);
    flush(f);
    reopen(f);
    assert_int_equal(f->found_n, 1);
    assert_int_equal(f->found[0], 2);
    drop(f, 2, f->sizes[0]);
    flush(f);
    reopen(f);
    assert_int_equal(f->found_n, 0);
}

static void a_tail_torn_at_any_byte_is_cut_off(void **state)
{
    struct fixture *f = *state;
    (void)add(f, 1);
    flush(f);
    off_t whole = size_of(f);
    (void)add(f, 2);
    flush(f);
    off_t end = size_of(f);
    for (off_t at = end - 1; at >= whole; at--) {
        assert_int_equal(truncate(f->path, at), 0);
        reopen(f);
        assert_int_equal(f->found_n, 1);
        assert_int_equal(size_of(f), whole);
        (void)add(f, 2);
        flush(f);
        assert_int_equal(size_of(f), end);
    }
    reopen(f);
    assert_int_equal(f->found_n, 2);
}

static void a_damaged_record_ends_what_is_found(void **state)
{
    struct fixture *f = *state;
    (void)add(f, 1);
    flush(f);
    off_t first = size_of(f);
    (void)add(f, 2);
    (void)add(f, 3);
    flush(f);
    int fd = open(f->path, O_WRONLY);
    assert_true(fd >= 0);
    assert_int_equal(pwrite(fd, "x", 1, first + 20), 1);
    (void)close(fd);
    reopen(f);
    assert_int_equal(f->found_n, 1);
    assert_int_equal(size_of(f), first);
}

static void a_file_of_something_else_is_refused(void **state)
{
    struct fixture *f = *state;
    struct report_journal *other = NULL;
    struct error e;
    char *path = mem_printf("%s/other", f->dir);
    int fd = open(path, O_WRONLY | O_CREAT, 0600);
    assert_int_equal(write(fd, "something else", 14), 14);
    (void)close(fd);
    assert_int_equal(report_journal_open(path, on_found, f, &other, &e), ERR_CORRUPT);
    assert_non_null(strstr(e.text, path));
    assert_null(other);
    (void)unlink(path);
    free(path);
}

static void a_journal_of_which_all_is_acknowledged_does_not_grow(void **state)
{
    struct fixture *f = *state;
    off_t largest = 0;
    for (uint32_t i = 0; i < 100000; i++) {
        size_t size = add(f, i);
        drop(f, i, size);
        if (i % 100 == 0) {
            flush(f);
            largest = size_of(f) > largest ? size_of(f) : largest;
        }
    }
    assert_true(largest < 2 * REPORT_JOURNAL_WASTE_BYTES_MIN);
    assert_false(report_journal_is_wasteful(f->journal));
}

static void a_rewrite_keeps_what_is_held_and_makes_the_file_small(void **state)
{
    struct fixture *f = *state;
    struct task_key keys[2] = {key_of(1), key_of(2)};
    Wire__TaskKey messages[2];
    Wire__TaskReport reports[2];
    const Wire__TaskReport *held[2] = {&reports[0], &reports[1]};
    struct error e;
    for (unsigned i = 0; i < 2; i++) {
        fill(&reports[i], &messages[i], &keys[i]);
        (void)report_journal_add(f->journal, &reports[i]);
    }
    uint32_t index = 100;
    while (!report_journal_is_wasteful(f->journal)) {
        drop(f, index, add(f, index));
        index++;
        flush(f);
    }
    assert_int_equal(report_journal_rewrite(f->journal, held, 2, &e), 0);
    assert_true(size_of(f) < 300);
    assert_false(report_journal_is_wasteful(f->journal));
    (void)add(f, 3);
    flush(f);
    reopen(f);
    assert_int_equal(f->found_n, 3);
    assert_int_equal(f->found[0], 1);
    assert_int_equal(f->found[2], 3);
}

static void a_report_too_large_to_keep_makes_it_wasteful_until_it_is_gone(void **state)
{
    struct fixture *f = *state;
    struct task_key key = key_of(9);
    Wire__TaskKey message;
    Wire__TaskReport report;
    fill(&report, &message, &key);
    char *text = mem_alloc(REPORT_JOURNAL_RECORD_BYTES_MAX);
    memset(text, 'x', REPORT_JOURNAL_RECORD_BYTES_MAX - 1);
    text[REPORT_JOURNAL_RECORD_BYTES_MAX - 1] = '\0';
    report.text = text;
    size_t size = report_journal_add(f->journal, &report);
    assert_true(report_journal_is_wasteful(f->journal));
    flush(f);
    drop(f, 9, size);
    flush(f);
    assert_false(report_journal_is_wasteful(f->journal));
    reopen(f);
    assert_int_equal(f->found_n, 0);
    free(text);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(a_fresh_journal_holds_nothing),
        TEST(what_was_flushed_is_found_in_order),
        TEST(what_was_not_flushed_is_not_in_the_file),
        TEST(what_was_acknowledged_is_not_found),
        TEST(a_tail_torn_at_any_byte_is_cut_off),
        TEST(a_damaged_record_ends_what_is_found),
        TEST(a_file_of_something_else_is_refused),
        TEST(a_journal_of_which_all_is_acknowledged_does_not_grow),
        TEST(a_rewrite_keeps_what_is_held_and_makes_the_file_small),
        TEST(a_report_too_large_to_keep_makes_it_wasteful_until_it_is_gone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
