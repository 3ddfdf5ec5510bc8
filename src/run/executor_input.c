/* Files become one reader, read_parquet([...]), and a SELECT over it casts to the input's types.
 * Partition columns are constants when all files have the same value, else the element of a
 * constant list that belongs to the file being read.
 *
 * Files that are missing or damaged show when the fragment binds or runs: DuckDB's message names
 * them. */
#include "run/executor_input.h"

#include <fcntl.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "base/mem.h"
#include "base/str.h"
#include "run/duck.h"
#include "run/executor_error.h"
#include "run/executor_options.h"
#include "run/executor_sql.h"
#include "run/file_write.h"

#define EXECUTOR_INPUT_FILE "f" /* the reader's alias */

static int executor_input_refuse(struct executor_task *task, const char *path)
{
    (void)executor_task_fail_text(task, ERR_FORBIDDEN, "permission",
                                  "%s is in no directory that SQL may use", path);
    executor_error_hint(task->error, "the store of tables is one; sql.paths of the node's "
                                     "configuration allows others");
    return -1;
}

const char *executor_input_root(struct executor_task *task, const char *url)
{
    const char *path = url;
    if (str_starts_with(path, "file:"))
        path += strlen("file:");
    if (str_starts_with(path, "//"))
        path += 2;
    if (*path != '/') {
        (void)executor_task_fail_text(task, ERR_INVALID, "file",
                                      "%s is no directory on this machine: file:/... is needed",
                                      url);
        return NULL;
    }
    return executor_engine_allows(task->engine, path) || executor_input_refuse(task, path) == 0
               ? path
               : NULL;
}

/* A pipe would be waited for, perhaps for ever. What isn't there is told when it is opened. */
static int executor_input_check_kind(struct executor_task *task, const char *path)
{
    struct stat st;
    if (stat(path, &st) < 0 || S_ISREG(st.st_mode))
        return 0;
    (void)executor_task_fail_text(task, ERR_INVALID, "file", "%s is %s, not a file", path,
                                  S_ISDIR(st.st_mode) ? "a directory" : "a device, pipe or socket");
    executor_error_hint(task->error, "name a file, or several by a pattern: '/folder/*.csv'");
    return -1;
}

/* Files that people put there may be links to anywhere; those with wildcards are DuckDB's to find.
 */
static int executor_input_check_files(struct executor_task *task, const Wire__SqlInput *input,
                                      const char *root)
{
    int err = 0;
    for (size_t i = 0; i < input->n_files && err == 0; i++) {
        char *path = mem_printf("%s/%s", root, input->files[i]->path);
        if (strpbrk(path, "*?[") == NULL)
            err = executor_engine_allows(task->engine, path) ? executor_input_check_kind(task, path)
                                                             : executor_input_refuse(task, path);
        free(path);
    }
    return err;
}

/* ---- checks ---------------------------------------------------------------------------------- */

static int executor_input_check(struct executor_task *task, const Wire__SqlInput *input)
{
    size_t partitions = 0;
    if (*input->name == '\0')
        return executor_task_fail_text(task, ERR_INVALID, "protocol", "an input has no name");
    for (size_t i = 0; i < input->n_columns; i++) {
        partitions += input->columns[i]->partition;
        if (executor_sql_check_type(input->columns[i]->type) < 0)
            return executor_task_fail_text(
                task, ERR_INVALID, "binder", "column %s of %s has no type that is one: %s",
                input->columns[i]->name, input->name, input->columns[i]->type);
    }
    for (size_t i = 0; i < input->n_files; i++)
        if (input->files[i]->n_values != partitions && !input->any_columns)
            return executor_task_fail_text(
                task, ERR_INVALID, "protocol",
                "file %s of %s has %zu partition values where %zu are needed",
                input->files[i]->path, input->name, input->files[i]->n_values, partitions);
    if (input->n_columns == 0 && !input->any_columns)
        return executor_task_fail_text(task, ERR_INVALID, "protocol", "input %s has no columns",
                                       input->name);
    return 0;
}

static int executor_input_view(struct executor_task *task, const Wire__SqlInput *input,
                               struct executor_sql *sql)
{
    if (executor_task_begin(task) < 0)
        return -1;
    if (*input->schema != '\0') {
        executor_sql_add(sql, "CREATE SCHEMA IF NOT EXISTS ");
        executor_sql_name(sql, input->schema);
        executor_sql_add(sql, "; ");
    }
    executor_sql_add(sql, "CREATE VIEW ");
    if (*input->schema != '\0') {
        executor_sql_name(sql, input->schema);
        executor_sql_add(sql, ".");
    }
    executor_sql_name(sql, input->name);
    executor_sql_add(sql, " AS ");
    return 0;
}

static void executor_input_cast(struct executor_sql *sql, const char *value, const char *type)
{
    executor_sql_add(sql, "CAST(");
    if (value != NULL)
        executor_sql_literal(sql, value);
    else
        executor_sql_add(sql, "NULL");
    executor_sql_printf(sql, " AS %s)", type);
}

static void executor_input_empty(struct executor_sql *sql, const Wire__SqlInput *input)
{
    executor_sql_add(sql, "SELECT ");
    for (size_t i = 0; i < input->n_columns; i++) {
        if (i > 0)
            executor_sql_add(sql, ", ");
        executor_input_cast(sql, NULL, input->columns[i]->type);
        executor_sql_add(sql, " AS ");
        executor_sql_name(sql, input->columns[i]->name);
    }
    executor_sql_add(sql, " WHERE false");
}

/* ---- readers --------------------------------------------------------------------------------- */

/* In a file's name of a table there are no wildcards: '*', '?', '[' stand for themselves. */
static void executor_input_path(struct executor_sql *sql, const char *root, const char *path,
                                bool has_wildcards)
{
    struct buf b;
    buf_init(&b, strlen(root) + 3 * strlen(path) + 2);
    (void)buf_append_str(&b, root);
    if (*path != '\0')
        (void)buf_append_byte(&b, '/');
    for (const char *s = path; *s != '\0'; s++) {
        bool escape = !has_wildcards && strchr("*?[", *s) != NULL;
        if (escape)
            (void)buf_append_byte(&b, '[');
        (void)buf_append_byte(&b, (uint8_t)*s);
        if (escape)
            (void)buf_append_byte(&b, ']');
    }
    executor_sql_literal(sql, buf_cstr(&b));
    buf_done(&b);
}

static void executor_input_paths(struct executor_sql *sql, const Wire__SqlInput *input,
                                 const char *root)
{
    bool has_wildcards =
        input->format != WIRE__SQL_FORMAT__SQL_FORMAT_PARQUET || input->any_columns;
    executor_sql_add(sql, "[");
    for (size_t i = 0; i < input->n_files; i++) {
        if (i > 0)
            executor_sql_add(sql, ", ");
        executor_input_path(sql, root, input->files[i]->path, has_wildcards);
    }
    executor_sql_add(sql, "]");
}

static void executor_input_column_types(struct executor_sql *sql, const Wire__SqlInput *input)
{
    executor_sql_add(sql, ", columns={");
    for (size_t i = 0; i < input->n_columns; i++) {
        if (i > 0)
            executor_sql_add(sql, ", ");
        executor_sql_name(sql, input->columns[i]->name);
        executor_sql_add(sql, ": ");
        executor_sql_literal(sql, input->columns[i]->type);
    }
    executor_sql_add(sql, "}");
}

/* The rows that came with the task go into a file first. */
static int executor_input_lines(struct executor_task *task, struct executor_sql *sql,
                                const Wire__SqlInput *input)
{
    char *name = mem_printf("lines-%zu.json", task->lines_n++);
    char *path = executor_task_path(task, name);
    free(name);
    if (path == NULL)
        return -1;
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    int err = fd < 0 ? -errno : file_write_all(fd, input->lines.data, input->lines.len);
    if (err < 0)
        err =
            executor_task_fail_text(task, err, "disk", "cannot write %s: %s", path, err_text(err));
    if (fd >= 0)
        close(fd);
    executor_sql_add(sql, "read_json(");
    executor_sql_literal(sql, path);
    executor_sql_add(sql, ", format='newline_delimited', maximum_object_size=16777216");
    executor_input_column_types(sql, input);
    executor_sql_add(sql, ")");
    free(path);
    return err;
}

static int executor_input_reader(struct executor_task *task, struct executor_sql *sql,
                                 const Wire__SqlInput *input)
{
    int err = 0;
    if (input->format == WIRE__SQL_FORMAT__SQL_FORMAT_LINES)
        return executor_input_lines(task, sql, input);
    const char *root = executor_input_root(task, input->root);
    if (root == NULL)
        return -1;
    if (input->format != WIRE__SQL_FORMAT__SQL_FORMAT_PARQUET || input->any_columns)
        err = executor_input_check_files(task, input, root);
    if (err < 0)
        return err;
    switch (input->format) {
    case WIRE__SQL_FORMAT__SQL_FORMAT_PARQUET:
        executor_sql_add(sql, "read_parquet(");
        executor_input_paths(sql, input, root);
        executor_sql_add(sql, ", hive_partitioning=false");
        if (input->mixed)
            executor_sql_add(sql, ", union_by_name=true");
        break;
    case WIRE__SQL_FORMAT__SQL_FORMAT_CSV:
        executor_sql_add(sql, "read_csv(");
        executor_input_paths(sql, input, root);
        executor_sql_add(sql, ", hive_partitioning=false");
        /* Whoever guesses the quote takes one that is never closed for a letter. */
        if (!executor_options_have(input, "quote"))
            executor_sql_add(sql, ", quote='\"'");
        err = executor_options_add(task, sql, input);
        break;
    case WIRE__SQL_FORMAT__SQL_FORMAT_JSON:
        executor_sql_add(sql, "read_json(");
        executor_input_paths(sql, input, root);
        executor_sql_add(sql, ", hive_partitioning=false");
        err = executor_options_add(task, sql, input);
        break;
    default:
        return executor_task_fail_text(task, ERR_UNSUPPORTED, "protocol",
                                       "input %s has a format that this node does not know",
                                       input->name);
    }
    if (input->format != WIRE__SQL_FORMAT__SQL_FORMAT_PARQUET && !input->any_columns)
        executor_input_column_types(sql, input);
    executor_sql_add(sql, ")");
    return err;
}

/* ---- columns --------------------------------------------------------------------------------- */

static bool executor_input_same_value(const Wire__SqlValue *a, const Wire__SqlValue *b)
{
    return a->is_null == b->is_null && strcmp(a->text, b->text) == 0;
}

static const char *executor_input_value(const Wire__SqlInput *input, size_t file, size_t partition)
{
    const Wire__SqlValue *value = input->files[file]->values[partition];
    return value->is_null ? NULL : value->text;
}

static void executor_input_partition(struct executor_sql *sql, const Wire__SqlInput *input,
                                     const Wire__SqlColumn *column, size_t partition)
{
    bool is_constant = true;
    for (size_t i = 1; i < input->n_files && is_constant; i++)
        is_constant = executor_input_same_value(input->files[0]->values[partition],
                                                input->files[i]->values[partition]);
    if (is_constant) {
        executor_input_cast(sql, executor_input_value(input, 0, partition), column->type);
        return;
    }
    executor_sql_add(sql, "(CAST([");
    for (size_t i = 0; i < input->n_files; i++) {
        const char *value = executor_input_value(input, i, partition);
        if (i > 0)
            executor_sql_add(sql, ", ");
        if (value != NULL)
            executor_sql_literal(sql, value);
        else
            executor_sql_add(sql, "NULL");
    }
    executor_sql_printf(sql, "] AS %s[]))[CAST(" EXECUTOR_INPUT_FILE ".file_index AS BIGINT) + 1]",
                        column->type);
}

/* Names that the files have, for inputs whose files may lack some: NULL-terminated. */
static char **executor_input_names(struct executor_task *task, const char *reader)
{
    duckdb_prepared_statement statement = NULL;
    char **names = NULL;
    char *sql = mem_printf("SELECT * FROM %s", reader);
    if (duck.prepare(task->con, sql, &statement) != DuckDBSuccess) {
        (void)executor_task_fail(task, executor_error_from_duckdb(duck.prepare_error(statement)));
    } else {
        idx_t n = duck.prepared_statement_column_count(statement);
        names = mem_calloc(n + 1, sizeof *names);
        for (idx_t i = 0; i < n; i++) {
            const char *name = duck.prepared_statement_column_name(statement, i);
            names[i] = mem_strdup(name);
            duck.free((void *)(uintptr_t)name);
        }
    }
    duck.destroy_prepare(&statement);
    free(sql);
    return names;
}

static bool executor_input_has(char **names, const char *name)
{
    if (names == NULL)
        return true;
    for (size_t i = 0; names[i] != NULL; i++)
        if (strcasecmp(names[i], name) == 0)
            return true;
    return false;
}

static void executor_input_free_names(char **names)
{
    for (size_t i = 0; names != NULL && names[i] != NULL; i++)
        free(names[i]);
    free(names);
}

static int executor_input_columns(struct executor_task *task, struct executor_sql *sql,
                                  const Wire__SqlInput *input, const char *reader)
{
    char **names = NULL;
    size_t partition = 0;
    if (input->mixed) {
        names = executor_input_names(task, reader);
        if (names == NULL)
            return -1;
    }
    for (size_t i = 0; i < input->n_columns; i++) {
        const Wire__SqlColumn *column = input->columns[i];
        if (i > 0)
            executor_sql_add(sql, ", ");
        if (column->partition) {
            executor_input_partition(sql, input, column, partition++);
        } else if (!executor_input_has(names, column->name)) {
            executor_input_cast(sql, NULL, column->type);
        } else {
            executor_sql_add(sql, "CAST(" EXECUTOR_INPUT_FILE ".");
            executor_sql_name(sql, column->name);
            executor_sql_printf(sql, " AS %s)", column->type);
        }
        executor_sql_add(sql, " AS ");
        executor_sql_name(sql, column->name);
    }
    executor_input_free_names(names);
    return 0;
}

static bool executor_input_is_empty(const Wire__SqlInput *input)
{
    return input->format == WIRE__SQL_FORMAT__SQL_FORMAT_LINES ? input->lines.len == 0
                                                               : input->n_files == 0;
}

static int executor_input_select(struct executor_task *task, struct executor_sql *sql,
                                 const Wire__SqlInput *input)
{
    struct executor_sql reader;
    executor_sql_init(&reader);
    int err = executor_input_reader(task, &reader, input);
    executor_sql_add(sql, "SELECT ");
    if (err == 0 && input->any_columns)
        executor_sql_add(sql, "*");
    else if (err == 0)
        err = executor_input_columns(task, sql, input, executor_sql_text(&reader));
    executor_sql_printf(sql, " FROM %s AS " EXECUTOR_INPUT_FILE, executor_sql_text(&reader));
    if (reader.failed < 0)
        sql->failed = reader.failed;
    executor_sql_done(&reader);
    return err;
}

static int executor_input_make(struct executor_task *task, const Wire__SqlInput *input,
                               bool is_empty)
{
    struct executor_sql sql;
    int err = executor_input_check(task, input);
    if (err < 0)
        return err;
    executor_sql_init(&sql);
    err = executor_input_view(task, input, &sql);
    if (err == 0 && is_empty)
        executor_input_empty(&sql, input);
    else if (err == 0)
        err = executor_input_select(task, &sql, input);
    if (err == 0 && sql.failed < 0)
        err = executor_task_fail_text(task, sql.failed, "limit", "input %s has too many files",
                                      input->name);
    if (err == 0)
        err = executor_task_execute(task, executor_sql_text(&sql));
    executor_sql_done(&sql);
    return err;
}

int executor_input_create(struct executor_task *task, const Wire__SqlInput *input)
{
    return executor_input_make(task, input, executor_input_is_empty(input) && !input->any_columns);
}

int executor_input_describe(struct executor_task *task, const Wire__SqlInput *input)
{
    return executor_input_make(task, input, !input->any_columns);
}

void executor_input_try(struct executor_task *task, const Wire__SqlInput *input, const char *path)
{
    struct executor_sql sql;
    executor_sql_init(&sql);
    executor_sql_add(&sql, "SELECT count(*) FROM (SELECT * FROM read_csv(");
    executor_sql_literal(&sql, path);
    executor_input_column_types(&sql, input);
    int err = executor_options_add(task, &sql, input);
    if (!executor_options_have(input, "header"))
        executor_sql_add(&sql, ", header=true");
    if (!executor_options_have(input, "auto_detect"))
        executor_sql_add(&sql, ", auto_detect=false");
    executor_sql_add(&sql, ") OFFSET 0)");
    if (err == 0)
        (void)executor_task_execute(task, executor_sql_text(&sql));
    executor_sql_done(&sql);
}

bool executor_input_has_header(const Wire__SqlInput *input)
{
    for (size_t i = 0; i < input->n_options; i++)
        if (strcasecmp(input->options[i]->name, "header") == 0)
            return strcasecmp(input->options[i]->value, "false") != 0 &&
                   strcmp(input->options[i]->value, "0") != 0;
    return true;
}
