#include "run/executor_task.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/mem.h"
#include "run/executor_checkpoint.h"
#include "run/executor_describe.h"
#include "run/executor_error.h"
#include "run/executor_fragment.h"
#include "run/executor_publish.h"
#include "wire/frame.h"

enum { EXECUTOR_TASK_DONE_BYTES_MAX = 8 * 1024 * 1024 - 64 * 1024 };

int executor_task_fail(struct executor_task *task, Wire__SqlError *error)
{
    if (task->error == NULL)
        task->error = error;
    else
        wire__sql_error__free_unpacked(error, NULL);
    return -1;
}

int executor_task_fail_text(struct executor_task *task, int code, const char *kind, const char *fmt,
                            ...)
{
    char *text = NULL;
    va_list args;
    va_start(args, fmt);
    if (vasprintf(&text, fmt, args) < 0)
        abort();
    va_end(args);
    int err = executor_task_fail(task, executor_error_new(code, kind, "%s", text));
    free(text);
    return err;
}

int executor_task_check(struct executor_task *task)
{
    if (executor_port_is_cancelled(task->port))
        return executor_task_fail_text(task, ERR_CANCELLED, "cancelled", "cancelled");
    return 0;
}

int executor_task_execute(struct executor_task *task, const char *sql)
{
    if (executor_task_check(task) < 0)
        return -1;
    Wire__SqlError *error = executor_engine_execute(task->con, sql);
    if (error == NULL)
        return 0;
    error->position = 0;
    return executor_task_fail(task, error);
}

int executor_task_begin(struct executor_task *task)
{
    if (task->is_in_transaction)
        return 0;
    int err = executor_task_execute(task, "BEGIN TRANSACTION");
    task->is_in_transaction = err == 0;
    return err;
}

/* A database that can't go back to where it was is not used again. */
void executor_task_rollback(struct executor_task *task)
{
    if (!task->is_in_transaction)
        return;
    Wire__SqlError *error = executor_engine_execute(task->con, "ROLLBACK");
    if (error != NULL)
        abort();
    task->is_in_transaction = false;
}

char *executor_task_path(struct executor_task *task, const char *name)
{
    if (mkdir(task->dir, 0700) < 0 && errno != EEXIST) {
        (void)executor_task_fail_text(task, -errno, "disk", "cannot make %s: %s", task->dir,
                                      err_text(-errno));
        return NULL;
    }
    return mem_printf("%s/%s", task->dir, name);
}

void executor_task_add_column(struct executor_task *task, const char *name, char *type)
{
    Wire__SqlColumn *column = mem_alloc(sizeof *column);
    wire__sql_column__init(column);
    column->name = mem_strdup(name);
    column->type = type;
    task->columns = mem_reallocarray(task->columns, task->columns_n + 1, sizeof *task->columns);
    task->columns[task->columns_n++] = column;
}

void executor_task_drop_columns(struct executor_task *task)
{
    for (size_t i = 0; i < task->columns_n; i++)
        wire__sql_column__free_unpacked(task->columns[i], NULL);
    free(task->columns);
    task->columns = NULL;
    task->columns_n = 0;
}

Wire__SqlOutputFile *executor_task_add_file(struct executor_task *task)
{
    Wire__SqlTaskDone *done = &task->done;
    Wire__SqlOutputFile *file = mem_alloc(sizeof *file);
    wire__sql_output_file__init(file);
    done->files = mem_reallocarray(done->files, done->n_files + 1, sizeof *done->files);
    done->files[done->n_files++] = file;
    return file;
}

static void executor_task_begin_update(struct executor_task *task, Wire__SqlTaskUpdate *update)
{
    wire__sql_task_update__init(update);
    update->call = task->request->call;
    update->state = WIRE__SQL_TASK_STATE__SQL_TASK_STATE_RUNNING;
    if (!task->columns_told) {
        update->columns = task->columns;
        update->n_columns = task->columns_n;
        task->columns_told = true;
    }
}

int executor_task_send_rows(struct executor_task *task, const void *data, size_t len,
                            uint32_t count)
{
    Wire__SqlTaskUpdate update;
    Wire__SqlRows rows = WIRE__SQL_ROWS__INIT;
    if (!executor_port_wait(task->port))
        return executor_task_check(task);
    executor_task_begin_update(task, &update);
    rows.data = (ProtobufCBinaryData){.len = len, .data = (uint8_t *)(uintptr_t)data};
    rows.count = count;
    update.rows = &rows;
    executor_port_spend(task->port, len);
    task->done.rows += count;
    task->done.bytes += len;
    executor_port_send(task->port, WIRE_SQL_TASK_UPDATE, &update.base);
    return 0;
}

/* ---- the whole of a task --------------------------------------------------------------------- */

static void executor_task_dispatch(struct executor_task *task)
{
    const Wire__SqlRunTask *request = task->request;
    if (request->parse != NULL)
        executor_describe_parse(task, request->parse);
    else if (request->describe != NULL)
        executor_describe_run(task, request->describe);
    else if (request->fragment != NULL)
        executor_fragment_run(task, request->fragment);
    else if (request->checkpoint_write != NULL)
        executor_checkpoint_write(task, request->checkpoint_write);
    else if (request->checkpoint_read != NULL)
        executor_checkpoint_read(task, request->checkpoint_read);
    else
        (void)executor_task_fail_text(task, ERR_UNSUPPORTED, "protocol",
                                      "this node does not know this kind of SQL task");
}

static uint64_t executor_task_cpu_us(void)
{
    struct rusage usage;
    (void)getrusage(RUSAGE_SELF, &usage);
    return (uint64_t)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1000000 +
           (uint64_t)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec);
}

static Wire__SqlProfile *executor_task_profile(struct executor_task *task)
{
    if (task->done.profile == NULL) {
        task->done.profile = mem_alloc(sizeof *task->done.profile);
        wire__sql_profile__init(task->done.profile);
    }
    return task->done.profile;
}

void executor_task_drop_files(struct executor_task *task)
{
    Wire__SqlTaskDone *done = &task->done;
    for (size_t i = 0; i < done->n_files; i++) {
        wire__sql_output_file__free_unpacked(done->files[i], NULL);
        if (task->scratch_names != NULL)
            free(task->scratch_names[i]);
    }
    free(task->scratch_names);
    free(done->files);
    task->scratch_names = NULL;
    done->files = NULL;
    done->n_files = 0;
}

/* A failed task leaves no file and no half an answer. */
static void executor_task_forget_output(struct executor_task *task)
{
    Wire__SqlTaskDone *done = &task->done;
    executor_task_drop_files(task);
    for (size_t i = 0; i < done->n_parsed; i++)
        wire__sql_parsed__free_unpacked(done->parsed[i], NULL);
    for (size_t i = 0; i < done->n_parts; i++)
        wire__sql_part_done__free_unpacked(done->parts[i], NULL);
    free(done->parsed);
    free(done->parts);
    done->parsed = NULL;
    done->n_parsed = 0;
    done->parts = NULL;
    done->n_parts = 0;
    executor_task_drop_columns(task);
}

void executor_task_answer(struct executor_task *task)
{
    Wire__SqlTaskUpdate update;
    if (task->error != NULL)
        executor_task_forget_output(task);
    executor_task_begin_update(task, &update);
    update.state = WIRE__SQL_TASK_STATE__SQL_TASK_STATE_ENDED;
    update.done = &task->done;
    task->done.error = task->error;
    if (wire_packed_size(&update.base) > EXECUTOR_TASK_DONE_BYTES_MAX) {
        executor_task_forget_output(task);
        update.columns = NULL;
        update.n_columns = 0;
        (void)executor_task_fail_text(task, ERR_TOO_LARGE, "limit",
                                      "the answer has more than 8 MiB beside its rows");
        task->done.error = task->error;
    }
    executor_port_send(task->port, WIRE_SQL_TASK_UPDATE, &update.base);
}

void executor_task_done(struct executor_task *task)
{
    Wire__SqlTaskDone *done = &task->done;
    executor_task_forget_output(task);
    if (done->text != protobuf_c_empty_string)
        free(done->text);
    if (done->profile != NULL)
        wire__sql_profile__free_unpacked(done->profile, NULL);
    if (task->error != NULL)
        wire__sql_error__free_unpacked(task->error, NULL);
    free(task->dir);
}

void executor_task_init(struct executor_task *task, struct executor_engine *engine,
                        struct executor_port *port, const Wire__SqlRunTask *request)
{
    bool is_profiled = request->fragment != NULL && request->fragment->profile;
    *task = (struct executor_task){.engine = engine, .port = port, .request = request};
    wire__sql_task_done__init(&task->done);
    task->con = is_profiled ? engine->profiled : engine->plain;
    task->dir = mem_printf("%s/task", engine->temp_dir);
}

void executor_task_run(struct executor_task *task)
{
    int64_t start_us = clock_mono_us();
    uint64_t cpu_us = executor_task_cpu_us();
    atomic_store(&task->engine->active, task->con);
    executor_task_dispatch(task);
    executor_task_rollback(task);
    atomic_store(&task->engine->active, NULL);
    executor_publish_remove(task->dir);
    Wire__SqlProfile *profile = executor_task_profile(task);
    profile->wall_us = (uint64_t)(clock_mono_us() - start_us);
    profile->cpu_us = executor_task_cpu_us() - cpu_us;
}
