/* Which model answers a service's requests: the state that a rollout changes on all nodes at once.
 *
 * A state is the value of the service's key in core/txn.h; its version is the key's. Traffic is
 * split by weights: a number from 0 to 99 below the canary's weight means the canary, so that who
 * was given the canary keeps it while its weight grows. */
#ifndef CORE_ROUTING_H
#define CORE_ROUTING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/error.h"
#include "base/uuid.h"

enum {
    ROUTING_NAME_MAX = 64,
    ROUTING_URL_MAX = 512,
    ROUTING_REASON_MAX = 256,
    ROUTING_WEIGHT_SUM = 100
};

enum routing_model { ROUTING_MODEL_STABLE, ROUTING_MODEL_CANARY };

/* What a participant's own health must be for its yes; a limit of 0 is none. */
struct routing_gate {
    char model[ROUTING_NAME_MAX + 1]; /* "": no gate */
    unsigned errors_permille_max;
    uint64_t p95_us_max;
    uint64_t samples_min;
};

struct routing_state {
    char service[ROUTING_NAME_MAX + 1];
    uint64_t version;
    char stable[ROUTING_NAME_MAX + 1]; /* ids of models */
    char canary[ROUTING_NAME_MAX + 1]; /* "": none */
    char stable_url[ROUTING_URL_MAX];  /* of their upstreams, or "echo:...": as registered */
    char canary_url[ROUTING_URL_MAX];
    int stable_weight; /* percent */
    int canary_weight;
    struct uuid txid;
    struct routing_gate gate;
    char by[ROUTING_NAME_MAX + 1];
    char reason[ROUTING_REASON_MAX];
    int64_t at_ms; /* wall */
};

/* "stable" while one model has all traffic, else "canary". */
const char *routing_status(const struct routing_state *state);

/* Whether a model of this id may be named. */
typedef bool (*routing_known_fn)(void *arg, const char *model);

/* 0, or ERR_INVALID (names, weights that are negative or don't sum to 100, a canary that is the
 * stable model) or ERR_NOT_FOUND (an unknown model) with a text that says what to do. `known` may
 * be NULL. */
int routing_check(const struct routing_state *state, routing_known_fn known, void *arg,
                  struct error *e);

/* As bytes, and back; ERR_PROTOCOL when they are none or break a rule of routing_check(). */
int routing_encode(const struct routing_state *state, struct buf *out);
int routing_decode(const void *data, size_t len, struct routing_state *state);

/* The id of the model, and its URL; "" when there is none. */
const char *routing_model_id(const struct routing_state *state, enum routing_model model);
const char *routing_model_url(const struct routing_state *state, enum routing_model model);

#endif
