/* POST /api/sql of a report: its lines are those of docs/api.md.
 *
 * Happy path: the statement's tables are found by their names, their rows written to files, and an
 * executor reads these. SHOW TABLES and DESCRIBE of a table are answered here. What is no query is
 * refused. A statement that is given up takes the executor with it; the next starts another. */
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "client/client_replay_lake.h"
#include "client/client_replay_statement.h"
#include "wire/cluster_rows.h"

enum {
    CLIENT_REPLAY_SQL_BYTES_MAX = 16 * 1024 * 1024, /* of a statement */
    CLIENT_REPLAY_SQL_CREDIT = 1024 * 1024,
    CLIENT_REPLAY_SQL_MESSAGES = 16, /* of the executor, for one piece of the answer */
    CLIENT_REPLAY_SQL_CALL = 1,
    CLIENT_REPLAY_SQL_TELL_MS = 500, /* from progress to progress, as nodes do */
};

enum client_replay_sql_phase {
    CLIENT_REPLAY_SQL_QUEUED,
    CLIENT_REPLAY_SQL_LOAD,
    CLIENT_REPLAY_SQL_START, /* until the executor is ready */
    CLIENT_REPLAY_SQL_RUN,
    CLIENT_REPLAY_SQL_END,
};

struct client_replay_sql {
    struct client_replay *replay;
    struct client_replay_lake *lake; /* NULL: not needed */
    enum client_replay_sql_phase phase;
    char *text;
    struct client_replay_statement statement;
    size_t loading;
    struct client_executor *executor;
    bool has_more; /* of its messages have been read already, perhaps */
    uint64_t rows;
    uint64_t rows_read; /* as the executor said last */
    int64_t began_ms;
    int64_t tell_ms; /* when progress is told next */
    struct buf out;  /* lines that are not handed out yet */
};

static const char client_replay_sql_held[] =
    "a report holds cluster.nodes, .jobs, .tasks, .events, .log, .messages, .elections, .rollouts "
    "and .vitals";

/* Lines */

static void client_replay_sql_line(struct client_replay_sql *sql, json_t *line)
{
    char *text = json_dumps(line, JSON_COMPACT);
    if (text != NULL)
        (void)buf_append_str(&sql->out, text);
    (void)buf_append_byte(&sql->out, '\n');
    free(text);
    json_decref(line);
}

/* The statement has ended; *at_rest: the executor waits for the next. */
static void client_replay_sql_end(struct client_replay_sql *sql, bool at_rest)
{
    sql->phase = CLIENT_REPLAY_SQL_END;
    sql->executor = NULL;
    if (sql->lake != NULL)
        client_replay_lake_leave(sql->lake, sql, at_rest);
}

/* `at`: byte of the statement, from 1; 0: none. */
static void client_replay_sql_fail(struct client_replay_sql *sql, int code, size_t at,
                                   const char *hint, const char *message)
{
    json_t *error = json_pack("{s:s, s:s}", "code", err_name(code), "message", message);
    if (error == NULL)
        error = json_pack("{s:s, s:s}", "code", err_name(code), "message", err_text(code));
    if (hint[0] != '\0')
        (void)json_object_set_new(error, "hint", json_string(hint));
    if (at > 0)
        (void)json_object_set_new(error, "position", json_integer((json_int_t)at - 1));
    client_replay_sql_line(sql, json_pack("{s:o}", "error", error));
}

static void __attribute__((format(printf, 5, 6)))
client_replay_sql_refuse(struct client_replay_sql *sql, int code, size_t at, const char *hint,
                         const char *fmt, ...)
{
    char *text;
    va_list args;
    va_start(args, fmt);
    if (vasprintf(&text, fmt, args) < 0)
        abort();
    va_end(args);
    client_replay_sql_fail(sql, code, at, hint, text);
    client_replay_sql_end(sql, false);
    free(text);
}

static void client_replay_sql_done(struct client_replay_sql *sql, const char *command)
{
    client_replay_sql_line(
        sql, json_pack("{s:{s:I, s:I, s:s}}", "done", "rows", (json_int_t)sql->rows, "wall_ms",
                       (json_int_t)(clock_mono_ms() - sql->began_ms), "command", command));
}

/* A whole answer of texts; takes `rows`. */
static void client_replay_sql_answer(struct client_replay_sql *sql, const char *const *names,
                                     size_t n, json_t *rows, const char *command)
{
    json_t *columns = json_array();
    for (size_t i = 0; i < n; i++)
        (void)json_array_append_new(
            columns, json_pack("{s:s, s:s}", "name", names[i], "type", CLUSTER_TEXT));
    sql->rows = json_array_size(rows);
    client_replay_sql_line(sql, json_pack("{s:o}", "columns", columns));
    client_replay_sql_line(sql, json_pack("{s:o}", "rows", rows));
    client_replay_sql_done(sql, command);
}

/* What the statement is */

static void client_replay_sql_show(struct client_replay_sql *sql)
{
    static const char *const names[] = {"name"};
    json_t *rows = json_array();
    for (size_t i = 0; i < CLIENT_REPLAY_TABLES; i++)
        (void)json_array_append_new(
            rows, json_pack("[s+]", CLUSTER_SCHEMA ".", client_replay_tables[i].name));
    client_replay_sql_answer(sql, names, MEM_COUNT(names), rows, "SHOW TABLES");
    client_replay_sql_end(sql, true);
}

static void client_replay_sql_describe(struct client_replay_sql *sql,
                                       const struct client_replay_table *table)
{
    static const char *const names[] = {"column_name", "column_type", "null", "partition"};
    json_t *rows = json_array();
    for (size_t i = 0; i < table->columns_n; i++)
        (void)json_array_append_new(rows, json_pack("[s, s, s, s]", table->columns[i][0],
                                                    table->columns[i][1], "YES", "NO"));
    client_replay_sql_answer(sql, names, MEM_COUNT(names), rows, "DESCRIBE");
    client_replay_sql_end(sql, true);
}

static void client_replay_sql_begin(struct client_replay_sql *sql)
{
    struct client_replay_statement *statement = &sql->statement;
    struct error e = {0};
    client_replay_statement_read(sql->text, statement);
    switch (statement->kind) {
    case CLIENT_REPLAY_STATEMENT_NONE:
        client_replay_sql_refuse(sql, ERR_INVALID, 0, "", "there is no statement");
        break;
    case CLIENT_REPLAY_STATEMENT_CHANGE:
        client_replay_sql_refuse(
            sql, ERR_UNSUPPORTED, statement->at + 1,
            "clustersh without --replay, or \\connect ENDPOINT, asks a cluster",
            "this is a replay of %s: it can be asked, not changed", sql->replay->path);
        break;
    case CLIENT_REPLAY_STATEMENT_LACKS:
        client_replay_sql_refuse(sql, ERR_UNSUPPORTED, statement->at + 1, client_replay_sql_held,
                                 "this is a replay of %s: a report does not hold %s",
                                 sql->replay->path, statement->lacks);
        break;
    case CLIENT_REPLAY_STATEMENT_SHOW:
        client_replay_sql_show(sql);
        break;
    case CLIENT_REPLAY_STATEMENT_DESCRIBE:
        client_replay_sql_describe(sql, statement->table);
        break;
    case CLIENT_REPLAY_STATEMENT_QUERY:
        sql->lake = client_replay_lake_get(sql->replay, &e);
        if (sql->lake == NULL)
            client_replay_sql_refuse(sql, e.code, 0, "set TMPDIR to a folder with room", "%s",
                                     e.text);
        break;
    }
}

/* Running it */

static void client_replay_sql_load(struct client_replay_sql *sql)
{
    struct error e = {0};
    while (sql->loading < CLIENT_REPLAY_TABLES && !sql->statement.wants[sql->loading])
        sql->loading++;
    if (sql->loading == CLIENT_REPLAY_TABLES) {
        sql->phase = CLIENT_REPLAY_SQL_START;
        return;
    }
    int rc = client_replay_lake_load(sql->lake, sql->replay, sql->loading, &e);
    if (rc < 0)
        client_replay_sql_refuse(sql, rc, 0, "set TMPDIR to a folder with room", "%s", e.text);
    else
        sql->loading += rc > 0;
}

/* The executor is of no use any more. */
static void client_replay_sql_broken(struct client_replay_sql *sql, const struct error *e)
{
    bool is_missing = e->code == ERR_NOT_FOUND;
    client_replay_sql_refuse(sql, is_missing ? ERR_UNSUPPORTED : e->code, 0,
                             is_missing
                                 ? "put the programs of one version into one folder; node list, "
                                   "job list, events and the like look into a report without it"
                                 : "repeat the statement; when it ends so again, read less of it",
                             is_missing ? "SQL needs clusterd: %s" : "%s", e->text);
}

static Wire__SqlColumn *client_replay_sql_column(const char *const pair[2])
{
    Wire__SqlColumn *column = mem_alloc(sizeof *column);
    wire__sql_column__init(column);
    column->name = mem_strdup(pair[0]);
    column->type = mem_strdup(pair[1]);
    return column;
}

static Wire__SqlOption *client_replay_sql_option(const char *name, const char *value)
{
    Wire__SqlOption *option = mem_alloc(sizeof *option);
    wire__sql_option__init(option);
    option->name = mem_strdup(name);
    option->value = mem_strdup(value);
    return option;
}

static Wire__SqlInput *client_replay_sql_input(const struct client_replay_sql *sql, size_t i)
{
    const struct client_replay_table *table = &client_replay_tables[i];
    uint64_t bytes;
    const char *name = client_replay_lake_file(sql->lake, i, &bytes);
    Wire__SqlInput *input = mem_alloc(sizeof *input);
    wire__sql_input__init(input);
    input->schema = mem_strdup(CLUSTER_SCHEMA);
    input->name = mem_strdup(table->name);
    input->root = mem_printf("file:%s", client_replay_lake_dir(sql->lake));
    input->format = WIRE__SQL_FORMAT__SQL_FORMAT_JSON;
    input->columns = mem_calloc(table->columns_n, sizeof *input->columns);
    while (input->n_columns < table->columns_n) {
        input->columns[input->n_columns] =
            client_replay_sql_column(table->columns[input->n_columns]);
        input->n_columns++;
    }
    if (bytes == 0)
        return input;
    input->options = mem_calloc(3, sizeof *input->options);
    input->options[input->n_options++] = client_replay_sql_option("format", "newline_delimited");
    input->options[input->n_options++] =
        client_replay_sql_option("maximum_object_size", "67108864"); /* REPLAY_LINE_BYTES_MAX */
    input->options[input->n_options++] = client_replay_sql_option("ignore_errors", "true");
    input->files = mem_calloc(1, sizeof *input->files);
    input->files[0] = mem_alloc(sizeof *input->files[0]);
    wire__sql_file__init(input->files[0]);
    input->files[0]->path = mem_strdup(name);
    input->files[0]->bytes = bytes;
    input->n_files = 1;
    return input;
}

/* Where its positions count from the beginning of the text, EXPLAIN is blank. */
static char *client_replay_sql_text(const struct client_replay_sql *sql)
{
    char *text = mem_strdup(sql->text);
    memset(text, ' ', sql->statement.query);
    return text;
}

static void client_replay_sql_send(struct client_replay_sql *sql)
{
    struct error e = {0};
    Wire__SqlRunTask *task = mem_alloc(sizeof *task);
    Wire__SqlFragment *fragment = mem_alloc(sizeof *fragment);
    wire__sql_run_task__init(task);
    wire__sql_fragment__init(fragment);
    task->call = CLIENT_REPLAY_SQL_CALL;
    task->credit = CLIENT_REPLAY_SQL_CREDIT;
    task->fragment = fragment;
    fragment->sql = client_replay_sql_text(sql);
    fragment->explain = sql->statement.explain;
    fragment->inputs = mem_calloc(CLIENT_REPLAY_TABLES, sizeof *fragment->inputs);
    for (size_t i = 0; i < CLIENT_REPLAY_TABLES; i++)
        if (sql->statement.wants[i])
            fragment->inputs[fragment->n_inputs++] = client_replay_sql_input(sql, i);
    int rc = client_executor_send(sql->executor, WIRE_SQL_RUN_TASK, &task->base, &e);
    wire_free(&task->base);
    if (rc < 0)
        client_replay_sql_broken(sql, &e);
    else
        sql->phase = CLIENT_REPLAY_SQL_RUN;
}

static void client_replay_sql_start(struct client_replay_sql *sql)
{
    struct error e = {0};
    bool is_ready = false;
    sql->executor = client_replay_lake_executor(sql->lake, &is_ready, &e);
    if (sql->executor == NULL)
        client_replay_sql_broken(sql, &e);
    else if (is_ready)
        client_replay_sql_send(sql);
}

static void client_replay_sql_columns(struct client_replay_sql *sql, const Wire__SqlTaskUpdate *u)
{
    json_t *columns = json_array();
    for (size_t i = 0; i < u->n_columns; i++)
        (void)json_array_append_new(columns, json_pack("{s:s, s:s}", "name", u->columns[i]->name,
                                                       "type", u->columns[i]->type));
    client_replay_sql_line(sql, json_pack("{s:o}", "columns", columns));
}

static void client_replay_sql_rows(struct client_replay_sql *sql, const Wire__SqlRows *rows)
{
    struct error e = {0};
    Wire__SqlCredit credit = WIRE__SQL_CREDIT__INIT;
    sql->rows += rows->count;
    (void)buf_append_str(&sql->out, "{\"rows\":[");
    (void)buf_append(&sql->out, rows->data.data, rows->data.len);
    (void)buf_append_str(&sql->out, "]}\n");
    credit.call = CLIENT_REPLAY_SQL_CALL;
    credit.bytes = rows->data.len;
    if (client_executor_send(sql->executor, WIRE_SQL_CREDIT, &credit.base, &e) < 0)
        client_replay_sql_broken(sql, &e);
}

static void client_replay_sql_tell(struct client_replay_sql *sql)
{
    int64_t now_ms = clock_mono_ms();
    if (sql->phase == CLIENT_REPLAY_SQL_END || now_ms < sql->tell_ms)
        return;
    sql->tell_ms = now_ms + CLIENT_REPLAY_SQL_TELL_MS;
    client_replay_sql_line(sql, json_pack("{s:{s:i, s:i, s:i, s:i, s:I, s:i, s:I}}", "progress",
                                          "stage", 1, "stages", 1, "tasks", 1, "tasks_done", 0,
                                          "rows", (json_int_t)sql->rows_read, "bytes", 0, "wall_ms",
                                          (json_int_t)(now_ms - sql->began_ms)));
}

/* DuckDB's plan, a row for each line. */
static void client_replay_sql_plan(struct client_replay_sql *sql, const char *plan)
{
    static const char *const names[] = {"plan"};
    json_t *rows = json_array();
    while (*plan != '\0') {
        size_t len = strcspn(plan, "\n");
        (void)json_array_append_new(rows, json_pack("[s%]", plan, len));
        plan += len + (plan[len] == '\n');
    }
    client_replay_sql_answer(sql, names, MEM_COUNT(names), rows, "EXPLAIN");
}

static void client_replay_sql_over(struct client_replay_sql *sql, const Wire__SqlTaskDone *done)
{
    const Wire__SqlError *error = done->error;
    bool is_unknown = error != NULL && strcmp(error->kind, "catalog") == 0;
    if (error != NULL)
        client_replay_sql_fail(sql, error->code, error->position,
                               is_unknown ? client_replay_sql_held : error->hint, error->message);
    else if (sql->statement.explain != WIRE__SQL_EXPLAIN__SQL_EXPLAIN_NONE)
        client_replay_sql_plan(sql, done->text);
    else
        client_replay_sql_done(sql, "SELECT");
    client_replay_sql_end(sql, true);
}

static void client_replay_sql_update(struct client_replay_sql *sql, const Wire__SqlTaskUpdate *u)
{
    bool shows_rows = sql->statement.explain == WIRE__SQL_EXPLAIN__SQL_EXPLAIN_NONE;
    if (u->n_columns > 0 && shows_rows)
        client_replay_sql_columns(sql, u);
    if (u->progress != NULL)
        sql->rows_read = u->progress->rows_done;
    if (u->rows != NULL && u->rows->count > 0 && shows_rows)
        client_replay_sql_rows(sql, u->rows);
    if (u->done != NULL && sql->phase == CLIENT_REPLAY_SQL_RUN)
        client_replay_sql_over(sql, u->done);
}

static void client_replay_sql_ready(struct client_replay_sql *sql, const Wire__SqlReady *ready)
{
    if (ready->code != 0) {
        client_replay_sql_refuse(sql, ready->code, 0, "", "%s", ready->text);
        return;
    }
    client_replay_lake_ready(sql->lake);
    client_replay_sql_send(sql);
}

/* Takes a message of the executor; false: there is none yet, or the statement has ended. */
static bool client_replay_sql_take(struct client_replay_sql *sql)
{
    struct error e = {0};
    enum wire_type type;
    ProtobufCMessage *message = NULL;
    int rc = client_executor_next(sql->executor, &type, &message, &e);
    if (rc == 0)
        return false;
    if (rc > 0 && type == WIRE_SQL_READY && sql->phase == CLIENT_REPLAY_SQL_START)
        client_replay_sql_ready(sql, (const Wire__SqlReady *)message);
    else if (rc > 0 && type == WIRE_SQL_TASK_UPDATE && sql->phase == CLIENT_REPLAY_SQL_RUN)
        client_replay_sql_update(sql, (const Wire__SqlTaskUpdate *)message);
    else if (rc > 0)
        (void)error_set(&e, ERR_PROTOCOL, "clusterd executor says what it should not");
    wire_free(message);
    if (e.code != 0 && sql->phase != CLIENT_REPLAY_SQL_END)
        client_replay_sql_broken(sql, &e);
    return sql->phase != CLIENT_REPLAY_SQL_END;
}

static void client_replay_sql_listen(struct client_replay_sql *sql)
{
    unsigned n = 0;
    while (n < CLIENT_REPLAY_SQL_MESSAGES && client_replay_sql_take(sql))
        n++;
    sql->has_more = n == CLIENT_REPLAY_SQL_MESSAGES;
}

/* The answer */

void client_replay_ask_sql(struct client_replay_answer *answer, const char *body, size_t len)
{
    json_t *request = json_loadb(body != NULL ? body : "", len, 0, NULL);
    const char *text = json_string_value(json_object_get(request, "sql"));
    if (text == NULL || strlen(text) > CLIENT_REPLAY_SQL_BYTES_MAX) {
        client_replay_fail(answer, text == NULL ? ERR_INVALID : ERR_TOO_LARGE, "",
                           text == NULL ? "a body {\"sql\":\"STATEMENT\"} is needed"
                                        : "the statement is too large");
        json_decref(request);
        return;
    }
    struct client_replay_sql *sql = mem_zalloc(sizeof *sql);
    sql->replay = answer->replay;
    sql->text = mem_strdup(text);
    sql->began_ms = clock_mono_ms();
    sql->tell_ms = sql->began_ms + CLIENT_REPLAY_SQL_TELL_MS;
    buf_init(&sql->out, CLIENT_REPLY_BYTES_MAX);
    json_decref(request);
    client_replay_sql_begin(sql);
    answer->sql = sql;
    answer->status = 200;
}

bool client_replay_sql_next(struct client_replay_sql *sql, struct buf *out)
{
    if (sql->phase == CLIENT_REPLAY_SQL_QUEUED && client_replay_lake_take(sql->lake, sql))
        sql->phase = CLIENT_REPLAY_SQL_LOAD;
    if (sql->phase == CLIENT_REPLAY_SQL_LOAD)
        client_replay_sql_load(sql);
    else if (sql->phase == CLIENT_REPLAY_SQL_START && sql->executor == NULL)
        client_replay_sql_start(sql);
    else if (sql->executor != NULL)
        client_replay_sql_listen(sql);
    client_replay_sql_tell(sql);
    (void)buf_append(out, sql->out.data, sql->out.len);
    buf_clear(&sql->out);
    return sql->phase != CLIENT_REPLAY_SQL_END;
}

int client_replay_sql_fd(const struct client_replay_sql *sql)
{
    if (sql->phase == CLIENT_REPLAY_SQL_QUEUED && !client_replay_lake_is_free(sql->lake, sql))
        return CLIENT_REPLAY_QUEUED;
    return sql->executor != NULL && !sql->has_more ? client_executor_fd(sql->executor)
                                                   : CLIENT_REPLAY_READY;
}

int64_t client_replay_sql_due_ms(const struct client_replay_sql *sql)
{
    return sql->phase == CLIENT_REPLAY_SQL_RUN ? sql->tell_ms : INT64_MAX;
}

void client_replay_sql_free(struct client_replay_sql *sql)
{
    if (sql == NULL)
        return;
    if (sql->phase != CLIENT_REPLAY_SQL_END)
        client_replay_sql_end(sql, false);
    buf_done(&sql->out);
    client_replay_statement_done(&sql->statement);
    free(sql->text);
    free(sql);
}
