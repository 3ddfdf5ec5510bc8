/* Reading JSON (RFC 8259) as it comes, without building a tree: for large inputs and many small
 * ones.
 *
 *     struct json_scan s;
 *     json_scan_init(&s, text, len);
 *     json_scan_object(&s);
 *     while (json_scan_key(&s, &key))
 *         if (json_slice_is(&key, "size"))
 *             json_scan_i64(&s, &size);
 *         else
 *             json_scan_skip(&s, NULL);
 *     if (!json_scan_end(&s)) ...malformed
 *
 * After the first error every function gives false, so that one look at the end is enough. Each key
 * must be followed by reading or skipping its value. Nesting is bounded. */
#ifndef BASE_JSON_SCAN_H
#define BASE_JSON_SCAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"

enum { JSON_SCAN_DEPTH_MAX = 64 };

enum json_kind {
    JSON_KIND_NONE, /* the end, or an error */
    JSON_KIND_OBJECT,
    JSON_KIND_ARRAY,
    JSON_KIND_STRING,
    JSON_KIND_NUMBER,
    JSON_KIND_TRUE,
    JSON_KIND_FALSE,
    JSON_KIND_NULL,
};

/* Not NUL-terminated; may hold NULs. */
struct json_slice {
    const char *text;
    size_t len;
};

struct json_mark {
    const char *at;
    unsigned depth;
    uint64_t begun;
};

struct json_scan {
    const char *begin, *end;
    struct json_mark mark;
    bool failed;
    struct buf key; /* of a key or string with escapes */
    struct buf string;
};

/* `text` is borrowed until json_scan_done(); it may be NULL when `len` is 0. */
void json_scan_init(struct json_scan *s, const char *text, size_t len);
void json_scan_done(struct json_scan *s);
/* The same scanner, with its memory, for another text. */
void json_scan_reset(struct json_scan *s, const char *text, size_t len);

enum json_kind json_scan_peek(struct json_scan *s);

bool json_scan_object(struct json_scan *s);
/* The next key; false at the object's end, which is consumed. Valid until the next call of this. */
bool json_scan_key(struct json_scan *s, struct json_slice *key);
bool json_scan_array(struct json_scan *s);
/* Whether an element follows; false at the array's end, which is consumed. */
bool json_scan_element(struct json_scan *s);

/* The content of a string; valid until the next string is read. Half of a surrogate pair gives
 * U+FFFD. */
bool json_scan_string(struct json_scan *s, struct json_slice *value);
bool json_scan_i64(struct json_scan *s, int64_t *value); /* fails for fractions, out of range */
bool json_scan_bool(struct json_scan *s, bool *value);
bool json_scan_null(struct json_scan *s); /* consumes a null, if it is one; no error otherwise */
/* Any value; `raw` (NULL allowed) is its text. */
bool json_scan_skip(struct json_scan *s, struct json_slice *raw);

/* To read a value twice. */
struct json_mark json_scan_mark(const struct json_scan *s);
void json_scan_rewind(struct json_scan *s, struct json_mark mark);

/* Whether all went well and nothing but white space is left. */
bool json_scan_end(struct json_scan *s);
bool json_scan_failed(const struct json_scan *s);
size_t json_scan_offset(const struct json_scan *s); /* where it stands, or failed */

bool json_slice_is(const struct json_slice *slice, const char *text);
char *json_slice_dup(const struct json_slice *slice);

#endif
