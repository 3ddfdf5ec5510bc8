/* Tasks without data: statements as AST, what a SELECT would give. */
#ifndef RUN_EXECUTOR_DESCRIBE_H
#define RUN_EXECUTOR_DESCRIBE_H

#include "run/executor_task.h"

void executor_describe_parse(struct executor_task *task, const Wire__SqlParse *parse);
void executor_describe_run(struct executor_task *task, const Wire__SqlDescribe *describe);

#endif
