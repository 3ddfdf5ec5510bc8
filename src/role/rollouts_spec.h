/* What a request says about the rollout that it starts. */
#ifndef ROLE_ROLLOUTS_SPEC_H
#define ROLE_ROLLOUTS_SPEC_H

#include "role/rollouts_internal.h"

/* Fills `r` in from the body of POST /api/rollouts/{service}/start, docs/api.md. ERR_INVALID,
 * ERR_NOT_FOUND (a model), ERR_CONFLICT (a rollout of the service is under way). */
int rollouts_spec_start(const struct rollouts *rollouts, const char *service, const json_t *body,
                        const char *user, struct rollout *r, struct error *e);
/* ... of POST /api/rollouts/{service}/rollback. */
int rollouts_spec_rollback(const struct rollouts *rollouts, const char *service, const json_t *body,
                           const char *user, struct rollout *r, struct error *e);

#endif
