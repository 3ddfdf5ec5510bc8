/* A participant that is prepared and hears nothing asks; a node that is asked says what it knows.
 *
 * Why a resolver may say abort: commit needs the yes of every participant, so one that refuses for
 * good rules it out, whoever else is alive and whatever they do; two resolvers at once find the
 * same. Why it must not say commit when all that answer are prepared: the coordinator may have
 * given up waiting for one of those votes. */
#include <assert.h>
#include <string.h>

#include "core/txn_internal.h"

enum {
    TXN_COORDINATOR_TRIES = 2, /* questions that a live coordinator may leave unanswered */
    TXN_RESOLVER_TRIES = 6,    /* rounds after which whoever is in doubt turns to the group */
};

void txn_doubt_ask(struct txn *txn, struct txn_entry *entry, uint64_t node, bool pledge,
                   struct txn_update *update)
{
    if (node == txn->config.self || (!txn_is_member(txn, node) && node != entry->body->coordinator))
        return;
    struct txn_message *message =
        txn_send(update, entry->seq, node, TXN_MESSAGE_INQUIRY, &entry->txid);
    message->body = txn_body_ref(entry->body);
    message->pledge = pledge;
}

static void txn_doubt_ask_peers(struct txn *txn, struct txn_entry *entry, bool pledge,
                                struct txn_update *update)
{
    for (size_t i = 0; i < entry->body->participants_n; i++) {
        if (entry->body->participants[i] != entry->body->coordinator)
            txn_doubt_ask(txn, entry, entry->body->participants[i], pledge, update);
    }
}

static void txn_doubt_propose_abort(const struct txn_entry *entry, struct txn_update *update)
{
    txn_add_effect(update, TXN_EFFECT_PROPOSE, entry->seq, &entry->txid)->outcome =
        TXN_OUTCOME_ABORT;
}

/* This node began it in an earlier life and had not decided. An operator may have done so
 * meanwhile, so its peers are asked before it is given up. */
static void txn_doubt_own(struct txn *txn, struct txn_entry *entry, struct txn_update *update)
{
    if (txn_round_find(txn, &entry->txid) != NULL)
        return;
    if (entry->body->group)
        txn_doubt_propose_abort(entry, update);
    else if (entry->asked > 1)
        txn_round_abandon(txn, entry->body, update);
    txn_doubt_ask_peers(txn, entry, false, update);
}

void txn_doubt_tick(struct txn *txn, struct txn_entry *entry, struct txn_update *update)
{
    if (!txn_entry_is_prepared(entry) || txn->now_ms < entry->ask_ms)
        return;
    if (entry->state == TXN_STATE_PREPARED) {
        char why[TXN_TEXT_MAX];
        txn_text(why, "no decision of node %llu within %lld ms",
                 (unsigned long long)entry->body->coordinator, (long long)txn->config.doubt_ms);
        txn_entry_set(txn, entry, TXN_STATE_DOUBT, why, update);
    }
    const struct txn_body *body = entry->body;
    int64_t gap_ms = txn->config.ask_ms * (entry->asked < 4 ? 1 : 4);
    entry->asked++;
    entry->ask_ms = txn->now_ms + gap_ms;
    if (body->coordinator == txn->config.self) {
        txn_doubt_own(txn, entry, update);
        return;
    }
    txn_doubt_ask(txn, entry, body->coordinator, false, update);
    if (txn_is_alive(txn, body->coordinator) && entry->asked <= TXN_COORDINATOR_TRIES)
        return;
    bool resolver = txn_is_resolver(txn, body);
    txn_doubt_ask_peers(txn, entry, resolver && !body->group, update);
    if (body->group && (resolver || entry->asked > TXN_RESOLVER_TRIES))
        txn_doubt_propose_abort(entry, update);
}

/* ---- answers
 * ----------------------------------------------------------------------------------------- */

/* What the versions here say about a transaction that is not remembered. */
static enum txn_standing txn_doubt_history(const struct txn *txn, const struct txn_body *body)
{
    enum txn_standing standing = TXN_STANDING_UNDECIDED;
    for (size_t i = 0; i < body->writes_n; i++) {
        const struct txn_key *key = txn_key_find(txn, body->writes[i].key);
        uint64_t base = body->writes[i].base_version;
        if (txn_key_version(key) <= base)
            continue;
        const struct txn_item *next = txn_key_item(key, base + 1);
        if (next != NULL)
            return uuid_compare(&next->txid, &body->txid) == 0 ? TXN_STANDING_COMMITTED
                                                               : TXN_STANDING_ABORTED;
        standing = TXN_STANDING_UNKNOWN;
    }
    return standing;
}

static enum txn_standing txn_doubt_entry(struct txn *txn, struct txn_entry *entry, bool pledge,
                                         struct txn_update *update)
{
    switch (entry->state) {
    case TXN_STATE_PREPARED:
    case TXN_STATE_DOUBT:
        return TXN_STANDING_PREPARED;
    case TXN_STATE_COMMITTED:
        return TXN_STANDING_COMMITTED;
    case TXN_STATE_ABORTED:
        return TXN_STANDING_ABORTED;
    case TXN_STATE_JUDGING:
        if (!pledge)
            return TXN_STANDING_UNDECIDED;
        txn_entry_refuse(txn, entry, "a resolver asked before the vote", update);
        return TXN_STANDING_REFUSED;
    default:
        return TXN_STANDING_REFUSED;
    }
}

/* Of a transaction that is not remembered here. */
static enum txn_standing txn_doubt_forgotten(struct txn *txn, const struct txn_message *message,
                                             struct txn_entry **entry, struct txn_update *update)
{
    const struct txn_body *body = message->body;
    enum txn_standing standing = txn_doubt_history(txn, body);
    if (standing != TXN_STANDING_UNDECIDED)
        return standing;
    if (body->coordinator == txn->config.self)
        return body->group ? TXN_STANDING_UNKNOWN : TXN_STANDING_ABORTED;
    if (!message->pledge || !txn_body_has(body, txn->config.self))
        return TXN_STANDING_UNDECIDED;
    *entry = txn_entry_new(txn, &body->txid);
    txn_entry_refuse(txn, *entry, "a resolver asked before PREPARE_REQ came", update);
    return TXN_STANDING_REFUSED;
}

void txn_doubt_inquiry(struct txn *txn, const struct txn_message *message,
                       struct txn_update *update)
{
    const struct txn_body *body = message->body;
    if (body == NULL || !txn_body_has(body, message->peer))
        return;
    struct txn_entry *entry = txn_entry_find(txn, &body->txid);
    const struct txn_round *round = txn_round_find(txn, &body->txid);
    enum txn_standing standing;
    uint64_t after = 0;
    const char *text = NULL;
    if (round != NULL) {
        standing = txn_round_is_open(round)              ? TXN_STANDING_UNDECIDED
                   : round->state == TXN_STATE_COMMITTED ? TXN_STANDING_COMMITTED
                                                         : TXN_STANDING_ABORTED;
        after = body->group ? 0 : round->seq;
        text = round->text;
    } else if (entry != NULL) {
        standing = txn_doubt_entry(txn, entry, message->pledge, update);
        /* the coordinator of an earlier life, which has not made up its mind yet */
        if (standing == TXN_STANDING_PREPARED && body->coordinator == txn->config.self)
            standing = TXN_STANDING_UNDECIDED;
    } else {
        standing = txn_doubt_forgotten(txn, message, &entry, update);
    }
    if (entry != NULL && entry->seq > after)
        after = entry->seq;
    if (text == NULL && entry != NULL)
        text = entry->text;
    struct txn_message *reply =
        txn_send(update, after, message->peer, TXN_MESSAGE_INQUIRY_REPLY, &body->txid);
    reply->standing = standing;
    txn_send_text(reply, text);
}

/* A resolver spares the others their questions. */
static void txn_doubt_spread(struct txn *txn, const struct txn_body *body, uint64_t after,
                             enum txn_outcome outcome, const char *why, struct txn_update *update)
{
    for (size_t i = 0; i < body->participants_n; i++) {
        uint64_t node = body->participants[i];
        if (node == txn->config.self || !txn_is_alive(txn, node))
            continue;
        struct txn_message *message =
            txn_send(update, after, node, TXN_MESSAGE_DECISION, &body->txid);
        message->outcome = outcome;
        txn_send_text(message, why);
    }
}

void txn_doubt_settle(struct txn *txn, struct txn_entry *entry, enum txn_outcome outcome,
                      const char *why, bool spread, struct txn_update *update)
{
    struct txn_body *body = txn_body_ref(entry->body);
    char text[TXN_TEXT_MAX];
    txn_text(text, "%s", why);
    txn_entry_decide(txn, entry, outcome, text, update);
    if (spread)
        txn_doubt_spread(txn, body, txn->seq, outcome, text, update);
    txn_body_free(body);
}

/* Says that it has not decided. */
static void txn_doubt_wait(struct txn *txn, struct txn_entry *entry,
                           const struct txn_message *message)
{
    (void)txn;
    bool coordinator = message->peer == entry->body->coordinator;
    if (coordinator && message->standing == TXN_STANDING_UNDECIDED)
        entry->asked = 1; /* it is at it */
    else if (coordinator && entry->asked <= TXN_COORDINATOR_TRIES)
        entry->asked = TXN_COORDINATOR_TRIES + 1; /* it has forgotten: no use asking it alone */
    txn_text(entry->text, "node %llu is %s", (unsigned long long)message->peer,
             txn_standing_name(message->standing));
}

void txn_doubt_reply(struct txn *txn, const struct txn_message *message, struct txn_update *update)
{
    struct txn_entry *entry = txn_entry_find(txn, &message->txid);
    if (entry == NULL || !txn_entry_is_prepared(entry))
        return;
    if (!txn_body_has(entry->body, message->peer) && message->peer != entry->body->coordinator)
        return;
    char why[TXN_TEXT_MAX];
    enum txn_outcome outcome = TXN_OUTCOME_NONE;
    if (message->standing == TXN_STANDING_COMMITTED)
        outcome = TXN_OUTCOME_COMMIT;
    else if (message->standing == TXN_STANDING_ABORTED || message->standing == TXN_STANDING_REFUSED)
        outcome = TXN_OUTCOME_ABORT;
    if (outcome == TXN_OUTCOME_NONE) {
        txn_doubt_wait(txn, entry, message);
        txn_operator_heard(txn, entry, message, update);
        return;
    }
    txn_text(why, "node %llu has %s it: %s", (unsigned long long)message->peer,
             txn_standing_name(message->standing),
             message->text != NULL ? message->text : "no reason given");
    txn_doubt_settle(txn, entry, outcome, why, txn_is_resolver(txn, entry->body), update);
}

bool txn_doubt_at(const struct txn *txn, size_t i, struct txn_doubt *doubt)
{
    const struct txn_entry *entry;
    TAILQ_FOREACH (entry, &txn->live, link) {
        if (!txn_entry_is_prepared(entry) || i-- > 0)
            continue;
        *doubt = (struct txn_doubt){.body = entry->body,
                                    .state = entry->state,
                                    .since_ms = entry->since_ms,
                                    .asked = entry->asked,
                                    .text = entry->text};
        return true;
    }
    return false;
}
