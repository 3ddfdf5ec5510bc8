/* One HTTP request as its handler sees it, and the answer.
 *
 * A handler gets a request when its body is complete (or, for uploads, is in a file). It answers
 * with exactly one http_reply…(), or with http_stream_begin() … http_stream_end(), at once or at
 * any later time. Until then the request and all strings got from it are valid; after that nothing
 * is. A client that goes away does not end a request: on_close tells the handler, which still must
 * answer (the answer then goes nowhere). All on the loop thread.
 */
#ifndef RUN_HTTP_REQUEST_H
#define RUN_HTTP_REQUEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <jansson.h>

#include "base/error.h"

struct http_request;

/* What came in */

/* "GET", "PUT", ... A HEAD request arrives as "GET"; its body is left out on the way back. */
const char *http_request_method(const struct http_request *req);
/* Whether it can be asked again when nobody knows what came of it: what reads can, and what a key
 * names, where the route heeds keys. */
bool http_request_is_repeatable(const struct http_request *req);
/* Path and query as sent, for logs and for handing the request to another node. */
const char *http_request_target(const struct http_request *req);
/* The value of {name} in the route's path, decoded. The route must have it. */
const char *http_request_param(const struct http_request *req, const char *name);
/* The first query parameter of this name, decoded; NULL when there is none. */
const char *http_request_query(const struct http_request *req, const char *name);
/* As above for a decimal number, a boolean (true, false, 1, 0, empty is true). When the parameter
 * is absent they return 0 and leave `out` as it was; ERR_INVALID names the parameter. */
int http_request_query_u64(const struct http_request *req, const char *name, uint64_t min,
                           uint64_t max, uint64_t *out, struct error *e);
int http_request_query_bool(const struct http_request *req, const char *name, bool *out,
                            struct error *e);
/* A header by its case-insensitive name; NULL when absent. */
const char *http_request_header(const struct http_request *req, const char *name);
/* The whole body, never NULL, followed by a NUL that `len` does not count. */
const char *http_request_body(const struct http_request *req, size_t *len);
/* Parses the body as JSON; an empty body gives an empty object. On success `*out` is the caller's
 * reference. ERR_INVALID names line and column. */
int http_request_json(const struct http_request *req, json_t **out, struct error *e);

/* The user that asks: the common name of a client certificate; else the name of the user whose
 * process is at the other end, on the Unix socket and on loopback addresses; "token" otherwise. */
const char *http_request_user(const struct http_request *req);
/* "unix" or "ADDRESS:PORT" of the peer. */
const char *http_request_peer(const struct http_request *req);

/* The body of a request to a HTTP_ROUTE_UPLOAD route. */
struct http_upload {
    const char *path;   /* a synced file in the upload directory */
    uint64_t bytes_len; /* its size */
    uint64_t xxh3;      /* XXH3_64bits of its content */
};
const struct http_upload *http_request_upload(const struct http_request *req);
/* The file is the caller's now; one that nobody kept is removed with the request. */
void http_request_keep_upload(struct http_request *req);

/* The answer in one piece. Each ends the request. */

/* Adds a header to the coming answer (copied; at most 8). */
void http_reply_header(struct http_request *req, const char *name, const char *value);

/* Copies `body`. `type` is a content type; NULL with no body. */
void http_reply(struct http_request *req, unsigned status, const char *type, const void *body,
                size_t len);
/* Takes `body`, to be released with free(). */
void http_reply_take(struct http_request *req, unsigned status, const char *type, char *body,
                     size_t len);
/* Takes the reference to `json`. */
void http_reply_json(struct http_request *req, unsigned status, json_t *json);
/* {"error":{"code","message","hint"}}; `hint` may be NULL. 429 and 503 get Retry-After, 401 gets
 * WWW-Authenticate. */
void http_reply_error(struct http_request *req, unsigned status, const char *code,
                      const char *message, const char *hint);
/* The same from an error: status by http_status_of(e->code), code by err_name(). */
void http_reply_failure(struct http_request *req, const struct error *e, const char *hint);
/* Sends `len` bytes of `fd` from `offset`, read off the loop. Takes `fd`. A file that turns out
 * shorter breaks the connection off. */
void http_reply_file(struct http_request *req, unsigned status, const char *type, int fd,
                     uint64_t offset, uint64_t len);

/* The answer as a stream, on routes with HTTP_ROUTE_STREAM */

enum {
    HTTP_STREAM_BYTES_MAX = 256 * 1024, /* held for a client that reads slowly */
    HTTP_STREAM_WRITE_MAX = 64 * 1024,  /* in one http_stream_write() */
    HTTP_STREAM_OVER_MAX = 128 * 1024   /* on its way to the writer when the buffer was full */
};
#define HTTP_STREAM_CHUNKED UINT64_MAX

/* Sends the head. `len`: the bytes that will follow, or HTTP_STREAM_CHUNKED. */
void http_stream_begin(struct http_request *req, unsigned status, const char *type, uint64_t len);
/* Takes all of `len` <= HTTP_STREAM_WRITE_MAX bytes (copied). Returns 0; 1 when the buffer is full
 * and the next write must wait for on_drain; ERR_CLOSED when the client is gone (nothing is kept).
 * Who cannot hold back what others send at once may write HTTP_STREAM_OVER_MAX before on_drain. */
int http_stream_write(struct http_request *req, const void *data, size_t len);
/* Ends the request; what is buffered still goes out. */
void http_stream_end(struct http_request *req);
/* Ends the request by breaking the connection off, so that the client knows it got a part only. */
void http_stream_abort(struct http_request *req);

typedef void (*http_request_fn)(struct http_request *req, void *arg);

/* Called each time that the buffer has emptied to less than a half after http_stream_write()
 * returned 1. */
void http_stream_on_drain(struct http_request *req, http_request_fn fn, void *arg);
/* Called once when the client goes away (or the server closes) before the answer is complete; also
 * while nothing is written. Never from inside a function of this header. The request still has to
 * be answered. NULL removes it. */
void http_request_on_close(struct http_request *req, http_request_fn fn, void *arg);
bool http_request_closed(const struct http_request *req);

#endif
