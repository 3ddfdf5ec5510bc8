#include "run/executor_fragment.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "run/duck.h"
#include "run/executor_diagnose.h"
#include "run/executor_error.h"
#include "run/executor_guard.h"
#include "run/executor_input.h"
#include "run/executor_parts.h"
#include "run/executor_rows.h"
#include "run/executor_spool.h"
#include "run/executor_sql.h"
#include "run/executor_write.h"

/* The SELECT as text, malloc'ed, without its semicolon. `len`: 0 when positions in it mean nothing
 * to the user. */
static char *executor_fragment_text(struct executor_task *task, const Wire__SqlFragment *fragment,
                                    size_t *len)
{
    Wire__SqlError *error = NULL;
    char *text = *fragment->ast != '\0'
                     ? executor_engine_call(task->engine->print, fragment->ast, &error)
                     : mem_strdup(fragment->sql);
    size_t end = 0;
    if (error == NULL)
        error = executor_guard_check(text, &end);
    if (error == NULL)
        error = executor_guard_files(task->engine, text);
    if (error != NULL) {
        if (*fragment->ast != '\0')
            error->position = 0;
        (void)executor_task_fail(task, error);
        free(text);
        return NULL;
    }
    text[end] = '\0';
    *len = *fragment->ast != '\0' ? 0 : end;
    return text;
}

static int executor_fragment_add_plan(void *arg, const char *row, size_t len)
{
    struct executor_task *task = arg;
    json_t *columns = json_loadb(row, len, 0, NULL);
    const char *plan = json_string_value(json_array_get(columns, 1));
    if (plan != NULL) {
        if (task->done.text != protobuf_c_empty_string)
            free(task->done.text);
        task->done.text = mem_strdup(plan);
    }
    json_decref(columns);
    return 0;
}

static int executor_fragment_explain(struct executor_task *task, const char *text, bool analyze)
{
    char *sql = mem_printf("EXPLAIN %s%s", analyze ? "ANALYZE " : "", text);
    int err = executor_rows_each(task, sql, DUCKDB_STATEMENT_TYPE_EXPLAIN,
                                 executor_fragment_add_plan, task);
    free(sql);
    return err;
}

static int executor_fragment_output(struct executor_task *task, const Wire__SqlFragment *fragment,
                                    const char *text, size_t len)
{
    const Wire__SqlOutput *output = fragment->output;
    if (fragment->explain != WIRE__SQL_EXPLAIN__SQL_EXPLAIN_NONE)
        return executor_fragment_explain(
            task, text, fragment->explain == WIRE__SQL_EXPLAIN__SQL_EXPLAIN_ANALYZE);
    if (output == NULL || output->kind == WIRE__SQL_OUTPUT_KIND__SQL_OUTPUT_KIND_ROWS)
        return executor_rows_stream(task, text, len);
    return executor_write_run(task, output, text, len);
}

static void executor_fragment_profile(struct executor_task *task, const Wire__SqlFragment *fragment)
{
    Wire__SqlProfile *profile = mem_alloc(sizeof *profile);
    wire__sql_profile__init(profile);
    for (size_t i = 0; i < fragment->n_inputs; i++) {
        profile->files_in += fragment->inputs[i]->n_files;
        for (size_t j = 0; j < fragment->inputs[i]->n_files; j++)
            profile->bytes_in += fragment->inputs[i]->files[j]->bytes;
    }
    task->done.profile = profile;
}

static uint64_t executor_fragment_metric(duckdb_value metrics, const char *name)
{
    idx_t n = duck.get_map_size(metrics);
    uint64_t found = 0;
    for (idx_t i = 0; i < n; i++) {
        duckdb_value key = duck.get_map_key(metrics, i);
        duckdb_value value = duck.get_map_value(metrics, i);
        char *key_text = duck.get_varchar(key);
        char *value_text = duck.get_varchar(value);
        if (strcmp(key_text, name) == 0)
            found = strtoull(value_text, NULL, 10);
        duck.free(key_text);
        duck.free(value_text);
        duck.destroy_value(&key);
        duck.destroy_value(&value);
    }
    return found;
}

void executor_fragment_measure(struct executor_task *task)
{
    Wire__SqlProfile *profile = task->done.profile;
    if (task->measured || profile == NULL || !task->request->fragment->profile)
        return;
    duckdb_profiling_info info = duck.get_profiling_info(task->con);
    if (info == NULL)
        return;
    task->measured = true;
    duckdb_value metrics = duck.profiling_info_get_metrics(info);
    profile->rows_scanned = executor_fragment_metric(metrics, "CUMULATIVE_ROWS_SCANNED");
    profile->memory_bytes_max = executor_fragment_metric(metrics, "SYSTEM_PEAK_BUFFER_MEMORY");
    profile->spilled_bytes_max = executor_fragment_metric(metrics, "SYSTEM_PEAK_TEMP_DIR_SIZE");
    duck.destroy_value(&metrics);
}

static int executor_fragment_try(struct executor_task *task, const Wire__SqlFragment *fragment,
                                 const char *text, size_t len)
{
    int err = 0;
    for (size_t i = 0; i < fragment->n_inputs && err == 0; i++)
        err = executor_input_create(task, fragment->inputs[i]);
    return err == 0 ? executor_fragment_output(task, fragment, text, len) : err;
}

/* From the beginning, with rows that go to their files as they come. */
static int executor_fragment_again(struct executor_task *task, const Wire__SqlFragment *fragment,
                                   const char *text, size_t len)
{
    wire__sql_error__free_unpacked(task->error, NULL);
    task->error = NULL;
    task->streams = true;
    task->measured = false;
    executor_task_rollback(task);
    executor_task_drop_columns(task);
    executor_task_drop_files(task);
    return executor_fragment_try(task, fragment, text, len);
}

void executor_fragment_run(struct executor_task *task, const Wire__SqlFragment *fragment)
{
    size_t len = 0;
    if (fragment->n_parts > 0) {
        executor_parts_run(task, fragment);
        return;
    }
    char *text = executor_fragment_text(task, fragment, &len);
    if (text == NULL)
        return;
    executor_fragment_profile(task, fragment);
    int err = executor_fragment_try(task, fragment, text, len);
    if (err < 0 && executor_spool_was_to_blame(task))
        err = executor_fragment_again(task, fragment, text, len);
    if (err == 0)
        executor_fragment_measure(task);
    if (err < 0)
        executor_diagnose(task, fragment, text);
    free(text);
}
