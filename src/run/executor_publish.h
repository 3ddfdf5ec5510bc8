/* Files of a task from its scratch directory to where they are wanted: whole or not at all. */
#ifndef RUN_EXECUTOR_PUBLISH_H
#define RUN_EXECUTOR_PUBLISH_H

#include <stdbool.h>

/* Moves `from` to `to` (absolute), making directories; across file systems it is copied beside `to`
 * and renamed. `durable`: the file and its name are on the disk before this returns. -errno. */
int executor_publish_file(const char *from, const char *to, bool durable);

/* Removes a directory with everything in it; one that isn't there is fine. */
void executor_publish_remove(const char *dir);

#endif
