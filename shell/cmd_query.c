/* query list, cancel */
#include <string.h>

#include "base/mem.h"
#include "shell/commands.h"
#include "shell/jobs.h"
#include "shell/request.h"
#include "shell/shell.h"

enum { CMD_QUERY_PREFIX_MIN = 4 };

static const struct column cmd_query_columns[] = {
    COLUMN("query", NULL, ID),
    COLUMN("node", NULL, TEXT),
    COLUMN("state", NULL, STATE),
    COLUMN("user", NULL, TEXT),
    COLUMN_WIDE("session", NULL, TEXT),
    COLUMN("wall_ms", "took", DURATION),
    COLUMN("rows", NULL, COUNT),
    COLUMN("sql", "statement", TEXT),
    COLUMN_END,
};

static int cmd_query_get(struct shell *shell, json_t **rows)
{
    struct client_path path;
    (void)client_path(&path, "sql", NULL);
    (void)client_path_param(&path, "nodes", "all");
    return request_get_rows(shell, &path, rows);
}

static int cmd_query_list_run(struct shell *shell, const struct command_call *call)
{
    json_t *rows;
    (void)call;
    int status = cmd_query_get(shell, &rows);
    if (status != 0)
        return status;
    shell_print_rows(shell, cmd_query_columns, rows);
    json_decref(rows);
    return SHELL_STATUS_OK;
}

const struct command cmd_query_list = {
    .name = "query list",
    .summary = "List the SQL statements that run or wait, on all nodes",
    .examples = {{"query list", "who runs what, where, since when"},
                 {"query list -o json", "every key that the API knows"}},
    .run = cmd_query_list_run,
};

/* The only statement of `rows` whose id begins so; NULL after saying what is wrong. */
static const json_t *cmd_query_find(struct shell *shell, const json_t *rows, const char *prefix)
{
    const json_t *row, *found = NULL;
    size_t i, n = 0, len = strlen(prefix);
    json_array_foreach(rows, i, row)
    {
        if (strncmp(jobs_text(row, "query"), prefix, len) == 0) {
            found = row;
            n++;
        }
    }
    if (len < CMD_QUERY_PREFIX_MIN)
        shell_error(shell, "a statement is named by its id or at least %d letters of it",
                    CMD_QUERY_PREFIX_MIN);
    else if (n == 0)
        shell_error(shell,
                    "no statement %s runs on any node that answered; query list shows what does",
                    prefix);
    else if (n > 1)
        shell_error(shell, "%zu statements begin with %s: give more of the id", n, prefix);
    return n == 1 && len >= CMD_QUERY_PREFIX_MIN ? found : NULL;
}

static int cmd_query_cancel_one(struct shell *shell, const json_t *rows, const char *id,
                                json_t *cancelled)
{
    struct client_path path;
    json_t *answer;
    const json_t *row = cmd_query_find(shell, rows, id);
    if (row == NULL)
        return SHELL_STATUS_FAILED;
    (void)client_path(&path, "sql", jobs_text(row, "query"), NULL);
    (void)client_path_param(&path, "nodes", jobs_text(row, "node"));
    int status = request_change(shell, "DELETE", path.text, NULL, &answer);
    if (status == SHELL_STATUS_OK)
        (void)json_array_append_new(cancelled, answer);
    return status;
}

static int cmd_query_cancel_run(struct shell *shell, const struct command_call *call)
{
    static const struct column columns[] = {
        COLUMN("query", NULL, ID),
        COLUMN("node", NULL, TEXT),
        COLUMN("state", NULL, STATE),
        COLUMN_END,
    };
    size_t n;
    const struct command_value *values = command_argument_all(call, 0, &n);
    json_t *rows;
    int status = cmd_query_get(shell, &rows);
    if (status != 0)
        return status;
    json_t *cancelled = json_array();
    for (size_t i = 0; i < n; i++) {
        int rc = cmd_query_cancel_one(shell, rows, values[i].text, cancelled);
        status = rc != SHELL_STATUS_OK ? rc : status;
    }
    if (json_array_size(cancelled) > 0)
        shell_print_rows(shell, columns, cancelled);
    json_decref(cancelled);
    json_decref(rows);
    return status;
}

const struct command cmd_query_cancel = {
    .name = "query cancel",
    .summary = "End SQL statements, whichever node they run on",
    .text = "Their clients get an error; nothing of a statement that writes is seen, unless it was "
            "committed already.",
    .arguments = {{"QUERY", COMMAND_TYPE_QUERY, COMMAND_COUNT_MANY, NULL,
                   "its id, or a unique beginning of it; query list shows them"}},
    .run = cmd_query_cancel_run,
};
