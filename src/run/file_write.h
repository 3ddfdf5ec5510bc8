/* All of it into a descriptor that blocks. */
#ifndef RUN_FILE_WRITE_H
#define RUN_FILE_WRITE_H

#include <stddef.h>

/* Where the descriptor stands. 0, or -errno after a part of it. Blocks. */
int file_write_all(int fd, const void *data, size_t len);

#endif
