/* Colours in the line that is typed: readline draws it, then the same characters are written again
 * in their places, in colour.
 *
 * Only where the terminal can: with colours and cursor movement, and not for lines that hold
 * control characters or bytes that are no UTF-8, nor ones higher than the screen. */
#ifndef SHELL_REPL_PAINT_H
#define SHELL_REPL_PAINT_H

#include "base/buf.h"
#include "shell/shell.h"

/* Takes over readline's redisplay. `pending` holds the lines in front of the one that is edited.
 * Both are borrowed. */
void repl_paint_install(struct shell *shell, const struct buf *pending);

/* One place of a character on the screen, from the beginning of the prompt's last line. */
struct repl_paint_cell {
    unsigned row, column;
};

/* Where each byte of `line` stands, and what comes behind it (len + 1 cells), on a screen of
 * `width` columns behind a prompt of `prompt_width`. False for a line that has something whose
 * place is readline's secret. */
bool repl_paint_layout(const char *line, size_t len, size_t prompt_width, size_t width,
                       struct repl_paint_cell *cells);

#endif
