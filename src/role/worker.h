/* The worker role: takes assignments from the leader, runs them, reports what became of them, and
 * keeps their output for readers. On nodes that run tasks. */
#ifndef ROLE_WORKER_H
#define ROLE_WORKER_H

#include "role/role.h"

extern const struct role worker_role;

#endif
