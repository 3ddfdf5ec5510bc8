/* \watch */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/str.h"
#include "shell/commands.h"
#include "shell/interrupt.h"
#include "shell/shell.h"

enum { CMD_WATCH_DEFAULT_MS = 2000, CMD_WATCH_MIN_MS = 100 };

static void cmd_watch_print_head(struct shell *shell, const char *statement, int64_t interval_ms)
{
    char at[32];
    char every[STR_SHORT_MAX];
    struct tm tm;
    time_t now = (time_t)(clock_wall_ms() / 1000);
    (void)localtime_r(&now, &tm);
    (void)strftime(at, sizeof at, "%Y-%m-%d %H:%M:%S", &tm);
    size_t len = strlen(statement);
    while (len > 0 && strchr(" \t\n;", statement[len - 1]) != NULL)
        len--;
    shell_say(shell, "%s  every %s: %.*s\n", at, str_format_duration(interval_ms, every), (int)len,
              statement);
}

/* Until Ctrl-C, which is how it ends and no failure. */
static int cmd_watch_run(struct shell *shell, const struct command_call *call)
{
    size_t n;
    const struct command_value *interval = command_argument_all(call, 0, &n);
    int64_t interval_ms = n > 0 ? (int64_t)interval->number : CMD_WATCH_DEFAULT_MS;
    bool had_pager = shell->output.has_pager;
    int status = SHELL_STATUS_OK;
    if (shell->last == NULL) {
        shell_error(shell, "there is no command to repeat");
        shell_hint(shell, "job list \\watch 2");
        return SHELL_STATUS_USAGE;
    }
    interval_ms = interval_ms < CMD_WATCH_MIN_MS ? CMD_WATCH_MIN_MS : interval_ms;
    char *statement = mem_strdup(shell->last);
    shell->output.has_pager = false;
    while (status == SHELL_STATUS_OK && !shell->wants_quit && shell->output.broken == 0) {
        int64_t next_ms = clock_mono_ms() + interval_ms;
        while (clock_mono_ms() < next_ms && !interrupt_pending())
            shell_wait(shell, next_ms);
        if (shell_take_interrupt(shell))
            break;
        shell->format = shell->settings.format;
        cmd_watch_print_head(shell, statement, interval_ms);
        status = shell_run_text(shell, statement);
        if (status == SHELL_STATUS_INTERRUPTED)
            break;
        if (status != SHELL_STATUS_OK && shell->is_interactive)
            status = SHELL_STATUS_OK;
    }
    shell->output.has_pager = had_pager;
    free(statement);
    return status == SHELL_STATUS_INTERRUPTED ? SHELL_STATUS_OK : status;
}

const struct command cmd_meta_watch = {
    .name = "\\watch",
    .summary = "Repeat the last command until Ctrl-C",
    .text = "It may stand behind the command on the same line.",
    .arguments = {{"TIME", COMMAND_TYPE_DURATION, COMMAND_COUNT_OPTIONAL, NULL,
                   "pause between two runs; default 2 seconds"}},
    .examples = {{"node list \\watch 1", "the nodes, every second"}},
    .run = cmd_watch_run,
};
