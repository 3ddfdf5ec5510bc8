/* Happy path: PREPARE_REQ to all, all say yes, the decision is written, told until everybody has
 * acknowledged it, and forgotten.
 *
 * How it fails: one no, or one silence longer than vote_ms, is an abort. Messages get lost, so both
 * phases repeat theirs. A coordinator that dies before its decision is on disk knows nothing
 * afterwards: aborted. */
#include <assert.h>
#include <string.h>

#include "base/error.h"
#include "core/txn_internal.h"

enum { TXN_VOTE_NONE, TXN_VOTE_YES, TXN_VOTE_NO };

/* ---- rounds
 * ------------------------------------------------------------------------------------------ */

struct txn_round *txn_round_find(const struct txn *txn, const struct uuid *txid)
{
    struct txn_round *round;
    HASH_FIND(hh, txn->rounds, txid, sizeof *txid, round);
    return round;
}

struct txn_round *txn_round_new(struct txn *txn, struct txn_body *body)
{
    struct txn_round *round = mem_zalloc(sizeof *round);
    round->txid = body->txid;
    round->body = txn_body_ref(body);
    round->votes = mem_zalloc(body->participants_n);
    round->acks = mem_zalloc(body->participants_n);
    round->resend_ms = INT64_MAX;
    round->resend_gap_ms = txn->config.retry_ms;
    HASH_ADD(hh, txn->rounds, txid, sizeof round->txid, round);
    return round;
}

void txn_round_free(struct txn *txn, struct txn_round *round)
{
    HASH_DEL(txn->rounds, round);
    txn_body_free(round->body);
    free(round->votes);
    free(round->acks);
    free(round);
}

bool txn_round_is_open(const struct txn_round *round)
{
    return round->state == TXN_STATE_COLLECTING || round->state == TXN_STATE_DECIDING;
}

static void txn_round_set(struct txn_round *round, enum txn_state to, const char *why,
                          struct txn_update *update)
{
    txn_changed(update, &round->txid, TXN_SIDE_COORDINATOR, round->state, to, why);
    round->state = to;
    txn_text(round->text, "%s", why);
}

/* ---- the first phase
 * --------------------------------------------------------------------------------- */

static void txn_round_ask(struct txn *txn, struct txn_round *round, struct txn_update *update)
{
    const struct txn_body *body = round->body;
    for (size_t i = 0; i < body->participants_n; i++) {
        if (round->votes[i] == TXN_VOTE_NONE)
            txn_send(update, 0, body->participants[i], TXN_MESSAGE_PREPARE, &round->txid)->body =
                txn_body_ref(round->body);
    }
    round->resend_ms = txn->now_ms + txn->config.retry_ms;
}

static int txn_round_check(const struct txn *txn, const struct txn_body *body,
                           char why[static TXN_TEXT_MAX])
{
    if (body->coordinator != txn->config.self) {
        txn_text(why, "the coordinator is another node");
        return ERR_INVALID;
    }
    if (txn_round_find(txn, &body->txid) != NULL || txn_entry_find(txn, &body->txid) != NULL) {
        txn_text(why, "this transaction is known already");
        return ERR_EXISTS;
    }
    if (HASH_COUNT(txn->rounds) >= TXN_LIVE_MAX) {
        txn_text(why, "%d transactions are under way already", TXN_LIVE_MAX);
        return ERR_BUSY;
    }
    for (size_t i = 0; i < body->participants_n; i++) {
        if (txn_is_member(txn, body->participants[i]))
            continue;
        txn_text(why, "node %llu takes no part in rollouts",
                 (unsigned long long)body->participants[i]);
        return ERR_INVALID;
    }
    if (2 * body->participants_n <= txn->peers_n) {
        txn_text(why, "%zu of %zu nodes are there, a change needs a majority", body->participants_n,
                 txn->peers_n);
        return ERR_UNAVAILABLE;
    }
    return 0;
}

int txn_round_begin(struct txn *txn, const struct txn_event *event, struct txn_update *update)
{
    int err = txn_round_check(txn, event->body, update->text);
    if (err < 0)
        return err;
    struct txn_round *round = txn_round_new(txn, event->body);
    txn_round_set(round, TXN_STATE_COLLECTING, "begun", update);
    round->text[0] = '\0';
    round->deadline_ms = txn->now_ms + txn->config.vote_ms;
    txn_round_ask(txn, round, update);
    return 0;
}

static void txn_round_propose(struct txn *txn, struct txn_round *round, enum txn_outcome outcome,
                              const char *why, struct txn_update *update)
{
    round->proposed = outcome;
    txn_round_set(round, TXN_STATE_DECIDING, why, update);
    txn_add_effect(update, TXN_EFFECT_PROPOSE, 0, &round->txid)->outcome = outcome;
    round->resend_ms = txn->now_ms + txn->config.ask_ms;
}

void txn_round_vote(struct txn *txn, const struct txn_message *message, struct txn_update *update)
{
    struct txn_round *round = txn_round_find(txn, &message->txid);
    if (round == NULL || !txn_round_is_open(round))
        return; /* too late: the decision is on its way, or is told when it asks */
    const struct txn_body *body = round->body;
    size_t yes = 0;
    for (size_t i = 0; i < body->participants_n; i++) {
        if (body->participants[i] == message->peer)
            round->votes[i] = message->yes ? TXN_VOTE_YES : TXN_VOTE_NO;
        yes += round->votes[i] == TXN_VOTE_YES;
    }
    if (!message->yes && txn_body_has(body, message->peer)) {
        char why[TXN_TEXT_MAX];
        txn_text(why, "node %llu votes no: %s", (unsigned long long)message->peer,
                 message->text != NULL ? message->text : "no reason given");
        /* no need to ask the group: nobody proposes commit without all votes */
        if (round->proposed != TXN_OUTCOME_COMMIT)
            txn_round_decide(txn, round, TXN_OUTCOME_ABORT, why, update);
    } else if (yes == body->participants_n && round->state == TXN_STATE_COLLECTING) {
        if (body->group)
            txn_round_propose(txn, round, TXN_OUTCOME_COMMIT, "every participant agreed", update);
        else
            txn_round_decide(txn, round, TXN_OUTCOME_COMMIT, "every participant agreed", update);
    }
}

/* ---- the second phase
 * --------------------------------------------------------------------------------- */

/* Everybody who has to has acknowledged. */
static bool txn_round_finish(struct txn *txn, struct txn_round *round, struct txn_update *update)
{
    for (size_t i = 0; i < round->body->participants_n; i++) {
        if (!round->acks[i] && txn_is_member(txn, round->body->participants[i]))
            return false;
    }
    txn_round_set(round, TXN_STATE_ENDED, "every participant has the decision", update);
    uint64_t seq = txn_write_record(
        txn, update, (struct txn_record){.type = TXN_RECORD_ENDED, .txid = round->txid});
    txn_add_effect(update, TXN_EFFECT_ENDED, seq, &round->txid);
    txn_round_free(txn, round);
    return true;
}

static void txn_round_tell(struct txn *txn, struct txn_round *round, struct txn_update *update)
{
    const struct txn_body *body = round->body;
    /* what the group holds is durable already */
    uint64_t after = body->group ? 0 : round->seq;
    for (size_t i = 0; i < body->participants_n; i++) {
        if (round->acks[i])
            continue;
        struct txn_message *message =
            txn_send(update, after, body->participants[i], TXN_MESSAGE_DECISION, &round->txid);
        message->outcome =
            round->state == TXN_STATE_COMMITTED ? TXN_OUTCOME_COMMIT : TXN_OUTCOME_ABORT;
        txn_send_text(message, round->text);
    }
    round->resend_ms = txn->now_ms + round->resend_gap_ms;
    round->resend_gap_ms =
        2 * round->resend_gap_ms < TXN_RETRY_MS_MAX ? 2 * round->resend_gap_ms : TXN_RETRY_MS_MAX;
}

static void txn_round_conclude(struct txn *txn, struct txn_round *round, enum txn_outcome outcome,
                               const char *why, struct txn_update *update)
{
    char text[TXN_TEXT_MAX]; /* `why` may be the round's own text */
    txn_text(text, "%s", why);
    round->seq = txn_write_record(txn, update,
                                  (struct txn_record){.type = TXN_RECORD_COORDINATED,
                                                      .txid = round->txid,
                                                      .outcome = outcome,
                                                      .text = text,
                                                      .body = round->body});
    txn_round_set(round, outcome == TXN_OUTCOME_COMMIT ? TXN_STATE_COMMITTED : TXN_STATE_ABORTED,
                  text, update);
    struct txn_effect *effect = txn_add_effect(update, TXN_EFFECT_OUTCOME,
                                               round->body->group ? 0 : round->seq, &round->txid);
    effect->outcome = outcome;
    txn_text(effect->text, "%s", text);
    round->resend_gap_ms = txn->config.retry_ms;
    txn_round_tell(txn, round, update);
}

void txn_round_decide(struct txn *txn, struct txn_round *round, enum txn_outcome outcome,
                      const char *why, struct txn_update *update)
{
    assert(txn_round_is_open(round) && outcome != TXN_OUTCOME_NONE);
    txn_round_conclude(txn, round, outcome, why, update);
}

void txn_round_ack(struct txn *txn, const struct txn_message *message, struct txn_update *update)
{
    struct txn_round *round = txn_round_find(txn, &message->txid);
    if (round == NULL || txn_round_is_open(round))
        return;
    enum txn_outcome outcome =
        round->state == TXN_STATE_COMMITTED ? TXN_OUTCOME_COMMIT : TXN_OUTCOME_ABORT;
    if (message->outcome != outcome) {
        struct txn_effect *effect = txn_add_effect(update, TXN_EFFECT_ALARM, 0, &round->txid);
        if (message->outcome == TXN_OUTCOME_NONE)
            txn_text(effect->text, "node %llu has no record of a transaction it voted for",
                     (unsigned long long)message->peer);
        else
            txn_text(effect->text, "decided as %s, but node %llu holds %s",
                     txn_outcome_name(outcome), (unsigned long long)message->peer,
                     txn_outcome_name(message->outcome));
    }
    for (size_t i = 0; i < round->body->participants_n; i++) {
        if (round->body->participants[i] == message->peer)
            round->acks[i] = 1;
    }
    (void)txn_round_finish(txn, round, update);
}

/* ---- time, members
 * -------------------------------------------------------------------------------------- */

void txn_round_give_up(struct txn *txn, struct txn_round *round, const char *why,
                       struct txn_update *update)
{
    assert(round->state == TXN_STATE_COLLECTING);
    if (round->body->group)
        txn_round_propose(txn, round, TXN_OUTCOME_ABORT, why, update);
    else
        txn_round_decide(txn, round, TXN_OUTCOME_ABORT, why, update);
}

void txn_round_abandon(struct txn *txn, struct txn_body *body, struct txn_update *update)
{
    struct txn_round *round = txn_round_new(txn, body);
    txn_round_conclude(txn, round, TXN_OUTCOME_ABORT,
                       "its coordinator had not decided when it stopped", update);
}

static void txn_round_expire(struct txn *txn, struct txn_round *round, struct txn_update *update)
{
    char why[TXN_TEXT_MAX] = "";
    const struct txn_body *body = round->body;
    for (size_t i = 0; i < body->participants_n && why[0] == '\0'; i++) {
        if (round->votes[i] == TXN_VOTE_NONE)
            txn_text(why, "node %llu did not vote within %lld ms",
                     (unsigned long long)body->participants[i], (long long)txn->config.vote_ms);
    }
    txn_round_give_up(txn, round, why, update);
}

void txn_round_tick(struct txn *txn, struct txn_round *round, struct txn_update *update)
{
    if (round->state == TXN_STATE_COLLECTING && txn->now_ms >= round->deadline_ms) {
        txn_round_expire(txn, round, update);
        return;
    }
    if (txn->now_ms < round->resend_ms)
        return;
    if (round->state == TXN_STATE_COLLECTING) {
        txn_round_ask(txn, round, update);
    } else if (round->state == TXN_STATE_DECIDING) {
        txn_add_effect(update, TXN_EFFECT_PROPOSE, 0, &round->txid)->outcome = round->proposed;
        round->resend_ms = txn->now_ms + txn->config.ask_ms;
    } else {
        txn_round_tell(txn, round, update);
    }
}

void txn_round_members(struct txn *txn, struct txn_round *round, struct txn_update *update)
{
    if (round->state == TXN_STATE_COLLECTING) {
        for (size_t i = 0; i < round->body->participants_n; i++) {
            if (!txn_is_member(txn, round->body->participants[i]))
                round->deadline_ms = txn->now_ms; /* its vote won't come */
        }
    } else if (!txn_round_is_open(round)) {
        (void)txn_round_finish(txn, round, update);
    }
}

bool txn_round_at(const struct txn *txn, size_t i, struct txn_round_view *view)
{
    const struct txn_round *round = txn->rounds;
    while (round != NULL && i > 0) {
        round = round->hh.next;
        i--;
    }
    if (round == NULL)
        return false;
    *view = (struct txn_round_view){.body = round->body, .state = round->state};
    for (size_t k = 0; k < round->body->participants_n; k++) {
        view->yes += round->votes[k] == TXN_VOTE_YES;
        view->acked += round->acks[k];
    }
    return true;
}
