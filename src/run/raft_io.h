/* libraft's `struct raft_io` (version 2) on our log, links and files.
 *
 * Happy path: entries go to a write-ahead log (run/wal.h) in `dir`, term and vote to a small file
 * beside it, messages as wire.RaftMessage to the transport that the owner gives. A snapshot is the
 * owner's state file: what libraft carries as snapshot data is only a descriptor, the file itself
 * travels in chunks (run/raft_transfer.h).
 *
 * How it fails:
 * - A write of the log, or of term and vote, takes longer than the election timeout: the node falls
 *   silent. It sends nothing and drops what it receives, so that a leader with a hanging disk loses
 * the lead and a follower with one grants no votes; it goes on when the disk does. The loop never
 * waits for the disk, except at the open.
 * - A write of the log fails: the node falls silent for good and `on_failed` tells the owner, who
 *   closes raft. Requests that were outstanding end as "leadership lost": their outcome is unknown.
 * - The disk is nearly full: `on_reserve` tells the owner, who should hand over the lead and refuse
 *   changes.
 * - The disk is full and the log's last segment too: a follower takes what the leader sends as mere
 *   heartbeats, so that it knows its leader and may vote, but stores nothing and does not stand for
 *   election; a leader falls silent, and loses the lead. Both go on when there is room.
 * - A message cannot be sent: it is dropped, libraft asks again.
 * - More log arrives than the disk takes: AppendEntries are dropped above the bound in flight.
 *
 * All functions and callbacks belong to the loop's thread. */
#ifndef RUN_RAFT_IO_H
#define RUN_RAFT_IO_H

#include <raft.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "run/loop.h"
#include "run/wal.h"
#include "wire/raft.pb-c.h"

enum {
    RAFT_IO_PATH_MAX = 512,
    RAFT_IO_ENTRY_BYTES_MAX = 7 << 20,      /* of one entry; fits into a frame of a link */
    RAFT_IO_MESSAGE_BYTES_MAX = 1 << 20,    /* of one message, unless a single entry is larger */
    RAFT_IO_CHUNK_BYTES = 256 << 10,        /* of a snapshot file */
    RAFT_IO_IN_FLIGHT_BYTES_MAX = 64 << 20, /* of log on its way to the disk */
};

/* What a snapshot is to the state machine. Each call gets a `done` that must be called exactly
 * once, at once or later, on the loop's thread, with 0 or a negative code. */
struct raft_io_done {
    void (*cb)(struct raft_io_done *done, int status);
};

struct raft_io_snapshots {
    /* Make the state file durable at `index` or later. */
    void (*persist)(void *arg, uint64_t index, struct raft_io_done *done);
    /* Write a consistent copy of the state, at `index` or later, to the new file `path` and sync
     * it. `path` stays valid until the answer. */
    void (*copy)(void *arg, uint64_t index, const char *path, struct raft_io_done *done);
    void *arg;
};

struct raft_io_transport {
    /* Sends `message` (borrowed) to a server; fire and forget. 0 when the link took it, else a
     * negative code (ERR_UNAVAILABLE, ERR_BUSY) and it is dropped. Must not call back. */
    int (*send)(void *arg, uint64_t server_id, const Wire__RaftMessage *message);
    void *arg;
};

struct raft_io_options {
    struct loop *loop;
    const char *dir; /* exists; the log, the snapshot's description and files received live here */
    unsigned election_timeout_ms;
    struct raft_io_transport transport;
    struct raft_io_snapshots snapshots;
    /* The log failed for good (once). Call raft_close(), not from inside this call. */
    void (*on_failed)(void *arg, const struct error *e);
    /* The reserve of disk space is lost (code < 0) or back (0). May be NULL. */
    void (*on_reserve)(void *arg, int code);
    void *arg;
    const struct wal_io *wal_io; /* for tests; NULL: the system's */
    uint32_t segment_bytes;      /* 0: the log's default */
};

/* Opens what is in `dir` and fills `io` for raft_init(). Blocks. `options` is copied, what its
 * pointers point to is not, except `dir`. On failure `io` is untouched, and the loop must turn for
 * what was opened to be closed. */
int raft_io_open(struct raft_io *io, const struct raft_io_options *options, struct error *e);

/* Frees what the open made: after raft_close()'s callback. If raft_init() failed, raft_io_abandon()
 * closes first. */
void raft_io_done(struct raft_io *io);
void raft_io_abandon(struct raft_io *io, raft_io_close_cb cb);

/* Hands in a message from server `from_id`; borrowed. What is malformed gives ERR_PROTOCOL. */
int raft_io_receive(struct raft_io *io, uint64_t from_id, const Wire__RaftMessage *message);

/* ---- the descriptor that libraft carries as a snapshot's data ---------------------------------
 */

struct raft_io_descriptor {
    uint64_t index;              /* of the last entry that the snapshot holds */
    char path[RAFT_IO_PATH_MAX]; /* file received from the leader, "" for the state file at hand */
};

/* For fsm->snapshot: sets bufs and n_bufs to a new descriptor of the state file at hand, owned by
 * libraft as snapshots of fsm version 1 are. Returns a libraft code. */
int raft_io_snapshot_bufs(struct raft_buffer *bufs[], unsigned *n_bufs);

/* For fsm->restore, which then owns and frees buf->base with raft_free().
 *
 * When `path` is not "" and the file exists: put it in the place of the state file (rename it,
 * after removing SQLite's side files of the old one). When it does not exist, that has been done
 * before a restart. When `path` is "": the state file at hand, which is at `index` or later, is the
 * one. */
int raft_io_descriptor_parse(const struct raft_buffer *buf, struct raft_io_descriptor *out);

/* ---- what the owner may want to know ------------------------------------------------------------
 */

/* Bytes of entries in the log behind the last snapshot: what libraft holds in memory, so that the
 * owner can lower raft_set_snapshot_threshold(). */
uint64_t raft_io_log_bytes(const struct raft_io *io);
uint64_t raft_io_torn_bytes(const struct raft_io *io);
uint64_t raft_io_snapshot_index(const struct raft_io *io); /* 0: none */
/* A snapshot is being sent: fsm->snapshot may answer RAFT_BUSY to keep the log that the receiver
 * will need next. */
bool raft_io_is_sending_snapshot(const struct raft_io *io);
/* The node is silent because its disk hangs or failed. */
bool raft_io_is_silent(const struct raft_io *io);
/* The node follows and stores nothing: its disk has no room for the log. */
bool raft_io_is_full(const struct raft_io *io);
/* Nothing has ever been stored: raft_bootstrap() would be taken. */
bool raft_io_is_pristine(const struct raft_io *io);

/* Code of a libraft status (RAFT_NOTLEADER gives ERR_NOT_LEADER, RAFT_LEADERSHIPLOST gives
 * ERR_OUTCOME_UNKNOWN, ...). 0 gives 0. */
int raft_io_code(int raft_status);

#endif
