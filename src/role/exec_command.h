/* The command of an exec: how it is spawned, and what became of it as a report. */
#ifndef ROLE_EXEC_COMMAND_H
#define ROLE_EXEC_COMMAND_H

#include "role/node.h"
#include "run/spawn.h"

/* Hands it to the node's spawner, to run in `dir`, which does not exist yet. Codes of spawn_run().
 */
int exec_command_spawn(struct node *node, const Wire__ExecStart *start, const char *dir,
                       const struct spawn_callbacks *callbacks, uint64_t *id);

/* Fills in `report`, without key and streams; returns its text, the caller's to free. `program` is
 * for that. */
char *exec_command_report(const char *program, const struct spawn_result *result,
                          Wire__TaskReport *report);

#endif
