/* The rows of a SELECT to the daemon, in batches. */
#ifndef RUN_EXECUTOR_ROWS_H
#define RUN_EXECUTOR_ROWS_H

#include <stddef.h>

#include "run/executor_task.h"

/* `sql` is the statement without a semicolon; its `len` bytes are the user's, or 0 when they
 * aren't.
 */
int executor_rows_stream(struct executor_task *task, const char *sql, size_t len);

/* Runs it and throws the rows away. */
int executor_rows_drain(struct executor_task *task, const char *sql, size_t len);

/* Of a SELECT with one VARCHAR column: each text is a line. */
int executor_rows_lines(struct executor_task *task, const char *sql);

/* Calls fn for each row of ours, as a JSON array. */
typedef int (*executor_rows_fn)(void *arg, const char *row, size_t len);
int executor_rows_each(struct executor_task *task, const char *sql, duckdb_statement_type type,
                       executor_rows_fn fn, void *arg);

#endif
