/* The chat role: this node's part in the ordered log (core/order.h), and the API to it. */
#ifndef ROLE_CHAT_H
#define ROLE_CHAT_H

#include "role/role.h"

extern const struct role chat_role;

/* Answers /api/chat/... where the role is not. */
struct node;
void chat_api_refuse(struct node *node);

#endif
