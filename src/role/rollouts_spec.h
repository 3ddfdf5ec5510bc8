/* What a request says about the rollout that it starts. */
#ifndef ROLE_ROLLOUTS_SPEC_H
#define ROLE_ROLLOUTS_SPEC_H

#include "role/rollouts_internal.h"

/* Fills `r` in from the body of POST /api/rollouts/{service}/start, docs/api.md. `dry_run`: it is
 * only to be shown. ERR_INVALID, ERR_NOT_FOUND (a model), ERR_CONFLICT (a rollout of the service is
 * under way). */
int rollouts_spec_start(const struct rollouts *rollouts, const char *service, const json_t *body,
                        const char *user, struct rollout *r, bool *dry_run, struct error *e);
/* ... of POST .../retry: `from` once more, from where its services are now. ERR_CONFLICT too when
 * it was not aborted. */
int rollouts_spec_retry(const struct rollouts *rollouts, const struct rollout *from,
                        const json_t *body, const char *user, struct rollout *r, struct error *e);
/* ... of POST .../rollback. `ending`: the rollout of the service that is under way, whose other
 * services go back too; NULL: none. */
int rollouts_spec_rollback(const struct rollouts *rollouts, const char *service, const json_t *body,
                           const char *user, const struct rollout *ending, struct rollout *r,
                           struct error *e);
/* What an operator says beside promote, pause, freeze, resume, abort. ERR_INVALID. */
int rollouts_spec_steer(const json_t *body, bool promote, bool *full,
                        char reason[static ROLLOUT_TEXT_MAX], struct error *e);

#endif
