/* Running statements: text is cut into them, variables are put in, \if decides what runs.
 *
 * A frame is one source of statements: the prompt, a file, -c. It holds the statement that waits
 * for what a backslash command makes of it (psql's query buffer), and the \if that are open. */
#ifndef SHELL_SCRIPT_H
#define SHELL_SCRIPT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "base/buf.h"
#include "shell/condition.h"

struct shell;

struct script {
    struct script *outer;
    struct buf query;  /* cut by a backslash command; variables are in it */
    bool query_is_sql; /* else a command */
    struct condition condition;
    const char *name; /* of the file; NULL for none */
    unsigned line;    /* of what runs */
    bool is_prompt;
};

/* Begins a frame, which becomes shell->script; and ends it again. */
void script_begin(struct shell *shell, struct script *script, const char *name);
/* SHELL_STATUS_USAGE when an \if is open, which it says; else `status`. */
int script_end(struct shell *shell, int status);

/* Runs what is complete in `text`; *used is how much of it that was. With `is_last` all of it runs.
 * Returns the first failure; goes on behind it where script_goes_on says so. */
int script_feed(struct shell *shell, const char *text, bool is_last, size_t *used);
/* Whether the statements behind one that failed run: ON_ERROR_STOP, else only at the prompt. */
bool script_goes_on(const struct shell *shell);

/* Run every statement of a text or a stream, in a frame of its own. Return the exit status of the
 * first that failed. What is wrong has been said. */
int script_run_text(struct shell *shell, const char *text);
int script_run_stream(struct shell *shell, FILE *stream, const char *name);
/* Opens and runs a file; "-" is standard input. */
int script_run_file(struct shell *shell, const char *path);

/* One statement without its separator, variables in it already: SQL or a command, never one that
 * begins with a backslash. */
int script_run_one(struct shell *shell, const char *text, bool is_sql);

/* The statement that waits, which is taken; without one the last that ran. Malloc'ed; NULL after
 * saying that there is neither. */
char *script_take(struct shell *shell, bool *is_sql);
/* The same without taking it; "" when there is neither. */
const char *script_look(const struct shell *shell);

#endif
