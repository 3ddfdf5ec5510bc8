/* The one writer thread of a write-ahead log, and what passes between it and the loop.
 *
 * The loop puts requests in, is told by `notify` (from the writer's thread) that something came
 * back, and takes it out. The first error ends the writing: from then on requests come back with
 * it. */
#ifndef RUN_WAL_THREAD_H
#define RUN_WAL_THREAD_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "run/wal.h"
#include "run/wal_store.h"
#include "run/wal_writer.h"

/* What the writer hands back. */
struct wal_outcome {
    struct wal_queue done;
    struct error error;   /* code 0 as long as the log is well */
    bool reserve_changed; /* since the last time */
    int reserve;          /* 0, or why there is none */
    bool stopped;         /* the last one: call wal_thread_join() */
};

struct wal_thread {
    pthread_t thread;
    pthread_mutex_t mutex; /* over what follows */
    pthread_cond_t wake;   /* the writer: there is work */
    pthread_cond_t idle;   /* wal_thread_sync(): there is none */
    struct wal_queue queue;
    struct wal_outcome outcome;
    bool stop;
    bool busy;
    bool stalled;  /* the first request in `queue` found no room on the disk */
    bool notified; /* and nothing taken since */
    uint64_t disk_bytes;

    /* The writer's own. */
    struct wal_store *store;
    struct wal_writer writer;
    void (*notify)(void *arg);
    void *arg;
};

/* Takes over `store` until joined. `notify` may run before this returns. */
int wal_thread_start(struct wal_thread *thread, struct wal_store *store, void (*notify)(void *arg),
                     void *arg, struct error *e);

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
