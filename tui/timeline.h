/* The line at the foot: what happened in the last while, second by second, to see and to jump to.
 */
#ifndef TUI_TIMELINE_H
#define TUI_TIMELINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tui/grid.h"
#include "tui/model_lines.h"

enum { TIMELINE_SECONDS = 4096 };

enum timeline_tick {
    TIMELINE_NOTHING,
    TIMELINE_SOME,
    TIMELINE_LEAD,
    TIMELINE_WARN,
    TIMELINE_ERROR
};

struct timeline {
    uint8_t ticks[TIMELINE_SECONDS]; /* enum timeline_tick, by second modulo the size */
    int64_t newest_s;                /* 0: none */
    uint64_t next;                   /* position that was not looked at yet */
    uint64_t generation;
    int64_t span_ms;        /* that is shown */
    int64_t from_ms, to_ms; /* as last drawn */
    int x, w;
};

void timeline_init(struct timeline *timeline);
/* Takes the events that came. */
void timeline_update(struct timeline *timeline, const struct model_lines *events);
/* `at_ms` is shown, `now_ms` is how late it is. */
void timeline_draw(struct timeline *timeline, struct grid *grid, struct rect rect, int64_t at_ms,
                   int64_t now_ms, bool is_live);
/* The moment at a column; 0 when it is outside. */
int64_t timeline_at(const struct timeline *timeline, int x);
/* The nearest second before or after `at_ms` in which something worth a look happened; 0: none. */
int64_t timeline_next(const struct timeline *timeline, int64_t at_ms, bool back);

#endif
