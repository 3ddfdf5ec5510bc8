/* Which numbers of which clients are in the log: for ever, exactly, in little memory.
 *
 * For each client the number up to which all are in, and the ranges beyond. A client that counts on
 * without leaving numbers out costs 32 bytes at 3/4 load or less. The table is split in
 * ORDER_MARKS_SHARDS, which grow one by one, so that none of it stops the caller for long. */
#ifndef CORE_ORDER_MARKS_H
#define CORE_ORDER_MARKS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/uuid.h"

enum { ORDER_MARKS_SHARDS = 256 };

struct order_marks_shard {
    struct order_mark *slots; /* a nil client: free */
    size_t cap;               /* power of two, or 0 */
    size_t n;
};

struct order_marks {
    struct order_marks_shard shards[ORDER_MARKS_SHARDS];
    uint64_t seed;
    uint64_t clients;
    uint64_t bytes;
};

/* `seed`: one that clients cannot guess, so that they cannot choose what collides. */
void order_marks_init(struct order_marks *marks, uint64_t seed);
void order_marks_done(struct order_marks *marks);

bool order_marks_has(const struct order_marks *marks, const struct uuid *client, uint64_t number);
bool order_marks_has_client(const struct order_marks *marks, const struct uuid *client);

/* client not nil, number > 0. False: it was there already. */
bool order_marks_add(struct order_marks *marks, const struct uuid *client, uint64_t number);

/* Gaps below the client's highest number once `number` is added. */
size_t order_marks_gaps(const struct order_marks *marks, const struct uuid *client,
                        uint64_t number);

/* Appends all of it: for each client 16 bytes, u64 number, u32 count of ranges, two u64 for each
 * range; little endian. ERR_TOO_LARGE. */
int order_marks_save(const struct order_marks *marks, struct buf *out);
/* Into an empty one. ERR_CORRUPT: cut off, a client twice, ranges out of order. */
int order_marks_load(struct order_marks *marks, const void *data, size_t len);

#endif
