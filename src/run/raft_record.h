/* What raft_io knows of its snapshot, kept in a small file: index, term, configuration, and the
 * file that a leader sent, if it came from one. */
#ifndef RUN_RAFT_RECORD_H
#define RUN_RAFT_RECORD_H

#include <raft.h>
#include <stdint.h>

#include "base/error.h"
#include "run/raft_io.h"

enum { RAFT_RECORD_NAME_MAX = 64 };

struct raft_record {
    uint64_t index; /* 0: there is no snapshot */
    uint64_t term;
    uint64_t configuration_index;
    struct raft_configuration configuration;
    uint64_t trailing;
    char file_name[RAFT_RECORD_NAME_MAX]; /* in the same directory; "": the state file at hand */
};

void raft_record_init(struct raft_record *record);
void raft_record_done(struct raft_record *record);

/* Fills an initialised record from a snapshot of libraft; a libraft code. */
int raft_record_from_snapshot(struct raft_record *record, const struct raft_snapshot *snapshot,
                              unsigned trailing, const char *file_name);

/* Makes the snapshot that libraft takes over, with a descriptor as its data; a libraft code. */
int raft_record_to_snapshot(const struct raft_record *record, const char *dir,
                            struct raft_snapshot **out);

/* Reads `path` into an initialised record; leaves it as it is when there is no file. ERR_CORRUPT,
 * ERR_VERSION. Blocks. */
int raft_record_load(struct raft_record *record, const char *path, struct error *e);

/* Replaces `path` durably. Blocks; any thread. */
int raft_record_store(const struct raft_record *record, const char *path, struct error *e);

/* The descriptor of a snapshot as bytes of raft_malloc; a libraft code. `path` "" as in raft_io.h.
 */
int raft_record_descriptor(uint64_t index, const char *path, struct raft_buffer *out);

#endif
