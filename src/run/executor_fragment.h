/* A SELECT over inputs: its views are made, then its rows go where the output says. */
#ifndef RUN_EXECUTOR_FRAGMENT_H
#define RUN_EXECUTOR_FRAGMENT_H

#include "run/executor_task.h"

void executor_fragment_run(struct executor_task *task, const Wire__SqlFragment *fragment);

/* What DuckDB's profiler says of the last statement becomes the task's, when it is to be profiled
 * and has none yet. */
void executor_fragment_measure(struct executor_task *task);

#endif
