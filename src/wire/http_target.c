/* Two copies of the target are made: one stays as it was sent, the other is cut into pieces that
 * are decoded in place (decoding never makes a piece longer). */
#include "wire/http_target.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/mem.h"
#include "base/str.h"

static int http_target_hex(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

/* Decodes `s` in place. */
static int http_target_decode(char *s, bool plus_is_space, struct error *e)
{
    char *out = s;
    bool changed = false;
    for (const char *in = s; *in != '\0'; in++) {
        if (*in == '%') {
            int high = http_target_hex(in[1]);
            int low = high < 0 ? -1 : http_target_hex(in[2]);
            if (low < 0 || (high == 0 && low == 0))
                return error_set(e, ERR_INVALID, "the URL holds a malformed percent encoding");
            *out++ = (char)(high << 4 | low);
            in += 2;
            changed = true;
        } else {
            *out++ = plus_is_space && *in == '+' ? ' ' : *in;
            changed = changed || (*in & 0x80) != 0;
        }
    }
    *out = '\0';
    if (changed && !str_is_utf8(s, (size_t)(out - s)))
        return error_set(e, ERR_INVALID, "the URL is not valid UTF-8");
    return 0;
}

static int http_target_split_path(struct http_target *t, char *path, struct error *e)
{
    if (strcmp(path, "*") == 0)
        return 0;
    if (path[0] != '/')
        return error_set(e, ERR_INVALID, "the URL has no path");
    char *rest = path + 1;
    while (rest != NULL) {
        if (t->segments_len == HTTP_SEGMENTS_MAX)
            return error_set(e, ERR_INVALID, "the path has more than %d segments",
                             HTTP_SEGMENTS_MAX);
        char *segment = strsep(&rest, "/");
        int rc = http_target_decode(segment, false, e);
        if (rc != 0)
            return rc;
        t->segments[t->segments_len++] = segment;
    }
    return 0;
}

static int http_target_split_query(struct http_target *t, char *query, struct error *e)
{
    while (query != NULL) {
        char *value = strsep(&query, "&");
        if (*value == '\0')
            continue;
        if (t->query_len == HTTP_QUERY_MAX)
            return error_set(e, ERR_INVALID, "the query has more than %d parameters",
                             HTTP_QUERY_MAX);
        char *name = strsep(&value, "=");
        if (value == NULL)
            value = name + strlen(name);
        int rc = http_target_decode(name, true, e);
        if (rc == 0)
            rc = http_target_decode(value, true, e);
        if (rc != 0)
            return rc;
        t->query[t->query_len++] = (struct http_query){name, value};
    }
    return 0;
}

/* "http://host:port/path" (RFC 9112, section 3.2.2): keeps the authority, moves on to the path. */
static char *http_target_skip_authority(struct http_target *t, char *copy, size_t *skipped)
{
    size_t scheme = 0;
    if (strncasecmp(copy, "http://", 7) == 0)
        scheme = 7;
    else if (strncasecmp(copy, "https://", 8) == 0)
        scheme = 8;
    *skipped = 0;
    if (scheme == 0)
        return copy;
    size_t len = strcspn(copy + scheme, "/?");
    memmove(copy, copy + scheme, len);
    copy[len] = '\0';
    t->authority = copy;
    *skipped = scheme + len;
    return copy + scheme + len;
}

int http_target_parse(struct http_target *t, const char *raw, struct error *e)
{
    size_t len = strlen(raw);
    if (len > HTTP_TARGET_MAX)
        return error_set(e, ERR_TOO_LARGE, "the URL is longer than %d bytes", HTTP_TARGET_MAX);
    t->heap = len < HTTP_TARGET_INLINE_MAX ? NULL : mem_alloc(2 * (len + 1));
    t->raw = t->heap != NULL ? t->heap : t->store;
    t->segments_len = 0;
    t->query_len = 0;
    t->authority = NULL;
    memcpy(t->raw, raw, len + 1);
    char *copy = t->raw + len + 1;
    memcpy(copy, raw, len + 1);

    size_t skipped;
    char *path = http_target_skip_authority(t, copy, &skipped);
    t->raw += skipped;
    char *query = path;
    path = strsep(&query, "?");
    t->path_len = strlen(path);
    int rc = http_target_split_path(t, path, e);
    if (rc == 0)
        rc = http_target_split_query(t, query, e);
    if (rc != 0)
        http_target_done(t);
    return rc;
}

void http_target_done(struct http_target *t)
{
    free(t->heap);
    t->heap = NULL;
    t->raw = NULL;
    t->segments_len = 0;
    t->query_len = 0;
}

const char *http_target_query(const struct http_target *t, const char *name)
{
    for (size_t i = 0; i < t->query_len; i++)
        if (strcmp(t->query[i].name, name) == 0)
            return t->query[i].value;
    return NULL;
}
