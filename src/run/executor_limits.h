/* What an executor may take of its machine, beside what DuckDB keeps to by itself. */
#ifndef RUN_EXECUTOR_LIMITS_H
#define RUN_EXECUTOR_LIMITS_H

#include <stdint.h>

/* For this process: dies with the daemon, gains no privileges, dumps no core, is the first to go
 * when the machine is out of memory, and has a hard limit somewhat above what DuckDB keeps to: by
 * control group where one can be made, else by RLIMIT_DATA. What cannot be had is left out. */
void executor_limits_apply(uint64_t memory_bytes_max);

#endif
