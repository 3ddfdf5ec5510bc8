/* Time, and the trouble that comes with it. */
#include "tests/sim/order_world.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

/* ---- events ---------------------------------------------------------------------------------- */

struct ow_event *ow_at(struct ow *w, int64_t ms, ow_fire_fn fire)
{
    struct ow_event *event = mem_zalloc(sizeof *event);
    event->fire = fire;
    sim_time_add(&w->time, &event->due, ms);
    return event;
}

static void ow_event_free(struct ow_event *event)
{
    ow_letter_unref(event->letter);
    free(event);
}

/* ---- trouble --------------------------------------------------------------------------------- */

static void ow_restart(struct ow *w, struct ow_event *event)
{
    struct ow_node *node = &w->nodes[event->node];
    if (!node->up && !node->dead && node->boot == event->boot)
        ow_node_start(w, event->node);
}

static void ow_trouble_crash(struct ow *w, unsigned i)
{
    struct ow_node *node = &w->nodes[i];
    if (!node->up)
        return;
    ow_node_crash(w, i);
    if (w->bits_flip && i == w->flip_node && ow_chance(w, 50))
        ow_disk_damage(w, i);
    struct ow_event *later =
        ow_at(w, ow_chance(w, 60) ? ow_ms(w, 5, 400) : ow_ms(w, 400, 3000), ow_restart);
    later->node = i;
    later->boot = node->boot;
}

static void ow_mend_cut(struct ow *w, struct ow_event *event)
{
    ow_net_cut(w, event->node, event->peer, false);
}

static void ow_trouble_cut(struct ow *w, unsigned from, unsigned to, int64_t ms)
{
    ow_net_cut(w, from, to, true);
    struct ow_event *event = ow_at(w, ms, ow_mend_cut);
    event->node = from;
    event->peer = to;
}

/* Some of the nodes on one side, the others on the other; one way or both. */
static void ow_trouble_partition(struct ow *w)
{
    uint64_t side = prng_next(&w->time.prng);
    bool one_way = ow_chance(w, 30);
    int64_t ms = ow_ms(w, 100, 2500);
    ow_trace(w, "partition, side %02x%s, for %d ms", (unsigned)(side & ((1U << w->nodes_n) - 1)),
             one_way ? ", one way" : "", (int)ms);
    for (unsigned a = 0; a < w->nodes_n; a++) {
        for (unsigned b = 0; b < w->nodes_n; b++) {
            bool from = (side >> a & 1) != 0;
            bool to = (side >> b & 1) != 0;
            if (a != b && from != to && (!one_way || from))
                ow_trouble_cut(w, a, b, ms);
        }
    }
}

static void ow_disk_has_room(struct ow *w, struct ow_event *event)
{
    struct ow_node *node = &w->nodes[event->node];
    node->disk.code = 0;
    if (node->up)
        ow_node_step(w, event->node, (struct order_event){.type = ORDER_EVENT_DISK});
}

static void ow_trouble_disk(struct ow *w, unsigned i)
{
    struct ow_node *node = &w->nodes[i];
    if (ow_chance(w, 50)) {
        int64_t ms = ow_ms(w, 50, 2000);
        ow_trace(w, "disk of %u hangs for %d ms", (unsigned)node->id, (int)ms);
        node->disk.free_ms = w->time.now_ms + ms;
        return;
    }
    if (node->disk.code < 0)
        return;
    ow_trace(w, "disk of %u is full", (unsigned)node->id);
    node->disk.code = -28;
    node->disk.full_ms = w->time.now_ms;
    if (node->up)
        ow_node_step(w, i, (struct order_event){.type = ORDER_EVENT_DISK, .disk_code = -28});
    struct ow_event *later = ow_at(w, ow_ms(w, 100, 2000), ow_disk_has_room);
    later->node = i;
}

static int ow_leader(const struct ow *w)
{
    for (unsigned i = 0; i < w->nodes_n; i++) {
        struct order_view view;
        if (!w->nodes[i].up)
            continue;
        order_view(w->nodes[i].order, &view);
        if (view.state == ORDER_STATE_LEADING)
            return (int)i;
    }
    return -1;
}

static void ow_trouble_leader(struct ow *w)
{
    int leader = ow_leader(w);
    if (leader < 0)
        return;
    unsigned other = (unsigned)prng_below(&w->time.prng, w->nodes_n);
    struct order_event event = {.type = ORDER_EVENT_TRANSFER, .peer = w->nodes[other].id};
    if (w->members_change && ow_chance(w, 60) && other >= 1) {
        event.type = ORDER_EVENT_MEMBER_REMOVE;
        ow_trace(w, "remove %u", (unsigned)w->nodes[other].id);
        unsigned members = 0;
        struct order_peer_view views[ORDER_MEMBERS_MAX];
        members = (unsigned)order_members(w->nodes[leader].order, views);
        if (members >= 4)
            (void)ow_node_step(w, (unsigned)leader, event);
    } else if (ow_chance(w, 50)) {
        (void)ow_node_step(w, (unsigned)leader, event);
    } else {
        ow_trouble_crash(w, (unsigned)leader);
    }
}

static void ow_trouble_node(struct ow *w, unsigned i)
{
    struct ow_node *node = &w->nodes[i];
    int64_t ms = ow_ms(w, 50, 1500);
    unsigned peer = (unsigned)prng_below(&w->time.prng, w->nodes_n);
    switch (prng_below(&w->time.prng, 6)) {
    case 0:
    case 1:
        ow_trouble_crash(w, i);
        break;
    case 2:
        ow_trace(w, "node %u pauses for %d ms", (unsigned)node->id, (int)ms);
        node->paused_until_ms = w->time.now_ms + ms;
        break;
    case 3:
        if (peer != i)
            ow_net_break(w, i, peer, 100);
        break;
    case 4:
        if (peer != i)
            ow_trouble_cut(w, i, peer, ms);
        break;
    default:
        ow_trouble_disk(w, i);
    }
}

static void ow_trouble(struct ow *w, struct ow_event *event)
{
    (void)event;
    if (w->healed)
        return;
    unsigned dice = (unsigned)prng_below(&w->time.prng, 10);
    if (dice < 2)
        ow_trouble_partition(w);
    else if (dice < 5)
        ow_trouble_leader(w);
    else
        ow_trouble_node(w, (unsigned)prng_below(&w->time.prng, w->nodes_n));
    ow_at(w, ow_ms(w, 10, 1000), ow_trouble);
}

static void ow_heal(struct ow *w, struct ow_event *event)
{
    (void)event;
    ow_trace(w, "the trouble is over");
    w->healed = true;
    w->heal_ms = w->time.now_ms;
    w->loss_percent = w->repeat_percent = 0;
    w->delay_max_ms = 5;
    w->disk_max_ms = 2;
    unsigned dead = 0;
    for (unsigned i = 0; i < w->nodes_n; i++) {
        struct ow_node *node = &w->nodes[i];
        node->paused_until_ms = 0;
        node->disk.free_ms = 0;
        if (node->up && node->disk.code < 0)
            ow_node_step(w, i, (struct order_event){.type = ORDER_EVENT_DISK});
        node->disk.code = 0;
        bool dies =
            !w->members_change && !w->bits_flip && ow_chance(w, 20) && 2 * (dead + 1) < w->voters_n;
        node->dead = dies;
        dead += dies;
        if (dies && node->up)
            ow_node_crash(w, i);
    }
    for (unsigned a = 0; a < w->nodes_n; a++) {
        for (unsigned b = 0; b < w->nodes_n; b++) {
            if (a != b)
                ow_net_cut(w, a, b, false);
        }
        if (!w->nodes[a].up && !w->nodes[a].dead)
            ow_node_start(w, a);
    }
}

/* ---- life ------------------------------------------------------------------------------------ */

static void ow_configure(struct ow *w)
{
    order_config_default(&w->config);
    w->config.heartbeat_ms = 100;
    w->config.leader_timeout_ms = 300;
    w->config.takeover_ms = 500;
    w->config.submit_timeout_ms = 1000;
    w->config.cache_bytes = ow_chance(w, 50) ? 0 : (uint64_t)ow_ms(w, 0, 4000);
    w->config.chunk_bytes = (uint32_t)ow_ms(w, 100, 1000);
    w->config.window_bytes = (uint32_t)ow_ms(w, 500, 4000);
    w->config.in_flight_bytes = ow_chance(w, 20) ? 1000 : 100000;
    w->config.catchup_bytes_s = ow_chance(w, 20) ? 20000 : 10000000;
    w->config.behind_max = (uint32_t)ow_ms(w, 5, 100);
    w->config.close_max = (uint32_t)ow_ms(w, 2, 20);
    w->config.hash_seed = w->time.seed;
    w->loss_percent = ow_chance(w, 50) ? (unsigned)ow_ms(w, 0, 20) : 0;
    w->repeat_percent = ow_chance(w, 50) ? (unsigned)ow_ms(w, 0, 10) : 0;
    w->delay_max_ms = (unsigned)(ow_chance(w, 70) ? ow_ms(w, 1, 10) : ow_ms(w, 10, 150));
    w->disk_max_ms = (unsigned)(ow_chance(w, 70) ? ow_ms(w, 1, 5) : ow_ms(w, 5, 100));
}

/* Such bugs are looked for where they can show. */
static bool ow_bug_is_of(unsigned bug, unsigned first, unsigned last)
{
    return bug >= first && bug <= last;
}

void ow_init(struct ow *w, uint64_t seed, unsigned bug)
{
    memset(w, 0, sizeof *w);
    w->bug = bug;
    sim_time_init(&w->time, seed, 1);
#ifdef ORDER_SEEDED_BUGS
    order_bug = bug < ORDER_BUG_N ? (enum order_bug)bug : ORDER_BUG_NONE;
#endif
    ow_configure(w);
    w->packed = ow_chance(w, 10);
    w->members_change = ow_bug_is_of(bug, ORDER_BUG_MEMBERS_AT_ONCE, ORDER_BUG_MEMBERS_AT_CLAIM) ||
                        ow_chance(w, 20);
    w->bits_flip = !w->members_change &&
                   (ow_bug_is_of(bug, ORDER_BUG_DAMAGED_VOTES, ORDER_BUG_DAMAGED_COUNTS) ||
                    bug == ORDER_WORLD_BUG_DAMAGE_HIDDEN || ow_chance(w, 25));
    unsigned dice = (unsigned)prng_below(&w->time.prng, 10);
    w->voters_n = dice < 6 ? 3 : dice < 9 ? 5 : 7;
    if (w->members_change)
        w->voters_n = ow_chance(w, 50) ? 1 : 3;
    w->nodes_n = w->voters_n + (w->members_change ? 1 + (unsigned)prng_below(&w->time.prng, 4) : 0);
    w->flip_node = (unsigned)prng_below(&w->time.prng, w->voters_n);
    for (unsigned i = 0; i < w->nodes_n; i++) {
        struct ow_node *node = &w->nodes[i];
        node->id = i + 1;
        node->uuid.bytes[0] = (uint8_t)(i + 1);
        node->joins = i >= w->voters_n;
        node->clock_ms = ow_ms(w, 0, 1000000);
        node->clock_permille = ow_ms(w, 980, 1020);
        node->disk.first = 1;
        node->lumps = ow_chance(w, 90);
    }
    for (unsigned i = 0; i < w->nodes_n; i++)
        ow_node_start(w, i);
    ow_client_init(w);
    int64_t trouble_ms = ow_ms(w, 50, 2000);
    w->calm = trouble_ms > 400 && w->loss_percent == 0 && w->delay_max_ms <= 10 &&
              w->disk_max_ms <= 5 && !w->members_change;
    ow_at(w, trouble_ms, ow_trouble);
    ow_at(w, ow_ms(w, 1000, 7000), ow_heal);
}

void ow_run(struct ow *w)
{
    for (;;) {
        struct ow_event *event = sim_time_take(&w->time);
        assert(event != NULL);
        event->fire(w, event);
        ow_event_free(event);
        if (!w->healed || (w->steps & 15) != 0)
            continue;
        if (ow_truth_is_well(w))
            break;
        if (w->time.now_ms > w->heal_ms + OW_HEAL_MS)
            ow_truth_end(w);
        int64_t since_ms = w->progress_ms > w->heal_ms ? w->progress_ms : w->heal_ms;
        if (w->time.now_ms - since_ms <= OW_PROGRESS_MS || ow_client_is_done(w))
            continue;
        ow_truth_dump(w);
        ow_wrong(w, "nothing has been delivered for %d ms", (int)(w->time.now_ms - since_ms));
    }
    ow_truth_end(w);
}

void ow_done(struct ow *w)
{
    for (struct ow_event *event; (event = sim_time_take(&w->time)) != NULL;)
        ow_event_free(event);
    sim_time_done(&w->time);
    for (unsigned i = 0; i < w->nodes_n; i++) {
        order_free(w->nodes[i].order);
        order_update_done(&w->nodes[i].update);
        ow_disk_done(&w->nodes[i].disk);
    }
}
