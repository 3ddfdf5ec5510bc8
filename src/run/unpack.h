/* Unpacking archives that strangers made: zip, and tar with any usual compression.
 *
 * Nothing is written outside the target directory, through a link, or with set-id bits; devices,
 * sockets and FIFOs are refused, as are absolute names, "..", and links that point out. The whole
 * archive fails on the first such entry. Blocks: call it on libuv's pool. */
#ifndef RUN_UNPACK_H
#define RUN_UNPACK_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"

enum {
    UNPACK_RATIO_MAX = 100,                     /* of bytes out to bytes in ... */
    UNPACK_RATIO_FREE_BYTES = 10 * 1024 * 1024, /* ... checked above so much */
    UNPACK_NAME_BYTES_MAX = 4096,
    UNPACK_DEPTH_MAX = 128, /* components of a name */
};

#define UNPACK_BYTES_MAX   (UINT64_C(64) << 30) /* defaults of the limits */
#define UNPACK_ENTRIES_MAX UINT64_C(1000000)

struct unpack_limits {
    uint64_t bytes_max;   /* of all files together, as written; 0: UNPACK_BYTES_MAX */
    uint64_t entries_max; /* 0: UNPACK_ENTRIES_MAX */
};

struct unpack_stats {
    uint64_t entries;
    uint64_t bytes;
};

/* Unpacks `archive` into the existing directory `target`. `cancel` (NULL allowed) is looked at
 * between blocks. `stats` is filled on success. Errors: ERR_INVALID (not an archive, a forbidden
 * entry, encrypted), ERR_CORRUPT (damaged, cut short), ERR_TOO_LARGE (a limit), ERR_CANCELLED,
 * -ENOSPC and other -errno; the text names archive and entry. What was unpacked before a failure
 * stays. */
int unpack(const char *archive, const char *target, const struct unpack_limits *limits,
           const atomic_bool *cancel, struct unpack_stats *stats, struct error *e);

#endif
