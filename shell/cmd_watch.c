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

/* Pauses until the next run. False for Ctrl-C. */
static bool cmd_watch_pause(struct shell *shell, int64_t next_ms)
{
    while (clock_mono_ms() < next_ms && !interrupt_pending())
        shell_wait(shell, next_ms);
    return !shell_take_interrupt(shell);
}

/* Until Ctrl-C, which is how it ends and no failure, or so many runs. */
static int cmd_watch_repeat(struct shell *shell, const char *statement, bool is_sql,
                            int64_t interval_ms, uint64_t runs)
{
    for (uint64_t run = 1;; run++) {
        int64_t next_ms = clock_mono_ms() + interval_ms;
        shell->format = shell->settings.format;
        cmd_watch_print_head(shell, statement, interval_ms);
        int status = script_run_one(shell, statement, is_sql);
        if (status == SHELL_STATUS_INTERRUPTED)
            return SHELL_STATUS_OK;
        if (status != SHELL_STATUS_OK && !script_goes_on(shell))
            return status;
        if (shell->wants_quit || shell->output.broken != 0 || run == runs ||
            !cmd_watch_pause(shell, next_ms))
            return SHELL_STATUS_OK;
    }
}

static int cmd_watch_run(struct shell *shell, const struct command_call *call)
{
    size_t n;
    const struct command_value *interval = command_argument_all(call, 0, &n);
    int64_t interval_ms = n > 0 ? (int64_t)interval->number : CMD_WATCH_DEFAULT_MS;
    const struct command_value *count = command_argument_all(call, 1, &n);
    uint64_t runs = n > 0 ? count->number : 0;
    bool had_pager = shell->output.has_pager;
    bool is_sql;
    char *statement = script_take(shell, &is_sql);
    if (statement == NULL) {
        shell_hint(shell, "job list \\watch 2");
        return SHELL_STATUS_USAGE;
    }
    interval_ms = interval_ms < CMD_WATCH_MIN_MS ? CMD_WATCH_MIN_MS : interval_ms;
    shell->output.has_pager = false;
    int status = cmd_watch_repeat(shell, statement, is_sql, interval_ms, runs);
    shell->output.has_pager = had_pager;
    free(statement);
    return status;
}

const struct command cmd_meta_watch = {
    .name = "\\watch",
    .summary = "Repeat the statement in front of it, or the last one, until Ctrl-C",
    .arguments = {{"TIME", COMMAND_TYPE_DURATION, COMMAND_COUNT_OPTIONAL, NULL,
                   "pause between two runs; default 2 seconds"},
                  {"COUNT", COMMAND_TYPE_COUNT, COMMAND_COUNT_OPTIONAL, NULL,
                   "end after so many runs"}},
    .examples = {{"node list \\watch 1", "the nodes, every second"}},
    .run = cmd_watch_run,
};
