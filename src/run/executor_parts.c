/* Happy path: one COPY writes the rows of all parts. Only when that fails is each part looked at
 * alone, as one statement would be; the parts that are well are written once more, without those
 * that aren't. When no part is at fault, or one is only now and then, the task fails. */
#include "run/executor_parts.h"

#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "run/executor_diagnose.h"
#include "run/executor_error.h"
#include "run/executor_guard.h"
#include "run/executor_rows.h"
#include "run/executor_write.h"

enum { EXECUTOR_PARTS_MAX = 1024 };

struct executor_parts {
    struct executor_task *task;
    const Wire__SqlFragment *fragment;
    char **texts; /* of all parts, without their semicolons */
    const char **good;
    size_t good_n;
};

static int executor_parts_check(const struct executor_parts *parts)
{
    const Wire__SqlOutput *output = parts->fragment->output;
    if (output == NULL || output->kind != WIRE__SQL_OUTPUT_KIND__SQL_OUTPUT_KIND_TABLE ||
        output->n_columns == 0 || parts->fragment->n_inputs > 0)
        return executor_task_fail_text(parts->task, ERR_INVALID, "protocol",
                                       "parts of a task go into a table, and read nothing");
    if (parts->fragment->n_parts > EXECUTOR_PARTS_MAX)
        return executor_task_fail_text(parts->task, ERR_TOO_LARGE, "limit",
                                       "a task has more than %d parts", EXECUTOR_PARTS_MAX);
    return 0;
}

/* Takes the error. */
static void executor_parts_refuse(const struct executor_parts *parts, size_t i,
                                  Wire__SqlError *error)
{
    parts->task->done.parts[i]->error = error;
}

static void executor_parts_begin(struct executor_parts *parts)
{
    size_t n = parts->fragment->n_parts;
    Wire__SqlTaskDone *done = &parts->task->done;
    parts->texts = mem_calloc(n, sizeof *parts->texts);
    parts->good = mem_calloc(n, sizeof *parts->good);
    done->parts = mem_calloc(n, sizeof(Wire__SqlPartDone *));
    for (size_t i = 0; i < n; i++) {
        size_t end = 0;
        done->parts[done->n_parts] = mem_alloc(sizeof **done->parts);
        wire__sql_part_done__init(done->parts[done->n_parts++]);
        parts->texts[i] = mem_strdup(parts->fragment->parts[i]);
        Wire__SqlError *error = executor_guard_check(parts->texts[i], &end);
        if (error != NULL)
            executor_parts_refuse(parts, i, error);
        else
            parts->texts[i][end] = '\0';
    }
}

static void executor_parts_choose(struct executor_parts *parts)
{
    parts->good_n = 0;
    for (size_t i = 0; i < parts->fragment->n_parts; i++)
        if (parts->task->done.parts[i]->error == NULL)
            parts->good[parts->good_n++] = parts->texts[i];
}

/* Writes the good ones; without any there is nothing to write. */
static int executor_parts_write(struct executor_parts *parts)
{
    executor_parts_choose(parts);
    if (parts->good_n == 0)
        return 0;
    return executor_write_parts(parts->task, parts->fragment->output, parts->good, parts->good_n);
}

/* What is wrong with one of them by itself. */
static void executor_parts_try(struct executor_parts *parts, size_t i)
{
    struct executor_task *task = parts->task;
    Wire__SqlFragment alone = *parts->fragment;
    alone.sql = parts->texts[i];
    if (executor_write_try(task, alone.output, alone.sql, strlen(alone.sql)) == 0)
        return;
    executor_diagnose(task, &alone, alone.sql);
    executor_task_rollback(task);
    executor_parts_refuse(parts, i, task->error);
    task->error = NULL;
}

/* Nothing is written yet. Gives each part that can't be its error; false: that explains nothing. */
static bool executor_parts_find(struct executor_parts *parts)
{
    struct executor_task *task = parts->task;
    Wire__SqlError *error = task->error;
    size_t before = parts->good_n;
    if (error->code == ERR_CANCELLED || error->elsewhere)
        return false;
    task->error = NULL;
    executor_task_rollback(task);
    for (size_t i = 0; i < parts->fragment->n_parts; i++)
        if (task->done.parts[i]->error == NULL && executor_task_check(task) == 0)
            executor_parts_try(parts, i);
    if (task->error != NULL) { /* cancelled meanwhile */
        wire__sql_error__free_unpacked(error, NULL);
        return false;
    }
    executor_parts_choose(parts);
    if (parts->good_n < before) {
        wire__sql_error__free_unpacked(error, NULL);
        return true;
    }
    task->error = error;
    return false;
}

void executor_parts_run(struct executor_task *task, const Wire__SqlFragment *fragment)
{
    struct executor_parts parts = {.task = task, .fragment = fragment};
    if (executor_parts_check(&parts) < 0)
        return;
    executor_parts_begin(&parts);
    if (executor_parts_write(&parts) < 0 && executor_parts_find(&parts))
        (void)executor_parts_write(&parts);
    for (size_t i = 0; i < fragment->n_parts; i++)
        free(parts.texts[i]);
    free(parts.texts);
    free(parts.good);
}
