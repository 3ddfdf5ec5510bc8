/* The metadata role: a replica of the cluster's state, the Raft group, the members' table. */
#ifndef ROLE_METADATA_H
#define ROLE_METADATA_H

#include "role/role.h"

extern const struct role metadata_role;

#endif
