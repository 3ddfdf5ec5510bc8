/* A write-ahead log: records with growing indexes, durable before their callback runs.
 *
 * Happy path: records handed to wal_append() during one turn of the loop leave together at its end:
 * everything that waits is put into one block, written with O_DIRECT|O_DSYNC into a preallocated
 * segment, and then the callbacks run on the loop in the order of the calls. A plain block is
 * written by the kernel beside the loop, all else by the log's one writer thread
 * (run/writer_thread.h). Full segments are followed by ones prepared ahead; trimmed ones are used
 * again. The first has WAL_SEGMENT_BYTES_FIRST, each later one twice as much as the one before it,
 * up to `segment_bytes`: a log that holds little is soon made.
 *
 * How it fails:
 * - The process or machine stops in the middle of a write: the torn tail is cut at the next open
 * and its size reported. What was acknowledged is never part of it.
 * - Bytes change behind its back: a damaged block with a valid one behind it, a missing segment, a
 *   damaged head: wal_open() refuses with ERR_CORRUPT and names file and offset.
 * - A write into a segment fails (EIO, ...): every request that waits gets the error, as does every
 * later one, until the log is closed and opened again. Nothing is ever written or synced a second
 * time: after a failed fsync the kernel may hold pages for clean that never reached the disk.
 * - The disk is nearly full: the segment kept in reserve cannot be had. `on_reserve` says so while
 *   the log still has room.
 * - The disk is full and the segment too: nothing was tried that could have been lost, so requests
 *   wait (wal_is_stalled()), and are written once a new segment can be had, or a trim that waits
 *   behind them gives one back. A log that is closed meanwhile ends them with -ENOSPC.
 *
 * A block that fills only part of its last 4 KiB page is followed by the next block in the same
 * page, which is therefore written again with the same bytes before it. As PostgreSQL does, this
 * trusts the disk to leave each 512-byte sector either as it was or as it was written.
 *
 * All functions belong to the loop's thread. */
#ifndef RUN_WAL_H
#define RUN_WAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>
#include <sys/types.h>

#include "base/error.h"
#include "run/disk_queue.h"
#include "run/loop.h"

enum {
    WAL_SEGMENT_BYTES = 8 << 20,
    WAL_SEGMENT_BYTES_MIN = 64 << 10,
    WAL_SEGMENT_BYTES_FIRST = 256 << 10,
    WAL_BLOCK_BYTES_MAX = 1 << 20, /* of one write, unless a single record is larger */
    WAL_RECORD_BYTES_MAX = 64 << 20,
    WAL_IN_FLIGHT_BYTES = 64 << 20,
};

struct wal;

struct wal_record {
    uint64_t index;
    uint64_t term; /* term and type are the owner's: stored and handed back as given */
    uint16_t type;
    uint32_t len;
    const void *data;
};

/* The calls that touch the disk, for tests that make them fail. Called on the writer thread and,
 * inside wal_open() and wal_meta_*(), on the caller's; `start` on the loop's. */
struct wal_io {
    ssize_t (*pwrite)(void *arg, int fd, const void *data, size_t len, off_t offset);
    int (*fdatasync)(void *arg, int fd);
    int (*fallocate)(void *arg, int fd, off_t len); /* 0 or an errno value, as posix_fallocate */
    void *arg;
    /* As disk_queue_start(). NULL: the writer thread writes everything. */
    int (*start)(void *arg, struct disk_queue *queue, const struct disk_write *write);
};

struct wal_options {
    uint32_t segment_bytes;       /* multiple of 4096; 0: WAL_SEGMENT_BYTES */
    unsigned spares_max;          /* trimmed segments kept for use again; 0: 4 */
    uint64_t in_flight_bytes_max; /* of records waiting; 0: WAL_IN_FLIGHT_BYTES */
    bool buffered;                /* never O_DIRECT */
    const struct wal_io *io;      /* NULL: the system's; borrowed until closed */

    /* The reserve was lost (`code` < 0, say -ENOSPC) or is there again (0). May be NULL. */
    void (*on_reserve)(void *arg, int code);
    /* The log failed and takes nothing more. Called once, before the callbacks of the requests that
     * failed with it. May be NULL. */
    void (*on_failed)(void *arg, const struct error *e);
    void *arg;
};

struct wal_req;
typedef void (*wal_fn)(struct wal_req *req, int status);

/* A request, embedded in the owner's own. The owner sets `data`; the rest is the log's until the
 * callback runs. */
struct wal_req {
    void *data;
    wal_fn cb;
    const struct wal_record *records;
    unsigned count;
    unsigned written; /* records that are in a block already */
    uint64_t bytes;
    uint64_t index; /* of a truncation, trim or reset */
    int64_t queued_ms;
    int kind;
    int status;
    STAILQ_ENTRY(wal_req) entry;
    STAILQ_ENTRY(wal_req) order;
};

/* Opens the log in `dir`, which must exist, or creates it there. Reads all of it; blocks. */
int wal_open(struct wal **out, struct loop *loop, const char *dir,
             const struct wal_options *options, struct error *e);

/* Writes what is queued, runs its callbacks, frees the log and runs `cb` (NULL allowed). Nothing
 * may be queued after this call, and the loop must turn until `cb`. */
void wal_close(struct wal *wal, void (*cb)(void *arg), void *arg);

/* Bytes of a torn tail that the open cut off, 0 normally. */
uint64_t wal_torn_bytes(const struct wal *wal);
bool wal_is_direct(const struct wal *wal);

/* Indexes of the records present, as of the calls made so far. An empty log has first == last + 1.
 */
uint64_t wal_first_index(const struct wal *wal);
uint64_t wal_last_index(const struct wal *wal);

/* Calls `fn` for each record present at the open, in order of index; the record is valid only
 * inside the call. A negative return of `fn` ends it and is returned. Before the first change of
 * the log, once; blocks. */
typedef int (*wal_load_fn)(void *arg, const struct wal_record *record);
int wal_load(struct wal *wal, wal_load_fn fn, void *arg, struct error *e);

/* Queues `count` (> 0) records with indexes that follow on wal_last_index(). Records and their data
 * are borrowed until `cb`. Returns ERR_BUSY when that would exceed the bound of bytes in flight,
 * ERR_TOO_LARGE for a record above WAL_RECORD_BYTES_MAX, the error of the log once it failed; `cb`
 * is then not called. The log's write is not atomic over several records: after a crash a beginning
 * of them may be there. */
int wal_append(struct wal *wal, struct wal_req *req, const struct wal_record *records,
               unsigned count, wal_fn cb);

/* Removes all records from `index` on, in order with the appends around it. `index` lies between
 * wal_first_index() and wal_last_index(). Durable before any later append is. */
int wal_truncate(struct wal *wal, uint64_t index);

/* Gives up all records up to and including `index` (<= wal_last_index()). Their space comes back by
 * whole segments. A crash soon after may bring them back. */
int wal_trim(struct wal *wal, uint64_t index);

/* Removes everything; the next record will be `next_index`. `cb` runs when that is durable. */
int wal_reset(struct wal *wal, struct wal_req *req, uint64_t next_index, wal_fn cb);

/* Waits, blocking, until everything queued is durable; returns 0 or the log's error, -ENOSPC when
 * the log is stalled. For start and recovery, before the loop runs. The callbacks still come from
 * the loop. */
int wal_sync(struct wal *wal);

/* Bytes of the records queued and not yet called back. */
uint64_t wal_bytes_in_flight(const struct wal *wal);
/* Bytes of the segments in use on disk. */
uint64_t wal_bytes_on_disk(struct wal *wal);
/* How long the oldest request has waited for the disk, by the loop's clock; 0 when none waits. */
uint64_t wal_oldest_wait_ms(const struct wal *wal);
/* Requests wait for room on the disk. */
bool wal_is_stalled(struct wal *wal);
/* 0, or the error that the log failed with. */
int wal_status(const struct wal *wal);

#endif
