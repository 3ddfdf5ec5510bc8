/* Messages between libraft and the transport: part of raft_io, see run/raft_node.h. */
#ifndef RUN_RAFT_MESSAGE_H
#define RUN_RAFT_MESSAGE_H

#include "run/raft_node.h"

/* struct raft_io's send. */
int raft_message_send(struct raft_io *io, struct raft_io_send *req,
                      const struct raft_message *message, raft_io_send_cb cb);

/* Hands libraft a message of one of its own kinds, which was checked, now or when the term that
 * comes with it is stored. */
void raft_message_deliver(struct raft_node *node, uint64_t from_id, const Wire__RaftMessage *wire);

#endif
