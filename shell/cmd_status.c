/* status, audit */
#include "shell/commands.h"
#include "shell/request.h"
#include "shell/shell.h"

static const struct column cmd_status_columns[] = {
    {"node", NULL, COLUMN_KIND_TEXT, false, NULL},
    {"leader", NULL, COLUMN_KIND_TEXT, false, NULL},
    {"term", NULL, COLUMN_KIND_COUNT, false, NULL},
    {"applied_index", "applied", COLUMN_KIND_COUNT, false, NULL},
    {"roles", NULL, COLUMN_KIND_LIST, false, NULL},
    {"version", NULL, COLUMN_KIND_TEXT, false, NULL},
    {"uptime_ms", "uptime", COLUMN_KIND_DURATION, false, NULL},
    {"rss_bytes", "resident", COLUMN_KIND_BYTES, false, NULL},
    {"pid", NULL, COLUMN_KIND_COUNT, false, NULL},
    {"api", NULL, COLUMN_KIND_LIST, false, NULL},
    {"peer", NULL, COLUMN_KIND_TEXT, false, NULL},
    {"id", NULL, COLUMN_KIND_ID, false, NULL},
    {"cluster_id", "cluster", COLUMN_KIND_ID, false, NULL},
    {.key = NULL},
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
    shell_print_object(shell, cmd_status_columns, answer);
    json_decref(answer);
    return SHELL_STATUS_OK;
}

const struct command cmd_status = {
    .name = "status",
    .summary = "Show the node that answers: its roles, its view of the leader",
    .run = cmd_status_run,
};

static const struct column cmd_audit_columns[] = {
    {"at", NULL, COLUMN_KIND_TIME, false, NULL},
    {"user", NULL, COLUMN_KIND_TEXT, false, NULL},
    {"action", NULL, COLUMN_KIND_TEXT, false, NULL},
    {"object", NULL, COLUMN_KIND_TEXT, false, NULL},
    {"detail", NULL, COLUMN_KIND_TEXT, false, NULL},
    {.key = NULL},
};

static int cmd_audit_run(struct shell *shell, const struct command_call *call)
{
    struct client_path path;
    json_t *entries;
    const struct command_value *limit = command_option(call, "limit");
    (void)client_path(&path, "audit", NULL);
    (void)client_path_param_u64(&path, "limit", limit != NULL ? limit->number : 50);
    int status = request_get(shell, &path, &entries);
    if (status != 0)
        return status;
    shell_print_rows(shell, cmd_audit_columns, entries);
    json_decref(entries);
    return SHELL_STATUS_OK;
}

const struct command cmd_audit = {
    .name = "audit",
    .summary = "List who changed what, newest first",
    .options = {{"limit", 'n', COMMAND_TYPE_COUNT, "N", NULL, false,
                 "how many entries; default 50"}},
    .run = cmd_audit_run,
};
