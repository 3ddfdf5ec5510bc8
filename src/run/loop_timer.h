/* The running timers of a loop, by due time, then by the order of starting. The timers themselves
 * are loop.h's; this is between loop.c and loop_timer.c. */
#ifndef RUN_LOOP_TIMER_H
#define RUN_LOOP_TIMER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/heap.h"
#include "run/loop.h"

struct loop_timers {
    struct heap heap;
    uint64_t order; /* of the timer started last */
};

void loop_timers_init(struct loop_timers *timers);
void loop_timers_done(struct loop_timers *timers);

struct loop_timers *loop_timers(struct loop *loop);

/* When the first is due; false when none runs. */
bool loop_timers_next(const struct loop_timers *timers, int64_t *due_ms);

/* Calls those that are due at `now_ms` and were not started after `last_order`. */
void loop_timers_fire(struct loop_timers *timers, int64_t now_ms, uint64_t last_order);

#endif
