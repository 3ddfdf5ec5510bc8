/* SQL executors as the daemon sees them: a pool of `clusterd executor` children that have DuckDB
 * loaded. Tasks are the messages of wire/sql.proto.
 *
 * A child runs one task at a time and is kept for the next. It costs 35 MB, so the first is started
 * by the first task, never by an idle node. Parsing and describing have a
 * child of their own beside the `slots`, so that they are quick while long queries run.
 *
 * When a child dies, its task ends with ERR_UNAVAILABLE and kind "crash" (kind "memory" when it was
 * for memory), `elsewhere` set, its files are removed, and another child is started for the next
 * task. One that cannot be started at all ends waiting tasks with the reason.
 *
 * What a task may touch: the `allowed` directories and its own scratch directory. It has no
 * network, no extension can be loaded, no setting changed; statements are SELECTs, whatever they
 * say.
 *
 * No callback is called from inside a function of this header. */
#ifndef RUN_EXECUTOR_H
#define RUN_EXECUTOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "run/loop.h"
#include "wire/message.h"

enum {
    EXECUTOR_SLOTS_MAX = 64,
    EXECUTOR_QUEUE_MAX = 1024,                /* tasks that wait for a child */
    EXECUTOR_ROWS_BYTES_MAX = 256 * 1024,     /* of one batch */
    EXECUTOR_ROW_BYTES_MAX = 4 * 1024 * 1024, /* of one row */
    EXECUTOR_CANCEL_MS = 60,                  /* then the child is killed */
};

struct executor_pool;
struct executor_job;

struct executor_pool_options {
    struct loop *loop;
    const char *program; /* runs `PROGRAM executor`; NULL: this program */
    const char *library; /* libduckdb.so; NULL: where configure found it, or beside the program */
    const char *dir;     /* scratch, of this pool alone: emptied at start, removed at the end */
    unsigned slots;      /* tasks with data at once, >= 1 */
    unsigned threads;    /* of each child, >= 1 */
    uint64_t memory_bytes_max;  /* of each child; beyond it spills, then fails */
    uint64_t temp_bytes_max;    /* that one may spill */
    uint64_t time_limit_ms;     /* of a task that says none; 0: none */
    const char *const *allowed; /* absolute directories */
    size_t allowed_n;
};

/* Whether this build and machine can run SQL at all: ERR_UNSUPPORTED with what to do. */
int executor_check(const char *library, struct error *e);

/* Copies the options. Starts no child. -errno when `dir` cannot be made. */
int executor_pool_new(const struct executor_pool_options *options, struct executor_pool **out,
                      struct error *e);

/* Kills the children, ends every task with ERR_UNAVAILABLE, removes `dir`, calls `closed`, frees.
 * No other function of the pool may be called any more, but for those of its jobs. */
void executor_pool_close(struct executor_pool *pool, void (*closed)(void *arg), void *arg);

/* A directory below `dir` for files that the daemon hands to tasks (and removes): absolute path. */
const char *executor_pool_scratch(const struct executor_pool *pool);

/* `update` is borrowed; its `call` is that of the task. After one with `done` the job is gone. */
typedef void (*executor_update_fn)(void *arg, const Wire__SqlTaskUpdate *update);

/* Runs a task: places of its inputs and outputs are "file:" URLs below allowed directories. The
 * message is packed before this returns. Waits in the pool's queue while no child is free: who
 * wants fairness hands over only when executor_pool_has_slot(). ERR_BUSY above EXECUTOR_QUEUE_MAX,
 * ERR_TOO_LARGE for more than a frame. */
int executor_run(struct executor_pool *pool, const Wire__SqlRunTask *task, executor_update_fn fn,
                 void *arg, struct executor_job **out);

/* The same with a task of its own memory, which is taken when it succeeds (and changed): it is
 * written from there, so that this takes no longer for a statement of megabytes. */
int executor_run_given(struct executor_pool *pool, Wire__SqlRunTask *task, executor_update_fn fn,
                       void *arg, struct executor_job **out);

/* The rows so far were taken: `bytes` more may come. */
void executor_credit(struct executor_job *job, uint64_t bytes);

/* Ends it: `done` follows with `code` and `text` as its message, within EXECUTOR_CANCEL_MS and what
 * a kill takes. Once ended, or cancelled before: no effect. */
void executor_cancel(struct executor_job *job, int code, const char *text);

/* Cancels it; no callback will come, the job is gone. */
void executor_drop(struct executor_job *job);

/* Whether a task with data would begin at once. */
bool executor_pool_has_slot(const struct executor_pool *pool);
/* Called (at the end of a turn) when a slot has become free. */
void executor_pool_on_slot(struct executor_pool *pool, void (*fn)(void *arg), void *arg);

/* Whether the task is parsing or describing: it takes no slot. */
bool executor_task_is_light(const Wire__SqlRunTask *task);

struct executor_stats {
    unsigned children;
    unsigned idle;
    unsigned queued;
    uint64_t tasks;   /* ended, since the start */
    uint64_t failed;  /* of them, with an error */
    uint64_t crashes; /* children that died by themselves */
    uint64_t kills;   /* children that had to be killed for a cancel or limit */
    int pid_last;     /* of the child that was given a task last; 0: none */
};

void executor_pool_get_stats(const struct executor_pool *pool, struct executor_stats *out);

#endif
