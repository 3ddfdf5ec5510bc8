/* A small durable record (a term and a vote, say) that is replaced as a whole.
 *
 * The file has two slots of 4 KiB, each with version, length and checksum. A store writes the
 * first, waits for the disk, then writes the second: a crash leaves at least one whole, and damage
 * to either one later is healed by the other. Both damaged: ERR_CORRUPT. A failed store makes every
 * later one fail until the file is opened again. Blocks for two disk writes, about 0.3 ms: for what
 * is rare. */
#ifndef RUN_WAL_META_H
#define RUN_WAL_META_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "run/wal.h"

enum { WAL_META_BYTES_MAX = 256 };

struct wal_meta;

/* Opens or creates `path`. `io` NULL: the system's; borrowed until closed. */
int wal_meta_open(struct wal_meta **out, const char *path, const struct wal_io *io,
                  struct error *e);
void wal_meta_close(struct wal_meta *meta); /* NULL allowed */

/* Returns the content and sets `*len`; 0 in a new file. Valid until the next store. */
const void *wal_meta_get(const struct wal_meta *meta, size_t *len);

/* Replaces the content; durable when it returns 0. */
int wal_meta_store(struct wal_meta *meta, const void *data, size_t len, struct error *e);

#endif
