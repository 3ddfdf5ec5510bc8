/* A program on a terminal that a test types at and looks at: forkpty and libvterm.
 *
 * Waiting is always for something on the screen, for at most SCREEN_WAIT_MS; then the test fails
 * and shows the screen. */
#ifndef TESTS_LIB_SCREEN_H
#define TESTS_LIB_SCREEN_H

#include <stdbool.h>
#include <stddef.h>

struct screen;

enum { SCREEN_WAIT_MS = 120000, SCREEN_TEXT_MAX = 512 * 1024 };

struct screen_options {
    const char *const *argv; /* argv[0] is the path of the program */
    const char *term;
    unsigned short rows;
    unsigned short columns;
};

struct screen *screen_open(const struct screen_options *options);
/* Hangs up, waits for the program's end. NULL allowed. */
void screen_close(struct screen *screen);

void screen_type(struct screen *screen, const char *keys);

/* Waits until the text stands on the screen; rows end with a newline, trailing spaces are cut. */
void screen_wait(struct screen *screen, const char *text);
void screen_wait_gone(struct screen *screen, const char *text);
/* Waits until the line with the cursor, up to the cursor, ends like this. */
void screen_wait_cursor(struct screen *screen, const char *text);

/* Waits until the text stands on the screen, where it stands last, in this colour of the palette
 * (-1: the terminal's own). */
void screen_wait_color(struct screen *screen, const char *text, int color);

/* What stands there now. Borrowed until the next call. */
const char *screen_text(struct screen *screen);
/* Everything the program has written so far, escapes and all. */
const char *screen_raw(struct screen *screen, size_t *len);
unsigned screen_count(struct screen *screen, const char *text);
/* Waits until the text stands there so often or more. */
void screen_wait_count(struct screen *screen, const char *text, unsigned n);

void screen_resize(struct screen *screen, unsigned short rows, unsigned short columns);
void screen_signal(struct screen *screen, int number);
/* Waits for the program's end; exit status, or 128 + signal. */
int screen_wait_exit(struct screen *screen);

/* As long as only these are called, the terminal takes no more than it has room for. */
void screen_wait_typed(struct screen *screen); /* until the program has read what was typed */
int screen_wait_exit_unread(struct screen *screen);

#endif
