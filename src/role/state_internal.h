/* What the parts of role/state share; nobody else includes it. */
#ifndef ROLE_STATE_INTERNAL_H
#define ROLE_STATE_INTERNAL_H

#include <raft.h>
#include <sys/queue.h>

#include "role/state.h"
#include "run/raft_io.h"

enum {
    STATE_SNAPSHOT_ENTRIES = 65536,
    STATE_TRAILING_MIN = 64,
    STATE_PROPOSALS_MAX = 65536,
};

struct state_proposal {
    STAILQ_ENTRY(state_proposal) link;
    struct raft_apply apply;
    struct state *state;
    uint64_t index;
    int code;
    int64_t since_us; /* proposed, then committed */
    state_proposed_fn done;
    void *arg;
};

struct state_reading {
    STAILQ_ENTRY(state_reading) link;
    enum state_consistency consistency;
    uint64_t commit; /* when the read began */
    int code;
    state_db_query_fn query;
    state_db_answer_fn answer;
    void *arg;
};

STAILQ_HEAD(state_proposals, state_proposal);
STAILQ_HEAD(state_readings, state_reading);

struct state {
    struct raft raft;
    struct raft_io io;
    struct raft_fsm fsm;
    struct state_callbacks callbacks;
    struct state_options options;
    struct state_db *db;
    struct loop_hook hook;   /* looks after everything at the end of a turn that moved something */
    struct loop_timer timer; /* libraft's own ticks tell nobody */
    char *dir;
    char *address;

    uint64_t leader_id;
    uint64_t term;
    uint64_t election_term;  /* of the last election that this node stood for */
    uint64_t candidate_term; /* of the election that was told last; 0: none is under way */
    bool candidate_pre_vote;
    bool active;
    bool barrier_sent;
    struct raft_barrier barrier;
    uint64_t barrier_term;
    uint64_t barrier_index; /* of this lead's barrier once it is committed, else 0 */
    uint64_t queued;        /* last index handed to the state thread */
    uint64_t reported;      /* last index told to `applied` */
    bool reserve_lost;      /* the log has little room left */
    bool stalled;           /* the state file has none */
    bool failed;
    struct error failure;

    struct state_proposals committed; /* wait for the state thread, in order of the log */
    struct state_proposals refused;   /* to be told at the end of the turn */
    unsigned proposals;

    struct state_readings reads_next;  /* wait for the next round */
    struct state_readings reads_round; /* wait for the round under way */
    struct state_readings reads_ready; /* confirmed, wait for libraft to have applied `commit` */
    uint64_t round;
    unsigned round_votes;
    bool round_open;
    uint64_t round_heard[STATE_MEMBERS_MAX];
    int64_t round_started_ms;

    struct raft_change change;
    state_changed_fn change_done;
    void *change_arg;
    struct raft_transfer transfer;
    state_changed_fn transfer_done;
    void *transfer_arg;
    uint64_t transfer_to;

    bool give_up_lead;
    bool raft_closing;
    bool raft_closed;
    bool closing;
    void (*closed)(void *arg);
    void *closed_arg;
};

/* Has the state looked after at the end of this turn. */
void state_wake(struct state *state);

/* Takes reads one step further; fails them when this node does not lead. */
void state_advance_reads(struct state *state);
unsigned state_voters(const struct state *state);

void state_on_transferred(struct raft_transfer *req);

#endif
