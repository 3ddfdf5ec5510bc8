/* DuckDB's COPY does the work and says what it wrote (executor_written.c). */
#include "run/executor_write.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "base/error.h"
#include "base/mem.h"
#include "run/executor_input.h"
#include "run/executor_publish.h"
#include "run/executor_query.h"
#include "run/executor_rows.h"
#include "run/executor_spool.h"
#include "run/executor_sql.h"
#include "run/executor_write_internal.h"
#include "wire/lake_path.h"

enum { EXECUTOR_WRITE_PARTITIONS_MAX = 1024, EXECUTOR_WRITE_TARGET_MIN = 64 * 1024 };

static const char *const executor_write_csv_options[] = {
    "compression", "dateformat", "delim",   "delimiter", "escape", "force_quote",
    "header",      "null",       "nullstr", "quote",     "sep",    "timestampformat",
};

static const char *const executor_write_json_options[] = {
    "array",
    "compression",
    "dateformat",
    "timestampformat",
};

static const char *const executor_write_parquet_options[] = {
    "compression",
    "compression_level",
    "row_group_size",
    "row_group_size_bytes",
};

/* ---- checks ---------------------------------------------------------------------------------- */

static bool executor_write_has_partitions(const Wire__SqlOutput *output)
{
    for (size_t i = 0; i < output->n_columns; i++)
        if (output->columns[i]->partition)
            return true;
    return false;
}

static int executor_write_check(struct executor_write *w)
{
    const Wire__SqlOutput *output = w->output;
    size_t paths = 0;
    switch (output->kind) {
    case WIRE__SQL_OUTPUT_KIND__SQL_OUTPUT_KIND_FILE:
        paths = 1;
        break;
    case WIRE__SQL_OUTPUT_KIND__SQL_OUTPUT_KIND_HASH:
        paths = output->n_paths;
        if (paths < 1 || paths > EXECUTOR_WRITE_PARTITIONS_MAX || output->n_keys == 0)
            return executor_task_fail_text(w->task, ERR_INVALID, "protocol",
                                           "a shuffle needs keys and 1 to %d partitions",
                                           EXECUTOR_WRITE_PARTITIONS_MAX);
        break;
    case WIRE__SQL_OUTPUT_KIND__SQL_OUTPUT_KIND_TABLE:
        break;
    default:
        return executor_task_fail_text(w->task, ERR_UNSUPPORTED, "protocol",
                                       "this node does not know this kind of output");
    }
    if (output->n_paths != paths)
        return executor_task_fail_text(w->task, ERR_INVALID, "protocol",
                                       "an output has %zu paths where %zu are needed",
                                       output->n_paths, paths);
    for (size_t i = 0; i < paths; i++)
        if (!lake_key_is_valid(output->paths[i]))
            return executor_task_fail_text(w->task, ERR_INVALID, "file",
                                           "%s is no name for a file to write", output->paths[i]);
    for (size_t i = 0; i < output->n_columns; i++)
        if (executor_sql_check_type(output->columns[i]->type) < 0)
            return executor_task_fail_text(w->task, ERR_INVALID, "binder",
                                           "column %s has no type that is one: %s",
                                           output->columns[i]->name, output->columns[i]->type);
    return 0;
}

/* Binds the statement, for its columns: how many, which names and types. */
static int executor_write_bind(struct executor_write *w, const char *sql, size_t len)
{
    struct executor_task *task = w->task;
    struct executor_query query;
    int err = executor_query_prepare(&query, task, sql, DUCKDB_STATEMENT_TYPE_SELECT, 0, len);
    if (err == 0)
        executor_query_tell_columns(&query);
    executor_query_done(&query);
    size_t want = w->output->n_columns;
    if (err == 0 && want > 0 && want != task->columns_n)
        err = executor_task_fail_text(task, ERR_INVALID, "binder",
                                      "the query gives %zu columns, and %zu are needed",
                                      task->columns_n, want);
    for (size_t i = 0; i < w->output->n_keys && err == 0; i++)
        if (w->output->keys[i] >= task->columns_n)
            err = executor_task_fail_text(task, ERR_INVALID, "protocol",
                                          "a key of a shuffle is no column");
    return err;
}

/* ---- the COPY -------------------------------------------------------------------------------- */

static void executor_write_column(struct executor_sql *sql, const Wire__SqlColumn *column, size_t i)
{
    if (column->not_null) {
        char *text = mem_printf("column %s takes no null", column->name);
        executor_sql_printf(sql, "CASE WHEN #%zu IS NULL THEN error(", i + 1);
        executor_sql_literal(sql, text);
        executor_sql_printf(sql, ") ELSE CAST(#%zu AS %s) END AS ", i + 1, column->type);
        free(text);
    } else {
        executor_sql_printf(sql, "CAST(#%zu AS %s) AS ", i + 1, column->type);
    }
    executor_sql_name(sql, column->name);
}

void executor_write_select(const Wire__SqlOutput *output, struct executor_sql *sql,
                           const char *text)
{
    executor_sql_add(sql, "SELECT ");
    for (size_t i = 0; i < output->n_columns; i++) {
        if (i > 0)
            executor_sql_add(sql, ", ");
        executor_write_column(sql, output->columns[i], i);
    }
    if (output->n_columns == 0)
        executor_sql_add(sql, "*");
    if (output->kind == WIRE__SQL_OUTPUT_KIND__SQL_OUTPUT_KIND_HASH && output->n_paths > 1) {
        executor_sql_add(sql, ", CAST(hash(");
        for (size_t i = 0; i < output->n_keys; i++)
            executor_sql_printf(sql, "%s#%u", i > 0 ? ", " : "", output->keys[i] + 1);
        executor_sql_printf(sql, ") %% %zu AS INTEGER) AS " EXECUTOR_WRITE_PARTITION,
                            output->n_paths);
    }
    executor_sql_printf(sql, " FROM (%s\n)", text);
}

static int executor_write_options(struct executor_write *w, struct executor_sql *sql,
                                  const char *const *known, size_t known_n)
{
    for (size_t i = 0; i < w->output->n_options; i++) {
        const Wire__SqlOption *option = w->output->options[i];
        size_t k = 0;
        while (k < known_n && strcasecmp(known[k], option->name) != 0)
            k++;
        if (k == known_n)
            return executor_task_fail_text(w->task, ERR_INVALID, "binder",
                                           "COPY to this format has no option %s", option->name);
        executor_sql_printf(sql, ", %s ", known[k]);
        executor_sql_literal(sql, option->value);
    }
    return 0;
}

static int executor_write_format(struct executor_write *w, struct executor_sql *sql)
{
    switch (w->output->format) {
    case WIRE__SQL_FORMAT__SQL_FORMAT_CSV:
        executor_sql_add(sql, " (FORMAT csv");
        return executor_write_options(w, sql, executor_write_csv_options,
                                      MEM_COUNT(executor_write_csv_options));
    case WIRE__SQL_FORMAT__SQL_FORMAT_JSON:
        executor_sql_add(sql, " (FORMAT json");
        return executor_write_options(w, sql, executor_write_json_options,
                                      MEM_COUNT(executor_write_json_options));
    case WIRE__SQL_FORMAT__SQL_FORMAT_PARQUET:
        executor_sql_add(sql, " (FORMAT parquet, RETURN_STATS true");
        return executor_write_options(w, sql, executor_write_parquet_options,
                                      MEM_COUNT(executor_write_parquet_options));
    default:
        return executor_task_fail_text(w->task, ERR_UNSUPPORTED, "protocol",
                                       "files of this format cannot be written");
    }
}

static void executor_write_partition_by(struct executor_write *w, struct executor_sql *sql)
{
    const char *separator = ", PARTITION_BY (";
    for (size_t i = 0; i < w->output->n_columns; i++) {
        if (!w->output->columns[i]->partition)
            continue;
        executor_sql_add(sql, separator);
        executor_sql_name(sql, w->output->columns[i]->name);
        separator = ", ";
    }
    executor_sql_add(sql, "), FILENAME_PATTERN 'part-{uuid}'");
}

static int executor_write_layout(struct executor_write *w, struct executor_sql *sql)
{
    const Wire__SqlOutput *output = w->output;
    if (output->kind == WIRE__SQL_OUTPUT_KIND__SQL_OUTPUT_KIND_FILE)
        return executor_write_format(w, sql);
    executor_sql_add(sql, " (FORMAT parquet, RETURN_STATS true");
    if (output->kind == WIRE__SQL_OUTPUT_KIND__SQL_OUTPUT_KIND_HASH) {
        if (output->n_paths > 1)
            executor_sql_add(sql, ", PARTITION_BY (" EXECUTOR_WRITE_PARTITION ")");
    } else if (executor_write_has_partitions(output)) {
        executor_write_partition_by(w, sql);
    } else if (output->file_target_bytes > 0) {
        uint64_t target = output->file_target_bytes;
        if (target < EXECUTOR_WRITE_TARGET_MIN)
            target = EXECUTOR_WRITE_TARGET_MIN;
        executor_sql_printf(sql, ", FILE_SIZE_BYTES %" PRIu64 ", FILENAME_PATTERN 'part-{uuid}'",
                            target);
    }
    return 0;
}

/* ---- the whole ------------------------------------------------------------------------------- */

static int executor_write_publish(struct executor_write *w)
{
    Wire__SqlTaskDone *done = &w->task->done;
    int err = 0;
    for (; w->published < done->n_files && err == 0; w->published++) {
        Wire__SqlOutputFile *file = done->files[w->published];
        char *to = mem_printf("%s/%s", w->root, file->path);
        err = executor_task_check(w->task);
        if (err == 0 && !executor_engine_allows(w->task->engine, to))
            err = executor_task_fail_text(w->task, ERR_FORBIDDEN, "permission",
                                          "%s is in no directory that SQL may use", to);
        int code = err == 0 ? executor_publish_file(w->task->scratch_names[w->published], to,
                                                    w->output->durable)
                            : 0;
        if (code < 0) {
            err = executor_task_fail_text(w->task, code, "disk", "cannot write %s: %s", to,
                                          err_text(code));
            w->task->error->elsewhere = true;
        }
        done->rows += file->rows;
        done->bytes += file->bytes;
        free(to);
    }
    return err;
}

static void executor_write_unpublish(struct executor_write *w)
{
    for (size_t i = 0; i < w->published && i < w->task->done.n_files; i++) {
        char *path = mem_printf("%s/%s", w->root, w->task->done.files[i]->path);
        (void)unlink(path);
        free(path);
    }
}

static int executor_write_copy(struct executor_write *w, const char *const *texts, size_t n)
{
    struct executor_sql sql;
    bool is_parquet = w->output->kind != WIRE__SQL_OUTPUT_KIND__SQL_OUTPUT_KIND_FILE ||
                      w->output->format == WIRE__SQL_FORMAT__SQL_FORMAT_PARQUET;
    executor_sql_init(&sql);
    executor_sql_add(&sql, "COPY (");
    for (size_t i = 0; i < n; i++) {
        executor_sql_add(&sql, i > 0 ? " UNION ALL " : "");
        executor_write_select(w->output, &sql, texts[i]);
    }
    executor_sql_add(&sql, ") TO ");
    executor_sql_literal(&sql, w->scratch);
    int err = executor_write_layout(w, &sql);
    executor_sql_add(&sql, ")");
    if (err == 0 && sql.failed < 0)
        err = executor_task_fail_text(w->task, sql.failed, "limit", "the statement is too large");
    if (err == 0)
        err = executor_rows_each(w->task, executor_sql_text(&sql), DUCKDB_STATEMENT_TYPE_COPY,
                                 is_parquet ? executor_write_add : executor_write_add_counted, w);
    executor_sql_done(&sql);
    return err;
}

/* ---- large files of partitions: COPY ends files at a size only where there are none -------------
 */

static int executor_write_split_one(struct executor_write *w, size_t i)
{
    struct executor_task *task = w->task;
    struct executor_sql sql;
    char *name = mem_printf("split-%zu", i);
    char *dir = executor_task_path(task, name);
    free(name);
    if (dir == NULL)
        return -1;
    w->split = task->done.files[i];
    executor_sql_init(&sql);
    executor_sql_add(&sql, "COPY (SELECT * FROM read_parquet(");
    executor_sql_literal(&sql, task->scratch_names[i]);
    executor_sql_add(&sql, ", hive_partitioning=false)) TO ");
    executor_sql_literal(&sql, dir);
    executor_sql_printf(&sql,
                        " (FORMAT parquet, RETURN_STATS true, FILE_SIZE_BYTES %" PRIu64
                        ", FILENAME_PATTERN 'part-{uuid}')",
                        w->output->file_target_bytes);
    int err = executor_rows_each(task, executor_sql_text(&sql), DUCKDB_STATEMENT_TYPE_COPY,
                                 executor_write_add, w);
    executor_sql_done(&sql);
    w->split = NULL;
    free(dir);
    return err;
}

/* The parts stand for the file. */
static void executor_write_drop(struct executor_write *w, size_t i)
{
    Wire__SqlTaskDone *done = &w->task->done;
    (void)unlink(w->task->scratch_names[i]);
    wire__sql_output_file__free_unpacked(done->files[i], NULL);
    free(w->task->scratch_names[i]);
    done->n_files--;
    done->files[i] = done->files[done->n_files];
    w->task->scratch_names[i] = w->task->scratch_names[done->n_files];
}

static int executor_write_split(struct executor_write *w)
{
    const Wire__SqlOutput *output = w->output;
    if (output->kind != WIRE__SQL_OUTPUT_KIND__SQL_OUTPUT_KIND_TABLE ||
        output->file_target_bytes < EXECUTOR_WRITE_TARGET_MIN ||
        !executor_write_has_partitions(output))
        return 0;
    uint64_t most = output->file_target_bytes + output->file_target_bytes / 2;
    for (size_t i = w->task->done.n_files; i > 0; i--) {
        if (w->task->done.files[i - 1]->bytes <= most)
            continue;
        if (executor_write_split_one(w, i - 1) < 0)
            return -1;
        executor_write_drop(w, i - 1);
    }
    return 0;
}

/* Named like the file that is wanted, since DuckDB takes the compression from the name. */
static char *executor_write_scratch(struct executor_task *task, const Wire__SqlOutput *output)
{
    if (output->kind != WIRE__SQL_OUTPUT_KIND__SQL_OUTPUT_KIND_FILE)
        return executor_task_path(task, "out");
    const char *slash = strrchr(output->paths[0], '/');
    char *name = mem_printf("out-%s", slash != NULL ? slash + 1 : output->paths[0]);
    char *path = executor_task_path(task, name);
    free(name);
    return path;
}

/* The rows of `n` statements to their places, or of one by way of memory. */
static int executor_write_all(struct executor_write *w, const char *const *texts, size_t n,
                              bool spools)
{
    w->task->spools = spools;
    w->root = executor_input_root(w->task, w->output->root);
    w->scratch = w->root != NULL ? executor_write_scratch(w->task, w->output) : NULL;
    if (w->scratch == NULL)
        return -1;
    int err = spools ? executor_spool_write(w, texts[0]) : executor_write_copy(w, texts, n);
    if (err == 0)
        err = executor_write_split(w);
    if (err == 0)
        err = executor_write_publish(w);
    if (err < 0) {
        executor_write_unpublish(w);
        executor_publish_remove(w->scratch);
    }
    free(w->scratch);
    return err;
}

int executor_write_run(struct executor_task *task, const Wire__SqlOutput *output, const char *text,
                       size_t len)
{
    struct executor_write w = {.task = task, .output = output};
    bool spools = executor_spool_fits(task, output, len);
    int err = executor_write_check(&w);
    if (err == 0 && !spools)
        err = executor_write_bind(&w, text, len);
    return err == 0 ? executor_write_all(&w, &text, 1, spools) : err;
}

int executor_write_parts(struct executor_task *task, const Wire__SqlOutput *output,
                         const char *const *texts, size_t n)
{
    struct executor_write w = {.task = task, .output = output};
    int err = executor_write_check(&w);
    return err == 0 ? executor_write_all(&w, texts, n, false) : err;
}

int executor_write_try(struct executor_task *task, const Wire__SqlOutput *output, const char *text,
                       size_t len)
{
    struct executor_write w = {.task = task, .output = output};
    struct executor_sql sql;
    uint64_t rows = task->done.rows;
    int err = executor_write_bind(&w, text, len);
    executor_sql_init(&sql);
    executor_write_select(output, &sql, text);
    if (err == 0 && sql.failed < 0)
        err = executor_task_fail_text(task, sql.failed, "limit", "the statement is too large");
    if (err == 0)
        err = executor_rows_drain(task, executor_sql_text(&sql), 0);
    executor_sql_done(&sql);
    executor_task_drop_columns(task);
    task->done.rows = rows;
    return err;
}
