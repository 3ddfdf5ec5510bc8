/* Between the files of the pool of executors. */
#ifndef RUN_EXECUTOR_INTERNAL_H
#define RUN_EXECUTOR_INTERNAL_H

#include <sys/queue.h>

#include "base/buf.h"
#include "run/executor.h"
#include "run/executor_process.h"

enum {
    EXECUTOR_START_TRIES = 3, /* children in a row that don't come up, then tasks fail */
    EXECUTOR_CHILDREN_MAX = EXECUTOR_SLOTS_MAX + 1,
};

enum executor_child_state {
    EXECUTOR_CHILD_NONE, /* this place has no process */
    EXECUTOR_CHILD_STARTING,
    EXECUTOR_CHILD_IDLE,
    EXECUTOR_CHILD_BUSY,
};

struct executor_child {
    struct executor_pool *pool;
    enum executor_child_state state;
    struct executor_process *process;
    struct executor_job *job;
    char *dir;
    bool was_killed; /* by us */
};

enum executor_job_state { EXECUTOR_JOB_QUEUED, EXECUTOR_JOB_RUNNING };

struct executor_job {
    TAILQ_ENTRY(executor_job) entry; /* while it waits */
    struct executor_pool *pool;
    struct executor_child *child;
    enum executor_job_state state;
    bool is_light;
    uint64_t call;     /* on the socket */
    uint64_t own_call; /* that of the task */
    struct buf frame;  /* until it is sent; or: */
    Wire__SqlRunTask *task;
    struct wire_parts parts; /* of `task` */
    executor_update_fn fn;
    void *arg;
    int64_t queued_us;
    int64_t started_us;
    uint64_t time_limit_ms;
    struct loop_timer limit;
    struct loop_timer kill;
    int cancel_code; /* 0: not cancelled */
    char *cancel_text;
};

TAILQ_HEAD(executor_queue, executor_job);

struct executor_pool {
    struct executor_pool_options options;
    char *program;
    char *library;
    char *dir;
    char *scratch;
    char **allowed;
    struct executor_child children[EXECUTOR_CHILDREN_MAX];
    struct executor_queue light;
    struct executor_queue heavy;
    unsigned light_n;
    unsigned heavy_n;
    unsigned heavy_running;
    struct loop_hook dispatch;
    bool slot_was_freed;
    bool is_removing;
    unsigned failed_starts;
    struct error start_error;
    uint64_t calls;
    uint64_t dirs;
    void (*on_slot)(void *arg);
    void *on_slot_arg;
    struct executor_stats stats;
    void (*closed)(void *arg);
    void *closed_arg;
};

/* ---- executor_job.c -------------------------------------------------------------------------- */

void executor_job_free(struct executor_job *job);
/* Each takes the job, which is in no queue and at no child any more. */
void executor_job_end(struct executor_job *job, Wire__SqlTaskUpdate *update);
void executor_job_fail(struct executor_job *job, int code, const char *kind, const char *text,
                       const char *hint, bool elsewhere);
void executor_job_fail_cancelled(struct executor_job *job);
/* Takes it out of its queue. */
void executor_job_unqueue(struct executor_job *job);

/* ---- executor_children.c --------------------------------------------------------------------- */

/* Starts one at a place that has none; when it can't be started the pool has the reason. */
void executor_child_start(struct executor_child *child);
/* Gives a waiting job to an idle child. */
void executor_child_give(struct executor_child *child, struct executor_job *job);

#endif
