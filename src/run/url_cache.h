/* Files by URL as tasks get them on this node: of those who ask for one at the same time one
 * downloads it, and where HTTP allows it (http_fresh.h) it is kept for those who ask later, up to a
 * bound, the longest unused going first. What may have changed is asked about with its validator;
 * what has no validator and no time to live, or is not to be stored, everybody downloads for
 * himself.
 *
 * URLs may hold secrets: they stay in memory, and nothing is kept over a restart. Every task gets a
 * copy of its own, whose checksum is compared while it is made. */
#ifndef RUN_URL_CACHE_H
#define RUN_URL_CACHE_H

#include <stdint.h>

#include "base/error.h"
#include "run/http_client.h"
#include "run/loop.h"

enum {
    URL_CACHE_FILES_MAX = 4096,   /* kept */
    URL_CACHE_STRANGERS_MAX = 64, /* URLs that are remembered as not to be kept */
};

struct url_cache;
struct url_cache_get;

/* Borrowed: `loop`, `http`. */
struct url_cache_options {
    struct loop *loop;
    struct http_client *http;
    const char *dir;             /* made; what is in it is removed */
    uint64_t bytes_max;          /* 0: keeps nothing, yet shares downloads */
    uint64_t download_bytes_max; /* of one; 0: the client's default */
};

/* code 0, or a negative one and a sentence. Once, never from inside a function of this header. */
typedef void (*url_cache_fn)(void *arg, int code, const char *text);

int url_cache_new(const struct url_cache_options *options, struct url_cache **out, struct error *e);
/* NULL allowed. Everything asked for has been given or cancelled. */
void url_cache_free(struct url_cache *cache);

/* Gets what `url` gives to `path`, which does not exist yet, within `limit_ms` (0: as long as bytes
 * come). The texts are copied. */
struct url_cache_get *url_cache_get(struct url_cache *cache, const char *url, const char *path,
                                    uint64_t limit_ms, url_cache_fn fn, void *arg);
/* `fn` follows with ERR_CANCELLED. */
void url_cache_cancel(struct url_cache_get *get);

/* Removes all that nobody uses now: the disk is full. */
void url_cache_clear(struct url_cache *cache);

#endif
