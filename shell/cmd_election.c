/* election show */
#include "shell/commands.h"
#include "shell/request.h"
#include "shell/shell.h"

static const struct column cmd_election_columns[] = {
    COLUMN("group", NULL, TEXT),
    COLUMN("leader", NULL, TEXT),
    COLUMN("term", NULL, COUNT),
    COLUMN("since", NULL, AGE),
    COLUMN("state", "this node", STATE),
    COLUMN("members", "voters", COUNT),
    COLUMN("elections", "begun here", COUNT),
    COLUMN("reason", NULL, TEXT),
    COLUMN_END,
};

static int cmd_election_show_run(struct shell *shell, const struct command_call *call)
{
    (void)call;
    struct client_path path;
    json_t *rows;
    (void)client_path(&path, "elections", NULL);
    int status = request_get(shell, &path, &rows);
    if (status != 0)
        return status;
    shell_print_rows(shell, cmd_election_columns, rows);
    json_decref(rows);
    return SHELL_STATUS_OK;
}

const struct command cmd_election_show = {
    .name = "election show",
    .summary = "Show who leads what, since when, and why, as the asked node knows it",
    .run = cmd_election_show_run,
};
