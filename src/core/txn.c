/* Happy path: an event goes to the side that it belongs to, which writes records and adds effects;
 * then everything that is due is looked at. Every list here is short (TXN_LIVE_MAX), so the next
 * deadline is found by looking at all of them. */
#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "core/txn_internal.h"

/* ---- updates ------------------------------------------------------------------------------------
 */

void txn_text(char out[static TXN_TEXT_MAX], const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(out, TXN_TEXT_MAX, fmt, args);
    va_end(args);
}

void txn_effect_release(struct txn_effect *effect)
{
    txn_body_free(effect->body);
    txn_body_free(effect->message.body);
    txn_items_free(effect->message.items, effect->message.items_n);
    free(effect->message.text);
    txn_items_free(effect->item, 1);
    *effect = (struct txn_effect){.type = effect->type};
}

void txn_record_release(struct txn_record *record)
{
    txn_body_free(record->body);
    txn_items_free(record->item, 1);
    free(record->text);
    *record = (struct txn_record){.type = record->type};
}

void txn_update_clear(struct txn_update *update)
{
    for (size_t i = 0; i < update->records_n; i++)
        txn_record_release(&update->records[i]);
    for (size_t i = 0; i < update->effects_n; i++)
        txn_effect_release(&update->effects[i]);
    update->records_n = 0;
    update->effects_n = 0;
}

void txn_update_done(struct txn_update *update)
{
    txn_update_clear(update);
    free(update->records);
    free(update->effects);
    *update = (struct txn_update){0};
}

uint64_t txn_write_record(struct txn *txn, struct txn_update *update, struct txn_record record)
{
    MEM_GROW(update->records, update->records_cap, update->records_n + 1);
    record.seq = ++txn->seq;
    record.at_ms = txn->wall_ms;
    record.text = mem_strdup(record.text);
    record.body = record.body != NULL ? txn_body_ref(record.body) : NULL;
    record.item = txn_items_copy(record.item, record.item != NULL ? 1 : 0);
    update->records[update->records_n++] = record;
    return record.seq;
}

struct txn_effect *txn_add_effect(struct txn_update *update, enum txn_effect_type type,
                                  uint64_t after, const struct uuid *txid)
{
    MEM_GROW(update->effects, update->effects_cap, update->effects_n + 1);
    struct txn_effect *effect = &update->effects[update->effects_n++];
    *effect = (struct txn_effect){.type = type, .after = after};
    if (txid != NULL)
        effect->txid = *txid;
    return effect;
}

struct txn_message *txn_send(struct txn_update *update, uint64_t after, uint64_t to,
                             enum txn_message_type type, const struct uuid *txid)
{
    struct txn_effect *effect = txn_add_effect(update, TXN_EFFECT_SEND, after, txid);
    effect->message = (struct txn_message){.type = type, .peer = to, .txid = effect->txid};
    return &effect->message;
}

void txn_send_text(struct txn_message *message, const char *text)
{
    message->text = text != NULL && text[0] != '\0' ? mem_strdup(text) : NULL;
}

void txn_changed(struct txn_update *update, const struct uuid *txid, enum txn_side side,
                 enum txn_state from, enum txn_state to, const char *why)
{
    assert(txn_state_allows(side, from, to));
    struct txn_effect *effect = txn_add_effect(update, TXN_EFFECT_CHANGED, 0, txid);
    effect->yes = side == TXN_SIDE_COORDINATOR;
    txn_text(effect->text, "%s -> %s: %s", txn_state_name(from), txn_state_name(to), why);
}

/* ---- members ------------------------------------------------------------------------------------
 */

static struct txn_peer *txn_peer(const struct txn *txn, uint64_t node)
{
    for (size_t i = 0; i < txn->peers_n; i++) {
        if (txn->peers[i].id == node)
            return &txn->peers[i];
    }
    return NULL;
}

bool txn_is_member(const struct txn *txn, uint64_t node)
{
    return txn_peer(txn, node) != NULL;
}

bool txn_is_alive(const struct txn *txn, uint64_t node)
{
    const struct txn_peer *peer = txn_peer(txn, node);
    return node == txn->config.self || (peer != NULL && peer->alive);
}

bool txn_is_resolver(const struct txn *txn, const struct txn_body *body)
{
    for (size_t i = body->participants_n; i > 0; i--) {
        if (txn_is_alive(txn, body->participants[i - 1]))
            return body->participants[i - 1] == txn->config.self;
    }
    return false;
}

static void txn_set_members(struct txn *txn, const struct txn_event *event,
                            struct txn_update *update)
{
    struct txn_peer *peers = mem_calloc(event->peers_n > 0 ? event->peers_n : 1, sizeof *peers);
    for (size_t i = 0; i < event->peers_n; i++)
        peers[i] =
            (struct txn_peer){.id = event->peers[i], .alive = txn_is_alive(txn, event->peers[i])};
    free(txn->peers);
    txn->peers = peers;
    txn->peers_n = event->peers_n;
    struct txn_round *round;
    struct txn_round *next;
    HASH_ITER (hh, txn->rounds, round, next)
        txn_round_members(txn, round, update);
}

/* Somebody is back: what it waits for, and what it was asked, need not wait for the timers. */
static void txn_set_alive(struct txn *txn, uint64_t node, bool alive)
{
    struct txn_peer *peer = txn_peer(txn, node);
    if (peer == NULL || peer->alive == alive)
        return;
    peer->alive = alive;
    if (!alive)
        return;
    for (struct txn_round *round = txn->rounds; round != NULL; round = round->hh.next) {
        if (txn_body_has(round->body, node)) {
            round->resend_ms = txn->now_ms;
            round->resend_gap_ms = txn->config.retry_ms;
        }
    }
    struct txn_entry *entry;
    TAILQ_FOREACH (entry, &txn->live, link) {
        if (entry->state == TXN_STATE_DOUBT)
            entry->ask_ms = txn->now_ms;
    }
}

/* ---- life
 * ---------------------------------------------------------------------------------------- */

void txn_config_default(struct txn_config *config, uint64_t self)
{
    *config = (struct txn_config){
        .self = self,
        .vote_ms = TXN_VOTE_MS,
        .retry_ms = TXN_RETRY_MS,
        .doubt_ms = TXN_DOUBT_MS,
        .ask_ms = TXN_ASK_MS,
        .heartbeat_ms = TXN_HEARTBEAT_MS,
        .lag_ms = TXN_LAG_MS,
    };
}

struct txn *txn_new(const struct txn_config *config)
{
    assert(config->self != 0);
    struct txn *txn = mem_zalloc(sizeof *txn);
    txn->config = *config;
    TAILQ_INIT(&txn->live);
    TAILQ_INIT(&txn->past);
    return txn;
}

void txn_free(struct txn *txn)
{
    if (txn == NULL)
        return;
    struct txn_round *round;
    struct txn_round *round_next;
    HASH_ITER (hh, txn->rounds, round, round_next)
        txn_round_free(txn, round);
    struct txn_entry *entry;
    struct txn_entry *entry_next;
    HASH_ITER (hh, txn->entries, entry, entry_next)
        txn_entry_free(txn, entry);
    txn_keys_free(txn);
    free(txn->peers);
    free(txn);
}

/* ---- events
 * --------------------------------------------------------------------------------------- */

static int txn_receive(struct txn *txn, const struct txn_message *message,
                       struct txn_update *update)
{
    bool outsider = message->type == TXN_MESSAGE_PREPARE || message->type == TXN_MESSAGE_DECISION ||
                    message->type == TXN_MESSAGE_INQUIRY_REPLY;
    if (!txn_is_member(txn, message->peer) && !outsider) {
        txn_text(update->text, "node %llu takes no part in rollouts here",
                 (unsigned long long)message->peer);
        return ERR_PROTOCOL;
    }
    switch (message->type) {
    case TXN_MESSAGE_PREPARE:
        txn_participant_prepare(txn, message, update);
        return 0;
    case TXN_MESSAGE_VOTE:
        txn_round_vote(txn, message, update);
        return 0;
    case TXN_MESSAGE_DECISION:
        if (message->outcome == TXN_OUTCOME_NONE)
            break;
        txn_participant_decision(txn, message, update);
        return 0;
    case TXN_MESSAGE_DECISION_ACK:
        txn_round_ack(txn, message, update);
        return 0;
    case TXN_MESSAGE_INQUIRY:
        txn_doubt_inquiry(txn, message, update);
        return 0;
    case TXN_MESSAGE_INQUIRY_REPLY:
        txn_doubt_reply(txn, message, update);
        return 0;
    case TXN_MESSAGE_HEARTBEAT:
        txn_reconcile_heartbeat(txn, message, update);
        return 0;
    case TXN_MESSAGE_FETCH:
        txn_reconcile_fetch(txn, message, update);
        return 0;
    case TXN_MESSAGE_ITEMS:
        txn_reconcile_items(txn, message, update);
        return 0;
    }
    txn_text(update->text, "node %llu sent a senseless message", (unsigned long long)message->peer);
    return ERR_PROTOCOL;
}

static void txn_group(struct txn *txn, const struct txn_event *event, struct txn_update *update)
{
    struct txn_round *round = txn_round_find(txn, &event->txid);
    if (round != NULL && txn_round_is_open(round))
        txn_round_decide(txn, round, event->outcome,
                         event->outcome == TXN_OUTCOME_COMMIT ? "every participant agreed"
                         : round->text[0] != '\0'             ? round->text
                                                  : "a resolver aborted it in the metadata group",
                         update);
    struct txn_entry *entry = txn_entry_find(txn, &event->txid);
    if (entry != NULL && txn_entry_is_prepared(entry))
        txn_entry_decide(txn, entry, event->outcome, "as the metadata group holds it", update);
}

static void txn_tick(struct txn *txn, struct txn_update *update)
{
    struct txn_round *round;
    struct txn_round *round_next;
    HASH_ITER (hh, txn->rounds, round, round_next)
        txn_round_tick(txn, round, update);
    struct txn_entry *next;
    for (struct txn_entry *entry = TAILQ_FIRST(&txn->live); entry != NULL; entry = next) {
        next = TAILQ_NEXT(entry, link);
        txn_operator_tick(txn, entry, update);
        txn_doubt_tick(txn, entry, update);
    }
    txn_reconcile_tick(txn, update);
}

static int64_t txn_least(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static int64_t txn_deadline(const struct txn *txn)
{
    int64_t due_ms = txn->heartbeat_ms;
    for (const struct txn_round *round = txn->rounds; round != NULL; round = round->hh.next) {
        due_ms = txn_least(due_ms, round->resend_ms);
        if (round->state == TXN_STATE_COLLECTING)
            due_ms = txn_least(due_ms, round->deadline_ms);
    }
    const struct txn_entry *entry;
    TAILQ_FOREACH (entry, &txn->live, link) {
        due_ms = txn_least(due_ms, entry->ask_ms);
        if (entry->ruling.outcome != TXN_OUTCOME_NONE)
            due_ms = txn_least(due_ms, entry->ruling.deadline_ms);
    }
    for (const struct txn_key *key = txn->keys; key != NULL && !txn->behind; key = key->hh.next) {
        if (key->behind_ms != INT64_MAX)
            due_ms = txn_least(due_ms, key->behind_ms + txn->config.lag_ms);
    }
    return due_ms;
}

static int txn_dispatch(struct txn *txn, const struct txn_event *event, struct txn_update *update)
{
    switch (event->type) {
    case TXN_EVENT_MEMBERS:
        txn_set_members(txn, event, update);
        return 0;
    case TXN_EVENT_ALIVE:
        txn_set_alive(txn, event->peer, event->alive);
        return 0;
    case TXN_EVENT_BEGIN:
        return txn_round_begin(txn, event, update);
    case TXN_EVENT_JUDGED:
        return txn_participant_judged(txn, event, update);
    case TXN_EVENT_RECEIVED:
        return txn_receive(txn, event->message, update);
    case TXN_EVENT_GROUP:
        if (event->outcome != TXN_OUTCOME_NONE)
            txn_group(txn, event, update);
        return 0;
    case TXN_EVENT_RESOLVE:
        return txn_operator_resolve(txn, event, update);
    default:
        return 0;
    }
}

int txn_step(struct txn *txn, const struct txn_event *event, struct txn_update *update)
{
    assert(event->now_ms >= txn->now_ms);
    txn->now_ms = event->now_ms;
    txn->wall_ms = event->wall_ms;
    update->text[0] = '\0';
    if (event->type == TXN_EVENT_RESTORE)
        return txn_restore_record(txn, event->record, update);
    if (event->type == TXN_EVENT_RESTORED) {
        assert(!txn->restored);
        txn_restore_end(txn, update);
    }
    assert(txn->restored);
    int err = txn_dispatch(txn, event, update);
    txn_tick(txn, update);
    update->next_deadline_ms = txn_deadline(txn);
    return err;
}
