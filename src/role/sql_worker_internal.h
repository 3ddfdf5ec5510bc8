/* Between the files of the SQL worker. */
#ifndef ROLE_SQL_WORKER_INTERNAL_H
#define ROLE_SQL_WORKER_INTERNAL_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>
#include <uthash.h>

#include "role/node.h"
#include "role/sql_remote.h"
#include "role/sql_worker.h"
#include "run/executor.h"
#include "run/loop.h"

struct object_cache;
struct sql_worker;

/* Calls of different requesters may have the same number. */
struct sql_run_key {
    uint64_t peer;
    uint64_t call;
};

/* An update that waits for room in the link's queue. */
struct sql_run_held {
    STAILQ_ENTRY(sql_run_held) entry;
    ProtobufCMessage *update;
};

/* One task, from its SqlRunTask to the last update. */
struct sql_run {
    UT_hash_handle hh;
    TAILQ_ENTRY(sql_run) entry; /* in its session, while it waits */
    struct sql_worker *worker;
    struct sql_run_key key;
    struct sql_session *session; /* while it waits */
    Wire__SqlRunTask *task;      /* while it waits; NULL: `remote` has it */
    struct sql_remote *remote;   /* of a task with files in buckets, until its end */
    bool has_begun;              /* an executor has it, or had it */
    struct executor_job *job;    /* while it runs */
    Wire__SqlTaskUpdate *last;   /* of the executor, while its files are put */
    bool has_ended;              /* its last update is held */
    bool is_cancelled;
    bool is_detached;   /* nobody waits for it: not in `runs`, ends with its job */
    char *shuffle_root; /* where it writes shuffle files; NULL: it doesn't */
    char *shuffle_dir;
    int64_t since_us;
    struct trace_span *span;   /* NULL: not traced */
    char query[UUID_TEXT_MAX]; /* whose task it is */
    uint32_t stage, index, attempt;
    STAILQ_HEAD(, sql_run_held) held;
    struct loop_timer retry;
};

struct sql_worker {
    struct node *node;
    struct executor_pool *pool; /* NULL: this node cannot run SQL */
    struct object_cache *cache;
    struct error why; /* then */
    struct sql_run *runs;
    struct sql_queue *queue;
    bool is_stopping;
    bool is_full; /* its disk was, when it was last asked to write */
};

/* ---- sql_run.c --------------------------------------------------------------------------------
 */

/* One of worker->runs; nothing is done yet. */
struct sql_run *sql_run_new(struct sql_worker *worker, const struct sql_run_key *key,
                            const Wire__SqlRunTask *task);
void sql_run_free(struct sql_run *run);
/* A message of its own, as the wire has it. */
ProtobufCMessage *sql_run_copy(enum wire_type type, const ProtobufCMessage *message);
/* The task of a run that has not begun. */
Wire__SqlRunTask *sql_run_task(const struct sql_run *run);
/* Gives it to an executor; takes the run when that fails. `given` (NULL allowed) is the task, too,
 * and taken. */
void sql_run_begin(struct sql_run *run, const Wire__SqlRunTask *task, Wire__SqlRunTask *given);
/* What it reads is on this node: begins, or waits for a slot. */
void sql_run_enter(struct sql_run *run);
/* Has its files brought; takes the task. */
void sql_run_bring(struct sql_run *run, Wire__SqlRunTask *task);
/* Ends `run` (NULL: one that was not taken) with an error; `elsewhere`: another node may do it. */
void sql_worker_tell_failure(struct sql_worker *worker, const struct sql_run_key *key,
                             struct sql_run *run, const struct error *e, const char *kind,
                             bool elsewhere);

/* ---- the queue: turns go round the sessions, each in its own order
 * ------------------------------- */

struct sql_queue *sql_queue_new(void);
void sql_queue_free(struct sql_queue *queue); /* is empty */
void sql_queue_add(struct sql_queue *queue, const char *session, struct sql_run *run);
void sql_queue_remove(struct sql_queue *queue, struct sql_run *run); /* one that waits */
/* The next one, removed; NULL when none waits. */
struct sql_run *sql_queue_take(struct sql_queue *queue);

#endif
