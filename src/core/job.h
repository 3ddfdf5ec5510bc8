/* States of jobs and of attempts at their elements: names, allowed edges, one setter for each.
 *
 * The numbers are those of wire/state.proto. Edges and their causes stand in one table each, which
 * the setters check and the documentation prints. */
#ifndef CORE_JOB_H
#define CORE_JOB_H

#include <stdbool.h>

#include "base/buf.h"

enum job_state {
    JOB_STATE_NONE = 0,
    JOB_STATE_PENDING = 1, /* no element was assigned yet; blocked on dependencies counts as this */
    JOB_STATE_RUNNING = 2, /* from the first assignment until every element has ended */
    JOB_STATE_COMPLETED = 3, /* every element completed */
    JOB_STATE_FAILED = 4,    /* some element failed */
    JOB_STATE_CANCELLED = 5, /* some element was cancelled, none failed */
};

enum attempt_state {
    ATTEMPT_STATE_NONE = 0,
    ATTEMPT_STATE_ASSIGNED = 1, /* given to a node */
    ATTEMPT_STATE_RUNNING = 2,  /* the node said that it runs */
    ATTEMPT_STATE_COMPLETED = 3,
    ATTEMPT_STATE_FAILED = 4,
    ATTEMPT_STATE_CANCELLED = 5, /* on request, or because another attempt counts */
    ATTEMPT_STATE_LOST = 6,      /* its node is gone or knows nothing of it; may be found again */
    ATTEMPT_STATE_RETURNED = 7,  /* the node gave it back unstarted */
};

/* Lower-case name; static storage; "none" for anything else. */
const char *job_state_name(enum job_state state);
const char *attempt_state_name(enum attempt_state state);

/* The state called `name`, or ERR_NOT_FOUND. */
int job_state_parse(const char *name);
int attempt_state_parse(const char *name);

/* Nothing happens to it any more, unless the job is retried or a lost attempt is found again. */
bool job_state_is_ended(enum job_state state);
bool attempt_state_is_ended(enum attempt_state state);

bool job_state_allows(enum job_state from, enum job_state to);
bool attempt_state_allows(enum attempt_state from, enum attempt_state to);

/* The only ways to change a state: assert that the edge is allowed. */
void job_state_set(enum job_state *state, enum job_state to);
void attempt_state_set(enum attempt_state *state, enum attempt_state to);

/* Append the machines as Markdown tables: from, to, cause. 0 or ERR_TOO_LARGE. */
int job_state_print(struct buf *out);
int attempt_state_print(struct buf *out);

#endif
