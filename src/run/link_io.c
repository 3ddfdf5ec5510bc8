/* Bytes of a link: reads become frames and messages, frames of a turn become one write. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "run/link_internal.h"

static void link_io_take_ping(struct link *link, const Wire__Ping *ping)
{
    Wire__Pong pong = WIRE__PONG__INIT;
    pong.sequence = ping->sequence;
    pong.sent_us = ping->sent_us;
    link_io_send(link, WIRE_PONG, &pong.base);
}

/* Smoothed as TCP does (RFC 6298): an eighth of each new measurement. */
static void link_io_take_pong(struct link *link, const Wire__Pong *pong)
{
    int64_t rtt_us = clock_mono_us() - (int64_t)pong->sent_us;
    if (rtt_us < 0 || rtt_us > INT32_MAX || pong->sequence != link->ping_sequence)
        return;
    uint32_t measured = (uint32_t)(rtt_us > 0 ? rtt_us : 1);
    link->stats.rtt_us = link->stats.rtt_us == 0
                             ? measured
                             : link->stats.rtt_us - link->stats.rtt_us / 8 + measured / 8;
}

static void link_io_take(struct link *link, enum wire_type type, ProtobufCMessage *message)
{
    if (type == WIRE_GOODBYE) {
        const Wire__Goodbye *goodbye = (const Wire__Goodbye *)message;
        link_down(link, goodbye->code < 0 ? goodbye->code : ERR_CLOSED, "%.200s",
                  goodbye->reason[0] ? goodbye->reason : "the other side closed the link");
    } else if (link->state != LINK_UP) {
        link_hello_take(link, type, message);
    } else if (type == WIRE_PING) {
        link_io_take_ping(link, (const Wire__Ping *)message);
    } else if (type == WIRE_PONG) {
        link_io_take_pong(link, (const Wire__Pong *)message);
    } else if (type == WIRE_HELLO || type == WIRE_PROOF) {
        link_down(link, ERR_PROTOCOL, "%s in the middle of the link", wire_type_name(type));
    } else {
        link->message = message;
        link->set->options.ops->on_message(link->set->options.arg, link, type, message);
        wire_free(link->message);
        link->message = NULL;
        return;
    }
    wire_free(message);
}

static void link_io_refuse(struct link *link, int code, const struct frame *frame)
{
    link->set->stats.protocol_errors++;
    if (frame != NULL)
        link_down(link, code, "malformed message %s (type %u, %u bytes)",
                  wire_type_name(frame->type), frame->type, frame->len);
    else
        link_down(link, code, "%s",
                  code == ERR_TOO_LARGE ? "frame over the limit" : "this is not our protocol");
}

static void link_io_decode(struct link *link)
{
    struct frame frame;
    int more = 0;
    while (link->state < LINK_CLOSING && (more = frame_decoder_next(&link->decoder, &frame)) > 0) {
        ProtobufCMessage *message = NULL;
        link->stats.frames_in++;
        int err = wire_unpack(frame.type, frame.body, frame.len, &message);
        if (err < 0)
            link_io_refuse(link, err, &frame);
        else
            link_io_take(link, (enum wire_type)frame.type, message);
    }
    if (more < 0 && link->state < LINK_CLOSING)
        link_io_refuse(link, more, NULL);
    if (link->state < LINK_CLOSING)
        frame_decoder_keep(&link->decoder);
    else
        link->decoder.chunk_len = 0;
}

static void link_io_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *buf)
{
    struct link *link = handle->data;
    void *at;
    size_t len;
    (void)suggested;
    frame_decoder_space(&link->decoder, link->set->scratch, LINK_READ_BYTES, &at, &len);
    *buf = uv_buf_init(at, (unsigned)len);
}

static void link_io_on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
    struct link *link = stream->data;
    if (n == 0 || link->state >= LINK_CLOSING)
        return;
    if (n < 0) {
        link_down(link, n == UV_EOF ? ERR_CLOSED : (int)n, "%s",
                  n == UV_EOF ? "the other side is gone" : uv_strerror((int)n));
        return;
    }
    link->heard_ms = link->stats.heard_ms = loop_now_ms(link->set->loop);
    link->stats.bytes_in += (uint64_t)n;
    frame_decoder_push(&link->decoder, buf->base, (size_t)n);
    link_io_decode(link);
}

void link_io_start(struct link *link)
{
    (void)uv_tcp_nodelay(&link->tcp, 1);
    (void)uv_tcp_keepalive(&link->tcp, 1, 30);
    int err = uv_read_start((uv_stream_t *)&link->tcp, link_io_alloc, link_io_on_read);
    if (err < 0)
        link_down(link, err, "%s", uv_strerror(err));
}

void link_io_mark(struct link *link)
{
    if (link->dirty)
        return;
    link->dirty = true;
    TAILQ_INSERT_TAIL(&link->set->dirty, link, of_dirty);
    loop_hook_arm(&link->set->flush);
}

void link_io_send(struct link *link, enum wire_type type, const ProtobufCMessage *message)
{
    if (!link->connected || link->state == LINK_GONE || wire_pack(&link->out, type, message) < 0)
        return;
    link->stats.frames_out++;
    link_io_mark(link);
}

static void link_io_on_written(uv_write_t *write, int status)
{
    struct link *link = write->data;
    link->writing = false;
    link->stats.bytes_out += link->flying.len;
    buf_clear(&link->flying);
    if (link->state == LINK_GONE)
        return;
    if (status < 0) {
        link_down(link, status, "%s", uv_strerror(status));
        return;
    }
    if (link->full && link->out.len <= link->set->options.queue_bytes_max / 2)
        loop_hook_arm(&link->set->defer);
    if (link->out.len > 0)
        link_io_mark(link);
}

void link_io_flush(struct link *link)
{
    if (link->writing || link->out.len == 0 || !link->connected || link->state == LINK_GONE)
        return;
    uv_buf_t buf = uv_buf_init((char *)link->out.data, (unsigned)link->out.len);
    int n = uv_try_write((uv_stream_t *)&link->tcp, &buf, 1);
    if (n == (int)link->out.len) {
        link->stats.bytes_out += link->out.len;
        if (link->out.cap > LINK_READ_BYTES)
            buf_done(&link->out);
        else
            buf_clear(&link->out);
        if (link->full)
            loop_hook_arm(&link->set->defer);
        return;
    }
    if (n > 0) {
        link->stats.bytes_out += (uint64_t)n;
        buf_consume(&link->out, (size_t)n);
    } else if (n < 0 && n != UV_EAGAIN) {
        link_down(link, n, "%s", uv_strerror(n));
        return;
    }
    struct buf swap = link->flying;
    link->flying = link->out;
    link->out = swap;
    buf = uv_buf_init((char *)link->flying.data, (unsigned)link->flying.len);
    link->write.data = link;
    link->writing = true;
    int err = uv_write(&link->write, (uv_stream_t *)&link->tcp, &buf, 1, link_io_on_written);
    if (err < 0) {
        link->writing = false;
        link_down(link, err, "%s", uv_strerror(err));
    }
}
