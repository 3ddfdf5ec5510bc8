/* libmicrohttpd has one daemon for each listener and an epoll set in each daemon. The loop watches
 * that set and calls MHD_run() when it is readable. Whatever makes work outside of that (an answer
 * that comes later, a drained stream) marks the listener dirty and is done once, before the loop
 * waits: so all answers of one turn leave together.
 *
 * A suspended connection is in no set of libmicrohttpd, hence a set of our own that watches every
 * connection for its peer's end only; it costs one system call for a connection's life.
 */
#include "run/http_server.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "base/mem.h"
#include "run/http_conn.h"
#include "run/http_listen.h"
#include "run/http_tls.h"

enum { HTTP_SPARES_MAX = 64, HTTP_HANGUPS_MAX = 64, HTTP_CLOSE_GRACE_MS = 1000 };

void http_server_options_init(struct http_server_options *options)
{
    *options = (struct http_server_options){
        .upload_bytes_max = UINT64_C(16) << 30,
        .uploads_max = 16,
        .connections_max = 1024,
        .connections_per_ip_max = 512,
        .header_timeout_ms = 10000,
        .body_timeout_ms = 10000,
        .idle_timeout_ms = 120000,
        .write_timeout_ms = 60000,
    };
}

struct http_request *http_server_request_new(struct http_server *server, struct http_conn *conn)
{
    struct http_request *req = TAILQ_FIRST(&server->spares);
    if (req != NULL) {
        TAILQ_REMOVE(&server->spares, req, entry);
        server->spares_len--;
    } else {
        req = mem_zalloc(sizeof *req);
        buf_init(&req->body, HTTP_BODY_DEFAULT_MAX);
    }
    http_request_reset(req, &http_conn_backend, server);
    req->conn = conn;
    return req;
}

void http_server_request_free(struct http_server *server, struct http_request *req)
{
    if (req->noticed) {
        TAILQ_REMOVE(&server->notices, req, notice_entry);
        server->notices_len--;
    }
    if (req->held) {
        TAILQ_REMOVE(&server->requests, req, entry);
        server->stats.active--;
    }
    http_request_done(req);
    if (server->spares_len < HTTP_SPARES_MAX) {
        TAILQ_INSERT_HEAD(&server->spares, req, entry);
        server->spares_len++;
    } else {
        buf_done(&req->body);
        free(req);
    }
    if (server->closing)
        http_server_wake(server, NULL);
}

static void http_server_on_idle(uv_idle_t *idle);

void http_server_wake(struct http_server *server, struct http_listener *listener)
{
    if (listener != NULL)
        listener->dirty = true;
    (void)uv_idle_start(&server->idle, http_server_on_idle);
}

void http_server_notice(struct http_server *server, struct http_request *req)
{
    if (req->noticed)
        return;
    req->noticed = true;
    TAILQ_INSERT_TAIL(&server->notices, req, notice_entry);
    server->notices_len++;
    http_server_wake(server, NULL);
}

/* Those that are there now; what they cause waits for the next turn. */
static void http_server_deliver(struct http_server *server)
{
    struct http_request *req;
    for (size_t n = server->notices_len; n > 0; n--) {
        req = TAILQ_FIRST(&server->notices);
        if (req == NULL)
            break;
        TAILQ_REMOVE(&server->notices, req, notice_entry);
        server->notices_len--;
        req->noticed = false;
        http_request_deliver(req);
    }
}

static void http_listener_run(struct http_listener *listener)
{
    listener->dirty = false;
    (void)MHD_run(listener->mhd);
    MHD_UNSIGNED_LONG_LONG timeout_ms;
    if (MHD_get_timeout(listener->mhd, &timeout_ms) == MHD_YES && timeout_ms == 0)
        http_server_wake(listener->server, listener);
}

static void http_server_on_readable(uv_poll_t *poll, int status, int events)
{
    (void)status;
    (void)events;
    http_listener_run(poll->data);
}

static void http_server_finish_close(struct http_server *server);

static bool http_server_is_quiet(const struct http_server *server)
{
    if (server->stats.active > 0 || server->uploads > 0)
        return false;
    const struct http_conn *conn;
    TAILQ_FOREACH (conn, &server->conns, entry) {
        if (!conn->kill && (conn->phase == HTTP_CONN_BODY || conn->phase == HTTP_CONN_REPLYING))
            return false;
    }
    return true;
}

/* The connections get some time to take their last answer; handlers and the disk all they need. */
static void http_server_check_close(struct http_server *server)
{
    uint64_t age = uv_now(server->options.loop) - server->closing_since_ms;
    struct http_conn *conn;
    if (age >= HTTP_CLOSE_GRACE_MS) {
        TAILQ_FOREACH (conn, &server->conns, entry) {
            if (!conn->kill && conn->phase != HTTP_CONN_HANDLING)
                http_conn_kill(conn);
        }
    }
    if (http_server_is_quiet(server))
        http_server_finish_close(server);
}

static void http_server_on_idle(uv_idle_t *idle)
{
    struct http_server *server = idle->data;
    struct http_listener *listener;
    (void)uv_idle_stop(idle);
    http_server_deliver(server);
    SLIST_FOREACH(listener, &server->listeners, entry)
    {
        if (listener->dirty)
            http_listener_run(listener);
    }
    if (server->notices_len > 0)
        http_server_wake(server, NULL);
    if (server->closing)
        http_server_check_close(server);
}

static void http_server_on_hangups(uv_poll_t *poll, int status, int events)
{
    (void)status;
    (void)events;
    struct http_server *server = poll->data;
    struct epoll_event hangups[HTTP_HANGUPS_MAX];
    int n = epoll_wait(server->hangup_fd, hangups, HTTP_HANGUPS_MAX, 0);
    for (int i = 0; i < n; i++)
        http_conn_hangup(hangups[i].data.ptr);
}

void http_server_watch(struct http_server *server, struct http_conn *conn)
{
    struct epoll_event event = {.events = EPOLLRDHUP | EPOLLET, .data.ptr = conn};
    if (epoll_ctl(server->hangup_fd, EPOLL_CTL_ADD, conn->fd, &event) != 0)
        http_conn_kill(conn);
    http_sweep_start(server);
}

struct http_server *http_server_new(const struct http_server_options *options)
{
    assert(options->loop != NULL && options->router != NULL);
    struct http_server *server = mem_zalloc(sizeof *server);
    server->options = *options;
    server->upload_dir = mem_strdup(options->upload_dir);
    http_guard_init(&server->guard, options->token, options->host_names, options->host_names_len);
    server->options.token = NULL;
    server->options.host_names = NULL;
    server->options.upload_dir = NULL;
    SLIST_INIT(&server->listeners);
    TAILQ_INIT(&server->conns);
    TAILQ_INIT(&server->requests);
    TAILQ_INIT(&server->notices);
    TAILQ_INIT(&server->spares);
    server->hangup_fd = epoll_create1(EPOLL_CLOEXEC);
    if (server->hangup_fd < 0)
        abort(); /* no descriptors or memory at the start */

    uv_loop_t *loop = options->loop;
    (void)uv_idle_init(loop, &server->idle);
    (void)uv_poll_init(loop, &server->hangup_poll, server->hangup_fd);
    http_sweep_init(server);
    server->idle.data = server->hangup_poll.data = server;
    uv_unref((uv_handle_t *)&server->hangup_poll);
    (void)uv_poll_start(&server->hangup_poll, UV_READABLE, http_server_on_hangups);
    server->handles = 3;
    return server;
}

void http_server_stats(const struct http_server *server, struct http_server_stats *out)
{
    *out = server->stats;
}

static void http_listener_start_mhd(struct http_listener *listener, int fd)
{
    const struct http_server_options *o = &listener->server->options;
    struct MHD_OptionItem tls[5];
    size_t n = 0;
    if (listener->tls) {
        tls[n++] = (struct MHD_OptionItem){MHD_OPTION_HTTPS_MEM_CERT, 0, listener->files->cert};
        tls[n++] = (struct MHD_OptionItem){MHD_OPTION_HTTPS_MEM_KEY, 0, listener->files->key};
        tls[n++] = (struct MHD_OptionItem){
            MHD_OPTION_HTTPS_PRIORITIES, 0,
            (void *)(uintptr_t) "SECURE128:-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2"};
        if (listener->client_certs)
            tls[n++] =
                (struct MHD_OptionItem){MHD_OPTION_HTTPS_MEM_TRUST, 0, listener->files->client_ca};
    }
    tls[n] = (struct MHD_OptionItem){MHD_OPTION_END, 0, NULL};
    unsigned flags = MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME | (listener->tls ? MHD_USE_TLS : 0U);
    listener->mhd = MHD_start_daemon(
        flags, 0, NULL, NULL, http_conn_on_access, NULL, MHD_OPTION_ARRAY, tls,
        MHD_OPTION_LISTEN_SOCKET, fd, MHD_OPTION_CONNECTION_LIMIT, o->connections_max,
        MHD_OPTION_PER_IP_CONNECTION_LIMIT, o->connections_per_ip_max,
        MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)HTTP_HEAD_BYTES_MAX,
        MHD_OPTION_CONNECTION_TIMEOUT, 0U, MHD_OPTION_STRICT_FOR_CLIENT, 0,
        MHD_OPTION_NOTIFY_CONNECTION, http_conn_notify, listener, MHD_OPTION_NOTIFY_COMPLETED,
        http_conn_on_completed, NULL, MHD_OPTION_URI_LOG_CALLBACK, http_conn_on_target, NULL,
        MHD_OPTION_END);
}

/* Takes `fd` and `listener`. */
static int http_server_listen(struct http_server *server, struct http_listener *listener, int fd,
                              struct error *e)
{
    listener->server = server;
    http_listener_start_mhd(listener, fd);
    if (listener->mhd == NULL) {
        (void)close(fd);
        http_tls_free(listener->files);
        free(listener->unix_path);
        free(listener);
        return error_set(e, ERR_INTERNAL, "libmicrohttpd does not start");
    }
    int epoll_fd = MHD_get_daemon_info(listener->mhd, MHD_DAEMON_INFO_EPOLL_FD)->epoll_fd;
    listener->poll.data = listener;
    (void)uv_poll_init(server->options.loop, &listener->poll, epoll_fd);
    (void)uv_poll_start(&listener->poll, UV_READABLE, http_server_on_readable);
    server->handles++;
    SLIST_INSERT_HEAD(&server->listeners, listener, entry);
    http_server_wake(server, listener); /* MHD_run() puts the socket into the set */
    return 0;
}

int http_server_listen_unix(struct http_server *server, const char *path, mode_t mode,
                            struct error *e)
{
    int fd = http_listen_unix(path, mode, e);
    if (fd < 0)
        return fd;
    struct http_listener *listener = mem_zalloc(sizeof *listener);
    listener->unix_path = mem_strdup(path);
    return http_server_listen(server, listener, fd, e);
}

int http_server_listen_tcp(struct http_server *server, const char *host, uint16_t port,
                           const struct http_tls *tls, uint16_t *port_out, struct error *e)
{
    struct http_tls_files *files = NULL;
    int rc = tls != NULL ? http_tls_load(tls, &files, e) : 0;
    if (rc != 0)
        return rc;
    uint16_t real_port;
    int fd = http_listen_tcp(host, port, &real_port, e);
    if (fd < 0) {
        http_tls_free(files);
        return fd;
    }
    struct http_listener *listener = mem_zalloc(sizeof *listener);
    listener->port = real_port;
    listener->tls = tls != NULL;
    listener->client_certs = files != NULL && files->client_ca != NULL;
    listener->files = files;
    rc = http_server_listen(server, listener, fd, e);
    if (rc == 0 && port_out != NULL)
        *port_out = real_port;
    return rc;
}

static void http_server_on_handle_closed(uv_handle_t *handle)
{
    struct http_server *server = handle->data;
    if (--server->handles > 0)
        return;
    struct http_listener *listener;
    while ((listener = SLIST_FIRST(&server->listeners)) != NULL) {
        SLIST_REMOVE_HEAD(&server->listeners, entry);
        http_tls_free(listener->files);
        free(listener->unix_path);
        free(listener);
    }
    struct http_request *req;
    while ((req = TAILQ_FIRST(&server->spares)) != NULL) {
        TAILQ_REMOVE(&server->spares, req, entry);
        buf_done(&req->body);
        free(req);
    }
    http_guard_done(&server->guard);
    void (*fn)(void *) = server->on_closed;
    void *arg = server->on_closed_arg;
    free(server->upload_dir);
    free(server->user_name);
    free(server);
    if (fn != NULL)
        fn(arg);
}

/* All requests are answered: ends what is left of the connections, then the handles. */
static void http_server_finish_close(struct http_server *server)
{
    struct http_conn *conn;
    TAILQ_FOREACH (conn, &server->conns, entry)
        http_conn_kill(conn);
    struct http_listener *listener;
    SLIST_FOREACH(listener, &server->listeners, entry)
    {
        (void)uv_poll_stop(&listener->poll);
        (void)MHD_run(listener->mhd);
        MHD_stop_daemon(listener->mhd);
        listener->poll.data = server;
        uv_close((uv_handle_t *)&listener->poll, http_server_on_handle_closed);
    }
    assert(TAILQ_EMPTY(&server->conns) && TAILQ_EMPTY(&server->requests));
    (void)uv_poll_stop(&server->hangup_poll);
    (void)close(server->hangup_fd);
    uv_close((uv_handle_t *)&server->hangup_poll, http_server_on_handle_closed);
    uv_close((uv_handle_t *)&server->idle, http_server_on_handle_closed);
    uv_close((uv_handle_t *)&server->sweep, http_server_on_handle_closed);
}

void http_server_close(struct http_server *server, void (*fn)(void *arg), void *arg)
{
    assert(!server->closing);
    server->closing = true;
    server->closing_since_ms = uv_now(server->options.loop);
    server->on_closed = fn;
    server->on_closed_arg = arg;
    struct http_listener *listener;
    SLIST_FOREACH(listener, &server->listeners, entry)
    {
        MHD_socket fd = MHD_quiesce_daemon(listener->mhd);
        if (listener->unix_path != NULL)
            (void)unlink(listener->unix_path);
        if (fd != MHD_INVALID_SOCKET)
            (void)close(fd);
        http_server_wake(server, listener);
    }
    struct http_request *req;
    TAILQ_FOREACH (req, &server->requests, entry) {
        req->closed = true;
        http_server_notice(server, req);
    }
    http_sweep_start(server);
}
