/* The writer of a write-ahead log (run/writer_thread.h): requests one way, the same with their
 * status back. Requests that find no room on the disk wait, and are tried again. */
#ifndef RUN_WAL_THREAD_H
#define RUN_WAL_THREAD_H

#include <stdbool.h>
#include <stdint.h>

#include "run/wal.h"
#include "run/wal_store.h"
#include "run/wal_writer.h"
#include "run/writer_thread.h"

/* What the writer hands back. */
struct wal_outcome {
    struct wal_queue done;
    struct writer_outcome writer;
};

struct wal_thread {
    struct writer_thread base;
    struct wal_queue queue; /* under its mutex, as the next */
    struct wal_queue done;
    uint64_t disk_bytes;

    /* The writer's own. */
    struct wal_queue work;
    struct wal_store *store;
    struct wal_writer writer;
};

/* Takes over `store` until joined. */
int wal_thread_start(struct wal_thread *thread, struct wal_store *store,
                     const struct writer_thread_owner *owner, struct error *e);

/* Empties `queue` into the writer's. */
void wal_thread_put(struct wal_thread *thread, struct wal_queue *queue);

/* Takes what came back since the last call. */
void wal_thread_take(struct wal_thread *thread, struct wal_outcome *out);

/* Blocks until everything put in was written; returns 0 or the log's error, -ENOSPC when what is
 * left waits for room. */
int wal_thread_sync(struct wal_thread *thread);
bool wal_thread_is_stalled(struct wal_thread *thread);

uint64_t wal_thread_disk_bytes(struct wal_thread *thread);

/* Lets the writer finish what it has; `stopped` follows. */
void wal_thread_stop(struct wal_thread *thread);
void wal_thread_join(struct wal_thread *thread);

#endif
