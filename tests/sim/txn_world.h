/* A simulated cluster around two-phase commit: nodes that crash at any record, disks that stall and
 * tear, links that lose, repeat, delay and reorder, partitions that may be one-way, detectors that
 * err, gates that are slow, operators that decide, a metadata group or none, clocks that differ,
 * run fast or slow, and are set while a node runs, and at times bits that flip in one node's log.
 *
 * One seed decides everything. After each step the machines check themselves; what becomes durable
 * or visible is checked against what every other node holds (txn_truth.c). When the trouble is over
 * nobody may be in doubt and all versions must agree.
 *
 * A node that finds its log damaged does not start any more (run/journal.h has a checksum on each
 * line; role/participant.c ends the node). The others go on without it: what it coordinated and did
 * not decide, an operator has aborted; for what it committed and told nobody, its log is mended.
 *
 * Operators are honest: without a metadata group they decide only what the coordinator, which is
 * down, cannot have decided otherwise.
 *
 * A bug (enum txn_bug) makes the world break one rule that the machine relies on, or distort what
 * nodes say and remember; each must be noticed. */
#ifndef TESTS_SIM_TXN_WORLD_H
#define TESTS_SIM_TXN_WORLD_H

#include <stdbool.h>
#include <stdint.h>

#include "base/hash.h"
#include "core/txn.h"
#include "tests/sim/sim_time.h"

/* X(symbol, what the world does wrong) */
#define TXN_BUG_LIST(X)                                                                            \
    X(NONE, "nothing")                                                                             \
    X(EARLY_VOTE, "votes leave before PREPARED is durable")                                        \
    X(EARLY_DECISION, "a decision leaves before it is durable")                                    \
    X(EARLY_REFUSAL, "a refusal is told before it is durable")                                     \
    X(EARLY_APPLY, "a version is served before its decision is durable")                           \
    X(FORGOTTEN_DECISION, "a coordinator forgets its decision at a restart")                       \
    X(FORGOTTEN_PREPARED, "a participant forgets at a restart that it is prepared")                \
    X(FORGOTTEN_REFUSAL, "a participant forgets at a restart that it refused")                     \
    X(FORGOTTEN_OUTCOME, "a participant forgets at a restart what was decided")                    \
    X(PRESUMED_COMMIT, "a coordinator that knows nothing presumes commit")                         \
    X(GUESSED_COMMIT, "a resolver guesses commit when all that answer are prepared")               \
    X(GUESSED_ABORT, "a resolver guesses abort when all that answer are prepared")                 \
    X(IGNORANT_ABORT, "ignorance is taken for abort where the group decides")                      \
    X(LATE_VOTE, "a vote that came too late is counted")                                           \
    X(FORGED_VOTE, "a no is taken for a yes")                                                      \
    X(CONTRADICTING_OPERATOR, "an operator contradicts a known outcome")                           \
    X(REWRITTEN_REGISTER, "the metadata group's register can be written twice")                    \
    X(TORN_MIDDLE, "a crash loses a record and keeps later ones")                                  \
    X(LOST_SYNC, "a crash loses records that were said to be durable")                             \
    X(DAMAGE_HIDDEN, "a damaged log is taken for a whole, shorter one")                            \
    X(DAMAGE_SKIPPED, "a damaged record is left out")                                              \
    X(MINORITY, "a minority takes itself for all members")                                         \
    X(SWALLOWED_ACK, "acknowledgements of decisions are never delivered")                          \
    X(SWALLOWED_HEARTBEAT, "heartbeats are never delivered")                                       \
    X(SWALLOWED_ITEMS, "fetched versions are never delivered")                                     \
    X(SWALLOWED_DECISION, "neither decisions nor answers to questions are delivered")

enum txn_bug {
#define TXN_BUG_ENUM(symbol, text) TXN_BUG_##symbol,
    TXN_BUG_LIST(TXN_BUG_ENUM)
#undef TXN_BUG_ENUM
        TXN_BUG_N
};

enum {
    TXN_WORLD_NODES_MAX = 7,
    TXN_WORLD_KEYS = 3,
    TXN_WORLD_TXNS_MAX = 10,
    TXN_WORLD_VERSIONS_MAX = 16,
    TXN_WORLD_HEAL_MS = 40000, /* everybody must agree so long after the trouble */
    TXN_WORLD_SLOWEST = 980,   /* permille, of a clock */
    TXN_WORLD_FASTEST = 1020,
};

struct txn_world;
struct txn_world_event;

typedef void (*txn_world_fn)(struct txn_world *w, struct txn_world_event *event);

/* Something that will happen to a node. */
struct txn_world_event {
    struct sim_event due; /* the first member */
    txn_world_fn fire;
    unsigned node; /* index */
    uint64_t boot; /* of the node; 0: any */
    struct txn_message message;
    unsigned number;
    struct uuid txid;
    enum txn_outcome outcome;
};

struct txn_world_node {
    unsigned index;
    bool up;
    bool broken; /* its log is damaged: it stays down */
    uint64_t boot;
    struct txn *txn;
    struct txn_update update;
    struct txn_record *disk; /* durable */
    size_t disk_n, disk_cap;
    struct txn_record *pending; /* written, not durable yet */
    size_t pending_n, pending_cap;
    uint64_t durable;           /* seq, in this life */
    bool syncing;               /* a write is under way */
    struct txn_effect *effects; /* that wait */
    size_t effects_n, effects_cap;
    int64_t tick_ms;        /* of the tick that is due */
    int64_t clock_ms;       /* its clock when it started, begins anew with each life */
    int64_t clock_permille; /* its speed */
    int64_t started_ms;
    int64_t last_ms; /* of its clock: never goes back */
    int64_t wall_off_ms;
    bool thinks[TXN_WORLD_NODES_MAX]; /* alive */
    uint64_t shown[TXN_WORLD_KEYS];   /* versions applied in this life */
    uint64_t served[TXN_WORLD_KEYS];  /* in any life */
};

/* What is true of a transaction. */
struct txn_world_txn {
    struct uuid txid;
    struct txn_body *body;
    int64_t begun_ms;
    enum txn_outcome outcome;           /* the first that was durable or visible anywhere */
    enum txn_outcome told;              /* to the client */
    enum txn_outcome group;             /* what the register holds */
    bool prepared[TXN_WORLD_NODES_MAX]; /* durable at some time */
    bool refused[TXN_WORLD_NODES_MAX];
    enum txn_outcome asked; /* of an operator, under way */
};

struct txn_world {
    struct sim_time time;
    enum txn_bug bug;
    bool group;
    bool healed;
    int64_t heal_ms;
    uint64_t steps;
    unsigned nodes_n;
    unsigned loss_percent, twice_percent, late_percent;
    unsigned flip_node; /* of whose log a bit may flip; nodes_n: of none */
    struct txn_world_node nodes[TXN_WORLD_NODES_MAX];
    bool cut[TXN_WORLD_NODES_MAX][TXN_WORLD_NODES_MAX]; /* from, to */
    struct txn_world_txn txns[TXN_WORLD_TXNS_MAX];
    unsigned txns_n;
    struct uuid made[TXN_WORLD_KEYS][TXN_WORLD_VERSIONS_MAX]; /* who made each version */
};

/* ---- txn_world.c ---- */

void txn_world_init(struct txn_world *w, uint64_t seed, enum txn_bug bug);
void txn_world_run(struct txn_world *w);
void txn_world_done(struct txn_world *w);

struct txn_world_event *txn_world_at(struct txn_world *w, int64_t ms, txn_world_fn fire);
#define txn_world_ms(w, from, to)    sim_time_between(&(w)->time, (from), (to))
#define txn_world_chance(w, percent) sim_time_chance(&(w)->time, (percent))
#define txn_world_trace(w, ...)      sim_time_trace(&(w)->time, __VA_ARGS__)
#define txn_world_wrong(w, ...)      sim_time_wrong(&(w)->time, __VA_ARGS__)
const char *txn_world_name(const struct uuid *txid); /* static storage */

/* ---- txn_world_node.c ---- */

void txn_world_start(struct txn_world *w, struct txn_world_node *node);
void txn_world_crash(struct txn_world *w, struct txn_world_node *node);
/* A bit of a record of the node, which is down, flips. */
void txn_world_flip(struct txn_world *w, struct txn_world_node *node);
/* Gives the node an event; its code. */
int txn_world_step(struct txn_world *w, struct txn_world_node *node, struct txn_event event);
void txn_world_node_done(struct txn_world_node *node);
/* What it takes another for. */
void txn_world_think(struct txn_world *w, struct txn_world_node *node, unsigned of, bool alive);
void txn_world_members(struct txn_world *w, struct txn_world_node *node);

/* ---- txn_world_link.c ---- */

void txn_world_send(struct txn_world *w, struct txn_world_node *node,
                    const struct txn_message *message);
void txn_world_propose(struct txn_world *w, struct txn_world_node *node, const struct uuid *txid,
                       enum txn_outcome outcome);
void txn_world_event_free(struct txn_world_event *event);

/* ---- txn_truth.c ---- */

struct txn_world_txn *txn_truth_find(struct txn_world *w, const struct uuid *txid);
void txn_truth_durable(struct txn_world *w, const struct txn_world_node *node,
                       const struct txn_record *record);
void txn_truth_visible(struct txn_world *w, struct txn_world_node *node,
                       const struct txn_effect *effect);
/* The trouble is long over. */
void txn_truth_end(struct txn_world *w);

#endif
