/* Between the files of role/metrics. */
#ifndef ROLE_METRICS_INTERNAL_H
#define ROLE_METRICS_INTERNAL_H

#include <sys/queue.h>

#include "role/node.h"

struct metrics_gather;

struct metrics {
    struct node *node;
    TAILQ_HEAD(metrics_gathers, metrics_gather) gathers; /* under way */
};

/* metrics_api.c */
void metrics_api_add_routes(struct metrics *metrics);
void metrics_api_stop(struct metrics *metrics);

#endif
