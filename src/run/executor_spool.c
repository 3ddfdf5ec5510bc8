#include "run/executor_spool.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "run/executor_fragment.h"
#include "run/executor_query.h"
#include "run/executor_rows.h"
#include "run/executor_sql.h"

#define EXECUTOR_SPOOL_TABLE "__clusterd_spool"

enum {
    EXECUTOR_SPOOL_PARTITIONS_MAX = 16, /* each of them looks at all rows */
    EXECUTOR_SPOOL_PART_OF_MEMORY = 4,  /* bytes of Parquet that are read, of the limit */
};

bool executor_spool_fits(const struct executor_task *task, const Wire__SqlOutput *output,
                         size_t len)
{
    const Wire__SqlFragment *fragment = task->request->fragment;
    uint64_t bytes = 0;
    bool is_stage = output->kind == WIRE__SQL_OUTPUT_KIND__SQL_OUTPUT_KIND_HASH ||
                    output->kind == WIRE__SQL_OUTPUT_KIND__SQL_OUTPUT_KIND_FILE;
    if (!is_stage || output->durable || output->n_columns > 0 || output->n_options > 0 ||
        output->format != WIRE__SQL_FORMAT__SQL_FORMAT_PARQUET || len > 0 || task->streams ||
        output->n_paths > EXECUTOR_SPOOL_PARTITIONS_MAX)
        return false;
    for (size_t i = 0; i < fragment->n_inputs; i++)
        for (size_t f = 0; f < fragment->inputs[i]->n_files; f++)
            bytes += fragment->inputs[i]->files[f]->bytes;
    return bytes <= task->engine->memory_bytes_max / EXECUTOR_SPOOL_PART_OF_MEMORY;
}

static int executor_spool_columns(struct executor_task *task, const char *what)
{
    struct executor_query query;
    char *sql = mem_printf("SELECT %s FROM " EXECUTOR_SPOOL_TABLE, what);
    int err = executor_query_prepare(&query, task, sql, DUCKDB_STATEMENT_TYPE_SELECT, 0, 0);
    if (err == 0)
        executor_query_tell_columns(&query);
    executor_query_done(&query);
    free(sql);
    return err;
}

static int executor_spool_fill(struct executor_write *w, const char *text)
{
    struct executor_task *task = w->task;
    struct executor_sql sql;
    int err = executor_task_begin(task);
    executor_sql_init(&sql);
    executor_sql_add(&sql, "CREATE TEMP TABLE " EXECUTOR_SPOOL_TABLE " AS ");
    executor_write_select(w->output, &sql, text);
    if (err == 0 && sql.failed < 0)
        err = executor_task_fail_text(task, sql.failed, "limit", "the statement is too large");
    if (err == 0)
        err = executor_task_execute(task, executor_sql_text(&sql));
    executor_sql_done(&sql);
    if (err == 0)
        executor_fragment_measure(task);
    return err;
}

static int executor_spool_copy(struct executor_write *w, const char *what, uint32_t partition)
{
    struct executor_sql sql;
    char *to = w->output->n_paths > 1 ? mem_printf("%s-%u", w->scratch, partition)
                                      : mem_strdup(w->scratch);
    executor_sql_init(&sql);
    executor_sql_printf(&sql, "COPY (SELECT %s FROM " EXECUTOR_SPOOL_TABLE, what);
    if (w->output->n_paths > 1)
        executor_sql_printf(&sql, " WHERE " EXECUTOR_WRITE_PARTITION " = %u", partition);
    executor_sql_add(&sql, ") TO ");
    executor_sql_literal(&sql, to);
    executor_sql_add(&sql, " (FORMAT parquet, RETURN_STATS true, WRITE_BLOOM_FILTER false)");
    w->partition = partition;
    int err = executor_rows_each(w->task, executor_sql_text(&sql), DUCKDB_STATEMENT_TYPE_COPY,
                                 executor_write_add, w);
    executor_sql_done(&sql);
    free(to);
    return err;
}

int executor_spool_write(struct executor_write *w, const char *text)
{
    struct executor_task *task = w->task;
    const char *what = w->output->n_paths > 1 ? "* EXCLUDE (" EXECUTOR_WRITE_PARTITION ")" : "*";
    int err = executor_spool_fill(w, text);
    if (err < 0)
        return err;
    err = executor_spool_columns(task, what);
    for (size_t i = 0; i < w->output->n_paths && err == 0; i++)
        err = executor_spool_copy(w, what, (uint32_t)i);
    return err;
}

bool executor_spool_was_to_blame(const struct executor_task *task)
{
    static const char *const kinds[] = {"binder", "catalog", "disk",       "input",
                                        "memory", "syntax",  "unsupported"};
    for (size_t i = 0; task->error != NULL && !task->streams && i < MEM_COUNT(kinds); i++)
        if (strcmp(task->error->kind, kinds[i]) == 0)
            return task->spools;
    return false;
}
