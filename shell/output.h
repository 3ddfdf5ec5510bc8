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
#include "shell/text.h"

enum output_color { OUTPUT_COLOR_AUTO, OUTPUT_COLOR_ALWAYS, OUTPUT_COLOR_NEVER };

enum { OUTPUT_WIDTH_DEFAULT = 80, OUTPUT_HEIGHT_DEFAULT = 24 };

struct output {
    FILE *file; /* stdout unless redirected */
    bool is_pipe;
    int broken; /* errno of a failed write, as when the disk is full; 0 */
    enum output_color color;
    bool has_pager;
    bool status_shown;
    void (*hide)(void *arg); /* of the line that is typed; NULL: none is */
    void (*show)(void *arg);
    void *line_arg;
    bool is_hidden;
    size_t width; /* of the terminal, as of the last output_measure */
    size_t height;
};

void output_init(struct output *o);
void output_done(struct output *o); /* flushes, closes what \o opened */

/* To a path, to a command ("|CMD"), or back to standard output (NULL or ""). -errno. */
int output_redirect(struct output *o, const char *target, struct error *e);

/* The same until output_pop(), which goes back to what was before. Pop returns the exit status of a
 * command, or -errno of a failed write. */
struct output_saved {
    FILE *file;
    bool is_pipe;
    int broken;
};
int output_push(struct output *o, const char *target, struct output_saved *saved, struct error *e);
int output_pop(struct output *o, const struct output_saved *saved);

/* Reads the size of the terminal anew; width 0 when output is no terminal. */
void output_measure(struct output *o);
bool output_is_terminal(const struct output *o);
bool output_has_color(const struct output *o);       /* of output */
bool output_error_has_color(const struct output *o); /* of standard error */

/* While a line is being typed: `hide` takes it from the screen before something is written, `show`
 * draws it again in output_settle(). NULL: no line is there. */
void output_at_line(struct output *o, void (*hide)(void *arg), void (*show)(void *arg), void *arg);
void output_above(struct output *o); /* makes room above the line; done by whatever writes */
void output_settle(struct output *o);

void output_write(struct output *o, const void *bytes, size_t len);
/* Bytes that a program or a user elsewhere wrote, to output or to standard error: as they are, but
 * on a terminal without what it would obey. `stream` keeps what is cut between two parts (NULL:
 * the bytes are whole). */
void output_write_foreign(struct output *o, struct text_stream *stream, const char *bytes,
                          size_t len);
void output_error_foreign(struct output *o, struct text_stream *stream, const char *bytes,
                          size_t len);
/* A line of JSON from elsewhere and a newline. */
void output_write_json(struct output *o, const char *line, size_t len);
/* Writes text that is complete: through the pager if it is on, output is a terminal and the text
 * is higher than it (with `lines_min`: than so many lines) or wider. */
void output_page(struct output *o, const char *text, size_t len, size_t lines_min);
void output_flush(struct output *o);

/* A line on standard error. */
void output_note(struct output *o, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void output_status(struct output *o, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void output_status_clear(struct output *o);

#endif
