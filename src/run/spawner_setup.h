/* What the spawner makes of the process that it is given: quiet signals, no descriptors, no
 * privileges to gain, parent of all orphans below it. */
#ifndef RUN_SPAWNER_SETUP_H
#define RUN_SPAWNER_SETUP_H

#include <stdint.h>

/* Leaves nothing open but the standard descriptors and `fd`. Standard input is then /dev/null, as
 * is the descriptor in `null_fd`, for output. `files_max` is the soft limit of descriptors that
 * commands are to have, 0 to leave it. All signals are blocked: those that may come are let in
 * while it waits. Returns 0 or -errno. */
int spawner_setup(int fd, int *null_fd, uint64_t *files_max);

#endif
