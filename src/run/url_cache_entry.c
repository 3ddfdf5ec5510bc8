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
    lru_remove(&cache->kept, &entry->item);
    if (entry->listed)
        HASH_DEL(cache->entries, entry);
    entry->listed = false;
    if (entry->item.users == 0 && entry->call == NULL)
        url_cache_entry_free(entry);
}

void url_cache_drop_item(struct lru_item *item)
{
    url_cache_drop(
        (struct url_cache_entry *)(void *)((char *)item - offsetof(struct url_cache_entry, item)));
}

void url_cache_clear(struct url_cache *cache)
{
    lru_clear(&cache->kept);
}

void url_cache_keep(struct url_cache_entry *entry)
{
    struct url_cache *cache = entry->cache;
    if (lru_make_room(&cache->kept, entry->bytes))
        lru_add(&cache->kept, &entry->item, entry->bytes);
    else
        url_cache_drop(entry); /* used by those who wait for it */
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
    if (--entry->item.users > 0)
        return;
    if (entry->call != NULL) /* nobody wants it any more */
        url_cache_end_call(entry);
    if (!entry->item.kept)
        url_cache_drop(entry);
}

void url_cache_join(struct url_cache_get *get, struct url_cache_entry *entry)
{
    get->entry = entry;
    get->waits = true;
    entry->item.users++;
    TAILQ_INSERT_TAIL(&entry->waiting, get, link);
}
