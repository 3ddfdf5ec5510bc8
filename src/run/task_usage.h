/* What attempts use while they run: processor, memory, output so far.
 *
 * A command is the leader of its session; what belongs to it are the processes of that session, and
 * those that they waited for. */
#ifndef RUN_TASK_USAGE_H
#define RUN_TASK_USAGE_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct task_usage {
    pid_t session;   /* 0: no command runs now */
    const char *dir; /* of the attempt (run/task_dir.h), borrowed */
    uint64_t user_us, system_us;
    uint64_t rss_bytes; /* of all its processes together */
    uint64_t stdout_bytes, stderr_bytes;
};

/* Fills in what is known; the rest stays 0. Looks once through all processes of the machine: for a
 * thread, not for the loop. */
void task_usage_measure(struct task_usage *usages, size_t n);

#endif
