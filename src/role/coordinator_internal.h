/* What the parts of the coordinator share; nobody else includes it. */
#ifndef ROLE_COORDINATOR_INTERNAL_H
#define ROLE_COORDINATOR_INTERNAL_H

#include <sys/queue.h>
#include <uthash.h>

#include "base/trace.h"
#include "core/detector.h"
#include "core/scheduler.h"
#include "role/changes.h"
#include "role/events.h"
#include "role/members.h"
#include "role/node.h"
#include "role/state.h"

/* The specification of a job that has not ended. */
struct coordinator_job {
    uint64_t seq;
    struct uuid id;
    Wire__JobSpec *spec;
    uint32_t elements;
    UT_hash_handle hh;
};

/* What is known of a node besides its row; not durable. */
struct coordinator_node {
    uint64_t id;
    Wire__Node *row;             /* as the scheduler knows it */
    Wire__Vitals *vitals;        /* NULL before its first heartbeat */
    int64_t heard_wall_ms;       /* 0: never by this leader */
    int64_t started_wall_ms;     /* when its process began; 0: not known yet */
    struct metric_series *heard; /* counts its heartbeats; NULL before the first */
    uint64_t jobs_done;          /* results of an agent, since this leader leads */
    bool watched;
    UT_hash_handle hh;
};

/* Called when everything up to now is durable (code 0), or is not (negative). */
typedef void (*coordinator_durable_fn)(void *arg, int code);

struct coordinator_reply {
    coordinator_durable_fn fn;
    void *arg;
};

struct coordinator_finish {
    uint64_t seq;
    struct trace_span *span; /* NULL: not traced */
    bool failed;
};

/* What one scheduler turn lets go when it is durable. */
struct coordinator_turn {
    struct coordinator *coordinator;
    unsigned activation;
    uint64_t turn;
    bool done;
    int code;
    struct sched_send *sends;
    size_t sends_n;
    struct coordinator_reply *replies;
    size_t replies_n;
    struct coordinator_finish *ended; /* jobs that ended */
    size_t ended_n;
    struct event_draft **drafts; /* to be told with it */
    size_t drafts_n, drafts_cap;
    STAILQ_ENTRY(coordinator_turn) link;
};

struct coordinator_events;
struct coordinator_submit;
struct coordinator_wait;
struct coordinator_restore;

struct coordinator {
    struct node *node;
    bool active; /* restored: serves */
    bool stopping;
    unsigned activation;
    struct sched *sched;
    struct sched_update update;
    struct detector *detector;
    struct detector_update detected;
    struct loop_timer timer;
    int64_t sched_due_ms;
    int64_t detector_due_ms;
    bool source_added;

    struct coordinator_job *jobs;
    struct coordinator_node *nodes;

    /* collected since the last turn went into the log */
    struct coordinator_reply *replies;
    size_t replies_n, replies_cap;
    ProtobufCMessage **kept; /* reports that records of this turn point into */
    size_t kept_n, kept_cap;
    STAILQ_HEAD(, coordinator_turn) turns; /* on their way, in order */
    struct loop_timer linger_timer;
    int64_t linger_due_ms; /* what was collected goes into the log by then; 0: nothing waits */

    TAILQ_HEAD(, coordinator_submit) submits; /* whose keys or dependencies are looked up */
    TAILQ_HEAD(, coordinator_wait) waits;
    TAILQ_HEAD(, coordinator_usage) usages;     /* answers that wait for workers */
    TAILQ_HEAD(, coordinator_restore) restores; /* the first one is under way */
    struct loop_timer wait_timer;
    struct loop_timer retention_timer;
    bool forgetting;
    struct coordinator_events *events;
};

/* ---- coordinator.c --------------------------------------------------------------------------- */

/* Steps the scheduler with `event` (its times are set here) and sees to what follows. */
int coordinator_step(struct coordinator *c, struct sched_event *event);
/* Sets the timer to the next deadline of scheduler and detector. */
void coordinator_arm_timer(struct coordinator *c);
/* Takes `spec`: the job's while it lives. */
void coordinator_job_put(struct coordinator *c, uint64_t seq, const struct uuid *id,
                         Wire__JobSpec *spec, uint32_t elements);
struct coordinator_job *coordinator_job_get(struct coordinator *c, uint64_t seq);
void coordinator_job_drop(struct coordinator *c, uint64_t seq);
struct coordinator_node *coordinator_node_get(struct coordinator *c, uint64_t id);

/* ---- coordinator_turn.c: what changed goes into the log, and what waits for that --------------
 */

void coordinator_turns_start(struct coordinator *c);
void coordinator_turns_active(struct coordinator *c);
/* What is in no batch yet is answered with ERR_NOT_LEADER; what is, when that has its outcome. */
void coordinator_turns_inactive(struct coordinator *c);
void coordinator_turns_free(struct coordinator *c);
/* Has `fn` called when what was stepped so far is durable. */
void coordinator_when_durable(struct coordinator *c, coordinator_durable_fn fn, void *arg);
/* Keeps a message (taken) until the turn at hand is in the log; lets all of them go. */
void coordinator_keep(struct coordinator *c, ProtobufCMessage *message);
void coordinator_drop_kept(struct coordinator *c);
/* Borrows from `record` and the job. */
void coordinator_fill_job(struct coordinator *c, const struct sched_job_record *record,
                          Wire__JobRow *row, Wire__ElementSet *cancelled);

/* ---- coordinator_retention.c: with `retention_timer` ------------------------------------------
 */

void coordinator_retention_start(struct coordinator *c);
void coordinator_retention_active(struct coordinator *c);

/* ---- coordinator_restore.c ------------------------------------------------------------------- */

/* ERR_NOT_LEADER: the lead was lost meanwhile. */
typedef void (*coordinator_restored_fn)(struct coordinator *c, void *arg, int code);

/* Reads all jobs that have not ended into the scheduler and calls `done`. */
void coordinator_restore(struct coordinator *c, coordinator_restored_fn done);
/* Gives the scheduler one job that has ended (taken), for a retry. */
void coordinator_restore_job(struct coordinator *c, Wire__JobRow *row, coordinator_restored_fn done,
                             void *arg);
void coordinator_restores_clear(struct coordinator *c);

/* ---- coordinator_nodes.c --------------------------------------------------------------------- */

void coordinator_sync_nodes(struct coordinator *c);
void coordinator_link(struct coordinator *c, uint64_t node, uint64_t session);
void coordinator_detect(struct coordinator *c, enum detector_event_type type, uint64_t node);
void coordinator_nodes_clear(struct coordinator *c);
void coordinator_on_heartbeat(void *self, uint64_t from, const ProtobufCMessage *message);
void coordinator_on_task_update(void *self, uint64_t from, const ProtobufCMessage *message);
void coordinator_on_leave(void *self, uint64_t from, const ProtobufCMessage *message);
const char *coordinator_node_state(struct coordinator *c, const Wire__Node *row);

/* ---- coordinator_watch.c ----------------------------------------------------------------------
 */

/* What goes into the log is what is counted, and logged: assignments, ends, submits. */
void coordinator_count(struct coordinator *c, const struct sched_update *update);
/* Before metrics are read (`arg`: the coordinator): what is only known on the leader. */
void coordinator_on_collect(void *arg);
/* The span of a job that ended, from its submit to now; NULL: it is not traced. */
struct trace_span *coordinator_job_span(struct coordinator *c,
                                        const struct sched_job_record *record);

/* ---- coordinator_events.c: what is told of all this -------------------------------------------
 */

void coordinator_events_start(struct coordinator *c);
void coordinator_events_free(struct coordinator *c);
/* The state is restored: tells the frames' first rows. */
void coordinator_events_active(struct coordinator *c);
void coordinator_events_inactive(struct coordinator *c);
/* What goes into the log with `turn`. */
void coordinator_tell_records(struct coordinator *c, struct coordinator_turn *turn);
void coordinator_tell_health(struct coordinator *c, const struct detector_change *change,
                             bool left);
void coordinator_tell_node(struct coordinator *c, const Wire__Node *before, const Wire__Node *row);
void coordinator_tell_removed(struct coordinator *c, const Wire__Node *row);

/* ---- coordinator_nodes_api.c ----------------------------------------------------------------- */

/* A node's row without what its heartbeats say. */
json_t *coordinator_node_row(struct coordinator *c, const Wire__Node *row);

/* ---- API ------------------------------------------------------------------------------------- */

extern const struct http_route coordinator_job_routes[];
extern const size_t coordinator_job_routes_n;
extern const struct http_route coordinator_node_routes[];
extern const size_t coordinator_node_routes_n;
extern const struct http_route coordinator_agent_routes[];
extern const size_t coordinator_agent_routes_n;

/* First line of every handler: whether this coordinator serves `req`. */
bool coordinator_serves(struct coordinator *c, struct http_request *req, http_request_fn handler);

/* Submits `spec` (taken) and answers `req`: 201 with {"id",...}, or with {"job_id",...} and `mode`
 * unless that is NULL. */
void coordinator_submit(struct coordinator *c, struct http_request *req, Wire__JobSpec *spec,
                        bool agent_style, const char *mode);
void coordinator_submits_clear(struct coordinator *c, int code);
void coordinator_waits_clear(struct coordinator *c);
/* A job has ended, durably. */
void coordinator_waits_wake(struct coordinator *c, uint64_t seq);

/* ---- coordinator_usage.c --------------------------------------------------------------------- */

/* Answers that wait for workers don't any longer: what is known is told. */
void coordinator_usages_end(struct coordinator *c);

#endif
