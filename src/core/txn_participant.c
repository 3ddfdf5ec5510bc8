/* Happy path: PREPARE_REQ takes its keys, the role judges, PREPARED is written and the vote waits
 * for it; the decision is written, its versions are applied, and the acknowledgement waits.
 *
 * How it fails: a key that another transaction holds, or a version that is not the one named, is a
 * no vote at once. Nobody waits for a key, so there is no deadlock. */
#include <assert.h>
#include <string.h>

#include "base/error.h"
#include "core/txn_internal.h"

/* ---- entries
 * --------------------------------------------------------------------------------------- */

struct txn_entry *txn_entry_find(const struct txn *txn, const struct uuid *txid)
{
    struct txn_entry *entry;
    HASH_FIND(hh, txn->entries, txid, sizeof *txid, entry);
    return entry;
}

struct txn_entry *txn_entry_new(struct txn *txn, const struct uuid *txid)
{
    struct txn_entry *entry = mem_zalloc(sizeof *entry);
    entry->txid = *txid;
    entry->since_ms = txn->now_ms;
    entry->ask_ms = INT64_MAX;
    HASH_ADD(hh, txn->entries, txid, sizeof entry->txid, entry);
    TAILQ_INSERT_TAIL(&txn->live, entry, link);
    txn->live_n++;
    return entry;
}

bool txn_entry_is_prepared(const struct txn_entry *entry)
{
    return entry->state == TXN_STATE_PREPARED || entry->state == TXN_STATE_DOUBT;
}

bool txn_entry_is_live(const struct txn_entry *entry)
{
    return txn_entry_is_prepared(entry) || entry->state == TXN_STATE_JUDGING ||
           entry->state == TXN_STATE_NONE;
}

void txn_entry_free(struct txn *txn, struct txn_entry *entry)
{
    if (txn_entry_is_live(entry)) {
        TAILQ_REMOVE(&txn->live, entry, link);
        txn->live_n--;
    } else {
        TAILQ_REMOVE(&txn->past, entry, link);
        txn->past_n--;
    }
    HASH_DEL(txn->entries, entry);
    txn_body_free(entry->body);
    free(entry->standings);
    free(entry);
}

void txn_entry_set(struct txn *txn, struct txn_entry *entry, enum txn_state to, const char *why,
                   struct txn_update *update)
{
    txn_changed(update, &entry->txid, TXN_SIDE_PARTICIPANT, entry->state, to, why);
    bool live = txn_entry_is_live(entry);
    entry->state = to;
    entry->since_ms = txn->now_ms;
    txn_text(entry->text, "%s", why);
    if (live && !txn_entry_is_live(entry))
        txn_entry_end(txn, entry);
}

void txn_entry_hold(struct txn *txn, struct txn_entry *entry)
{
    for (size_t i = 0; i < entry->body->writes_n; i++) {
        struct txn_key *key = txn_key_get(txn, entry->body->writes[i].key);
        assert(key != NULL && uuid_is_nil(&key->holder));
        key->holder = entry->txid;
    }
}

void txn_entry_end(struct txn *txn, struct txn_entry *entry)
{
    for (size_t i = 0; entry->body != NULL && i < entry->body->writes_n; i++) {
        struct txn_key *key = txn_key_find(txn, entry->body->writes[i].key);
        if (key != NULL && uuid_compare(&key->holder, &entry->txid) == 0)
            key->holder = (struct uuid){{0}};
    }
    txn_body_free(entry->body);
    entry->body = NULL;
    free(entry->standings);
    entry->standings = NULL;
    entry->ask_ms = INT64_MAX;
    TAILQ_REMOVE(&txn->live, entry, link);
    txn->live_n--;
    TAILQ_INSERT_TAIL(&txn->past, entry, link);
    txn->past_n++;
    /* the one that just ended is the last to go */
    while (txn->past_n > TXN_PAST_MAX)
        txn_entry_free(txn, TAILQ_FIRST(&txn->past));
}

enum txn_state txn_state_of(const struct txn *txn, const struct uuid *txid)
{
    const struct txn_entry *entry = txn_entry_find(txn, txid);
    return entry != NULL ? entry->state : TXN_STATE_NONE;
}

/* ---- votes
 * ----------------------------------------------------------------------------------------- */

static void txn_vote(const struct txn_entry *entry, uint64_t coordinator, bool yes,
                     struct txn_update *update)
{
    struct txn_message *message =
        txn_send(update, entry->seq, coordinator, TXN_MESSAGE_VOTE, &entry->txid);
    message->yes = yes;
    txn_send_text(message, yes ? NULL : entry->text);
}

void txn_entry_refuse(struct txn *txn, struct txn_entry *entry, const char *why,
                      struct txn_update *update)
{
    entry->seq = txn_write_record(txn, update,
                                  (struct txn_record){.type = TXN_RECORD_REFUSED,
                                                      .txid = entry->txid,
                                                      .text = (char *)(uintptr_t)why});
    txn_entry_set(txn, entry, TXN_STATE_REFUSED, why, update);
}

/* Whether the versions that the transaction builds on are the present ones. */
static bool txn_participant_fits(const struct txn *txn, const struct txn_body *body,
                                 char why[static TXN_TEXT_MAX])
{
    for (size_t i = 0; i < body->writes_n; i++) {
        const struct txn_write *write = &body->writes[i];
        uint64_t version = txn_version(txn, write->key);
        if (version == write->base_version)
            continue;
        txn_text(why, "node %llu has version %llu of %s, the change builds on %llu",
                 (unsigned long long)txn->config.self, (unsigned long long)version, write->key,
                 (unsigned long long)write->base_version);
        return false;
    }
    return true;
}

static bool txn_participant_can(const struct txn *txn, const struct txn_body *body,
                                char why[static TXN_TEXT_MAX])
{
    char holder[UUID_TEXT_MAX];
    size_t new_keys = 0;
    for (size_t i = 0; i < body->writes_n; i++) {
        const char *name = body->writes[i].key;
        if (txn_holder(txn, name) != NULL) {
            txn_text(why, "%s is being changed by transaction %s", name,
                     uuid_format(txn_holder(txn, name), holder));
            return false;
        }
        new_keys += txn_key_find(txn, name) == NULL;
    }
    if (txn->live_n >= TXN_LIVE_MAX) {
        txn_text(why, "node %llu has %d transactions under way already",
                 (unsigned long long)txn->config.self, TXN_LIVE_MAX);
        return false;
    }
    if (HASH_COUNT(txn->keys) + new_keys > TXN_KEYS_MAX) {
        txn_text(why, "there are %d services already", TXN_KEYS_MAX);
        return false;
    }
    return txn_participant_fits(txn, body, why);
}

/* A PREPARE_REQ that came before, or after somebody else had it refused. */
static void txn_participant_again(const struct txn_entry *entry, uint64_t coordinator,
                                  struct txn_update *update)
{
    if (txn_entry_is_prepared(entry))
        txn_vote(entry, coordinator, true, update);
    else if (entry->state == TXN_STATE_REFUSED || entry->state == TXN_STATE_ABORTED)
        txn_vote(entry, coordinator, false, update);
}

void txn_participant_prepare(struct txn *txn, const struct txn_message *message,
                             struct txn_update *update)
{
    struct txn_body *body = message->body;
    if (body == NULL || !txn_body_has(body, txn->config.self) || body->coordinator != message->peer)
        return;
    struct txn_entry *entry = txn_entry_find(txn, &body->txid);
    if (entry != NULL) {
        txn_participant_again(entry, message->peer, update);
        return;
    }
    char why[TXN_TEXT_MAX];
    bool can = txn_participant_can(txn, body, why);
    entry = txn_entry_new(txn, &body->txid);
    if (!can) {
        txn_entry_refuse(txn, entry, why, update);
        txn_vote(entry, message->peer, false, update);
        return;
    }
    entry->body = txn_body_ref(body);
    txn_entry_hold(txn, entry);
    txn_entry_set(txn, entry, TXN_STATE_JUDGING, "asked to prepare", update);
    txn_add_effect(update, TXN_EFFECT_JUDGE, 0, &body->txid)->body = txn_body_ref(body);
}

int txn_participant_judged(struct txn *txn, const struct txn_event *event,
                           struct txn_update *update)
{
    struct txn_entry *entry = txn_entry_find(txn, &event->txid);
    if (entry == NULL || entry->state != TXN_STATE_JUDGING)
        return ERR_NOT_FOUND;
    uint64_t coordinator = entry->body->coordinator;
    char why[TXN_TEXT_MAX];
    txn_text(why, "%s",
             event->text != NULL && event->text[0] != '\0' ? event->text : "its gates refuse");
    /* a newer version may have come from a peer meanwhile */
    if (!event->yes || !txn_participant_fits(txn, entry->body, why)) {
        txn_entry_refuse(txn, entry, why, update);
        txn_vote(entry, coordinator, false, update);
        return 0;
    }
    entry->seq = txn_write_record(
        txn, update,
        (struct txn_record){.type = TXN_RECORD_PREPARED, .txid = entry->txid, .body = entry->body});
    txn_entry_set(txn, entry, TXN_STATE_PREPARED, "voted yes", update);
    entry->ask_ms = txn->now_ms + txn->config.doubt_ms;
    txn_vote(entry, coordinator, true, update);
    return 0;
}

/* ---- decisions
 * -------------------------------------------------------------------------------------- */

void txn_apply(struct txn *txn, const struct txn_body *body, int64_t at_ms, uint64_t after,
               struct txn_update *update)
{
    for (size_t i = 0; i < body->writes_n; i++) {
        const struct txn_write *write = &body->writes[i];
        struct txn_key *key = txn_key_get(txn, write->key);
        const struct txn_item item = {
            .key = write->key,
            .version = write->base_version + 1,
            .txid = body->txid,
            .at_ms = at_ms,
            .value = write->value,
            .len = write->len,
        };
        assert(key != NULL);
        txn_key_install(txn, key, &item);
        txn_add_effect(update, TXN_EFFECT_APPLY, after, &body->txid)->item =
            txn_items_copy(&item, 1);
    }
}

void txn_entry_decide(struct txn *txn, struct txn_entry *entry, enum txn_outcome outcome,
                      const char *why, struct txn_update *update)
{
    assert(txn_entry_is_prepared(entry) && outcome != TXN_OUTCOME_NONE);
    struct txn_body *body = txn_body_ref(entry->body);
    char text[TXN_TEXT_MAX]; /* `why` may be the entry's own text */
    txn_text(text, "%s", why);
    entry->seq = txn_write_record(
        txn, update,
        (struct txn_record){
            .type = TXN_RECORD_DECIDED, .txid = entry->txid, .outcome = outcome, .text = text});
    txn_operator_answer(entry, outcome, update);
    if (outcome == TXN_OUTCOME_COMMIT)
        txn_apply(txn, body, txn->wall_ms, entry->seq, update);
    txn_entry_set(txn, entry,
                  outcome == TXN_OUTCOME_COMMIT ? TXN_STATE_COMMITTED : TXN_STATE_ABORTED, text,
                  update);
    for (size_t i = 0; i < body->writes_n; i++)
        txn_reconcile_look(txn, txn_key_get(txn, body->writes[i].key), update);
    txn_body_free(body);
}

static enum txn_outcome txn_entry_outcome(const struct txn_entry *entry)
{
    if (entry->state == TXN_STATE_COMMITTED)
        return TXN_OUTCOME_COMMIT;
    return entry->state == TXN_STATE_ABORTED || entry->state == TXN_STATE_REFUSED
               ? TXN_OUTCOME_ABORT
               : TXN_OUTCOME_NONE;
}

void txn_participant_decision(struct txn *txn, const struct txn_message *message,
                              struct txn_update *update)
{
    struct txn_entry *entry = txn_entry_find(txn, &message->txid);
    bool commit = message->outcome == TXN_OUTCOME_COMMIT;
    char why[TXN_TEXT_MAX];
    txn_text(why, "%s", message->text != NULL ? message->text : "decided");
    if (entry == NULL && !commit) {
        entry = txn_entry_new(txn, &message->txid);
        txn_entry_refuse(txn, entry, why, update);
    } else if (entry != NULL && txn_entry_is_prepared(entry)) {
        txn_entry_decide(txn, entry, message->outcome, why, update);
    } else if (entry != NULL && entry->state == TXN_STATE_JUDGING && !commit) {
        txn_entry_refuse(txn, entry, why, update);
    }
    enum txn_outcome outcome = entry != NULL ? txn_entry_outcome(entry) : TXN_OUTCOME_NONE;
    /* it may have ended before what is remembered */
    if (entry != NULL && outcome != message->outcome && !entry->alarmed) {
        entry->alarmed = true;
        txn_text(txn_add_effect(update, TXN_EFFECT_ALARM, 0, &message->txid)->text,
                 "node %llu says %s, here it is %s (%s)", (unsigned long long)message->peer,
                 txn_outcome_name(message->outcome), txn_state_name(entry->state), entry->text);
    }
    txn_send(update, entry != NULL ? entry->seq : 0, message->peer, TXN_MESSAGE_DECISION_ACK,
             &message->txid)
        ->outcome = outcome;
}
