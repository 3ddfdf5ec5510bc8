/* A report archive (docs/events.md) in place of a cluster, at one moment of the time that it spans:
 * a client that is opened with it answers from there what a node would have answered then. */
#ifndef CLIENT_CLIENT_REPLAY_H
#define CLIENT_CLIENT_REPLAY_H

#include <stdint.h>

#include "base/error.h"

struct client_replay;

/* Stands at the report's end. Errors as replay_archive_open(). */
int client_replay_open(const char *path, struct client_replay **replay, struct error *e);
void client_replay_free(struct client_replay *replay); /* NULL allowed; after its clients */

/* Goes to another moment. ERR_NOT_FOUND outside of the span, ERR_CORRUPT when the state of that
 * time can't be read; then it stays where it was. */
int client_replay_seek(struct client_replay *replay, int64_t at_ms, struct error *e);

/* Where it stands, ms since the epoch. */
int64_t client_replay_at_ms(const struct client_replay *replay);
/* From the first frame to the last thing that the report knows. */
void client_replay_span(const struct client_replay *replay, int64_t *first_ms, int64_t *last_ms);
const char *client_replay_path(const struct client_replay *replay);
/* The node whose part alone it holds, and why; NULL: it is whole. As the report says it: hostile.
 */
const char *client_replay_partial(const struct client_replay *replay, const char **reason);

#endif
