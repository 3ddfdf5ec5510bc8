/* Happy path: links come up, messages go to the one role that handles their type, members and
 * leader are kept as the leader tells them. A link that goes down ends its calls; dialing goes on
 * by itself. */
#include "role/node.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/metric.h"
#include "base/str.h"
#include "role/events.h"
#include "role/node_internal.h"
#include "role/routing_table.h"
#include "run/data_dir.h"

enum {
    NODE_COMPLAIN_FIRST_MS = 2000,
    NODE_COMPLAIN_MS = 10000,
};

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

void node_role_stopped(struct node *node)
{
    assert(node->stopping > 0);
    if (--node->stopping == 0)
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

static void node_deliver(struct node *node, uint64_t from, enum wire_type type,
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

static void node_on_local(void *arg)
{
    struct node *node = arg;
    STAILQ_HEAD(, node_local) batch = STAILQ_HEAD_INITIALIZER(batch);
    STAILQ_CONCAT(&batch, &node->local);
    struct node_local *local;
    while ((local = STAILQ_FIRST(&batch)) != NULL) {
        STAILQ_REMOVE_HEAD(&batch, link);
        node_deliver(node, node->id, local->type, local->message);
        wire_free(local->message);
        free(local);
    }
}

static int node_send_local(struct node *node, enum wire_type type, const ProtobufCMessage *message)
{
    size_t len = protobuf_c_message_get_packed_size(message);
    uint8_t *packed = mem_alloc(len);
    (void)protobuf_c_message_pack(message, packed);
    ProtobufCMessage *copy = NULL;
    int err = wire_unpack(type, packed, len, &copy);
    free(packed);
    if (err < 0)
        return err;
    struct node_local *local = mem_zalloc(sizeof *local);
    local->type = type;
    local->message = copy;
    STAILQ_INSERT_TAIL(&node->local, local, link);
    loop_hook_arm(&node->local_hook);
    return 0;
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

/* ---- links ----------------------------------------------------------------------------------- */

static int node_on_hello(void *arg, struct link *link, const Wire__Hello *hello, struct error *e)
{
    struct node *node = arg;
    (void)link;
    if (node->id == 0 && hello->node_id == 0)
        return error_set(e, ERR_UNAVAILABLE, "neither of us is in a cluster yet");
    const Wire__Node *member = hello->node_id != 0 ? node_member(node, hello->node_id) : NULL;
    if (member != NULL && strcmp(member->uuid, hello->node_uuid) != 0)
        return error_set(e, ERR_CONFLICT, "node %llu is %s, whose data directory is another one",
                         (unsigned long long)hello->node_id, member->name);
    if (member != NULL && member->removed)
        return error_set(e, ERR_FORBIDDEN, "node %s was removed from this cluster", member->name);
    return 0;
}

static void node_tell_link(struct node *node, uint64_t peer, uint64_t session)
{
    for (unsigned i = 0; i < node->roles_n; i++)
        if (node->roles[i].role->on_link != NULL)
            node->roles[i].role->on_link(node->roles[i].self, peer, session);
}

static void node_on_up(void *arg, struct link *link)
{
    struct node *node = arg;
    struct node_peer *peer = mem_zalloc(sizeof *peer);
    peer->id = link_node_id(link);
    if (peer->id == 0)
        peer->id = NODE_GUEST | ++node->guests;
    peer->link = link;
    peer->session = ++node->sessions + 1;
    HASH_ADD(hh, node->peers, id, sizeof peer->id, peer);
    link_set_data(link, peer);
    event_emit(node, EVENT_LINK_UP,
               EVENT_ABOUT(.node = node->options.name,
                           .more = json_pack("{s:s}", "peer", link_peer(link)->name)),
               "%s is linked to %s", node->options.name, link_peer(link)->name);
    node_tell_link(node, peer->id, peer->session);
    node_calls_linked(node, peer->id);
}

static void node_on_message(void *arg, struct link *link, enum wire_type type,
                            const ProtobufCMessage *message)
{
    struct node *node = arg;
    const struct node_peer *peer = link_data(link);
    bool guest = (peer->id & NODE_GUEST) != 0;
    /* One that has not joined may only ask to; to us, as a guest, only the answer may come. */
    if (guest && type != WIRE_JOIN_REQUEST && type != WIRE_JOIN_REPLY) {
        link_close(link, ERR_FORBIDDEN, "join first");
        return;
    }
    node_deliver(node, peer->id, type, message);
}

/* Why a node that wants to join cannot, for whoever waits for it. A wrong token stays wrong. */
static void node_cannot_join(struct node *node, const char *address, int code, const char *reason)
{
    int64_t now_ms = loop_now_ms(node->loop);
    if (code == ERR_UNAUTHORIZED) {
        struct error e;
        (void)error_set(
            &e, code,
            "cannot join through %s: the join token is wrong: set cluster.join_token to "
            "what data/join.token of the founding node holds",
            address);
        node_fatal(node, &e);
    } else if (now_ms >= node->complain_ms) {
        if (node->complain_ms > 0)
            log_warn(LOG_ABOUT(.role = "node", .code = code),
                     "cannot join yet through %s (cluster.join): %s", address, reason);
        node->complain_ms =
            now_ms + (node->complain_ms > 0 ? NODE_COMPLAIN_MS : NODE_COMPLAIN_FIRST_MS);
    }
}

/* One side said why, and meant it: it stops, or has a better link. */
static bool node_is_orderly(int code)
{
    return code == ERR_CLOSED || code == ERR_EXISTS || code == ERR_CANCELLED;
}

static void node_on_down(void *arg, struct link *link, int code, const char *reason)
{
    struct node *node = arg;
    struct node_peer *peer = link_data(link);
    HASH_DEL(node->peers, peer);
    log_info(LOG_ABOUT(.role = "node", .peer = link_peer(link)->name, .code = code),
             "link to %s is down: %s", link_peer(link)->name, reason);
    event_emit(
        node, EVENT_LINK_DOWN,
        EVENT_ABOUT(.node = node->options.name, .cause = reason, .minor = node_is_orderly(code),
                    .more = json_pack("{s:s}", "peer", link_peer(link)->name)),
        "the link of %s to %s is down: %s", node->options.name, link_peer(link)->name, reason);
    node_calls_lost(node, peer->id);
    node_tell_link(node, peer->id, 0);
    free(peer);
    if (node->id == 0 && code == ERR_UNAUTHORIZED)
        node_cannot_join(node, link_peer(link)->peer_address, code, reason);
}

static void node_on_dial_failed(void *arg, struct link_dial *dial, int code, const char *reason)
{
    struct node *node = arg;
    if (node->id == 0)
        node_cannot_join(node, link_dial_address(dial), code, reason);
    else if (code == ERR_CONFLICT)
        log_warn(LOG_ABOUT(.role = "node", .code = code), "cannot link to %s: %s",
                 link_dial_address(dial), reason);
    else
        log_debug(LOG_ABOUT(.role = "node", .code = code), "cannot link to %s: %s",
                  link_dial_address(dial), reason);
}

const struct link_ops *node_link_ops(void)
{
    static const struct link_ops ops = {
        .on_hello = node_on_hello,
        .on_up = node_on_up,
        .on_message = node_on_message,
        .on_down = node_on_down,
        .on_dial_failed = node_on_dial_failed,
    };
    return &ops;
}

static struct node_dial *node_find_dial(struct node *node, uint64_t id, const char *address)
{
    struct node_dial *dial;
    TAILQ_FOREACH (dial, &node->dials, link)
        if (dial->id == id && (address == NULL || strcmp(dial->address, address) == 0))
            return dial;
    return NULL;
}

static void node_dial(struct node *node, uint64_t id, const char *address)
{
    struct error e;
    struct link_dial *handle = link_dial(node->links, address, id, &e);
    if (handle == NULL) {
        log_warn(&node_log, "%s: %s", address, e.text);
        return;
    }
    struct node_dial *dial = mem_zalloc(sizeof *dial);
    dial->id = id;
    dial->address = mem_strdup(address);
    dial->dial = handle;
    TAILQ_INSERT_TAIL(&node->dials, dial, link);
}

static void node_undial(struct node *node, struct node_dial *dial)
{
    TAILQ_REMOVE(&node->dials, dial, link);
    link_undial(dial->dial);
    free(dial->address);
    free(dial);
}

/* Small clusters link everybody; large ones link everybody to the metadata nodes,
 * and others to whom they have something to ask. */
static bool node_wants_link(const struct node *node, const Wire__Node *member)
{
    return member->id != node->id && !member->removed && !member->poll &&
           member->peer_address[0] != '\0' &&
           (node->members->n_nodes <= node->options.mesh_max ||
            (node->options.roles & WIRE__NODE_ROLE__NODE_ROLE_METADATA) != 0 ||
            (member->roles & WIRE__NODE_ROLE__NODE_ROLE_METADATA) != 0 ||
            (node->options.roles & member->roles & WIRE__NODE_ROLE__NODE_ROLE_CHAT) != 0);
}

static struct node_hold *node_find_hold(const struct node *node, uint64_t peer)
{
    struct node_hold *hold = NULL;
    HASH_FIND(hh, node->holds, &peer, sizeof peer, hold);
    return hold;
}

bool node_keeps_link(const struct node *node, uint64_t peer)
{
    const Wire__Node *member = node_member(node, peer);
    return peer == node->id || (member != NULL && node_wants_link(node, member));
}

static void node_update_dials(struct node *node)
{
    struct node_dial *dial = TAILQ_FIRST(&node->dials);
    while (dial != NULL) {
        struct node_dial *next = TAILQ_NEXT(dial, link);
        const Wire__Node *member = dial->id != 0 ? node_member(node, dial->id) : NULL;
        if (dial->id != 0 &&
            (member == NULL ||
             (!node_wants_link(node, member) && node_find_hold(node, dial->id) == NULL) ||
             strcmp(member->peer_address, dial->address) != 0))
            node_undial(node, dial);
        dial = next;
    }
    for (size_t i = 0; i < node->members->n_nodes; i++) {
        const Wire__Node *member = node->members->nodes[i];
        if ((node_wants_link(node, member) || node_find_hold(node, member->id) != NULL) &&
            node_find_dial(node, member->id, NULL) == NULL)
            node_dial(node, member->id, member->peer_address);
    }
}

void node_hold_link(struct node *node, uint64_t peer)
{
    struct node_hold *hold = node_find_hold(node, peer);
    const Wire__Node *member = node_member(node, peer);
    if (hold == NULL) {
        hold = mem_zalloc(sizeof *hold);
        hold->id = peer;
        HASH_ADD(hh, node->holds, id, sizeof hold->id, hold);
    }
    hold->n++;
    if (member != NULL && member->peer_address[0] != '\0' &&
        node_find_dial(node, peer, NULL) == NULL)
        node_dial(node, peer, member->peer_address);
}

void node_release_link(struct node *node, uint64_t peer)
{
    struct node_hold *hold = node_find_hold(node, peer);
    assert(hold != NULL && hold->n > 0);
    if (--hold->n > 0)
        return;
    HASH_DEL(node->holds, hold);
    free(hold);
    struct node_dial *dial = node_find_dial(node, peer, NULL);
    if (dial != NULL && !node_keeps_link(node, peer))
        node_undial(node, dial); /* a link that is up stays */
}

void node_set_links(struct node *node, struct link_set *links)
{
    node->links = links;
    loop_hook_init(&node->local_hook, node->loop, LOOP_PHASE_DEFER, node_on_local, node);
    for (size_t i = 0; i < node->options.join_n; i++)
        if (node_find_dial(node, 0, node->options.join[i]) == NULL)
            node_dial(node, 0, node->options.join[i]);
}

/* ---- members and the leader ------------------------------------------------------------------ */

void node_set_members(struct node *node, const Wire__Members *members)
{
    size_t len = wire__members__get_packed_size(members);
    uint8_t *packed = mem_alloc(len);
    (void)wire__members__pack(members, packed);
    Wire__Members *copy = wire__members__unpack(NULL, len, packed);
    free(packed);
    assert(copy != NULL);
    wire__members__free_unpacked(node->members, NULL);
    node->members = copy;
    node_update_dials(node);
    for (unsigned i = 0; i < node->roles_n; i++)
        if (node->roles[i].role->on_members != NULL)
            node->roles[i].role->on_members(node->roles[i].self);
}

const Wire__Members *node_members(const struct node *node)
{
    return node->members;
}

const Wire__Node *node_member(const struct node *node, uint64_t id)
{
    for (size_t i = 0; i < node->members->n_nodes; i++)
        if (node->members->nodes[i]->id == id)
            return node->members->nodes[i];
    return NULL;
}

const Wire__Node *node_member_named(const struct node *node, const char *name)
{
    for (size_t i = 0; i < node->members->n_nodes; i++)
        if (!node->members->nodes[i]->removed && strcmp(node->members->nodes[i]->name, name) == 0)
            return node->members->nodes[i];
    return NULL;
}

const char *node_member_name(const struct node *node, uint64_t id)
{
    static char unknown[32];
    const Wire__Node *member = node_member(node, id);
    if (member != NULL)
        return member->name;
    (void)snprintf(unknown, sizeof unknown, "node %llu", (unsigned long long)id);
    return unknown;
}

static void node_tell_leader(struct node *node)
{
    const char *name = node->options.name;
    unsigned long long term = node->term;
    if (node->leader == 0)
        event_emit(node, EVENT_RAFT_NONE,
                   EVENT_ABOUT(.node = name, .more = json_pack("{s:I}", "term", (json_int_t)term)),
                   "%s knows no leader of the cluster (term %llu)", name, term);
    else
        event_emit(node, EVENT_RAFT_TERM,
                   EVENT_ABOUT(.node = name, .more = json_pack("{s:I}", "term", (json_int_t)term)),
                   "%s follows %s in term %llu", name, node_member_name(node, node->leader), term);
}

void node_set_leader(struct node *node, uint64_t leader, uint64_t term)
{
    if (term < node->term || (leader == node->leader && term == node->term))
        return;
    if (node->leader != 0)
        node->leader_before = node->leader;
    node->leader_since_ms = loop_wall_ms(node->loop);
    node->leader = leader;
    node->term = term;
    metric_series_add(metric_series(METRIC_LEADER_CHANGES, "cluster"), 1);
    if (leader != 0)
        log_info(&node_log, "%s leads in term %llu",
                 leader == node->id ? "this node" : node_member_name(node, leader),
                 (unsigned long long)term);
    else
        log_info(&node_log, "no leader is known");
    node_tell_leader(node);
    for (unsigned i = 0; i < node->roles_n; i++)
        if (node->roles[i].role->on_leader != NULL)
            node->roles[i].role->on_leader(node->roles[i].self, leader, term);
    node_forward_leader(node);
}

uint64_t node_leader(const struct node *node)
{
    return node->leader;
}

uint64_t node_term(const struct node *node)
{
    return node->term;
}

void node_set_election(struct node *node, node_election_fn fn, void *arg)
{
    assert(node->elections_n < NODE_ELECTIONS_MAX);
    node->elections[node->elections_n].fn = fn;
    node->elections[node->elections_n++].arg = arg;
}

/* Why the cluster's leader leads, as far as this node can tell. */
static void node_explain_leader(const struct node *node, struct node_election *out)
{
    const char *before = node_member_name(node, node->leader_before);
    if (node->leader == 0)
        (void)snprintf(out->reason, sizeof out->reason, "no majority of the metadata nodes");
    else if (node->leader_before == 0)
        (void)snprintf(out->reason, sizeof out->reason, "the first that this node heard of");
    else if (node->leader_before == node->leader)
        (void)snprintf(out->reason, sizeof out->reason, "elected again");
    else
        (void)snprintf(out->reason, sizeof out->reason, "elected after %s, which is %s", before,
                       node_session(node, node->leader_before) != 0 ? "linked" : "not reachable");
}

bool node_election(const struct node *node, unsigned index, struct node_election *out)
{
    if (index > 0) {
        if (index > node->elections_n)
            return false;
        node->elections[index - 1].fn(node->elections[index - 1].arg, out);
        return true;
    }
    bool replica = (node->options.roles & WIRE__NODE_ROLE__NODE_ROLE_METADATA) != 0;
    *out = (struct node_election){
        .group = "cluster",
        .leader = node->leader,
        .term = node->term,
        .since_ms = node->leader_since_ms,
        .state = node->active ? "leading"
                 : replica    ? "follower"
                              : "outside",
    };
    for (size_t i = 0; i < node->members->n_nodes; i++)
        out->members += !node->members->nodes[i]->removed &&
                        (node->members->nodes[i]->roles & WIRE__NODE_ROLE__NODE_ROLE_METADATA) != 0;
    node_explain_leader(node, out);
    return true;
}

static bool node_has_label(const Wire__Node *member, const char *label)
{
    size_t len = strlen(label);
    bool with_value = strchr(label, '=') != NULL;
    for (size_t i = 0; i < member->n_labels; i++)
        if (strcmp(member->labels[i], label) == 0 ||
            (!with_value && strncmp(member->labels[i], label, len) == 0 &&
             member->labels[i][len] == '='))
            return true;
    return false;
}

static bool node_in_group(const struct node *node, const Wire__Node *member, const char *group)
{
    if (strcmp(group, "all") == 0)
        return true;
    if (strcmp(group, "worker") == 0)
        return (member->roles & WIRE__NODE_ROLE__NODE_ROLE_WORKER) != 0;
    if (strcmp(group, "metadata") == 0)
        return (member->roles & WIRE__NODE_ROLE__NODE_ROLE_METADATA) != 0;
    if (strcmp(group, "chat") == 0)
        return (member->roles & WIRE__NODE_ROLE__NODE_ROLE_CHAT) != 0;
    if (strcmp(group, "online") == 0)
        return node_session(node, member->id) != 0;
    return str_starts_with(group, "label=") && node_has_label(member, group + 6);
}

static int node_resolve_group(void *arg, const char *group, struct nodeset *set)
{
    const struct node *node = arg;
    static const char *const known[] = {"all", "worker", "metadata", "chat", "online"};
    bool is_known = str_starts_with(group, "label=");
    for (unsigned i = 0; i < MEM_COUNT(known); i++)
        is_known = is_known || strcmp(known[i], group) == 0;
    if (!is_known)
        return ERR_NOT_FOUND;
    for (size_t i = 0; i < node->members->n_nodes; i++) {
        const Wire__Node *member = node->members->nodes[i];
        if (!member->removed && !member->poll && node_in_group(node, member, group))
            nodeset_add(set, member->name);
    }
    return 0;
}

int node_resolve(const struct node *node, const char *text, struct nodeset *set, struct error *e)
{
    int err = nodeset_parse(set, text, node_resolve_group, (void *)(uintptr_t)node, e);
    for (size_t i = 0; err == 0 && i < set->n; i++)
        if (node_member_named(node, set->names[i]) == NULL)
            err = error_set(e, ERR_NOT_FOUND, "there is no node %s", set->names[i]);
    return err;
}
