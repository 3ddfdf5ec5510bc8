/* What a journal has its writer do, one after the other. Belongs to whoever writes at the time: the
 * writer's thread or the loop (run/writer_thread.h).
 *
 * Happy path: lines go into the active segment, which was filled before it became that, and so does
 * its reserve meanwhile: their writes change no size. Lines in bulk would have the disk take
 * everything twice; where a segment ends, they begin one that grows with them.
 *
 * How it fails: the disk is full while a segment grows: what that write left is cut off, durably,
 * and the reserve, which is there as long as any grows, takes the lines. */
#ifndef RUN_JOURNAL_WRITER_H
#define RUN_JOURNAL_WRITER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "base/buf.h"
#include "run/journal.h"
#include "run/journal_file.h"
#include "run/journal_table.h"

enum journal_op_kind {
    JOURNAL_OP_WRITE,    /* lines `first` to `last`; none: only its requests count */
    JOURNAL_OP_TRUNCATE, /* from `first` on */
    JOURNAL_OP_RESET,    /* `first` comes next, `text` is carried */
    JOURNAL_OP_DROP,     /* before `first`, `text` is carried */
    JOURNAL_OP_BEAT,
    JOURNAL_OP_REPAIR, /* lines `first` to `last` are `text` */
};

STAILQ_HEAD(journal_req_list, journal_req);

struct journal_op {
    enum journal_op_kind kind;
    uint64_t first;
    uint64_t last;
    bool bulk; /* of JOURNAL_OP_WRITE: much at once, and more of it comes */
    struct buf text;
    int status;
    /* The loop's. */
    struct journal_req_list reqs;
    uint64_t durable; /* number that is durable with it, if it succeeds */
    int64_t queued_ms;
    STAILQ_ENTRY(journal_op) entry; /* in the queue that it is in */
    TAILQ_ENTRY(journal_op) order;  /* among all in flight */
};

STAILQ_HEAD(journal_op_list, journal_op);

struct journal_writer {
    struct wal_dir *dir;         /* borrowed */
    struct journal_table *table; /* borrowed */
    uint64_t log;
    uint64_t segment_bytes;
    struct journal_segment *active; /* the last one */
    struct journal_file file;       /* of `active` */
    struct journal_file next;       /* the reserve */
    bool next_ready;
    int64_t since_us; /* when the present write began */
    struct metric_series *sync, *batch, *bytes;
};

/* Begins a new journal when the table is empty, else goes on with its last segment. */
int journal_writer_init(struct journal_writer *writer, struct wal_dir *dir,
                        struct journal_table *table, uint64_t log, uint64_t segment_bytes,
                        struct error *e);
void journal_writer_done(struct journal_writer *writer);

/* Executes `op` and sets its status. Returns 0, or an error after which nothing may be written any
 * more. */
int journal_writer_step(struct journal_writer *writer, struct journal_op *op);

/* When all that `op` needs is a write into the present file that the loop may start: true and that
 * write. At its end journal_writer_wrote() notes what is durable now. A write that came to nothing
 * leaves all as it was, for journal_writer_step(). */
bool journal_writer_plan(struct journal_writer *writer, const struct journal_op *op,
                         struct disk_write *write);
void journal_writer_wrote(struct journal_writer *writer, const struct journal_op *op);

/* One step, of a millisecond or so, towards having the reserve: 1 when it is there, 0 when more are
 * needed, negative when it cannot be had. */
int journal_writer_prepare(struct journal_writer *writer);
/* Whether the reserve is needed before the next op. */
bool journal_writer_is_low(const struct journal_writer *writer);

#endif
