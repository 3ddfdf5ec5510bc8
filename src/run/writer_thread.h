/* Who writes a log - the loop or a thread of its own - and what passes between them.
 *
 * The loop puts work in, is told on the loop by `on_outcome` that something came back, and takes it
 * out. What the work is, is its owner's affair (wal_thread.h, journal_thread.h): it keeps its
 * queues beside this, under this mutex, and gives the operations.
 *
 * One writes at a time. When the thread has nothing, and the next piece of work is a plain write
 * that the kernel can do beside the loop (run/disk_queue.h), the loop starts it: no other thread
 * has to wake up. Everything else is the thread's: files are begun and cut there, whatever may
 * block, what the kernel declines, or cannot do on this file system, and what comes while a write
 * is under way: where work follows on work, the thread has the next write under way while the loop
 * turns.
 *
 * Between two pieces of work the thread takes steps towards the log's reserve, also beside the
 * loop's writes; one that could not be had is tried again each second. The first error ends the
 * writing: from then on work comes back with it. */
#ifndef RUN_WRITER_THREAD_H
#define RUN_WRITER_THREAD_H

#include <pthread.h>
#include <stdbool.h>
#include <time.h>

#include "base/error.h"
#include "run/wal.h"

enum { WRITER_THREAD_RETRY_S = 1 };

/* All are called with `arg`. */
struct writer_thread_ops {
    const char *name;            /* of the thread */
    bool (*has_work)(void *arg); /* with the mutex held */

    /* On the thread. */
    void (*take)(void *arg);  /* with the mutex held: what is queued becomes the writer's own */
    void (*write)(void *arg); /* all of that */
    bool (*lacks_reserve)(const void *arg);
    /* A step: 0 more are needed, 1 it is there, negative: why it is not. */
    int (*prepare)(void *arg);

    /* On the loop, with the mutex held and the thread at rest. */
    bool (*plan)(void *arg, struct disk_write *write); /* what is first is such a write */
    void (*wrote)(void *arg);                          /* it is durable: gives back what is done */
    void (*declined)(void *arg);         /* it was not done: what it carried is first again */
    void (*failed)(void *arg, int code); /* the same, and nothing is written any more */
};

/* What the loop is told besides the work that came back. */
struct writer_outcome {
    struct error error;   /* code 0 as long as the log is well */
    bool reserve_changed; /* since the last time */
    int reserve;          /* 0, or why there is none */
    bool stopped;         /* the last one: call writer_thread_join() */
};

/* Whom it works for. */
struct writer_thread_owner {
    struct loop *loop;
    const struct wal_io *io;
    void (*on_outcome)(void *arg); /* on the loop, at the end of a turn */
    void *arg;
};

struct writer_thread {
    pthread_t thread;
    pthread_mutex_t mutex; /* over what follows, and its owner's queues */
    pthread_cond_t wake;   /* the writer: there is work */
    pthread_cond_t idle;   /* writer_thread_sync(): there is none */
    struct writer_outcome outcome;
    bool stop;
    bool busy;     /* the thread has work, or will find it */
    bool lent;     /* the loop writes */
    bool stalled;  /* what is queued first finds no room on the disk */
    bool prepared; /* a step that went well, and not the last */
    bool notified; /* and nothing taken since */

    const struct writer_thread_ops *ops;
    void *arg;
    struct writer_thread_owner owner;

    /* The loop's. */
    struct disk_queue *queue; /* NULL: the thread writes everything */
    size_t lent_bytes;
    struct loop_hook hook; /* something came back from the loop's write, */
    struct loop_post post; /* or from the thread */
};

/* Starts the thread. -errno when there is none. */
int writer_thread_start(struct writer_thread *thread, const struct writer_thread_ops *ops,
                        void *arg, const struct writer_thread_owner *owner);
/* Lets the writer finish what it has; `stopped` follows, then join. */
void writer_thread_stop(struct writer_thread *thread);
void writer_thread_join(struct writer_thread *thread);

/* For the loop, around what it does with the owner's queues: lock, add work, release_work(), which
 * starts it; or lock, take what came back, release_taken(), which also gives the rest of the
 * outcome. */
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
