/* What every simulated world stands on: a seed, its random numbers, a clock, and events in the
 * order of their time; those of one moment in the order in which they were made. */
#ifndef TESTS_SIM_SIM_TIME_H
#define TESTS_SIM_SIM_TIME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/heap.h"
#include "base/prng.h"

struct sim_event {
    int64_t at_ms;
    uint64_t order;
    size_t place;
};

struct sim_time {
    uint64_t seed;
    bool trace;
    struct prng prng;
    int64_t now_ms;
    uint64_t orders;
    struct heap queue;
};

void sim_time_init(struct sim_time *time, uint64_t seed, int64_t now_ms);
/* No event is left. */
void sim_time_done(struct sim_time *time);

/* The event, which stands first in the world's own, comes after `ms`. */
void sim_time_add(struct sim_time *time, struct sim_event *event, int64_t ms);
/* When the next one comes; INT64_MAX: never. */
int64_t sim_time_next_ms(const struct sim_time *time);
/* Takes the next one, at whose time it is now; NULL when there is none. */
void *sim_time_take(struct sim_time *time);

int64_t sim_time_between(struct sim_time *time, int64_t from, int64_t to); /* any in between */
bool sim_time_chance(struct sim_time *time, unsigned percent);

/* A line of what happens, for those who asked for it. */
void sim_time_trace(const struct sim_time *time, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
/* Says what is wrong, with the seed, and aborts. */
void sim_time_wrong(const struct sim_time *time, const char *fmt, ...)
    __attribute__((format(printf, 2, 3), noreturn));

#endif
