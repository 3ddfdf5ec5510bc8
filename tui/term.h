/* The terminal: a grid is shown on it by ncurses, which sends only what has changed; keys, mouse
 * and pasted text come from it. One for the process.
 *
 * Whatever ends the program, also a crash, leaves the terminal as it was found. */
#ifndef TUI_TERM_H
#define TUI_TERM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "tui/grid.h"

enum { TERM_HINT_MAX = 160, TERM_PASTE_MAX = 4096 };

/* Characters are their code points, with control characters as they are. */
enum term_key {
    TERM_KEY_TAB = 9,
    TERM_KEY_ENTER = 13,
    TERM_KEY_ESC = 27,
    TERM_KEY_SPACE = 32,
    TERM_KEY_SPECIAL = 0x200000,
    TERM_KEY_BACKSPACE,
    TERM_KEY_UP,
    TERM_KEY_DOWN,
    TERM_KEY_LEFT,
    TERM_KEY_RIGHT,
    TERM_KEY_HOME,
    TERM_KEY_END,
    TERM_KEY_PAGE_UP,
    TERM_KEY_PAGE_DOWN,
    TERM_KEY_DELETE,
    TERM_KEY_BACKTAB,
    TERM_KEY_CTRL_SPACE,
    TERM_KEY_F1,
};

#define TERM_CTRL(letter) ((letter)&0x1f)

enum term_input_kind {
    TERM_INPUT_NONE,
    TERM_INPUT_KEY,
    TERM_INPUT_CLICK,
    TERM_INPUT_WHEEL_UP,
    TERM_INPUT_WHEEL_DOWN,
    TERM_INPUT_PASTE,
    TERM_INPUT_CLOSED, /* the terminal has gone */
};

struct term_input {
    enum term_input_kind kind;
    uint32_t key;
    int x, y;          /* of a click or the wheel */
    const char *paste; /* valid until the next read */
    size_t paste_len;
};

struct term_options {
    bool ascii;
    bool no_color;
    bool no_mouse;
    enum theme theme;
};

/* Flags that signals raised; each is taken once. */
struct term_signals {
    bool resize;  /* SIGWINCH, or back from being suspended */
    bool suspend; /* SIGTSTP */
    int end;      /* SIGINT, SIGTERM, SIGHUP, SIGQUIT: its number; else 0 */
};

/* Takes over the terminal and the signals. ERR_UNSUPPORTED when standard input or output is no
 * terminal, or is one that can't be drawn on; `hint` says what to do instead. */
int term_open(const struct term_options *options, struct error *e, char hint[static TERM_HINT_MAX]);
/* Gives it back; waits no longer than a moment for a terminal that nobody reads. Harmless when it
 * isn't open. */
void term_close(void);

/* True when the terminal shows UTF-8: by its type and the locale, unless ASCII was asked for. */
bool term_is_ascii(void);
int term_colors(void);

/* Readable when a signal came. Keys are at standard input. */
int term_signal_fd(void);
struct term_signals term_take_signals(void);

/* Stops the process with the terminal as it was; returns when it is continued. */
void term_suspend(void);
/* Takes the size that the terminal has now. */
void term_size(int *w, int *h);
/* Draws everything anew with the next term_show. */
void term_redraw(void);

/* Nothing here waits for a terminal that takes no more: what it had no room for waits. While
 * something does, look for POLLOUT at term_out_fd(), then term_send(). */
bool term_is_sending(void);
int term_out_fd(void);
void term_send(void);
/* False while the terminal takes no more: the frame is better left out. */
bool term_is_ready(void);
void term_show(const struct grid *grid);

void term_set_mouse(bool on);
void term_set_theme(enum theme theme);
/* Puts text into the clipboard, as far as the terminal, or tmux, does so: nobody answers. False
 * when it certainly doesn't. */
bool term_copy(const char *text);
/* The next key or event; NONE when there is none now. */
struct term_input term_read(void);

#endif
