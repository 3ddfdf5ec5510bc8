/* raft status, transfer, add, remove */
#include "base/mem.h"
#include "shell/commands.h"
#include "shell/look.h"
#include "shell/nodes.h"
#include "shell/request.h"
#include "shell/shell.h"

static char *cmd_raft_leader(const json_t *row)
{
    return json_is_true(json_object_get(row, "leader")) ? mem_strdup("*") : NULL;
}

static const struct column cmd_raft_columns[] = {
    COLUMN("name", NULL, TEXT),
    COLUMN("role", NULL, TEXT),
    COLUMN_AS("leader", NULL, FLAG, cmd_raft_leader),
    COLUMN("state", NULL, STATE),
    COLUMN("term", NULL, COUNT),
    COLUMN("last_index", "last", COUNT),
    COLUMN_DETAIL("match_index", "match", COUNT),
    COLUMN("applied_index", "applied", COUNT),
    COLUMN("lag", NULL, COUNT),
    COLUMN_WIDE("address", NULL, TEXT),
    COLUMN_DETAIL("id", NULL, ID),
    COLUMN_END,
};

static int cmd_raft_status_run(struct shell *shell, const struct command_call *call)
{
    (void)call;
    struct client_path path;
    json_t *members;
    (void)client_path(&path, "raft", NULL);
    int status = look_rows(shell, &path, "raft", &members, NULL);
    if (status != 0)
        return status;
    nodes_sort(members);
    shell_print_rows(shell, cmd_raft_columns, members);
    json_decref(members);
    return SHELL_STATUS_OK;
}

const struct command cmd_raft_status = {
    .name = "raft status",
    .summary = "Show the members of the metadata group, who leads, and how far each is",
    .run = cmd_raft_status_run,
};

static int cmd_raft_transfer_run(struct shell *shell, const struct command_call *call)
{
    static const struct column columns[] = {
        COLUMN("leader", NULL, TEXT),
        COLUMN("term", NULL, COUNT),
        COLUMN_END,
    };
    const char *to = command_argument_text(call, 0);
    json_t *answer;
    json_t *body = to != NULL ? json_pack("{s:s}", "to", to) : json_object();
    int status = request_change(shell, "POST", "/api/raft/transfer", body, &answer);
    if (status != 0)
        return status;
    shell_print_object(shell, columns, answer);
    json_decref(answer);
    return SHELL_STATUS_OK;
}

const struct command cmd_raft_transfer = {
    .name = "raft transfer",
    .summary = "Hand the lead to another voter",
    .arguments = {{"NODE", COMMAND_TYPE_NODE, COMMAND_COUNT_OPTIONAL, NULL,
                   "who is to lead; without it the one that is furthest"}},
    .run = cmd_raft_transfer_run,
};

static int cmd_raft_change(struct shell *shell, const struct command_call *call, const char *path)
{
    json_t *members;
    json_t *body = json_pack("{s:s}", "node", command_argument_text(call, 0));
    int status = request_change(shell, "POST", path, body, &members);
    if (status != 0)
        return status;
    nodes_sort(members);
    shell_print_rows(shell, cmd_raft_columns, members);
    json_decref(members);
    return SHELL_STATUS_OK;
}

static int cmd_raft_add_run(struct shell *shell, const struct command_call *call)
{
    return cmd_raft_change(shell, call, "/api/raft/add");
}

const struct command cmd_raft_add = {
    .name = "raft add",
    .summary = "Make a node a voter of the metadata group",
    .arguments = {{"NODE", COMMAND_TYPE_NODE, COMMAND_COUNT_ONE, NULL, "its name"}},
    .run = cmd_raft_add_run,
};

static int cmd_raft_remove_run(struct shell *shell, const struct command_call *call)
{
    return cmd_raft_change(shell, call, "/api/raft/remove");
}

const struct command cmd_raft_remove = {
    .name = "raft remove",
    .summary = "Take a voter's vote; it goes on as a worker",
    .arguments = {{"NODE", COMMAND_TYPE_NODE, COMMAND_COUNT_ONE, NULL, "its name"}},
    .run = cmd_raft_remove_run,
};
