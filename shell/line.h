/* The line that is typed: readline's callback form, kept whole whatever happens around it.
 *
 * One place knows the prompt. While a line is open whatever goes through output.h takes the line
 * away first and stands above it; output_settle() draws it again. */
#ifndef SHELL_LINE_H
#define SHELL_LINE_H

#include <stdbool.h>

#include "shell/shell.h"

/* Settings of readline that hold for the program. Idempotent. */
void line_init(void);

/* Shows the prompt and takes keys by rl_callback_read_char() until `on_line` is called, which must
 * call line_end() first. */
void line_begin(struct shell *shell, const char *prompt, void (*on_line)(char *line));
void line_end(struct shell *shell);
bool line_is_open(void);

/* Another prompt in front of the same line. */
void line_set_prompt(struct shell *shell, const char *prompt);
/* Takes what is typed away, behind a ^C, and ends the line. */
void line_drop(struct shell *shell);
/* Serves a new size of the terminal, Ctrl-Z, and going on behind it. Called after every poll. */
void line_signals(struct shell *shell);

/* Asks for one line by itself, without history and completion. Malloc'ed; NULL for Ctrl-C, Ctrl-D
 * or the end of the input. Without a terminal the next line of standard input. */
char *line_ask(struct shell *shell, const char *prompt);

#endif
