/* The replicated cluster state as an SQLite file: the rows of wire/state.proto.
 *
 * Everything here is synchronous and belongs to one thread; run/state_db.h puts it on threads. The
 * index of the last applied Raft entry is written in the transaction that applied it, so the file
 * is consistent after any crash and at worst behind the log. */
#ifndef RUN_STATE_STORE_H
#define RUN_STATE_STORE_H

#include <sqlite3.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "wire/state.pb-c.h"

enum { STATE_STORE_FORMAT = 1 };

struct state_store;

/* What applying one change gave. */
struct state_result {
    int code;         /* 0, or ERR_CONFLICT / ERR_NOT_FOUND / ... of a conditional change */
    uint64_t version; /* of key or table after (or, on conflict, at) the change; 0 where none */
    bool repeated;    /* of tables: the change had been made before, under the same id */
};

/* Opens or creates the file. A newer format is refused with ERR_VERSION. */
int state_store_open(struct state_store **out, const char *path, struct error *e);
void state_store_close(struct state_store *store);

/* Index of the last applied entry. */
uint64_t state_store_applied(const struct state_store *store);

/* One transaction holds any number of entries. After a failed apply or commit it must be rolled
 * back (and may be tried again), or the store closed. */
int state_store_begin(struct state_store *store, struct error *e);
int state_store_commit(struct state_store *store, struct error *e);

/* Drops the transaction at hand, after a failure too: the store is as at its last commit. */
void state_store_rollback(struct state_store *store);

/* Applies a packed wire.Batch. Entries at or below the applied index are skipped (`*n` is then 0).
 * `*results` has one element for each change and belongs to the store until the next call. */
int state_store_apply(struct state_store *store, uint64_t index, const void *batch, size_t len,
                      const struct state_result **results, size_t *n, struct error *e);

/* Moves the applied index over an entry that holds no changes (a barrier, a configuration). */
void state_store_skip(struct state_store *store, uint64_t index);

/* Makes everything committed durable: checkpoint of SQLite's own log, fsync of the file. */
int state_store_persist(struct state_store *store, struct error *e);

/* Opens a second connection for reading; close with sqlite3_close(). */
int state_store_open_reader(const char *path, sqlite3 **out, struct error *e);

/* Writes a consistent copy of the state at `path` to the new file `copy` and syncs it. Does not
 * hinder the writer. */
int state_store_copy(const char *path, const char *copy, struct error *e);

/* Reads the applied index of a state file without changing it; ERR_CORRUPT when it is none. */
int state_store_probe(const char *path, uint64_t *applied, struct error *e);

#endif
