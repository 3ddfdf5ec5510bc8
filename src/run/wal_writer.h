/* Turns queued requests into blocks on the disk. Belongs to whoever writes at the time: the
 * writer's thread or the loop (run/writer_thread.h). */
#ifndef RUN_WAL_WRITER_H
#define RUN_WAL_WRITER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include "base/error.h"
#include "run/wal.h"
#include "run/wal_store.h"

STAILQ_HEAD(wal_queue, wal_req);

struct wal_writer {
    struct wal_store *store; /* borrowed */
    uint8_t *pages;          /* what the next write sends, beginning with the page in progress */
    size_t cap;
    size_t len;       /* bytes in `pages` */
    unsigned records; /* in the block in progress */

    /* A block that is made and not written yet. */
    bool made;
    size_t begin;                /* in `pages` */
    unsigned complete;           /* requests that end with it */
    const struct wal_req *reset; /* the last of them, when it is one */
    int64_t since_us;
    struct metric_series *sync, *batch, *bytes;
};

/* Reads the page in progress back from the disk. */
int wal_writer_init(struct wal_writer *writer, struct wal_store *store, struct error *e);
void wal_writer_done(struct wal_writer *writer);

enum { WAL_WRITER_NO_ROOM = 1 };

/* Writes one block from the front of `queue`, or executes a trim, and moves the requests that are
 * complete with it to `done`. WAL_WRITER_NO_ROOM: the disk has no room for another segment; the
 * request may be tried again. After a failure nothing may be written any more. */
int wal_writer_step(struct wal_writer *writer, struct wal_queue *queue, struct wal_queue *done);

/* When the next thing to be done is a block that the loop may write into the present segment: makes
 * it from the front of `queue`, whose requests stay there, and says so with the write. At its end
 * wal_writer_wrote() moves the requests that are complete to `done`. A write that came to nothing
 * is done by the next wal_writer_step(). */
bool wal_writer_plan(struct wal_writer *writer, struct wal_queue *queue, struct disk_write *write);
void wal_writer_wrote(struct wal_writer *writer, struct wal_queue *queue, struct wal_queue *done);

/* Executes the trims in `queue` that concern nothing before them in it; they stay there. 1 when
 * that gave back a segment, 0 when it did not, negative as wal_writer_step(). */
int wal_writer_trim_ahead(struct wal_writer *writer, const struct wal_queue *queue);

#endif
