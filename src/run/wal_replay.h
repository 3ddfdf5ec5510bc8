/* Reading a write-ahead log back: which records it holds, where it ends, whether it is whole. */
#ifndef RUN_WAL_REPLAY_H
#define RUN_WAL_REPLAY_H

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "run/wal.h"
#include "run/wal_store.h"

struct wal_replay {
    struct wal_place *places; /* of the records present, in order of index */
    size_t count;
    size_t cap;
    uint64_t next; /* index that comes next; 0 before any is known */
    uint64_t torn_bytes;
};

/* Reads the log that `store` was opened on (or creates a new one) and leaves `store` ready to write
 * behind its last whole block. ERR_CORRUPT as in wal.h. */
int wal_replay_run(struct wal_replay *replay, struct wal_store *store, struct error *e);

/* Hands out the records found. */
int wal_replay_load(const struct wal_replay *replay, struct wal_store *store, wal_load_fn fn,
                    void *arg, struct error *e);

void wal_replay_done(struct wal_replay *replay);

#endif
