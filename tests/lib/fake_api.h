/* A small HTTP/1.1 server for tests of what talks to a cluster: the test scripts every answer.
 *
 * One thread for each connection, keep-alive, blocking. The handler runs on that thread; it answers
 * whole, streams, or drops the connection. Only for tests: no limits but of its own buffers. */
#ifndef TESTS_LIB_FAKE_API_H
#define TESTS_LIB_FAKE_API_H

#include <stdbool.h>
#include <stddef.h>

struct fake_api;
struct fake_conn;

enum { FAKE_API_PATH_MAX = 1024, FAKE_API_HEADERS_MAX = 4096, FAKE_API_BODY_MAX = 9 << 20 };

struct fake_request {
    char method[16];
    char path[FAKE_API_PATH_MAX];  /* without the query, still escaped */
    char query[FAKE_API_PATH_MAX]; /* without '?' */
    char headers[FAKE_API_HEADERS_MAX];
    const char *body; /* NUL-terminated */
    size_t body_len;
    unsigned serial; /* 1 for the server's first request */
};

typedef void (*fake_api_fn)(void *arg, struct fake_conn *conn, const struct fake_request *request);

/* Listens on the Unix socket `socket_path`, or on a free port of 127.0.0.1 when it is NULL. */
struct fake_api *fake_api_new(const char *socket_path, fake_api_fn fn, void *arg);
/* The same on 127.0.0.1 behind TLS. With `ca_path` clients must show a certificate of it. */
struct fake_api *fake_api_new_tls(const char *cert_path, const char *key_path, const char *ca_path,
                                  fake_api_fn fn, void *arg);
/* Closes listener and connections and waits for their threads; handlers see fake_is_closed(). */
void fake_api_free(struct fake_api *api);
const char *fake_api_endpoint(const struct fake_api *api);
unsigned fake_api_requests(struct fake_api *api);    /* so far */
unsigned fake_api_connections(struct fake_api *api); /* accepted so far */

/* Value of a header, "" when it is not there. Static per thread. */
const char *fake_header(const struct fake_request *request, const char *name);
/* Unescaped value of a query parameter, "" when it is not there. Static per thread. */
const char *fake_param(const struct fake_request *request, const char *name);

/* One of these ends the handler's work. */
void fake_answer(struct fake_conn *conn, unsigned status, const char *type, const char *body,
                 size_t len);
void fake_answer_json(struct fake_conn *conn, unsigned status, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
void fake_answer_error(struct fake_conn *conn, unsigned status, const char *code,
                       const char *message, const char *hint);
void fake_drop(struct fake_conn *conn); /* closes without (the rest of) an answer */

/* A chunked answer: begin, any number of writes, end. */
void fake_begin(struct fake_conn *conn, unsigned status, const char *type);
void fake_write(struct fake_conn *conn, const char *bytes, size_t len);
void fake_printf(struct fake_conn *conn, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
void fake_end(struct fake_conn *conn);

/* One more header line for the answer that follows, without CRLF. */
void fake_set_header(struct fake_conn *conn, const char *line);

/* Returns when the peer has closed, or the server is being freed. */
void fake_wait_closed(struct fake_conn *conn);
bool fake_is_closed(struct fake_conn *conn);

#endif
