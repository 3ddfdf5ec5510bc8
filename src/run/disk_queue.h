/* One durable write at a time, started by the loop itself: Linux' native asynchronous I/O.
 *
 * A thread that writes for the loop costs two wake-ups, which on an idle machine is as much as the
 * write; this costs one. It is for writes of whole pages into space that a file has already, with
 * O_DIRECT|O_DSYNC: others would make the kernel wait inside disk_queue_start(). RWF_NOWAIT has it
 * refuse with -EAGAIN instead, at the start or at the end; nothing was written then that has to be
 * undone, and whoever may block writes it again.
 *
 * The kernel takes 30 ms and more to give up a context, so that contexts are kept for the next
 * queue of the process.
 *
 * All functions belong to the loop's thread. */
#ifndef RUN_DISK_QUEUE_H
#define RUN_DISK_QUEUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "run/loop.h"

enum { DISK_WRITE_BYTES_MAX = 256 << 10 }; /* more at once keeps the loop busy for too long */

struct disk_queue;

struct disk_write {
    int fd;
    const void *data; /* borrowed until the write has ended */
    size_t len;
    uint64_t offset;
};

/* A write has ended: `result` is the number of bytes, or -errno. */
typedef void (*disk_queue_fn)(void *arg, int64_t result);

/* -errno when the system has none (-ENOSYS, -EPERM in some containers, -EAGAIN when all of
 * fs.aio-max-nr are taken). */
int disk_queue_open(struct disk_queue **out, struct loop *loop, disk_queue_fn fn, void *arg);
/* Nothing is under way; NULL allowed. The loop must turn once more. */
void disk_queue_close(struct disk_queue *queue);

/* Starts a write while none is under way; `fn` is called at its end, not from within. -errno: it
 * was not started. */
int disk_queue_start(struct disk_queue *queue, const struct disk_write *write);
/* For tests: a write is started that ends with `result` and touches nothing. */
void disk_queue_pretend(struct disk_queue *queue, int64_t result);
/* Blocks until the write that is under way has ended, and calls `fn`. */
void disk_queue_wait(struct disk_queue *queue);

#endif
