/* Clients that are malformed, too large, too slow or too many. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/mem.h"
#include "tests/lib/http_fixture.h"

struct world {
    struct http_fixture f;
    unsigned calls;
    size_t body_len;
    char *large;
    size_t large_len;
};

static void take_body(struct http_request *req, void *arg)
{
    struct world *w = arg;
    w->calls++;
    (void)http_request_body(req, &w->body_len);
    http_reply(req, 200, "text/plain", "taken", 5);
}

static void send_large(struct http_request *req, void *arg)
{
    struct world *w = arg;
    http_reply(req, 200, "text/plain", w->large, w->large_len);
}

static const struct http_route routes[] = {
    {"GET", "/", 0, 0, take_body},
    {"POST", "/bytes", HTTP_ROUTE_BYTES, 0, take_body},
    {"POST", "/small", HTTP_ROUTE_BYTES, 100, take_body},
    {"GET", "/large", 0, 0, send_large},
};

static struct world *begin(struct http_server_options *options)
{
    struct world *w = mem_zalloc(sizeof *w);
    http_fixture_options(&w->f, options);
    return w;
}

static void start(struct world *w, const struct http_server_options *options)
{
    http_fixture_start(&w->f, options, routes, MEM_COUNT(routes), w);
}

static int set_up(void **state)
{
    struct http_server_options options;
    struct world *w = begin(&options);
    start(w, &options);
    *state = w;
    return 0;
}

static int set_up_impatient(void **state)
{
    struct http_server_options options;
    struct world *w = begin(&options);
    options.header_timeout_ms = 250;
    options.body_timeout_ms = 250;
    options.idle_timeout_ms = 250;
    options.write_timeout_ms = 250;
    start(w, &options);
    *state = w;
    return 0;
}

static int set_up_nervous(void **state)
{
    struct http_server_options options;
    struct world *w = begin(&options);
    options.body_timeout_ms = 200; /* sweeps often */
    start(w, &options);
    *state = w;
    return 0;
}

static int set_up_few(void **state)
{
    struct http_server_options options;
    struct world *w = begin(&options);
    options.connections_max = 3;
    options.connections_per_ip_max = 2;
    start(w, &options);
    *state = w;
    return 0;
}

static int tear_down(void **state)
{
    struct world *w = *state;
    http_fixture_stop(&w->f);
    free(w->large);
    free(w);
    return 0;
}

#define HEAD_OF(path) path " HTTP/1.1\r\nHost: x\r\n"

static unsigned status_of(struct world *w, const char *request)
{
    struct raw_client *raw = raw_client_unix(&w->f);
    raw_client_say(raw, "%s", request);
    unsigned status = raw_client_answer(raw, false)->status;
    raw_client_close(raw);
    return status;
}

static void malformed_requests_are_answered_400(void **state)
{
    struct world *w = *state;
    static const char *const malformed[] = {
        "GET / HTTP/1.1\r\n\r\n", /* no Host */
        HEAD_OF("GET /") "no colon here\r\n\r\n",
        HEAD_OF("GET /") "Host: y\r\n\r\n",
        HEAD_OF("POST /bytes") "Content-Length: -1\r\n\r\n",
        HEAD_OF("POST /bytes") "Content-Length: 1x\r\n\r\n",
        HEAD_OF("POST /bytes") "Content-Length: 1\r\nContent-Length: 2\r\n\r\nab",
        HEAD_OF("POST /bytes") "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        HEAD_OF("POST /bytes") "Transfer-Encoding: chunked\r\n\r\nxyz\r\n\r\n",
        HEAD_OF("GET nothing"),
    };
    for (size_t i = 0; i < MEM_COUNT(malformed); i++) {
        char *text = mem_printf("%s%s", malformed[i],
                                strstr(malformed[i], "\r\n\r\n") == NULL ? "\r\n" : "");
        unsigned status = status_of(w, text);
        if (status != 400)
            fail_msg("status %u for %s", status, text);
        free(text);
    }
    assert_int_equal(w->calls, 0);
    assert_int_equal(status_of(w, HEAD_OF("POST /bytes") "Transfer-Encoding: gzip\r\n\r\n"), 501);
    assert_int_equal(status_of(w, HEAD_OF("POST /bytes") "Expect: wonders\r\n\r\n"), 417);
    assert_int_equal(
        status_of(w, HEAD_OF("POST /bytes") "Content-Length: 99999999999999999999999\r\n\r\n"),
        413);
}

static void a_missing_host_is_told_in_json(void **state)
{
    struct world *w = *state;
    struct raw_client *raw = raw_client_unix(&w->f);
    raw_client_say(raw, "GET / HTTP/1.1\r\n\r\n");
    const struct raw_answer *answer = raw_client_answer(raw, false);
    assert_int_equal(answer->status, 400);
    assert_non_null(strstr(answer->body, "\"message\":\"the request has no Host\""));
    raw_client_close(raw);
}

static void garbage_ends_the_connection_and_nothing_else(void **state)
{
    struct world *w = *state;
    static const char *const garbage[] = {"\x16\x03\x01\x02", "\r\n\r\n\r\n\x01\x02\r\n\r\n",
                                          "GET\r\n\r\n", "SSH-2.0-x\r\n", "GET / HTTP/9.9\r\n\r\n"};
    struct raw_client *good = raw_client_tcp(&w->f);
    for (size_t i = 0; i < MEM_COUNT(garbage); i++) {
        struct raw_client *raw = raw_client_tcp(&w->f);
        raw_client_say(raw, "%s", garbage[i]);
        assert_int_equal(shutdown(raw->fd, SHUT_WR), 0);
        raw_client_expect_end(raw);
        raw_client_close(raw);
        assert_int_equal(raw_client_ask(good, "GET", "/", NULL)->status, 200);
    }
    raw_client_say(good, "\x01\x02\x03garbage behind a good request\r\n\r\n");
    raw_client_expect_end(good);
    raw_client_close(good);
}

static void oversized_heads_are_refused(void **state)
{
    struct world *w = *state;
    char *text = mem_alloc(60001);
    memset(text, 'a', 60000);
    text[60000] = '\0';
    char *request = mem_printf("GET /%.*s HTTP/1.1\r\nHost: x\r\n\r\n", 9000, text);
    assert_int_equal(status_of(w, request), 414);
    free(request);
    request = mem_printf("GET /%s HTTP/1.1\r\nHost: x\r\n\r\n", text);
    assert_int_equal(status_of(w, request), 414);
    free(request);
    request = mem_printf("GET / HTTP/1.1\r\nHost: x\r\nX-Long: %s\r\n\r\n", text);
    assert_int_equal(status_of(w, request), 431);
    free(request);
    free(text);

    struct buf many;
    buf_init(&many, 1 << 20);
    for (int i = 0; i < 5000; i++)
        (void)buf_printf(&many, "X%d: y\r\n", i);
    request = mem_printf("GET / HTTP/1.1\r\nHost: x\r\n%s\r\n", buf_cstr(&many));
    assert_int_equal(status_of(w, request), 431);
    free(request);
    buf_clear(&many);
    for (int i = 0; i < 40; i++)
        (void)buf_printf(&many, "a%d=b&", i);
    request = mem_printf("GET /?%s HTTP/1.1\r\nHost: x\r\n\r\n", buf_cstr(&many));
    assert_int_equal(status_of(w, request), 400);
    free(request);
    buf_done(&many);
    assert_int_equal(w->calls, 0);
}

static void send_body(struct raw_client *raw, size_t len, bool chunked)
{
    char *body = mem_alloc(len);
    memset(body, 'b', len);
    if (chunked)
        raw_client_say(raw, "%zx\r\n", len);
    (void)raw_client_send(raw, body, len);
    free(body);
    if (chunked && !raw->ended)
        raw_client_say(raw, "\r\n0\r\n\r\n");
}

static void a_body_up_to_the_limit_of_its_route_is_taken(void **state)
{
    struct world *w = *state;
    struct raw_client *raw = raw_client_unix(&w->f);
    raw_client_say(raw, HEAD_OF("POST /bytes") "Content-Length: %d\r\n\r\n", HTTP_BODY_DEFAULT_MAX);
    send_body(raw, HTTP_BODY_DEFAULT_MAX, false);
    assert_int_equal(raw_client_answer(raw, false)->status, 200);
    assert_int_equal(w->body_len, HTTP_BODY_DEFAULT_MAX);
    raw_client_say(raw, HEAD_OF("POST /small") "Transfer-Encoding: chunked\r\n\r\n");
    send_body(raw, 100, true);
    assert_int_equal(raw_client_answer(raw, false)->status, 200);
    assert_int_equal(w->body_len, 100);
    raw_client_say(raw,
                   HEAD_OF("POST /small") "Transfer-Encoding: chunked\r\n\r\n"
                                          "3\r\nabc\r\n1;ext=1\r\nd\r\n0\r\nTrailer: x\r\n\r\n");
    assert_int_equal(raw_client_answer(raw, false)->status, 200);
    assert_int_equal(w->body_len, 4);
    raw_client_close(raw);
}

static void a_body_over_the_limit_is_read_away_and_refused(void **state)
{
    struct world *w = *state;
    struct raw_client *raw = raw_client_unix(&w->f);
    raw_client_say(raw, HEAD_OF("POST /small") "Content-Length: 101\r\n\r\n");
    send_body(raw, 101, false);
    assert_int_equal(raw_client_answer(raw, false)->status, 413);
    raw_client_say(raw, HEAD_OF("POST /bytes") "Content-Length: %d\r\n\r\n", 5 << 20);
    send_body(raw, 5 << 20, false);
    assert_int_equal(raw_client_answer(raw, false)->status, 413);
    raw_client_say(raw, HEAD_OF("POST /small") "Transfer-Encoding: chunked\r\n\r\n");
    send_body(raw, 2 << 20, true);
    assert_int_equal(raw_client_answer(raw, false)->status, 413);
    raw_client_say(raw, HEAD_OF("GET /") "\r\n");
    assert_int_equal(raw_client_answer(raw, false)->status, 200);
    raw_client_close(raw);
    assert_int_equal(w->calls, 1);
}

static void a_hopeless_body_is_not_waited_for(void **state)
{
    struct world *w = *state;
    struct raw_client *raw = raw_client_unix(&w->f);
    raw_client_say(raw, HEAD_OF("POST /bytes") "Content-Length: 1000000000\r\n\r\n");
    assert_int_equal(raw_client_answer(raw, false)->status, 413);
    raw_client_expect_end(raw);
    raw_client_close(raw);

    raw = raw_client_unix(&w->f);
    raw_client_say(raw,
                   HEAD_OF("POST /small") "Content-Length: 101\r\nExpect: 100-continue\r\n\r\n");
    assert_int_equal(raw_client_answer(raw, false)->status, 413);
    raw_client_close(raw);

    raw = raw_client_unix(&w->f);
    raw_client_say(raw, HEAD_OF("POST /small") "Content-Length: 3\r\nExpect: 100-continue\r\n\r\n");
    raw_client_expect(raw, "HTTP/1.1 100 Continue\r\n\r\n");
    buf_clear(&raw->in);
    raw_client_say(raw, "abc");
    assert_int_equal(raw_client_answer(raw, false)->status, 200);
    raw_client_close(raw);

    raw = raw_client_unix(&w->f);
    raw_client_say(raw, HEAD_OF("POST /small") "Transfer-Encoding: chunked\r\n\r\n");
    send_body(raw, 32 << 20, true);
    raw_client_expect_end(raw);
    raw_client_close(raw);
    assert_int_equal(w->calls, 1);
}

static unsigned timeouts(const struct world *w)
{
    struct http_server_stats stats;
    http_server_stats(w->f.server, &stats);
    return (unsigned)stats.timeouts;
}

struct dripping {
    uv_timer_t timer;
    struct raw_client *raw;
    const char *rest;
    bool done;
};

static void on_drip_closed(uv_handle_t *handle)
{
    struct dripping *drip = handle->data;
    drip->done = true;
}

static void on_drip(uv_timer_t *timer)
{
    struct dripping *drip = timer->data;
    if (drip->raw->ended)
        uv_close((uv_handle_t *)timer, on_drip_closed);
    else if (*drip->rest != '\0')
        (void)send(drip->raw->fd, drip->rest++, 1, MSG_NOSIGNAL);
}

/* Sends a byte now and then, which keeps every timeout of inactivity from ending it. */
static void drip_until_ended(struct raw_client *raw, const char *text)
{
    struct dripping drip = {.raw = raw, .rest = text};
    drip.timer.data = &drip;
    (void)uv_timer_init(&raw->f->loop, &drip.timer);
    (void)uv_timer_start(&drip.timer, on_drip, 15, 15);
    http_fixture_wait(raw->f, &drip.done);
}

static const char drops[] =
    "X-Slow: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";

static void a_head_that_drips_is_ended_with_408(void **state)
{
    struct world *w = *state;
    struct raw_client *raw = raw_client_tcp(&w->f);
    raw_client_say(raw, "GET / HTTP/1.1\r\n");
    drip_until_ended(raw, drops);
    assert_memory_equal(buf_cstr(&raw->in), "HTTP/1.1 408 Request Timeout\r\n", 30);
    assert_non_null(strstr(buf_cstr(&raw->in), "\"code\":\"timeout\""));
    assert_int_equal(timeouts(w), 1);
    raw_client_close(raw);

    raw = raw_client_tcp(&w->f);
    drip_until_ended(raw, drops); /* not even a request line */
    assert_int_equal(timeouts(w), 2);
    raw_client_close(raw);
}

static void a_body_that_drips_is_ended_with_408(void **state)
{
    struct world *w = *state;
    struct raw_client *raw = raw_client_tcp(&w->f);
    raw_client_say(raw,
                   "POST /bytes HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer %s\r\n"
                   "Content-Length: 5000\r\n\r\n",
                   HTTP_FIXTURE_TOKEN);
    drip_until_ended(raw, drops);
    assert_memory_equal(buf_cstr(&raw->in), "HTTP/1.1 408 Request Timeout\r\n", 30);
    assert_int_equal(timeouts(w), 1);
    assert_int_equal(w->calls, 0);
    raw_client_close(raw);
}

static void a_silent_connection_is_ended(void **state)
{
    struct world *w = *state;
    struct raw_client *fresh = raw_client_tcp(&w->f);
    struct raw_client *idle = raw_client_tcp(&w->f);
    struct raw_client *local = raw_client_unix(&w->f);
    assert_int_equal(raw_client_ask(idle, "GET", "/", NULL)->status, 200);
    raw_client_expect_end(fresh);
    raw_client_expect_end(idle);
    raw_client_expect_end(local);
    assert_int_equal(timeouts(w), 3);
    assert_int_equal(fresh->in.len, 0);
    raw_client_close(fresh);
    raw_client_close(idle);
    raw_client_close(local);
}

static void a_client_that_does_not_read_is_ended(void **state)
{
    struct world *w = *state;
    w->large_len = 24 << 20; /* more than the kernel takes */
    w->large = mem_zalloc(w->large_len);
    struct raw_client *raw = raw_client_tcp(&w->f);
    (void)uv_poll_stop(&raw->poll);
    raw_client_say(raw,
                   "GET /large HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer %s\r\n\r\n",
                   HTTP_FIXTURE_TOKEN);
    struct http_server_stats stats;
    do {
        http_fixture_turn(&w->f);
        http_server_stats(w->f.server, &stats);
    } while (stats.timeouts == 0 || stats.connections > 0);
    raw_client_close(raw);
}

static void further_connections_of_an_address_are_closed(void **state)
{
    struct world *w = *state;
    struct raw_client *a = raw_client_tcp(&w->f);
    struct raw_client *b = raw_client_tcp(&w->f);
    assert_int_equal(raw_client_ask(a, "GET", "/", NULL)->status, 200);
    assert_int_equal(raw_client_ask(b, "GET", "/", NULL)->status, 200);
    struct raw_client *c = raw_client_tcp(&w->f);
    raw_client_expect_end(c);
    raw_client_close(c);
    raw_client_close(b);
    struct http_server_stats stats;
    do {
        http_fixture_turn(&w->f);
        http_server_stats(w->f.server, &stats);
    } while (stats.connections > 1);
    c = raw_client_tcp(&w->f);
    assert_int_equal(raw_client_ask(c, "GET", "/", NULL)->status, 200);
    raw_client_close(c);
    raw_client_close(a);
}

static void connections_over_the_limit_wait_for_a_place(void **state)
{
    struct world *w = *state;
    struct raw_client *in[3];
    for (int i = 0; i < 3; i++) {
        in[i] = raw_client_unix(&w->f);
        raw_client_say(in[i], HEAD_OF("GET /") "\r\n");
        assert_int_equal(raw_client_answer(in[i], false)->status, 200);
    }
    struct raw_client *waiting = raw_client_unix(&w->f);
    raw_client_say(waiting, HEAD_OF("GET /") "\r\n");
    for (int i = 0; i < 50; i++)
        (void)uv_run(&w->f.loop, UV_RUN_NOWAIT);
    assert_int_equal(waiting->in.len, 0);
    struct raw_client *tcp = raw_client_tcp(&w->f); /* has places of its own */
    assert_int_equal(raw_client_ask(tcp, "GET", "/", NULL)->status, 200);
    raw_client_close(tcp);
    raw_client_close(in[0]);
    assert_int_equal(raw_client_answer(waiting, false)->status, 200);
    raw_client_close(waiting);
    raw_client_close(in[1]);
    raw_client_close(in[2]);
}

#define CASE(name)           cmocka_unit_test_setup_teardown(name, set_up, tear_down)
#define CASE_IMPATIENT(name) cmocka_unit_test_setup_teardown(name, set_up_impatient, tear_down)
#define CASE_NERVOUS(name)   cmocka_unit_test_setup_teardown(name, set_up_nervous, tear_down)
#define CASE_FEW(name)       cmocka_unit_test_setup_teardown(name, set_up_few, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(malformed_requests_are_answered_400),
        CASE(a_missing_host_is_told_in_json),
        CASE_NERVOUS(garbage_ends_the_connection_and_nothing_else),
        CASE(oversized_heads_are_refused),
        CASE(a_body_up_to_the_limit_of_its_route_is_taken),
        CASE(a_body_over_the_limit_is_read_away_and_refused),
        CASE(a_hopeless_body_is_not_waited_for),
        CASE_IMPATIENT(a_head_that_drips_is_ended_with_408),
        CASE_IMPATIENT(a_body_that_drips_is_ended_with_408),
        CASE_IMPATIENT(a_silent_connection_is_ended),
        CASE_IMPATIENT(a_client_that_does_not_read_is_ended),
        CASE_FEW(further_connections_of_an_address_are_closed),
        CASE_FEW(connections_over_the_limit_wait_for_a_place),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
