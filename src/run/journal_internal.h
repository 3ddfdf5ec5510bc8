/* What the parts of run/journal share; nobody else includes it. */
#ifndef RUN_JOURNAL_INTERNAL_H
#define RUN_JOURNAL_INTERNAL_H

#include <sys/queue.h>

#include "run/journal.h"
#include "run/journal_table.h"
#include "run/journal_thread.h"

enum { JOURNAL_OPS_KEPT_MAX = 4 };

LIST_HEAD(journal_read_list, journal_read);
TAILQ_HEAD(journal_op_order, journal_op);

struct journal {
    struct loop *loop;
    struct loop_hook hook; /* hands over what was staged */
    struct journal_options options;
    struct wal_dir dir;
    struct journal_table table;
    struct journal_writer writer; /* the thread's while it runs */
    struct journal_thread thread;
    uint64_t torn_bytes;
    bool closing;
    int status;
    uint64_t first;
    uint64_t next;
    uint64_t durable;
    uint64_t in_flight_bytes;
    struct journal_op_list staged;
    struct journal_op_order order; /* all in flight, oldest first, staged ones too */
    unsigned handed;               /* of these, with the writer */
    struct journal_op_list kept;   /* to be used again */
    unsigned kept_n;
    struct journal_read_list reads;
    unsigned plans; /* reads that the pool has, cancelled ones too */
    bool stopped;   /* the thread has been joined */
    void (*close_cb)(void *arg);
    void *close_arg;
};

/* Frees a closing journal when nothing uses it any more. */
void journal_finish_close(struct journal *journal);

#endif
