/* One event in, and what follows from it: first the event itself, then whatever time and the new
 * state make due, in a fixed order. */
#include "core/order.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "core/order_internal.h"

enum { ORDER_ANSWER_MS_MIN = 20, ORDER_ANSWER_MS_MAX = 250 };

#ifdef ORDER_SEEDED_BUGS
enum order_bug order_bug;
#endif

/* ---- life ------------------------------------------------------------------------------------ */

void order_config_default(struct order_config *config)
{
    *config = (struct order_config){
        .address = "",
        .heartbeat_ms = 800,
        .leader_timeout_ms = 2400,
        .submit_timeout_ms = 10000,
        .cache_bytes = 8 << 20,
        .in_flight_bytes = 32 << 20,
        .waiting_max = 65536,
        .chunk_bytes = 256 << 10,
        .window_bytes = 4 << 20,
        .catchup_bytes_s = 88 << 20,
        .payload_max = 64 << 10,
        .clients_max = 4000000,
        .behind_max = 10000,
        .close_max = 1000,
    };
}

struct order *order_new(const struct order_config *config)
{
    assert(config->id > 0 && config->heartbeat_ms > 0 && config->chunk_bytes > 0);
    assert(config->leader_timeout_ms >= 2 * config->heartbeat_ms);
    assert(config->payload_max <= ORDER_PAYLOAD_MAX && config->catchup_bytes_s > 0);
    assert(strlen(config->address) < ORDER_ADDRESS_MAX);
    struct order *order = mem_zalloc(sizeof *order);
    order->config = *config;
    order->address = mem_strdup(config->address);
    order->config.address = order->address;
    order_log_init(&order->log);
    order_marks_init(&order->marks, config->hash_seed);
    MEM_GROW(order->confs, order->confs_cap, 1);
    order->confs[0] = (struct order_conf){0};
    order->confs_n = 1;
    buf_init(&order->incoming, ORDER_SNAPSHOT_BYTES_MAX);
    TAILQ_INIT(&order->sent);
    TAILQ_INIT(&order->unsent);
    return order;
}

void order_free(struct order *order)
{
    if (order == NULL)
        return;
    order_client_free(order);
    order_peers_free(order);
    order_log_done(&order->log);
    order_marks_done(&order->marks);
    buf_done(&order->incoming);
    free(order->confs);
    free(order->hints);
    free(order->holes);
    free(order->pending);
    free(order->address);
    free(order);
}

uint32_t order_answer_ms(const struct order *order)
{
    uint32_t ms = order->config.heartbeat_ms / 2;
    if (order->config.answer_ms > 0)
        return order->config.answer_ms;
    if (ms < ORDER_ANSWER_MS_MIN)
        return ORDER_ANSWER_MS_MIN;
    return ms < ORDER_ANSWER_MS_MAX ? ms : ORDER_ANSWER_MS_MAX;
}

uint32_t order_takeover_ms(const struct order *order)
{
    return order->config.takeover_ms > 0 ? order->config.takeover_ms
                                         : 2 * order->config.leader_timeout_ms;
}

uint32_t order_disk_limit_ms(const struct order *order)
{
    return order->config.disk_limit_ms > 0 ? order->config.disk_limit_ms
                                           : order->config.leader_timeout_ms;
}

bool order_is_able(const struct order *order)
{
    bool disk = (order->disk_code == 0 || ORDER_BUG(FULL_LEADER)) &&
                (!order->disk_hangs || ORDER_BUG(HANGING_LEADER));
    bool whole = !order->meta.damaged || ORDER_BUG(DAMAGED_VOTES);
    return order->started && !order->stopping && disk && whole && order_is_voter(order);
}

void order_trouble(struct order *order, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(order->update->trouble, sizeof order->update->trouble, fmt, args);
    va_end(args);
}

/* ---- loading --------------------------------------------------------------------------------- */

int order_load_meta(struct order *order, const struct order_meta *meta, struct error *e)
{
    assert(!order->started);
    if (meta->promised_to != 0 && meta->term == 0)
        return error_set(e, ERR_CORRUPT, "a promise without a term");
    order->meta = *meta;
    return 0;
}

int order_load_snapshot(struct order *order, const void *data, size_t len, struct error *e)
{
    assert(!order->started && order->log.last_seq == 0);
    return order_snapshot_load(order, data, len, e);
}

int order_load_entries(struct order *order, const struct order_entry *entries, size_t n,
                       struct error *e)
{
    assert(!order->started);
    for (size_t i = 0; i < n; i++) {
        const struct order_entry *entry = &entries[i];
        struct order_conf conf;
        if (entry->seq != order->log.last_seq + 1)
            return error_set(e, ERR_INVALID, "entry %llu follows entry %llu in the ordered log",
                             (unsigned long long)entry->seq,
                             (unsigned long long)order->log.last_seq);
        if (entry->term < order_log_last_term(&order->log) || entry->term == 0)
            return error_set(e, ERR_CORRUPT, "entry %llu of the ordered log has term %llu",
                             (unsigned long long)entry->seq, (unsigned long long)entry->term);
        if (entry->type == ORDER_ENTRY_MEMBERS) {
            if (order_conf_decode(entry, &conf) < 0)
                return error_set(e, ERR_CORRUPT, "entry %llu of the ordered log names no members",
                                 (unsigned long long)entry->seq);
            MEM_GROW(order->confs, order->confs_cap, order->confs_n + 1);
            order->confs[order->confs_n++] = conf;
        }
        order_log_push(&order->log, order_item_new(entry), order->config.hash_seed);
    }
    order->log.durable_seq = order->log.last_seq;
    return 0;
}

/* What is known to be delivered is, without saying so again. */
static int order_start(struct order *order, const struct order_event *event)
{
    if (order->started || event->committed > order->log.last_seq)
        return ERR_INVALID;
    order->started = true;
    order->disk_code = event->disk_code;
    if (order->meta.term < order_log_last_term(&order->log))
        order->meta = (struct order_meta){.group = order->meta.group,
                                          .term = order_log_last_term(&order->log),
                                          .damaged = order->meta.damaged};
    if (event->committed > order->commit_seq)
        order->commit_seq = event->committed;
    struct order_update *update = order->update;
    uint64_t first = update->deliver_first;
    uint64_t last = update->deliver_last;
    order_deliver(order);
    update->deliver_first = first;
    update->deliver_last = last;
    order->since_ms = order->now_ms;
    order_conf_changed(order);
    order_elect_later(order, order_answer_ms(order));
    return 0;
}

/* ---- events ---------------------------------------------------------------------------------- */

static void order_link(struct order *order, uint64_t id, bool up)
{
    if (id == 0 || id == order->config.id)
        return;
    struct order_peer *peer = order_peer_get(order, id);
    peer->linked = up;
    peer->linked_ms = order->now_ms;
    peer->probing = true;
    peer->probe_seq = UINT64_MAX;
    peer->next_seq = peer->match_seq > 0 ? peer->match_seq + 1 : order->log.last_seq + 1;
    peer->flight_n = 0;
    peer->flight_bytes = 0;
    peer->reading = 0;
    peer->installing_ms = 0;
    if (!up)
        peer->contact_ms = 0;
    order_peers_refresh(order);
    if (!up && order->leader == id && order->state == ORDER_STATE_FOLLOWER) {
        order_follow_nobody(order, "the link to the leader broke");
        order_elect_later(order, 0);
    }
    if (up && order->leader == id)
        order_client_leader_changed(order);
}

/* Of another log, or of none. */
static int order_check_group(const struct order *order, const Wire__ChatMessage *message)
{
    bool joins = message->kind_case == WIRE__CHAT_MESSAGE__KIND_JOIN && message->group == 0;
    bool answers = message->kind_case == WIRE__CHAT_MESSAGE__KIND_JOIN_REPLY && order->joining;
    if (message->group == order->meta.group || joins || (answers && order->meta.group == 0))
        return 0;
    return ERR_WRONG_CLUSTER;
}

/* Whoever leads in a lower term than this node has met steps down. */
static void order_meet_term(struct order *order, uint64_t term)
{
    if (term <= order->meta.term)
        return;
    if (term > order->seen_term)
        order->seen_term = term;
    if (order->state == ORDER_STATE_LEADING)
        order_follow_nobody(order, order_is_handing(order) ? ORDER_REASON_HANDED
                                                           : "another node has a higher term");
}

static int order_dispatch(struct order *order, struct order_peer *peer,
                          const struct order_event *event)
{
    const Wire__ChatMessage *message = event->message;
    uint64_t term = message->term;
    switch (message->kind_case) {
    case WIRE__CHAT_MESSAGE__KIND_POLL:
        order_on_poll(order, peer, message->poll);
        return 0;
    case WIRE__CHAT_MESSAGE__KIND_POLL_REPLY:
        order_on_poll_reply(order, peer, message->poll_reply);
        return 0;
    case WIRE__CHAT_MESSAGE__KIND_CLAIM:
        order_on_claim(order, peer, term, message->claim);
        return 0;
    case WIRE__CHAT_MESSAGE__KIND_PROMISE:
        order_on_promise(order, peer, term, message->promise);
        return 0;
    case WIRE__CHAT_MESSAGE__KIND_REFUSE:
        order_on_refuse(order, peer, term, message->refuse);
        return 0;
    case WIRE__CHAT_MESSAGE__KIND_APPEND:
        return order_on_append(order, peer, event);
    case WIRE__CHAT_MESSAGE__KIND_APPEND_REPLY:
        order_meet_term(order, term);
        order_on_append_reply(order, peer, term, message->append_reply);
        return 0;
    case WIRE__CHAT_MESSAGE__KIND_FETCH:
        return order_on_fetch(order, peer, term, message->fetch);
    case WIRE__CHAT_MESSAGE__KIND_COPY:
        return order_on_copy(order, peer, term, message->copy);
    case WIRE__CHAT_MESSAGE__KIND_TAKE_OVER:
        order_on_take_over(order, peer, term);
        return 0;
    case WIRE__CHAT_MESSAGE__KIND_RESIGN:
        order_on_resign(order, peer, term, message->resign);
        return 0;
    case WIRE__CHAT_MESSAGE__KIND_FORWARD:
        return order_on_forward(order, peer, message->forward);
    case WIRE__CHAT_MESSAGE__KIND_FORWARD_REPLY:
        if (peer->id == order->leader)
            order_on_forward_reply(order, message->forward_reply);
        return 0;
    case WIRE__CHAT_MESSAGE__KIND_JOIN:
        return order_on_join(order, peer, message->join);
    case WIRE__CHAT_MESSAGE__KIND_JOIN_REPLY:
        return order_on_join_reply(order, message->group, message->join_reply);
    case WIRE__CHAT_MESSAGE__KIND_SNAPSHOT_CHUNK:
        return order_on_snapshot_chunk(order, peer, term, message->snapshot_chunk);
    case WIRE__CHAT_MESSAGE__KIND_SNAPSHOT_REPLY:
        order_on_snapshot_reply(order, peer, term, message->snapshot_reply);
        return 0;
    default:
        return ERR_PROTOCOL;
    }
}

static int order_message(struct order *order, const struct order_event *event)
{
    struct order_peer *peer = order_peer(order, event->peer);
    if (peer == NULL || !peer->linked)
        return 0;
    if (order->meta.group == 0 &&
        (!order->joining || event->message->kind_case != WIRE__CHAT_MESSAGE__KIND_JOIN_REPLY))
        return 0; /* nothing to do with it yet */
    if (event->message->term > INT64_MAX)
        return ERR_PROTOCOL;
    int err = order_check_group(order, event->message);
    return err < 0 ? err : order_dispatch(order, peer, event);
}

static int order_join(struct order *order)
{
    if (order_conf_find(order_conf(order), order->config.id) != NULL || order->meta.group != 0)
        return ERR_EXISTS;
    order->joining = true;
    order->join_ms = order->now_ms;
    return 0;
}

static void order_stop(struct order *order)
{
    order->stopping = true;
    if (order->state == ORDER_STATE_LEADING)
        order_resign(order, "the node stops");
}

static int order_apply(struct order *order, const struct order_event *event)
{
    switch (event->type) {
    case ORDER_EVENT_TICK:
        return 0;
    case ORDER_EVENT_START:
        return order_start(order, event);
    case ORDER_EVENT_FORM:
        return order_form(order, event);
    case ORDER_EVENT_JOIN:
        return order_join(order);
    case ORDER_EVENT_LINK_UP:
    case ORDER_EVENT_LINK_DOWN:
        order_link(order, event->peer, event->type == ORDER_EVENT_LINK_UP);
        return 0;
    case ORDER_EVENT_MESSAGE:
        return order_message(order, event);
    case ORDER_EVENT_PERSISTED:
        order_record_persisted(order, event->record);
        return 0;
    case ORDER_EVENT_DISK:
        order->disk_code = event->disk_code;
        return 0;
    case ORDER_EVENT_SUBMIT:
        return order_submit(order, event);
    case ORDER_EVENT_READ:
        return order_read_event(order, event);
    case ORDER_EVENT_SNAPSHOT:
        return order_snapshot_event(order, event);
    case ORDER_EVENT_TRIMMED:
        if (event->seq > order->delivered_seq)
            return ERR_INVALID;
        order_log_trim(&order->log, event->seq);
        order_mend_trimmed(order, event->seq);
        return 0;
    case ORDER_EVENT_MEND:
        return order_mend(order, event->first, event->last);
    case ORDER_EVENT_MEMBER_PUT:
        return event->members_n == 1 ? order_member_put(order, event->members) : ERR_INVALID;
    case ORDER_EVENT_MEMBER_REMOVE:
        return order_member_remove(order, event->peer);
    case ORDER_EVENT_TRANSFER:
        return order_transfer(order, event->peer);
    case ORDER_EVENT_STOP:
        order_stop(order);
        return 0;
    }
    return ERR_INVALID;
}

/* ---- time ------------------------------------------------------------------------------------ */

static void order_look_at_disk(struct order *order)
{
    bool hangs = order_record_wait_ms(order) >= order_disk_limit_ms(order);
    if (hangs && !order->disk_hangs)
        order_trouble(order, "the disk of the ordered log has taken nothing for %lld ms",
                      (long long)order_record_wait_ms(order));
    order->disk_hangs = hangs;
}

static void order_sooner(int64_t *deadline_ms, int64_t at_ms)
{
    if (at_ms < *deadline_ms)
        *deadline_ms = at_ms;
}

static int64_t order_deadline_ms(const struct order *order)
{
    int64_t at_ms = order->now_ms + order->config.leader_timeout_ms;
    if (order->state == ORDER_STATE_FOLLOWER)
        order_sooner(&at_ms, order->election_ms);
    else if (order->state == ORDER_STATE_LEADING)
        order_sooner(&at_ms, order_lead_next_ms(order));
    else if (order->state != ORDER_STATE_OUTSIDE)
        order_sooner(&at_ms, order->answer_ms);
    if ((order->state == ORDER_STATE_CLAIMING || order->state == ORDER_STATE_COPYING) &&
        order->claim_sent)
        order_sooner(&at_ms, order->again_ms);
    if (order->state == ORDER_STATE_LEADING && order->catchup_tokens < 0)
        order_sooner(&at_ms, order->now_ms + 1 +
                                 (int64_t)(-order->catchup_tokens * 1000 /
                                           (double)order->config.catchup_bytes_s));
    if (order->pending_n > 0 && !order->disk_hangs)
        order_sooner(&at_ms,
                     order->pending[order->pending_first].at_ms + order_disk_limit_ms(order));
    if (order->joining && order->state == ORDER_STATE_OUTSIDE)
        order_sooner(&at_ms, order->join_ms);
    if (order->holes_n > 0)
        order_sooner(&at_ms, order->mend_ms);
    order_sooner(&at_ms, order_client_deadline_ms(order));
    return at_ms > order->now_ms ? at_ms : order->now_ms + 1;
}

static void order_work(struct order *order)
{
    order_look_at_disk(order);
    order_lead_check(order);
    order_elect_work(order);
    order_client_work(order);
    order_member_work(order);
    order_lead_work(order);
    order_deliver(order);
    order_follow_work(order);
    order_join_work(order);
    order_mend_work(order);
}

int order_step(struct order *order, const struct order_event *event, struct order_update *update)
{
    assert(event->now_ms >= order->now_ms);
    assert(order->started || event->type == ORDER_EVENT_START);
    if (ORDER_BUG(DUPLICATES_BY_TIME) && event->now_ms / 2000 != order->now_ms / 2000) {
        order_marks_done(&order->marks);
    }
    order->now_ms = event->now_ms;
    order->wall_ms = event->wall_ms;
    order->update = update;
    uint64_t said = update->deliver_first > 0 ? update->deliver_first - 1 : order->delivered_seq;
    order_log_evict(&order->log, said, order->config.cache_bytes);
    int err = order_apply(order, event);
    order_work(order);
    update->next_deadline_ms = order_deadline_ms(order);
    order->update = NULL;
    return err;
}
