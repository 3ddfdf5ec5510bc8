#include "run/raft_codec.h"

#include <assert.h>
#include <endian.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/mem.h"

enum { CONFIGURATION_FORMAT = 1 };

_Static_assert((int)WIRE__RAFT_SERVER_ROLE__RAFT_SERVER_STANDBY == RAFT_STANDBY &&
                   (int)WIRE__RAFT_SERVER_ROLE__RAFT_SERVER_VOTER == RAFT_VOTER &&
                   (int)WIRE__RAFT_SERVER_ROLE__RAFT_SERVER_SPARE == RAFT_SPARE,
               "roles have libraft's numbers");
_Static_assert((int)WIRE__RAFT_ENTRY_TYPE__RAFT_ENTRY_COMMAND == RAFT_COMMAND &&
                   (int)WIRE__RAFT_ENTRY_TYPE__RAFT_ENTRY_BARRIER == RAFT_BARRIER &&
                   (int)WIRE__RAFT_ENTRY_TYPE__RAFT_ENTRY_CHANGE == RAFT_CHANGE,
               "entry types have libraft's numbers");
_Static_assert((int)WIRE__RAFT_PRE_VOTE__RAFT_PRE_VOTE_YES == raft_tribool_true &&
                   (int)WIRE__RAFT_PRE_VOTE__RAFT_PRE_VOTE_NO == raft_tribool_false,
               "pre-vote has libraft's numbers");

/* ---- configurations ---------------------------------------------------------------------------
 */

Wire__RaftConfiguration *raft_codec_from_configuration(const struct raft_configuration *from)
{
    Wire__RaftConfiguration *to = mem_alloc(sizeof *to);
    wire__raft_configuration__init(to);
    to->n_servers = from->n;
    to->servers = mem_calloc(from->n > 0 ? from->n : 1, sizeof *to->servers);
    for (unsigned i = 0; i < from->n; i++) {
        Wire__RaftServer *server = mem_alloc(sizeof *server);
        wire__raft_server__init(server);
        server->id = from->servers[i].id;
        server->address = mem_strdup(from->servers[i].address);
        server->role = (Wire__RaftServerRole)from->servers[i].role;
        to->servers[i] = server;
    }
    return to;
}

static bool is_role(int role)
{
    return role == RAFT_STANDBY || role == RAFT_VOTER || role == RAFT_SPARE;
}

int raft_codec_to_configuration(const Wire__RaftConfiguration *from, struct raft_configuration *to)
{
    if (from == NULL)
        return ERR_PROTOCOL;
    for (size_t i = 0; i < from->n_servers; i++) {
        const Wire__RaftServer *server = from->servers[i];
        if (server->id == 0 || !is_role((int)server->role) ||
            raft_configuration_add(to, server->id, server->address, (int)server->role) != 0) {
            raft_configuration_close(to);
            return ERR_PROTOCOL;
        }
    }
    return 0;
}

int raft_codec_copy_configuration(const struct raft_configuration *from,
                                  struct raft_configuration *to)
{
    raft_configuration_init(to);
    for (unsigned i = 0; i < from->n; i++) {
        const struct raft_server *server = &from->servers[i];
        int rv = raft_configuration_add(to, server->id, server->address, server->role);
        if (rv != 0) {
            raft_configuration_close(to);
            return rv;
        }
    }
    return 0;
}

/* Takes `len` bytes off the front of what is left. */
static const uint8_t *take(const uint8_t **at, size_t *left, size_t len)
{
    if (*left < len)
        return NULL;
    const uint8_t *taken = *at;
    *at += len;
    *left -= len;
    return taken;
}

/* u8 format, u64 servers, then each: u64 id, address with its NUL, u8 role; little-endian. */
bool raft_codec_is_configuration(const void *data, size_t len)
{
    const uint8_t *at = data;
    const uint8_t *format = take(&at, &len, 1);
    const uint8_t *count = take(&at, &len, sizeof(uint64_t));
    if (format == NULL || count == NULL || *format != CONFIGURATION_FORMAT)
        return false;
    uint64_t servers;
    memcpy(&servers, count, sizeof servers);
    servers = le64toh(servers);
    for (uint64_t i = 0; i < servers; i++) {
        const uint8_t *id = take(&at, &len, sizeof(uint64_t));
        const uint8_t *end = len > 0 ? memchr(at, 0, len) : NULL;
        if (id == NULL || end == NULL)
            return false;
        take(&at, &len, (size_t)(end - at) + 1);
        const uint8_t *role = take(&at, &len, 1);
        if (role == NULL || !is_role(*role))
            return false;
    }
    return true;
}

/* ---- messages out -----------------------------------------------------------------------------
 */

void raft_codec_entries_init(struct raft_codec_entries *out, const struct raft_entry *entries,
                             unsigned count)
{
    out->entries = mem_calloc(count > 0 ? count : 1, sizeof *out->entries);
    out->pointers = mem_calloc(count > 0 ? count : 1, sizeof *out->pointers);
    for (unsigned i = 0; i < count; i++) {
        Wire__RaftEntry *entry = &out->entries[i];
        wire__raft_entry__init(entry);
        entry->term = entries[i].term;
        entry->type = (Wire__RaftEntryType)entries[i].type;
        entry->data.data = entries[i].buf.base;
        entry->data.len = entries[i].buf.len;
        out->pointers[i] = entry;
    }
}

void raft_codec_entries_done(struct raft_codec_entries *entries)
{
    free(entries->entries);
    free(entries->pointers);
}

static void encode_result(const struct raft_append_entries_result *from,
                          Wire__RaftAppendEntriesResult *to)
{
    wire__raft_append_entries_result__init(to);
    to->term = from->term;
    to->rejected = from->rejected;
    to->last_log_index = from->last_log_index;
}

static void encode_vote(const struct raft_request_vote *from, Wire__RaftRequestVote *to)
{
    wire__raft_request_vote__init(to);
    to->term = from->term;
    to->candidate_id = from->candidate_id;
    to->last_log_index = from->last_log_index;
    to->last_log_term = from->last_log_term;
    to->disrupt_leader = from->disrupt_leader;
    to->pre_vote = from->pre_vote;
}

static void encode_vote_result(const struct raft_request_vote_result *from,
                               Wire__RaftRequestVoteResult *to)
{
    wire__raft_request_vote_result__init(to);
    to->term = from->term;
    to->vote_granted = from->vote_granted;
    to->pre_vote = (Wire__RaftPreVote)from->pre_vote;
}

static void encode_timeout_now(const struct raft_timeout_now *from, Wire__RaftTimeoutNow *to)
{
    wire__raft_timeout_now__init(to);
    to->term = from->term;
    to->last_log_index = from->last_log_index;
    to->last_log_term = from->last_log_term;
}

void raft_codec_encode(const struct raft_message *from, union raft_codec_body *body,
                       Wire__RaftMessage *to)
{
    wire__raft_message__init(to);
    switch (from->type) {
    case RAFT_IO_APPEND_ENTRIES_RESULT:
        encode_result(&from->append_entries_result, &body->append_entries_result);
        to->kind_case = WIRE__RAFT_MESSAGE__KIND_APPEND_ENTRIES_RESULT;
        to->append_entries_result = &body->append_entries_result;
        break;
    case RAFT_IO_REQUEST_VOTE:
        encode_vote(&from->request_vote, &body->request_vote);
        to->kind_case = WIRE__RAFT_MESSAGE__KIND_REQUEST_VOTE;
        to->request_vote = &body->request_vote;
        break;
    case RAFT_IO_REQUEST_VOTE_RESULT:
        encode_vote_result(&from->request_vote_result, &body->request_vote_result);
        to->kind_case = WIRE__RAFT_MESSAGE__KIND_REQUEST_VOTE_RESULT;
        to->request_vote_result = &body->request_vote_result;
        break;
    case RAFT_IO_TIMEOUT_NOW:
        encode_timeout_now(&from->timeout_now, &body->timeout_now);
        to->kind_case = WIRE__RAFT_MESSAGE__KIND_TIMEOUT_NOW;
        to->timeout_now = &body->timeout_now;
        break;
    default:
        assert(!"a kind of its own");
    }
}

/* ---- messages in ------------------------------------------------------------------------------
 */

static bool is_entry(const Wire__RaftEntry *entry)
{
    switch ((int)entry->type) {
    case RAFT_COMMAND:
    case RAFT_BARRIER:
        return entry->term > 0;
    case RAFT_CHANGE:
        return entry->term > 0 && raft_codec_is_configuration(entry->data.data, entry->data.len);
    default:
        return false;
    }
}

static bool is_append(const Wire__RaftAppendEntries *m)
{
    for (size_t i = 0; i < m->n_entries; i++)
        if (!is_entry(m->entries[i]))
            return false;
    return m->term > 0;
}

int raft_codec_check(const Wire__RaftMessage *message)
{
    bool is_good = false;
    switch (message->kind_case) {
    case WIRE__RAFT_MESSAGE__KIND_APPEND_ENTRIES:
        is_good = is_append(message->append_entries);
        break;
    case WIRE__RAFT_MESSAGE__KIND_REQUEST_VOTE:
        is_good = message->request_vote->term > 0 && message->request_vote->candidate_id > 0;
        break;
    case WIRE__RAFT_MESSAGE__KIND_REQUEST_VOTE_RESULT:
        is_good = (unsigned)message->request_vote_result->pre_vote <= raft_tribool_false;
        break;
    case WIRE__RAFT_MESSAGE__KIND_APPEND_ENTRIES_RESULT:
    case WIRE__RAFT_MESSAGE__KIND_TIMEOUT_NOW:
        is_good = true;
        break;
    default:
        break;
    }
    return is_good ? 0 : ERR_PROTOCOL;
}

/* libraft wants all entries of a message in one batch. */
static void decode_entries(const Wire__RaftAppendEntries *from, struct raft_append_entries *to)
{
    to->entries = NULL;
    to->n_entries = 0;
    if (from->n_entries == 0)
        return;
    size_t bytes = 1;
    for (size_t i = 0; i < from->n_entries; i++)
        bytes += from->entries[i]->data.len;
    uint8_t *at = raft_malloc(bytes);
    struct raft_entry *entries = raft_calloc(from->n_entries, sizeof *entries);
    if (at == NULL || entries == NULL)
        abort();
    void *batch = at;
    for (size_t i = 0; i < from->n_entries; i++) {
        const Wire__RaftEntry *entry = from->entries[i];
        entries[i] = (struct raft_entry){
            .term = entry->term,
            .type = (unsigned short)entry->type,
            .buf = {.base = at, .len = entry->data.len},
            .batch = batch,
        };
        if (entry->data.len > 0)
            memcpy(at, entry->data.data, entry->data.len);
        at += entry->data.len;
    }
    to->entries = entries;
    to->n_entries = (unsigned)from->n_entries;
}

static void decode_append(const Wire__RaftAppendEntries *from, struct raft_append_entries *to)
{
    to->term = from->term;
    to->prev_log_index = from->prev_log_index;
    to->prev_log_term = from->prev_log_term;
    to->leader_commit = from->leader_commit;
    decode_entries(from, to);
}

static void decode_vote(const Wire__RaftRequestVote *from, struct raft_request_vote *to)
{
    to->term = from->term;
    to->candidate_id = from->candidate_id;
    to->last_log_index = from->last_log_index;
    to->last_log_term = from->last_log_term;
    to->disrupt_leader = from->disrupt_leader;
    to->pre_vote = from->pre_vote;
}

void raft_codec_decode(const Wire__RaftMessage *from, struct raft_message *to)
{
    switch (from->kind_case) {
    case WIRE__RAFT_MESSAGE__KIND_APPEND_ENTRIES:
        to->type = RAFT_IO_APPEND_ENTRIES;
        decode_append(from->append_entries, &to->append_entries);
        break;
    case WIRE__RAFT_MESSAGE__KIND_APPEND_ENTRIES_RESULT:
        to->type = RAFT_IO_APPEND_ENTRIES_RESULT;
        to->append_entries_result = (struct raft_append_entries_result){
            .term = from->append_entries_result->term,
            .rejected = from->append_entries_result->rejected,
            .last_log_index = from->append_entries_result->last_log_index,
        };
        break;
    case WIRE__RAFT_MESSAGE__KIND_REQUEST_VOTE:
        to->type = RAFT_IO_REQUEST_VOTE;
        decode_vote(from->request_vote, &to->request_vote);
        break;
    case WIRE__RAFT_MESSAGE__KIND_REQUEST_VOTE_RESULT:
        to->type = RAFT_IO_REQUEST_VOTE_RESULT;
        to->request_vote_result = (struct raft_request_vote_result){
            .term = from->request_vote_result->term,
            .vote_granted = from->request_vote_result->vote_granted,
            .pre_vote = (raft_tribool)from->request_vote_result->pre_vote,
        };
        break;
    case WIRE__RAFT_MESSAGE__KIND_TIMEOUT_NOW:
        to->type = RAFT_IO_TIMEOUT_NOW;
        to->timeout_now = (struct raft_timeout_now){
            .term = from->timeout_now->term,
            .last_log_index = from->timeout_now->last_log_index,
            .last_log_term = from->timeout_now->last_log_term,
        };
        break;
    default:
        assert(!"checked before");
    }
}
