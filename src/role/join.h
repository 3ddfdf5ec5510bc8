/* Every node's part in membership: asks to be a member, keeps the list that the leader tells. */
#ifndef ROLE_JOIN_H
#define ROLE_JOIN_H

#include "role/role.h"

extern const struct role join_role;

/* This node as a row of the members' table; strings are borrowed from its options. */
void join_describe(const struct node *node, Wire__Node *row);

#endif
