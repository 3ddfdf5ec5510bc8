/* Between the files of the cache of objects: object_cache.c has the files and who holds them,
 * object_cache_fetch.c brings what they lack. */
#ifndef RUN_OBJECT_CACHE_INTERNAL_H
#define RUN_OBJECT_CACHE_INTERNAL_H

#include <sys/queue.h>
#include <uthash.h>

#include "run/object_cache.h"
#include "run/object_cache_disk.h"
#include "run/object_store.h"

struct cache_item;

/* A file of the cache. Held by `holds` items; else in the list of the unused. */
struct cache_file {
    UT_hash_handle hh; /* by name, unless lost */
    TAILQ_ENTRY(cache_file) unused;
    struct cache_record record;
    uint64_t bytes; /* as it counts */
    uint64_t len;   /* holes included; 0: not known since the start */
    unsigned holds;
    bool checked;              /* against its checksums, since the start */
    bool lost;                 /* no longer in the table: goes with its last holder */
    struct cache_item *worker; /* who brings what it lacks; others wait */
};

TAILQ_HEAD(cache_files, cache_file);
TAILQ_HEAD(cache_items, cache_item);
TAILQ_HEAD(object_fetches, object_fetch);

/* A request under way, then its bytes on their way to the disk. */
struct cache_get {
    LIST_ENTRY(cache_get) entry;
    struct cache_item *item;
    struct object_call *call; /* NULL: a thread has it */
    struct object_range range;
    void *data;
    struct cache_range done;
    int err;
};

/* What a thread does to a file before the first request. */
struct cache_open {
    char *dir;
    struct cache_record record; /* own copy; only its ranges change */
    uint64_t len;
    const void *tail; /* of the item */
    size_t tail_len;
    uint64_t tail_at;
    int dropped; /* or -errno */
};

enum cache_item_state {
    CACHE_ITEM_READY,   /* in the cache's list of what is to begin */
    CACHE_ITEM_WAITING, /* another one works on its file */
    CACHE_ITEM_OPENING, /* a thread checks the file */
    CACHE_ITEM_GETTING,
    CACHE_ITEM_DONE,
};

/* One want of a fetch. */
struct cache_item {
    TAILQ_ENTRY(cache_item)
    entry; /* READY, WAITING: of the cache; GETTING: of those with gaps left */
    struct object_fetch *fetch;
    struct cache_file *file; /* held, once there was room */
    enum cache_item_state state;
    bool is_listed; /* GETTING: in that list */
    char *place, *key, *etag, *url;
    char name[OBJECT_CACHE_NAME_BYTES + 1];
    uint64_t size;
    struct object_range *ranges; /* ascending, disjoint */
    size_t ranges_n;
    void *tail;
    size_t tail_len;
    uint64_t tail_at;
    struct trace_context trace;
    struct object_range *gaps; /* to be got, in pieces of one request */
    size_t gaps_n, gaps_at;
    struct cache_open open;
    LIST_HEAD(, cache_get) gets;
};

enum object_fetch_state {
    FETCH_QUEUED, /* for room */
    FETCH_RUNNING,
    FETCH_ENDED, /* `fn` was called or will not be */
};

struct object_fetch {
    TAILQ_ENTRY(object_fetch) entry; /* while it waits for room */
    struct object_cache *cache;
    enum object_fetch_state state;
    struct cache_item *items;
    size_t n, left;
    uint64_t reserved; /* of what it will still bring */
    uint64_t bytes;
    unsigned works; /* threads that have something of it */
    bool released;
    object_fetched_fn fn;
    void *arg;
};

struct object_cache {
    struct loop *loop;
    struct object_store *store;
    char *dir;
    uint64_t bytes_max;
    struct cache_file *files;
    struct cache_files unused; /* the longest unused first */
    uint64_t reserved;
    struct object_fetches queue; /* for room */
    struct cache_items ready, waiting, getting;
    unsigned active; /* items from OPENING to DONE */
    unsigned gets;
    unsigned fetches;
    struct loop_hook turn;
    uint64_t gone; /* files taken away, for their names */
    bool loaded, look_for_room, sweeping, sweep_again;
    struct cache_record *found; /* by the load */
    size_t found_n;
    struct object_cache_stats stats;
    void (*closed)(void *arg);
    void *closed_arg;
    bool closing;
};

/* ---- object_cache.c -------------------------------------------------------------------------- */

/* Holds the item's file, which is made when there is none. */
void cache_hold(struct object_cache *cache, struct cache_item *item);
void cache_let_go(struct object_cache *cache, struct cache_item *item);
/* It counts for `bytes` more or less. */
void cache_count(struct object_cache *cache, struct cache_file *file, uint64_t bytes, bool more);
/* Nobody finds it any more. */
void cache_lose(struct object_cache *cache, struct cache_file *file);
/* Takes the longest unused file away; false when none is unused. */
bool cache_evict(struct object_cache *cache);
/* Frees a fetch that is released, ended and in no thread's hands. */
void object_fetch_check(struct object_fetch *fetch);
/* Deletes on a thread what was taken away. */
void cache_begin_sweep(struct object_cache *cache);
void cache_check_closed(struct object_cache *cache);

/* ---- object_cache_gaps.c --------------------------------------------------------------------- */

/* Bytes of the item's ranges that its file lacks. */
uint64_t cache_item_lacks(const struct cache_item *item, const struct cache_file *file);
/* Fills the item's gaps: what its file lacks, in pieces of one request. */
void cache_item_plan(struct cache_item *item);

/* ---- object_cache_fetch.c -------------------------------------------------------------------- */

/* Does what can be done now: room, files, requests. */
void cache_turn(void *arg);
/* Ends what is under way of a fetch, as far as the loop has it. */
void object_fetch_stop(struct object_fetch *fetch);

#endif
