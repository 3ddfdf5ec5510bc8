/* HTTP/1.1 server (RFC 9110, RFC 9112) on libmicrohttpd, driven by the loop: no threads of its own.
 *
 * On a Unix socket the file mode guards it and every request is trusted. On TCP, loopback too, a
 * request needs the bearer token (or a client certificate, with TLS), its Host must be one of ours
 * (against DNS rebinding) and its Origin, when there is one, must be the same host. No CORS header
 * is ever sent. Connections, header and body sizes, and the time that each step may take are
 * bounded.
 *
 * Handlers run in the poll and idle phases of a loop turn, so a uv_prepare handle sees all requests
 * before the loop waits. An answer given in any phase leaves in the next turn at the latest.
 */
#ifndef RUN_HTTP_SERVER_H
#define RUN_HTTP_SERVER_H

#include <stdint.h>
#include <sys/types.h>
#include <uv.h>

#include "base/error.h"
#include "run/http_router.h"

struct http_server;

/* Strings are copied by http_server_new(). */
struct http_server_options {
    uv_loop_t *loop;
    struct http_router *router;    /* borrowed; outlives the server */
    const char *token;             /* for TCP; NULL: only public routes and certificates */
    const char *const *host_names; /* allowed in Host besides localhost, 127.0.0.1, ::1 */
    size_t host_names_len;
    const char *upload_dir; /* exists; NULL: upload routes answer 501 */
    uint64_t upload_bytes_max;
    unsigned uploads_max;            /* at once; further ones are told 503 */
    unsigned connections_max;        /* for each listener; further ones wait in the backlog */
    unsigned connections_per_ip_max; /* 0: no limit; further ones are closed at once */
    unsigned header_timeout_ms; /* from the first byte (or the accept) to the end of the head */
    unsigned body_timeout_ms;   /* in each such span a body must bring 1 KiB or end */
    unsigned idle_timeout_ms;   /* between requests */
    unsigned write_timeout_ms;  /* for a client that does not read its answer */
};

/* Defaults: 16 GiB and 16 uploads, 1024 connections, 512 of one address, 10 s, 10 s, 120 s, 60 s.
 */
void http_server_options_init(struct http_server_options *options);

/* PEM files. */
struct http_tls {
    const char *cert_path;
    const char *key_path;
    const char *client_ca_path; /* NULL: client certificates are not asked for */
};

struct http_server *http_server_new(const struct http_server_options *options);

/* Listens on `path` with file mode `mode` (0600, or 0660 for a group). A socket file that nobody
 * listens on is replaced. -EADDRINUSE: somebody does; ERR_TOO_LARGE: path longer than 107 bytes. */
int http_server_listen_unix(struct http_server *server, const char *path, mode_t mode,
                            struct error *e);

/* Listens on `host` (address or name) and `port`, 0 for a free one; `port_out` (NULL allowed) gets
 * the real one. `tls` NULL: plain. */
int http_server_listen_tcp(struct http_server *server, const char *host, uint16_t port,
                           const struct http_tls *tls, uint16_t *port_out, struct error *e);

struct http_server_stats {
    uint64_t requests;    /* answered */
    uint64_t refused;     /* by the guard: token, Host, Origin */
    uint64_t timeouts;    /* connections ended because they were too slow */
    unsigned connections; /* open */
    unsigned active;      /* requests in the hands of handlers */
};
void http_server_stats(const struct http_server *server, struct http_server_stats *out);

/* Stops listening (and removes the socket file), tells every on_close, and when all requests have
 * been answered frees the server and then calls `fn` (NULL allowed). A module that holds requests
 * must answer them, or this never ends. */
void http_server_close(struct http_server *server, void (*fn)(void *arg), void *arg);

#endif
