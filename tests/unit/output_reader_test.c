#include "run/output_reader.h"

#include <errno.h>
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

enum { STDOUT = WIRE__OUTPUT_STREAM__OUTPUT_STREAM_STDOUT };
enum { STDERR = WIRE__OUTPUT_STREAM__OUTPUT_STREAM_STDERR };

struct fixture {
    char dir[64];
    uv_loop_t loop;
    struct output_reader *reader;
    struct task_key key;
    char *task_dir;
    int out; /* the task's end of its stdout */
};

/* What a read came to. */
struct answer {
    bool has_come;
    struct output_chunk chunk;
    char *data; /* NUL-terminated */
};

static int setup(void **state)
{
    struct fixture *f = mem_zalloc(sizeof *f);

    snprintf(f->dir, sizeof f->dir, "/tmp/clusterd-test-XXXXXX");
    assert_non_null(mkdtemp(f->dir));
    uv_loop_init(&f->loop);
    f->reader = output_reader_new(&f->loop, f->dir);
    uuid_generate(&f->key.job);
    f->key.attempt = 1;
    f->task_dir = task_dir_path(f->dir, &f->key);
    f->out = -1;
    *state = f;
    return 0;
}

static void close_reader(struct fixture *f)
{
    output_reader_close(f->reader, NULL, NULL);
    f->reader = NULL;
    uv_run(&f->loop, UV_RUN_DEFAULT);
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    if (f->reader)
        close_reader(f);
    assert_int_equal(uv_loop_close(&f->loop), 0);
    if (f->out >= 0)
        close(f->out);
    assert_int_equal(task_dir_remove(f->dir, NULL), 0);
    free(f->task_dir);
    free(f);
    return 0;
}

/* The task's side. */

static void task_begins(struct fixture *f)
{
    char *path = mem_printf("%s/%s", f->task_dir, TASK_DIR_STDOUT);

    output_reader_begin(f->reader, &f->key);
    assert_int_equal(task_dir_make(f->task_dir, NULL), 0);
    f->out = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    assert_true(f->out >= 0);
    free(path);
}

static void task_writes(struct fixture *f, const char *text)
{
    assert_int_equal(write(f->out, text, strlen(text)), strlen(text));
}

static void task_ends_with_files(struct fixture *f)
{
    Wire__TaskReport report = WIRE__TASK_REPORT__INIT;

    report.output_kept = true;
    output_reader_end(f->reader, &f->key, &report);
}

static void task_ends_inline(struct fixture *f, const char *out)
{
    Wire__TaskReport report = WIRE__TASK_REPORT__INIT;

    report.stdout_inline.data = (uint8_t *)(uintptr_t)out;
    report.stdout_inline.len = strlen(out);
    assert_int_equal(task_dir_remove(f->task_dir, NULL), 0);
    output_reader_end(f->reader, &f->key, &report);
}

/* The reader's side. */

static void answered(void *arg, const struct output_chunk *chunk)
{
    struct answer *a = arg;

    assert_false(a->has_come);
    a->has_come = true;
    a->chunk = *chunk;
    a->data = mem_strndup(chunk->data ? (const char *)chunk->data : "", chunk->len);
}

static struct output_read *begin_read(struct fixture *f, int stream, uint64_t offset, size_t max,
                                      bool wait, struct answer *a)
{
    *a = (struct answer){0};
    return output_reader_read(f->reader, &f->key, (Wire__OutputStream)stream, offset, max, wait,
                              answered, a);
}

static void turn_until_answered(struct fixture *f, struct answer *a)
{
    while (!a->has_come)
        uv_run(&f->loop, UV_RUN_ONCE);
}

/* Turns often enough for a held read to be looked at some times. */
static void turn_a_while(struct fixture *f, struct answer *a)
{
    for (int i = 0; i < 4 && !a->has_come; i++)
        uv_run(&f->loop, UV_RUN_ONCE);
}

static struct answer read_now(struct fixture *f, int stream, uint64_t offset, size_t max, bool wait)
{
    struct answer a;

    (void)begin_read(f, stream, offset, max, wait, &a);
    assert_false(a.has_come);
    turn_until_answered(f, &a);
    return a;
}

static void assert_answer(struct answer *a, const char *data, bool is_eof, bool is_running)
{
    assert_int_equal(a->chunk.code, 0);
    assert_string_equal(a->data, data);
    assert_int_equal(a->chunk.len, strlen(data));
    assert_int_equal(a->chunk.eof, is_eof);
    assert_int_equal(a->chunk.running, is_running);
    free(a->data);
}

/* ---- */

static void what_is_there_is_read_at_once(void **state)
{
    struct fixture *f = *state;

    task_begins(f);
    task_writes(f, "hello world");
    struct answer a = read_now(f, STDOUT, 0, 0, true);
    assert_int_equal(a.chunk.next_offset, 11);
    assert_answer(&a, "hello world", false, true);
    a = read_now(f, STDOUT, 6, 3, true);
    assert_int_equal(a.chunk.next_offset, 9);
    assert_answer(&a, "wor", false, true);
}

static void a_read_at_the_end_is_held_until_there_is_more(void **state)
{
    struct fixture *f = *state;
    struct answer a;

    task_begins(f);
    task_writes(f, "one");
    (void)begin_read(f, STDOUT, 3, 0, true, &a);
    turn_a_while(f, &a);
    assert_false(a.has_come);
    task_writes(f, "two");
    turn_until_answered(f, &a);
    assert_answer(&a, "two", false, true);
}

static void a_read_of_a_stream_that_is_not_made_yet_is_held(void **state)
{
    struct fixture *f = *state;
    struct answer a;

    output_reader_begin(f->reader, &f->key);
    (void)begin_read(f, STDOUT, 0, 0, true, &a);
    turn_a_while(f, &a);
    assert_false(a.has_come);
    task_begins(f);
    task_writes(f, "first");
    turn_until_answered(f, &a);
    assert_answer(&a, "first", false, true);
}

static void without_wait_a_read_at_the_end_comes_back_empty(void **state)
{
    struct fixture *f = *state;

    task_begins(f);
    struct answer a = read_now(f, STDOUT, 0, 0, false);
    assert_answer(&a, "", false, true);
}

static void the_end_of_the_task_releases_its_readers(void **state)
{
    struct fixture *f = *state;
    struct answer a, b;

    task_begins(f);
    task_writes(f, "text");
    (void)begin_read(f, STDOUT, 4, 0, true, &a);
    (void)begin_read(f, STDERR, 0, 0, true, &b);
    turn_a_while(f, &a);
    assert_false(a.has_come || b.has_come);
    char *path = mem_printf("%s/%s", f->task_dir, TASK_DIR_STDERR);
    close(open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
    free(path);
    task_ends_with_files(f);
    turn_until_answered(f, &a);
    turn_until_answered(f, &b);
    assert_answer(&a, "", true, false);
    assert_answer(&b, "", true, false);
}

static void the_last_words_come_before_the_end(void **state)
{
    struct fixture *f = *state;
    struct answer a;

    task_begins(f);
    (void)begin_read(f, STDOUT, 0, 0, true, &a);
    turn_a_while(f, &a);
    task_writes(f, "last words");
    task_ends_with_files(f);
    turn_until_answered(f, &a);
    assert_answer(&a, "last words", true, false);
}

static void a_task_that_ends_between_two_reads_loses_nothing(void **state)
{
    struct fixture *f = *state;
    struct answer a;

    task_begins(f);
    (void)begin_read(f, STDOUT, 0, 0, true,
                     &a); /* the pool may read before the next line or after */
    task_writes(f, "text");
    task_ends_with_files(f);
    turn_until_answered(f, &a);
    bool has_all = a.chunk.eof;
    assert_string_equal(a.data, "text");
    free(a.data);
    if (!has_all) {
        a = read_now(f, STDOUT, 4, 0, true);
        assert_answer(&a, "", true, false);
    }
}

static void what_was_put_into_the_report_is_read_from_there(void **state)
{
    struct fixture *f = *state;
    struct answer a, held;

    task_begins(f);
    task_writes(f, "ab");
    (void)begin_read(f, STDOUT, 2, 0, true, &held);
    turn_a_while(f, &held);
    task_writes(f, "cdef");
    task_ends_inline(f, "abcdef");
    turn_until_answered(f, &held);
    assert_answer(&held, "cdef", true, false);
    a = read_now(f, STDOUT, 0, 3, true);
    assert_answer(&a, "abc", false, false);
    a = read_now(f, STDOUT, 3, 0, true);
    assert_answer(&a, "def", true, false);
    a = read_now(f, STDERR, 0, 0, true);
    assert_answer(&a, "", true, false);
    a = read_now(f, STDOUT, 100, 0, true);
    assert_answer(&a, "", true, false);
}

static void reports_are_forgotten_when_there_are_too_many(void **state)
{
    struct fixture *f = *state;
    struct task_key first = f->key;
    Wire__TaskReport report = WIRE__TASK_REPORT__INIT;

    for (uint32_t i = 0; i <= OUTPUT_READER_RECENT_MAX; i++) {
        f->key.index = i;
        output_reader_begin(f->reader, &f->key);
        output_reader_end(f->reader, &f->key, &report);
    }
    struct answer a = read_now(f, STDOUT, 0, 0, true);
    assert_answer(&a, "", true, false);
    f->key = first;
    a = read_now(f, STDOUT, 0, 0, true);
    assert_int_equal(a.chunk.code, ERR_NOT_FOUND);
    free(a.data);
}

static void files_of_tasks_from_before_a_restart_are_read_to_their_end(void **state)
{
    struct fixture *f = *state;

    task_begins(f);
    task_writes(f, "kept");
    task_ends_with_files(f);
    struct answer a = read_now(f, STDOUT, 0, 0, true);
    assert_answer(&a, "kept", true, false);
    a = read_now(f, STDOUT, 99, 0, true);
    assert_answer(&a, "", true, false);
}

static void output_that_is_not_here_is_not_found(void **state)
{
    struct fixture *f = *state;
    struct answer a = read_now(f, STDOUT, 0, 0, true);

    assert_int_equal(a.chunk.code, ERR_NOT_FOUND);
    free(a.data);
}

static void a_link_in_place_of_a_stream_is_not_followed(void **state)
{
    struct fixture *f = *state;
    char *path = mem_printf("%s/%s", f->task_dir, TASK_DIR_STDERR);

    task_begins(f);
    assert_int_equal(symlink("/etc/passwd", path), 0);
    struct answer a = read_now(f, STDERR, 0, 0, true);
    assert_int_equal(a.chunk.code, -ELOOP);
    free(a.data);
    free(path);
}

static void large_output_comes_in_bounded_chunks(void **state)
{
    enum { BYTES = 1000 * 1000 };
    struct fixture *f = *state;
    char *text = mem_alloc(BYTES + 1);
    uint64_t offset = 0;
    bool is_eof = false;

    for (int i = 0; i < BYTES; i++)
        text[i] = (char)('a' + i % 23);
    text[BYTES] = '\0';
    task_begins(f);
    task_writes(f, text);
    task_ends_with_files(f);
    while (!is_eof) {
        struct answer a = read_now(f, STDOUT, offset, SIZE_MAX, true);
        assert_true(a.chunk.len > 0 && a.chunk.len <= OUTPUT_READER_CHUNK_BYTES_MAX);
        assert_memory_equal(a.data, text + offset, a.chunk.len);
        offset = a.chunk.next_offset;
        is_eof = a.chunk.eof;
        free(a.data);
    }
    assert_int_equal(offset, BYTES);
    free(text);
}

static void a_cancelled_read_is_not_answered(void **state)
{
    struct fixture *f = *state;
    struct answer held, busy, other;

    task_begins(f);
    struct output_read *read = begin_read(f, STDOUT, 0, 0, true, &held);
    turn_a_while(f, &held);
    output_reader_cancel(read);
    output_reader_cancel(begin_read(f, STDOUT, 0, 0, true, &busy));
    (void)begin_read(f, STDOUT, 0, 0, true, &other);
    task_writes(f, "text");
    turn_until_answered(f, &other);
    assert_answer(&other, "text", false, true);
    task_ends_with_files(f);
    close_reader(f);
    assert_false(held.has_come || busy.has_come);
}

static void closing_ends_all_reads(void **state)
{
    struct fixture *f = *state;
    struct answer held, busy;

    task_begins(f);
    (void)begin_read(f, STDOUT, 0, 0, true, &held);
    turn_a_while(f, &held);
    (void)begin_read(f, STDOUT, 0, 0, true, &busy);
    close_reader(f);
    assert_int_equal(held.chunk.code, ERR_CLOSED);
    assert_int_equal(busy.chunk.code, ERR_CLOSED);
    free(held.data);
    free(busy.data);
}

static void too_many_reads_are_refused(void **state)
{
    struct fixture *f = *state;
    struct answer *held = mem_calloc(OUTPUT_READER_READS_MAX, sizeof *held);

    task_begins(f);
    for (int i = 0; i < OUTPUT_READER_READS_MAX; i++)
        (void)begin_read(f, STDOUT, 0, 0, true, &held[i]);
    struct answer a = read_now(f, STDOUT, 0, 0, true);
    assert_int_equal(a.chunk.code, ERR_BUSY);
    free(a.data);
    task_writes(f, "x");
    for (int i = 0; i < OUTPUT_READER_READS_MAX; i++) {
        turn_until_answered(f, &held[i]);
        assert_answer(&held[i], "x", false, true);
    }
    free(held);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    static const struct CMUnitTest tests[] = {
        CASE(what_is_there_is_read_at_once),
        CASE(a_read_at_the_end_is_held_until_there_is_more),
        CASE(a_read_of_a_stream_that_is_not_made_yet_is_held),
        CASE(without_wait_a_read_at_the_end_comes_back_empty),
        CASE(the_end_of_the_task_releases_its_readers),
        CASE(the_last_words_come_before_the_end),
        CASE(a_task_that_ends_between_two_reads_loses_nothing),
        CASE(what_was_put_into_the_report_is_read_from_there),
        CASE(reports_are_forgotten_when_there_are_too_many),
        CASE(files_of_tasks_from_before_a_restart_are_read_to_their_end),
        CASE(output_that_is_not_here_is_not_found),
        CASE(a_link_in_place_of_a_stream_is_not_followed),
        CASE(large_output_comes_in_bounded_chunks),
        CASE(a_cancelled_read_is_not_answered),
        CASE(closing_ends_all_reads),
        CASE(too_many_reads_are_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
