/* Frames on a peer link: 8 bytes of header, then the body.
 *
 *     u32 LE  length of the body
 *     u16 LE  type (wire/message.h)
 *     u16     zero
 *
 * The decoder takes a byte stream as it comes, in pieces of any size. Small frames are decoded
 * where they were read; only what a read left incomplete is copied, once. An idle decoder holds no
 * memory.
 */
#ifndef WIRE_FRAME_H
#define WIRE_FRAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"

enum { FRAME_HEADER_BYTES = 8, FRAME_BODY_BYTES_MAX = 24 << 20 };

struct frame {
    uint16_t type;
    uint32_t len;
    const uint8_t *body; /* borrowed until the decoder is touched again */
};

void frame_header_write(uint8_t out[static FRAME_HEADER_BYTES], uint16_t type, uint32_t body_len);

/* Appends a whole frame; ERR_TOO_LARGE (buffer unchanged) when it does not fit. */
int frame_append(struct buf *b, uint16_t type, const void *body, size_t body_len);

struct frame_decoder {
    struct buf rest;      /* the beginning of an incomplete frame, or what was kept */
    size_t rest_at;       /* consumed bytes of rest */
    const uint8_t *chunk; /* what was pushed and not looked at yet, borrowed */
    size_t chunk_len;
    size_t body_bytes_max;
};

void frame_decoder_init(struct frame_decoder *d, size_t body_bytes_max);
void frame_decoder_done(struct frame_decoder *d);

/* Where to read the next bytes to: inside an incomplete large frame the decoder's own memory, so
 * that it is not copied again; else `scratch`. Sets *out and *out_len (> 0). */
void frame_decoder_space(struct frame_decoder *d, void *scratch, size_t scratch_len, void **out,
                         size_t *out_len);

/* Takes `len` bytes at `data`: what frame_decoder_space() gave, filled, or any other memory, which
 * is borrowed until frame_decoder_next() returned 0 or frame_decoder_keep() was called. All that
 * was pushed before must have been consumed or kept. */
void frame_decoder_push(struct frame_decoder *d, const void *data, size_t len);

/* 1: `out` is the next frame; 0: more input is needed. ERR_TOO_LARGE: a body over the limit;
 * ERR_PROTOCOL: the reserved bytes are not zero. After an error the stream is lost. */
int frame_decoder_next(struct frame_decoder *d, struct frame *out);

/* Copies what was pushed and not consumed, so that the pushed memory may go. */
void frame_decoder_keep(struct frame_decoder *d);

/* True when a part of a frame has come and its end has not. */
bool frame_decoder_is_partial(const struct frame_decoder *d);

#endif
