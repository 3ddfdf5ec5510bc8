/* Messages of Raft: what passes the check becomes one of libraft's and is freed as libraft does. */
#include "tests/fuzz/fuzz.h"

#include "run/raft_codec.h"
#include "wire/message.h"

static void release(struct raft_message *message)
{
    if (message->type == RAFT_IO_APPEND_ENTRIES) {
        struct raft_append_entries *append = &message->append_entries;
        if (append->n_entries > 0) {
            raft_free(append->entries[0].batch);
            raft_free(append->entries);
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    ProtobufCMessage *unpacked;
    struct raft_message message = {0};
    if (wire_unpack(WIRE_RAFT_MESSAGE, data, len, &unpacked) < 0)
        return 0;
    const Wire__RaftMessage *raft = (const Wire__RaftMessage *)unpacked;
    if (raft->kind_case != WIRE__RAFT_MESSAGE__KIND__NOT_SET && raft_codec_check(raft) == 0) {
        raft_codec_decode(raft, &message);
        release(&message);
    }
    if (raft->kind_case == WIRE__RAFT_MESSAGE__KIND_SNAPSHOT_BEGIN &&
        raft->snapshot_begin->configuration != NULL) {
        struct raft_configuration configuration;
        raft_configuration_init(&configuration);
        (void)raft_codec_to_configuration(raft->snapshot_begin->configuration, &configuration);
        raft_configuration_close(&configuration);
    }
    wire_free(unpacked);
    return 0;
}

void fuzz_seeds(fuzz_add_fn add)
{
    Wire__RaftEntry entry = WIRE__RAFT_ENTRY__INIT;
    Wire__RaftEntry *entries[] = {&entry, &entry};
    Wire__RaftAppendEntries append = WIRE__RAFT_APPEND_ENTRIES__INIT;
    Wire__RaftRequestVote vote = WIRE__RAFT_REQUEST_VOTE__INIT;
    Wire__RaftMessage message = WIRE__RAFT_MESSAGE__INIT;
    struct buf b;
    entry.type = WIRE__RAFT_ENTRY_TYPE__RAFT_ENTRY_COMMAND;
    entry.term = 1;
    entry.data.data = (uint8_t *)(uintptr_t) "12345678";
    entry.data.len = 8;
    append.term = 2;
    append.entries = entries;
    append.n_entries = 2;
    vote.term = 3;
    vote.candidate_id = 1;
    message.kind_case = WIRE__RAFT_MESSAGE__KIND_APPEND_ENTRIES;
    message.append_entries = &append;
    for (int i = 0; i < 2; i++) {
        buf_init(&b, 1 << 16);
        (void)wire_pack(&b, WIRE_RAFT_MESSAGE, &message.base);
        add(b.data + 8, b.len - 8);
        buf_done(&b);
        message.kind_case = WIRE__RAFT_MESSAGE__KIND_REQUEST_VOTE;
        message.request_vote = &vote;
    }
}
