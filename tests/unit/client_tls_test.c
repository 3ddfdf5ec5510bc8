/* The client behind TLS: whom it trusts, how it shows who it is. */
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "client/client.h"
#include "tests/lib/fake_api.h"
#include "tests/lib/tls_fixture.h"

enum { A_DAY_S = 86400 };

struct world {
    struct tls_fixture files;
    struct tls_fixture_pair ca;
    struct fake_api *api;
};

struct seen {
    bool done;
    int code;
    bool connected;
    char text[512];
};

static void on_done(void *arg, const struct client_reply *reply)
{
    struct seen *seen = arg;
    seen->done = true;
    seen->code = reply->code;
    seen->connected = reply->connected;
    (void)snprintf(seen->text, sizeof seen->text, "%s", reply->text);
}

static void answer(void *arg, struct fake_conn *conn, const struct fake_request *r)
{
    (void)arg;
    (void)r;
    fake_answer_json(conn, 200, "{}");
}

static int set_up(void **state)
{
    struct world *w = mem_zalloc(sizeof *w);
    tls_fixture_init(&w->files);
    w->ca = tls_fixture_ca(&w->files, "ca");
    *state = w;
    return 0;
}

static int tear_down(void **state)
{
    struct world *w = *state;
    fake_api_free(w->api);
    tls_fixture_done(&w->files);
    free(w);
    return 0;
}

static void serve(struct world *w, const char *name, int64_t valid_s, bool wants_certificate)
{
    struct tls_fixture_pair pair = tls_fixture_cert(&w->files, &w->ca, "server", name, valid_s);
    w->api = fake_api_new_tls(pair.cert_path, pair.key_path,
                              wants_certificate ? w->ca.cert_path : NULL, answer, w);
}

/* Asks https://localhost once. */
static struct seen ask(struct world *w, const char *ca_path, const struct tls_fixture_pair *own)
{
    struct seen seen = {0};
    struct client *client;
    struct error e = {0};
    char *endpoint =
        mem_printf("https://localhost:%s", strrchr(fake_api_endpoint(w->api), ':') + 1);
    struct client_options options = {.endpoints = endpoint,
                                     .ca_file = ca_path,
                                     .cert_file = own != NULL ? own->cert_path : NULL,
                                     .key_file = own != NULL ? own->key_path : NULL,
                                     .retry_ms = 60000,
                                     .retry_first = true};
    static const struct client_handler handler = {.done = on_done};
    assert_int_equal(client_open(&options, &client, &e), 0);
    assert_non_null(client_start(
        client, &CLIENT_REQUEST(.method = "GET", .path = "/api/status", .timeout_ms = 20000),
        &handler, &seen, NULL));
    while (!seen.done) {
        struct pollfd p = {.fd = client_fd(client), .events = POLLIN};
        assert_true(poll(&p, 1, 30000) == 1);
        client_dispatch(client);
    }
    client_close(client);
    free(endpoint);
    return seen;
}

static void a_node_that_the_authority_vouches_for_is_talked_to(void **state)
{
    struct world *w = *state;
    serve(w, "localhost", A_DAY_S, false);
    struct seen seen = ask(w, w->ca.cert_path, NULL);
    if (seen.code != 0)
        fail_msg("%s", seen.text);
}

static void a_node_of_another_authority_is_refused_at_once(void **state)
{
    struct world *w = *state;
    serve(w, "localhost", A_DAY_S, false);
    struct tls_fixture_pair other = tls_fixture_ca(&w->files, "other");
    struct seen seen = ask(w, other.cert_path, NULL);
    assert_int_equal(seen.code, ERR_UNAVAILABLE);
    assert_false(seen.connected);
    assert_non_null(strstr(seen.text, "certificate"));
    assert_int_equal(fake_api_requests(w->api), 0);
}

static void a_certificate_for_another_name_is_refused(void **state)
{
    struct world *w = *state;
    serve(w, "elsewhere.example.org", A_DAY_S, false);
    struct seen seen = ask(w, w->ca.cert_path, NULL);
    assert_int_equal(seen.code, ERR_UNAVAILABLE);
    assert_int_equal(fake_api_requests(w->api), 0);
}

static void a_certificate_that_has_ended_is_refused(void **state)
{
    struct world *w = *state;
    serve(w, "localhost", -1, false);
    struct seen seen = ask(w, w->ca.cert_path, NULL);
    assert_int_equal(seen.code, ERR_UNAVAILABLE);
    assert_int_equal(fake_api_requests(w->api), 0);
}

static void a_certificate_of_its_own_is_shown_when_asked_for(void **state)
{
    struct world *w = *state;
    serve(w, "localhost", A_DAY_S, true);
    struct tls_fixture_pair own =
        tls_fixture_cert(&w->files, &w->ca, "operator", "operator", A_DAY_S);
    struct seen seen = ask(w, w->ca.cert_path, &own);
    if (seen.code != 0)
        fail_msg("%s", seen.text);
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        CASE(a_node_that_the_authority_vouches_for_is_talked_to),
        CASE(a_node_of_another_authority_is_refused_at_once),
        CASE(a_certificate_for_another_name_is_refused),
        CASE(a_certificate_that_has_ended_is_refused),
        CASE(a_certificate_of_its_own_is_shown_when_asked_for),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
