/* From the options of job submit and job run to a job. */
#ifndef SHELL_SUBMIT_H
#define SHELL_SUBMIT_H

#include <jansson.h>

#include "shell/command.h"
#include "shell/shell.h"

/* Options of both rows, and their argument. */
extern const struct command_option submit_options[];

#define SUBMIT_ARGUMENT                                                                            \
    {                                                                                              \
        "COMMAND", COMMAND_TYPE_TEXT, COMMAND_COUNT_ARGV_OPTIONAL, NULL,                           \
            "a program and its arguments; a single word that is more than a name goes to sh -c"    \
    }

/* Uploads files and submits. 0 and *answer, which is yours, or an exit status after saying what is
 * wrong. Each call submits once: repetitions inside carry one key. */
int submit_job(struct shell *shell, const struct command_call *call, json_t **answer);

#endif
