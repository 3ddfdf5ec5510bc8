/* Copies a file and proves by its checksum that the copy is what it should be. Blocks: for threads.
 */
#ifndef RUN_FILE_COPY_H
#define RUN_FILE_COPY_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"

enum { FILE_COPY_PIECE_BYTES = 256 * 1024 };

struct file_copy {
    const char *from;
    const char *to;      /* must not exist yet; mode 0600; removed again on failure */
    uint64_t bytes;      /* that it must have; UINT64_MAX: any number */
    uint64_t xxh3;       /* XXH3_64bits that it must have */
    atomic_bool *cancel; /* looked at now and then; NULL: never */
};

/* Shares the blocks where the file system can (FICLONE), and reads them all the same. 0, -errno,
 * ERR_CORRUPT when size or checksum differ, ERR_CANCELLED. `e` may be NULL. */
int file_copy_checked(const struct file_copy *copy, struct error *e);

#endif
