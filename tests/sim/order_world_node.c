/* A node's life: its machine, and what a role does with an update. */
#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "tests/sim/order_world.h"

bool ow_node_defer(struct ow *w, struct ow_event *event)
{
    struct ow_node *node = &w->nodes[event->node];
    if (node->paused_until_ms <= w->time.now_ms)
        return false;
    struct ow_event *later = ow_at(w, node->paused_until_ms - w->time.now_ms, event->fire);
    struct sim_event due = later->due;
    *later = *event;
    later->due = due;
    event->letter = NULL;
    return true;
}

static int64_t ow_node_clock(const struct ow *w, const struct ow_node *node)
{
    return node->clock_ms + w->time.now_ms * node->clock_permille / 1000;
}

/* `number` is the time it was made for: one that a pause put off may be out of date. */
static void ow_node_tick(struct ow *w, struct ow_event *event)
{
    struct ow_node *node = &w->nodes[event->node];
    if (!node->up || node->boot != event->boot || node->tick_ms != (int64_t)event->number ||
        ow_node_defer(w, event))
        return;
    node->tick_ms = 0;
    ow_node_step(w, event->node, (struct order_event){.type = ORDER_EVENT_TICK});
}

static void ow_node_schedule(struct ow *w, unsigned i)
{
    struct ow_node *node = &w->nodes[i];
    int64_t wait_ms =
        (node->update.next_deadline_ms - node->last_ms) * 1000 / node->clock_permille + 1;
    if (wait_ms > 5000)
        wait_ms = 5000;
    int64_t at_ms = w->time.now_ms + wait_ms;
    if (node->tick_ms > w->time.now_ms && node->tick_ms <= at_ms)
        return;
    struct ow_event *event = ow_at(w, wait_ms, ow_node_tick);
    event->node = i;
    event->boot = node->boot;
    event->number = (uint64_t)at_ms;
    node->tick_ms = at_ms;
}

static void ow_node_trouble(const struct ow *w, const struct ow_node *node)
{
    const char *trouble = node->update.trouble;
    if (trouble[0] == '\0')
        return;
    ow_trace(w, "node %u: %s", (unsigned)node->id, trouble);
    if (strstr(trouble, "contradicts") != NULL || strstr(trouble, "twice") != NULL ||
        strstr(trouble, "same term") != NULL || strstr(trouble, "refused") != NULL)
        ow_wrong(w, "node %u: %s", (unsigned)node->id, trouble);
}

static void ow_node_obey(struct ow *w, unsigned i)
{
    struct ow_node *node = &w->nodes[i];
    struct order_update *update = &node->update;
    for (size_t at = 0; at < update->changes_n; at++) {
        const struct order_change *change = &update->changes[at];
        ow_trace(w, "node %u: %s -> %s, term %llu, leader %llu: %s", (unsigned)node->id,
                 order_state_name(change->from), order_state_name(change->to),
                 (unsigned long long)change->term, (unsigned long long)change->leader,
                 change->reason);
    }
    ow_node_trouble(w, node);
    ow_truth_leads(w, i);
    for (size_t at = 0; at < update->records_n; at++) {
        ow_disk_record(w, i, &update->records[at]);
        if (update->records[at].type == ORDER_RECORD_INSTALL)
            node->delivered = update->records[at].seq;
    }
    if (update->deliver_first != 0)
        ow_truth_delivered(w, i, update->deliver_first, update->deliver_last);
    for (size_t at = 0; at < update->replies_n; at++)
        ow_client_reply(w, i, &update->replies[at]);
    for (size_t at = 0; at < update->sends_n; at++)
        ow_net_send(w, i, &update->sends[at]);
    for (size_t at = 0; at < update->reads_n; at++)
        ow_disk_read(w, i, &update->reads[at]);
    bool records = update->records_n > 0;
    bool delivered = update->deliver_first != 0;
    uint64_t trim = update->trim_wanted;
    order_update_clear(update);
    if (records)
        ow_disk_flush(w, i);
    if (delivered && ow_chance(w, 10))
        ow_disk_snapshot(w, i);
    if (trim > 0)
        ow_disk_trim_wanted(w, i, trim);
}

int ow_node_step(struct ow *w, unsigned i, struct order_event event)
{
    struct ow_node *node = &w->nodes[i];
    assert(node->up);
    int64_t clock_ms = ow_node_clock(w, node);
    node->last_ms = clock_ms > node->last_ms ? clock_ms : node->last_ms;
    event.now_ms = node->last_ms;
    event.wall_ms = w->time.now_ms;
    int err = order_step(node->order, &event, &node->update);
    w->steps++;
    if ((w->steps & 7) == 0)
        order_check(node->order);
    ow_node_obey(w, i);
    ow_node_schedule(w, i);
    return err;
}

/* ---- start and crash ------------------------------------------------------------------------- */

static void ow_node_form(struct ow *w, unsigned i)
{
    struct order_member members[OW_NODES_MAX] = {{0}};
    for (unsigned at = 0; at < w->voters_n; at++) {
        members[at].id = w->nodes[at].id;
        snprintf(members[at].address, sizeof members[at].address, "n%u:7400", at + 1);
    }
    struct order_event event = {
        .type = ORDER_EVENT_FORM, .members = members, .members_n = w->voters_n, .group = 77};
    int err = ow_node_step(w, i, event);
    if (err < 0)
        ow_wrong(w, "node %u cannot form the log: %s", i + 1, err_text(err));
}

void ow_node_start(struct ow *w, unsigned i)
{
    struct ow_node *node = &w->nodes[i];
    struct order_config config = w->config;
    char address[32];
    snprintf(address, sizeof address, "n%u:7400", i + 1);
    config.id = node->id;
    config.uuid = node->uuid;
    config.address = address;
    config.lumps = node->lumps;
    order_free(node->order);
    node->order = order_new(&config);
    node->up = true;
    node->boot++;
    node->tick_ms = 0;
    node->paused_until_ms = 0;
    ow_trace(w, "node %u starts", (unsigned)node->id);
    ow_disk_load(w, i);
    if (node->disk.meta.group == 0 && node->disk.snapshot == NULL) {
        if (node->joins)
            ow_node_step(w, i, (struct order_event){.type = ORDER_EVENT_JOIN});
        else
            ow_node_form(w, i);
    }
    for (unsigned peer = 0; peer < w->nodes_n; peer++) {
        if (peer != i && w->nodes[peer].up)
            ow_net_connect(w, i, peer);
    }
}

void ow_node_crash(struct ow *w, unsigned i)
{
    struct ow_node *node = &w->nodes[i];
    ow_trace(w, "node %u crashes", (unsigned)node->id);
    node->up = false;
    ow_disk_crash(w, i);
    for (unsigned peer = 0; peer < w->nodes_n; peer++) {
        if (peer == i)
            continue;
        ow_link(w, i, peer)->told[i > peer] = false;
        ow_net_break(w, i, peer, ow_chance(w, 70) ? 20 : 2000);
    }
}
