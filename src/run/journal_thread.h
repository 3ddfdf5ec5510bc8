/* The writer of a journal (run/writer_thread.h): ops one way, the same ops with their status back.
 */
#ifndef RUN_JOURNAL_THREAD_H
#define RUN_JOURNAL_THREAD_H

#include "run/journal_writer.h"
#include "run/writer_thread.h"

struct journal_outcome {
    struct journal_op_list done;
    struct writer_outcome writer;
};

struct journal_thread {
    struct writer_thread base;
    struct journal_op_list queue; /* under its mutex, as the next */
    struct journal_op_list done;

    struct journal_op *lent; /* what the loop writes */

    /* The writer's own. */
    struct journal_op_list work;
    struct journal_writer *writer;
};

/* Takes over `writer` until joined. */
int journal_thread_start(struct journal_thread *thread, struct journal_writer *writer,
                         const struct writer_thread_owner *owner, struct error *e);
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
