/* What the files of raft_io share. Not for others. */
#ifndef RUN_RAFT_NODE_H
#define RUN_RAFT_NODE_H

#include <raft.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "base/error.h"
#include "base/prng.h"
#include "run/loop.h"
#include "run/raft_io.h"
#include "run/raft_record.h"
#include "run/wal.h"
#include "run/wal_meta.h"

/* Callbacks of libraft must not run inside the call they belong to: they wait for the turn's end.
 */
struct raft_deferred {
    struct raft_io_send *send; /* one of the two */
    struct raft_io_snapshot_get *get;
    int status;
};

struct raft_deferred_list {
    struct raft_deferred *items;
    size_t count;
    size_t cap;
};

/* The one snapshot that is being stored: taken here, or received. */
struct raft_put {
    struct raft_node *node;
    struct raft_io_snapshot_put *req; /* NULL: none */
    struct raft_record record;
    bool install; /* it replaces the log */
    int status;   /* for `req` */
    struct error error;
    uint64_t log_bytes_mark;
    struct raft_io_done persisted;
    struct wal_req reset;
    struct loop_timer retry;
};

/* Entries that the start found, until libraft asks for them. */
struct raft_loaded {
    struct raft_entry *entries;
    size_t count;
    size_t cap;
    uint64_t term;            /* of the last */
    uint64_t malformed_index; /* 0: none is */
};

/* A term and vote on their way to the disk, and the messages that wait for them. */
struct raft_held;
struct raft_storing {
    bool busy;
    uint64_t term;
    uint64_t vote;
    int64_t since_ms;
    int code;
    struct error error;
    STAILQ_HEAD(, raft_held) held;
    unsigned held_count;
};

struct raft_upload;
struct raft_copy;
struct raft_download;

struct raft_node {
    struct raft_io *io;
    struct raft_io_options options;
    char *dir;
    uint64_t id;

    struct wal *wal;
    struct wal_meta *meta;
    uint64_t term; /* as stored */
    uint64_t vote;
    struct raft_storing storing;
    struct raft_record record; /* of the last snapshot */
    char *record_path;
    uint64_t log_bytes; /* of entries behind it */
    struct raft_put put;
    struct raft_loaded loaded;

    struct loop_timer tick_timer;
    int64_t tick_ms;
    raft_io_tick_cb tick;
    raft_io_recv_cb recv; /* NULL before the start */
    struct prng prng;

    struct loop_hook hook;
    struct raft_deferred_list deferred;

    LIST_HEAD(, raft_upload) uploads;
    struct raft_copy *copy; /* the newest; NULL: none */
    struct raft_download *download;

    bool failed;
    unsigned pending; /* operations that hold the node */
    raft_io_close_cb close_cb;
    bool closing;

    /* Appends that failed: libraft gets them back when it is closed (see raft_append.c). */
    STAILQ_HEAD(, raft_append) failed_appends;
};

static inline struct raft_node *raft_node_of(const struct raft_io *io)
{
    return io->impl;
}

/* The libraft instance behind the I/O. */
static inline struct raft *raft_node_raft(const struct raft_node *node)
{
    return node->io->data;
}

void raft_node_defer_send(struct raft_node *node, struct raft_io_send *req, int status);

/* Notes the first failure, tells the owner, and silences the node. */
void raft_node_fail(struct raft_node *node, const struct error *e);

/* A code of ours as one of libraft's, its text into io->errmsg. */
int raft_node_status(struct raft_node *node, int code, const struct error *e);

bool raft_node_is_full(const struct raft_node *node);
bool raft_node_is_silent(const struct raft_node *node);

/* Operations that end later hold the node; the last release after a close ends it. */
void raft_node_hold(struct raft_node *node);
void raft_node_release(struct raft_node *node);

/* libraft gives up by itself on errors that it cannot handle, and has no callback for that. */
void raft_node_check_alive(struct raft_node *node);

int raft_node_transmit(struct raft_node *node, uint64_t server_id,
                       const Wire__RaftMessage *message);

/* Hands a message to libraft and notices if that stopped it. */
void raft_node_deliver(struct raft_node *node, struct raft_message *message);

/* The address of a server in the current configuration, "" if it has none. */
const char *raft_node_address(const struct raft_node *node, uint64_t server_id);

#endif
