/* Term and vote, made durable off the loop. Part of raft_io, see run/raft_node.h.
 *
 * libraft stores both inside its calls and wants to go on at once. So a message that will make it
 * do that is held back, with all behind it, until a pool thread has stored what libraft is going to
 * ask for; its call then finds that done. Storing more than libraft asks for in the end is
 * harmless: a term that nobody was told, or a vote that was not sent, binds only this server, and
 * only after a restart. What was not foreseen is stored inside the call. */
#ifndef RUN_RAFT_TERM_H
#define RUN_RAFT_TERM_H

#include "run/raft_node.h"

enum { RAFT_TERM_HELD_MAX = 64 }; /* messages; further ones are dropped */

/* struct raft_io's. */
int raft_term_set(struct raft_io *io, raft_term term);
int raft_term_set_vote(struct raft_io *io, raft_id server_id);

/* Whether the message was taken to be delivered later; otherwise it can be delivered now. */
bool raft_term_hold(struct raft_node *node, uint64_t from, const Wire__RaftMessage *message);

/* Whether a tick has to wait. */
bool raft_term_hold_tick(struct raft_node *node);

/* How long the store under way has taken; 0 when none is. */
uint64_t raft_term_wait_ms(const struct raft_node *node);

void raft_term_init(struct raft_node *node);
void raft_term_close(struct raft_node *node);

#endif
