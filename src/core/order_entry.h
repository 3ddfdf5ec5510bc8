/* An entry of the ordered log, and its form as bytes: in messages, and wherever a role keeps it.
 *
 *     u32  length of all of it       u8   type
 *     u64  XXH3 of what follows      u8   length of channel
 *     u64  seq                       u8   length of sender
 *     u64  term                      u8   0
 *     i64  wall_ms                   channel, sender, payload
 *     u8   client[16]
 *     u64  number                    (little endian)
 *
 * The checksum is made where the entry gets its number and stays with it on every node. */
#ifndef CORE_ORDER_ENTRY_H
#define CORE_ORDER_ENTRY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/uuid.h"

enum {
    ORDER_CHANNEL_MAX = 64, /* bytes */
    ORDER_SENDER_MAX = 128,
    ORDER_PAYLOAD_MAX = 1 << 20,
    ORDER_ENTRY_HEADER_BYTES = 64,
};

enum order_entry_type {
    ORDER_ENTRY_MESSAGE = 1, /* a client's */
    ORDER_ENTRY_LEAD,        /* the first of a leader's term; nothing else in it */
    ORDER_ENTRY_MEMBERS,     /* payload: wire.ChatMembers, from here on */
};

struct order_entry {
    uint64_t seq; /* 1, 2, 3 ...; 0: not numbered yet */
    uint64_t term;
    enum order_entry_type type;
    int64_t wall_ms;     /* the leader's clock, for people; never decides anything */
    struct uuid client;  /* nil unless a MESSAGE */
    uint64_t number;     /* the client's, from 1; 0 unless a MESSAGE */
    const char *channel; /* not terminated */
    const char *sender;  /* not terminated */
    const void *payload;
    uint32_t payload_len;
    uint8_t channel_len;
    uint8_t sender_len;
};

/* Bytes of its form. */
size_t order_entry_size(const struct order_entry *entry);

/* Appends its form. ERR_TOO_LARGE leaves the buffer as it was. The lengths are within the limits.
 */
int order_entry_encode(const struct order_entry *entry, struct buf *out);

/* The entry at the beginning of `data`; its strings point into it. Returns the bytes it takes.
 * ERR_PROTOCOL: cut off, a length over its limit, no such type, a client or number that its type
 * must not have or lacks; ERR_CORRUPT: the checksum is another. */
int order_entry_decode(const void *data, size_t len, struct order_entry *out);

/* Whether it has the client and the number, or has none, and the payload that its type must have.
 */
bool order_entry_is_right(const struct order_entry *entry);

/* The checksum of the form, for those who keep entries in another one. */
uint64_t order_entry_check(const struct order_entry *entry);

const char *order_entry_type_name(enum order_entry_type type);

#endif
