/* The replicated state as roles see it: propose changes, read, know who leads.
 *
 * Happy path on the leader: a packed wire.Batch becomes one Raft entry; when a majority has it on
 * disk and it is applied here, the proposer hears the results. Reads run on the state's reader
 * threads after the read-index round (Ongaro's thesis, 6.4) that their consistency asks for.
 *
 * How it fails: a lost lead ends what is outstanding with ERR_OUTCOME_UNKNOWN; a disk that fails or
 * is nearly full makes the node give up the lead and say why. All on the loop's thread. */
#ifndef ROLE_STATE_H
#define ROLE_STATE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "run/loop.h"
#include "run/state_db.h"
#include "wire/cluster.pb-c.h"
#include "wire/raft.pb-c.h"

struct state;

enum state_consistency {
    STATE_LINEARIZABLE, /* leader, confirmed by a majority after the read began */
    STATE_WEAK,         /* leader as far as it knows */
    STATE_STALE,        /* this replica's own state */
};

struct state_options {
    struct loop *loop;
    const char *dir; /* exists; holds the log and the state file */
    uint64_t id;     /* of this node */
    const char *address;
    unsigned election_timeout_ms;
    unsigned heartbeat_ms;
    uint64_t snapshot_bytes;
    uint64_t log_bytes_kept;
};

struct state_callbacks {
    /* To another metadata node. Fire and forget; 0 when a link took it. */
    int (*send_raft)(void *arg, uint64_t to, const Wire__RaftMessage *message);
    int (*send_confirm)(void *arg, uint64_t to, const Wire__ReadConfirm *message);
    /* Another leader (0: none known) or another term. */
    void (*leader)(void *arg, uint64_t leader_id, uint64_t term);
    /* This replica asks for the lead in `term`, or whether it would get it (`pre_vote`). NULL
     * allowed. */
    void (*candidate)(void *arg, uint64_t term, bool pre_vote);
    /* This node leads and its state holds everything that was ever acknowledged. */
    void (*active)(void *arg, uint64_t term);
    /* Undoes `active`. Outstanding proposals end after this call. */
    void (*inactive)(void *arg);
    /* Entries up to `index` are applied here; called at most once a turn. */
    void (*applied)(void *arg, uint64_t index);
    /* The disk of this node is full (changes are refused with -ENOSPC) or has room again. */
    void (*full)(void *arg, bool full);
    /* This replica is out of work until the daemon is started anew. */
    void (*failed)(void *arg, const struct error *e);
    void *arg;
};

/* Opens log and state, starts the replica. With `bootstrap` a pristine replica becomes the only
 * voter of a new group. */
int state_open(struct state **out, const struct state_options *options,
               const struct state_callbacks *callbacks, bool bootstrap, struct error *e);
void state_close(struct state *state, void (*closed)(void *arg), void *arg);

bool state_is_active(const struct state *state);
bool state_is_full(const struct state *state);
uint64_t state_leader(const struct state *state); /* 0: none known */
uint64_t state_term(const struct state *state);
uint64_t state_applied(const struct state *state);
uint64_t state_commit(const struct state *state);
uint64_t state_last_index(const struct state *state);

struct state_stats {
    uint64_t commit_index, applied_index, last_index, snapshot_index;
    uint64_t log_bytes; /* of entries behind the last snapshot */
    unsigned proposals; /* without an answer */
};

void state_get_stats(const struct state *state, struct state_stats *out);

/* `results` (one a change) is valid during the call; none with a code: ERR_NOT_LEADER (certainly
 * not done), -ENOSPC (certainly not done), ERR_OUTCOME_UNKNOWN. */
typedef void (*state_proposed_fn)(void *arg, int code, const struct state_result *results,
                                  size_t n);

/* Proposes a packed wire.Batch (copied). Never calls back from within. */
void state_propose(struct state *state, const void *batch, size_t len, state_proposed_fn done,
                   void *arg);

/* `answer` gets ERR_NOT_LEADER when the consistency needs the lead and this node hasn't got it. */
void state_read(struct state *state, enum state_consistency consistency, state_db_query_fn query,
                state_db_answer_fn answer, void *arg);

/* Messages from other nodes. */
void state_receive_raft(struct state *state, uint64_t from, const Wire__RaftMessage *message);
void state_receive_confirm(struct state *state, const Wire__ReadConfirm *message,
                           Wire__ReadConfirmReply *reply);
void state_receive_confirm_reply(struct state *state, uint64_t from,
                                 const Wire__ReadConfirmReply *message);

/* ---- membership of the Raft group (leader only; one change at a time: ERR_BUSY) ----------------
 */

enum state_member_role { STATE_STANDBY, STATE_VOTER, STATE_SPARE };

struct state_member {
    uint64_t id;
    enum state_member_role role;
    uint64_t match_index; /* leader only, else 0 */
};

enum { STATE_MEMBERS_MAX = 64 };

typedef void (*state_changed_fn)(void *arg, int code, const char *text);

/* Fills at most STATE_MEMBERS_MAX members. */
unsigned state_members(const struct state *state, struct state_member *members);
bool state_has_member(const struct state *state, uint64_t id);

/* Adds `id` (as a spare that gets nothing yet) or changes its role; removes it. */
void state_add(struct state *state, uint64_t id, const char *address, state_changed_fn done,
               void *arg);
void state_assign(struct state *state, uint64_t id, enum state_member_role role,
                  state_changed_fn done, void *arg);
void state_remove(struct state *state, uint64_t id, state_changed_fn done, void *arg);
/* `to` 0: the member that is furthest. Done when it leads or the election timeout has passed. */
void state_transfer(struct state *state, uint64_t to, state_changed_fn done, void *arg);

#endif
