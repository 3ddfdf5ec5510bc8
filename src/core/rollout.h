/* A rollout: traffic moves from the stable model of one or several services to a canary, in steps,
 * each of which is one transaction on all nodes (core/txn.h), gated by how the canary fares.
 *
 *   start ──> switching ──> watching (timed) or waiting (until promote) ──> switching ──> promoted
 *                                        │ a gate fails, or an operator says so
 *                                        └──> reverting ──> aborted
 *
 * paused: no further step; gates go on and may abort. frozen: nothing happens by itself, whatever
 * the gates say. A rollback is a rollout with one switch and no gates, to any earlier version.
 *
 * What a measurement says: pass, fail, or inconclusive: too few requests in the window, a value
 * that is no number, a gate that could not be asked. More than `failure_limit` failures of one gate
 * in one step abort; more than `inconclusive_limit` inconclusive ones in a row pause; a step is
 * left when its pause is over and every gate has passed last. A dry-run gate is measured and never
 * acts. Without progress for `deadline_ms` beyond its pauses a rollout is aborted.
 *
 * The whole struct is the durable state: whoever leads writes it (`changed`) before it does what
 * the step's effects ask, and a new leader goes on from there with ROLLOUT_EVENT_RESTORED. All
 * times are wall clock, since leaders change; a clock that is ahead makes no later leader wait
 * longer than the plan says. */
#ifndef CORE_ROLLOUT_H
#define CORE_ROLLOUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/error.h"
#include "base/uuid.h"
#include "core/health.h"
#include "core/routing.h"

enum {
    ROLLOUT_STEPS_MAX = 20,
    ROLLOUT_GATES_MAX = 16,
    ROLLOUT_TARGETS_MAX = 8,
    ROLLOUT_TEXT_MAX = 256,
    ROLLOUT_ARGUMENT_MAX = 1024,
    ROLLOUT_WINDOW_MS = 60000,
    ROLLOUT_INTERVAL_MS = 5000,
    ROLLOUT_DEADLINE_MS = 600000,
    ROLLOUT_SAMPLES_MIN = 20,
    ROLLOUT_SWITCH_TRIES = 3, /* of a step's transaction */
    ROLLOUT_RETRY_MS = 1000,
};

enum rollout_state {
    ROLLOUT_STATE_NONE,
    ROLLOUT_STATE_SWITCHING, /* a transaction is under way, or about to be repeated */
    ROLLOUT_STATE_WATCHING,
    ROLLOUT_STATE_WAITING,
    ROLLOUT_STATE_PAUSED,
    ROLLOUT_STATE_FROZEN,
    ROLLOUT_STATE_REVERTING,
    ROLLOUT_STATE_PROMOTED,
    ROLLOUT_STATE_ABORTED,
    ROLLOUT_STATE_ROLLED_BACK,
};

enum rollout_kind { ROLLOUT_KIND_CANARY, ROLLOUT_KIND_ROLLBACK };

enum rollout_gate_kind {
    ROLLOUT_GATE_ERRORS,  /* limit: permille of requests */
    ROLLOUT_GATE_LATENCY, /* limit: microseconds at `permille` */
    ROLLOUT_GATE_HTTP,    /* argument: URL */
    ROLLOUT_GATE_COMMAND, /* argument: for /bin/sh -c, on the leader */
};

enum rollout_verdict {
    ROLLOUT_VERDICT_NONE,
    ROLLOUT_VERDICT_PASS,
    ROLLOUT_VERDICT_FAIL,
    ROLLOUT_VERDICT_INCONCLUSIVE,
};

struct rollout_step {
    int weight; /* of the canary, percent; growing; the last is 100 */
    int64_t pause_ms;
    bool wait; /* until promote; pause_ms is 0 */
};

struct rollout_gate {
    enum rollout_gate_kind kind;
    unsigned permille; /* LATENCY: 500, 950, ... */
    uint64_t limit;
    bool dry_run;
    char argument[ROLLOUT_ARGUMENT_MAX];
    /* what was measured in this step */
    enum rollout_verdict verdict; /* the last */
    unsigned failures;
    unsigned inconclusive; /* in a row */
    double value;          /* NAN: none */
    char text[ROLLOUT_TEXT_MAX];
};

struct rollout_target {
    char service[ROUTING_NAME_MAX + 1];
    uint64_t from_version;             /* before the rollout; 0: the service is new */
    char stable[ROUTING_NAME_MAX + 1]; /* "": the service is new */
    char canary[ROUTING_NAME_MAX + 1];
    /* ROLLBACK: what is restored */
    uint64_t to_version;
    char to_canary[ROUTING_NAME_MAX + 1];
    int to_weight; /* of to_canary; the stable model then is `canary` */
};

struct rollout {
    /* given at the start */
    struct uuid id;
    enum rollout_kind kind;
    struct rollout_target targets[ROLLOUT_TARGETS_MAX];
    size_t targets_n;
    struct rollout_step steps[ROLLOUT_STEPS_MAX];
    size_t steps_n;
    struct rollout_gate gates[ROLLOUT_GATES_MAX];
    size_t gates_n;
    int64_t window_ms;
    int64_t interval_ms;
    int64_t deadline_ms;
    uint64_t samples_min;
    unsigned failure_limit;
    unsigned inconclusive_limit; /* 0: never pauses */
    bool no_data_passes;         /* too few requests: pass instead of inconclusive */
    bool by_peers;               /* decisions without the metadata group */
    char by[ROUTING_NAME_MAX + 1];
    char reason[ROLLOUT_TEXT_MAX];

    /* how far it is */
    enum rollout_state state;
    enum rollout_state resume_to; /* of PAUSED, FROZEN */
    /* PAUSED or FROZEN wanted once the switch is done, which is tried until it is; else NONE */
    enum rollout_state hold;
    size_t step;          /* index of the present or coming step */
    bool full;            /* straight to the end */
    bool changed_traffic; /* some switch was made */
    bool abort_wanted;    /* once the switch is known */
    struct uuid txid;     /* of the switch under way; nil: none */
    unsigned tries;       /* of this switch */
    int64_t began_ms;
    int64_t since_ms;      /* of the state */
    int64_t pause_left_ms; /* PAUSED, FROZEN: of the step's pause */
    int64_t measure_ms;    /* next measurement */
    int64_t retry_ms;      /* of the switch; 0: not waiting */
    int64_t ended_ms;
    int weight;                  /* of the first target's `canary` now */
    char text[ROLLOUT_TEXT_MAX]; /* why it is as it is */
};

enum rollout_event_type {
    ROLLOUT_EVENT_TICK,
    ROLLOUT_EVENT_START, /* the struct is filled in, rollout_check() passed */
    /* outcome of the switch `txid`: committed or not, text. Others are ignored. */
    ROLLOUT_EVENT_SWITCHED,
    ROLLOUT_EVENT_SAMPLE, /* health, one for each target, of its canary within window_ms */
    ROLLOUT_EVENT_GATE,   /* gate (index), verdict, value, text: of HTTP and COMMAND */
    /* by, text: an operator. ERR_CONFLICT with update.text when the state doesn't allow it. */
    ROLLOUT_EVENT_PROMOTE, /* full */
    ROLLOUT_EVENT_PAUSE,
    ROLLOUT_EVENT_FREEZE,
    ROLLOUT_EVENT_RESUME,
    ROLLOUT_EVENT_ABORT,
    /* by, text: a rollback takes its place; it ends at once, whatever is under way */
    ROLLOUT_EVENT_SUPERSEDE,
    ROLLOUT_EVENT_RESTORED, /* another leader has taken over */
};

struct rollout_event {
    enum rollout_event_type type;
    int64_t wall_ms;
    struct uuid fresh; /* an unused id, for the transaction that the step may begin */
    struct uuid txid;
    bool committed;
    bool full;
    const struct health *health;
    size_t gate;
    enum rollout_verdict verdict;
    double value;
    const char *by;
    const char *text;
};

/* What one step asks for, once the struct is durable (if `changed`). Starts zeroed. */
struct rollout_update {
    bool changed;
    bool begin;   /* the transaction rollout.txid, towards rollout_wanted() */
    bool settle;  /* find out what became of rollout.txid (an earlier leader's): abort it unless it
                     is decided; SWITCHED tells */
    bool measure; /* SAMPLE for the canaries */
    uint32_t run; /* bit i: HTTP or COMMAND gate i */
    bool note;    /* for the history: `what` by `by` because of `text` */
    bool ended;
    char what[32];
    char by[ROUTING_NAME_MAX + 1];
    char text[ROLLOUT_TEXT_MAX];
    int64_t next_ms; /* wall; TICK by then; INT64_MAX: no need */
};

/* Fills the defaults in: steps 5, 25, 50, 100 with a minute each. */
void rollout_init(struct rollout *rollout);
/* The given part of `from` in a rollout that has not begun. */
void rollout_again(const struct rollout *from, struct rollout *out);
/* Whether the given part makes sense: ERR_INVALID with a text that says what to do. */
int rollout_check(const struct rollout *rollout, struct error *e);

/* Applies `event`, overwrites `update`. 0, or ERR_CONFLICT: nothing has changed, update->text says
 * why. */
int rollout_step(struct rollout *rollout, const struct rollout_event *event,
                 struct rollout_update *update);

/* The routing state that the switch under way makes of a target; version, txid and gate are left 0
 * except that a step's switch carries the participants' gate. */
void rollout_wanted(const struct rollout *rollout, size_t target, struct routing_state *state);

bool rollout_is_ended(const struct rollout *rollout);
bool rollout_allows(enum rollout_state from, enum rollout_state to);
const char *rollout_state_name(enum rollout_state state);
int rollout_state_parse(const char *name); /* ERR_INVALID */
const char *rollout_verdict_name(enum rollout_verdict verdict);
int rollout_verdict_parse(const char *name);
int rollout_state_print(struct buf *out); /* the table: from, to, cause */

/* "errors<=1%", "p95<=250ms", "http:URL", "command:TEXT", each may begin with "dry:". ERR_INVALID
 * names what is wrong. */
int rollout_gate_parse(const char *text, struct rollout_gate *gate, struct error *e);
/* malloc'ed, as it is parsed. */
char *rollout_gate_format(const struct rollout_gate *gate);
/* "5:1m,25:10m,50:wait,100": weight and pause of each step. */
int rollout_steps_parse(const char *text, struct rollout *rollout, struct error *e);
char *rollout_steps_format(const struct rollout *rollout);

#endif
