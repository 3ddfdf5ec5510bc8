#include "core/parquet_thrift.h"

#include <string.h>

static uint8_t thrift_byte(struct thrift *t)
{
    if (t->bad || t->at == t->end) {
        t->bad = true;
        return 0;
    }
    return *t->at++;
}

static void thrift_jump(struct thrift *t, uint64_t len)
{
    if (t->bad || len > (uint64_t)(t->end - t->at))
        t->bad = true;
    else
        t->at += len;
}

uint64_t thrift_varint(struct thrift *t)
{
    uint64_t value = 0;
    for (unsigned shift = 0; shift < 64; shift += 7) {
        uint8_t byte = thrift_byte(t);
        value |= (uint64_t)(byte & 0x7f) << shift;
        if ((byte & 0x80) == 0)
            return t->bad ? 0 : value;
    }
    t->bad = true;
    return 0;
}

int64_t thrift_int(struct thrift *t)
{
    uint64_t zigzag = thrift_varint(t);
    return (int64_t)(zigzag >> 1) ^ -(int64_t)(zigzag & 1);
}

const uint8_t *thrift_binary(struct thrift *t, size_t *len)
{
    uint64_t n = thrift_varint(t);
    const uint8_t *data = t->at;
    thrift_jump(t, n);
    *len = t->bad ? 0 : (size_t)n;
    return data;
}

size_t thrift_list(struct thrift *t, enum thrift_type *type)
{
    uint8_t head = thrift_byte(t);
    uint64_t n = head >> 4;
    *type = (enum thrift_type)(head & 0x0f);
    if (n == 15)
        n = thrift_varint(t);
    /* An element has at least one byte. */
    if (t->bad || n > (uint64_t)(t->end - t->at)) {
        t->bad = true;
        return 0;
    }
    return (size_t)n;
}

bool thrift_next(struct thrift *t, struct thrift_field *field)
{
    uint8_t head = thrift_byte(t);
    if (t->bad || (head & 0x0f) == THRIFT_STOP)
        return false;
    int64_t id = (head >> 4) != 0 ? field->id + (head >> 4) : thrift_int(t);
    if (id <= 0 || id > INT16_MAX)
        t->bad = true;
    field->id = (int16_t)id;
    field->type = (enum thrift_type)(head & 0x0f);
    return !t->bad;
}

static void thrift_skip_at(struct thrift *t, enum thrift_type type, unsigned depth);

/* Elements of a list: a boolean takes a byte there. */
static void thrift_skip_elements(struct thrift *t, enum thrift_type type, size_t n, unsigned depth)
{
    for (size_t i = 0; i < n && !t->bad; i++) {
        if (type == THRIFT_TRUE || type == THRIFT_FALSE)
            thrift_jump(t, 1);
        else
            thrift_skip_at(t, type, depth);
    }
}

static void thrift_skip_map(struct thrift *t, unsigned depth)
{
    uint64_t n = thrift_varint(t);
    if (n == 0 || t->bad)
        return;
    uint8_t types = thrift_byte(t);
    for (uint64_t i = 0; i < n && !t->bad; i++) {
        thrift_skip_elements(t, (enum thrift_type)(types >> 4), 1, depth);
        thrift_skip_elements(t, (enum thrift_type)(types & 0x0f), 1, depth);
    }
}

static void thrift_skip_at(struct thrift *t, enum thrift_type type, unsigned depth)
{
    struct thrift_field field = {0};
    enum thrift_type element;
    size_t n;
    if (depth > THRIFT_DEPTH_MAX) {
        t->bad = true;
        return;
    }
    switch (type) {
    case THRIFT_TRUE:
    case THRIFT_FALSE:
        break;
    case THRIFT_BYTE:
        thrift_jump(t, 1);
        break;
    case THRIFT_I16:
    case THRIFT_I32:
    case THRIFT_I64:
        (void)thrift_varint(t);
        break;
    case THRIFT_DOUBLE:
        thrift_jump(t, 8);
        break;
    case THRIFT_BINARY:
        (void)thrift_binary(t, &n);
        break;
    case THRIFT_LIST:
    case THRIFT_SET:
        n = thrift_list(t, &element);
        thrift_skip_elements(t, element, n, depth + 1);
        break;
    case THRIFT_MAP:
        thrift_skip_map(t, depth + 1);
        break;
    case THRIFT_STRUCT:
        while (thrift_next(t, &field))
            thrift_skip_at(t, field.type, depth + 1);
        break;
    case THRIFT_UUID:
        thrift_jump(t, 16);
        break;
    case THRIFT_STOP:
    default:
        t->bad = true;
    }
}

void thrift_skip(struct thrift *t, enum thrift_type type)
{
    thrift_skip_at(t, type, 0);
}

/* ---- writing --------------------------------------------------------------------------------- */

int thrift_put_varint(struct buf *b, uint64_t value)
{
    int err = 0;
    for (; value >= 0x80 && err == 0; value >>= 7)
        err = buf_append_byte(b, (uint8_t)(value | 0x80));
    return err == 0 ? buf_append_byte(b, (uint8_t)value) : err;
}

int thrift_put_int(struct buf *b, int64_t value)
{
    return thrift_put_varint(b, ((uint64_t)value << 1) ^ (uint64_t)(value >> 63));
}

int thrift_put_field(struct buf *b, int16_t last, int16_t id, enum thrift_type type)
{
    int delta = id - last;
    if (delta > 0 && delta <= 15)
        return buf_append_byte(b, (uint8_t)((unsigned)delta << 4 | (unsigned)type));
    int err = buf_append_byte(b, (uint8_t)type);
    return err == 0 ? thrift_put_int(b, id) : err;
}

int thrift_put_list(struct buf *b, enum thrift_type type, size_t n)
{
    if (n < 15)
        return buf_append_byte(b, (uint8_t)(n << 4 | (size_t)type));
    int err = buf_append_byte(b, (uint8_t)(0xf0 | (unsigned)type));
    return err == 0 ? thrift_put_varint(b, n) : err;
}
