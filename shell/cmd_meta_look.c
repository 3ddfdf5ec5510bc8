/* What there is: \d, \dt, \df, \l, \conninfo, \h; and where to: \c. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/sql_lex.h"
#include "base/str.h"
#include "shell/command_help.h"
#include "shell/commands.h"
#include "shell/jobs.h"
#include "shell/nodes.h"
#include "shell/request.h"
#include "shell/shell.h"

/* ---- tables ---------------------------------------------------------------------------------- */

/* Keeps the rows whose name fits the pattern; '*' and '?' are wildcards. */
static void keep_names(json_t *rows, const char *pattern)
{
    for (size_t i = json_array_size(rows); pattern != NULL && i-- > 0;) {
        if (!str_glob(pattern, jobs_text(json_array_get(rows, i), "name")))
            (void)json_array_remove(rows, i);
    }
}

static int list_tables(struct shell *shell, const char *pattern)
{
    static const struct column columns[] = {
        COLUMN("name", NULL, TEXT),
        COLUMN("version", NULL, COUNT),
        COLUMN("changed_at", "changed", AGE),
        COLUMN("place", NULL, TEXT),
        COLUMN_DETAIL("id", NULL, ID),
        COLUMN_DETAIL("created_at", "created", TIME),
        COLUMN_END,
    };
    static const struct column of_report[] = {COLUMN("name", NULL, TEXT), COLUMN_END};
    struct client_path path;
    json_t *rows;
    (void)client_path(&path, "tables", NULL);
    int status = request_get_rows(shell, &path, &rows);
    if (status != SHELL_STATUS_OK)
        return status;
    keep_names(rows, pattern);
    shell_print_rows(shell, shell->replay != NULL ? of_report : columns, rows);
    json_decref(rows);
    return SHELL_STATUS_OK;
}

static void say_table(struct shell *shell, const json_t *table)
{
    char size[STR_SHORT_MAX];
    const json_t *rows = json_object_get(table, "rows");
    char *count = json_is_integer(rows)
                      ? mem_printf(", %lld rows", (long long)json_integer_value(rows))
                      : mem_strdup("");
    json_int_t bytes = json_integer_value(json_object_get(table, "bytes"));
    json_int_t files = json_integer_value(json_object_get(table, "files"));
    shell_say(shell, "Version %lld, %lld file%s, %s%s, %s",
              (long long)json_integer_value(json_object_get(table, "version")), (long long)files,
              files == 1 ? "" : "s", str_format_bytes(bytes > 0 ? (uint64_t)bytes : 0, size), count,
              jobs_text(table, "place"));
    free(count);
}

/* What SQL describes that is no stored table: cluster.nodes, functions in FROM. */
static int describe_by_sql(struct shell *shell, const char *name)
{
    char *sql = mem_printf("DESCRIBE %s", name);
    int status = shell_run_sql(shell, sql, strlen(sql));
    free(sql);
    return status;
}

static int describe_table(struct shell *shell, const char *name)
{
    static const struct column columns[] = {
        COLUMN("name", "column", TEXT),
        COLUMN("type", NULL, TEXT),
        COLUMN("nullable", NULL, FLAG),
        COLUMN("partition", NULL, COUNT),
        COLUMN_END,
    };
    struct client_path path;
    json_t *table;
    if (str_starts_with(name, "cluster."))
        return describe_by_sql(shell, name);
    struct sql_token token = sql_lex_next(name, strlen(name), 0);
    char *plain = token.kind == SQL_TOKEN_QUOTED && token.len == strlen(name)
                      ? sql_token_value(name, &token)
                      : mem_strdup(name);
    (void)client_path(&path, "tables", plain, NULL);
    int status = request_get(shell, &path, &table);
    free(plain);
    if (status != SHELL_STATUS_OK)
        return status;
    shell_print_rows(shell, columns, json_object_get(table, "columns"));
    say_table(shell, table);
    json_decref(table);
    return SHELL_STATUS_OK;
}

static int cmd_meta_describe_run(struct shell *shell, const struct command_call *call)
{
    const char *name = command_argument_text(call, 0);
    bool is_pattern = name != NULL && strpbrk(name, "*?") != NULL;
    return name == NULL || is_pattern ? list_tables(shell, name) : describe_table(shell, name);
}

const struct command cmd_meta_describe = {
    .name = "\\d",
    .summary = "List the tables, or describe one",
    .arguments = {{"TABLE", COMMAND_TYPE_TABLE, COMMAND_COUNT_OPTIONAL, NULL,
                   "a table, also cluster.nodes and its like; with * or ? a list"}},
    .examples = {{"\\d sales*", "tables whose names begin so"}},
    .run = cmd_meta_describe_run,
};

static int cmd_meta_tables_run(struct shell *shell, const struct command_call *call)
{
    return list_tables(shell, command_argument_text(call, 0));
}

const struct command cmd_meta_tables = {
    .name = "\\dt",
    .summary = "List the tables",
    .arguments = {{"PATTERN", COMMAND_TYPE_TABLE, COMMAND_COUNT_OPTIONAL, NULL,
                   "* any run of characters, ? any one"}},
    .run = cmd_meta_tables_run,
};

static int cmd_meta_functions_run(struct shell *shell, const struct command_call *call)
{
    const char *pattern = command_argument_text(call, 0);
    char *quoted = sql_quote_text(pattern != NULL ? pattern : "*");
    char *sql = mem_printf(
        "SELECT DISTINCT function_name AS name, function_type AS type, "
        "array_to_string(parameters, ', ') AS parameters, return_type AS returns, description "
        "FROM duckdb_functions() WHERE function_name GLOB %s ORDER BY ALL",
        quoted);
    int status = shell_run_sql(shell, sql, strlen(sql));
    free(sql);
    free(quoted);
    return status;
}

const struct command cmd_meta_functions = {
    .name = "\\df",
    .summary = "List the functions of SQL",
    .arguments = {{"PATTERN", COMMAND_TYPE_FUNCTION, COMMAND_COUNT_OPTIONAL, NULL,
                   "* any run of characters, ? any one"}},
    .examples = {{"\\df regexp*", "what there is for regular expressions"}},
    .run = cmd_meta_functions_run,
};

/* ---- the cluster ----------------------------------------------------------------------------- */

static int cmd_meta_list_run(struct shell *shell, const struct command_call *call)
{
    static const struct column columns[] = {
        COLUMN("name", NULL, TEXT),         COLUMN("state", NULL, STATE),
        COLUMN("leader", NULL, FLAG),       COLUMN("api_address", "api", TEXT),
        COLUMN_WIDE("version", NULL, TEXT), COLUMN_END,
    };
    struct client_path path;
    json_t *rows;
    (void)call;
    (void)client_path(&path, "nodes", NULL);
    int status = request_get(shell, &path, &rows);
    if (status != SHELL_STATUS_OK)
        return status;
    client_learn(shell->client, rows);
    nodes_sort(rows);
    shell_print_rows(shell, columns, rows);
    json_decref(rows);
    return SHELL_STATUS_OK;
}

const struct command cmd_meta_list = {
    .name = "\\l",
    .summary = "List the nodes that \\c can go to",
    .run = cmd_meta_list_run,
};

static int get_status(struct shell *shell, json_t **status)
{
    struct client_path path;
    (void)client_path(&path, "status", NULL);
    return request_get(shell, &path, status);
}

static int cmd_meta_conninfo_run(struct shell *shell, const struct command_call *call)
{
    static const struct column columns[] = {
        COLUMN("endpoint", NULL, TEXT),
        COLUMN("node", NULL, TEXT),
        COLUMN("leader", NULL, TEXT),
        COLUMN("term", NULL, COUNT),
        COLUMN("roles", NULL, LIST),
        COLUMN("cluster_id", "cluster", TEXT),
        COLUMN("version", NULL, TEXT),
        COLUMN("api", NULL, LIST),
        COLUMN_END,
    };
    json_t *object;
    (void)call;
    int status = get_status(shell, &object);
    if (status != SHELL_STATUS_OK)
        return status;
    (void)json_object_set_new(object, "endpoint", json_string(client_endpoint(shell->client)));
    shell_print_object(shell, columns, object);
    json_decref(object);
    return SHELL_STATUS_OK;
}

const struct command cmd_meta_conninfo = {
    .name = "\\conninfo",
    .summary = "Show which node answers, who leads, and which cluster it is",
    .run = cmd_meta_conninfo_run,
};

/* The nodes of this cluster, as the prompt knows them, else asked for. Yours; NULL: unknown. */
static json_t *known_nodes(struct shell *shell)
{
    struct client_path path;
    struct request_answer answer;
    struct error e;
    if (shell->live.items[LIVE_NODES].value != NULL)
        return json_incref(shell->live.items[LIVE_NODES].value);
    if (shell->client == NULL && client_open(&shell->connection, &shell->client, &e) != 0)
        return NULL;
    (void)client_path(&path, "nodes", NULL);
    request_run(shell,
                &CLIENT_REQUEST(.method = "GET", .path = path.text, .repeatable = true,
                                .body = CLIENT_BODY_JSON, .attempt_ms = SHELL_ATTEMPT_MS,
                                .timeout_ms = SHELL_ATTEMPT_MS),
                &answer);
    json_t *nodes = json_incref(answer.json);
    request_answer_done(&answer);
    return nodes;
}

/* The endpoint of a node of this cluster by its name. Malloc'ed; NULL when there is no such. */
static char *node_endpoint(struct shell *shell, const char *name)
{
    size_t i;
    const json_t *node;
    char *found = NULL;
    if (strpbrk(name, ":/") != NULL)
        return NULL;
    json_t *nodes = known_nodes(shell);
    bool is_tls = nodes != NULL && str_starts_with(client_endpoint(shell->client), "https:");
    json_array_foreach(nodes, i, node)
    {
        if (found == NULL && strcmp(jobs_text(node, "name"), name) == 0 &&
            jobs_text(node, "api_address")[0] != '\0')
            found =
                mem_printf("%s://%s", is_tls ? "https" : "http", jobs_text(node, "api_address"));
    }
    json_decref(nodes);
    return found;
}

/* At the prompt what does not answer is not taken; a script must not go on where it did not mean
 * to be. */
static int connect_to(struct shell *shell, const char *endpoint, bool is_ours, json_t **answer)
{
    struct error e = {0};
    struct client *previous;
    if (shell_try(shell, endpoint, is_ours, &previous, &e) != 0) {
        shell_error(shell, "%s", e.text);
        return SHELL_STATUS_USAGE;
    }
    int status = get_status(shell, answer);
    if (status == SHELL_STATUS_OK || !shell->is_interactive || previous == NULL) {
        shell_keep(shell, endpoint, previous);
    } else {
        shell_go_back(shell, previous);
        shell_hint(shell, "the connection to %s is kept", client_endpoint(previous));
    }
    return status;
}

static int cmd_meta_connect_run(struct shell *shell, const struct command_call *call)
{
    const char *given = command_argument_text(call, 0);
    json_t *answer;
    char *found = given != NULL ? node_endpoint(shell, given) : NULL;
    const char *endpoint = found != NULL ? found : given;
    int status = endpoint != NULL ? connect_to(shell, endpoint, found != NULL, &answer)
                                  : get_status(shell, &answer);
    free(found);
    if (status != SHELL_STATUS_OK)
        return status;
    const char *node = json_string_value(json_object_get(answer, "node"));
    shell_say(shell, "You are connected to %s at %s.", node != NULL ? node : "a node",
              client_endpoint(shell->client));
    live_fetch(&shell->live, LIVE_NODES);
    json_decref(answer);
    return SHELL_STATUS_OK;
}

#define ENDPOINT_ARGUMENT                                                                          \
    {                                                                                              \
        "ENDPOINT", COMMAND_TYPE_ENDPOINT, COMMAND_COUNT_OPTIONAL, NULL,                           \
            "unix:PATH, http://HOST:PORT, https://HOST:PORT, or a node of this cluster"            \
    }

const struct command cmd_meta_c = {
    .name = "\\c",
    .summary = "Talk to another node, or another cluster",
    .text = "Settings, variables and history stay. Without an endpoint it says where it is.",
    .arguments = {ENDPOINT_ARGUMENT},
    .examples = {{"\\c n2", "the node n2 of this cluster"}},
    .run = cmd_meta_connect_run,
};

const struct command cmd_meta_connect = {
    .name = "\\connect",
    .summary = "The same as \\c",
    .arguments = {ENDPOINT_ARGUMENT},
    .run = cmd_meta_connect_run,
};

static int cmd_meta_sql_help_run(struct shell *shell, const struct command_call *call)
{
    size_t n;
    const struct command_value *values = command_argument_all(call, 0, &n);
    const char **words = mem_calloc(n + 1, sizeof *words);
    words[0] = "sql";
    for (size_t i = 0; i < n; i++)
        words[i] = values[i].text;
    int status = command_help_group(shell, words, n > 0 ? n : 1);
    free(words);
    return status;
}

const struct command cmd_meta_sql_help = {
    .name = "\\h",
    .summary = "List the statements of SQL, or show the form of one",
    .arguments = {{"STATEMENT", COMMAND_TYPE_SQL, COMMAND_COUNT_ANY, NULL, "its first words"}},
    .examples = {{"\\h create table", "the form of CREATE TABLE"}},
    .run = cmd_meta_sql_help_run,
};
