/* Bringing what files lack. Happy path of an item: it becomes the one that works on its file; a
 * thread checks the file, makes it long enough and writes the tail; the gaps are asked for in
 * pieces, each written and recorded by a thread when it came; then the next item has its turn.
 *
 * How it fails: the first error ends the fetch; what is on record by then stays for the next one.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/mem.h"
#include "run/object_cache_internal.h"

/* ---- ends ------------------------------------------------------------------------------------ */

/* The file is free for the next one that waits for it. */
static void cache_item_leave(struct cache_item *item)
{
    struct object_cache *cache = item->fetch->cache;
    struct cache_file *file = item->file;
    if (file == NULL || file->worker != item)
        return;
    file->worker = NULL;
    cache->active--;
    struct cache_item *next;
    TAILQ_FOREACH (next, &cache->waiting, entry) {
        if (next->file == file) {
            TAILQ_REMOVE(&cache->waiting, next, entry);
            next->state = CACHE_ITEM_READY;
            TAILQ_INSERT_HEAD(&cache->ready, next, entry);
            break;
        }
    }
    loop_hook_arm(&cache->turn);
}

static void cache_item_unlist(struct cache_item *item)
{
    if (item->is_listed)
        TAILQ_REMOVE(&item->fetch->cache->getting, item, entry);
    item->is_listed = false;
}

static void cache_get_free(struct cache_get *get)
{
    LIST_REMOVE(get, entry);
    free(get->data);
    free(get);
}

static void cache_item_stop(struct cache_item *item)
{
    struct object_cache *cache = item->fetch->cache;
    struct cache_get *get, *next;
    cache_item_unlist(item);
    if (item->state == CACHE_ITEM_READY)
        TAILQ_REMOVE(&cache->ready, item, entry);
    else if (item->state == CACHE_ITEM_WAITING)
        TAILQ_REMOVE(&cache->waiting, item, entry);
    for (get = LIST_FIRST(&item->gets); get != NULL; get = next) {
        next = LIST_NEXT(get, entry);
        if (get->call == NULL)
            continue; /* with a thread */
        object_call_cancel(get->call);
        cache->gets--;
        cache_get_free(get);
    }
    bool with_thread = item->state == CACHE_ITEM_OPENING || !LIST_EMPTY(&item->gets);
    if (!with_thread) {
        item->state = CACHE_ITEM_DONE;
        cache_item_leave(item);
    }
}

void object_fetch_stop(struct object_fetch *fetch)
{
    if (fetch->state == FETCH_QUEUED)
        TAILQ_REMOVE(&fetch->cache->queue, fetch, entry);
    else if (fetch->state == FETCH_RUNNING)
        for (size_t i = 0; i < fetch->n; i++)
            cache_item_stop(&fetch->items[i]);
    fetch->state = FETCH_ENDED;
    loop_hook_arm(&fetch->cache->turn);
}

/* Ends the fetch for good or bad; its owner may release it inside. */
static void object_fetch_end(struct object_fetch *fetch, int code, const char *text)
{
    object_fetched_fn fn = fetch->fn;
    object_fetch_stop(fetch);
    fetch->fn = NULL;
    if (fn != NULL)
        fn(fetch->arg, code, text);
}

static void cache_item_fail(struct cache_item *item, int code, const char *text)
{
    if (item->fetch->state == FETCH_RUNNING)
        object_fetch_end(item->fetch, code, text);
}

static void cache_item_fail_disk(struct cache_item *item, int err)
{
    struct object_cache *cache = item->fetch->cache;
    struct error e;
    if (err == -ENOSPC || err == -EDQUOT)
        while (cache_evict(cache))
            ;
    (void)error_set(&e, err, "cannot keep %.200s in %.100s: %s", item->url, cache->dir,
                    err_text(err));
    cache_item_fail(item, err, e.text);
}

static void cache_item_finish(struct cache_item *item)
{
    struct object_fetch *fetch = item->fetch;
    cache_item_unlist(item);
    item->state = CACHE_ITEM_DONE;
    cache_item_leave(item);
    if (--fetch->left == 0)
        object_fetch_end(fetch, 0, "");
}

/* ---- requests -------------------------------------------------------------------------------- */

static void cache_write(void *arg)
{
    struct cache_get *get = arg;
    const struct cache_item *item = get->item;
    get->err = cache_disk_write(item->fetch->cache->dir, &item->file->record, get->data,
                                get->range.len, get->range.offset, &get->done);
}

/* All of its requests are done? */
static void cache_item_look(struct cache_item *item)
{
    if (item->gaps_at == item->gaps_n && LIST_EMPTY(&item->gets))
        cache_item_finish(item);
}

static void cache_on_written(void *arg, int code)
{
    struct cache_get *get = arg;
    struct cache_item *item = get->item;
    struct object_fetch *fetch = item->fetch;
    struct object_cache *cache = fetch->cache;
    int err = code < 0 ? code : get->err;
    uint64_t len = get->range.len;
    fetch->works--;
    cache->gets--;
    if (err == 0 && !item->file->lost && cache_record_add(&item->file->record, &get->done)) {
        cache_count(cache, item->file, len, true);
        uint64_t paid = len < fetch->reserved ? len : fetch->reserved;
        fetch->reserved -= paid;
        cache->reserved -= paid;
    }
    cache_get_free(get);
    loop_hook_arm(&cache->turn);
    if (fetch->state == FETCH_RUNNING) {
        if (err < 0)
            cache_item_fail_disk(item, err);
        else
            cache_item_look(item);
        return; /* the fetch may be gone */
    }
    if (LIST_EMPTY(&item->gets)) {
        item->state = CACHE_ITEM_DONE;
        cache_item_leave(item);
    }
    object_fetch_check(fetch);
}

/* What came is what was asked for, of the object that the log tells of. */
static int cache_get_check(const struct cache_get *get, const struct object_result *result,
                           struct error *e)
{
    const struct cache_item *item = get->item;
    const char *etag = item->file->record.etag;
    if (result->code < 0)
        return error_set(e, result->code, "%s", result->text);
    if (result->size != item->size)
        return error_set(e, ERR_CORRUPT, "%s has %llu bytes, and should have %llu", item->url,
                         (unsigned long long)result->size, (unsigned long long)item->size);
    if (etag[0] != '\0' && result->etag[0] != '\0' && strcmp(etag, result->etag) != 0)
        return error_set(e, ERR_CONFLICT, "%s was replaced while it was read: repeat the statement",
                         item->url);
    if (result->len != get->range.len)
        return error_set(e, ERR_CORRUPT, "%s gave %zu bytes where %llu were asked for", item->url,
                         result->len, (unsigned long long)get->range.len);
    return 0;
}

static void cache_learn_etag(struct cache_item *item, const char *etag)
{
    struct cache_record *record = &item->file->record;
    if (record->etag[0] != '\0' || etag[0] == '\0' || item->file->lost)
        return;
    free(record->etag);
    record->etag = mem_strdup(etag);
    (void)cache_disk_write_etag(item->fetch->cache->dir, record);
}

static void cache_on_got(void *arg, const struct object_result *result)
{
    struct cache_get *get = arg;
    struct cache_item *item = get->item;
    struct object_cache *cache = item->fetch->cache;
    struct error e;
    get->call = NULL;
    int err = cache_get_check(get, result, &e);
    if (err < 0) {
        bool is_other = err == ERR_CORRUPT || err == ERR_CONFLICT;
        cache->gets--;
        cache_get_free(get);
        if (is_other)
            cache_lose(cache, item->file);
        cache_item_fail(item, err, e.text);
        return;
    }
    cache_learn_etag(item, result->etag);
    item->fetch->bytes += result->len;
    cache->stats.bytes_fetched += result->len;
    get->data = mem_dup(result->data, result->len);
    item->fetch->works++;
    (void)loop_work(cache->loop, cache_write, cache_on_written, get);
}

static void cache_get_begin(struct cache_item *item)
{
    struct object_cache *cache = item->fetch->cache;
    struct cache_get *get = mem_zalloc(sizeof *get);
    get->item = item;
    get->range = item->gaps[item->gaps_at++];
    LIST_INSERT_HEAD(&item->gets, get, entry);
    cache->gets++;
    struct object_request request = {.verb = OBJECT_GET,
                                     .place = item->place,
                                     .key = item->key,
                                     .offset = get->range.offset,
                                     .length = get->range.len,
                                     .bytes_max = get->range.len + 1,
                                     .trace = item->trace,
                                     .on_done = cache_on_got,
                                     .arg = get};
    get->call = object_store_call(cache->store, &request);
}

/* Turns go round the items, so that no large file keeps the others waiting. */
static void cache_pump(struct object_cache *cache)
{
    struct cache_item *item;
    while (cache->gets < OBJECT_CACHE_GETS_MAX && (item = TAILQ_FIRST(&cache->getting)) != NULL) {
        TAILQ_REMOVE(&cache->getting, item, entry);
        item->is_listed = false;
        cache_get_begin(item);
        if (item->gaps_at < item->gaps_n) {
            TAILQ_INSERT_TAIL(&cache->getting, item, entry);
            item->is_listed = true;
        }
    }
}

/* ---- files ----------------------------------------------------------------------------------- */

static void cache_item_get(struct cache_item *item)
{
    struct object_cache *cache = item->fetch->cache;
    item->state = CACHE_ITEM_GETTING;
    cache_item_plan(item);
    if (item->gaps_n == 0) {
        cache_item_finish(item);
        return;
    }
    TAILQ_INSERT_TAIL(&cache->getting, item, entry);
    item->is_listed = true;
    loop_hook_arm(&cache->turn);
}

static bool cache_has_tail(const struct cache_record *record, const struct cache_open *open)
{
    for (size_t i = 0; i < record->ranges_n; i++)
        if (record->ranges[i].offset == open->tail_at && record->ranges[i].len == open->tail_len)
            return true;
    return false;
}

static void cache_open(void *arg)
{
    struct cache_open *open = &((struct cache_item *)arg)->open;
    struct cache_range tail;
    open->dropped = cache_disk_check(open->dir, &open->record, open->len);
    if (open->dropped < 0 || open->tail_len == 0 || cache_has_tail(&open->record, open))
        return;
    int err = cache_disk_write(open->dir, &open->record, open->tail, open->tail_len, open->tail_at,
                               &tail);
    if (err == 0 && !cache_record_add(&open->record, &tail))
        err = -EIO;
    open->dropped = err < 0 ? err : open->dropped;
}

/* The file's ranges are now those that hold. */
static void cache_take_ranges(struct object_cache *cache, struct cache_file *file,
                              struct cache_open *open)
{
    cache_count(cache, file, file->bytes - OBJECT_CACHE_FILE_BYTES, false);
    free(file->record.ranges);
    file->record.ranges = open->record.ranges;
    file->record.ranges_n = open->record.ranges_n;
    file->record.ranges_cap = open->record.ranges_cap;
    open->record.ranges = NULL;
    for (size_t i = 0; i < file->record.ranges_n; i++)
        cache_count(cache, file, file->record.ranges[i].len, true);
    file->checked = true;
    file->len = open->len;
    cache->stats.damaged += (uint64_t)open->dropped;
}

static void cache_on_opened(void *arg, int code)
{
    struct cache_item *item = arg;
    struct object_fetch *fetch = item->fetch;
    struct object_cache *cache = fetch->cache;
    int err = code < 0 ? code : item->open.dropped < 0 ? item->open.dropped : 0;
    fetch->works--;
    if (err == 0 && !item->file->lost)
        cache_take_ranges(cache, item->file, &item->open);
    cache_record_done(&item->open.record);
    free(item->open.dir);
    item->open = (struct cache_open){0};
    if (fetch->state == FETCH_RUNNING) {
        item->state = CACHE_ITEM_GETTING;
        if (err < 0)
            cache_item_fail_disk(item, err);
        else
            cache_item_get(item);
        return;
    }
    item->state = CACHE_ITEM_DONE;
    cache_item_leave(item);
    object_fetch_check(fetch);
}

static void cache_item_open(struct cache_item *item)
{
    struct object_cache *cache = item->fetch->cache;
    const struct cache_record *record = &item->file->record;
    struct cache_open *open = &item->open;
    item->state = CACHE_ITEM_OPENING;
    *open =
        (struct cache_open){.dir = mem_strdup(cache->dir),
                            .record = {.url = mem_strdup(record->url),
                                       .etag = mem_strdup(record->etag),
                                       .size = record->size,
                                       .ranges_n = record->ranges_n,
                                       .ranges_cap = record->ranges_n},
                            .len = item->tail_len > 0 ? item->tail_at + item->tail_len : item->size,
                            .tail = item->tail,
                            .tail_len = item->tail_len,
                            .tail_at = item->tail_at};
    memcpy(open->record.name, record->name, sizeof open->record.name);
    if (record->ranges_n > 0)
        open->record.ranges = mem_dup(record->ranges, record->ranges_n * sizeof *record->ranges);
    item->fetch->works++;
    (void)loop_work(cache->loop, cache_open, cache_on_opened, item);
}

/* What is on record is on the disk, as far as a look tells. */
static bool cache_is_there(const struct object_cache *cache, const struct cache_file *file)
{
    struct stat st;
    char *path = mem_printf("%s/%s", cache->dir, file->record.name);
    bool there = stat(path, &st) == 0 && (uint64_t)st.st_size == file->len;
    free(path);
    return there;
}

/* Another generation of the object, or a file that somebody deleted: begins anew. */
static void cache_item_renew(struct cache_item *item)
{
    struct object_cache *cache = item->fetch->cache;
    struct cache_file *file = item->file;
    bool is_other = item->etag != NULL && file->record.etag[0] != '\0' &&
                    strcmp(item->etag, file->record.etag) != 0;
    bool is_gone = file->checked && !cache_is_there(cache, file);
    if (!is_other && !is_gone && !file->lost)
        return;
    cache_lose(cache, file);
    cache_let_go(cache, item);
    cache_hold(cache, item);
}

static void cache_item_begin(struct cache_item *item)
{
    struct object_cache *cache = item->fetch->cache;
    if (item->file->worker == NULL)
        cache_item_renew(item);
    if (item->file->worker != NULL) {
        item->state = CACHE_ITEM_WAITING;
        TAILQ_INSERT_TAIL(&cache->waiting, item, entry);
        return;
    }
    item->file->worker = item;
    cache->active++;
    if (item->file->checked)
        cache_item_get(item);
    else
        cache_item_open(item);
}

static void cache_begin_ready(struct object_cache *cache)
{
    struct cache_item *item;
    while (cache->active < OBJECT_CACHE_ACTIVE_MAX && (item = TAILQ_FIRST(&cache->ready)) != NULL) {
        TAILQ_REMOVE(&cache->ready, item, entry);
        cache_item_begin(item);
    }
}

/* ---- room ------------------------------------------------------------------------------------ */

/* It will never fit. */
static void object_fetch_refuse(struct object_fetch *fetch, uint64_t own)
{
    struct error e;
    object_fetched_fn fn = fetch->fn;
    (void)error_set(&e, ERR_TOO_LARGE,
                    "a part of the statement reads %llu MiB from the bucket, and this node keeps "
                    "%llu MiB: raise sql.cache_bytes",
                    (unsigned long long)(own >> 20),
                    (unsigned long long)(fetch->cache->bytes_max >> 20));
    object_fetch_stop(fetch);
    fetch->fn = NULL;
    fn(fetch->arg, e.code, e.text);
}

/* Holds the files, makes room for what they lack. False: it waits for others to be released. */
static bool object_fetch_enter(struct object_fetch *fetch)
{
    struct object_cache *cache = fetch->cache;
    uint64_t lacks = 0, hit = 0, before = cache->stats.bytes_held;
    for (size_t i = 0; i < fetch->n; i++) {
        struct cache_item *item = &fetch->items[i];
        cache_hold(cache, item);
        uint64_t gap = cache_item_lacks(item, item->file);
        lacks += gap + item->tail_len;
        for (size_t r = 0; r < item->ranges_n; r++)
            hit += item->ranges[r].len;
        hit -= gap;
    }
    uint64_t own = cache->stats.bytes_held - before + lacks;
    while ((cache->stats.bytes + cache->reserved + lacks > cache->bytes_max ||
            cache->stats.files > OBJECT_CACHE_FILES_MAX) &&
           cache_evict(cache))
        ;
    if (cache->stats.bytes + cache->reserved + lacks > cache->bytes_max) {
        for (size_t i = 0; i < fetch->n; i++)
            cache_let_go(cache, &fetch->items[i]);
        if (own <= cache->bytes_max)
            return false;
        object_fetch_refuse(fetch, own);
        return true;
    }
    TAILQ_REMOVE(&cache->queue, fetch, entry);
    fetch->state = FETCH_RUNNING;
    fetch->reserved = lacks;
    cache->reserved += lacks;
    cache->stats.bytes_hit += hit;
    for (size_t i = 0; i < fetch->n; i++)
        TAILQ_INSERT_TAIL(&cache->ready, &fetch->items[i], entry);
    if (fetch->n == 0)
        object_fetch_end(fetch, 0, "");
    return true;
}

void cache_turn(void *arg)
{
    struct object_cache *cache = arg;
    struct object_fetch *fetch;
    while (cache->loaded && cache->look_for_room && (fetch = TAILQ_FIRST(&cache->queue)) != NULL)
        cache->look_for_room = object_fetch_enter(fetch);
    cache_begin_ready(cache);
    cache_pump(cache);
    cache_begin_sweep(cache);
}
