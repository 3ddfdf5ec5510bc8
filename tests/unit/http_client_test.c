#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "run/http_client.h"
#include "tests/lib/http_fixture.h"
#include "tests/lib/test_certs.h"

enum { BIG_LEN = 5 << 20 };

struct world {
    struct http_fixture f;
    struct http_client *client;
    bool client_closed;
    struct http_request *held[32];
    unsigned held_len;
    unsigned held_max;
    char *big;
};

/* What a call came to. */
struct outcome {
    struct world *w;
    bool done;
    unsigned calls;
    int code;
    unsigned status;
    char text[512];
    char type[64];
    char body[1024];
    size_t body_len;
    uint64_t received;
    uint64_t progress;
    bool close_client;
};

/* The server's side */

static void say_ok(struct http_request *req, void *arg)
{
    (void)arg;
    http_reply_header(req, "ETag", "\"v1\"");
    http_reply(req, 200, "text/plain", "fine", 4);
}

static void echo(struct http_request *req, void *arg)
{
    (void)arg;
    size_t len;
    const char *body = http_request_body(req, &len);
    const char *type = http_request_header(req, "Content-Type");
    const char *extra = http_request_header(req, "X-Extra");
    char *text = mem_printf("%s|%s|%s|%zu|%.40s", http_request_method(req),
                            type != NULL ? type : "-", extra != NULL ? extra : "-", len, body);
    http_reply_take(req, 200, "text/plain", text, strlen(text));
}

static void send_big(struct http_request *req, void *arg)
{
    struct world *w = arg;
    http_reply(req, 200, "application/octet-stream", w->big, BIG_LEN);
}

static void send_half(struct http_request *req, void *arg)
{
    struct world *w = arg;
    bool chunked = false;
    (void)http_request_query_bool(req, "chunked", &chunked, NULL);
    http_stream_begin(req, 200, "application/octet-stream",
                      chunked ? HTTP_STREAM_CHUNKED : 2 * HTTP_STREAM_WRITE_MAX);
    assert_int_equal(http_stream_write(req, w->big, HTTP_STREAM_WRITE_MAX), 0);
    w->held[w->held_len++] = req;
}

static void hold(struct http_request *req, void *arg)
{
    struct world *w = arg;
    w->held[w->held_len++] = req;
    w->held_max = w->held_len > w->held_max ? w->held_len : w->held_max;
}

static void redirect(struct http_request *req, void *arg)
{
    (void)arg;
    uint64_t left = 0;
    (void)http_request_query_u64(req, "left", 0, 1000, &left, NULL);
    char *to = mem_printf(left > 1 ? "/redirect?left=%d" : "/ok", (int)left - 1);
    http_reply_header(req, "Location", to);
    http_reply(req, 302, "text/plain", "elsewhere", 9);
    free(to);
}

static void redirect_to(struct http_request *req, void *arg)
{
    (void)arg;
    http_reply_header(req, "Location", http_request_query(req, "url"));
    http_reply(req, 302, "text/plain", "elsewhere", 9);
}

static void loop_back(struct http_request *req, void *arg)
{
    (void)arg;
    http_reply_header(req, "Location", "/loop");
    http_reply(req, 307, NULL, NULL, 0);
}

static void tell_authorization(struct http_request *req, void *arg)
{
    (void)arg;
    const char *value = http_request_header(req, "Authorization");
    value = value != NULL ? value : "none";
    http_reply(req, 200, "text/plain", value, strlen(value));
}

static void tell_user(struct http_request *req, void *arg)
{
    (void)arg;
    const char *user = http_request_user(req);
    http_reply(req, 200, "text/plain", user, strlen(user));
}

static const struct http_route routes[] = {
    {"GET", "/ok", HTTP_ROUTE_PUBLIC, 0, say_ok},
    {"GET", "/echo", HTTP_ROUTE_PUBLIC, 0, echo},
    {"POST", "/echo", HTTP_ROUTE_PUBLIC | HTTP_ROUTE_BYTES, 16 << 20, echo},
    {"PUT", "/echo", HTTP_ROUTE_PUBLIC | HTTP_ROUTE_BYTES, 16 << 20, echo},
    {"DELETE", "/echo", HTTP_ROUTE_PUBLIC, 0, echo},
    {"GET", "/big", HTTP_ROUTE_PUBLIC, 0, send_big},
    {"GET", "/half", HTTP_ROUTE_PUBLIC | HTTP_ROUTE_STREAM, 0, send_half},
    {"GET", "/hold", HTTP_ROUTE_PUBLIC, 0, hold},
    {"GET", "/redirect", HTTP_ROUTE_PUBLIC, 0, redirect},
    {"GET", "/redirect-to", HTTP_ROUTE_PUBLIC, 0, redirect_to},
    {"GET", "/loop", HTTP_ROUTE_PUBLIC, 0, loop_back},
    {"GET", "/secret", 0, 0, tell_authorization},
    {"GET", "/authorization", HTTP_ROUTE_PUBLIC, 0, tell_authorization},
    {"GET", "/user", 0, 0, tell_user},
};

/* The client's side */

static void note(void *arg, const struct http_answer *answer)
{
    struct outcome *o = arg;
    o->done = true;
    o->calls++;
    o->code = answer->code;
    o->status = answer->status;
    o->received = answer->bytes_received;
    o->body_len = answer->body_len;
    const char *etag = http_answer_header(answer, "etag");
    (void)snprintf(o->text, sizeof o->text, "%s", answer->text);
    (void)snprintf(o->type, sizeof o->type, "%s", etag != NULL ? etag : answer->type);
    (void)snprintf(o->body, sizeof o->body, "%s", answer->body);
    if (o->close_client) {
        http_client_close(o->w->client, NULL, NULL);
        o->w->client = NULL;
    }
}

static void note_progress(void *arg, uint64_t received, uint64_t total)
{
    struct outcome *o = arg;
    assert_true(received <= total);
    o->progress = received;
}

static struct http_call *begin(struct world *w, struct outcome *o, const char *path,
                               const struct http_call_options *options)
{
    struct http_call_options copy = {0};
    if (options != NULL)
        copy = *options;
    char url[9000];
    if (strstr(path, "://") != NULL && path[0] != '/')
        (void)snprintf(url, sizeof url, "%s", path);
    else
        (void)snprintf(url, sizeof url, "http://127.0.0.1:%u%s", w->f.port, path);
    *o = (struct outcome){.w = w};
    copy.url = url;
    copy.on_done = note;
    copy.arg = o;
    struct http_call *call = http_client_call(w->client, &copy);
    assert_false(o->done);
    return call;
}

static const struct outcome *get(struct world *w, const char *path,
                                 const struct http_call_options *options)
{
    static struct outcome o;
    (void)begin(w, &o, path, options);
    http_fixture_wait(&w->f, &o.done);
    return &o;
}

static void start_client(struct world *w, const struct http_client_options *changed)
{
    struct http_client_options options;
    http_client_options_init(&options);
    if (changed != NULL)
        options = *changed;
    options.loop = &w->f.loop;
    w->client = http_client_new(&options);
}

static int set_up(void **state)
{
    struct world *w = mem_zalloc(sizeof *w);
    struct http_server_options options;
    http_fixture_options(&w->f, &options);
    http_fixture_start(&w->f, &options, routes, MEM_COUNT(routes), w);
    start_client(w, NULL);
    w->big = mem_alloc(BIG_LEN);
    for (size_t i = 0; i < BIG_LEN; i++)
        w->big[i] = (char)(i * 2654435761U >> 15);
    *state = w;
    return 0;
}

static void on_client_closed(void *arg)
{
    struct world *w = arg;
    w->client_closed = true;
}

static void stop_client(struct world *w)
{
    w->client_closed = false;
    http_client_close(w->client, on_client_closed, w);
    http_fixture_wait(&w->f, &w->client_closed);
    w->client = NULL;
}

static int tear_down(void **state)
{
    struct world *w = *state;
    if (w->client != NULL)
        stop_client(w);
    for (unsigned i = 0; i < w->held_len; i++)
        http_reply(w->held[i], 200, NULL, NULL, 0);
    http_fixture_stop(&w->f);
    free(w->big);
    free(w);
    return 0;
}

static void an_answer_comes_with_status_type_header_and_body(void **state)
{
    struct world *w = *state;
    const struct outcome *o = get(w, "/ok", NULL);
    assert_int_equal(o->code, 0);
    assert_string_equal(o->text, "");
    assert_int_equal(o->status, 200);
    assert_string_equal(o->type, "\"v1\"");
    assert_string_equal(o->body, "fine");
    o = get(w, "/nothing", &(struct http_call_options){.token = HTTP_FIXTURE_TOKEN});
    assert_int_equal(o->code, 0);
    assert_int_equal(o->status, 404);
    assert_string_equal(o->type, "application/json");
    o = get(w, "/ok", &(struct http_call_options){.method = "HEAD"});
    assert_int_equal(o->status, 200);
    assert_int_equal(o->body_len, 0);
    o = get(w, "http://any/user", &(struct http_call_options){.unix_path = w->f.socket_path});
    assert_int_equal(o->status, 200);
}

static void bodies_and_headers_are_sent(void **state)
{
    struct world *w = *state;
    static const char *const headers[] = {"X-Extra: yes", "Content-Type: text/x", NULL};
    assert_string_equal(get(w, "/echo", NULL)->body, "GET|-|-|0|");
    assert_string_equal(
        get(w, "/echo", &(struct http_call_options){.body = "{}", .body_len = 2})->body,
        "POST|application/json|-|2|{}");
    assert_string_equal(get(w, "/echo",
                            &(struct http_call_options){
                                .method = "PUT", .headers = headers, .body = "a", .body_len = 1})
                            ->body,
                        "PUT|text/x|yes|1|a");
    assert_string_equal(get(w, "/echo", &(struct http_call_options){.method = "DELETE"})->body,
                        "DELETE|-|-|0|");
    assert_string_equal(get(w, "/echo", &(struct http_call_options){.method = "POST"})->body,
                        "POST|-|-|0|");
}

static int make_file(const struct world *w, const char *name, const char *content, size_t len)
{
    char path[128];
    (void)snprintf(path, sizeof path, "%s/%s", w->f.dir, name);
    int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, content, len), len);
    return fd;
}

static void a_file_is_sent(void **state)
{
    struct world *w = *state;
    int fd = make_file(w, "out", w->big, BIG_LEN);
    struct http_call_options options = {.body_fd = fd, .body_fd_len = BIG_LEN};
    static const char *const methods[] = {"POST", "PUT"};
    for (size_t i = 0; i < MEM_COUNT(methods); i++) {
        options.method = methods[i];
        char expected[64];
        (void)snprintf(expected, sizeof expected, "%s|application/json|-|%d|", methods[i], BIG_LEN);
        const struct outcome *o = get(w, "/echo", &options);
        assert_int_equal(o->code, 0);
        assert_memory_equal(o->body, expected, strlen(expected));
    }
    options.body_fd_len = BIG_LEN + 1;
    const struct outcome *o = get(w, "/echo", &options);
    assert_int_equal(o->code, ERR_CLOSED);
    assert_non_null(strstr(o->text, "became shorter"));
    assert_int_equal(close(fd), 0);
}

static void a_body_is_received_into_a_file(void **state)
{
    struct world *w = *state;
    int fd = make_file(w, "in", "", 0);
    struct outcome o;
    (void)begin(
        w, &o, "/big",
        &(struct http_call_options){.to_fd = true, .out_fd = fd, .on_progress = note_progress});
    http_fixture_wait(&w->f, &o.done);
    assert_int_equal(fcntl(fd, F_GETFD), -1); /* taken and closed */
    assert_int_equal(o.code, 0);
    assert_int_equal(o.received, BIG_LEN);
    assert_int_equal(o.body_len, 0);
    char path[128];
    (void)snprintf(path, sizeof path, "%s/in", w->f.dir);
    FILE *file = fopen(path, "re");
    char *content = mem_alloc(BIG_LEN + 1);
    assert_int_equal(fread(content, 1, BIG_LEN + 1, file), BIG_LEN);
    assert_memory_equal(content, w->big, BIG_LEN);
    free(content);
    assert_int_equal(fclose(file), 0);

    fd = make_file(w, "in", "", 0);
    const struct outcome *failed =
        get(w, "/nothing",
            &(struct http_call_options){.to_fd = true, .out_fd = fd, .token = HTTP_FIXTURE_TOKEN});
    assert_int_equal(failed->status, 404);
    assert_non_null(strstr(failed->body, "does not exist"));
    struct stat st;
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_size, 0);
}

static void a_disk_that_refuses_is_an_error(void **state)
{
    struct world *w = *state;
    int fd = open("/dev/full", O_WRONLY | O_CLOEXEC);
    const struct outcome *o =
        get(w, "/big", &(struct http_call_options){.to_fd = true, .out_fd = fd});
    assert_int_equal(o->code, -ENOSPC);
    assert_non_null(strstr(o->text, "No space left on device"));
    assert_int_equal(fcntl(fd, F_GETFD), -1);
}

static void a_body_over_the_limit_is_an_error(void **state)
{
    struct world *w = *state;
    const struct outcome *o = get(w, "/big", &(struct http_call_options){.body_max = 1 << 20});
    assert_int_equal(o->code, ERR_TOO_LARGE);
    assert_non_null(strstr(o->text, "the answer is larger than 1.0 MiB"));
    assert_int_equal(get(w, "/big", &(struct http_call_options){.body_max = BIG_LEN})->body_len,
                     BIG_LEN);
    o = get(w, "/half?chunked", &(struct http_call_options){.body_max = 1000});
    assert_int_equal(o->code, ERR_TOO_LARGE);
    assert_non_null(strstr(o->text, "the answer is larger than 1000 B"));
    http_stream_end(w->held[--w->held_len]);
}

static void a_body_that_is_cut_short_is_an_error(void **state)
{
    struct world *w = *state;
    static const char *const paths[] = {"/half", "/half?chunked"};
    for (size_t i = 0; i < MEM_COUNT(paths); i++) {
        struct outcome o;
        (void)begin(w, &o, paths[i], NULL);
        while (w->held_len == 0)
            http_fixture_turn(&w->f);
        http_stream_abort(w->held[--w->held_len]);
        http_fixture_wait(&w->f, &o.done);
        assert_int_equal(o.code, ERR_CLOSED);
        assert_int_equal(o.status, 200);
        assert_non_null(strstr(o.text, "the connection was closed after "));
    }
}

static void redirects_are_followed_but_not_for_ever(void **state)
{
    struct world *w = *state;
    const struct outcome *o = get(w, "/redirect?left=5", NULL);
    assert_int_equal(o->status, 200);
    assert_string_equal(o->body, "fine");
    o = get(w, "/redirect?left=3", &(struct http_call_options){.redirects_max = 2});
    assert_int_equal(o->code, ERR_PROTOCOL);
    o = get(w, "/loop", NULL);
    assert_int_equal(o->code, ERR_PROTOCOL);
    assert_non_null(strstr(o->text, "/loop: redirected too often, maybe in a loop"));
    o = get(w, "/loop", &(struct http_call_options){.redirects_max = -1});
    assert_int_equal(o->code, 0);
    assert_int_equal(o->status, 307);
}

static void only_http_is_spoken(void **state)
{
    struct world *w = *state;
    static const char *const urls[] = {"file:///etc/passwd", "ftp://127.0.0.1/x", "gopher://x/",
                                       "nonsense://x",       "http://",           "http://a b/"};
    for (size_t i = 0; i < MEM_COUNT(urls); i++)
        assert_int_equal(get(w, urls[i], NULL)->code, ERR_INVALID);
    assert_int_equal(get(w, "/redirect-to?url=file:///etc/passwd", NULL)->code, ERR_INVALID);
    char *url = mem_alloc(8300);
    memset(url, 'u', 8299);
    memcpy(url, "http://x/", 9);
    url[8299] = '\0';
    assert_int_equal(get(w, url, NULL)->code, ERR_INVALID);
    free(url);
}

static void a_token_stays_with_its_host(void **state)
{
    struct world *w = *state;
    struct http_call_options options = {.token = HTTP_FIXTURE_TOKEN};
    assert_string_equal(get(w, "/secret", &options)->body, "Bearer " HTTP_FIXTURE_TOKEN);
    char path[128];
    (void)snprintf(path, sizeof path, "/redirect-to?url=http://localhost:%u/authorization",
                   w->f.port);
    assert_string_equal(get(w, path, &options)->body, "none");
    const struct outcome *o = get(w, "/secret", NULL);
    assert_int_equal(o->status, 401);
}

static void nobody_there_is_an_error_that_hides_secrets(void **state)
{
    struct world *w = *state;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0); /* bound, but does not listen */
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof in;
    assert_int_equal(bind(fd, (struct sockaddr *)&in, len), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&in, &len), 0);
    char url[128];
    (void)snprintf(url, sizeof url, "http://ann:password@127.0.0.1:%u/x?signature=secret",
                   ntohs(in.sin_port));
    const struct outcome *o = get(w, url, NULL);
    assert_int_equal(o->code, ERR_UNAVAILABLE);
    assert_int_equal(o->status, 0);
    (void)snprintf(url, sizeof url, "GET http://127.0.0.1:%u/x: ", ntohs(in.sin_port));
    assert_memory_equal(o->text, url, strlen(url));
    assert_null(strstr(o->text, "secret"));
    assert_null(strstr(o->text, "password"));
    assert_int_equal(close(fd), 0);
    assert_int_equal(
        get(w, "http://x/", &(struct http_call_options){.unix_path = "/nowhere"})->code,
        ERR_UNAVAILABLE);
}

static void slow_servers_are_given_up(void **state)
{
    struct world *w = *state;
    const struct outcome *o = get(w, "/hold", &(struct http_call_options){.total_timeout_ms = 50});
    assert_int_equal(o->code, ERR_TIMEOUT);
    o = get(w, "/hold", &(struct http_call_options){.idle_timeout_ms = 1000});
    assert_int_equal(o->code, ERR_TIMEOUT);
}

static void cancelled_calls_are_not_answered(void **state)
{
    struct world *w = *state;
    struct outcome waiting;
    struct outcome held;
    struct outcome storing;
    int fd = make_file(w, "in", "", 0);
    http_call_cancel(begin(w, &waiting, "/ok", NULL));
    struct http_call *call = begin(w, &held, "/hold", NULL);
    while (w->held_len == 0)
        http_fixture_turn(&w->f);
    http_call_cancel(call);
    call = begin(w, &storing, "/half", &(struct http_call_options){.to_fd = true, .out_fd = fd});
    while (w->held_len == 1)
        http_fixture_turn(&w->f);
    http_call_cancel(call);
    http_stream_abort(w->held[--w->held_len]);
    assert_int_equal(get(w, "/ok", NULL)->status, 200);
    assert_false(waiting.done || held.done || storing.done);
}

static void calls_over_the_limit_wait_for_a_place(void **state)
{
    struct world *w = *state;
    stop_client(w);
    start_client(w, &(struct http_client_options){.calls_max = 3, .calls_per_host_max = 8});
    struct outcome o[10];
    for (size_t i = 0; i < MEM_COUNT(o); i++)
        (void)begin(w, &o[i], "/hold", NULL);
    for (size_t i = 0; i < MEM_COUNT(o); i++) {
        while (w->held_len == 0)
            http_fixture_turn(&w->f);
        http_reply(w->held[--w->held_len], 200, NULL, NULL, 0);
    }
    for (size_t i = 0; i < MEM_COUNT(o); i++) {
        http_fixture_wait(&w->f, &o[i].done);
        assert_int_equal(o[i].status, 200);
    }
    assert_true(w->held_max <= 3);
}

static void closing_ends_all_calls_also_from_an_answer(void **state)
{
    struct world *w = *state;
    struct outcome a;
    struct outcome b;
    struct outcome c;
    (void)begin(w, &a, "/hold", NULL);
    while (w->held_len == 0)
        http_fixture_turn(&w->f);
    (void)begin(w, &b, "/ok", NULL);
    b.close_client = true;
    http_fixture_wait(&w->f, &b.done);
    assert_null(w->client);
    start_client(w, NULL);
    (void)begin(w, &c, "/ok", NULL);
    stop_client(w);
    assert_false(a.done || c.done);
}

static void an_unused_client_closes_at_once(void **state)
{
    struct world *w = *state;
    w->client_closed = false;
    http_client_close(w->client, on_client_closed, w);
    assert_true(w->client_closed);
    w->client = NULL;
}

/* TLS: the server of the fixture with one more listener */

static void tls_paths(struct world *w, struct http_tls *tls, char paths[3][128], bool ask_client)
{
    struct test_ca *ca = test_ca_new(w->f.dir, "ca");
    test_ca_issue(ca, w->f.dir, "server");
    test_ca_issue(ca, w->f.dir, "ann");
    test_ca_free(ca);
    ca = test_ca_new(w->f.dir, "other");
    test_ca_issue(ca, w->f.dir, "eve");
    test_ca_free(ca);
    (void)snprintf(paths[0], 128, "%s/server.pem", w->f.dir);
    (void)snprintf(paths[1], 128, "%s/server.key", w->f.dir);
    (void)snprintf(paths[2], 128, "%s/ca.pem", w->f.dir);
    *tls = (struct http_tls){paths[0], paths[1], ask_client ? paths[2] : NULL};
}

static void use_client(struct world *w, const char *ca, const char *cert)
{
    char ca_path[128];
    char cert_path[128];
    char key_path[128];
    (void)snprintf(ca_path, sizeof ca_path, "%s/%s.pem", w->f.dir, ca);
    (void)snprintf(cert_path, sizeof cert_path, "%s/%s.pem", w->f.dir, cert);
    (void)snprintf(key_path, sizeof key_path, "%s/%s.key", w->f.dir, cert);
    bool has_cert = cert[0] != '\0';
    stop_client(w);
    start_client(w, &(struct http_client_options){.calls_max = 4,
                                                  .calls_per_host_max = 4,
                                                  .ca_path = ca_path,
                                                  .cert_path = has_cert ? cert_path : NULL,
                                                  .key_path = has_cert ? key_path : NULL});
}

static const char *user_name(void)
{
    const struct passwd *pw = getpwuid(getuid());
    return pw != NULL ? pw->pw_name : "?";
}

static void tls_is_spoken_and_its_certificate_checked(void **state)
{
    struct world *w = *state;
    struct http_tls tls;
    char paths[3][128];
    char url[64];
    struct error e;
    uint16_t port;
    tls_paths(w, &tls, paths, false);
    assert_int_equal(http_server_listen_tcp(w->f.server, "127.0.0.1", 0, &tls, &port, &e), 0);
    (void)snprintf(url, sizeof url, "https://localhost:%u/user", port);
    use_client(w, "ca", "");
    assert_int_equal(get(w, url, NULL)->status, 401);
    const struct outcome *o = get(w, url, &(struct http_call_options){.token = HTTP_FIXTURE_TOKEN});
    assert_int_equal(o->status, 200);
    assert_string_equal(o->body, user_name());
    (void)snprintf(url, sizeof url, "https://localhost:%u/big", port);
    assert_int_equal(get(w, url, NULL)->body_len, BIG_LEN);
    use_client(w, "other", "");
    assert_int_equal(get(w, url, NULL)->code, ERR_UNAUTHORIZED);

    tls.key_path = paths[2];
    assert_int_equal(http_server_listen_tcp(w->f.server, "127.0.0.1", 0, &tls, &port, &e),
                     ERR_INVALID);
    tls.key_path = "/nonexistent";
    assert_int_equal(http_server_listen_tcp(w->f.server, "127.0.0.1", 0, &tls, &port, &e), -ENOENT);
}

static void a_client_certificate_stands_for_the_token(void **state)
{
    struct world *w = *state;
    struct http_tls tls;
    char paths[3][128];
    char url[64];
    struct error e;
    uint16_t port;
    tls_paths(w, &tls, paths, true);
    assert_int_equal(http_server_listen_tcp(w->f.server, "127.0.0.1", 0, &tls, &port, &e), 0);
    (void)snprintf(url, sizeof url, "https://localhost:%u/user", port);
    use_client(w, "ca", "ann");
    const struct outcome *o = get(w, url, NULL);
    assert_int_equal(o->status, 200);
    assert_string_equal(o->body, "ann");
    use_client(w, "ca", "");
    assert_int_equal(get(w, url, NULL)->status, 401);
    o = get(w, url, &(struct http_call_options){.token = HTTP_FIXTURE_TOKEN});
    assert_string_equal(o->body, user_name());
    use_client(w, "ca", "eve");
    o = get(w, url, NULL);
    assert_true(o->code != 0 || o->status == 401);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(an_answer_comes_with_status_type_header_and_body),
        CASE(bodies_and_headers_are_sent),
        CASE(a_file_is_sent),
        CASE(a_body_is_received_into_a_file),
        CASE(a_disk_that_refuses_is_an_error),
        CASE(a_body_over_the_limit_is_an_error),
        CASE(a_body_that_is_cut_short_is_an_error),
        CASE(redirects_are_followed_but_not_for_ever),
        CASE(only_http_is_spoken),
        CASE(a_token_stays_with_its_host),
        CASE(nobody_there_is_an_error_that_hides_secrets),
        CASE(slow_servers_are_given_up),
        CASE(cancelled_calls_are_not_answered),
        CASE(calls_over_the_limit_wait_for_a_place),
        CASE(closing_ends_all_calls_also_from_an_answer),
        CASE(an_unused_client_closes_at_once),
        CASE(tls_is_spoken_and_its_certificate_checked),
        CASE(a_client_certificate_stands_for_the_token),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
