/* Happy path: a fetch waits for room, holds its files, has what they lack brought
 * (object_cache_fetch.c), is told, and is released; its files are then the most recently used.
 *
 * A file that turns out to be of another generation, or that the disk lost, is taken out of the
 * table: those that hold it keep what they have, the next one begins anew. */
#include "run/object_cache.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <xxhash.h>

#include "base/buf.h"
#include "base/mem.h"
#include "run/object_cache_internal.h"

/* ---- files ----------------------------------------------------------------------------------- */

static struct cache_file *cache_find(struct object_cache *cache, const char *name)
{
    struct cache_file *file = NULL;
    HASH_FIND_STR(cache->files, name, file);
    return file;
}

static void cache_file_add(struct object_cache *cache, struct cache_file *file)
{
    HASH_ADD_KEYPTR(hh, cache->files, file->record.name, OBJECT_CACHE_NAME_BYTES, file);
    cache->stats.files++;
    cache_count(cache, file, OBJECT_CACHE_FILE_BYTES, true);
}

static void cache_file_free(struct cache_file *file)
{
    cache_record_done(&file->record);
    free(file);
}

void cache_count(struct object_cache *cache, struct cache_file *file, uint64_t bytes, bool more)
{
    uint64_t sign = more ? bytes : -bytes;
    file->bytes += sign;
    cache->stats.bytes += sign;
    if (file->holds > 0)
        cache->stats.bytes_held += sign;
}

static void cache_on_swept(void *arg, int code)
{
    struct object_cache *cache = arg;
    (void)code;
    cache->sweeping = false;
    if (cache->sweep_again)
        loop_hook_arm(&cache->turn);
    cache_check_closed(cache);
}

static void cache_sweep(void *arg)
{
    cache_disk_sweep(((struct object_cache *)arg)->dir);
}

void cache_begin_sweep(struct object_cache *cache)
{
    if (!cache->sweep_again || cache->sweeping || cache->closing)
        return;
    cache->sweeping = true;
    cache->sweep_again = false;
    (void)loop_work(cache->loop, cache_sweep, cache_on_swept, cache);
}

void cache_lose(struct object_cache *cache, struct cache_file *file)
{
    if (file->lost)
        return;
    file->lost = true;
    HASH_DEL(cache->files, file);
    cache->stats.files--;
    cache_count(cache, file, file->bytes, false);
    cache_disk_remove(cache->dir, file->record.name, ++cache->gone);
    cache->sweep_again = true;
    loop_hook_arm(&cache->turn);
    if (file->holds > 0)
        return;
    TAILQ_REMOVE(&cache->unused, file, unused);
    cache_file_free(file);
}

bool cache_evict(struct object_cache *cache)
{
    struct cache_file *file = TAILQ_FIRST(&cache->unused);
    if (file == NULL)
        return false;
    cache->stats.evictions++;
    cache_lose(cache, file);
    return true;
}

void cache_hold(struct object_cache *cache, struct cache_item *item)
{
    struct cache_file *file = cache_find(cache, item->name);
    if (file == NULL) {
        file = mem_zalloc(sizeof *file);
        memcpy(file->record.name, item->name, sizeof file->record.name);
        file->record.url = mem_strdup(item->url);
        file->record.etag = mem_strdup(item->etag != NULL ? item->etag : "");
        file->record.size = item->size;
        TAILQ_INSERT_TAIL(&cache->unused, file, unused);
        cache_file_add(cache, file);
    }
    item->file = file;
    if (file->holds++ > 0)
        return;
    TAILQ_REMOVE(&cache->unused, file, unused);
    cache->stats.bytes_held += file->bytes;
}

void cache_let_go(struct object_cache *cache, struct cache_item *item)
{
    struct cache_file *file = item->file;
    item->file = NULL;
    if (file == NULL || --file->holds > 0)
        return;
    if (file->lost) {
        cache_file_free(file);
        return;
    }
    cache->stats.bytes_held -= file->bytes;
    TAILQ_INSERT_TAIL(&cache->unused, file, unused);
    if (file->checked)
        cache_disk_touch(cache->dir, file->record.name);
}

/* ---- life ------------------------------------------------------------------------------------ */

static int cache_by_use(const void *a, const void *b)
{
    const struct cache_record *left = a, *right = b;
    return (left->used_ms > right->used_ms) - (left->used_ms < right->used_ms);
}

static void cache_load(void *arg)
{
    struct object_cache *cache = arg;
    cache_disk_load(cache->dir, &cache->found, &cache->found_n);
    if (cache->found_n > 0)
        qsort(cache->found, cache->found_n, sizeof *cache->found, cache_by_use);
}

static void cache_on_loaded(void *arg, int code)
{
    struct object_cache *cache = arg;
    (void)code;
    for (size_t i = 0; i < cache->found_n; i++) {
        struct cache_file *file = mem_zalloc(sizeof *file);
        file->record = cache->found[i];
        TAILQ_INSERT_TAIL(&cache->unused, file, unused);
        cache_file_add(cache, file);
        for (size_t r = 0; r < file->record.ranges_n; r++)
            cache_count(cache, file, file->record.ranges[r].len, true);
    }
    free(cache->found);
    cache->found = NULL;
    cache->loaded = true;
    cache->look_for_room = true;
    while ((cache->stats.bytes > cache->bytes_max || cache->stats.files > OBJECT_CACHE_FILES_MAX) &&
           cache_evict(cache))
        ;
    loop_hook_arm(&cache->turn);
    cache_check_closed(cache);
}

int object_cache_new(const struct object_cache_options *options, struct object_cache **out,
                     struct error *e)
{
    if (mkdir(options->dir, 0700) < 0 && errno != EEXIST)
        return error_set(e, -errno, "cannot make %s: %s", options->dir, err_text(-errno));
    struct object_cache *cache = mem_zalloc(sizeof *cache);
    cache->loop = options->loop;
    cache->store = options->store;
    cache->dir = mem_strdup(options->dir);
    cache->bytes_max = options->bytes_max;
    TAILQ_INIT(&cache->unused);
    TAILQ_INIT(&cache->queue);
    TAILQ_INIT(&cache->ready);
    TAILQ_INIT(&cache->waiting);
    TAILQ_INIT(&cache->getting);
    loop_hook_init(&cache->turn, cache->loop, LOOP_PHASE_DEFER, cache_turn, cache);
    (void)loop_work(cache->loop, cache_load, cache_on_loaded, cache);
    *out = cache;
    return 0;
}

void cache_check_closed(struct object_cache *cache)
{
    if (!cache->closing || cache->fetches > 0 || cache->sweeping || !cache->loaded)
        return;
    struct cache_file *file, *next;
    HASH_ITER (hh, cache->files, file, next) {
        HASH_DEL(cache->files, file);
        cache_file_free(file);
    }
    loop_hook_disarm(&cache->turn);
    void (*closed)(void *arg) = cache->closed;
    void *arg = cache->closed_arg;
    free(cache->dir);
    free(cache);
    if (closed != NULL)
        closed(arg);
}

static void cache_close_now(void *arg, int code)
{
    struct object_cache *cache = arg;
    (void)code;
    cache->sweeping = false;
    cache_check_closed(cache);
}

/* What was taken away and is not swept yet goes at the end, or at the next start. */
void object_cache_close(struct object_cache *cache, void (*closed)(void *arg), void *arg)
{
    assert(!cache->closing);
    cache->closing = true;
    cache->closed = closed;
    cache->closed_arg = arg;
    if (cache->sweeping)
        return;
    cache->sweeping = true;
    (void)loop_work(cache->loop, cache_sweep, cache_close_now, cache);
}

const char *object_cache_dir(const struct object_cache *cache)
{
    return cache->dir;
}

void object_cache_get_stats(const struct object_cache *cache, struct object_cache_stats *out)
{
    *out = cache->stats;
}

/* ---- fetches --------------------------------------------------------------------------------- */

static int cache_by_offset(const void *a, const void *b)
{
    const struct object_range *left = a, *right = b;
    return (left->offset > right->offset) - (left->offset < right->offset);
}

/* In order, what touches or overlaps as one. */
static void cache_item_ranges(struct cache_item *item, const struct object_want *want)
{
    item->ranges = mem_calloc(want->ranges_n + 1, sizeof *item->ranges);
    for (size_t i = 0; i < want->ranges_n; i++) {
        assert(want->ranges[i].offset + want->ranges[i].len <= want->size);
        if (want->ranges[i].len > 0)
            item->ranges[item->ranges_n++] = want->ranges[i];
    }
    qsort(item->ranges, item->ranges_n, sizeof *item->ranges, cache_by_offset);
    size_t n = 0;
    for (size_t i = 0; i < item->ranges_n; i++) {
        struct object_range *last = n > 0 ? &item->ranges[n - 1] : NULL;
        const struct object_range *next = &item->ranges[i];
        if (last == NULL || next->offset > last->offset + last->len)
            item->ranges[n++] = *next;
        else if (next->offset + next->len > last->offset + last->len)
            last->len = next->offset + next->len - last->offset;
    }
    item->ranges_n = n;
}

/* The same object, part and tail: the same file. */
static void cache_item_name(struct cache_item *item, const char *part)
{
    char *text = mem_printf("%s\n%llu\n%s\n%llu\n", item->url, (unsigned long long)item->size, part,
                            (unsigned long long)item->tail_at);
    XXH3_state_t *state = XXH3_createState();
    if (state == NULL)
        abort();
    (void)XXH3_128bits_reset(state);
    (void)XXH3_128bits_update(state, text, strlen(text));
    if (item->tail_len > 0)
        (void)XXH3_128bits_update(state, item->tail, item->tail_len);
    XXH128_hash_t hash = XXH3_128bits_digest(state);
    (void)XXH3_freeState(state);
    (void)snprintf(item->name, sizeof item->name, "%016llx%016llx", (unsigned long long)hash.high64,
                   (unsigned long long)hash.low64);
    free(text);
}

static void cache_item_init(struct cache_item *item, struct object_fetch *fetch,
                            const struct object_want *want)
{
    item->fetch = fetch;
    item->trace = want->trace;
    item->place = mem_strdup(want->place);
    item->key = mem_strdup(want->key);
    item->etag = want->etag != NULL && want->etag[0] != '\0' ? mem_strdup(want->etag) : NULL;
    item->url = mem_printf("%s/%s", want->place, want->key);
    item->size = want->size;
    item->tail = want->tail_len > 0 ? mem_dup(want->tail, want->tail_len) : NULL;
    item->tail_len = want->tail_len;
    item->tail_at = want->tail_at;
    LIST_INIT(&item->gets);
    cache_item_ranges(item, want);
    cache_item_name(item, want->part);
}

struct object_fetch *object_cache_fetch(struct object_cache *cache, const struct object_want *wants,
                                        size_t n, object_fetched_fn fn, void *arg)
{
    assert(!cache->closing);
    struct object_fetch *fetch = mem_zalloc(sizeof *fetch);
    fetch->cache = cache;
    fetch->items = mem_calloc(n + 1, sizeof *fetch->items);
    fetch->n = n;
    fetch->left = n;
    fetch->fn = fn;
    fetch->arg = arg;
    for (size_t i = 0; i < n; i++)
        cache_item_init(&fetch->items[i], fetch, &wants[i]);
    TAILQ_INSERT_TAIL(&cache->queue, fetch, entry);
    cache->fetches++;
    cache->look_for_room = true;
    loop_hook_arm(&cache->turn);
    return fetch;
}

static void cache_item_done(struct object_cache *cache, struct cache_item *item)
{
    cache_let_go(cache, item);
    free(item->place);
    free(item->key);
    free(item->etag);
    free(item->url);
    free(item->ranges);
    free(item->tail);
    free(item->gaps);
}

void object_fetch_check(struct object_fetch *fetch)
{
    struct object_cache *cache = fetch->cache;
    if (!fetch->released || fetch->works > 0)
        return;
    cache->reserved -= fetch->reserved;
    for (size_t i = 0; i < fetch->n; i++)
        cache_item_done(cache, &fetch->items[i]);
    free(fetch->items);
    free(fetch);
    cache->fetches--;
    cache->look_for_room = true;
    loop_hook_arm(&cache->turn);
    cache_check_closed(cache);
}

void object_fetch_release(struct object_fetch *fetch)
{
    assert(!fetch->released);
    object_fetch_stop(fetch);
    fetch->fn = NULL;
    fetch->released = true;
    object_fetch_check(fetch);
}

const char *object_fetch_name(const struct object_fetch *fetch, size_t i)
{
    return fetch->items[i].name;
}

const char *object_fetch_etag(const struct object_fetch *fetch, size_t i)
{
    return fetch->items[i].file != NULL ? fetch->items[i].file->record.etag : "";
}

uint64_t object_fetch_bytes(const struct object_fetch *fetch)
{
    return fetch->bytes;
}

/* ---- messages -------------------------------------------------------------------------------- */

char *object_cache_translate(const struct object_cache *cache, const char *text)
{
    struct buf out;
    size_t dir_len = strlen(cache->dir);
    buf_init(&out, strlen(text) + ((size_t)1 << 20));
    const char *at = text, *found;
    while ((found = strstr(at, cache->dir)) != NULL) {
        char name[OBJECT_CACHE_NAME_BYTES + 1];
        struct cache_file *file = NULL;
        if (found[dir_len] == '/') {
            (void)snprintf(name, sizeof name, "%s", found + dir_len + 1);
            HASH_FIND_STR(cache->files, name, file);
        }
        size_t taken = file != NULL ? dir_len + 1 + OBJECT_CACHE_NAME_BYTES : dir_len;
        (void)buf_append(&out, at, (size_t)(found - at));
        if (file != NULL)
            (void)buf_append_str(&out, file->record.url);
        else
            (void)buf_append(&out, found, taken);
        at = found + taken;
    }
    (void)buf_append_str(&out, at);
    (void)buf_cstr(&out);
    return buf_steal(&out, NULL);
}
