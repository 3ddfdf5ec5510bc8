/* Group commit of state changes: all that came up while the last batches were on their way becomes
 * one Raft entry.
 *
 * Changes that are ready are added with changes_add(). A source keeps its changes itself (so that
 * several changes of one row become one) and is asked for them right before each batch. */
#ifndef ROLE_CHANGES_H
#define ROLE_CHANGES_H

#include "role/state.h"
#include "wire/state.pb-c.h"

enum {
    CHANGES_IN_FLIGHT_MAX = 3,         /* batches */
    CHANGES_BATCH_BYTES_MAX = 1 << 20, /* a batch is closed when it has grown past this */
    CHANGES_SOURCES_MAX = 4,
};

struct changes;

/* `result` is NULL when `code` says that the change was not made (ERR_NOT_LEADER, ERR_BUSY,
 * -ENOSPC) or that nobody knows (ERR_OUTCOME_UNKNOWN). */
typedef void (*changes_done_fn)(void *arg, int code, const struct state_result *result);

/* Adds what the source has to the batch at hand, with changes_add(). */
typedef void (*changes_source_fn)(void *arg);

struct changes *changes_new(struct loop *loop, struct state *state);
/* Nothing may be under way. */
void changes_free(struct changes *changes);

/* Packs `change` (borrowed); `done` may be NULL. */
void changes_add(struct changes *changes, const Wire__Change *change, changes_done_fn done,
                 void *arg);

/* Adds what an operator did to the audit trail, and to the log; `detail` may be "". */
void changes_audit(struct changes *changes, const char *user, const char *action,
                   const char *object, const char *detail);

/* Called with each line of the audit trail when it is added. */
typedef void (*changes_audit_fn)(void *arg, const char *user, const char *action,
                                 const char *object, const char *detail);
void changes_on_audit(struct changes *changes, changes_audit_fn fn, void *arg);

void changes_add_source(struct changes *changes, changes_source_fn fn, void *arg);
/* A batch is being filled: what is added now goes with it. */
bool changes_has_open(const struct changes *changes);

/* A source has something. It is asked at the end of this turn or when a batch has come back. */
void changes_wake(struct changes *changes);

/* The lead is lost: forgets what was not proposed (`done` gets ERR_NOT_LEADER). */
void changes_reset(struct changes *changes);

#endif
