/* What a client makes of the bytes of a Unix socket, however they are cut, and whatever they are.
 * The test is the server, in the same thread. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/mem.h"
#include "client/client.h"
#include "tests/unit/generated.h"

enum { WAIT_MS = 120000 };

struct world {
    char dir[64];
    char path[96];
    int listener;
    int conn;
    unsigned n_conns;
    struct client *client;
    struct buf request;
    /* what came of the call */
    bool is_done;
    int code;
    unsigned status;
    char text[ERROR_TEXT_MAX];
    struct buf body;
};

static int set_up(void **state)
{
    struct world *w = mem_zalloc(sizeof *w);
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    struct error e;
    (void)snprintf(w->dir, sizeof w->dir, "/tmp/client_http.XXXXXX");
    assert_non_null(mkdtemp(w->dir));
    (void)snprintf(w->path, sizeof w->path, "%s/s", w->dir);
    (void)snprintf(address.sun_path, sizeof address.sun_path, "%s/s", w->dir);
    w->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(w->listener, (struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(listen(w->listener, 4), 0);
    w->conn = -1;
    buf_init(&w->request, 1 << 24);
    buf_init(&w->body, 1 << 24);
    struct client_options options = {.endpoints = w->path, .retry_ms = 1};
    assert_int_equal(client_open(&options, &w->client, &e), 0);
    *state = w;
    return 0;
}

static int tear_down(void **state)
{
    struct world *w = *state;
    client_close(w->client);
    if (w->conn >= 0)
        (void)close(w->conn);
    (void)close(w->listener);
    (void)unlink(w->path);
    (void)rmdir(w->dir);
    buf_done(&w->request);
    buf_done(&w->body);
    free(w);
    return 0;
}

static void on_data(void *arg, const char *bytes, size_t len)
{
    struct world *w = arg;
    assert_int_equal(buf_append(&w->body, bytes, len), 0);
}

static void on_done(void *arg, const struct client_reply *reply)
{
    struct world *w = arg;
    w->is_done = true;
    w->code = reply->code;
    w->status = reply->status;
    (void)snprintf(w->text, sizeof w->text, "%s", reply->text);
}

static void turn(struct world *w)
{
    struct pollfd p = {.fd = client_fd(w->client), .events = POLLIN};
    if (poll(&p, 1, 1) > 0)
        client_dispatch(w->client);
}

static void start(struct world *w, const struct client_request *request)
{
    static const struct client_handler handler = {.data = on_data, .done = on_done};
    w->is_done = false;
    buf_clear(&w->body);
    buf_clear(&w->request);
    assert_non_null(client_start(w->client, request, &handler, w, NULL));
}

/* Until the head of a request is here, by a new connection or the one that is there. */
static void take_request(struct world *w)
{
    int64_t until_ms = clock_mono_ms() + WAIT_MS;
    char bytes[4096];
    while (strstr(buf_cstr(&w->request), "\r\n\r\n") == NULL) {
        assert_true(clock_mono_ms() < until_ms);
        turn(w);
        int fd = accept(w->listener, NULL, NULL);
        if (fd >= 0) {
            if (w->conn >= 0)
                (void)close(w->conn);
            w->conn = fd;
            w->n_conns++;
        }
        ssize_t n = w->conn >= 0 ? recv(w->conn, bytes, sizeof bytes, MSG_DONTWAIT) : -1;
        if (n > 0)
            (void)buf_append(&w->request, bytes, (size_t)n);
    }
}

static void hang_up(struct world *w)
{
    (void)close(w->conn);
    w->conn = -1;
}

static void finish(struct world *w)
{
    int64_t until_ms = clock_mono_ms() + WAIT_MS;
    while (!w->is_done) {
        assert_true(clock_mono_ms() < until_ms);
        turn(w);
    }
}

/* A GET that is answered by `answer` in pieces of that size. */
static void exchange(struct world *w, const char *answer, size_t len, size_t piece, bool closes)
{
    start(w, &CLIENT_REQUEST(.method = "GET", .path = "/api/x", .body = CLIENT_BODY_BYTES));
    take_request(w);
    for (size_t at = 0; at < len && !w->is_done; at += piece) {
        size_t n = len - at < piece ? len - at : piece;
        (void)send(w->conn, answer + at, n, MSG_NOSIGNAL);
        turn(w);
    }
    if (closes)
        hang_up(w);
    finish(w);
}

#define CHUNKED                                                                                    \
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5;x=y\r\nhello\r\n1\r\n \r\nA\r\nall "   \
    "the "                                                                                         \
    "wo\r\n3\r\nrld\r\n0\r\nX-Trailer: y\r\n\r\n"
#define SIZED                                                                                      \
    "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200\r\ncontent-length:  19 \r\n\r\nhello all the world"
#define ENDLESS "HTTP/1.1 200 OK\r\nServer: x\r\n\r\nhello all the world"
#define OLD     "HTTP/1.0 200 OK\nContent-Length: 19\n\nhello all the world"

static void an_answer_is_the_same_however_it_is_cut(void **state)
{
    static const struct {
        const char *answer;
        bool closes, is_kept;
    } cases[] = {
        {CHUNKED, false, true}, {SIZED, false, true}, {ENDLESS, true, false}, {OLD, false, false}};
    struct world *w = *state;
    for (size_t i = 0; i < MEM_COUNT(cases); i++) {
        for (size_t piece = 1; piece < 200; piece += piece < 12 ? 1 : 37) {
            unsigned before = w->n_conns;
            bool had = w->conn >= 0;
            exchange(w, cases[i].answer, strlen(cases[i].answer), piece, cases[i].closes);
            if (w->code != 0 || strcmp(buf_cstr(&w->body), "hello all the world") != 0)
                fail_msg("%zu cut at %zu: %d \"%s\" %s", i, piece, w->code, buf_cstr(&w->body),
                         w->text);
            /* the first of a kind may find another's connection closed */
            if (cases[i].is_kept && had && piece > 1)
                assert_int_equal(w->n_conns, before);
        }
        if (!cases[i].is_kept && w->conn >= 0)
            hang_up(w);
    }
}

static void what_is_no_http_is_an_error(void **state)
{
    static const char *const bad[] = {
        "\r\n\r\n",
        "SSH-2.0-OpenSSH\r\n\r\n",
        "HTTP/1.1 2x0 OK\r\n\r\n",
        "HTTP/1.1 20\r\n\r\n",
        "HTTP/2.0 200 OK\r\n\r\n",
        "HTTP/1.1 2000 OK\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 1x\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 999999999999999999999999999\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nfffffffffffffffffff\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nab\r\n",
    };
    struct world *w = *state;
    for (size_t i = 0; i < MEM_COUNT(bad); i++) {
        exchange(w, bad[i], strlen(bad[i]), 4096, false);
        if (w->code == 0 || strstr(w->text, "what came is not HTTP") == NULL)
            fail_msg("%s: %d %s", bad[i], w->code, w->text);
    }
}

static void what_never_ends_is_bounded(void **state)
{
    struct world *w = *state;
    size_t len = 300 * 1024;
    char *head = mem_alloc(len);
    memset(head, 'x', len);
    memcpy(head, "HTTP/1.1 200 OK\r\nX: ", 20);
    exchange(w, head, len, 32768, false);
    assert_non_null(strstr(w->text, "what came is not HTTP"));
    static const char begin[] = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0";
    memset(head, '0', len);
    memcpy(head, begin, sizeof begin - 1);
    exchange(w, head, len, 1024, false);
    assert_int_not_equal(w->code, 0);
    free(head);
}

/* Cut at any byte an answer is whole, or an error; nothing is taken for the end that is none. */
static void an_answer_that_ends_early_is_an_error(void **state)
{
    static const char *const answers[] = {CHUNKED, SIZED};
    struct world *w = *state;
    for (size_t i = 0; i < MEM_COUNT(answers); i++) {
        for (size_t len = 0; len < strlen(answers[i]); len++) {
            exchange(w, answers[i], len, 4096, true);
            if (w->code == 0)
                fail_msg("%zu cut at %zu: \"%s\"", i, len, buf_cstr(&w->body));
        }
    }
}

static void any_bytes_end_in_an_answer_or_an_error(void **state)
{
    static const char *const answers[] = {CHUNKED, SIZED, ENDLESS, OLD};
    struct world *w = *state;
    struct generated g;
    generated_init(&g, 300);
    while (generated_next(&g)) {
        const char *from = answers[prng_below(&g.prng, MEM_COUNT(answers))];
        size_t len = strlen(from);
        char *bytes = mem_strdup(from);
        for (uint64_t n = 1 + prng_below(&g.prng, 4); n > 0; n--)
            bytes[prng_below(&g.prng, len)] = (char)prng_below(&g.prng, 256);
        exchange(w, bytes, len, 1 + prng_below(&g.prng, 64), true);
        free(bytes);
    }
}

static void an_answer_that_comes_before_the_upload_has_ended_counts(void **state)
{
    static const char answer[] = "HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n";
    struct world *w = *state;
    char *path = mem_printf("%s/file", w->dir);
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    (void)unlink(path);
    free(path);
    assert_int_equal(ftruncate(fd, 64 << 20), 0);
    start(w, &CLIENT_REQUEST(.method = "POST", .path = "/api/files", .from_fd = true, .fd = fd,
                             .fd_bytes = 64 << 20));
    take_request(w);
    assert_non_null(strstr(buf_cstr(&w->request), "Content-Length: 67108864\r\n"));
    (void)send(w->conn, answer, sizeof answer - 1, MSG_NOSIGNAL);
    finish(w);
    assert_int_equal(w->status, 413);
    (void)close(fd);
}

static void a_kept_connection_that_was_closed_is_replaced(void **state)
{
    struct world *w = *state;
    exchange(w, SIZED, strlen(SIZED), 4096, false);
    hang_up(w);
    start(w, &CLIENT_REQUEST(.method = "POST", .path = "/api/jobs", .data = "{}", .data_len = 2));
    take_request(w);
    assert_non_null(strstr(buf_cstr(&w->request), "POST /api/jobs HTTP/1.1\r\n"));
    (void)send(w->conn, "HTTP/1.1 201 C\r\nContent-Length: 2\r\n\r\n{}", 40, MSG_NOSIGNAL);
    finish(w);
    assert_int_equal(w->code, 0);
    assert_int_equal(w->status, 201);
    assert_int_equal(w->n_conns, 2);
}

static void no_header_comes_from_a_key(void **state)
{
    struct world *w = *state;
    start(w, &CLIENT_REQUEST(.method = "POST", .path = "/api/jobs",
                             .idempotency_key = "a\r\nX-Evil: 1"));
    finish(w);
    assert_int_equal(w->code, ERR_INVALID);
    assert_int_equal(w->n_conns, 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(an_answer_is_the_same_however_it_is_cut),
        TEST(what_is_no_http_is_an_error),
        TEST(what_never_ends_is_bounded),
        TEST(an_answer_that_ends_early_is_an_error),
        TEST(any_bytes_end_in_an_answer_or_an_error),
        TEST(an_answer_that_comes_before_the_upload_has_ended_counts),
        TEST(a_kept_connection_that_was_closed_is_replaced),
        TEST(no_header_comes_from_a_key),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
