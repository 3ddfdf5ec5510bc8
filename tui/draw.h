/* Small pictures: lines of values, bars, strips of heartbeats, titles, boxes. */
#ifndef TUI_DRAW_H
#define TUI_DRAW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tui/grid.h"

/* Values from the oldest to the newest, NAN where there is none: the newest stand at the right, as
 * many as fit. Scaled to `max`; with 0 to the largest of them. Any height. */
void draw_spark(struct grid *grid, struct rect rect, const float *values, size_t n, double max,
                struct style style);

/* `part` of 0 to 1 as a heavy line, with halves of a column; the rest as a thin one. */
void draw_bar(struct grid *grid, int x, int y, int w, double part, struct style style);

/* A value on a bar whose colour says when it is high. */
enum theme_ink draw_level_ink(double part);

/* One column a heartbeat interval: low and calm when it came in time (up to half as late again as
 * `expected_ms`), higher and coloured the later, a cross where none came (NAN). */
void draw_strip(struct grid *grid, int x, int y, int w, const float *interval_ms, size_t n,
                double expected_ms);

/* "TITLE ────── right" */
void draw_title(struct grid *grid, struct rect rect, const char *title, const char *right,
                bool is_active);
/* An empty box with a title, over whatever stands there. */
void draw_box(struct grid *grid, struct rect rect, const char *title);

/* Text broken at blanks into lines of at most rect.w; returns the lines that it takes. Draws those
 * that fit; with a NULL grid none. `measure` says what is wide. */
int draw_wrapped(struct grid *grid, struct rect rect, struct style style, const char *s,
                 const struct grid *measure);

#endif
