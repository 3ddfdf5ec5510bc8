/* Objects by name: folders ("file:/abs/dir") and buckets ("s3://bucket/prefix") behind one
 * interface. Asynchronous on the loop; bytes move on threads of the store's own, or by HTTP.
 *
 * An object is seen whole or not at all, and once a put is done it survives a power cut. A folder
 * never shows a temporary file; what a crash may have left of one is removed by a later listing, an
 * hour after. What fails for a while (timeouts, 500, 503, cut connections) is tried again with
 * growing, jittered pauses before it is reported. Only places that were allowed are reached, and
 * nothing outside them: neither by "..", nor by a symbolic link.
 *
 * Texts of errors name the object and say what to do; they never hold a credential. */
#ifndef RUN_OBJECT_STORE_H
#define RUN_OBJECT_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/trace.h"
#include "run/loop.h"

struct http_client;
struct object_call;
struct object_store;

enum {
    OBJECT_THREADS_DEFAULT = 4,
    OBJECT_CALLS_MAX = 65536, /* under way or waiting; more give ERR_BUSY */
    OBJECT_BYTES_MAX_DEFAULT = 64 << 20,
    OBJECT_LIST_LIMIT_MAX = 1000,
};

/* How buckets are reached. Strings are copied; NULL: from the environment
 * (AWS_ENDPOINT_URL, AWS_REGION, AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN). */
struct object_s3_options {
    const char *endpoint; /* "http://host:port"; "" or none: https://s3.REGION.amazonaws.com */
    const char *region;   /* default us-east-1 */
    const char *access_key;
    const char *secret_key;
    const char *session_token;
    const char *credentials_path; /* an AWS credentials file, profile [default]; read at each use
                                     that finds it changed */
    bool virtual_host;            /* bucket in the host's name; default: in the path */
    unsigned attempts_max;        /* of one request; default 6 */
    unsigned backoff_ms;          /* the first pause; default 100; doubles up to 10 s */
    uint64_t part_bytes;          /* of a multipart upload; default 8 MiB */
    unsigned idle_timeout_ms;     /* without a byte; default 30 s */
};

struct object_store_options {
    struct loop *loop;
    struct http_client *http; /* NULL: no buckets */
    unsigned threads;         /* 0: the default */
    struct object_s3_options s3;
};

struct object_store *object_store_new(const struct object_store_options *options);
/* Cancels all calls without calling their on_done, waits for what runs, frees, calls `closed` (NULL
 * allowed). */
void object_store_close(struct object_store *store, void (*closed)(void *arg), void *arg);

/* Allows `place` (wire/lake_path.h) and all below. A folder is made if its parent exists.
 * ERR_INVALID, -errno. Blocks shortly. */
int object_store_allow(struct object_store *store, const char *place, struct error *e);

enum object_verb {
    OBJECT_PUT,           /* creates or replaces */
    OBJECT_PUT_IF_ABSENT, /* creates; ERR_EXISTS when there is one, which stays as it is */
    OBJECT_GET,
    OBJECT_STAT,
    OBJECT_LIST,
    OBJECT_DELETE,        /* absent is well, too */
    OBJECT_DELETE_PREFIX, /* everything below `key` + '/' */
};

struct object_entry {
    const char *key; /* relative to the place that was listed */
    uint64_t size;
    int64_t modified_ms; /* wall clock */
};

/* Borrowed for the call of on_done. */
struct object_result {
    int code; /* 0; ERR_NOT_FOUND, ERR_EXISTS, ERR_FORBIDDEN, ERR_UNAUTHORIZED, ERR_TOO_LARGE,
                 ERR_UNAVAILABLE, ERR_TIMEOUT, ERR_CORRUPT, ERR_INVALID, ERR_BUSY, ERR_CLOSED,
                 -errno */
    const char *text;    /* a sentence; "" when code is 0 */
    const uint8_t *data; /* of GET into memory; NUL-terminated */
    size_t len;
    uint64_t size;                      /* GET, STAT: of the whole object; PUT: what was written */
    int64_t modified_ms;                /* STAT, GET */
    const char *etag;                   /* GET: of buckets, else "" */
    const struct object_entry *entries; /* LIST: by key, bytewise */
    size_t entries_n;
    bool more; /* LIST: there are keys behind the last one given */
};

typedef void (*object_done_fn)(void *arg, const struct object_result *result);

/* Everything is copied, descriptors are duplicated. Zero means the default. */
struct object_request {
    enum object_verb verb;
    const char *place;
    const char *key; /* LIST, DELETE_PREFIX: a directory without slash at its end, "" for all */

    const void *body; /* PUT: from memory */
    size_t body_len;
    bool from_fd; /* PUT: or `fd_len` bytes of `body_fd` from offset 0; any size */
    int body_fd;
    uint64_t fd_len;
    bool transient; /* PUT: need not outlive the machine; not waited for until it is on disk */

    uint64_t offset; /* GET: a range; what lies behind the end is left out */
    uint64_t length; /* 0: up to the end */
    uint64_t bytes_max;
    bool to_fd; /* GET: to `out_fd` from `out_offset` on, not into memory */
    int out_fd;
    uint64_t out_offset;

    const char *after; /* LIST: only keys behind this one; NULL: all */
    unsigned limit;    /* LIST: 1 to OBJECT_LIST_LIMIT_MAX; default that */

    struct trace_context trace; /* what the operation is a part of */
    object_done_fn on_done;     /* once, on the loop, never from inside object_store_call() */
    void *arg;
};

struct object_call *object_store_call(struct object_store *store,
                                      const struct object_request *request);
/* on_done is not called any more; a put may or may not have happened. Not after on_done. */
void object_call_cancel(struct object_call *call);

struct object_store_stats {
    uint64_t calls[OBJECT_DELETE_PREFIX + 1];
    uint64_t failures[OBJECT_DELETE_PREFIX + 1];
    uint64_t retries;
    unsigned under_way;
    uint64_t bytes_read;
    uint64_t bytes_written;
};

void object_store_get_stats(const struct object_store *store, struct object_store_stats *stats);

#endif
