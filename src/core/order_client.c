/* Submissions. Each waits at the node that took it until the entry with its (client, number) is
 * delivered there, whoever numbered it. Until then it is given to every leader that comes: the log
 * takes it once. */
#include <string.h>

#include "core/order_internal.h"

enum { CLIENT_SCAN_MS = 100 };

static struct order_wait *order_wait_find(const struct order *order, const struct order_key *key)
{
    struct order_wait *wait;
    HASH_FIND_BYHASHVALUE(hh, order->waits, key, sizeof *key,
                          order_key_hash(key, order->config.hash_seed), wait);
    return wait;
}

static void order_wait_free(struct order *order, struct order_wait *wait)
{
    if (wait->sent)
        TAILQ_REMOVE(&order->sent, wait, entry);
    else
        TAILQ_REMOVE(&order->unsent, wait, entry);
    HASH_DEL(order->waits, wait);
    order->waits_n--;
    order_item_unref(wait->item);
    free(wait);
}

void order_client_free(struct order *order)
{
    struct order_wait *wait;
    struct order_wait *next;
    HASH_ITER (hh, order->waits, wait, next)
        order_wait_free(order, wait);
}

static void order_reply(struct order *order, const struct order_key *key, uint64_t token,
                        uint64_t seq, bool duplicate, int code)
{
    struct order_update *update = order->update;
    MEM_GROW(update->replies, update->replies_cap, update->replies_n + 1);
    update->replies[update->replies_n++] = (struct order_reply){
        .token = token,
        .client = key->client,
        .number = key->number,
        .seq = seq,
        .duplicate = duplicate,
        .code = code,
    };
}

static void order_wait_answer(struct order *order, struct order_wait *wait, uint64_t seq, int code)
{
    order_reply(order, &wait->key, wait->token, seq, wait->duplicate, code);
    order_wait_free(order, wait);
}

/* It was delivered already. */
static void order_wait_known(struct order *order, struct order_wait *wait)
{
    const struct order_item *item =
        order_log_find(&order->log, &wait->key, order->config.hash_seed);
    order_wait_answer(order, wait, item != NULL ? item->entry.seq : 0, 0);
}

static void order_wait_move(struct order *order, struct order_wait *wait, bool sent)
{
    if (wait->sent == sent)
        return;
    if (sent) {
        TAILQ_REMOVE(&order->unsent, wait, entry);
        TAILQ_INSERT_TAIL(&order->sent, wait, entry);
        wait->sent_ms = order->now_ms;
        wait->ever_sent = true;
    } else {
        TAILQ_REMOVE(&order->sent, wait, entry);
        TAILQ_INSERT_TAIL(&order->unsent, wait, entry);
    }
    wait->sent = sent;
}

void order_client_leader_changed(struct order *order)
{
    struct order_wait *wait;
    TAILQ_CONCAT(&order->sent, &order->unsent, entry);
    TAILQ_CONCAT(&order->unsent, &order->sent, entry);
    TAILQ_FOREACH (wait, &order->unsent, entry)
        wait->sent = false;
    order->busy_ms = 0;
}

bool order_knows(const struct order *order, const struct uuid *client, uint64_t number)
{
    return !uuid_is_nil(client) && order_marks_has(&order->marks, client, number);
}

/* ---- submitting ------------------------------------------------------------------------------ */

static int order_submit_check(const struct order *order, const struct order_submit *submit)
{
    if (order->stopping || order->state == ORDER_STATE_OUTSIDE)
        return ERR_UNAVAILABLE;
    if (uuid_is_nil(&submit->client) || submit->number == 0 ||
        submit->channel_len > ORDER_CHANNEL_MAX || submit->sender_len > ORDER_SENDER_MAX)
        return ERR_INVALID;
    if (submit->payload_len > order->config.payload_max)
        return ERR_TOO_LARGE;
    return order->waits_n >= order->config.waiting_max ? ERR_BUSY : 0;
}

static void order_submit_wait(struct order *order, const struct order_key *key,
                              const struct order_submit *submit)
{
    const struct order_entry entry = {
        .type = ORDER_ENTRY_MESSAGE,
        .client = submit->client,
        .number = submit->number,
        .channel = submit->channel,
        .sender = submit->sender,
        .payload = submit->payload,
        .payload_len = submit->payload_len,
        .channel_len = submit->channel_len,
        .sender_len = submit->sender_len,
    };
    struct order_wait *wait = mem_zalloc(sizeof *wait);
    wait->key = *key;
    wait->item = order_item_new(&entry);
    wait->token = submit->token;
    wait->at_ms = order->now_ms;
    TAILQ_INSERT_TAIL(&order->unsent, wait, entry);
    HASH_ADD_KEYPTR_BYHASHVALUE(hh, order->waits, &wait->key, sizeof wait->key,
                                order_key_hash(key, order->config.hash_seed), wait);
    if (order->waits_n++ == 0)
        order->scan_ms = order->now_ms + CLIENT_SCAN_MS;
}

static void order_submit_one(struct order *order, const struct order_submit *submit)
{
    const struct order_key key = {submit->client, submit->number};
    struct order_wait *wait = order_wait_find(order, &key);
    if (wait != NULL) {
        order_reply(order, &key, wait->token, 0, false, ERR_CANCELLED);
        wait->token = submit->token;
        wait->at_ms = order->now_ms;
        return;
    }
    int code = order_submit_check(order, submit);
    if (code < 0) {
        order_reply(order, &key, submit->token, 0, false, code);
    } else if (order_knows(order, &key.client, key.number)) {
        const struct order_item *item = order_log_find(&order->log, &key, order->config.hash_seed);
        order_reply(order, &key, submit->token, item != NULL ? item->entry.seq : 0, true, 0);
    } else {
        order_submit_wait(order, &key, submit);
    }
}

int order_submit(struct order *order, const struct order_event *event)
{
    for (size_t i = 0; i < event->submits_n; i++)
        order_submit_one(order, &event->submits[i]);
    return 0;
}

/* ---- the leader takes them ------------------------------------------------------------------- */

/* 0: it has a number now; ERR_EXISTS: it had one before; others: refused. */
static int order_client_accept(struct order *order, const struct order_item *message)
{
    const struct order_entry *entry = &message->entry;
    const struct order_key key = {entry->client, entry->number};
    if (order_marks_has(&order->marks, &key.client, key.number))
        return ERR_EXISTS;
    if (!ORDER_BUG(MARKS_WITHOUT_TAIL)) {
        const struct order_item *item = order_log_find(&order->log, &key, order->config.hash_seed);
        if (item != NULL && item->entry.seq > order->delivered_seq)
            return ERR_EXISTS;
    }
    if (entry->payload_len > order->config.payload_max ||
        order_marks_gaps(&order->marks, &key.client, key.number) > ORDER_NUMBER_GAPS_MAX ||
        (order->marks.clients >= order->config.clients_max &&
         !order_marks_has_client(&order->marks, &key.client)))
        return ERR_TOO_LARGE;
    if (!order_lead_has_room(order, message->form_len))
        return ERR_BUSY;
    struct order_entry numbered = *entry;
    order_lead_append(order, &numbered);
    return 0;
}

static void order_client_lead(struct order *order)
{
    uint64_t first = order->log.last_seq + 1;
    struct order_wait *wait;
    struct order_wait *next;
    for (wait = TAILQ_FIRST(&order->unsent); wait != NULL; wait = next) {
        next = TAILQ_NEXT(wait, entry);
        int code = order_client_accept(order, wait->item);
        if (code == ERR_BUSY)
            break;
        if (code == ERR_EXISTS)
            wait->duplicate = wait->duplicate || !wait->ever_sent;
        if (order_knows(order, &wait->key.client, wait->key.number)) {
            order_wait_known(order, wait);
        } else if (code == 0 && ORDER_BUG(REPLY_EARLY)) {
            order_wait_answer(order, wait, order->log.last_seq, 0);
        } else if (code == 0 || code == ERR_EXISTS) {
            order_wait_move(order, wait, true);
        } else {
            order_wait_answer(order, wait, 0, code);
        }
    }
    if (order->log.last_seq >= first)
        order_record_append(order, first);
}

/* ---- followers forward ----------------------------------------------------------------------- */

static void order_client_forward(struct order *order)
{
    const struct order_peer *leader = order_peer(order, order->leader);
    while (leader != NULL && leader->linked && !TAILQ_EMPTY(&order->unsent)) {
        Wire__ChatForward *forward =
            order_send(order, order->leader, WIRE__CHAT_MESSAGE__KIND_FORWARD);
        struct buf bytes;
        buf_init(&bytes, order->config.chunk_bytes + (size_t)ORDER_PAYLOAD_MAX * 2);
        while (!TAILQ_EMPTY(&order->unsent) && bytes.len < order->config.chunk_bytes) {
            struct order_wait *wait = TAILQ_FIRST(&order->unsent);
            if (buf_append(&bytes, wait->item->form, wait->item->form_len) < 0)
                break;
            order_wait_move(order, wait, true);
            forward->count++;
        }
        forward->entries.data = (uint8_t *)buf_steal(&bytes, &forward->entries.len);
    }
}

static void order_forward_refuse(Wire__ChatForwardReply *reply, size_t cap,
                                 const struct order_entry *entry, int code)
{
    if (reply->refused == NULL)
        reply->refused = mem_calloc(cap, sizeof(Wire__ChatForwardReply__Refused *));
    Wire__ChatForwardReply__Refused *refused = mem_alloc(sizeof *refused);
    wire__chat_forward_reply__refused__init(refused);
    refused->client.data = mem_dup(entry->client.bytes, sizeof entry->client.bytes);
    refused->client.len = sizeof entry->client.bytes;
    refused->number = entry->number;
    refused->code = code;
    reply->refused[reply->n_refused++] = refused;
}

int order_on_forward(struct order *order, struct order_peer *peer, const Wire__ChatForward *forward)
{
    struct order_batch batch;
    int err = order_batch_decode(&forward->entries, forward->count, 0, &batch);
    if (err < 0)
        return err;
    uint64_t first = order->log.last_seq + 1;
    Wire__ChatForwardReply *reply = NULL;
    for (size_t i = 0; i < batch.n && order->state == ORDER_STATE_LEADING; i++) {
        int code = order_client_accept(order, batch.items[i]);
        if (code == 0 || code == ERR_EXISTS)
            continue;
        if (reply == NULL)
            reply = order_send(order, peer->id, WIRE__CHAT_MESSAGE__KIND_FORWARD_REPLY);
        if (reply != NULL)
            order_forward_refuse(reply, batch.n, &batch.items[i]->entry, code);
    }
    if (order->log.last_seq >= first)
        order_record_append(order, first);
    if (order->state == ORDER_STATE_LEADING)
        peer->awaited_seq = order->log.last_seq;
    order_batch_done(&batch);
    return 0;
}

void order_on_forward_reply(struct order *order, const Wire__ChatForwardReply *reply)
{
    for (size_t i = 0; i < reply->n_refused; i++) {
        const Wire__ChatForwardReply__Refused *refused = reply->refused[i];
        struct order_key key = {.number = refused->number};
        if (refused->client.len != sizeof key.client.bytes || refused->code >= 0)
            continue;
        memcpy(key.client.bytes, refused->client.data, sizeof key.client.bytes);
        struct order_wait *wait = order_wait_find(order, &key);
        if (wait == NULL)
            continue;
        if (refused->code == ERR_BUSY) {
            order_wait_move(order, wait, false);
            order->busy_ms = order->now_ms + ORDER_RETRY_BUSY_MS;
        } else {
            order_wait_answer(order, wait, 0, refused->code);
        }
    }
}

/* ---- answers --------------------------------------------------------------------------------- */

void order_client_delivered(struct order *order, const struct order_key *key, uint64_t seq)
{
    struct order_wait *wait = order->waits_n > 0 ? order_wait_find(order, key) : NULL;
    if (wait != NULL)
        order_wait_answer(order, wait, seq, 0);
}

void order_client_recheck(struct order *order)
{
    struct order_wait *wait;
    struct order_wait *next;
    HASH_ITER (hh, order->waits, wait, next) {
        if (order_knows(order, &wait->key.client, wait->key.number))
            order_wait_known(order, wait);
    }
}

/* Those that are too old are answered, those of which a leader said nothing are sent again. */
static void order_client_scan(struct order *order)
{
    order->scan_ms = order->now_ms + CLIENT_SCAN_MS;
    struct order_wait *wait;
    struct order_wait *next;
    HASH_ITER (hh, order->waits, wait, next) {
        bool elsewhere = order->leader != 0 && order->leader != order->config.id;
        if (order->now_ms - wait->at_ms >= order->config.submit_timeout_ms)
            order_wait_answer(order, wait, 0,
                              wait->ever_sent ? ERR_OUTCOME_UNKNOWN : ERR_NO_LEADER);
        else if (wait->sent && elsewhere &&
                 order->now_ms - wait->sent_ms >= order->config.leader_timeout_ms)
            order_wait_move(order, wait, false);
    }
}

int64_t order_client_deadline_ms(const struct order *order)
{
    if (order->waits_n == 0)
        return INT64_MAX;
    bool busy = order->busy_ms > order->now_ms && order->busy_ms < order->scan_ms;
    return busy ? order->busy_ms : order->scan_ms;
}

void order_client_work(struct order *order)
{
    if (order->waits_n > 0 && order->now_ms >= order->scan_ms)
        order_client_scan(order);
    if (TAILQ_EMPTY(&order->unsent))
        return;
    if (order->state == ORDER_STATE_LEADING)
        order_client_lead(order);
    else if (order->leader != 0 && order->leader != order->config.id &&
             order->now_ms >= order->busy_ms)
        order_client_forward(order);
}
