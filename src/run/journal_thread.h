/* The one writer thread of a journal, and what passes between it and the loop: ops one way, the
 * same ops with their status back, after `notify` was called (from the writer's thread). The first
 * error ends the writing: from then on ops come back with it. */
#ifndef RUN_JOURNAL_THREAD_H
#define RUN_JOURNAL_THREAD_H

#include <pthread.h>
#include <stdbool.h>

#include "base/error.h"
#include "run/journal_writer.h"

struct journal_outcome {
    struct journal_op_list done;
    struct error error;   /* code 0 as long as the journal is well */
    bool reserve_changed; /* since the last time */
    int reserve;          /* 0, or why there is none */
    bool stopped;         /* the last one: call journal_thread_join() */
};

struct journal_thread {
    pthread_t thread;
    pthread_mutex_t mutex; /* over what follows */
    pthread_cond_t wake;   /* the writer: there is work */
    pthread_cond_t idle;   /* journal_thread_sync(): there is none */
    struct journal_op_list queue;
    struct journal_outcome outcome;
    bool stop;
    bool busy;
    bool notified; /* and nothing taken since */

    /* The writer's own. */
    struct journal_writer *writer;
    void (*notify)(void *arg);
    void *arg;
};

/* Takes over `writer` until joined. `notify` may run before this returns. */
int journal_thread_start(struct journal_thread *thread, struct journal_writer *writer,
                         void (*notify)(void *arg), void *arg, struct error *e);
/* Empties `ops` into the writer's queue. */
void journal_thread_put(struct journal_thread *thread, struct journal_op_list *ops);
/* Takes what came back since the last call. */
void journal_thread_take(struct journal_thread *thread, struct journal_outcome *out);
/* Blocks until everything put in was executed; returns 0 or the journal's error. */
int journal_thread_sync(struct journal_thread *thread);
/* Lets the writer finish what it has; `stopped` follows. */
void journal_thread_stop(struct journal_thread *thread);
void journal_thread_join(struct journal_thread *thread);

#endif
