/* Links. A connection has an epoch: what was sent on one that broke never arrives. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "tests/sim/order_world.h"
#include "wire/message.h"

struct ow_link *ow_link(struct ow *w, unsigned a, unsigned b)
{
    return a < b ? &w->links[a][b] : &w->links[b][a];
}

static void ow_net_tell(struct ow *w, unsigned node, unsigned peer, bool up)
{
    struct ow_link *link = ow_link(w, node, peer);
    bool *told = &link->told[node > peer];
    if (*told == up || !w->nodes[node].up)
        return;
    *told = up;
    ow_node_step(w, node,
                 (struct order_event){.type = up ? ORDER_EVENT_LINK_UP : ORDER_EVENT_LINK_DOWN,
                                      .peer = w->nodes[peer].id});
}

static void ow_net_told_down(struct ow *w, struct ow_event *event)
{
    if (ow_link(w, event->node, event->peer)->epoch == event->epoch &&
        w->nodes[event->node].boot == event->boot && !ow_node_defer(w, event))
        ow_net_tell(w, event->node, event->peer, false);
}

static void ow_net_reconnect(struct ow *w, struct ow_event *event)
{
    struct ow_link *link = ow_link(w, event->node, event->peer);
    if (link->epoch == event->epoch)
        ow_net_connect(w, event->node, event->peer);
}

void ow_net_break(struct ow *w, unsigned a, unsigned b, int64_t notice_ms)
{
    struct ow_link *link = ow_link(w, a, b);
    link->up = false;
    link->epoch++;
    for (unsigned side = 0; side < 2; side++) {
        struct ow_event *event = ow_at(w, ow_ms(w, 0, notice_ms), ow_net_told_down);
        event->node = side == 0 ? a : b;
        event->peer = side == 0 ? b : a;
        event->epoch = link->epoch;
        event->boot = w->nodes[event->node].boot;
    }
    struct ow_event *event = ow_at(w, ow_ms(w, 1, 300), ow_net_reconnect);
    event->node = a;
    event->peer = b;
    event->epoch = link->epoch;
}

void ow_net_connect(struct ow *w, unsigned a, unsigned b)
{
    struct ow_link *link = ow_link(w, a, b);
    if (link->up || !w->nodes[a].up || !w->nodes[b].up)
        return;
    if (link->cut[0] || link->cut[1]) {
        struct ow_event *event = ow_at(w, ow_ms(w, 50, 300), ow_net_reconnect);
        event->node = a;
        event->peer = b;
        event->epoch = link->epoch;
        return;
    }
    link->up = true;
    link->epoch++;
    ow_net_tell(w, a, b, false);
    ow_net_tell(w, b, a, false);
    ow_net_tell(w, a, b, true);
    ow_net_tell(w, b, a, true);
}

void ow_net_cut(struct ow *w, unsigned from, unsigned to, bool cut)
{
    struct ow_link *link = ow_link(w, from, to);
    link->cut[from > to] = cut;
    if (cut && link->up && ow_chance(w, 50)) /* the link's own heartbeat may notice */
        ow_net_break(w, from, to, 1000);
}

/* The entries of a lump, sometimes after a bit of it has changed; false: that was found. */
static bool ow_net_read_lump(struct ow *w, const Wire__ChatAppend *append,
                             struct order_event *event, struct order_entry *entries, size_t *ends)
{
    size_t at = 0;
    bool flips = ow_chance(w, 2);
    uint8_t *bytes = append->lump.data;
    uint8_t *flipped = &bytes[prng_below(&w->time.prng, append->lump.len)];
    *flipped ^= flips ? 1 : 0;
    int len = 1;
    while (at < append->lump.len && event->entries_n < OW_LUMP_MAX && len > 0) {
        len = order_entry_decode(bytes + at, append->lump.len - at, &entries[event->entries_n]);
        at += len > 0 ? (size_t)len : 0;
        ends[event->entries_n] = at;
        event->entries_n += len > 0;
    }
    if (flips == (len > 0))
        ow_wrong(w, "a lump with%s a flipped bit is %s", flips ? "" : "out",
                 len > 0 ? "taken" : "refused");
    *flipped ^= flips ? 1 : 0;
    event->entries = entries;
    event->lump_ends = ends;
    return !flips;
}

static void ow_net_arrive(struct ow *w, struct ow_event *event)
{
    const struct ow_link *link = ow_link(w, event->node, event->peer);
    struct ow_node *node = &w->nodes[event->node];
    bool same = link->epoch == event->epoch && link->up;
    if (!node->up || !same || ow_node_defer(w, event))
        return;
    const Wire__ChatMessage *message = event->letter->message;
    struct order_entry entries[OW_LUMP_MAX];
    size_t ends[OW_LUMP_MAX];
    struct order_event step = {
        .type = ORDER_EVENT_MESSAGE, .peer = w->nodes[event->peer].id, .message = message};
    if (message->kind_case == WIRE__CHAT_MESSAGE__KIND_APPEND && message->append->lump.len > 0 &&
        !ow_net_read_lump(w, message->append, &step, entries, ends))
        return;
    node->heard_ms[event->peer] = w->time.now_ms;
    int err = ow_node_step(w, event->node, step);
    if (err < 0)
        ow_wrong(w, "node %u refuses a message of node %u: %s", (unsigned)node->id,
                 (unsigned)w->nodes[event->peer].id, err_text(err));
}

void ow_letter_unref(struct ow_letter *letter)
{
    if (letter == NULL || --letter->refs > 0)
        return;
    wire__chat_message__free_unpacked(letter->message, NULL);
    free(letter);
}

/* Takes over the message. */
static struct ow_letter *ow_letter_new(const struct ow *w, struct order_send *send)
{
    struct ow_letter *letter = mem_zalloc(sizeof *letter);
    letter->refs = 1;
    if (!w->packed) {
        letter->message = send->message;
        send->message = NULL;
        return letter;
    }
    size_t len = wire__chat_message__get_packed_size(send->message);
    uint8_t *bytes = mem_alloc(len + 1);
    wire__chat_message__pack(send->message, bytes);
    letter->message = wire__chat_message__unpack(NULL, len, bytes);
    assert(letter->message != NULL);
    free(bytes);
    return letter;
}

static void ow_net_deliver(struct ow *w, unsigned from, unsigned to, struct ow_letter *letter)
{
    struct ow_event *event = ow_at(w, ow_ms(w, 0, w->delay_max_ms), ow_net_arrive);
    event->node = to;
    event->peer = from;
    event->epoch = ow_link(w, from, to)->epoch;
    event->letter = letter;
    letter->refs++;
}

void ow_net_send(struct ow *w, unsigned from, struct order_send *send)
{
    unsigned to = (unsigned)send->peer - 1;
    assert(to < w->nodes_n && to != from);
    ow_truth_sends(w, from, send);
    const struct ow_link *link = ow_link(w, from, to);
    if (!link->up || link->cut[from > to] || !w->nodes[to].up || ow_chance(w, w->loss_percent))
        return;
    struct ow_letter *letter = ow_letter_new(w, send);
    ow_net_deliver(w, from, to, letter);
    if (ow_chance(w, w->repeat_percent))
        ow_net_deliver(w, from, to, letter);
    ow_letter_unref(letter);
}
