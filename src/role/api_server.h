/* Serves API requests that other nodes forward to this one. */
#ifndef ROLE_API_SERVER_H
#define ROLE_API_SERVER_H

#include "role/role.h"

extern const struct role api_server_role;

#endif
