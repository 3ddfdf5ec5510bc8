#include "wire/message.h"

#include <assert.h>
#include <stdlib.h>

#include "base/error.h"
#include "wire/frame.h"

struct message_row {
    const ProtobufCMessageDescriptor *descriptor;
    const char *name;
};

static const struct message_row message_rows[WIRE_TYPE_LIMIT] = {
#define MESSAGE_ROW(symbol, number, name) [number] = {&wire__##name##__descriptor, #name},
    WIRE_MESSAGE_LIST(MESSAGE_ROW)
#undef MESSAGE_ROW
};

const ProtobufCMessageDescriptor *wire_descriptor(unsigned type)
{
    return type < WIRE_TYPE_LIMIT ? message_rows[type].descriptor : NULL;
}

const char *wire_type_name(unsigned type)
{
    return wire_descriptor(type) != NULL ? message_rows[type].name : "unknown";
}

size_t wire_packed_size(const ProtobufCMessage *message)
{
    return FRAME_HEADER_BYTES + protobuf_c_message_get_packed_size(message);
}

int wire_pack(struct buf *b, enum wire_type type, const ProtobufCMessage *message)
{
    uint8_t header[FRAME_HEADER_BYTES];
    assert(message->descriptor == wire_descriptor(type));
    size_t len = protobuf_c_message_get_packed_size(message);
    if (len > FRAME_BODY_BYTES_MAX)
        return ERR_TOO_LARGE;
    int err = buf_reserve(b, FRAME_HEADER_BYTES + len);
    if (err < 0)
        return err;
    frame_header_write(header, (uint16_t)type, (uint32_t)len);
    (void)buf_append(b, header, sizeof header);
    (void)protobuf_c_message_pack(message, b->data + b->len);
    b->len += len;
    return 0;
}

/* Memory of one message, bounded. */
struct message_budget {
    size_t left;
    int code;
};

static void *message_alloc(void *arg, size_t size)
{
    struct message_budget *budget = arg;
    if (size > budget->left) {
        budget->code = ERR_TOO_LARGE;
        return NULL;
    }
    budget->left -= size;
    return malloc(size);
}

static void message_free(void *arg, void *p)
{
    (void)arg;
    free(p);
}

int wire_unpack(unsigned type, const void *data, size_t len, ProtobufCMessage **out)
{
    const ProtobufCMessageDescriptor *descriptor = wire_descriptor(type);
    if (descriptor == NULL)
        return ERR_PROTOCOL;
    struct message_budget budget = {.left = 64 * 1024 + 32 * len};
    ProtobufCAllocator allocator = {
        .alloc = message_alloc, .free = message_free, .allocator_data = &budget};
    ProtobufCMessage *message = protobuf_c_message_unpack(descriptor, &allocator, len, data);
    if (message == NULL)
        return budget.code < 0 ? budget.code : ERR_PROTOCOL;
    *out = message;
    return 0;
}

void wire_free(ProtobufCMessage *message)
{
    if (message != NULL)
        protobuf_c_message_free_unpacked(message, NULL);
}
