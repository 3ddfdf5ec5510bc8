#include "run/journal_format.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <xxhash.h>

enum {
    SUM_OFFSET = 8, /* of its digits */
    SUM_DIGITS = 16,
    SUMMED_OFFSET = SUM_OFFSET + SUM_DIGITS + 2,
};

static const char sum_begin[] = "{\"sum\":\"";
static const char sum_end[] = "\",";

bool journal_format_is_object(const char *object, size_t len)
{
    return len >= 4 && object[0] == '{' && object[1] == '"' && object[len - 1] == '}' &&
           memchr(object, '\n', len) == NULL;
}

static void put_hex(char *at, uint64_t value)
{
    static const char digits[] = "0123456789abcdef";
    for (int i = SUM_DIGITS - 1; i >= 0; i--, value >>= 4)
        at[i] = digits[value & 15];
}

static bool is_hex(const char *at, uint64_t value)
{
    char digits[SUM_DIGITS];
    put_hex(digits, value);
    return memcmp(at, digits, SUM_DIGITS) == 0;
}

static bool get_hex(const char *at, uint64_t *out)
{
    uint64_t value = 0;
    for (int i = 0; i < SUM_DIGITS; i++) {
        char c = at[i];
        if (c >= '0' && c <= '9')
            value = value << 4 | (uint64_t)(c - '0');
        else if (c >= 'a' && c <= 'f')
            value = value << 4 | (uint64_t)(c - 'a' + 10);
        else
            return false;
    }
    *out = value;
    return true;
}

static char *put_text(char *at, const char *text)
{
    size_t len = strlen(text);
    memcpy(at, text, len);
    return at + len;
}

static char *put_number(char *at, uint64_t value)
{
    char digits[20];
    size_t n = 0;
    do
        digits[n++] = (char)('0' + value % 10);
    while ((value /= 10) > 0);
    while (n > 0)
        *at++ = digits[--n];
    return at;
}

/* Writes the sum over a line of `len` bytes at `line` and the newline behind it. */
static void finish(struct buf *b, char *line, size_t len)
{
    memcpy(line, sum_begin, SUM_OFFSET);
    memcpy(line + SUM_OFFSET + SUM_DIGITS, sum_end, 2);
    put_hex(line + SUM_OFFSET, XXH3_64bits(line + SUMMED_OFFSET, len - SUMMED_OFFSET));
    line[len] = '\n';
    b->len += len + 1;
}

static char *begin(struct buf *b, size_t len)
{
    int rc = buf_reserve(b, JOURNAL_PREFIX_BYTES_MAX + len + 1);
    assert(rc == 0);
    (void)rc;
    return (char *)b->data + b->len;
}

/* Puts the owner's members behind `at`, which ends the prefix of `line`. */
static void put_members(struct buf *b, char *line, char *at, const char *members, size_t len)
{
    memcpy(at, members, len);
    finish(b, line, (size_t)(at - line) + len);
}

void journal_format_put_line(struct buf *b, uint64_t seq, uint64_t batch, const char *object,
                             size_t len)
{
    assert(journal_format_is_object(object, len));
    journal_format_put_members(b, seq, batch, object + 1, len - 1);
}

void journal_format_put_members(struct buf *b, uint64_t seq, uint64_t batch, const char *members,
                                size_t len)
{
    char *line = begin(b, len);
    char *at = put_text(line + SUMMED_OFFSET, "\"seq\":");
    at = put_number(at, seq);
    at = put_text(at, ",\"batch\":");
    at = put_number(at, batch);
    *at++ = ',';
    put_members(b, line, at, members, len);
}

void journal_format_put_carried(struct buf *b, const char *object, size_t len)
{
    assert(journal_format_is_object(object, len));
    char *line = begin(b, len);
    put_members(b, line, put_text(line + SUMMED_OFFSET, "\"carried\":1,"), object + 1, len - 1);
}

void journal_format_put_head(struct buf *b, const struct journal_head *head)
{
    char *line = begin(b, JOURNAL_HEAD_BYTES_MAX);
    int n = snprintf(line + SUMMED_OFFSET, JOURNAL_HEAD_BYTES_MAX,
                     "\"journal\":%d,\"log\":\"%016" PRIx64 "\",\"first\":%" PRIu64
                     ",\"at\":%" PRId64 ",\"carry\":%" PRIu64 "}",
                     JOURNAL_FORMAT, head->log, head->first, head->at_ms, head->carry);
    finish(b, line, SUMMED_OFFSET + (size_t)n);
}

struct cursor {
    const char *at;
    const char *end;
};

static bool skip(struct cursor *c, const char *text)
{
    size_t len = strlen(text);
    if ((size_t)(c->end - c->at) < len || memcmp(c->at, text, len) != 0)
        return false;
    c->at += len;
    return true;
}

static bool number(struct cursor *c, uint64_t *out)
{
    uint64_t value = 0;
    const char *begin = c->at;
    while (c->at < c->end && *c->at >= '0' && *c->at <= '9') {
        unsigned digit = (unsigned)(*c->at++ - '0');
        if (value > (UINT64_MAX - digit) / 10)
            return false;
        value = value * 10 + digit;
    }
    *out = value;
    return c->at > begin;
}

static bool get_head(struct cursor c, struct journal_head *head)
{
    uint64_t at_ms;
    if (!skip(&c, ",\"log\":\"") || c.end - c.at < SUM_DIGITS || !get_hex(c.at, &head->log))
        return false;
    c.at += SUM_DIGITS;
    if (!skip(&c, "\",\"first\":") || !number(&c, &head->first) || !skip(&c, ",\"at\":") ||
        !number(&c, &at_ms) || !skip(&c, ",\"carry\":") || !number(&c, &head->carry))
        return false;
    head->at_ms = (int64_t)at_ms;
    return at_ms <= INT64_MAX && skip(&c, "}") && c.at == c.end;
}

int journal_format_get(const char *line, size_t len, struct journal_mark *mark)
{
    if (len < SUMMED_OFFSET + 2 || memcmp(line, sum_begin, SUM_OFFSET) != 0 ||
        memcmp(line + SUM_OFFSET + SUM_DIGITS, sum_end, 2) != 0 || line[len - 1] != '}')
        return ERR_CORRUPT;
    struct cursor c = {.at = line + SUMMED_OFFSET, .end = line + len};
    bool whole = is_hex(line + SUM_OFFSET, XXH3_64bits(c.at, len - SUMMED_OFFSET));
    uint64_t format;
    if (skip(&c, "\"journal\":")) {
        if (!number(&c, &format))
            return ERR_CORRUPT;
        if (whole && format > JOURNAL_FORMAT)
            return ERR_VERSION;
        *mark = (struct journal_mark){.kind = JOURNAL_HEAD};
        return whole && get_head(c, &mark->head) ? 0 : ERR_CORRUPT;
    }
    if (!whole)
        return ERR_CORRUPT;
    *mark = (struct journal_mark){.kind = JOURNAL_LINE};
    if (skip(&c, "\"seq\":")) {
        if (!number(&c, &mark->seq) || !skip(&c, ",\"batch\":") || !number(&c, &mark->batch) ||
            mark->seq == 0 || mark->batch > mark->seq)
            return ERR_CORRUPT;
    } else if (skip(&c, "\"carried\":1")) {
        mark->kind = JOURNAL_CARRIED;
    } else {
        return ERR_CORRUPT;
    }
    if (!skip(&c, ",\""))
        return ERR_CORRUPT;
    mark->members = (size_t)(c.at - 1 - line);
    return 0;
}

size_t journal_format_members(const char *line, size_t len)
{
    uint64_t number_of;
    struct cursor c = {.at = line + SUMMED_OFFSET, .end = line + len};
    bool is_line = len > SUMMED_OFFSET && skip(&c, "\"seq\":") && number(&c, &number_of) &&
                   skip(&c, ",\"batch\":") && number(&c, &number_of) && skip(&c, ",");
    assert(is_line);
    (void)is_line;
    return (size_t)(c.at - line);
}

/* The line at `at`, if one is there. */
static bool line_at(const struct journal_scan *scan, size_t at, struct journal_item *item)
{
    const char *begin = scan->data + at;
    const char *end = memchr(begin, '\n', scan->len - at);
    if (end == NULL || journal_format_get(begin, (size_t)(end - begin), &item->mark) != 0)
        return false;
    item->offset = at;
    item->len = (size_t)(end - begin) + 1;
    return true;
}

void journal_scan_next(struct journal_scan *scan, struct journal_item *item)
{
    while (scan->at < scan->len && scan->data[scan->at] == '\n')
        scan->at++;
    item->offset = scan->at;
    item->len = 0;
    if (scan->at == scan->len) {
        item->kind = JOURNAL_ITEM_END;
        return;
    }
    if (line_at(scan, scan->at, item)) {
        item->kind = JOURNAL_ITEM_LINE;
        scan->at += item->len;
        return;
    }
    const char *end = memchr(scan->data + scan->at, '\n', scan->len - scan->at);
    item->kind = JOURNAL_ITEM_GARBAGE;
    item->len = end == NULL ? scan->len - scan->at : (size_t)(end - scan->data) + 1 - scan->at;
    scan->at += item->len;
}
