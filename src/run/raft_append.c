/* Entries on their way to the log. libraft keeps their memory until the callback.
 *
 * When the log fails, the callbacks of what failed with it wait for raft_close(): libraft 0.15
 * would take the entries off its own log at a failed callback, although followers may have them
 * already, and goes on to lead. Once it is closed it ignores the status; it gets 0, because the
 * other path truncates a log that may not have the entries any more. */
#include "run/raft_append.h"

#include <assert.h>
#include <stdlib.h>

#include "base/mem.h"
#include "run/raft_node.h"

enum { ENTRY_OVERHEAD_BYTES = 64 }; /* of libraft, about */

struct raft_append {
    STAILQ_ENTRY(raft_append) entry;
    struct raft_node *node;
    struct raft_io_append *req;
    struct wal_req wal_req;
    struct wal_record records[];
};

static void end(struct raft_append *append)
{
    struct raft_io_append *req = append->req;
    free(append);
    req->cb(req, 0);
}

static void on_written(struct wal_req *req, int status)
{
    struct raft_append *append = req->data;
    if (status != 0)
        STAILQ_INSERT_TAIL(&append->node->failed_appends, append, entry);
    else
        end(append);
}

void raft_append_end_failed(struct raft_node *node)
{
    assert(node->closing);
    struct raft_append *append;
    while ((append = STAILQ_FIRST(&node->failed_appends)) != NULL) {
        STAILQ_REMOVE_HEAD(&node->failed_appends, entry);
        end(append);
    }
}

static int fill(struct raft_append *append, const struct raft_entry entries[], unsigned n,
                uint64_t *bytes)
{
    uint64_t index = wal_last_index(append->node->wal) + 1;
    *bytes = 0;
    for (unsigned i = 0; i < n; i++) {
        if (entries[i].buf.len > RAFT_IO_ENTRY_BYTES_MAX)
            return ERR_TOO_LARGE;
        append->records[i] = (struct wal_record){
            .index = index + i,
            .term = entries[i].term,
            .type = entries[i].type,
            .len = (uint32_t)entries[i].buf.len,
            .data = entries[i].buf.base,
        };
        *bytes += entries[i].buf.len + ENTRY_OVERHEAD_BYTES;
    }
    return 0;
}

int raft_append_submit(struct raft_io *io, struct raft_io_append *req,
                       const struct raft_entry entries[], unsigned n, raft_io_append_cb cb)
{
    struct raft_node *node = raft_node_of(io);
    assert(n > 0);
    if (node->failed || node->closing)
        return RAFT_IOERR;
    if (node->put.req != NULL && node->put.install)
        return RAFT_BUSY; /* the log is about to be replaced */
    struct raft_append *append = mem_alloc(sizeof *append + n * sizeof append->records[0]);
    append->node = node;
    append->req = req;
    append->wal_req.data = append;
    req->cb = cb;
    uint64_t bytes;
    int rc = fill(append, entries, n, &bytes);
    if (rc == 0)
        rc = wal_append(node->wal, &append->wal_req, append->records, n, on_written);
    if (rc < 0) {
        free(append);
        return raft_node_status(node, rc, NULL);
    }
    node->log_bytes += bytes;
    return 0;
}

uint64_t raft_append_bytes(uint32_t len)
{
    return (uint64_t)len + ENTRY_OVERHEAD_BYTES;
}
