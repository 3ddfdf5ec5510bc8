/* What a node says of itself, and the keys that a cluster keeps: /healthz, /api/status,
 * /api/elections, /api/kv, /api/audit. On every node. */
#ifndef ROLE_STATUS_API_H
#define ROLE_STATUS_API_H

#include <jansson.h>

struct node;
struct node_election;

void status_api_add_routes(struct node *node);
void kv_api_add_routes(struct node *node);

/* A row of /api/elections. */
json_t *status_election_json(const struct node *node, const struct node_election *election);

#endif
