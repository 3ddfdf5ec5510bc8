/* Reads of the cluster's state that a part of it can answer while no node leads (docs/events.md).
 */
#ifndef SHELL_LOOK_H
#define SHELL_LOOK_H

#include <jansson.h>

#include "client/client_path.h"
#include "shell/shell.h"

/* As request_get(). When no node leads for a while and nobody asked for a consistency, the rows are
 * those of `table` of the frame of a node that answers, and a note says whose they are and who is
 * missing. `is_part` (NULL: it is all the same) says which it was. */
int look_rows(struct shell *shell, struct client_path *path, const char *table, json_t **rows,
              bool *is_part);
/* The same for one object: the row whose `field` is `key` (or begins with it, if none is). */
int look_row(struct shell *shell, struct client_path *path, const char *table, const char *field,
             const char *key, json_t **row);
/* Reads rows that no frame has, and prints them; an exit status. While no node leads it says so
 * after the same time, and that `what` comes from the one that does. */
int look_list(struct shell *shell, struct client_path *path, const char *what,
              const struct column *columns);

#endif
