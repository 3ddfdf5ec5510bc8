/* Rollouts as commands show them. */
#ifndef SHELL_ROLLOUTS_H
#define SHELL_ROLLOUTS_H

#include "shell/column.h"
#include "shell/shell.h"

extern const struct column rollouts_columns[];

/* Prints one whole, with its gates: as a tree (rollout_tree.h) where people read a table. */
void rollouts_print(struct shell *shell, const json_t *rollout);

/* Follows the rollout of a service until it has ended, telling each change, on a terminal by
 * drawing its tree anew. Exit status: 0 when it
 * was promoted or rolled back, 3 when it was aborted. Ctrl-C ends the watching alone. */
int rollouts_watch(struct shell *shell, const char *service);

#endif
