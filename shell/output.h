/* Where results go: standard output, or the file or command that \o named.
 *
 * Also knows the terminal: whether there is one, its size, whether colour and a status line fit.
 * The status line is one line on standard error that says what is waited for; whatever is written
 * to output or standard error through here takes it away first. */
#ifndef SHELL_OUTPUT_H
#define SHELL_OUTPUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "base/error.h"

enum output_color { OUTPUT_COLOR_AUTO, OUTPUT_COLOR_ALWAYS, OUTPUT_COLOR_NEVER };

enum { OUTPUT_WIDTH_DEFAULT = 80, OUTPUT_HEIGHT_DEFAULT = 24 };

struct output {
    FILE *file; /* stdout unless redirected */
    bool is_pipe;
    int broken; /* errno of a failed write, as when the disk is full; 0 */
    enum output_color color;
    bool has_pager;
    bool status_shown;
    size_t width; /* of the terminal, as of the last output_measure */
    size_t height;
};

void output_init(struct output *o);
void output_done(struct output *o); /* flushes, closes what \o opened */

/* To a path, to a command ("|CMD"), or back to standard output (NULL or ""). -errno. */
int output_redirect(struct output *o, const char *target, struct error *e);

/* Reads the size of the terminal anew; width 0 when output is no terminal. */
void output_measure(struct output *o);
bool output_is_terminal(const struct output *o);
bool output_has_color(const struct output *o);       /* of output */
bool output_error_has_color(const struct output *o); /* of standard error */

void output_write(struct output *o, const void *bytes, size_t len);
/* Writes text that is complete: through the pager if it is on, output is a terminal and the text
 * is higher than it. */
void output_page(struct output *o, const char *text, size_t len);
void output_flush(struct output *o);

/* A line on standard error. */
void output_note(struct output *o, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void output_status(struct output *o, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void output_status_clear(struct output *o);

#endif
