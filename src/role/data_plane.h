/* The data plane of a node that takes part in rollouts: HTTP on a port of its own (run/proxy.h),
 * serving what the routing table says and telling it how the models fare.
 *
 *     /predict, /predict/SERVICE         forwarded to a model
 *     /health                            200 in rotation, else 503 and why
 *     /routing                           all services
 *     /routing/state[/SERVICE]           one
 */
#ifndef ROLE_DATA_PLANE_H
#define ROLE_DATA_PLANE_H

#include "role/role.h"

/* Listens where the node's options say; nowhere when they say "none". */
extern const struct role data_plane_role;

#endif
