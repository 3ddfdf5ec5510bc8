#define XXH_INLINE_ALL
#include "core/order_marks.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "base/error.h"
#include "base/mem.h"

enum {
    MARKS_CAP_MIN = 16,
    MARKS_SAVED_BYTES = 28,
    MARKS_SAVED_RANGE_BYTES = 16,
    MARKS_RANGES_CAP_MIN = 4,
};

struct order_marks_range {
    uint64_t first;
    uint64_t last;
};

/* Ascending, apart from each other, the first one more than one above the mark. */
struct order_marks_ranges {
    uint32_t n;
    uint32_t cap;
    struct order_marks_range ranges[];
};

struct order_mark {
    struct uuid client;
    uint64_t upto; /* 1 to upto are in */
    struct order_marks_ranges *beyond;
};

void order_marks_init(struct order_marks *marks, uint64_t seed)
{
    *marks = (struct order_marks){.seed = seed};
}

void order_marks_done(struct order_marks *marks)
{
    for (size_t i = 0; i < ORDER_MARKS_SHARDS; i++) {
        struct order_marks_shard *shard = &marks->shards[i];
        for (size_t at = 0; at < shard->cap; at++)
            free(shard->slots[at].beyond);
        free(shard->slots);
    }
    order_marks_init(marks, marks->seed);
}

static uint64_t order_marks_hash(const struct order_marks *marks, const struct uuid *client)
{
    return XXH3_64bits_withSeed(client->bytes, sizeof client->bytes, marks->seed);
}

/* The client's slot, or the free one where it belongs; NULL when there are none. */
static struct order_mark *order_marks_slot(const struct order_marks_shard *shard, uint64_t hash,
                                           const struct uuid *client)
{
    if (shard->cap == 0)
        return NULL;
    for (size_t at = (hash >> 8) & (shard->cap - 1);; at = (at + 1) & (shard->cap - 1)) {
        struct order_mark *mark = &shard->slots[at];
        if (uuid_is_nil(&mark->client) || memcmp(&mark->client, client, sizeof *client) == 0)
            return mark;
    }
}

static const struct order_mark *order_marks_find(const struct order_marks *marks,
                                                 const struct uuid *client)
{
    uint64_t hash = order_marks_hash(marks, client);
    const struct order_mark *mark =
        order_marks_slot(&marks->shards[hash % ORDER_MARKS_SHARDS], hash, client);
    return mark != NULL && !uuid_is_nil(&mark->client) ? mark : NULL;
}

static void order_marks_grow(struct order_marks *marks, struct order_marks_shard *shard)
{
    struct order_marks_shard larger = {.cap = shard->cap > 0 ? shard->cap * 2 : MARKS_CAP_MIN,
                                       .n = shard->n};
    larger.slots = mem_calloc(larger.cap, sizeof *larger.slots);
    for (size_t at = 0; at < shard->cap; at++) {
        const struct order_mark *mark = &shard->slots[at];
        if (!uuid_is_nil(&mark->client))
            *order_marks_slot(&larger, order_marks_hash(marks, &mark->client), &mark->client) =
                *mark;
    }
    marks->bytes += (larger.cap - shard->cap) * sizeof *larger.slots;
    free(shard->slots);
    *shard = larger;
}

/* Finds or makes the client's mark. */
static struct order_mark *order_marks_get(struct order_marks *marks, const struct uuid *client)
{
    uint64_t hash = order_marks_hash(marks, client);
    struct order_marks_shard *shard = &marks->shards[hash % ORDER_MARKS_SHARDS];
    struct order_mark *mark = order_marks_slot(shard, hash, client);
    if (mark != NULL && !uuid_is_nil(&mark->client))
        return mark;
    if (4 * (shard->n + 1) > 3 * shard->cap) {
        order_marks_grow(marks, shard);
        mark = order_marks_slot(shard, hash, client);
    }
    *mark = (struct order_mark){.client = *client};
    shard->n++;
    marks->clients++;
    return mark;
}

/* The first range that ends at or behind `number`; n when there is none. */
static size_t order_marks_search(const struct order_marks_ranges *beyond, uint64_t number)
{
    size_t low = 0;
    size_t high = beyond != NULL ? beyond->n : 0;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (beyond->ranges[middle].last < number)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static bool order_mark_has(const struct order_mark *mark, uint64_t number)
{
    if (number <= mark->upto)
        return true;
    size_t at = order_marks_search(mark->beyond, number);
    return mark->beyond != NULL && at < mark->beyond->n && mark->beyond->ranges[at].first <= number;
}

bool order_marks_has(const struct order_marks *marks, const struct uuid *client, uint64_t number)
{
    const struct order_mark *mark = order_marks_find(marks, client);
    return mark != NULL && order_mark_has(mark, number);
}

bool order_marks_has_client(const struct order_marks *marks, const struct uuid *client)
{
    return order_marks_find(marks, client) != NULL;
}

size_t order_marks_gaps(const struct order_marks *marks, const struct uuid *client, uint64_t number)
{
    const struct order_mark *mark = order_marks_find(marks, client);
    if (mark == NULL)
        return number > 1;
    size_t n = mark->beyond != NULL ? mark->beyond->n : 0;
    if (order_mark_has(mark, number))
        return n;
    size_t at = order_marks_search(mark->beyond, number);
    uint64_t below = at > 0 ? mark->beyond->ranges[at - 1].last : mark->upto;
    bool joins_below = number == below + 1;
    bool joins_above = at < n && number + 1 == mark->beyond->ranges[at].first;
    return n + 1 - joins_below - joins_above;
}

static void order_marks_insert(struct order_marks *marks, struct order_mark *mark, size_t at,
                               uint64_t number)
{
    uint32_t n = mark->beyond != NULL ? mark->beyond->n : 0;
    uint32_t cap = mark->beyond != NULL ? mark->beyond->cap : 0;
    if (n == cap) {
        uint32_t larger = cap > 0 ? cap * 2 : MARKS_RANGES_CAP_MIN;
        mark->beyond = mem_realloc(mark->beyond,
                                   sizeof *mark->beyond + larger * sizeof mark->beyond->ranges[0]);
        mark->beyond->n = n;
        mark->beyond->cap = larger;
        marks->bytes += (larger - cap) * sizeof mark->beyond->ranges[0];
    }
    struct order_marks_range *ranges = mark->beyond->ranges;
    memmove(ranges + at + 1, ranges + at, (n - at) * sizeof ranges[0]);
    ranges[at] = (struct order_marks_range){number, number};
    mark->beyond->n++;
}

static void order_marks_remove(struct order_marks *marks, struct order_mark *mark, size_t at)
{
    struct order_marks_ranges *beyond = mark->beyond;
    beyond->n--;
    memmove(beyond->ranges + at, beyond->ranges + at + 1,
            (beyond->n - at) * sizeof beyond->ranges[0]);
    if (beyond->n == 0) {
        marks->bytes -= beyond->cap * sizeof beyond->ranges[0];
        free(beyond);
        mark->beyond = NULL;
    }
}

bool order_marks_add(struct order_marks *marks, const struct uuid *client, uint64_t number)
{
    assert(!uuid_is_nil(client) && number > 0);
    struct order_mark *mark = order_marks_get(marks, client);
    if (order_mark_has(mark, number))
        return false;
    size_t at = order_marks_search(mark->beyond, number);
    size_t n = mark->beyond != NULL ? mark->beyond->n : 0;
    bool joins_above = at < n && number + 1 == mark->beyond->ranges[at].first;
    if (at == 0 && number == mark->upto + 1) {
        mark->upto = joins_above ? mark->beyond->ranges[0].last : number;
        if (joins_above)
            order_marks_remove(marks, mark, 0);
        return true;
    }
    bool joins_below = at > 0 && number == mark->beyond->ranges[at - 1].last + 1;
    if (joins_below && joins_above) {
        mark->beyond->ranges[at - 1].last = mark->beyond->ranges[at].last;
        order_marks_remove(marks, mark, at);
    } else if (joins_below) {
        mark->beyond->ranges[at - 1].last = number;
    } else if (joins_above) {
        mark->beyond->ranges[at].first = number;
    } else {
        order_marks_insert(marks, mark, at, number);
    }
    return true;
}

/* ---- on disk --------------------------------------------------------------------------------- */

static uint8_t *order_marks_put(uint8_t *out, uint64_t value, unsigned bytes)
{
    for (unsigned i = 0; i < bytes; i++)
        out[i] = (uint8_t)(value >> (8 * i));
    return out + bytes;
}

static uint64_t order_marks_take(const uint8_t *data, unsigned bytes)
{
    uint64_t value = 0;
    for (unsigned i = 0; i < bytes; i++)
        value |= (uint64_t)data[i] << (8 * i);
    return value;
}

int order_marks_save(const struct order_marks *marks, struct buf *out)
{
    for (size_t i = 0; i < ORDER_MARKS_SHARDS; i++) {
        const struct order_marks_shard *shard = &marks->shards[i];
        for (size_t at = 0; at < shard->cap; at++) {
            const struct order_mark *mark = &shard->slots[at];
            if (uuid_is_nil(&mark->client))
                continue;
            uint32_t n = mark->beyond != NULL ? mark->beyond->n : 0;
            size_t len = MARKS_SAVED_BYTES + (size_t)n * MARKS_SAVED_RANGE_BYTES;
            int err = buf_reserve(out, len);
            if (err < 0)
                return err;
            uint8_t *to = out->data + out->len;
            memcpy(to, mark->client.bytes, sizeof mark->client.bytes);
            to = order_marks_put(to + sizeof mark->client.bytes, mark->upto, 8);
            to = order_marks_put(to, n, 4);
            for (uint32_t range = 0; range < n; range++) {
                to = order_marks_put(to, mark->beyond->ranges[range].first, 8);
                to = order_marks_put(to, mark->beyond->ranges[range].last, 8);
            }
            out->len += len;
        }
    }
    return 0;
}

/* Returns the bytes that one client took, or ERR_CORRUPT. */
static int64_t order_marks_load_one(struct order_marks *marks, const uint8_t *data, size_t len)
{
    struct uuid client;
    if (len < MARKS_SAVED_BYTES)
        return ERR_CORRUPT;
    memcpy(client.bytes, data, sizeof client.bytes);
    uint32_t n = (uint32_t)order_marks_take(data + 24, 4);
    if (uuid_is_nil(&client) || order_marks_find(marks, &client) != NULL ||
        n > (len - MARKS_SAVED_BYTES) / MARKS_SAVED_RANGE_BYTES)
        return ERR_CORRUPT;
    struct order_mark *mark = order_marks_get(marks, &client);
    mark->upto = order_marks_take(data + 16, 8);
    uint64_t below = mark->upto;
    for (uint32_t i = 0; i < n; i++) {
        const uint8_t *range = data + MARKS_SAVED_BYTES + (size_t)i * MARKS_SAVED_RANGE_BYTES;
        uint64_t first = order_marks_take(range, 8);
        uint64_t last = order_marks_take(range + 8, 8);
        if (first < 2 || first - 2 < below || last < first || below > UINT64_MAX - 2)
            return ERR_CORRUPT;
        order_marks_insert(marks, mark, i, first);
        mark->beyond->ranges[i].last = last;
        below = last;
    }
    return (int64_t)(MARKS_SAVED_BYTES + (size_t)n * MARKS_SAVED_RANGE_BYTES);
}

int order_marks_load(struct order_marks *marks, const void *data, size_t len)
{
    assert(marks->clients == 0);
    const uint8_t *at = data;
    while (len > 0) {
        int64_t taken = order_marks_load_one(marks, at, len);
        if (taken < 0)
            return (int)taken;
        at += taken;
        len -= (size_t)taken;
    }
    return 0;
}
