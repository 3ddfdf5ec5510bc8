/* One TCP connection of the proxy as a stream of bytes: corked writes, marks of high and low water,
 * reading that can pause. Everything on the proxy's thread. */
#ifndef RUN_PROXY_STREAM_H
#define RUN_PROXY_STREAM_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/queue.h>

#include "base/buf.h"
#include "run/loop.h"

enum {
    PROXY_STREAM_READ_BYTES = 64 * 1024,
    PROXY_STREAM_HIGH_BYTES = 256 * 1024, /* queued: whoever feeds it should pause */
    PROXY_STREAM_LOW_BYTES = 64 * 1024,
    PROXY_STREAM_QUEUE_BYTES_MAX = 4 << 20, /* high water, one read, heads */
    PROXY_STREAM_KEPT_BYTES = 4096,         /* of an empty queue; the rest is given back */
};

struct proxy_stream;

struct proxy_stream_ops {
    void (*data)(struct proxy_stream *s, const char *data, size_t len); /* borrowed */
    /* The other side has ended (0), or the connection is lost (-errno); each at most once. */
    void (*end)(struct proxy_stream *s, int code);
    /* What is queued has fallen to low water after proxy_stream_is_high(), or to nothing. */
    void (*drained)(struct proxy_stream *s);
    void (*closed)(struct proxy_stream *s); /* its memory may go */
};

/* What all streams of a thread share. */
struct proxy_streams {
    struct loop *loop;
    struct loop_hook flush;
    TAILQ_HEAD(, proxy_stream) dirty;
    char *scratch;
};

struct proxy_stream {
    struct proxy_streams *set;
    const struct proxy_stream_ops *ops;
    uv_tcp_t tcp;
    uv_write_t write;
    uv_shutdown_t shutdown;
    struct buf out;
    struct buf flying;
    size_t flying_at;
    bool reading;
    bool writing;
    bool ended; /* the other side has */
    bool lost;
    bool closing;
    bool high;
    bool dirty;
    bool finishing; /* our side ends when all is written */
    bool finished;
    TAILQ_ENTRY(proxy_stream) of_dirty;
};

void proxy_streams_init(struct proxy_streams *set, struct loop *loop);
void proxy_streams_done(struct proxy_streams *set);

void proxy_stream_init(struct proxy_stream *s, struct proxy_streams *set,
                       const struct proxy_stream_ops *ops);

/* Queues a copy; written at the end of the turn. ERR_TOO_LARGE, with nothing taken, beyond
 * PROXY_STREAM_QUEUE_BYTES_MAX. */
int proxy_stream_put(struct proxy_stream *s, const void *data, size_t len);
/* The buffer that the next bytes can be formatted into; they are written at the end of the turn. */
struct buf *proxy_stream_out(struct proxy_stream *s);

size_t proxy_stream_queued(const struct proxy_stream *s);
/* Asked by whoever feeds it: true means wait for `drained`. */
bool proxy_stream_is_high(struct proxy_stream *s);

void proxy_stream_read(struct proxy_stream *s, bool on);
/* Ends our side when all is written; reading goes on. */
void proxy_stream_finish(struct proxy_stream *s);
/* Closes it at once; `closed` follows. More than once is allowed. */
void proxy_stream_close(struct proxy_stream *s);

#endif
