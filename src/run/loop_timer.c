#include "run/loop_timer.h"

#include <assert.h>
#include <stddef.h>

static bool loop_timer_is_before(const void *a, const void *b)
{
    const struct loop_timer *first = a;
    const struct loop_timer *second = b;
    return first->due_ms != second->due_ms ? first->due_ms < second->due_ms
                                           : first->order < second->order;
}

void loop_timer_init(struct loop_timer *timer, struct loop *loop, loop_timer_fn fn, void *arg)
{
    assert(loop != NULL && fn != NULL);
    *timer = (struct loop_timer){.loop = loop, .fn = fn, .arg = arg};
}

void loop_timer_start_at(struct loop_timer *timer, int64_t due_ms)
{
    struct loop_timers *timers = loop_timers(timer->loop);
    timer->due_ms = due_ms;
    timer->order = ++timers->order;
    if (loop_timer_is_running(timer))
        heap_moved(&timers->heap, timer);
    else
        heap_insert(&timers->heap, timer);
}

void loop_timer_start(struct loop_timer *timer, int64_t after_ms)
{
    assert(after_ms >= 0);
    loop_timer_start_at(timer, loop_now_ms(timer->loop) + after_ms);
}

void loop_timer_stop(struct loop_timer *timer)
{
    if (loop_timer_is_running(timer))
        heap_remove(&loop_timers(timer->loop)->heap, timer);
}

bool loop_timer_is_running(const struct loop_timer *timer)
{
    return timer->slot != 0;
}

void loop_timers_init(struct loop_timers *timers)
{
    *timers = (struct loop_timers){.order = 0};
    heap_init(&timers->heap, loop_timer_is_before, offsetof(struct loop_timer, slot));
}

void loop_timers_done(struct loop_timers *timers)
{
    heap_done(&timers->heap);
}

bool loop_timers_next(const struct loop_timers *timers, int64_t *due_ms)
{
    const struct loop_timer *first = heap_first(&timers->heap);
    if (first != NULL)
        *due_ms = first->due_ms;
    return first != NULL;
}

void loop_timers_fire(struct loop_timers *timers, int64_t now_ms, uint64_t last_order)
{
    /* A newer timer whose due time is past can stand before older ones: these wait for the next
     * turn, which comes at once. */
    struct loop_timer *timer;
    while ((timer = heap_first(&timers->heap)) != NULL && timer->due_ms <= now_ms &&
           timer->order <= last_order) {
        heap_remove(&timers->heap, timer);
        timer->fn(timer->arg);
    }
}
