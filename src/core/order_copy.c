/* Entries fetched outside of a leader's appends: a claimant copies the longest log, a node with
 * holes mends them. One request at a time. */
#include <string.h>

#include "core/order_internal.h"

static void order_copy_fetch(struct order *order, uint64_t after_seq)
{
    uint64_t term = 0;
    (void)order_log_term(&order->log, after_seq, &term);
    order->copy_after_seq = after_seq;
    order->copied_ms = order->now_ms;
    Wire__ChatFetch *fetch = order_send(order, order->copy_peer, WIRE__CHAT_MESSAGE__KIND_FETCH);
    if (fetch == NULL)
        return;
    fetch->after_term = term;
    fetch->after_seq = after_seq;
    fetch->to_seq = UINT64_MAX;
}

void order_copy_begin(struct order *order, uint64_t from)
{
    order->copy_peer = from;
    if (order->state != ORDER_STATE_COPYING)
        order_set_state(order, ORDER_STATE_COPYING, 0, "another node's log is longer");
    order_copy_fetch(order, order->log.last_seq);
}

void order_copy_work(struct order *order)
{
    if (order->now_ms - order->copied_ms >= order_answer_ms(order))
        order_copy_fetch(order, order->copy_after_seq);
}

/* ---- serving --------------------------------------------------------------------------------- */

void order_copy_send(struct order *order, struct order_peer *peer, uint64_t after_seq,
                     const struct order_entry *entries, size_t n, int code, bool mend)
{
    Wire__ChatCopy *copy = order_send(order, peer->id, WIRE__CHAT_MESSAGE__KIND_COPY);
    uint64_t term = 0;
    if (copy == NULL)
        return;
    (void)order_log_term(&order->log, after_seq, &term);
    copy->after_term = term;
    copy->after_seq = after_seq;
    copy->mend = mend;
    copy->gone = code < 0;
    struct buf bytes;
    buf_init(&bytes, order->config.chunk_bytes + (size_t)ORDER_PAYLOAD_MAX * 2);
    for (size_t i = 0; i < n && bytes.len < order->config.chunk_bytes; i++) {
        if (order_entry_encode(&entries[i], &bytes) < 0)
            break;
        copy->count++;
    }
    copy->entries.data = (uint8_t *)buf_steal(&bytes, &copy->entries.len);
}

/* From memory, or by a read. */
static void order_copy_serve(struct order *order, struct order_peer *peer,
                             const Wire__ChatFetch *fetch)
{
    uint64_t first = fetch->after_seq + 1;
    uint64_t last = fetch->to_seq < order->log.last_seq ? fetch->to_seq : order->log.last_seq;
    if (first > last)
        return;
    if (order_log_item(&order->log, first) == NULL) {
        if (peer->reading != 0)
            return;
        order_read_ask(order, peer, first, last);
        peer->reading_copy = !fetch->mend;
        peer->reading_mend = fetch->mend;
        return;
    }
    struct order_entry entries[256];
    size_t n = 0;
    const struct order_item *item;
    for (uint64_t seq = first;
         seq <= last && n < MEM_COUNT(entries) && (item = order_log_item(&order->log, seq)) != NULL;
         seq++)
        entries[n++] = item->entry;
    order_copy_send(order, peer, fetch->after_seq, entries, n, 0, fetch->mend);
}

int order_on_fetch(struct order *order, struct order_peer *peer, uint64_t term,
                   const Wire__ChatFetch *fetch)
{
    if (fetch->after_seq == UINT64_MAX)
        return ERR_PROTOCOL;
    if (fetch->mend) {
        if (fetch->after_seq < order->log.base_seq && !order->meta.damaged)
            order_copy_send(order, peer, fetch->after_seq, NULL, 0, ERR_NOT_FOUND, true);
        else if (fetch->to_seq <= order->delivered_seq && !order->meta.damaged)
            order_copy_serve(order, peer, fetch);
        return 0;
    }
    if (term != order->meta.term || order->meta.promised_to != peer->id)
        return 0;
    if (order_log_holds(&order->log, fetch->after_seq, fetch->after_term)) {
        order_copy_serve(order, peer, fetch);
        return 0;
    }
    Wire__ChatCopy *copy = order_send(order, peer->id, WIRE__CHAT_MESSAGE__KIND_COPY);
    if (copy == NULL)
        return 0;
    copy->after_term = fetch->after_term;
    copy->after_seq = fetch->after_seq;
    copy->mismatch = true;
    copy->gone = fetch->after_seq < order->log.base_seq;
    order_log_hint(&order->log, fetch->after_seq > 0 ? fetch->after_seq - 1 : 0, fetch->after_term,
                   &copy->hint_seq, &copy->hint_term);
    return 0;
}

/* ---- taking ---------------------------------------------------------------------------------- */

/* Looks for an entry that both have, further back. */
static void order_copy_back(struct order *order, const Wire__ChatCopy *copy)
{
    uint64_t seq;
    uint64_t term;
    uint64_t before = copy->after_seq > 0 ? copy->after_seq - 1 : 0;
    order_log_hint(&order->log, copy->hint_seq < before ? copy->hint_seq : before, copy->hint_term,
                   &seq, &term);
    if (copy->gone || seq < order->delivered_seq) {
        if (copy->gone || copy->after_seq <= order->delivered_seq) {
            order_follow_nobody(order, "too far behind the longest log to copy it");
            return;
        }
        seq = order->delivered_seq; /* delivered by both, whatever the hint says */
    }
    order_copy_fetch(order, seq);
}

static void order_mend_take(struct order *order, struct order_batch *batch)
{
    uint64_t first = batch->items[0]->entry.seq;
    uint64_t last = batch->items[batch->n - 1]->entry.seq;
    for (size_t i = 0; i < batch->n; i++) {
        if (!order_log_holds(&order->log, batch->items[i]->entry.seq, batch->items[i]->entry.term))
            return;
    }
    for (size_t i = 0; i < order->holes_n; i++) {
        struct order_hole *hole = &order->holes[i];
        if (hole->first != first || last > hole->last)
            continue;
        order_record_mend(order, batch->items, batch->n);
        hole->first = last + 1;
        if (hole->first > hole->last)
            *hole = order->holes[--order->holes_n];
        order->mend_gone = 0;
        order->mend_peer--; /* the same once more */
        order->mend_ms = order->now_ms;
        return;
    }
}

/* Once nobody keeps the entries of the first hole, this node need not either. */
static void order_mend_gone(struct order *order)
{
    if (order->holes_n == 0)
        return;
    order->mend_ms = order->now_ms;
    if (++order->mend_gone < order_voters(order) - order_is_voter(order))
        return;
    order->mend_gone = 0;
    order->mend_ms = order->now_ms + order->config.heartbeat_ms;
    order->update->trim_wanted = order->holes[0].last;
}

void order_mend_trimmed(struct order *order, uint64_t seq)
{
    for (size_t i = order->holes_n; i > 0; i--) {
        struct order_hole *hole = &order->holes[i - 1];
        if (hole->last <= seq)
            *hole = order->holes[--order->holes_n];
        else if (hole->first <= seq)
            hole->first = seq + 1;
    }
}

int order_on_copy(struct order *order, struct order_peer *peer, uint64_t term,
                  const Wire__ChatCopy *copy)
{
    bool copying = order->state == ORDER_STATE_COPYING && term == order->meta.term &&
                   peer->id == order->copy_peer && copy->after_seq == order->copy_after_seq;
    if (!copy->mend && !copying)
        return 0;
    if (!copy->mend && (copy->mismatch || copy->gone)) {
        order_copy_back(order, copy);
        return 0;
    }
    if (copy->mend && copy->gone && peer->id == order->mend_peer)
        order_mend_gone(order);
    if (copy->count == 0 || copy->after_seq == UINT64_MAX)
        return 0;
    struct order_batch batch;
    int err = order_batch_decode(&copy->entries, copy->count, copy->after_seq + 1, &batch);
    if (err < 0)
        return err;
    if (copy->mend) {
        order_mend_take(order, &batch);
    } else if (order_log_holds(&order->log, copy->after_seq, copy->after_term)) {
        err = order_batch_store(order, &batch);
        order->answer_ms = order->now_ms + order->config.leader_timeout_ms;
        bool shorter = order->log.last_seq < peer->last_seq ||
                       order_log_last_term(&order->log) < peer->last_term;
        if (err == 0 && shorter)
            order_copy_fetch(order, copy->after_seq + copy->count);
    }
    order_batch_done(&batch);
    return err;
}

/* ---- holes ----------------------------------------------------------------------------------- */

int order_mend(struct order *order, uint64_t first, uint64_t last)
{
    if (first == 0 || last < first || first <= order->log.base_seq || last > order->delivered_seq ||
        !order->meta.damaged)
        return ERR_INVALID;
    MEM_GROW(order->holes, order->holes_cap, order->holes_n + 1);
    order->holes[order->holes_n++] = (struct order_hole){first, last};
    order->mend_ms = order->now_ms;
    return 0;
}

/* The voter with the next id. */
static uint64_t order_mend_next(const struct order *order)
{
    const struct order_peer *next = NULL;
    const struct order_peer *lowest = NULL;
    const struct order_peer *peer;
    for (peer = order->peers; peer != NULL; peer = peer->hh.next) {
        if (!peer->voter || !peer->linked)
            continue;
        if (lowest == NULL || peer->id < lowest->id)
            lowest = peer;
        if (peer->id > order->mend_peer && (next == NULL || peer->id < next->id))
            next = peer;
    }
    if (next == NULL)
        next = lowest;
    return next != NULL ? next->id : 0;
}

void order_mend_work(struct order *order)
{
    if (order->holes_n == 0 || order->now_ms < order->mend_ms)
        return;
    order->mend_ms = order->now_ms + order->config.heartbeat_ms;
    order->mend_peer = order_mend_next(order);
    Wire__ChatFetch *fetch = order_send(order, order->mend_peer, WIRE__CHAT_MESSAGE__KIND_FETCH);
    if (fetch == NULL)
        return;
    fetch->after_seq = order->holes[0].first - 1;
    fetch->to_seq = order->holes[0].last;
    fetch->mend = true;
}
