/* A request through libmicrohttpd's callbacks: on_target (request line read), on_access with the
 * head, on_access with each piece of the body, on_access when it is complete: the handler is
 * called. If it answers right there, the response is queued; otherwise the connection is suspended,
 * and on_access comes once more after http_conn_wake(). on_completed ends the request, however it
 * ended.
 *
 * A refused request has its body read and dropped first, because a client that is still sending
 * would not see the answer; unless the body is too long or the client waits for "100 Continue".
 */
#include "run/http_conn.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "base/mem.h"

static struct http_conn *http_conn_of(struct MHD_Connection *mhd)
{
    return MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_SOCKET_CONTEXT)->socket_context;
}

void http_conn_set_phase(struct http_conn *conn, enum http_conn_phase phase)
{
    static const unsigned from[] = {
        [HTTP_CONN_FRESH] = 0,
        [HTTP_CONN_HEAD] = 1 << HTTP_CONN_FRESH | 1 << HTTP_CONN_IDLE,
        [HTTP_CONN_BODY] = 1 << HTTP_CONN_HEAD,
        [HTTP_CONN_HANDLING] = 1 << HTTP_CONN_BODY,
        [HTTP_CONN_REPLYING] = 1 << HTTP_CONN_BODY | 1 << HTTP_CONN_HANDLING,
        [HTTP_CONN_IDLE] = 1 << HTTP_CONN_HEAD | 1 << HTTP_CONN_BODY | 1 << HTTP_CONN_HANDLING |
                           1 << HTTP_CONN_REPLYING,
    };
    assert((from[phase] & 1U << conn->phase) != 0);
    conn->phase = phase;
    conn->since_ms = uv_now(conn->listener->server->options.loop);
}

void http_conn_suspend(struct http_conn *conn)
{
    assert(conn->in_callback && !conn->suspended);
    conn->suspended = true;
    MHD_suspend_connection(conn->mhd);
}

void http_conn_wake(struct http_conn *conn)
{
    if (!conn->suspended)
        return;
    conn->suspended = false;
    MHD_resume_connection(conn->mhd);
    http_server_wake(conn->listener->server, conn->listener);
}

void http_conn_kill(struct http_conn *conn)
{
    if (!conn->kill) {
        conn->kill = true;
        (void)shutdown(conn->fd, SHUT_RDWR);
        /* Our own shutdown of a Unix socket raises no event here, the timeout does. */
        if (!conn->suspended)
            (void)MHD_set_connection_option(conn->mhd, MHD_CONNECTION_OPTION_TIMEOUT, 1U);
    }
    http_conn_wake(conn);
}

static void http_conn_tell_gone(struct http_conn *conn)
{
    conn->req->closed = true;
    http_server_notice(conn->listener->server, conn->req);
}

void http_conn_hangup(struct http_conn *conn)
{
    conn->hung_up = true;
    bool held = conn->phase == HTTP_CONN_HANDLING || conn->phase == HTTP_CONN_REPLYING;
    if (held && conn->req != NULL)
        http_conn_tell_gone(conn);
}

void http_conn_notify(void *cls, struct MHD_Connection *mhd, void **context,
                      enum MHD_ConnectionNotificationCode code)
{
    struct http_listener *listener = cls;
    struct http_server *server = listener->server;
    struct http_conn *conn = *context;
    if (code == MHD_CONNECTION_NOTIFY_STARTED) {
        conn = mem_zalloc(sizeof *conn);
        conn->listener = listener;
        conn->mhd = mhd;
        conn->fd = MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_CONNECTION_FD)->connect_fd;
        conn->since_ms = uv_now(server->options.loop);
        TAILQ_INSERT_TAIL(&server->conns, conn, entry);
        server->stats.connections++;
        http_server_watch(server, conn);
        *context = conn;
        return;
    }
    if (conn->req != NULL) /* died between request line and head */
        http_server_request_free(server, conn->req);
    TAILQ_REMOVE(&server->conns, conn, entry);
    server->stats.connections--;
    http_server_wake(server, listener); /* accepts again if it was at its limit */
    free(conn);
}

void *http_conn_on_target(void *cls, const char *target, struct MHD_Connection *mhd)
{
    (void)cls;
    struct http_conn *conn = http_conn_of(mhd);
    http_conn_set_phase(conn, HTTP_CONN_HEAD);
    assert(conn->req == NULL);
    conn->req = http_server_request_new(conn->listener->server, conn);
    conn->refusal.status = 0;
    conn->refusal.allow[0] = '\0';
    conn->body_received = 0;
    conn->body_mark = 0;
    conn->swallowed = 0;
    conn->target_error.code = 0;
    (void)http_target_parse(&conn->req->target, target, &conn->target_error);
    return conn;
}

static enum MHD_Result http_conn_queue(struct http_conn *conn)
{
    if (conn->kill || conn->response == NULL)
        return MHD_NO;
    enum MHD_Result result = MHD_queue_response(conn->mhd, conn->status, conn->response);
    MHD_destroy_response(conn->response);
    conn->response = NULL;
    return result;
}

/* The answer is there, or the connection waits for it. */
static enum MHD_Result http_conn_settle(struct http_conn *conn)
{
    if (conn->kill)
        return MHD_NO;
    if (conn->phase == HTTP_CONN_REPLYING)
        return http_conn_queue(conn);
    http_conn_suspend(conn);
    return MHD_YES;
}

static enum MHD_Result http_conn_refuse(struct http_conn *conn)
{
    http_request_refuse(conn->req, &conn->refusal);
    return http_conn_settle(conn);
}

static enum MHD_Result http_conn_complete(struct http_conn *conn)
{
    struct http_server *server = conn->listener->server;
    struct http_request *req = conn->req;
    if (conn->upload != NULL && conn->refusal.status == 0 && !http_upload_is_ready(conn)) {
        http_upload_finish(conn);
        http_conn_suspend(conn);
        return MHD_YES;
    }
    if (conn->upload != NULL)
        http_upload_drop(conn);
    if (conn->refusal.status != 0)
        return http_conn_refuse(conn);
    (void)buf_cstr(&req->body);
    http_conn_set_phase(conn, HTTP_CONN_HANDLING);
    TAILQ_INSERT_TAIL(&server->requests, req, entry);
    req->held = true;
    server->stats.active++;
    http_request_handle(req);
    if (conn->hung_up && conn->req != NULL)
        http_conn_tell_gone(conn);
    return http_conn_settle(conn);
}

static enum MHD_Result http_conn_body(struct http_conn *conn, const char *data, size_t *size)
{
    size_t len = *size;
    size_t taken = len;
    if (conn->refusal.status != 0) {
        conn->swallowed += len;
        if (conn->swallowed > HTTP_SWALLOW_BYTES_MAX)
            return MHD_NO;
    } else if (conn->body_received + len > conn->body_max) {
        http_refusal_set(&conn->refusal, 413, NULL, "the body is longer than %llu bytes",
                         (unsigned long long)conn->body_max);
    } else if (conn->upload != NULL) {
        taken = http_upload_write(conn, data, len);
    } else {
        (void)buf_append(&conn->req->body, data, len);
    }
    conn->body_received += taken;
    *size = len - taken;
    if (taken < len)
        http_conn_suspend(conn);
    return MHD_YES;
}

static enum MHD_Result http_conn_access(struct http_conn *conn, const char *method,
                                        const char *version, const char *data, size_t *size)
{
    if (conn->kill)
        return MHD_NO;
    switch (conn->phase) {
    case HTTP_CONN_HEAD:
        http_conn_set_phase(conn, HTTP_CONN_BODY);
        http_head_judge(conn, method, version);
        return http_head_is_hopeless(conn) ? http_conn_refuse(conn) : MHD_YES;
    case HTTP_CONN_BODY:
        return *size > 0 ? http_conn_body(conn, data, size) : http_conn_complete(conn);
    case HTTP_CONN_HANDLING:
        http_conn_suspend(conn);
        return MHD_YES;
    case HTTP_CONN_REPLYING:
        return http_conn_queue(conn);
    default:
        assert(!"a request is under way");
        return MHD_NO;
    }
}

enum MHD_Result http_conn_on_access(void *cls, struct MHD_Connection *mhd, const char *url,
                                    const char *method, const char *version, const char *data,
                                    size_t *size, void **context)
{
    (void)cls;
    (void)url;
    (void)mhd;
    struct http_conn *conn = *context;
    conn->in_callback = true;
    enum MHD_Result result = http_conn_access(conn, method, version, data, size);
    conn->in_callback = false;
    return result;
}

void http_conn_on_completed(void *cls, struct MHD_Connection *mhd, void **context,
                            enum MHD_RequestTerminationCode code)
{
    (void)cls;
    (void)mhd;
    (void)code;
    struct http_conn *conn = *context;
    struct http_server *server = conn->listener->server;
    struct http_request *req = conn->req;
    conn->req = NULL;
    if (req != NULL && req->state == HTTP_REQUEST_RECEIVING) {
        http_server_request_free(server, req);
    } else if (req != NULL) {
        req->conn = NULL;
        req->closed = true;
        http_server_notice(server, req);
    }
    if (conn->upload != NULL)
        http_upload_drop(conn);
    if (conn->response != NULL)
        MHD_destroy_response(conn->response);
    conn->response = NULL;
    http_stream_free(conn->stream);
    conn->stream = NULL;
    conn->suspended = false;
    http_conn_set_phase(conn, HTTP_CONN_IDLE);
    *context = NULL;
}
