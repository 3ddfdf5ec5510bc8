/* Calls over Unix sockets: HTTP/1.1 (RFC 9112) as much of it as a client needs, a connection for
 * each call under way, kept for the next one.
 *
 * Happy path: client_http_launch() takes a kept connection, or makes one, and writes the request;
 * what client_http_read() receives is taken apart by client_http_answer.c; a connection whose
 * answer had an end is kept.
 *
 * Failures: no connection → client_call_unreachable(). The end before the answer's → broken, unless
 * the connection was a kept one on which nothing came: then the request goes out once more, if it
 * had not left or may be repeated. An answer that is no HTTP → broken. */
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/str.h"
#include "client/client_http.h"

enum {
    CLIENT_HTTP_KEPT_MAX = 4,
    CLIENT_HTTP_AGAIN_MS = 10, /* while the server's queue of connections is full */
};

/* Connections */

static void client_http_watch(struct client_http *http, uint32_t events)
{
    struct epoll_event event = {.events = events, .data.fd = http->fd};
    int what = events == 0 ? EPOLL_CTL_DEL : http->events == 0 ? EPOLL_CTL_ADD : EPOLL_CTL_MOD;
    if (events != http->events)
        (void)epoll_ctl(http->client->epoll_fd, what, http->fd, &event);
    http->events = events;
}

static void client_http_free(struct client_http *http)
{
    client_http_watch(http, 0);
    TAILQ_REMOVE(&http->client->https, http, entry);
    (void)close(http->fd);
    buf_done(&http->out);
    buf_done(&http->in);
    free(http);
}

void client_http_detach(struct client_call *call)
{
    if (call->http == NULL)
        return;
    client_http_free(call->http);
    call->http = NULL;
}

void client_http_close(struct client *client)
{
    struct client_http *http;
    while ((http = TAILQ_FIRST(&client->https)) != NULL) {
        assert(http->call == NULL);
        client_http_free(http);
    }
}

/* Whether a kept connection is still of use: nothing has come, not even its end. */
static bool client_http_is_alive(const struct client_http *http)
{
    char byte;
    return recv(http->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) < 0 && errno == EAGAIN;
}

static struct client_http *client_http_kept(struct client *client, size_t endpoint)
{
    struct client_http *http, *next;
    for (http = TAILQ_FIRST(&client->https); http != NULL; http = next) {
        next = TAILQ_NEXT(http, entry);
        if (http->call != NULL || http->endpoint != endpoint)
            continue;
        if (client_http_is_alive(http))
            return http;
        client_http_free(http);
    }
    return NULL;
}

static void client_http_keep(struct client_http *http)
{
    struct client *client = http->client;
    struct client_http *other;
    size_t n = 0;
    TAILQ_FOREACH (other, &client->https, entry)
        n += other->call == NULL;
    http->call->http = NULL;
    http->call = NULL;
    if (!http->may_keep || http->in.len > http->at || n >= CLIENT_HTTP_KEPT_MAX) {
        client_http_free(http);
        return;
    }
    client_http_watch(http, 0);
    http->is_used = true;
}

/* A descriptor, or -errno. Such a socket is connected at once, or not at all. */
static int client_http_connect(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof address.sun_path)
        return -ENAMETOOLONG;
    memcpy(address.sun_path, path, strlen(path) + 1);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -errno;
    if (connect(fd, (const struct sockaddr *)&address, sizeof address) == 0)
        return fd;
    int code = -errno;
    (void)close(fd);
    return code;
}

static struct client_http *client_http_new(struct client *client, size_t endpoint, int fd)
{
    struct client_http *http = mem_zalloc(sizeof *http);
    http->client = client;
    http->endpoint = endpoint;
    http->fd = fd;
    buf_init(&http->out, SIZE_MAX / 4);
    buf_init(&http->in, CLIENT_HTTP_HEAD_BYTES_MAX + CLIENT_HTTP_BLOCK_BYTES);
    TAILQ_INSERT_TAIL(&client->https, http, entry);
    return http;
}

/* The request */

static void client_http_write_request(struct client_http *http)
{
    const struct client_call *call = http->call;
    struct buf *out = &http->out;
    bool has_body = call->fd >= 0 || call->data != NULL;
    uint64_t len = call->fd >= 0 ? call->fd_bytes : call->data_len;
    buf_clear(out);
    (void)buf_printf(out, "%s %s HTTP/1.1\r\nHost: localhost\r\nAccept: */*\r\n", call->method,
                     call->path);
    if (has_body)
        (void)buf_printf(out, "Content-Type: %s\r\n", call->content_type);
    if (has_body || strcmp(call->method, "GET") != 0)
        (void)buf_printf(out, "Content-Length: %llu\r\n", (unsigned long long)len);
    if (call->idempotency_key != NULL)
        (void)buf_printf(out, "Idempotency-Key: %s\r\n", call->idempotency_key);
    (void)buf_append_str(out, "\r\n");
    if (call->fd < 0 && call->data != NULL)
        (void)buf_append(out, call->data, call->data_len);
}

/* The next block of a body that comes from a descriptor. False when it can't be read. */
static bool client_http_load(struct client_http *http)
{
    struct client_call *call = http->call;
    uint8_t block[CLIENT_HTTP_BLOCK_BYTES];
    uint64_t left = call->fd_bytes - call->fd_sent;
    size_t want = left < sizeof block ? (size_t)left : sizeof block;
    ssize_t n = pread(call->fd, block, want, (off_t)call->fd_sent);
    if (n <= 0)
        return false;
    call->fd_sent += (uint64_t)n;
    buf_clear(&http->out);
    http->sent = 0;
    (void)buf_append(&http->out, block, (size_t)n);
    return true;
}

static bool client_http_has_more(const struct client_http *http)
{
    const struct client_call *call = http->call;
    return http->sent < http->out.len || (call->fd >= 0 && call->fd_sent < call->fd_bytes);
}

static void client_http_lost(struct client_http *http, const char *text);

/* False when the connection, and maybe the call, is gone. */
static bool client_http_send(struct client_http *http)
{
    while (client_http_has_more(http)) {
        if (http->sent == http->out.len && !client_http_load(http)) {
            client_http_lost(http, "the file that is sent has become shorter, or can't be read");
            return false;
        }
        ssize_t n = send(http->fd, http->out.data + http->sent, http->out.len - http->sent,
                         MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && errno == EAGAIN)
            break;
        if (n < 0) { /* the answer may be there all the same */
            http->sent = http->out.len;
            http->call->fd_sent = http->call->fd_bytes;
            http->may_keep = false;
            break;
        }
        http->sent += (size_t)n;
        http->has_left = true;
    }
    client_http_watch(http,
                      (uint32_t)EPOLLIN | (client_http_has_more(http) ? (uint32_t)EPOLLOUT : 0));
    return true;
}

/* The server's queue is full: again in a moment, within the time to connect. */
static bool client_http_wait(struct client_call *call)
{
    int64_t now_ms = clock_mono_ms();
    if (call->connect_until_ms == 0)
        call->connect_until_ms = now_ms + call->client->connect_timeout_ms;
    if (now_ms >= call->connect_until_ms)
        return false;
    call->state = CLIENT_CALL_WAITING;
    call->due_ms = now_ms + CLIENT_HTTP_AGAIN_MS;
    return true;
}

void client_http_launch(struct client_call *call, const struct client_endpoint *endpoint)
{
    struct client *client = call->client;
    struct client_http *http = client_http_kept(client, call->endpoint);
    if (http == NULL) {
        int fd = client_http_connect(endpoint->socket_path);
        if (fd == -EAGAIN && client_http_wait(call))
            return;
        call->connect_until_ms = 0;
        if (fd < 0) {
            client_call_unreachable(
                call, fd == -ECONNREFUSED ? "nobody listens there" : strerror(-fd), false);
            return;
        }
        http = client_http_new(client, call->endpoint, fd);
    }
    call->connect_until_ms = 0;
    call->fd_sent = 0;
    call->http = http;
    http->call = call;
    http->sent = 0;
    http->has_left = http->has_received = http->is_at_end = false;
    http->may_keep = true;
    http->state = CLIENT_HTTP_HEAD;
    client_http_write_request(http);
    (void)client_http_send(http);
}

/* The answer */

/* Takes the connection's end for what it means to the call. */
static void client_http_lost(struct client_http *http, const char *text)
{
    struct client_call *call = http->call;
    const struct client_endpoint *endpoint = &call->client->endpoints[call->endpoint];
    bool is_stale = http->is_used && !http->has_received && (call->repeatable || !http->has_left);
    if (is_stale) {
        client_http_detach(call);
        client_http_launch(call, endpoint);
        return;
    }
    http->may_keep = false;
    client_call_broken(call, text);
}

/* Takes what has been received. False when the connection, and maybe the call, is gone. */
static bool client_http_work(struct client_http *http)
{
    struct client_call *call = http->call;
    int rc = 1;
    while (rc == 1 && http->state != CLIENT_HTTP_DONE)
        rc = client_http_take(http);
    if (rc >= 0) {
        buf_consume(&http->in, http->at);
        http->at = 0;
    }
    if (rc == ERR_CLOSED && call->data_code == 0) { /* cancelled from its callback */
        client_http_detach(call);
        return false;
    }
    if (rc < 0) {
        if (call->status == 0 && call->repeatable)
            client_call_unreachable(call, "what came is not HTTP", true);
        else
            client_call_broken(call, "what came is not HTTP");
        return false;
    }
    if (http->is_at_end && http->state == CLIENT_HTTP_UNTIL_CLOSE && http->in.len == 0)
        http->state = CLIENT_HTTP_DONE;
    if (http->state == CLIENT_HTTP_DONE) {
        http->may_keep = http->may_keep && !http->is_at_end && !client_http_has_more(http);
        client_http_keep(http);
        client_call_answered(call);
        return false;
    }
    if (http->is_at_end) {
        client_http_lost(http, "it was closed before the answer was complete");
        return false;
    }
    return true;
}

static void client_http_read(struct client_http *http)
{
    uint8_t block[CLIENT_HTTP_BLOCK_BYTES];
    ssize_t n = recv(http->fd, block, sizeof block, MSG_DONTWAIT);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n > 0) {
        http->has_received = true;
        (void)buf_append(&http->in, block, (size_t)n);
    } else {
        http->is_at_end = true;
        client_http_watch(http, http->events & ~(uint32_t)EPOLLIN);
    }
    (void)client_http_work(http);
}

bool client_http_ready(struct client *client, int fd, uint32_t events)
{
    struct client_http *http;
    TAILQ_FOREACH (http, &client->https, entry)
        if (http->fd == fd)
            break;
    if (http == NULL)
        return false;
    if (http->call == NULL || http->call->state != CLIENT_CALL_RUNNING)
        return true;
    if ((events & EPOLLOUT) != 0 && !client_http_send(http))
        return true;
    if ((events & (EPOLLIN | EPOLLHUP | EPOLLERR)) != 0)
        client_http_read(http);
    return true;
}
