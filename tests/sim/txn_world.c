/* Time, the trouble that comes with it, clients and operators. */
#include "tests/sim/txn_world.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"

struct txn_world_event *txn_world_at(struct txn_world *w, int64_t ms, txn_world_fn fire)
{
    struct txn_world_event *event = mem_zalloc(sizeof *event);
    event->fire = fire;
    sim_time_add(&w->time, &event->due, ms);
    return event;
}

const char *txn_world_name(const struct uuid *txid)
{
    static char text[2][16];
    static unsigned turn;
    turn = !turn;
    snprintf(text[turn], sizeof text[turn], "T%u", txid->bytes[15]);
    return text[turn];
}

/* ---- clients
 * -------------------------------------------------------------------------------------- */

/* A majority: everybody, or those that the coordinator believes alive. */
static size_t txn_world_choose(struct txn_world *w, const struct txn_world_node *node,
                               uint64_t participants[TXN_WORLD_NODES_MAX])
{
    bool all = txn_world_chance(w, 40);
    bool self = txn_world_chance(w, 85);
    size_t n = 0;
    for (unsigned i = 0; i < w->nodes_n; i++) {
        bool in = i == node->index ? self : all || node->thinks[i];
        if (w->bug == TXN_BUG_MINORITY && w->cut[node->index][i])
            in = i == node->index;
        if (in)
            participants[n++] = i + 1;
    }
    return n;
}

static void txn_world_begin(struct txn_world *w, struct txn_world_event *event)
{
    (void)event;
    struct txn_world_node *node = &w->nodes[prng_below(&w->time.prng, w->nodes_n)];
    if (!node->up || w->txns_n == TXN_WORLD_TXNS_MAX)
        return;
    uint64_t participants[TXN_WORLD_NODES_MAX];
    struct txn_write writes[TXN_WORLD_KEYS];
    char names[TXN_WORLD_KEYS][3];
    struct txn_body body = {.coordinator = node->index + 1,
                            .group = w->group,
                            .began_ms = w->time.now_ms,
                            .participants = participants,
                            .writes = writes};
    body.txid.bytes[15] = (uint8_t)(w->txns_n + 1);
    body.participants_n = txn_world_choose(w, node, participants);
    unsigned mask = (unsigned)prng_between(&w->time.prng, 1, 7);
    if (txn_world_chance(w, 70))
        mask &= (unsigned)-(int)mask; /* one key */
    for (unsigned key = 0; key < TXN_WORLD_KEYS; key++) {
        if ((mask & (1U << key)) == 0)
            continue;
        snprintf(names[key], sizeof names[key], "k%u", key);
        writes[body.writes_n++] =
            (struct txn_write){.key = names[key],
                               .base_version = txn_version(node->txn, names[key]),
                               .value = &body.txid,
                               .len = sizeof body.txid};
    }
    char why[TXN_TEXT_MAX];
    struct txn_body *made = txn_body_new(&body, why);
    if (made == NULL)
        return;
    w->txns[w->txns_n++] =
        (struct txn_world_txn){.txid = body.txid, .body = made, .begun_ms = w->time.now_ms};
    int err = txn_world_step(w, node, (struct txn_event){.type = TXN_EVENT_BEGIN, .body = made});
    txn_world_trace(w, "node %u begins %s with %zu participants: %s", node->index + 1,
                    txn_world_name(&body.txid), body.participants_n, err_name(err));
}

/* ---- operators
 * ------------------------------------------------------------------------------------ */

/* The coordinator is down and cannot have decided, nor ever decide, the other outcome. */
static bool txn_world_is_honest(const struct txn_world *w, const struct txn_body *body,
                                enum txn_outcome outcome)
{
    const struct txn_world_node *coordinator = &w->nodes[body->coordinator - 1];
    bool committed = false;
    if (w->group)
        return true;
    if (coordinator->up)
        return false;
    for (size_t i = 0; i < coordinator->disk_n; i++) {
        const struct txn_record *record = &coordinator->disk[i];
        if (record->type == TXN_RECORD_COORDINATED && uuid_compare(&record->txid, &body->txid) == 0)
            committed = record->outcome == TXN_OUTCOME_COMMIT;
    }
    return committed == (outcome == TXN_OUTCOME_COMMIT);
}

static void txn_world_contradict(struct txn_world *w, struct txn_world_node *node,
                                 const struct txn_world_txn *truth)
{
    for (unsigned i = 0; i < w->nodes_n && w->bug == TXN_BUG_CONTRADICTING_OPERATOR; i++) {
        struct txn_message decision = {.type = TXN_MESSAGE_DECISION,
                                       .peer = i + 1,
                                       .txid = truth->txid,
                                       .outcome = truth->outcome == TXN_OUTCOME_COMMIT
                                                      ? TXN_OUTCOME_ABORT
                                                      : TXN_OUTCOME_COMMIT};
        if (truth->outcome != TXN_OUTCOME_NONE)
            txn_world_send(w, node, &decision);
    }
}

static void txn_world_operate(struct txn_world *w, struct txn_world_event *event)
{
    (void)event;
    struct txn_world_node *node = &w->nodes[prng_below(&w->time.prng, w->nodes_n)];
    if (!node->up || w->txns_n == 0)
        return;
    struct txn_world_txn *truth = &w->txns[prng_below(&w->time.prng, w->txns_n)];
    struct txn_doubt doubt;
    if (txn_doubt_at(node->txn, 0, &doubt))
        truth = txn_truth_find(w, &doubt.body->txid);
    enum txn_outcome outcome = txn_world_chance(w, 50) ? TXN_OUTCOME_COMMIT : TXN_OUTCOME_ABORT;
    if (!txn_world_is_honest(w, truth->body, outcome) ||
        (truth->asked != TXN_OUTCOME_NONE && truth->asked != outcome))
        return;
    truth->asked = outcome;
    txn_world_contradict(w, node, truth);
    enum txn_state state = txn_state_of(node->txn, &truth->txid);
    int err = txn_world_step(
        w, node,
        (struct txn_event){
            .type = TXN_EVENT_RESOLVE, .txid = truth->txid, .outcome = outcome, .text = "by hand"});
    txn_world_trace(w, "an operator decides %s for %s at node %u: %s", txn_outcome_name(outcome),
                    txn_world_name(&truth->txid), node->index + 1, err_name(err));
    bool other = (state == TXN_STATE_COMMITTED && outcome == TXN_OUTCOME_ABORT) ||
                 (state == TXN_STATE_ABORTED && outcome == TXN_OUTCOME_COMMIT);
    if (other && err != ERR_CONFLICT)
        txn_world_wrong(w, "node %u lets its operator contradict it", node->index + 1);
}

/* ---- trouble
 * --------------------------------------------------------------------------------------- */

static void txn_world_restart(struct txn_world *w, struct txn_world_event *event)
{
    struct txn_world_node *node = &w->nodes[event->node];
    if (!node->up && !node->broken)
        txn_world_start(w, node);
}

static void txn_world_break(struct txn_world *w, struct txn_world_event *event)
{
    (void)event;
    struct txn_world_node *node = &w->nodes[prng_below(&w->time.prng, w->nodes_n)];
    if (!node->up)
        return;
    txn_world_crash(w, node);
    if (node->index == w->flip_node && txn_world_chance(w, 50))
        txn_world_flip(w, node);
    struct txn_world_event *later = txn_world_at(
        w, txn_world_chance(w, 50) ? txn_world_ms(w, 1, 500) : txn_world_ms(w, 500, 9000),
        txn_world_restart);
    later->node = node->index;
}

/* Some links break, one-way or both, or all are whole again. */
static void txn_world_cut(struct txn_world *w, struct txn_world_event *event)
{
    (void)event;
    bool whole = txn_world_chance(w, 40);
    bool one_way = txn_world_chance(w, 30);
    unsigned side = (unsigned)prng_below(&w->time.prng, 1U << w->nodes_n);
    for (unsigned a = 0; a < w->nodes_n; a++) {
        for (unsigned b = 0; b < w->nodes_n; b++) {
            bool apart = ((side >> a) & 1) != ((side >> b) & 1);
            w->cut[a][b] = !whole && apart && (!one_way || ((side >> a) & 1));
        }
    }
    txn_world_trace(w, whole ? "all links are whole" : "links are cut%s: side %x",
                    one_way ? " one way" : "", side);
    for (unsigned i = 0; i < w->nodes_n && w->bug == TXN_BUG_MINORITY; i++) {
        if (w->nodes[i].up)
            txn_world_members(w, &w->nodes[i]);
    }
}

/* Detectors look around: late, and wrong at times. */
static void txn_world_look(struct txn_world *w, struct txn_world_event *event)
{
    (void)event;
    for (unsigned a = 0; a < w->nodes_n; a++) {
        for (unsigned b = 0; b < w->nodes_n && w->nodes[a].up; b++) {
            bool alive = w->nodes[b].up && !w->cut[b][a];
            if (!w->healed && txn_world_chance(w, 5))
                alive = !alive;
            if (a != b)
                txn_world_think(w, &w->nodes[a], b, alive);
        }
    }
    if (w->time.now_ms < w->heal_ms + 2000)
        txn_world_at(w, 700, txn_world_look);
}

/* The bit is put right. */
static void txn_world_mend(struct txn_world *w, struct txn_world_node *node)
{
    txn_world_trace(w, "the log of node %u is mended", node->index + 1);
    node->broken = false;
    txn_world_start(w, node);
    txn_world_look(w, NULL);
}

/* Somebody may wait for a node that does not start. No operator can have something committed that a
 * participant may have refused. */
static void txn_world_clear(struct txn_world *w, struct txn_world_event *event)
{
    (void)event;
    for (unsigned i = 0; i < w->nodes_n; i++) {
        struct txn_doubt doubt;
        struct txn_world_node *node = &w->nodes[i];
        if (!node->up || !txn_doubt_at(node->txn, 0, &doubt) ||
            !w->nodes[doubt.body->coordinator - 1].broken)
            continue;
        struct txn_world_txn *truth = txn_truth_find(w, &doubt.body->txid);
        if (!txn_world_is_honest(w, truth->body, TXN_OUTCOME_ABORT)) {
            txn_world_mend(w, &w->nodes[doubt.body->coordinator - 1]);
            return;
        }
        truth->asked = TXN_OUTCOME_ABORT;
        txn_world_trace(w, "an operator clears %s at node %u", txn_world_name(&truth->txid), i + 1);
        (void)txn_world_step(w, node,
                             (struct txn_event){.type = TXN_EVENT_RESOLVE,
                                                .txid = truth->txid,
                                                .outcome = truth->asked,
                                                .text = "the coordinator's log is damaged"});
    }
    if (!w->group)
        txn_world_at(w, 3000, txn_world_clear);
}

static void txn_world_heal(struct txn_world *w, struct txn_world_event *event)
{
    (void)event;
    txn_world_trace(w, "the trouble is over");
    w->healed = true;
    memset(w->cut, 0, sizeof w->cut);
    for (unsigned i = 0; i < w->nodes_n; i++) {
        if (w->nodes[i].broken)
            continue;
        if (!w->nodes[i].up)
            txn_world_start(w, &w->nodes[i]);
        txn_world_members(w, &w->nodes[i]);
    }
    if (w->flip_node < w->nodes_n && !w->group)
        txn_world_at(w, 5000, txn_world_clear);
}

static void txn_world_plan(struct txn_world *w, txn_world_fn fire, unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        txn_world_at(w, txn_world_ms(w, 0, w->heal_ms), fire);
}

/* ---- life
 * ------------------------------------------------------------------------------------------- */

void txn_world_init(struct txn_world *w, uint64_t seed, enum txn_bug bug)
{
    memset(w, 0, sizeof *w);
    w->bug = bug;
    sim_time_init(&w->time, seed, 0);
}

void txn_world_run(struct txn_world *w)
{
    w->nodes_n = 3 + 2 * (unsigned)prng_below(&w->time.prng, 3);
    w->group = txn_world_chance(w, 40);
    w->loss_percent = txn_world_chance(w, 50) ? 0 : (unsigned)prng_below(&w->time.prng, 40);
    w->twice_percent = txn_world_chance(w, 50) ? 0 : (unsigned)prng_below(&w->time.prng, 30);
    w->late_percent = txn_world_chance(w, 50) ? 0 : (unsigned)prng_below(&w->time.prng, 20);
    bool flips = w->bug == TXN_BUG_DAMAGE_HIDDEN || w->bug == TXN_BUG_DAMAGE_SKIPPED ||
                 txn_world_chance(w, 25);
    w->flip_node = flips ? (unsigned)prng_below(&w->time.prng, w->nodes_n) : w->nodes_n;
    w->time.now_ms = 1000;
    w->heal_ms = txn_world_ms(w, 2000, 14000);
    for (unsigned i = 0; i < w->nodes_n; i++) {
        w->nodes[i].index = i;
        txn_world_start(w, &w->nodes[i]);
    }
    txn_world_look(w, NULL);
    txn_world_plan(w, txn_world_begin,
                   (unsigned)prng_between(&w->time.prng, 1, TXN_WORLD_TXNS_MAX));
    txn_world_plan(w, txn_world_break, (unsigned)prng_below(&w->time.prng, 7));
    txn_world_plan(w, txn_world_cut, txn_world_chance(w, 50) ? 0 : 3);
    txn_world_plan(w, txn_world_operate, txn_world_chance(w, 60) ? 0 : 4);
    txn_world_at(w, w->heal_ms, txn_world_heal);
    w->heal_ms += w->time.now_ms;
    struct txn_world_event *event;
    while (sim_time_next_ms(&w->time) <= w->heal_ms + TXN_WORLD_HEAL_MS) {
        event = sim_time_take(&w->time);
        event->fire(w, event);
        txn_world_event_free(event);
    }
    txn_truth_end(w);
}

void txn_world_done(struct txn_world *w)
{
    struct txn_world_event *event;
    while ((event = sim_time_take(&w->time)) != NULL)
        txn_world_event_free(event);
    sim_time_done(&w->time);
    for (unsigned i = 0; i < w->nodes_n; i++)
        txn_world_node_done(&w->nodes[i]);
    for (unsigned i = 0; i < w->txns_n; i++)
        txn_body_free(w->txns[i].body);
}
