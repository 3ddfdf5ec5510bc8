/* The other nodes: who they are, and what is sent to them. */
#include "core/order_internal.h"

struct order_peer *order_peer(const struct order *order, uint64_t id)
{
    struct order_peer *peer;
    HASH_FIND(hh, order->peers, &id, sizeof id, peer);
    return peer;
}

struct order_peer *order_peer_get(struct order *order, uint64_t id)
{
    struct order_peer *peer = order_peer(order, id);
    if (peer != NULL)
        return peer;
    peer = mem_zalloc(sizeof *peer);
    peer->id = id;
    peer->probing = true;
    peer->probe_seq = UINT64_MAX;
    peer->next_seq = order->log.last_seq + 1;
    HASH_ADD(hh, order->peers, id, sizeof peer->id, peer);
    return peer;
}

void order_peers_free(struct order *order)
{
    struct order_peer *peer;
    struct order_peer *next;
    HASH_ITER (hh, order->peers, peer, next) {
        HASH_DEL(order->peers, peer);
        free(peer);
    }
}

const struct order_conf *order_conf(const struct order *order)
{
    if (ORDER_BUG(MEMBERS_LATE))
        return &order->confs[0];
    return &order->confs[order->confs_n - 1];
}

const struct order_member *order_conf_find(const struct order_conf *conf, uint64_t id)
{
    for (size_t i = 0; i < conf->n; i++) {
        if (conf->members[i].id == id)
            return &conf->members[i];
    }
    return NULL;
}

void order_peers_refresh(struct order *order)
{
    const struct order_conf *conf = order_conf(order);
    for (size_t i = 0; i < conf->n; i++) {
        if (conf->members[i].id != order->config.id)
            order_peer_get(order, conf->members[i].id);
    }
    struct order_peer *peer;
    struct order_peer *next;
    HASH_ITER (hh, order->peers, peer, next) {
        const struct order_member *member = order_conf_find(conf, peer->id);
        peer->member = member != NULL;
        peer->voter = member != NULL && member->voter;
        if (member == NULL && !peer->linked) {
            HASH_DEL(order->peers, peer);
            free(peer);
        }
    }
}

size_t order_voters(const struct order *order)
{
    const struct order_conf *conf = order_conf(order);
    size_t voters = 0;
    for (size_t i = 0; i < conf->n; i++)
        voters += conf->members[i].voter;
    return voters;
}

size_t order_majority(const struct order *order)
{
    return order_voters(order) / 2 + 1;
}

bool order_is_voter(const struct order *order)
{
    const struct order_member *self = order_conf_find(order_conf(order), order->config.id);
    return self != NULL && self->voter;
}

void *order_send(struct order *order, uint64_t to, Wire__ChatMessage__KindCase kind)
{
    const struct order_peer *peer = order_peer(order, to);
    if (peer == NULL || !peer->linked)
        return NULL;
    const ProtobufCMessageDescriptor *descriptor =
        protobuf_c_message_descriptor_get_field(&wire__chat_message__descriptor, kind)->descriptor;
    ProtobufCMessage *body = mem_alloc(descriptor->sizeof_message);
    protobuf_c_message_init(descriptor, body);
    Wire__ChatMessage *message = mem_alloc(sizeof *message);
    wire__chat_message__init(message);
    message->group = order->meta.group;
    message->term = order->meta.term;
    message->kind_case = kind;
    message->poll = (Wire__ChatPoll *)body; /* a union of pointers */
    struct order_update *update = order->update;
    MEM_GROW(update->sends, update->sends_cap, update->sends_n + 1);
    update->sends[update->sends_n++] = (struct order_send){.peer = to, .message = message};
    return body;
}
