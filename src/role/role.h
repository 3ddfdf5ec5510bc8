/* A role: what a node does for its cluster. Roles know the node, never each other; they talk by
 * messages, also inside one process. */
#ifndef ROLE_ROLE_H
#define ROLE_ROLE_H

#include <stdint.h>

#include "base/error.h"
#include "wire/message.h"

struct node;

typedef void (*role_handler_fn)(void *self, uint64_t from, const ProtobufCMessage *message);

struct role_handler {
    enum wire_type type;
    role_handler_fn fn; /* `message` is borrowed; `from` may be this node */
};

struct role {
    const char *name;
    /* Makes the role's state and adds its routes to the node's router. */
    int (*start)(struct node *node, void **self, struct error *e);
    /* Ends everything and calls node_role_stopped() once, also from within. Requests that it still
     * holds are answered. */
    void (*stop)(void *self);
    void (*free)(void *self);
    /* Another leader (0: none known) or term. NULL allowed, as for the rest. */
    void (*on_leader)(void *self, uint64_t leader, uint64_t term);
    /* The list of members has changed. */
    void (*on_members)(void *self);
    /* The link to a member came up (`session` > 0, greater than all before) or went down (0). */
    void (*on_link)(void *self, uint64_t peer, uint64_t session);
    /* The node has become a member of a cluster (it may have been one from the start). */
    void (*on_joined)(void *self);
    /* This node leads: the replica holds everything ever acknowledged, the members are known. */
    void (*on_active)(void *self);
    void (*on_inactive)(void *self);
    const struct role_handler *handlers; /* a type belongs to one role; ended by type 0 */
};

#endif
