/* The leader's rollouts: kept in the replicated state, carried on by whoever leads. A part of the
 * participant, which hands it outcomes and health. */
#ifndef ROLE_ROLLOUTS_H
#define ROLE_ROLLOUTS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/uuid.h"
#include "wire/txn.pb-c.h"

struct participant;
struct rollouts;

/* Adds its routes. */
struct rollouts *rollouts_new(struct participant *participant);
void rollouts_stop(struct rollouts *rollouts);
void rollouts_free(struct rollouts *rollouts);

/* This node leads: reads models and rollouts, and goes on with them. */
void rollouts_activate(struct rollouts *rollouts);
void rollouts_deactivate(struct rollouts *rollouts);

/* Before metrics are read. */
void rollouts_collect(const struct rollouts *rollouts);

/* A transaction that this node began is decided. */
void rollouts_on_outcome(struct rollouts *rollouts, const struct uuid *txid, bool committed,
                         const char *text);
void rollouts_on_snapshot(struct rollouts *rollouts, uint64_t from,
                          const Wire__HealthSnapshot *snapshot);

#endif
