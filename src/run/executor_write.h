/* The rows of a SELECT into files. They are written in the task's scratch directory and published
 * when all are whole; a task that fails leaves none. */
#ifndef RUN_EXECUTOR_WRITE_H
#define RUN_EXECUTOR_WRITE_H

#include <stddef.h>

#include "run/executor_task.h"

/* `sql`: the statement without its semicolon, `len` bytes of it the user's (0: none). */
int executor_write_run(struct executor_task *task, const Wire__SqlOutput *output, const char *sql,
                       size_t len);

/* The rows of `n` statements of as many columns as the output, into the same files. When it fails
 * nothing is written, and it can be called again. */
int executor_write_parts(struct executor_task *task, const Wire__SqlOutput *output,
                         const char *const *sql, size_t n);

/* Whether the rows of one could be written, of which `len` bytes are the user's: runs it, writes
 * nothing. */
int executor_write_try(struct executor_task *task, const Wire__SqlOutput *output, const char *sql,
                       size_t len);

#endif
