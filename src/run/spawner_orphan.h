/* Children that the spawner got without making them: descendants of commands whose own parents died
 * (the spawner is a child subreaper). Each belongs to a task, by its session, its process group, or
 * the token in its environment; whose task is over gets SIGKILL. Of the few that show nothing (a
 * daemon that cleared its environment) it is only known which tasks ran when they appeared: they
 * are killed when the last of those is over. */
#ifndef RUN_SPAWNER_ORPHAN_H
#define RUN_SPAWNER_ORPHAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define SPAWNER_ORPHAN_TOKEN "CLUSTERD_TASK_TOKEN" /* variable: "OWNER.TASK" */

enum { SPAWNER_ORPHAN_PREFIX_MAX = 160, SPAWNER_ORPHAN_TOKEN_MAX = SPAWNER_ORPHAN_PREFIX_MAX + 24 };

struct spawner_orphan;

/* What the orphans need to know of the tasks. */
struct spawner_orphan_tasks {
    bool (*is_main)(void *arg, pid_t pid);            /* a command's own process */
    uint64_t (*by_session)(void *arg, pid_t session); /* task that made it; 0: none */
    uint64_t (*newest)(void *arg);                    /* id of the last that was started */
    bool (*found)(void *arg, uint64_t task); /* one more orphan of it; false: the task is over */
    void *arg;
};

struct spawner_orphans {
    struct spawner_orphan *by_pid;
    size_t unclaimed;
    int children_fd;
    char prefix[SPAWNER_ORPHAN_PREFIX_MAX]; /* "CLUSTERD_TASK_TOKEN=OWNER." */
    struct spawner_orphan_tasks tasks;
};

void spawner_orphans_init(struct spawner_orphans *o, const struct spawner_orphan_tasks *tasks);
void spawner_orphans_done(struct spawner_orphans *o);

/* Names the node; "" before. Kills what carries the owner's token already: left by an earlier
 * spawner. */
void spawner_orphans_set_owner(struct spawner_orphans *o, const char *owner);

/* Writes the variable that marks a task's processes. */
void spawner_orphans_token(const struct spawner_orphans *o, uint64_t task,
                           char out[static SPAWNER_ORPHAN_TOKEN_MAX]);

/* Looks for new ones. One system call when there are none. */
void spawner_orphans_scan(struct spawner_orphans *o);

/* The task whose orphan this is, 0 when it is none. */
uint64_t spawner_orphans_task_of(const struct spawner_orphans *o, pid_t pid);

/* A child was waited for. Returns the task whose orphan it was, or 0. */
uint64_t spawner_orphans_reaped(struct spawner_orphans *o, pid_t pid);

/* SIGKILL to the orphans of `task`, and to its process group `group` if one of them is in it. */
void spawner_orphans_kill(struct spawner_orphans *o, uint64_t task, pid_t group);

/* SIGKILL to the unclaimed that appeared before task `oldest` (the oldest that still runs;
 * UINT64_MAX: none does) was started. */
void spawner_orphans_kill_unclaimed(struct spawner_orphans *o, uint64_t oldest);

#endif
