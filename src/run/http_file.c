/* http_reply_file(): a block is read by libuv's pool, written to the stream, and the next one is
 * read when there is room. */
#include <assert.h>
#include <stdlib.h>
#include <unistd.h>
#include <uv.h>

#include "base/mem.h"
#include "run/http_conn.h"

struct http_file {
    struct http_request *req;
    uv_loop_t *loop;
    uv_fs_t fs;
    int fd;
    uint64_t offset;
    uint64_t left;
    bool reading;
    bool ended;
    uint8_t block[HTTP_STREAM_WRITE_MAX];
};

static void http_file_free(struct http_file *file)
{
    if (file->reading)
        return; /* http_file_on_read() comes back to it */
    (void)close(file->fd);
    free(file);
}

static void http_file_end(struct http_file *file, bool complete)
{
    file->ended = true;
    if (complete)
        http_stream_end(file->req);
    else
        http_stream_abort(file->req);
    http_file_free(file);
}

static void http_file_next(struct http_file *file);

static void http_file_on_read(uv_fs_t *fs)
{
    struct http_file *file = fs->data;
    ssize_t n = fs->result;
    uv_fs_req_cleanup(fs);
    file->reading = false;
    if (file->ended) {
        http_file_free(file);
        return;
    }
    if (n <= 0) {
        http_file_end(file, false);
        return;
    }
    file->offset += (uint64_t)n;
    file->left -= (uint64_t)n;
    int rc = http_stream_write(file->req, file->block, (size_t)n);
    if (rc < 0 || file->left == 0)
        http_file_end(file, rc >= 0);
    else if (rc == 0)
        http_file_next(file);
}

static void http_file_next(struct http_file *file)
{
    uint64_t want = file->left < sizeof file->block ? file->left : sizeof file->block;
    uv_buf_t buf = uv_buf_init((char *)file->block, (unsigned)want);
    file->reading = true;
    int rc = uv_fs_read(file->loop, &file->fs, file->fd, &buf, 1, (int64_t)file->offset,
                        http_file_on_read);
    assert(rc == 0);
    (void)rc;
}

static void http_file_on_drain(struct http_request *req, void *arg)
{
    (void)req;
    http_file_next(arg);
}

static void http_file_on_close(struct http_request *req, void *arg)
{
    (void)req;
    http_file_end(arg, false);
}

void http_reply_file(struct http_request *req, unsigned status, const char *type, int fd,
                     uint64_t offset, uint64_t len)
{
    if (req->backend->stream_begin == NULL) {
        (void)close(fd);
        http_reply_error(req, 501, "unsupported", "a file cannot be forwarded", NULL);
        return;
    }
    http_stream_begin(req, status, type, len);
    if (len == 0) {
        (void)close(fd);
        http_stream_end(req);
        return;
    }
    struct http_file *file = mem_alloc(sizeof *file);
    *file = (struct http_file){.req = req, .fd = fd, .offset = offset, .left = len};
    file->loop = ((struct http_server *)req->owner)->options.loop;
    file->fs.data = file;
    http_stream_on_drain(req, http_file_on_drain, file);
    http_request_on_close(req, http_file_on_close, file);
    http_file_next(file);
}
