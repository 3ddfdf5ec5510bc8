/* What the files of the terminal share. */
#ifndef TUI_TERM_INTERNAL_H
#define TUI_TERM_INTERNAL_H

#include <stdio.h>
#include <termios.h>

#include "base/buf.h"
#include "tui/term.h"

enum { TERM_PAIRS_MAX = INK_N * GROUND_N, TERM_RESCUE_MAX = 256 };

struct term_look {
    short pair;
    uint8_t attr;
};

struct term_state {
    void *screen; /* ncurses'; NULL: not open */
    FILE *out;    /* where ncurses writes: the terminal, or term_out_begin()'s file */
    int kept_fd;  /* that file; -1: none */
    bool ascii;
    bool is_xterm; /* it has a mouse, and pastes in brackets */
    bool mouse;
    int colors;
    bool has_default; /* colours of the terminal's own can stand in pairs */
    struct term_look looks[INK_N][GROUND_N];
    struct {
        short fg, bg;
    } pairs[TERM_PAIRS_MAX];
    short n_pairs;
    struct cell *shown; /* what the terminal shows */
    int shown_w, shown_h;
    struct termios saved;
    char rescue[TERM_RESCUE_MAX];
    size_t rescue_len;
    char paste[TERM_PASTE_MAX];
    char partial[4]; /* bytes of a character that is not whole yet */
    size_t n_partial;
};

extern struct term_state term_one;

void term_modes(bool on);
/* What ncurses writes in between goes to the terminal in one piece: by itself it makes a write for
 * each place that the cursor goes to, and each wakes the terminal up. */
bool term_out_open(void);
void term_out_close(void);
void term_out_begin(void);
void term_out_end(void);
void term_input_init(void);
void term_signal_open(void);
void term_signal_close(void);

#endif
