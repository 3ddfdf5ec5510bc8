/* The bearer token that TCP endpoints ask for. */
#ifndef CLIENT_CLIENT_TOKEN_H
#define CLIENT_CLIENT_TOKEN_H

#include <stddef.h>

#include "base/error.h"
#include "client/client_endpoint.h"

enum { CLIENT_TOKEN_BYTES_MAX = 4096 };

/* The first there is of: `token`, the content of `token_file`, $CLUSTERSH_TOKEN, the content of
 * $CLUSTERSH_TOKEN_FILE, a file api.token beside the socket of an endpoint. *found is malloc'ed,
 * NULL when there is none. Fails only for a file that was named and can't be read or holds no
 * token. */
int client_token_find(const char *token, const char *token_file,
                      const struct client_endpoint *endpoints, size_t n, char **found,
                      struct error *e);

#endif
