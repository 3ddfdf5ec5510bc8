/* job submit, job run */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "shell/commands.h"
#include "shell/follow.h"
#include "shell/interrupt.h"
#include "shell/jobs.h"
#include "shell/request.h"
#include "shell/shell.h"
#include "shell/submit.h"

static const struct column cmd_job_submit_columns[] = {
    COLUMN("id", NULL, TEXT),
    COLUMN("state", NULL, STATE),
    COLUMN("elements", NULL, COUNT),
    COLUMN("duplicate", NULL, FLAG),
    COLUMN_END,
};

/* The greatest exit code of the job's elements; FAILED where one failed without any, as by its time
 * limit. A signal counts as in sh: 128 and its number. */
static int cmd_job_exit_status(struct shell *shell, const json_t *job)
{
    struct client_path path;
    json_t *tasks;
    if (jobs_has_succeeded(job))
        return SHELL_STATUS_OK;
    (void)client_path(&path, "jobs", jobs_text(job, "id"), "tasks", NULL);
    (void)client_path_param(&path, "state", "failed");
    int status = jobs_fetch_pages(shell, &path, "index", UINT64_MAX, &tasks);
    if (status != SHELL_STATUS_OK)
        return status;
    json_int_t greatest = 0;
    size_t i;
    json_t *task;
    json_array_foreach(tasks, i, task)
    {
        json_int_t code = json_integer_value(json_object_get(task, "exit_code"));
        json_int_t number = json_integer_value(json_object_get(task, "signal"));
        code = number > 0 ? 128 + number : code;
        greatest = code > greatest ? code : greatest;
    }
    json_decref(tasks);
    return greatest > 0 && greatest < 256 ? (int)greatest : SHELL_STATUS_FAILED;
}

/* job submit */

static int cmd_job_submit_wait(struct shell *shell, const char *id, bool quiet)
{
    json_t *job;
    int status = jobs_wait(shell, id, INT64_MAX, quiet, &job);
    if (status == SHELL_STATUS_INTERRUPTED)
        shell_hint(shell, "job %s goes on; job cancel %s stops it", id, id);
    if (status != SHELL_STATUS_OK)
        return status;
    if (!jobs_has_succeeded(job)) {
        char *summary = jobs_summary(job);
        status = SHELL_STATUS_FAILED;
        shell_error(shell, "%s", summary);
        shell_hint(shell, "job tasks %s --state failed", id);
        free(summary);
    }
    json_decref(job);
    return status;
}

static int cmd_job_submit_run(struct shell *shell, const struct command_call *call)
{
    json_t *answer;
    int status = submit_job(shell, call, &answer);
    if (status != SHELL_STATUS_OK)
        return status;
    const char *id = jobs_text(answer, "id");
    if (format_is_json(shell->format))
        shell_print_object(shell, cmd_job_submit_columns, answer);
    else
        output_write(&shell->output, id, strlen(id)), output_write(&shell->output, "\n", 1);
    output_flush(&shell->output);
    if (command_option_given(call, "wait"))
        status = cmd_job_submit_wait(shell, id, command_option_given(call, "quiet"));
    json_decref(answer);
    return status;
}

const struct command cmd_job_submit = {
    .name = "job submit",
    .summary = "Submit a job and print its id",
    .text = "The job is kept by the cluster before the id is printed: it survives the loss of this "
            "shell, of its node and of the leader. It runs in a directory of its own and sees "
            "CLUSTERD_JOB_ID, CLUSTERD_ARRAY_INDEX, CLUSTERD_ATTEMPT and CLUSTERD_NODE.",
    .options = {{"wait", 'w', COMMAND_TYPE_FLAG, NULL, NULL, false,
                 "wait for its end; exit status 0 only if all elements completed"},
                {"quiet", 'q', COMMAND_TYPE_FLAG, NULL, NULL, false, "tell nothing while waiting"}},
    .shared = submit_options,
    .arguments = {SUBMIT_ARGUMENT},
    .examples = {{"job submit -- wc -l /usr/share/common-licenses/GPL-3", "one command"},
                 {"job submit --array 0-99%4 'sort part-$CLUSTERD_ARRAY_INDEX'",
                  "a hundred elements, four at a time, each through a shell"},
                 {"job submit --after ok:4f12 --file report.py -- ./report.py",
                  "when job 4f12… has completed, with a file from here"}},
    .run = cmd_job_submit_run,
};

/* job run */

static int cmd_job_run_cancel(struct shell *shell, const char *id)
{
    struct client_path path;
    json_t *job = NULL;
    output_note(&shell->output, "interrupted: cancelling job %s; Ctrl-C again leaves it running",
                id);
    (void)client_path(&path, "jobs", id, "cancel", NULL);
    (void)request_change(shell, "POST", path.text, json_pack("{s:s}", "reason", "interrupted"),
                         &job);
    json_decref(job);
    return SHELL_STATUS_INTERRUPTED;
}

static int cmd_job_run_run(struct shell *shell, const struct command_call *call)
{
    json_t *answer;
    json_t *job = NULL;
    int status = submit_job(shell, call, &answer);
    if (status != SHELL_STATUS_OK)
        return status;
    const char *id = jobs_text(answer, "id");
    json_int_t elements = json_integer_value(json_object_get(answer, "elements"));
    struct follow follow = {.job = id,
                            .follows = true,
                            .with_stdout = true,
                            .with_stderr = true,
                            .labelled = elements != 1 || command_option_given(call, "array")};
    status = follow_all(shell, &follow, elements > 0 ? (uint64_t)elements : 0);
    if (status == SHELL_STATUS_OK)
        status = jobs_wait(shell, id, INT64_MAX, true, &job);
    if (status == SHELL_STATUS_INTERRUPTED)
        status = cmd_job_run_cancel(shell, id);
    else if (status == SHELL_STATUS_OK)
        status = cmd_job_exit_status(shell, job);
    if (job != NULL && !jobs_has_succeeded(job)) {
        char *summary = jobs_summary(job);
        shell_error(shell, "%s", summary);
        free(summary);
    }
    json_decref(job);
    json_decref(answer);
    return status;
}

const struct command cmd_job_run = {
    .name = "job run",
    .summary = "Submit a job, show its output as it comes, end with its exit status",
    .text = "Standard output and standard error stay apart; the lines of an array's elements begin "
            "with their index. The exit status is the greatest of the elements, 3 where one failed "
            "without any. Ctrl-C cancels the job.",
    .shared = submit_options,
    .arguments = {SUBMIT_ARGUMENT},
    .examples = {{"job run --select gpu=1 -- nvidia-smi", "on some node that has the label"}},
    .run = cmd_job_run_run,
};
