/* What a start of libraft finds, and what a first start writes: part of raft_io, see
 * run/raft_node.h. */
#ifndef RUN_RAFT_LOAD_H
#define RUN_RAFT_LOAD_H

#include "run/raft_node.h"

/* Opens term, vote and the snapshot's record. Blocks. */
int raft_load_open(struct raft_node *node, struct error *e);

/* Reads the opened log, checks that all fits together, finishes what a crash cut off. Blocks. */
int raft_load_log(struct raft_node *node, struct error *e);

int raft_load_make_dir(const char *dir, struct error *e);
void raft_load_free(struct raft_loaded *loaded);
bool raft_load_is_pristine(const struct raft_node *node);

/* Durable when it returns 0. Any thread. */
int raft_load_write_meta(struct wal_meta *meta, uint64_t term, uint64_t vote, struct error *e);

/* The same for the node, on the loop; a libraft code. */
int raft_load_store_meta(struct raft_node *node, uint64_t term, uint64_t vote);

/* struct raft_io's. */
int raft_load_all(struct raft_io *io, raft_term *term, raft_id *voted_for,
                  struct raft_snapshot **snapshot, raft_index *start_index,
                  struct raft_entry *entries[], size_t *n_entries);
int raft_load_bootstrap(struct raft_io *io, const struct raft_configuration *conf);
int raft_load_recover(struct raft_io *io, const struct raft_configuration *conf);

#endif
