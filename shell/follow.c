/* Streams pull GET /api/jobs/JOB/output. For a whole job the list of tasks, read again and again
 * from the first element that is not taken yet, tells which elements have begun; what ended with
 * little output has it in that list and needs no stream.
 *
 * A stream whose connection breaks starts again at its offset, FOLLOW_TRIES_MAX times in a row
 * without a byte; then its element is reported and the others go on. */
#include "shell/follow.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/rangeset.h"
#include "shell/jobs.h"
#include "shell/request.h"

enum { FOLLOW_TRIES_MAX = 5, FOLLOW_LOOK_MS = 300 };

struct follow_stream {
    struct follow_run *run;
    struct client_call *call; /* NULL: free */
    uint32_t index;
    bool is_stderr;
    uint64_t received;
    unsigned tries; /* since the last byte */
    struct buf line;
    struct text_stream text;
};

struct follow_run {
    struct shell *shell;
    const struct follow *follow;
    struct follow_stream streams[FOLLOW_STREAMS_MAX];
    unsigned n_active;
    struct rangeset taken; /* elements that are done or have their streams */
    bool ended;            /* a stream has ended since the last look */
    int status;
};

/* Writing */

static void follow_write(struct follow_stream *stream, const char *bytes, size_t len)
{
    struct output *output = &stream->run->shell->output;
    if (!stream->is_stderr || stream->run->follow->merges)
        output_write_foreign(output, &stream->text, bytes, len);
    else
        output_error_foreign(output, &stream->text, bytes, len);
}

static void follow_write_label(struct follow_stream *stream)
{
    const struct follow *follow = stream->run->follow;
    char label[48] = "";
    size_t n = 0;
    if (follow->labelled)
        n = (size_t)snprintf(label, sizeof label, "%u", stream->index);
    if (follow->merges)
        n += (size_t)snprintf(label + n, sizeof label - n, "%s%s", n > 0 ? " " : "",
                              stream->is_stderr ? "err" : "out");
    (void)snprintf(label + n, sizeof label - n, ": ");
    follow_write(stream, label, strlen(label));
}

static void follow_end_line(struct follow_stream *stream)
{
    if (stream->line.len == 0)
        return;
    follow_write_label(stream);
    follow_write(stream, buf_cstr(&stream->line), stream->line.len);
    follow_write(stream, "\n", 1);
    buf_clear(&stream->line);
}

/* A line past the bound goes out in pieces. */
static void follow_add(struct follow_stream *stream, const char *bytes, size_t len)
{
    const struct follow *follow = stream->run->follow;
    if (!follow->labelled && !follow->merges) {
        follow_write(stream, bytes, len);
        return;
    }
    while (len > 0) {
        const char *newline = memchr(bytes, '\n', len);
        size_t n = newline != NULL ? (size_t)(newline - bytes) : len;
        size_t room = FOLLOW_LINE_BYTES_MAX - stream->line.len;
        bool is_full = n > room;
        n = is_full ? room : n;
        (void)buf_append(&stream->line, bytes, n);
        if (newline != NULL && !is_full && stream->line.len == 0) {
            follow_write_label(stream);
            follow_write(stream, "\n", 1);
        } else if (newline != NULL || is_full) {
            follow_end_line(stream);
        }
        n += newline != NULL && !is_full;
        bytes += n;
        len -= n;
    }
}

/* Streams */

static void follow_start(struct follow_stream *stream);

static void follow_on_data(void *arg, const char *bytes, size_t len)
{
    struct follow_stream *stream = arg;
    stream->received += len;
    stream->tries = 0;
    follow_add(stream, bytes, len);
}

static void follow_free(struct follow_stream *stream)
{
    follow_end_line(stream);
    buf_done(&stream->line);
    stream->call = NULL;
    stream->run->n_active--;
    stream->run->ended = true;
}

static void follow_on_done(void *arg, const struct client_reply *reply)
{
    struct follow_stream *stream = arg;
    struct follow_run *run = stream->run;
    bool is_broken = reply->code == ERR_UNAVAILABLE || reply->code == ERR_TIMEOUT;
    if (is_broken && stream->tries < FOLLOW_TRIES_MAX && stream->received > 0) {
        stream->tries++;
        follow_start(stream);
        return;
    }
    if (reply->code != 0) {
        int status = request_report_reply(run->shell, reply);
        run->status = run->status == SHELL_STATUS_OK ? status : run->status;
    }
    follow_free(stream);
}

static void follow_start(struct follow_stream *stream)
{
    const struct follow *follow = stream->run->follow;
    static const struct client_handler handler = {.data = follow_on_data, .done = follow_on_done};
    struct client_path path;
    (void)client_path(&path, "jobs", follow->job, "output", NULL);
    (void)client_path_param_u64(&path, "element", stream->index);
    (void)client_path_param(&path, "stream", stream->is_stderr ? "stderr" : "stdout");
    (void)client_path_param(&path, "follow", follow->follows ? "true" : NULL);
    (void)client_path_param(&path, "attempt", follow->attempt);
    if (stream->received > 0)
        (void)client_path_param_u64(&path, "offset", stream->received);
    stream->call =
        client_start(stream->run->shell->client,
                     &CLIENT_REQUEST(.method = "GET", .path = path.text, .body = CLIENT_BODY_BYTES),
                     &handler, stream, NULL);
    if (stream->call == NULL)
        abort();
}

static void follow_open(struct follow_run *run, uint32_t index, bool is_stderr)
{
    struct follow_stream *stream = run->streams;
    while (stream->call != NULL)
        stream++;
    *stream = (struct follow_stream){.run = run, .index = index, .is_stderr = is_stderr};
    buf_init(&stream->line, FOLLOW_LINE_BYTES_MAX);
    run->n_active++;
    follow_start(stream);
}

static void follow_open_element(struct follow_run *run, uint32_t index)
{
    if (run->follow->with_stdout)
        follow_open(run, index, false);
    if (run->follow->with_stderr)
        follow_open(run, index, true);
}

static void follow_stop(struct follow_run *run)
{
    for (size_t i = 0; i < FOLLOW_STREAMS_MAX; i++) {
        struct follow_stream *stream = &run->streams[i];
        if (stream->call == NULL)
            continue;
        client_cancel(stream->call);
        follow_free(stream);
    }
}

/* Waits for something to happen; false after Ctrl-C or when nobody reads the output any more. */
static bool follow_wait(struct follow_run *run, int64_t deadline_ms)
{
    shell_wait(run->shell, deadline_ms);
    if (shell_take_interrupt(run->shell)) {
        run->status = SHELL_STATUS_INTERRUPTED;
        return false;
    }
    return run->shell->output.broken == 0;
}

int follow_element(struct shell *shell, const struct follow *follow, uint32_t index)
{
    struct follow_run run = {.shell = shell, .follow = follow};
    int status = shell_connect(shell);
    if (status != SHELL_STATUS_OK)
        return status;
    follow_open_element(&run, index);
    while (run.n_active > 0 && follow_wait(&run, INT64_MAX))
        continue;
    follow_stop(&run);
    return run.status;
}

/* Whole jobs */

/* The stream's text in the task, when all of it is there. */
static const char *follow_inline(const json_t *task, bool is_stderr)
{
    const json_t *text = json_object_get(task, is_stderr ? "stderr" : "stdout");
    const json_t *bytes = json_object_get(task, is_stderr ? "stderr_bytes" : "stdout_bytes");
    if (json_integer_value(bytes) == 0 && json_is_integer(bytes))
        return "";
    bool is_whole =
        json_is_string(text) && (json_int_t)json_string_length(text) == json_integer_value(bytes);
    return is_whole ? json_string_value(text) : NULL;
}

static bool follow_print_inline(struct follow_run *run, const json_t *task, uint32_t index)
{
    bool streams[] = {run->follow->with_stdout, run->follow->with_stderr};
    for (int i = 0; i < 2; i++) {
        if (streams[i] && follow_inline(task, i == 1) == NULL)
            return false;
    }
    for (int i = 0; i < 2; i++) {
        if (!streams[i])
            continue;
        const char *text = follow_inline(task, i == 1);
        struct follow_stream stream = {.run = run, .index = index, .is_stderr = i == 1};
        buf_init(&stream.line, FOLLOW_LINE_BYTES_MAX);
        follow_add(&stream, text, strlen(text));
        follow_end_line(&stream);
        buf_done(&stream.line);
    }
    return true;
}

/* Takes one element of the list if it has output or will have none. False when it must wait for a
 * free stream. */
static bool follow_take(struct follow_run *run, const json_t *task)
{
    const char *state = jobs_text(task, "state");
    json_int_t number = json_integer_value(json_object_get(task, "index"));
    if (number < 0 || number > UINT32_MAX)
        return true;
    uint32_t index = (uint32_t)number;
    bool has_ended = strcmp(state, "completed") == 0 || strcmp(state, "failed") == 0 ||
                     strcmp(state, "cancelled") == 0;
    bool has_begun = has_ended || strcmp(state, "running") == 0;
    if (rangeset_contains(&run->taken, index) || (!has_begun && run->follow->follows))
        return true;
    if (!run->follow->follows && run->n_active > 0)
        return false;
    bool never_ran = !json_is_string(json_object_get(task, "started_at"));
    bool is_done = (never_ran && (has_ended || !run->follow->follows)) ||
                   (has_ended && follow_print_inline(run, task, index));
    if (!is_done) {
        unsigned needed = (unsigned)run->follow->with_stdout + run->follow->with_stderr;
        if (run->n_active + needed > FOLLOW_STREAMS_MAX)
            return false;
        follow_open_element(run, index);
    }
    rangeset_add(&run->taken, index, index);
    return true;
}

/* First element that is not taken, 0 at first. */
static uint32_t follow_low_water(const struct follow_run *run)
{
    uint32_t low = 0;
    if (run->taken.n > 0 && run->taken.ranges[0].first == 0)
        low = run->taken.ranges[0].last + 1;
    return low;
}

/* Reads the list of tasks and takes what it can. `*all` is true when nothing was left waiting. */
static int follow_look(struct follow_run *run, bool *all)
{
    struct client_path path;
    json_t *tasks;
    uint32_t low = follow_low_water(run);
    *all = true;
    (void)client_path(&path, "jobs", run->follow->job, "tasks", NULL);
    (void)client_path_param(&path, "output", "true");
    if (low > 0)
        (void)client_path_param_u64(&path, "after", low - 1);
    (void)client_path_param_u64(&path, "limit", JOBS_PAGE_ROWS);
    int status = request_get(run->shell, &path, &tasks);
    if (status != SHELL_STATUS_OK)
        return status;
    size_t i;
    json_t *task;
    json_array_foreach(tasks, i, task)
    {
        *all = follow_take(run, task);
        if (!*all)
            break;
    }
    json_decref(tasks);
    return SHELL_STATUS_OK;
}

/* Waits until a stream has ended or it is time to look again. */
static bool follow_wait_for_change(struct follow_run *run, int64_t deadline_ms)
{
    do {
        if (!follow_wait(run, deadline_ms))
            return false;
    } while (!run->ended && clock_mono_ms() < deadline_ms);
    return true;
}

int follow_all(struct shell *shell, const struct follow *follow, uint64_t elements)
{
    struct follow_run run = {.shell = shell, .follow = follow};
    int status = shell_connect(shell);
    uint64_t taken = 0;
    if (follow->follows)
        live_fetch(&shell->live, LIVE_NODES); /* whom to turn to when this node dies */
    rangeset_init(&run.taken);
    while (status == SHELL_STATUS_OK && (taken < elements || run.n_active > 0)) {
        bool all = true;
        uint64_t before = taken;
        run.ended = false;
        if (taken < elements)
            status = follow_look(&run, &all);
        taken = rangeset_count(&run.taken);
        if (status != SHELL_STATUS_OK || (taken > before && all))
            continue;
        if (!follow->follows && all && run.n_active == 0)
            break;
        if (!follow_wait_for_change(&run, taken < elements ? clock_mono_ms() + FOLLOW_LOOK_MS
                                                           : INT64_MAX))
            break;
    }
    follow_stop(&run);
    rangeset_done(&run.taken);
    return status != SHELL_STATUS_OK ? status : run.status;
}
