/* How long the output of ended tasks stays on their worker: until it is older than an age or all of
 * it together is larger than a size, oldest first. */
#ifndef RUN_RETENTION_H
#define RUN_RETENTION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#include "base/error.h"
#include "wire/task_key.h"

#define RETENTION_AGE_MS    (INT64_C(7) * 24 * 3600 * 1000) /* defaults */
#define RETENTION_BYTES_MAX (UINT64_C(20) << 30)

struct retention_policy {
    int64_t age_max_ms; /* since the last write; 0: any age */
    uint64_t bytes_max; /* allocated on disk; 0: any size */
};

struct retention_stats {
    uint64_t attempts_kept;
    uint64_t attempts_removed;
    uint64_t bytes_kept;
    uint64_t bytes_removed;
};

/* What was written less than this ago stays whatever its size: it may have begun after `keep` was
 * made. */
enum { RETENTION_FRESH_MS = 60 * 1000 };

/* Sweeps once, blocking. `keep` are the attempts that may not go: running, or not yet acknowledged;
 * they count towards the size. What is no attempt's directory is left alone. `now_ms` is the wall
 * clock. */
int retention_sweep(const char *tasks_dir, const struct retention_policy *policy,
                    const struct task_key *keep, size_t keep_n, int64_t now_ms,
                    struct retention_stats *stats, struct error *e);

/* The same on libuv's pool: copies `keep`, calls `done` on the loop. One at a time is enough. */
typedef void (*retention_done_fn)(void *arg, int code, const struct retention_stats *stats,
                                  const char *text);
void retention_start(uv_loop_t *loop, const char *tasks_dir, const struct retention_policy *policy,
                     const struct task_key *keep, size_t keep_n, retention_done_fn done, void *arg);

#endif
