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

/* Where a request goes. A copy: a switch of versions in its middle doesn't touch it. */
struct routing_target {
    char service[ROUTING_NAME_MAX + 1];
    char model[ROUTING_NAME_MAX + 1];
    char url[ROUTING_URL_MAX]; /* of the upstream, or "echo:..." */
    uint64_t version;          /* of the routing state that chose it */
    enum routing_model which;
};

struct routing_table *routing_table_new(void);
void routing_table_free(struct routing_table *table); /* NULL allowed */

/* ---- the data plane
 * ------------------------------------------------------------------------------ */

/* `fn` is called after each change of a state or of the rotation. */
void routing_table_on_change(struct routing_table *table, void (*fn)(void *arg), void *arg);

/* The i-th service's state, by name; NULL past the end. Borrowed until the next change. */
const struct routing_state *routing_table_at(const struct routing_table *table, size_t i);
const struct routing_state *routing_table_find(const struct routing_table *table,
                                               const char *service);
/* Whether this node may serve; `reason` (borrowed) tells why not. */
bool routing_table_in_rotation(const struct routing_table *table, const char **reason);

/* Chooses a model by the weights: by `sticky` (a header's value) when it is given, else by chance.
 * `service` NULL or "": the only one there is. ERR_NOT_FOUND: no such service, or several when none
 * is named; ERR_UNAVAILABLE: this node is out of rotation. */
int routing_table_choose(struct routing_table *table, const char *service, const char *sticky,
                         struct routing_target *target, struct error *e);

/* A request has been answered (or could not be: `error`) ... */
void routing_table_count(struct routing_table *table, const char *service, const char *model,
                         bool error, uint64_t latency_us);
/* ... or the totals since the node's start, from whoever counts elsewhere. */
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
