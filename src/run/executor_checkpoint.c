#include "run/executor_checkpoint.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "run/duck.h"
#include "run/executor_error.h"
#include "run/executor_input.h"
#include "run/executor_publish.h"
#include "run/executor_rows.h"
#include "run/executor_sql.h"
#include "wire/lake_path.h"

/* The actions that a checkpoint holds and the fields that we read and write: reader 1, writer 2,
 * and what names features, so that they can be refused by name. */
static const struct {
    const char *action;
    const char *type;
} executor_checkpoint_actions[] = {
    {"txn", "STRUCT(\"appId\" VARCHAR, version BIGINT, \"lastUpdated\" BIGINT)"},
    {"add", "STRUCT(path VARCHAR, \"partitionValues\" MAP(VARCHAR, VARCHAR), size BIGINT, "
            "\"modificationTime\" BIGINT, \"dataChange\" BOOLEAN, stats VARCHAR, "
            "tags MAP(VARCHAR, VARCHAR))"},
    {"remove", "STRUCT(path VARCHAR, \"deletionTimestamp\" BIGINT, \"dataChange\" BOOLEAN, "
               "\"extendedFileMetadata\" BOOLEAN, \"partitionValues\" MAP(VARCHAR, VARCHAR), "
               "size BIGINT, tags MAP(VARCHAR, VARCHAR))"},
    {"metaData", "STRUCT(id VARCHAR, \"name\" VARCHAR, description VARCHAR, "
                 "\"format\" STRUCT(provider VARCHAR, \"options\" MAP(VARCHAR, VARCHAR)), "
                 "\"schemaString\" VARCHAR, \"partitionColumns\" VARCHAR[], "
                 "\"configuration\" MAP(VARCHAR, VARCHAR), \"createdTime\" BIGINT)"},
    {"protocol", "STRUCT(\"minReaderVersion\" INTEGER, \"minWriterVersion\" INTEGER, "
                 "\"readerFeatures\" VARCHAR[], \"writerFeatures\" VARCHAR[])"},
    {"domainMetadata", "STRUCT(\"domain\" VARCHAR, \"configuration\" VARCHAR, removed BOOLEAN)"},
};

struct executor_checkpoint_written {
    struct executor_task *task;
    Wire__SqlOutputFile *file;
};

static int executor_checkpoint_add(void *arg, const char *row, size_t len)
{
    struct executor_checkpoint_written *written = arg;
    json_t *columns = json_loadb(row, len, 0, NULL);
    written->file->rows = (uint64_t)json_integer_value(json_array_get(columns, 1));
    written->file->bytes = (uint64_t)json_integer_value(json_array_get(columns, 2));
    json_decref(columns);
    return 0;
}

/* domainMetadata is a feature of writers above 2: it is read, never written. */
static void executor_checkpoint_copy(struct executor_sql *sql, const char *lines_path,
                                     const char *to)
{
    size_t n = MEM_COUNT(executor_checkpoint_actions) - 1;
    executor_sql_add(sql, "COPY (SELECT * FROM read_json(");
    executor_sql_literal(sql, lines_path);
    executor_sql_add(sql, ", format='newline_delimited', maximum_object_size=67108864, columns={");
    for (size_t i = 0; i < n; i++) {
        executor_sql_add(sql, i > 0 ? ", " : "");
        executor_sql_name(sql, executor_checkpoint_actions[i].action);
        executor_sql_add(sql, ": ");
        executor_sql_literal(sql, executor_checkpoint_actions[i].type);
    }
    executor_sql_add(sql, "})) TO ");
    executor_sql_literal(sql, to);
    executor_sql_add(sql, " (FORMAT parquet, RETURN_STATS true)");
}

void executor_checkpoint_write(struct executor_task *task, const Wire__SqlCheckpointWrite *write)
{
    const char *root = executor_input_root(task, write->root);
    char *scratch = root != NULL ? executor_task_path(task, "checkpoint.parquet") : NULL;
    if (scratch == NULL)
        return;
    struct executor_checkpoint_written written = {task, executor_task_add_file(task)};
    struct executor_sql sql;
    executor_sql_init(&sql);
    int err = 0;
    if (!lake_key_is_valid(write->path))
        err = executor_task_fail_text(task, ERR_INVALID, "file", "%s is no name for a checkpoint",
                                      write->path);
    executor_checkpoint_copy(&sql, write->lines_path, scratch);
    if (err == 0)
        err = executor_rows_each(task, executor_sql_text(&sql), DUCKDB_STATEMENT_TYPE_COPY,
                                 executor_checkpoint_add, &written);
    executor_sql_done(&sql);
    if (err == 0) {
        char *to = mem_printf("%s/%s", root, write->path);
        int code = executor_publish_file(scratch, to, true);
        if (code < 0)
            (void)executor_task_fail_text(task, code, "disk", "cannot write %s: %s", to,
                                          err_text(code));
        free(to);
    }
    written.file->path = mem_strdup(write->path);
    task->done.rows = written.file->rows;
    task->done.bytes = written.file->bytes;
    free(scratch);
}

/* ---- reading --------------------------------------------------------------------------------- */

static void executor_checkpoint_reader(struct executor_sql *sql, const char *root,
                                       const Wire__SqlCheckpointRead *read)
{
    executor_sql_add(sql, "read_parquet([");
    for (size_t i = 0; i < read->n_paths; i++) {
        char *path = mem_printf("%s/%s", root, read->paths[i]);
        executor_sql_add(sql, i > 0 ? ", " : "");
        executor_sql_literal(sql, path);
        free(path);
    }
    executor_sql_add(sql, "], union_by_name=true, hive_partitioning=false)");
}

/* Which of the actions, and which of their fields, these files have: a JSON object of the fields.
 */
static json_t *executor_checkpoint_fields(struct executor_task *task, const char *reader)
{
    json_t *fields = json_object();
    duckdb_prepared_statement statement = NULL;
    char *sql = mem_printf("SELECT * FROM %s", reader);
    if (duck.prepare(task->con, sql, &statement) != DuckDBSuccess)
        (void)executor_task_fail(task, executor_error_from_duckdb(duck.prepare_error(statement)));
    idx_t n = task->error == NULL ? duck.prepared_statement_column_count(statement) : 0;
    for (idx_t i = 0; i < n; i++) {
        duckdb_logical_type type = duck.prepared_statement_column_logical_type(statement, i);
        const char *name = duck.prepared_statement_column_name(statement, i);
        json_t *members = json_array();
        idx_t members_n =
            duck.get_type_id(type) == DUCKDB_TYPE_STRUCT ? duck.struct_type_child_count(type) : 0;
        for (idx_t k = 0; k < members_n; k++) {
            char *member = duck.struct_type_child_name(type, k);
            json_array_append_new(members, json_string(member));
            duck.free(member);
        }
        json_object_set_new(fields, name, members);
        duck.free((void *)(uintptr_t)name);
        duck.destroy_logical_type(&type);
    }
    duck.destroy_prepare(&statement);
    free(sql);
    return fields;
}

/* {"add": {...}} with the fields that are there and known; those in statistics' parsed form are
 * not: `stats` says the same. */
static void executor_checkpoint_action(struct executor_sql *sql, const char *action,
                                       const json_t *members)
{
    static const char *const skipped[] = {"stats_parsed", "partitionValues_parsed"};
    size_t i;
    json_t *member;
    bool is_first = true;
    executor_sql_add(sql, " WHEN ");
    executor_sql_name(sql, action);
    executor_sql_add(sql, " IS NOT NULL THEN json_object(");
    executor_sql_literal(sql, action);
    executor_sql_add(sql, ", struct_pack(");
    json_array_foreach(members, i, member)
    {
        const char *name = json_string_value(member);
        if (strcmp(name, skipped[0]) == 0 || strcmp(name, skipped[1]) == 0)
            continue;
        executor_sql_add(sql, is_first ? "" : ", ");
        executor_sql_name(sql, name);
        executor_sql_add(sql, " := ");
        executor_sql_name(sql, action);
        executor_sql_add(sql, ".");
        executor_sql_name(sql, name);
        is_first = false;
    }
    executor_sql_add(sql, "))");
}

static void executor_checkpoint_select(struct executor_sql *sql, const json_t *fields,
                                       const char *reader)
{
    executor_sql_add(sql, "SELECT CASE");
    bool has_any = false;
    for (size_t i = 0; i < MEM_COUNT(executor_checkpoint_actions); i++) {
        const json_t *members = json_object_get(fields, executor_checkpoint_actions[i].action);
        if (json_array_size(members) == 0)
            continue;
        executor_checkpoint_action(sql, executor_checkpoint_actions[i].action, members);
        has_any = true;
    }
    if (!has_any)
        executor_sql_add(sql, " WHEN false THEN NULL");
    executor_sql_printf(sql, " END::VARCHAR AS line FROM %s", reader);
}

void executor_checkpoint_read(struct executor_task *task, const Wire__SqlCheckpointRead *read)
{
    const char *root = executor_input_root(task, read->root);
    if (root == NULL)
        return;
    struct executor_sql reader;
    struct executor_sql sql;
    executor_sql_init(&reader);
    executor_sql_init(&sql);
    executor_checkpoint_reader(&reader, root, read);
    json_t *fields = executor_checkpoint_fields(task, executor_sql_text(&reader));
    if (task->error == NULL) {
        executor_checkpoint_select(&sql, fields, executor_sql_text(&reader));
        (void)executor_rows_lines(task, executor_sql_text(&sql));
    }
    json_decref(fields);
    executor_sql_done(&sql);
    executor_sql_done(&reader);
}
