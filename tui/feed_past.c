/* A moment that the model has is shown at once. Else the server is asked for the frame; the events
 * and vitals before it follow when it is on the screen. */
#include <stdio.h>

#include "base/clock.h"
#include "tui/feed_internal.h"
#include "tui/replay.h"

enum { FEED_PAST_BACK_MS = 120 * 1000, FEED_PAST_LINES = 16 * 1024 };

void feed_past_stop(struct feed *feed)
{
    feed_stream_stop(&feed->past_frame);
    feed_stream_stop(&feed->past_events);
    feed_stream_stop(&feed->past_vitals);
}

static void feed_past_path(const struct feed *feed, const char *what, struct client_path *path)
{
    char time[CLOCK_RFC3339_MAX];
    (void)client_path(path, what, NULL);
    (void)client_path_param(path, "since",
                            clock_format_rfc3339(feed->seek_ms - FEED_PAST_BACK_MS, time));
    (void)client_path_param(path, "until", clock_format_rfc3339(feed->seek_ms, time));
}

static void feed_on_past_event(void *arg, const char *bytes, size_t len)
{
    struct feed_stream *stream = arg;
    model_past_line(stream->feed->model, bytes, len);
}

static void feed_on_past_vitals(void *arg, const char *bytes, size_t len)
{
    struct feed_stream *stream = arg;
    model_past_vitals_line(stream->feed->model, bytes, len);
}

static void feed_on_past_end(void *arg, const struct client_reply *reply)
{
    struct feed_stream *stream = arg;
    (void)reply;
    stream->call = NULL;
    stream->feed->generation++;
}

static void feed_on_past_frame(void *arg, const struct client_reply *reply)
{
    static const struct client_handler events = {.data = feed_on_past_event,
                                                 .done = feed_on_past_end};
    static const struct client_handler vitals = {.data = feed_on_past_vitals,
                                                 .done = feed_on_past_end};
    struct feed_stream *stream = arg;
    struct feed *feed = stream->feed;
    struct error e = {0};
    stream->call = NULL;
    feed->generation++;
    int rc = reply->code;
    const char *text = reply->text;
    if (rc == 0) {
        rc = model_seek_frame(feed->model, feed->seek_ms, reply->bytes, reply->bytes_len, &e);
        text = e.text;
    }
    if (rc != 0) {
        feed_say(feed, feed->state, text, reply->code != 0 ? reply->hint : "");
        return;
    }
    if (feed->state == FEED_LIVE)
        feed_say(feed, FEED_LIVE, "", "");
    struct client_path path;
    feed_past_path(feed, "events", &path);
    feed_stream_get(&feed->past_events, client_path_param_u64(&path, "limit", FEED_PAST_LINES),
                    CLIENT_BODY_LINES, &events);
    feed_past_path(feed, "vitals", &path);
    feed_stream_get(&feed->past_vitals, path.text, CLIENT_BODY_LINES, &vitals);
}

void feed_seek(struct feed *feed, int64_t at_ms)
{
    static const struct client_handler handler = {.done = feed_on_past_frame};
    char time[CLOCK_RFC3339_MAX];
    struct client_path path;
    feed->generation++;
    feed_past_stop(feed);
    if (model_seek(feed->model, at_ms) == 0) {
        if (feed->state == FEED_LIVE && feed->text[0] != '\0')
            feed_say(feed, FEED_LIVE, "", "");
        return;
    }
    feed->seek_ms = at_ms;
    if (feed->replay != NULL) {
        struct error e;
        int rc = replay_seek(feed->replay, feed->model, at_ms, &e);
        feed_say(feed, FEED_REPLAY, rc != 0 ? e.text : "", "");
        return;
    }
    (void)client_path(&path, "frame", NULL);
    feed_stream_get(&feed->past_frame,
                    client_path_param(&path, "at", clock_format_rfc3339(at_ms, time)),
                    CLIENT_BODY_WHOLE, &handler);
}

void feed_go_live(struct feed *feed)
{
    feed_past_stop(feed);
    if (feed->state == FEED_LIVE && feed->text[0] != '\0')
        feed_say(feed, FEED_LIVE, "", "");
    model_go_live(feed->model);
    feed->generation++;
}

bool feed_is_seeking(const struct feed *feed)
{
    return feed->past_frame.call != NULL;
}

void feed_span(const struct feed *feed, int64_t *first_ms, int64_t *last_ms)
{
    *first_ms = model_oldest_ms(feed->model);
    *last_ms = model_live_ms(feed->model);
    if (feed->replay != NULL)
        replay_span(feed->replay, first_ms, last_ms);
}
