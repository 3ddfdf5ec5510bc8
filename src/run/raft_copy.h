/* A consistent copy of the state, made once for all servers that need the same snapshot. Part of
 * raft_io, see run/raft_transfer.h. */
#ifndef RUN_RAFT_COPY_H
#define RUN_RAFT_COPY_H

#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include "run/raft_node.h"

/* Embedded in who waits for the copy. */
struct raft_copy_user {
    /* The copy is there, or `code` says why not. Once, never from inside raft_copy_acquire(). */
    void (*ready)(struct raft_copy_user *user, int code);
    LIST_ENTRY(raft_copy_user) entry;
    bool told;
};

/* Returns the copy for the snapshot at `index`, begun anew where there is none. */
struct raft_copy *raft_copy_acquire(struct raft_node *node, uint64_t index,
                                    struct raft_copy_user *user);
void raft_copy_release(struct raft_copy *copy, struct raft_copy_user *user);

/* Of a copy that is ready. */
uint64_t raft_copy_id(const struct raft_copy *copy); /* random */
uint64_t raft_copy_size(const struct raft_copy *copy);
uint64_t raft_copy_checksum(const struct raft_copy *copy);

/* Reads exactly `len` bytes; any thread. */
int raft_copy_read(const struct raft_copy *copy, uint8_t *data, size_t len, uint64_t offset);

/* XXH3 of a whole file and its size; any thread. */
int raft_copy_checksum_file(int fd, uint64_t *checksum, uint64_t *size);

/* Forgets the copy kept for the next receiver. */
void raft_copy_close(struct raft_node *node);

#endif
