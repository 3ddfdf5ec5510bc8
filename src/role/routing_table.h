/* What this node serves: the routing state of each service, the models, how they fare.
 *
 * The participant fills it (routing_table_apply(), ...), the data plane asks it for each request:
 *
 *     struct routing_target target;
 *     if (routing_table_choose(table, service, sticky, &target, &e) == 0) {
 *         ... forward to target.url, or echo when it is NULL ...
 *         routing_table_count(table, &target, error, latency_us);
 *     }
 *
 * A target is a copy: a switch of versions in the middle of a request doesn't touch it. Counters
 * are kept for each service and model since the node's start. All on the loop's thread. */
#ifndef ROLE_ROUTING_TABLE_H
#define ROLE_ROUTING_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "core/health.h"
#include "core/routing.h"

enum {
    ROUTING_TABLE_URL_MAX = 1024,
    ROUTING_TABLE_MODELS_MAX = 1024,
};

struct routing_table;

/* A registered model. */
struct routing_table_model {
    char id[ROUTING_NAME_MAX + 1];
    char url[ROUTING_TABLE_URL_MAX]; /* of its upstream; "": the built-in echo model */
};

/* Where a request goes. */
struct routing_target {
    char service[ROUTING_NAME_MAX + 1];
    char model[ROUTING_NAME_MAX + 1];
    char url[ROUTING_TABLE_URL_MAX]; /* "": the built-in echo model */
    uint64_t version;                /* of the routing state that chose it */
    enum routing_model which;
};

struct routing_table *routing_table_new(void);
void routing_table_free(struct routing_table *table); /* NULL allowed */

/* ---- the data plane
 * ------------------------------------------------------------------------------ */

/* Chooses a model by the weights: by `sticky` (a header's value) when it is given, else by chance.
 * `service` NULL or "": the only one there is. ERR_NOT_FOUND: no such service, or several when none
 * is named; ERR_UNAVAILABLE: this node is out of rotation, or does not know the model (yet). */
int routing_table_choose(struct routing_table *table, const char *service, const char *sticky,
                         struct routing_target *target, struct error *e);
/* The request has been answered (or could not be: `error`). */
void routing_table_count(struct routing_table *table, const struct routing_target *target,
                         bool error, uint64_t latency_us);

/* Whether this node may serve; `reason` (borrowed) tells why not. */
bool routing_table_in_rotation(const struct routing_table *table, const char **reason);

/* The i-th service's state, by name; NULL past the end. Borrowed until the next change. */
const struct routing_state *routing_table_at(const struct routing_table *table, size_t i);
const struct routing_state *routing_table_find(const struct routing_table *table,
                                               const char *service);
/* The i-th counters: of which service and model; false past the end. */
bool routing_table_health_at(const struct routing_table *table, size_t i, const char **service,
                             const char **model, const struct health **health);
/* NULL: nothing was counted yet. */
const struct health *routing_table_health(const struct routing_table *table, const char *service,
                                          const char *model);

/* ---- the participant
 * ------------------------------------------------------------------------------- */

/* A newer state than the one there is, if any. */
void routing_table_apply(struct routing_table *table, const struct routing_state *state);
/* Replaces the list of models (copied). */
void routing_table_set_models(struct routing_table *table, const struct routing_table_model *models,
                              size_t n);
const struct routing_table_model *routing_table_model(const struct routing_table *table,
                                                      const char *id);
/* "" puts it into rotation. */
void routing_table_set_rotation(struct routing_table *table, bool in_rotation, const char *reason);

#endif
