/* A screen in memory: cells that views draw into, clipped at its edges. It knows no terminal.
 *
 * Text that is drawn comes from anywhere. What a terminal would obey, or that turns the direction
 * of text, never gets into a cell: it is drawn as U+FFFD ('?' in ASCII), as are bytes that are not
 * UTF-8. Wide characters take two cells, combining ones stand in the cell in front of them. */
#ifndef TUI_GRID_H
#define TUI_GRID_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tui/theme.h"

enum { GRID_WIDTH_MAX = 1000, GRID_HEIGHT_MAX = 500 };

struct style {
    uint8_t ink;    /* enum theme_ink */
    uint8_t ground; /* enum theme_ground */
    uint8_t attr;   /* enum theme_attr, besides what the ink has */
};

#define STYLE(ink_)          ((struct style){(uint8_t)(ink_), GROUND_NONE, 0})
#define STYLE_BOLD(ink_)     ((struct style){(uint8_t)(ink_), GROUND_NONE, ATTR_BOLD})
#define STYLE_ON(ink_, gnd_) ((struct style){(uint8_t)(ink_), (gnd_), 0})

struct cell {
    uint32_t ch;   /* code point; 0: the right half of a wide one */
    uint32_t mark; /* a combining character, or 0 */
    struct style style;
    uint8_t pad; /* 0: cells are compared as memory */
};

struct rect {
    int x, y, w, h;
};

struct grid {
    int w, h;
    bool ascii;
    struct cell *cells;
    int cursor_x, cursor_y; /* -1: hidden */
};

/* Signs that have a form in ASCII. */
enum glyph {
    GLYPH_HLINE,
    GLYPH_VLINE,
    GLYPH_CORNER_TL,
    GLYPH_CORNER_TR,
    GLYPH_CORNER_BL,
    GLYPH_CORNER_BR,
    GLYPH_ELLIPSIS,
    GLYPH_CRUMB,  /* between the parts of a path */
    GLYPH_DOT,    /* between facts */
    GLYPH_BULLET, /* a state */
    GLYPH_UP,
    GLYPH_DOWN,
    GLYPH_MARK,
    GLYPH_LEAD,
    GLYPH_TICK, /* an event on a time line */
    GLYPH_NOW,
    GLYPH_CROSS,
    GLYPH_THUMB, /* of a scroll bar */
    GLYPH_NONE,  /* a value that is not known */
    GLYPH_N,
};

struct grid *grid_new(int w, int h, bool ascii);
void grid_free(struct grid *grid);
/* Clears it. Sizes are brought between 1 and the maximum. */
void grid_resize(struct grid *grid, int w, int h);
void grid_clear(struct grid *grid);

uint32_t grid_glyph(const struct grid *grid, enum glyph glyph);

/* Nothing happens outside the grid. */
void grid_put(struct grid *grid, int x, int y, struct style style, uint32_t ch);
void grid_fill(struct grid *grid, struct rect rect, struct style style);
/* Changes the ground of what stands there. */
void grid_ground(struct grid *grid, struct rect rect, enum theme_ground ground);
void grid_hline(struct grid *grid, int x, int y, int w, struct style style);

/* Draws `s` into at most `w` columns, cut with an ellipsis. Returns the columns taken. */
int grid_text(struct grid *grid, int x, int y, int w, struct style style, const char *s);
int grid_text_n(struct grid *grid, int x, int y, int w, struct style style, const char *s,
                size_t len);
int grid_text_right(struct grid *grid, int x, int y, int w, struct style style, const char *s);
int grid_printf(struct grid *grid, int x, int y, int w, struct style style, const char *fmt, ...)
    __attribute__((format(printf, 6, 7)));

/* Columns that grid_text would take without a limit. */
int grid_width(const struct grid *grid, const char *s, size_t len);
/* Bytes of the longest beginning of `s` that takes at most `w` columns, at least one character. */
size_t grid_prefix(const struct grid *grid, const char *s, size_t len, int w);

/* Writes a code point as UTF-8; its bytes. */
size_t grid_utf8(uint32_t c, char out[static 4]);

/* The row as UTF-8 text without trailing blanks, malloc'ed: for tests and for --once. */
char *grid_row_text(const struct grid *grid, int y);

struct rect rect_inset(struct rect r, int left, int top, int right, int bottom);

#endif
