/* The directory of an attempt: TASKS/<job-uuid>_<index>.<attempt>/ with
 *
 *   work/    where its commands run; removed at the end
 *   stdout   what they wrote, in order, appended by the commands themselves
 *   stderr
 *
 * (One level, not a directory for each job: on ext4 an rmdir costs more than all else that is done
 * with it.) All functions block on the disk: call them off the loop or in the spawner. */
#ifndef RUN_TASK_DIR_H
#define RUN_TASK_DIR_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "wire/task_key.h"

#define TASK_DIR_WORK   "work"
#define TASK_DIR_STDOUT "stdout"
#define TASK_DIR_STDERR "stderr"

/* malloc'ed path of an attempt's directory below `tasks_dir`. */
char *task_dir_path(const char *tasks_dir, const struct task_key *key);

/* The key in a path's last component; ERR_INVALID when it is no attempt's directory. */
int task_dir_parse(const char *name, struct task_key *key);

/* Creates DIR and DIR/work, mode 0700; -EEXIST when DIR is there. */
int task_dir_make(const char *dir, struct error *e);

/* Whether DIR holds nothing but its streams and an empty work/, both directories as they were made.
 */
bool task_dir_is_clean(const char *dir);

/* Removes `path` and everything below it, however deep, whatever its permissions, never following a
 * link or entering another file system. A missing path is fine. What can't be removed stays; then
 * the first error is returned, after all else is gone. */
int task_dir_remove(const char *path, struct error *e);

/* The same for DIR/work alone. */
int task_dir_remove_work(const char *dir, struct error *e);

/* Reads a whole file of at most `max` bytes into a malloc'ed buffer; ERR_TOO_LARGE when it is
 * larger. */
int task_dir_read_small(const char *dir, const char *name, size_t max, char **data, size_t *len);

#endif
