#include "shell/chat_stream.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/mem.h"
#include "client/client_path.h"
#include "shell/moment.h"
#include "shell/request.h"
#include "shell/text.h"

enum { RETRY_MIN_MS = 100, RETRY_MAX_MS = 2000, FAILURES_QUIET = 3 };

static void take_line(struct chat_stream *stream, const json_t *message, const char *line,
                      size_t len)
{
    json_int_t seq = json_integer_value(json_object_get(message, "seq"));
    json_int_t gone = json_integer_value(json_object_get(message, "gone_before"));
    if (gone > 0 && stream->on_gone != NULL)
        stream->on_gone(stream->arg, (uint64_t)gone);
    if (seq <= 0 || (uint64_t)seq < stream->next)
        return;
    stream->next = (uint64_t)seq + 1;
    stream->failures = 0;
    stream->seen++;
    stream->on_message(stream->arg, message, line, len);
}

static void on_data(void *arg, const char *bytes, size_t len)
{
    json_t *message = json_loadb(bytes, len, 0, NULL);
    if (message != NULL)
        take_line(arg, message, bytes, len);
    json_decref(message);
}

static void end(struct chat_stream *stream, int status)
{
    stream->ended = true;
    stream->status = status;
}

static bool has_enough(const struct chat_stream *stream)
{
    return stream->limit > 0 && stream->seen >= stream->limit;
}

/* A reader that follows goes on whatever happens to nodes; only what asking again cannot help ends
 * it. */
static void on_done(void *arg, const struct client_reply *reply)
{
    struct chat_stream *stream = arg;
    stream->call = NULL;
    bool may_help = reply->code == ERR_UNAVAILABLE || reply->code == ERR_TIMEOUT ||
                    reply->code == ERR_BUSY || reply->code == ERR_NO_LEADER;
    if (has_enough(stream) || (reply->code == 0 && !stream->follows)) {
        end(stream, SHELL_STATUS_OK);
        return;
    }
    bool was_connected = stream->insists || stream->next > 0 || reply->connected;
    if (reply->code != 0 && (!may_help || !was_connected || !stream->follows)) {
        end(stream, request_report_reply(stream->shell, reply));
        return;
    }
    if (++stream->failures == FAILURES_QUIET)
        output_note(&stream->shell->output, "the connection is lost: trying other nodes");
    int64_t pause_ms = RETRY_MIN_MS * (int64_t)stream->failures;
    stream->retry_ms = clock_mono_ms() + (pause_ms < RETRY_MAX_MS ? pause_ms : RETRY_MAX_MS);
}

static void ask(struct chat_stream *stream)
{
    static const struct client_handler handler = {.data = on_data, .done = on_done};
    struct client_path path;
    struct error e;
    (void)client_path(&path, "chat", "messages", NULL);
    if (stream->next > 0)
        (void)client_path_param_u64(&path, "from", stream->next);
    else
        (void)client_path_param(&path, "from", stream->from);
    (void)client_path_param(&path, "channel", stream->channel);
    (void)client_path_param(&path, "follow", stream->follows ? "true" : NULL);
    if (stream->limit > 0)
        (void)client_path_param_u64(&path, "limit", stream->limit - stream->seen);
    stream->retry_ms = 0;
    stream->call =
        client_start(stream->shell->client,
                     &CLIENT_REQUEST(.method = "GET", .path = path.text, .body = CLIENT_BODY_LINES),
                     &handler, stream, &e);
    if (stream->call == NULL)
        stream->retry_ms = clock_mono_ms() + RETRY_MIN_MS;
}

void chat_stream_start(struct chat_stream *stream)
{
    ask(stream);
}

void chat_stream_work(struct chat_stream *stream)
{
    if (!stream->ended && stream->call == NULL && clock_mono_ms() >= stream->retry_ms)
        ask(stream);
}

int64_t chat_stream_deadline_ms(const struct chat_stream *stream)
{
    return !stream->ended && stream->call == NULL ? stream->retry_ms : INT64_MAX;
}

void chat_stream_stop(struct chat_stream *stream)
{
    if (stream->call != NULL)
        client_cancel(stream->call);
    stream->call = NULL;
    stream->ended = true;
}

/* ---- for people ------------------------------------------------------------------------------ */

/* A sender's colour is always the same. */
static unsigned color_of(const char *sender)
{
    static const unsigned colors[] = {32, 33, 34, 35, 36, 92, 93, 94, 95, 96};
    unsigned hash = 5381;
    for (; *sender != '\0'; sender++)
        hash = hash * 33 + (unsigned char)*sender;
    return colors[hash % MEM_COUNT(colors)];
}

static void append_indented(struct buf *b, const char *text)
{
    for (;;) {
        size_t len = strcspn(text, "\n");
        (void)buf_append(b, text, len);
        if (text[len] == '\0')
            return;
        (void)buf_append_str(b, "\n    ");
        text += len + 1;
    }
}

char *chat_stream_format(const json_t *message, const char *channel, bool has_color)
{
    char time[MOMENT_TEXT_MAX];
    char *name = text_of_field(message, "channel", false);
    char *from = text_of_field(message, "from", false);
    char *text = text_of_field(message, "text", true);
    struct buf b;
    buf_init(&b, SIZE_MAX / 4);
    (void)buf_printf(&b, "%s ", moment_of(message, true, time));
    if (channel == NULL || strcmp(channel, name) != 0)
        (void)buf_printf(&b, "#%s ", name);
    if (has_color)
        (void)buf_printf(&b, "\033[%um%s:\033[0m ", color_of(from), from);
    else
        (void)buf_printf(&b, "%s: ", from);
    append_indented(&b, text);
    free(name);
    free(from);
    free(text);
    return buf_steal(&b, NULL);
}
