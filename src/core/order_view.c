/* Questions, and the invariants of one node. */
#include <assert.h>
#include <string.h>

#include "core/order_internal.h"

const struct order_entry *order_entry(const struct order *order, uint64_t seq)
{
    const struct order_item *item = order_log_item(&order->log, seq);
    return item != NULL ? &item->entry : NULL;
}

uint64_t order_delivered(const struct order *order)
{
    return order->delivered_seq;
}

enum order_state order_state(const struct order *order)
{
    return order->state;
}

void order_view(const struct order *order, struct order_view *view)
{
    *view = (struct order_view){
        .state = order->state,
        .group = order->meta.group,
        .term = order->meta.term,
        .promised_to = order->meta.promised_to,
        .leader = order->leader,
        .since_ms = order->since_ms,
        .base_seq = order->log.base_seq,
        .last_seq = order->log.last_seq,
        .durable_seq = order->log.durable_seq,
        .delivered_seq = order->delivered_seq,
        .committed_seq = order->commit_seq,
        .waiting = order->waits_n,
        .clients = order->marks.clients,
        .members_seq = order->confs[order->confs_n - 1].seq,
        .members_changing = order_members_changing(order),
        .damaged = order->meta.damaged,
        .disk_code = order->disk_code,
        .disk_hangs = order->disk_hangs,
        .elections = order->elections,
        .bytes = order->log.item_bytes + order->log.ring_cap * sizeof(struct order_item *) +
                 (order->log.last_seq + 1 - order->log.item_first) * sizeof(struct order_item) +
                 order->marks.bytes + order->waits_n * sizeof(struct order_wait) +
                 order->log.runs_cap * sizeof(struct order_run) + order->incoming.cap,
    };
    memcpy(view->reason, order->reason, sizeof view->reason);
}

static void order_view_peer(const struct order *order, const struct order_member *member,
                            struct order_peer_view *out)
{
    const struct order_peer *peer = order_peer(order, member->id);
    *out = (struct order_peer_view){
        .member = *member,
        .self = member->id == order->config.id,
        .leader = member->id == order->leader,
    };
    if (out->self) {
        out->linked = out->active = true;
        out->damaged = order->meta.damaged;
        out->full = order->disk_code < 0;
        out->durable_seq = order->log.durable_seq;
        out->delivered_seq = order->delivered_seq;
    } else if (peer != NULL) {
        out->linked = peer->linked;
        if (order->state != ORDER_STATE_LEADING)
            return;
        out->active =
            peer->linked && order->now_ms - peer->heard_ms < order->config.leader_timeout_ms;
        out->damaged = peer->damaged;
        out->full = peer->full;
        out->durable_seq = peer->match_seq;
        out->delivered_seq = peer->delivered_seq;
    }
}

size_t order_members(const struct order *order,
                     struct order_peer_view out[static ORDER_MEMBERS_MAX])
{
    const struct order_conf *conf = order_conf(order);
    const struct order_member *members = conf->n > 0 ? conf->members : order->hints;
    size_t n = conf->n > 0 ? conf->n : order->hints_n;
    for (size_t i = 0; i < n; i++)
        order_view_peer(order, &members[i], &out[i]);
    return n;
}

/* ---- invariants ------------------------------------------------------------------------------ */

static void order_check_log(const struct order *order)
{
    const struct order_log *log = &order->log;
    uint64_t bytes = 0;
    uint64_t open = 0;
    uint64_t term = log->base_term;
    assert(log->base_seq <= order->delivered_seq && order->delivered_seq <= log->last_seq);
    assert(log->durable_seq <= log->last_seq);
    assert(log->item_first <= order->delivered_seq + 1 && log->item_first > log->base_seq);
    for (size_t i = 0; i < log->runs_n; i++) {
        assert(i > 0 || log->runs[i].first_seq == log->base_seq + 1);
        assert(i == 0 || log->runs[i].first_seq > log->runs[i - 1].first_seq);
        assert(log->runs[i].first_seq <= log->last_seq && log->runs[i].term >= term);
        term = log->runs[i].term;
    }
    assert((log->runs_n > 0) == (log->last_seq > log->base_seq));
    for (uint64_t seq = log->item_first; seq <= log->last_seq; seq++) {
        const struct order_item *item = order_log_item(log, seq);
        if (item == NULL) {
            assert(seq <= order->delivered_seq || order_log_lumped(log, seq) != NULL);
            continue;
        }
        assert(item->entry.seq == seq && item->refs > 0);
        assert(order_log_holds(log, seq, item->entry.term));
        bytes += item->form_len;
        open += seq > order->delivered_seq ? item->form_len : 0;
    }
    assert(bytes == log->item_bytes && open == log->open_bytes);
    assert(log->lumps_last <= log->last_seq && log->lumps_last <= order->commit_seq);
    assert(order->meta.term >= term);
}

void order_check(const struct order *order)
{
    order_check_log(order);
    assert(order->persisted <= order->record && order->meta_record <= order->record);
    assert(order->pending_n <= order->record - order->persisted);
    assert(order->confs_n >= 1);
    for (size_t i = 1; i < order->confs_n; i++)
        assert(order->confs[i].seq > order->confs[i - 1].seq);
    assert(HASH_COUNT(order->waits) == order->waits_n);
    if (order->state == ORDER_STATE_LEADING) {
        assert(order->leader == order->config.id);
        assert(order->meta.promised_to == order->config.id &&
               order->log.last_seq + 1 >= order->lead_seq);
    }
    const struct order_peer *peer;
    for (peer = order->peers; peer != NULL; peer = peer->hh.next) {
        assert(peer->flight_n <= ORDER_IN_FLIGHT_MAX);
        assert(order->state != ORDER_STATE_LEADING || peer->match_seq < peer->next_seq);
        assert(order->state != ORDER_STATE_LEADING || peer->next_seq <= order->log.last_seq + 1);
    }
}
