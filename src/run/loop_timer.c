#include "run/loop_timer.h"

#include <assert.h>

#include "base/mem.h"

static bool loop_timer_is_before(const struct loop_timer *a, const struct loop_timer *b)
{
    return a->due_ms != b->due_ms ? a->due_ms < b->due_ms : a->order < b->order;
}

static void loop_timer_put(struct loop_timers *timers, size_t slot, struct loop_timer *timer)
{
    timers->heap[slot] = timer;
    timer->slot = slot;
}

/* Moves the timer at `slot` up or down to where the order wants it. */
static void loop_timer_sift(struct loop_timers *timers, size_t slot)
{
    struct loop_timer *timer = timers->heap[slot];
    for (; slot > 1 && loop_timer_is_before(timer, timers->heap[slot / 2]); slot /= 2)
        loop_timer_put(timers, slot, timers->heap[slot / 2]);
    for (size_t child; (child = slot * 2) <= timers->n; slot = child) {
        if (child < timers->n && loop_timer_is_before(timers->heap[child + 1], timers->heap[child]))
            child++;
        if (!loop_timer_is_before(timers->heap[child], timer))
            break;
        loop_timer_put(timers, slot, timers->heap[child]);
    }
    loop_timer_put(timers, slot, timer);
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
    if (timer->slot == 0) {
        MEM_GROW(timers->heap, timers->cap, timers->n + 2);
        loop_timer_put(timers, ++timers->n, timer);
    }
    loop_timer_sift(timers, timer->slot);
}

void loop_timer_start(struct loop_timer *timer, int64_t after_ms)
{
    assert(after_ms >= 0);
    loop_timer_start_at(timer, loop_now_ms(timer->loop) + after_ms);
}

void loop_timer_stop(struct loop_timer *timer)
{
    if (timer->slot == 0)
        return;
    struct loop_timers *timers = loop_timers(timer->loop);
    size_t slot = timer->slot;
    assert(timers->heap[slot] == timer);
    timer->slot = 0;
    struct loop_timer *last = timers->heap[timers->n--];
    if (last == timer)
        return;
    loop_timer_put(timers, slot, last);
    loop_timer_sift(timers, slot);
}

bool loop_timer_is_running(const struct loop_timer *timer)
{
    return timer->slot != 0;
}

bool loop_timers_next(const struct loop_timers *timers, int64_t *due_ms)
{
    if (timers->n == 0)
        return false;
    *due_ms = timers->heap[1]->due_ms;
    return true;
}

void loop_timers_fire(struct loop_timers *timers, int64_t now_ms)
{
    /* A timer that is started meanwhile has a later order. With a due time in the past it can stand
     * before older ones: those wait for the next turn, which then comes at once. */
    uint64_t last = timers->order;
    while (timers->n > 0) {
        struct loop_timer *timer = timers->heap[1];
        if (timer->due_ms > now_ms || timer->order > last)
            break;
        loop_timer_stop(timer);
        timer->fn(timer->arg);
    }
}
