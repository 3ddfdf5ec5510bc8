/* The scheduler: jobs, their elements, the attempts at them, the nodes that run them.
 *
 *   submit ──> pending elements ──place──> attempt on a node ──report──> element ended ──> job
 * ended
 *
 * Pure: one event in, everything that follows from it out. The caller gives the time, makes `jobs`
 * and `tasks` of the update durable as one unit, and only then lets `sends` and the reply leave.
 * State here runs ahead of what is durable; on lost leadership it is thrown away with sched_free.
 *
 * An element is (job, index). What it ends with is decided once: the first COMPLETED report of an
 * attempt that the scheduler handed out counts, whatever comes behind it is acknowledged and
 * dropped. Failed attempts use up `retries`; losses (node gone, returned, drained away) don't, but
 * more than `losses_max` of them fail the element with node_lost.
 *
 * An element that failed on a node isn't given to it again while another node that could run it is
 * up; the same holds for no longer than the node is a member.
 *
 * Placement: jobs by priority (high first), then by seq; each on the node with the smallest
 * fraction of used slots, then the lowest load, then the lowest id. What doesn't fit lets later
 * jobs pass, but once the first of those that wait has had nothing for `starve_ms` it reserves a
 * node. Short tasks (mean run time below `short_ms`) are queued at a node beyond its slots, so that
 * a slot never waits for the durability of the last result: up to sched_slots_ahead() in all, and
 * no more than twice its slots + 2 of those that are not tiny, unless an earlier job waits for that
 * node.
 *
 * Costs: an event with nothing to place is O(1) in jobs and nodes; an assignment O(log) of both.
 * Elements that were not started cost ranges, not entries; attempts are in memory only while they
 * live, ended jobs only until APPLIED covers them. */
#ifndef CORE_SCHEDULER_H
#define CORE_SCHEDULER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/rangeset.h"
#include "base/uuid.h"
#include "core/job.h"
#include "wire/cluster.pb-c.h"
#include "wire/task_code.h"
#include "wire/task_key.h"

enum {
    SCHED_JOBS_MAX = 100000, /* that have not ended */
    SCHED_ELEMENTS_MAX = 1000000,
    SCHED_INDEX_MAX = 99999999,
    SCHED_DEPENDENCIES_MAX = 256,
    SCHED_RETRIES_MAX = 1000,
    SCHED_CPUS_MAX = 65536, /* of an element; also the slots of a node */
    SCHED_LABELS_MAX = 64,
    SCHED_REASON_MAX = 256,
    SCHED_KEY_MAX = 256, /* bytes of an idempotency key */
};

#define SCHED_MEMORY_BYTES_MAX (UINT64_C(1) << 50) /* of an element */

struct sched_config {
    uint32_t losses_max; /* 20 */
    int64_t starve_ms;   /* 5000 */
    int64_t short_ms;    /* 20; 0 turns queueing beyond the slots off */
    int64_t tiny_ms;     /* 4: tasks below are queued in larger numbers */
    int64_t hold_ms;     /* 1000: a node that gave something back gets nothing new for so long */
};

/* ---- what goes in ---------------------------------------------------------------------------- */

struct sched_dependency {
    Wire__DependencyKind kind;
    struct uuid job;
    enum job_state state; /* NONE: look in the scheduler; ended: what the durable state knows */
};

struct sched_job_spec {
    struct uuid id;
    const struct rangeset *elements; /* not empty; up to SCHED_ELEMENTS_MAX */
    bool array;                      /* reasons name the element */
    uint32_t array_limit;            /* most elements at once; 0: no limit */
    uint32_t cpus;                   /* slots that one element takes; 0 means 1 */
    uint64_t memory_bytes;           /* that one element reserves; 0: none */
    uint32_t retries;
    int32_t priority;
    const char *selector;        /* see core/selector.h; NULL matches every node */
    const char *idempotency_key; /* NULL or "": none */
    const struct sched_dependency *after;
    size_t after_n;
};

struct sched_node_spec {
    uint64_t id; /* not 0 */
    const char *name;
    bool poll;             /* an HTTP agent: asks, is never pushed to, has no links */
    uint32_t slots;        /* 0: takes no work */
    uint64_t memory_bytes; /* 0: not known, everything fits */
    const char *const *labels;
    size_t labels_n;
};

/* Sorted into the machine by the role from core/detector. */
enum sched_health {
    SCHED_HEALTH_UNKNOWN, /* not heard of by this leader yet: keeps what it has, gets nothing */
    SCHED_HEALTH_ALIVE,
    SCHED_HEALTH_SUSPECT, /* keeps what it has, gets nothing */
    SCHED_HEALTH_OFFLINE, /* what it has is lost */
};

struct sched_report {
    struct task_key key; /* attempt 0, from agents only: the element's latest */
    Wire__TaskPhase phase;
    enum task_code code;
    const char *text; /* why it failed; NULL allowed */
    int64_t wall_ms;  /* run time of one that ended, < 0 when not known */
    const void *keep; /* opaque: handed back in the task record that this report causes */
};

struct sched_job_row {
    uint64_t seq;
    struct sched_job_spec job; /* `after` with the states of those jobs that have ended */
    enum job_state state;
    const char *reason;
    uint32_t round;
    const struct rangeset *cancelled; /* JobRow.cancelled; NULL: none */
    int64_t submitted_ms;
    int64_t started_ms;
    int64_t ended_ms;
    int64_t cancel_requested_ms;
};

struct sched_task_row {
    uint32_t index;
    uint32_t attempt;
    uint32_t round;
    enum attempt_state state;
    uint64_t node;
    int64_t assigned_ms;
    enum task_code code; /* of its report, when it has one */
    const char *text;
};

enum sched_event_type {
    SCHED_EVENT_TICK,

    /* job; reason unused. 0 and reply.seq, or 0 with reply.duplicate and the earlier job's id and
     * seq when the idempotency key is known. ERR_EXISTS: the id is taken. ERR_NOT_FOUND: a
     * dependency with state NONE is not in memory. ERR_INVALID, ERR_TOO_LARGE: reply.text says what
     * is wrong. ERR_BUSY: SCHED_JOBS_MAX. */
    SCHED_EVENT_JOB_SUBMIT,
    /* job_id, elements (NULL: all), reason. 0 also when nothing was left to cancel. ERR_NOT_FOUND:
     * not in memory. ERR_INVALID: an element that the job doesn't have. */
    SCHED_EVENT_JOB_CANCEL,
    /* job_id. Failed and cancelled elements are pending again, with all their retries, and wait for
     * no dependency; jobs that wait for this one and have not begun wait again. 0 also when there
     * are none. ERR_NOT_FOUND: not in memory; if it has ended, give its rows (RESTORE_BEGIN to
     * RESTORE_END) and repeat. */
    SCHED_EVENT_JOB_RETRY,

    /* put: a node that is new or has changed. A new one has health UNKNOWN. ERR_INVALID. */
    SCHED_EVENT_NODE_PUT,
    /* node, session: its link is up, everything it holds follows as NODE_HELD; until then it gets
     * nothing. Sessions of a node increase under one leader; 0: it has no link now. Not for agents.
     */
    SCHED_EVENT_NODE_LINK,
    /* node, session, reports: all that it holds (QUEUED, RUNNING, ended and not acknowledged). What
     * was assigned in earlier sessions and isn't in it is lost. Ignored unless `session` is its
     * present one. Tell first that it is ALIVE. */
    SCHED_EVENT_NODE_HELD,
    SCHED_EVENT_NODE_HEALTH, /* node, health; after OFFLINE it needs a NODE_HELD again, unless an
                                agent */
    /* node, load_milli, memory_available_bytes (0: not known), disk_full: then it gets no new work
     */
    SCHED_EVENT_NODE_VITALS,
    /* node, draining, drain_deadline_ms (monotonic, 0: none). No new work; at the deadline what is
     * left goes to others. draining false resumes. */
    SCHED_EVENT_NODE_DRAIN,
    SCHED_EVENT_NODE_REMOVE, /* node: what it has is lost, and it is forgotten */

    /* node, session (of the link they came over, 0: not known), reports. What is stale is
     * acknowledged, what should not run is cancelled. A node that is told to cancel what it doesn't
     * hold must answer UNKNOWN, what has ended with that end. ERR_NOT_FOUND: unknown node. */
    SCHED_EVENT_REPORTS,
    /* node (an agent), reports[0] with phase COMPLETED or FAILED. ERR_NOT_FOUND: node, job or
     * element not in memory; ERR_EXISTS: the element has ended: in both cases the durable state
     * says by whom, and whether this is a duplicate. ERR_FORBIDDEN: the element isn't this node's.
     */
    SCHED_EVENT_RESULT,
    /* node (an agent). 0 and reply.assigned, or 0 without when there is nothing for it. An agent
     * with all its slots taken gets its oldest assignment once more: the answer must have been
     * lost. ERR_NOT_FOUND: unknown node. ERR_INVALID: not an agent. */
    SCHED_EVENT_POLL,

    /* turn: everything of updates up to this turn can be read from the durable state. */
    SCHED_EVENT_APPLIED,

    /* A new leader gives NODE_PUT (and NODE_DRAIN) of all nodes, RESTORE_BEGIN, then for each job
     * that has not ended, by seq, RESTORE_JOB and RESTORE_TASK for all its rows by (index,
     * attempt), and RESTORE_END. Nothing is placed before the first RESTORE_END, and no other event
     * may come: a scheduler of a fresh cluster needs BEGIN and END too. Later the same sequence
     * with one job loads an ended job; other events may then come in between. ERR_CORRUPT: rows
     * that contradict each other; reply.text. ERR_EXISTS: the job is in memory. */
    SCHED_EVENT_RESTORE_BEGIN, /* next_seq: the next job's, more than every durable one */
    SCHED_EVENT_RESTORE_JOB,   /* job_row */
    SCHED_EVENT_RESTORE_TASK,  /* task_row, of the last RESTORE_JOB */
    SCHED_EVENT_RESTORE_END,
};

/* Everything is borrowed for the call. */
struct sched_event {
    enum sched_event_type type;
    int64_t now_ms;  /* monotonic, never less than before */
    int64_t wall_ms; /* for rows */

    const struct sched_job_spec *job;
    const struct sched_node_spec *put;
    const struct sched_job_row *job_row;
    const struct sched_task_row *task_row;
    uint64_t next_seq;
    uint64_t turn;

    struct uuid job_id;
    const struct rangeset *elements;
    const char *reason; /* NULL allowed */

    uint64_t node;
    uint64_t session;
    enum sched_health health;
    uint32_t load_milli;
    uint64_t memory_available_bytes;
    bool disk_full;
    bool draining;
    int64_t drain_deadline_ms;

    const struct sched_report *reports;
    size_t reports_n;
};

/* ---- what comes out -------------------------------------------------------------------------- */

/* A job's row as it is now. One for each job and turn. */
struct sched_job_record {
    uint64_t seq;
    struct uuid id;
    bool created; /* the row is new: add the specification */
    enum job_state state;
    char *reason; /* "" when there is none */
    uint32_t round;
    bool cancelled_changed;
    char *cancelled; /* text of the set, "" when empty; NULL unless cancelled_changed */
    uint32_t total;
    uint32_t running; /* attempts assigned or running */
    uint32_t completed;
    uint32_t failed;
    uint32_t cancelled_n;
    int64_t submitted_ms;
    int64_t started_ms; /* 0: not yet */
    int64_t ended_ms;
    int64_t cancel_requested_ms;
};

/* An attempt's row as it is now. Several for one attempt in a turn are in order. */
struct sched_task_record {
    uint64_t job_seq;
    struct task_key key;
    uint32_t round;
    enum attempt_state state;
    uint64_t node;
    int64_t assigned_ms;
    enum task_code code;
    const char *text; /* static storage, for states that no report caused; else NULL */
    const void *keep; /* of the report that caused it, or NULL: keep the row's report as it is */
};

enum sched_send_type {
    SCHED_SEND_ASSIGN,
    SCHED_SEND_CANCEL,
    SCHED_SEND_ACK, /* the node may forget this attempt */
};

/* A message for a node. Drop it unless the node's link is the one of `session` at the time of
 * sending; the worker in turn takes assignments only from the link on which it last reported what
 * it holds. Both together keep an assignment that was given up from running after all. */
struct sched_send {
    enum sched_send_type type;
    uint64_t node;
    uint64_t session;
    uint64_t job_seq; /* 0 when the job isn't in memory (CANCEL, ACK) */
    struct task_key key;
    bool superseded;    /* CANCEL: another attempt counts */
    const char *reason; /* CANCEL; static storage */
};

/* The answer to the last event. */
struct sched_reply {
    uint64_t seq;
    struct uuid id;
    bool duplicate;
    bool assigned; /* POLL: `key` of job `seq` is for the agent */
    struct task_key key;
    char text[SCHED_REASON_MAX]; /* when the event was refused: why, complete */
};

/* Collects over the events of a loop turn. Starts zeroed. */
struct sched_update {
    uint64_t turn; /* grows with each sched_update_clear */
    /* Something in it should not be held back to be joined by more: a job came or ended, a node
     * could start at once, something is to be stopped. */
    bool hurry;
    struct sched_job_record *jobs;
    size_t jobs_n, jobs_cap;
    struct sched_task_record *tasks;
    size_t tasks_n, tasks_cap;
    struct sched_send *sends;
    size_t sends_n, sends_cap;

    struct sched_reply reply;
    int64_t next_deadline_ms; /* step with a TICK by then; INT64_MAX: no need */
};

/* ---- life ------------------------------------------------------------------------------------ */

struct sched;

void sched_config_default(struct sched_config *config);

/* Slots' worth of tasks that a node may be given in all: what it runs and what waits there. */
static inline uint32_t sched_slots_ahead(uint32_t slots)
{
    return 4 * slots + 8;
}

struct sched *sched_new(const struct sched_config *config);
void sched_free(struct sched *sched);

/* Applies `event`. Adds to `update` what must be written and sent because of it, overwrites its
 * reply and deadline. Returns 0 or the negative code that the event's type names; then nothing has
 * changed. Use one `update` with one scheduler all its life. */
int sched_step(struct sched *sched, const struct sched_event *event, struct sched_update *update);

/* Empties the arrays and begins the next turn. */
void sched_update_clear(struct sched_update *update);
void sched_update_done(struct sched_update *update);

/* ---- questions: the present state, ahead of what is durable ------------------------------------
 */

struct sched_job_view {
    uint64_t seq;
    enum job_state state;
    uint32_t total, pending, running, completed, failed, cancelled;
};

struct sched_node_view {
    enum sched_health health;
    bool linked; /* reported what it holds on its present link; agents: always */
    bool draining;
    bool disk_full;
    uint32_t slots, slots_used; /* may exceed slots by what is queued there */
    uint32_t assigned, running; /* attempts */
    uint64_t memory_reserved_bytes;
};

struct sched_stats {
    uint32_t jobs;         /* in memory */
    uint32_t jobs_waiting; /* have pending elements */
    uint64_t pending;      /* elements */
    uint32_t attempts;     /* assigned or running */
    uint32_t nodes, nodes_up;
};

/* false: not in memory, `view` untouched. */
bool sched_job_view(const struct sched *sched, const struct uuid *id, struct sched_job_view *view);
bool sched_node_view(const struct sched *sched, uint64_t node, struct sched_node_view *view);
void sched_stats(const struct sched *sched, struct sched_stats *stats);

/* Why elements of the job are pending at this moment; "" when none is. false: not in memory. */
bool sched_reason(struct sched *sched, const struct uuid *id, char out[static SCHED_REASON_MAX]);

/* Whether this attempt is the one that counts at present and is assigned or running at `node`. */
bool sched_attempt_is_live(const struct sched *sched, const struct task_key *key, uint64_t node);

/* Asserts every invariant, by brute force. For tests. */
void sched_check(const struct sched *sched);

#endif
