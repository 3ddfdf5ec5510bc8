/* An answer in one piece becomes a libmicrohttpd response without copying the body again. A stream
 * is a list of chunks between http_stream_write() and libmicrohttpd's reader; when the list is
 * empty the connection is suspended, when it is full the writer is told to wait for on_drain.
 *
 * A request whose connection is gone takes the same calls; what it answers is dropped.
 */
#include <arpa/inet.h>
#include <assert.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/metric.h"
#include "run/http_conn.h"
#include "run/http_tls.h"
#include "run/peer_user.h"

enum {
    HTTP_CHUNK_SIZE = 16 * 1024,
    HTTP_READ_SIZE = 32 * 1024, /* that libmicrohttpd asks for at once */
    HTTP_SMALL_BYTES_MAX =
        64 * 1024 /* of an answer that the kernel takes at once or in one more go */
};

struct http_chunk {
    TAILQ_ENTRY(http_chunk) next;
    size_t read;
    size_t len;
    size_t cap;
    uint8_t *data; /* behind the struct, or a body that was taken */
};

struct http_stream {
    struct http_conn *conn;
    TAILQ_HEAD(http_chunk_list, http_chunk) chunks;
    size_t bytes;
    bool waiting_writer; /* was told that the buffer is full */
    bool ended;
    bool aborted;
};

static void http_chunk_free(struct http_stream *stream, struct http_chunk *chunk)
{
    TAILQ_REMOVE(&stream->chunks, chunk, next);
    if (chunk->data != (uint8_t *)(chunk + 1))
        free(chunk->data);
    free(chunk);
}

void http_stream_free(struct http_stream *stream)
{
    if (stream == NULL)
        return;
    struct http_chunk *chunk;
    while ((chunk = TAILQ_FIRST(&stream->chunks)) != NULL) {
        http_chunk_free(stream, chunk);
    }
    free(stream);
}

static void http_answer_headers(struct MHD_Response *response, const struct http_request *req,
                                const char *type)
{
    if (type != NULL)
        (void)MHD_add_response_header(response, "Content-Type", type);
    for (unsigned i = 0; i < req->headers_len; i++)
        (void)MHD_add_response_header(response, req->headers[i].name, req->headers[i].value);
}

static struct http_meter *http_answer_meter(struct http_server *server,
                                            const struct http_route *route, unsigned status)
{
    uint64_t hash = ((uint64_t)(uintptr_t)route / sizeof *route * 31 + status) * 0x9e3779b97f4a7c15;
    struct http_meter *meter = &server->meters[hash >> 56];
    if (meter->requests != NULL && meter->route == route && meter->status == status)
        return meter;
    char code[16];
    (void)snprintf(code, sizeof code, "%u", status);
    const char *path = route != NULL ? route->path : "none";
    const char *method = route != NULL ? route->method : "none";
    *meter =
        (struct http_meter){route, status, metric_series(METRIC_HTTP_REQUESTS, path, method, code),
                            metric_series(METRIC_HTTP_REQUEST, path)};
    return meter;
}

static void http_answer_count(const struct http_request *req, unsigned status, bool whole)
{
    const struct http_meter *meter = http_answer_meter(req->owner, req->route, status);
    metric_series_add(meter->requests, 1);
    if (whole && req->since_us > 0)
        metric_series_observe(meter->seconds, clock_mono_us() - req->since_us);
}

/* The request leaves its handler: the connection goes on without it. */
static void http_answer_detach(struct http_request *req)
{
    struct http_server *server = req->owner;
    if (req->conn != NULL)
        req->conn->req = NULL;
    server->stats.requests++;
    http_server_request_free(server, req);
}

static void http_answer_start(struct http_conn *conn, struct MHD_Response *response,
                              unsigned status)
{
    if (response == NULL)
        abort(); /* out of memory */
    conn->response = response;
    conn->status = status;
    http_conn_set_phase(conn, HTTP_CONN_REPLYING);
    if (!conn->in_callback)
        http_conn_wake(conn);
}

/* Gives libmicrohttpd up to `max` bytes. */
static ssize_t http_stream_read(void *cls, uint64_t pos, char *out, size_t max)
{
    (void)pos;
    struct http_stream *stream = cls;
    struct http_conn *conn = stream->conn;
    if (stream->aborted || conn->kill)
        return MHD_CONTENT_READER_END_WITH_ERROR;
    size_t len = 0;
    struct http_chunk *chunk;
    while (len < max && (chunk = TAILQ_FIRST(&stream->chunks)) != NULL) {
        size_t n = chunk->len - chunk->read;
        n = n < max - len ? n : max - len;
        memcpy(out + len, chunk->data + chunk->read, n);
        len += n;
        chunk->read += n;
        if (chunk->read == chunk->len) {
            http_chunk_free(stream, chunk);
        }
    }
    stream->bytes -= len;
    conn->since_ms = uv_now(conn->listener->server->options.loop);
    if (stream->waiting_writer && stream->bytes < HTTP_STREAM_BYTES_MAX / 2 && conn->req != NULL) {
        stream->waiting_writer = false;
        conn->req->draining = true;
        http_server_notice(conn->listener->server, conn->req);
    }
    if (len > 0)
        return (ssize_t)len;
    if (stream->ended)
        return MHD_CONTENT_READER_END_OF_STREAM;
    conn->in_callback = true;
    http_conn_suspend(conn);
    conn->in_callback = false;
    return 0;
}

static struct http_stream *http_stream_new(struct http_conn *conn)
{
    struct http_stream *stream = mem_zalloc(sizeof *stream);
    stream->conn = conn;
    TAILQ_INIT(&stream->chunks);
    conn->stream = stream;
    return stream;
}

static struct MHD_Response *http_answer_large(struct http_conn *conn,
                                              const struct http_whole *whole)
{
    struct http_stream *stream = http_stream_new(conn);
    struct http_chunk *chunk = mem_zalloc(sizeof *chunk);
    chunk->data = whole->owned ? (uint8_t *)whole->body : mem_dup(whole->body, whole->body_len);
    chunk->len = whole->body_len;
    TAILQ_INSERT_TAIL(&stream->chunks, chunk, next);
    stream->bytes = whole->body_len;
    stream->ended = true;
    return MHD_create_response_from_callback(whole->body_len, HTTP_READ_SIZE, http_stream_read,
                                             stream, NULL);
}

static struct MHD_Response *http_answer_small(const struct http_whole *whole)
{
    return whole->owned ? MHD_create_response_from_buffer_with_free_callback(whole->body_len,
                                                                             whole->body, free)
                        : MHD_create_response_from_buffer(whole->body_len, whole->body,
                                                          MHD_RESPMEM_MUST_COPY);
}

static void http_answer_whole(struct http_request *req, const struct http_whole *whole)
{
    struct http_conn *conn = req->conn;
    http_answer_count(req, whole->status, true);
    if (conn != NULL) {
        struct MHD_Response *response = whole->body_len > HTTP_SMALL_BYTES_MAX
                                            ? http_answer_large(conn, whole)
                                            : http_answer_small(whole);
        http_answer_start(conn, response, whole->status);
        http_answer_headers(response, req, whole->type);
    } else if (whole->owned) {
        free(whole->body);
    }
    http_answer_detach(req);
}

static void http_answer_stream_begin(struct http_request *req, unsigned status, const char *type,
                                     uint64_t len)
{
    struct http_conn *conn = req->conn;
    http_answer_count(req, status, false);
    if (conn == NULL)
        return;
    struct http_stream *stream = mem_zalloc(sizeof *stream);
    stream->conn = conn;
    TAILQ_INIT(&stream->chunks);
    conn->stream = stream;
    struct MHD_Response *response =
        MHD_create_response_from_callback(len == HTTP_STREAM_CHUNKED ? MHD_SIZE_UNKNOWN : len,
                                          HTTP_CHUNK_SIZE, http_stream_read, stream, NULL);
    http_answer_start(conn, response, status);
    http_answer_headers(response, req, type);
}

static void http_stream_append(struct http_stream *stream, const uint8_t *data, size_t len)
{
    stream->bytes += len;
    struct http_chunk *last = TAILQ_LAST(&stream->chunks, http_chunk_list);
    if (last != NULL) {
        size_t n = last->cap - last->len < len ? last->cap - last->len : len;
        memcpy(last->data + last->len, data, n);
        last->len += n;
        data += n;
        len -= n;
    }
    if (len == 0)
        return;
    size_t cap = len < HTTP_CHUNK_SIZE ? (len < 1024 ? 1024 : HTTP_CHUNK_SIZE) : len;
    struct http_chunk *chunk = mem_alloc(sizeof *chunk + cap);
    *chunk = (struct http_chunk){.len = len, .cap = cap, .data = (uint8_t *)(chunk + 1)};
    memcpy(chunk->data, data, len);
    TAILQ_INSERT_TAIL(&stream->chunks, chunk, next);
}

static int http_answer_stream_write(struct http_request *req, const void *data, size_t len)
{
    struct http_conn *conn = req->conn;
    if (conn == NULL)
        return ERR_CLOSED;
    struct http_stream *stream = conn->stream;
    assert(!stream->waiting_writer ||
           stream->bytes + len <= HTTP_STREAM_BYTES_MAX + HTTP_STREAM_OVER_MAX);
    if (len > 0)
        http_stream_append(stream, data, len);
    http_conn_wake(conn);
    stream->waiting_writer =
        stream->waiting_writer || stream->bytes + HTTP_STREAM_WRITE_MAX > HTTP_STREAM_BYTES_MAX;
    return stream->waiting_writer ? 1 : 0;
}

static void http_answer_stream_end(struct http_request *req, bool complete)
{
    struct http_conn *conn = req->conn;
    if (conn != NULL) {
        conn->stream->ended = complete;
        conn->stream->aborted = !complete;
        if (complete)
            http_conn_wake(conn);
        else
            http_conn_kill(conn);
    }
    http_answer_detach(req);
}

static const char *http_answer_header(const struct http_request *req, const char *name)
{
    if (req->conn == NULL)
        return NULL;
    const char *value = MHD_lookup_connection_value(req->conn->mhd, MHD_HEADER_KIND, name);
    return http_request_text((struct http_request *)req, value);
}

static const char *http_answer_peer(struct http_request *req)
{
    struct http_conn *conn = req->conn;
    if (conn == NULL)
        return "gone";
    if (conn->listener->unix_path != NULL)
        return "unix";
    if (conn->peer[0] != '\0')
        return http_request_text(req, conn->peer);
    struct sockaddr_storage ss;
    socklen_t len = sizeof ss;
    char address[INET6_ADDRSTRLEN] = "?";
    unsigned port = 0;
    if (getpeername(conn->fd, (struct sockaddr *)&ss, &len) == 0) {
        const struct sockaddr_in *in = (const void *)&ss;
        const struct sockaddr_in6 *in6 = (const void *)&ss;
        bool six = ss.ss_family == AF_INET6;
        (void)inet_ntop(ss.ss_family, six ? (const void *)&in6->sin6_addr : &in->sin_addr, address,
                        sizeof address);
        port = ntohs(six ? in6->sin6_port : in->sin_port);
    }
    (void)snprintf(conn->peer, sizeof conn->peer,
                   strchr(address, ':') != NULL ? "[%s]:%u" : "%s:%u", address, port);
    return http_request_text(req, conn->peer);
}

/* The last name is remembered. */
static const char *http_answer_user_name(struct http_request *req, uid_t uid)
{
    struct http_server *server = req->owner;
    if (server->user_name == NULL || server->user_uid != uid) {
        const struct passwd *pw = getpwuid(uid);
        free(server->user_name);
        server->user_name =
            pw != NULL ? mem_strdup(pw->pw_name) : mem_printf("uid %u", (unsigned)uid);
        server->user_uid = uid;
    }
    return http_request_text(req, server->user_name);
}

static const char *http_answer_unix_user(struct http_request *req)
{
    struct ucred cred;
    socklen_t len = sizeof cred;
    if (getsockopt(req->conn->fd, SOL_SOCKET, SO_PEERCRED, &cred, &len) != 0)
        return "unknown";
    return http_answer_user_name(req, cred.uid);
}

/* Who has the token: on this machine the user of the process, so that he is the same one on each
 * node's port and socket. Asked once for a connection. */
static const char *http_answer_token_user(struct http_request *req)
{
    struct http_conn *conn = req->conn;
    if (!conn->user_asked)
        conn->user_known = peer_user_of(conn->fd, &conn->user_uid) == 0;
    conn->user_asked = true;
    return conn->user_known ? http_answer_user_name(req, conn->user_uid) : "token";
}

static const char *http_answer_user(struct http_request *req)
{
    struct http_conn *conn = req->conn;
    if (conn == NULL)
        return "gone";
    if (conn->listener->unix_path != NULL)
        return http_answer_unix_user(req);
    char name[HTTP_TLS_NAME_MAX];
    if (conn->listener->client_certs && http_tls_cert_name(conn->mhd, name))
        return http_request_text(req, name);
    return http_answer_token_user(req);
}

static void http_answer_notice(struct http_request *req)
{
    http_server_notice(req->owner, req);
}

const struct http_backend http_conn_backend = {
    .answer = http_answer_whole,
    .stream_begin = http_answer_stream_begin,
    .stream_write = http_answer_stream_write,
    .stream_end = http_answer_stream_end,
    .header = http_answer_header,
    .user = http_answer_user,
    .peer = http_answer_peer,
    .notice = http_answer_notice,
};
