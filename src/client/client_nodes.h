/* Groups of nodes, as in @worker. */
#ifndef CLIENT_CLIENT_NODES_H
#define CLIENT_CLIENT_NODES_H

#include <jansson.h>

#include "base/nodeset.h"

/* Adds those of `nodes` (rows of GET /api/nodes) to `set` that are in the group: all, online,
 * label=L, a role, a kind. ERR_NOT_FOUND when there is no such group. */
int client_nodes_group(const json_t *nodes, const char *name, struct nodeset *set);

#endif
