/* The shell over a report. */
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/str.h"
#include "client/client_replay.h"
#include "shell/moment.h"
#include "shell/shell.h"

int shell_seek(struct shell *shell, const char *at)
{
    struct error e = {0};
    int64_t first_ms, last_ms, at_ms;
    client_replay_span(shell->replay, &first_ms, &last_ms);
    if (moment_parse(at, client_replay_at_ms(shell->replay), last_ms, &at_ms) != 0) {
        shell_error(shell, "\"%s\" is no time", at);
        shell_hint(shell,
                   "20:15:04, 11-28 20:15:04, 2026-11-20T20:15:04Z, 10m before the end, -30s "
                   "or +30s from here, end");
        return SHELL_STATUS_USAGE;
    }
    int rc = client_replay_seek(shell->replay, at_ms, &e);
    if (rc != 0) {
        char first[MOMENT_TEXT_MAX], last[MOMENT_TEXT_MAX];
        shell_error(shell, "%s", e.text);
        shell_hint(shell, "in local time: from %s to %s", moment_format(first_ms, first),
                   moment_format(last_ms, last));
        return SHELL_STATUS_FAILED;
    }
    live_done(&shell->live); /* all of another time */
    return SHELL_STATUS_OK;
}

int shell_open_replay(struct shell *shell, const char *path, const char *at)
{
    struct error e = {0};
    if (client_replay_open(path, &shell->replay, &e) != 0) {
        shell_error(shell, "%s", e.text);
        return SHELL_STATUS_USAGE;
    }
    shell->connection.replay = shell->replay;
    const char *reason;
    const char *partial = client_replay_partial(shell->replay, &reason);
    if (partial != NULL) {
        char *node = str_printable(partial, strlen(partial), false);
        char *why = str_printable(reason, strlen(reason), false);
        output_note(&shell->output, "a partial report: what %s had and could reach (%s)", node,
                    why);
        free(node);
        free(why);
    }
    return at != NULL ? shell_seek(shell, at) : SHELL_STATUS_OK;
}

int shell_refuse_replay(struct shell *shell, const char *why)
{
    if (shell->replay == NULL)
        return SHELL_STATUS_OK;
    shell_error(shell, "this is a replay of %s: %s", client_replay_path(shell->replay), why);
    return SHELL_STATUS_FAILED;
}

int64_t shell_now_ms(const struct shell *shell)
{
    return shell->replay != NULL ? client_replay_at_ms(shell->replay) : clock_wall_ms();
}
