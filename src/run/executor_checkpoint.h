/* Checkpoints of Delta tables (protocol, "Checkpoints", "Checkpoint Schema"): Parquet to and from
 * actions as JSON lines. */
#ifndef RUN_EXECUTOR_CHECKPOINT_H
#define RUN_EXECUTOR_CHECKPOINT_H

#include "run/executor_task.h"

void executor_checkpoint_write(struct executor_task *task, const Wire__SqlCheckpointWrite *write);
void executor_checkpoint_read(struct executor_task *task, const Wire__SqlCheckpointRead *read);

#endif
