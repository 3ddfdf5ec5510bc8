/* /api/raft: the Raft group as operators see and change it. On every node. */
#ifndef ROLE_RAFT_API_H
#define ROLE_RAFT_API_H

#include <jansson.h>

struct node;

void raft_api_add_routes(struct node *node);

/* The rows of /api/raft, on the node that leads. */
json_t *raft_api_members(const struct node *node);

#endif
