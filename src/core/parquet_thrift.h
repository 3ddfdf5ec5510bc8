/* The compact protocol of Thrift, as far as a Parquet footer needs it: a reader that never leaves
 * its bytes, and the headers to write a structure again.
 *
 * Source: Apache Thrift, "Thrift Compact protocol encoding". */
#ifndef CORE_PARQUET_THRIFT_H
#define CORE_PARQUET_THRIFT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"

enum thrift_type {
    THRIFT_STOP,
    THRIFT_TRUE,
    THRIFT_FALSE,
    THRIFT_BYTE,
    THRIFT_I16,
    THRIFT_I32,
    THRIFT_I64,
    THRIFT_DOUBLE,
    THRIFT_BINARY,
    THRIFT_LIST,
    THRIFT_SET,
    THRIFT_MAP,
    THRIFT_STRUCT,
    THRIFT_UUID,
};

enum { THRIFT_DEPTH_MAX = 32 };

struct thrift {
    const uint8_t *at;
    const uint8_t *end;
    bool bad; /* malformed or cut: from then on everything reads as 0 and structures end */
};

struct thrift_field {
    int16_t id; /* 0 before the first one */
    enum thrift_type type;
};

/* The next field of a structure; false at its end. `field` starts as {0}. Its value must be taken
 * or skipped. */
bool thrift_next(struct thrift *t, struct thrift_field *field);
void thrift_skip(struct thrift *t, enum thrift_type type);

uint64_t thrift_varint(struct thrift *t);
int64_t thrift_int(struct thrift *t); /* of I16, I32, I64 */
const uint8_t *thrift_binary(struct thrift *t, size_t *len);
size_t thrift_list(struct thrift *t, enum thrift_type *type);

/* ---- writing: -errno or our codes of buf.h ----------------------------------------------------
 */

int thrift_put_varint(struct buf *b, uint64_t value);
int thrift_put_int(struct buf *b, int64_t value);
/* `last` is the id of the field before, 0 at first. */
int thrift_put_field(struct buf *b, int16_t last, int16_t id, enum thrift_type type);
int thrift_put_list(struct buf *b, enum thrift_type type, size_t n);

#endif
