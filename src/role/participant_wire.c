/* Messages of core/txn.h as those of wire/txn.proto, and back. */
#include <stdlib.h>
#include <string.h>

#include "base/failpoint.h"
#include "base/mem.h"
#include "role/participant_internal.h"
#include "role/rollouts.h"

/* ---- out
 * ------------------------------------------------------------------------------------------ */

static ProtobufCBinaryData wire_of(const void *data, size_t len)
{
    return (ProtobufCBinaryData){.data = (uint8_t *)(uintptr_t)data, .len = len};
}

struct wire_body {
    Wire__TxnBody body;
    Wire__TxnWrite writes[TXN_WRITES_MAX];
    Wire__TxnWrite *pointers[TXN_WRITES_MAX];
};

static Wire__TxnBody *wire_body(const struct txn_body *body, bool values, struct wire_body *out)
{
    wire__txn_body__init(&out->body);
    out->body.txid = wire_of(body->txid.bytes, sizeof body->txid.bytes);
    out->body.coordinator = body->coordinator;
    out->body.group = body->group;
    out->body.began_ms = (uint64_t)body->began_ms;
    out->body.participants = body->participants;
    out->body.n_participants = body->participants_n;
    for (size_t i = 0; i < body->writes_n; i++) {
        wire__txn_write__init(&out->writes[i]);
        out->pointers[i] = &out->writes[i];
        out->writes[i].key = body->writes[i].key;
        out->writes[i].base_version = body->writes[i].base_version;
        if (values)
            out->writes[i].value = wire_of(body->writes[i].value, body->writes[i].len);
    }
    out->body.writes = out->pointers;
    out->body.n_writes = body->writes_n;
    return &out->body;
}

/* The array and its elements are one block, to be freed. */
static Wire__TxnItem **wire_items(const struct txn_item *items, size_t n)
{
    Wire__TxnItem **pointers =
        mem_alloc((n + 1) * (sizeof(Wire__TxnItem *) + sizeof(Wire__TxnItem)));
    Wire__TxnItem *elements = (Wire__TxnItem *)(void *)(pointers + n + 1);
    for (size_t i = 0; i < n; i++) {
        wire__txn_item__init(&elements[i]);
        pointers[i] = &elements[i];
        elements[i].key = items[i].key;
        elements[i].version = items[i].version;
        elements[i].at_ms = (uint64_t)items[i].at_ms;
        elements[i].txid = wire_of(items[i].txid.bytes, sizeof items[i].txid.bytes);
        elements[i].value = wire_of(items[i].value, items[i].len);
    }
    return pointers;
}

static void wire_send_items(struct participant *participant, const struct txn_message *message)
{
    Wire__TxnItem **items = wire_items(message->items, message->items_n);
    Wire__RoutingHeartbeat heartbeat = WIRE__ROUTING_HEARTBEAT__INIT;
    Wire__RoutingFetch fetch = WIRE__ROUTING_FETCH__INIT;
    Wire__RoutingItems answer = WIRE__ROUTING_ITEMS__INIT;
    heartbeat.items = fetch.items = answer.items = items;
    heartbeat.n_items = fetch.n_items = answer.n_items = message->items_n;
    enum wire_type type = WIRE_ROUTING_ITEMS;
    const ProtobufCMessage *base = &answer.base;
    if (message->type == TXN_MESSAGE_HEARTBEAT) {
        type = WIRE_ROUTING_HEARTBEAT;
        base = &heartbeat.base;
    } else if (message->type == TXN_MESSAGE_FETCH) {
        type = WIRE_ROUTING_FETCH;
        base = &fetch.base;
    }
    (void)node_send(participant->node, message->peer, type, base);
    free(items);
}

static void wire_send_body(struct participant *participant, const struct txn_message *message)
{
    struct wire_body body;
    bool prepare = message->type == TXN_MESSAGE_PREPARE;
    Wire__PrepareReq request = WIRE__PREPARE_REQ__INIT;
    Wire__Inquiry inquiry = WIRE__INQUIRY__INIT;
    request.body = inquiry.body = wire_body(message->body, prepare, &body);
    inquiry.pledge = message->pledge;
    (void)node_send(participant->node, message->peer, prepare ? WIRE_PREPARE_REQ : WIRE_INQUIRY,
                    prepare ? &request.base : &inquiry.base);
}

static void wire_send_short(struct participant *participant, const struct txn_message *message)
{
    Wire__Vote vote = WIRE__VOTE__INIT;
    Wire__Decision decision = WIRE__DECISION__INIT;
    Wire__DecisionAck ack = WIRE__DECISION_ACK__INIT;
    Wire__InquiryReply reply = WIRE__INQUIRY_REPLY__INIT;
    vote.txid = decision.txid = ack.txid = reply.txid =
        wire_of(message->txid.bytes, sizeof message->txid.bytes);
    vote.yes = message->yes;
    decision.outcome = ack.outcome = (Wire__TxnOutcome)message->outcome;
    reply.standing = message->standing;
    if (message->text != NULL)
        vote.text = decision.text = reply.text = message->text;
    struct node *node = participant->node;
    if (message->type == TXN_MESSAGE_VOTE && message->peer != node_id(node))
        failpoint("txn.vote");
    if (message->type == TXN_MESSAGE_VOTE)
        (void)node_send(node, message->peer, WIRE_VOTE, &vote.base);
    else if (message->type == TXN_MESSAGE_DECISION)
        (void)node_send(node, message->peer, WIRE_DECISION, &decision.base);
    else if (message->type == TXN_MESSAGE_DECISION_ACK)
        (void)node_send(node, message->peer, WIRE_DECISION_ACK, &ack.base);
    else
        (void)node_send(node, message->peer, WIRE_INQUIRY_REPLY, &reply.base);
}

void participant_send(struct participant *participant, const struct txn_message *message)
{
    switch (message->type) {
    case TXN_MESSAGE_PREPARE:
    case TXN_MESSAGE_INQUIRY:
        wire_send_body(participant, message);
        break;
    case TXN_MESSAGE_HEARTBEAT:
    case TXN_MESSAGE_FETCH:
    case TXN_MESSAGE_ITEMS:
        wire_send_items(participant, message);
        break;
    default:
        wire_send_short(participant, message);
        break;
    }
}

/* ---- in
 * -------------------------------------------------------------------------------------------- */

static bool wire_read_uuid(const ProtobufCBinaryData *data, struct uuid *id)
{
    if (data->len != sizeof id->bytes)
        return false;
    memcpy(id->bytes, data->data, sizeof id->bytes);
    return true;
}

/* NULL: not a body. */
static struct txn_body *wire_read_body(const Wire__TxnBody *message)
{
    struct txn_write writes[TXN_WRITES_MAX];
    struct txn_body body = {0};
    char why[TXN_TEXT_MAX];
    if (message == NULL || message->n_writes > TXN_WRITES_MAX ||
        !wire_read_uuid(&message->txid, &body.txid))
        return NULL;
    for (size_t i = 0; i < message->n_writes; i++)
        writes[i] = (struct txn_write){.key = message->writes[i]->key,
                                       .base_version = message->writes[i]->base_version,
                                       .value = message->writes[i]->value.data,
                                       .len = message->writes[i]->value.len};
    body.coordinator = message->coordinator;
    body.group = message->group;
    body.began_ms = (int64_t)message->began_ms;
    body.participants = message->participants;
    body.participants_n = message->n_participants;
    body.writes = writes;
    body.writes_n = message->n_writes;
    return txn_body_new(&body, why);
}

static void wire_receive(struct participant *participant, struct txn_message *message)
{
    (void)participant_step(
        participant, (struct txn_event){.type = TXN_EVENT_RECEIVED, .message = message}, NULL);
}

static void wire_receive_body(struct participant *participant, uint64_t from,
                              enum txn_message_type type, const Wire__TxnBody *body, bool pledge)
{
    struct txn_message message = {
        .type = type, .peer = from, .body = wire_read_body(body), .pledge = pledge};
    if (message.body == NULL)
        return;
    message.txid = message.body->txid;
    wire_receive(participant, &message);
    txn_body_free(message.body);
}

static void wire_on_prepare(void *self, uint64_t from, const ProtobufCMessage *base)
{
    wire_receive_body(self, from, TXN_MESSAGE_PREPARE, ((const Wire__PrepareReq *)base)->body,
                      false);
}

static void wire_on_inquiry(void *self, uint64_t from, const ProtobufCMessage *base)
{
    const Wire__Inquiry *inquiry = (const Wire__Inquiry *)base;
    wire_receive_body(self, from, TXN_MESSAGE_INQUIRY, inquiry->body, inquiry->pledge);
}

static void wire_on_vote(void *self, uint64_t from, const ProtobufCMessage *base)
{
    const Wire__Vote *vote = (const Wire__Vote *)base;
    const struct participant *participant = self;
    if (from != node_id(participant->node))
        failpoint("txn.votes");
    struct txn_message message = {
        .type = TXN_MESSAGE_VOTE, .peer = from, .yes = vote->yes, .text = vote->text};
    if (wire_read_uuid(&vote->txid, &message.txid))
        wire_receive(self, &message);
}

static void wire_on_decision(void *self, uint64_t from, const ProtobufCMessage *base)
{
    const Wire__Decision *decision = (const Wire__Decision *)base;
    struct txn_message message = {
        .type = TXN_MESSAGE_DECISION, .peer = from, .text = decision->text};
    if (decision->outcome == WIRE__TXN_OUTCOME__TXN_OUTCOME_COMMIT)
        message.outcome = TXN_OUTCOME_COMMIT;
    else if (decision->outcome == WIRE__TXN_OUTCOME__TXN_OUTCOME_ABORT)
        message.outcome = TXN_OUTCOME_ABORT;
    if (wire_read_uuid(&decision->txid, &message.txid))
        wire_receive(self, &message);
}

static void wire_on_ack(void *self, uint64_t from, const ProtobufCMessage *base)
{
    const Wire__DecisionAck *ack = (const Wire__DecisionAck *)base;
    struct txn_message message = {.type = TXN_MESSAGE_DECISION_ACK, .peer = from};
    if (ack->outcome == WIRE__TXN_OUTCOME__TXN_OUTCOME_COMMIT)
        message.outcome = TXN_OUTCOME_COMMIT;
    else if (ack->outcome == WIRE__TXN_OUTCOME__TXN_OUTCOME_ABORT)
        message.outcome = TXN_OUTCOME_ABORT;
    if (wire_read_uuid(&ack->txid, &message.txid))
        wire_receive(self, &message);
}

static void wire_on_reply(void *self, uint64_t from, const ProtobufCMessage *base)
{
    const Wire__InquiryReply *reply = (const Wire__InquiryReply *)base;
    struct txn_message message = {
        .type = TXN_MESSAGE_INQUIRY_REPLY, .peer = from, .text = reply->text};
    if (reply->standing > TXN_STANDING_ABORTED || !wire_read_uuid(&reply->txid, &message.txid))
        return;
    message.standing = (enum txn_standing)reply->standing;
    wire_receive(self, &message);
}

static void wire_receive_items(struct participant *participant, uint64_t from,
                               enum txn_message_type type, Wire__TxnItem *const *items, size_t n)
{
    if (n > TXN_KEYS_MAX)
        return;
    struct txn_item *read = mem_calloc(n + 1, sizeof *read);
    struct txn_message message = {.type = type, .peer = from, .items = read};
    for (size_t i = 0; i < n; i++) {
        struct txn_item *item = &read[message.items_n];
        *item = (struct txn_item){.key = items[i]->key,
                                  .version = items[i]->version,
                                  .at_ms = (int64_t)items[i]->at_ms,
                                  .value = items[i]->value.data,
                                  .len = items[i]->value.len};
        (void)wire_read_uuid(&items[i]->txid, &item->txid);
        message.items_n++;
    }
    wire_receive(participant, &message);
    free(read);
}

static void wire_on_heartbeat(void *self, uint64_t from, const ProtobufCMessage *base)
{
    const Wire__RoutingHeartbeat *message = (const Wire__RoutingHeartbeat *)base;
    wire_receive_items(self, from, TXN_MESSAGE_HEARTBEAT, message->items, message->n_items);
}

static void wire_on_fetch(void *self, uint64_t from, const ProtobufCMessage *base)
{
    const Wire__RoutingFetch *message = (const Wire__RoutingFetch *)base;
    wire_receive_items(self, from, TXN_MESSAGE_FETCH, message->items, message->n_items);
}

static void wire_on_items(void *self, uint64_t from, const ProtobufCMessage *base)
{
    const Wire__RoutingItems *message = (const Wire__RoutingItems *)base;
    wire_receive_items(self, from, TXN_MESSAGE_ITEMS, message->items, message->n_items);
}

static void wire_on_snapshot(void *self, uint64_t from, const ProtobufCMessage *base)
{
    struct participant *participant = self;
    rollouts_on_snapshot(participant->rollouts, from, (const Wire__HealthSnapshot *)base);
}

const struct role_handler participant_handlers[] = {
    {WIRE_PREPARE_REQ, wire_on_prepare},
    {WIRE_VOTE, wire_on_vote},
    {WIRE_DECISION, wire_on_decision},
    {WIRE_DECISION_ACK, wire_on_ack},
    {WIRE_INQUIRY, wire_on_inquiry},
    {WIRE_INQUIRY_REPLY, wire_on_reply},
    {WIRE_ROUTING_HEARTBEAT, wire_on_heartbeat},
    {WIRE_ROUTING_FETCH, wire_on_fetch},
    {WIRE_ROUTING_ITEMS, wire_on_items},
    {WIRE_HEALTH_SNAPSHOT, wire_on_snapshot},
    {0, NULL},
};
