#include "run/raft_message.h"

#include "run/raft_codec.h"
#include "run/raft_term.h"
#include "run/raft_transfer.h"

enum { PROGRESS_PROBE = 0 }; /* of struct raft_progress; libraft's header doesn't name it */

/* ---- sending -----------------------------------------------------------------------------------
 */

int raft_node_transmit(struct raft_node *node, uint64_t server_id, const Wire__RaftMessage *message)
{
    return node->options.transport.send(node->options.transport.arg, server_id, message);
}

static struct raft_progress *find_progress(const struct raft_node *node, uint64_t server_id)
{
    const struct raft *raft = raft_node_raft(node);
    if (raft->state != RAFT_LEADER)
        return NULL;
    for (unsigned i = 0; i < raft->configuration.n; i++)
        if (raft->configuration.servers[i].id == server_id)
            return &raft->leader_state.progress[i];
    return NULL;
}

/* Number of entries from `begin` on that fit into one message. */
static unsigned count_fitting(const struct raft_append_entries *args, unsigned begin)
{
    size_t bytes = 0;
    unsigned end = begin;
    while (end < args->n_entries) {
        bytes += args->entries[end].buf.len + sizeof(Wire__RaftEntry);
        if (end > begin && bytes > RAFT_IO_MESSAGE_BYTES_MAX)
            break;
        end++;
    }
    return end - begin;
}

static int send_some_entries(struct raft_node *node, const struct raft_message *message,
                             unsigned begin, unsigned count)
{
    const struct raft_append_entries *args = &message->append_entries;
    struct raft_codec_entries entries;
    raft_codec_entries_init(&entries, args->entries + begin, count);
    Wire__RaftAppendEntries body;
    wire__raft_append_entries__init(&body);
    body.term = args->term;
    body.prev_log_index = args->prev_log_index + begin;
    body.prev_log_term = begin > 0 ? args->entries[begin - 1].term : args->prev_log_term;
    body.leader_commit = args->leader_commit;
    body.n_entries = count;
    body.entries = entries.pointers;
    Wire__RaftMessage wire;
    wire__raft_message__init(&wire);
    wire.kind_case = WIRE__RAFT_MESSAGE__KIND_APPEND_ENTRIES;
    wire.append_entries = &body;
    int rc = raft_node_transmit(node, message->server_id, &wire);
    raft_codec_entries_done(&entries);
    return rc;
}

/* libraft puts all that a follower lacks into one message. It leaves as several; to a server that
 * is being probed only the first, the rest follows its answer. */
static int send_entries(struct raft_node *node, const struct raft_message *message)
{
    const struct raft_append_entries *args = &message->append_entries;
    const struct raft_progress *progress = find_progress(node, message->server_id);
    bool probing = progress != NULL && progress->state == PROGRESS_PROBE;
    unsigned begin = 0;
    do {
        unsigned count = count_fitting(args, begin);
        int rc = send_some_entries(node, message, begin, count);
        if (rc < 0)
            return rc;
        begin += count;
    } while (begin < args->n_entries && !probing);
    return 0;
}

/* libraft 0.15 reports a snapshot as installed to the leader that it followed, also when it has
 * become a candidate or leader since: then another member of the union with that leader's id is in
 * its place. */
static bool names_nobody(const struct raft *raft, const struct raft_message *message)
{
    return message->type == RAFT_IO_APPEND_ENTRIES_RESULT && raft->state != RAFT_FOLLOWER &&
           message->server_id == raft->follower_state.current_leader.id;
}

/* Never fails at once: libraft 0.15 frees the entries of a message twice when the answer to it
 * cannot be sent. */
int raft_message_send(struct raft_io *io, struct raft_io_send *req,
                      const struct raft_message *message, raft_io_send_cb cb)
{
    struct raft_node *node = raft_node_of(io);
    req->cb = cb;
    if (node->closing || raft_node_is_silent(node) || names_nobody(raft_node_raft(node), message)) {
        raft_node_defer_send(node, req, RAFT_NOCONNECTION);
        return 0;
    }
    int rc;
    if (message->type == RAFT_IO_INSTALL_SNAPSHOT) {
        raft_upload_send(node, req, message);
        return 0;
    }
    if (message->type == RAFT_IO_APPEND_ENTRIES) {
        rc = send_entries(node, message);
    } else {
        union raft_codec_body body;
        Wire__RaftMessage wire;
        raft_codec_encode(message, &body, &wire);
        rc = raft_node_transmit(node, message->server_id, &wire);
    }
    raft_node_defer_send(node, req, rc == 0 ? 0 : RAFT_NOCONNECTION);
    return 0;
}

/* ---- receiving ---------------------------------------------------------------------------------
 */

const char *raft_node_address(const struct raft_node *node, uint64_t server_id)
{
    const struct raft_configuration *conf = &raft_node_raft(node)->configuration;
    for (unsigned i = 0; i < conf->n; i++)
        if (conf->servers[i].id == server_id)
            return conf->servers[i].address;
    return "";
}

void raft_node_deliver(struct raft_node *node, struct raft_message *message)
{
    node->recv(node->io, message);
    raft_node_check_alive(node);
}

/* A server that lost its files comes back with a shorter log than it once reported. libraft takes
 * its refusals for old ones as long as it believes in the entries reported, so it is told to forget
 * them: counting a server for less than it has is always safe. */
static void forget_lost_entries(struct raft_node *node, uint64_t from_id,
                                const struct raft_append_entries_result *result)
{
    struct raft_progress *progress = find_progress(node, from_id);
    if (progress != NULL && result->rejected > 0 &&
        result->term == raft_node_raft(node)->current_term &&
        result->last_log_index < progress->match_index)
        progress->match_index = result->last_log_index;
}

void raft_message_deliver(struct raft_node *node, uint64_t from_id, const Wire__RaftMessage *wire)
{
    if (raft_term_hold(node, from_id, wire))
        return;
    if (wire->kind_case == WIRE__RAFT_MESSAGE__KIND_APPEND_ENTRIES &&
        wire->append_entries->n_entries > 0 && !raft_node_is_full(node) &&
        wal_bytes_in_flight(node->wal) > RAFT_IO_IN_FLIGHT_BYTES_MAX)
        return;
    Wire__RaftMessage heartbeat = *wire;
    Wire__RaftAppendEntries empty;
    if (wire->kind_case == WIRE__RAFT_MESSAGE__KIND_APPEND_ENTRIES && raft_node_is_full(node)) {
        empty = *wire->append_entries; /* heard, and answered with what is stored */
        empty.n_entries = 0;
        empty.entries = NULL;
        heartbeat.append_entries = &empty;
    }
    struct raft_message message;
    raft_codec_decode(&heartbeat, &message);
    message.server_id = from_id;
    message.server_address = raft_node_address(node, from_id);
    if (message.type == RAFT_IO_APPEND_ENTRIES_RESULT)
        forget_lost_entries(node, from_id, &message.append_entries_result);
    raft_node_deliver(node, &message);
}

int raft_io_receive(struct raft_io *io, uint64_t from_id, const Wire__RaftMessage *message)
{
    struct raft_node *node = raft_node_of(io);
    if (from_id == 0 || message->kind_case == WIRE__RAFT_MESSAGE__KIND__NOT_SET)
        return ERR_PROTOCOL;
    if (node->closing || node->recv == NULL || raft_node_is_silent(node))
        return 0;
    switch (message->kind_case) {
    case WIRE__RAFT_MESSAGE__KIND_SNAPSHOT_BEGIN:
        return raft_download_begin(node, from_id, message->snapshot_begin);
    case WIRE__RAFT_MESSAGE__KIND_SNAPSHOT_CHUNK:
        return raft_download_chunk(node, from_id, message->snapshot_chunk);
    case WIRE__RAFT_MESSAGE__KIND_SNAPSHOT_PROGRESS:
        raft_upload_receive(node, from_id, message->snapshot_progress);
        return 0;
    default:
        break;
    }
    int rc = raft_codec_check(message);
    if (rc == 0)
        raft_message_deliver(node, from_id, message);
    return rc;
}
