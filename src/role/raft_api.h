/* /api/raft: the Raft group as operators see and change it. On every node. */
#ifndef ROLE_RAFT_API_H
#define ROLE_RAFT_API_H

struct node;

void raft_api_add_routes(struct node *node);

#endif
