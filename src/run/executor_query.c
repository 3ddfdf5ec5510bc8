#include "run/executor_query.h"

#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "run/duck.h"
#include "run/executor_error.h"
#include "run/executor_type.h"

/* Takes the reason from DuckDB. */
static int executor_query_fail(struct executor_query *query, const char *raw)
{
    Wire__SqlError *error = executor_error_from_duckdb(raw);
    if (query->len > 0)
        executor_error_move(error, query->offset, query->len);
    else
        error->position = 0;
    return executor_task_fail(query->task, error);
}

/* A dynamic PIVOT is a few statements, the last of them the SELECT. */
static int executor_query_prelude(struct executor_query *query, idx_t n)
{
    for (idx_t i = 0; i + 1 < n; i++) {
        duckdb_prepared_statement statement = NULL;
        duckdb_result result = {0};
        int err = executor_task_begin(query->task);
        if (err == 0 && duck.prepare_extracted_statement(query->task->con, query->extracted, i,
                                                         &statement) != DuckDBSuccess)
            err = executor_query_fail(query, duck.prepare_error(statement));
        if (err == 0 && duck.execute_prepared(statement, &result) != DuckDBSuccess)
            err = executor_query_fail(query, duck.result_error(&result));
        duck.destroy_result(&result);
        duck.destroy_prepare(&statement);
        if (err < 0)
            return err;
    }
    return 0;
}

static int executor_query_check_parameters(struct executor_query *query)
{
    if (duck.nparams(query->statement) == 0)
        return 0;
    Wire__SqlError *error = executor_error_new(ERR_UNSUPPORTED, "unsupported",
                                               "parameters (?, $1) have no values here");
    executor_error_hint(error, "write the values into the statement");
    return executor_task_fail(query->task, error);
}

int executor_query_prepare(struct executor_query *query, struct executor_task *task,
                           const char *sql, duckdb_statement_type type, size_t offset, size_t len)
{
    *query = (struct executor_query){.task = task, .offset = offset, .len = len};
    idx_t n = duck.extract_statements(task->con, sql, &query->extracted);
    if (n == 0)
        return executor_query_fail(query, duck.extract_statements_error(query->extracted));
    int err = executor_query_prelude(query, n);
    if (err < 0)
        return err;
    if (duck.prepare_extracted_statement(task->con, query->extracted, n - 1, &query->statement) !=
        DuckDBSuccess)
        return executor_query_fail(query, duck.prepare_error(query->statement));
    if (duck.prepared_statement_type(query->statement) != type)
        return executor_task_fail_text(task, ERR_FORBIDDEN, "permission", "this is no SELECT");
    return executor_query_check_parameters(query);
}

int executor_query_start(struct executor_query *query)
{
    duckdb_pending_result pending = NULL;
    int err = executor_task_check(query->task);
    if (err < 0)
        return err;
    if (duck.pending_prepared_streaming(query->statement, &pending) != DuckDBSuccess)
        err = executor_query_fail(query, duck.pending_error(pending));
    if (err == 0) {
        query->has_result = true;
        if (duck.execute_pending(pending, &query->result) != DuckDBSuccess)
            err = executor_query_fail(query, duck.result_error(&query->result));
    }
    duck.destroy_pending(&pending);
    return err;
}

duckdb_data_chunk executor_query_next(struct executor_query *query)
{
    if (executor_task_check(query->task) < 0)
        return NULL;
    duckdb_data_chunk chunk = duck.fetch_chunk(query->result);
    const char *reason = chunk == NULL ? duck.result_error(&query->result) : NULL;
    if (reason != NULL && *reason != '\0')
        (void)executor_query_fail(query, reason);
    return chunk;
}

void executor_query_done(struct executor_query *query)
{
    if (query->has_result)
        duck.destroy_result(&query->result);
    if (query->statement != NULL)
        duck.destroy_prepare(&query->statement);
    if (query->extracted != NULL)
        duck.destroy_extracted(&query->extracted);
}

void executor_query_tell_columns(struct executor_query *query)
{
    idx_t n = duck.prepared_statement_column_count(query->statement);
    executor_task_drop_columns(query->task);
    for (idx_t i = 0; i < n; i++) {
        struct buf name;
        buf_init(&name, EXECUTOR_TYPE_NAME_BYTES_MAX);
        duckdb_logical_type type = duck.prepared_statement_column_logical_type(query->statement, i);
        const char *column = duck.prepared_statement_column_name(query->statement, i);
        executor_type_name(&name, type);
        (void)buf_cstr(&name);
        executor_task_add_column(query->task, column, buf_steal(&name, NULL));
        duck.free((void *)(uintptr_t)column);
        duck.destroy_logical_type(&type);
    }
}
