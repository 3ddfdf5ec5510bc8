/* The target of a request taken apart: path segments and query parameters, percent-decoded. */
#ifndef WIRE_HTTP_TARGET_H
#define WIRE_HTTP_TARGET_H

#include <stddef.h>

#include "base/error.h"

enum {
    HTTP_TARGET_MAX = 8192, /* bytes of path and query */
    HTTP_SEGMENTS_MAX = 16,
    HTTP_QUERY_MAX = 32, /* parameters in a query; further ones are an error */
    HTTP_TARGET_INLINE_MAX = 160,
};

struct http_query {
    const char *name;
    const char *value;
};

struct http_target {
    char *raw;             /* path and query as sent */
    size_t path_len;       /* bytes of `raw` before the query */
    const char *authority; /* of a target in absolute form, else NULL */
    const char *segments[HTTP_SEGMENTS_MAX];
    size_t segments_len;
    struct http_query query[HTTP_QUERY_MAX];
    size_t query_len;
    char *heap; /* NULL: all fits in `store` */
    char store[2 * HTTP_TARGET_INLINE_MAX];
};

/* Parses `raw` ("/path?query", "http://host/path?query", "*"), which is copied. ERR_TOO_LARGE:
 * longer than HTTP_TARGET_MAX; ERR_INVALID: no path, bad percent encoding, %00, not UTF-8, too many
 * segments or parameters. After a failure there is nothing to release. */
int http_target_parse(struct http_target *target, const char *raw, struct error *e);
void http_target_done(struct http_target *target);

/* The value of the first query parameter of this name, or NULL. */
const char *http_target_query(const struct http_target *target, const char *name);

#endif
