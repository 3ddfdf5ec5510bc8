/* Small files that are replaced as a whole: readers see the old or the new content, and after the
 * write returned a power cut leaves the new one. */
#ifndef RUN_ATOMIC_FILE_H
#define RUN_ATOMIC_FILE_H

#include <stddef.h>
#include <sys/types.h>

#include "base/buf.h"
#include "base/error.h"

/* Writes PATH.tmp, fsyncs it, renames it over `path`, fsyncs the directory. -errno; on failure
 * `path` is as it was. Blocks: not on the loop, except while starting. */
int atomic_file_write(const char *path, mode_t mode, const void *data, size_t len, struct error *e);

/* Appends the content to `b`. -errno (-ENOENT when there is none), ERR_TOO_LARGE past b->max. */
int atomic_file_read(const char *path, struct buf *b, struct error *e);

/* fsyncs the directory `path`, which makes what was created or renamed in it durable. */
int atomic_file_sync_dir(const char *path, struct error *e);

#endif
