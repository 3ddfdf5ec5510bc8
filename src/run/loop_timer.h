/* The running timers of a loop: a binary heap by due time, then by the order of starting. The
 * timers themselves are loop.h's; this is between loop.c and loop_timer.c. */
#ifndef RUN_LOOP_TIMER_H
#define RUN_LOOP_TIMER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "run/loop.h"

struct loop_timers {
    struct loop_timer **heap; /* from index 1 */
    size_t n;
    size_t cap;
    uint64_t order; /* of the timer started last */
};

struct loop_timers *loop_timers(struct loop *loop);

/* When the first is due; false when none runs. */
bool loop_timers_next(const struct loop_timers *timers, int64_t *due_ms);

/* Calls those that are due at `now_ms` and were running before this call. */
void loop_timers_fire(struct loop_timers *timers, int64_t now_ms);

#endif
