/* job results */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "shell/commands.h"
#include "shell/interrupt.h"
#include "shell/jobs.h"
#include "shell/request.h"
#include "shell/shell.h"

enum { CMD_JOB_RESULTS_LINE_MAX = 4096, CMD_JOB_RESULTS_FETCHES_MAX = 200 };

static char *cmd_job_results_line(const json_t *row)
{
    const char *text = jobs_text(row, "stdout");
    return mem_strndup(text, strcspn(text, "\n"));
}

static const struct column cmd_job_results_columns[] = {
    COLUMN("index", "element", COUNT),
    COLUMN("node", NULL, TEXT),
    COLUMN("state", NULL, STATE),
    COLUMN_AS("exit_code", "exit", COUNT, jobs_exit_text),
    COLUMN_DETAIL("signal", NULL, COUNT),
    COLUMN_DETAIL("attempt", NULL, COUNT),
    COLUMN("wall_ms", "time", DURATION),
    COLUMN_AS("stdout", "output", TEXT, cmd_job_results_line),
    COLUMN_END,
};

/* Reads the first line of output that is too large to travel in the list. */
struct cmd_job_results_head {
    char *bytes;
    size_t len;
    bool has_line;
    bool ended; /* the call is gone */
};

static void cmd_job_results_on_data(void *arg, const char *bytes, size_t len)
{
    struct cmd_job_results_head *head = arg;
    size_t room = CMD_JOB_RESULTS_LINE_MAX - head->len;
    size_t n = len < room ? len : room;
    memcpy(head->bytes + head->len, bytes, n);
    head->len += n;
    if (head->len == CMD_JOB_RESULTS_LINE_MAX || memchr(head->bytes, '\n', head->len) != NULL)
        head->has_line = true;
}

static void cmd_job_results_on_done(void *arg, const struct client_reply *reply)
{
    (void)reply;
    ((struct cmd_job_results_head *)arg)->ended = true;
}

static void cmd_job_results_fetch_head(struct shell *shell, const char *job, json_t *task)
{
    static const struct client_handler handler = {.data = cmd_job_results_on_data,
                                                  .done = cmd_job_results_on_done};
    struct cmd_job_results_head head = {.bytes = mem_alloc(CMD_JOB_RESULTS_LINE_MAX)};
    struct client_path path;
    (void)client_path(&path, "jobs", job, "output", NULL);
    (void)client_path_param_u64(&path, "element",
                                (uint64_t)json_integer_value(json_object_get(task, "index")));
    (void)client_path_param(&path, "stream", "stdout");
    struct client_call *call =
        client_start(shell->client,
                     &CLIENT_REQUEST(.method = "GET", .path = path.text, .body = CLIENT_BODY_BYTES,
                                     .timeout_ms = SHELL_TIMEOUT_MS),
                     &handler, &head, NULL);
    while (call != NULL && !head.has_line && !head.ended && !interrupt_pending())
        shell_wait(shell, INT64_MAX);
    if (call != NULL && !head.ended)
        client_cancel(call);
    const char *newline = memchr(head.bytes, '\n', head.len);
    size_t n = newline != NULL ? (size_t)(newline - head.bytes) : head.len;
    (void)json_object_set_new(task, "stdout", json_stringn_nocheck(head.bytes, n));
    free(head.bytes);
}

static void cmd_job_results_complete(struct shell *shell, const char *job, json_t *tasks)
{
    unsigned fetches = 0;
    size_t i;
    json_t *task;
    json_array_foreach(tasks, i, task)
    {
        bool is_missing = !json_is_string(json_object_get(task, "stdout")) &&
                          json_integer_value(json_object_get(task, "stdout_bytes")) > 0;
        if (is_missing && fetches++ < CMD_JOB_RESULTS_FETCHES_MAX && !interrupt_pending())
            cmd_job_results_fetch_head(shell, job, task);
    }
    (void)interrupt_take();
}

static int cmd_job_results_run(struct shell *shell, const struct command_call *call)
{
    struct client_path path;
    json_t *tasks;
    const char *id = command_argument_text(call, 0);
    (void)client_path(&path, "jobs", id, "tasks", NULL);
    (void)client_path_param(&path, "output", "true");
    (void)client_path_param(&path, "state", command_option_text(call, "state"));
    int status = jobs_fetch_pages(shell, &path, "index", UINT64_MAX, &tasks);
    if (status != SHELL_STATUS_OK)
        return status;
    if (!format_is_json(shell->format))
        cmd_job_results_complete(shell, id, tasks);
    shell_print_rows(shell, cmd_job_results_columns, tasks);
    json_decref(tasks);
    return SHELL_STATUS_OK;
}

const struct command cmd_job_results = {
    .name = "job results",
    .summary = "List how each element ended, where, and the first line of its output",
    .options = {{"state", 0, COMMAND_TYPE_CHOICE, "STATE",
                 "pending|assigned|running|completed|failed|cancelled|lost", false,
                 "only elements in this state"}},
    .arguments = {{"JOB", COMMAND_TYPE_JOB, COMMAND_COUNT_ONE, NULL, "the job"}},
    .examples = {{"job results last", "a table: element, node, state, exit status, time, output"}},
    .run = cmd_job_results_run,
};
