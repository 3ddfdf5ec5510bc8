/* Two-phase commit: a change of several keys happens on every participant or on none.
 *
 *   coordinator   ── PREPARE_REQ ──> participants: judge, write PREPARED, vote
 *                 <── VOTE ───────── all yes: write the decision; else, or past vote_ms: abort
 *                 ── DECISION ─────> participants: write it, apply it, acknowledge
 *
 * Presumed abort, as in Mohan, Lindsay, Obermarck, "Transaction management in the R* distributed
 * database management system", ACM TODS 11(4), 1986: a coordinator that knows nothing of a
 * transaction says that it was aborted; only its txn commit must be on disk before it is told.
 *
 * A participant that is prepared and hears no decision is in doubt. It asks the coordinator, then
 * the other participants. The highest live id among them resolves: a known decision wins; a
 * participant that has not voted refuses for good when it is asked, and then the outcome is abort;
 * when all that answer are prepared, they wait. With `group` the decision is a register in the
 * metadata group that is written once (TXN_EFFECT_PROPOSE, TXN_EVENT_GROUP), the coordinator's
 * ignorance means nothing, and the resolver proposes abort there: nobody waits for the coordinator.
 *
 * Keys have versions. A write names the version that it builds on and makes the next one. Each
 * transaction has a majority of the members among its participants, so that two that build on the
 * same version have a participant in common, which takes one of them: every key has one line of
 * versions. Who was not there takes the newest version from a peer: heartbeats name them
 * (txn_reconcile.c). A node that knows that it is behind, and stays so, is out of rotation.
 *
 * Persist before reply: an effect with `after` N must wait until the record with `seq` N, and so
 * all before it, is durable. A record that cannot be written is the end of this machine: throw it
 * away with the effects that wait, start again from what is durable.
 *
 * Deviations from R*: a no vote is written as well, so that a resolver may build on it; there is no
 * tree of coordinators; a read-only participant is no special case. */
#ifndef CORE_TXN_H
#define CORE_TXN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/uuid.h"

enum {
    TXN_PARTICIPANTS_MAX = 256,
    TXN_WRITES_MAX = 32,
    TXN_KEY_MAX = 64, /* bytes of a key's name (str_is_name) */
    TXN_VALUE_BYTES_MAX = 8192,
    TXN_KEYS_MAX = 1024,
    TXN_LIVE_MAX = 64,     /* transactions that are not decided, on each side */
    TXN_PAST_MAX = 4096,   /* ended transactions that a participant remembers, refusals included */
    TXN_HISTORY_MAX = 256, /* versions of a key that are kept */
    TXN_FETCH_ITEMS_MAX = 64,
    TXN_TEXT_MAX = 256,

    TXN_VOTE_MS = 2000,
    TXN_RETRY_MS = 500,
    TXN_RETRY_MS_MAX = 5000,
    TXN_DOUBT_MS = 3000, /* without a decision since the vote */
    TXN_ASK_MS = 1000,   /* between two questions of one in doubt; also of an operator's round */
    TXN_HEARTBEAT_MS = 2000,
    TXN_LAG_MS = 2000, /* behind for so long: out of rotation */
};

enum txn_outcome { TXN_OUTCOME_NONE, TXN_OUTCOME_COMMIT, TXN_OUTCOME_ABORT };

/* ---- what is changed ------------------------------------------------------------------------- */

struct txn_write {
    char *key;
    uint64_t base_version; /* 0: the key does not exist yet */
    void *value;           /* opaque; NULL in an inquiry */
    size_t len;
};

/* Shared by reference; never changed once made. */
struct txn_body {
    unsigned refs;
    struct uuid txid;
    uint64_t coordinator;
    bool group;
    int64_t began_ms; /* wall */
    uint64_t *participants;
    size_t participants_n;
    struct txn_write *writes;
    size_t writes_n;
};

/* A deep copy with one reference, participants and writes in ascending order; NULL when it breaks a
 * limit, names something twice, or has no participant, write or valid key: `why` says it. */
struct txn_body *txn_body_new(const struct txn_body *from, char why[static TXN_TEXT_MAX]);
struct txn_body *txn_body_ref(struct txn_body *body);
void txn_body_free(struct txn_body *body); /* gives one reference back; NULL allowed */
bool txn_body_has(const struct txn_body *body, uint64_t node);

/* A version of a key. */
struct txn_item {
    char *key;
    uint64_t version;
    struct uuid txid; /* that made it */
    int64_t at_ms;    /* wall */
    void *value;      /* NULL in heartbeats and fetches */
    size_t len;
};

/* Deep copies; NULL for none. */
struct txn_item *txn_items_copy(const struct txn_item *items, size_t n);
void txn_items_free(struct txn_item *items, size_t n);

/* ---- messages, records ------------------------------------------------------------------------
 */

enum txn_message_type {
    TXN_MESSAGE_PREPARE,       /* body */
    TXN_MESSAGE_VOTE,          /* txid, yes, text */
    TXN_MESSAGE_DECISION,      /* txid, outcome, text */
    TXN_MESSAGE_DECISION_ACK,  /* txid, outcome that holds here; NONE: it is not known here */
    TXN_MESSAGE_INQUIRY,       /* body (values not needed), pledge: refuse unless you voted */
    TXN_MESSAGE_INQUIRY_REPLY, /* txid, standing, text */
    TXN_MESSAGE_HEARTBEAT,     /* items: every key's version */
    TXN_MESSAGE_FETCH,         /* items: keys and the versions had */
    TXN_MESSAGE_ITEMS,         /* items: newer ones, with values */
};

/* What a node knows of a transaction. */
enum txn_standing {
    TXN_STANDING_UNKNOWN,   /* too long ago to tell */
    TXN_STANDING_UNDECIDED, /* not voted, or the coordinator is at it */
    TXN_STANDING_PREPARED,
    TXN_STANDING_REFUSED, /* for good */
    TXN_STANDING_COMMITTED,
    TXN_STANDING_ABORTED,
};

struct txn_message {
    enum txn_message_type type;
    uint64_t peer; /* to, or from */
    struct uuid txid;
    struct txn_body *body;
    bool yes;
    bool pledge;
    enum txn_outcome outcome;
    enum txn_standing standing;
    char *text; /* NULL: none */
    struct txn_item *items;
    size_t items_n;
};

enum txn_record_type {
    TXN_RECORD_PREPARED = 1, /* body */
    TXN_RECORD_REFUSED,      /* txid, text */
    TXN_RECORD_DECIDED,      /* txid, outcome, text: by the participant */
    TXN_RECORD_COORDINATED,  /* txid, outcome, text, body: by the coordinator */
    TXN_RECORD_ENDED,        /* txid: every participant has acknowledged */
    TXN_RECORD_ITEM,         /* item: taken from a peer, or kept by a snapshot */
};

struct txn_record {
    enum txn_record_type type;
    uint64_t seq; /* from 1, without gaps, in each life of the machine */
    int64_t at_ms;
    struct uuid txid;
    enum txn_outcome outcome;
    char *text; /* NULL: none */
    struct txn_body *body;
    struct txn_item *item;
};

/* ---- what goes in -----------------------------------------------------------------------------
 */

enum txn_event_type {
    TXN_EVENT_TICK,
    /* peers, peers_n: every node that takes part, this one included (it may be missing). */
    TXN_EVENT_MEMBERS,
    TXN_EVENT_ALIVE, /* peer, alive; nodes are not alive until told */
    /* body, whose coordinator this node is. ERR_INVALID, ERR_EXISTS (the txid), ERR_BUSY,
     * ERR_UNAVAILABLE (no majority of the members among the participants): update.text says it. */
    TXN_EVENT_BEGIN,
    /* txid, yes, text: answers TXN_EFFECT_JUDGE. ERR_NOT_FOUND: nobody waits for it any more. */
    TXN_EVENT_JUDGED,
    /* message; ERR_PROTOCOL: senseless, or what only members may say and of a node that is none (a
     * coordinator need not be one); update.text. */
    TXN_EVENT_RECEIVED,
    TXN_EVENT_GROUP, /* txid, outcome: what the register holds, whoever wrote it */
    /* txid, outcome, text (who, why): an operator decides. 0: TXN_EFFECT_RESOLVED will tell.
     * ERR_NOT_FOUND: unknown; ERR_CONFLICT: contradicts what is known; ERR_BUSY: another operator's
     * decision is under way. */
    TXN_EVENT_RESOLVE,
    /* record: one that was durable, in order; before any other event. ERR_CORRUPT. */
    TXN_EVENT_RESTORE,
    TXN_EVENT_RESTORED, /* after them all; a new node needs it too */
};

/* Everything is borrowed for the call. */
struct txn_event {
    enum txn_event_type type;
    int64_t now_ms; /* monotonic, never less than before */
    int64_t wall_ms;
    const uint64_t *peers;
    size_t peers_n;
    uint64_t peer;
    bool alive;
    struct txn_body *body;
    struct uuid txid;
    bool yes;
    enum txn_outcome outcome;
    const char *text; /* NULL allowed */
    const struct txn_message *message;
    const struct txn_record *record;
};

/* ---- what comes out ----------------------------------------------------------------------------
 */

enum txn_effect_type {
    TXN_EFFECT_SEND,     /* message; may get lost */
    TXN_EFFECT_JUDGE,    /* body: is this node well, is this change good? */
    TXN_EFFECT_PROPOSE,  /* txid, outcome: write the register unless it is written, tell what it
                            holds; repeated until it is told */
    TXN_EFFECT_OUTCOME,  /* txid, outcome, text: of a transaction that this node began */
    TXN_EFFECT_ENDED,    /* txid: every participant has applied it */
    TXN_EFFECT_APPLY,    /* item: this is the version that counts here from now on */
    TXN_EFFECT_RESOLVED, /* txid, code (0 or ERR_CONFLICT, ERR_UNAVAILABLE), text */
    TXN_EFFECT_ROTATION, /* yes: the node may serve; text */
    TXN_EFFECT_ALARM,    /* txid, text: two outcomes of one transaction have met. For people. */
    TXN_EFFECT_CHANGED,  /* txid, text: "prepared -> committed: ...", for the log */
};

struct txn_effect {
    enum txn_effect_type type;
    uint64_t after; /* seq of the record that must be durable; 0: none */
    struct uuid txid;
    struct txn_message message;
    struct txn_body *body;
    enum txn_outcome outcome;
    struct txn_item *item;
    bool yes;
    int code;
    char text[TXN_TEXT_MAX];
};

/* Collects over the events of a turn. Starts zeroed. */
struct txn_update {
    struct txn_record *records;
    size_t records_n, records_cap;
    struct txn_effect *effects;
    size_t effects_n, effects_cap;
    char text[TXN_TEXT_MAX];  /* why the last event was refused */
    int64_t next_deadline_ms; /* step with a TICK by then */
};

void txn_update_clear(struct txn_update *update);
void txn_update_done(struct txn_update *update);
/* Takes what an effect or a record owns, so that it outlives the update. */
void txn_effect_release(struct txn_effect *effect);
void txn_record_release(struct txn_record *record);

/* ---- life ---------------------------------------------------------------------------------------
 */

struct txn_config {
    uint64_t self; /* id of this node, not 0 */
    int64_t vote_ms;
    int64_t retry_ms;
    int64_t doubt_ms;
    int64_t ask_ms;
    int64_t heartbeat_ms;
    int64_t lag_ms;
};

struct txn;

void txn_config_default(struct txn_config *config, uint64_t self);
struct txn *txn_new(const struct txn_config *config);
void txn_free(struct txn *txn); /* NULL allowed */

/* Applies `event`, adds to `update` what must be written and done because of it. 0, or the code
 * that the event's type names; then nothing has changed. */
int txn_step(struct txn *txn, const struct txn_event *event, struct txn_update *update);

/* Hands out records from which the present state can be restored, without seq, in place of all
 * that were written before. Borrowed for the call. */
typedef void (*txn_record_fn)(void *arg, const struct txn_record *record);
void txn_snapshot(const struct txn *txn, txn_record_fn fn, void *arg);

/* ---- states
 * -------------------------------------------------------------------------------------- */

enum txn_state {
    TXN_STATE_NONE,
    TXN_STATE_JUDGING,
    TXN_STATE_PREPARED,
    TXN_STATE_DOUBT,
    TXN_STATE_REFUSED,
    TXN_STATE_COMMITTED,
    TXN_STATE_ABORTED,
    /* of a coordinator */
    TXN_STATE_COLLECTING,
    TXN_STATE_DECIDING, /* in the metadata group */
    TXN_STATE_ENDED,
};

enum txn_side { TXN_SIDE_PARTICIPANT, TXN_SIDE_COORDINATOR };

const char *txn_state_name(enum txn_state state);
const char *txn_outcome_name(enum txn_outcome outcome); /* "commit", "abort", "none" */
int txn_outcome_parse(const char *name);                /* ERR_INVALID */
const char *txn_standing_name(enum txn_standing standing);
bool txn_state_allows(enum txn_side side, enum txn_state from, enum txn_state to);
/* Appends both machines as Markdown tables: from, to, cause. */
int txn_state_print(struct buf *out);

/* ---- questions: ahead of what is durable
 * ---------------------------------------------------------- */

uint64_t txn_version(const struct txn *txn, const char *key); /* 0: unknown */
/* The newest version, or the one that is asked for; NULL when it is not there (any more). Borrowed
 * until the next step. */
const struct txn_item *txn_item(const struct txn *txn, const char *key, uint64_t version);
/* The transaction that holds the key; NULL: none. */
const struct uuid *txn_holder(const struct txn *txn, const char *key);
/* What this node knows of a transaction as a participant. */
enum txn_state txn_state_of(const struct txn *txn, const struct uuid *txid);
bool txn_in_rotation(const struct txn *txn);

struct txn_doubt {
    const struct txn_body *body;
    enum txn_state state; /* PREPARED or DOUBT */
    int64_t since_ms;     /* monotonic */
    unsigned asked;       /* rounds of questions */
    const char *text;     /* what is known */
};
/* The i-th transaction that is prepared and not decided; false past the end. */
bool txn_doubt_at(const struct txn *txn, size_t i, struct txn_doubt *doubt);

struct txn_round_view {
    const struct txn_body *body;
    enum txn_state state;
    size_t yes;   /* votes */
    size_t acked; /* participants that hold the decision */
};
bool txn_round_at(const struct txn *txn, size_t i, struct txn_round_view *view);

/* Asserts every invariant. For tests. */
void txn_check(const struct txn *txn);

#endif
