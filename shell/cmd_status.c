/* status, audit */
#include "shell/commands.h"
#include "shell/look.h"
#include "shell/request.h"
#include "shell/shell.h"

static const struct column cmd_status_columns[] = {
    COLUMN("node", NULL, TEXT),
    COLUMN("leader", NULL, TEXT),
    COLUMN("term", NULL, COUNT),
    COLUMN("applied_index", "applied", COUNT),
    COLUMN("roles", NULL, LIST),
    COLUMN("version", NULL, TEXT),
    COLUMN("uptime_ms", "uptime", UPTIME),
    COLUMN("rss_bytes", "resident", BYTES),
    COLUMN("pid", NULL, COUNT),
    COLUMN("api", NULL, LIST),
    COLUMN("peer", NULL, TEXT),
    COLUMN("id", NULL, ID),
    COLUMN("cluster_id", "cluster", ID),
    COLUMN_END,
};

static int cmd_status_run(struct shell *shell, const struct command_call *call)
{
    (void)call;
    struct client_path path;
    json_t *answer;
    (void)client_path(&path, "status", NULL);
    int status = request_get(shell, &path, &answer);
    if (status != 0)
        return status;
    if (json_is_string(json_object_get(answer, "node")))
        shell_print_object(shell, cmd_status_columns, answer);
    else
        status = request_strange(shell, "it names no node");
    json_decref(answer);
    return status;
}

const struct command cmd_status = {
    .name = "status",
    .summary = "Show the node that answers: its roles, its view of the leader",
    .run = cmd_status_run,
};

static const struct column cmd_audit_columns[] = {
    COLUMN("at", NULL, TIME),     COLUMN("user", NULL, TEXT),   COLUMN("action", NULL, TEXT),
    COLUMN("object", NULL, TEXT), COLUMN("detail", NULL, TEXT), COLUMN_END,
};

static int cmd_audit_run(struct shell *shell, const struct command_call *call)
{
    struct client_path path;
    const struct command_value *limit = command_option(call, "limit");
    (void)client_path(&path, "audit", NULL);
    (void)client_path_param_u64(&path, "limit", limit != NULL ? limit->number : 50);
    return look_list(shell, &path, "the audit trail", cmd_audit_columns);
}

const struct command cmd_audit = {
    .name = "audit",
    .summary = "List who changed what, newest first",
    .options = {{"limit", 'n', COMMAND_TYPE_COUNT, "N", NULL, false,
                 "how many entries; default 50"}},
    .run = cmd_audit_run,
};
