/* help, quit, exit */
#include <stdlib.h>

#include "base/mem.h"
#include "shell/command_help.h"
#include "shell/commands.h"
#include "shell/shell.h"

static int cmd_help_run(struct shell *shell, const struct command_call *call)
{
    size_t n;
    const struct command_value *values = command_argument_all(call, 0, &n);
    if (n == 0)
        return command_help_all(shell);
    const char **words = mem_calloc(n, sizeof *words);
    for (size_t i = 0; i < n; i++)
        words[i] = values[i].text;
    int status = command_help_group(shell, words, n);
    free(words);
    return status;
}

const struct command cmd_help = {
    .name = "help",
    .summary = "List the commands, or explain one",
    .arguments = {{"COMMAND", COMMAND_TYPE_COMMAND, COMMAND_COUNT_ARGV_OPTIONAL, NULL,
                   "a command, or a group such as job"}},
    .examples = {{"help job submit", "its options and examples"}},
    .run = cmd_help_run,
};

static int cmd_quit_run(struct shell *shell, const struct command_call *call)
{
    (void)call;
    shell->wants_quit = true;
    return SHELL_STATUS_OK;
}

const struct command cmd_quit = {
    .name = "quit",
    .summary = "Leave the shell",
    .run = cmd_quit_run,
};

const struct command cmd_exit = {
    .name = "exit",
    .summary = "Leave the shell",
    .run = cmd_quit_run,
};
