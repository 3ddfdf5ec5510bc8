#include "tests/lib/http_fixture.h"

#include <dirent.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/mem.h"

enum {
    HTTP_FIXTURE_PATIENCE_MS = 300000,
    HTTP_FIXTURE_TICK_MS = 2,
    RAW_CLIENT_BYTES_MAX = 64 << 20
};

static void http_fixture_on_patience(uv_timer_t *timer)
{
    (void)timer;
    fail_msg("what the test waits for did not come in %d ms", HTTP_FIXTURE_PATIENCE_MS);
}

static void http_fixture_on_tick(uv_timer_t *timer)
{
    (void)timer;
}

void http_fixture_options(struct http_fixture *f, struct http_server_options *options)
{
    memset(f, 0, sizeof *f);
    assert_int_equal(uv_loop_init(&f->loop), 0);
    (void)uv_timer_init(&f->loop, &f->patience);
    (void)uv_timer_start(&f->patience, http_fixture_on_patience, HTTP_FIXTURE_PATIENCE_MS, 0);
    (void)uv_timer_init(&f->loop, &f->tick);
    (void)uv_timer_start(&f->tick, http_fixture_on_tick, HTTP_FIXTURE_TICK_MS,
                         HTTP_FIXTURE_TICK_MS);
    (void)strcpy(f->dir, "/tmp/http-test-XXXXXX");
    assert_non_null(mkdtemp(f->dir));
    (void)snprintf(f->socket_path, sizeof f->socket_path, "%s/api.sock", f->dir);
    f->router = http_router_new();
    http_server_options_init(options);
    options->loop = &f->loop;
    options->router = f->router;
    options->token = HTTP_FIXTURE_TOKEN;
    options->upload_dir = f->dir;
}

void http_fixture_start(struct http_fixture *f, const struct http_server_options *options,
                        const struct http_route *routes, size_t routes_len, void *arg)
{
    struct error e;
    http_router_add(f->router, routes, routes_len, arg);
    f->server = http_server_new(options);
    assert_int_equal(http_server_listen_unix(f->server, f->socket_path, 0600, &e), 0);
    assert_int_equal(http_server_listen_tcp(f->server, "127.0.0.1", 0, NULL, &f->port, &e), 0);
    assert_int_not_equal(f->port, 0);
}

static void http_fixture_on_closed(void *arg)
{
    struct http_fixture *f = arg;
    f->closed = true;
}

void http_fixture_close_server(struct http_fixture *f)
{
    http_server_close(f->server, http_fixture_on_closed, f);
    f->server = NULL;
}

static void http_fixture_remove_dir(const char *path)
{
    DIR *dir = opendir(path);
    assert_non_null(dir);
    struct dirent *entry;
    while ((entry = readdir(dir)) != NULL)
        if (entry->d_name[0] != '.')
            assert_int_equal(unlinkat(dirfd(dir), entry->d_name, 0), 0);
    (void)closedir(dir);
    assert_int_equal(rmdir(path), 0);
}

void http_fixture_stop(struct http_fixture *f)
{
    if (f->server != NULL)
        http_fixture_close_server(f);
    http_fixture_wait(f, &f->closed);
    uv_close((uv_handle_t *)&f->patience, NULL);
    uv_close((uv_handle_t *)&f->tick, NULL);
    (void)uv_run(&f->loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&f->loop), 0);
    http_router_free(f->router);
    http_fixture_remove_dir(f->dir);
}

void http_fixture_turn(struct http_fixture *f)
{
    (void)uv_run(&f->loop, UV_RUN_ONCE);
}

void http_fixture_wait(struct http_fixture *f, const bool *flag)
{
    while (!*flag)
        http_fixture_turn(f);
}

static void raw_client_read(struct raw_client *raw)
{
    for (;;) {
        assert_int_equal(buf_reserve(&raw->in, 64 * 1024), 0);
        ssize_t n = recv(raw->fd, raw->in.data + raw->in.len, 64 * 1024, MSG_DONTWAIT);
        if (n > 0) {
            raw->in.len += (size_t)n;
            continue;
        }
        raw->ended = n == 0 || (errno != EAGAIN && errno != EINTR);
        return;
    }
}

static void raw_client_on_poll(uv_poll_t *poll, int status, int events)
{
    struct raw_client *raw = poll->data;
    if (status < 0 || (events & UV_READABLE) != 0)
        raw_client_read(raw);
    if (raw->ended)
        (void)uv_poll_stop(poll);
}

static struct raw_client *raw_client_new(struct http_fixture *f, int fd,
                                         const struct sockaddr *address, socklen_t len)
{
    assert_true(fd >= 0);
    struct raw_client *raw = mem_zalloc(sizeof *raw);
    raw->f = f;
    raw->fd = fd;
    assert_int_equal(connect(fd, address, len), 0);
    buf_init(&raw->in, RAW_CLIENT_BYTES_MAX);
    raw->poll.data = raw;
    (void)uv_poll_init(&f->loop, &raw->poll, fd);
    (void)uv_poll_start(&raw->poll, UV_READABLE, raw_client_on_poll);
    return raw;
}

struct raw_client *raw_client_tcp(struct http_fixture *f)
{
    struct sockaddr_in in = {.sin_family = AF_INET,
                             .sin_port = htons(f->port),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    return raw_client_new(f, socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), (struct sockaddr *)&in,
                          sizeof in);
}

struct raw_client *raw_client_unix(struct http_fixture *f)
{
    struct sockaddr_un un = {.sun_family = AF_UNIX};
    (void)strcpy(un.sun_path, f->socket_path);
    return raw_client_new(f, socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), (struct sockaddr *)&un,
                          sizeof un);
}

static void raw_client_on_closed(uv_handle_t *handle)
{
    struct raw_client *raw = handle->data;
    raw->poll_closed = true;
}

void raw_client_close(struct raw_client *raw)
{
    uv_close((uv_handle_t *)&raw->poll, raw_client_on_closed);
    (void)close(raw->fd);
    http_fixture_wait(raw->f, &raw->poll_closed);
    buf_done(&raw->in);
    free(raw);
}

bool raw_client_send(struct raw_client *raw, const void *data, size_t len)
{
    const char *p = data;
    while (len > 0 && !raw->ended) {
        ssize_t n = send(raw->fd, p, len, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (n < 0 && errno != EAGAIN)
            break;
        if (n > 0) {
            p += n;
            len -= (size_t)n;
        }
        (void)uv_run(&raw->f->loop, UV_RUN_NOWAIT);
    }
    return len == 0;
}

void raw_client_say(struct raw_client *raw, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    char *text;
    int len = vasprintf(&text, fmt, args);
    va_end(args);
    assert_true(len >= 0);
    (void)raw_client_send(raw, text, (size_t)len);
    free(text);
}

void raw_client_expect(struct raw_client *raw, const char *text)
{
    while (raw->in.len == 0 || memmem(raw->in.data, raw->in.len, text, strlen(text)) == NULL) {
        if (raw->ended)
            fail_msg("the server closed before it sent \"%s\": %s", text, buf_cstr(&raw->in));
        http_fixture_turn(raw->f);
    }
}

void raw_client_expect_end(struct raw_client *raw)
{
    http_fixture_wait(raw->f, &raw->ended);
}

static size_t raw_client_content_length(const char *head)
{
    const char *field = strcasestr(head, "\r\nContent-Length:");
    return field != NULL ? strtoul(field + 17, NULL, 10) : 0;
}

const struct raw_answer *raw_client_answer(struct raw_client *raw, bool head_only)
{
    static struct raw_answer answer;
    raw_client_expect(raw, "\r\n\r\n");
    const char *text = buf_cstr(&raw->in);
    size_t head_len = (size_t)(strstr(text, "\r\n\r\n") - text) + 4;
    assert_true(head_len < sizeof answer.head);
    memcpy(answer.head, text, head_len);
    answer.head[head_len] = '\0';
    assert_int_equal(sscanf(answer.head, "HTTP/1.1 %u", &answer.status), 1);
    size_t body_len = 0;
    if (strcasestr(answer.head, "Transfer-Encoding: chunked") != NULL && !head_only) {
        raw_client_expect(raw, "\r\n0\r\n\r\n");
        text = buf_cstr(&raw->in);
        body_len = (size_t)(strstr(text, "\r\n0\r\n\r\n") - text) + 7 - head_len;
    } else if (!head_only) {
        body_len = raw_client_content_length(answer.head);
    }
    while (raw->in.len < head_len + body_len) {
        assert_false(raw->ended);
        http_fixture_turn(raw->f);
    }
    assert_true(body_len < sizeof answer.body);
    memcpy(answer.body, raw->in.data + head_len, body_len);
    answer.body[body_len] = '\0';
    answer.body_len = body_len;
    buf_consume(&raw->in, head_len + body_len);
    return &answer;
}

const struct raw_answer *raw_client_ask(struct raw_client *raw, const char *method,
                                        const char *target, const char *body)
{
    raw_client_say(raw, "%s %s HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer %s\r\n", method,
                   target, HTTP_FIXTURE_TOKEN);
    if (body != NULL)
        raw_client_say(raw, "Content-Length: %zu\r\n", strlen(body));
    raw_client_say(raw, "\r\n%s", body != NULL ? body : "");
    return raw_client_answer(raw, strcmp(method, "HEAD") == 0);
}
