/* The rows of a SELECT into files. They are written in the task's scratch directory and published
 * when all are whole; a task that fails leaves none. */
#ifndef RUN_EXECUTOR_WRITE_H
#define RUN_EXECUTOR_WRITE_H

#include <stddef.h>

#include "run/executor_task.h"

/* `sql`: the statement without its semicolon, `len` bytes of it the user's (0: none). */
int executor_write_run(struct executor_task *task, const Wire__SqlOutput *output, const char *sql,
                       size_t len);

#endif
