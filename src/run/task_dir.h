/* The directory of an attempt: TASKS/<job-uuid>/<index>.<attempt>/ with
 *
 *   work/    where its commands run; removed at the end
 *   stdout   what they wrote, in order, appended by the commands themselves
 *   stderr
 *
 * All functions block on the disk: call them off the loop (or in the spawner). */
#ifndef RUN_TASK_DIR_H
#define RUN_TASK_DIR_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "wire/task_key.h"

#define TASK_DIR_WORK   "work"
#define TASK_DIR_STDOUT "stdout"
#define TASK_DIR_STDERR "stderr"

/* malloc'ed path of an attempt's directory below `tasks_dir`, and back: the key of such a path's
 * last two components, or ERR_INVALID. */
char *task_dir_path(const char *tasks_dir, const struct task_key *key);
int task_dir_parse(const char *job_name, const char *attempt_name, struct task_key *key);

/* Creates DIR, its parent and DIR/work, mode 0700; -EEXIST when DIR is there. */
int task_dir_make(const char *dir, struct error *e);

/* Removes `path` and everything below it, however deep, whatever its permissions, never following a
 * link or leaving the file system. A missing path is fine. On failure goes on with the rest and
 * returns the first error. */
int task_dir_remove(const char *path, struct error *e);

/* Removes an attempt's whole directory, and its job's when that was the last. */
int task_dir_remove_attempt(const char *dir, struct error *e);

#endif
