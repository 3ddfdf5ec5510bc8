/* What the parts of the worker share; nobody else includes it. */
#ifndef ROLE_WORKER_INTERNAL_H
#define ROLE_WORKER_INTERNAL_H

#include "role/file_cache.h"
#include "role/node.h"
#include "role/report_journal.h"
#include "role/task_queue.h"
#include "run/output_reader.h"
#include "run/task_run.h"

enum {
    WORKER_RUNNING_AFTER_MS = 20,       /* shorter attempts are only reported when they end */
    WORKER_UPDATE_BYTES_MAX = 1 << 20,  /* of reports in one message */
    WORKER_HELD_BYTES_MAX = 4 << 20,    /* of ended reports in a full heartbeat */
    WORKER_REPORT_BYTES_MAX = 16 << 20, /* of ended reports in all: beyond, nothing is accepted */
    WORKER_NOTES_MAX = 65536,
    WORKER_RESEND_MS = 5000,      /* without an acknowledgement */
    WORKER_STOP_MARGIN_MS = 2000, /* beyond the grace of the node */
    WORKER_RETENTION_INTERVAL_MS = 60000,
};

/* An attempt held here. */
struct worker_task {
    struct task_queue_item item; /* the first member */
    struct worker *worker;
    Wire__AssignTask *assign; /* until it ended */
    struct task_run *run;     /* while it runs */
    struct trace_span *span;  /* until it ended; NULL: not traced */
    int64_t running_ms;       /* since when a command runs */
    bool returning;           /* a cancelled end counts as given back */
    const char *return_why;   /* static storage */
    bool told_as_running;     /* in the last full heartbeat, although it has ended */

    Wire__TaskKey brief_key;
    Wire__TaskReport brief;   /* queued, running */
    Wire__TaskReport *report; /* ended */
    size_t report_size;
    size_t record_size; /* in the journal */
    int64_t sent_ms;
    bool in_outbox;
    TAILQ_ENTRY(worker_task) outbox;
    TAILQ_ENTRY(worker_task) quiet; /* running, not reported */
    bool is_quiet;
};

/* A report on what is not held (any more). */
struct worker_note {
    struct task_key key;
    Wire__TaskPhase phase;
    const char *text; /* static storage */
};

struct worker {
    struct node *node;
    struct task_queue queue;
    struct task_run_node run_node;
    struct file_cache *cache;
    struct url_cache *urls;
    char *tasks_dir;
    struct loop_timer hold_timer;

    /* reports */
    struct report_journal *journal;
    uint64_t report_bytes;
    uint64_t leader; /* to whom, in which term, on which link everything held was last told */
    uint64_t term;
    uint64_t session;
    TAILQ_HEAD(, worker_task) outbox;
    TAILQ_HEAD(, worker_task) quiet;
    struct worker_note *notes;
    size_t notes_n, notes_cap;
    struct loop_hook hook;
    struct loop_timer quiet_timer;
    struct loop_timer resend_timer;
    struct loop_timer retry_timer;
    int64_t journal_retry_ms; /* not before */

    unsigned statuses; /* questions under way on a thread */

    /* output */
    struct output_reader *reader;
    struct worker_read *reads;
    struct loop_timer retention_timer;
    bool sweeping;

    bool disk_full; /* takes nothing */
    bool stopping;  /* gives everything back */
    bool hard;      /* has killed what didn't end */
    bool finishing; /* nothing runs any more, or was given up */
    struct loop_timer stop_timer;
};

/* ---- worker.c ---------------------------------------------------------------------------------
 */

/* What ran may have been the last that kept the worker from stopping. */
void worker_check_stopped(struct worker *worker);

/* ---- worker_task.c ----------------------------------------------------------------------------
 */

int worker_task_start(struct worker *worker, struct error *e);
void worker_task_done(struct worker *worker);
struct worker_task *worker_task_new(struct worker *worker, const struct task_key *key);
struct worker_task *worker_task_find(struct worker *worker, const struct task_key *key);
void worker_on_assign(void *self, uint64_t from, const ProtobufCMessage *message);
void worker_on_cancel(void *self, uint64_t from, const ProtobufCMessage *message);
/* Frees one that is no longer held. */
void worker_task_free(struct worker_task *task);
/* Looks at the disk, see node_work; gives back what waits when it has become full. */
bool worker_task_disk_full(void *arg);
/* Gives back everything: queued at once, running by ending it. */
void worker_task_return_all(struct worker *worker);
void worker_task_kill_all(struct worker *worker);

/* ---- worker_report.c --------------------------------------------------------------------------
 */

int worker_report_start(struct worker *worker, struct error *e);
void worker_report_done(struct worker *worker);
/* What is known of an attempt now; borrowed. */
const Wire__TaskReport *worker_report_of(struct worker_task *task);
/* Reports the attempt as it is now, with the others of this turn. */
void worker_report_queue(struct worker *worker, struct worker_task *task);
/* Takes `report`: the attempt ended. */
void worker_report_end(struct worker *worker, struct worker_task *task, Wire__TaskReport *report);
/* Reports once on an attempt that is not held. `text` has static storage. */
void worker_report_note(struct worker *worker, const struct task_key *key, Wire__TaskPhase phase,
                        const char *text);
/* The attempt runs; reported unless it ends soon. */
void worker_report_running(struct worker *worker, struct worker_task *task);
/* Nothing will be reported of it. */
void worker_report_unqueue(struct worker *worker, struct worker_task *task);
/* Writes and sends now what this turn would write and send at its end. */
void worker_report_flush(struct worker *worker);
void worker_on_ack(void *self, uint64_t from, const ProtobufCMessage *message);
bool worker_report_has_room(const struct worker *worker);
void worker_report_held(void *arg, Wire__Heartbeat *heartbeat);
void worker_report_told(void *arg, uint64_t leader, uint64_t term, uint64_t session);
/* Whether `from` is who everything held was told, on the link that is up now. */
bool worker_report_is_told(const struct worker *worker, uint64_t from);

/* ---- worker_status.c --------------------------------------------------------------------------
 */

void worker_on_get_status(void *self, uint64_t from, const ProtobufCMessage *message);

/* ---- worker_output.c --------------------------------------------------------------------------
 */

void worker_output_start(struct worker *worker);
void worker_output_stop(struct worker *worker, void (*stopped)(void *arg));
void worker_on_output_read(void *self, uint64_t from, const ProtobufCMessage *message);
void worker_on_output_cancel(void *self, uint64_t from, const ProtobufCMessage *message);
void worker_output_lost(struct worker *worker, uint64_t peer);

#endif
