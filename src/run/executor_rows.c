/* Chunks become text row by row; a batch is sent when it has its size. Columns of types that are
 * not written here are cast to VARCHAR by DuckDB, in a SELECT around the statement. */
#include "run/executor_rows.h"

#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "run/duck.h"
#include "run/executor.h"
#include "run/executor_query.h"
#include "run/executor_sql.h"
#include "run/executor_value.h"

struct executor_rows {
    struct executor_task *task;
    struct executor_query query;
    struct executor_type *types;
    struct executor_vector *vectors;
    size_t n;
    struct buf batch;
    uint32_t count; /* whole rows in the batch */
};

static void executor_rows_done(struct executor_rows *rows)
{
    for (size_t i = 0; i < rows->n; i++) {
        executor_vector_done(&rows->vectors[i]);
        executor_type_done(&rows->types[i]);
    }
    free(rows->vectors);
    free(rows->types);
    buf_done(&rows->batch);
    executor_query_done(&rows->query);
}

static void executor_rows_init_types(struct executor_rows *rows)
{
    rows->n = duck.prepared_statement_column_count(rows->query.statement);
    rows->types = mem_calloc(rows->n + 1, sizeof *rows->types);
    rows->vectors = mem_calloc(rows->n + 1, sizeof *rows->vectors);
    for (size_t i = 0; i < rows->n; i++) {
        duckdb_logical_type type =
            duck.prepared_statement_column_logical_type(rows->query.statement, i);
        executor_type_init(&rows->types[i], type);
        executor_vector_init(&rows->vectors[i], &rows->types[i]);
        duck.destroy_logical_type(&type);
    }
}

static bool executor_rows_are_plain(const struct executor_rows *rows)
{
    for (size_t i = 0; i < rows->n; i++)
        if (!executor_type_is_plain(&rows->types[i]))
            return false;
    return true;
}

/* Binds the statement again with casts around it. */
static int executor_rows_cast(struct executor_rows *rows, const char *sql, size_t len)
{
    struct executor_sql around;
    executor_sql_init(&around);
    executor_sql_add(&around, "SELECT ");
    for (size_t i = 0; i < rows->n; i++) {
        bool is_plain = executor_type_is_plain(&rows->types[i]);
        executor_sql_printf(&around, "%s%s#%zu%s", i > 0 ? ", " : "", is_plain ? "" : "CAST(",
                            i + 1, is_plain ? "" : " AS VARCHAR)");
    }
    executor_sql_add(&around, " FROM (");
    size_t offset = around.text.len;
    executor_sql_printf(&around, "%s\n)", sql);
    struct executor_task *task = rows->task;
    executor_rows_done(rows);
    *rows = (struct executor_rows){.task = task};
    int err = executor_query_prepare(&rows->query, task, executor_sql_text(&around),
                                     DUCKDB_STATEMENT_TYPE_SELECT, offset, len);
    executor_sql_done(&around);
    return err;
}

/* The batch has whole rows up to `end`. */
static int executor_rows_send(struct executor_rows *rows, size_t end)
{
    int err = executor_task_send_rows(rows->task, rows->batch.data, end, rows->count);
    buf_consume(&rows->batch, end);
    if (rows->batch.len > 0 && rows->batch.data[0] == ',')
        buf_consume(&rows->batch, 1);
    rows->count = 0;
    return err;
}

static int executor_rows_append(struct executor_rows *rows, uint64_t row)
{
    int err = rows->batch.len > 0 ? buf_append_byte(&rows->batch, ',') : 0;
    if (err == 0)
        err = buf_append_byte(&rows->batch, '[');
    for (size_t i = 0; err == 0 && i < rows->n; i++) {
        if (i > 0)
            err = buf_append_byte(&rows->batch, ',');
        if (err == 0)
            err = executor_value_append(&rows->batch, &rows->vectors[i], row);
    }
    return err == 0 ? buf_append_byte(&rows->batch, ']') : err;
}

static int executor_rows_add(struct executor_rows *rows, uint64_t row)
{
    size_t before = rows->batch.len;
    int err = executor_rows_append(rows, row);
    if (err < 0 || rows->batch.len - before > EXECUTOR_ROW_BYTES_MAX)
        return executor_task_fail_text(rows->task, ERR_TOO_LARGE, "limit",
                                       "a row of the result is larger than %d MiB",
                                       EXECUTOR_ROW_BYTES_MAX / 1024 / 1024);
    err = 0;
    if (rows->batch.len > EXECUTOR_ROWS_BYTES_MAX && rows->count > 0)
        err = executor_rows_send(rows, before);
    rows->count++;
    if (err == 0 && rows->batch.len >= EXECUTOR_ROWS_BYTES_MAX)
        err = executor_rows_send(rows, rows->batch.len);
    return err;
}

static int executor_rows_chunk(struct executor_rows *rows, duckdb_data_chunk chunk)
{
    int err = 0;
    for (size_t i = 0; i < rows->n; i++)
        executor_vector_bind(&rows->vectors[i], duck.data_chunk_get_vector(chunk, i));
    for (idx_t row = 0; err == 0 && row < duck.data_chunk_get_size(chunk); row++)
        err = executor_rows_add(rows, row);
    return err;
}

static int executor_rows_loop(struct executor_rows *rows,
                              int (*fn)(struct executor_rows *rows, duckdb_data_chunk chunk))
{
    duckdb_data_chunk chunk;
    int err = executor_query_start(&rows->query);
    while (err == 0 && (chunk = executor_query_next(&rows->query)) != NULL) {
        err = fn(rows, chunk);
        duck.destroy_data_chunk(&chunk);
    }
    return rows->task->error != NULL ? -1 : err;
}

int executor_rows_stream(struct executor_task *task, const char *sql, size_t len)
{
    struct executor_rows rows = {.task = task};
    int err = executor_query_prepare(&rows.query, task, sql, DUCKDB_STATEMENT_TYPE_SELECT, 0, len);
    if (err == 0) {
        executor_query_tell_columns(&rows.query);
        executor_rows_init_types(&rows);
        if (!executor_rows_are_plain(&rows)) {
            err = executor_rows_cast(&rows, sql, len);
            if (err == 0)
                executor_rows_init_types(&rows);
        }
    }
    buf_init(&rows.batch, EXECUTOR_ROW_BYTES_MAX + EXECUTOR_ROWS_BYTES_MAX + 64);
    if (err == 0)
        err = executor_rows_loop(&rows, executor_rows_chunk);
    if (err == 0 && rows.count > 0)
        err = executor_rows_send(&rows, rows.batch.len);
    executor_rows_done(&rows);
    return err;
}

static int executor_rows_skip(struct executor_rows *rows, duckdb_data_chunk chunk)
{
    rows->task->done.rows += duck.data_chunk_get_size(chunk);
    return 0;
}

int executor_rows_drain(struct executor_task *task, const char *sql, size_t len)
{
    struct executor_rows rows = {.task = task};
    int err = executor_query_prepare(&rows.query, task, sql, DUCKDB_STATEMENT_TYPE_SELECT, 0, len);
    if (err == 0) {
        executor_query_tell_columns(&rows.query);
        err = executor_rows_loop(&rows, executor_rows_skip);
    }
    executor_rows_done(&rows);
    return err;
}

static int executor_rows_add_line(struct executor_rows *rows, const char *text, size_t len)
{
    int err = 0;
    if (len + 1 > EXECUTOR_ROW_BYTES_MAX)
        return executor_task_fail_text(rows->task, ERR_TOO_LARGE, "limit",
                                       "a line is larger than %d MiB",
                                       EXECUTOR_ROW_BYTES_MAX / 1024 / 1024);
    if (rows->count > 0 && rows->batch.len + len + 1 > EXECUTOR_ROWS_BYTES_MAX)
        err = executor_rows_send(rows, rows->batch.len);
    (void)buf_append(&rows->batch, text, len);
    (void)buf_append_byte(&rows->batch, '\n');
    rows->count++;
    return err;
}

static int executor_rows_lines_chunk(struct executor_rows *rows, duckdb_data_chunk chunk)
{
    int err = 0;
    executor_vector_bind(&rows->vectors[0], duck.data_chunk_get_vector(chunk, 0));
    for (idx_t row = 0; err == 0 && row < duck.data_chunk_get_size(chunk); row++) {
        size_t len;
        const char *text = executor_value_text(&rows->vectors[0], row, &len);
        if (text != NULL)
            err = executor_rows_add_line(rows, text, len);
    }
    return err;
}

int executor_rows_lines(struct executor_task *task, const char *sql)
{
    struct executor_rows rows = {.task = task};
    int err = executor_query_prepare(&rows.query, task, sql, DUCKDB_STATEMENT_TYPE_SELECT, 0, 0);
    buf_init(&rows.batch, EXECUTOR_ROW_BYTES_MAX + EXECUTOR_ROWS_BYTES_MAX + 64);
    if (err == 0) {
        executor_rows_init_types(&rows);
        err = executor_rows_loop(&rows, executor_rows_lines_chunk);
    }
    if (err == 0 && rows.count > 0)
        err = executor_rows_send(&rows, rows.batch.len);
    executor_rows_done(&rows);
    return err;
}

int executor_rows_each(struct executor_task *task, const char *sql, duckdb_statement_type type,
                       executor_rows_fn fn, void *arg)
{
    struct executor_rows rows = {.task = task};
    duckdb_data_chunk chunk;
    int err = executor_query_prepare(&rows.query, task, sql, type, 0, 0);
    if (err == 0)
        err = executor_query_start(&rows.query);
    if (err == 0)
        executor_rows_init_types(&rows);
    buf_init(&rows.batch, EXECUTOR_ROW_BYTES_MAX);
    while (err == 0 && (chunk = executor_query_next(&rows.query)) != NULL) {
        for (size_t i = 0; i < rows.n; i++)
            executor_vector_bind(&rows.vectors[i], duck.data_chunk_get_vector(chunk, i));
        for (idx_t row = 0; err == 0 && row < duck.data_chunk_get_size(chunk); row++) {
            buf_clear(&rows.batch);
            err = executor_rows_append(&rows, row);
            if (err == 0)
                err = fn(arg, buf_cstr(&rows.batch), rows.batch.len);
        }
        duck.destroy_data_chunk(&chunk);
    }
    executor_rows_done(&rows);
    return task->error != NULL ? -1 : err;
}
