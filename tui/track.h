/* What events tell about something over time: who led a group, how much of the traffic a model had.
 * Found once for each event, as they come. */
#ifndef TUI_TRACK_H
#define TUI_TRACK_H

#include <stddef.h>
#include <stdint.h>

#include "tui/model_lines.h"

enum { TRACK_POINTS_MAX = 1024, TRACK_NAME_MAX = 64 };

struct track_point {
    int64_t when_ms;
    char subject[TRACK_NAME_MAX]; /* group, service */
    char who[TRACK_NAME_MAX];     /* leader, model */
    double value;                 /* term, weight */
};

struct track {
    struct track_point points[TRACK_POINTS_MAX]; /* a ring */
    size_t n;                                    /* that were ever added */
    uint64_t next;                               /* position not looked at yet */
    uint64_t generation;
    /* Fills `point` from an event that matters; false otherwise. */
    int (*take)(const struct model_line *line, struct track_point *point);
};

void track_init(struct track *track,
                int (*take)(const struct model_line *line, struct track_point *point));
void track_update(struct track *track, const struct model_lines *lines, uint64_t end);
/* The i-th that is kept, the oldest first; NULL behind the last. */
const struct track_point *track_at(const struct track *track, size_t i);

int track_take_lead(const struct model_line *line, struct track_point *point);
int track_take_weight(const struct model_line *line, struct track_point *point);

#endif
