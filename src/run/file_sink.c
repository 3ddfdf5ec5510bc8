/* One request of libuv's pool is under way at most: a write of the full buffer, or at the end the
 * sync. Its completion starts the next one. */
#include "run/file_sink.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "base/mem.h"

struct file_sink {
    uv_loop_t *loop;
    uv_fs_t fs;
    int fd;
    bool busy;    /* fs is under way */
    bool blocked; /* a write was cut */
    bool finishing;
    bool cancelled;
    bool sync;
    int error;
    uint8_t *filling;
    size_t filling_len;
    uint8_t *writing;
    size_t writing_len;
    size_t written;
    uint64_t bytes;
    XXH3_state_t *hash;
    void (*on_ready)(void *arg);
    void *on_ready_arg;
    void (*on_finish)(void *arg, int rc);
    void (*on_cancel)(void *arg);
    void *on_end_arg;
};

static void file_sink_next(struct file_sink *sink);

struct file_sink *file_sink_new(uv_loop_t *loop, int fd)
{
    struct file_sink *sink = mem_zalloc(sizeof *sink);
    sink->loop = loop;
    sink->fd = fd;
    sink->fs.data = sink;
    sink->hash = XXH3_createState();
    if (sink->hash == NULL)
        abort();
    XXH3_64bits_reset(sink->hash);
    return sink;
}

static void file_sink_free(struct file_sink *sink)
{
    XXH3_freeState(sink->hash);
    free(sink->filling);
    free(sink->writing);
    free(sink);
}

void file_sink_on_ready(struct file_sink *sink, void (*fn)(void *arg), void *arg)
{
    sink->on_ready = fn;
    sink->on_ready_arg = arg;
}

int file_sink_error(const struct file_sink *sink)
{
    return sink->error;
}

uint64_t file_sink_bytes(const struct file_sink *sink)
{
    return sink->bytes;
}

uint64_t file_sink_xxh3(const struct file_sink *sink)
{
    return XXH3_64bits_digest(sink->hash);
}

static void file_sink_end(struct file_sink *sink)
{
    void *arg = sink->on_end_arg;
    if (sink->cancelled) {
        void (*fn)(void *) = sink->on_cancel;
        file_sink_free(sink);
        fn(arg);
    } else {
        sink->on_finish(arg, sink->error);
        file_sink_free(sink);
    }
}

static void file_sink_on_fs(uv_fs_t *fs)
{
    struct file_sink *sink = fs->data;
    bool write = fs->fs_type == UV_FS_WRITE;
    ssize_t result = fs->result;
    uv_fs_req_cleanup(fs);
    sink->busy = false;
    if (sink->cancelled) {
        file_sink_end(sink);
        return;
    }
    if (sink->error == 0 && result <= 0 && (write || result < 0))
        sink->error = result < 0 ? (int)result : -EIO;
    if (!write) {
        file_sink_end(sink);
        return;
    }
    if (sink->error == 0)
        sink->written += (size_t)result;
    if (sink->error != 0 || sink->written == sink->writing_len)
        sink->writing_len = 0;
    file_sink_next(sink);
}

static void file_sink_submit_write(struct file_sink *sink)
{
    uv_buf_t buf = uv_buf_init((char *)sink->writing + sink->written,
                               (unsigned)(sink->writing_len - sink->written));
    sink->busy = true;
    int rc = uv_fs_write(sink->loop, &sink->fs, sink->fd, &buf, 1, -1, file_sink_on_fs);
    assert(rc == 0);
    (void)rc;
}

/* Starts what is to be done next, if nothing is under way. */
static void file_sink_next(struct file_sink *sink)
{
    assert(!sink->busy);
    bool full = sink->filling_len == FILE_SINK_BUFFER_SIZE;
    if (sink->error != 0) {
        sink->filling_len = 0;
    } else if (sink->writing_len == 0 && (full || (sink->finishing && sink->filling_len > 0))) {
        uint8_t *other = sink->writing;
        sink->writing = sink->filling;
        sink->writing_len = sink->filling_len;
        sink->written = 0;
        sink->filling = other;
        sink->filling_len = 0;
    }
    if (sink->writing_len > 0) {
        file_sink_submit_write(sink);
    } else if (sink->finishing) {
        /* Without a sync the trip through the pool keeps on_finish out of file_sink_finish(). */
        sink->busy = true;
        int rc = sink->sync && sink->error == 0
                     ? uv_fs_fsync(sink->loop, &sink->fs, sink->fd, file_sink_on_fs)
                     : uv_fs_fstat(sink->loop, &sink->fs, sink->fd, file_sink_on_fs);
        assert(rc == 0);
        (void)rc;
    }
    if (sink->blocked && sink->filling_len < FILE_SINK_BUFFER_SIZE) {
        sink->blocked = false;
        sink->on_ready(sink->on_ready_arg);
    }
}

size_t file_sink_write(struct file_sink *sink, const void *data, size_t len)
{
    assert(!sink->finishing && !sink->cancelled);
    size_t taken = 0;
    sink->blocked = false;
    while (taken < len && sink->error == 0) {
        size_t room = FILE_SINK_BUFFER_SIZE - sink->filling_len;
        if (room == 0)
            break;
        if (sink->filling == NULL)
            sink->filling = mem_alloc(FILE_SINK_BUFFER_SIZE);
        size_t n = len - taken < room ? len - taken : room;
        memcpy(sink->filling + sink->filling_len, (const uint8_t *)data + taken, n);
        sink->filling_len += n;
        taken += n;
        if (!sink->busy)
            file_sink_next(sink);
    }
    if (sink->error != 0)
        return len;
    (void)XXH3_64bits_update(sink->hash, data, taken);
    sink->bytes += taken;
    sink->blocked = taken < len;
    return taken;
}

void file_sink_finish(struct file_sink *sink, bool sync, void (*fn)(void *arg, int rc), void *arg)
{
    assert(!sink->finishing && !sink->cancelled);
    sink->finishing = true;
    sink->sync = sync;
    sink->on_finish = fn;
    sink->on_end_arg = arg;
    if (!sink->busy)
        file_sink_next(sink);
}

void file_sink_cancel(struct file_sink *sink, void (*fn)(void *arg), void *arg)
{
    assert(!sink->cancelled);
    sink->cancelled = true;
    sink->on_cancel = fn;
    sink->on_end_arg = arg;
    if (!sink->busy)
        file_sink_end(sink);
}
