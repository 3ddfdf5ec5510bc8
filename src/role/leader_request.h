/* API requests that this node itself has for the leader. */
#ifndef ROLE_LEADER_REQUEST_H
#define ROLE_LEADER_REQUEST_H

#include <stdbool.h>
#include <stddef.h>
#include <jansson.h>

#include "base/error.h"

enum {
    LEADER_REQUEST_PATIENCE_MS = 8000, /* without a leader */
    LEADER_REQUEST_HERE_MS = 2000,     /* then one that may is asked here */
    LEADER_REQUEST_TIMEOUT_MS = 10000, /* for its answer */
};

struct node;
struct leader_request;

/* Everything is copied. The request is repeated when a leader is lost: it must be one that may be.
 */
struct leader_request_spec {
    const char *method;
    const char *path; /* with the query, percent-encoded */
    const char *user;
    const char *body; /* JSON; NULL: none */
    bool here;        /* without a leader this node may answer itself */
};

/* `json` (borrowed) is the answer, `e` NULL; or `json` is NULL and `e` the error that the leader
 * named, ERR_NO_LEADER, ERR_TIMEOUT or ERR_PROTOCOL. */
typedef void (*leader_request_fn)(void *arg, json_t *json, const struct error *e);

/* `fn` is called once, never from inside a function of this header. */
struct leader_request *leader_request_start(struct node *node,
                                            const struct leader_request_spec *spec,
                                            leader_request_fn fn, void *arg);
/* `fn` is not called any more. Only before it was. */
void leader_request_cancel(struct leader_request *request);

#endif
