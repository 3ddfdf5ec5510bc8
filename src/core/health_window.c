#include "core/health_window.h"

#include <string.h>

static unsigned health_window_at(const struct health_window *window, unsigned back)
{
    return (window->next + HEALTH_WINDOW_READINGS - 1 - back) % HEALTH_WINDOW_READINGS;
}

void health_window_read(struct health_window *window, int64_t now_ms, int64_t window_ms,
                        const struct health *health)
{
    int64_t gap_ms = window_ms / (HEALTH_WINDOW_READINGS - 2);
    unsigned at = window->next;
    /* the newest gives way while it stands closer than a gap to the one before */
    if (window->n >= 2 && window->readings[health_window_at(window, 0)].at_ms -
                                  window->readings[health_window_at(window, 1)].at_ms <
                              gap_ms) {
        at = health_window_at(window, 0);
    } else {
        window->next = (window->next + 1) % HEALTH_WINDOW_READINGS;
        window->n += window->n < HEALTH_WINDOW_READINGS;
    }
    window->readings[at].at_ms = now_ms;
    window->readings[at].health = *health;
}

void health_window_get(const struct health_window *window, int64_t now_ms, int64_t window_ms,
                       struct health *out)
{
    memset(out, 0, sizeof *out);
    for (unsigned back = window->n; back > 1; back--) {
        unsigned at = health_window_at(window, back - 1);
        if (window->readings[at].at_ms < now_ms - window_ms)
            continue;
        health_since(&window->readings[health_window_at(window, 0)].health,
                     &window->readings[at].health, out);
        return;
    }
}
