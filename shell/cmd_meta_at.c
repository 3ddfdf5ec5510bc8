/* \at: where in time a replay stands */
#include <stdlib.h>

#include "base/mem.h"
#include "client/client_replay.h"
#include "shell/commands.h"
#include "shell/moment.h"
#include "shell/shell.h"

static void cmd_meta_at_say(struct shell *shell)
{
    char at[MOMENT_TEXT_MAX], first[MOMENT_TEXT_MAX], last[MOMENT_TEXT_MAX];
    int64_t first_ms, last_ms;
    client_replay_span(shell->replay, &first_ms, &last_ms);
    shell_say(shell, "at %s; the report is of %s to %s",
              moment_format(client_replay_at_ms(shell->replay), at), moment_format(first_ms, first),
              moment_format(last_ms, last));
}

static int cmd_meta_at_run(struct shell *shell, const struct command_call *call)
{
    size_t n;
    const struct command_value *words = command_argument_all(call, 0, &n);
    char *text =
        n == 0 ? NULL
               : mem_printf("%s%s%s", words[0].text, n > 1 ? " " : "", n > 1 ? words[1].text : "");
    if (shell->replay == NULL) {
        free(text);
        shell_error(shell, "there is no replay to go to another time in");
        shell_hint(shell, "clustersh --replay FILE opens a report; events --since 10m shows what "
                          "happened, \\top and [ go back in time");
        return SHELL_STATUS_USAGE;
    }
    int status = text != NULL ? shell_seek(shell, text) : SHELL_STATUS_OK;
    free(text);
    if (status == SHELL_STATUS_OK)
        cmd_meta_at_say(shell);
    return status;
}

const struct command cmd_meta_at = {
    .name = "\\at",
    .summary = "In a replay: go to another time, or say which it is",
    .text = "All commands answer as they would have then, and nothing is told of what came later.",
    .arguments = {{"TIME", COMMAND_TYPE_TEXT, COMMAND_COUNT_ANY, NULL,
                   "20:15:04, 11-28 20:15:04, 2026-11-20T20:15:04Z; 10m before the end; +10s, -1m "
                   "from here; end"}},
    .examples = {{"\\at -30s", "half a minute back"}, {"\\at 20:15", "the state of that time"}},
    .run = cmd_meta_at_run,
};
