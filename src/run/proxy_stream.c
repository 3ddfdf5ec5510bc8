/* Writing: bytes gather in `out` during a turn; at its end they become `flying` and go to the
 * kernel; what it does not take waits for libuv. Reading: into memory that all streams share, which
 * the owner looks at before the next read. */
#include "run/proxy_stream.h"

#include <assert.h>
#include <stdlib.h>

#include "base/mem.h"

static void proxy_streams_flush(void *arg);

void proxy_streams_init(struct proxy_streams *set, struct loop *loop)
{
    set->loop = loop;
    set->scratch = mem_alloc(PROXY_STREAM_READ_BYTES);
    TAILQ_INIT(&set->dirty);
    loop_hook_init(&set->flush, loop, LOOP_PHASE_FLUSH, proxy_streams_flush, set);
}

void proxy_streams_done(struct proxy_streams *set)
{
    assert(TAILQ_EMPTY(&set->dirty));
    loop_hook_disarm(&set->flush);
    free(set->scratch);
}

void proxy_stream_init(struct proxy_stream *s, struct proxy_streams *set,
                       const struct proxy_stream_ops *ops)
{
    *s = (struct proxy_stream){.set = set, .ops = ops};
    buf_init(&s->out, PROXY_STREAM_QUEUE_BYTES_MAX);
    buf_init(&s->flying, PROXY_STREAM_QUEUE_BYTES_MAX);
    (void)uv_tcp_init(loop_uv(set->loop), &s->tcp);
    s->tcp.data = s;
}

size_t proxy_stream_queued(const struct proxy_stream *s)
{
    return s->out.len + s->flying.len - s->flying_at;
}

bool proxy_stream_is_high(struct proxy_stream *s)
{
    if (proxy_stream_queued(s) > PROXY_STREAM_HIGH_BYTES)
        s->high = true;
    return s->high;
}

static void proxy_stream_mark(struct proxy_stream *s)
{
    if (s->dirty || s->closing)
        return;
    s->dirty = true;
    TAILQ_INSERT_TAIL(&s->set->dirty, s, of_dirty);
    loop_hook_arm(&s->set->flush);
}

int proxy_stream_put(struct proxy_stream *s, const void *data, size_t len)
{
    proxy_stream_mark(s);
    return buf_append(&s->out, data, len);
}

struct buf *proxy_stream_out(struct proxy_stream *s)
{
    proxy_stream_mark(s);
    return &s->out;
}

static void proxy_stream_end(struct proxy_stream *s, int code)
{
    bool *told = code < 0 ? &s->lost : &s->ended;
    if (*told || s->closing)
        return;
    *told = true;
    proxy_stream_read(s, false);
    s->ops->end(s, code);
}

/* ---- writing --------------------------------------------------------------------------------- */

static void proxy_stream_empty(struct buf *b)
{
    if (b->cap > PROXY_STREAM_KEPT_BYTES)
        buf_done(b);
    else
        buf_clear(b);
}

static void proxy_stream_sent(struct proxy_stream *s, size_t len)
{
    s->flying_at += len;
    if (s->flying_at < s->flying.len)
        return;
    proxy_stream_empty(&s->flying);
    s->flying_at = 0;
}

static void proxy_stream_on_shutdown(uv_shutdown_t *request, int status)
{
    (void)request;
    (void)status; /* the peer's end, or the owner's timer, comes anyway */
}

static void proxy_stream_check(struct proxy_stream *s)
{
    size_t queued = proxy_stream_queued(s);
    if (queued == 0 && s->finishing && !s->finished) {
        s->finished = true;
        (void)uv_shutdown(&s->shutdown, (uv_stream_t *)&s->tcp, proxy_stream_on_shutdown);
    }
    if (queued == 0 || (s->high && queued <= PROXY_STREAM_LOW_BYTES)) {
        s->high = false;
        s->ops->drained(s);
    }
}

static void proxy_stream_flush(struct proxy_stream *s);

static void proxy_stream_on_written(uv_write_t *request, int status)
{
    struct proxy_stream *s = request->data;
    s->writing = false;
    if (s->closing)
        return;
    if (status < 0) {
        proxy_stream_end(s, status);
        return;
    }
    proxy_stream_sent(s, s->flying.len - s->flying_at);
    proxy_stream_flush(s);
}

/* Sends what there is; tells the owner when that is all, or when it can't be done. */
static void proxy_stream_flush(struct proxy_stream *s)
{
    if (s->closing || s->writing || s->lost)
        return;
    for (int tries = 0; proxy_stream_queued(s) > 0; tries++) {
        if (s->flying.len == 0) {
            struct buf empty = s->flying;
            s->flying = s->out;
            s->out = empty;
        }
        size_t left = s->flying.len - s->flying_at;
        uv_buf_t slice = uv_buf_init((char *)s->flying.data + s->flying_at, (unsigned)left);
        int n = tries == 0 ? uv_try_write((uv_stream_t *)&s->tcp, &slice, 1) : UV_EAGAIN;
        if (n == UV_EAGAIN) {
            s->write.data = s;
            n = uv_write(&s->write, (uv_stream_t *)&s->tcp, &slice, 1, proxy_stream_on_written);
            s->writing = n == 0;
            if (n == 0)
                return;
        }
        if (n < 0) {
            proxy_stream_end(s, n);
            return;
        }
        proxy_stream_sent(s, (size_t)n);
    }
    proxy_stream_check(s);
}

static void proxy_streams_flush(void *arg)
{
    struct proxy_streams *set = arg;
    struct proxy_stream *s;
    while ((s = TAILQ_FIRST(&set->dirty)) != NULL) {
        TAILQ_REMOVE(&set->dirty, s, of_dirty);
        s->dirty = false;
        proxy_stream_flush(s);
    }
}

void proxy_stream_finish(struct proxy_stream *s)
{
    s->finishing = true;
    proxy_stream_mark(s);
}

/* ---- reading --------------------------------------------------------------------------------- */

static void proxy_stream_on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *out)
{
    struct proxy_stream *s = handle->data;
    (void)suggested;
    *out = uv_buf_init(s->set->scratch, PROXY_STREAM_READ_BYTES);
}

static void proxy_stream_on_read(uv_stream_t *tcp, ssize_t n, const uv_buf_t *data)
{
    struct proxy_stream *s = tcp->data;
    if (n > 0)
        s->ops->data(s, data->base, (size_t)n);
    else if (n < 0)
        proxy_stream_end(s, n == UV_EOF ? 0 : (int)n);
}

void proxy_stream_read(struct proxy_stream *s, bool on)
{
    if (s->closing || on == s->reading || (on && (s->ended || s->lost)))
        return;
    s->reading = on;
    if (!on)
        (void)uv_read_stop((uv_stream_t *)&s->tcp);
    else if (uv_read_start((uv_stream_t *)&s->tcp, proxy_stream_on_alloc, proxy_stream_on_read) < 0)
        s->reading = false;
}

/* ---- the end --------------------------------------------------------------------------------- */

static void proxy_stream_on_closed(uv_handle_t *handle)
{
    struct proxy_stream *s = handle->data;
    buf_done(&s->out);
    buf_done(&s->flying);
    s->ops->closed(s);
}

void proxy_stream_close(struct proxy_stream *s)
{
    if (s->closing)
        return;
    s->closing = true;
    if (s->dirty)
        TAILQ_REMOVE(&s->set->dirty, s, of_dirty);
    s->dirty = false;
    uv_close((uv_handle_t *)&s->tcp, proxy_stream_on_closed);
}
