/* What must hold. */
#include <string.h>

#include "tests/sim/order_world.h"

/* The first delivery of an entry decides what it is. */
static void ow_truth_first(struct ow *w, unsigned node, const struct order_entry *entry,
                           uint64_t check)
{
    if (entry->seq != w->truth_last + 1)
        ow_wrong(w, "entry %llu is delivered, nobody delivered %llu",
                 (unsigned long long)entry->seq, (unsigned long long)w->truth_last + 1);
    w->truth_last = entry->seq;
    w->progress_ms = w->time.now_ms;
    w->truth[entry->seq] =
        (struct ow_truth){.known = true, .term = entry->term, .type = entry->type, .check = check};
    size_t copies = 0;
    for (unsigned i = 0; i < w->nodes_n; i++)
        copies += ow_disk_holds(&w->nodes[i].disk, entry->seq, check);
    if (!w->members_change && w->bits_lost == 0 && 2 * copies <= w->voters_n)
        ow_wrong(w, "node %u delivers entry %llu, which is on %zu of %u disks", node + 1,
                 (unsigned long long)entry->seq, copies, w->voters_n);
    if (entry->type != ORDER_ENTRY_MESSAGE)
        return;
    struct ow_client *client = &w->clients[entry->client.bytes[0] - 1];
    struct ow_message *message = &client->messages[entry->number];
    if (!message->wanted)
        ow_wrong(w, "a message that nobody sent");
    if (message->seq != 0)
        ow_wrong(w, "message %u/%u is entry %llu and entry %llu", entry->client.bytes[0] - 1U,
                 (unsigned)entry->number, (unsigned long long)message->seq,
                 (unsigned long long)entry->seq);
    message->seq = entry->seq;
}

/* What a leader takes for delivered ends with an entry of its term. */
static void ow_truth_of_own_term(const struct ow *w, unsigned i)
{
    struct order_view view;
    order_view(w->nodes[i].order, &view);
    const struct order_entry *entry = order_entry(w->nodes[i].order, view.committed_seq);
    if (view.state == ORDER_STATE_LEADING && entry != NULL && entry->term != view.term)
        ow_wrong(w, "node %u leads in term %llu and delivers entry %llu of term %llu by its copies",
                 i + 1, (unsigned long long)view.term, (unsigned long long)entry->seq,
                 (unsigned long long)entry->term);
}

void ow_truth_delivered(struct ow *w, unsigned i, uint64_t first, uint64_t last)
{
    struct ow_node *node = &w->nodes[i];
    if (first != node->delivered + 1)
        ow_wrong(w, "node %u delivers entry %llu after entry %llu", i + 1,
                 (unsigned long long)first, (unsigned long long)node->delivered);
    for (uint64_t seq = first; seq <= last; seq++) {
        struct order_entry lumped;
        const struct order_entry *entry = order_entry(node->order, seq);
        if (entry == NULL && node->lumps && ow_disk_entry(&node->disk, seq, &lumped))
            entry = &lumped;
        if (entry == NULL || entry->seq != seq || seq > OW_TRUTH_MAX)
            ow_wrong(w, "node %u delivers entry %llu and does not give it", i + 1,
                     (unsigned long long)seq);
        uint64_t check = order_entry_check(entry);
        if (!ow_disk_holds(&node->disk, seq, check))
            ow_wrong(w, "node %u delivers entry %llu, which is not on its disk", i + 1,
                     (unsigned long long)seq);
        if (!w->truth[seq].known)
            ow_truth_first(w, i, entry, check);
        else if (w->truth[seq].check != check)
            ow_wrong(w, "node %u delivers another entry %llu than others did", i + 1,
                     (unsigned long long)seq);
    }
    ow_truth_of_own_term(w, i);
    node->delivered = last;
    if (ow_chance(w, 20))
        node->disk.committed = last;
    ow_trace(w, "node %u delivers %llu to %llu", i + 1, (unsigned long long)first,
             (unsigned long long)last);
}

static void ow_truth_one_leader(struct ow *w, unsigned i, uint64_t term)
{
    size_t at = w->leaders_n;
    while (at > 0 && w->leaders[at - 1].term != term)
        at--;
    if (at > 0) {
        if (w->leaders[at - 1].leader != w->nodes[i].id)
            ow_wrong(w, "nodes %llu and %u lead in term %llu",
                     (unsigned long long)w->leaders[at - 1].leader, i + 1,
                     (unsigned long long)term);
        return;
    }
    if (w->leaders_n == sizeof w->leaders / sizeof w->leaders[0])
        ow_wrong(w, "there is no end of elections");
    if (w->calm && w->leaders_n == 0 && i + 1 != w->voters_n)
        ow_wrong(w, "node %u leads first, and all are there", i + 1);
    w->leaders[w->leaders_n].term = term;
    w->leaders[w->leaders_n++].leader = w->nodes[i].id;
}

/* With much patience: clocks differ, and a pause is not noticed while it lasts. */
static void ow_truth_gives_up(const struct ow *w, unsigned i)
{
    const struct ow_node *node = &w->nodes[i];
    int64_t patience_ms = 2 * w->config.leader_timeout_ms + 2 * w->config.heartbeat_ms;
    if (node->disk.writes_n > 0 && w->time.now_ms - node->disk.writes[0].at_ms > patience_ms)
        ow_wrong(w, "node %u leads with a disk that takes nothing", i + 1);
    if (node->disk.code < 0 && w->time.now_ms - node->disk.full_ms > patience_ms)
        ow_wrong(w, "node %u leads with a full disk", i + 1);
    unsigned heard = 1;
    for (unsigned peer = 0; peer < w->nodes_n; peer++)
        heard += peer != i && w->time.now_ms - node->heard_ms[peer] <= patience_ms;
    if (!w->members_change && 2 * heard <= w->voters_n &&
        w->time.now_ms - node->leads_ms > patience_ms)
        ow_wrong(w, "node %u leads and hears no majority", i + 1);
}

void ow_truth_leads(struct ow *w, unsigned i)
{
    struct order_view view;
    struct ow_node *node = &w->nodes[i];
    if (order_state(node->order) != ORDER_STATE_LEADING) {
        node->leads_ms = 0;
        return;
    }
    order_view(node->order, &view);
    if (node->leads_ms == 0)
        node->leads_ms = w->time.now_ms;
    ow_truth_one_leader(w, i, view.term);
    ow_truth_gives_up(w, i);
}

void ow_truth_sends(struct ow *w, unsigned i, const struct order_send *send)
{
    const struct ow_disk *disk = &w->nodes[i].disk;
    const Wire__ChatMessage *message = send->message;
    if (message->kind_case == WIRE__CHAT_MESSAGE__KIND_PROMISE &&
        (disk->meta.term < message->term ||
         (disk->meta.term == message->term && disk->meta.promised_to != send->peer)))
        ow_wrong(w, "node %u promises what is not on its disk", i + 1);
    if (message->kind_case == WIRE__CHAT_MESSAGE__KIND_CLAIM && disk->meta.term < message->term)
        ow_wrong(w, "node %u claims a term that is not on its disk", i + 1);
    if (message->kind_case == WIRE__CHAT_MESSAGE__KIND_APPEND_REPLY &&
        message->append_reply->durable_seq >= disk->first + disk->n)
        ow_wrong(w, "node %u acknowledges what is not on its disk", i + 1);
}

/* The members, as the leader of the latest term has them. */
static size_t ow_truth_members(const struct ow *w, struct order_peer_view out[ORDER_MEMBERS_MAX])
{
    uint64_t term = 0;
    size_t n = 0;
    for (unsigned i = 0; i < w->nodes_n; i++) {
        struct order_view view;
        if (!w->nodes[i].up)
            continue;
        order_view(w->nodes[i].order, &view);
        if (view.state != ORDER_STATE_LEADING || view.term < term)
            continue;
        term = view.term;
        n = order_members(w->nodes[i].order, out);
    }
    return n;
}

/* Up, a member, or still waiting to be one. */
static bool ow_truth_counts(const struct ow *w, unsigned i, const struct order_peer_view *members,
                            size_t n)
{
    const struct ow_node *node = &w->nodes[i];
    struct order_view view;
    if (!node->up)
        return false;
    for (size_t at = 0; at < n; at++) {
        if (members[at].member.id == node->id)
            return true;
    }
    order_view(node->order, &view);
    return view.group == 0;
}

/* NULL, or what isn't well. */
static const char *ow_truth_ill(struct ow *w)
{
    uint64_t highest = 0;
    struct order_peer_view members[ORDER_MEMBERS_MAX];
    if (!ow_client_is_done(w))
        return "clients have no answer";
    size_t n = ow_truth_members(w, members);
    if (n == 0)
        return "nobody leads";
    for (unsigned i = 0; i < w->nodes_n; i++) {
        struct order_view view;
        if (!ow_truth_counts(w, i, members, n))
            continue;
        order_view(w->nodes[i].order, &view);
        if (view.damaged)
            return "a log is not repaired";
        if (w->nodes[i].delivered != w->truth_last || view.last_seq != w->truth_last)
            return "not everything is delivered everywhere";
        if (view.state == ORDER_STATE_OUTSIDE)
            return "a node was not taken in";
        highest = w->nodes[i].id;
    }
    for (unsigned i = 0; i < w->nodes_n; i++) {
        struct order_view view;
        if (!ow_truth_counts(w, i, members, n))
            continue;
        order_view(w->nodes[i].order, &view);
        if (view.leader != highest)
            return "the highest id does not lead";
    }
    return NULL;
}

bool ow_truth_is_well(struct ow *w)
{
    return ow_truth_ill(w) == NULL;
}

void ow_truth_dump(const struct ow *w)
{
    for (unsigned i = 0; i < w->nodes_n; i++) {
        struct order_view view;
        struct order_peer_view peers[ORDER_MEMBERS_MAX];
        if (!w->nodes[i].up)
            continue;
        order_view(w->nodes[i].order, &view);
        ow_trace(w,
                 "node %u: %s, term %llu, leader %llu, base %llu last %llu durable %llu committed "
                 "%llu delivered %llu%s%s, waiting %llu",
                 i + 1, order_state_name(view.state), (unsigned long long)view.term,
                 (unsigned long long)view.leader, (unsigned long long)view.base_seq,
                 (unsigned long long)view.last_seq, (unsigned long long)view.durable_seq,
                 (unsigned long long)view.committed_seq, (unsigned long long)view.delivered_seq,
                 view.damaged ? ", damaged" : "", view.disk_hangs ? ", disk hangs" : "",
                 (unsigned long long)view.waiting);
        size_t n = order_members(w->nodes[i].order, peers);
        for (size_t at = 0; at < n; at++)
            ow_trace(w, "    %llu %s%s%s%s%s has %llu", (unsigned long long)peers[at].member.id,
                     peers[at].member.voter ? "voter" : "learner",
                     peers[at].linked ? " linked" : "", peers[at].active ? " active" : "",
                     peers[at].damaged ? " damaged" : "", peers[at].full ? " full" : "",
                     (unsigned long long)peers[at].durable_seq);
    }
}

void ow_truth_end(struct ow *w)
{
    const char *ill = ow_truth_ill(w);
    if (ill != NULL)
        ow_truth_dump(w);
    if (ill != NULL)
        ow_wrong(w, "%d ms after the trouble %s", (int)(w->time.now_ms - w->heal_ms), ill);
    for (unsigned i = 0; i < w->clients_n; i++) {
        for (uint64_t number = 1; number <= w->clients[i].total; number++) {
            const struct ow_message *message = &w->clients[i].messages[number];
            if (message->acked && !w->truth[message->seq].known)
                ow_wrong(w, "an acknowledged message is lost");
        }
    }
}
