/* The entries of the cache: found by URL, bounded in bytes and number, dropped when the last get
 * has left. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "run/url_cache_internal.h"

struct url_cache_entry *url_cache_find(const struct url_cache *cache, const char *url)
{
    struct url_cache_entry *entry = NULL;
    HASH_FIND_STR(cache->entries, url, entry);
    return entry;
}

struct url_cache_entry *url_cache_add(struct url_cache *cache, const char *url)
{
    struct url_cache_entry *entry = mem_zalloc(sizeof *entry);
    entry->cache = cache;
    entry->url = mem_strdup(url);
    entry->listed = true;
    TAILQ_INIT(&entry->waiting);
    HASH_ADD_KEYPTR(hh, cache->entries, entry->url, strlen(entry->url), entry);
    return entry;
}

void url_cache_entry_free(struct url_cache_entry *entry)
{
    if (entry->path != NULL)
        (void)unlink(entry->path);
    free(entry->url);
    free(entry->place);
    free(entry->path);
    free(entry->part);
    free(entry);
}

void url_cache_drop(struct url_cache_entry *entry)
{
    struct url_cache *cache = entry->cache;
    if (entry->kept) {
        TAILQ_REMOVE(&cache->lru, entry, lru);
        cache->bytes -= entry->bytes;
        cache->files--;
    }
    if (entry->listed)
        HASH_DEL(cache->entries, entry);
    entry->kept = entry->listed = false;
    if (entry->users == 0 && entry->call == NULL)
        url_cache_entry_free(entry);
}

void url_cache_clear(struct url_cache *cache)
{
    struct url_cache_entry *entry = TAILQ_FIRST(&cache->lru);
    while (entry != NULL) {
        struct url_cache_entry *next = TAILQ_NEXT(entry, lru);
        if (entry->users == 0)
            url_cache_drop(entry);
        entry = next;
    }
}

static bool url_cache_fits(const struct url_cache *cache, uint64_t bytes)
{
    return cache->bytes + bytes <= cache->bytes_max && cache->files < URL_CACHE_FILES_MAX;
}

void url_cache_keep(struct url_cache_entry *entry)
{
    struct url_cache *cache = entry->cache;
    struct url_cache_entry *old = TAILQ_FIRST(&cache->lru);
    while (old != NULL && entry->bytes <= cache->bytes_max &&
           !url_cache_fits(cache, entry->bytes)) {
        struct url_cache_entry *next = TAILQ_NEXT(old, lru);
        if (old->users == 0)
            url_cache_drop(old);
        old = next;
    }
    if (!url_cache_fits(cache, entry->bytes)) {
        url_cache_drop(entry); /* used by those who wait for it */
        return;
    }
    TAILQ_INSERT_TAIL(&cache->lru, entry, lru);
    entry->kept = true;
    cache->bytes += entry->bytes;
    cache->files++;
}

void url_cache_end_call(struct url_cache_entry *entry)
{
    if (entry->call != NULL)
        http_call_cancel(entry->call);
    entry->call = NULL;
    if (entry->part != NULL)
        (void)unlink(entry->part);
    free(entry->part);
    entry->part = NULL;
}

void url_cache_leave(struct url_cache_get *get)
{
    struct url_cache_entry *entry = get->entry;
    get->entry = NULL;
    if (entry == NULL)
        return;
    if (get->waits)
        TAILQ_REMOVE(&entry->waiting, get, link);
    get->waits = false;
    if (--entry->users > 0)
        return;
    if (entry->call != NULL) /* nobody wants it any more */
        url_cache_end_call(entry);
    if (!entry->kept)
        url_cache_drop(entry);
}

void url_cache_join(struct url_cache_get *get, struct url_cache_entry *entry)
{
    get->entry = entry;
    get->waits = true;
    entry->users++;
    TAILQ_INSERT_TAIL(&entry->waiting, get, link);
}
