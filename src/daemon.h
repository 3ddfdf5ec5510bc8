/* One node's life: from its configuration to its end. */
#ifndef DAEMON_H
#define DAEMON_H

#include "config.h"

struct daemon_options {
    bool announce; /* prints "ready: ENDPOINT ..." on standard output when it serves */
};

/* Runs the node that `config` describes until a signal or a fatal error ends it. Returns the exit
 * status of the process: 0 after SIGTERM or SIGINT, 1 otherwise. */
int daemon_run(const struct config *config, const struct daemon_options *options);

#endif
