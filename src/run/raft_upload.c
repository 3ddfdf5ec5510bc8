/* Sender's side of raft_transfer.h. */
#include <inttypes.h>
#include <stddef.h>
#include <stdlib.h>
#include <xxhash.h>

#include "base/log.h"
#include "base/mem.h"
#include "run/raft_codec.h"
#include "run/raft_copy.h"
#include "run/raft_transfer.h"

enum upload_state {
    UPLOAD_COPYING, /* waits for the copy */
    UPLOAD_ASKING,  /* said SnapshotBegin, waits for the receiver's offset */
    UPLOAD_SENDING,
    UPLOAD_FAILED, /* stays for RAFT_TRANSFER_RETRY_MS */
};

struct raft_upload {
    LIST_ENTRY(raft_upload) entry;
    struct raft_node *node;
    enum upload_state state;
    uint64_t server_id;
    struct raft_io_send *req;
    struct raft_copy *copy;
    struct raft_copy_user user;
    Wire__SnapshotBegin begin;
    uint64_t acked; /* bytes that the receiver has */
    uint64_t next;  /* offset of the next chunk */
    int64_t moved_ms;
    struct loop_timer timer;

    bool reading;
    uint8_t *chunk; /* being read */
    size_t chunk_len;
    uint64_t chunk_offset;
    int chunk_code;
};

static struct raft_upload *find(const struct raft_node *node, uint64_t server_id)
{
    struct raft_upload *u;
    LIST_FOREACH (u, &node->uploads, entry)
        if (u->server_id == server_id)
            return u;
    return NULL;
}

bool raft_upload_is_any(const struct raft_node *node)
{
    struct raft_upload *u;
    LIST_FOREACH (u, &node->uploads, entry)
        if (u->state != UPLOAD_FAILED)
            return true;
    return false;
}

static int64_t now_ms(const struct raft_upload *u)
{
    return loop_now_ms(u->node->options.loop);
}

static void free_upload(struct raft_upload *u)
{
    loop_timer_stop(&u->timer);
    raft_copy_release(u->copy, &u->user);
    wire__raft_configuration__free_unpacked(u->begin.configuration, NULL);
    free(u->chunk);
    LIST_REMOVE(u, entry);
    raft_node_release(u->node);
    free(u);
}

static void answer(struct raft_upload *u, int status)
{
    if (u->req != NULL)
        raft_node_defer_send(u->node, u->req, status);
    u->req = NULL;
}

/* Ends a transfer; one that failed lingers so that the next attempt has to wait. While a chunk is
 * being read the upload stays until that is back. */
static void end(struct raft_upload *u, int status)
{
    answer(u, status);
    u->state = UPLOAD_FAILED;
    loop_timer_stop(&u->timer);
    if (u->reading)
        return;
    if (status == 0 || u->node->closing)
        free_upload(u);
    else
        loop_timer_start(&u->timer, RAFT_TRANSFER_RETRY_MS);
}

static void give_up(struct raft_upload *u, int code, const char *why)
{
    log_info(LOG_ABOUT(.role = "metadata", .code = code),
             "snapshot for server %" PRIu64 " not delivered: %s", u->server_id, why);
    end(u, RAFT_NOCONNECTION);
}

/* ---- chunks -----------------------------------------------------------------------------------
 */

static void ask(struct raft_upload *u)
{
    u->state = UPLOAD_ASKING;
    Wire__RaftMessage message;
    wire__raft_message__init(&message);
    message.kind_case = WIRE__RAFT_MESSAGE__KIND_SNAPSHOT_BEGIN;
    message.snapshot_begin = &u->begin;
    (void)raft_node_transmit(u->node, u->server_id, &message);
}

static int send_chunk(struct raft_upload *u)
{
    Wire__SnapshotChunk chunk;
    wire__snapshot_chunk__init(&chunk);
    chunk.transfer = u->begin.transfer;
    chunk.offset = u->chunk_offset;
    chunk.checksum = XXH3_64bits(u->chunk, u->chunk_len);
    chunk.data.data = u->chunk;
    chunk.data.len = u->chunk_len;
    Wire__RaftMessage message;
    wire__raft_message__init(&message);
    message.kind_case = WIRE__RAFT_MESSAGE__KIND_SNAPSHOT_CHUNK;
    message.snapshot_chunk = &chunk;
    return raft_node_transmit(u->node, u->server_id, &message);
}

static void read_chunk(void *arg)
{
    struct raft_upload *u = arg;
    u->chunk_code = raft_copy_read(u->copy, u->chunk, u->chunk_len, u->chunk_offset);
}

static void pump(struct raft_upload *u);

static void on_chunk_read(void *arg, int code)
{
    struct raft_upload *u = arg;
    u->reading = false;
    if (u->state == UPLOAD_FAILED) {
        end(u, u->node->closing ? 0 : RAFT_NOCONNECTION);
        return;
    }
    if (code < 0 || u->chunk_code < 0) {
        give_up(u, code < 0 ? code : u->chunk_code, "its copy cannot be read");
        return;
    }
    bool is_wanted = u->state == UPLOAD_SENDING && u->chunk_offset == u->next;
    if (is_wanted && !raft_node_is_silent(u->node) && send_chunk(u) == 0)
        u->next += u->chunk_len;
    else if (is_wanted)
        u->state = UPLOAD_ASKING; /* the link is full or down: the timer asks again */
    pump(u);
}

static void pump(struct raft_upload *u)
{
    if (u->state != UPLOAD_SENDING || u->reading || u->next >= u->begin.size ||
        u->next - u->acked >= RAFT_TRANSFER_WINDOW_BYTES)
        return;
    if (u->chunk == NULL)
        u->chunk = mem_alloc(RAFT_IO_CHUNK_BYTES);
    uint64_t left = u->begin.size - u->next;
    u->chunk_offset = u->next;
    u->chunk_len = left < RAFT_IO_CHUNK_BYTES ? (size_t)left : RAFT_IO_CHUNK_BYTES;
    u->reading = true;
    (void)loop_work(u->node->options.loop, read_chunk, on_chunk_read, u);
}

/* ---- life of a transfer ------------------------------------------------------------------------
 */

static bool still_leads(const struct raft_upload *u)
{
    const struct raft *raft = raft_node_raft(u->node);
    return raft->state == RAFT_LEADER && raft->current_term == u->begin.term;
}

static void on_timer(void *arg)
{
    struct raft_upload *u = arg;
    if (u->state == UPLOAD_FAILED) {
        free_upload(u);
        return;
    }
    loop_timer_start(&u->timer, RAFT_TRANSFER_POLL_MS);
    if (!still_leads(u)) {
        give_up(u, ERR_NOT_LEADER, "this node lost the lead");
        return;
    }
    if (u->state == UPLOAD_COPYING)
        return;
    int64_t silent_ms = now_ms(u) - u->moved_ms;
    if (silent_ms >= RAFT_TRANSFER_GIVE_UP_MS)
        give_up(u, ERR_TIMEOUT, "the receiver is silent");
    else if (u->state == UPLOAD_ASKING || silent_ms >= RAFT_TRANSFER_RESUME_MS)
        ask(u);
}

static void on_copied(struct raft_copy_user *user, int code)
{
    struct raft_upload *u =
        (struct raft_upload *)((char *)user - offsetof(struct raft_upload, user));
    if (u->state != UPLOAD_COPYING)
        return;
    if (code < 0) {
        give_up(u, code, "no copy of the state could be made");
        return;
    }
    u->begin.transfer = raft_copy_id(u->copy);
    u->begin.size = raft_copy_size(u->copy);
    u->begin.checksum = raft_copy_checksum(u->copy);
    u->moved_ms = now_ms(u);
    ask(u);
}

static void start(struct raft_node *node, struct raft_io_send *req,
                  const struct raft_message *message)
{
    const struct raft_install_snapshot *args = &message->install_snapshot;
    struct raft_upload *u = mem_zalloc(sizeof *u);
    u->node = node;
    u->server_id = message->server_id;
    u->req = req;
    wire__snapshot_begin__init(&u->begin);
    u->begin.term = args->term;
    u->begin.last_index = args->last_index;
    u->begin.last_term = args->last_term;
    u->begin.configuration_index = args->conf_index;
    u->begin.configuration = raft_codec_from_configuration(&args->conf);
    u->state = UPLOAD_COPYING;
    u->moved_ms = now_ms(u);
    loop_timer_init(&u->timer, node->options.loop, on_timer, u);
    loop_timer_start(&u->timer, RAFT_TRANSFER_POLL_MS);
    LIST_INSERT_HEAD(&node->uploads, u, entry);
    raft_node_hold(node);
    u->user.ready = on_copied;
    u->copy = raft_copy_acquire(node, args->last_index, &u->user);
}

/* libraft asks again when its own time limit ran out, or when an empty AppendEntries was refused. A
 * transfer under way goes on for the newer request, even if a newer snapshot was taken meanwhile:
 * to begin anew each time might never come to an end. */
void raft_upload_send(struct raft_node *node, struct raft_io_send *req,
                      const struct raft_message *message)
{
    const struct raft_install_snapshot *args = &message->install_snapshot;
    struct raft_upload *u = find(node, message->server_id);
    if (u == NULL) {
        start(node, req, message);
    } else if (u->state == UPLOAD_FAILED) {
        raft_node_defer_send(node, req, RAFT_NOCONNECTION);
    } else if (u->begin.term == args->term) {
        answer(u, 0);
        u->req = req;
    } else {
        give_up(u, ERR_CANCELLED, "it was begun in an earlier term");
        raft_node_defer_send(node, req, RAFT_NOCONNECTION);
    }
}

void raft_upload_receive(struct raft_node *node, uint64_t from, const Wire__SnapshotProgress *m)
{
    struct raft_upload *u = find(node, from);
    if (u == NULL || (u->state != UPLOAD_ASKING && u->state != UPLOAD_SENDING) ||
        m->transfer != u->begin.transfer || m->offset > u->begin.size)
        return;
    if (m->code != 0) {
        give_up(u, m->code < 0 ? m->code : ERR_PROTOCOL, m->reason);
        return;
    }
    if (m->complete) {
        end(u, 0);
        return;
    }
    if (m->resend) {
        u->state = UPLOAD_SENDING;
        u->next = m->offset;
        u->acked = m->offset;
    } else if (m->offset > u->acked && m->offset <= u->next) {
        u->acked = m->offset;
    }
    u->moved_ms = now_ms(u);
    pump(u);
}

void raft_upload_close(struct raft_node *node)
{
    struct raft_upload *u = LIST_FIRST(&node->uploads);
    while (u != NULL) {
        struct raft_upload *after = LIST_NEXT(u, entry);
        end(u, RAFT_CANCELED);
        u = after;
    }
    raft_copy_close(node);
}
