/* Happy path: messages go to the one role that handles their type, those to itself too; links are
 * in node_link.c, members and the leader in node_member.c, calls in node_call.c. */
#include "role/node.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "role/events.h"
#include "role/node_internal.h"
#include "role/routing_table.h"
#include "run/data_dir.h"

static const struct log_about node_log = {.role = "node"};

struct node *node_new(struct loop *loop, const struct node_options *options, struct link_set *links,
                      struct http_router *router, struct spawn *spawn, struct http_client *http)
{
    struct node *node = mem_zalloc(sizeof *node);
    node->loop = loop;
    node->options = *options;
    node->links = links;
    node->router = router;
    node->spawn = spawn;
    node->http = http;
    node->routing = routing_table_new();
    node->cluster_id = mem_strdup(options->cluster_id);
    node->id = options->id;
    node->members = mem_zalloc(sizeof *node->members);
    wire__members__init(node->members);
    TAILQ_INIT(&node->dials);
    STAILQ_INIT(&node->local);
    node_calls_init(node);
    node_forward_init(node);
    return node;
}

void node_free(struct node *node)
{
    if (node == NULL)
        return;
    for (unsigned i = 0; i < node->roles_n; i++)
        node->roles[i].role->free(node->roles[i].self);
    node_calls_done(node);
    node_forward_done(node);
    loop_hook_disarm(&node->local_hook);
    struct node_local *local;
    while ((local = STAILQ_FIRST(&node->local)) != NULL) {
        STAILQ_REMOVE_HEAD(&node->local, link);
        wire_free(local->message);
        free(local);
    }
    struct node_dial *dial;
    while ((dial = TAILQ_FIRST(&node->dials)) != NULL) {
        TAILQ_REMOVE(&node->dials, dial, link);
        free(dial->address);
        free(dial);
    }
    struct node_hold *hold;
    struct node_hold *next_hold;
    HASH_ITER (hh, node->holds, hold, next_hold) {
        HASH_DEL(node->holds, hold);
        free(hold);
    }
    struct node_peer *peer;
    struct node_peer *next;
    HASH_ITER (hh, node->peers, peer, next) {
        HASH_DEL(node->peers, peer);
        free(peer);
    }
    wire__members__free_unpacked(node->members, NULL);
    routing_table_free(node->routing);
    free(node->cluster_id);
    free(node);
}

/* ---- what the node is ------------------------------------------------------------------------ */

void node_set_options(struct node *node, const struct node_options *options)
{
    assert(node->roles_n == 0);
    node->options = *options;
}

const struct node_options *node_options(const struct node *node)
{
    return &node->options;
}

struct loop *node_loop(const struct node *node)
{
    return node->loop;
}

struct http_router *node_router(const struct node *node)
{
    return node->router;
}

struct spawn *node_spawn(const struct node *node)
{
    return node->spawn;
}

struct routing_table *node_routing(const struct node *node)
{
    return node->routing;
}

struct http_client *node_http(const struct node *node)
{
    return node->http;
}

struct link_set *node_links(const struct node *node)
{
    return node->links;
}

uint64_t node_id(const struct node *node)
{
    return node->id;
}

const char *node_cluster_id(const struct node *node)
{
    return node->cluster_id;
}

void node_on_identity(struct node *node,
                      int (*fn)(void *arg, const char *cluster_id, uint64_t id, struct error *e),
                      void *arg)
{
    node->on_identity = fn;
    node->on_identity_arg = arg;
}

int node_set_identity(struct node *node, const char *cluster_id, uint64_t id, struct error *e)
{
    int err = node->on_identity(node->on_identity_arg, cluster_id, id, e);
    if (err < 0)
        return err;
    free(node->cluster_id);
    node->cluster_id = mem_strdup(cluster_id);
    node->id = id;
    return 0;
}

void node_on_fatal(struct node *node, void (*fn)(void *arg, const struct error *e), void *arg)
{
    node->on_fatal = fn;
    node->on_fatal_arg = arg;
}

void node_fatal(struct node *node, const struct error *e)
{
    node->on_fatal(node->on_fatal_arg, e);
}

/* ---- roles ----------------------------------------------------------------------------------- */

int node_add_role(struct node *node, const struct role *role, struct error *e)
{
    assert(node->roles_n < NODE_ROLES_MAX);
    void *self = NULL;
    int err = role->start(node, &self, e);
    if (err < 0)
        return err;
    node->roles[node->roles_n++] = (struct node_role){.role = role, .self = self};
    for (const struct role_handler *h = role->handlers; h != NULL && h->type != 0; h++) {
        assert(node->handlers[h->type].fn == NULL);
        node->handlers[h->type].fn = h->fn;
        node->handlers[h->type].self = self;
    }
    return 0;
}

void node_stop(struct node *node, void (*stopped)(void *arg), void *arg)
{
    node->stopped = stopped;
    node->stopped_arg = arg;
    node->stopping = node->roles_n + 1;
    for (unsigned i = node->roles_n; i-- > 0;)
        node->roles[i].role->stop(node->roles[i].self);
    node_role_stopped(node);
}

/* Behind everything that the roles still had to say. */
static void node_say_leave(struct node *node)
{
    Wire__Leave leave = WIRE__LEAVE__INIT;
    uint64_t leader = node_leader(node);
    if (leader != 0 && leader != node_id(node) && node_session(node, leader) != 0)
        (void)node_send(node, leader, WIRE_LEAVE, &leave.base);
}

void node_role_stopped(struct node *node)
{
    assert(node->stopping > 0);
    if (--node->stopping > 0)
        return;
    node_say_leave(node);
    node->stopped(node->stopped_arg);
}

void node_joined(struct node *node)
{
    for (unsigned i = 0; i < node->roles_n; i++)
        if (node->roles[i].role->on_joined != NULL)
            node->roles[i].role->on_joined(node->roles[i].self);
}

void node_set_replica(struct node *node, const struct replica *replica)
{
    node->replica = *replica;
}

const struct replica *node_replica(const struct node *node)
{
    return node->replica.state != NULL ? &node->replica : NULL;
}

struct lake *node_lake(struct node *node)
{
    return &node->lake;
}

void node_set_events(struct node *node, struct events *events)
{
    node->events = events;
}

struct events *node_events(const struct node *node)
{
    return node->events;
}

void node_set_work(struct node *node, const struct node_work *work)
{
    node->work = *work;
}

void node_on_pulse(struct node *node, void (*fn)(void *arg), void *arg)
{
    node->pulse = fn;
    node->pulse_arg = arg;
}

void node_pulse(struct node *node)
{
    if (node->pulse != NULL)
        node->pulse(node->pulse_arg);
}

const struct node_work *node_work(const struct node *node)
{
    return node->work.held != NULL ? &node->work : NULL;
}

void node_set_active(struct node *node, bool active)
{
    if (active == node->active)
        return;
    node->active = active;
    for (unsigned i = 0; i < node->roles_n; i++) {
        const struct role *role = node->roles[i].role;
        void (*fn)(void *self) = active ? role->on_active : role->on_inactive;
        if (fn != NULL)
            fn(node->roles[i].self);
    }
    node_forward_leader(node);
}

bool node_is_active(const struct node *node)
{
    return node->active;
}

/* ---- messages -------------------------------------------------------------------------------- */

void node_deliver(struct node *node, uint64_t from, enum wire_type type,
                  const ProtobufCMessage *message)
{
    if (node_calls_take(node, from, type, message))
        return;
    if (node->handlers[type].fn != NULL)
        node->handlers[type].fn(node->handlers[type].self, from, message);
    else
        log_debug(&node_log, "message %s from %s is for no role of this node", wire_type_name(type),
                  node_member_name(node, from));
}

void node_on_local(void *arg)
{
    struct node *node = arg;
    STAILQ_HEAD(, node_local) batch = STAILQ_HEAD_INITIALIZER(batch);
    STAILQ_CONCAT(&batch, &node->local);
    struct node_local *local;
    while ((local = STAILQ_FIRST(&batch)) != NULL) {
        STAILQ_REMOVE_HEAD(&batch, link);
        node->delivered = local->message;
        node_deliver(node, node->id, local->type, local->message);
        wire_free(node->delivered);
        node->delivered = NULL;
        free(local);
    }
}

ProtobufCMessage *node_take_message(struct node *node, const ProtobufCMessage *message)
{
    if (message != node->delivered)
        return NULL;
    ProtobufCMessage *taken = node->delivered;
    node->delivered = NULL;
    return taken;
}

static int node_queue_local(struct node *node, enum wire_type type, ProtobufCMessage *message)
{
    struct node_local *local = mem_zalloc(sizeof *local);
    local->type = type;
    local->message = message;
    STAILQ_INSERT_TAIL(&node->local, local, link);
    loop_hook_arm(&node->local_hook);
    return 0;
}

static int node_send_local(struct node *node, enum wire_type type, const ProtobufCMessage *message)
{
    size_t len = protobuf_c_message_get_packed_size(message);
    uint8_t *packed = mem_alloc(len);
    (void)protobuf_c_message_pack(message, packed);
    ProtobufCMessage *copy = NULL;
    int err = wire_unpack(type, packed, len, &copy);
    free(packed);
    return err < 0 ? err : node_queue_local(node, type, copy);
}

static struct node_peer *node_peer(const struct node *node, uint64_t id)
{
    struct node_peer *peer = NULL;
    HASH_FIND(hh, node->peers, &id, sizeof id, peer);
    return peer;
}

int node_send(struct node *node, uint64_t to, enum wire_type type, const ProtobufCMessage *message)
{
    if (to == node->id)
        return node_send_local(node, type, message);
    struct node_peer *peer = node_peer(node, to);
    if (peer == NULL)
        return ERR_UNAVAILABLE;
    int err = link_send(peer->link, type, message);
    return err == ERR_CLOSED ? ERR_UNAVAILABLE : err;
}

int node_send_given(struct node *node, uint64_t to, enum wire_type type, ProtobufCMessage *message)
{
    if (to == node->id)
        return node_queue_local(node, type, message);
    int err = node_send(node, to, type, message);
    wire_free(message);
    return err;
}

uint64_t node_session(const struct node *node, uint64_t peer_id)
{
    if (peer_id == node->id)
        return 1;
    struct node_peer *peer = node_peer(node, peer_id);
    return peer != NULL ? peer->session : 0;
}

uint32_t node_rtt_us(const struct node *node, uint64_t peer_id)
{
    struct node_peer *peer = node_peer(node, peer_id);
    if (peer == NULL)
        return 0;
    struct link_stats stats;
    link_get_stats(peer->link, &stats);
    return stats.rtt_us;
}
