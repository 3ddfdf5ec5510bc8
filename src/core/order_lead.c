/* What a leader does. Happy path: entries get numbers, become one record and one message to each
 * follower; acknowledgements come back; what a majority has on disk is delivered.
 *
 * To each follower many messages are on their way at once, within a window. When one doesn't fit
 * (a message was lost, or the follower is new) it is probed: one message at a time until one fits.
 * Heartbeats name the last entry sent, so that a loss is noticed at the next one. */
#include <assert.h>
#include <string.h>

#include "core/order_internal.h"

enum { LEAD_CATCHUP_BURST_MS = 100 };

/* ---- beginning and end ----------------------------------------------------------------------- */

void order_lead_reset_peer(struct order *order, struct order_peer *peer)
{
    peer->probing = true;
    peer->probe_seq = UINT64_MAX;
    peer->next_seq = order->log.last_seq + 1;
    peer->match_seq = 0;
    peer->commit_sent = 0;
    peer->notice_ms = 0;
    peer->awaited_seq = 0;
    peer->takes_lumps = false;
    peer->delivered_seq = 0;
    peer->damaged = peer->full = peer->can_lead = false;
    peer->heard_ms = order->now_ms;
    peer->contact_ms = 0;
    peer->flight_n = 0;
    peer->flight_bytes = 0;
    peer->installing_ms = 0;
    peer->reading = 0;
    peer->read_ms = 0;
}

void order_lead_append(struct order *order, struct order_entry *entry)
{
    entry->seq = order->log.last_seq + 1;
    entry->term = order->meta.term;
    entry->wall_ms = order->wall_ms;
    order_log_push(&order->log, order_item_new(entry), order->config.hash_seed);
}

void order_lead(struct order *order)
{
    struct order_peer *peer;
    order_set_state(order, ORDER_STATE_LEADING, order->config.id,
                    "promises of a majority of %zu voters", order_voters(order));
    for (peer = order->peers; peer != NULL; peer = peer->hh.next)
        order_lead_reset_peer(order, peer);
    order->beat_ms = order->now_ms + order->config.heartbeat_ms;
    order->beat_record = 0;
    order->lead_seq = order->log.last_seq + 1;
    order->catchup_ms = order->now_ms;
    order->catchup_tokens = 0;
    if (ORDER_BUG(NO_LEAD_ENTRY))
        return;
    struct order_entry entry = {.type = ORDER_ENTRY_LEAD};
    order_lead_append(order, &entry);
    order_record_append(order, order->lead_seq);
}

void order_resign(struct order *order, const char *reason)
{
    struct order_peer *peer;
    for (peer = order->peers; peer != NULL; peer = peer->hh.next) {
        Wire__ChatResign *resign =
            peer->member ? order_send(order, peer->id, WIRE__CHAT_MESSAGE__KIND_RESIGN) : NULL;
        if (resign != NULL)
            resign->reason = mem_strdup(reason);
    }
    order_follow_nobody(order, reason);
}

bool order_lead_has_room(const struct order *order, size_t bytes)
{
    return order->log.open_bytes + bytes <= order->config.in_flight_bytes ||
           order->log.open_bytes == 0;
}

bool order_lead_has_quorum(const struct order *order)
{
    size_t heard = order_is_voter(order);
    const struct order_peer *peer;
    for (peer = order->peers; peer != NULL; peer = peer->hh.next)
        heard += peer->voter && order->now_ms - peer->heard_ms < order->config.leader_timeout_ms;
    return heard >= order_majority(order);
}

/* ---- what a majority has --------------------------------------------------------------------- */

static void order_lead_commit(struct order *order)
{
    uint64_t match[ORDER_MEMBERS_MAX];
    size_t n = 0;
    if (order_is_voter(order))
        match[n++] = ORDER_BUG(COUNT_EARLY) ? order->log.last_seq : order->log.durable_seq;
    const struct order_peer *peer;
    for (peer = order->peers; peer != NULL; peer = peer->hh.next) {
        if (peer->voter && n < ORDER_MEMBERS_MAX)
            match[n++] = peer->damaged ? 0 : peer->match_seq;
    }
    for (size_t i = 1; i < n; i++) { /* descending */
        uint64_t value = match[i];
        size_t at = i;
        for (; at > 0 && match[at - 1] < value; at--)
            match[at] = match[at - 1];
        match[at] = value;
    }
    size_t majority = order_majority(order);
    if (ORDER_BUG(MINORITY_COMMIT))
        majority = order_voters(order) > 1 ? order_voters(order) / 2 : 1;
    uint64_t seq = n >= majority ? match[majority - 1] : 0;
    uint64_t term = 0;
    if (seq > order->commit_seq && order_log_term(&order->log, seq, &term) &&
        (term == order->meta.term || ORDER_BUG(OLD_TERM_COUNTED)))
        order->commit_seq = seq;
}

/* ---- sending --------------------------------------------------------------------------------- */

static Wire__ChatAppend *order_lead_append_message(struct order *order, struct order_peer *peer)
{
    Wire__ChatAppend *append = order_send(order, peer->id, WIRE__CHAT_MESSAGE__KIND_APPEND);
    if (append == NULL)
        return NULL;
    append->prev_seq = peer->next_seq - 1;
    (void)order_log_term(&order->log, append->prev_seq, &append->prev_term);
    append->commit_seq = order->commit_seq;
    append->last_seq = order->log.last_seq;
    peer->commit_sent = order->commit_seq;
    peer->notice_ms = 0;
    return append;
}

static void order_lead_sent(struct order *order, struct order_peer *peer, uint64_t upto_seq,
                            size_t bytes)
{
    if (peer->probing)
        peer->probe_seq = peer->next_seq - 1;
    assert(peer->flight_n < ORDER_IN_FLIGHT_MAX);
    unsigned at = (peer->flight_first + peer->flight_n) % ORDER_IN_FLIGHT_MAX;
    peer->flight[at] = (struct order_flight){.upto_seq = upto_seq, .bytes = bytes};
    peer->flight_n++;
    peer->flight_bytes += bytes;
    peer->next_seq = upto_seq + 1;
    (void)order;
}

static bool order_lead_may_send(const struct order *order, const struct order_peer *peer)
{
    if (!peer->linked || !peer->member || peer->full || peer->installing_ms != 0 ||
        peer->next_seq > order->log.last_seq)
        return false;
    if (peer->probing)
        return peer->probe_seq == UINT64_MAX;
    return peer->flight_n < ORDER_IN_FLIGHT_MAX && peer->flight_bytes < order->config.window_bytes;
}

/* The entries from next_seq on that are in memory, as far as one message takes them. */
static void order_lead_send_items(struct order *order, struct order_peer *peer)
{
    uint64_t first = peer->next_seq;
    uint64_t upto = first - 1;
    size_t bytes = 0;
    const struct order_item *item;
    while (upto < order->log.last_seq && (item = order_log_item(&order->log, upto + 1)) != NULL) {
        if (bytes > 0 && bytes + item->form_len > order->config.chunk_bytes)
            break;
        bytes += item->form_len;
        upto++;
    }
    Wire__ChatAppend *append = order_lead_append_message(order, peer);
    if (append == NULL)
        return;
    append->count = (uint32_t)(upto + 1 - first);
    append->entries.len = bytes;
    append->entries.data = mem_alloc(bytes);
    uint8_t *at = append->entries.data;
    for (uint64_t seq = first; seq <= upto; seq++) {
        item = order_log_item(&order->log, seq);
        memcpy(at, item->form, item->form_len);
        at += item->form_len;
    }
    order_lead_sent(order, peer, upto, bytes);
}

void order_read_ask(struct order *order, struct order_peer *peer, uint64_t first, uint64_t last)
{
    struct order_update *update = order->update;
    MEM_GROW(update->reads, update->reads_cap, update->reads_n + 1);
    update->reads[update->reads_n++] = (struct order_read){
        .read = ++order->reads,
        .type = ORDER_READ_ENTRIES,
        .peer = peer->id,
        .first = first,
        .last = last,
        .bytes_max = order->config.chunk_bytes,
    };
    peer->reading = order->reads;
    peer->reading_copy = peer->reading_mend = false;
    peer->reading_first = first;
}

/* Tokens for reading on behalf of others grow with time and are spent by what was read. */
static bool order_lead_may_read(struct order *order)
{
    double rate = (double)order->config.catchup_bytes_s / 1000;
    order->catchup_tokens += rate * (double)(order->now_ms - order->catchup_ms);
    order->catchup_ms = order->now_ms;
    double burst = rate * LEAD_CATCHUP_BURST_MS;
    if (order->catchup_tokens > burst)
        order->catchup_tokens = burst;
    return order->catchup_tokens >= 0;
}

/* From the disk, as a lump where that is possible: what is read has been delivered somewhere. */
static void order_lead_read(struct order *order, struct order_peer *peer)
{
    if (peer->reading != 0 || order->now_ms < peer->read_ms || !order_lead_may_read(order))
        return;
    uint64_t last = order->log.item_first - 1;
    if (last < peer->next_seq)
        last = order->log.lumps_last;
    bool lump = order->config.lumps && peer->takes_lumps && last <= order->commit_seq;
    order_read_ask(order, peer, peer->next_seq, last);
    order->update->reads[order->update->reads_n - 1].lump = lump;
}

static void order_lead_replicate(struct order *order, struct order_peer *peer)
{
    if (peer->installing_ms != 0 && peer->linked && peer->member)
        order_snapshot_work(order, peer);
    while (order_lead_may_send(order, peer)) {
        if (peer->next_seq <= order->log.base_seq) {
            order_snapshot_begin(order, peer);
            return;
        }
        if (order_log_item(&order->log, peer->next_seq) == NULL) {
            order_lead_read(order, peer);
            return;
        }
        order_lead_send_items(order, peer);
    }
}

static void order_lead_send_read(struct order *order, struct order_peer *peer,
                                 const struct order_event *event)
{
    struct buf bytes;
    buf_init(&bytes, SIZE_MAX / 4);
    size_t n = event->lump_n;
    bool is_lump = n > 0;
    if (is_lump)
        (void)buf_append(&bytes, event->bytes, event->bytes_len);
    while (!is_lump && n < event->entries_n && bytes.len < order->config.chunk_bytes &&
           order_entry_encode(&event->entries[n], &bytes) == 0)
        n++;
    Wire__ChatAppend *append = n > 0 ? order_lead_append_message(order, peer) : NULL;
    if (append != NULL) {
        ProtobufCBinaryData *out = is_lump ? &append->lump : &append->entries;
        append->count = (uint32_t)n;
        out->data = (uint8_t *)buf_steal(&bytes, &out->len);
        order->catchup_tokens -= (is_lump ? 1 : 2) * (double)out->len;
        order_lead_sent(order, peer, peer->next_seq + n - 1, out->len);
    }
    buf_done(&bytes);
}

/* Entries that the role read: an append for a follower, or a copy. */
int order_read_event(struct order *order, const struct order_event *event)
{
    struct order_peer *peer;
    for (peer = order->peers; peer != NULL; peer = peer->hh.next) {
        if (peer->reading == event->read)
            break;
    }
    if (peer == NULL || event->read == 0)
        return 0; /* nobody waits for it any more */
    peer->reading = 0;
    uint64_t first = peer->reading_first;
    int code = event->code;
    if (code < 0)
        peer->read_ms = order->now_ms + order->config.heartbeat_ms;
    for (size_t i = 0; i < event->entries_n; i++) {
        if (event->entries[i].seq != first + i)
            return ERR_INVALID;
    }
    bool is_copy = peer->reading_copy || peer->reading_mend;
    bool is_lump = event->lump_n > 0;
    if (code == 0 && (event->entries_n > 0) == is_lump)
        return ERR_INVALID;
    if (is_lump && (is_copy || !peer->takes_lumps))
        return ERR_INVALID;
    if (is_copy) {
        order_copy_send(order, peer, first - 1, event->entries, event->entries_n, code,
                        peer->reading_mend);
        return 0;
    }
    if (order->state != ORDER_STATE_LEADING || peer->next_seq != first || code < 0 ||
        !order_lead_may_send(order, peer))
        return 0;
    order_lead_send_read(order, peer, event);
    return 0;
}

/* ---- heartbeats ------------------------------------------------------------------------------ */

/* One falls due; it leaves once the disk has taken something that was given to it by now. */
static void order_lead_beat_due(struct order *order)
{
    order->beat_ms = order->now_ms + order->config.heartbeat_ms;
    if (order->record == order->persisted)
        (void)order_record_add(order, ORDER_RECORD_BEAT);
    if (order->beat_record == 0)
        order->beat_record = order->pending[order->pending_first].record;
}

static void order_lead_beat(struct order *order)
{
    if (order->now_ms >= order->beat_ms)
        order_lead_beat_due(order);
    if (order->beat_record == 0 ||
        (order->persisted < order->beat_record && !ORDER_BUG(HANGING_LEADER)))
        return;
    order->beat_record = 0;
    struct order_peer *peer;
    for (peer = order->peers; peer != NULL; peer = peer->hh.next) {
        if (peer->member && peer->linked) {
            if (peer->probing)
                peer->probe_seq = UINT64_MAX; /* once more */
            (void)order_lead_append_message(order, peer);
        }
    }
}

/* ---- acknowledgements ------------------------------------------------------------------------ */

static void order_lead_reject(struct order *order, struct order_peer *peer,
                              const Wire__ChatAppendReply *reply)
{
    uint64_t seq;
    uint64_t term;
    bool stale =
        reply->rejected_seq < peer->match_seq || reply->rejected_seq >= peer->next_seq ||
        (peer->probing && peer->probe_seq != UINT64_MAX && reply->rejected_seq != peer->probe_seq);
    if (stale || peer->installing_ms != 0)
        return;
    bool has_lost = reply->rejected_seq == peer->match_seq && reply->durable_seq < peer->match_seq;
    if (has_lost && !ORDER_BUG(DAMAGED_COUNTS)) {
        order_trouble(order, "node %llu lacks entries that it acknowledged",
                      (unsigned long long)peer->id);
        peer->match_seq = reply->durable_seq;
    }
    order_log_hint(&order->log, reply->hint_seq, reply->hint_term, &seq, &term);
    if (reply->hint_seq < order->log.base_seq)
        seq = reply->hint_seq;
    if (seq >= reply->rejected_seq && reply->rejected_seq > 0)
        seq = reply->rejected_seq - 1;
    if (seq < peer->match_seq)
        seq = peer->match_seq;
    peer->next_seq = seq + 1;
    peer->probing = true;
    peer->probe_seq = UINT64_MAX;
    peer->flight_n = 0;
    peer->flight_bytes = 0;
}

static void order_lead_accept(struct order *order, struct order_peer *peer,
                              const Wire__ChatAppendReply *reply)
{
    if (reply->durable_seq > peer->match_seq && reply->durable_seq <= order->log.last_seq)
        peer->match_seq = reply->durable_seq;
    if (peer->next_seq <= peer->match_seq)
        peer->next_seq = peer->match_seq + 1;
    uint64_t probe = peer->probe_seq != UINT64_MAX ? peer->probe_seq : peer->next_seq - 1;
    if (peer->probing && !reply->rejected && peer->match_seq >= probe) {
        peer->probing = false;
        peer->probe_seq = UINT64_MAX;
    }
    if (peer->installing_ms != 0 && peer->match_seq >= peer->snapshot_seq && peer->snapshot_seq > 0)
        peer->installing_ms = 0;
    while (peer->flight_n > 0 && peer->flight[peer->flight_first].upto_seq <= peer->match_seq) {
        peer->flight_bytes -= peer->flight[peer->flight_first].bytes;
        peer->flight_first = (peer->flight_first + 1) % ORDER_IN_FLIGHT_MAX;
        peer->flight_n--;
    }
}

void order_on_append_reply(struct order *order, struct order_peer *peer, uint64_t term,
                           const Wire__ChatAppendReply *reply)
{
    if (order->state != ORDER_STATE_LEADING || term != order->meta.term)
        return;
    if (peer->contact_ms == 0 || order->now_ms - peer->heard_ms > order->config.leader_timeout_ms)
        peer->contact_ms = order->now_ms;
    peer->heard_ms = order->now_ms;
    peer->can_lead = reply->able;
    peer->full = reply->full;
    peer->takes_lumps = reply->takes_lumps;
    peer->delivered_seq = reply->delivered_seq;
    if (reply->damaged && (!peer->damaged || reply->durable_seq < peer->match_seq)) {
        peer->match_seq = 0; /* what it acknowledged before may be lost */
        peer->probing = true;
        peer->probe_seq = UINT64_MAX;
        peer->next_seq =
            reply->last_seq < order->log.last_seq ? reply->last_seq + 1 : order->log.last_seq + 1;
        peer->flight_n = 0;
        peer->flight_bytes = 0;
    }
    peer->damaged = reply->damaged;
    if (reply->rejected)
        order_lead_reject(order, peer, reply);
    order_lead_accept(order, peer, reply);
}

/* ---- handing over ---------------------------------------------------------------------------- */

static bool order_transfer_suits(const struct order *order, const struct order_peer *peer)
{
    return peer->voter && peer->linked && peer->can_lead && !peer->damaged && !peer->full &&
           order->now_ms - peer->heard_ms < order->config.leader_timeout_ms &&
           peer->match_seq + order->config.close_max >= order->log.last_seq;
}

static void order_transfer_send(struct order *order, struct order_peer *peer)
{
    unsigned doublings =
        peer->takeovers < ORDER_TAKEOVER_BACKOFF_MAX ? peer->takeovers : ORDER_TAKEOVER_BACKOFF_MAX;
    peer->takeovers++;
    peer->takeover_ms = order->now_ms + ((int64_t)order_takeover_ms(order) << doublings);
    order->handed_ms = order->now_ms;
    Wire__ChatTakeOver *take_over = order_send(order, peer->id, WIRE__CHAT_MESSAGE__KIND_TAKE_OVER);
    if (take_over != NULL)
        take_over->last_seq = order->log.last_seq;
}

bool order_is_handing(const struct order *order)
{
    return order->handed_ms != 0 &&
           order->now_ms - order->handed_ms < order->config.leader_timeout_ms;
}

int order_transfer(struct order *order, uint64_t to)
{
    if (order->state != ORDER_STATE_LEADING)
        return ERR_NOT_LEADER;
    struct order_peer *best = NULL;
    struct order_peer *peer;
    for (peer = order->peers; peer != NULL; peer = peer->hh.next) {
        if ((to == 0 || peer->id == to) && order_transfer_suits(order, peer) &&
            (best == NULL || peer->id > best->id))
            best = peer;
    }
    if (best == NULL)
        return to == 0 || order_peer(order, to) != NULL ? ERR_UNAVAILABLE : ERR_NOT_FOUND;
    order_transfer_send(order, best);
    return 0;
}

/* The Bully's rule: the highest that can lead, leads. */
static void order_lead_yield(struct order *order)
{
    struct order_peer *best = NULL;
    struct order_peer *peer;
    if (ORDER_BUG(NO_TAKEOVER) || order->delivered_seq < order->lead_seq)
        return;
    for (peer = order->peers; peer != NULL; peer = peer->hh.next) {
        if (peer->id > order->config.id && order_transfer_suits(order, peer) &&
            (best == NULL || peer->id > best->id))
            best = peer;
    }
    if (best == NULL || best->contact_ms == 0 || order->now_ms < best->takeover_ms ||
        order->now_ms - best->contact_ms < order_takeover_ms(order))
        return;
    order_transfer_send(order, best);
}

/* ---- in each step ---------------------------------------------------------------------------- */

/* What a majority has by now is told with the next entries. When none come for a moment, or clients
 * of that node wait for it, it is told alone. */
static void order_lead_notice(struct order *order, struct order_peer *peer)
{
    bool idle = peer->linked && peer->member && peer->next_seq > order->log.last_seq &&
                peer->commit_sent < order->commit_seq && !peer->probing;
    if (!idle) {
        peer->notice_ms = 0;
        return;
    }
    if (peer->notice_ms == 0)
        peer->notice_ms = order->now_ms + ORDER_NOTICE_MS;
    if (order->now_ms < peer->notice_ms && peer->commit_sent >= peer->awaited_seq)
        return;
    Wire__ChatAppend *append = order_lead_append_message(order, peer);
    if (append != NULL)
        append->notice = true;
}

int64_t order_lead_next_ms(const struct order *order)
{
    int64_t soonest_ms = order->beat_ms;
    const struct order_peer *peer;
    for (peer = order->peers; peer != NULL; peer = peer->hh.next)
        if (peer->notice_ms > 0 && peer->notice_ms < soonest_ms)
            soonest_ms = peer->notice_ms;
    return soonest_ms;
}

void order_lead_check(struct order *order)
{
    if (order->state != ORDER_STATE_LEADING)
        return;
    if (order->disk_hangs && !ORDER_BUG(HANGING_LEADER))
        order_resign(order, "the disk takes nothing");
    else if (order->disk_code < 0 && !ORDER_BUG(FULL_LEADER))
        order_resign(order, "the disk is full");
    else if (!order_lead_has_quorum(order) && !ORDER_BUG(NO_CHECK_QUORUM))
        order_follow_nobody(order, "hears no majority");
}

void order_lead_work(struct order *order)
{
    struct order_peer *peer;
    if (order->state != ORDER_STATE_LEADING)
        return;
    order_lead_commit(order);
    for (peer = order->peers; peer != NULL; peer = peer->hh.next)
        order_lead_replicate(order, peer);
    order_lead_beat(order);
    for (peer = order->peers; peer != NULL; peer = peer->hh.next) {
        order_lead_notice(order, peer);
        order_lead_replicate(order, peer); /* those probed once more by a heartbeat */
    }
    order_lead_yield(order);
}
