/* What the parts of role/node share; nobody else includes it. */
#ifndef ROLE_NODE_INTERNAL_H
#define ROLE_NODE_INTERNAL_H

#include <sys/queue.h>
#include <uthash.h>

#include "role/node.h"

struct node_role {
    const struct role *role;
    void *self;
};

/* A linked peer: a member, or one that wants to join and has a number above NODE_GUEST. */
struct node_peer {
    uint64_t id;
    struct link *link;
    uint64_t session;
    UT_hash_handle hh;
};

#define NODE_GUEST (UINT64_C(1) << 63)

struct node_dial {
    uint64_t id; /* 0: one of the configured addresses to join through */
    char *address;
    struct link_dial *dial;
    TAILQ_ENTRY(node_dial) link;
};

/* A member that is dialed although the size of the cluster doesn't ask for it, for so many calls.
 */
struct node_hold {
    uint64_t id;
    unsigned n;
    UT_hash_handle hh;
};

/* A message of this node to itself. */
/* Takes the message, also when it fails. */
int node_send_given(struct node *node, uint64_t to, enum wire_type type, ProtobufCMessage *message);

/* A message of this node to itself. */
struct node_local {
    enum wire_type type;
    ProtobufCMessage *message;
    STAILQ_ENTRY(node_local) link;
};

struct node_call;
struct node_held;

struct node {
    struct loop *loop;
    struct node_options options;
    struct link_set *links;
    struct http_router *router;
    struct spawn *spawn;
    struct http_client *http;
    struct routing_table *routing;
    char *cluster_id;
    uint64_t id;

    struct node_role roles[NODE_ROLES_MAX];
    unsigned roles_n;
    struct {
        role_handler_fn fn;
        void *self;
    } handlers[WIRE_TYPE_LIMIT];

    Wire__Members *members;
    uint64_t leader;
    uint64_t term;
    int64_t leader_since_ms;
    uint64_t leader_before; /* 0: none */
    struct {
        node_election_fn fn;
        void *arg;
    } elections[NODE_ELECTIONS_MAX];
    unsigned elections_n;

    struct replica replica;
    struct lake lake;
    struct node_work work;
    struct events *events;
    void (*pulse)(void *arg);
    void *pulse_arg;
    bool active;

    struct node_peer *peers;
    uint64_t sessions;
    uint64_t guests;
    TAILQ_HEAD(, node_dial) dials;
    struct node_hold *holds;
    int64_t complain_ms; /* when it is next said why this node cannot join; 0: nothing failed yet */

    ProtobufCMessage *delivered; /* the local message that a handler has; NULL: taken, or none */
    STAILQ_HEAD(, node_local) local;
    struct loop_hook local_hook;

    struct node_call *calls;
    uint64_t calls_last;
    STAILQ_HEAD(, node_call) calls_failed; /* to be told outside of their maker */
    struct loop_hook calls_hook;

    TAILQ_HEAD(node_held_list, node_held) held; /* API requests that wait for a leader */
    struct loop_timer held_timer;

    int (*on_identity)(void *arg, const char *cluster_id, uint64_t id, struct error *e);
    void *on_identity_arg;
    void (*on_fatal)(void *arg, const struct error *e);
    void *on_fatal_arg;
    unsigned stopping; /* roles that have not stopped yet */
    void (*stopped)(void *arg);
    void *stopped_arg;
};

/* Hands a message to the role that handles its type. */
void node_deliver(struct node *node, uint64_t from, enum wire_type type,
                  const ProtobufCMessage *message);
/* Delivers what this node sent to itself. */
void node_on_local(void *arg);

/* Dials whom the members that are known now ask for, and nobody else. */
void node_update_dials(struct node *node);

void node_calls_init(struct node *node);
void node_calls_done(struct node *node);
/* Hands a reply to its call; true when `type` is a reply at all. */
bool node_calls_take(struct node *node, uint64_t from, enum wire_type type,
                     const ProtobufCMessage *message);
void node_calls_lost(struct node *node, uint64_t peer);
/* The link to `peer` is up: what waited for it is sent. */
void node_calls_linked(struct node *node, uint64_t peer);

/* Has a member dialed until released as often. */
void node_hold_link(struct node *node, uint64_t peer);
void node_release_link(struct node *node, uint64_t peer);

void node_forward_init(struct node *node);
void node_forward_done(struct node *node);
/* A leader is known now: what was held goes on. */
void node_forward_leader(struct node *node);

#endif
