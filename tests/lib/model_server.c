#include "tests/lib/model_server.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/mem.h"

enum { MODEL_CONNECTIONS_MAX = 512, MODEL_MESSAGE_MAX = 64 << 20 };

struct model_connection {
    struct model_server *server;
    pthread_t thread;
    int fd;
    struct buf in;
    size_t head_len;
    size_t body_len;
    bool chunked;
    char method[16];
    char target[4096];
};

struct model_server {
    char name[32];
    int fd;
    uint16_t port;
    pthread_t thread;
    pthread_mutex_t mutex;
    pthread_cond_t released;
    bool is_released;
    atomic_uint requests;
    atomic_uint connections_n;
    struct model_connection *connections[MODEL_CONNECTIONS_MAX];
};

static bool model_fill(struct model_connection *m)
{
    if (buf_reserve(&m->in, 16384) < 0)
        return false;
    ssize_t n = recv(m->fd, m->in.data + m->in.len, 16384, 0);
    if (n <= 0)
        return false;
    m->in.len += (size_t)n;
    return true;
}

static void model_say(struct model_connection *m, const void *data, size_t len)
{
    const char *at = data;
    while (len > 0) {
        ssize_t n = send(m->fd, at, len, MSG_NOSIGNAL);
        if (n <= 0)
            return;
        at += n;
        len -= (size_t)n;
    }
}

static void model_say_str(struct model_connection *m, const char *text)
{
    model_say(m, text, strlen(text));
}

static bool model_read_head(struct model_connection *m)
{
    const char *end;
    buf_consume(&m->in, m->head_len + m->body_len);
    m->head_len = m->body_len = 0;
    while ((end = strstr(buf_cstr(&m->in), "\r\n\r\n")) == NULL)
        if (!model_fill(m))
            return false;
    m->head_len = (size_t)(end + 4 - (const char *)m->in.data);
    m->chunked = strcasestr(buf_cstr(&m->in), "\r\nTransfer-Encoding: chunked") != NULL;
    return sscanf(buf_cstr(&m->in), "%15s %4095s", m->method, m->target) == 2;
}

/* Takes the chunks apart in place. */
static bool model_read_chunks(struct model_connection *m)
{
    struct buf body;
    size_t at = m->head_len;
    size_t size;
    buf_init(&body, MODEL_MESSAGE_MAX);
    do {
        const char *line;
        while (m->in.len <= at || (line = strstr(buf_cstr(&m->in) + at, "\r\n")) == NULL)
            if (!model_fill(m))
                return false;
        size = strtoul(buf_cstr(&m->in) + at, NULL, 16);
        at = (size_t)(line + 2 - (const char *)m->in.data);
        while (m->in.len < at + size + 2)
            if (!model_fill(m))
                return false;
        (void)buf_append(&body, m->in.data + at, size);
        at += size + 2;
    } while (size > 0);
    (void)buf_append(&body, m->in.data + at, m->in.len - at);
    m->body_len = body.len - (m->in.len - at);
    m->in.len = m->head_len;
    (void)buf_append(&m->in, body.data, body.len);
    buf_done(&body);
    return true;
}

static bool model_read_body(struct model_connection *m)
{
    if (m->chunked)
        return model_read_chunks(m);
    const char *length = strcasestr(buf_cstr(&m->in), "\r\nContent-Length:");
    bool within = length != NULL && (size_t)(length - (const char *)m->in.data) < m->head_len;
    m->body_len = within ? strtoul(length + 17, NULL, 10) : 0;
    while (m->in.len < m->head_len + m->body_len)
        if (!model_fill(m))
            return false;
    return true;
}

static void model_answer(struct model_connection *m, const void *body, size_t len)
{
    char head[256];
    int n = snprintf(head, sizeof head,
                     "HTTP/1.1 200 OK\r\nContent-Length: %zu\r\nKeep-Alive: timeout=5\r\n"
                     "X-Model-Says: hello\r\n\r\n",
                     len);
    model_say(m, head, (size_t)n);
    if (strcmp(m->method, "HEAD") != 0)
        model_say(m, body, len);
}

static void model_answer_ok(struct model_connection *m)
{
    char text[8192];
    int n = snprintf(text, sizeof text, "%s %s %s %zu", m->server->name, m->method, m->target,
                     m->body_len);
    model_answer(m, text, (size_t)n);
}

static void model_answer_chunks(struct model_connection *m)
{
    const uint8_t *body = m->in.data + m->head_len;
    size_t at = 0;
    model_say_str(m, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
    for (size_t size = 1; at < m->body_len; size = size * 3 + 1) {
        char line[32];
        size_t n = m->body_len - at < size ? m->body_len - at : size;
        (void)snprintf(line, sizeof line, "%zx;odd=1\r\n", n);
        model_say_str(m, line);
        model_say(m, body + at, n);
        model_say_str(m, "\r\n");
        at += n;
    }
    model_say_str(m, "0\r\nX-Trailer: 1\r\n\r\n");
}

static void model_answer_big(struct model_connection *m)
{
    char *big = mem_alloc(MODEL_SERVER_BIG_BYTES);
    for (size_t i = 0; i < MODEL_SERVER_BIG_BYTES; i++)
        big[i] = (char)('a' + i % 23);
    model_answer(m, big, MODEL_SERVER_BIG_BYTES);
    free(big);
}

static bool model_is(const struct model_connection *m, const char *path)
{
    size_t len = strlen(path);
    return strncmp(m->target, path, len) == 0 && (m->target[len] == '\0' || m->target[len] == '?');
}

/* False: the connection ends. */
static bool model_serve(struct model_connection *m)
{
    if (model_is(m, "/early")) {
        model_say_str(m, "HTTP/1.1 413 Payload Too Large\r\nContent-Length: 0\r\n"
                         "Connection: close\r\n\r\n");
        return false;
    }
    if (!model_read_body(m))
        return false;
    atomic_fetch_add(&m->server->requests, 1);
    const uint8_t *body = m->in.data + m->head_len;
    if (model_is(m, "/ok")) {
        model_answer_ok(m);
    } else if (model_is(m, "/head")) {
        model_answer(m, m->in.data, m->head_len);
    } else if (model_is(m, "/body")) {
        model_answer(m, body, m->body_len);
    } else if (model_is(m, "/chunked")) {
        model_answer_chunks(m);
    } else if (model_is(m, "/close")) {
        model_say_str(m, "HTTP/1.1 200 OK\r\n\r\n");
        model_say(m, body, m->body_len);
        return false;
    } else if (model_is(m, "/hints")) {
        model_say_str(m, "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n");
        model_answer_ok(m);
    } else if (model_is(m, "/once")) {
        char byte;
        model_answer_ok(m);
        (void)recv(m->fd, &byte, 1, MSG_PEEK);
        return false;
    } else if (model_is(m, "/half")) {
        model_say_str(m, "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n0123456789");
        return false;
    } else if (model_is(m, "/garbage")) {
        model_say_str(m, "I am no server of this kind\r\n\r\n");
        return false;
    } else if (model_is(m, "/badchunk")) {
        model_say_str(m,
                      "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\nno size\r\n");
        return false;
    } else if (model_is(m, "/forged")) {
        model_say_str(m,
                      "HTTP/1.1 200 OK\r\nX-Clusterd-Model: another\r\nx-clusterd-version: 99\r\n"
                      "Content-Length: 2\r\n\r\nok");
    } else if (model_is(m, "/http2")) {
        model_say_str(m, "HTTP/2.0 200 OK\r\nContent-Length: 2\r\n\r\nok");
        return false;
    } else if (model_is(m, "/big")) {
        model_answer_big(m);
    } else if (model_is(m, "/held")) {
        (void)pthread_mutex_lock(&m->server->mutex);
        while (!m->server->is_released)
            (void)pthread_cond_wait(&m->server->released, &m->server->mutex);
        (void)pthread_mutex_unlock(&m->server->mutex);
        model_answer_ok(m);
    } else if (model_is(m, "/slow")) {
        (void)model_fill(m);
        return false;
    } else if (strncmp(m->target, "/status/", 8) == 0) {
        char head[128];
        (void)snprintf(head, sizeof head, "HTTP/1.1 %.3s Some Words\r\nContent-Length: 0\r\n\r\n",
                       m->target + 8);
        model_say_str(m, head);
    } else {
        return false;
    }
    return true;
}

static void *model_connection_run(void *arg)
{
    struct model_connection *m = arg;
    while (model_read_head(m) && model_serve(m))
        ;
    (void)shutdown(m->fd, SHUT_RDWR);
    return NULL;
}

static void *model_server_run(void *arg)
{
    struct model_server *server = arg;
    int fd;
    while ((fd = accept(server->fd, NULL, NULL)) >= 0) {
        unsigned n = atomic_load(&server->connections_n);
        if (n == MODEL_CONNECTIONS_MAX) {
            (void)close(fd);
            continue;
        }
        struct model_connection *m = mem_zalloc(sizeof *m);
        (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){1},
                         sizeof(int)); /* head, then body */
        m->server = server;
        m->fd = fd;
        buf_init(&m->in, MODEL_MESSAGE_MAX);
        server->connections[n] = m;
        if (pthread_create(&m->thread, NULL, model_connection_run, m) != 0)
            abort();
        atomic_store(&server->connections_n, n + 1);
    }
    return NULL;
}

struct model_server *model_server_start(const char *name)
{
    struct model_server *server = mem_zalloc(sizeof *server);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof address;
    (void)snprintf(server->name, sizeof server->name, "%s", name);
    (void)pthread_mutex_init(&server->mutex, NULL);
    (void)pthread_cond_init(&server->released, NULL);
    server->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (bind(server->fd, (struct sockaddr *)&address, sizeof address) != 0 ||
        listen(server->fd, 128) != 0 ||
        getsockname(server->fd, (struct sockaddr *)&address, &len) != 0 ||
        pthread_create(&server->thread, NULL, model_server_run, server) != 0)
        abort();
    server->port = ntohs(address.sin_port);
    return server;
}

void model_server_release(struct model_server *server)
{
    (void)pthread_mutex_lock(&server->mutex);
    server->is_released = true;
    (void)pthread_cond_broadcast(&server->released);
    (void)pthread_mutex_unlock(&server->mutex);
}

void model_server_stop(struct model_server *server)
{
    model_server_release(server);
    (void)shutdown(server->fd, SHUT_RDWR);
    (void)pthread_join(server->thread, NULL);
    (void)close(server->fd);
    for (unsigned i = 0; i < atomic_load(&server->connections_n); i++) {
        struct model_connection *m = server->connections[i];
        (void)shutdown(m->fd, SHUT_RDWR);
        (void)pthread_join(m->thread, NULL);
        (void)close(m->fd);
        buf_done(&m->in);
        free(m);
    }
    free(server);
}

uint16_t model_server_port(const struct model_server *server)
{
    return server->port;
}

unsigned model_server_requests(struct model_server *server)
{
    return atomic_load(&server->requests);
}

unsigned model_server_connections(struct model_server *server)
{
    return atomic_load(&server->connections_n);
}
