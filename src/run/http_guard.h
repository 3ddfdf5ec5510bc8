/* Who may ask: the checks of a request's head, before its body is read. */
#ifndef RUN_HTTP_GUARD_H
#define RUN_HTTP_GUARD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "run/http_internal.h"

/* The headers that decide whether a request is served. NULL: absent. */
struct http_head {
    const char *host;
    const char *origin;
    const char *authorization;
    const char *content_type;
    const char *content_length;
    const char *transfer_encoding;
    const char *expect;
    bool repeated; /* Host, Content-Length or Transfer-Encoding came twice */
};

/* Notes one header. */
void http_head_add(struct http_head *head, const char *name, const char *value);

struct http_guard {
    char *token; /* NULL: none is accepted */
    char **host_names;
    size_t host_names_len;
};

void http_guard_init(struct http_guard *guard, const char *token, const char *const *host_names,
                     size_t host_names_len);
void http_guard_done(struct http_guard *guard);
void http_guard_set_token(struct http_guard *guard, const char *token);

/* On TCP: Host must be ours (with `port` or none), Origin absent or the same as Host: 403 else.
 * `authority` is the one of a target in absolute form or NULL. */
void http_guard_check_origin(const struct http_guard *guard, const struct http_head *head,
                             const char *authority, uint16_t port, struct http_refusal *refusal);
/* The token: 401 when it is missing or wrong. */
void http_guard_check_token(const struct http_guard *guard, const struct http_head *head,
                            struct http_refusal *refusal);

/* Whether the framing of the request is sound: 400 for repeated or contradicting lengths, unknown
 * transfer encodings and expectations. */
void http_guard_check_framing(const struct http_head *head, struct http_refusal *refusal);
/* Whether the content type of a body is one that means JSON, or is missing; 415 else. */
void http_guard_check_json(const struct http_head *head, struct http_refusal *refusal);

void http_refusal_set(struct http_refusal *refusal, unsigned status, const char *hint,
                      const char *fmt, ...) __attribute__((format(printf, 4, 5)));

#endif
