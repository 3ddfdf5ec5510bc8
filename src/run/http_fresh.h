/* What a private cache may do with an answer to a GET (RFC 9111): keep it, for how long it may be
 * used without asking, and what to ask with (RFC 9110, section 13).
 *
 * Stricter than the RFC in two places: nothing is thought fresh that does not say so (no heuristic
 * freshness), and a Last-Modified counts only when it is old enough to be exact. */
#ifndef RUN_HTTP_FRESH_H
#define RUN_HTTP_FRESH_H

#include <stdbool.h>
#include <stdint.h>

enum { HTTP_FRESH_TEXT_MAX = 256 };

/* Fields of an answer with status 200 or 304; NULL: absent. Lists that came as several fields are
 * joined with commas. */
struct http_fresh_fields {
    const char *cache_control;
    const char *age;
    const char *date;
    const char *etag;
    const char *last_modified;
    const char *vary;
};

struct http_fresh {
    bool keep;                          /* it may be stored, and there is a way to use it again */
    int64_t fresh_ms;                   /* from when it was asked for; 0: it is asked about first */
    char etag[HTTP_FRESH_TEXT_MAX];     /* "": none */
    char modified[HTTP_FRESH_TEXT_MAX]; /* "": none */
};

void http_fresh_parse(const struct http_fresh_fields *fields, struct http_fresh *out);

/* Whether there is something to ask with. */
bool http_fresh_can_ask(const struct http_fresh *fresh);

/* A header line for the question whether it is still the same: "" without a validator. */
void http_fresh_question(const struct http_fresh *fresh, char out[static HTTP_FRESH_TEXT_MAX + 32]);

#endif
