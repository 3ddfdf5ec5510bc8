/* How a replay answers one request; for client_call.c. */
#ifndef CLIENT_CLIENT_REPLAY_ANSWER_H
#define CLIENT_CLIENT_REPLAY_ANSWER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "client/client_replay.h"

struct client_replay_answer;

enum { CLIENT_REPLAY_READY = -1, CLIENT_REPLAY_QUEUED = -2 };

/* `path` is escaped, with its query. Never NULL: what a report can't answer is an answer too. */
struct client_replay_answer *client_replay_ask(struct client_replay *replay, const char *method,
                                               const char *path, const void *data, size_t len);
unsigned client_replay_status(const struct client_replay_answer *answer); /* of HTTP */
/* Appends the next piece of the body, which may be nothing; false when that was the last. */
bool client_replay_next(struct client_replay_answer *answer, struct buf *out);
/* What the next piece waits for: a descriptor that becomes readable; CLIENT_REPLAY_READY: nothing;
 * CLIENT_REPLAY_QUEUED: the end of another answer. */
int client_replay_fd(const struct client_replay_answer *answer);
/* When a piece is due without that, ms as clock_mono_ms(); INT64_MAX: never. */
int64_t client_replay_due_ms(const struct client_replay_answer *answer);
void client_replay_answer_free(struct client_replay_answer *answer); /* NULL allowed */

#endif
