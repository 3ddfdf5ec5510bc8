/* The participant: a node's part in the transactions that change what every node serves, and, on
 * the leader, the rollouts that begin them.
 *
 * Runs on every node with the metadata or the participant role; all of them are participants. Its
 * log is DATA/routing, JSON lines (run/journal.h). */
#ifndef ROLE_PARTICIPANT_H
#define ROLE_PARTICIPANT_H

#include "role/role.h"

extern const struct role participant_role;

#endif
