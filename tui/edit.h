/* A line that is being typed, with a history. */
#ifndef TUI_EDIT_H
#define TUI_EDIT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tui/grid.h"

enum { EDIT_TEXT_MAX = 1024, EDIT_HISTORY_MAX = 100 };

struct edit_history {
    char *lines[EDIT_HISTORY_MAX]; /* the newest last */
    size_t n;
};

struct edit {
    char text[EDIT_TEXT_MAX];
    size_t len;
    size_t at; /* of the cursor, in bytes */
    struct edit_history *history;
    size_t back; /* how far back in the history; 0: the line itself */
    char *kept;  /* the line, while an older one is shown */
};

void edit_init(struct edit *edit, struct edit_history *history, const char *text);
void edit_done(struct edit *edit);
void edit_set(struct edit *edit, const char *text);
/* Characters that are typed, the arrows, and what readline's users expect. False for keys that mean
 * nothing here. */
bool edit_key(struct edit *edit, uint32_t key);
/* Text from elsewhere: newlines and tabs become blanks, other control characters are left out. */
void edit_paste(struct edit *edit, const char *s, size_t len);
/* Draws it and puts the cursor there; scrolls sideways. */
void edit_draw(const struct edit *edit, struct grid *grid, int x, int y, int w, struct style style);

/* Remembers a line, unless it is empty or the last one again. */
void edit_history_add(struct edit_history *history, const char *text);
void edit_history_done(struct edit_history *history);

#endif
