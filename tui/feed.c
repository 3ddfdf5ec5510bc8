/* Happy path: the frame, then events since its cursor, vitals, chat; all go on for ever. A timer of
 * a second looks whether a stream has fallen silent and starts what is due.
 *
 * Failures: a stream that ends is made again from where it was, at whichever node answers; the
 * client goes through those it knows. What is too old to go on from needs a new frame. A server
 * without frames, or a refused token, is said, and asked again now and then. */
#include "tui/feed.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/str.h"
#include "tui/feed_internal.h"
#include "tui/replay.h"

enum { FEED_TICK_MS = 250, FEED_CLIENT_RETRY_MS = 1000 };

/* What is said */

static void feed_set_text(char *to, size_t size, const char *text)
{
    char *clean = str_printable(text, strlen(text), false);
    (void)snprintf(to, size, "%s", clean);
    free(clean);
}

void feed_say(struct feed *feed, enum feed_state state, const char *text, const char *hint)
{
    feed->state = state;
    feed_set_text(feed->text, sizeof feed->text, text);
    feed_set_text(feed->hint, sizeof feed->hint, hint);
    if (feed->client != NULL)
        feed_set_text(feed->endpoint, sizeof feed->endpoint, client_endpoint(feed->client));
    feed->generation++;
}

enum feed_state feed_state(const struct feed *feed)
{
    return feed->state;
}

const char *feed_text(const struct feed *feed)
{
    return feed->text;
}

const char *feed_hint(const struct feed *feed)
{
    return feed->hint;
}

int64_t feed_lost_ms(const struct feed *feed)
{
    return feed->lost_at_ms > 0 ? clock_mono_ms() - feed->lost_at_ms : 0;
}

const char *feed_endpoint(const struct feed *feed)
{
    return feed->endpoint;
}

bool feed_is_read_only(const struct feed *feed)
{
    return feed->read_only;
}

size_t feed_waiting(const struct feed *feed)
{
    return feed->queue.bytes;
}

uint64_t feed_generation(const struct feed *feed)
{
    return feed->generation;
}

/* Trouble */

bool feed_is_refused(const struct client_reply *reply)
{
    return reply->code == ERR_UNAUTHORIZED || reply->code == ERR_FORBIDDEN;
}

void feed_say_failed(struct feed *feed, const struct client_reply *reply)
{
    char text[FEED_TEXT_MAX];
    const char *hint = reply->hint;
    enum feed_state state = feed->lost_at_ms > 0 ? FEED_LOST : FEED_CONNECTING;
    bool is_foreign = reply->connected && reply->code == ERR_PROTOCOL;
    if (is_foreign) {
        state = FEED_FAILED;
        (void)snprintf(text, sizeof text, "%.*s", FEED_TEXT_MAX - 1, reply->text);
    } else if (reply->status == 404 || reply->status == 405 || reply->code == ERR_UNSUPPORTED) {
        state = FEED_FAILED;
        (void)snprintf(text, sizeof text, "this server is older than clustertop (no /api/frame)");
        hint = "update clusterd there; clustersh status, node list and job list work with it";
    } else {
        (void)snprintf(text, sizeof text, "%.*s", FEED_TEXT_MAX - 1, reply->text);
    }
    if (feed_is_refused(reply) && !is_foreign) {
        state = FEED_FAILED;
        if (hint[0] == '\0')
            hint = "--token-file FILE or CLUSTERSH_TOKEN gives the token, DATA/api.token of a node";
    } else if (!reply->connected && hint[0] == '\0') {
        hint = "is clusterd running there? -s ENDPOINT names another; clusterd dev starts one";
    }
    feed_say(feed, state, text, hint);
}

/* The events stopped: from now on what is shown is old. */
void feed_lose(struct feed *feed, const char *text)
{
    if (feed->lost_at_ms == 0 && feed->state == FEED_LIVE)
        feed->lost_at_ms = clock_mono_ms();
    if (feed->state == FEED_LIVE || feed->state == FEED_LOST)
        feed_say(feed, FEED_LOST, text, "");
}

/* Time */

static void feed_tick(struct feed *feed)
{
    int64_t now_ms = clock_mono_ms();
    bool is_silent =
        feed->events.call != NULL && now_ms - feed->events.heard_ms > FEED_STREAM_SILENT_MS;
    if (is_silent) {
        feed_stream_stop(&feed->events);
        feed_lose(feed, "the server has fallen silent");
        feed_stream_later(&feed->events, FEED_PAUSE_FIRST_MS);
    }
    if (feed->vitals.call != NULL && now_ms - feed->vitals.heard_ms > 4 * FEED_STREAM_SILENT_MS) {
        feed_stream_stop(&feed->vitals);
        feed_stream_later(&feed->vitals, FEED_PAUSE_FIRST_MS);
    }
    if (feed->earlier.call != NULL && now_ms - feed->earlier.heard_ms > FEED_EARLIER_WAIT_MS)
        feed_end_earlier(feed);
    const char *trouble = client_trouble(feed->client);
    if (trouble != NULL && feed->state != FEED_LIVE && strcmp(trouble, feed->text) != 0)
        feed_say(feed, feed->state, trouble, feed->hint);

    if (feed_stream_is_due(&feed->frame, now_ms))
        feed_get_frame(feed);
    if (feed_stream_is_due(&feed->events, now_ms) && !feed->needs_frame)
        feed_follow_events(feed);
    if (feed_stream_is_due(&feed->vitals, now_ms))
        feed_follow_vitals(feed);
    if (feed_stream_is_due(&feed->chat, now_ms))
        feed_follow_chat(feed);
    if (feed->learn_ms <= now_ms)
        feed_learn(feed);
    if (feed_stream_is_due(&feed->tasks, now_ms))
        feed_tasks_start(feed);
    for (size_t i = 0; i < MEM_COUNT(feed->output); i++)
        if (feed_stream_is_due(&feed->output[i].stream, now_ms))
            feed_output_start(feed, &feed->output[i]);
}

/* The earliest moment at which the tick has something to do. */
static int64_t feed_due_ms(const struct feed *feed)
{
    const struct feed_stream *const streams[] = {
        &feed->frame, &feed->events,           &feed->vitals,          &feed->chat,
        &feed->tasks, &feed->output[0].stream, &feed->output[1].stream};
    int64_t due_ms = feed->learn_ms;
    for (size_t i = 0; i < MEM_COUNT(streams); i++) {
        bool waits = feed->needs_frame && streams[i] == &feed->events;
        if (streams[i]->call == NULL && !waits && streams[i]->again_ms < due_ms)
            due_ms = streams[i]->again_ms;
    }
    if (feed->events.call != NULL && feed->events.heard_ms + FEED_STREAM_SILENT_MS < due_ms)
        due_ms = feed->events.heard_ms + FEED_STREAM_SILENT_MS + 1;
    if (feed->earlier.call != NULL && feed->earlier.heard_ms + FEED_EARLIER_WAIT_MS < due_ms)
        due_ms = feed->earlier.heard_ms + FEED_EARLIER_WAIT_MS + 1;
    int64_t often_ms = clock_mono_ms() + FEED_TICK_MS;
    return feed->state != FEED_LIVE && due_ms > often_ms ? often_ms : due_ms;
}

static void feed_set_timer(struct feed *feed)
{
    struct itimerspec at = {0};
    int64_t due_ms = feed->queue.bytes > 0 ? 1 : feed_due_ms(feed);
    if (due_ms != INT64_MAX) {
        due_ms = due_ms < 1 ? 1 : due_ms;
        at.it_value.tv_sec = due_ms / 1000;
        at.it_value.tv_nsec = due_ms % 1000 * 1000000;
    }
    (void)timerfd_settime(feed->timer_fd, TFD_TIMER_ABSTIME, &at, NULL);
}

int feed_fd(const struct feed *feed)
{
    return feed->epoll_fd;
}

/* Every stream there is, for what is done to all. */
#define FEED_STREAMS(feed)                                                                         \
    {                                                                                              \
        &(feed)->frame, &(feed)->earlier, &(feed)->events, &(feed)->vitals, &(feed)->chat,         \
            &(feed)->past_frame, &(feed)->past_events, &(feed)->past_vitals, &(feed)->tasks,       \
            &(feed)->output[0].stream, &(feed)->output[1].stream                                   \
    }

/* Reads what the connections have, unless there is too much to take already: a stream that is not
 * listened to is not silent. */
static void feed_read(struct feed *feed)
{
    if (feed_may_read(feed)) {
        client_dispatch(feed->client);
        return;
    }
    struct feed_stream *const streams[] = FEED_STREAMS(feed);
    for (size_t i = 0; i < MEM_COUNT(streams); i++)
        streams[i]->heard_ms = clock_mono_ms();
}

void feed_dispatch(struct feed *feed)
{
    uint64_t expirations;
    if (feed->client == NULL)
        return;
    int64_t until_us = clock_mono_us() + feed->turn_us; /* reading counts */
    (void)!read(feed->timer_fd, &expirations, sizeof expirations);
    feed_read(feed);
    feed_turn(feed, until_us);
    feed_tick(feed);
    feed_set_timer(feed);
}

/* Life */

static int feed_set_up(struct feed *feed, struct error *e)
{
    struct epoll_event event = {.events = EPOLLIN};
    feed->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    feed->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
    if (feed->epoll_fd < 0 || feed->timer_fd < 0)
        return error_set(e, -errno, "clustertop: %s", strerror(errno));
    event.data.fd = feed->timer_fd;
    if (epoll_ctl(feed->epoll_fd, EPOLL_CTL_ADD, feed->timer_fd, &event) != 0)
        return error_set(e, -errno, "clustertop: %s", strerror(errno));
    if (feed->client == NULL)
        return 0;
    event.data.fd = client_fd(feed->client);
    if (epoll_ctl(feed->epoll_fd, EPOLL_CTL_ADD, client_fd(feed->client), &event) != 0)
        return error_set(e, -errno, "clustertop: %s", strerror(errno));
    return 0;
}

static struct feed *feed_new(const struct feed_options *options, struct model *model)
{
    static const char *const names[] = {"stdout", "stderr"};
    struct feed *feed = mem_zalloc(sizeof *feed);
    feed->model = model;
    feed->read_only = options->read_only;
    feed->turn_us = options->turn_us > 0 ? options->turn_us : FEED_TURN_US;
    feed->queue_bytes_max = options->queue_bytes > 0 ? options->queue_bytes : FEED_QUEUE_BYTES_MAX;
    feed_queue_init(&feed->queue);
    feed->epoll_fd = feed->timer_fd = -1;
    TAILQ_INIT(&feed->acts);
    feed->learn_ms = INT64_MAX;
    struct feed_stream *const streams[] = FEED_STREAMS(feed);
    for (size_t i = 0; i < MEM_COUNT(streams); i++)
        *streams[i] = (struct feed_stream){.feed = feed, .again_ms = INT64_MAX};
    for (size_t i = 0; i < MEM_COUNT(feed->output); i++) {
        feed->output[i].name = names[i];
        buf_init(&feed->output[i].line, MODEL_LINE_TEXT_MAX);
    }
    return feed;
}

int feed_open(const struct feed_options *options, struct model *model, struct feed **feed,
              struct error *e)
{
    struct feed *made = feed_new(options, model);
    struct client_options client = options->client;
    client.retry_ms = client.retry_ms > 0 ? client.retry_ms : FEED_CLIENT_RETRY_MS;
    int rc = client_open(&client, &made->client, e);
    if (rc == 0)
        rc = feed_set_up(made, e);
    if (rc != 0) {
        feed_close(made);
        return rc;
    }
    feed_say(made, FEED_CONNECTING, "", "");
    made->needs_frame = true;
    feed_get_frame(made);
    feed_set_timer(made);
    *feed = made;
    return 0;
}

int feed_open_replay(const char *path, struct model *model, struct feed **feed, struct error *e)
{
    struct feed *made = feed_new(&(struct feed_options){.read_only = true}, model);
    int rc = feed_set_up(made, e);
    if (rc == 0)
        rc = replay_open(path, model, &made->replay, e);
    if (rc != 0) {
        feed_close(made);
        return rc;
    }
    feed_set_text(made->endpoint, sizeof made->endpoint, path);
    feed_say(made, FEED_REPLAY, "", "");
    *feed = made;
    return 0;
}

void feed_close(struct feed *feed)
{
    if (feed == NULL)
        return;
    feed_acts_free(feed);
    client_close(feed->client);
    feed_queue_done(&feed->queue);
    replay_free(feed->replay);
    for (size_t i = 0; i < MEM_COUNT(feed->output); i++)
        buf_done(&feed->output[i].line);
    if (feed->epoll_fd >= 0)
        (void)close(feed->epoll_fd);
    if (feed->timer_fd >= 0)
        (void)close(feed->timer_fd);
    free(feed);
}
