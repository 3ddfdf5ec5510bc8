/* How much memory the processes of each task hold, for limits where there are no control groups. */
#ifndef RUN_SPAWNER_MEMORY_H
#define RUN_SPAWNER_MEMORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "run/proc_fs.h"

struct spawner_memory_process {
    struct proc_stat stat;
    uint64_t task; /* 0: none */
};

/* All processes of the machine at one moment. */
struct spawner_memory {
    struct spawner_memory_process *processes; /* by pid */
    size_t n;
    size_t cap;
};

/* The task that a process belongs to by what is known of itself; 0 when only its parent can tell.
 */
typedef uint64_t (*spawner_memory_task_fn)(void *arg, const struct proc_stat *process);

void spawner_memory_init(struct spawner_memory *m);
void spawner_memory_done(struct spawner_memory *m);

/* Takes the census anew; a process that `fn` doesn't know belongs to the task of its parent. */
void spawner_memory_scan(struct spawner_memory *m, spawner_memory_task_fn fn, void *arg);

/* Whether the processes of `task` together hold more than `bytes_max`. Pages that they share count
 * once. */
bool spawner_memory_is_over(const struct spawner_memory *m, uint64_t task, uint64_t bytes_max);

#endif
