/* Small statements of several clients at once: their rows in the same files, each statement for
 * itself. */
#ifndef RUN_EXECUTOR_PARTS_H
#define RUN_EXECUTOR_PARTS_H

#include "run/executor_task.h"

/* Runs fragment->parts into fragment->output. */
void executor_parts_run(struct executor_task *task, const Wire__SqlFragment *fragment);

#endif
