/* Names for completion that the cluster knows: nodes, jobs, keys, tables, columns,
 * functions, models, ...; and variables, which the shell knows. */
#ifndef SHELL_COMPLETE_LIVE_H
#define SHELL_COMPLETE_LIVE_H

#include "shell/complete.h"

/* A complete_names_fn; `arg` is the struct shell. Waits LIVE_WAIT_MS at most for each kind of name,
 * and adds nothing where the cluster doesn't answer or the shell has no client. */
void complete_live_names(void *arg, enum complete_names kind, struct complete *complete);

#endif
