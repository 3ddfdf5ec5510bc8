/* An operator decides a transaction that is in doubt, when waiting is worse.
 *
 * First everybody who took part is asked, so that nothing known is contradicted. Abort is then
 * done; commit needs to know that every participant is prepared, because any other may have
 * refused. With a metadata group the register still has the last word. Without one this is a guess
 * about those that did not answer: if the coordinator had decided otherwise, both say so when they
 * meet (TXN_EFFECT_ALARM) and nobody changes what it holds. */
#include <assert.h>
#include <string.h>

#include "base/error.h"
#include "core/txn_internal.h"

static void txn_operator_tell(const struct uuid *txid, uint64_t after, int code, const char *text,
                              struct txn_update *update)
{
    struct txn_effect *effect = txn_add_effect(update, TXN_EFFECT_RESOLVED, after, txid);
    effect->code = code;
    txn_text(effect->text, "%s", text);
}

void txn_operator_answer(struct txn_entry *entry, enum txn_outcome outcome,
                         struct txn_update *update)
{
    if (entry->ruling.outcome == TXN_OUTCOME_NONE)
        return;
    bool same = outcome == entry->ruling.outcome;
    char text[TXN_TEXT_MAX];
    txn_text(text, "the transaction's outcome is %s", txn_outcome_name(outcome));
    txn_operator_tell(&entry->txid, entry->seq, same ? 0 : ERR_CONFLICT, text, update);
    entry->ruling.outcome = TXN_OUTCOME_NONE;
}

static void txn_operator_fail(struct txn_entry *entry, int code, const char *text,
                              struct txn_update *update)
{
    txn_operator_tell(&entry->txid, entry->seq, code, text, update);
    entry->ruling.outcome = TXN_OUTCOME_NONE;
}

/* ---- the question
 * -------------------------------------------------------------------------------------- */

static size_t txn_operator_slot(const struct txn_body *body, uint64_t node)
{
    for (size_t i = 0; i < body->participants_n; i++) {
        if (body->participants[i] == node)
            return i;
    }
    return body->participants_n;
}

static void txn_operator_ask(struct txn *txn, struct txn_entry *entry, struct txn_update *update)
{
    const struct txn_body *body = entry->body;
    bool pledge = entry->ruling.outcome == TXN_OUTCOME_ABORT;
    entry->standings = mem_zalloc(body->participants_n + 1);
    for (size_t i = 0; i < body->participants_n; i++)
        txn_doubt_ask(txn, entry, body->participants[i], pledge, update);
    if (!txn_body_has(body, body->coordinator))
        txn_doubt_ask(txn, entry, body->coordinator, pledge, update);
    entry->ruling.deadline_ms = txn->now_ms + (body->participants_n > 1 ? txn->config.ask_ms : 0);
}

static int txn_operator_start(struct txn *txn, struct txn_entry *entry,
                              const struct txn_event *event, struct txn_update *update)
{
    if (entry->ruling.outcome != TXN_OUTCOME_NONE) {
        txn_text(update->text, "a decision is being made already; look again in a moment");
        return ERR_BUSY;
    }
    entry->ruling = (struct txn_operator){.outcome = event->outcome};
    txn_text(entry->ruling.text, "%s", event->text != NULL ? event->text : "no reason given");
    free(entry->standings);
    txn_operator_ask(txn, entry, update);
    return 0;
}

/* The coordinator is still at it: abort is its right. */
static int txn_operator_round(struct txn *txn, struct txn_round *round,
                              const struct txn_event *event, struct txn_update *update)
{
    if (event->outcome != TXN_OUTCOME_ABORT || round->state != TXN_STATE_COLLECTING) {
        txn_text(update->text, "the transaction is %s and will be decided without help",
                 txn_state_name(round->state));
        return ERR_CONFLICT;
    }
    char why[TXN_TEXT_MAX];
    txn_text(why, "an operator aborted it: %s", event->text != NULL ? event->text : "");
    struct uuid txid = round->txid;
    txn_round_give_up(txn, round, why, update);
    txn_operator_tell(&txid, txn->seq, 0, "aborted", update);
    return 0;
}

int txn_operator_resolve(struct txn *txn, const struct txn_event *event, struct txn_update *update)
{
    char id[UUID_TEXT_MAX];
    assert(event->outcome != TXN_OUTCOME_NONE);
    struct txn_round *round = txn_round_find(txn, &event->txid);
    if (round != NULL && txn_round_is_open(round))
        return txn_operator_round(txn, round, event, update);
    struct txn_entry *entry = txn_entry_find(txn, &event->txid);
    if (entry != NULL && txn_entry_is_prepared(entry))
        return txn_operator_start(txn, entry, event, update);
    enum txn_state state = entry != NULL ? entry->state : TXN_STATE_NONE;
    if (state == TXN_STATE_NONE && round != NULL)
        state = round->state;
    switch (state) {
    case TXN_STATE_NONE:
        txn_text(update->text, "no transaction %s is known here; rollout indoubt lists them",
                 uuid_format(&event->txid, id));
        return ERR_NOT_FOUND;
    case TXN_STATE_JUDGING:
        txn_text(update->text, "this node has not voted yet; wait for its vote");
        return ERR_CONFLICT;
    default:
        break;
    }
    bool commit = state == TXN_STATE_COMMITTED;
    if (commit != (event->outcome == TXN_OUTCOME_COMMIT)) {
        txn_text(update->text, "the transaction is %s; a known outcome is never changed",
                 txn_state_name(state));
        return ERR_CONFLICT;
    }
    txn_operator_tell(&event->txid, entry != NULL ? entry->seq : round->seq, 0,
                      "this is its outcome already", update);
    return 0;
}

/* ---- the answer
 * ----------------------------------------------------------------------------------------- */

void txn_operator_heard(struct txn *txn, struct txn_entry *entry, const struct txn_message *message,
                        struct txn_update *update)
{
    (void)update;
    if (entry->ruling.outcome == TXN_OUTCOME_NONE || entry->ruling.proposed)
        return;
    const struct txn_body *body = entry->body;
    entry->standings[txn_operator_slot(body, message->peer)] = (uint8_t)message->standing + 1;
    for (size_t i = 0; i <= body->participants_n; i++) {
        bool asked = i < body->participants_n ? body->participants[i] != txn->config.self
                                              : !txn_body_has(body, body->coordinator);
        if (asked && entry->standings[i] == 0)
            return;
    }
    entry->ruling.deadline_ms = txn->now_ms;
}

/* Somebody of whom it is not known that it is prepared; 0: all are. */
static uint64_t txn_operator_missing(const struct txn *txn, const struct txn_entry *entry)
{
    const struct txn_body *body = entry->body;
    for (size_t i = 0; i < body->participants_n; i++) {
        if (body->participants[i] != txn->config.self &&
            entry->standings[i] != TXN_STANDING_PREPARED + 1)
            return body->participants[i];
    }
    return 0;
}

static void txn_operator_conclude(struct txn *txn, struct txn_entry *entry,
                                  struct txn_update *update)
{
    const struct txn_body *body = entry->body;
    char text[TXN_TEXT_MAX];
    uint8_t coordinator = entry->standings[txn_operator_slot(body, body->coordinator)];
    uint64_t missing = txn_operator_missing(txn, entry);
    if (coordinator == TXN_STANDING_UNDECIDED + 1) {
        txn_text(text, "its coordinator, node %llu, is up and decides by itself",
                 (unsigned long long)body->coordinator);
        txn_operator_fail(entry, ERR_CONFLICT, text, update);
    } else if (entry->ruling.outcome == TXN_OUTCOME_COMMIT && missing != 0) {
        txn_text(text,
                 "node %llu did not say that it is prepared: it may have refused; bring it back, "
                 "or abort",
                 (unsigned long long)missing);
        txn_operator_fail(entry, ERR_UNAVAILABLE, text, update);
    } else if (body->group) {
        entry->ruling.proposed = true;
        entry->ruling.deadline_ms = txn->now_ms;
    } else {
        txn_text(text, "an operator decided: %.200s", entry->ruling.text);
        txn_doubt_settle(txn, entry, entry->ruling.outcome, text, true, update);
    }
}

void txn_operator_tick(struct txn *txn, struct txn_entry *entry, struct txn_update *update)
{
    if (!txn_entry_is_prepared(entry) || entry->ruling.outcome == TXN_OUTCOME_NONE ||
        txn->now_ms < entry->ruling.deadline_ms)
        return;
    if (!entry->ruling.proposed)
        txn_operator_conclude(txn, entry, update);
    if (!txn_entry_is_prepared(entry) || !entry->ruling.proposed ||
        entry->ruling.outcome == TXN_OUTCOME_NONE)
        return;
    txn_add_effect(update, TXN_EFFECT_PROPOSE, entry->seq, &entry->txid)->outcome =
        entry->ruling.outcome;
    entry->ruling.deadline_ms = txn->now_ms + txn->config.ask_ms;
}
