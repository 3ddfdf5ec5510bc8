/* A node of the simulated cluster: its machine, its disk, the effects that wait for the disk. */
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "tests/sim/txn_world.h"

static struct txn_record txn_world_copy_record(const struct txn_record *record)
{
    struct txn_record copy = *record;
    copy.text = mem_strdup(record->text);
    copy.body = record->body != NULL ? txn_body_ref(record->body) : NULL;
    copy.item = txn_items_copy(record->item, record->item != NULL ? 1 : 0);
    return copy;
}

static void txn_world_keep(struct txn_world_node *node, struct txn_record record)
{
    MEM_GROW(node->disk, node->disk_cap, node->disk_n + 1);
    node->disk[node->disk_n++] = record;
}

/* ---- the disk -----------------------------------------------------------------------------------
 */

static bool txn_world_may_leave(const struct txn_world *w, const struct txn_world_node *node,
                                const struct txn_effect *effect)
{
    if (effect->after <= node->durable)
        return true;
    bool send = effect->type == TXN_EFFECT_SEND;
    switch (w->bug) {
    case TXN_BUG_EARLY_VOTE:
        return send && effect->message.type == TXN_MESSAGE_VOTE;
    case TXN_BUG_EARLY_DECISION:
        return send && effect->message.type == TXN_MESSAGE_DECISION;
    case TXN_BUG_EARLY_REFUSAL:
        return send && effect->message.standing == TXN_STANDING_REFUSED;
    case TXN_BUG_EARLY_APPLY:
        return effect->type == TXN_EFFECT_APPLY;
    case TXN_BUG_LOST_SYNC:
        return true;
    default:
        return false;
    }
}

static void txn_world_judged(struct txn_world *w, struct txn_world_event *event)
{
    struct txn_world_node *node = &w->nodes[event->node];
    if (!node->up || node->boot != event->boot)
        return;
    struct txn_event judged = {.type = TXN_EVENT_JUDGED,
                               .txid = event->txid,
                               .yes = event->number != 0,
                               .text = "its canary fails"};
    (void)txn_world_step(w, node, judged);
}

static void txn_world_stumbles(struct txn_world *w, struct txn_world_event *event)
{
    struct txn_world_node *node = &w->nodes[event->node];
    if (node->up && node->boot == event->boot) {
        txn_world_crash(w, node);
        txn_world_start(w, node);
    }
}

/* Makes the most of a rare mistake. */
static void txn_world_stumble(struct txn_world *w, const struct txn_world_node *node)
{
    struct txn_world_event *event = txn_world_at(w, 0, txn_world_stumbles);
    event->node = node->index;
    event->boot = node->boot;
}

static void txn_world_do(struct txn_world *w, struct txn_world_node *node,
                         struct txn_effect *effect)
{
    struct txn_world_event *event;
    txn_truth_visible(w, node, effect);
    switch (effect->type) {
    case TXN_EFFECT_SEND:
        if (w->bug == TXN_BUG_EARLY_REFUSAL && effect->after > node->durable)
            txn_world_stumble(w, node);
        txn_world_send(w, node, &effect->message);
        break;
    case TXN_EFFECT_JUDGE:
        event = txn_world_at(w,
                             txn_world_chance(w, w->late_percent) ? txn_world_ms(w, 500, 4000)
                                                                  : txn_world_ms(w, 0, 30),
                             txn_world_judged);
        event->node = node->index;
        event->boot = node->boot;
        event->txid = effect->body->txid;
        event->number = !txn_world_chance(w, w->healed ? 0 : 8);
        break;
    case TXN_EFFECT_PROPOSE:
        txn_world_propose(w, node, &effect->txid, effect->outcome);
        break;
    case TXN_EFFECT_CHANGED:
        txn_world_trace(w, "node %u: %s%s %s", node->index + 1, effect->yes ? "coordinates " : "",
                        txn_world_name(&effect->txid), effect->text);
        break;
    case TXN_EFFECT_OUTCOME:
        if (w->bug == TXN_BUG_IGNORANT_ABORT && effect->outcome == TXN_OUTCOME_COMMIT)
            txn_world_stumble(w, node);
        break;
    case TXN_EFFECT_ROTATION:
        txn_world_trace(w, "node %u: %s", node->index + 1, effect->text);
        break;
    default:
        break;
    }
    txn_effect_release(effect);
}

/* Everything whose records are durable happens. */
static void txn_world_release(struct txn_world *w, struct txn_world_node *node)
{
    size_t kept = 0;
    struct txn_effect *effects = node->effects;
    size_t n = node->effects_n;
    /* what happens may make more effects */
    node->effects = NULL;
    node->effects_n = node->effects_cap = 0;
    for (size_t i = 0; i < n; i++) {
        if (txn_world_may_leave(w, node, &effects[i]))
            txn_world_do(w, node, &effects[i]);
        else
            effects[kept++] = effects[i];
    }
    for (size_t i = 0; i < kept; i++) {
        MEM_GROW(node->effects, node->effects_cap, node->effects_n + 1);
        node->effects[node->effects_n++] = effects[i];
    }
    free(effects);
}

static void txn_world_settle(struct txn_world *w, struct txn_world_node *node, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        node->durable = node->pending[i].seq;
        txn_truth_durable(w, node, &node->pending[i]);
        txn_world_keep(node, node->pending[i]);
    }
    if (n < node->pending_n)
        memmove(node->pending, node->pending + n, (node->pending_n - n) * sizeof *node->pending);
    node->pending_n -= n;
}

static void txn_world_sync(struct txn_world *w, struct txn_world_node *node);

static void txn_world_synced(struct txn_world *w, struct txn_world_event *event)
{
    struct txn_world_node *node = &w->nodes[event->node];
    if (!node->up || node->boot != event->boot)
        return;
    node->syncing = false;
    txn_world_settle(w, node, event->number);
    txn_world_release(w, node);
    txn_world_sync(w, node);
}

static void txn_world_sync(struct txn_world *w, struct txn_world_node *node)
{
    if (node->syncing || node->pending_n == 0)
        return;
    node->syncing = true;
    int64_t ms =
        !w->healed && txn_world_chance(w, 3) ? txn_world_ms(w, 200, 3000) : txn_world_ms(w, 0, 8);
    struct txn_world_event *event = txn_world_at(w, ms, txn_world_synced);
    event->node = node->index;
    event->boot = node->boot;
    event->number = (unsigned)node->pending_n;
}

/* ---- steps
 * --------------------------------------------------------------------------------------- */

static void txn_world_tick(struct txn_world *w, struct txn_world_event *event)
{
    struct txn_world_node *node = &w->nodes[event->node];
    if (!node->up || node->boot != event->boot || node->tick_ms != event->due.at_ms)
        return;
    node->tick_ms = 0;
    (void)txn_world_step(w, node, (struct txn_event){.type = TXN_EVENT_TICK});
}

static int64_t txn_world_clock(const struct txn_world *w, struct txn_world_node *node)
{
    int64_t now_ms =
        node->clock_ms + (w->time.now_ms - node->started_ms) * node->clock_permille / 1000;
    node->last_ms = now_ms > node->last_ms ? now_ms : node->last_ms;
    return node->last_ms;
}

int txn_world_step(struct txn_world *w, struct txn_world_node *node, struct txn_event event)
{
    event.now_ms = txn_world_clock(w, node);
    event.wall_ms = w->time.now_ms + node->wall_off_ms;
    w->steps++;
    int err = txn_step(node->txn, &event, &node->update);
    txn_check(node->txn);
    struct txn_update *update = &node->update;
    for (size_t i = 0; i < update->records_n; i++) {
        MEM_GROW(node->pending, node->pending_cap, node->pending_n + 1);
        node->pending[node->pending_n++] = update->records[i];
    }
    for (size_t i = 0; i < update->effects_n; i++) {
        MEM_GROW(node->effects, node->effects_cap, node->effects_n + 1);
        node->effects[node->effects_n++] = update->effects[i];
    }
    update->records_n = 0;
    update->effects_n = 0;
    if (event.type == TXN_EVENT_RESTORE)
        return err;
    int64_t wait_ms = update->next_deadline_ms - event.now_ms;
    if (wait_ms > TXN_WORLD_HEAL_MS)
        wait_ms = TXN_WORLD_HEAL_MS; /* also when there is none */
    wait_ms = wait_ms * 1000 / node->clock_permille;
    int64_t tick_ms = w->time.now_ms + (wait_ms > 0 ? wait_ms : 1);
    if (node->tick_ms == 0 || tick_ms < node->tick_ms) {
        node->tick_ms = tick_ms;
        struct txn_world_event *tick = txn_world_at(w, tick_ms - w->time.now_ms, txn_world_tick);
        tick->node = node->index;
        tick->boot = node->boot;
    }
    txn_world_sync(w, node);
    txn_world_release(w, node);
    return err;
}

/* ---- life
 * ------------------------------------------------------------------------------------------ */

static bool txn_world_forgets(const struct txn_world *w, const struct txn_record *record)
{
    return (w->bug == TXN_BUG_FORGOTTEN_DECISION && record->type == TXN_RECORD_COORDINATED) ||
           (w->bug == TXN_BUG_FORGOTTEN_PREPARED && record->type == TXN_RECORD_PREPARED) ||
           (w->bug == TXN_BUG_FORGOTTEN_REFUSAL && record->type == TXN_RECORD_REFUSED) ||
           (w->bug == TXN_BUG_FORGOTTEN_OUTCOME && record->type == TXN_RECORD_DECIDED);
}

static void txn_world_compact_one(void *arg, const struct txn_record *record)
{
    txn_world_keep(arg, txn_world_copy_record(record));
}

/* The log is replaced by what it amounts to, as a node does when it has grown. */
static void txn_world_compact(struct txn_world_node *node)
{
    for (size_t i = 0; i < node->disk_n; i++)
        txn_record_release(&node->disk[i]);
    node->disk_n = 0;
    txn_snapshot(node->txn, txn_world_compact_one, node);
}

void txn_world_members(struct txn_world *w, struct txn_world_node *node)
{
    uint64_t ids[TXN_WORLD_NODES_MAX];
    size_t n = 0;
    for (unsigned i = 0; i < w->nodes_n; i++) {
        if (w->bug == TXN_BUG_MINORITY && !w->healed && w->cut[node->index][i] && i != node->index)
            continue;
        ids[n++] = i + 1;
    }
    (void)txn_world_step(w, node,
                         (struct txn_event){.type = TXN_EVENT_MEMBERS, .peers = ids, .peers_n = n});
}

void txn_world_think(struct txn_world *w, struct txn_world_node *node, unsigned of, bool alive)
{
    if (node->thinks[of] == alive)
        return;
    node->thinks[of] = alive;
    (void)txn_world_step(
        w, node, (struct txn_event){.type = TXN_EVENT_ALIVE, .peer = of + 1, .alive = alive});
}

static void txn_world_set_clock(struct txn_world *w, struct txn_world_node *node)
{
    node->started_ms = w->time.now_ms;
    node->clock_ms = txn_world_ms(w, 0, 1000000);
    node->clock_permille = txn_world_ms(w, TXN_WORLD_SLOWEST, TXN_WORLD_FASTEST);
    node->last_ms = 0;
    if (txn_world_chance(w, 30))
        node->wall_off_ms = txn_world_ms(w, 0, 7200000) - 3600000;
}

void txn_world_start(struct txn_world *w, struct txn_world_node *node)
{
    struct txn_config config;
    txn_config_default(&config, node->index + 1);
    node->up = true;
    node->boot++;
    node->durable = 0;
    node->tick_ms = 0;
    txn_world_set_clock(w, node);
    memset(node->thinks, 0, sizeof node->thinks);
    memset(node->shown, 0, sizeof node->shown);
    node->txn = txn_new(&config);
    for (size_t i = 0; i < node->disk_n; i++) {
        struct txn_event restore = {.type = TXN_EVENT_RESTORE, .record = &node->disk[i]};
        if (txn_world_forgets(w, &node->disk[i]))
            continue;
        if (txn_world_step(w, node, restore) < 0)
            txn_world_wrong(w, "node %u cannot restart: %s", node->index + 1, node->update.text);
    }
    txn_world_trace(w, "node %u starts with %zu records", node->index + 1, node->disk_n);
    (void)txn_world_step(w, node, (struct txn_event){.type = TXN_EVENT_RESTORED});
    if (txn_world_chance(w, 30))
        txn_world_compact(node);
    txn_world_members(w, node);
}

static void txn_world_lose(struct txn_world *w, struct txn_world_node *node)
{
    /* a beginning of what was being written may have reached the disk */
    size_t kept = txn_world_chance(w, 50) ? prng_below(&w->time.prng, node->pending_n + 1) : 0;
    if (w->bug == TXN_BUG_LOST_SYNC)
        kept = 0;
    if (w->bug == TXN_BUG_TORN_MIDDLE && node->pending_n > 1) {
        struct txn_record lost = node->pending[0];
        memmove(node->pending, node->pending + 1, --node->pending_n * sizeof lost);
        txn_record_release(&lost);
        kept = node->pending_n;
    }
    txn_world_settle(w, node, kept);
    for (size_t i = 0; i < node->pending_n; i++)
        txn_record_release(&node->pending[i]);
    node->pending_n = 0;
}

void txn_world_crash(struct txn_world *w, struct txn_world_node *node)
{
    txn_world_trace(w, "node %u crashes with %zu records unwritten", node->index + 1,
                    node->pending_n);
    txn_world_lose(w, node);
    for (size_t i = 0; i < node->effects_n; i++)
        txn_effect_release(&node->effects[i]);
    node->effects_n = 0;
    node->up = false;
    node->syncing = false;
    txn_free(node->txn);
    node->txn = NULL;
    txn_update_clear(&node->update);
}

/* The bugs alone go on with what is left. */
void txn_world_flip(struct txn_world *w, struct txn_world_node *node)
{
    if (node->disk_n == 0)
        return;
    size_t at = prng_below(&w->time.prng, node->disk_n);
    txn_world_trace(w, "a bit flips in record %zu of the %zu of node %u", at + 1, node->disk_n,
                    node->index + 1);
    size_t lost = 0;
    if (w->bug == TXN_BUG_DAMAGE_HIDDEN)
        lost = node->disk_n - at;
    else if (w->bug == TXN_BUG_DAMAGE_SKIPPED)
        lost = 1;
    else
        node->broken = true;
    for (size_t i = at; i < at + lost; i++)
        txn_record_release(&node->disk[i]);
    if (lost > 0)
        memmove(node->disk + at, node->disk + at + lost,
                (node->disk_n - at - lost) * sizeof *node->disk);
    node->disk_n -= lost;
}

void txn_world_node_done(struct txn_world_node *node)
{
    for (size_t i = 0; i < node->disk_n; i++)
        txn_record_release(&node->disk[i]);
    for (size_t i = 0; i < node->pending_n; i++)
        txn_record_release(&node->pending[i]);
    for (size_t i = 0; i < node->effects_n; i++)
        txn_effect_release(&node->effects[i]);
    free(node->disk);
    free(node->pending);
    free(node->effects);
    txn_free(node->txn);
    txn_update_done(&node->update);
}
