/* HTTP client on libcurl's multi interface, driven by the loop.
 *
 * Nothing of libcurl is set up before the first call. Only http and https are spoken, also after
 * redirects. Every size and time is bounded. Files are read and written off the loop. The proxies
 * of the environment are used, except by calls with a token or a unix_path.
 */
#ifndef RUN_HTTP_CLIENT_H
#define RUN_HTTP_CLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#include "base/error.h"

enum {
    HTTP_CLIENT_ERROR_BYTES_MAX = 64 * 1024,
    HTTP_CLIENT_URL_BYTES_MAX = 8192,
};

struct http_client;
struct http_call;

struct http_client_options {
    uv_loop_t *loop;
    unsigned calls_max;          /* at once; further ones wait; default 64 */
    unsigned calls_per_host_max; /* default 8 */
    const char *ca_path;         /* PEM file; NULL: the system's */
    const char *cert_path;       /* PEM files of a client certificate; NULL: none */
    const char *key_path;
    const char *user_agent;
};

void http_client_options_init(struct http_client_options *options);
struct http_client *http_client_new(const struct http_client_options *options);
/* Cancels all calls without calling their on_done, then frees the client and calls `fn` (NULL
 * allowed; maybe from inside this). */
void http_client_close(struct http_client *client, void (*fn)(void *arg), void *arg);

/* What a call got. Borrowed for the call of on_done. */
struct http_answer {
    int code;         /* 0 when a complete answer came, of whatever status */
    const char *text; /* says what went wrong, with the URL; "" when code is 0 */
    unsigned status;  /* 0 when none came */
    const char *type; /* content type, "" when none */
    const char *body; /* NUL-terminated; "" when the body went to a descriptor. Of an answer other
                         than 2xx at most HTTP_CLIENT_ERROR_BYTES_MAX; the rest is dropped */
    size_t body_len;
    uint64_t bytes_received; /* of the body */
    uint64_t xxh3;           /* XXH3_64bits of a body, not empty, that went to a descriptor */
    const struct http_call *call;
};

/* A header of the answer, NULL when absent; valid until the next one is asked for. */
const char *http_answer_header(const struct http_answer *answer, const char *name);

/* All headers of that name joined with ", ", cut off before one that does not fit. Returns how
 * many.
 */
size_t http_answer_fields(const struct http_answer *answer, const char *name, char *out,
                          size_t out_max);

/* The URL that the answer came from in the end, after redirects; valid as long as the answer. */
const char *http_answer_url(const struct http_answer *answer);

typedef void (*http_answer_fn)(void *arg, const struct http_answer *answer);
typedef void (*http_progress_fn)(void *arg, uint64_t received, uint64_t total);

/* All is copied except descriptors: `body_fd` is duplicated; `out_fd` is taken and closed, before
 * on_done, and after a cancel once no write to it is under way. Zero means the default. */
struct http_call_options {
    const char *method; /* default GET, or POST with a body */
    const char *url;
    const char *unix_path; /* connect to this socket instead of the URL's host */
    /* "Name: value", NULL-terminated. A body is application/json unless Content-Type is among them.
     */
    const char *const *headers;
    const char *token; /* sent as bearer token; never to another host after a redirect */
    const void *body;
    size_t body_len;
    int body_fd; /* when body_fd_len > 0: so many bytes of it, from offset 0 */
    uint64_t body_fd_len;
    bool to_fd; /* the body of a 2xx answer goes to `out_fd`, any other to memory */
    int out_fd;
    uint64_t body_max;           /* default 16 MiB in memory, 16 GiB to a descriptor */
    unsigned connect_timeout_ms; /* default 10 s */
    unsigned idle_timeout_ms;    /* without a byte either way; whole seconds; default 30 s */
    unsigned total_timeout_ms;   /* default none */
    int redirects_max;           /* default 10; -1: none are followed */
    /* At most 10 times a second; must not start or cancel calls. `total` 0: not known. */
    http_progress_fn on_progress;
    http_answer_fn on_done;
    void *arg;
};

/* Starts a call; on_done is called exactly once, never from inside this, unless cancelled. Codes:
 * ERR_INVALID (URL or protocol), ERR_UNAVAILABLE (no address, refused), ERR_TIMEOUT, ERR_CLOSED
 * (cut short), ERR_TOO_LARGE, ERR_PROTOCOL (redirect loop, malformed answer), ERR_UNAUTHORIZED
 * (certificate), -errno of writing to the descriptor. */
struct http_call *http_client_call(struct http_client *client,
                                   const struct http_call_options *options);

/* Ends a call at once; on_done is not called. Not after on_done. */
void http_call_cancel(struct http_call *call);

#endif
