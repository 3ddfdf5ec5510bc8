/* Snapshot files on their way between servers.
 *
 * Happy path: libraft sends InstallSnapshot; the owner makes a consistent copy of its state, once
 * for all receivers; its checksum is taken; SnapshotBegin announces it; the receiver answers from
 * where it wants it; chunks follow, a window of them ahead of the receiver's acknowledgements, read
 * one at a time off the loop; the receiver writes them to a file, checks the whole, syncs it, and
 * hands libraft an InstallSnapshot whose data names the file.
 *
 * How it fails: a chunk that the link doesn't take, or silence for RESUME_MS, makes the sender ask
 * again where to go on, so that a link that came back continues the transfer; silence for
 * GIVE_UP_MS, a refusal, or the loss of the lead ends it, and libraft starts over. A sender whose
 * transfer failed refuses a next one to the same server for RETRY_MS. libraft, which knows nothing
 * of the progress, asks for the snapshot again after INSTALL_MS: a transfer under way goes on for
 * the new request, and a receiver that has the snapshot by then says so without the file. None of
 * this keeps libraft or the log waiting, and a newer snapshot may be taken meanwhile. */
#ifndef RUN_RAFT_TRANSFER_H
#define RUN_RAFT_TRANSFER_H

#include "run/raft_node.h"

enum {
    RAFT_TRANSFER_WINDOW_BYTES = 4 * RAFT_IO_CHUNK_BYTES,
    RAFT_TRANSFER_RESUME_MS = 1000,
    RAFT_TRANSFER_GIVE_UP_MS = 10000,
    RAFT_TRANSFER_RETRY_MS = 1000,
    RAFT_TRANSFER_POLL_MS = 200,
    RAFT_TRANSFER_INSTALL_MS =
        5000, /* libraft's own limit, for what was delivered and not answered */
    RAFT_TRANSFER_IDLE_MS = 60000, /* after which an unused copy or download is removed */
};

#define RAFT_TRANSFER_COPY     "snapshot-copy-"
#define RAFT_TRANSFER_INCOMING "snapshot-incoming-"

/* ---- sender -----------------------------------------------------------------------------------
 */

/* Starts or goes on with sending the snapshot in `message`; `req` gets its callback later. */
void raft_upload_send(struct raft_node *node, struct raft_io_send *req,
                      const struct raft_message *message);
void raft_upload_receive(struct raft_node *node, uint64_t from, const Wire__SnapshotProgress *m);
bool raft_upload_is_any(const struct raft_node *node);
void raft_upload_close(struct raft_node *node);

/* ---- receiver ---------------------------------------------------------------------------------
 */

int raft_download_begin(struct raft_node *node, uint64_t from, const Wire__SnapshotBegin *m);
int raft_download_chunk(struct raft_node *node, uint64_t from, const Wire__SnapshotChunk *m);

/* A snapshot was stored: one that waited for it can be handed in. */
void raft_download_wake(struct raft_node *node);

/* What was handed in could not be stored: it has to come again. */
void raft_download_forget(struct raft_node *node);

/* Removes what has not moved for long. */
void raft_download_tick(struct raft_node *node);
void raft_download_close(struct raft_node *node);

/* Removes files of transfers that ended with an earlier process, except `keep`. */
void raft_transfer_sweep(const char *dir, const char *keep);

#endif
