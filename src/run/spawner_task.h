/* A command in the spawner:
 *
 *   running --its process ended--> leaving --nothing of it is left--> over
 *
 * Ending it goes through stages: none -> term (SIGTERM sent, the grace runs) -> kill (SIGKILL
 * sent). */
#ifndef RUN_SPAWNER_TASK_H
#define RUN_SPAWNER_TASK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>
#include <sys/resource.h>
#include <sys/types.h>
#include <uthash.h>

#include "base/buf.h"
#include "run/cgroup.h"
#include "run/dir_pool.h"
#include "run/spawn.h"
#include "run/spawn_message.h"

enum {
    SPAWNER_TASK_CHECK_MS = 100, /* between looks at output and memory */
    SPAWNER_TASK_LEAVING_MS_MAX =
        10000, /* for what was killed to be gone; then it is over anyway */
};

enum spawner_task_stage {
    SPAWNER_TASK_STAGE_NONE,
    SPAWNER_TASK_STAGE_TERM,
    SPAWNER_TASK_STAGE_KILL
};

struct spawner_task {
    uint64_t id;
    uint64_t order; /* in which they were started */
    uint32_t slots; /* that it took from the line */
    pid_t pid;      /* of its process; its session and group while leaving */
    bool is_leaving;
    enum spawner_task_stage stage;
    enum spawn_reason reason;
    size_t orphans; /* of it, not yet waited for */

    int64_t deadline_us; /* of the present stage; INT64_MAX: none */
    uint64_t kill_grace_ms;
    uint64_t output_bytes_max;
    uint64_t memory_bytes_max;

    char *dir; /* NULL: none */
    unsigned dir_use;
    int stdout_fd; /* -1 without a directory */
    int stderr_fd;
    int cgroup_fd; /* -1: none */

    int64_t started_us; /* monotonic */
    int64_t started_ms; /* wall */
    int64_t ended_us;
    int64_t ended_ms;
    int status; /* from wait */
    struct rusage usage;

    TAILQ_ENTRY(spawner_task) leaving;
    UT_hash_handle by_id;
    UT_hash_handle by_pid; /* not while leaving */
};

/* What tasks are made with. */
struct spawner_task_means {
    struct dir_pool dirs;
    struct cgroup_root cgroup;
    int null_fd;
    uint64_t files_max; /* soft limit of descriptors for commands; 0: as it is */
};

/* Makes directory, streams and group of a task and starts its command. Returns 0 and the task, or
 * -errno and in `what` the step that failed; then a directory that was made stays. */
int spawner_task_start(struct spawner_task_means *means, const struct spawn_message_run *run,
                       const char *dir, char **argv, char **env, struct spawner_task **out,
                       const char **what);
void spawner_task_free(struct spawner_task *t);

/* Begins to end it, or hastens that. Only an earlier deadline counts; the first reason stays. */
void spawner_task_terminate(struct spawner_task *t, enum spawn_reason reason, uint64_t grace_ms);

/* SIGKILL to its process (while running) with its whole group; sets the deadline for leaving. */
void spawner_task_kill(struct spawner_task *t);

/* Whether its limits must be looked at while it runs. */
bool spawner_task_is_limited(const struct spawner_task *t);

/* Whether a stream has grown past its limit. */
bool spawner_task_is_over_output(const struct spawner_task *t);

/* Tidies its directory as it was asked to and appends the record of its end. */
int spawner_task_report(struct spawner_task *t, struct spawner_task_means *means, struct buf *out);

/* Appends the record of a command that could not be started. */
int spawner_task_report_failed(uint64_t id, int error, const char *what, struct buf *out);

/* Appends the record of a command that was taken out of the line. */
int spawner_task_report_recalled(uint64_t id, struct buf *out);

#endif
