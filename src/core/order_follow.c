/* What a follower does with the leader's appends. Happy path: they follow on its log, become
 * records, and once these are durable it says how far it is, once for all that became so. */
#include <assert.h>
#include <string.h>

#include "core/order_internal.h"

/* ---- batches --------------------------------------------------------------------------------- */

void order_batch_done(struct order_batch *batch)
{
    for (size_t i = 0; batch->items != NULL && i < batch->n; i++)
        order_item_unref(batch->items[i]);
    free(batch->items);
    *batch = (struct order_batch){0};
}

static const struct order_entry *order_batch_entry(const struct order_batch *batch, size_t i)
{
    return batch->lump != NULL ? &batch->lump[i] : &batch->items[i]->entry;
}

/* The lump of an append, as the role read it. None of it may be news: what contradicts it cannot
 * be in the log of a leader. */
static int order_batch_of_lump(const struct order *order, const struct order_event *event,
                               struct order_batch *batch)
{
    const Wire__ChatAppend *append = event->message->append;
    *batch = (struct order_batch){.lump = event->entries,
                                  .n = event->entries_n,
                                  .bytes = append->lump.data,
                                  .ends = event->lump_ends};
    uint64_t term = append->prev_term;
    if (!order->config.lumps || append->entries.len > 0 || append->count == 0 ||
        event->entries_n != append->count || append->prev_seq + append->count > append->commit_seq)
        return ERR_PROTOCOL;
    for (size_t i = 0; i < batch->n; i++) {
        const struct order_entry *entry = &event->entries[i];
        if (entry->seq != append->prev_seq + 1 + i || entry->term == 0 || entry->term < term ||
            !order_entry_is_right(entry))
            return ERR_PROTOCOL;
        term = entry->term;
    }
    return 0;
}

int order_batch_decode(const ProtobufCBinaryData *bytes, uint32_t count, uint64_t first_seq,
                       struct order_batch *batch)
{
    *batch = (struct order_batch){0};
    if (count > bytes->len / ORDER_ENTRY_HEADER_BYTES)
        return ERR_PROTOCOL;
    batch->items = mem_calloc(count > 0 ? count : 1, sizeof(struct order_item *));
    size_t at = 0;
    uint64_t term = 0;
    int err = 0;
    while (batch->n < count && err == 0) {
        struct order_entry entry;
        int len = order_entry_decode(bytes->data + at, bytes->len - at, &entry);
        bool numbered = first_seq > 0;
        if (len < 0)
            err = len;
        else if (entry.seq != (numbered ? first_seq + batch->n : 0) || entry.term < term ||
                 (!numbered && (entry.term != 0 || entry.type != ORDER_ENTRY_MESSAGE)) ||
                 (numbered && entry.term == 0))
            err = ERR_PROTOCOL;
        if (err < 0)
            break;
        batch->items[batch->n++] = order_item_new_form(&entry, bytes->data + at, (size_t)len);
        at += (size_t)len;
        term = entry.term;
    }
    if (err == 0 && at != bytes->len)
        err = ERR_PROTOCOL;
    if (err < 0)
        order_batch_done(batch);
    return err;
}

/* Whether each names members, if it is of that kind. */
static int order_batch_check(const struct order_batch *batch)
{
    struct order_conf conf;
    for (size_t i = 0; i < batch->n; i++) {
        const struct order_entry *entry = order_batch_entry(batch, i);
        int err = entry->type == ORDER_ENTRY_MEMBERS ? order_conf_decode(entry, &conf) : 0;
        if (err < 0)
            return err;
    }
    return 0;
}

static void order_log_cut(struct order *order, uint64_t seq)
{
    order_record_cut(order, seq);
    order_log_truncate(&order->log, seq);
    order_conf_truncate(order, seq);
    order_record_add(order, ORDER_RECORD_TRUNCATE)->seq = seq;
}

/* Puts what is at `from` and behind it at the end of the log. */
static void order_batch_push(struct order *order, const struct order_batch *batch, size_t from)
{
    uint64_t first = order->log.last_seq + 1;
    bool is_part = batch->lump != NULL && from > 0 && !ORDER_BUG(LUMPS_FROM_THE_START);
    size_t at = is_part ? batch->ends[from - 1] : 0;
    if (batch->lump != NULL)
        order_log_push_lump(&order->log, batch->lump + from, batch->n - from);
    for (size_t i = from; i < batch->n; i++) {
        struct order_conf conf;
        const struct order_entry *entry = order_batch_entry(batch, i);
        if (batch->lump == NULL)
            order_log_push(&order->log, order_item_ref(batch->items[i]), order->config.hash_seed);
        if (entry->type == ORDER_ENTRY_MEMBERS && order_conf_decode(entry, &conf) == 0)
            order_conf_push(order, &conf);
    }
    if (batch->lump != NULL)
        order_record_lump(order, first, batch->bytes + at, batch->ends[batch->n - 1] - at);
    else
        order_record_append(order, first);
}

int order_batch_store(struct order *order, struct order_batch *batch)
{
    int err = order_batch_check(batch);
    if (err < 0)
        return err;
    size_t from = 0;
    while (from < batch->n) {
        const struct order_entry *entry = order_batch_entry(batch, from);
        bool holds = order_log_holds(&order->log, entry->seq, entry->term);
        if (ORDER_BUG(NO_TRUNCATE))
            holds = entry->seq <= order->log.last_seq;
        if (!holds && entry->seq > order->log.base_seq)
            break;
        from++;
    }
    if (from == batch->n && !(ORDER_BUG(TRUNCATE_ALWAYS) && batch->n > 0))
        return 0;
    uint64_t first =
        from < batch->n ? order_batch_entry(batch, from)->seq : order->log.last_seq + 1;
    uint64_t before = 0;
    (void)order_log_term(&order->log, first - 1, &before);
    if (from < batch->n && (order_batch_entry(batch, from)->term < before ||
                            order_batch_entry(batch, batch->n - 1)->term > order->meta.term))
        return ERR_PROTOCOL;
    if (ORDER_BUG(TRUNCATE_ALWAYS) && from == batch->n) {
        uint64_t keep = order_batch_entry(batch, batch->n - 1)->seq;
        if (keep < order->log.last_seq && keep >= order->delivered_seq)
            order_log_cut(order, keep);
        return 0;
    }
    if (first <= order->delivered_seq || first <= order->log.lumps_last) {
        order_trouble(order, "entry %llu contradicts what this node delivered",
                      (unsigned long long)first);
        return ERR_CONFLICT;
    }
    if (first <= order->log.last_seq)
        order_log_cut(order, first - 1);
    assert(first == order->log.last_seq + 1);
    order_batch_push(order, batch, from);
    return 0;
}

/* ---- appends --------------------------------------------------------------------------------- */

/* What is the leader's and durable. */
static uint64_t order_follow_ready(const struct order *order)
{
    uint64_t durable = ORDER_BUG(ACK_EARLY) ? order->log.last_seq : order->log.durable_seq;
    return order->matched_seq < durable ? order->matched_seq : durable;
}

static void order_follow_heard(struct order *order, uint64_t leader, uint64_t term)
{
    order_adopt_term(order, term, leader);
    order->heard_ms = order->now_ms;
    order->passed_over = false;
    order_elect_later(order, order->config.leader_timeout_ms);
    if (order->state != ORDER_STATE_OUTSIDE &&
        (order->state != ORDER_STATE_FOLLOWER || order->leader != leader))
        order_set_state(order, ORDER_STATE_FOLLOWER, leader, "it was heard as leader of term %llu",
                        (unsigned long long)term);
    order->leader = leader;
}

static Wire__ChatAppendReply *order_follow_reply(struct order *order, uint64_t to)
{
    Wire__ChatAppendReply *reply = order_send(order, to, WIRE__CHAT_MESSAGE__KIND_APPEND_REPLY);
    if (reply == NULL)
        return NULL;
    reply->durable_seq = order_follow_ready(order);
    reply->last_seq = order->log.last_seq;
    reply->able = order_is_able(order);
    reply->damaged = order->meta.damaged && !ORDER_BUG(DAMAGED_COUNTS);
    reply->full = order->disk_code < 0;
    reply->delivered_seq = order->delivered_seq;
    reply->takes_lumps = order->config.lumps;
    return reply;
}

/* The latest entry before the one in question that may be the leader's too. */
static void order_follow_reject(struct order *order, const Wire__ChatAppend *append)
{
    uint64_t before =
        append->prev_seq > order->log.last_seq ? order->log.last_seq : append->prev_seq - 1;
    order->reply_due = order->rejected = true;
    order->rejected_seq = append->prev_seq;
    order_log_hint(&order->log, before, append->prev_term, &order->hint_seq, &order->hint_term);
}

/* Whether (seq, term) is in the log, for certain: what was delivered is the same everywhere. */
static bool order_follow_shares(const struct order *order, uint64_t seq, uint64_t term)
{
    return seq < order->log.base_seq || order_log_holds(&order->log, seq, term) ||
           (ORDER_BUG(NO_PREV_CHECK) && seq <= order->log.last_seq);
}

int order_on_append(struct order *order, struct order_peer *peer, const struct order_event *event)
{
    const Wire__ChatAppend *append = event->message->append;
    uint64_t term = event->message->term;
    if (append->prev_seq > UINT64_MAX - append->count - 1)
        return ERR_PROTOCOL;
    if (term < order->meta.term && !(ORDER_BUG(STALE_TERM_APPEND) && order->leader != peer->id &&
                                     order->state == ORDER_STATE_FOLLOWER)) {
        (void)order_follow_reply(order, peer->id); /* its term says it all */
        return 0;
    }
    if (term == order->meta.term && order->leader != 0 && order->leader != peer->id) {
        order_trouble(order, "node %llu leads in the same term", (unsigned long long)peer->id);
        return ERR_PROTOCOL;
    }
    struct order_batch batch;
    int err = append->lump.len > 0 ? order_batch_of_lump(order, event, &batch)
                                   : order_batch_decode(&append->entries, append->count,
                                                        append->prev_seq + 1, &batch);
    if (err < 0)
        return err;
    if (term >= order->meta.term)
        order_follow_heard(order, peer->id, term);
    if (order->target_term != term && order->meta.damaged) {
        order->target_term = term;
        order->target_seq = append->last_seq;
    }
    if (!order_follow_shares(order, append->prev_seq, append->prev_term)) {
        order_follow_reject(order, append);
    } else if (order->disk_code < 0 && append->count > 0) {
        order->reply_due = true;
    } else {
        err = order_batch_store(order, &batch);
        uint64_t matched = append->prev_seq + append->count;
        if (err == 0 && matched > order->matched_seq)
            order->matched_seq = matched;
        uint64_t commit = append->commit_seq < matched ? append->commit_seq : matched;
        if (err == 0 && commit > order->commit_seq)
            order->commit_seq = commit;
        order->reply_due = order->reply_due || (append->count == 0 && !append->notice);
    }
    order_batch_done(&batch);
    return err;
}

void order_on_resign(struct order *order, struct order_peer *peer, uint64_t term,
                     const Wire__ChatResign *resign)
{
    (void)resign;
    if (term != order->meta.term || order->state != ORDER_STATE_FOLLOWER ||
        order->leader != peer->id)
        return;
    order_follow_nobody(order, "the leader resigned");
    order_elect_later(order, 0);
}

void order_on_take_over(struct order *order, struct order_peer *peer, uint64_t term)
{
    if (term == order->meta.term && order->state == ORDER_STATE_FOLLOWER &&
        order->leader == peer->id && order_is_able(order))
        order_claim(order, true, "the leader hands over");
}

/* ---- in each step ---------------------------------------------------------------------------- */

/* The node has what the leader had when they met: nothing that it ever acknowledged is missing. */
static void order_follow_whole(struct order *order)
{
    if (!order->meta.damaged || order->target_term != order->meta.term ||
        order->delivered_seq < order->target_seq || order->holes_n > 0)
        return;
    order->meta.damaged = false;
    order_record_meta(order);
    order_trouble(order, "the log is whole again, up to entry %llu",
                  (unsigned long long)order->target_seq);
}

void order_follow_work(struct order *order)
{
    if (order->leader == 0 || order->leader == order->config.id)
        return;
    order_follow_whole(order);
    if (order_follow_ready(order) <= order->acked_seq && !order->reply_due)
        return;
    Wire__ChatAppendReply *reply = order_follow_reply(order, order->leader);
    if (reply != NULL) {
        reply->rejected = order->rejected;
        reply->rejected_seq = order->rejected_seq;
        reply->hint_seq = order->hint_seq;
        reply->hint_term = order->hint_term;
    }
    order->acked_seq = order_follow_ready(order);
    order->reply_due = order->rejected = false;
}
