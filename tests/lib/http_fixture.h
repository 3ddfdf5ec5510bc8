/* A loop with an HTTP server on a Unix socket and on a free TCP port, and raw clients in the same
 * loop: they send any bytes, also such that no HTTP library would. */
#ifndef TESTS_LIB_HTTP_FIXTURE_H
#define TESTS_LIB_HTTP_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#include <cmocka.h>

#include "base/buf.h"
#include "run/http_router.h"
#include "run/http_server.h"

#define HTTP_FIXTURE_TOKEN "fixture-token-fixture-token-fixture-token-x"

struct http_fixture {
    uv_loop_t loop;
    uv_timer_t patience;
    uv_timer_t tick; /* what happens before the loop polls is seen soon, too */
    struct http_router *router;
    struct http_server *server; /* NULL once closed */
    bool closed;
    uint16_t port;
    char dir[64]; /* removed at the end; uploads go to it */
    char socket_path[96];
};

/* Options for the server that are to be changed before http_fixture_start(). */
void http_fixture_options(struct http_fixture *f, struct http_server_options *options);
void http_fixture_start(struct http_fixture *f, const struct http_server_options *options,
                        const struct http_route *routes, size_t routes_len, void *arg);
/* Begins to close the server; `f->closed` says when it is. */
void http_fixture_close_server(struct http_fixture *f);
void http_fixture_stop(struct http_fixture *f);

/* Turns the loop until `*flag`; fails the test when that takes too long. */
void http_fixture_wait(struct http_fixture *f, const bool *flag);
void http_fixture_turn(struct http_fixture *f);

struct raw_client {
    struct http_fixture *f;
    int fd;
    uv_poll_t poll;
    bool poll_closed;
    struct buf in;
    bool ended; /* the server closed */
};

struct raw_answer {
    unsigned status;
    char head[4096];
    char body[64 * 1024]; /* of a chunked answer: with the chunk lines */
    size_t body_len;
};

struct raw_client *raw_client_tcp(struct http_fixture *f);
struct raw_client *raw_client_unix(struct http_fixture *f);
void raw_client_close(struct raw_client *raw);
/* Sends all of it, turning the loop when the socket is full; false when the server closed. */
bool raw_client_send(struct raw_client *raw, const void *data, size_t len);
void raw_client_say(struct raw_client *raw, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
/* Turns the loop until the text has come; what came before it stays in `in`. */
void raw_client_expect(struct raw_client *raw, const char *text);
void raw_client_expect_end(struct raw_client *raw);
/* Takes the next whole answer out of `in`. `head_only`: it has no body, as after HEAD. */
const struct raw_answer *raw_client_answer(struct raw_client *raw, bool head_only);
/* Sends a request over TCP with Host, token and an optional body, and takes the answer. */
const struct raw_answer *raw_client_ask(struct raw_client *raw, const char *method,
                                        const char *target, const char *body);

#endif
