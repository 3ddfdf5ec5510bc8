/* A file of its own in the upload directory takes the body through a file sink. When the body is
 * complete the file is synced and belongs to the request. A client that goes away, a full disk or
 * a body over the limit leave no file behind. */
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/mem.h"
#include "run/file_sink.h"
#include "run/http_conn.h"
#include "run/http_status.h"

struct http_upload_file {
    struct http_server *server;
    struct http_conn *conn; /* NULL: dropped */
    struct file_sink *sink; /* NULL when all is written */
    int fd;
    char *path; /* NULL: the request has it */
};

static int http_upload_has_room(const struct http_server *server, uint64_t len, struct error *e)
{
    struct statvfs fs;
    if (statvfs(server->upload_dir, &fs) != 0)
        return error_set(e, -errno, "cannot look at the upload directory: %s", strerror(errno));
    uint64_t room = (uint64_t)fs.f_bavail * fs.f_frsize;
    if (len > room)
        return error_set(e, -ENOSPC,
                         "%" PRIu64 " bytes do not fit on the disk, %" PRIu64 " are free", len,
                         room);
    return 0;
}

static void http_upload_on_room(void *arg)
{
    struct http_upload_file *file = arg;
    if (file->conn != NULL)
        http_conn_wake(file->conn);
}

int http_upload_open(struct http_conn *conn, struct error *e)
{
    struct http_server *server = conn->listener->server;
    if (server->upload_dir == NULL)
        return error_set(e, ERR_UNSUPPORTED, "this node takes no uploads");
    if (server->uploads >= server->options.uploads_max)
        return error_set(e, ERR_BUSY, "%u uploads are under way already", server->uploads);
    uint64_t len = conn->body_len == UINT64_MAX ? 0 : conn->body_len;
    int rc = http_upload_has_room(server, len, e);
    if (rc != 0)
        return rc;
    char *path = mem_printf("%s/upload-XXXXXX", server->upload_dir);
    int fd = mkostemp(path, O_CLOEXEC);
    if (fd < 0) {
        rc = error_set(e, -errno, "cannot create %s: %s", path, strerror(errno));
        free(path);
        return rc;
    }
    struct http_upload_file *file = mem_zalloc(sizeof *file);
    file->server = server;
    file->conn = conn;
    file->fd = fd;
    file->path = path;
    file->sink = file_sink_new(server->options.loop, fd);
    file_sink_on_ready(file->sink, http_upload_on_room, file);
    conn->upload = file;
    server->uploads++;
    return 0;
}

static void http_upload_free(struct http_upload_file *file)
{
    file->server->uploads--;
    if (file->conn == NULL)
        http_server_wake(file->server, NULL);
    if (file->fd >= 0)
        (void)close(file->fd);
    if (file->path != NULL)
        (void)unlink(file->path);
    free(file->path);
    free(file);
}

size_t http_upload_write(struct http_conn *conn, const void *data, size_t len)
{
    return file_sink_write(conn->upload->sink, data, len);
}

static void http_upload_on_finished(void *arg, int rc)
{
    struct http_upload_file *file = arg;
    struct http_conn *conn = file->conn;
    struct http_upload *upload = &conn->req->upload;
    if (rc != 0) {
        http_refusal_set(&conn->refusal, http_status_of(rc), NULL, "cannot store the upload: %s",
                         err_text(rc));
        conn->refusal.code = err_name(rc);
    } else {
        upload->path = http_request_text(conn->req, file->path);
        upload->bytes_len = file_sink_bytes(file->sink);
        upload->xxh3 = file_sink_xxh3(file->sink);
        free(file->path);
        file->path = NULL;
    }
    file->sink = NULL;
    http_conn_wake(conn);
}

void http_upload_finish(struct http_conn *conn)
{
    file_sink_finish(conn->upload->sink, true, http_upload_on_finished, conn->upload);
}

bool http_upload_is_ready(const struct http_conn *conn)
{
    return conn->upload->sink == NULL;
}

static void http_upload_on_cancelled(void *arg)
{
    http_upload_free(arg);
}

void http_upload_drop(struct http_conn *conn)
{
    struct http_upload_file *file = conn->upload;
    conn->upload = NULL;
    file->conn = NULL;
    if (file->sink != NULL)
        file_sink_cancel(file->sink, http_upload_on_cancelled, file);
    else
        http_upload_free(file);
}
