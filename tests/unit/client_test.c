#include <errno.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/mem.h"
#include "client/client.h"
#include "tests/lib/fake_api.h"

/* What a call brought. */
struct seen {
    bool done;
    int code;
    unsigned status;
    bool connected;
    char text[512];
    char hint[256];
    char etag[64];
    json_t *json;
    struct buf data;
    unsigned n_data;
    struct client_call *cancel_at_data;
};

struct world {
    char dir[64];
    char socket_path[96];
    struct fake_api *api;
    struct client *client;
    atomic_uint n_handled;
    char key[2][64];
    char token[128];
};

static void on_data(void *arg, const char *bytes, size_t len)
{
    struct seen *seen = arg;
    assert_int_equal(buf_append(&seen->data, bytes, len), 0);
    assert_int_equal(buf_append(&seen->data, "|", 1), 0);
    seen->n_data++;
    if (seen->cancel_at_data != NULL)
        client_cancel(seen->cancel_at_data);
}

static void on_done(void *arg, const struct client_reply *reply)
{
    struct seen *seen = arg;
    assert_false(seen->done);
    seen->done = true;
    seen->code = reply->code;
    seen->status = reply->status;
    seen->connected = reply->connected;
    (void)snprintf(seen->text, sizeof seen->text, "%s", reply->text);
    (void)snprintf(seen->hint, sizeof seen->hint, "%s", reply->hint);
    (void)snprintf(seen->etag, sizeof seen->etag, "%s", reply->etag);
    seen->json = json_incref(reply->json);
}

static const struct client_handler handler = {.data = on_data, .done = on_done};

static void seen_init(struct seen *seen)
{
    memset(seen, 0, sizeof *seen);
    buf_init(&seen->data, 64 * 1024 * 1024);
}

static void seen_done(struct seen *seen)
{
    json_decref(seen->json);
    buf_done(&seen->data);
}

static void turn(struct client *client)
{
    struct pollfd p = {.fd = client_fd(client), .events = POLLIN};
    assert_true(poll(&p, 1, 20000) == 1);
    client_dispatch(client);
}

static void fetch(struct client *client, const struct client_request *request, struct seen *seen)
{
    seen_init(seen);
    assert_non_null(client_start(client, request, &handler, seen, NULL));
    while (!seen->done)
        turn(client);
}

static int set_up(void **state)
{
    struct world *w = mem_zalloc(sizeof *w);
    (void)snprintf(w->dir, sizeof w->dir, "/tmp/client_test.XXXXXX");
    assert_non_null(mkdtemp(w->dir));
    (void)snprintf(w->socket_path, sizeof w->socket_path, "%s/api.sock", w->dir);
    *state = w;
    return 0;
}

static int tear_down(void **state)
{
    struct world *w = *state;
    client_close(w->client);
    fake_api_free(w->api);
    (void)unlink(w->socket_path);
    (void)rmdir(w->dir);
    free(w);
    return 0;
}

static void serve(struct world *w, fake_api_fn fn)
{
    w->api = fake_api_new(w->socket_path, fn, w);
}

static void connect_to(struct world *w, const char *endpoints, unsigned retry_ms, bool retry_first)
{
    struct client_options options = {.endpoints = endpoints,
                                     .retry_ms = retry_ms,
                                     .retry_first = retry_first,
                                     .token = "secret"};
    struct error e = {0};
    if (client_open(&options, &w->client, &e) != 0)
        fail_msg("%s", e.text);
}

/* Plain answers */

static void answer_nodes(void *arg, struct fake_conn *conn, const struct fake_request *r)
{
    struct world *w = arg;
    (void)snprintf(w->token, sizeof w->token, "%s", fake_header(r, "Authorization"));
    fake_set_header(conn, "ETag: \"7\"");
    fake_answer_json(conn, 200, "[{\"name\":\"n1\"}]");
}

static void json_is_parsed_and_a_connection_is_kept(void **state)
{
    struct world *w = *state;
    serve(w, answer_nodes);
    connect_to(w, fake_api_endpoint(w->api), 1000, false);
    assert_false(client_is_connected(w->client));
    for (int i = 0; i < 3; i++) {
        struct seen seen;
        fetch(w->client, &CLIENT_REQUEST(.method = "GET", .path = "/api/nodes"), &seen);
        assert_int_equal(seen.code, 0);
        assert_int_equal(seen.status, 200);
        assert_string_equal(seen.etag, "7");
        assert_string_equal(
            json_string_value(json_object_get(json_array_get(seen.json, 0), "name")), "n1");
        seen_done(&seen);
    }
    assert_true(client_is_connected(w->client));
    assert_int_equal(fake_api_connections(w->api), 1);
    assert_string_equal(w->token, "");
}

static void a_tcp_endpoint_gets_the_bearer_token(void **state)
{
    struct world *w = *state;
    w->api = fake_api_new(NULL, answer_nodes, w);
    connect_to(w, fake_api_endpoint(w->api), 1000, false);
    struct seen seen;
    fetch(w->client, &CLIENT_REQUEST(.method = "GET", .path = "/api/nodes"), &seen);
    assert_int_equal(seen.code, 0);
    assert_string_equal(w->token, "Bearer secret");
    seen_done(&seen);
}

static void answer_not_found(void *arg, struct fake_conn *conn, const struct fake_request *r)
{
    (void)arg;
    (void)r;
    fake_answer_error(conn, 404, "not_found", "no job 4f12", "job list shows the jobs");
}

static void an_api_error_gives_its_code_text_and_hint(void **state)
{
    struct world *w = *state;
    serve(w, answer_not_found);
    connect_to(w, fake_api_endpoint(w->api), 1000, false);
    struct seen seen;
    fetch(w->client, &CLIENT_REQUEST(.method = "GET", .path = "/api/jobs/4f12"), &seen);
    assert_int_equal(seen.code, ERR_NOT_FOUND);
    assert_int_equal(seen.status, 404);
    assert_true(seen.connected);
    assert_string_equal(seen.text, "no job 4f12");
    assert_string_equal(seen.hint, "job list shows the jobs");
    seen_done(&seen);
}

static void answer_garbage(void *arg, struct fake_conn *conn, const struct fake_request *r)
{
    (void)arg;
    if (strcmp(r->path, "/api/json") == 0)
        fake_answer_json(conn, 200, "[1, 2");
    else
        fake_answer(conn, 500, "text/html", "<html>", 6);
}

static void an_answer_that_is_no_json_is_an_error(void **state)
{
    struct world *w = *state;
    serve(w, answer_garbage);
    connect_to(w, fake_api_endpoint(w->api), 1000, false);
    struct seen seen;
    fetch(w->client, &CLIENT_REQUEST(.method = "GET", .path = "/api/json"), &seen);
    assert_int_equal(seen.code, ERR_PROTOCOL);
    seen_done(&seen);
    fetch(w->client, &CLIENT_REQUEST(.method = "GET", .path = "/api/html"), &seen);
    assert_int_equal(seen.code, ERR_INTERNAL);
    assert_non_null(strstr(seen.text, "500"));
    seen_done(&seen);
}

/* Trying again */

static void answer_after_two_elections(void *arg, struct fake_conn *conn,
                                       const struct fake_request *r)
{
    struct world *w = arg;
    unsigned n = atomic_fetch_add(&w->n_handled, 1);
    if (n < 2)
        (void)snprintf(w->key[n], sizeof w->key[n], "%s", fake_header(r, "Idempotency-Key"));
    if (n < 2)
        fake_answer_error(conn, 503, "no_leader", "the cluster has no leader", "");
    else
        fake_answer_json(conn, 201, "{\"id\":\"j\"}");
}

static void a_submit_is_repeated_with_the_same_key_while_there_is_no_leader(void **state)
{
    struct world *w = *state;
    serve(w, answer_after_two_elections);
    connect_to(w, fake_api_endpoint(w->api), 10000, false);
    struct seen seen;
    fetch(w->client,
          &CLIENT_REQUEST(.method = "POST", .path = "/api/jobs", .data = "{}", .data_len = 2),
          &seen);
    assert_int_equal(seen.code, 0);
    assert_int_equal(seen.status, 201);
    assert_int_equal(atomic_load(&w->n_handled), 3);
    assert_int_equal(strlen(w->key[0]), 36);
    assert_string_equal(w->key[0], w->key[1]);
    assert_null(client_trouble(w->client));
    seen_done(&seen);
}

static void answer_no_leader(void *arg, struct fake_conn *conn, const struct fake_request *r)
{
    (void)arg;
    (void)r;
    fake_answer_error(conn, 503, "no_leader", "the cluster has no leader", "wait");
}

static void repeating_ends_with_the_last_error_after_retry_ms(void **state)
{
    struct world *w = *state;
    serve(w, answer_no_leader);
    connect_to(w, fake_api_endpoint(w->api), 100, false);
    struct seen seen;
    fetch(w->client, &CLIENT_REQUEST(.method = "GET", .path = "/api/jobs"), &seen);
    assert_int_equal(seen.code, ERR_NO_LEADER);
    assert_string_equal(seen.hint, "wait");
    assert_true(fake_api_requests(w->api) > 1);
    seen_done(&seen);
}

static void drop_first(void *arg, struct fake_conn *conn, const struct fake_request *r)
{
    struct world *w = arg;
    (void)r;
    if (atomic_fetch_add(&w->n_handled, 1) == 0)
        fake_drop(conn);
    else
        fake_answer_json(conn, 200, "{}");
}

static void a_get_whose_connection_broke_is_repeated(void **state)
{
    struct world *w = *state;
    serve(w, drop_first);
    connect_to(w, fake_api_endpoint(w->api), 5000, false);
    struct seen seen;
    fetch(w->client, &CLIENT_REQUEST(.method = "GET", .path = "/api/status"), &seen);
    assert_int_equal(seen.code, 0);
    seen_done(&seen);
}

static void a_change_whose_connection_broke_has_an_unknown_outcome(void **state)
{
    struct world *w = *state;
    serve(w, drop_first);
    connect_to(w, fake_api_endpoint(w->api), 5000, false);
    struct seen seen;
    fetch(w->client, &CLIENT_REQUEST(.method = "PUT", .path = "/api/kv/a?if_version=1"), &seen);
    assert_int_equal(seen.code, ERR_OUTCOME_UNKNOWN);
    assert_int_equal(fake_api_requests(w->api), 1);
    seen_done(&seen);
}

static void a_change_with_a_key_is_repeated_after_a_break(void **state)
{
    struct world *w = *state;
    serve(w, drop_first);
    connect_to(w, fake_api_endpoint(w->api), 5000, false);
    struct seen seen;
    fetch(w->client,
          &CLIENT_REQUEST(.method = "POST", .path = "/api/jobs", .idempotency_key = "k1"), &seen);
    assert_int_equal(seen.code, 0);
    assert_int_equal(fake_api_requests(w->api), 2);
    seen_done(&seen);
}

static void nobody_there_fails_at_once_with_the_reason(void **state)
{
    struct world *w = *state;
    char *endpoint = mem_printf("unix:%s", w->socket_path);
    connect_to(w, endpoint, 600000, false);
    struct seen seen;
    fetch(w->client, &CLIENT_REQUEST(.method = "GET", .path = "/api/status"), &seen);
    assert_int_equal(seen.code, ERR_UNAVAILABLE);
    assert_false(seen.connected);
    assert_non_null(strstr(seen.text, endpoint));
    seen_done(&seen);
    free(endpoint);
}

static void asked_to_keep_trying_it_connects_when_the_server_comes(void **state)
{
    struct world *w = *state;
    char *endpoint = mem_printf("unix:%s", w->socket_path);
    connect_to(w, endpoint, 20000, true);
    free(endpoint);
    struct seen seen;
    seen_init(&seen);
    assert_non_null(client_start(w->client, &CLIENT_REQUEST(.method = "GET", .path = "/api/nodes"),
                                 &handler, &seen, NULL));
    while (client_trouble(w->client) == NULL)
        turn(w->client);
    assert_false(seen.done);
    serve(w, answer_nodes);
    while (!seen.done)
        turn(w->client);
    assert_int_equal(seen.code, 0);
    seen_done(&seen);
}

static void a_dead_endpoint_gives_way_to_the_next_and_is_left(void **state)
{
    struct world *w = *state;
    serve(w, answer_nodes);
    char *endpoints = mem_printf("unix:%s/dead.sock,%s", w->dir, fake_api_endpoint(w->api));
    connect_to(w, endpoints, 1000, false);
    free(endpoints);
    struct seen seen;
    for (int i = 0; i < 2; i++) {
        fetch(w->client, &CLIENT_REQUEST(.method = "GET", .path = "/api/nodes"), &seen);
        assert_int_equal(seen.code, 0);
        seen_done(&seen);
        assert_string_equal(client_endpoint(w->client), fake_api_endpoint(w->api));
    }
}

static void learned_nodes_take_over_when_the_first_one_dies(void **state)
{
    struct world *w = *state;
    struct fake_api *second = fake_api_new(NULL, answer_nodes, w);
    serve(w, answer_nodes);
    connect_to(w, fake_api_endpoint(w->api), 5000, false);
    json_t *nodes =
        json_pack("[{s:s},{s:s},{s:n}]", "api_address", strstr(fake_api_endpoint(second), "127"),
                  "api_address", "192.0.2.1:7401", "api_address");
    client_learn(w->client, nodes);
    json_decref(nodes);
    struct seen seen;
    fetch(w->client, &CLIENT_REQUEST(.method = "GET", .path = "/api/nodes"), &seen);
    assert_int_equal(seen.code, 0);
    seen_done(&seen);

    fake_api_free(w->api);
    w->api = NULL;
    fetch(w->client, &CLIENT_REQUEST(.method = "GET", .path = "/api/nodes"), &seen);
    assert_int_equal(seen.code, 0);
    assert_string_equal(client_endpoint(w->client), fake_api_endpoint(second));
    seen_done(&seen);
    client_close(w->client);
    w->client = NULL;
    fake_api_free(second);
}

static void answer_unauthorized(void *arg, struct fake_conn *conn, const struct fake_request *r)
{
    (void)arg;
    (void)r;
    fake_answer_error(conn, 401, "unauthorized", "the token is wrong", "");
}

static void a_learned_node_that_refuses_the_token_is_left_alone(void **state)
{
    struct world *w = *state;
    struct fake_api *stranger = fake_api_new(NULL, answer_unauthorized, w);
    struct fake_api *friend = fake_api_new(NULL, answer_nodes, w);
    serve(w, answer_nodes);
    connect_to(w, fake_api_endpoint(w->api), 5000, false);
    json_t *nodes = json_pack("[{s:s},{s:s}]", "api_address", fake_api_endpoint(stranger),
                              "api_address", fake_api_endpoint(friend));
    client_learn(w->client, nodes);
    json_decref(nodes);
    struct seen seen;
    fetch(w->client, &CLIENT_REQUEST(.method = "GET", .path = "/api/nodes"), &seen);
    seen_done(&seen);

    fake_api_free(w->api);
    w->api = NULL;
    fetch(w->client, &CLIENT_REQUEST(.method = "GET", .path = "/api/nodes"), &seen);
    assert_int_equal(seen.code, 0);
    assert_string_equal(client_endpoint(w->client), fake_api_endpoint(friend));
    seen_done(&seen);
    client_close(w->client);
    w->client = NULL;
    fake_api_free(stranger);
    fake_api_free(friend);
}

static void wait_closed(void *arg, struct fake_conn *conn, const struct fake_request *r)
{
    (void)arg;
    (void)r;
    fake_wait_closed(conn);
}

static void a_node_that_hangs_gives_way_to_the_next(void **state)
{
    struct world *w = *state;
    struct fake_api *second = fake_api_new(NULL, answer_nodes, w);
    serve(w, wait_closed);
    char *endpoints = mem_printf("%s,%s", fake_api_endpoint(w->api), fake_api_endpoint(second));
    connect_to(w, endpoints, 5000, false);
    free(endpoints);
    struct seen seen;
    fetch(w->client, &CLIENT_REQUEST(.method = "GET", .path = "/api/nodes", .attempt_ms = 50),
          &seen);
    assert_int_equal(seen.code, 0);
    assert_string_equal(client_endpoint(w->client), fake_api_endpoint(second));
    seen_done(&seen);
    client_close(w->client);
    w->client = NULL;
    fake_api_free(second);
}

static void nodes_that_all_hang_are_said_to(void **state)
{
    struct world *w = *state;
    struct fake_api *second = fake_api_new(NULL, wait_closed, w);
    serve(w, wait_closed);
    char *endpoints = mem_printf("%s,%s", fake_api_endpoint(w->api), fake_api_endpoint(second));
    connect_to(w, endpoints, 100, false);
    free(endpoints);
    struct seen seen;
    fetch(w->client, &CLIENT_REQUEST(.method = "GET", .path = "/api/nodes", .attempt_ms = 50),
          &seen);
    assert_int_equal(seen.code, ERR_UNAVAILABLE);
    assert_non_null(strstr(seen.text, "no answer from "));
    seen_done(&seen);
    client_close(w->client);
    w->client = NULL;
    fake_api_free(second);
}

/* Streams */

static void stream_lines(void *arg, struct fake_conn *conn, const struct fake_request *r)
{
    (void)arg;
    (void)r;
    fake_begin(conn, 200, "application/x-ndjson");
    fake_printf(conn, "one\ntw");
    fake_printf(conn, "o\n\nthree\n");
    fake_printf(conn, "last");
    fake_end(conn);
}

static void lines_arrive_whole_however_they_were_cut(void **state)
{
    struct world *w = *state;
    serve(w, stream_lines);
    connect_to(w, fake_api_endpoint(w->api), 1000, false);
    struct seen seen;
    fetch(w->client,
          &CLIENT_REQUEST(.method = "POST", .path = "/api/exec", .body = CLIENT_BODY_LINES), &seen);
    assert_int_equal(seen.code, 0);
    assert_string_equal(buf_cstr(&seen.data), "one|two||three|last|");
    seen_done(&seen);
}

static void stream_long_line(void *arg, struct fake_conn *conn, const struct fake_request *r)
{
    (void)arg;
    (void)r;
    char block[4096];
    memset(block, 'x', sizeof block);
    fake_begin(conn, 200, "application/x-ndjson");
    for (size_t sent = 0; sent <= CLIENT_LINE_BYTES_MAX; sent += sizeof block)
        fake_write(conn, block, sizeof block);
    fake_end(conn);
}

static void a_line_past_the_limit_ends_the_stream_with_an_error(void **state)
{
    struct world *w = *state;
    serve(w, stream_long_line);
    connect_to(w, fake_api_endpoint(w->api), 1000, false);
    struct seen seen;
    fetch(w->client, &CLIENT_REQUEST(.method = "GET", .path = "/api/x", .body = CLIENT_BODY_LINES),
          &seen);
    assert_int_equal(seen.code, ERR_TOO_LARGE);
    seen_done(&seen);
}

static void stream_until_closed(void *arg, struct fake_conn *conn, const struct fake_request *r)
{
    struct world *w = arg;
    (void)r;
    fake_begin(conn, 200, "application/x-ndjson");
    fake_printf(conn, "a\nb\n");
    fake_wait_closed(conn);
    atomic_store(&w->n_handled, 1);
}

static void cancelling_from_the_data_callback_closes_the_connection(void **state)
{
    struct world *w = *state;
    serve(w, stream_until_closed);
    connect_to(w, fake_api_endpoint(w->api), 1000, false);
    struct seen seen;
    seen_init(&seen);
    seen.cancel_at_data = client_start(
        w->client, &CLIENT_REQUEST(.method = "GET", .path = "/api/x", .body = CLIENT_BODY_LINES),
        &handler, &seen, NULL);
    while (seen.n_data == 0)
        turn(w->client);
    assert_int_equal(seen.n_data, 1);
    assert_false(seen.done);
    fake_api_free(w->api); /* joins the handler, which waits for the close */
    w->api = NULL;
    assert_int_equal(atomic_load(&w->n_handled), 1);
    seen_done(&seen);
}

static void stream_cut_short(void *arg, struct fake_conn *conn, const struct fake_request *r)
{
    (void)arg;
    (void)r;
    fake_begin(conn, 200, "application/octet-stream");
    fake_printf(conn, "half");
    fake_drop(conn);
}

static void a_stream_that_broke_after_data_is_not_repeated(void **state)
{
    struct world *w = *state;
    serve(w, stream_cut_short);
    connect_to(w, fake_api_endpoint(w->api), 5000, false);
    struct seen seen;
    fetch(w->client, &CLIENT_REQUEST(.method = "GET", .path = "/api/x", .body = CLIENT_BODY_BYTES),
          &seen);
    assert_int_equal(seen.code, ERR_UNAVAILABLE);
    assert_string_equal(buf_cstr(&seen.data), "half|");
    assert_int_equal(fake_api_requests(w->api), 1);
    seen_done(&seen);
}

/* Limits */

static void a_call_ends_at_its_deadline(void **state)
{
    struct world *w = *state;
    serve(w, wait_closed);
    connect_to(w, fake_api_endpoint(w->api), 1000, false);
    struct seen seen;
    fetch(w->client, &CLIENT_REQUEST(.method = "GET", .path = "/api/x", .timeout_ms = 50), &seen);
    assert_int_equal(seen.code, ERR_TIMEOUT);
    seen_done(&seen);
}

static void a_change_without_an_answer_at_its_deadline_has_an_unknown_outcome(void **state)
{
    struct world *w = *state;
    serve(w, wait_closed);
    connect_to(w, fake_api_endpoint(w->api), 1000, false);
    struct seen seen;
    fetch(w->client, &CLIENT_REQUEST(.method = "POST", .path = "/api/x", .timeout_ms = 50), &seen);
    assert_int_equal(seen.code, ERR_OUTCOME_UNKNOWN);
    assert_non_null(strstr(seen.text, fake_api_endpoint(w->api)));
    seen_done(&seen);
}

static void calls_past_the_limit_are_refused(void **state)
{
    struct world *w = *state;
    serve(w, answer_nodes);
    connect_to(w, fake_api_endpoint(w->api), 1000, false);
    struct client_call *calls[CLIENT_CALLS_MAX];
    struct seen seen;
    seen_init(&seen);
    struct client_request request = CLIENT_REQUEST(.method = "GET", .path = "/api/nodes");
    for (int i = 0; i < CLIENT_CALLS_MAX; i++)
        calls[i] = client_start(w->client, &request, &handler, &seen, NULL);
    struct error e = {0};
    assert_null(client_start(w->client, &request, &handler, &seen, &e));
    assert_int_equal(e.code, ERR_BUSY);
    for (int i = 0; i < CLIENT_CALLS_MAX; i++)
        client_cancel(calls[i]);
    assert_false(seen.done);
    seen_done(&seen);
}

static void take_upload(void *arg, struct fake_conn *conn, const struct fake_request *r)
{
    (void)arg;
    fake_answer_json(conn, 201, "{\"bytes\":%zu,\"name\":\"%s\",\"head\":\"%.5s\"}", r->body_len,
                     fake_param(r, "name"), r->body);
}

static void a_file_is_sent_from_its_descriptor(void **state)
{
    struct world *w = *state;
    serve(w, take_upload);
    connect_to(w, fake_api_endpoint(w->api), 1000, false);
    FILE *file = tmpfile();
    for (int i = 0; i < 10000; i++)
        (void)fputs("hello ", file);
    (void)fflush(file);
    struct seen seen;
    fetch(w->client,
          &CLIENT_REQUEST(.method = "POST", .path = "/api/files?name=a%20b", .from_fd = true,
                          .fd = fileno(file), .fd_bytes = 60000,
                          .content_type = "application/octet-stream"),
          &seen);
    assert_int_equal(seen.code, 0);
    assert_int_equal(json_integer_value(json_object_get(seen.json, "bytes")), 60000);
    assert_string_equal(json_string_value(json_object_get(seen.json, "name")), "a b");
    assert_string_equal(json_string_value(json_object_get(seen.json, "head")), "hello");
    seen_done(&seen);
    (void)fclose(file);
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        CASE(json_is_parsed_and_a_connection_is_kept),
        CASE(a_tcp_endpoint_gets_the_bearer_token),
        CASE(an_api_error_gives_its_code_text_and_hint),
        CASE(an_answer_that_is_no_json_is_an_error),
        CASE(a_submit_is_repeated_with_the_same_key_while_there_is_no_leader),
        CASE(repeating_ends_with_the_last_error_after_retry_ms),
        CASE(a_get_whose_connection_broke_is_repeated),
        CASE(a_change_whose_connection_broke_has_an_unknown_outcome),
        CASE(a_change_with_a_key_is_repeated_after_a_break),
        CASE(nobody_there_fails_at_once_with_the_reason),
        CASE(asked_to_keep_trying_it_connects_when_the_server_comes),
        CASE(a_dead_endpoint_gives_way_to_the_next_and_is_left),
        CASE(learned_nodes_take_over_when_the_first_one_dies),
        CASE(a_learned_node_that_refuses_the_token_is_left_alone),
        CASE(a_node_that_hangs_gives_way_to_the_next),
        CASE(nodes_that_all_hang_are_said_to),
        CASE(lines_arrive_whole_however_they_were_cut),
        CASE(a_line_past_the_limit_ends_the_stream_with_an_error),
        CASE(cancelling_from_the_data_callback_closes_the_connection),
        CASE(a_stream_that_broke_after_data_is_not_repeated),
        CASE(a_call_ends_at_its_deadline),
        CASE(a_change_without_an_answer_at_its_deadline_has_an_unknown_outcome),
        CASE(calls_past_the_limit_are_refused),
        CASE(a_file_is_sent_from_its_descriptor),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
