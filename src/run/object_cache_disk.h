/* The files of the cache of objects on the disk; all of it blocks, for threads.
 *
 * NAME has the bytes, NAME.ranges says which: lines "url SIZE URL", "etag TEXT", "range OFFSET LEN
 * CHECKSUM". Lines are only ever appended; one that is torn or makes no sense is left out. */
#ifndef RUN_OBJECT_CACHE_DISK_H
#define RUN_OBJECT_CACHE_DISK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "run/object_cache.h"

#define CACHE_RANGES ".ranges"
#define CACHE_GONE   ".gone"

struct cache_range {
    uint64_t offset;
    uint64_t len;
    uint64_t sum;
};

/* What is on record of a file. */
struct cache_record {
    char name[OBJECT_CACHE_NAME_BYTES + 1];
    char *url;
    char *etag; /* "": not known */
    uint64_t size;
    struct cache_range *ranges; /* ascending, disjoint */
    size_t ranges_n, ranges_cap;
    int64_t used_ms; /* wall clock */
};

void cache_record_done(struct cache_record *record);
/* Keeps the order. False when it overlaps one that is there. */
bool cache_record_add(struct cache_record *record, const struct cache_range *range);

/* Reads what is on record in `dir`; removes what belongs to nothing. `records` malloc'ed. */
void cache_disk_load(const char *dir, struct cache_record **records, size_t *n);

/* Compares the ranges with their checksums; those that don't hold are dropped. Leaves the file with
 * at least `len` bytes, holes included. Returns how many were dropped, or -errno. */
int cache_disk_check(const char *dir, struct cache_record *record, uint64_t len);

/* Writes `data` at `offset`, then records it. */
int cache_disk_write(const char *dir, const struct cache_record *record, const void *data,
                     size_t len, uint64_t offset, struct cache_range *out);
int cache_disk_write_etag(const char *dir, const struct cache_record *record);

/* Takes the file away at once; its bytes go with cache_disk_sweep(). Does not block for long. */
void cache_disk_remove(const char *dir, const char *name, uint64_t number);
void cache_disk_sweep(const char *dir);
/* It was used now: order after a restart. Does not block for long. */
void cache_disk_touch(const char *dir, const char *name);

#endif
