#include "role/chat_line.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/base64.h"
#include "base/error.h"
#include "base/json_text.h"
#include "base/mem.h"
#include "base/str.h"

const char *chat_line_time(struct chat_line_clock *clock, int64_t wall_ms)
{
    int64_t second = wall_ms / 1000;
    if (wall_ms < 0 || clock->text[0] == '\0' || second != clock->second) {
        (void)clock_format_rfc3339(wall_ms, clock->text);
        clock->second = second;
        return clock->text;
    }
    unsigned ms = (unsigned)(wall_ms % 1000);
    char *at = strchr(clock->text, '.') + 1;
    at[0] = (char)('0' + ms / 100);
    at[1] = (char)('0' + ms / 10 % 10);
    at[2] = (char)('0' + ms % 10);
    return clock->text;
}

static void put_number(struct buf *b, uint64_t value)
{
    char digits[20];
    size_t n = sizeof digits;
    do
        digits[--n] = (char)('0' + value % 10);
    while ((value /= 10) > 0);
    (void)buf_append(b, digits + n, sizeof digits - n);
}

static void put_base64(struct buf *b, const void *data, size_t len)
{
    (void)buf_append_str(b, ",\"payload\":\"");
    (void)base64_encode(b, data, len);
    (void)buf_append_byte(b, '"');
}

static void put_message(struct buf *b, const struct order_entry *entry)
{
    char uuid[UUID_TEXT_MAX];
    (void)buf_append_str(b, ",\"client\":\"");
    (void)buf_append_str(b, uuid_format(&entry->client, uuid));
    (void)buf_append_str(b, "\",\"number\":");
    put_number(b, entry->number);
    (void)buf_append_str(b, ",\"channel\":");
    (void)json_text_append(b, entry->channel, entry->channel_len);
    (void)buf_append_str(b, ",\"from\":");
    (void)json_text_append(b, entry->sender, entry->sender_len);
    if (!str_is_utf8(entry->payload, entry->payload_len)) {
        put_base64(b, entry->payload, entry->payload_len);
        return;
    }
    (void)buf_append_str(b, ",\"text\":");
    (void)json_text_append(b, entry->payload, entry->payload_len);
}

void chat_line_put(struct buf *b, struct chat_line_clock *clock, const struct order_entry *entry)
{
    (void)buf_append_str(b, "{\"term\":");
    put_number(b, entry->term);
    (void)buf_append_str(b, ",\"at\":\"");
    (void)buf_append_str(b, chat_line_time(clock, entry->wall_ms));
    (void)buf_append_str(b, "\",\"kind\":\"");
    (void)buf_append_str(b, order_entry_type_name(entry->type));
    (void)buf_append_byte(b, '"');
    if (entry->type == ORDER_ENTRY_MESSAGE)
        put_message(b, entry);
    else if (entry->payload_len > 0)
        put_base64(b, entry->payload, entry->payload_len);
    (void)buf_append_byte(b, '}');
}

/* ---- reading --------------------------------------------------------------------------------- */

struct reader {
    const char *at;
    const char *end;
};

static bool skip(struct reader *r, const char *text)
{
    size_t len = strlen(text);
    if ((size_t)(r->end - r->at) < len || memcmp(r->at, text, len) != 0)
        return false;
    r->at += len;
    return true;
}

static bool get_number(struct reader *r, uint64_t *out)
{
    uint64_t value = 0;
    const char *begin = r->at;
    for (; r->at < r->end && *r->at >= '0' && *r->at <= '9'; r->at++) {
        unsigned digit = (unsigned)(*r->at - '0');
        if (value > (UINT64_MAX - digit) / 10)
            return false;
        value = value * 10 + digit;
    }
    *out = value;
    return r->at > begin;
}

/* The text up to the next quote, without escapes, into `out`. */
static bool get_plain(struct reader *r, char *out, size_t max)
{
    const char *quote = memchr(r->at, '"', (size_t)(r->end - r->at));
    if (quote == NULL || (size_t)(quote - r->at) >= max)
        return false;
    memcpy(out, r->at, (size_t)(quote - r->at));
    out[quote - r->at] = '\0';
    r->at = quote + 1;
    return true;
}

static void put_utf8(struct buf *b, unsigned code)
{
    if (code < 0x80) {
        (void)buf_append_byte(b, (uint8_t)code);
    } else if (code < 0x800) {
        (void)buf_append_byte(b, (uint8_t)(0xc0 | code >> 6));
        (void)buf_append_byte(b, (uint8_t)(0x80 | (code & 0x3f)));
    } else {
        (void)buf_append_byte(b, (uint8_t)(0xe0 | code >> 12));
        (void)buf_append_byte(b, (uint8_t)(0x80 | (code >> 6 & 0x3f)));
        (void)buf_append_byte(b, (uint8_t)(0x80 | (code & 0x3f)));
    }
}

static bool get_hex4(struct reader *r, unsigned *out)
{
    unsigned code = 0;
    if (r->end - r->at < 4)
        return false;
    for (int i = 0; i < 4; i++) {
        char c = *r->at++;
        if (c >= '0' && c <= '9')
            code = code << 4 | (unsigned)(c - '0');
        else if (c >= 'a' && c <= 'f')
            code = code << 4 | (unsigned)(c - 'a' + 10);
        else
            return false;
    }
    *out = code;
    return true;
}

/* One escape as json_text_append() writes them. */
static bool get_escape(struct reader *r, struct buf *out)
{
    static const char from[] = "\"\\bfnrt";
    static const char to[] = "\"\\\b\f\n\r\t";
    if (r->at == r->end)
        return false;
    char c = *r->at++;
    const char *at = c != '\0' ? strchr(from, c) : NULL;
    unsigned code;
    if (at != NULL) {
        (void)buf_append_byte(out, (uint8_t)to[at - from]);
        return true;
    }
    if (c != 'u' || !get_hex4(r, &code))
        return false;
    put_utf8(out, code);
    return true;
}

/* A JSON string behind its first quote. */
static bool get_text(struct reader *r, struct buf *out)
{
    for (;;) {
        const char *begin = r->at;
        r->at += str_plain_len(r->at, (size_t)(r->end - r->at));
        while (r->at < r->end && *r->at != '"' && *r->at != '\\')
            r->at++;
        (void)buf_append(out, begin, (size_t)(r->at - begin));
        if (r->at == r->end)
            return false;
        if (*r->at++ == '"')
            return true;
        if (!get_escape(r, out))
            return false;
    }
}

static bool get_base64(struct reader *r, struct buf *out)
{
    const char *quote = memchr(r->at, '"', (size_t)(r->end - r->at));
    if (quote == NULL || base64_decode(out, r->at, (size_t)(quote - r->at)) < 0)
        return false;
    r->at = quote + 1;
    return true;
}

enum { SECOND_LEN = sizeof "2026-11-28T13:45:00." - 1, TIME_LEN = SECOND_LEN + sizeof "123Z" - 1 };

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* A time stamp. Most have the second of the one before. */
static bool get_time(struct reader *r, struct chat_line_batch *batch, int64_t *wall_ms)
{
    char at[CLOCK_RFC3339_MAX];
    if (!get_plain(r, at, sizeof at))
        return false;
    const char *ms = at + SECOND_LEN;
    bool is_usual = strlen(at) == TIME_LEN && is_digit(ms[0]) && is_digit(ms[1]) &&
                    is_digit(ms[2]) && ms[3] == 'Z';
    if (is_usual && memcmp(at, batch->second, SECOND_LEN) == 0) {
        *wall_ms = batch->second_ms + (ms[0] - '0') * 100 + (ms[1] - '0') * 10 + (ms[2] - '0');
        return true;
    }
    if (clock_parse_rfc3339(at, wall_ms) < 0)
        return false;
    if (is_usual) {
        memcpy(batch->second, at, SECOND_LEN);
        batch->second_ms = *wall_ms - ((ms[0] - '0') * 100 + (ms[1] - '0') * 10 + (ms[2] - '0'));
    }
    return true;
}

static bool get_payload(struct reader *r, struct buf *arena, struct order_entry *entry)
{
    size_t before = arena->len;
    bool ok = skip(r, ",\"text\":\"")      ? get_text(r, arena)
              : skip(r, ",\"payload\":\"") ? get_base64(r, arena)
                                           : entry->type != ORDER_ENTRY_MESSAGE;
    if (!ok || arena->len - before > ORDER_PAYLOAD_MAX)
        return false;
    entry->payload_len = (uint32_t)(arena->len - before);
    return true;
}

static bool get_message(struct reader *r, struct buf *arena, struct order_entry *entry)
{
    char uuid[UUID_TEXT_MAX];
    if (!skip(r, ",\"client\":\"") || !get_plain(r, uuid, sizeof uuid) ||
        uuid_parse(uuid, &entry->client) < 0 || !skip(r, ",\"number\":") ||
        !get_number(r, &entry->number) || !skip(r, ",\"channel\":\""))
        return false;
    size_t before = arena->len;
    if (!get_text(r, arena) || arena->len - before > ORDER_CHANNEL_MAX || !skip(r, ",\"from\":\""))
        return false;
    entry->channel_len = (uint8_t)(arena->len - before);
    before = arena->len;
    if (!get_text(r, arena) || arena->len - before > ORDER_SENDER_MAX)
        return false;
    entry->sender_len = (uint8_t)(arena->len - before);
    return true;
}

static bool get_entry(struct reader *r, struct chat_line_batch *batch, struct order_entry *entry)
{
    struct buf *arena = &batch->arena;
    char kind[16];
    if (!skip(r, "\"term\":") || !get_number(r, &entry->term) || !skip(r, ",\"at\":\"") ||
        !get_time(r, batch, &entry->wall_ms) || !skip(r, ",\"kind\":\"") ||
        !get_plain(r, kind, sizeof kind))
        return false;
    int type = ORDER_ENTRY_MESSAGE;
    while (type <= ORDER_ENTRY_MEMBERS &&
           strcmp(kind, order_entry_type_name((enum order_entry_type)type)) != 0)
        type++;
    if (type > ORDER_ENTRY_MEMBERS)
        return false;
    entry->type = (enum order_entry_type)type;
    if (entry->type == ORDER_ENTRY_MESSAGE && !get_message(r, arena, entry))
        return false;
    return get_payload(r, arena, entry) && skip(r, "}") && r->at == r->end;
}

void chat_line_batch_init(struct chat_line_batch *batch)
{
    *batch = (struct chat_line_batch){0};
    buf_init(&batch->arena, SIZE_MAX / 4);
}

void chat_line_batch_done(struct chat_line_batch *batch)
{
    free(batch->entries);
    free(batch->offsets);
    buf_done(&batch->arena);
    chat_line_batch_init(batch);
}

void chat_line_batch_clear(struct chat_line_batch *batch)
{
    batch->n = 0;
    buf_clear(&batch->arena);
}

int chat_line_batch_add(struct chat_line_batch *batch, uint64_t seq, const char *members,
                        size_t len)
{
    MEM_GROW(batch->entries, batch->cap, batch->n + 1);
    MEM_GROW(batch->offsets, batch->offsets_cap, batch->n + 1);
    struct order_entry *entry = &batch->entries[batch->n];
    *entry = (struct order_entry){.seq = seq};
    batch->offsets[batch->n] = batch->arena.len;
    struct reader r = {.at = members, .end = members + len};
    if (!get_entry(&r, batch, entry)) {
        batch->arena.len = batch->offsets[batch->n];
        return ERR_CORRUPT;
    }
    batch->n++;
    return 0;
}

void chat_line_batch_finish(struct chat_line_batch *batch)
{
    for (size_t i = 0; i < batch->n; i++) {
        struct order_entry *entry = &batch->entries[i];
        const char *at = batch->arena.data == NULL ? "" : (const char *)batch->arena.data;
        at += batch->offsets[i];
        entry->channel = at;
        entry->sender = at + entry->channel_len;
        entry->payload = at + entry->channel_len + entry->sender_len;
    }
}
