/* Entries on their way to the log: part of raft_io, see run/raft_node.h. */
#ifndef RUN_RAFT_APPEND_H
#define RUN_RAFT_APPEND_H

#include <raft.h>
#include <stdint.h>

struct raft_node;

int raft_append_submit(struct raft_io *io, struct raft_io_append *req,
                       const struct raft_entry entries[], unsigned n, raft_io_append_cb cb);

/* After the log was closed: gives libraft back what failed. */
void raft_append_end_failed(struct raft_node *node);

/* What an entry of `len` bytes counts for in raft_io_log_bytes(). */
uint64_t raft_append_bytes(uint32_t len);

#endif
