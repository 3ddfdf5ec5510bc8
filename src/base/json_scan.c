/* Happy path: one pass over the text; strings without escapes are slices of it. Whether a container
 * has had its first member is one bit for each level. */
#include "base/json_scan.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

void json_scan_init(struct json_scan *s, const char *text, size_t len)
{
    if (text == NULL)
        text = "";
    *s = (struct json_scan){.begin = text, .end = text + len, .mark.at = text};
    buf_init(&s->key, SIZE_MAX / 4);
    buf_init(&s->string, SIZE_MAX / 4);
}

void json_scan_reset(struct json_scan *s, const char *text, size_t len)
{
    if (text == NULL)
        text = "";
    s->begin = text;
    s->end = text + len;
    s->mark = (struct json_mark){.at = text};
    s->failed = false;
}

void json_scan_done(struct json_scan *s)
{
    buf_done(&s->key);
    buf_done(&s->string);
}

static bool json_fail(struct json_scan *s)
{
    s->failed = true;
    return false;
}

static void json_skip_space(struct json_scan *s)
{
    const char *at = s->mark.at;
    while (at < s->end && (*at == ' ' || *at == '\n' || *at == '\r' || *at == '\t'))
        at++;
    s->mark.at = at;
}

/* Consumes `c` behind white space. */
static bool json_take(struct json_scan *s, char c)
{
    if (s->failed)
        return false;
    json_skip_space(s);
    if (s->mark.at == s->end || *s->mark.at != c)
        return json_fail(s);
    s->mark.at++;
    return true;
}

static char json_look(struct json_scan *s)
{
    if (s->failed)
        return '\0';
    json_skip_space(s);
    return s->mark.at < s->end ? *s->mark.at : '\0';
}

enum json_kind json_scan_peek(struct json_scan *s)
{
    switch (json_look(s)) {
    case '{':
        return JSON_KIND_OBJECT;
    case '[':
        return JSON_KIND_ARRAY;
    case '"':
        return JSON_KIND_STRING;
    case 't':
        return JSON_KIND_TRUE;
    case 'f':
        return JSON_KIND_FALSE;
    case 'n':
        return JSON_KIND_NULL;
    case '-':
    case '0' ... '9':
        return JSON_KIND_NUMBER;
    default:
        return JSON_KIND_NONE;
    }
}

/* ---- containers -------------------------------------------------------------------------------
 */

static bool json_open(struct json_scan *s, char c)
{
    if (!json_take(s, c))
        return false;
    if (s->mark.depth == JSON_SCAN_DEPTH_MAX)
        return json_fail(s);
    s->mark.begun &= ~(UINT64_C(1) << s->mark.depth);
    s->mark.depth++;
    return true;
}

/* Whether a member follows; the closing `c` is consumed. */
static bool json_next(struct json_scan *s, char c)
{
    char next = json_look(s);
    if (s->failed || s->mark.depth == 0)
        return json_fail(s);
    uint64_t bit = UINT64_C(1) << (s->mark.depth - 1);
    if (next == c) {
        s->mark.at++;
        s->mark.depth--;
        return false;
    }
    if ((s->mark.begun & bit) != 0 && !json_take(s, ','))
        return false;
    s->mark.begun |= bit;
    return true;
}

bool json_scan_object(struct json_scan *s)
{
    return json_open(s, '{');
}

bool json_scan_array(struct json_scan *s)
{
    return json_open(s, '[');
}

bool json_scan_element(struct json_scan *s)
{
    return json_next(s, ']');
}

/* ---- strings ----------------------------------------------------------------------------------
 */

static bool json_hex4(struct json_scan *s, unsigned *code)
{
    unsigned n = 0;
    if (s->end - s->mark.at < 4)
        return json_fail(s);
    for (int i = 0; i < 4; i++) {
        char c = *s->mark.at++;
        if (c >= '0' && c <= '9')
            n = n * 16 + (unsigned)(c - '0');
        else if ((c | 0x20) >= 'a' && (c | 0x20) <= 'f')
            n = n * 16 + (unsigned)((c | 0x20) - 'a') + 10;
        else
            return json_fail(s);
    }
    *code = n;
    return true;
}

/* Writes the UTF-8 of `code` and returns its length. */
static size_t json_put_utf8(uint8_t *out, unsigned code)
{
    size_t n = 0;
    if (code < 0x80) {
        out[n++] = (uint8_t)code;
    } else if (code < 0x800) {
        out[n++] = (uint8_t)(0xc0 | code >> 6);
    } else if (code < 0x10000) {
        out[n++] = (uint8_t)(0xe0 | code >> 12);
        out[n++] = (uint8_t)(0x80 | (code >> 6 & 0x3f));
    } else {
        out[n++] = (uint8_t)(0xf0 | code >> 18);
        out[n++] = (uint8_t)(0x80 | (code >> 12 & 0x3f));
        out[n++] = (uint8_t)(0x80 | (code >> 6 & 0x3f));
    }
    if (code >= 0x80)
        out[n++] = (uint8_t)(0x80 | (code & 0x3f));
    return n;
}

static bool json_unicode(struct json_scan *s, uint8_t *out, size_t *n)
{
    unsigned code, low;
    if (!json_hex4(s, &code))
        return false;
    if (code >= 0xd800 && code < 0xdc00 && s->end - s->mark.at >= 6 && s->mark.at[0] == '\\' &&
        s->mark.at[1] == 'u') {
        const char *back = s->mark.at;
        s->mark.at += 2;
        if (!json_hex4(s, &low))
            return false;
        if (low >= 0xdc00 && low < 0xe000)
            code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
        else
            s->mark.at = back;
    }
    *n = json_put_utf8(out, code >= 0xd800 && code < 0xe000 ? 0xfffd : code);
    return true;
}

/* Decodes what follows a backslash to `out`, which has room for four bytes. */
static bool json_escape(struct json_scan *s, uint8_t *out, size_t *n)
{
    static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
    if (s->mark.at == s->end)
        return json_fail(s);
    char c = *s->mark.at++;
    *n = 1;
    if (c == '"' || c == '\\') {
        *out = (uint8_t)c;
        return true;
    }
    if (c == 'u')
        return json_unicode(s, out, n);
    const char *found = c != '\0' ? strchr(from, c) : NULL;
    if (found == NULL)
        return json_fail(s);
    *out = (uint8_t)to[found - from];
    return true;
}

/* Whether one of eight characters is a quote, a backslash or a control character; it may say so of
 * others that stand behind such a one. */
static bool json_has_special(const char *at)
{
    const uint64_t ones = UINT64_C(0x0101010101010101);
    uint64_t chars;
    memcpy(&chars, at, sizeof chars);
    uint64_t quotes = chars ^ ones * '"', backslashes = chars ^ ones * '\\';
    uint64_t found = ((quotes - ones) & ~quotes) | ((backslashes - ones) & ~backslashes) |
                     ((chars - ones * 0x20) & ~chars);
    return (found & ones * 0x80) != 0;
}

/* Up to the next quote, backslash or control character. */
static const char *json_plain(const char *at, const char *end)
{
    while (end - at >= (ptrdiff_t)sizeof(uint64_t) && !json_has_special(at))
        at += sizeof(uint64_t);
    while (at < end && *at != '"' && *at != '\\' && (unsigned char)*at >= 0x20)
        at++;
    return at;
}

static bool json_string(struct json_scan *s, struct buf *b, struct json_slice *value)
{
    if (!json_take(s, '"'))
        return false;
    const char *from = s->mark.at;
    const char *at = json_plain(from, s->end);
    if (at < s->end && *at == '"') {
        s->mark.at = at + 1;
        *value = (struct json_slice){.text = from, .len = (size_t)(at - from)};
        return true;
    }
    /* What is decoded is never longer than what it is decoded from. */
    buf_clear(b);
    if (buf_reserve(b, (size_t)(s->end - from) + 4) < 0)
        return json_fail(s);
    while (at < s->end && *at == '\\') {
        size_t n = (size_t)(at - from);
        memcpy(b->data + b->len, from, n);
        b->len += n;
        s->mark.at = at + 1;
        if (!json_escape(s, b->data + b->len, &n))
            return false;
        b->len += n;
        from = s->mark.at;
        at = json_plain(from, s->end);
    }
    s->mark.at = at;
    if (at == s->end || *at != '"')
        return json_fail(s);
    (void)buf_append(b, from, (size_t)(at - from));
    s->mark.at = at + 1;
    *value = (struct json_slice){.text = buf_cstr(b), .len = b->len};
    return true;
}

bool json_scan_key(struct json_scan *s, struct json_slice *key)
{
    return json_next(s, '}') && json_string(s, &s->key, key) && json_take(s, ':');
}

bool json_scan_string(struct json_scan *s, struct json_slice *value)
{
    return json_string(s, &s->string, value);
}

/* ---- the rest ---------------------------------------------------------------------------------
 */

static bool json_word(struct json_scan *s, const char *word)
{
    size_t len = strlen(word);
    (void)json_look(s);
    if (s->failed || (size_t)(s->end - s->mark.at) < len || memcmp(s->mark.at, word, len) != 0)
        return json_fail(s);
    s->mark.at += len;
    return true;
}

static const char *json_digits(const char *at, const char *end)
{
    while (at < end && *at >= '0' && *at <= '9')
        at++;
    return at;
}

static bool json_number(struct json_scan *s, struct json_slice *raw)
{
    (void)json_look(s);
    if (s->failed)
        return false;
    const char *at = s->mark.at, *from;
    at += at < s->end && *at == '-';
    from = at;
    at = json_digits(at, s->end);
    if (at == from || (*from == '0' && at - from > 1))
        return json_fail(s);
    if (at < s->end && *at == '.') {
        from = ++at;
        at = json_digits(at, s->end);
        if (at == from)
            return json_fail(s);
    }
    if (at < s->end && (*at | 0x20) == 'e') {
        at++;
        at += at < s->end && (*at == '+' || *at == '-');
        from = at;
        at = json_digits(at, s->end);
        if (at == from)
            return json_fail(s);
    }
    *raw = (struct json_slice){.text = s->mark.at, .len = (size_t)(at - s->mark.at)};
    s->mark.at = at;
    return true;
}

bool json_scan_i64(struct json_scan *s, int64_t *value)
{
    struct json_slice raw;
    char text[32];
    char *rest;
    if (!json_number(s, &raw))
        return false;
    if (raw.len >= sizeof text)
        return json_fail(s);
    memcpy(text, raw.text, raw.len);
    text[raw.len] = '\0';
    errno = 0;
    long long n = strtoll(text, &rest, 10);
    if (*rest != '\0' || errno != 0)
        return json_fail(s);
    *value = n;
    return true;
}

bool json_scan_bool(struct json_scan *s, bool *value)
{
    bool is = json_look(s) == 't';
    if (!json_word(s, is ? "true" : "false"))
        return false;
    *value = is;
    return true;
}

bool json_scan_null(struct json_scan *s)
{
    return json_look(s) == 'n' && json_word(s, "null");
}

static bool json_skip_scalar(struct json_scan *s)
{
    struct json_slice ignored;
    switch (json_scan_peek(s)) {
    case JSON_KIND_STRING:
        return json_string(s, &s->string, &ignored);
    case JSON_KIND_NUMBER:
        return json_number(s, &ignored);
    case JSON_KIND_TRUE:
        return json_word(s, "true");
    case JSON_KIND_FALSE:
        return json_word(s, "false");
    case JSON_KIND_NULL:
        return json_word(s, "null");
    default:
        return json_fail(s);
    }
}

/* Skips one value; recursion is bounded by json_open(). */
static bool json_skip_value(struct json_scan *s)
{
    struct json_slice key;
    enum json_kind kind = json_scan_peek(s);
    if (kind == JSON_KIND_OBJECT) {
        if (!json_scan_object(s))
            return false;
        while (json_scan_key(s, &key))
            if (!json_skip_value(s))
                return false;
    } else if (kind == JSON_KIND_ARRAY) {
        if (!json_scan_array(s))
            return false;
        while (json_scan_element(s))
            if (!json_skip_value(s))
                return false;
    } else {
        return json_skip_scalar(s);
    }
    return !s->failed;
}

bool json_scan_skip(struct json_scan *s, struct json_slice *raw)
{
    (void)json_look(s);
    const char *from = s->mark.at;
    if (!json_skip_value(s))
        return false;
    if (raw != NULL)
        *raw = (struct json_slice){.text = from, .len = (size_t)(s->mark.at - from)};
    return true;
}

struct json_mark json_scan_mark(const struct json_scan *s)
{
    return s->mark;
}

void json_scan_rewind(struct json_scan *s, struct json_mark mark)
{
    s->mark = mark;
}

bool json_scan_end(struct json_scan *s)
{
    (void)json_look(s);
    return !s->failed && s->mark.depth == 0 && s->mark.at == s->end;
}

bool json_scan_failed(const struct json_scan *s)
{
    return s->failed;
}

size_t json_scan_offset(const struct json_scan *s)
{
    return (size_t)(s->mark.at - s->begin);
}

bool json_slice_is(const struct json_slice *slice, const char *text)
{
    return strlen(text) == slice->len && memcmp(slice->text, text, slice->len) == 0;
}

char *json_slice_dup(const struct json_slice *slice)
{
    return mem_strndup(slice->text, slice->len);
}
