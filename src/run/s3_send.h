/* One signed request to a bucket, repeated while that may help.
 *
 * Tried again, with doubling and jittered pauses: connections refused, cut or silent, answers cut
 * short, 429, 500, 502, 503, 504 and 409 of two conditional puts at once. Anything else is an
 * answer. Each try is signed anew. */
#ifndef RUN_S3_SEND_H
#define RUN_S3_SEND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "run/http_client.h"
#include "run/object_store.h"
#include "run/sigv4.h"

struct s3_client;
struct s3_send;

/* Copies the options. ERR_INVALID: the endpoint is no URL. */
int s3_client_new(struct s3_client **out, struct loop *loop, struct http_client *http,
                  const struct object_s3_options *options, struct error *e);
void s3_client_free(struct s3_client *client);
uint64_t s3_client_part_bytes(const struct s3_client *client);

struct s3_request {
    const char *method;
    const char *bucket;
    const char *key; /* "" for the bucket itself */
    struct sigv4_pair query[8];
    size_t query_n;
    struct sigv4_pair headers[6]; /* signed besides what is always there; names in lower case */
    size_t headers_n;
    const void *body; /* borrowed until the answer */
    size_t body_len;
    const char *payload_hash; /* of the body; NULL: there is none */
    uint64_t bytes_max;       /* of the answer's body */
};

struct s3_answer {
    int code;         /* 0: a 2xx answer */
    const char *text; /* else what went wrong, without a credential */
    unsigned tries;
    bool unsure;                    /* an earlier try may have been carried out all the same */
    const struct http_answer *http; /* NULL when none came */
};

typedef void (*s3_answer_fn)(void *arg, const struct s3_answer *answer);

/* Copies all but the body. `fn` once, never from inside this. */
struct s3_send *s3_send(struct s3_client *client, const struct s3_request *request,
                        void (*on_retry)(void *arg), s3_answer_fn fn, void *arg);
void s3_send_cancel(struct s3_send *send);

/* The content of the first element <name> at or behind *at (which moves behind it), entities
 * decoded; malloc'ed; NULL when there is none. */
char *s3_xml(const char **at, const char *name);

#endif
