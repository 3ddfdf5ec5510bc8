/* The manual pages of clustersh, from the rows: clustersh(1), clustersh-GROUP(1) for each group of
 * commands, clustersh-sql(7). */
#ifndef SHELL_COMMAND_MAN_H
#define SHELL_COMMAND_MAN_H

#include "base/buf.h"
#include "base/error.h"
#include "shell/command.h"

/* Names of all pages, "clustersh.1", a line each; then names that are to refer to a page, with it:
 * "clustersh-job-submit.1 clustersh-job.1". */
void command_man_list(struct buf *b);
/* One page by that name; ERR_NOT_FOUND when there is none. `program` is the row of the program. */
int command_man_page(const struct command *program, const char *page, struct buf *b);
/* The page that tells about a command, a group or a topic: "clustersh-job.1" for "job submit".
 * Malloc'ed; NULL when there is none. */
char *command_man_of(const char *const *words, size_t n);

#endif
