/* What the parts of core/txn share; nobody else includes it. */
#ifndef CORE_TXN_INTERNAL_H
#define CORE_TXN_INTERNAL_H

#include <sys/queue.h>

#include "base/hash.h"
#include "core/txn.h"

/* A key and its versions, ascending, the last one counts. */
struct txn_key {
    char *name;
    struct txn_item *versions;
    size_t versions_n, versions_cap;
    struct uuid holder;    /* nil: nobody has it */
    uint64_t seen_version; /* the highest that a peer named */
    uint64_t seen_at;
    int64_t behind_ms; /* since when a higher one is known; INT64_MAX: not behind */
    int64_t fetch_ms;  /* not fetched again before */
    UT_hash_handle hh;
};

/* An operator's decision that is being made. */
struct txn_operator {
    enum txn_outcome outcome; /* NONE: there is none */
    bool proposed;            /* to the metadata group */
    int64_t deadline_ms;
    char text[TXN_TEXT_MAX];
};

/* A transaction as this node takes part in it. */
struct txn_entry {
    struct uuid txid;
    enum txn_state state;
    struct txn_body *body; /* NULL once it has ended */
    uint64_t seq;          /* of its last record */
    int64_t since_ms;
    int64_t ask_ms; /* of the next question; INT64_MAX: none */
    unsigned asked;
    bool restored; /* it was prepared in an earlier life */
    bool alarmed;
    uint8_t *standings; /* enum txn_standing + 1 of each participant, the last one the coordinator;
                           0: not heard since the operator asked */
    struct txn_operator ruling;
    char text[TXN_TEXT_MAX];
    TAILQ_ENTRY(txn_entry) link; /* of the live or the past ones */
    UT_hash_handle hh;
};

TAILQ_HEAD(txn_entries, txn_entry);

/* A transaction as its coordinator sees it. */
struct txn_round {
    struct uuid txid;
    enum txn_state state;
    enum txn_outcome proposed;
    struct txn_body *body;
    uint8_t *votes; /* of each participant: 0 none, 1 yes, 2 no */
    uint8_t *acks;
    uint64_t seq;
    int64_t deadline_ms; /* of the votes */
    int64_t resend_ms;
    int64_t resend_gap_ms;
    char text[TXN_TEXT_MAX];
    UT_hash_handle hh;
};

struct txn_peer {
    uint64_t id;
    bool alive;
};

struct txn {
    struct txn_config config;
    bool restored;
    int64_t now_ms;
    int64_t wall_ms;
    uint64_t seq;
    struct txn_peer *peers; /* members, this node too */
    size_t peers_n;
    struct txn_key *keys;
    struct txn_entry *entries;
    struct txn_entries live;
    struct txn_entries past; /* ended ones, oldest first */
    size_t live_n;
    size_t past_n;
    struct txn_round *rounds;
    int64_t heartbeat_ms; /* of the next one */
    bool behind;          /* out of rotation */
};

/* ---- txn.c ---- */

uint64_t txn_write_record(struct txn *txn, struct txn_update *update, struct txn_record record);
struct txn_effect *txn_add_effect(struct txn_update *update, enum txn_effect_type type,
                                  uint64_t after, const struct uuid *txid);
/* The message of a new effect, to be filled in; `body`, `items` and `text` are taken over. */
struct txn_message *txn_send(struct txn_update *update, uint64_t after, uint64_t to,
                             enum txn_message_type type, const struct uuid *txid);
/* Sets the text of a message that txn_send() made (copied; NULL: none). */
void txn_send_text(struct txn_message *message, const char *text);
void txn_text(char out[static TXN_TEXT_MAX], const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
bool txn_is_member(const struct txn *txn, uint64_t node);
bool txn_is_alive(const struct txn *txn, uint64_t node);
/* The highest live id among the participants, this node counted as alive. */
bool txn_is_resolver(const struct txn *txn, const struct txn_body *body);
void txn_changed(struct txn_update *update, const struct uuid *txid, enum txn_side side,
                 enum txn_state from, enum txn_state to, const char *why);

/* ---- txn_key.c ---- */

struct txn_key *txn_key_find(const struct txn *txn, const char *name);
struct txn_key *txn_key_get(struct txn *txn, const char *name); /* NULL: too many */
uint64_t txn_key_version(const struct txn_key *key);
/* Appends a version (copied) higher than the present one. */
void txn_key_install(struct txn *txn, struct txn_key *key, const struct txn_item *item);
/* NULL when it is not kept. */
const struct txn_item *txn_key_item(const struct txn_key *key, uint64_t version);
void txn_keys_free(struct txn *txn);

/* ---- txn_participant.c ---- */

struct txn_entry *txn_entry_find(const struct txn *txn, const struct uuid *txid);
struct txn_entry *txn_entry_new(struct txn *txn, const struct uuid *txid);
bool txn_entry_is_live(const struct txn_entry *entry);
bool txn_entry_is_prepared(const struct txn_entry *entry);
void txn_entry_free(struct txn *txn, struct txn_entry *entry);
void txn_entry_set(struct txn *txn, struct txn_entry *entry, enum txn_state to, const char *why,
                   struct txn_update *update);
/* It has ended: what it held is free, it is only remembered. */
void txn_entry_end(struct txn *txn, struct txn_entry *entry);
void txn_entry_hold(struct txn *txn, struct txn_entry *entry);
/* A decision for one that is prepared: written, applied. */
void txn_entry_decide(struct txn *txn, struct txn_entry *entry, enum txn_outcome outcome,
                      const char *why, struct txn_update *update);
/* Never votes yes on it any more. */
void txn_entry_refuse(struct txn *txn, struct txn_entry *entry, const char *why,
                      struct txn_update *update);
void txn_participant_prepare(struct txn *txn, const struct txn_message *message,
                             struct txn_update *update);
int txn_participant_judged(struct txn *txn, const struct txn_event *event,
                           struct txn_update *update);
void txn_participant_decision(struct txn *txn, const struct txn_message *message,
                              struct txn_update *update);
/* `at_ms`: when it was decided, on the wall. */
void txn_apply(struct txn *txn, const struct txn_body *body, int64_t at_ms, uint64_t after,
               struct txn_update *update);

/* ---- txn_doubt.c ---- */

void txn_doubt_tick(struct txn *txn, struct txn_entry *entry, struct txn_update *update);
void txn_doubt_inquiry(struct txn *txn, const struct txn_message *message,
                       struct txn_update *update);
void txn_doubt_reply(struct txn *txn, const struct txn_message *message, struct txn_update *update);
/* Asks one node now, because it seems to know. */
void txn_doubt_ask(struct txn *txn, struct txn_entry *entry, uint64_t node, bool pledge,
                   struct txn_update *update);
/* Decides, and tells the other live participants when `spread` is set. */
void txn_doubt_settle(struct txn *txn, struct txn_entry *entry, enum txn_outcome outcome,
                      const char *why, bool spread, struct txn_update *update);

/* ---- txn_operator.c ---- */

int txn_operator_resolve(struct txn *txn, const struct txn_event *event, struct txn_update *update);
void txn_operator_heard(struct txn *txn, struct txn_entry *entry, const struct txn_message *message,
                        struct txn_update *update);
void txn_operator_tick(struct txn *txn, struct txn_entry *entry, struct txn_update *update);
/* The transaction is decided: the operator hears whether it is as he wanted. */
void txn_operator_answer(struct txn_entry *entry, enum txn_outcome outcome,
                         struct txn_update *update);

/* ---- txn_coordinator.c ---- */

struct txn_round *txn_round_find(const struct txn *txn, const struct uuid *txid);
struct txn_round *txn_round_new(struct txn *txn, struct txn_body *body);
void txn_round_free(struct txn *txn, struct txn_round *round);
bool txn_round_is_open(const struct txn_round *round); /* not decided */
int txn_round_begin(struct txn *txn, const struct txn_event *event, struct txn_update *update);
void txn_round_vote(struct txn *txn, const struct txn_message *message, struct txn_update *update);
void txn_round_ack(struct txn *txn, const struct txn_message *message, struct txn_update *update);
void txn_round_tick(struct txn *txn, struct txn_round *round, struct txn_update *update);
void txn_round_decide(struct txn *txn, struct txn_round *round, enum txn_outcome outcome,
                      const char *why, struct txn_update *update);
/* Aborts one that is still collecting: at once, or through the group. */
void txn_round_give_up(struct txn *txn, struct txn_round *round, const char *why,
                       struct txn_update *update);
/* Aborts a transaction that this node began in an earlier life. */
void txn_round_abandon(struct txn *txn, struct txn_body *body, struct txn_update *update);
/* Membership has changed: nobody waits for those that left. */
void txn_round_members(struct txn *txn, struct txn_round *round, struct txn_update *update);

/* ---- txn_reconcile.c ---- */

void txn_reconcile_heartbeat(struct txn *txn, const struct txn_message *message,
                             struct txn_update *update);
void txn_reconcile_fetch(struct txn *txn, const struct txn_message *message,
                         struct txn_update *update);
void txn_reconcile_items(struct txn *txn, const struct txn_message *message,
                         struct txn_update *update);
void txn_reconcile_tick(struct txn *txn, struct txn_update *update);
/* Notes whether the key is behind, and whether the node is out of rotation. */
void txn_reconcile_look(struct txn *txn, struct txn_key *key, struct txn_update *update);

/* ---- txn_restore.c ---- */

int txn_restore_record(struct txn *txn, const struct txn_record *record, struct txn_update *update);
void txn_restore_end(struct txn *txn, struct txn_update *update);

#endif
