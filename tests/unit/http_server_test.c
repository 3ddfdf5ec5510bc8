#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/mem.h"
#include "tests/lib/http_fixture.h"

/* What the handlers below share with the tests. */
struct world {
    struct http_fixture f;
    struct http_request *held;
    bool is_held;
    bool was_closed;
    bool was_drained;
    bool was_full;
    uint64_t written;
    unsigned calls;
};

static void answer_now(struct http_request *req, void *arg)
{
    struct world *w = arg;
    w->calls++;
    http_reply(req, 200, "text/plain", "now", 3);
}

static void note_close(struct http_request *req, void *arg)
{
    (void)req;
    struct world *w = arg;
    w->was_closed = true;
}

static void hold(struct http_request *req, void *arg)
{
    struct world *w = arg;
    assert_null(w->held);
    w->held = req;
    w->is_held = true;
    http_request_on_close(req, note_close, w);
}

static void echo(struct http_request *req, void *arg)
{
    (void)arg;
    const char *q = http_request_query(req, "q");
    char *text = mem_printf("%s|%s|%s", http_request_method(req), http_request_param(req, "id"),
                            q != NULL ? q : "-");
    http_reply_take(req, 200, "text/plain", text, strlen(text));
}

static void parse_json(struct http_request *req, void *arg)
{
    (void)arg;
    json_t *json;
    struct error e;
    if (http_request_json(req, &json, &e) != 0)
        http_reply_failure(req, &e, "look at the JSON");
    else
        http_reply_json(req, 201, json);
}

static void fail_with_query(struct http_request *req, void *arg)
{
    (void)arg;
    uint64_t n = 5;
    bool b = false;
    struct error e = {0};
    if (http_request_query_u64(req, "n", 1, 9, &n, &e) != 0 ||
        http_request_query_bool(req, "b", &b, &e) != 0)
        http_reply_failure(req, &e, NULL);
    else
        http_reply_json(req, 200, json_pack("{s:I, s:b}", "n", (json_int_t)n, "b", b));
}

static void tell_user(struct http_request *req, void *arg)
{
    (void)arg;
    const char *key = http_request_header(req, "idempotency-key");
    char *text = mem_printf("%s|%s|%s", http_request_user(req), http_request_peer(req),
                            key != NULL ? key : "-");
    http_reply_take(req, 200, "text/plain", text, strlen(text));
}

static void fill_stream(struct http_request *req, void *arg)
{
    struct world *w = arg;
    static char block[32 * 1024];
    memset(block, 'x', sizeof block);
    int rc = 0;
    while (rc == 0) {
        rc = http_stream_write(req, block, sizeof block);
        if (rc >= 0)
            w->written += sizeof block;
        assert_true(w->written < 64U << 20);
    }
    w->was_full = w->was_full || rc == 1;
}

static void note_drain(struct http_request *req, void *arg)
{
    (void)req;
    struct world *w = arg;
    w->was_drained = true;
}

static void stream(struct http_request *req, void *arg)
{
    hold(req, arg);
    http_stream_on_drain(req, note_drain, arg);
    http_stream_begin(req, 200, "application/jsonl", HTTP_STREAM_CHUNKED);
}

static void send_file(struct http_request *req, void *arg)
{
    struct world *w = arg;
    char path[128];
    (void)snprintf(path, sizeof path, "%s/data", w->f.dir);
    uint64_t len = 0;
    struct error e;
    assert_int_equal(http_request_query_u64(req, "len", 0, 1 << 30, &len, &e), 0);
    http_reply_file(req, 200, "application/octet-stream", open(path, O_RDONLY | O_CLOEXEC), 7, len);
}

static const struct http_route routes[] = {
    {"GET", "/now", 0, 0, answer_now},
    {"POST", "/now", 0, 0, answer_now},
    {"GET", "/public", HTTP_ROUTE_PUBLIC, 0, answer_now},
    {"GET", "/held", 0, 0, hold},
    {"GET", "/api/jobs/{id}", 0, 0, echo},
    {"GET", "/api/jobs/status", 0, 0, answer_now},
    {"POST", "/json", 0, 0, parse_json},
    {"GET", "/query", 0, 0, fail_with_query},
    {"GET", "/user", 0, 0, tell_user},
    {"GET", "/stream", HTTP_ROUTE_STREAM, 0, stream},
    {"GET", "/file", HTTP_ROUTE_STREAM, 0, send_file},
};

static int set_up(void **state)
{
    struct world *w = mem_zalloc(sizeof *w);
    struct http_server_options options;
    http_fixture_options(&w->f, &options);
    static const char *const names[] = {"node1.example"};
    options.host_names = names;
    options.host_names_len = 1;
    http_fixture_start(&w->f, &options, routes, MEM_COUNT(routes), w);
    *state = w;
    return 0;
}

static int tear_down(void **state)
{
    struct world *w = *state;
    http_fixture_stop(&w->f);
    free(w);
    return 0;
}

static void answers_come_at_once_and_later(void **state)
{
    struct world *w = *state;
    struct raw_client *raw = raw_client_tcp(&w->f);
    const struct raw_answer *answer = raw_client_ask(raw, "GET", "/now", NULL);
    assert_int_equal(answer->status, 200);
    assert_string_equal(answer->body, "now");
    assert_non_null(strstr(answer->head, "Content-Type: text/plain\r\n"));

    raw_client_say(raw, "GET /held HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer %s\r\n\r\n",
                   HTTP_FIXTURE_TOKEN);
    http_fixture_wait(&w->f, &w->is_held);
    struct http_server_stats stats;
    http_server_stats(w->f.server, &stats);
    assert_int_equal(stats.active, 1);
    http_reply(w->held, 202, "text/plain", "later", 5);
    answer = raw_client_answer(raw, false);
    assert_int_equal(answer->status, 202);
    assert_string_equal(answer->body, "later");
    assert_false(w->was_closed);
    raw_client_close(raw);
}

static void pipelined_requests_are_answered_in_order(void **state)
{
    struct world *w = *state;
    struct raw_client *raw = raw_client_unix(&w->f);
    raw_client_say(raw, "GET /api/jobs/1 HTTP/1.1\r\nHost: x\r\n\r\n"
                        "GET /held HTTP/1.1\r\nHost: x\r\n\r\n"
                        "POST /json HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n[]"
                        "GET /api/jobs/2 HTTP/1.1\r\nHost: x\r\n\r\n");
    http_fixture_wait(&w->f, &w->is_held);
    assert_string_equal(raw_client_answer(raw, false)->body, "GET|1|-");
    assert_int_equal(raw->in.len, 0);
    http_reply(w->held, 200, "text/plain", "held", 4);
    assert_string_equal(raw_client_answer(raw, false)->body, "held");
    assert_string_equal(raw_client_answer(raw, false)->body, "[]\n");
    assert_string_equal(raw_client_answer(raw, false)->body, "GET|2|-");
    raw_client_close(raw);
}

static void paths_and_queries_arrive_decoded(void **state)
{
    struct world *w = *state;
    struct raw_client *raw = raw_client_tcp(&w->f);
    assert_string_equal(
        raw_client_ask(raw, "GET", "/api/jobs/a%2Fb%20c?x=1&q=a+b%26%3D", NULL)->body,
        "GET|a/b c|a b&=");
    assert_string_equal(raw_client_ask(raw, "GET", "/api/jobs/status", NULL)->body, "now");
    assert_string_equal(raw_client_ask(raw, "GET", "/api/jobs/st%61tus", NULL)->body, "now");
    assert_string_equal(raw_client_ask(raw, "GET", "http://localhost/api/jobs/7?q=", NULL)->body,
                        "GET|7|");
    assert_int_equal(raw_client_ask(raw, "GET", "/api/jobs/", NULL)->status, 404);
    assert_int_equal(raw_client_ask(raw, "GET", "/api/jobs/a%zz", NULL)->status, 400);
    assert_int_equal(raw_client_ask(raw, "GET", "/api/jobs/a%00b", NULL)->status, 400);
    assert_int_equal(raw_client_ask(raw, "GET", "/api/jobs/a%ff", NULL)->status, 400);
    raw_client_close(raw);
}

static void numbers_and_booleans_of_queries_are_checked(void **state)
{
    struct world *w = *state;
    struct raw_client *raw = raw_client_tcp(&w->f);
    assert_string_equal(raw_client_ask(raw, "GET", "/query", NULL)->body,
                        "{\"n\":5,\"b\":false}\n");
    assert_string_equal(raw_client_ask(raw, "GET", "/query?n=9&b", NULL)->body,
                        "{\"n\":9,\"b\":true}\n");
    const struct raw_answer *answer = raw_client_ask(raw, "GET", "/query?n=10", NULL);
    assert_int_equal(answer->status, 400);
    assert_non_null(strstr(answer->body, "query parameter n must be a number from 1 to 9"));
    assert_int_equal(raw_client_ask(raw, "GET", "/query?b=maybe", NULL)->status, 400);
    raw_client_close(raw);
}

static void head_sends_the_length_without_the_body(void **state)
{
    struct world *w = *state;
    struct raw_client *raw = raw_client_tcp(&w->f);
    const struct raw_answer *answer = raw_client_ask(raw, "HEAD", "/now", NULL);
    assert_int_equal(answer->status, 200);
    assert_non_null(strstr(answer->head, "Content-Length: 3\r\n"));
    assert_string_equal(raw_client_ask(raw, "GET", "/api/jobs/1", NULL)->body, "GET|1|-");
    raw_client_close(raw);
}

static void unknown_paths_and_methods_say_so_in_json(void **state)
{
    struct world *w = *state;
    struct raw_client *raw = raw_client_tcp(&w->f);
    const struct raw_answer *answer = raw_client_ask(raw, "GET", "/nothing", NULL);
    assert_int_equal(answer->status, 404);
    assert_non_null(strstr(answer->body, "\"code\":\"not_found\""));
    answer = raw_client_ask(raw, "DELETE", "/now", NULL);
    assert_int_equal(answer->status, 405);
    assert_non_null(strstr(answer->head, "Allow: GET, HEAD, POST, OPTIONS\r\n"));
    assert_non_null(strstr(answer->body, "\"code\":\"method_not_allowed\""));
    answer = raw_client_ask(raw, "OPTIONS", "/now", NULL);
    assert_int_equal(answer->status, 204);
    assert_non_null(strstr(answer->head, "Allow: GET, HEAD, POST, OPTIONS\r\n"));
    assert_int_equal(raw_client_ask(raw, "OPTIONS", "*", NULL)->status, 204);
    assert_int_equal(raw_client_ask(raw, "OPTIONS", "/nothing", NULL)->status, 404);
    raw_client_close(raw);
}

static void wrong_json_is_refused_with_its_position(void **state)
{
    struct world *w = *state;
    struct raw_client *raw = raw_client_tcp(&w->f);
    assert_string_equal(raw_client_ask(raw, "POST", "/json", "{\"a\": 1}")->body, "{\"a\":1}\n");
    assert_string_equal(raw_client_ask(raw, "POST", "/json", "")->body, "{}\n");
    static const char *const wrong[] = {"{\"a\": }", "{\"a\":1,\"a\":2}", "{} x", "\"\xff\"",
                                        "[1,"};
    for (size_t i = 0; i < MEM_COUNT(wrong); i++) {
        const struct raw_answer *answer = raw_client_ask(raw, "POST", "/json", wrong[i]);
        assert_int_equal(answer->status, 400);
        assert_non_null(strstr(answer->body, "invalid JSON at line 1, column "));
        assert_non_null(strstr(answer->body, "\"hint\":\"look at the JSON\""));
    }
    raw_client_close(raw);
}

static unsigned status_of_type(struct raw_client *raw, const char *type)
{
    raw_client_say(raw,
                   "POST /json HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer %s\r\n"
                   "Content-Type: %s\r\nContent-Length: 2\r\n\r\n[]",
                   HTTP_FIXTURE_TOKEN, type);
    return raw_client_answer(raw, false)->status;
}

static void a_body_of_another_type_is_refused(void **state)
{
    struct world *w = *state;
    struct raw_client *raw = raw_client_tcp(&w->f);
    assert_int_equal(status_of_type(raw, "application/json; charset=utf-8"), 201);
    assert_int_equal(status_of_type(raw, "application/problem+json"), 201);
    assert_int_equal(status_of_type(raw, "application/x-www-form-urlencoded"), 201);
    assert_int_equal(status_of_type(raw, "text/plain"), 415);
    assert_int_equal(status_of_type(raw, "multipart/form-data; boundary=x"), 415);
    raw_client_close(raw);
}

static const struct raw_answer *ask_with(struct raw_client *raw, const char *path,
                                         const char *headers)
{
    raw_client_say(raw, "GET %s HTTP/1.1\r\n%s\r\n", path, headers);
    return raw_client_answer(raw, false);
}

#define AUTH "Authorization: Bearer " HTTP_FIXTURE_TOKEN "\r\n"

static void tcp_needs_the_token(void **state)
{
    struct world *w = *state;
    struct raw_client *raw = raw_client_tcp(&w->f);
    const struct raw_answer *answer = ask_with(raw, "/now", "Host: localhost\r\n");
    assert_int_equal(answer->status, 401);
    assert_non_null(strstr(answer->head, "WWW-Authenticate: Bearer\r\n"));
    static const char *const wrong[] = {
        "Host: localhost\r\nAuthorization: Bearer x\r\n",
        "Host: localhost\r\nAuthorization: Bearer " HTTP_FIXTURE_TOKEN "x\r\n",
        "Host: localhost\r\nAuthorization: Basic " HTTP_FIXTURE_TOKEN "\r\n",
        "Host: localhost\r\nAuthorization: " HTTP_FIXTURE_TOKEN "\r\n",
        "Host: localhost\r\nAuthorization: Bearer\r\n",
    };
    for (size_t i = 0; i < MEM_COUNT(wrong); i++)
        assert_int_equal(ask_with(raw, "/now", wrong[i])->status, 401);
    assert_int_equal(ask_with(raw, "/nothing", "Host: localhost\r\n")->status, 401);
    assert_int_equal(w->calls, 0);
    assert_int_equal(ask_with(raw, "/public", "Host: localhost\r\n")->status, 200);
    assert_int_equal(
        ask_with(raw, "/now", "Host: localhost\r\nauthorization: bearer " HTTP_FIXTURE_TOKEN "\r\n")
            ->status,
        200);
    raw_client_close(raw);
}

static void foreign_hosts_are_refused_on_tcp(void **state)
{
    struct world *w = *state;
    struct raw_client *raw = raw_client_tcp(&w->f);
    static const char *const ours[] = {"localhost", "LOCALHOST:%u",     "127.0.0.1:%u", "[::1]",
                                       "[::1]:%u",  "node1.example:%u", "Node1.Example"};
    static const char *const foreign[] = {"evil.example", "localhost.evil.example:%u",
                                          "localhost:80", "127.0.0.1:",
                                          "127.0.0.1.",   "[::1",
                                          "[::1]x",       "localhost:%ux",
                                          "@localhost",   "",
                                          "::1"};
    char host[64];
    char headers[256];
    for (size_t i = 0; i < MEM_COUNT(ours) + MEM_COUNT(foreign); i++) {
        bool good = i < MEM_COUNT(ours);
        const char *pattern = good ? ours[i] : foreign[i - MEM_COUNT(ours)];
        const char *hole = strstr(pattern, "%u");
        if (hole != NULL)
            (void)snprintf(host, sizeof host, "%.*s%u%s", (int)(hole - pattern), pattern, w->f.port,
                           hole + 2);
        else
            (void)snprintf(host, sizeof host, "%s", pattern);
        (void)snprintf(headers, sizeof headers, "Host: %s\r\n" AUTH, host);
        const struct raw_answer *answer = ask_with(raw, "/now", headers);
        if (answer->status != (good ? 200 : 403))
            fail_msg("Host %s gives %u", host, answer->status);
    }
    assert_int_equal(ask_with(raw, "http://evil.example/now", "Host: localhost\r\n" AUTH)->status,
                     403);
    raw_client_close(raw);
}

static void foreign_origins_are_refused_and_nobody_gets_cors(void **state)
{
    struct world *w = *state;
    struct raw_client *raw = raw_client_tcp(&w->f);
    static const char *const foreign[] = {"http://evil.example", "null", "http://localhost:1",
                                          "file://", "localhost"};
    char headers[256];
    for (size_t i = 0; i < MEM_COUNT(foreign); i++) {
        (void)snprintf(headers, sizeof headers, "Host: localhost\r\nOrigin: %s\r\n" AUTH,
                       foreign[i]);
        assert_int_equal(ask_with(raw, "/now", headers)->status, 403);
        assert_int_equal(ask_with(raw, "/public", headers)->status, 403);
    }
    assert_int_equal(w->calls, 0);
    const struct raw_answer *answer =
        ask_with(raw, "/now", "Host: localhost\r\nOrigin: http://localhost\r\n" AUTH);
    assert_int_equal(answer->status, 200);
    assert_null(strcasestr(answer->head, "Access-Control"));
    struct http_server_stats stats;
    http_server_stats(w->f.server, &stats);
    assert_int_equal(stats.refused, 2 * MEM_COUNT(foreign));
    raw_client_close(raw);
}

static void the_unix_socket_is_trusted_and_the_user_known_on_loopback_too(void **state)
{
    struct world *w = *state;
    struct raw_client *raw = raw_client_unix(&w->f);
    const struct passwd *pw = getpwuid(getuid());
    char expected[256];
    (void)snprintf(expected, sizeof expected, "%s|unix|k1", pw != NULL ? pw->pw_name : "?");
    const struct raw_answer *answer =
        ask_with(raw, "/user", "Host: anything\r\nOrigin: http://x\r\nIdempotency-Key: k1\r\n");
    assert_int_equal(answer->status, 200);
    if (pw != NULL)
        assert_string_equal(answer->body, expected);
    raw_client_close(raw);
    raw = raw_client_tcp(&w->f);
    (void)snprintf(expected, sizeof expected, "%s|127.0.0.1:", pw != NULL ? pw->pw_name : "?");
    answer = raw_client_ask(raw, "GET", "/user", NULL);
    if (pw != NULL)
        assert_memory_equal(answer->body, expected, strlen(expected));
    raw_client_close(raw);
}

static void a_socket_file_has_its_mode_and_goes_with_the_server(void **state)
{
    struct world *w = *state;
    struct stat st;
    assert_int_equal(stat(w->f.socket_path, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
    http_fixture_close_server(&w->f);
    http_fixture_wait(&w->f, &w->f.closed);
    assert_int_equal(stat(w->f.socket_path, &st), -1);
}

static void only_a_dead_socket_file_is_replaced(void **state)
{
    struct world *w = *state;
    struct error e;
    char path[200];
    assert_int_equal(http_server_listen_unix(w->f.server, w->f.socket_path, 0600, &e), -EADDRINUSE);

    (void)snprintf(path, sizeof path, "%s/file", w->f.dir);
    int fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
    assert_int_equal(close(fd), 0);
    assert_int_equal(http_server_listen_unix(w->f.server, path, 0600, &e), -EEXIST);
    assert_int_equal(unlink(path), 0);

    (void)snprintf(path, sizeof path, "%s/dead", w->f.dir);
    struct sockaddr_un un = {.sun_family = AF_UNIX};
    (void)strcpy(un.sun_path, path);
    fd = socket(AF_UNIX, SOCK_STREAM, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&un, sizeof un), 0);
    assert_int_equal(close(fd), 0);
    assert_int_equal(http_server_listen_unix(w->f.server, path, 0660, &e), 0);
    struct stat st;
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0660);

    memset(path, 'p', 108);
    path[108] = '\0';
    assert_int_equal(http_server_listen_unix(w->f.server, path, 0600, &e), ERR_TOO_LARGE);
    assert_int_equal(http_server_listen_unix(w->f.server, "/nonexistent/s", 0600, &e), -ENOENT);
}

static void a_port_in_use_is_a_clear_error(void **state)
{
    struct world *w = *state;
    struct error e;
    char expected[64];
    assert_int_equal(http_server_listen_tcp(w->f.server, "127.0.0.1", w->f.port, NULL, NULL, &e),
                     -EADDRINUSE);
    (void)snprintf(expected, sizeof expected, "port %u of 127.0.0.1 is in use", w->f.port);
    assert_non_null(strstr(e.text, expected));
    assert_int_equal(http_server_listen_tcp(w->f.server, "no such host", 0, NULL, NULL, &e),
                     ERR_INVALID);
    assert_int_equal(http_server_listen_tcp(w->f.server, "192.0.2.1", 0, NULL, NULL, &e),
                     -EADDRNOTAVAIL);
}

static void a_client_that_leaves_is_noticed_while_nothing_is_written(void **state)
{
    struct world *w = *state;
    struct raw_client *raw = raw_client_unix(&w->f);
    raw_client_say(raw, "GET /held HTTP/1.1\r\nHost: x\r\n\r\n");
    http_fixture_wait(&w->f, &w->is_held);
    raw_client_close(raw);
    http_fixture_wait(&w->f, &w->was_closed);
    assert_true(http_request_closed(w->held));
    assert_string_equal(http_request_target(w->held), "/held");
    http_reply(w->held, 200, NULL, NULL, 0);
    w->held = NULL;
    w->is_held = w->was_closed = false;

    raw = raw_client_tcp(&w->f);
    raw_client_say(raw, "GET /stream HTTP/1.1\r\nHost: localhost\r\n" AUTH "\r\n");
    http_fixture_wait(&w->f, &w->is_held);
    raw_client_expect(raw, "\r\n\r\n");
    assert_int_equal(http_stream_write(w->held, "{}\n", 3), 0);
    raw_client_expect(raw, "{}\n");
    raw_client_close(raw);
    http_fixture_wait(&w->f, &w->was_closed);
    assert_int_equal(http_stream_write(w->held, "{}\n", 3), ERR_CLOSED);
    http_stream_end(w->held);
}

static void a_client_that_only_ends_its_side_is_answered(void **state)
{
    struct world *w = *state;
    struct raw_client *raw = raw_client_tcp(&w->f);
    raw_client_say(raw, "GET /now HTTP/1.1\r\nHost: localhost\r\n" AUTH "\r\n");
    assert_int_equal(shutdown(raw->fd, SHUT_WR), 0);
    assert_string_equal(raw_client_answer(raw, false)->body, "now");
    raw_client_expect_end(raw);
    raw_client_close(raw);
}

static void a_stream_goes_out_as_it_is_written(void **state)
{
    struct world *w = *state;
    struct raw_client *raw = raw_client_unix(&w->f);
    raw_client_say(raw,
                   "GET /stream HTTP/1.1\r\nHost: x\r\n\r\nGET /now HTTP/1.1\r\nHost: x\r\n\r\n");
    http_fixture_wait(&w->f, &w->is_held);
    raw_client_expect(raw, "Transfer-Encoding: chunked\r\n");
    assert_int_equal(http_stream_write(w->held, "one\n", 4), 0);
    raw_client_expect(raw, "4\r\none\n\r\n");
    assert_int_equal(http_stream_write(w->held, "two\n", 4), 0);
    assert_int_equal(http_stream_write(w->held, "three\n", 6), 0);
    http_stream_end(w->held);
    raw_client_expect(raw, "A\r\ntwo\nthree\n\r\n0\r\n\r\n");
    (void)raw_client_answer(raw, false);
    assert_string_equal(raw_client_answer(raw, false)->body, "now");
    assert_false(w->was_closed);
    raw_client_close(raw);
}

static void a_slow_reader_holds_the_writer_back(void **state)
{
    struct world *w = *state;
    struct raw_client *raw = raw_client_unix(&w->f);
    raw_client_say(raw, "GET /stream HTTP/1.1\r\nHost: x\r\n\r\n");
    (void)uv_poll_stop(&raw->poll);
    http_fixture_wait(&w->f, &w->is_held);
    do { /* the kernel's buffers take some rounds */
        w->was_drained = false;
        fill_stream(w->held, w);
        for (int i = 0; i < 20 && !w->was_drained; i++)
            (void)uv_run(&w->f.loop, UV_RUN_NOWAIT);
    } while (w->was_drained);
    assert_true(w->was_full);
    assert_true(w->written < 8U << 20);
    for (size_t over = 0; over < HTTP_STREAM_OVER_MAX; over += 1024) { /* was on its way */
        static char block[1024];
        assert_int_equal(http_stream_write(w->held, block, sizeof block), 1);
        w->written += sizeof block;
    }

    (void)uv_poll_start(&raw->poll, UV_READABLE, raw->poll.poll_cb);
    http_fixture_wait(&w->f, &w->was_drained);
    http_stream_end(w->held);
    raw_client_expect(raw, "\r\n0\r\n\r\n");
    assert_true(raw->in.len > w->written);
    raw_client_close(raw);
}

static void an_aborted_stream_shows_that_it_is_cut(void **state)
{
    struct world *w = *state;
    struct raw_client *raw = raw_client_unix(&w->f);
    raw_client_say(raw, "GET /stream HTTP/1.1\r\nHost: x\r\n\r\n");
    http_fixture_wait(&w->f, &w->is_held);
    assert_int_equal(http_stream_write(w->held, "part\n", 5), 0);
    raw_client_expect(raw, "part\n");
    http_stream_abort(w->held);
    raw_client_expect_end(raw);
    assert_null(strstr(buf_cstr(&raw->in), "\r\n0\r\n"));
    raw_client_close(raw);
}

static void a_file_is_sent_from_its_offset(void **state)
{
    struct world *w = *state;
    enum { FILE_LEN = 3 << 20 };
    char path[128];
    (void)snprintf(path, sizeof path, "%s/data", w->f.dir);
    char *content = mem_alloc(FILE_LEN);
    for (size_t i = 0; i < FILE_LEN; i++)
        content[i] = (char)('a' + i % 23);
    FILE *file = fopen(path, "we");
    assert_int_equal(fwrite(content, 1, FILE_LEN, file), FILE_LEN);
    assert_int_equal(fclose(file), 0);

    struct raw_client *raw = raw_client_unix(&w->f);
    raw_client_say(raw, "GET /file?len=%d HTTP/1.1\r\nHost: x\r\n\r\n", FILE_LEN - 7);
    raw_client_expect(raw, "\r\n\r\n");
    size_t head = (size_t)(strstr(buf_cstr(&raw->in), "\r\n\r\n") - (char *)raw->in.data) + 4;
    while (raw->in.len < head + FILE_LEN - 7) {
        assert_false(raw->ended);
        http_fixture_turn(&w->f);
    }
    assert_non_null(strstr((char *)raw->in.data, "Content-Length: 3145721\r\n"));
    assert_memory_equal(raw->in.data + head, content + 7, FILE_LEN - 7);
    buf_clear(&raw->in);
    raw_client_say(raw, "GET /file?len=0 HTTP/1.1\r\nHost: x\r\n\r\n");
    assert_int_equal(raw_client_answer(raw, false)->body_len, 0);

    raw_client_say(raw, "GET /file?len=%d HTTP/1.1\r\nHost: x\r\n\r\n", FILE_LEN);
    raw_client_expect_end(raw);
    assert_true(raw->in.len < FILE_LEN + 1000);
    raw_client_close(raw);

    raw = raw_client_unix(&w->f);
    raw_client_say(raw, "GET /file?len=%d HTTP/1.1\r\nHost: x\r\n\r\n", FILE_LEN - 7);
    raw_client_expect(raw, "\r\n\r\n");
    raw_client_close(raw); /* in the middle */
    free(content);
}

static void closing_waits_for_held_requests_and_tells_them(void **state)
{
    struct world *w = *state;
    struct raw_client *held = raw_client_unix(&w->f);
    struct raw_client *idle = raw_client_unix(&w->f);
    assert_int_equal(ask_with(idle, "/now", "Host: x\r\n")->status, 200);
    raw_client_say(held, "GET /held HTTP/1.1\r\nHost: x\r\n\r\n");
    http_fixture_wait(&w->f, &w->is_held);
    http_fixture_close_server(&w->f);
    http_fixture_wait(&w->f, &w->was_closed);
    assert_false(w->f.closed);
    http_reply(w->held, 200, "text/plain", "bye", 3);
    assert_string_equal(raw_client_answer(held, false)->body, "bye");
    http_fixture_wait(&w->f, &w->f.closed);
    raw_client_expect_end(idle);
    raw_client_close(held);
    raw_client_close(idle);
}

struct dispatched {
    unsigned calls;
    unsigned status;
    char text[512];
};

static void note_result(void *arg, const struct http_result *result)
{
    struct dispatched *d = arg;
    d->calls++;
    d->status = result->status;
    (void)snprintf(d->text, sizeof d->text, "%s%.*s", result->headers, (int)result->body_len,
                   (const char *)result->body);
}

static void dispatched_requests_reach_the_same_handlers(void **state)
{
    struct world *w = *state;
    struct dispatched d = {0};
    struct http_message m = {.method = "GET", .target = "/api/jobs/x?q=1"};
    assert_null(http_dispatch(w->f.router, &m, note_result, &d));
    assert_string_equal(d.text, "GET|x|1");
    m = (struct http_message){.method = "POST", .target = "/json", .body = "[1]", .body_len = 3};
    assert_null(http_dispatch(w->f.router, &m, note_result, &d));
    assert_int_equal(d.status, 201);
    assert_string_equal(d.text, "[1]\n");
    m = (struct http_message){.method = "PUT", .target = "/now"};
    assert_null(http_dispatch(w->f.router, &m, note_result, &d));
    assert_int_equal(d.status, 405);
    assert_memory_equal(d.text, "Allow: GET, HEAD, POST, OPTIONS\r\n", 33);
    m = (struct http_message){.method = "GET", .target = "/stream"};
    assert_null(http_dispatch(w->f.router, &m, note_result, &d));
    assert_int_equal(d.status, 501);
    m = (struct http_message){
        .method = "GET", .target = "/user", .user = "ann", .idempotency_key = "k"};
    assert_null(http_dispatch(w->f.router, &m, note_result, &d));
    assert_string_equal(d.text, "ann|forwarded|k");
}

static void a_dispatched_request_is_answered_later_or_cancelled(void **state)
{
    struct world *w = *state;
    struct dispatched d = {0};
    struct http_message m = {.method = "GET", .target = "/held"};
    assert_non_null(http_dispatch(w->f.router, &m, note_result, &d));
    assert_int_equal(d.calls, 0);
    http_reply(w->held, 200, "text/plain", "x", 1);
    assert_int_equal(d.calls, 1);
    w->held = NULL;
    struct http_request *req = http_dispatch(w->f.router, &m, note_result, &d);
    http_dispatch_cancel(req);
    assert_true(w->was_closed);
    http_reply(w->held, 200, "text/plain", "x", 1);
    assert_int_equal(d.calls, 1);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(answers_come_at_once_and_later),
        CASE(pipelined_requests_are_answered_in_order),
        CASE(paths_and_queries_arrive_decoded),
        CASE(numbers_and_booleans_of_queries_are_checked),
        CASE(head_sends_the_length_without_the_body),
        CASE(unknown_paths_and_methods_say_so_in_json),
        CASE(wrong_json_is_refused_with_its_position),
        CASE(a_body_of_another_type_is_refused),
        CASE(tcp_needs_the_token),
        CASE(foreign_hosts_are_refused_on_tcp),
        CASE(foreign_origins_are_refused_and_nobody_gets_cors),
        CASE(the_unix_socket_is_trusted_and_the_user_known_on_loopback_too),
        CASE(a_socket_file_has_its_mode_and_goes_with_the_server),
        CASE(only_a_dead_socket_file_is_replaced),
        CASE(a_port_in_use_is_a_clear_error),
        CASE(a_client_that_leaves_is_noticed_while_nothing_is_written),
        CASE(a_client_that_only_ends_its_side_is_answered),
        CASE(a_stream_goes_out_as_it_is_written),
        CASE(a_slow_reader_holds_the_writer_back),
        CASE(an_aborted_stream_shows_that_it_is_cut),
        CASE(a_file_is_sent_from_its_offset),
        CASE(closing_waits_for_held_requests_and_tells_them),
        CASE(dispatched_requests_reach_the_same_handlers),
        CASE(a_dispatched_request_is_answered_later_or_cancelled),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
