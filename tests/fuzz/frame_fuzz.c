/* Frames of peer links, in pieces of any size, and the messages in them. */
#include "tests/fuzz/fuzz.h"

#include <string.h>

#include "wire/frame.h"
#include "wire/message.h"

enum { FRAME_FUZZ_BODY_MAX = 32 << 10 };

static void unpack(const struct frame *frame)
{
    ProtobufCMessage *message;
    struct buf again;
    fuzz_check(frame->len <= FRAME_FUZZ_BODY_MAX);
    if (wire_unpack(frame->type, frame->body, frame->len, &message) < 0)
        return;
    buf_init(&again, FRAME_HEADER_BYTES + FRAME_BODY_BYTES_MAX);
    (void)wire_pack(&again, (enum wire_type)frame->type, message);
    buf_done(&again);
    wire_free(message);
}

/* The first byte says how large the pieces are. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct frame_decoder decoder;
    size_t piece = len > 0 ? 1 + (size_t)data[0] * 4 : 1, at = 1;
    int rc = 0;
    frame_decoder_init(&decoder, FRAME_FUZZ_BODY_MAX);
    while (rc == 0 && at < len) {
        uint8_t scratch[64];
        void *room;
        size_t room_len;
        frame_decoder_space(&decoder, scratch, sizeof scratch, &room, &room_len);
        size_t n = piece < room_len ? piece : room_len;
        n = n < len - at ? n : len - at;
        memcpy(room, data + at, n);
        at += n;
        frame_decoder_push(&decoder, room, n);
        struct frame frame;
        while ((rc = frame_decoder_next(&decoder, &frame)) == 1)
            unpack(&frame);
        if (rc == 0)
            frame_decoder_keep(&decoder);
    }
    frame_decoder_done(&decoder);
    return 0;
}

static void add_frame(fuzz_add_fn add, uint8_t piece, enum wire_type type,
                      const ProtobufCMessage *message)
{
    struct buf b;
    buf_init(&b, FRAME_FUZZ_BODY_MAX);
    (void)buf_append_byte(&b, piece);
    (void)wire_pack(&b, type, message);
    (void)wire_pack(&b, type, message);
    add(b.data, b.len);
    buf_done(&b);
}

void fuzz_seeds(fuzz_add_fn add)
{
    Wire__Goodbye goodbye = WIRE__GOODBYE__INIT;
    Wire__RaftEntry entry = WIRE__RAFT_ENTRY__INIT;
    Wire__RaftEntry *entries[] = {&entry, &entry};
    Wire__RaftAppendEntries append = WIRE__RAFT_APPEND_ENTRIES__INIT;
    Wire__RaftMessage raft = WIRE__RAFT_MESSAGE__INIT;
    entry.term = 7;
    entry.data.data = (uint8_t *)(uintptr_t) "entry";
    entry.data.len = 5;
    append.term = UINT64_MAX;
    append.entries = entries;
    append.n_entries = 2;
    raft.kind_case = WIRE__RAFT_MESSAGE__KIND_APPEND_ENTRIES;
    raft.append_entries = &append;
    add_frame(add, 0, WIRE_GOODBYE, &goodbye.base);
    add_frame(add, 3, WIRE_RAFT_MESSAGE, &raft.base);
    add_frame(add, 255, WIRE_RAFT_MESSAGE, &raft.base);
    for (unsigned type = 0; type < WIRE_TYPE_LIMIT; type++) {
        const uint8_t head[] = {16, 4, 0, 0, 0, (uint8_t)type, 0, 0, 0, 10, 1, 'a', 16, 1};
        if (wire_descriptor(type) != NULL)
            add(head, sizeof head);
    }
}
