/* job logs */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "shell/commands.h"
#include "shell/follow.h"
#include "shell/jobs.h"
#include "shell/shell.h"

/* Which element is meant: --element, ID_7, or the only one there is. False: all of them. With the
 * job at hand, whether it failed. */
static int cmd_job_logs_element(struct shell *shell, const struct command_call *call, char *id,
                                bool *is_one, uint32_t *index, uint64_t *elements, bool *failed)
{
    const struct command_value *option = command_option(call, "element");
    char *underscore = strchr(id, '_');
    uint64_t number;
    *is_one = true;
    if (underscore != NULL) {
        if (str_parse_u64(underscore + 1, 0, UINT32_MAX, &number) != 0) {
            shell_error(shell, "\"%s\" names no element: ID_7 is element 7", id);
            return SHELL_STATUS_USAGE;
        }
        *underscore = '\0';
        *index = (uint32_t)number;
    }
    if (option != NULL)
        *index = (uint32_t)option->number;
    if (option != NULL || underscore != NULL)
        return SHELL_STATUS_OK;

    json_t *job;
    int status = jobs_fetch(shell, id, &job);
    if (status != SHELL_STATUS_OK)
        return status;
    json_int_t n = json_integer_value(json_object_get(job, "elements"));
    *elements = n > 0 ? (uint64_t)n : 0;
    *is_one = n == 1 && jobs_text(job, "array")[0] == '\0';
    *index = 0;
    *failed = strcmp(jobs_text(job, "state"), "failed") == 0;
    json_decref(job);
    return SHELL_STATUS_OK;
}

static int cmd_job_logs_run(struct shell *shell, const struct command_call *call)
{
    char *id = mem_strdup(command_argument_text(call, 0));
    bool both = command_option_given(call, "both");
    bool only_stderr = command_option_given(call, "stderr");
    bool is_one;
    bool failed = false;
    uint32_t index = 0;
    uint64_t elements = 0;
    struct follow follow = {
        .job = id,
        .attempt = command_option_text(call, "attempt"),
        .follows = command_option_given(call, "follow"),
        .with_stdout = both || !only_stderr,
        .with_stderr = both || only_stderr,
        .merges = both,
    };
    int status = shell_refuse_replay(shell, "a report does not hold what jobs wrote");
    if (status == SHELL_STATUS_OK)
        status = cmd_job_logs_element(shell, call, id, &is_one, &index, &elements, &failed);
    if (status == SHELL_STATUS_OK && is_one) {
        follow.merges = both;
        status = follow_element(shell, &follow, index);
    } else if (status == SHELL_STATUS_OK) {
        follow.labelled = true;
        status = follow_all(shell, &follow, elements);
    }
    if (status == SHELL_STATUS_OK && failed && !follow.with_stderr &&
        output_is_terminal(&shell->output))
        shell_hint(shell, "the job failed; job logs %s --stderr shows its complaints", id);
    if (status == SHELL_STATUS_INTERRUPTED && follow.follows)
        shell_hint(shell, "the job goes on; job cancel %s stops it", id);
    free(id);
    return status;
}

const struct command cmd_job_logs = {
    .name = "job logs",
    .summary = "Print what a job wrote, or follow it",
    .text = "One element's output comes byte for byte. For an array without an element: every "
            "element, each line behind its index.",
    .options = {{"follow", 'f', COMMAND_TYPE_FLAG, NULL, NULL, false, "go on until it ends"},
                {"stderr", 'e', COMMAND_TYPE_FLAG, NULL, NULL, false,
                 "standard error instead of standard output"},
                {"both", 'b', COMMAND_TYPE_FLAG, NULL, NULL, false,
                 "both, each line behind out: or err:"},
                {"element", 'E', COMMAND_TYPE_COUNT, "N", NULL, false, "of this element only"},
                {"attempt", 'a', COMMAND_TYPE_COUNT, "N", NULL, false,
                 "of this attempt; default the latest"}},
    .arguments = {{"JOB", COMMAND_TYPE_JOB, COMMAND_COUNT_ONE, NULL, "the job, or ID_7"}},
    .examples = {{"job logs -f last", "as it comes"},
                 {"job logs 4f12_7 --stderr", "what element 7 complained about"}},
    .run = cmd_job_logs_run,
};
