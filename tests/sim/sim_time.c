#include "tests/sim/sim_time.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

static bool sim_time_before(const void *a, const void *b)
{
    const struct sim_event *left = a;
    const struct sim_event *right = b;
    return left->at_ms != right->at_ms ? left->at_ms < right->at_ms : left->order < right->order;
}

void sim_time_init(struct sim_time *time, uint64_t seed, int64_t now_ms)
{
    *time = (struct sim_time){.seed = seed, .now_ms = now_ms};
    prng_init(&time->prng, seed);
    heap_init(&time->queue, sim_time_before, offsetof(struct sim_event, place));
}

void sim_time_done(struct sim_time *time)
{
    heap_done(&time->queue);
}

void sim_time_add(struct sim_time *time, struct sim_event *event, int64_t ms)
{
    event->at_ms = time->now_ms + ms;
    event->order = time->orders++;
    heap_insert(&time->queue, event);
}

int64_t sim_time_next_ms(const struct sim_time *time)
{
    const struct sim_event *event = heap_first(&time->queue);
    return event != NULL ? event->at_ms : INT64_MAX;
}

void *sim_time_take(struct sim_time *time)
{
    struct sim_event *event = heap_first(&time->queue);
    if (event == NULL)
        return NULL;
    heap_remove(&time->queue, event);
    time->now_ms = event->at_ms;
    return event;
}

int64_t sim_time_between(struct sim_time *time, int64_t from, int64_t to)
{
    return (int64_t)prng_between(&time->prng, (uint64_t)from, (uint64_t)to);
}

bool sim_time_chance(struct sim_time *time, unsigned percent)
{
    return prng_below(&time->prng, 100) < percent;
}

void sim_time_trace(const struct sim_time *time, const char *fmt, ...)
{
    if (!time->trace)
        return;
    printf("%8lld  ", (long long)time->now_ms);
    va_list args;
    va_start(args, fmt);
    vprintf(fmt, args);
    va_end(args);
    printf("\n");
}

void sim_time_wrong(const struct sim_time *time, const char *fmt, ...)
{
    fflush(stdout);
    fprintf(stderr, "seed %llu at %lld ms: ", (unsigned long long)time->seed,
            (long long)time->now_ms);
    va_list args;
    va_start(args, fmt);
    vfprintf(stderr, fmt, args);
    va_end(args);
    fprintf(stderr, "\n");
    abort();
}
