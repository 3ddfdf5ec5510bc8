/* Links of a node: who may link, what comes over a link, and whom it dials: the members that the
 * size of the cluster asks for, those that calls hold, the configured addresses until it has
 * joined. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "role/events.h"
#include "role/node_internal.h"

enum {
    NODE_COMPLAIN_FIRST_MS = 2000,
    NODE_COMPLAIN_MS = 10000,
};

static const struct log_about node_log = {.role = "node"};

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

void node_update_dials(struct node *node)
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
