/* The environment of a task's commands: a few variables of the daemon, CLUSTERD_* that tell the
 * task what it is, and what the job asks for. */
#ifndef RUN_TASK_ENV_H
#define RUN_TASK_ENV_H

#include "wire/cluster.pb-c.h"
#include "wire/task_key.h"

/* Returns a malloc'ed NULL-terminated array of malloc'ed "NAME=VALUE". The job's variables replace
 * the daemon's; names beginning with CLUSTERD_ are not the job's to set, and what can't be a name
 * is left out. */
char **task_env_new(const Wire__AssignTask *assign, const struct task_key *key,
                    const char *node_name);
void task_env_free(char **env);

#endif
