/* election show */
#include "shell/commands.h"
#include "shell/look.h"
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
    (void)client_path(&path, "elections", NULL);
    return look_list(shell, &path, "which elections there were", cmd_election_columns);
}

const struct command cmd_election_show = {
    .name = "election show",
    .summary = "Show who leads what, since when, and why, as the asked node knows it",
    .run = cmd_election_show_run,
};
