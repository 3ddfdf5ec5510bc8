/* Every node's heartbeat to the leader: how the node is and how much work it has; in the first one
 * to a leader, in a term, on a link: everything that it holds (see node_set_work()). */
#ifndef ROLE_HEARTBEAT_H
#define ROLE_HEARTBEAT_H

#include "role/role.h"

/* On every node, with or without the worker role. */
extern const struct role heartbeat_role;

#endif
