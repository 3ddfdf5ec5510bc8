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
    void *keys;   /* ncurses' window that keys are read by: one that is never drawn */
    FILE *out;    /* where ncurses writes: the terminal, or term_out_begin()'s file */
    int kept_fd;  /* that file; -1: none */
    int own_fd;   /* the terminal, never blocking; -1: none */
    struct buf unsent;
    size_t sent; /* of it */
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
    struct termios saved, mode; /* as it was found; as it is ours */
    char rescue[TERM_RESCUE_MAX];
    size_t rescue_len;
    char paste[TERM_PASTE_MAX];
    char partial[4]; /* bytes of a character that is not whole yet */
    size_t n_partial;
};

extern struct term_state term_one;

void term_modes(bool on);
/* Gives the terminal to others, and takes it again. */
void term_leave(void);
void term_return(void);
/* Output. What ncurses writes between begin and end goes to the terminal in one piece: by itself it
 * makes a write for each place that the cursor goes to, and each wakes the terminal up. A terminal
 * that has no room gets the rest by term_send(). */
bool term_out_open(void);
void term_out_close(void);
void term_out_begin(void);
void term_out_end(void);
/* Besides ncurses, behind what it has written. */
void term_out_say(const char *bytes, size_t len);
/* Waits a little until all is written. When it isn't, drops it, leaves what puts the terminal right
 * in its place, and gives false. */
bool term_out_last(void);
void term_input_init(void);
void term_signal_open(void);
void term_signal_close(void);

#endif
