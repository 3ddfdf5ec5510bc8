/* Listening sockets, non-blocking and close-on-exec. */
#ifndef RUN_HTTP_LISTEN_H
#define RUN_HTTP_LISTEN_H

#include <stdint.h>
#include <sys/types.h>

#include "base/error.h"

enum { HTTP_LISTEN_BACKLOG = 1024, HTTP_LISTEN_PATH_MAX = 107 };

/* Contracts as http_server_listen_unix() and http_server_listen_tcp(); return the descriptor. */
int http_listen_unix(const char *path, mode_t mode, struct error *e);
int http_listen_tcp(const char *host, uint16_t port, uint16_t *port_out, struct error *e);

#endif
