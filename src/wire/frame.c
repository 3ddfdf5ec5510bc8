/* Bytes are decoded where they were pushed as long as whole frames stand there. The beginning of an
 * incomplete frame moves to `rest`, which is then topped up, by copying or by reading straight into
 * it, until that frame is whole. What frame_decoder_keep() saves can be many frames: they are
 * walked with rest_at and moved only when more has to come behind them. */
#include "wire/frame.h"

#include <assert.h>
#include <string.h>

#include "base/error.h"

/* So much of an announced frame is reserved at least; then as much again as has come. A length
 * alone costs its sender nothing, and must not cost us memory. */
enum { FRAME_REST_FIRST_BYTES = 64 * 1024 };

void frame_header_write(uint8_t out[static FRAME_HEADER_BYTES], uint16_t type, uint32_t body_len)
{
    for (int i = 0; i < 4; i++)
        out[i] = (uint8_t)(body_len >> (8 * i));
    out[4] = (uint8_t)type;
    out[5] = (uint8_t)(type >> 8);
    out[6] = out[7] = 0;
}

int frame_append(struct buf *b, uint16_t type, const void *body, size_t body_len)
{
    uint8_t header[FRAME_HEADER_BYTES];
    if (body_len > FRAME_BODY_BYTES_MAX)
        return ERR_TOO_LARGE;
    int err = buf_reserve(b, FRAME_HEADER_BYTES + body_len);
    if (err < 0)
        return err;
    frame_header_write(header, type, (uint32_t)body_len);
    (void)buf_append(b, header, sizeof header);
    return buf_append(b, body, body_len);
}

void frame_decoder_init(struct frame_decoder *d, size_t body_bytes_max)
{
    *d = (struct frame_decoder){.body_bytes_max = body_bytes_max};
    /* Bounded by what is pushed at once and by body_bytes_max, not by the buffer. */
    buf_init(&d->rest, SIZE_MAX / 4);
}

void frame_decoder_done(struct frame_decoder *d)
{
    buf_done(&d->rest);
    d->rest_at = 0;
    d->chunk = NULL;
    d->chunk_len = 0;
}

static size_t frame_body_len(const uint8_t *header)
{
    return (size_t)header[0] | (size_t)header[1] << 8 | (size_t)header[2] << 16 |
           (size_t)header[3] << 24;
}

static size_t frame_rest_len(const struct frame_decoder *d)
{
    return d->rest.len - d->rest_at;
}

/* 1: a whole frame stands at `at`; 0: a part of one; an error. */
static int frame_look(const struct frame_decoder *d, const uint8_t *at, size_t len,
                      struct frame *out)
{
    if (len < FRAME_HEADER_BYTES)
        return 0;
    if (at[6] != 0 || at[7] != 0)
        return ERR_PROTOCOL;
    size_t body_len = frame_body_len(at);
    if (body_len > d->body_bytes_max)
        return ERR_TOO_LARGE;
    if (len < FRAME_HEADER_BYTES + body_len)
        return 0;
    out->type = (uint16_t)(at[4] | at[5] << 8);
    out->len = (uint32_t)body_len;
    out->body = at + FRAME_HEADER_BYTES;
    return 1;
}

/* The rest begins with the incomplete frame. */
static void frame_compact(struct frame_decoder *d)
{
    buf_consume(&d->rest, d->rest_at);
    d->rest_at = 0;
}

/* How many bytes the frame at the start of the rest still lacks: to the end of its header, then to
 * its own. */
static size_t frame_missing(const struct frame_decoder *d)
{
    if (d->rest.len < FRAME_HEADER_BYTES)
        return FRAME_HEADER_BYTES - d->rest.len;
    return FRAME_HEADER_BYTES + frame_body_len(d->rest.data) - d->rest.len;
}

static void frame_top_up(struct frame_decoder *d)
{
    size_t len = frame_missing(d);
    if (len > d->chunk_len)
        len = d->chunk_len;
    if (len == 0)
        return;
    (void)buf_append(&d->rest, d->chunk, len);
    d->chunk += len;
    d->chunk_len -= len;
}

void frame_decoder_space(struct frame_decoder *d, void *scratch, size_t scratch_len, void **out,
                         size_t *out_len)
{
    assert(scratch_len > 0 && d->chunk_len == 0);
    *out = scratch;
    *out_len = scratch_len;
    struct frame frame;
    if (frame_rest_len(d) < FRAME_HEADER_BYTES ||
        frame_look(d, d->rest.data + d->rest_at, frame_rest_len(d), &frame) != 0)
        return;
    frame_compact(d);
    size_t missing = frame_missing(d);
    if (missing < scratch_len)
        return;
    size_t len = d->rest.len > FRAME_REST_FIRST_BYTES ? d->rest.len : FRAME_REST_FIRST_BYTES;
    if (len > missing)
        len = missing;
    (void)buf_reserve(&d->rest, len);
    *out = d->rest.data + d->rest.len;
    *out_len = len;
}

void frame_decoder_push(struct frame_decoder *d, const void *data, size_t len)
{
    assert(d->chunk_len == 0);
    if (d->rest.data != NULL && (const uint8_t *)data == d->rest.data + d->rest.len) {
        assert(len <= d->rest.cap - d->rest.len);
        d->rest.len += len;
        return;
    }
    d->chunk = data;
    d->chunk_len = len;
}

static int frame_next_of_rest(struct frame_decoder *d, struct frame *out)
{
    int found = frame_look(d, d->rest.data + d->rest_at, frame_rest_len(d), out);
    if (found == 0 && d->chunk_len > 0) {
        frame_compact(d);
        frame_top_up(d); /* to the end of the header */
        found = frame_look(d, d->rest.data, d->rest.len, out);
        if (found == 0 && d->chunk_len > 0) {
            frame_top_up(d);
            found = frame_look(d, d->rest.data, d->rest.len, out);
        }
    }
    if (found > 0)
        d->rest_at += FRAME_HEADER_BYTES + out->len;
    return found;
}

int frame_decoder_next(struct frame_decoder *d, struct frame *out)
{
    if (frame_rest_len(d) > 0)
        return frame_next_of_rest(d, out);
    d->rest.len = d->rest_at = 0;
    int found = frame_look(d, d->chunk, d->chunk_len, out);
    if (found > 0) {
        d->chunk += FRAME_HEADER_BYTES + out->len;
        d->chunk_len -= FRAME_HEADER_BYTES + out->len;
    } else if (found == 0) {
        frame_decoder_keep(d);
    }
    return found;
}

void frame_decoder_keep(struct frame_decoder *d)
{
    if (frame_rest_len(d) == 0) {
        d->rest_at = 0;
        buf_done(&d->rest);
    }
    if (d->chunk_len > 0)
        (void)buf_append(&d->rest, d->chunk, d->chunk_len);
    d->chunk = NULL;
    d->chunk_len = 0;
}

bool frame_decoder_is_partial(const struct frame_decoder *d)
{
    return frame_rest_len(d) > 0 || d->chunk_len > 0;
}
