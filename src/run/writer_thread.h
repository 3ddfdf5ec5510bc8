/* The one thread that writes a log, and what passes between it and the loop.
 *
 * The loop puts work in, is told by `notify` (from the writer's thread) that something came back,
 * and takes it out. What the work is, is its owner's affair (wal_thread.h, journal_thread.h): it
 * keeps its queues beside this, under this mutex, and gives the operations. Between two pieces of
 * work the thread takes steps towards the log's reserve; one that could not be had is tried again
 * each second. The first error ends the writing: from then on work comes back with it. */
#ifndef RUN_WRITER_THREAD_H
#define RUN_WRITER_THREAD_H

#include <pthread.h>
#include <stdbool.h>
#include <time.h>

#include "base/error.h"

enum { WRITER_THREAD_RETRY_S = 1 };

/* All are called on the writer's thread with `arg`. */
struct writer_thread_ops {
    const char *name;            /* of the thread */
    bool (*has_work)(void *arg); /* with the mutex held */
    void (*take)(void *arg);     /* with the mutex held: what is queued becomes the writer's own */
    void (*write)(void *arg);    /* all of that */
    bool (*lacks_reserve)(const void *arg);
    int (*prepare)(
        void *arg); /* a step: 0 more are needed, 1 it is there, negative: why it is not */
};

/* What the loop is told besides the work that came back. */
struct writer_outcome {
    struct error error;   /* code 0 as long as the log is well */
    bool reserve_changed; /* since the last time */
    int reserve;          /* 0, or why there is none */
    bool stopped;         /* the last one: call writer_thread_join() */
};

struct writer_thread {
    pthread_t thread;
    pthread_mutex_t mutex; /* over what follows, and its owner's queues */
    pthread_cond_t wake;   /* the writer: there is work */
    pthread_cond_t idle;   /* writer_thread_sync(): there is none */
    struct writer_outcome outcome;
    bool stop;
    bool busy;
    bool stalled;  /* what is queued first finds no room on the disk */
    bool notified; /* and nothing taken since */

    const struct writer_thread_ops *ops;
    void *arg;
    void (*notify)(void *arg);
    void *notify_arg;
};

/* Starts the thread; `notify` may run before this returns. -errno when there is none. */
int writer_thread_start(struct writer_thread *thread, const struct writer_thread_ops *ops,
                        void *arg, void (*notify)(void *arg), void *notify_arg);
/* Lets the writer finish what it has; `stopped` follows, then join. */
void writer_thread_stop(struct writer_thread *thread);
void writer_thread_join(struct writer_thread *thread);

/* For the loop, around what it does with the owner's queues: lock, add work, release_work(); or
 * lock, take what came back, release_taken(), which also gives the rest of the outcome. */
void writer_thread_lock(struct writer_thread *thread);
void writer_thread_release_work(struct writer_thread *thread);
void writer_thread_release_taken(struct writer_thread *thread, struct writer_outcome *out);

/* Blocks until everything put in was written; returns 0 or the log's error, -ENOSPC when what is
 * left waits for room. */
int writer_thread_sync(struct writer_thread *thread);
bool writer_thread_is_stalled(struct writer_thread *thread);

/* ---- for the writer itself ------------------------------------------------------------------- */

/* Unlocks, and tells the loop that something came back. */
void writer_thread_release_done(struct writer_thread *thread);
/* Notes the first error. With the mutex held. */
void writer_thread_fail(struct writer_thread *thread, int code, const char *what, const char *path);
/* The reserve was lost (`code` < 0) or is there (0). */
void writer_thread_set_reserve(struct writer_thread *thread, int code);
/* Takes one step towards the reserve. */
void writer_thread_prepare(struct writer_thread *thread);
void writer_thread_set_stalled(struct writer_thread *thread, bool stalled);
/* The time, for waiting on `wake`, after which another try is worth it. */
struct timespec writer_thread_retry_at(void);

#endif
