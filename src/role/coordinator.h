/* The coordinator: decides which node runs what. Its state lives in core/scheduler and, durably, in
 * the replicated state; active on the leader only. */
#ifndef ROLE_COORDINATOR_H
#define ROLE_COORDINATOR_H

#include "role/role.h"

/* On every node: where another node leads, its routes forward. */
extern const struct role coordinator_role;

#endif
