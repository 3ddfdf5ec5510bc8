/* GET /metrics for Prometheus, GET /api/metrics for people and cluster.metrics: what base/metric.h
 * has, of this node or of all. The role also sets the gauges of what every node has: its process,
 * links, elections, replica. */
#ifndef ROLE_METRICS_H
#define ROLE_METRICS_H

#include "role/role.h"

extern const struct role metrics_role;

#endif
