/* The commands that the spawner runs: found by id, by process, by session; when the first deadline
 * is. */
#ifndef RUN_SPAWNER_TASKS_H
#define RUN_SPAWNER_TASKS_H

#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>
#include <sys/resource.h>
#include <sys/types.h>

#include "run/spawner_task.h"

struct spawner_tasks {
    struct spawner_task *by_id;  /* all */
    struct spawner_task *by_pid; /* those that run */
    TAILQ_HEAD(, spawner_task) leaving;
    uint64_t newest; /* order of the last one that was started */
    size_t limited;  /* how many have a limit that must be looked at */
    int64_t next_us; /* not later than the first deadline; INT64_MAX: there is none */
};

void spawner_tasks_init(struct spawner_tasks *tasks);

/* Frees those that are left. */
void spawner_tasks_done(struct spawner_tasks *tasks, struct spawner_task_means *means);

/* Takes a task that has just started. */
void spawner_tasks_add(struct spawner_tasks *tasks, struct spawner_task *t);

/* Its process has ended: from now on it isn't found by it. */
void spawner_tasks_set_leaving(struct spawner_tasks *tasks, struct spawner_task *t, int status,
                               const struct rusage *usage);

/* Takes one out that is leaving, and frees it. */
void spawner_tasks_remove(struct spawner_tasks *tasks, struct spawner_task *t);

struct spawner_task *spawner_tasks_find(const struct spawner_tasks *tasks, uint64_t id);
struct spawner_task *spawner_tasks_find_pid(const struct spawner_tasks *tasks, pid_t pid);

/* The one whose process made this session or group, also when it is leaving. */
struct spawner_task *spawner_tasks_find_session(const struct spawner_tasks *tasks, pid_t session);

/* Least order of those that run, UINT64_MAX when none does. Looks at all. */
uint64_t spawner_tasks_oldest(const struct spawner_tasks *tasks);

/* One of those that are leaving and have at most this order, or NULL. */
struct spawner_task *spawner_tasks_leaving_before(const struct spawner_tasks *tasks,
                                                  uint64_t order);

/* There is something to do at `at_us`; INT64_MAX for never. */
void spawner_tasks_wake_at(struct spawner_tasks *tasks, int64_t at_us);

#endif
