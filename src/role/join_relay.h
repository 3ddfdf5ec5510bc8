/* Requests to join on their way to the leader: a node joins through any member. */
#ifndef ROLE_JOIN_RELAY_H
#define ROLE_JOIN_RELAY_H

#include "role/node.h"

/* Passes the request of peer `from` to the leader, and the leader's answer back. */
void join_relay(struct node *node, uint64_t from, const Wire__JoinRequest *request);

/* For nodes without the metadata role. */
extern const struct role join_relay_role;

#endif
