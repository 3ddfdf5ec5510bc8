/* Lines that happened, merged: events and log records of any nodes, chat messages, the output of a
 * task. Coloured by who said them, filtered by text, level, node and kind, followed or scrolled,
 * wrapped or cut, marked, saved. */
#ifndef TUI_LOG_VIEW_H
#define TUI_LOG_VIEW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/nodeset.h"
#include "tui/grid.h"
#include "tui/model_filter.h"
#include "tui/model_lines.h"

enum { LOG_VIEW_PATTERN_MAX = 256, LOG_VIEW_MARKS_MAX = 1024, LOG_VIEW_RUN_US = 2000 };

enum log_view_time {
    LOG_VIEW_TIME,
    LOG_VIEW_TIME_MS,
    LOG_VIEW_DATE,
    LOG_VIEW_NO_TIME,
    LOG_VIEW_TIMES
};

/* What there is of a line besides its text. */
enum log_view_show { LOG_VIEW_SOURCE = 1, LOG_VIEW_KIND = 2, LOG_VIEW_LEVEL = 4 };

struct log_view {
    unsigned show;
    const struct model_lines *lines;
    uint64_t generation;
    uint64_t end; /* positions from here on are not shown: the past does not know them */
    struct model_filter *filter;
    bool is_behind;                     /* lines are left to look at: log_view_update() */
    char pattern[LOG_VIEW_PATTERN_MAX]; /* with '!' in front when inverted */
    char kinds[LOG_VIEW_PATTERN_MAX];   /* "" for all */
    struct nodeset sources;             /* none: all */
    enum model_level level_min;
    bool follows;
    bool wraps;
    enum log_view_time time;
    uint64_t at;                        /* position of the selected line */
    uint64_t top;                       /* of the first one on the screen */
    uint64_t marks[LOG_VIEW_MARKS_MAX]; /* ascending */
    size_t n_marks;
    int height;
    struct rect drawn;
    int source_width, kind_width; /* so far: they grow */
};

void log_view_init(struct log_view *view, unsigned show);
void log_view_done(struct log_view *view);

/* Looks at what came, for a bounded time. False while lines are left to look at. */
bool log_view_update(struct log_view *view, const struct model_lines *lines, uint64_t end);
void log_view_draw(struct log_view *view, struct grid *grid, struct rect rect, bool is_active);
/* "1,204 of 9,310 · level warn · /text": what is shown of how much, into `out`; returns it. */
const char *log_view_summary(const struct log_view *view, char *out, size_t size);

/* What is set shows with the next log_view_update(). */
int log_view_set_pattern(struct log_view *view, const char *pattern, struct error *e);
int log_view_set_kinds(struct log_view *view, const char *kinds, struct error *e);
int log_view_set_sources(struct log_view *view, const char *nodes, struct error *e);
void log_view_set_level(struct log_view *view, enum model_level level);

void log_view_move(struct log_view *view, long lines);
void log_view_page(struct log_view *view, int pages);
void log_view_home(struct log_view *view);
void log_view_end(struct log_view *view); /* follows from there on */
void log_view_follow(struct log_view *view, bool follows);
void log_view_mark(struct log_view *view);
void log_view_mark_range(struct log_view *view);
void log_view_unmark(struct log_view *view);
void log_view_next_mark(struct log_view *view, bool back);
/* Selects the line on the screen's row `y`; false when there is none. */
bool log_view_click(struct log_view *view, int y);
/* The selected line; false when there is none. Borrowed until the next update. */
bool log_view_selected(const struct log_view *view, struct model_line *line);

/* Writes the lines that are shown, or the marked ones if there are, as text; how many in *n. */
int log_view_save(const struct log_view *view, const char *path, size_t *n, struct error *e);

/* The same name always has the same ink. Names that differ by a number at their end, as those of
 * the first nodes mostly do, have each their own, INK_NODES in a row. */
enum theme_ink log_view_ink(const char *name);

#endif
