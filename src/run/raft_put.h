/* Storing a snapshot, taken here or received: part of raft_io, see run/raft_node.h.
 *
 * Taken here: the owner makes its state durable, the record is written, the log before it (but for
 * `trailing` entries) is given up. Received: the record, which names the file, is written first;
 * from then on the snapshot counts, and a crash before the log was reset is finished at the next
 * start.
 *
 * How it fails: libraft gets the error a second later, so that a disk that is full is not asked for
 * a snapshot at each entry. */
#ifndef RUN_RAFT_PUT_H
#define RUN_RAFT_PUT_H

#include "run/raft_node.h"

void raft_put_init(struct raft_node *node);
int raft_put_snapshot(struct raft_io *io, unsigned trailing, struct raft_io_snapshot_put *req,
                      const struct raft_snapshot *snapshot, raft_io_snapshot_put_cb cb);
void raft_put_close(struct raft_node *node);

#endif
