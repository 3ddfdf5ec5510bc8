#include "wire/frame.h"

#include <assert.h>
#include <string.h>

#include "base/error.h"

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
    buf_init(&d->rest, 2 * (body_bytes_max + FRAME_HEADER_BYTES));
}

void frame_decoder_done(struct frame_decoder *d)
{
    buf_done(&d->rest);
}

static uint32_t frame_body_len(const uint8_t *header)
{
    return (uint32_t)header[0] | (uint32_t)header[1] << 8 | (uint32_t)header[2] << 16 |
           (uint32_t)header[3] << 24;
}

static size_t frame_rest_len(const struct frame_decoder *d)
{
    return d->rest.len - d->rest_at;
}

static void frame_rest_compact(struct frame_decoder *d)
{
    buf_consume(&d->rest, d->rest_at);
    d->rest_at = 0;
}

void frame_decoder_space(struct frame_decoder *d, void *scratch, size_t scratch_len, void **out,
                         size_t *out_len)
{
    *out = scratch;
    *out_len = scratch_len;
    if (frame_rest_len(d) < FRAME_HEADER_BYTES || d->chunk_len > 0)
        return;
    frame_rest_compact(d);
    size_t whole = FRAME_HEADER_BYTES + (size_t)frame_body_len(d->rest.data);
    if (whole <= d->rest.len || whole - d->rest.len < scratch_len ||
        whole > d->body_bytes_max + FRAME_HEADER_BYTES ||
        buf_reserve(&d->rest, whole - d->rest.len) < 0)
        return;
    *out = d->rest.data + d->rest.len;
    *out_len = whole - d->rest.len;
}

void frame_decoder_push(struct frame_decoder *d, const void *data, size_t len)
{
    assert(d->chunk_len == 0);
    if (d->rest.data != NULL && (const uint8_t *)data == d->rest.data + d->rest.len) {
        d->rest.len += len; /* was read straight into place */
        return;
    }
    d->chunk = data;
    d->chunk_len = len;
}

/* Moves at most `want` bytes from the chunk behind the rest. */
static void frame_top_up(struct frame_decoder *d, size_t want)
{
    size_t have = frame_rest_len(d);
    size_t len = want > have ? want - have : 0;
    if (len > d->chunk_len)
        len = d->chunk_len;
    if (len == 0)
        return;
    (void)buf_append(&d->rest, d->chunk, len);
    d->chunk += len;
    d->chunk_len -= len;
}

static int frame_check(const struct frame_decoder *d, const uint8_t *header)
{
    if (header[6] != 0 || header[7] != 0)
        return ERR_PROTOCOL;
    return frame_body_len(header) > d->body_bytes_max ? ERR_TOO_LARGE : 0;
}

static void frame_fill(struct frame *out, const uint8_t *at)
{
    out->type = (uint16_t)(at[4] | at[5] << 8);
    out->len = frame_body_len(at);
    out->body = at + FRAME_HEADER_BYTES;
}

/* A frame whose beginning was kept. */
static int frame_next_kept(struct frame_decoder *d, struct frame *out)
{
    frame_rest_compact(d);
    frame_top_up(d, FRAME_HEADER_BYTES);
    if (d->rest.len < FRAME_HEADER_BYTES)
        return 0;
    int err = frame_check(d, d->rest.data);
    if (err < 0)
        return err;
    size_t whole = FRAME_HEADER_BYTES + (size_t)frame_body_len(d->rest.data);
    frame_top_up(d, whole);
    if (d->rest.len < whole)
        return 0;
    frame_fill(out, d->rest.data);
    d->rest_at = whole;
    return 1;
}

int frame_decoder_next(struct frame_decoder *d, struct frame *out)
{
    if (frame_rest_len(d) > 0)
        return frame_next_kept(d, out);
    d->rest.len = d->rest_at = 0;
    if (d->chunk_len == 0) {
        buf_done(&d->rest);
        return 0;
    }
    if (d->chunk_len >= FRAME_HEADER_BYTES) {
        int err = frame_check(d, d->chunk);
        if (err < 0)
            return err;
        size_t whole = FRAME_HEADER_BYTES + (size_t)frame_body_len(d->chunk);
        if (d->chunk_len >= whole) {
            frame_fill(out, d->chunk);
            d->chunk += whole;
            d->chunk_len -= whole;
            return 1;
        }
    }
    frame_decoder_keep(d);
    return 0;
}

void frame_decoder_keep(struct frame_decoder *d)
{
    if (d->chunk_len > 0)
        (void)buf_append(&d->rest, d->chunk, d->chunk_len);
    d->chunk = NULL;
    d->chunk_len = 0;
}

bool frame_decoder_is_partial(const struct frame_decoder *d)
{
    return frame_rest_len(d) > 0 || d->chunk_len > 0;
}
