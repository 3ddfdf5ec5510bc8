/* What the files of the scheduler share; nobody else includes it.
 *
 *   scheduler.c      life, the step, records and sends of the update
 *   sched_job.c      submit, cancel, retry, the end of a job
 *   sched_dep.c      jobs that wait for jobs
 *   sched_element.c  attempts and what becomes of an element when one ends
 *   sched_past.c     what elements remember of earlier attempts; lost ones that are found again
 *   sched_node.c     nodes: membership, links, health, drain; room on them
 *   sched_pool.c     pools and classes: which jobs wait for which nodes
 *   sched_demand.c   classes of a pool by what they demand
 *   sched_place.c    who gets which slot
 *   sched_report.c   what nodes say about attempts
 *   sched_restore.c  rebuilding all of it from rows
 *   sched_reason.c   why an element is pending
 *   sched_set.c      sets of elements by ordinal
 *   sched_check.c    invariants
 *
 * Elements are counted through by ordinal (0, 1, 2 ... in the order of their indices), so that the
 * sets of a stepped array are as compact as those of a plain one. */
#ifndef CORE_SCHED_INTERNAL_H
#define CORE_SCHED_INTERNAL_H

#include <sys/queue.h>

#include "base/hash.h"
#include "base/heap.h"
#include "core/scheduler.h"
#include "core/selector.h"

enum {
    SCHED_AVOID_MAX = 8,    /* nodes that an element remembers to have failed on; the latest */
    SCHED_LOST_MAX = 32,    /* lost attempts of an element that may be found again; the latest */
    SCHED_STRAY_MAX = 1024, /* attempts that a node holds and that don't count, as far as counted */
    SCHED_AGAIN_LOOK = 16,  /* elements to be tried again that one placement looks at */
    SCHED_SWEEP_JOBS = 64,  /* jobs whose reason one tick renews */
    SCHED_SWEEP_MS = 20,
    SCHED_FAILURE_TEXT_MAX = 200,
};

struct sched_element_key {
    uint64_t seq;
    uint32_t ordinal;
    uint32_t zero;
};

/* An attempt that counts and is assigned or running. */
struct sched_attempt {
    struct sched_element_key key;
    struct sched_job *job;
    struct sched_node *node;
    uint32_t number;
    uint32_t round;
    enum attempt_state state;
    bool cancelling; /* the node was told to stop it, for good */
    bool evicting;   /* the node was told to stop it, it goes to another one */
    uint64_t session;
    uint64_t held; /* stamp of the last report of everything held that named it */
    int64_t assigned_ms;
    uint64_t record_turn;
    size_t record_at;
    TAILQ_ENTRY(sched_attempt) of_node;
    LIST_ENTRY(sched_attempt) of_job;
    UT_hash_handle hh;
};

struct sched_lost {
    uint32_t attempt;
    uint64_t node;
    int64_t assigned_ms;
};

/* What an element that has not ended remembers of attempts that did not complete it. */
struct sched_past {
    struct sched_element_key key;
    struct sched_job *job;
    uint32_t attempt_last;
    uint32_t failures;
    uint32_t losses;
    uint32_t avoid_n;
    uint64_t avoid[SCHED_AVOID_MAX];
    struct sched_lost *lost; /* oldest first */
    uint32_t lost_n;
    bool queued; /* pending: in its job's `again` */
    TAILQ_ENTRY(sched_past) of_again;
    UT_hash_handle hh;
};

/* An attempt that a node still runs although it doesn't count: its slots are not free. */
struct sched_stray {
    struct task_key key;
    uint32_t cpus;
    uint64_t memory_bytes;
    TAILQ_ENTRY(sched_stray) of_node;
};

struct sched_node {
    uint64_t id;
    char *name;
    bool poll;
    uint32_t slots;
    uint64_t memory_bytes;
    char **labels;
    size_t labels_n;

    enum sched_health health;
    bool linked; /* said what it holds, on `session` */
    uint64_t session;
    bool draining;
    bool disk_full;            /* keeps what it has, gets nothing */
    int64_t drain_deadline_ms; /* 0: none */
    int64_t hold_until_ms;     /* 0: none */
    uint32_t load_milli;
    uint64_t memory_available_bytes; /* 0: not known */
    uint64_t memory_unseen_bytes;    /* reserved since that was measured */

    uint32_t used; /* slots, of attempts and strays */
    uint64_t memory_reserved_bytes;
    uint32_t attempts_n, running_n, strays_n;
    TAILQ_HEAD(, sched_attempt) attempts;
    TAILQ_HEAD(, sched_stray) strays;

    /* as counted in the classes of its pools; see sched_node_changed */
    struct sched_size {
        bool up;
        uint32_t slots;
        uint64_t memory_bytes;
    } counted;
    LIST_HEAD(, sched_member) members;
    LIST_ENTRY(sched_node) of_timed; /* has a drain deadline or a hold */
    bool timed;
    bool spare; /* in sched.spare */
    TAILQ_ENTRY(sched_node) of_spare;
    struct sched_class *serves; /* while placing: the class that it has room for */
    LIST_ENTRY(sched_node) of_serves;
    UT_hash_handle hh;
};

/* A node in a pool. */
struct sched_member {
    struct sched_pool *pool;
    struct sched_node *node;
    size_t place; /* in pool->open */
    LIST_ENTRY(sched_member) of_node;
    LIST_ENTRY(sched_member) of_pool;
};

/* The nodes that a selector matches. */
struct sched_pool {
    char *text;
    struct selector selector;
    struct heap open; /* members that are pushed to and may have room; least loaded first */
    uint32_t members_n;
    LIST_HEAD(, sched_member) members;
    LIST_HEAD(, sched_class) classes;
    LIST_HEAD(, sched_class) parking; /* classes with parked jobs */
    struct sched_group *groups;       /* see sched_demand.c */
    size_t groups_n, groups_cap;
    UT_hash_handle hh;
};

/* How far the tasks of a job are queued at nodes beyond their slots. */
enum sched_ahead {
    SCHED_AHEAD_NONE,
    SCHED_AHEAD_SHORT,
    SCHED_AHEAD_TINY,
};

enum sched_class_state {
    SCHED_CLASS_OPEN,    /* some node may have room */
    SCHED_CLASS_HINTED,  /* if any node has room, then `hint` */
    SCHED_CLASS_BLOCKED, /* no node has room for the first job, nor for any behind it */
};

/* Why elements are pending: a code with what its text needs. Equal ones have equal texts. */
struct sched_why {
    int code;
    uint64_t x;
    uint64_t y;
};

/* Jobs that fit where any other of them fits. */
struct sched_class {
    struct sched_pool *pool;
    uint32_t cpus;
    uint64_t memory_bytes;
    enum sched_ahead ahead; /* the shorter their tasks, the more of them may wait at nodes */
    enum sched_class_state state;
    struct sched_node *hint;
    struct heap ready;              /* jobs with something to place, first one first */
    TAILQ_HEAD(, sched_job) parked; /* jobs that could be placed, but not on the nodes with room */
    uint32_t jobs_n;                /* that have not ended, ready or not */
    uint32_t able;                  /* members that are up and large enough */
    size_t run_place;
    size_t wait_place;
    uint64_t wait_seq; /* of the first job, as filed in `waiting` */
    bool left;         /* left `waiting` in this pass, where this was its first job: */
    uint64_t left_seq;
    struct sched_why why;
    uint64_t why_topology;
    struct sched_class *left_child, *right_child; /* by memory, among those of equal cpus, ahead */
    int height;
    struct sched_job *first_below;   /* of itself and all below it */
    LIST_HEAD(, sched_node) servers; /* while placing: nodes with room for its first job */
    LIST_ENTRY(sched_class) of_pool;
    LIST_ENTRY(sched_class) of_parking;
    LIST_ENTRY(sched_class) of_ahead;
    LIST_ENTRY(sched_class) of_left;
};

/* What a node has room for. */
struct sched_demand {
    uint32_t cpus_max;
    uint64_t memory_max;
    enum sched_ahead ahead_min;
};

struct sched_dep {
    Wire__DependencyKind kind;
    struct uuid id;
    struct sched_job *of; /* whose dependency it is */
    struct sched_job *on; /* NULL: met */
    LIST_ENTRY(sched_dep) of_on;
};

struct sched_job {
    uint64_t seq;
    struct uuid id;
    bool array;
    uint32_t array_limit;
    uint32_t cpus;
    uint64_t memory_bytes;
    uint32_t retries;
    int32_t priority;
    char *idempotency_key; /* NULL: none */

    struct rangeset elements; /* indices */
    uint32_t *base;           /* ordinal of the first element of each of those ranges */
    uint32_t total;

    enum job_state state;
    uint32_t round;
    uint32_t attempt_base; /* attempts of earlier rounds have numbers up to this */
    uint32_t attempt_max;

    /* by ordinal */
    struct rangeset fresh; /* never tried in this round; ranges before fresh_at are used up */
    size_t fresh_at;
    struct rangeset completed;
    struct rangeset failed;
    struct rangeset cancelled; /* asked for in this round, also of elements that still run */
    uint32_t fresh_n, again_n, live_n, completed_n, failed_n, cancelled_n; /* sum: total */
    TAILQ_HEAD(, sched_past) again;
    LIST_HEAD(, sched_attempt) live;

    struct sched_dep *deps;
    size_t deps_n;
    uint32_t deps_waiting;
    LIST_HEAD(, sched_dep) dependents;

    struct selector selector;
    struct sched_class *class; /* NULL once ended */
    size_t place;              /* in class->ready */
    bool parked;
    int64_t waits_since_ms; /* ready or last placed */
    int64_t mean_8ms;       /* run time of its tasks, in 1/8 ms; < 0: not known */

    int64_t submitted_ms, started_ms, ended_ms, cancel_requested_ms;
    char *cancel_reason;
    char *first_failure;
    struct sched_why why; /* as in the last record */
    char *why_text;       /* NULL: none */

    bool linked; /* known by id */
    bool touched;
    bool created;
    bool cancelled_dirty;
    uint64_t record_turn;
    size_t record_at;
    uint64_t ended_turn;
    TAILQ_ENTRY(sched_job) of_all;    /* sched.jobs or sched.ended */
    TAILQ_ENTRY(sched_job) of_parked; /* class->parked */
    TAILQ_ENTRY(sched_job) of_ending;
    UT_hash_handle hh;
    UT_hash_handle hh_key;
};

TAILQ_HEAD(sched_job_list, sched_job);

struct sched_restore; /* a job whose rows are coming in */

struct sched {
    struct sched_config config;
    bool serving; /* the first restoration has ended */
    uint64_t next_seq;

    struct sched_job *by_id;
    struct sched_job *by_key;
    struct sched_job_list jobs;   /* not ended */
    struct sched_job_list ended;  /* not applied yet */
    struct sched_job_list ending; /* ended in this step, dependents not told yet */
    uint32_t jobs_n;
    uint64_t pending_n;
    uint32_t attempts_n;

    struct sched_attempt *attempts; /* by element */
    struct sched_past *pasts;       /* by element */

    struct sched_node *nodes;
    LIST_HEAD(, sched_node) timed;
    struct sched_pool *pools;
    LIST_HEAD(, sched_class) ahead; /* classes of short tasks */
    LIST_HEAD(, sched_class) left;
    TAILQ_HEAD(, sched_node) spare; /* have more room than when they were last asked whom it fits */
    struct heap runnable;           /* classes with ready jobs that are not blocked */
    struct heap waiting;            /* classes with ready jobs that are blocked and able */
    uint32_t memory_classes_n;      /* classes that reserve memory */
    struct sched_job *reserve_job;  /* waited too long: `reserve_node` takes nothing behind it */
    struct sched_node *reserve_node;
    int64_t reserve_again_ms; /* no node could be reserved: not tried again before */
    bool left_gone;           /* a class was freed that had left `waiting` */

    uint64_t topology; /* grows when a node comes, goes or changes in more than its load */
    uint32_t sweep_left;
    uint64_t held_stamp;
    struct sched_restore *restore;

    /* of the step that is going on */
    int64_t now_ms;
    int64_t wall_ms;
    struct sched_update *update;
    struct sched_job **touched;
    size_t touched_n, touched_cap;
};

/* ---- scheduler.c ---- */

/* Fills reply.text and returns `code`. */
int sched_refuse(struct sched *s, int code, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
/* The job gets a record at the end of the step. */
void sched_touch(struct sched *s, struct sched_job *job);
/* `report` NULL: `code` and the static `text` say why; both without meaning for ASSIGNED. */
void sched_record_attempt(struct sched *s, struct sched_attempt *attempt,
                          const struct sched_report *report, enum task_code code, const char *text);
/* The row of an attempt of `job` that was lost; `report` as above. */
void sched_record_lost(struct sched *s, const struct sched_job *job, uint32_t ordinal,
                       const struct sched_lost *lost, uint32_t round, enum attempt_state state,
                       const struct sched_report *report);
struct sched_send *sched_send(struct sched *s, enum sched_send_type type,
                              const struct sched_node *node, const struct task_key *key);
void sched_attempt_key(const struct sched_attempt *attempt, struct task_key *key);

/* ---- sched_job.c ---- */

int sched_job_submit(struct sched *s, const struct sched_event *event);
int sched_job_cancel(struct sched *s, const struct sched_event *event);
int sched_job_retry(struct sched *s, const struct sched_event *event);
struct sched_job *sched_job_by_id(const struct sched *s, const struct uuid *id);
/* Checks the form of a specification, whatever the present state. */
int sched_job_validate(struct sched *s, const struct sched_job_spec *spec);
/* A job in state NONE with all elements fresh, known to nobody yet. The specification is valid. */
struct sched_job *sched_job_new(const struct sched_job_spec *spec);
/* Files the job under its id and key, in its class if it has not ended. */
void sched_job_link(struct sched *s, struct sched_job *job);
void sched_job_free(struct sched *s, struct sched_job *job);
bool sched_job_before(const struct sched_job *a, const struct sched_job *b);
uint32_t sched_job_pending(const struct sched_job *job);
void sched_job_set_state(struct sched *s, struct sched_job *job, enum job_state to);
/* Call after anything that changes what the job has to place: (un)queues it, ends it when nothing
 * is left. */
void sched_job_settle(struct sched *s, struct sched_job *job);
/* Cancels the elements of `ordinals` that have not ended. Takes no ownership. */
void sched_job_cancel_set(struct sched *s, struct sched_job *job, const struct rangeset *ordinals,
                          const char *reason);
void sched_job_cancel_all(struct sched *s, struct sched_job *job, const char *reason);
void sched_job_applied(struct sched *s, uint64_t turn);

/* ---- sched_dep.c ---- */

/* Looks up what the job waits for. `after` says what is known of jobs that are not in memory. */
void sched_dep_connect(struct sched *s, struct sched_job *job,
                       const struct sched_dependency *after);
void sched_dep_forget(struct sched_job *job);  /* it waits for nothing */
void sched_dep_abandon(struct sched_job *job); /* nor anything for it; nobody is told */
/* `on` had ended and goes on. */
void sched_dep_reopen(struct sched *s, struct sched_job *on);
/* Tells dependents of jobs that ended in this step. */
void sched_dep_finish_ending(struct sched *s);

/* ---- sched_element.c ---- */

struct sched_attempt *sched_attempt_find(const struct sched *s, const struct sched_job *job,
                                         uint32_t ordinal);
/* Makes an attempt known to its job and node, taking room there; neither record nor send. */
struct sched_attempt *sched_attempt_new(struct sched *s, struct sched_job *job, uint32_t ordinal,
                                        struct sched_node *node, uint32_t number, uint32_t round,
                                        enum attempt_state state);
/* Forgets it; says nothing to anybody. */
void sched_attempt_free(struct sched *s, struct sched_attempt *attempt);
void sched_attempt_set_state(struct sched_attempt *attempt, enum attempt_state to);

/* Starts an element that is pending: `past` when it is to be tried again, else the next fresh one.
 */
struct sched_attempt *sched_element_start(struct sched *s, struct sched_job *job,
                                          struct sched_past *past, struct sched_node *node);
void sched_element_failed(struct sched *s, struct sched_job *job, uint32_t ordinal, uint64_t node,
                          enum task_code code, const char *text);
void sched_element_completed(struct sched *s, struct sched_job *job, uint32_t ordinal);
void sched_element_cancelled(struct sched *s, struct sched_job *job, uint32_t ordinal);

/* Ends of a live attempt. Each records and frees it, decides about its element, settles the job.
 * `report` may be NULL where `text` stands beside it. */
void sched_attempt_completed(struct sched *s, struct sched_attempt *attempt,
                             const struct sched_report *report);
void sched_attempt_failed(struct sched *s, struct sched_attempt *attempt,
                          const struct sched_report *report);
void sched_attempt_cancelled(struct sched *s, struct sched_attempt *attempt,
                             const struct sched_report *report, const char *text);
void sched_attempt_returned(struct sched *s, struct sched_attempt *attempt,
                            const struct sched_report *report);
void sched_attempt_lost(struct sched *s, struct sched_attempt *attempt,
                        const struct sched_report *report, const char *text);
/* Another attempt counts: the node is told, its slots stay taken until it says that it is gone. The
 * caller decides about the element and settles the job. */
void sched_attempt_superseded(struct sched *s, struct sched_attempt *attempt);
/* Asks the node to stop it. On an agent's node, which can't be asked, ends it at once. */
void sched_attempt_cancel(struct sched *s, struct sched_attempt *attempt);
void sched_attempt_evict(struct sched *s, struct sched_attempt *attempt);
void sched_attempt_send_cancel(struct sched *s, const struct sched_attempt *attempt);

/* ---- sched_past.c ---- */

struct sched_past *sched_past_find(const struct sched *s, const struct sched_job *job,
                                   uint32_t ordinal);
struct sched_past *sched_past_get(struct sched *s, struct sched_job *job, uint32_t ordinal);
void sched_past_free(struct sched *s, struct sched_past *past); /* leaves `again` */
void sched_past_queue(struct sched *s, struct sched_past *past);
void sched_past_unqueue(struct sched *s, struct sched_past *past);
void sched_past_avoid(struct sched_past *past, uint64_t node);
bool sched_past_avoids(const struct sched_past *past, uint64_t node);
void sched_past_add_lost(struct sched_past *past, const struct sched_lost *lost);
struct sched_lost *sched_past_find_lost(struct sched_past *past, uint32_t attempt, uint64_t node);
/* The job is retried: what was before doesn't count. */
void sched_past_renew(struct sched_past *past);

/* Ends of a lost attempt that is found again. */
void sched_lost_completed(struct sched *s, struct sched_past *past, struct sched_lost *lost,
                          const struct sched_report *report);
/* The element is queued again. */
void sched_lost_failed(struct sched *s, struct sched_past *past, struct sched_lost *lost,
                       const struct sched_report *report);
void sched_lost_readopt(struct sched *s, struct sched_past *past, struct sched_lost *lost,
                        struct sched_node *node, const struct sched_report *report);

/* ---- sched_node.c ---- */

int sched_node_put(struct sched *s, const struct sched_event *event);
int sched_node_remove(struct sched *s, const struct sched_event *event);
int sched_node_link(struct sched *s, const struct sched_event *event);
int sched_node_health(struct sched *s, const struct sched_event *event);
int sched_node_vitals(struct sched *s, const struct sched_event *event);
int sched_node_drain(struct sched *s, const struct sched_event *event);
struct sched_node *sched_node_by_id(const struct sched *s, uint64_t id);
void sched_node_free(struct sched *s, struct sched_node *node);
/* Gets new work in principle. */
bool sched_node_is_up(const struct sched_node *node);
/* May have room for what is pushed. */
bool sched_node_is_open(const struct sched *s, const struct sched_node *node);
/* Slots that may be taken by tasks of which so many may be queued. */
uint32_t sched_node_slots_ahead(const struct sched *s, const struct sched_node *node,
                                enum sched_ahead ahead);
bool sched_node_has_memory(const struct sched_node *node, uint64_t bytes);
void sched_node_take(struct sched *s, struct sched_node *node, uint32_t cpus,
                     uint64_t memory_bytes);
void sched_node_give_back(struct sched *s, struct sched_node *node, uint32_t cpus,
                          uint64_t memory_bytes);
/* No new work for config.hold_ms. */
void sched_node_hold(struct sched *s, struct sched_node *node);
/* After a change of anything but what is used on it. */
void sched_node_changed(struct sched *s, struct sched_node *node);
/* After a change of what is used on it. */
void sched_node_room_changed(struct sched *s, struct sched_node *node, bool more);
/* It will be asked, before the step ends, whom it has room for. */
void sched_node_set_spare(struct sched *s, struct sched_node *node);
void sched_node_unset_spare(struct sched *s, struct sched_node *node);
/* Memory that one more element may reserve. */
uint64_t sched_node_memory_left(const struct sched_node *node);
void sched_node_add_stray(struct sched *s, struct sched_node *node, const struct task_key *key,
                          uint32_t cpus, uint64_t memory_bytes);
void sched_node_remove_stray(struct sched *s, struct sched_node *node, const struct task_key *key);
void sched_node_clear_strays(struct sched *s, struct sched_node *node);
void sched_node_tick(struct sched *s);
int64_t sched_node_deadline_ms(const struct sched *s);

/* ---- sched_pool.c ---- */

/* Puts the job into the class of its demand, made when there is none. */
void sched_class_join(struct sched *s, struct sched_job *job);
void sched_class_leave(struct sched *s, struct sched_job *job);
void sched_class_move(struct sched *s, struct sched_job *job, enum sched_ahead ahead);
void sched_class_add_ready(struct sched *s, struct sched_job *job);
void sched_class_remove(struct sched *s, struct sched_job *job); /* ready or parked */
void sched_class_park(struct sched *s, struct sched_job *job);
void sched_class_unpark(struct sched *s, struct sched_job *job);
void sched_class_unpark_all(struct sched *s, struct sched_class *class);
/* Those that have an element for the node, which has room. */
void sched_pool_unpark_for(struct sched *s, struct sched_pool *pool, const struct sched_node *node);
struct sched_job *sched_class_first(const struct sched_class *class);
void sched_class_set_state(struct sched *s, struct sched_class *class, enum sched_class_state state,
                           struct sched_node *hint);
/* Corrects its place in `runnable` and `waiting`. */
void sched_class_refile(struct sched *s, struct sched_class *class);
bool sched_class_is_able(const struct sched_class *class, const struct sched_size *size);
bool sched_member_before(const void *a, const void *b);
bool sched_class_before(const void *a, const void *b);
void sched_pool_add_node(struct sched *s, struct sched_node *node);    /* to all that match */
void sched_pool_remove_node(struct sched *s, struct sched_node *node); /* from all */

/* ---- sched_demand.c ---- */

struct sched_class *sched_demand_find(const struct sched_pool *pool, uint32_t cpus,
                                      uint64_t memory_bytes, enum sched_ahead ahead);
/* Files the class in its pool. */
void sched_demand_add(struct sched_class *class);
void sched_demand_remove(struct sched_class *class);
/* Its first job is another one now. */
void sched_demand_changed(struct sched_class *class);
/* The first job ready whose class, not `except`, demands no more than this; NULL: none. */
struct sched_job *sched_demand_first(const struct sched_pool *pool,
                                     const struct sched_demand *demand,
                                     const struct sched_class *except);
void sched_demand_check(const struct sched_pool *pool);

/* ---- sched_place.c ---- */

void sched_place(struct sched *s);
int sched_place_poll(struct sched *s, const struct sched_event *event);
/* Whether the node has room for an element of the job, elements' preferences aside. */
bool sched_place_fits(const struct sched *s, const struct sched_job *job,
                      const struct sched_node *node);
bool sched_place_may_unpark(const struct sched *s, const struct sched_job *job,
                            const struct sched_node *node);
void sched_place_forget_reserve(struct sched *s);
int64_t sched_place_deadline_ms(const struct sched *s);

/* ---- sched_report.c ---- */

int sched_report_many(struct sched *s, const struct sched_event *event);
int sched_report_held(struct sched *s, const struct sched_event *event);
int sched_report_result(struct sched *s, const struct sched_event *event);

/* ---- sched_restore.c ---- */

int sched_restore_begin(struct sched *s, const struct sched_event *event);
int sched_restore_job(struct sched *s, const struct sched_event *event);
int sched_restore_task(struct sched *s, const struct sched_event *event);
int sched_restore_end(struct sched *s, const struct sched_event *event);
void sched_restore_free(struct sched *s);

/* ---- sched_reason.c ---- */

struct sched_why sched_why(struct sched *s, struct sched_job *job);
void sched_why_format(const struct sched *s, const struct sched_job *job,
                      const struct sched_why *why, char out[static SCHED_REASON_MAX]);
/* What the job's record says: why it is pending, failed, cancelled. */
void sched_job_reason(struct sched *s, struct sched_job *job, char out[static SCHED_REASON_MAX]);
void sched_sweep(struct sched *s);

/* ---- sched_set.c ---- */

bool sched_set_ordinal(const struct sched_job *job, uint32_t index, uint32_t *ordinal);
uint32_t sched_set_index(const struct sched_job *job, uint32_t ordinal);
/* Fills the empty `ordinals`; false when some index is not the job's. */
bool sched_set_ordinals(const struct sched_job *job, const struct rangeset *indices,
                        struct rangeset *ordinals);
void sched_set_indices(const struct sched_job *job, const struct rangeset *ordinals,
                       struct rangeset *indices); /* fills the empty `indices` */
/* set = set - other, set = set + other; linear in the ranges of both. */
void sched_set_subtract(struct rangeset *set, const struct rangeset *other);
void sched_set_unite(struct rangeset *set, const struct rangeset *other);
void sched_set_append(struct rangeset *set, uint32_t first, uint32_t last); /* behind all */

#endif
