/* Where the API of a node is: "unix:PATH", "http://HOST:PORT" or "https://HOST:PORT". */
#ifndef CLIENT_CLIENT_ENDPOINT_H
#define CLIENT_CLIENT_ENDPOINT_H

#include <stdbool.h>

#include "base/error.h"

enum { CLIENT_ENDPOINT_TEXT_MAX = 512 };

enum client_scheme { CLIENT_SCHEME_UNIX, CLIENT_SCHEME_HTTP, CLIENT_SCHEME_HTTPS };

struct client_endpoint {
    enum client_scheme scheme;
    char text[CLIENT_ENDPOINT_TEXT_MAX];        /* canonical; says the same endpoint the same way */
    char socket_path[CLIENT_ENDPOINT_TEXT_MAX]; /* UNIX; else "" */
    char base_url[CLIENT_ENDPOINT_TEXT_MAX];    /* without a trailing slash; "http://localhost" for
                                                   UNIX */
};

/* Also takes a bare path of a socket, HOST:PORT (http), and no port (7401). */
int client_endpoint_parse(const char *text, struct client_endpoint *endpoint, struct error *e);

/* The endpoints to use when none is given: $CLUSTERSH_ENDPOINT, else the first socket there is of
 * $XDG_RUNTIME_DIR/clusterd/clusterd.sock, /run/clusterd/clusterd.sock and those of this
 * user below ./.quickstart or ./clusterd-dev. Returns malloc'ed text, or NULL and ERR_NOT_FOUND in
 * `e`. */
char *client_endpoint_default(struct error *e);

/* True for 127.0.0.0/8, ::1, localhost and Unix sockets. */
bool client_endpoint_is_local(const struct client_endpoint *endpoint);

#endif
