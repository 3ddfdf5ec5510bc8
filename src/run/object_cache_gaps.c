/* Which of an item's ranges its file lacks, and with which requests they come. */
#include <stdlib.h>

#include "base/mem.h"
#include "run/object_cache_internal.h"

/* Calls `fn` for each stretch of the item's ranges that the file lacks. */
static void cache_item_each_gap(const struct cache_item *item, const struct cache_file *file,
                                void (*fn)(void *arg, uint64_t offset, uint64_t len), void *arg)
{
    const struct cache_record *record = &file->record;
    size_t at = 0;
    for (size_t i = 0; i < item->ranges_n; i++) {
        uint64_t from = item->ranges[i].offset, end = from + item->ranges[i].len;
        while (at < record->ranges_n && record->ranges[at].offset + record->ranges[at].len <= from)
            at++;
        for (size_t k = at; from < end; k++) {
            const struct cache_range *have = k < record->ranges_n ? &record->ranges[k] : NULL;
            uint64_t stop = have != NULL && have->offset < end ? have->offset : end;
            if (stop > from)
                fn(arg, from, stop - from);
            from = have != NULL && have->offset < end ? have->offset + have->len : end;
        }
    }
}

static void cache_sum_gap(void *arg, uint64_t offset, uint64_t len)
{
    (void)offset;
    *(uint64_t *)arg += len;
}

uint64_t cache_item_lacks(const struct cache_item *item, const struct cache_file *file)
{
    static const struct cache_file none;
    uint64_t sum = 0;
    cache_item_each_gap(item, file != NULL ? file : &none, cache_sum_gap, &sum);
    return sum;
}

struct cache_gaps {
    const struct cache_file *file;
    struct object_range *gaps;
    size_t n, cap;
};

/* Nothing that the file has lies between. */
static bool cache_is_free(const struct cache_file *file, uint64_t from, uint64_t end)
{
    for (size_t i = 0; i < file->record.ranges_n; i++)
        if (file->record.ranges[i].offset < end &&
            file->record.ranges[i].offset + file->record.ranges[i].len > from)
            return false;
    return true;
}

/* Stretches near to each other are one request when little is asked for in vain: a request costs
 * as much as some bytes more, but no more than a sixteenth. */
static void cache_add_gap(void *arg, uint64_t offset, uint64_t len)
{
    enum { CACHE_NEAR_BYTES = 1024, CACHE_NEAR_BYTES_MAX = 256 << 10, CACHE_NEAR_PART = 16 };
    struct cache_gaps *gaps = arg;
    struct object_range *last = gaps->n > 0 ? &gaps->gaps[gaps->n - 1] : NULL;
    if (last != NULL) {
        uint64_t between = offset - (last->offset + last->len);
        uint64_t near = (last->len + len) / CACHE_NEAR_PART;
        near = near < CACHE_NEAR_BYTES ? CACHE_NEAR_BYTES : near;
        near = near > CACHE_NEAR_BYTES_MAX ? (uint64_t)CACHE_NEAR_BYTES_MAX : near;
        if (between <= near && cache_is_free(gaps->file, last->offset + last->len, offset)) {
            last->len += between + len;
            return;
        }
    }
    MEM_GROW(gaps->gaps, gaps->cap, gaps->n + 1);
    gaps->gaps[gaps->n++] = (struct object_range){offset, len};
}

/* What the file lacks, in pieces of one request. */
void cache_item_plan(struct cache_item *item)
{
    struct cache_gaps whole = {.file = item->file};
    size_t cap = 0;
    cache_item_each_gap(item, item->file, cache_add_gap, &whole);
    free(item->gaps);
    item->gaps = NULL;
    item->gaps_n = 0;
    item->gaps_at = 0;
    for (size_t i = 0; i < whole.n; i++) {
        for (uint64_t done = 0; done < whole.gaps[i].len;) {
            uint64_t len = whole.gaps[i].len - done;
            if (len > OBJECT_CACHE_GET_BYTES)
                len = OBJECT_CACHE_GET_BYTES;
            MEM_GROW(item->gaps, cap, item->gaps_n + 1);
            item->gaps[item->gaps_n++] = (struct object_range){whole.gaps[i].offset + done, len};
            done += len;
        }
    }
    free(whole.gaps);
}
