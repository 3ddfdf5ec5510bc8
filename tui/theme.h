/* Colours by what they mean. Views name an ink (what is written) and a ground (what it is written
 * on); this one table says how each looks with 256, 16 or 8 colours, or with none. */
#ifndef TUI_THEME_H
#define TUI_THEME_H

#include <stdbool.h>
#include <stdint.h>

enum theme_ink {
    INK_TEXT,   /* the terminal's own */
    INK_DIM,    /* labels, what is secondary */
    INK_RULE,   /* thin lines */
    INK_TITLE,  /* headings */
    INK_ACCENT, /* keys, what is selected or led by */
    INK_GOOD,
    INK_WARN,
    INK_BAD,
    INK_BUSY,   /* under way */
    INK_NODE_1, /* to tell nodes apart in merged logs */
    INK_NODE_2,
    INK_NODE_3,
    INK_NODE_4,
    INK_NODE_5,
    INK_NODE_6,
    INK_N,
};

enum { INK_NODES = INK_NODE_6 - INK_NODE_1 + 1 };

enum theme_ground {
    GROUND_NONE,
    GROUND_BAR,    /* head and foot */
    GROUND_SELECT, /* the row that the next key is for */
    GROUND_MARK,
    GROUND_DIALOG,
    GROUND_ALERT, /* not live: the past, frozen, no connection */
    GROUND_N,
};

enum theme_attr {
    ATTR_BOLD = 1,
    ATTR_DIM = 2,
    ATTR_UNDERLINE = 4,
    ATTR_REVERSE = 8,
};

enum { THEME_DEFAULT = -1 }; /* the terminal's own colour */

struct theme_look {
    int fg; /* number of a colour, or THEME_DEFAULT */
    int bg;
    uint8_t attr; /* of enum theme_attr */
};

/* What the terminal's own ground is, or no colours at all. */
enum theme { THEME_DARK, THEME_LIGHT, THEME_MONO, THEMES };

const char *theme_name(enum theme theme);
bool theme_from_name(const char *name, enum theme *theme);

/* How `ink` on `ground` looks where there are `colors` colours: 256 or more, 16, 8, or fewer. */
struct theme_look theme_look(enum theme theme, enum theme_ink ink, enum theme_ground ground,
                             int colors);

#endif
