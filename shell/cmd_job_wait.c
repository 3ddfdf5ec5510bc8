/* job wait */
#include <stdlib.h>

#include "base/clock.h"
#include "shell/commands.h"
#include "shell/jobs.h"
#include "shell/shell.h"

static int cmd_job_wait_run(struct shell *shell, const struct command_call *call)
{
    size_t n;
    const struct command_value *ids = command_argument_all(call, 0, &n);
    const struct command_value *timeout = command_option(call, "timeout");
    int64_t deadline_ms = timeout != NULL ? clock_mono_ms() + (int64_t)timeout->number : INT64_MAX;
    json_t *ended = json_array();
    int first = SHELL_STATUS_OK;
    for (size_t i = 0; i < n; i++) {
        json_t *job;
        int status =
            jobs_wait(shell, ids[i].text, deadline_ms, command_option_given(call, "quiet"), &job);
        if (status == SHELL_STATUS_OK) {
            char *summary = jobs_summary(job);
            shell_say(shell, "%s", summary);
            free(summary);
            status = jobs_has_succeeded(job) ? SHELL_STATUS_OK : SHELL_STATUS_FAILED;
            (void)json_array_append_new(ended, job);
        }
        if (first == SHELL_STATUS_OK)
            first = status;
        if (status == SHELL_STATUS_INTERRUPTED || status == SHELL_STATUS_NO_CONNECTION)
            break;
    }
    if (shell->format != FORMAT_TABLE && shell->format != FORMAT_VERTICAL)
        shell_print_rows(shell, cmd_job_columns, ended);
    json_decref(ended);
    return first;
}

const struct command cmd_job_wait = {
    .name = "job wait",
    .summary = "Wait until jobs have ended",
    .text = "Exit status 0 only if every element of all of them completed, 3 otherwise, also when "
            "the time is over.",
    .options = {{"timeout", 't', COMMAND_TYPE_DURATION, "TIME", NULL, false,
                 "wait no longer than this"},
                {"quiet", 'q', COMMAND_TYPE_FLAG, NULL, NULL, false, "tell nothing while waiting"}},
    .arguments = {{"JOB", COMMAND_TYPE_JOB, COMMAND_COUNT_MANY, NULL, "the jobs"}},
    .examples = {{"job wait last --timeout 10m", "for scripts: && goes on only after success"}},
    .run = cmd_job_wait_run,
};
