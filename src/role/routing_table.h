/* What this node serves: the routing state of each service, and how its models fare.
 *
 * One for each node (node_routing()). The participant fills in the states, the data plane serves
 * them and fills in the counters, which the gates of rollouts read:
 *
 *     on_change: for (i = 0; (state = routing_table_at(table, i)) != NULL; i++) ... hand it to the
 *                proxy: models routing_model_id(), routing_model_url(), weights
 *     then:      routing_table_set_health(table, service, model, &totals);
 *
 * All on the loop's thread. */
#ifndef ROLE_ROUTING_TABLE_H
#define ROLE_ROUTING_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "core/health.h"
#include "core/routing.h"

enum { ROUTING_TABLE_COUNTS_MAX = 4096, ROUTING_TABLE_WATCHERS_MAX = 4 };

struct routing_table;

struct routing_table *routing_table_new(void);
void routing_table_free(struct routing_table *table); /* NULL allowed */

/* ---- the data plane
 * ------------------------------------------------------------------------------ */

/* `fn` is called after each change of a state or of the rotation; NULL: `arg` is called no more. */
void routing_table_on_change(struct routing_table *table, void (*fn)(void *arg), void *arg);

/* The i-th service's state, by name; NULL past the end. Borrowed until the next change. */
const struct routing_state *routing_table_at(const struct routing_table *table, size_t i);
const struct routing_state *routing_table_find(const struct routing_table *table,
                                               const char *service);
/* Whether this node may serve; `reason` (borrowed) tells why not. */
bool routing_table_in_rotation(const struct routing_table *table, const char **reason);

/* The service of a request that names none: "default", or the only one. NULL: there is none, or
 * several. */
const struct routing_state *routing_table_default(const struct routing_table *table);

/* How a model has fared for a service since the node's start: replaces what was told before. What
 * is read below is how it fares since the service's state names it: a model that is tried again is
 * judged anew. */
void routing_table_set_health(struct routing_table *table, const char *service, const char *model,
                              const struct health *health);

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
void routing_table_set_rotation(struct routing_table *table, bool in_rotation, const char *reason);

#endif
