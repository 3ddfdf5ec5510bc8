/* The segments of a write-ahead log: which are live, which is written, which come next.
 *
 * Segments are numbered without gaps. The head file names the oldest live one and the last trimmed
 * index, so that a missing file is noticed. The last block of a full segment is a seal that names
 * its successor, whose head was made durable before; so is a lost last segment.
 *
 * Belongs to one thread at a time: the opener's, then the writer's. */
#ifndef RUN_WAL_STORE_H
#define RUN_WAL_STORE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "run/wal_file.h"
#include "run/wal_meta.h"

/* Where a record lies. */
struct wal_place {
    uint64_t index;
    uint64_t offset; /* of its head */
    struct wal_segment *segment;
};

struct wal_store {
    struct wal_dir dir;
    struct wal_meta *head;
    uint64_t segment_bytes; /* of one when the log has grown */
    unsigned spares_max;

    uint64_t log;             /* random name of this log */
    struct wal_segments live; /* oldest to active */
    struct wal_segment *active;
    struct wal_segment *next;    /* ready to follow; NULL while there is no reserve */
    struct wal_segment *filling; /* will be `next` */
    struct wal_segments spares;  /* trimmed, to be used again */
    unsigned spares_count;

    uint64_t offset;           /* in the active segment, of the next block */
    uint64_t sequence;         /* of the next block */
    uint64_t trimmed;          /* highest index given up */
    uint64_t trimmed_sequence; /* of the next block when that was stored */
};

/* Opens a new or existing log; the content comes from wal_replay(). */
int wal_store_init(struct wal_store *store, const char *path, const struct wal_options *options,
                   struct error *e);
void wal_store_done(struct wal_store *store);

/* Makes the first segment of a new log. */
int wal_store_create(struct wal_store *store, struct error *e);

/* Of the segment behind the active one, unless a single record needs more. */
uint64_t wal_store_next_bytes(const struct wal_store *store);

/* One step, under a millisecond, towards having a `next`: 1 when it is there, 0 when more steps are
 * needed, negative when it cannot be had. */
int wal_store_prepare(struct wal_store *store);

/* All steps at once, for a segment that holds a block of `bytes`. */
int wal_store_prepare_now(struct wal_store *store, uint64_t bytes);

/* Bytes that a block may take in the active segment, keeping room for the seal. */
uint64_t wal_store_room(const struct wal_store *store);

/* Goes over to `next`, after the seal was written. */
void wal_store_advance(struct wal_store *store);

/* Gives up records up to `index`, and the segments that hold no others. */
int wal_store_trim(struct wal_store *store, uint64_t index);

/* Gives up everything before the active segment; `next_index` comes next. */
int wal_store_reset(struct wal_store *store, uint64_t next_index);

/* Keeps a segment that holds nothing any more for use again, or removes it. Takes it over. */
void wal_store_recycle(struct wal_store *store, struct wal_segment *segment);

uint64_t wal_store_bytes(const struct wal_store *store);

/* Name and start of the log as the head file has it; false in a new log. */
bool wal_store_get_head(struct wal_store *store, uint64_t *oldest);

#endif
