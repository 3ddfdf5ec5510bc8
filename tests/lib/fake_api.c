#include "tests/lib/fake_api.h"

#include <arpa/inet.h>
#include <assert.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <gnutls/gnutls.h>

#include "base/mem.h"

struct fake_conn {
    LIST_ENTRY(fake_conn) entry;
    struct fake_api *api;
    pthread_t thread;
    int fd;
    gnutls_session_t tls; /* NULL: none */
    bool is_over;         /* its thread has ended */
    bool drop;
    char header[512];
    char *in;
    size_t in_len;
};

struct fake_api {
    int fd;
    char endpoint[256];
    char socket_path[128];
    gnutls_certificate_credentials_t credentials; /* NULL: no TLS */
    bool wants_client_certificate;
    fake_api_fn fn;
    void *arg;
    pthread_t thread;
    pthread_mutex_t lock;
    LIST_HEAD(, fake_conn) conns;
    unsigned n_requests;
    unsigned n_connections;
    bool closing;
};

enum { FAKE_API_IN_MAX = FAKE_API_BODY_MAX + FAKE_API_HEADERS_MAX };

/* Answers */

static void fake_send(struct fake_conn *conn, const char *bytes, size_t len)
{
    while (len > 0 && !conn->drop) {
        ssize_t n = conn->tls != NULL ? gnutls_record_send(conn->tls, bytes, len)
                                      : send(conn->fd, bytes, len, MSG_NOSIGNAL);
        if (n <= 0) {
            conn->drop = true;
            return;
        }
        bytes += n;
        len -= (size_t)n;
    }
}

static void fake_send_head(struct fake_conn *conn, unsigned status, const char *type,
                           const char *framing)
{
    char *head = mem_printf("HTTP/1.1 %u X\r\nContent-Type: %s\r\n%s\r\n%s\r\n", status, type,
                            framing, conn->header);
    fake_send(conn, head, strlen(head));
    free(head);
    conn->header[0] = '\0';
}

void fake_answer(struct fake_conn *conn, unsigned status, const char *type, const char *body,
                 size_t len)
{
    char framing[64];
    (void)snprintf(framing, sizeof framing, "Content-Length: %zu", len);
    fake_send_head(conn, status, type, framing);
    fake_send(conn, body, len);
}

void fake_answer_json(struct fake_conn *conn, unsigned status, const char *fmt, ...)
{
    char *body;
    va_list args;
    va_start(args, fmt);
    if (vasprintf(&body, fmt, args) < 0)
        abort();
    va_end(args);
    fake_answer(conn, status, "application/json", body, strlen(body));
    free(body);
}

void fake_answer_error(struct fake_conn *conn, unsigned status, const char *code,
                       const char *message, const char *hint)
{
    fake_answer_json(conn, status,
                     "{\"error\":{\"code\":\"%s\",\"message\":\"%s\",\"hint\":\"%s\"}}", code,
                     message, hint);
}

void fake_drop(struct fake_conn *conn)
{
    conn->drop = true;
}

void fake_set_header(struct fake_conn *conn, const char *line)
{
    size_t len = strlen(conn->header);
    (void)snprintf(conn->header + len, sizeof conn->header - len, "%s\r\n", line);
}

void fake_begin(struct fake_conn *conn, unsigned status, const char *type)
{
    fake_send_head(conn, status, type, "Transfer-Encoding: chunked");
}

void fake_write(struct fake_conn *conn, const char *bytes, size_t len)
{
    char size[32];
    if (len == 0)
        return;
    (void)snprintf(size, sizeof size, "%zx\r\n", len);
    fake_send(conn, size, strlen(size));
    fake_send(conn, bytes, len);
    fake_send(conn, "\r\n", 2);
}

void fake_printf(struct fake_conn *conn, const char *fmt, ...)
{
    char *text;
    va_list args;
    va_start(args, fmt);
    if (vasprintf(&text, fmt, args) < 0)
        abort();
    va_end(args);
    fake_write(conn, text, strlen(text));
    free(text);
}

void fake_end(struct fake_conn *conn)
{
    fake_send(conn, "0\r\n\r\n", 5);
}

static bool fake_poll_closed(struct fake_conn *conn, int timeout_ms)
{
    struct pollfd p = {.fd = conn->fd, .events = POLLRDHUP};
    return poll(&p, 1, timeout_ms) > 0 && (p.revents & (POLLRDHUP | POLLHUP | POLLERR)) != 0;
}

void fake_wait_closed(struct fake_conn *conn)
{
    while (!fake_poll_closed(conn, -1))
        continue;
    conn->drop = true;
}

bool fake_is_closed(struct fake_conn *conn)
{
    return fake_poll_closed(conn, 0);
}

/* Requests */

const char *fake_header(const struct fake_request *request, const char *name)
{
    static _Thread_local char value[FAKE_API_HEADERS_MAX];
    size_t len = strlen(name);
    value[0] = '\0';
    for (const char *line = request->headers; *line != '\0';) {
        size_t n = strcspn(line, "\r");
        if (n > len + 1 && strncasecmp(line, name, len) == 0 && line[len] == ':') {
            size_t skip = len + 1 + strspn(line + len + 1, " ");
            (void)snprintf(value, sizeof value, "%.*s", (int)(n - skip), line + skip);
            break;
        }
        line += n + strspn(line + n, "\r\n");
    }
    return value;
}

const char *fake_param(const struct fake_request *request, const char *name)
{
    static _Thread_local char value[FAKE_API_PATH_MAX];
    size_t len = strlen(name);
    size_t n = 0;
    for (const char *p = request->query; *p != '\0';) {
        size_t item = strcspn(p, "&");
        if (item > len && strncmp(p, name, len) == 0 && p[len] == '=') {
            for (size_t i = len + 1; i < item; i++) {
                unsigned byte;
                if (p[i] == '%' && sscanf(p + i + 1, "%2x", &byte) == 1) {
                    value[n++] = (char)byte;
                    i += 2;
                } else {
                    value[n++] = p[i];
                }
            }
            break;
        }
        p += item + (p[item] == '&');
    }
    value[n] = '\0';
    return value;
}

/* Reads until `want` bytes are in; false when the connection ends first. */
static bool fake_fill(struct fake_conn *conn, size_t want)
{
    while (conn->in_len < want) {
        char *to = conn->in + conn->in_len;
        size_t room = FAKE_API_IN_MAX - conn->in_len;
        ssize_t n = conn->tls != NULL ? gnutls_record_recv(conn->tls, to, room)
                                      : recv(conn->fd, to, room, 0);
        if (n <= 0)
            return false;
        conn->in_len += (size_t)n;
        conn->in[conn->in_len] = '\0';
    }
    return true;
}

static void fake_parse_head(struct fake_conn *conn, const char *end, struct fake_request *r)
{
    char target[FAKE_API_PATH_MAX] = "";
    int n = sscanf(conn->in, "%15s %1023s", r->method, target);
    assert(n == 2);
    char *query = strchr(target, '?');
    if (query != NULL) {
        *query = '\0';
        (void)snprintf(r->query, sizeof r->query, "%s", query + 1);
    }
    (void)snprintf(r->path, sizeof r->path, "%s", target);
    const char *from = strstr(conn->in, "\r\n") + 2;
    (void)snprintf(r->headers, sizeof r->headers, "%.*s", (int)(end - from), from);
}

static bool fake_serve_one(struct fake_conn *conn)
{
    struct fake_request *r = mem_zalloc(sizeof *r);
    bool is_alive = false;
    const char *end;
    while ((end = strstr(conn->in, "\r\n\r\n")) == NULL) {
        if (!fake_fill(conn, conn->in_len + 1))
            goto out;
    }
    fake_parse_head(conn, end + 2, r);
    size_t head_len = (size_t)(end + 4 - conn->in);
    size_t body_len = (size_t)strtoul(fake_header(r, "Content-Length"), NULL, 10);
    if (!fake_fill(conn, head_len + body_len))
        goto out;
    char *body = mem_dup(conn->in + head_len, body_len + 1); /* may hold NULs */
    body[body_len] = '\0';
    r->body = body;
    r->body_len = body_len;
    conn->in_len -= head_len + body_len;
    memmove(conn->in, conn->in + head_len + body_len, conn->in_len + 1);

    (void)pthread_mutex_lock(&conn->api->lock);
    r->serial = ++conn->api->n_requests;
    (void)pthread_mutex_unlock(&conn->api->lock);
    conn->api->fn(conn->api->arg, conn, r);
    is_alive = !conn->drop;
    free(body);
out:
    free(r);
    return is_alive;
}

static bool fake_shake_hands(struct fake_conn *conn)
{
    struct fake_api *api = conn->api;
    if (api->credentials == NULL)
        return true;
    (void)gnutls_init(&conn->tls, GNUTLS_SERVER | GNUTLS_NO_SIGNAL);
    (void)gnutls_set_default_priority(conn->tls);
    (void)gnutls_credentials_set(conn->tls, GNUTLS_CRD_CERTIFICATE, api->credentials);
    if (api->wants_client_certificate) {
        gnutls_certificate_server_set_request(conn->tls, GNUTLS_CERT_REQUIRE);
        gnutls_session_set_verify_cert(conn->tls, NULL, 0);
    }
    gnutls_transport_set_int(conn->tls, conn->fd);
    int rc;
    do
        rc = gnutls_handshake(conn->tls);
    while (rc < 0 && !gnutls_error_is_fatal(rc));
    return rc == 0;
}

static void *fake_conn_main(void *arg)
{
    struct fake_conn *conn = arg;
    bool is_alive = fake_shake_hands(conn);
    while (is_alive)
        is_alive = fake_serve_one(conn);
    if (conn->tls != NULL)
        gnutls_deinit(conn->tls);
    (void)shutdown(conn->fd, SHUT_RDWR);
    (void)pthread_mutex_lock(&conn->api->lock);
    conn->is_over = true;
    (void)pthread_mutex_unlock(&conn->api->lock);
    return NULL;
}

/* Connections */

static void fake_conn_free(struct fake_conn *conn)
{
    (void)pthread_join(conn->thread, NULL);
    LIST_REMOVE(conn, entry);
    (void)close(conn->fd);
    free(conn->in);
    free(conn);
}

static void *fake_api_main(void *arg)
{
    struct fake_api *api = arg;
    for (;;) {
        int fd = accept4(api->fd, NULL, NULL, SOCK_CLOEXEC);
        if (fd < 0)
            return NULL;
        struct fake_conn *conn = mem_zalloc(sizeof *conn);
        conn->api = api;
        conn->fd = fd;
        conn->in = mem_zalloc(FAKE_API_IN_MAX + 1);
        (void)pthread_mutex_lock(&api->lock);
        struct fake_conn *next;
        for (struct fake_conn *c = LIST_FIRST(&api->conns); c != NULL; c = next) {
            next = LIST_NEXT(c, entry);
            if (c->is_over)
                fake_conn_free(c);
        }
        api->n_connections++;
        LIST_INSERT_HEAD(&api->conns, conn, entry);
        if (pthread_create(&conn->thread, NULL, fake_conn_main, conn) != 0)
            abort();
        (void)pthread_mutex_unlock(&api->lock);
    }
}

static int fake_listen_unix(struct fake_api *api, const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    assert(strlen(path) < sizeof address.sun_path);
    (void)snprintf(address.sun_path, sizeof address.sun_path, "%s", path);
    (void)snprintf(api->socket_path, sizeof api->socket_path, "%s", path);
    (void)snprintf(api->endpoint, sizeof api->endpoint, "unix:%s", path);
    (void)unlink(path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof address) != 0)
        abort();
    return fd;
}

static int fake_listen_tcp(struct fake_api *api, const char *scheme)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof address;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || bind(fd, (struct sockaddr *)&address, len) != 0 ||
        getsockname(fd, (struct sockaddr *)&address, &len) != 0)
        abort();
    (void)snprintf(api->endpoint, sizeof api->endpoint, "%s://127.0.0.1:%u", scheme,
                   ntohs(address.sin_port));
    return fd;
}

static struct fake_api *fake_api_alloc(fake_api_fn fn, void *arg)
{
    struct fake_api *api = mem_zalloc(sizeof *api);
    api->fn = fn;
    api->arg = arg;
    LIST_INIT(&api->conns);
    (void)pthread_mutex_init(&api->lock, NULL);
    return api;
}

static void fake_api_serve(struct fake_api *api)
{
    if (listen(api->fd, 64) != 0 || pthread_create(&api->thread, NULL, fake_api_main, api) != 0)
        abort();
}

struct fake_api *fake_api_new(const char *socket_path, fake_api_fn fn, void *arg)
{
    struct fake_api *api = fake_api_alloc(fn, arg);
    api->fd =
        socket_path != NULL ? fake_listen_unix(api, socket_path) : fake_listen_tcp(api, "http");
    fake_api_serve(api);
    return api;
}

struct fake_api *fake_api_new_tls(const char *cert_path, const char *key_path, const char *ca_path,
                                  fake_api_fn fn, void *arg)
{
    struct fake_api *api = fake_api_alloc(fn, arg);
    if (gnutls_certificate_allocate_credentials(&api->credentials) != 0 ||
        gnutls_certificate_set_x509_key_file(api->credentials, cert_path, key_path,
                                             GNUTLS_X509_FMT_PEM) != 0)
        abort();
    if (ca_path != NULL &&
        gnutls_certificate_set_x509_trust_file(api->credentials, ca_path, GNUTLS_X509_FMT_PEM) <= 0)
        abort();
    api->wants_client_certificate = ca_path != NULL;
    api->fd = fake_listen_tcp(api, "https");
    fake_api_serve(api);
    return api;
}

void fake_api_free(struct fake_api *api)
{
    if (api == NULL)
        return;
    (void)shutdown(api->fd, SHUT_RDWR);
    (void)pthread_join(api->thread, NULL);
    (void)close(api->fd);
    struct fake_conn *conn;
    LIST_FOREACH (conn, &api->conns, entry) {
        (void)shutdown(conn->fd, SHUT_RDWR);
    }
    while ((conn = LIST_FIRST(&api->conns)) != NULL)
        fake_conn_free(conn);
    if (api->socket_path[0] != '\0')
        (void)unlink(api->socket_path);
    if (api->credentials != NULL)
        gnutls_certificate_free_credentials(api->credentials);
    (void)pthread_mutex_destroy(&api->lock);
    free(api);
}

const char *fake_api_endpoint(const struct fake_api *api)
{
    return api->endpoint;
}

unsigned fake_api_requests(struct fake_api *api)
{
    (void)pthread_mutex_lock(&api->lock);
    unsigned n = api->n_requests;
    (void)pthread_mutex_unlock(&api->lock);
    return n;
}

unsigned fake_api_connections(struct fake_api *api)
{
    (void)pthread_mutex_lock(&api->lock);
    unsigned n = api->n_connections;
    (void)pthread_mutex_unlock(&api->lock);
    return n;
}
