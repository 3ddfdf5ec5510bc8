/* Children that the spawner got without making them: descendants of commands whose own parents died
 * (the spawner is a child subreaper). Each belongs to a task, by its session, its process group, or
 * the token in its environment; when that task is over it gets SIGKILL. Of the few that show
 * nothing (a daemon that cleared its environment) it is only known which tasks ran when they
 * appeared: they end with the last of those. */
#ifndef RUN_SPAWNER_ORPHAN_H
#define RUN_SPAWNER_ORPHAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "run/spawner_tasks.h"

#define SPAWNER_ORPHAN_TOKEN "CLUSTERD_TASK_TOKEN" /* variable: "OWNER.TASK" */

enum {
    SPAWNER_ORPHAN_PREFIX_MAX = 160,
    SPAWNER_ORPHAN_TOKEN_MAX = SPAWNER_ORPHAN_PREFIX_MAX + 24,
    SPAWNER_ORPHAN_SETTLE_MS = 10, /* while it executes a program its environment can't be read */
};

struct spawner_orphan;

struct spawner_orphans {
    struct spawner_tasks *tasks; /* borrowed; counts their orphans */
    struct spawner_orphan *by_pid;
    size_t unclaimed;
    int children_fd;
    char prefix[SPAWNER_ORPHAN_PREFIX_MAX]; /* "CLUSTERD_TASK_TOKEN=OWNER." */
};

void spawner_orphans_init(struct spawner_orphans *o, struct spawner_tasks *tasks);
void spawner_orphans_done(struct spawner_orphans *o);

/* Names the node; "" before. Kills what carries the owner's token already: left by an earlier
 * spawner. */
void spawner_orphans_set_owner(struct spawner_orphans *o, const char *owner);

/* Writes the variable that marks a task's processes. */
void spawner_orphans_token(const struct spawner_orphans *o, uint64_t task,
                           char out[static SPAWNER_ORPHAN_TOKEN_MAX]);

/* Looks for new ones and finds out whose they are. One system call when there are none. */
void spawner_orphans_scan(struct spawner_orphans *o);

/* A child that is no command's own process was waited for. */
void spawner_orphans_reaped(struct spawner_orphans *o, pid_t pid);

/* The task whose orphan this is, 0 when it is none. */
uint64_t spawner_orphans_task_of(const struct spawner_orphans *o, pid_t pid);

/* Whether it is known of all of them if they are orphans of `t`. If not, scan again soon. */
bool spawner_orphans_are_settled(const struct spawner_orphans *o, const struct spawner_task *t);

/* SIGKILL to the orphans of a task that is leaving, and to its whole process group if one of them
 * is in it. */
void spawner_orphans_kill(struct spawner_orphans *o, const struct spawner_task *t);

/* SIGKILL to every child there is. */
void spawner_orphans_kill_children(const struct spawner_orphans *o);

#endif
