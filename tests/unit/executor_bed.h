/* A pool of real executors in a test, whose program is the test itself: main() must begin with
 * executor_bed_main(). One task after another, each to its end. */
#ifndef TESTS_UNIT_EXECUTOR_BED_H
#define TESTS_UNIT_EXECUTOR_BED_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/mem.h"
#include "run/executor.h"
#include "run/executor_child.h"
#include "run/executor_publish.h"
#include "run/loop.h"

enum { EXECUTOR_BED_ROWS_BYTES_MAX = 64 << 20, EXECUTOR_BED_CREDIT = 1 << 20 };

struct executor_bed {
    struct loop *loop;
    struct executor_pool *pool;
    char *dir;   /* all of the test's files */
    char *store; /* dir/store: allowed */
    char *root;  /* "file:" and that */
    bool is_closed;
};

/* What came of a task. */
struct executor_bed_run {
    struct executor_bed *bed;
    struct executor_job *job;
    struct buf rows; /* batches, joined by commas; lines as they are */
    char *columns;   /* "a INTEGER, b VARCHAR" */
    Wire__SqlTaskDone *done;
    uint64_t rows_n;
    unsigned batches;
    unsigned progress;
    size_t batch_bytes_max;
    bool holds_credit; /* give none for what comes */
    bool joins_lines;
};

#define EXECUTOR_BED_MAIN(argc, argv)                                                              \
    do {                                                                                           \
        if ((argc) > 1 && strcmp((argv)[1], "executor") == 0)                                      \
            return executor_main(EXECUTOR_FD);                                                     \
    } while (0)

static inline void executor_bed_options(struct executor_bed *bed,
                                        struct executor_pool_options *options)
{
    static const char *allowed[1];
    char *scratch = mem_printf("%s/sql", bed->dir);
    allowed[0] = bed->store;
    *options = (struct executor_pool_options){
        .loop = bed->loop,
        .dir = scratch, /* leaks into the test, which is short */
        .slots = 2,
        .threads = 2,
        .memory_bytes_max = 512 << 20,
        .temp_bytes_max = 1 << 30,
        .allowed = allowed,
        .allowed_n = 1,
    };
}

static inline void executor_bed_open(struct executor_bed *bed)
{
    const char *tmp = getenv("TMPDIR");
    bed->loop = loop_new();
    bed->dir = mem_printf("%s/executor-XXXXXX", tmp != NULL ? tmp : "/tmp");
    assert_non_null(mkdtemp(bed->dir));
    bed->store = mem_printf("%s/store", bed->dir);
    bed->root = mem_printf("file:%s", bed->store);
    assert_int_equal(mkdir(bed->store, 0700), 0);
}

static inline void executor_bed_start(struct executor_bed *bed,
                                      const struct executor_pool_options *options)
{
    struct error e = {0};
    if (executor_pool_new(options, &bed->pool, &e) < 0)
        fail_msg("%s", e.text);
    bed->is_closed = false;
}

static inline void executor_bed_init(struct executor_bed *bed)
{
    struct executor_pool_options options;
    *bed = (struct executor_bed){0};
    executor_bed_open(bed);
    executor_bed_options(bed, &options);
    executor_bed_start(bed, &options);
    free((void *)(uintptr_t)options.dir);
}

static inline void executor_bed_on_closed(void *arg)
{
    ((struct executor_bed *)arg)->is_closed = true;
}

static inline void executor_bed_stop(struct executor_bed *bed)
{
    executor_pool_close(bed->pool, executor_bed_on_closed, bed);
    while (!bed->is_closed)
        loop_turn(bed->loop);
    bed->pool = NULL;
}

static inline void executor_bed_done(struct executor_bed *bed)
{
    if (bed->pool != NULL)
        executor_bed_stop(bed);
    loop_free(bed->loop);
    executor_publish_remove(bed->dir);
    free(bed->dir);
    free(bed->store);
    free(bed->root);
}

static inline void executor_bed_take_rows(struct executor_bed_run *run, const Wire__SqlRows *rows)
{
    if (run->rows.len > 0 && !run->joins_lines)
        assert_int_equal(buf_append_byte(&run->rows, ','), 0);
    assert_int_equal(buf_append(&run->rows, rows->data.data, rows->data.len), 0);
    run->rows_n += rows->count;
    run->batches++;
    if (rows->data.len > run->batch_bytes_max)
        run->batch_bytes_max = rows->data.len;
    if (!run->holds_credit)
        executor_credit(run->job, rows->data.len);
}

static inline void executor_bed_on_update(void *arg, const Wire__SqlTaskUpdate *update)
{
    struct executor_bed_run *run = arg;
    assert_null(run->done);
    assert_int_equal(update->call, 4711);
    for (size_t i = 0; i < update->n_columns; i++) {
        char *old = run->columns;
        run->columns = mem_printf("%s%s%s %s", old != NULL ? old : "", old != NULL ? ", " : "",
                                  update->columns[i]->name, update->columns[i]->type);
        free(old);
    }
    run->progress += update->progress != NULL;
    if (update->rows != NULL)
        executor_bed_take_rows(run, update->rows);
    if (update->done != NULL) {
        size_t len = wire__sql_task_done__get_packed_size(update->done);
        uint8_t *packed = mem_alloc(len + 1);
        wire__sql_task_done__pack(update->done, packed);
        run->done = wire__sql_task_done__unpack(NULL, len, packed);
        free(packed);
    }
}

static inline void executor_bed_begin(struct executor_bed *bed, Wire__SqlRunTask *task,
                                      struct executor_bed_run *run)
{
    memset(run, 0, sizeof *run);
    run->bed = bed;
    buf_init(&run->rows, EXECUTOR_BED_ROWS_BYTES_MAX);
    task->call = 4711;
    if (task->credit == 0)
        task->credit = EXECUTOR_BED_CREDIT;
    assert_int_equal(executor_run(bed->pool, task, executor_bed_on_update, run, &run->job), 0);
}

static inline void executor_bed_wait(struct executor_bed_run *run)
{
    while (run->done == NULL)
        loop_turn(run->bed->loop);
}

static inline void executor_bed_run(struct executor_bed *bed, Wire__SqlRunTask *task,
                                    struct executor_bed_run *run)
{
    executor_bed_begin(bed, task, run);
    executor_bed_wait(run);
}

static inline void executor_bed_run_done(struct executor_bed_run *run)
{
    buf_done(&run->rows);
    free(run->columns);
    if (run->done != NULL)
        wire__sql_task_done__free_unpacked(run->done, NULL);
}

/* SELECT without inputs, rows back. */
static inline void executor_bed_select(struct executor_bed *bed, const char *sql,
                                       struct executor_bed_run *run)
{
    Wire__SqlRunTask task = WIRE__SQL_RUN_TASK__INIT;
    Wire__SqlFragment fragment = WIRE__SQL_FRAGMENT__INIT;
    fragment.sql = (char *)(uintptr_t)sql;
    task.fragment = &fragment;
    executor_bed_run(bed, &task, run);
}

/* Its rows; malloc'ed, fails the test on an error. */
static inline char *executor_bed_rows(struct executor_bed *bed, const char *sql)
{
    struct executor_bed_run run;
    executor_bed_select(bed, sql, &run);
    if (run.done->error != NULL)
        fail_msg("%s: %s", sql, run.done->error->message);
    char *rows = buf_steal(&run.rows, NULL);
    executor_bed_run_done(&run);
    return rows != NULL ? rows : mem_strdup("");
}

#endif
