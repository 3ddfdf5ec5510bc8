/* Receiver's side of raft_transfer.h. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <xxhash.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"
#include "run/atomic_file.h"
#include "run/raft_codec.h"
#include "run/raft_copy.h"
#include "run/raft_transfer.h"
#include "run/wal_file.h"

enum download_state {
    DOWNLOAD_RECEIVING,
    DOWNLOAD_CHECKING,
    DOWNLOAD_READY, /* waits until libraft can take it */
    DOWNLOAD_DELIVERED,
    DOWNLOAD_ABANDONED, /* goes when its work is back */
};

enum { CHUNKS_MAX = RAFT_TRANSFER_WINDOW_BYTES / RAFT_IO_CHUNK_BYTES };

#define PART_SUFFIX ".part"

struct chunk {
    uint8_t *data;
    size_t len;
};

struct raft_download {
    struct raft_node *node;
    enum download_state state;
    uint64_t from;
    Wire__SnapshotBegin *begin;
    char *path; /* of the whole file; while it is received with PART_SUFFIX */
    char *part_path;
    int fd;
    uint64_t taken;                  /* bytes accepted, on disk or in `chunks` */
    struct chunk chunks[CHUNKS_MAX]; /* wait to be written, in order */
    unsigned count;
    int64_t moved_ms;

    bool busy; /* a pool thread works on what follows */
    struct chunk writing[CHUNKS_MAX];
    unsigned writing_count;
    uint64_t written;
    int code;
    struct error error;
};

static int64_t now_ms(const struct raft_node *node)
{
    return loop_now_ms(node->options.loop);
}

static void reply(struct raft_node *node, uint64_t to, const Wire__SnapshotProgress *progress)
{
    Wire__RaftMessage message;
    wire__raft_message__init(&message);
    message.kind_case = WIRE__RAFT_MESSAGE__KIND_SNAPSHOT_PROGRESS;
    message.snapshot_progress = (Wire__SnapshotProgress *)progress;
    (void)raft_node_transmit(node, to, &message);
}

static void reply_offset(const struct raft_download *d, uint64_t offset, bool resend)
{
    Wire__SnapshotProgress progress;
    wire__snapshot_progress__init(&progress);
    progress.transfer = d->begin->transfer;
    progress.offset = offset;
    progress.resend = resend;
    progress.complete = d->state == DOWNLOAD_DELIVERED;
    reply(d->node, d->from, &progress);
}

static void refuse(struct raft_node *node, uint64_t to, uint64_t transfer, int code,
                   const char *reason)
{
    Wire__SnapshotProgress progress;
    wire__snapshot_progress__init(&progress);
    progress.transfer = transfer;
    progress.code = code;
    progress.reason = (char *)reason;
    reply(node, to, &progress);
}

/* ---- life ----------------------------------------------------------------------------------- */

static void free_chunks(struct chunk *chunks, unsigned *count)
{
    for (unsigned i = 0; i < *count; i++)
        free(chunks[i].data);
    *count = 0;
}

static void free_download(struct raft_download *d)
{
    if (d->fd >= 0)
        (void)close(d->fd);
    (void)unlink(d->part_path);
    free_chunks(d->chunks, &d->count);
    free_chunks(d->writing, &d->writing_count);
    wire__snapshot_begin__free_unpacked(d->begin, NULL);
    free(d->path);
    free(d->part_path);
    raft_node_release(d->node);
    free(d);
}

/* The node forgets the transfer; its file goes too, unless libraft has it. */
static void abandon(struct raft_download *d)
{
    if (d->state == DOWNLOAD_READY)
        (void)unlink(d->path);
    d->node->download = NULL;
    d->state = DOWNLOAD_ABANDONED;
    if (!d->busy)
        free_download(d);
}

static void fail(struct raft_download *d, int code, const char *reason)
{
    log_warn(LOG_ABOUT(.role = "metadata", .code = code), "snapshot from server %" PRIu64 ": %s",
             d->from, reason);
    refuse(d->node, d->from, d->begin->transfer, code, reason);
    abandon(d);
}

void raft_download_close(struct raft_node *node)
{
    if (node->download != NULL)
        abandon(node->download);
}

void raft_download_forget(struct raft_node *node)
{
    struct raft_download *d = node->download;
    if (d == NULL || d->state != DOWNLOAD_DELIVERED)
        return;
    if (strcmp(strrchr(d->path, '/') + 1, node->record.file_name) != 0)
        (void)unlink(d->path);
    abandon(d);
}

void raft_download_tick(struct raft_node *node)
{
    struct raft_download *d = node->download;
    if (d != NULL && d->state != DOWNLOAD_READY && !d->busy &&
        now_ms(node) - d->moved_ms > RAFT_TRANSFER_IDLE_MS)
        abandon(d);
}

/* ---- handing it to libraft ---------------------------------------------------------------------
 */

static int make_message(struct raft_node *node, uint64_t from, const Wire__SnapshotBegin *begin,
                        const char *path, struct raft_message *message)
{
    struct raft_install_snapshot *args = &message->install_snapshot;
    *args = (struct raft_install_snapshot){
        .term = begin->term,
        .last_index = begin->last_index,
        .last_term = begin->last_term,
        .conf_index = begin->configuration_index,
    };
    message->type = RAFT_IO_INSTALL_SNAPSHOT;
    message->server_id = from;
    message->server_address = raft_node_address(node, from);
    raft_configuration_init(&args->conf);
    int rc = raft_codec_to_configuration(begin->configuration, &args->conf);
    if (rc == 0 && raft_record_descriptor(args->last_index, path, &args->data) != 0) {
        raft_configuration_close(&args->conf);
        rc = ERR_INVALID;
    }
    return rc;
}

/* libraft drops a snapshot that comes while it stores another one: this one waits, as it does for a
 * term that is being stored. What libraft does not want (it has the entries meanwhile) is removed.
 */
static void deliver(struct raft_download *d)
{
    struct raft_node *node = d->node;
    if (node->put.req != NULL || node->storing.busy)
        return;
    struct raft_message message;
    if (make_message(node, d->from, d->begin, d->path, &message) < 0) {
        fail(d, ERR_PROTOCOL, "malformed description");
        return;
    }
    d->state = DOWNLOAD_DELIVERED;
    raft_node_deliver(node, &message);
    if (node->put.req == NULL || !node->put.install)
        (void)unlink(d->path);
    reply_offset(d, d->begin->size, false);
}

void raft_download_wake(struct raft_node *node)
{
    struct raft_download *d = node->download;
    if (d != NULL && d->state == DOWNLOAD_READY && !node->closing)
        deliver(d);
}

/* ---- writing ----------------------------------------------------------------------------------
 */

static int open_part(struct raft_download *d)
{
    if (d->fd < 0)
        d->fd = open(d->part_path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    return d->fd < 0 ? -errno : 0;
}

/* On a pool thread. */
static void write_chunks(void *arg)
{
    struct raft_download *d = arg;
    d->code = open_part(d);
    for (unsigned i = 0; d->code == 0 && i < d->writing_count; i++) {
        d->code = wal_file_write_all(&wal_file_system_io, d->fd, d->writing[i].data,
                                     d->writing[i].len, d->written);
        d->written += d->writing[i].len;
    }
}

/* On a pool thread: the whole file, as it is on the disk. */
static void check_file(void *arg)
{
    struct raft_download *d = arg;
    uint64_t checksum;
    uint64_t size;
    d->code = fsync(d->fd) != 0 ? -errno : 0;
    if (d->code == 0)
        d->code = raft_copy_checksum_file(d->fd, &checksum, &size);
    if (d->code == 0 && (checksum != d->begin->checksum || size != d->begin->size))
        d->code = ERR_CORRUPT;
    if (d->code == 0 && rename(d->part_path, d->path) != 0)
        d->code = -errno;
    if (d->code == 0)
        d->code = atomic_file_sync_dir(d->node->dir, &d->error);
}

static void on_checked(void *arg, int code)
{
    struct raft_download *d = arg;
    d->busy = false;
    if (d->state == DOWNLOAD_ABANDONED) {
        (void)unlink(d->path);
        free_download(d);
        return;
    }
    if (code < 0 || d->code < 0) {
        fail(d, code < 0 ? code : d->code, err_text(code < 0 ? code : d->code));
        return;
    }
    d->state = DOWNLOAD_READY;
    d->moved_ms = now_ms(d->node);
    deliver(d);
}

static void work(struct raft_download *d);

static void on_written(void *arg, int code)
{
    struct raft_download *d = arg;
    d->busy = false;
    free_chunks(d->writing, &d->writing_count);
    if (d->state == DOWNLOAD_ABANDONED) {
        free_download(d);
        return;
    }
    if (code < 0 || d->code < 0) {
        fail(d, code < 0 ? code : d->code, err_text(code < 0 ? code : d->code));
        return;
    }
    reply_offset(d, d->written, false);
    work(d);
}

/* Writes what came; checks the file when all of it did. */
static void work(struct raft_download *d)
{
    if (d->busy)
        return;
    if (d->count > 0) {
        memcpy(d->writing, d->chunks, sizeof d->chunks);
        d->writing_count = d->count;
        d->count = 0;
        d->busy = true;
        (void)loop_work(d->node->options.loop, write_chunks, on_written, d);
    } else if (d->written == d->begin->size && d->state == DOWNLOAD_RECEIVING) {
        d->state = DOWNLOAD_CHECKING;
        d->busy = true;
        (void)loop_work(d->node->options.loop, check_file, on_checked, d);
    }
}

/* ---- messages ----------------------------------------------------------------------------------
 */

static Wire__SnapshotBegin *copy_begin(const Wire__SnapshotBegin *m)
{
    size_t len = wire__snapshot_begin__get_packed_size(m);
    uint8_t *data = mem_alloc(len + 1);
    wire__snapshot_begin__pack(m, data);
    Wire__SnapshotBegin *copy = wire__snapshot_begin__unpack(NULL, len, data);
    free(data);
    return copy;
}

static struct raft_download *new_download(struct raft_node *node, uint64_t from,
                                          const Wire__SnapshotBegin *m)
{
    struct raft_download *d = mem_zalloc(sizeof *d);
    d->node = node;
    d->from = from;
    d->fd = -1;
    d->begin = copy_begin(m);
    d->path = mem_printf("%s/" RAFT_TRANSFER_INCOMING "%016" PRIx64, node->dir, m->transfer);
    d->part_path = mem_printf("%s" PART_SUFFIX, d->path);
    raft_node_hold(node);
    return d;
}

static bool is_begin(const Wire__SnapshotBegin *m)
{
    struct raft_configuration conf;
    raft_configuration_init(&conf);
    if (m->term == 0 || m->last_index == 0 || m->last_term == 0 || m->size == 0 ||
        raft_codec_to_configuration(m->configuration, &conf) < 0)
        return false;
    raft_configuration_close(&conf);
    return true;
}

/* libraft has this snapshot or a newer one: it says so to the leader and wants no file. */
static void skip(struct raft_node *node, uint64_t from, const Wire__SnapshotBegin *m)
{
    struct raft_message message;
    if (make_message(node, from, m, "", &message) < 0)
        return;
    raft_node_deliver(node, &message);
    Wire__SnapshotProgress progress;
    wire__snapshot_progress__init(&progress);
    progress.transfer = m->transfer;
    progress.complete = true;
    reply(node, from, &progress);
}

int raft_download_begin(struct raft_node *node, uint64_t from, const Wire__SnapshotBegin *m)
{
    if (!is_begin(m))
        return ERR_PROTOCOL;
    if (m->term < raft_node_raft(node)->current_term) {
        refuse(node, from, m->transfer, ERR_CONFLICT, "the receiver is in a later term");
        return 0;
    }
    if (node->put.req == NULL && node->record.index >= m->last_index) {
        if (!node->storing.busy) /* else the sender asks again */
            skip(node, from, m);
        return 0;
    }
    struct raft_download *d = node->download;
    if (d != NULL && (d->from != from || d->begin->transfer != m->transfer ||
                      d->begin->last_index != m->last_index || d->begin->size != m->size)) {
        abandon(d);
        d = NULL;
    }
    if (d == NULL)
        node->download = d = new_download(node, from, m);
    d->begin->term = m->term;
    d->moved_ms = now_ms(node);
    reply_offset(d, d->taken, true);
    return 0;
}

int raft_download_chunk(struct raft_node *node, uint64_t from, const Wire__SnapshotChunk *m)
{
    struct raft_download *d = node->download;
    if (m->data.len == 0 || m->data.len > RAFT_IO_CHUNK_BYTES)
        return ERR_PROTOCOL;
    if (d == NULL || d->from != from || d->begin->transfer != m->transfer ||
        d->state != DOWNLOAD_RECEIVING)
        return 0;
    if (m->offset < d->taken)
        return 0; /* twice */
    if (m->offset > d->taken || d->count == CHUNKS_MAX ||
        m->checksum != XXH3_64bits(m->data.data, m->data.len)) {
        reply_offset(d, d->taken, true);
        return 0;
    }
    if (m->data.len > d->begin->size - d->taken)
        return ERR_PROTOCOL;
    d->chunks[d->count++] = (struct chunk){mem_dup(m->data.data, m->data.len), m->data.len};
    d->taken += m->data.len;
    d->moved_ms = now_ms(node);
    work(d);
    return 0;
}

void raft_transfer_sweep(const char *path, const char *keep)
{
    DIR *dir = opendir(path);
    struct dirent *file;
    while (dir != NULL && (file = readdir(dir)) != NULL) {
        bool ours = str_starts_with(file->d_name, RAFT_TRANSFER_COPY) ||
                    str_starts_with(file->d_name, RAFT_TRANSFER_INCOMING);
        if (ours && strcmp(file->d_name, keep) != 0)
            (void)unlinkat(dirfd(dir), file->d_name, 0);
    }
    if (dir != NULL)
        closedir(dir);
}
