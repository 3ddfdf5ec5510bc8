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

struct cmd_watch_options {
    int64_t interval_ms;
    uint64_t runs; /* 0: until Ctrl-C */
};

/* "2", "500ms", "i=2", "c=5" and their long names, as psql has them; a count may stand behind a
 * time without a name. */
static bool cmd_watch_option(const char *word, size_t nth, struct cmd_watch_options *options)
{
    const char *equals = strchr(word, '=');
    size_t len = equals != NULL ? (size_t)(equals - word) : 0;
    const char *value = equals != NULL ? equals + 1 : word;
    bool is_interval = equals == NULL ? nth == 0 : len > 0 && strncmp("interval", word, len) == 0;
    bool is_count = equals == NULL ? nth == 1 : len > 0 && strncmp("count", word, len) == 0;
    if (is_interval)
        return str_parse_duration_ms(value, &options->interval_ms) == 0;
    return is_count && str_parse_u64(value, 1, UINT64_MAX, &options->runs) == 0;
}

static int cmd_watch_run(struct shell *shell, const struct command_call *call)
{
    size_t n;
    struct cmd_watch_options options = {.interval_ms = CMD_WATCH_DEFAULT_MS};
    const struct command_value *words = command_argument_all(call, 0, &n);
    for (size_t i = 0; i < n; i++) {
        if (i < 2 && cmd_watch_option(words[i].text, i, &options))
            continue;
        shell_error(shell, "\\watch: \"%s\" is neither a time nor a count", words[i].text);
        shell_hint(shell, "\\watch 2, \\watch 500ms 10, \\watch interval=1m count=5");
        return SHELL_STATUS_USAGE;
    }
    int64_t interval_ms = options.interval_ms;
    bool had_pager = shell->output.has_pager;
    bool is_sql;
    char *statement = script_take(shell, &is_sql);
    if (statement == NULL) {
        shell_hint(shell, "job list \\watch 2");
        return SHELL_STATUS_USAGE;
    }
    interval_ms = interval_ms < CMD_WATCH_MIN_MS ? CMD_WATCH_MIN_MS : interval_ms;
    shell->output.has_pager = false;
    int status = cmd_watch_repeat(shell, statement, is_sql, interval_ms, options.runs);
    shell->output.has_pager = had_pager;
    free(statement);
    return status;
}

const struct command cmd_meta_watch = {
    .name = "\\watch",
    .summary = "Repeat the statement in front of it, or the last one, until Ctrl-C",
    .text = "Both may be named, in any order: interval=TIME, count=COUNT, or i= and c=.",
    .arguments = {{"[TIME [COUNT]]", COMMAND_TYPE_TEXT, COMMAND_COUNT_ANY, NULL,
                   "from run to run, default 2 seconds; end after so many runs"}},
    .examples = {{"node list \\watch 1", "the nodes, every second"},
                 {"node list \\watch c=3", "three times"}},
    .run = cmd_watch_run,
};
