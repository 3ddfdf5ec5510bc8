/* Happy path: the first who asks for a URL makes an entry and begins its download to a file of the
 * cache; others join it. When it has ended each of them gets a copy. Who comes later gets one at
 * once while the entry is fresh, else after the server was asked whether it is still the same: by
 * one, for all who wait meanwhile. What the server gave anew becomes an entry of its own in place
 * of the old one, whose file goes when the last copy of it is made.
 *
 * What must not be kept goes to the one who asked first; the others, and all who come later, each
 * download for themselves ("straight"). A copy whose checksum differs takes the entry away and
 * begins anew, once. */
#include "run/url_cache.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/metric.h"
#include "run/url_cache_internal.h"

static const struct log_about url_cache_log = {.role = "worker"};

static void url_cache_begin(struct url_cache_get *get);

static void url_cache_count(const char *result)
{
    metric_series_add(metric_series(METRIC_URL_CACHE, result), 1);
}

/* ---- ends ---------------------------------------------------------------------------------------
 */

static void url_cache_on_hook(void *arg)
{
    struct url_cache_get *get = arg;
    get->fn(get->arg, get->e.code, get->e.text);
    loop_hook_disarm(&get->hook);
    free(get->url);
    free(get->path);
    free(get);
}

static void url_cache_end(struct url_cache_get *get)
{
    url_cache_leave(get);
    get->ended = true;
    loop_timer_stop(&get->limit);
    loop_hook_arm(&get->hook);
}

static void url_cache_give_up(struct url_cache_get *get, int code, const char *text)
{
    if (get->ended)
        return;
    (void)error_set(&get->e, code, "%s", text);
    if (get->call != NULL)
        http_call_cancel(get->call);
    else if (!get->waits && !file_copier_cancel(&get->copy))
        return; /* the copy's end is on the way */
    get->call = NULL;
    url_cache_end(get);
}

void url_cache_cancel(struct url_cache_get *get)
{
    url_cache_give_up(get, ERR_CANCELLED, "cancelled");
}

static void url_cache_on_limit(void *arg)
{
    url_cache_give_up(arg, ERR_TIMEOUT, "the download took longer than the time limit");
}

/* ---- copies -------------------------------------------------------------------------------------
 */

/* The kept file is not what it should be, or is not there any more: everything anew. */
static bool url_cache_may_repeat(const struct url_cache_get *get)
{
    bool gone = get->e.code == -ENOENT && access(get->entry->path, F_OK) != 0;
    return !get->repeated && (get->e.code == ERR_CORRUPT || get->e.code == -EIO || gone);
}

static void url_cache_on_copied(void *arg)
{
    struct url_cache_get *get = arg;
    struct url_cache_entry *entry = get->entry;
    if (get->e.code == 0) /* else given up meanwhile */
        get->e = get->copy.e;
    if (!url_cache_may_repeat(get)) {
        url_cache_end(get);
        return;
    }
    log_warn(&url_cache_log, "%s; it is fetched again", get->e.text);
    if (entry->call == NULL)
        url_cache_drop(entry); /* this get uses it: it stays until it leaves */
    else
        entry->spoilt = true;
    url_cache_leave(get);
    get->e = (struct error){0};
    get->repeated = true;
    url_cache_begin(get);
}

static void url_cache_copy(struct url_cache_get *get)
{
    struct url_cache_entry *entry = get->entry;
    lru_use(&entry->cache->kept, &entry->item);
    file_copier_start(
        &get->cache->copier, &get->copy,
        &(struct file_copy){
            .from = entry->path, .to = get->path, .bytes = entry->bytes, .xxh3 = entry->xxh3},
        url_cache_on_copied, get);
}

/* ---- straight -----------------------------------------------------------------------------------
 */

/* Negative: -errno and a sentence. */
static int url_cache_call(struct url_cache *cache, const char *url, const char *path,
                          const char *question, http_answer_fn fn, void *arg,
                          struct http_call **out, struct error *e)
{
    const char *headers[] = {question, NULL};
    struct http_call_options options = {
        .url = url,
        .headers = question != NULL && *question != '\0' ? headers : NULL,
        .to_fd = true,
        .body_max = cache->download_bytes_max,
        .on_done = fn,
        .arg = arg,
    };
    options.out_fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (options.out_fd < 0)
        return error_set(e, -errno, "cannot make %s: %s", path, err_text(-errno));
    *out = http_client_call(cache->http, &options);
    return 0;
}

static void url_cache_on_straight(void *arg, const struct http_answer *answer)
{
    struct url_cache_get *get = arg;
    get->call = NULL;
    if (url_cache_judge(get->url, answer, &get->e) == 0 && answer->status == 200)
        url_cache_note_stranger(get->cache, get->url, !url_cache_fresh(answer).keep);
    url_cache_end(get);
}

static void url_cache_straight(struct url_cache_get *get)
{
    url_cache_count("straight");
    if (url_cache_call(get->cache, get->url, get->path, NULL, url_cache_on_straight, get,
                       &get->call, &get->e) < 0)
        url_cache_end(get);
}

/* ---- shared downloads ---------------------------------------------------------------------------
 */

static void url_cache_ask(struct url_cache_entry *entry, bool asks);

/* Everybody who waits gets a copy. */
static void url_cache_serve(struct url_cache_entry *entry)
{
    struct url_cache_get *get;
    while ((get = TAILQ_FIRST(&entry->waiting)) != NULL) {
        TAILQ_REMOVE(&entry->waiting, get, link);
        get->waits = false;
        url_cache_copy(get);
    }
}

static void url_cache_fail(struct url_cache_entry *entry, const struct error *e)
{
    bool no_room = e->code == -ENOSPC || e->code == -EDQUOT;
    struct url_cache_get *get;
    url_cache_end_call(entry);
    entry->item.users++; /* until all are told */
    while ((get = TAILQ_FIRST(&entry->waiting)) != NULL) {
        url_cache_leave(get);
        if (no_room) { /* perhaps there is for one */
            url_cache_straight(get);
        } else {
            get->e = *e;
            url_cache_end(get);
        }
    }
    if (--entry->item.users == 0 && !entry->item.kept)
        url_cache_drop(entry);
}

/* What is not to be kept belongs to who asked first. */
static void url_cache_give(struct url_cache_entry *entry)
{
    struct url_cache_get *get = TAILQ_FIRST(&entry->waiting);
    url_cache_drop(entry); /* held by our caller */
    if (get != NULL && link(entry->path, get->path) == 0) {
        url_cache_end(get);
    } else if (get != NULL) { /* a file system without links */
        TAILQ_REMOVE(&entry->waiting, get, link);
        get->waits = false;
        url_cache_copy(get);
    }
    while ((get = TAILQ_FIRST(&entry->waiting)) != NULL) {
        url_cache_leave(get);
        url_cache_straight(get);
    }
}

/* The entry for what came: itself, or a new one in place of what was kept. */
static struct url_cache_entry *url_cache_successor(struct url_cache_entry *old)
{
    struct url_cache_get *get;
    if (old->path == NULL)
        return old;
    char *url = mem_strdup(old->url);
    url_cache_drop(old); /* held by our caller */
    struct url_cache_entry *entry = url_cache_add(old->cache, url);
    free(url);
    entry->part = old->part;
    entry->call_ms = old->call_ms;
    old->part = NULL;
    while ((get = TAILQ_FIRST(&old->waiting)) != NULL) {
        url_cache_leave(get);
        url_cache_join(get, entry);
    }
    return entry;
}

static void url_cache_arrived(struct url_cache_entry *old, const struct http_answer *answer)
{
    struct url_cache_entry *entry = url_cache_successor(old);
    entry->item.users++;
    entry->path = entry->part;
    entry->part = NULL;
    entry->place = url_cache_place(answer);
    entry->bytes = answer->bytes_received;
    entry->xxh3 = entry->bytes > 0 ? answer->xxh3 : XXH3_64bits("", 0);
    entry->fresh = url_cache_fresh(answer);
    entry->asked_ms = entry->call_ms;
    bool keep = answer->status == 200 && entry->fresh.keep;
    url_cache_note_stranger(entry->cache, entry->url, !keep);
    if (keep) {
        (void)chmod(entry->path, 0400);
        url_cache_keep(entry);
        url_cache_serve(entry);
    } else {
        url_cache_give(entry);
    }
    if (--entry->item.users == 0 && !entry->item.kept)
        url_cache_drop(entry);
}

/* It is still the same, if it is still what was asked about. */
static void url_cache_unchanged(struct url_cache_entry *entry, const struct http_answer *answer)
{
    char *place = url_cache_place(answer);
    bool same = !entry->spoilt && strcmp(place, entry->place) == 0;
    free(place);
    if (!same) {
        url_cache_ask(entry, false);
        return;
    }
    entry->fresh.fresh_ms = url_cache_fresh(answer).fresh_ms;
    entry->asked_ms = entry->call_ms;
    url_cache_serve(entry);
}

static void url_cache_on_answer(void *arg, const struct http_answer *answer)
{
    struct url_cache_entry *entry = arg;
    struct error e = {0};
    bool same = answer->code == 0 && answer->status == 304 && entry->asks;
    entry->call = NULL;
    entry->item.users++; /* until all are served */
    if (!same && url_cache_judge(entry->url, answer, &e) == 0) {
        url_cache_arrived(entry, answer);
    } else {
        url_cache_end_call(entry);
        if (same)
            url_cache_unchanged(entry, answer);
        else
            url_cache_fail(entry, &e); /* what was kept stays: the next one asks again */
    }
    if (--entry->item.users == 0 && !entry->item.kept && entry->call == NULL)
        url_cache_drop(entry);
}

/* Downloads it, or asks whether it is still the same; those who wait are served with the answer. */
static void url_cache_ask(struct url_cache_entry *entry, bool asks)
{
    struct url_cache *cache = entry->cache;
    char question[HTTP_FRESH_TEXT_MAX + 32] = "";
    struct error e = {0};
    if (asks)
        http_fresh_question(&entry->fresh, question);
    entry->asks = asks;
    entry->call_ms = loop_now_ms(cache->loop);
    entry->part = mem_printf("%s/%llu", cache->dir, (unsigned long long)++cache->names);
    if (url_cache_call(cache, entry->url, entry->part, question, url_cache_on_answer, entry,
                       &entry->call, &e) < 0)
        url_cache_fail(entry, &e);
}

/* ---- asking -------------------------------------------------------------------------------------
 */

static bool url_cache_is_fresh(const struct url_cache_entry *entry)
{
    return loop_now_ms(entry->cache->loop) - entry->asked_ms < entry->fresh.fresh_ms;
}

static void url_cache_begin(struct url_cache_get *get)
{
    struct url_cache *cache = get->cache;
    struct url_cache_entry *entry = url_cache_find(cache, get->url);
    if (entry != NULL && entry->call == NULL && !url_cache_is_fresh(entry) &&
        !http_fresh_can_ask(&entry->fresh)) {
        url_cache_drop(entry); /* too old, and nothing to ask with */
        entry = NULL;
    }
    if (entry == NULL && url_cache_stranger(cache, get->url) != NULL) {
        url_cache_straight(get);
        return;
    }
    bool is_new = entry == NULL;
    if (is_new)
        entry = url_cache_add(cache, get->url);
    url_cache_join(get, entry);
    if (is_new) {
        url_cache_count("miss");
        url_cache_ask(entry, false);
    } else if (entry->call != NULL) {
        url_cache_count("shared");
    } else if (url_cache_is_fresh(entry)) {
        url_cache_count("hit");
        url_cache_serve(entry);
    } else {
        url_cache_count("checked");
        url_cache_ask(entry, true);
    }
}

struct url_cache_get *url_cache_get(struct url_cache *cache, const char *url, const char *path,
                                    uint64_t limit_ms, url_cache_fn fn, void *arg)
{
    struct url_cache_get *get = mem_zalloc(sizeof *get);
    get->cache = cache;
    get->url = mem_strdup(url);
    get->path = mem_strdup(path);
    get->fn = fn;
    get->arg = arg;
    loop_hook_init(&get->hook, cache->loop, LOOP_PHASE_DEFER, url_cache_on_hook, get);
    loop_timer_init(&get->limit, cache->loop, url_cache_on_limit, get);
    if (limit_ms > 0 && limit_ms < INT64_MAX / 2)
        loop_timer_start(&get->limit, (int64_t)limit_ms);
    url_cache_begin(get);
    return get;
}

/* ---- life ---------------------------------------------------------------------------------------
 */

static int url_cache_make_dir(const char *path, struct error *e)
{
    if (mkdir(path, 0700) != 0 && errno != EEXIST)
        return error_set(e, -errno, "cannot create %s: %s", path, strerror(errno));
    DIR *dir = opendir(path);
    if (dir == NULL)
        return error_set(e, -errno, "cannot read %s: %s", path, strerror(errno));
    const struct dirent *item;
    while ((item = readdir(dir)) != NULL)
        if (item->d_name[0] != '.')
            (void)unlinkat(dirfd(dir), item->d_name, 0);
    (void)closedir(dir);
    return 0;
}

int url_cache_new(const struct url_cache_options *options, struct url_cache **out, struct error *e)
{
    int err = url_cache_make_dir(options->dir, e);
    if (err < 0)
        return err;
    struct url_cache *cache = mem_zalloc(sizeof *cache);
    cache->loop = options->loop;
    cache->http = options->http;
    cache->dir = mem_strdup(options->dir);
    cache->download_bytes_max = options->download_bytes_max;
    lru_init(&cache->kept, options->bytes_max, URL_CACHE_FILES_MAX, url_cache_drop_item);
    file_copier_init(&cache->copier, options->loop);
    *out = cache;
    return 0;
}

void url_cache_free(struct url_cache *cache)
{
    struct url_cache_entry *entry;
    struct url_cache_entry *next;
    if (cache == NULL)
        return;
    HASH_ITER (hh, cache->entries, entry, next) {
        HASH_DEL(cache->entries, entry);
        entry->listed = false;
        lru_remove(&cache->kept, &entry->item);
        if (entry->item.users == 0 && entry->call == NULL)
            url_cache_entry_free(entry); /* else given up with its node */
    }
    free(cache->dir);
    free(cache);
}
