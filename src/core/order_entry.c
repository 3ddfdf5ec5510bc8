#define XXH_INLINE_ALL
#include "core/order_entry.h"

#include <assert.h>
#include <string.h>
#include <xxhash.h>

#include "base/error.h"

/* Offsets in the form. */
enum {
    ENTRY_AT_CHECK = 4,
    ENTRY_AT_SEQ = 12,
    ENTRY_AT_TERM = 20,
    ENTRY_AT_WALL = 28,
    ENTRY_AT_CLIENT = 36,
    ENTRY_AT_NUMBER = 52,
    ENTRY_AT_TYPE = 60,
};

static void order_entry_put64(uint8_t *out, uint64_t value)
{
    for (unsigned i = 0; i < 8; i++)
        out[i] = (uint8_t)(value >> (8 * i));
}

static uint64_t order_entry_get64(const uint8_t *data)
{
    uint64_t value = 0;
    for (unsigned i = 0; i < 8; i++)
        value |= (uint64_t)data[i] << (8 * i);
    return value;
}

static void order_entry_put32(uint8_t *out, uint32_t value)
{
    for (unsigned i = 0; i < 4; i++)
        out[i] = (uint8_t)(value >> (8 * i));
}

static uint32_t order_entry_get32(const uint8_t *data)
{
    return (uint32_t)data[0] | (uint32_t)data[1] << 8 | (uint32_t)data[2] << 16 |
           (uint32_t)data[3] << 24;
}

size_t order_entry_size(const struct order_entry *entry)
{
    return ORDER_ENTRY_HEADER_BYTES + (size_t)entry->channel_len + entry->sender_len +
           entry->payload_len;
}

static void order_entry_header(const struct order_entry *entry,
                               uint8_t out[static ORDER_ENTRY_HEADER_BYTES])
{
    order_entry_put32(out, (uint32_t)order_entry_size(entry));
    order_entry_put64(out + ENTRY_AT_CHECK, 0);
    order_entry_put64(out + ENTRY_AT_SEQ, entry->seq);
    order_entry_put64(out + ENTRY_AT_TERM, entry->term);
    order_entry_put64(out + ENTRY_AT_WALL, (uint64_t)entry->wall_ms);
    memcpy(out + ENTRY_AT_CLIENT, entry->client.bytes, sizeof entry->client.bytes);
    order_entry_put64(out + ENTRY_AT_NUMBER, entry->number);
    out[ENTRY_AT_TYPE] = (uint8_t)entry->type;
    out[ENTRY_AT_TYPE + 1] = entry->channel_len;
    out[ENTRY_AT_TYPE + 2] = entry->sender_len;
    out[ENTRY_AT_TYPE + 3] = 0;
}

/* Of a form that lies in one piece. */
static uint64_t order_entry_sum(const uint8_t *data, size_t len)
{
    return XXH3_64bits(data + ENTRY_AT_SEQ, len - ENTRY_AT_SEQ);
}

int order_entry_encode(const struct order_entry *entry, struct buf *out)
{
    assert(entry->channel_len <= ORDER_CHANNEL_MAX && entry->sender_len <= ORDER_SENDER_MAX);
    assert(entry->payload_len <= ORDER_PAYLOAD_MAX);
    size_t len = order_entry_size(entry);
    int err = buf_reserve(out, len);
    if (err < 0)
        return err;
    uint8_t *data = out->data + out->len;
    order_entry_header(entry, data);
    uint8_t *at = data + ORDER_ENTRY_HEADER_BYTES;
    if (entry->channel_len > 0)
        memcpy(at, entry->channel, entry->channel_len);
    at += entry->channel_len;
    if (entry->sender_len > 0)
        memcpy(at, entry->sender, entry->sender_len);
    at += entry->sender_len;
    if (entry->payload_len > 0)
        memcpy(at, entry->payload, entry->payload_len);
    order_entry_put64(data + ENTRY_AT_CHECK, order_entry_sum(data, len));
    out->len += len;
    return 0;
}

uint64_t order_entry_check(const struct order_entry *entry)
{
    uint8_t header[ORDER_ENTRY_HEADER_BYTES];
    order_entry_header(entry, header);
    XXH3_state_t state;
    XXH3_64bits_reset(&state);
    XXH3_64bits_update(&state, header + ENTRY_AT_SEQ, sizeof header - ENTRY_AT_SEQ);
    if (entry->channel_len > 0)
        XXH3_64bits_update(&state, entry->channel, entry->channel_len);
    if (entry->sender_len > 0)
        XXH3_64bits_update(&state, entry->sender, entry->sender_len);
    if (entry->payload_len > 0)
        XXH3_64bits_update(&state, entry->payload, entry->payload_len);
    return XXH3_64bits_digest(&state);
}

bool order_entry_is_right(const struct order_entry *entry)
{
    switch (entry->type) {
    case ORDER_ENTRY_MESSAGE:
        return !uuid_is_nil(&entry->client) && entry->number > 0;
    case ORDER_ENTRY_LEAD:
        return uuid_is_nil(&entry->client) && entry->number == 0 && entry->payload_len == 0;
    case ORDER_ENTRY_MEMBERS:
        return uuid_is_nil(&entry->client) && entry->number == 0 && entry->payload_len > 0;
    }
    return false;
}

int order_entry_decode(const void *bytes, size_t len, struct order_entry *out)
{
    const uint8_t *data = bytes;
    if (len < ORDER_ENTRY_HEADER_BYTES)
        return ERR_PROTOCOL;
    size_t size = order_entry_get32(data);
    struct order_entry entry = {
        .seq = order_entry_get64(data + ENTRY_AT_SEQ),
        .term = order_entry_get64(data + ENTRY_AT_TERM),
        .type = (enum order_entry_type)data[ENTRY_AT_TYPE],
        .wall_ms = (int64_t)order_entry_get64(data + ENTRY_AT_WALL),
        .number = order_entry_get64(data + ENTRY_AT_NUMBER),
        .channel_len = data[ENTRY_AT_TYPE + 1],
        .sender_len = data[ENTRY_AT_TYPE + 2],
    };
    memcpy(entry.client.bytes, data + ENTRY_AT_CLIENT, sizeof entry.client.bytes);
    size_t fixed = ORDER_ENTRY_HEADER_BYTES + (size_t)entry.channel_len + entry.sender_len;
    if (size > len || size < fixed || size - fixed > ORDER_PAYLOAD_MAX ||
        entry.channel_len > ORDER_CHANNEL_MAX || entry.sender_len > ORDER_SENDER_MAX ||
        data[ENTRY_AT_TYPE + 3] != 0)
        return ERR_PROTOCOL;
    if (order_entry_get64(data + ENTRY_AT_CHECK) != order_entry_sum(data, size))
        return ERR_CORRUPT;
    entry.payload_len = (uint32_t)(size - fixed);
    entry.channel = (const char *)data + ORDER_ENTRY_HEADER_BYTES;
    entry.sender = entry.channel + entry.channel_len;
    entry.payload = entry.sender + entry.sender_len;
    if (!order_entry_is_right(&entry))
        return ERR_PROTOCOL;
    *out = entry;
    return (int)size;
}

const char *order_entry_type_name(enum order_entry_type type)
{
    switch (type) {
    case ORDER_ENTRY_MESSAGE:
        return "message";
    case ORDER_ENTRY_LEAD:
        return "lead";
    case ORDER_ENTRY_MEMBERS:
        return "members";
    }
    return "unknown";
}
