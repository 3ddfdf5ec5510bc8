#include "wire/message.h"

#include <assert.h>
#include <stdlib.h>

#include "base/error.h"
#include "base/mem.h"
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

/* ---- frames in parts --------------------------------------------------------------------------
 */

struct message_sink {
    ProtobufCBuffer base;
    struct wire_parts *out;
};

static void message_part_add(struct wire_parts *out, const uint8_t *data, size_t len)
{
    MEM_GROW(out->parts, out->cap, out->n + 1);
    out->parts[out->n++] = (struct wire_part){data, len};
    out->bytes += len;
}

/* A copy has no place yet: the buffer may move. */
static void message_sink_append(ProtobufCBuffer *base, size_t len, const uint8_t *data)
{
    struct wire_parts *out = ((struct message_sink *)base)->out;
    if (len >= WIRE_PART_BYTES) {
        message_part_add(out, data, len);
        return;
    }
    int err = buf_append(&out->copied, data, len);
    assert(err == 0);
    (void)err;
    if (out->n == 0 || out->parts[out->n - 1].data != NULL)
        message_part_add(out, NULL, 0);
    out->parts[out->n - 1].len += len;
    out->bytes += len;
}

int wire_pack_parts(struct wire_parts *out, enum wire_type type, const ProtobufCMessage *message)
{
    uint8_t header[FRAME_HEADER_BYTES];
    struct message_sink sink = {.base = {.append = message_sink_append}, .out = out};
    assert(message->descriptor == wire_descriptor(type));
    *out = (struct wire_parts){0};
    buf_init(&out->copied, FRAME_HEADER_BYTES + FRAME_BODY_BYTES_MAX);
    size_t len = protobuf_c_message_get_packed_size(message);
    if (len > FRAME_BODY_BYTES_MAX)
        return ERR_TOO_LARGE;
    frame_header_write(header, (uint16_t)type, (uint32_t)len);
    message_sink_append(&sink.base, sizeof header, header);
    (void)protobuf_c_message_pack_to_buffer(message, &sink.base);
    assert(out->bytes == FRAME_HEADER_BYTES + len);
    size_t at = 0;
    for (size_t i = 0; i < out->n; i++) {
        if (out->parts[i].data != NULL)
            continue;
        out->parts[i].data = out->copied.data + at;
        at += out->parts[i].len;
    }
    return 0;
}

void wire_parts_done(struct wire_parts *parts)
{
    buf_done(&parts->copied);
    free(parts->parts);
    *parts = (struct wire_parts){0};
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
