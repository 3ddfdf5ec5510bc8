/* Tasks of a job page by page; output of a task by two streams, from a place near its end. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "tui/feed_internal.h"

enum { FEED_TASKS_AGAIN_MS = 2000 };

/* Tasks */

static int64_t feed_last_index(const char *text, size_t len, size_t *n)
{
    struct json_scan s;
    struct json_slice key;
    int64_t last = -1;
    *n = 0;
    json_scan_init(&s, text, len);
    (void)json_scan_array(&s);
    while (json_scan_element(&s)) {
        (*n)++;
        if (!json_scan_object(&s))
            break;
        while (json_scan_key(&s, &key)) {
            int64_t index;
            if (!json_slice_is(&key, "index") || json_scan_peek(&s) != JSON_KIND_NUMBER)
                (void)json_scan_skip(&s, NULL);
            else if (json_scan_i64(&s, &index))
                last = index > last ? index : last;
        }
    }
    json_scan_done(&s);
    return last;
}

static void feed_on_tasks(void *arg, const struct client_reply *reply)
{
    struct feed_stream *stream = arg;
    struct feed *feed = stream->feed;
    struct error e;
    size_t n = 0;
    stream->call = NULL;
    if (reply->code != 0) {
        if (reply->status != 404)
            feed_stream_later(stream, FEED_TASKS_AGAIN_MS);
        return;
    }
    int64_t last = feed_last_index(reply->bytes, reply->bytes_len, &n);
    feed->tasks_n += n;
    if (model_read_rows(feed->model, MODEL_TASKS, reply->bytes, reply->bytes_len, &e) != 0) {
        feed_say(feed, feed->state, e.text, "");
        return;
    }
    if (n < FEED_TASKS_PAGE || last <= feed->tasks_after || feed->tasks_n >= FEED_TASKS_MAX)
        return; /* from here on events tell */
    feed->tasks_after = last;
    stream->again_ms = clock_mono_ms();
}

void feed_tasks_start(struct feed *feed)
{
    static const struct client_handler handler = {.done = feed_on_tasks};
    struct client_path path;
    (void)client_path(&path, "jobs", feed->tasks_job, "tasks", NULL);
    (void)client_path_param_u64(&path, "limit", FEED_TASKS_PAGE);
    if (feed->tasks_after >= 0)
        (void)client_path_param_u64(&path, "after", (uint64_t)feed->tasks_after);
    feed_stream_get(&feed->tasks, path.text, CLIENT_BODY_WHOLE, &handler);
}

void feed_tasks(struct feed *feed, const char *job)
{
    if (feed->client == NULL)
        return;
    feed_stream_stop(&feed->tasks);
    (void)snprintf(feed->tasks_job, sizeof feed->tasks_job, "%s", job != NULL ? job : "");
    feed->tasks_after = -1;
    feed->tasks_n = 0;
    if (job != NULL)
        feed_tasks_start(feed);
}

/* Output */

static void feed_output_flush(struct feed *feed, struct feed_output_stream *output)
{
    if (output->line.len > 0)
        model_add_output(feed->model, output->name, buf_cstr(&output->line), output->line.len);
    buf_clear(&output->line);
}

static struct feed_output_stream *feed_output_of(struct feed_stream *stream)
{
    struct feed *feed = stream->feed;
    return stream == &feed->output[0].stream ? &feed->output[0] : &feed->output[1];
}

static void feed_on_output(void *arg, const char *bytes, size_t len)
{
    struct feed_stream *stream = arg;
    struct feed *feed = stream->feed;
    struct feed_output_stream *output = feed_output_of(stream);
    output->offset += len;
    while (len > 0) {
        const char *newline = memchr(bytes, '\n', len);
        size_t n = newline != NULL ? (size_t)(newline - bytes) + 1 : len;
        if (buf_append(&output->line, bytes, n) != 0) { /* a very long line: in pieces */
            feed_output_flush(feed, output);
            n = n < MODEL_LINE_TEXT_MAX ? n : MODEL_LINE_TEXT_MAX;
            (void)buf_append(&output->line, bytes, n);
        }
        if (output->line.data[output->line.len - 1] == '\n')
            feed_output_flush(feed, output);
        bytes += n;
        len -= n;
    }
}

static void feed_on_output_end(void *arg, const struct client_reply *reply)
{
    struct feed_stream *stream = arg;
    struct feed *feed = stream->feed;
    struct feed_output_stream *output = feed_output_of(stream);
    stream->call = NULL;
    bool is_for_good = reply->status >= 400 && reply->status < 500;
    if (reply->code != 0 && !is_for_good) {
        feed_stream_later(stream, FEED_PAUSE_FIRST_MS);
        return;
    }
    feed_output_flush(feed, output);
    output->is_over = true;
    if (reply->code != 0 && output == &feed->output[0])
        model_add_output(feed->model, "stderr", reply->text, strlen(reply->text));
    feed->generation++;
}

void feed_output_start(struct feed *feed, struct feed_output_stream *output)
{
    static const struct client_handler handler = {.data = feed_on_output,
                                                  .done = feed_on_output_end};
    char job[FEED_ID_MAX];
    struct client_path path;
    (void)snprintf(job, sizeof job, "%s", feed->output_task);
    char *line = strrchr(job, '_');
    if (line != NULL)
        *line = '\0';
    (void)client_path(&path, "jobs", job, "output", NULL);
    (void)client_path_param(&path, "element", line != NULL ? line + 1 : "0");
    (void)client_path_param(&path, "stream", output->name);
    (void)client_path_param_u64(&path, "offset", output->offset);
    feed_stream_get(&output->stream, client_path_param(&path, "follow", "true"), CLIENT_BODY_BYTES,
                    &handler);
}

void feed_output_stop(struct feed *feed)
{
    for (size_t i = 0; i < MEM_COUNT(feed->output); i++) {
        feed_stream_stop(&feed->output[i].stream);
        buf_clear(&feed->output[i].line);
        feed->output[i].offset = 0;
        feed->output[i].is_over = false;
    }
}

void feed_output(struct feed *feed, const char *task)
{
    if (feed->client == NULL)
        return;
    feed_output_stop(feed);
    model_clear_output(feed->model);
    (void)snprintf(feed->output_task, sizeof feed->output_task, "%s", task != NULL ? task : "");
    if (task == NULL)
        return;
    const struct model_row *row =
        model_state_find(model_live_state(feed->model), MODEL_TASKS, task);
    for (size_t i = 0; i < MEM_COUNT(feed->output); i++) {
        char field[32];
        (void)snprintf(field, sizeof field, "%s_bytes", feed->output[i].name);
        int64_t bytes = model_row_int(row, field, 0);
        if (bytes > FEED_OUTPUT_BACK_BYTES)
            feed->output[i].offset = (uint64_t)(bytes - FEED_OUTPUT_BACK_BYTES);
        feed_output_start(feed, &feed->output[i]);
    }
}
