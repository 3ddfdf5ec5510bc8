/* Segment files of a write-ahead log: made, filled, opened, written, read, removed.
 *
 * A new file is allocated, filled with zeros slice by slice and synced, because a durable write
 * into blocks that were never written costs the file system a journal commit. A file used again
 * only gets a new head. A file without a valid head holds nothing.
 *
 * Belongs to one thread at a time: the opener's, then the writer's. */
#ifndef RUN_WAL_FILE_H
#define RUN_WAL_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include "base/error.h"
#include "run/wal.h"
#include "run/wal_format.h"

enum { WAL_FILE_NAME_MAX = 32, WAL_FILE_SLICE_BYTES = 256 << 10 };

#define WAL_FILE_SUFFIX ".wal"

/* Where the files are and how they are written. */
struct wal_dir {
    char *path;
    int fd;
    bool direct; /* until a file system refuses O_DIRECT */
    const struct wal_io *io;
};

struct wal_segment {
    char name[WAL_FILE_NAME_MAX];
    struct wal_head head;
    int fd;             /* -1 when closed */
    bool direct;        /* it was opened with O_DIRECT */
    uint64_t filled;    /* bytes, while it is being filled */
    uint64_t index_max; /* highest index in it, 0 without records */
    TAILQ_ENTRY(wal_segment) entry;
};

TAILQ_HEAD(wal_segments, wal_segment);

int wal_dir_open(struct wal_dir *dir, const char *path, bool buffered, const struct wal_io *io,
                 struct error *e);
void wal_dir_done(struct wal_dir *dir);

struct wal_segment *wal_file_new(const char *name);
void wal_file_free(struct wal_segment *segment); /* closes; NULL allowed */
void wal_file_free_all(struct wal_segments *segments);
void wal_file_close(struct wal_segment *segment);

/* Creates a file of `bytes` named after `number` and allocates its space. On failure none is left.
 */
int wal_file_create(struct wal_dir *dir, uint64_t number, uint64_t bytes, struct wal_segment **out);

/* Fills one slice; returns 1 when the file is filled and synced, 0 when there is more. */
int wal_file_fill(struct wal_dir *dir, struct wal_segment *segment);

/* Gives a filled file its head, durably, and opens it for wal_file_write(). */
int wal_file_start(struct wal_dir *dir, struct wal_segment *segment, const struct wal_head *head);

int wal_file_open(struct wal_dir *dir, struct wal_segment *segment);

/* Writes whole pages, durable when it returns 0. */
int wal_file_write(struct wal_dir *dir, struct wal_segment *segment, const void *pages, size_t len,
                   uint64_t offset);

/* Makes what an earlier process wrote durable, then reads `len` bytes into malloc'ed memory, from
 * the disk where the system lets us. */
int wal_file_read(struct wal_dir *dir, struct wal_segment *segment, size_t len, uint8_t **data,
                  struct error *e);

void wal_file_remove(struct wal_dir *dir, struct wal_segment *segment); /* and frees it */

/* The system's calls. */
extern const struct wal_io wal_file_system_io;

/* Writes `len` bytes or fails: goes on after short writes and interruptions. */
int wal_file_write_all(const struct wal_io *io, int fd, const void *data, size_t len,
                       uint64_t offset);

#endif
