/* After a fragment has failed: which column, which row of which file it was, where DuckDB doesn't
 * say it or says it in many words. */
#ifndef RUN_EXECUTOR_DIAGNOSE_H
#define RUN_EXECUTOR_DIAGNOSE_H

#include "run/executor_task.h"

/* Makes task->error better, or leaves it. `sql` is the fragment's statement. */
void executor_diagnose(struct executor_task *task, const Wire__SqlFragment *fragment,
                       const char *sql);

#endif
