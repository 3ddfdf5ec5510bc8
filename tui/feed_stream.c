/* Calls that are made again and again, and the way of what they bring: a stream's lines and bytes
 * go into the feed's queue as they arrive, feed_turn() takes them from there into the model, so
 * much at a time that keys and frames come first.
 *
 * When the queue is full nothing is read (feed_may_read()): the connections fill, and a server that
 * has no room either drops events and says so. Above its bound the queue gets what one read of the
 * connections brings, some 128 KiB of each. */
#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "tui/feed_internal.h"

void feed_stream_stop(struct feed_stream *stream)
{
    if (stream->call != NULL)
        client_cancel(stream->call);
    stream->call = NULL;
    stream->run++;
    stream->again_ms = INT64_MAX;
}

void feed_stream_later(struct feed_stream *stream, int64_t first_ms)
{
    stream->call = NULL;
    stream->pause_ms =
        stream->pause_ms == 0
            ? (unsigned)first_ms
            : (stream->pause_ms * 2 < FEED_PAUSE_MAX_MS ? stream->pause_ms * 2 : FEED_PAUSE_MAX_MS);
    if (stream->pause_ms < first_ms)
        stream->pause_ms = (unsigned)first_ms;
    stream->again_ms = clock_mono_ms() + stream->pause_ms;
}

void feed_stream_heard(struct feed_stream *stream)
{
    stream->heard_ms = clock_mono_ms();
    stream->pause_ms = 0;
}

bool feed_stream_is_due(const struct feed_stream *stream, int64_t now_ms)
{
    return stream->call == NULL && stream->again_ms <= now_ms;
}

/* Arrival */

static void feed_stream_on_end(void *arg, const struct client_reply *reply)
{
    struct feed_stream *stream = arg;
    struct feed_end *end = &stream->end;
    end->code = reply->code;
    end->status = reply->status;
    end->connected = reply->connected;
    (void)snprintf(end->text, sizeof end->text, "%s", reply->text);
    (void)snprintf(end->hint, sizeof end->hint, "%s", reply->hint);
    stream->call = NULL;
    feed_queue_push(&stream->feed->queue,
                    &(struct feed_piece){FEED_PIECE_END, stream, stream->run, NULL, 0});
}

static void feed_stream_on_data(void *arg, const char *bytes, size_t len)
{
    struct feed_stream *stream = arg;
    if (len == 0 || stream->call == NULL)
        return;
    feed_stream_heard(stream);
    feed_queue_push(&stream->feed->queue,
                    &(struct feed_piece){FEED_PIECE_DATA, stream, stream->run, bytes, len});
}

void feed_stream_get(struct feed_stream *stream, const char *path, enum client_body body,
                     const struct client_handler *handler)
{
    static const struct client_handler queued = {.data = feed_stream_on_data,
                                                 .done = feed_stream_on_end};
    bool is_stream = body == CLIENT_BODY_LINES || body == CLIENT_BODY_BYTES;
    struct error e;
    assert(stream->call == NULL);
    stream->run++;
    stream->taker = handler;
    stream->again_ms = INT64_MAX;
    stream->heard_ms = clock_mono_ms();
    stream->call = client_start(stream->feed->client,
                                &CLIENT_REQUEST(.method = "GET", .path = path, .body = body,
                                                .attempt_ms = FEED_ANSWER_MS,
                                                .timeout_ms = is_stream ? 0 : FEED_TIMEOUT_MS),
                                is_stream ? &queued : handler, stream, &e);
    if (stream->call == NULL)
        feed_stream_later(stream, FEED_PAUSE_MAX_MS);
}

/* Taking */

static void feed_stream_take(struct feed_stream *stream, const struct feed_piece *piece)
{
    const struct feed_end *end = &stream->end;
    if (piece->kind == FEED_PIECE_DATA)
        stream->taker->data(stream, piece->bytes, piece->len);
    else
        stream->taker->done(stream, &(struct client_reply){.code = end->code,
                                                           .status = end->status,
                                                           .connected = end->connected,
                                                           .text = end->text,
                                                           .hint = end->hint,
                                                           .etag = "",
                                                           .bytes = ""});
}

bool feed_may_read(const struct feed *feed)
{
    return feed->queue.bytes < feed->queue_bytes_max;
}

void feed_turn(struct feed *feed, int64_t until_us)
{
    struct feed_piece piece;
    while (feed_queue_first(&feed->queue, &piece)) {
        struct feed_stream *stream = piece.owner;
        if (piece.run == stream->run)
            feed_stream_take(stream, &piece);
        feed_queue_pop(&feed->queue);
        if (clock_mono_us() >= until_us)
            break;
    }
}
