/* Node sets as people write them, resolved against the cluster. */
#ifndef SHELL_NODES_H
#define SHELL_NODES_H

#include "base/nodeset.h"
#include "shell/shell.h"

/* Adds the nodes that `text` names ("n[1-3]", "@worker,!n2"). Groups: @all, @online, @label=L, and
 * the roles and kinds of nodes. Asks the cluster only when there is a group. 0, or an exit status
 * after saying what is wrong. `set` is initialised by the caller. */
int nodes_expand(struct shell *shell, const char *text, struct nodeset *set);

/* Puts objects into the natural order of their "name": n2 before n10. */
void nodes_sort(json_t *nodes);

#endif
