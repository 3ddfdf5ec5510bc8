/* All that is remembered of delivered entries, as bytes: written by the role beside the log, sent
 * to followers whose entries were given up. */
#define XXH_INLINE_ALL
#include <string.h>
#include <xxhash.h>

#include "core/order_internal.h"

enum { SNAPSHOT_VERSION = 1, SNAPSHOT_CHECK_BYTES = 8 };

/* ---- making ---------------------------------------------------------------------------------- */

static void order_snapshot_runs(const struct order *order, Wire__ChatSnapshot *wire)
{
    const struct order_log *log = &order->log;
    wire->runs = mem_calloc(log->runs_n + 1, sizeof(Wire__ChatSnapshot__Run *));
    for (size_t i = 0; i < log->runs_n && log->runs[i].first_seq <= order->delivered_seq; i++) {
        Wire__ChatSnapshot__Run *run = mem_alloc(sizeof *run);
        wire__chat_snapshot__run__init(run);
        run->first_seq = log->runs[i].first_seq;
        run->term = log->runs[i].term;
        wire->runs[wire->n_runs++] = run;
    }
}

static int order_snapshot_pack(const Wire__ChatSnapshot *wire, struct buf *out)
{
    size_t len = wire__chat_snapshot__get_packed_size(wire);
    int err = buf_reserve(out, len + SNAPSHOT_CHECK_BYTES);
    if (err < 0)
        return err;
    uint8_t *at = out->data + out->len;
    wire__chat_snapshot__pack(wire, at);
    uint64_t check = XXH3_64bits(at, len);
    for (unsigned i = 0; i < SNAPSHOT_CHECK_BYTES; i++)
        at[len + i] = (uint8_t)(check >> (8 * i));
    out->len += len + SNAPSHOT_CHECK_BYTES;
    return 0;
}

int order_snapshot(struct order *order, struct buf *out)
{
    Wire__ChatSnapshot *wire = mem_alloc(sizeof *wire);
    wire__chat_snapshot__init(wire);
    wire->version = SNAPSHOT_VERSION;
    wire->group = order->meta.group;
    wire->seq = order->delivered_seq;
    (void)order_log_term(&order->log, order->delivered_seq, &wire->term);
    wire->base_seq = order->log.base_seq;
    wire->base_term = order->log.base_term;
    order_snapshot_runs(order, wire);
    wire->n_members = order->confs[0].n;
    wire->members = order_members_to_wire(&order->confs[0]);
    wire->members_seq = order->confs[0].seq;
    struct buf marks;
    buf_init(&marks, ORDER_SNAPSHOT_BYTES_MAX);
    int err = ORDER_BUG(MARKS_FORGOTTEN) ? 0 : order_marks_save(&order->marks, &marks);
    wire->marks.data = (uint8_t *)buf_steal(&marks, &wire->marks.len);
    if (err == 0)
        err = order_snapshot_pack(wire, out);
    wire__chat_snapshot__free_unpacked(wire, NULL);
    if (err == 0)
        order->snapshot_seq = order->delivered_seq;
    return err;
}

/* ---- taking ---------------------------------------------------------------------------------- */

static bool order_snapshot_runs_are_right(const Wire__ChatSnapshot *wire)
{
    uint64_t seq = wire->base_seq;
    uint64_t term = wire->base_term;
    for (size_t i = 0; i < wire->n_runs; i++) {
        const Wire__ChatSnapshot__Run *run = wire->runs[i];
        if (run->first_seq <= seq || run->first_seq > wire->seq || run->term < term ||
            (i == 0 && run->first_seq != wire->base_seq + 1))
            return false;
        seq = run->first_seq;
        term = run->term;
    }
    return term == wire->term && (wire->n_runs > 0) == (wire->seq > wire->base_seq);
}

static Wire__ChatSnapshot *order_snapshot_unpack(const void *data, size_t len, struct error *e)
{
    const uint8_t *bytes = data;
    uint64_t check = 0;
    if (len < SNAPSHOT_CHECK_BYTES || len > ORDER_SNAPSHOT_BYTES_MAX) {
        error_set(e, ERR_CORRUPT, "the snapshot of the ordered log has %zu bytes", len);
        return NULL;
    }
    len -= SNAPSHOT_CHECK_BYTES;
    for (unsigned i = 0; i < SNAPSHOT_CHECK_BYTES; i++)
        check |= (uint64_t)bytes[len + i] << (8 * i);
    Wire__ChatSnapshot *wire = NULL;
    if (check == XXH3_64bits(bytes, len))
        wire = wire__chat_snapshot__unpack(NULL, len, bytes);
    if (wire == NULL) {
        error_set(e, ERR_CORRUPT, "the snapshot of the ordered log is damaged");
        return NULL;
    }
    if (wire->version != SNAPSHOT_VERSION)
        error_set(e, ERR_VERSION, "the snapshot of the ordered log has version %u, this is %d",
                  wire->version, SNAPSHOT_VERSION);
    else if (wire->base_seq > wire->seq || wire->n_members > ORDER_MEMBERS_MAX ||
             !order_snapshot_runs_are_right(wire))
        error_set(e, ERR_CORRUPT, "the snapshot of the ordered log contradicts itself");
    else
        return wire;
    wire__chat_snapshot__free_unpacked(wire, NULL);
    return NULL;
}

int order_snapshot_seq(const void *data, size_t len, uint64_t *seq)
{
    struct error e = {0};
    Wire__ChatSnapshot *wire = order_snapshot_unpack(data, len, &e);
    if (wire == NULL)
        return e.code;
    *seq = wire->seq;
    wire__chat_snapshot__free_unpacked(wire, NULL);
    return 0;
}

static void order_snapshot_log(struct order *order, const Wire__ChatSnapshot *wire, bool kept)
{
    struct order_log *log = &order->log;
    order_log_reset(log, wire->seq, wire->term);
    if (!kept)
        return;
    log->base_seq = wire->base_seq;
    log->base_term = wire->base_term;
    for (size_t i = 0; i < wire->n_runs; i++) {
        MEM_GROW(log->runs, log->runs_cap, log->runs_n + 1);
        log->runs[log->runs_n++] =
            (struct order_run){.first_seq = wire->runs[i]->first_seq, .term = wire->runs[i]->term};
    }
}

/* Replaces everything. `kept`: the entries that it covers are on this disk, from its base on. */
static int order_snapshot_take(struct order *order, const Wire__ChatSnapshot *wire, bool kept)
{
    struct order_conf conf = {.seq = wire->members_seq};
    int err = order->meta.group != 0 && wire->group != order->meta.group ? ERR_CORRUPT : 0;
    for (size_t i = 0; i < wire->n_members && err == 0; i++)
        err = order_member_from_wire(wire->members[i], &conf.members[conf.n++]);
    struct order_marks marks;
    order_marks_init(&marks, order->config.hash_seed);
    if (err == 0)
        err = order_marks_load(&marks, wire->marks.data, wire->marks.len);
    if (err < 0) {
        order_marks_done(&marks);
        return ERR_CORRUPT;
    }
    order->meta.group = wire->group;
    order_snapshot_log(order, wire, kept);
    order_marks_done(&order->marks);
    order->marks = marks;
    order->confs[0] = conf;
    order->confs_n = 1;
    order->commit_seq = order->delivered_seq = order->snapshot_seq = wire->seq;
    order->loaded = true;
    return 0;
}

int order_snapshot_load(struct order *order, const void *data, size_t len, struct error *e)
{
    Wire__ChatSnapshot *wire = order_snapshot_unpack(data, len, e);
    if (wire == NULL)
        return e != NULL ? e->code : ERR_CORRUPT;
    int err = order_snapshot_take(order, wire, true);
    if (err < 0)
        error_set(e, err, "the snapshot of the ordered log is of another log, or holds nonsense");
    wire__chat_snapshot__free_unpacked(wire, NULL);
    return err;
}

/* ---- sending --------------------------------------------------------------------------------- */

static void order_snapshot_ask(struct order *order, struct order_peer *peer)
{
    struct order_update *update = order->update;
    order_read_ask(order, peer, 0, 0);
    struct order_read *read = &update->reads[update->reads_n - 1];
    read->type = ORDER_READ_SNAPSHOT;
    read->snapshot_seq = peer->snapshot_seq;
    read->offset = peer->snapshot_offset;
    peer->installing_ms = order->now_ms;
}

void order_snapshot_begin(struct order *order, struct order_peer *peer)
{
    if (peer->reading != 0 || order->now_ms < peer->read_ms)
        return;
    peer->snapshot_seq = 0;
    peer->snapshot_offset = 0;
    order_snapshot_ask(order, peer);
}

/* Once more when nothing was heard of the last piece. */
void order_snapshot_work(struct order *order, struct order_peer *peer)
{
    if (order->now_ms - peer->installing_ms >= order->config.leader_timeout_ms)
        order_snapshot_ask(order, peer);
}

int order_snapshot_event(struct order *order, const struct order_event *event)
{
    struct order_peer *peer;
    for (peer = order->peers; peer != NULL; peer = peer->hh.next) {
        if (peer->reading == event->read)
            break;
    }
    if (peer == NULL || event->read == 0)
        return 0;
    peer->reading = 0;
    if (peer->installing_ms == 0 || order->state != ORDER_STATE_LEADING)
        return 0;
    if (event->code < 0 || event->bytes_len == 0) {
        peer->installing_ms = 0;
        peer->read_ms = order->now_ms + order->config.heartbeat_ms;
        return 0;
    }
    peer->snapshot_seq = event->snapshot_seq;
    Wire__ChatSnapshotChunk *chunk =
        order_send(order, peer->id, WIRE__CHAT_MESSAGE__KIND_SNAPSHOT_CHUNK);
    if (chunk == NULL)
        return 0;
    chunk->seq = event->snapshot_seq;
    chunk->size = event->snapshot_size;
    chunk->offset = peer->snapshot_offset;
    chunk->data.data = mem_dup(event->bytes, event->bytes_len);
    chunk->data.len = event->bytes_len;
    return 0;
}

void order_on_snapshot_reply(struct order *order, struct order_peer *peer, uint64_t term,
                             const Wire__ChatSnapshotReply *reply)
{
    if (order->state != ORDER_STATE_LEADING || term != order->meta.term ||
        peer->installing_ms == 0 || reply->seq != peer->snapshot_seq || peer->reading != 0)
        return;
    peer->heard_ms = order->now_ms;
    if (reply->offset == UINT64_MAX) { /* it has all of it */
        peer->installing_ms = 0;
        peer->next_seq = (reply->seq > peer->match_seq ? reply->seq : peer->match_seq) + 1;
        peer->probing = true;
        peer->probe_seq = UINT64_MAX;
    } else if (reply->offset != peer->snapshot_offset) {
        peer->snapshot_offset = reply->offset;
        order_snapshot_ask(order, peer);
    }
}

/* ---- receiving ------------------------------------------------------------------------------- */

static void order_snapshot_installed(struct order *order, uint64_t seq)
{
    order_record_cut(order, 0);
    struct order_record *record = order_record_add(order, ORDER_RECORD_INSTALL);
    record->seq = seq;
    record->snapshot_len = order->incoming.len;
    record->snapshot = buf_steal(&order->incoming, NULL);
    order_update_own(order->update, (void *)record->snapshot);
    order->log.durable_seq = 0;
    order->acked_seq = 0;
    order->holes_n = 0;
    order_record_meta(order); /* the group, and that it is damaged */
    order_client_recheck(order);
    order_conf_changed(order);
}

static int order_snapshot_install(struct order *order)
{
    struct error e = {0};
    Wire__ChatSnapshot *wire = order_snapshot_unpack(order->incoming.data, order->incoming.len, &e);
    int err = wire != NULL ? 0 : e.code;
    if (err == 0 && wire->seq != order->incoming_seq)
        err = ERR_PROTOCOL;
    uint64_t seq = order->incoming_seq;
    if (err == 0 && order_log_holds(&order->log, seq, wire->term)) {
        /* The log goes that far already; what is behind it may have been acknowledged. */
        if (order->commit_seq < seq)
            order->commit_seq = seq;
    } else if (err == 0) {
        err = order_snapshot_take(order, wire, false);
        if (err == 0)
            order_snapshot_installed(order, seq);
    }
    if (wire != NULL)
        wire__chat_snapshot__free_unpacked(wire, NULL);
    if (err < 0)
        order_trouble(order, "a snapshot was refused: %s", err_text(err));
    else if (order->matched_seq < seq)
        order->matched_seq = seq;
    return err;
}

int order_on_snapshot_chunk(struct order *order, struct order_peer *peer, uint64_t term,
                            const Wire__ChatSnapshotChunk *chunk)
{
    if (term < order->meta.term || order->leader != peer->id || term != order->meta.term)
        return 0;
    if (chunk->size > ORDER_SNAPSHOT_BYTES_MAX || chunk->offset > chunk->size ||
        chunk->data.len > chunk->size - chunk->offset)
        return ERR_PROTOCOL;
    if (order->update->deliver_first != 0)
        return 0; /* in another turn: what is delivered in one has no gap */
    uint64_t want = UINT64_MAX;
    int err = 0;
    if (chunk->seq > order->delivered_seq) {
        if (chunk->seq != order->incoming_seq || chunk->size != order->incoming_size ||
            term != order->incoming_term) { /* another leader's has its clients in another order */
            buf_clear(&order->incoming);
            order->incoming_term = term;
            order->incoming_seq = chunk->seq;
            order->incoming_size = chunk->size;
        }
        if (chunk->offset == order->incoming.len)
            err = buf_append(&order->incoming, chunk->data.data, chunk->data.len);
        want = order->incoming.len;
        if (err == 0 && want == chunk->size) {
            err = order_snapshot_install(order);
            order->incoming_seq = 0;
            buf_clear(&order->incoming);
            want = err == 0 ? UINT64_MAX : 0;
        }
    }
    Wire__ChatSnapshotReply *reply =
        order_send(order, peer->id, WIRE__CHAT_MESSAGE__KIND_SNAPSHOT_REPLY);
    if (reply != NULL) {
        reply->seq = chunk->seq;
        reply->offset = want;
    }
    return err;
}
