#include "tui/theme.h"

#include <assert.h>
#include <stdbool.h>

#define D THEME_DEFAULT

struct theme_ink_row {
    int c256, c16, c8;
    uint8_t attr16; /* with 16 or 8 colours */
    uint8_t mono;   /* without colours */
};

/* clang-format off */
static const struct theme_ink_row theme_inks[INK_N] = {
    [INK_TEXT]   = {D,   D,  D, 0,         0},
    [INK_DIM]    = {245, 8,  D, 0,         0},
    [INK_RULE]   = {240, 8,  D, 0,         0},
    [INK_TITLE]  = {D,   D,  D, ATTR_BOLD, ATTR_BOLD},
    [INK_ACCENT] = {74,  6,  6, 0,         ATTR_BOLD},
    [INK_GOOD]   = {71,  2,  2, 0,         0},
    [INK_WARN]   = {178, 3,  3, 0,         ATTR_BOLD},
    [INK_BAD]    = {203, 1,  1, ATTR_BOLD, ATTR_BOLD | ATTR_UNDERLINE},
    [INK_BUSY]   = {74,  4,  6, 0,         0},
    [INK_NODE_1] = {74,  6,  6, 0,         0},
    [INK_NODE_2] = {140, 5,  5, 0,         0},
    [INK_NODE_3] = {107, 2,  2, 0,         0},
    [INK_NODE_4] = {173, 3,  3, 0,         0},
    [INK_NODE_5] = {110, 4,  6, 0,         0},
    [INK_NODE_6] = {175, 13, 5, 0,         0},
};

/* `fg` is for inks that have the terminal's own colour: it may be light or dark, the ground isn't. */
static const struct {
    int bg256, fg256, bg16, fg16, bg8, fg8;
    uint8_t mono;
} theme_grounds[GROUND_N] = {
    [GROUND_NONE]   = {D,   D,   D, D,  D, D, 0},
    [GROUND_BAR]    = {236, 252, D, D,  D, D, 0},
    [GROUND_SELECT] = {24,  255, 4, 15, 4, 7, ATTR_REVERSE},
    [GROUND_MARK]   = {237, 252, D, D,  D, D, ATTR_BOLD},
    [GROUND_DIALOG] = {237, 252, 0, 7,  0, 7, 0},
    [GROUND_ALERT]  = {178, 16,  3, 0,  3, 0, ATTR_REVERSE},
};
/* clang-format on */

/* On grounds of a strong colour of their own inks would be hard to read. */
static bool theme_keeps_ink(enum theme_ground ground)
{
    return ground != GROUND_SELECT && ground != GROUND_ALERT;
}

struct theme_look theme_look(enum theme_ink ink, enum theme_ground ground, int colors)
{
    assert(ink < INK_N && ground < GROUND_N);
    const struct theme_ink_row *row = &theme_inks[ink];
    struct theme_look look = {D, D, 0};
    bool keeps = theme_keeps_ink(ground);
    if (colors >= 256) {
        look.bg = theme_grounds[ground].bg256;
        look.fg = keeps && row->c256 != D ? row->c256 : theme_grounds[ground].fg256;
        look.attr = row->attr16 & ATTR_BOLD;
    } else if (colors >= 16) {
        look.bg = theme_grounds[ground].bg16;
        look.fg = keeps && row->c16 != D ? row->c16 : theme_grounds[ground].fg16;
        look.attr = row->attr16;
    } else if (colors >= 8) {
        look.bg = theme_grounds[ground].bg8;
        look.fg = keeps && row->c8 != D ? row->c8 : theme_grounds[ground].fg8;
        look.attr = row->attr16;
    } else {
        look.attr = row->mono | theme_grounds[ground].mono;
    }
    return look;
}
