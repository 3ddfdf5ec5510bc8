/* Bytes of a link.
 *
 * Reading: into a buffer that all links of the set share (or straight into an incomplete large
 * frame), through TLS if there is, into frames, into messages. A link that brought more than its
 * share is paused until the next turn.
 *
 * Writing: frames gather in `out` during a turn. At its end they become `flying` - swapped for
 * plain links, encrypted piecewise for TLS - and go to the kernel at once; what it does not take
 * waits for libuv. */
#include <errno.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>

#include "base/metric.h"
#include "base/str.h"
#include "run/link_internal.h"

/* ---- writing ------------------------------------------------------------------------------ */

size_t link_io_queued(const struct link *link)
{
    return link->out.len - link->out_at + link->flying.len - link->flying_at;
}

void link_io_mark(struct link *link)
{
    if (link->dirty)
        return;
    link->dirty = true;
    TAILQ_INSERT_TAIL(&link->set->dirty, link, of_dirty);
    loop_hook_arm(&link->set->flush);
}

void link_io_attend(struct link *link)
{
    if (link->attention)
        return;
    link->attention = true;
    TAILQ_INSERT_TAIL(&link->set->attention, link, of_attention);
    if (!loop_timer_is_running(&link->set->turn))
        loop_timer_start(&link->set->turn, 0);
}

void link_io_count_out(struct link *link, size_t bytes)
{
    link->stats.frames_out++;
    link->stats.bytes_out += bytes;
    if (link->frames_out == NULL)
        return;
    metric_series_add(link->frames_out, 1);
    metric_series_add(link->bytes_out, bytes);
}

void link_io_send(struct link *link, enum wire_type type, const ProtobufCMessage *message)
{
    size_t before = link->out.len;
    if (wire_pack(&link->out, type, message) < 0)
        return;
    link_io_count_out(link, link->out.len - before);
    link_io_mark(link);
}

static void link_io_empty(struct buf *b, size_t *at)
{
    if (b->cap > LINK_OUT_KEPT_BYTES)
        buf_done(b);
    else
        buf_clear(b);
    *at = 0;
}

static void link_io_swap(struct buf *a, struct buf *b)
{
    struct buf old = *a;
    *a = *b;
    *b = old;
}

/* The next bytes for the socket to `flying`, which is empty; false when there are none. */
static bool link_io_load(struct link *link)
{
    if (link->tls == NULL) {
        link_io_swap(&link->out, &link->flying);
        return link->flying.len > 0;
    }
    size_t len = link->out.len - link->out_at;
    if (len > LINK_WRITE_BYTES)
        len = LINK_WRITE_BYTES;
    if (len > 0 && link->secured) {
        link_tls_seal(link->tls, link->out.data + link->out_at, len);
        link->out_at += len;
        if (link->out_at == link->out.len)
            link_io_empty(&link->out, &link->out_at);
    } else if (len == 0 && link->secured && link->state == LINK_STATE_CLOSING && !link->ended) {
        link->ended = true;
        link_tls_end(link->tls);
    }
    link_io_swap(link_tls_output(link->tls), &link->flying);
    return link->flying.len > 0;
}

static void link_io_on_shutdown(uv_shutdown_t *request, int status)
{
    struct link *link = request->data;
    (void)status; /* the timer or the peer's end comes anyway */
    link->writing = false;
}

/* All is out: closes our end, and waits for the peer's, so that it reads the Goodbye. */
static void link_io_finish(struct link *link)
{
    if (link->state != LINK_STATE_CLOSING || link->untold)
        return;
    link_set_state(link, LINK_STATE_LINGER);
    link->request.shutdown.data = link;
    link->writing =
        uv_shutdown(&link->request.shutdown, (uv_stream_t *)&link->tcp, link_io_on_shutdown) == 0;
    if (!link->writing)
        link_drop(link);
}

static void link_io_sent(struct link *link, size_t len)
{
    link->flying_at += len;
    if (link->flying_at == link->flying.len)
        link_io_empty(&link->flying, &link->flying_at);
    if (link->full && link_io_queued(link) <= link->set->options.queue_bytes_max / 2)
        link_io_attend(link);
}

static uv_buf_t link_io_slice(const struct link *link)
{
    size_t len = link->flying.len - link->flying_at;
    if (len > LINK_WRITE_BYTES)
        len = LINK_WRITE_BYTES;
    return uv_buf_init((char *)link->flying.data + link->flying_at, (unsigned)len);
}

static void link_io_on_written(uv_write_t *request, int status)
{
    struct link *link = request->data;
    link->writing = false;
    if (link->state == LINK_STATE_GONE)
        return;
    if (status < 0) {
        link_lost(link, status, "%s", err_text(status));
        return;
    }
    link_io_sent(link, link->writing_len);
    link_io_mark(link);
}

static void link_io_write_later(struct link *link)
{
    uv_buf_t slice = link_io_slice(link);
    link->request.write.data = link;
    link->writing_len = slice.len;
    int err =
        uv_write(&link->request.write, (uv_stream_t *)&link->tcp, &slice, 1, link_io_on_written);
    link->writing = err == 0;
    if (err < 0)
        link_lost(link, err, "%s", err_text(err));
}

void link_io_flush(struct link *link)
{
    if (!link->connected || link->writing || link->computing || link->state >= LINK_STATE_LINGER)
        return;
    /* One piece at once; then libuv, which comes back in a later turn. */
    for (bool first = true; link->flying.len > 0 || link_io_load(link); first = false) {
        uv_buf_t slice = link_io_slice(link);
        int n = first ? uv_try_write((uv_stream_t *)&link->tcp, &slice, 1) : UV_EAGAIN;
        if (n == UV_EAGAIN) {
            link_io_write_later(link);
            return;
        }
        if (n < 0) {
            link_lost(link, n, "%s", err_text(n));
            return;
        }
        link_io_sent(link, (size_t)n);
    }
    link_io_finish(link);
}

/* ---- messages ----------------------------------------------------------------------------- */

static void link_io_deliver(struct link *link, enum wire_type type)
{
    const struct link_set_options *options = &link->set->options;
    switch (type) {
    case WIRE_PING:
        link_probe_take_ping(link, (const Wire__Ping *)link->message);
        break;
    case WIRE_PONG:
        link_probe_take_pong(link, (const Wire__Pong *)link->message);
        break;
    case WIRE_HELLO:
    case WIRE_PROOF:
        link_refuse(link, ERR_PROTOCOL, "%s on a link that is up", wire_type_name(type));
        break;
    default:
        options->ops->on_message(options->arg, link, type, link->message);
        break;
    }
}

static void link_io_take_goodbye(struct link *link, const Wire__Goodbye *goodbye)
{
    char *reason = str_printable(goodbye->reason, strlen(goodbye->reason), false);
    link_lost(link, goodbye->code < 0 ? goodbye->code : ERR_CLOSED, "%s",
              reason[0] != '\0' ? reason : "the other side said goodbye");
    free(reason);
}

static void link_io_take_frame(struct link *link, const struct frame *frame)
{
    link->stats.frames_in++;
    link->stats.bytes_in += FRAME_HEADER_BYTES + frame->len;
    if (link->frames_in != NULL) {
        metric_series_add(link->frames_in, 1);
        metric_series_add(link->bytes_in, FRAME_HEADER_BYTES + frame->len);
    }
    int err = wire_unpack(frame->type, frame->body, frame->len, &link->message);
    if (err < 0) {
        if (wire_descriptor(frame->type) == NULL)
            link_refuse(link, err, "message of unknown type %u", frame->type);
        else
            link_refuse(link, err, "malformed message %s of %u bytes", wire_type_name(frame->type),
                        frame->len);
        return;
    }
    if (frame->type == WIRE_GOODBYE)
        link_io_take_goodbye(link, (const Wire__Goodbye *)link->message);
    else if (link->state == LINK_STATE_UP)
        link_io_deliver(link, (enum wire_type)frame->type);
    else
        link_hello_take(link, (enum wire_type)frame->type);
    wire_free(link->message);
    link->message = NULL;
}

/* ---- reading ------------------------------------------------------------------------------ */

/* Takes frames while the budget lasts. 1: it is used up; 0: more input is needed. */
static int link_io_decode(struct link *link, unsigned *budget)
{
    while (!link_is_closing(link)) {
        struct frame frame;
        if (*budget == 0)
            return 1;
        int found = frame_decoder_next(&link->decoder, &frame);
        if (found == 0)
            return 0;
        if (found < 0) {
            link_refuse(link, found, "%s",
                        found == ERR_TOO_LARGE ? "a frame over the limit" : "not a frame");
            return 0;
        }
        (*budget)--;
        link_io_take_frame(link, &frame);
    }
    return 0;
}

/* Decrypts into the decoder. 1: something came; 0: nothing more. */
static int link_io_decrypt(struct link *link)
{
    struct link_set *set = link->set;
    void *space;
    size_t len;
    struct error e;
    if (link->tls == NULL || link_is_closing(link))
        return 0;
    frame_decoder_space(&link->decoder, set->plain_buf, sizeof set->plain_buf, &space, &len);
    ssize_t n = link_tls_open(link->tls, space, len, &e);
    if (link_tls_output(link->tls)->len > 0)
        link_io_mark(link);
    if (n < 0)
        link_lost(link, e.code, "%s", e.text);
    if (n <= 0)
        return 0;
    frame_decoder_push(&link->decoder, space, (size_t)n);
    return 1;
}

static void link_io_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *out)
{
    struct link *link = handle->data;
    void *space = link->set->read_buf;
    size_t len = sizeof link->set->read_buf;
    (void)suggested;
    if (link->tls == NULL && !link_is_closing(link))
        frame_decoder_space(&link->decoder, space, len, &space, &len);
    *out = uv_buf_init(space, (unsigned)len);
}

static void link_io_on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf);

static void link_io_pause(struct link *link)
{
    link->paused = true;
    (void)uv_read_stop((uv_stream_t *)&link->tcp);
}

static void link_io_resume(struct link *link)
{
    link->paused = false;
    if (link->state == LINK_STATE_GONE)
        return;
    int err = uv_read_start((uv_stream_t *)&link->tcp, link_io_alloc, link_io_on_read);
    if (err < 0)
        link_lost(link, err, "%s", err_text(err));
}

/* Works off what was read, at most one turn's share. */
static void link_io_advance(struct link *link)
{
    unsigned budget = LINK_TURN_FRAMES_MAX;
    int more;
    do {
        more = link_io_decode(link, &budget);
    } while (more == 0 && link_io_decrypt(link) > 0);
    if (link_is_closing(link)) {
        frame_decoder_done(&link->decoder);
    } else if (more > 0) {
        frame_decoder_keep(&link->decoder);
        link_io_pause(link);
        link_io_attend(link);
    }
}

static void link_io_handshake(struct link *link);

static void link_io_on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
    struct link *link = stream->data;
    if (n == 0)
        return;
    if (n < 0) {
        if (link->state == LINK_STATE_LINGER)
            link_drop(link);
        else if (n == UV_EOF)
            link_lost(link, -ECONNRESET, "the other side closed the connection");
        else
            link_lost(link, (int)n, "%s", err_text((int)n));
        return;
    }
    if (link_is_closing(link))
        return;
    link->stats.heard_ms = loop_now_ms(link->set->loop);
    if (link->state == LINK_STATE_HELLO && link->tls == NULL && n >= 2 &&
        link_tls_is_record(buf->base, (size_t)n)) {
        link_refuse(link, ERR_PROTOCOL, "the peer speaks TLS, this node does not");
        return;
    }
    if (link->tls == NULL) {
        frame_decoder_push(&link->decoder, buf->base, (size_t)n);
    } else if (link_tls_feed(link->tls, buf->base, (size_t)n) < 0) {
        link_refuse(link, ERR_TOO_LARGE, "TLS: too much at once");
        return;
    }
    if (link->state == LINK_STATE_TLS)
        link_io_handshake(link);
    else
        link_io_advance(link);
}

void link_io_start(struct link *link)
{
    (void)uv_tcp_nodelay(&link->tcp, 1);
    (void)uv_tcp_keepalive(&link->tcp, 1, 30);
    unsigned silence_ms = (unsigned)link_probe_silence_ms(link->set);
    uv_os_fd_t fd;
    if (uv_fileno((uv_handle_t *)&link->tcp, &fd) == 0)
        (void)setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &silence_ms, sizeof silence_ms);
    link_io_resume(link);
    if (link->state == LINK_STATE_TLS && link->outgoing && !link->computing)
        link_io_handshake(link);
}

/* What the next turn was waited for: the rest of the input, an owner that wants to send. */
void link_io_attended(struct link *link)
{
    const struct link_set_options *options = &link->set->options;
    if (link->paused && !link->computing) {
        link->paused = false;
        link_io_advance(link);
        if (!link->paused)
            link_io_resume(link);
    }
    if (link->state == LINK_STATE_UP && link->full &&
        link_io_queued(link) <= options->queue_bytes_max / 2) {
        link->full = false;
        if (options->ops->on_drain != NULL)
            options->ops->on_drain(options->arg, link);
    }
}

/* ---- the TLS handshake, on a thread of the pool ------------------------------------------- */

static void link_io_handshake_work(void *arg)
{
    struct link *link = arg;
    link->tls_status = link_tls_handshake(link->tls, &link->tls_error);
}

static void link_io_handshake_done(void *arg, int code)
{
    struct link *link = arg;
    (void)code; /* is never cancelled */
    link->computing = false;
    if (link->state != LINK_STATE_GONE)
        link_io_mark(link);
    if (link->state == LINK_STATE_TLS && link->tls_status < 0) {
        link_turn_away(link, link->tls_error.code, link->tls_error.text);
    } else if (link->state == LINK_STATE_TLS && link->tls_status > 0) {
        link->secured = true;
        link_secured(link);
        link_io_advance(link);
    }
    if (!link->attention)
        link_io_resume(link);
    link_release(link);
}

/* One step of it. Meanwhile nothing is read: the session belongs to the thread. */
static void link_io_handshake(struct link *link)
{
    link_io_pause(link);
    link->computing = true;
    link_hold(link);
    loop_work(link->set->loop, link_io_handshake_work, link_io_handshake_done, link);
}
