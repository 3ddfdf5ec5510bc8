/* What a node says of itself, and the keys that a cluster keeps: /healthz, /api/status,
 * /api/elections, /api/kv, /api/audit. On every node. */
#ifndef ROLE_STATUS_API_H
#define ROLE_STATUS_API_H

struct node;

void status_api_add_routes(struct node *node);
void kv_api_add_routes(struct node *node);

#endif
