#include "run/raft_put.h"

#include <assert.h>
#include <string.h>

#include "base/log.h"
#include "run/raft_transfer.h"

enum { RETRY_MS = 1000 };

static struct raft_put *put_of(struct raft_node *node)
{
    return &node->put;
}

/* libraft's callback may ask for the next snapshot: nothing of this one is touched after it. */
static void end(struct raft_node *node, int status)
{
    struct raft_put *put = put_of(node);
    struct raft_io_snapshot_put *req = put->req;
    put->req = NULL;
    raft_record_done(&put->record);
    if (status != 0 && put->install && !node->closing)
        raft_download_forget(node);
    req->cb(req, status);
    raft_download_wake(node);
    raft_node_release(node);
}

static void fail(struct raft_node *node, int status)
{
    struct raft_put *put = put_of(node);
    put->status = status;
    if (node->closing)
        end(node, RAFT_CANCELED);
    else
        loop_timer_start(&put->retry, RETRY_MS);
}

static void on_retry(void *arg)
{
    struct raft_node *node = arg;
    end(node, put_of(node)->status);
}

/* The log begins behind the snapshot. */
static void on_reset(struct wal_req *req, int status)
{
    struct raft_node *node = req->data;
    if (status != 0)
        fail(node, RAFT_IOERR);
    else
        end(node, node->closing ? RAFT_CANCELED : 0);
}

static void replace_record(struct raft_node *node)
{
    struct raft_put *put = put_of(node);
    raft_record_done(&node->record);
    node->record = put->record;
    raft_record_init(&put->record);
    node->log_bytes -= put->log_bytes_mark;
}

static void store_record(void *arg)
{
    struct raft_node *node = arg;
    struct raft_put *put = put_of(node);
    put->status = raft_record_store(&put->record, node->record_path, &put->error);
}

static void on_record_stored(void *arg, int code)
{
    struct raft_node *node = arg;
    struct raft_put *put = put_of(node);
    if (code < 0 || put->status < 0) {
        if (code == 0)
            log_warn(LOG_ABOUT(.role = "metadata", .code = put->status), "snapshot: %s",
                     put->error.text);
        fail(node, RAFT_IOERR);
        return;
    }
    replace_record(node);
    uint64_t index = node->record.index;
    if (put->install) {
        put->reset.data = node;
        if (node->closing || wal_reset(node->wal, &put->reset, index + 1, on_reset) != 0)
            fail(node, RAFT_IOERR);
        return;
    }
    if (!node->closing && index > node->record.trailing)
        (void)wal_trim(node->wal, index - node->record.trailing); /* fails with the log only */
    end(node, node->closing ? RAFT_CANCELED : 0);
}

static void on_persisted(struct raft_io_done *done, int status)
{
    struct raft_put *put = (struct raft_put *)((char *)done - offsetof(struct raft_put, persisted));
    struct raft_node *node = put->node;
    if (status < 0 || node->closing)
        fail(node, RAFT_IOERR);
    else
        (void)loop_work(node->options.loop, store_record, on_record_stored, node);
}

void raft_put_init(struct raft_node *node)
{
    struct raft_put *put = put_of(node);
    put->node = node;
    put->persisted.cb = on_persisted;
    raft_record_init(&put->record);
    loop_timer_init(&put->retry, node->options.loop, on_retry, node);
}

/* Name of the received file that the snapshot's descriptor points to, NULL when it points to none.
 */
static const char *find_file_name(const struct raft_snapshot *snapshot,
                                  struct raft_io_descriptor *descriptor)
{
    if (snapshot->n_bufs != 1 || raft_io_descriptor_parse(&snapshot->bufs[0], descriptor) < 0)
        return NULL;
    const char *slash = strrchr(descriptor->path, '/');
    return slash != NULL ? slash + 1 : NULL;
}

int raft_put_snapshot(struct raft_io *io, unsigned trailing, struct raft_io_snapshot_put *req,
                      const struct raft_snapshot *snapshot, raft_io_snapshot_put_cb cb)
{
    struct raft_node *node = raft_node_of(io);
    struct raft_put *put = put_of(node);
    struct raft_io_descriptor descriptor;
    const char *file_name = find_file_name(snapshot, &descriptor);
    assert(put->req == NULL && !node->closing);
    int rv = raft_record_from_snapshot(&put->record, snapshot, trailing,
                                       file_name != NULL ? file_name : "");
    if (rv != 0)
        return rv;
    req->cb = cb;
    put->req = req;
    put->status = 0;
    put->install = file_name != NULL;
    put->log_bytes_mark = node->log_bytes;
    raft_node_hold(node);
    if (put->install)
        (void)loop_work(node->options.loop, store_record, on_record_stored, node);
    else
        node->options.snapshots.persist(node->options.snapshots.arg, snapshot->index,
                                        &put->persisted);
    return 0;
}

void raft_put_close(struct raft_node *node)
{
    struct raft_put *put = put_of(node);
    if (put->req != NULL && loop_timer_is_running(&put->retry)) {
        loop_timer_stop(&put->retry);
        end(node, RAFT_CANCELED);
    }
}
