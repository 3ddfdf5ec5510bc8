/* The frame, then events since its cursor, vitals and chat, which all go on for ever; what happened
 * before that frame is asked for once. */
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "tui/feed_internal.h"

enum { FEED_FAILED_AGAIN_MS = 5000, FEED_PART_MS = 2000 };

/* Learning where the other nodes are */

void feed_learn(struct feed *feed)
{
    const struct model_state *state = model_live_state(feed->model);
    size_t n = model_state_count(state, MODEL_NODES);
    for (size_t i = 0; i < n; i++) {
        const struct model_row *row = model_state_at(state, MODEL_NODES, i);
        if (!client_learn_address(feed->client, model_row_text(row, "api_address")))
            break;
    }
    feed->learn_ms = clock_mono_ms() + FEED_LEARN_MS;
}

/* Events */

static void feed_is_live(struct feed *feed)
{
    feed->lost_at_ms = 0;
    if (feed->state != FEED_LIVE)
        feed_say(feed, FEED_LIVE, "", "");
}

static void feed_want_frame(struct feed *feed)
{
    feed_stream_stop(&feed->events);
    feed->needs_frame = true;
    feed->frame.again_ms = feed->frame.call == NULL ? clock_mono_ms() : INT64_MAX;
}

static bool feed_is_new_collector(const struct model *model)
{
    const struct model_lines *events = model_live_events(model);
    struct model_line line;
    uint64_t end = model_lines_end(events);
    if (end == model_lines_first(events))
        return false;
    model_lines_get(events, end - 1, &line);
    return strcmp(line.kind, "events.collector") == 0;
}

static void feed_on_event(void *arg, const char *bytes, size_t len)
{
    struct feed_stream *stream = arg;
    struct feed *feed = stream->feed;
    struct error e;
    uint64_t end = model_lines_end(model_live_events(feed->model));
    switch (model_read_event(feed->model, bytes, len, &e)) {
    case MODEL_LINE_EVENT:
        feed_is_live(feed);
        if (model_lines_end(model_live_events(feed->model)) > end &&
            feed_is_new_collector(feed->model))
            feed_want_frame(feed);
        break;
    case MODEL_LINE_CURSOR:
    case MODEL_LINE_DROPPED:
        feed_is_live(feed);
        break;
    case MODEL_LINE_PARTIAL:
        feed->is_part = true;
        feed_is_live(feed);
        if (feed->frame.call == NULL) /* who leads and who is there is not in events of a part */
            feed->frame.again_ms = clock_mono_ms();
        return;
    case MODEL_LINE_ERROR:
        feed_lose(feed, e.text);
        break;
    case MODEL_LINE_MALFORMED:
        break;
    }
    if (model_partial(feed->model)[0] != '\0' && !feed->is_part && feed->events.call != NULL)
        feed_want_frame(feed); /* a node leads again */
}

static void feed_on_events_end(void *arg, const struct client_reply *reply)
{
    struct feed_stream *stream = arg;
    struct feed *feed = stream->feed;
    stream->call = NULL;
    bool is_too_old = reply->connected && reply->status >= 400 && reply->status < 500 &&
                      !feed_is_refused(reply) && reply->status != 408 && reply->status != 429;
    if (feed->state != FEED_LOST)
        feed_lose(feed, reply->code != 0 ? reply->text : "the stream of events has ended");
    else if (reply->code != 0)
        feed_lose(feed, reply->text);
    if (feed_is_refused(reply))
        feed_say_failed(feed, reply);
    if (is_too_old) {
        model_forget_cursor(feed->model);
        feed->needs_frame = true;
        feed_stream_later(&feed->frame, FEED_PAUSE_FIRST_MS);
        return;
    }
    feed_stream_later(stream, FEED_PAUSE_FIRST_MS);
}

void feed_follow_events(struct feed *feed)
{
    static const struct client_handler handler = {.data = feed_on_event,
                                                  .done = feed_on_events_end};
    struct client_path path;
    (void)client_path(&path, "events", NULL);
    if (model_cursor(feed->model)[0] != '\0')
        (void)client_path_param(&path, "since", model_cursor(feed->model));
    model_resume(feed->model);
    feed->is_part = false;
    feed_stream_get(&feed->events, client_path_param(&path, "follow", "true"), CLIENT_BODY_LINES,
                    &handler);
}

/* What happened before the first frame: asked for once, between that frame and what follows it. */

static void feed_on_earlier(void *arg, const char *bytes, size_t len)
{
    struct feed_stream *stream = arg;
    model_read_earlier(stream->feed->model, bytes, len);
}

void feed_end_earlier(struct feed *feed)
{
    feed_stream_stop(&feed->earlier);
    model_end_earlier(feed->model);
    feed->events.again_ms = clock_mono_ms();
}

static void feed_on_earlier_end(void *arg, const struct client_reply *reply)
{
    struct feed_stream *stream = arg;
    (void)reply; /* without it the past begins with the frame */
    stream->call = NULL;
    feed_end_earlier(stream->feed);
}

static void feed_get_earlier(struct feed *feed)
{
    static const struct client_handler handler = {.data = feed_on_earlier,
                                                  .done = feed_on_earlier_end};
    int64_t frame_ms = model_live_ms(feed->model);
    char at[CLOCK_RFC3339_MAX];
    struct client_path path;
    (void)client_path(&path, "events", NULL);
    (void)client_path_param(&path, "since", clock_format_rfc3339(frame_ms - FEED_EARLIER_MS, at));
    (void)client_path_param(&path, "level", "info");
    feed->has_earlier = true;
    feed_stream_get(&feed->earlier,
                    client_path_param(&path, "until", clock_format_rfc3339(frame_ms, at)),
                    CLIENT_BODY_LINES, &handler);
    if (feed->earlier.call == NULL)
        feed_end_earlier(feed);
}

/* Frame */

static void feed_on_frame(void *arg, const struct client_reply *reply)
{
    struct feed_stream *stream = arg;
    struct feed *feed = stream->feed;
    struct error e = {0};
    stream->call = NULL;
    int rc = reply->code;
    if (rc == 0)
        rc = model_read_frame(feed->model, reply->bytes, reply->bytes_len, &e);
    if (rc != 0 && !feed->needs_frame) { /* it was only to look again */
        feed_stream_later(stream, FEED_PART_MS);
        return;
    }
    if (rc != 0) {
        if (reply->code != 0)
            feed_say_failed(feed, reply);
        else
            feed_say(feed, FEED_FAILED, e.text,
                     "is this clusterd, and of this version? clustersh status and clustertop "
                     "--version show both");
        feed_stream_later(stream,
                          feed->state == FEED_FAILED ? FEED_FAILED_AGAIN_MS : FEED_PAUSE_FIRST_MS);
        return;
    }
    stream->pause_ms = 0;
    stream->again_ms =
        model_partial(feed->model)[0] != '\0' ? clock_mono_ms() + FEED_PART_MS : INT64_MAX;
    feed->needs_frame = false;
    feed->lost_at_ms = 0;
    feed_say(feed, FEED_LIVE, "", "");
    int64_t now_ms = clock_mono_ms();
    if (feed->has_earlier)
        feed->events.again_ms = now_ms;
    else
        feed_get_earlier(feed);
    feed_learn(feed);
    struct feed_stream *others[] = {&feed->vitals, &feed->chat};
    for (size_t i = 0; i < MEM_COUNT(others); i++)
        if (others[i]->call == NULL)
            others[i]->again_ms = now_ms;
    if (feed->tasks_job[0] != '\0' && feed->tasks.call == NULL)
        feed->tasks.again_ms = now_ms;
}

void feed_get_frame(struct feed *feed)
{
    static const struct client_handler handler = {.done = feed_on_frame};
    feed_stream_get(&feed->frame, "/api/frame", CLIENT_BODY_WHOLE, &handler);
    if (feed->state == FEED_CONNECTING && feed->text[0] == '\0')
        feed_say(feed, FEED_CONNECTING, "connecting", "");
}

/* Vitals and chat: their loss alone is no loss of the cluster. */

static void feed_on_vitals(void *arg, const char *bytes, size_t len)
{
    struct feed_stream *stream = arg;
    model_read_vitals(stream->feed->model, bytes, len);
}

static void feed_on_vitals_end(void *arg, const struct client_reply *reply)
{
    (void)reply;
    feed_stream_later(arg, FEED_PAUSE_FIRST_MS);
}

void feed_follow_vitals(struct feed *feed)
{
    static const struct client_handler handler = {.data = feed_on_vitals,
                                                  .done = feed_on_vitals_end};
    bool is_few =
        model_state_count(model_live_state(feed->model), MODEL_NODES) <= MODEL_VITALS_FEW_NODES;
    int64_t newest_ms = model_vitals_newest_ms(model_live_vitals(feed->model));
    char since[CLOCK_RFC3339_MAX];
    struct client_path path;
    (void)client_path(&path, "vitals", NULL);
    if (newest_ms > 0)
        (void)client_path_param(&path, "since", clock_format_rfc3339(newest_ms + 1, since));
    else
        (void)client_path_param(&path, "since", is_few ? "10m" : "1m");
    feed_stream_get(&feed->vitals, client_path_param(&path, "follow", "true"), CLIENT_BODY_LINES,
                    &handler);
}

static void feed_on_message(void *arg, const char *bytes, size_t len)
{
    struct feed_stream *stream = arg;
    model_read_message(stream->feed->model, bytes, len);
}

static void feed_on_chat_end(void *arg, const struct client_reply *reply)
{
    struct feed_stream *stream = arg;
    stream->call = NULL;
    if (reply->status >= 400) /* a node without chat */
        stream->again_ms = clock_mono_ms() + FEED_CHAT_AGAIN_MS;
    else
        feed_stream_later(stream, FEED_PAUSE_FIRST_MS);
}

void feed_follow_chat(struct feed *feed)
{
    static const struct client_handler handler = {.data = feed_on_message,
                                                  .done = feed_on_chat_end};
    struct client_path path;
    (void)client_path(&path, "chat", "messages", NULL);
    if (model_message_next(feed->model) > 0)
        (void)client_path_param_u64(&path, "from", model_message_next(feed->model));
    feed_stream_get(&feed->chat, client_path_param(&path, "follow", "true"), CLIENT_BODY_LINES,
                    &handler);
}
