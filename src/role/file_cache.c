/* Happy path: the first who asks for a file makes an entry and begins its fetch into NAME.part;
 * others join it. When the fetch has ended the file is renamed to NAME, and each of them gets its
 * copy (file_copier.h). A copy whose checksum differs takes the entry away and begins anew, once.
 */
#include "role/file_cache.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/hash.h"
#include "base/log.h"
#include "base/lru.h"
#include "base/mem.h"
#include "base/metric.h"
#include "base/str.h"
#include "base/uuid.h"
#include "role/file_store.h"
#include "role/node.h"
#include "run/file_copier.h"

static const struct log_about file_cache_log = {.role = "worker"};

struct file_cache_get;

TAILQ_HEAD(file_cache_gets, file_cache_get);

struct file_cache_entry {
    struct lru_item item; /* used by gets that wait for it or copy it */
    char id[UUID_TEXT_MAX];
    char *part; /* where it is fetched to; another one for each fetch */
    bool gone;  /* its file is not to be used any more */
    struct file_cache *cache;
    struct file_fetch *fetch; /* under way: it is not ready */
    struct file_cache_gets waiting;
    UT_hash_handle hh;
};

/* One file for one task. */
struct file_cache_get {
    struct file_cache *cache;
    struct file_cache_entry *entry; /* NULL: from the store, or straight */
    char id[UUID_TEXT_MAX];
    char *path;
    char *from; /* what is copied */
    uint64_t bytes;
    char xxh[FILE_STORE_XXH_MAX];
    uint64_t xxh3;
    uint64_t holders[FILE_FETCH_HOLDERS_MAX];
    size_t holders_n;
    bool waits;               /* in entry->waiting */
    struct file_fetch *fetch; /* straight to its place */
    struct file_copier_job copy;
    bool repeated;
    struct error e;
    struct loop_hook hook;
    task_run_fetched_fn fn;
    void *arg;
    TAILQ_ENTRY(file_cache_get) link;
};

struct file_cache {
    struct node *node;
    char *dir;
    struct file_cache_entry *entries;
    struct lru kept; /* what is being fetched has its room already */
    struct file_copier copier;
    uint64_t fetches;
};

static void file_cache_begin(struct file_cache_get *get);

static void file_cache_count(const char *result)
{
    metric_series_add(metric_series(METRIC_FILE_CACHE, result), 1);
}

static char *file_cache_path(const struct file_cache *cache, const char *id, const char *ending)
{
    return mem_printf("%s/%s%s", cache->dir, id, ending);
}

/* ---- entries ----------------------------------------------------------------------------------*/

static struct file_cache_entry *file_cache_find(const struct file_cache *cache, const char *id)
{
    struct file_cache_entry *entry = NULL;
    HASH_FIND_STR(cache->entries, id, entry);
    return entry;
}

static struct file_cache_entry *file_cache_add(struct file_cache *cache, const char *id,
                                               uint64_t bytes)
{
    struct file_cache_entry *entry = mem_zalloc(sizeof *entry);
    (void)strcpy(entry->id, id);
    entry->cache = cache;
    TAILQ_INIT(&entry->waiting);
    HASH_ADD_STR(cache->entries, id, entry);
    lru_add(&cache->kept, &entry->item, bytes);
    return entry;
}

/* Takes the entry off the books and its file away; it is freed when nobody uses it. What is being
 * fetched removes itself. */
static void file_cache_drop(struct file_cache_entry *entry)
{
    struct file_cache *cache = entry->cache;
    if (!entry->gone && entry->fetch == NULL) {
        char *path = file_cache_path(cache, entry->id, "");
        (void)unlink(path);
        free(path);
    }
    if (!entry->gone)
        HASH_DEL(cache->entries, entry);
    lru_remove(&cache->kept, &entry->item);
    entry->gone = true;
    if (entry->item.users > 0 || entry->fetch != NULL)
        return;
    free(entry->part);
    free(entry);
}

static void file_cache_drop_item(struct lru_item *item)
{
    file_cache_drop((struct file_cache_entry *)(void *)((char *)item -
                                                        offsetof(struct file_cache_entry, item)));
}

void file_cache_clear(struct file_cache *cache)
{
    lru_clear(&cache->kept);
}

static void file_cache_leave(struct file_cache_get *get)
{
    struct file_cache_entry *entry = get->entry;
    get->entry = NULL;
    if (entry == NULL)
        return;
    if (get->waits)
        TAILQ_REMOVE(&entry->waiting, get, link);
    get->waits = false;
    entry->item.users--;
    if (entry->item.users > 0)
        return;
    if (entry->fetch != NULL) { /* nobody wants it any more */
        file_fetch_cancel(entry->fetch);
        file_cache_drop(entry);
    } else if (entry->gone) {
        file_cache_drop(entry);
    }
}

/* ---- ends -------------------------------------------------------------------------------------*/

static void file_cache_on_hook(void *arg)
{
    struct file_cache_get *get = arg;
    get->fn(get->arg, get->e.code, get->e.text);
    loop_hook_disarm(&get->hook);
    free(get->path);
    free(get->from);
    free(get);
}

static void file_cache_end(struct file_cache_get *get)
{
    file_cache_leave(get);
    loop_hook_arm(&get->hook);
}

/* ---- copies -----------------------------------------------------------------------------------*/

/* The kept file is not what it should be, or is not there any more: everything anew. */
static bool file_cache_may_repeat(const struct file_cache_get *get)
{
    return !get->repeated && (get->e.code == ERR_CORRUPT || get->e.code == -ENOENT ||
                              get->e.code == -EIO || get->e.code == -EACCES);
}

static void file_cache_on_copied(void *arg)
{
    struct file_cache_get *get = arg;
    struct file_cache *cache = get->cache;
    get->e = get->copy.e;
    if (get->e.code == 0 && get->entry != NULL && !get->entry->gone) {
        lru_use(&cache->kept, &get->entry->item);
        (void)utimensat(AT_FDCWD, get->from, NULL, 0);
    }
    if (file_cache_may_repeat(get)) {
        log_warn(&file_cache_log, "%s; it is fetched again", get->e.text);
        if (get->entry != NULL && !get->entry->gone)
            file_cache_drop(get->entry);
        file_cache_leave(get);
        get->repeated = true;
        file_cache_begin(get);
    } else {
        file_cache_end(get);
    }
}

/* Takes `from`. */
static void file_cache_copy(struct file_cache_get *get, char *from)
{
    free(get->from);
    get->from = from;
    file_copier_start(&get->cache->copier, &get->copy,
                      &(struct file_copy){.from = get->from,
                                          .to = get->path,
                                          .bytes = get->bytes > 0 ? get->bytes : UINT64_MAX,
                                          .xxh3 = get->xxh3},
                      file_cache_on_copied, get);
}

/* ---- fetches ----------------------------------------------------------------------------------*/

static struct file_fetch *file_cache_fetch(const struct file_cache_get *get, const char *path,
                                           file_fetch_fn fn, void *arg)
{
    return file_fetch_start(get->cache->node,
                            &(struct file_fetch_spec){.id = get->id,
                                                      .path = path,
                                                      .bytes = get->bytes,
                                                      .xxh = get->xxh,
                                                      .holders = get->holders,
                                                      .holders_n = get->holders_n},
                            fn, arg);
}

static void file_cache_on_straight(void *arg, int code, const char *text)
{
    struct file_cache_get *get = arg;
    get->fetch = NULL;
    get->e = (struct error){0};
    if (code < 0)
        (void)error_set(&get->e, code, "%s", text);
    file_cache_end(get);
}

static void file_cache_straight(struct file_cache_get *get)
{
    file_cache_count("straight");
    get->fetch = file_cache_fetch(get, get->path, file_cache_on_straight, get);
}

/* NAME.part becomes NAME, which its own user may not write by accident. */
static int file_cache_settle(struct file_cache_entry *entry)
{
    struct file_cache *cache = entry->cache;
    char *path = file_cache_path(cache, entry->id, "");
    int err = chmod(entry->part, 0400) == 0 && rename(entry->part, path) == 0 ? 0 : -errno;
    if (err < 0)
        (void)unlink(entry->part);
    free(path);
    return err;
}

static void file_cache_on_fetched(void *arg, int code, const char *text)
{
    struct file_cache_entry *entry = arg;
    struct file_cache *cache = entry->cache;
    struct file_cache_gets waiting = TAILQ_HEAD_INITIALIZER(waiting);
    struct file_cache_get *get;
    if (code == 0 && entry->gone) /* given up as it ended */
        (void)unlink(entry->part);
    else if (code == 0)
        code = file_cache_settle(entry);
    bool no_room = code == -ENOSPC || code == -EDQUOT;
    TAILQ_CONCAT(&waiting, &entry->waiting, link);
    entry->item.users++; /* until all are served */
    if (code < 0)
        file_cache_drop(entry);
    entry->fetch = NULL;
    if (code == 0 && !entry->gone)
        lru_use(&cache->kept, &entry->item);
    while ((get = TAILQ_FIRST(&waiting)) != NULL) {
        TAILQ_REMOVE(&waiting, get, link);
        get->waits = false;
        if (code == 0) {
            file_cache_copy(get, file_cache_path(cache, entry->id, ""));
        } else if (no_room) { /* perhaps there is for one */
            file_cache_leave(get);
            file_cache_straight(get);
        } else {
            (void)error_set(&get->e, code, "%s", text);
            file_cache_end(get);
        }
    }
    if (--entry->item.users == 0 && entry->gone)
        file_cache_drop(entry);
}

static void file_cache_join(struct file_cache_get *get, struct file_cache_entry *entry)
{
    get->entry = entry;
    entry->item.users++;
    if (entry->fetch == NULL) {
        file_cache_count("hit");
        file_cache_copy(get, file_cache_path(get->cache, entry->id, ""));
        return;
    }
    file_cache_count("shared");
    get->waits = true;
    TAILQ_INSERT_TAIL(&entry->waiting, get, link);
}

static void file_cache_miss(struct file_cache_get *get)
{
    struct file_cache *cache = get->cache;
    struct file_cache_entry *entry = file_cache_add(cache, get->id, get->bytes);
    entry->part =
        mem_printf("%s/%s.%llu", cache->dir, get->id, (unsigned long long)++cache->fetches);
    file_cache_count("miss");
    (void)unlink(entry->part);
    get->entry = entry;
    entry->item.users++;
    get->waits = true;
    TAILQ_INSERT_TAIL(&entry->waiting, get, link);
    entry->fetch = file_cache_fetch(get, entry->part, file_cache_on_fetched, entry);
}

static void file_cache_begin(struct file_cache_get *get)
{
    struct file_cache *cache = get->cache;
    struct file_cache_entry *entry = file_cache_find(cache, get->id);
    bool is_checked = strlen(get->xxh) == FILE_STORE_XXH_MAX - 1;
    if (is_checked && !get->repeated && file_store_has(cache->node, get->id)) {
        file_cache_count("store");
        file_cache_copy(get, file_store_path(cache->node, get->id));
    } else if (is_checked && entry != NULL) {
        file_cache_join(get, entry);
    } else if (is_checked && lru_make_room(&cache->kept, get->bytes)) {
        file_cache_miss(get);
    } else {
        file_cache_straight(get);
    }
}

/* ---- for tasks --------------------------------------------------------------------------------*/

static void *file_cache_task_start(void *arg, const Wire__TaskFile *file, const char *path,
                                   task_run_fetched_fn fetched, void *fetched_arg)
{
    struct file_cache *cache = arg;
    struct file_cache_get *get = mem_zalloc(sizeof *get);
    struct uuid uuid;
    get->cache = cache;
    get->path = mem_strdup(path);
    get->bytes = file->bytes;
    get->fn = fetched;
    get->arg = fetched_arg;
    get->holders_n = file_fetch_holders(cache->node, file, get->holders);
    if (strlen(file->xxh) == FILE_STORE_XXH_MAX - 1) {
        (void)strcpy(get->xxh, file->xxh);
        get->xxh3 = strtoull(file->xxh, NULL, 16);
    }
    loop_hook_init(&get->hook, node_loop(cache->node), LOOP_PHASE_DEFER, file_cache_on_hook, get);
    if (uuid_parse(file->file, &uuid) < 0) {
        (void)error_set(&get->e, ERR_INVALID, "\"%.64s\" is no file's id", file->file);
        file_cache_end(get);
    } else {
        (void)uuid_format(&uuid, get->id);
        file_cache_begin(get);
    }
    return get;
}

static void file_cache_task_cancel(void *arg, void *handle)
{
    struct file_cache_get *get = handle;
    (void)arg;
    if (get->fetch != NULL) {
        file_fetch_cancel(get->fetch);
        return;
    }
    if (!get->waits && !file_copier_cancel(&get->copy))
        return; /* its end is on the way */
    (void)error_set(&get->e, ERR_CANCELLED, "cancelled");
    file_cache_end(get);
}

struct task_run_files file_cache_for_tasks(struct file_cache *cache)
{
    return (struct task_run_files){
        .start = file_cache_task_start, .cancel = file_cache_task_cancel, .arg = cache};
}

/* ---- life -------------------------------------------------------------------------------------*/

struct file_cache_found {
    char id[UUID_TEXT_MAX];
    uint64_t bytes;
    int64_t used_s;
};

static int file_cache_compare(const void *a, const void *b)
{
    int64_t x = ((const struct file_cache_found *)a)->used_s;
    int64_t y = ((const struct file_cache_found *)b)->used_s;
    return (x > y) - (x < y);
}

/* Files that were kept before, in the order of their last use. */
static void file_cache_load(struct file_cache *cache)
{
    struct file_cache_found *found = NULL;
    size_t n = 0;
    size_t cap = 0;
    DIR *dir = opendir(cache->dir);
    const struct dirent *item;
    while (dir != NULL && (item = readdir(dir)) != NULL) {
        struct uuid uuid;
        struct stat st;
        if (item->d_name[0] == '.' ||
            fstatat(dirfd(dir), item->d_name, &st, AT_SYMLINK_NOFOLLOW) != 0)
            continue;
        if (uuid_parse(item->d_name, &uuid) < 0 || !S_ISREG(st.st_mode)) {
            (void)unlinkat(dirfd(dir), item->d_name, 0);
            continue;
        }
        MEM_GROW(found, cap, n + 1);
        (void)strcpy(found[n].id, item->d_name);
        found[n].bytes = (uint64_t)st.st_size;
        found[n++].used_s = st.st_mtim.tv_sec;
    }
    if (dir != NULL)
        (void)closedir(dir);
    if (n > 0)
        qsort(found, n, sizeof *found, file_cache_compare);
    for (size_t i = 0; i < n; i++)
        (void)file_cache_add(cache, found[i].id, found[i].bytes);
    free(found);
    (void)lru_make_room(&cache->kept, 0);
}

int file_cache_new(struct node *node, uint64_t bytes_max, struct file_cache **out, struct error *e)
{
    struct file_cache *cache = mem_zalloc(sizeof *cache);
    cache->node = node;
    cache->dir = mem_printf("%s/file-cache", node_options(node)->data_dir);
    lru_init(&cache->kept, bytes_max, SIZE_MAX, file_cache_drop_item);
    file_copier_init(&cache->copier, node_loop(node));
    if (mkdir(cache->dir, 0700) != 0 && errno != EEXIST) {
        int err = error_set(e, -errno, "cannot create %s: %s", cache->dir, strerror(errno));
        free(cache->dir);
        free(cache);
        return err;
    }
    file_cache_load(cache);
    *out = cache;
    return 0;
}

void file_cache_free(struct file_cache *cache)
{
    struct file_cache_entry *entry;
    struct file_cache_entry *next;
    if (cache == NULL)
        return;
    HASH_ITER (hh, cache->entries, entry, next) {
        HASH_DEL(cache->entries, entry);
        if (entry->item.users > 0 || entry->fetch != NULL)
            continue; /* given up with its node */
        free(entry->part);
        free(entry);
    }
    free(cache->dir);
    free(cache);
}
