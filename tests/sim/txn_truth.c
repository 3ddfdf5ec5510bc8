/* What is durable or visible anywhere, and what must never be. */
#include <string.h>

#include "base/error.h"
#include "tests/sim/txn_world.h"

struct txn_world_txn *txn_truth_find(struct txn_world *w, const struct uuid *txid)
{
    for (unsigned i = 0; i < w->txns_n; i++) {
        if (uuid_compare(&w->txns[i].txid, txid) == 0)
            return &w->txns[i];
    }
    txn_world_wrong(w, "a transaction that nobody began");
}

/* Atomic outcome: nobody holds another one, and commit needs every participant's yes. */
static void txn_truth_outcome(struct txn_world *w, const struct txn_world_node *node,
                              const struct uuid *txid, enum txn_outcome outcome)
{
    struct txn_world_txn *truth = txn_truth_find(w, txid);
    if (truth->outcome == TXN_OUTCOME_NONE)
        truth->outcome = outcome;
    if (truth->outcome != outcome)
        txn_world_wrong(w, "%s is %s at node %u and %s elsewhere", txn_world_name(txid),
                        txn_outcome_name(outcome), node->index + 1,
                        txn_outcome_name(truth->outcome));
    for (size_t i = 0; i < truth->body->participants_n && outcome == TXN_OUTCOME_COMMIT; i++) {
        uint64_t id = truth->body->participants[i];
        if (!truth->prepared[id - 1])
            txn_world_wrong(w, "%s commits at node %u, but PREPARED of node %u is not on its disk",
                            txn_world_name(txid), node->index + 1, (unsigned)id);
        if (truth->refused[id - 1])
            txn_world_wrong(w, "%s commits at node %u against the refusal of node %u",
                            txn_world_name(txid), node->index + 1, (unsigned)id);
    }
}

void txn_truth_durable(struct txn_world *w, const struct txn_world_node *node,
                       const struct txn_record *record)
{
    if (record->type == TXN_RECORD_PREPARED) {
        struct txn_world_txn *truth = txn_truth_find(w, &record->txid);
        if (truth->refused[node->index])
            txn_world_wrong(w, "node %u prepares %s, which it had refused", node->index + 1,
                            txn_world_name(&record->txid));
        truth->prepared[node->index] = true;
    } else if (record->type == TXN_RECORD_REFUSED) {
        struct txn_world_txn *truth = txn_truth_find(w, &record->txid);
        truth->refused[node->index] = true;
        txn_truth_outcome(w, node, &record->txid, TXN_OUTCOME_ABORT);
    } else if (record->type == TXN_RECORD_DECIDED || record->type == TXN_RECORD_COORDINATED) {
        txn_truth_outcome(w, node, &record->txid, record->outcome);
    }
}

static unsigned txn_truth_key(const char *key)
{
    return (unsigned)(key[1] - '0');
}

static void txn_truth_apply(struct txn_world *w, struct txn_world_node *node,
                            const struct txn_item *item)
{
    unsigned key = txn_truth_key(item->key);
    struct uuid *made = &w->made[key][item->version];
    txn_truth_outcome(w, node, &item->txid, TXN_OUTCOME_COMMIT);
    if (uuid_is_nil(made))
        *made = item->txid;
    if (uuid_compare(made, &item->txid) != 0)
        txn_world_wrong(w, "version %u of %s is made by two transactions", (unsigned)item->version,
                        item->key);
    if (item->version <= node->shown[key])
        txn_world_wrong(w, "node %u goes back to version %u of %s", node->index + 1,
                        (unsigned)item->version, item->key);
    node->shown[key] = item->version;
    if (item->version < node->served[key])
        txn_world_wrong(w, "node %u served version %u of %s before its restart", node->index + 1,
                        (unsigned)node->served[key], item->key);
    node->served[key] = item->version;
}

void txn_truth_visible(struct txn_world *w, struct txn_world_node *node,
                       const struct txn_effect *effect)
{
    struct txn_world_txn *truth;
    switch (effect->type) {
    case TXN_EFFECT_APPLY:
        txn_truth_apply(w, node, effect->item);
        break;
    case TXN_EFFECT_OUTCOME:
        truth = txn_truth_find(w, &effect->txid);
        txn_truth_outcome(w, node, &effect->txid, effect->outcome);
        if (truth->told != TXN_OUTCOME_NONE && truth->told != effect->outcome)
            txn_world_wrong(w, "the client of %s is told two outcomes",
                            txn_world_name(&effect->txid));
        truth->told = effect->outcome;
        break;
    case TXN_EFFECT_CHANGED:
        truth = txn_truth_find(w, &effect->txid);
        if (effect->yes && strstr(effect->text, "every participant agreed") != NULL &&
            strncmp(effect->text, "collecting", 10) == 0 &&
            w->time.now_ms > truth->begun_ms + TXN_VOTE_MS * 1000 / TXN_WORLD_SLOWEST + 1)
            txn_world_wrong(w, "%s counts votes that came too late", txn_world_name(&effect->txid));
        break;
    case TXN_EFFECT_RESOLVED:
        truth = txn_truth_find(w, &effect->txid);
        txn_world_trace(w, "node %u answers its operator: %s (%s)", node->index + 1, effect->text,
                        err_name(effect->code));
        if (effect->code == 0 && truth->outcome != truth->asked && truth->outcome != 0)
            txn_world_wrong(w, "an operator is told that %s is %s", txn_world_name(&effect->txid),
                            txn_outcome_name(truth->asked));
        break;
    case TXN_EFFECT_ALARM:
        txn_world_wrong(w, "alarm at node %u about %s: %s", node->index + 1,
                        txn_world_name(&effect->txid), effect->text);
    default:
        break;
    }
}

/* The first that is whole. */
static const struct txn_world_node *txn_truth_whole(const struct txn_world *w)
{
    return &w->nodes[w->nodes[0].broken ? 1 : 0];
}

/* A coordinator goes on until every participant has acknowledged. */
static bool txn_truth_waits(const struct txn_world *w, const struct txn_body *body)
{
    return w->flip_node < w->nodes_n && w->nodes[w->flip_node].broken &&
           txn_body_has(body, w->flip_node + 1);
}

static void txn_truth_end_node(struct txn_world *w, const struct txn_world_node *node)
{
    const struct txn_world_node *whole = txn_truth_whole(w);
    struct txn_doubt doubt;
    struct txn_round_view round;
    if (txn_doubt_at(node->txn, 0, &doubt))
        txn_world_wrong(w, "node %u is still in doubt about %s: %s", node->index + 1,
                        txn_world_name(&doubt.body->txid), doubt.text);
    if (txn_round_at(node->txn, 0, &round) && !txn_truth_waits(w, round.body))
        txn_world_wrong(w, "node %u still coordinates %s", node->index + 1,
                        txn_world_name(&round.body->txid));
    if (!txn_in_rotation(node->txn))
        txn_world_wrong(w, "node %u is still out of rotation", node->index + 1);
    for (unsigned key = 0; key < TXN_WORLD_KEYS; key++) {
        const char name[] = {'k', (char)('0' + key), '\0'};
        uint64_t version = txn_version(node->txn, name);
        uint64_t other = txn_version(whole->txn, name);
        if (version != other)
            txn_world_wrong(w, "node %u has version %u of %s, node %u has %u", node->index + 1,
                            (unsigned)version, name, whole->index + 1, (unsigned)other);
        if (version != node->shown[key])
            txn_world_wrong(w, "node %u serves version %u of %s and has %u", node->index + 1,
                            (unsigned)node->shown[key], name, (unsigned)version);
    }
}

void txn_truth_end(struct txn_world *w)
{
    for (unsigned i = 0; i < w->nodes_n; i++)
        if (!w->nodes[i].broken)
            txn_truth_end_node(w, &w->nodes[i]);
    for (unsigned i = 0; i < w->txns_n; i++) {
        struct txn_world_txn *truth = &w->txns[i];
        for (unsigned n = 0; n < w->nodes_n; n++) {
            if (w->nodes[n].broken)
                continue;
            enum txn_state state = txn_state_of(w->nodes[n].txn, &truth->txid);
            if (truth->outcome == TXN_OUTCOME_COMMIT && txn_body_has(truth->body, n + 1) &&
                state != TXN_STATE_COMMITTED)
                txn_world_wrong(w, "%s is committed, but %s at node %u",
                                txn_world_name(&truth->txid), txn_state_name(state), n + 1);
        }
    }
}
