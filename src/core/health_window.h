/* What came within the last minutes, from readings of counters that only grow. */
#ifndef CORE_HEALTH_WINDOW_H
#define CORE_HEALTH_WINDOW_H

#include <stdint.h>

#include "core/health.h"

enum { HEALTH_WINDOW_READINGS = 32 };

/* Starts zeroed. */
struct health_window {
    struct {
        int64_t at_ms;
        struct health health;
    } readings[HEALTH_WINDOW_READINGS]; /* a ring */
    unsigned n;
    unsigned next;
};

/* A reading at `now_ms`, not less than before; `window_ms` says how far back will be asked for: a
 * reading that follows the last kept one too closely replaces the newest. */
void health_window_read(struct health_window *window, int64_t now_ms, int64_t window_ms,
                        const struct health *health);

/* What came between the oldest kept reading within `window_ms` and the newest. Before there are two
 * it is nothing. */
void health_window_get(const struct health_window *window, int64_t now_ms, int64_t window_ms,
                       struct health *out);

#endif
