/* Messages on their way, and the register of the metadata group. */
#include <stdlib.h>
#include <string.h>

#include "tests/sim/txn_world.h"

void txn_world_event_free(struct txn_world_event *event)
{
    txn_body_free(event->message.body);
    txn_items_free(event->message.items, event->message.items_n);
    free(event->message.text);
    free(event);
}

/* ---- distortions --------------------------------------------------------------------------------
 */

static bool txn_world_swallows(const struct txn_world *w, enum txn_message_type type)
{
    switch (w->bug) {
    case TXN_BUG_SWALLOWED_ACK:
        return type == TXN_MESSAGE_DECISION_ACK;
    case TXN_BUG_SWALLOWED_HEARTBEAT:
        return type == TXN_MESSAGE_HEARTBEAT;
    case TXN_BUG_SWALLOWED_ITEMS:
        return type == TXN_MESSAGE_ITEMS;
    case TXN_BUG_SWALLOWED_DECISION:
        return type == TXN_MESSAGE_DECISION || type == TXN_MESSAGE_INQUIRY_REPLY;
    default:
        return false;
    }
}

static void txn_world_forge(struct txn_world *w, struct txn_world_event *event)
{
    struct txn_message *message = &event->message;
    bool reply = message->type == TXN_MESSAGE_INQUIRY_REPLY;
    if (w->bug == TXN_BUG_PRESUMED_COMMIT && reply && message->standing == TXN_STANDING_ABORTED) {
        const struct txn_world_txn *truth = txn_truth_find(w, &message->txid);
        if (truth->body->coordinator == message->peer)
            message->standing = TXN_STANDING_COMMITTED;
    }
    if (w->bug == TXN_BUG_GUESSED_COMMIT && reply && message->standing == TXN_STANDING_PREPARED)
        message->standing = TXN_STANDING_COMMITTED;
    if (w->bug == TXN_BUG_GUESSED_ABORT && reply && message->standing == TXN_STANDING_PREPARED)
        message->standing = TXN_STANDING_ABORTED;
    if (w->bug == TXN_BUG_IGNORANT_ABORT && reply && w->group &&
        message->standing == TXN_STANDING_UNKNOWN)
        message->standing = TXN_STANDING_ABORTED;
    if (w->bug == TXN_BUG_FORGED_VOTE && message->type == TXN_MESSAGE_VOTE)
        message->yes = true;
}

/* Whoever hears a late yes has the voter commit. */
static void txn_world_count_late(struct txn_world *w, struct txn_world_event *event)
{
    if (w->bug != TXN_BUG_LATE_VOTE || event->message.type != TXN_MESSAGE_VOTE ||
        !event->message.yes ||
        txn_truth_find(w, &event->message.txid)->outcome != TXN_OUTCOME_ABORT)
        return;
    struct txn_message decision = {.type = TXN_MESSAGE_DECISION,
                                   .peer = event->message.peer,
                                   .txid = event->message.txid,
                                   .outcome = TXN_OUTCOME_COMMIT};
    txn_world_send(w, &w->nodes[event->node], &decision);
}

/* ---- links
 * --------------------------------------------------------------------------------------- */

static void txn_world_deliver(struct txn_world *w, struct txn_world_event *event)
{
    struct txn_world_node *node = &w->nodes[event->node];
    unsigned from = (unsigned)event->message.peer - 1;
    if (!node->up || w->cut[from][event->node])
        return;
    txn_world_forge(w, event);
    txn_world_count_late(w, event);
    (void)txn_world_step(
        w, node, (struct txn_event){.type = TXN_EVENT_RECEIVED, .message = &event->message});
}

static void txn_world_post(struct txn_world *w, const struct txn_world_node *node,
                           const struct txn_message *message, int64_t ms)
{
    struct txn_world_event *event = txn_world_at(w, ms, txn_world_deliver);
    event->node = (unsigned)message->peer - 1;
    event->message = *message;
    event->message.peer = node->index + 1;
    event->message.text = mem_strdup(message->text);
    event->message.body = message->body != NULL ? txn_body_ref(message->body) : NULL;
    event->message.items = txn_items_copy(message->items, message->items_n);
}

void txn_world_send(struct txn_world *w, struct txn_world_node *node,
                    const struct txn_message *message)
{
    unsigned to = (unsigned)message->peer - 1;
    if (to == node->index) {
        txn_world_post(w, node, message, 0);
        return;
    }
    if (txn_world_swallows(w, message->type) ||
        (!w->healed && txn_world_chance(w, w->loss_percent)))
        return;
    int64_t ms = !w->healed && txn_world_chance(w, w->late_percent) ? txn_world_ms(w, 20, 6000)
                                                                    : txn_world_ms(w, 0, 15);
    txn_world_post(w, node, message, ms);
    if (!w->healed && txn_world_chance(w, w->twice_percent))
        txn_world_post(w, node, message, txn_world_ms(w, 0, 8000));
}

/* ---- the metadata group
 * -------------------------------------------------------------------------- */

static void txn_world_group_answer(struct txn_world *w, struct txn_world_event *event)
{
    struct txn_world_node *node = &w->nodes[event->node];
    if (node->up && node->boot == event->boot)
        (void)txn_world_step(w, node,
                             (struct txn_event){.type = TXN_EVENT_GROUP,
                                                .txid = event->txid,
                                                .outcome = event->outcome});
}

static void txn_world_group_write(struct txn_world *w, struct txn_world_event *event)
{
    struct txn_world_txn *truth = txn_truth_find(w, &event->txid);
    if (truth->group == TXN_OUTCOME_NONE || w->bug == TXN_BUG_REWRITTEN_REGISTER)
        truth->group = event->outcome;
    txn_world_trace(w, "the group holds %s for %s", txn_outcome_name(truth->group),
                    txn_world_name(&event->txid));
    if (!w->healed && txn_world_chance(w, 15))
        return;
    struct txn_world_event *answer =
        txn_world_at(w, txn_world_ms(w, 0, 20), txn_world_group_answer);
    answer->node = event->node;
    answer->boot = event->boot;
    answer->txid = event->txid;
    answer->outcome = truth->group;
}

void txn_world_propose(struct txn_world *w, struct txn_world_node *node, const struct uuid *txid,
                       enum txn_outcome outcome)
{
    if (!w->group)
        txn_world_wrong(w, "node %u turns to a metadata group that is not there", node->index + 1);
    if (!w->healed && txn_world_chance(w, 20))
        return; /* no leader at the moment, or this node is cut off */
    int64_t ms =
        !w->healed && txn_world_chance(w, 10) ? txn_world_ms(w, 500, 6000) : txn_world_ms(w, 1, 20);
    struct txn_world_event *event = txn_world_at(w, ms, txn_world_group_write);
    event->node = node->index;
    event->boot = node->boot;
    event->txid = *txid;
    event->outcome = outcome;
}
