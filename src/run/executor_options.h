/* What a COPY from csv and JSON files may say to DuckDB's readers: nothing that makes tables or
 * columns of its own. */
#ifndef RUN_EXECUTOR_OPTIONS_H
#define RUN_EXECUTOR_OPTIONS_H

#include <stdbool.h>

#include "run/executor_sql.h"
#include "run/executor_task.h"

/* Appends ", name='value'" for each option of the input; the task fails on one that its format
 * doesn't have. */
int executor_options_add(struct executor_task *task, struct executor_sql *sql,
                         const Wire__SqlInput *input);
bool executor_options_have(const Wire__SqlInput *input, const char *name);

#endif
