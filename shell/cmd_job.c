/* job list, show, tasks, cancel, retry */
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/str.h"
#include "client/client_rows.h"
#include "shell/commands.h"
#include "shell/jobs.h"
#include "shell/look.h"
#include "shell/request.h"
#include "shell/shell.h"
#include "shell/text.h"

enum { CMD_JOB_LIST_DEFAULT = 20 };

static char *cmd_job_done(const json_t *row)
{
    return mem_printf("%lld/%lld", (long long)json_integer_value(json_object_get(row, "completed")),
                      (long long)json_integer_value(json_object_get(row, "elements")));
}

/* The command line, or the commands one after the other. */
static char *cmd_job_command(const json_t *row)
{
    const json_t *argv = json_object_get(row, "argv");
    const json_t *words = json_array_size(argv) > 0 ? argv : json_object_get(row, "commands");
    return text_join(words, words == argv ? " " : "; ");
}

/* How long an attempt took, or has been running. */
static char *cmd_job_task_time(const json_t *task)
{
    char text[STR_SHORT_MAX];
    int64_t started_ms;
    const json_t *wall = json_object_get(task, "wall_ms");
    if (json_is_integer(wall))
        return mem_strdup(str_format_duration(json_integer_value(wall), text));
    if (strcmp(jobs_text(task, "state"), "running") != 0 ||
        clock_parse_rfc3339(jobs_text(task, "started_at"), &started_ms) < 0)
        return NULL;
    int64_t now_ms = clock_wall_ms();
    return mem_strdup(str_format_duration(now_ms > started_ms ? now_ms - started_ms : 0, text));
}

const struct column cmd_job_columns[] = {
    COLUMN("id", NULL, ID),
    COLUMN("name", NULL, TEXT),
    COLUMN("state", NULL, STATE),
    COLUMN_AS("completed", "done", COUNT, cmd_job_done),
    COLUMN_WIDE("running", NULL, COUNT),
    COLUMN("failed", NULL, COUNT),
    COLUMN_DETAIL("pending", NULL, COUNT),
    COLUMN_DETAIL("cancelled", NULL, COUNT),
    COLUMN_RAW("elements", COUNT),
    COLUMN("submitted_at", "submitted", AGE),
    COLUMN("wall_ms", "time", DURATION),
    COLUMN_WIDE("user", NULL, TEXT),
    COLUMN("reason", NULL, TEXT),
    COLUMN_DETAIL("started_at", "started", TIME),
    COLUMN_DETAIL("ended_at", "ended", TIME),
    COLUMN_DETAIL_AS("commands", "command", LIST, cmd_job_command),
    COLUMN_DETAIL("array", NULL, TEXT),
    COLUMN_DETAIL("array_limit", "at once", COUNT_SET),
    COLUMN_DETAIL("after", NULL, LIST),
    COLUMN_DETAIL("priority", NULL, COUNT),
    COLUMN_DETAIL("selector", NULL, TEXT),
    COLUMN_DETAIL("cpus", NULL, COUNT),
    COLUMN_DETAIL("memory_bytes", "memory", BYTES_SET),
    COLUMN_DETAIL("time_limit_ms", "time limit", DURATION_SET),
    COLUMN_DETAIL("retries", NULL, COUNT),
    COLUMN_DETAIL("idempotency_key", "idempotency key", TEXT),
    COLUMN_DETAIL("seq", NULL, COUNT),
    COLUMN_END,
};

const struct column cmd_job_task_columns[] = {
    COLUMN_DETAIL("id", NULL, TEXT),
    COLUMN_DETAIL("job", NULL, ID),
    COLUMN("index", "element", COUNT),
    COLUMN("attempt", NULL, COUNT),
    COLUMN("state", NULL, STATE),
    COLUMN("node", NULL, TEXT),
    COLUMN_AS("exit_code", "exit", COUNT, jobs_exit_text),
    COLUMN_DETAIL("signal", NULL, COUNT),
    COLUMN_AS("wall_ms", "time", DURATION, cmd_job_task_time),
    COLUMN_DETAIL("user_ms", "user", DURATION),
    COLUMN_DETAIL("system_ms", "system", DURATION),
    COLUMN("rss_max_bytes", "memory", BYTES),
    COLUMN_DETAIL("stdout_bytes", "stdout", BYTES),
    COLUMN_DETAIL("stderr_bytes", "stderr", BYTES),
    COLUMN_DETAIL("code", NULL, TEXT),
    COLUMN_DETAIL("text", NULL, TEXT),
    COLUMN("reason", NULL, TEXT),
    COLUMN_DETAIL("assigned_at", "assigned", TIME),
    COLUMN_DETAIL("started_at", "started", TIME),
    COLUMN_DETAIL("ended_at", "ended", TIME),
    COLUMN_END,
};

/* job list */

static int cmd_job_compare(const void *a, const void *b)
{
    json_int_t x = json_integer_value(json_object_get(*(json_t *const *)a, "seq"));
    json_int_t y = json_integer_value(json_object_get(*(json_t *const *)b, "seq"));
    return (x < y) - (x > y);
}

/* What the leader does with the parameters of GET /api/jobs, for the jobs of a part. */
static void cmd_job_keep(const struct command_call *call, uint64_t limit, json_t *jobs)
{
    static const char *const fields[] = {"state", "user", "name"};
    for (size_t i = json_array_size(jobs); i-- > 0;) {
        const json_t *job = json_array_get(jobs, i);
        bool keeps = true;
        for (size_t k = 0; k < MEM_COUNT(fields); k++) {
            const char *wanted = command_option_text(call, fields[k]);
            keeps = keeps && (wanted == NULL || strcmp(jobs_text(job, fields[k]), wanted) == 0);
        }
        if (!keeps)
            (void)json_array_remove(jobs, i);
    }
    client_rows_sort(jobs, cmd_job_compare);
    while (json_array_size(jobs) > limit)
        (void)json_array_remove(jobs, json_array_size(jobs) - 1);
}

static int cmd_job_fetch(struct shell *shell, const struct command_call *call, uint64_t limit,
                         json_t **jobs)
{
    struct client_path path, first;
    bool is_part;
    (void)client_path(&path, "jobs", NULL);
    (void)client_path_param(&path, "state", command_option_text(call, "state"));
    (void)client_path_param(&path, "user", command_option_text(call, "user"));
    (void)client_path_param(&path, "name", command_option_text(call, "name"));
    first = path;
    (void)client_path_param_u64(&first, "limit", limit < JOBS_PAGE_ROWS ? limit : JOBS_PAGE_ROWS);
    int status = look_rows(shell, &first, "jobs", jobs, &is_part);
    if (status != SHELL_STATUS_OK)
        return status;
    size_t n = json_array_size(*jobs);
    if (is_part) {
        cmd_job_keep(call, limit, *jobs);
    } else if (n >= JOBS_PAGE_ROWS_MIN) {
        status = jobs_fetch_more(shell, &path, "seq", limit, *jobs);
        if (status != SHELL_STATUS_OK)
            json_decref(*jobs);
    }
    return status;
}

static int cmd_job_list_run(struct shell *shell, const struct command_call *call)
{
    const struct command_value *limit_value = command_option(call, "limit");
    bool is_all = command_option_given(call, "all");
    uint64_t limit = limit_value != NULL ? limit_value->number : CMD_JOB_LIST_DEFAULT;
    json_t *jobs;
    int status = cmd_job_fetch(shell, call, is_all ? UINT64_MAX : limit, &jobs);
    if (status != 0)
        return status;
    shell_print_rows(shell, cmd_job_columns, jobs);
    bool may_be_more = !is_all && limit_value == NULL && json_array_size(jobs) == limit;
    if (may_be_more && output_is_terminal(&shell->output) && !format_is_json(shell->format))
        shell_hint(shell, "these are the newest %d; --all lists every job", CMD_JOB_LIST_DEFAULT);
    json_decref(jobs);
    return SHELL_STATUS_OK;
}

const struct command cmd_job_list = {
    .name = "job list",
    .summary = "List jobs, newest first",
    .options = {{"state", 0, COMMAND_TYPE_CHOICE, "STATE",
                 "pending|running|completed|failed|cancelled", false,
                 "pending, running, completed, failed or cancelled"},
                {"user", 'u', COMMAND_TYPE_TEXT, "USER", NULL, false, "only this user's"},
                {"name", 0, COMMAND_TYPE_TEXT, "NAME", NULL, false, "only those of this name"},
                {"limit", 'n', COMMAND_TYPE_COUNT, "N", NULL, false, "how many; default 20"},
                {"all", 'a', COMMAND_TYPE_FLAG, NULL, NULL, false, "every job there is"}},
    .examples = {{"job list --state failed -o csv", "for a spreadsheet"},
                 {"job list \\watch 2", "again every two seconds"}},
    .run = cmd_job_list_run,
};

/* job show */

static int cmd_job_show_run(struct shell *shell, const struct command_call *call)
{
    struct client_path path;
    json_t *job;
    (void)client_path(&path, "jobs", command_argument_text(call, 0), NULL);
    int status = look_row(shell, &path, "jobs", "id", command_argument_text(call, 0), &job);
    if (status != 0)
        return status;
    shell_print_object(shell, cmd_job_columns, job);
    json_decref(job);
    return SHELL_STATUS_OK;
}

const struct command cmd_job_show = {
    .name = "job show",
    .summary = "Show everything about a job, and why it waits if it does",
    .arguments = {{"JOB", COMMAND_TYPE_JOB, COMMAND_COUNT_ONE, NULL,
                   "its id, a unique beginning of it, or last"}},
    .examples = {{"job show last", "the job that you submitted last"}},
    .run = cmd_job_show_run,
};

/* job tasks */

static int cmd_job_tasks_run(struct shell *shell, const struct command_call *call)
{
    struct client_path path;
    json_t *tasks;
    const struct command_value *limit = command_option(call, "limit");
    (void)client_path(&path, "jobs", command_argument_text(call, 0), "tasks", NULL);
    (void)client_path_param(&path, "usage", "true");
    (void)client_path_param(&path, "state", command_option_text(call, "state"));
    (void)client_path_param(&path, "attempts",
                            command_option_given(call, "attempts") ? "all" : NULL);
    int status =
        jobs_fetch_pages(shell, &path, "index", limit != NULL ? limit->number : UINT64_MAX, &tasks);
    if (status != 0)
        return status;
    shell_print_rows(shell, cmd_job_task_columns, tasks);
    json_decref(tasks);
    return SHELL_STATUS_OK;
}

const struct command cmd_job_tasks = {
    .name = "job tasks",
    .summary = "List the elements of a job: where each ran, what it uses, how it ended",
    .options = {{"state", 0, COMMAND_TYPE_CHOICE, "STATE",
                 "pending|assigned|running|completed|failed|cancelled|lost", false,
                 "only elements in this state"},
                {"attempts", 'a', COMMAND_TYPE_FLAG, NULL, NULL, false,
                 "every attempt, not only the latest of each element"},
                {"limit", 'n', COMMAND_TYPE_COUNT, "N", NULL, false, "at most so many"}},
    .arguments = {{"JOB", COMMAND_TYPE_JOB, COMMAND_COUNT_ONE, NULL, "the job"}},
    .run = cmd_job_tasks_run,
};

/* job cancel, retry */

/* Splits "UUID_7" into the job and its element. */
static void cmd_job_split(const char *text, char **job, const char **element)
{
    const char *underscore = strchr(text, '_');
    *job = underscore != NULL ? mem_strndup(text, (size_t)(underscore - text)) : mem_strdup(text);
    *element = underscore != NULL ? underscore + 1 : NULL;
}

static int cmd_job_change(struct shell *shell, const struct command_call *call, const char *verb,
                          const char *elements, const char *reason)
{
    size_t n;
    const struct command_value *values = command_argument_all(call, 0, &n);
    json_t *changed = json_array();
    int first = SHELL_STATUS_OK;
    for (size_t i = 0; i < n; i++) {
        struct client_path path;
        char *id;
        const char *element;
        json_t *job;
        cmd_job_split(values[i].text, &id, &element);
        (void)client_path(&path, "jobs", id, verb, NULL);
        json_t *body = json_object();
        if (element != NULL || elements != NULL)
            (void)json_object_set_new(body, "elements",
                                      json_string(elements != NULL ? elements : element));
        if (reason != NULL)
            (void)json_object_set_new(body, "reason", json_string(reason));
        int status = request_change(shell, "POST", path.text, body, &job);
        if (status == SHELL_STATUS_OK)
            (void)json_array_append_new(changed, job);
        else if (first == SHELL_STATUS_OK)
            first = status;
        free(id);
    }
    if (json_array_size(changed) > 0)
        shell_print_rows(shell, cmd_job_columns, changed);
    json_decref(changed);
    return first;
}

static int cmd_job_cancel_run(struct shell *shell, const struct command_call *call)
{
    return cmd_job_change(shell, call, "cancel", command_option_text(call, "elements"),
                          command_option_text(call, "reason"));
}

const struct command cmd_job_cancel = {
    .name = "job cancel",
    .summary = "Stop jobs: what runs is killed, what waits never starts",
    .options = {{"elements", 'e', COMMAND_TYPE_TEXT, "SET", NULL, false,
                 "only these elements: 0-3,7"},
                {"reason", 'r', COMMAND_TYPE_TEXT, "TEXT", NULL, false, "why"}},
    .arguments = {{"JOB", COMMAND_TYPE_JOB, COMMAND_COUNT_MANY, NULL,
                   "jobs, or single elements as ID_7"}},
    .run = cmd_job_cancel_run,
};

static int cmd_job_retry_run(struct shell *shell, const struct command_call *call)
{
    return cmd_job_change(shell, call, "retry", NULL, NULL);
}

const struct command cmd_job_retry = {
    .name = "job retry",
    .summary = "Run the failed and cancelled elements of jobs again, the completed ones not",
    .arguments = {{"JOB", COMMAND_TYPE_JOB, COMMAND_COUNT_MANY, NULL, "the jobs"}},
    .run = cmd_job_retry_run,
};
