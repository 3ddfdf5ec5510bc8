#include "shell/jobs.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/mem.h"
#include "shell/interrupt.h"
#include "shell/request.h"

enum { JOBS_TELL_MS = 1000 };

int jobs_fetch_more(struct shell *shell, const struct client_path *path, const char *after_key,
                    uint64_t limit, json_t *rows)
{
    int status = SHELL_STATUS_OK;
    while (json_array_size(rows) < limit) {
        struct client_path page_path = *path;
        json_t *page;
        const json_t *last = json_array_get(rows, json_array_size(rows) - 1);
        const json_t *after = json_object_get(last, after_key);
        uint64_t left = limit - json_array_size(rows);
        size_t asked = left < JOBS_PAGE_ROWS ? (size_t)left : JOBS_PAGE_ROWS;
        (void)client_path_param_u64(&page_path, "limit", asked);
        if (last != NULL && !json_is_integer(after))
            break;
        if (last != NULL)
            (void)client_path_param_u64(&page_path, "after", (uint64_t)json_integer_value(after));
        status = request_get_rows(shell, &page_path, &page);
        if (status != SHELL_STATUS_OK)
            break;
        size_t n = json_array_size(page);
        (void)json_array_extend(rows, page);
        json_decref(page);
        if (n == 0 || (n < asked && n < JOBS_PAGE_ROWS_MIN))
            break;
    }
    return status;
}

int jobs_fetch_pages(struct shell *shell, const struct client_path *path, const char *after_key,
                     uint64_t limit, json_t **rows)
{
    json_t *all = json_array();
    int status = jobs_fetch_more(shell, path, after_key, limit, all);
    if (status == SHELL_STATUS_OK)
        *rows = all;
    else
        json_decref(all);
    return status;
}

int jobs_fetch(struct shell *shell, const char *id, json_t **job)
{
    struct client_path path;
    (void)client_path(&path, "jobs", id, NULL);
    int status = request_get(shell, &path, job);
    if (status == SHELL_STATUS_OK && !json_is_string(json_object_get(*job, "id"))) {
        json_decref(*job);
        status = request_strange(shell, "it is no job");
    }
    return status;
}

const char *jobs_text(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));
    return text != NULL ? text : "";
}

bool jobs_has_ended(const json_t *job)
{
    const char *state = jobs_text(job, "state");
    return strcmp(state, "completed") == 0 || strcmp(state, "failed") == 0 ||
           strcmp(state, "cancelled") == 0;
}

bool jobs_has_succeeded(const json_t *job)
{
    return strcmp(jobs_text(job, "state"), "completed") == 0;
}

static void jobs_show_progress(struct shell *shell, const json_t *job)
{
    long long completed = json_integer_value(json_object_get(job, "completed"));
    long long elements = json_integer_value(json_object_get(job, "elements"));
    long long failed = json_integer_value(json_object_get(job, "failed"));
    const char *reason = jobs_text(job, "reason");
    output_status(&shell->output, "%s %.8s: %lld of %lld done, %lld running, %lld failed%s%s",
                  jobs_text(job, "state"), jobs_text(job, "id"), completed, elements,
                  (long long)json_integer_value(json_object_get(job, "running")), failed,
                  reason[0] != '\0' ? ": " : "", reason);
}

/* One GET …/wait. True when it is settled: *status says how. */
static bool jobs_wait_slice(struct shell *shell, const char *id, int64_t slice_ms, json_t **job,
                            int *status)
{
    struct client_path path;
    struct request_answer answer;
    (void)client_path(&path, "jobs", id, "wait", NULL);
    (void)client_path_param_u64(&path, "timeout_ms", (uint64_t)slice_ms);
    request_run(shell,
                &CLIENT_REQUEST(.method = "GET", .path = path.text,
                                .timeout_ms = (uint64_t)slice_ms + SHELL_TIMEOUT_MS),
                &answer);
    bool is_settled = true;
    *status = SHELL_STATUS_OK;
    if (answer.code == 0 && json_is_string(json_object_get(answer.json, "id")))
        *job = json_incref(answer.json);
    else if (answer.code == 0)
        *status = request_strange(shell, "it is no job");
    else if (answer.code == ERR_TIMEOUT && answer.status != 0)
        is_settled = false;
    else
        *status = request_report(shell, &answer);
    request_answer_done(&answer);
    return is_settled;
}

int jobs_wait(struct shell *shell, const char *id, int64_t deadline_ms, bool quiet, json_t **job)
{
    int status = shell_connect(shell);
    bool tells = !quiet && isatty(STDERR_FILENO);
    live_fetch(&shell->live, LIVE_NODES); /* whom to turn to when this node dies */
    while (status == SHELL_STATUS_OK) {
        int64_t left_ms = deadline_ms == INT64_MAX ? INT64_MAX : deadline_ms - clock_mono_ms();
        int64_t slice_ms = tells ? JOBS_TELL_MS : JOBS_WAIT_SLICE_MS;
        slice_ms = left_ms < slice_ms ? (left_ms < 0 ? 0 : left_ms) : slice_ms;
        if (jobs_wait_slice(shell, id, slice_ms, job, &status))
            return status;
        if (left_ms <= slice_ms) {
            shell_error(shell, "job %s has not ended in time", id);
            shell_hint(shell, "it goes on: job show %s tells how far it is", id);
            return SHELL_STATUS_FAILED;
        }
        json_t *now;
        if (tells && jobs_fetch(shell, id, &now) == SHELL_STATUS_OK) {
            jobs_show_progress(shell, now);
            json_decref(now);
        }
    }
    return status;
}

char *jobs_summary(const json_t *job)
{
    const char *name = jobs_text(job, "name");
    const char *reason = jobs_text(job, "reason");
    return mem_printf("job %s%s%s%s %s: %lld of %lld elements completed%s%s", jobs_text(job, "id"),
                      name[0] != '\0' ? " (" : "", name, name[0] != '\0' ? ")" : "",
                      jobs_text(job, "state"),
                      (long long)json_integer_value(json_object_get(job, "completed")),
                      (long long)json_integer_value(json_object_get(job, "elements")),
                      reason[0] != '\0' ? "; " : "", reason);
}

char *jobs_exit_text(const json_t *task)
{
    json_int_t number = json_integer_value(json_object_get(task, "signal"));
    const json_t *code = json_object_get(task, "exit_code");
    if (number > 0)
        return mem_printf("signal %lld", (long long)number);
    const char *state = jobs_text(task, "state");
    bool has_ended = strcmp(state, "completed") == 0 || strcmp(state, "failed") == 0;
    if (!has_ended || !json_is_integer(code))
        return NULL;
    return mem_printf("%lld", (long long)json_integer_value(code));
}
