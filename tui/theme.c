#include "tui/theme.h"

#include <assert.h>
#include <stdbool.h>
#include <string.h>

#define D THEME_DEFAULT

struct theme_ink_row {
    int c256, light, c16, c8; /* `light`: of 256, on a light ground */
    uint8_t attr16;           /* with 16 or 8 colours */
    uint8_t mono;             /* without colours */
};

/* clang-format off */
static const struct theme_ink_row theme_inks[INK_N] = {
    [INK_TEXT]   = {D, D,   D,  D, 0,         0},
    [INK_DIM]    = {245, 243, 8,  D, 0,         0},
    [INK_RULE]   = {240, 249, 8,  D, 0,         0},
    [INK_TITLE]  = {D, D,   D,  D, ATTR_BOLD, ATTR_BOLD},
    [INK_ACCENT] = {74, 25,  6,  6, 0,         ATTR_BOLD},
    [INK_GOOD]   = {71, 28,  2,  2, 0,         0},
    [INK_WARN]   = {178, 130, 3,  3, 0,         ATTR_BOLD},
    [INK_BAD]    = {203, 160, 1,  1, ATTR_BOLD, ATTR_BOLD | ATTR_UNDERLINE},
    [INK_BUSY]   = {74, 25,  4,  6, 0,         0},
    [INK_NODE_1] = {75, 25,  6,  6, 0,         0},
    [INK_NODE_2] = {173, 130, 3,  3, 0,         0},
    [INK_NODE_3] = {107, 64, 2,  2, 0,         0},
    [INK_NODE_4] = {140, 91, 5,  5, 0,         0},
    [INK_NODE_5] = {79, 30,  12, 4, 0,         0},
    [INK_NODE_6] = {211, 162, 13, D, 0,         0},
};

/* `fg` is for inks that have the terminal's own colour: it may be light or dark, the ground isn't. */
static const struct {
    int bg256, fg256, bg_light, fg_light, bg16, fg16, bg8, fg8;
    uint8_t mono;
} theme_grounds[GROUND_N] = {
    [GROUND_NONE]   = {D,   D, D, D,   D, D,  D, D, 0},
    [GROUND_BAR]    = {236, 252, 254, 236, D, D,  D, D, 0},
    [GROUND_SELECT] = {24,  255, 25, 231, 4, 15, 4, 7, ATTR_REVERSE},
    [GROUND_MARK]   = {237, 252, 253, 236, D, D,  D, D, ATTR_BOLD},
    [GROUND_DIALOG] = {237, 252, 255, 236, 0, 7,  0, 7, 0},
    [GROUND_ALERT]  = {178, 16, 178, 16,  3, 0,  3, 0, ATTR_REVERSE},
};
/* clang-format on */

/* On grounds of a strong colour of their own inks would be hard to read. */
static bool theme_keeps_ink(enum theme_ground ground)
{
    return ground != GROUND_SELECT && ground != GROUND_ALERT;
}

static const char *const theme_names[THEMES] = {
    [THEME_DARK] = "dark", [THEME_LIGHT] = "light", [THEME_MONO] = "mono"};

const char *theme_name(enum theme theme)
{
    return theme_names[theme];
}

bool theme_from_name(const char *name, enum theme *theme)
{
    for (unsigned i = 0; i < THEMES; i++) {
        if (strcmp(theme_names[i], name) == 0) {
            *theme = i;
            return true;
        }
    }
    return false;
}

struct theme_look theme_look(enum theme theme, enum theme_ink ink, enum theme_ground ground,
                             int colors)
{
    assert(theme < THEMES && ink < INK_N && ground < GROUND_N);
    const struct theme_ink_row *row = &theme_inks[ink];
    struct theme_look look = {D, D, 0};
    bool keeps = theme_keeps_ink(ground);
    colors = theme == THEME_MONO ? 0 : colors;
    if (colors >= 256 && theme == THEME_LIGHT) {
        look.bg = theme_grounds[ground].bg_light;
        look.fg = keeps && row->light != D ? row->light : theme_grounds[ground].fg_light;
        look.attr = row->attr16 & ATTR_BOLD;
    } else if (colors >= 256) {
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
