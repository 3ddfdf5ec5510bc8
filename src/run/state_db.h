/* The replicated state on threads: one writer that applies the log, readers that answer queries.
 *
 * All functions are called on the loop thread and return at once; callbacks come on the loop
 * thread, never from within a call. Everything queued while the writer was busy is applied in one
 * transaction. Readers have connections of their own, so a heavy query never holds up the log. */
#ifndef RUN_STATE_DB_H
#define RUN_STATE_DB_H

#include <sqlite3.h>
#include <stdint.h>
#include <uv.h>

#include "base/error.h"
#include "run/state_store.h"

enum {
    STATE_DB_READERS = 2,
    STATE_DB_READS_MAX = 4096 /* queued or running */
};

struct state_db;

struct state_db_callbacks {
    /* The entry `index` was applied. `results` is valid during the call, one for each change, none
     * when the entry had been applied before. In order of the log. */
    void (*applied)(void *arg, uint64_t index, const struct state_result *results, size_t n);
    /* The disk is full (code -ENOSPC): what is queued waits and is tried again; or has room again
     * (0). Reads go on. NULL allowed. */
    void (*stalled)(void *arg, int code);
    /* Applying failed (broken disk, damage): nothing more will be applied. Called once. */
    void (*failed)(void *arg, const struct error *e);
    void *arg;
};

int state_db_open(struct state_db **out, uv_loop_t *loop, const char *path,
                  const struct state_db_callbacks *callbacks, struct error *e);
/* Finishes what is queued, answers reads that wait with ERR_CLOSED, then frees and calls `closed`.
 */
void state_db_close(struct state_db *db, void (*closed)(void *arg), void *arg);

/* Index of the last entry whose `applied` was called (at open: of the file). */
uint64_t state_db_applied(const struct state_db *db);

/* Queues the packed wire.Batch of entry `index`; copies it. */
void state_db_apply(struct state_db *db, uint64_t index, const void *batch, size_t len);
/* Queues an entry without changes (a barrier, a configuration), so that the applied index follows.
 */
void state_db_skip(struct state_db *db, uint64_t index);

/* `code` 0 or negative with its text. */
typedef void (*state_db_done_fn)(void *arg, int code, const char *text);

/* Makes durable all that was queued before. */
void state_db_persist(struct state_db *db, state_db_done_fn done, void *arg);
/* Writes a consistent copy of at least all that was applied before to the new file `path`. */
void state_db_copy(struct state_db *db, const char *path, state_db_done_fn done, void *arg);
/* Replaces the state by the file `path` (which is used up), unless the state has already applied as
 * much. What is queued later applies on top. Failure is reported through `failed`. */
void state_db_restore(struct state_db *db, const char *path);

/* Runs on a reader's thread; what it needs and gives back is in `arg`. Returns 0 or a code. */
typedef int (*state_db_query_fn)(sqlite3 *db, void *arg);
typedef void (*state_db_answer_fn)(void *arg, int code);

/* Runs `query` when the state has applied `index` at least, then `answer` on the loop (with
 * ERR_CLOSED without a query when the database closes before; ERR_BUSY with too many). */
void state_db_read(struct state_db *db, uint64_t index, state_db_query_fn query,
                   state_db_answer_fn answer, void *arg);

#endif
