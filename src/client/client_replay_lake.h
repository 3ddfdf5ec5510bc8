/* What SQL over a report works with: an executor, and a folder with the rows of its tables. Both
 * are made by the first statement and stay for the next; one statement has them at a time. */
#ifndef CLIENT_CLIENT_REPLAY_LAKE_H
#define CLIENT_CLIENT_REPLAY_LAKE_H

#include <stdbool.h>
#include <stddef.h>

#include "client/client_executor.h"
#include "client/client_replay_internal.h"

struct client_replay_lake;

/* The replay's, made when it isn't there. NULL when its folder can't be made. */
struct client_replay_lake *client_replay_lake_get(struct client_replay *replay, struct error *e);

/* Has `user` alone work with it until client_replay_lake_leave(); false: another one does. */
bool client_replay_lake_take(struct client_replay_lake *lake, const void *user);
bool client_replay_lake_is_free(const struct client_replay_lake *lake, const void *user);
/* `is_at_rest`: the executor waits for a task; else it is killed. */
void client_replay_lake_leave(struct client_replay_lake *lake, const void *user, bool is_at_rest);

/* Writes some of the rows of the `i`th table as they are at the replay's moment: 1 when all are
 * there, 0: call it again. -errno. */
int client_replay_lake_load(struct client_replay_lake *lake, const struct client_replay *replay,
                            size_t i, struct error *e);
/* The file's name below client_replay_lake_dir(); its bytes. */
const char *client_replay_lake_file(const struct client_replay_lake *lake, size_t i,
                                    uint64_t *bytes);
const char *client_replay_lake_dir(const struct client_replay_lake *lake);

/* Started when it isn't; *is_ready when it was before. */
struct client_executor *client_replay_lake_executor(struct client_replay_lake *lake, bool *is_ready,
                                                    struct error *e);
void client_replay_lake_ready(struct client_replay_lake *lake);

#endif
