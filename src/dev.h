/* `clusterd dev`: a cluster on this machine for development and trying things out. */
#ifndef DEV_H
#define DEV_H

#include <stdbool.h>

#include "base/error.h"

struct dev_options {
    const char *data_dir;
    unsigned nodes;              /* 1: this process itself; more: that many child processes */
    bool restart;                /* what dies is started again */
    const char *const *settings; /* "SECTION.KEY=VALUE" for every node */
    unsigned settings_n;
};

enum { DEV_NODES_MAX = 50 };

/* Runs until SIGTERM or SIGINT; prints "ready: ENDPOINT ..." when all nodes serve. Returns the exit
 * status of the process. */
int dev_run(const struct dev_options *options);

#endif
