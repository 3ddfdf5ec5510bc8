/* Files of a journal: made ahead, begun, written, cut, replaced. Paths and calls are those of the
 * write-ahead log (run/wal_file.h). Belongs to one thread at a time: the opener's, then the
 * writer's. */
#ifndef RUN_JOURNAL_FILE_H
#define RUN_JOURNAL_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/error.h"
#include "run/wal_file.h"

/* A file that is written: newlines from `len` to `cap`. */
struct journal_file {
    int fd;      /* -1: none */
    bool direct; /* it was opened with O_DIRECT|O_DSYNC */
    bool grows;  /* with each write: there is no room ahead */
    uint64_t len;
    uint64_t cap;    /* multiple of a page */
    uint64_t filled; /* while newlines are put in */
    uint8_t *pages;  /* the page in progress, then what comes behind it */
    size_t pages_cap;
};

void journal_file_init(struct journal_file *file);
void journal_file_done(struct journal_file *file); /* closes */

/* Creates `name` with `bytes` of space, replacing what was there. Then fill it. */
int journal_file_create(struct wal_dir *dir, struct journal_file *file, const char *name,
                        uint64_t bytes);
/* The same without space: give it room for each write with journal_file_grow(). */
int journal_file_create_growing(struct wal_dir *dir, struct journal_file *file, const char *name);
/* Room for `len` bytes behind the content, which the next write makes on the disk. */
void journal_file_grow(struct journal_file *file, size_t len);
/* Opens `name`, whose content ends at `len`, and everything behind is newlines up to its size, or
 * is not there. Then fill it up to `bytes`. */
int journal_file_resume(struct wal_dir *dir, struct journal_file *file, const char *name,
                        uint64_t len, uint64_t bytes);
/* Puts newlines behind the content, one slice a call, until `cap`; 1: all done and durable, 0: not
 * yet. */
int journal_file_fill(struct wal_dir *dir, struct journal_file *file, const char *name);

/* Puts `len` bytes behind the content, as a write that makes them durable; journal_file_wrote()
 * says that it did. Until then the next call puts in place of them. They must fit; with `len` 0 the
 * page in progress is written again, or with the file full nothing (`write->len` is 0). */
void journal_file_put(struct journal_file *file, const void *data, size_t len,
                      struct disk_write *write);
void journal_file_wrote(struct journal_file *file, size_t len);

/* Appends, durable when it returns 0. It must fit. */
int journal_file_write(struct wal_dir *dir, struct journal_file *file, const char *name,
                       const void *data, size_t len);

/* Writes the page in progress again, durably. */
int journal_file_touch(struct wal_dir *dir, struct journal_file *file, const char *name);

/* Gives the file, written under `from`, its name, durably. */
int journal_file_rename(struct wal_dir *dir, const char *from, const char *to);
/* Durably. */
int journal_file_unlink(struct wal_dir *dir, const char *name);
/* Cuts the file at `len`, durably. */
int journal_file_cut(struct wal_dir *dir, const char *name, uint64_t len);
/* Writes a whole file beside and puts it in the place of `name`, durably. -errno: it is as it was.
 */
int journal_file_replace(struct wal_dir *dir, const char *name, const struct buf *content);
/* Reads from `offset` at most `len` bytes, or until the end, into the room of `b`. */
int journal_file_read(const struct wal_dir *dir, const char *name, uint64_t offset, size_t len,
                      struct buf *b);

#endif
