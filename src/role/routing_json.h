/* A routing state as JSON, one form for the API and the data plane:
 * {service, version, stable_model_id, canary_model_id, weights: {stable, canary}, status, txid, by,
 * reason}; docs/api.md. */
#ifndef ROLE_ROUTING_JSON_H
#define ROLE_ROUTING_JSON_H

#include <jansson.h>

#include "core/routing.h"

json_t *routing_json(const struct routing_state *state);

#endif
