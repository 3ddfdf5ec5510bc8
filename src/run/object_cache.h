/* Parts of immutable objects, kept on this node's disk: files that have the bytes that were asked
 * for at their own places and holes elsewhere. What is there already is not fetched again, also not
 * after a restart, and what two ask for at once travels once.
 *
 * A fetch asks for some ranges of many objects at the same time and holds their files until it is
 * released; what nobody holds goes, the longest unused first, when the bound is reached. A fetch
 * for which there is no room waits until others are released, in the order of asking; one that
 * would not fit alone fails.
 *
 * Every range is on record with its checksum once its bytes are in the file, and compared when a
 * file is used for the first time after a start: what a power cut or a bad disk left is fetched
 * again. A file belongs to one generation of its object: bytes of another ETag or size are an error
 * and take the file away.
 *
 * All on the loop's thread; no callback comes from inside a call. */
#ifndef RUN_OBJECT_CACHE_H
#define RUN_OBJECT_CACHE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/trace.h"
#include "run/loop.h"

struct object_cache;
struct object_fetch;
struct object_store;

enum {
    OBJECT_CACHE_FILES_MAX = 1 << 18, /* on disk */
    OBJECT_CACHE_GET_BYTES = 2 << 20, /* of one request */
    OBJECT_CACHE_GETS_MAX = 16,       /* at once */
    OBJECT_CACHE_ACTIVE_MAX = 32,     /* files that are worked on at once */
    OBJECT_CACHE_FILE_BYTES = 8192,   /* that a file counts for besides its ranges */
    OBJECT_CACHE_NAME_BYTES = 32,
};

struct object_cache_options {
    struct loop *loop;
    struct object_store *store; /* outlives the cache */
    const char *dir;            /* of this cache alone; its parent exists */
    uint64_t bytes_max;
};

/* Copies the options. -errno when `dir` cannot be made. */
int object_cache_new(const struct object_cache_options *options, struct object_cache **out,
                     struct error *e);
/* Every fetch has been released. Calls `closed` (NULL allowed), frees. The files stay. */
void object_cache_close(struct object_cache *cache, void (*closed)(void *arg), void *arg);
const char *object_cache_dir(const struct object_cache *cache);

struct object_range {
    uint64_t offset;
    uint64_t len;
};

struct object_want {
    const char *place;
    const char *key;
    uint64_t size;                     /* that the object must have */
    const char *etag;                  /* that it must have; NULL: any, always the same one */
    const char *part;                  /* name of this file among those of the object */
    const struct object_range *ranges; /* within `size`, in any order */
    size_t ranges_n;
    /* Bytes of the caller's own at `tail_at`, where the file then ends; none: it ends at `size`. */
    const void *tail;
    size_t tail_len;
    uint64_t tail_at;
    struct trace_context trace; /* what it is fetched for */
};

/* ERR_TOO_LARGE (more than the bound), ERR_CORRUPT (another size or generation, cut), -errno of the
 * disk, and those of object_store.h; `text` is a sentence that names the object. */
typedef void (*object_fetched_fn)(void *arg, int code, const char *text);

/* Copies all. `fn` once; then the files are there, until the fetch is released. */
struct object_fetch *object_cache_fetch(struct object_cache *cache, const struct object_want *wants,
                                        size_t n, object_fetched_fn fn, void *arg);
/* `fn` is not called any more. The fetch is gone. */
void object_fetch_release(struct object_fetch *fetch);

/* Of want number i, once it was fetched: the file's name in the directory; its object's ETag, ""
 * when the store gives none. */
const char *object_fetch_name(const struct object_fetch *fetch, size_t i);
const char *object_fetch_etag(const struct object_fetch *fetch, size_t i);
/* Bytes that travelled for it. */
uint64_t object_fetch_bytes(const struct object_fetch *fetch);

/* `text` with the paths of files of the cache replaced by the URLs of their objects; malloc'ed. */
char *object_cache_translate(const struct object_cache *cache, const char *text);

struct object_cache_stats {
    uint64_t files;
    uint64_t bytes;         /* on disk, as they count */
    uint64_t bytes_held;    /* of them, of files that somebody holds */
    uint64_t bytes_hit;     /* asked for and there already */
    uint64_t bytes_fetched; /* that travelled */
    uint64_t evictions;     /* of files */
    uint64_t damaged;       /* ranges that were found to be other than recorded */
};

void object_cache_get_stats(const struct object_cache *cache, struct object_cache_stats *out);

#endif
