#include "run/trace_export.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <jansson.h>

#include "base/mem.h"
#include "base/metric.h"
#include "run/http_client.h"
#include "run/http_request.h"
#include "run/http_router.h"
#include "run/http_server.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>

#include <cmocka.h>

/* A collector on our own server, the exporter on our own client, one loop. */
struct world {
    struct loop *loop;
    struct http_router *router;
    struct http_server *server;
    struct http_client *client;
    struct trace_export *export;
    uint16_t port;
    unsigned closed;

    unsigned statuses[16]; /* to be answered, then 200 */
    unsigned statuses_n;
    const char *body; /* of an answer */
    unsigned posts;
    size_t spans;
    char header[64];
    char token[64];
    struct http_request *held;
    bool hold;
    bool late;
};

static void collect(struct http_request *req, void *arg)
{
    struct world *w = arg;
    size_t len;
    const char *body = http_request_body(req, &len);
    const char *token = http_request_header(req, "Authorization");
    const char *header = http_request_header(req, "X-Scope");
    unsigned status = w->posts < w->statuses_n ? w->statuses[w->posts] : 200;
    w->posts++;
    (void)snprintf(w->token, sizeof w->token, "%s", token != NULL ? token : "");
    (void)snprintf(w->header, sizeof w->header, "%s", header != NULL ? header : "");
    if (w->hold) {
        w->held = req;
        return;
    }
    json_t *json = json_loadb(body, len, 0, NULL);
    assert_non_null(json);
    const json_t *resource = json_array_get(json_object_get(json, "resourceSpans"), 0);
    const json_t *scope = json_array_get(json_object_get(resource, "scopeSpans"), 0);
    if (status == 200)
        w->spans += json_array_size(json_object_get(scope, "spans"));
    json_decref(json);
    const char *answer = w->body != NULL ? w->body : "{}";
    http_reply(req, status, "application/json", answer, strlen(answer));
}

static const struct http_route routes[] = {
    {.method = "POST", .path = "/v1/traces", .body_max = 32 << 20, .handler = collect},
    {.method = "POST", .path = "/mine", .body_max = 32 << 20, .handler = collect},
};

static void on_late(void *arg)
{
    ((struct world *)arg)->late = true;
}

/* Turns the loop until `*n` is `want`; fails after a while. */
static void turn_until(struct world *w, const unsigned *n, unsigned want)
{
    struct loop_timer timer;
    w->late = false;
    loop_timer_init(&timer, w->loop, on_late, w);
    loop_timer_start(&timer, 20000);
    while (*n < want && !w->late)
        loop_turn(w->loop);
    loop_timer_stop(&timer);
    if (*n < want)
        fail_msg("only %u of %u", *n, want);
}

static void export_to(struct world *w, const char *path, const char *const *headers,
                      size_t headers_n)
{
    struct error e;
    char *url = mem_printf("http://127.0.0.1:%u%s", w->port, path);
    struct trace_export_options options = {
        .loop = w->loop,
        .http = w->client,
        .url = url,
        .token = "fixture-token",
        .headers = headers,
        .headers_n = headers_n,
        .resource = {.service = "clusterd", .node = "n1"},
        .interval_ms = 5,
    };
    if (trace_export_new(&options, &w->export, &e) < 0)
        fail_msg("%s", e.text);
    free(url);
}

static int set_up(void **state)
{
    struct world *w = mem_zalloc(sizeof *w);
    struct error e;
    struct http_server_options server;
    struct http_client_options client;
    w->loop = loop_new();
    w->router = http_router_new();
    http_router_add(w->router, routes, MEM_COUNT(routes), w);
    http_server_options_init(&server);
    server.loop = loop_uv(w->loop);
    server.router = w->router;
    server.token = "fixture-token";
    w->server = http_server_new(&server);
    assert_int_equal(http_server_listen_tcp(w->server, "127.0.0.1", 0, NULL, &w->port, &e), 0);
    http_client_options_init(&client);
    client.loop = loop_uv(w->loop);
    w->client = http_client_new(&client);
    trace_configure(true, 1);
    *state = w;
    return 0;
}

static void on_closed(void *arg)
{
    ((struct world *)arg)->closed++;
}

static int tear_down(void **state)
{
    struct world *w = *state;
    struct trace_spans spans = STAILQ_HEAD_INITIALIZER(spans);
    trace_export_free(w->export);
    if (w->held != NULL)
        http_reply(w->held, 200, "application/json", "{}", 2);
    http_client_close(w->client, on_closed, w);
    http_server_close(w->server, on_closed, w);
    turn_until(w, &w->closed, 2);
    loop_free(w->loop);
    http_router_free(w->router);
    trace_configure(false, 0);
    (void)trace_take(&spans, SIZE_MAX);
    trace_free_all(&spans);
    free(w);
    return 0;
}

static void make_spans(unsigned n)
{
    static const struct trace_context none;
    for (unsigned i = 0; i < n; i++)
        trace_end(trace_root(&none, 1, "span", TRACE_SERVER), 0, NULL);
}

static double found;
static const char *wanted;

static int find(void *arg, const struct metric_sample *sample)
{
    (void)arg;
    if (sample->metric == METRIC_TRACE_SPANS && strcmp(sample->labels[0][1], wanted) == 0)
        found = sample->value;
    return 0;
}

static double counted(const char *result)
{
    found = 0;
    wanted = result;
    assert_int_equal(metric_each(find, NULL), 0);
    return found;
}

static void spans_arrive_in_batches_with_token_and_headers(void **state)
{
    struct world *w = *state;
    static const char *const headers[] = {"X-Scope=team a=b"};
    double sent = counted("sent");
    make_spans(TRACE_EXPORT_BATCH_MAX + 3);
    export_to(w, "", headers, 1);
    turn_until(w, &w->posts, 2);
    assert_int_equal(w->spans, TRACE_EXPORT_BATCH_MAX + 3);
    assert_string_equal(w->token, "Bearer fixture-token");
    assert_string_equal(w->header, "team a=b");
    make_spans(1);
    turn_until(w, &w->posts, 3);
    make_spans(1);
    turn_until(w, &w->posts, 4); /* the answer to the third is in by then */
    assert_true(counted("sent") >= sent + TRACE_EXPORT_BATCH_MAX + 4);
}

static void a_path_in_the_url_is_kept(void **state)
{
    struct world *w = *state;
    make_spans(1);
    export_to(w, "/mine", NULL, 0);
    turn_until(w, &w->posts, 1);
    assert_int_equal(w->spans, 1);
}

static void a_busy_collector_gets_the_same_batch_again(void **state)
{
    struct world *w = *state;
    double dropped = counted("dropped");
    w->statuses[0] = 503;
    w->statuses[1] = 429;
    w->statuses_n = 2;
    make_spans(4);
    export_to(w, "/", NULL, 0);
    turn_until(w, &w->posts, 3);
    assert_int_equal(w->spans, 4);
    assert_true(counted("dropped") == dropped);
}

static void what_a_collector_refuses_is_dropped_and_later_spans_go_on(void **state)
{
    struct world *w = *state;
    double dropped = counted("dropped");
    w->statuses[0] = 400;
    w->statuses_n = 1;
    make_spans(4);
    export_to(w, "/", NULL, 0);
    turn_until(w, &w->posts, 1);
    make_spans(2);
    turn_until(w, &w->posts, 2);
    assert_int_equal(w->spans, 2);
    assert_true(counted("dropped") == dropped + 4);
}

static void patience_with_a_busy_collector_ends(void **state)
{
    struct world *w = *state;
    double dropped = counted("dropped");
    for (unsigned i = 0; i < TRACE_EXPORT_TRIES_MAX; i++)
        w->statuses[i] = 503;
    w->statuses_n = TRACE_EXPORT_TRIES_MAX;
    make_spans(4);
    export_to(w, "/", NULL, 0);
    turn_until(w, &w->posts, TRACE_EXPORT_TRIES_MAX);
    make_spans(2);
    turn_until(w, &w->posts, TRACE_EXPORT_TRIES_MAX + 1);
    assert_int_equal(w->spans, 2);
    assert_true(counted("dropped") == dropped + 4);
}

static void spans_that_a_collector_rejects_are_counted(void **state)
{
    struct world *w = *state;
    double dropped = counted("dropped");
    w->body = "{\"partialSuccess\":{\"rejectedSpans\":\"3\",\"errorMessage\":\"no \\u001b[31m\"}}";
    make_spans(4);
    export_to(w, "/", NULL, 0);
    turn_until(w, &w->posts, 1);
    w->body = "[not what it should be";
    make_spans(1);
    turn_until(w, &w->posts, 2);
    assert_true(counted("dropped") == dropped + 3);
}

static void a_collector_that_is_slow_holds_nobody_up(void **state)
{
    struct world *w = *state;
    double dropped = counted("dropped");
    w->hold = true;
    make_spans(1);
    export_to(w, "/", NULL, 0);
    turn_until(w, &w->posts, 1);
    make_spans(TRACE_QUEUE_MAX + 5);
    assert_true(counted("dropped") == dropped + 5);
    for (unsigned i = 0; i < 20; i++)
        loop_turn(w->loop);
    assert_int_equal(w->posts, 1); /* one at a time */
}

static void options_that_cannot_be_are_refused(void **state)
{
    struct world *w = *state;
    static const struct {
        const char *url, *header;
    } rows[] = {
        {"localhost:4318", NULL}, {"ftp://localhost", NULL},   {"http://", NULL},
        {"http:///path", NULL},   {"http://h", "NoValue"},     {"http://h", "=value"},
        {"http://h", "A b=c"},    {"http://h", "A=b\r\nC: d"},
    };
    for (size_t i = 0; i < MEM_COUNT(rows); i++) {
        struct trace_export *export = NULL;
        struct error e;
        struct trace_export_options options = {.loop = w->loop,
                                               .http = w->client,
                                               .url = rows[i].url,
                                               .headers = &rows[i].header,
                                               .headers_n = rows[i].header != NULL};
        if (trace_export_new(&options, &export, &e) != ERR_INVALID)
            fail_msg("%s %s", rows[i].url, rows[i].header);
        assert_null(export);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(spans_arrive_in_batches_with_token_and_headers, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_path_in_the_url_is_kept, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_busy_collector_gets_the_same_batch_again, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(what_a_collector_refuses_is_dropped_and_later_spans_go_on,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(patience_with_a_busy_collector_ends, set_up, tear_down),
        cmocka_unit_test_setup_teardown(spans_that_a_collector_rejects_are_counted, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_collector_that_is_slow_holds_nobody_up, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(options_that_cannot_be_are_refused, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
