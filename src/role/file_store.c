/* Happy path: a read opens the file, takes its piece and closes it again, off the loop; a copy is
 * fetched beside its final name and renamed when it is whole and synced. A full link makes a read
 * wait and repeat, so that pieces never pile up here. */
#include "role/file_store.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"
#include "base/uuid.h"
#include "role/file_fetch.h"
#include "role/node.h"
#include "run/atomic_file.h"

enum { FILE_STORE_RETRY_MS = 10 };

#define FILE_STORE_PART ".part" /* of a copy that is not whole */

struct file_store_read {
    struct file_store *store;
    uint64_t to;
    uint64_t call;
    char *path;
    uint64_t offset;
    size_t len;
    uint8_t *data;
    ssize_t got; /* or -errno */
    bool eof;
    struct loop_timer retry;
    TAILQ_ENTRY(file_store_read) link;
};

struct file_store_copy {
    struct file_store *store;
    uint64_t to;
    uint64_t call;
    char *path;
    char *part;
    struct file_fetch *fetch; /* NULL: is being renamed */
    struct error e;
    TAILQ_ENTRY(file_store_copy) link;
};

struct file_store {
    struct node *node;
    char *dir;
    TAILQ_HEAD(, file_store_read) reads;
    unsigned reads_n;
    TAILQ_HEAD(, file_store_copy) copies;
    unsigned copies_n;
    struct loop_hook hook;
    void (*closed)(void *arg);
    void *closed_arg;
};

/* ---- names ------------------------------------------------------------------------------------*/

char *file_store_path(const struct node *node, const char *id)
{
    struct uuid uuid;
    char text[UUID_TEXT_MAX];
    if (uuid_parse(id, &uuid) < 0)
        return NULL;
    return mem_printf("%s/files/%s", node_options(node)->data_dir, uuid_format(&uuid, text));
}

bool file_store_has(const struct node *node, const char *id)
{
    char *path = file_store_path(node, id);
    bool has = path != NULL && access(path, R_OK) == 0;
    free(path);
    return has;
}

const char *file_store_format_xxh(uint64_t xxh3, char out[static FILE_STORE_XXH_MAX])
{
    (void)snprintf(out, FILE_STORE_XXH_MAX, "%016" PRIx64, xxh3);
    return out;
}

/* ---- life -------------------------------------------------------------------------------------*/

static void file_store_on_hook(void *arg)
{
    struct file_store *store = arg;
    if (store->closed == NULL || store->reads_n > 0 || store->copies_n > 0)
        return;
    void (*closed)(void *) = store->closed;
    void *closed_arg = store->closed_arg;
    loop_hook_disarm(&store->hook);
    free(store->dir);
    free(store);
    closed(closed_arg);
}

static int file_store_tidy(const struct file_store *store, struct error *e)
{
    if (mkdir(store->dir, 0700) != 0 && errno != EEXIST)
        return error_set(e, -errno, "cannot create %s: %s", store->dir, strerror(errno));
    DIR *dir = opendir(store->dir);
    if (dir == NULL)
        return error_set(e, -errno, "cannot read %s: %s", store->dir, strerror(errno));
    const struct dirent *entry;
    while ((entry = readdir(dir)) != NULL)
        if (str_ends_with(entry->d_name, FILE_STORE_PART))
            (void)unlinkat(dirfd(dir), entry->d_name, 0);
    (void)closedir(dir);
    return 0;
}

int file_store_new(struct node *node, struct file_store **out, struct error *e)
{
    struct file_store *store = mem_zalloc(sizeof *store);
    store->node = node;
    store->dir = mem_printf("%s/files", node_options(node)->data_dir);
    TAILQ_INIT(&store->reads);
    TAILQ_INIT(&store->copies);
    loop_hook_init(&store->hook, node_loop(node), LOOP_PHASE_DEFER, file_store_on_hook, store);
    int err = file_store_tidy(store, e);
    if (err < 0) {
        free(store->dir);
        free(store);
        return err;
    }
    *out = store;
    return 0;
}

/* ---- reads ------------------------------------------------------------------------------------*/

static void file_store_work(void *arg)
{
    struct file_store_read *read = arg;
    struct stat st;
    int fd = open(read->path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &st) != 0) {
        read->got = errno == ENOENT ? ERR_NOT_FOUND : -errno;
    } else {
        read->got = pread(fd, read->data, read->len, (off_t)read->offset);
        if (read->got < 0)
            read->got = -errno;
        else
            read->eof = read->offset + (uint64_t)read->got >= (uint64_t)st.st_size;
    }
    if (fd >= 0)
        (void)close(fd);
}

static void file_store_read_free(struct file_store_read *read)
{
    struct file_store *store = read->store;
    TAILQ_REMOVE(&store->reads, read, link);
    store->reads_n--;
    loop_timer_stop(&read->retry);
    free(read->path);
    free(read->data);
    free(read);
    loop_hook_arm(&store->hook);
}

static int file_store_send(struct file_store *store, uint64_t to, uint64_t call, int code,
                           uint8_t *data, size_t len, bool eof)
{
    Wire__FileChunk chunk = WIRE__FILE_CHUNK__INIT;
    chunk.call = call;
    chunk.code = code;
    chunk.data.data = data;
    chunk.data.len = len;
    chunk.eof = eof;
    return node_send(store->node, to, WIRE_FILE_CHUNK, &chunk.base);
}

static void file_store_on_read_done(void *arg, int code)
{
    struct file_store_read *read = arg;
    struct file_store *store = read->store;
    if (code == 0 && read->got < 0)
        code = (int)read->got;
    int err = file_store_send(store, read->to, read->call, code, read->data,
                              code == 0 ? (size_t)read->got : 0, read->eof);
    if (err == ERR_BUSY && store->closed == NULL)
        loop_timer_start(&read->retry, FILE_STORE_RETRY_MS);
    else
        file_store_read_free(read);
}

static void file_store_on_retry(void *arg)
{
    struct file_store_read *read = arg;
    (void)loop_work(node_loop(read->store->node), file_store_work, file_store_on_read_done, read);
}

void file_store_on_read(struct file_store *store, uint64_t from, const Wire__FileRead *message)
{
    char *path = file_store_path(store->node, message->file);
    if (path == NULL || store->reads_n >= FILE_STORE_READS_MAX || store->closed != NULL) {
        (void)file_store_send(store, from, message->call, path == NULL ? ERR_NOT_FOUND : ERR_BUSY,
                              NULL, 0, false);
        free(path);
        return;
    }
    struct file_store_read *read = mem_zalloc(sizeof *read);
    bool bounded = message->bytes_max > 0 && message->bytes_max < FILE_FETCH_PIECE_BYTES_MAX;
    read->store = store;
    read->to = from;
    read->call = message->call;
    read->path = path;
    read->offset = message->offset;
    read->len = bounded ? message->bytes_max : FILE_FETCH_PIECE_BYTES_MAX;
    read->data = mem_alloc(read->len);
    loop_timer_init(&read->retry, node_loop(store->node), file_store_on_retry, read);
    TAILQ_INSERT_TAIL(&store->reads, read, link);
    store->reads_n++;
    file_store_on_retry(read);
}

/* ---- copies -----------------------------------------------------------------------------------*/

static void file_store_copied(struct file_store *store, uint64_t to, uint64_t call, int code,
                              const char *text)
{
    Wire__FileCopied reply = WIRE__FILE_COPIED__INIT;
    reply.call = call;
    reply.code = code;
    reply.text = (char *)(uintptr_t)text;
    (void)node_send(store->node, to, WIRE_FILE_COPIED, &reply.base);
}

static void file_store_copy_end(struct file_store_copy *copy)
{
    struct file_store *store = copy->store;
    TAILQ_REMOVE(&store->copies, copy, link);
    store->copies_n--;
    if (copy->e.code < 0)
        (void)unlink(copy->part);
    file_store_copied(store, copy->to, copy->call, copy->e.code, copy->e.text);
    free(copy->path);
    free(copy->part);
    free(copy);
    loop_hook_arm(&store->hook);
}

static void file_store_keep(void *arg)
{
    struct file_store_copy *copy = arg;
    int fd = open(copy->part, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || fsync(fd) != 0 || rename(copy->part, copy->path) != 0)
        (void)error_set(&copy->e, -errno, "cannot keep %s: %s", copy->path, strerror(errno));
    else
        (void)atomic_file_sync_dir(copy->store->dir, &copy->e);
    if (fd >= 0)
        (void)close(fd);
}

static void file_store_on_kept(void *arg, int code)
{
    (void)code;
    file_store_copy_end(arg);
}

static void file_store_on_fetched(void *arg, int code, const char *text)
{
    struct file_store_copy *copy = arg;
    copy->fetch = NULL;
    if (code < 0) {
        (void)error_set(&copy->e, code, "%s", text);
        file_store_copy_end(copy);
        return;
    }
    (void)loop_work(node_loop(copy->store->node), file_store_keep, file_store_on_kept, copy);
}

void file_store_on_copy(struct file_store *store, uint64_t from, const Wire__FileCopy *message)
{
    char *path = file_store_path(store->node, message->file);
    if (path == NULL || store->copies_n >= FILE_STORE_COPIES_MAX || store->closed != NULL) {
        int code = path == NULL ? ERR_INVALID : ERR_BUSY;
        file_store_copied(store, from, message->call, code, err_text(code));
        free(path);
        return;
    }
    struct file_store_copy *copy = mem_zalloc(sizeof *copy);
    copy->store = store;
    copy->to = from;
    copy->call = message->call;
    copy->path = path;
    copy->part = mem_printf("%s%s", path, FILE_STORE_PART);
    TAILQ_INSERT_TAIL(&store->copies, copy, link);
    store->copies_n++;
    copy->fetch = file_fetch_start(store->node,
                                   &(struct file_fetch_spec){.id = message->file,
                                                             .path = copy->part,
                                                             .bytes = message->bytes,
                                                             .xxh = message->xxh,
                                                             .holders = &from,
                                                             .holders_n = 1},
                                   file_store_on_fetched, copy);
}

void file_store_close(struct file_store *store, void (*closed)(void *arg), void *arg)
{
    store->closed = closed;
    store->closed_arg = arg;
    struct file_store_copy *copy;
    TAILQ_FOREACH (copy, &store->copies, link)
        if (copy->fetch != NULL) {
            file_fetch_cancel(copy->fetch);
            copy->fetch = NULL;
        }
    struct file_store_read *read;
    struct file_store_read *next;
    for (read = TAILQ_FIRST(&store->reads); read != NULL; read = next) {
        next = TAILQ_NEXT(read, link);
        if (loop_timer_is_running(&read->retry))
            file_store_read_free(read);
    }
    loop_hook_arm(&store->hook);
}
