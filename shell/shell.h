/* The console's state, and what commands need to do their work: the cluster, output, errors. */
#ifndef SHELL_SHELL_H
#define SHELL_SHELL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "base/error.h"
#include "client/client.h"
#include "shell/column.h"
#include "shell/command.h"
#include "shell/format.h"
#include "shell/live.h"
#include "shell/output.h"

enum shell_status {
    SHELL_STATUS_OK = 0,
    SHELL_STATUS_USAGE = 1,         /* an error of its own */
    SHELL_STATUS_NO_CONNECTION = 2, /* never made, or lost */
    SHELL_STATUS_FAILED = 3,
    SHELL_STATUS_INTERRUPTED = 130,
};

enum shell_expanded { SHELL_EXPANDED_AUTO, SHELL_EXPANDED_ON, SHELL_EXPANDED_OFF };

struct shell_settings {
    enum format format;
    enum shell_expanded expanded;
    bool tuples_only;
    bool has_timing;
    bool keep_going;
    const char *consistency; /* of reads: static text, NULL for the default */
};

enum {
    SHELL_INCLUDE_DEPTH_MAX = 16,
    SHELL_TIMEOUT_MS = 30000,
    SHELL_ATTEMPT_MS = 5000, /* then another node is asked */
};

struct shell {
    struct client *client;            /* NULL until the first command that needs it */
    struct client_options connection; /* strings are owned */
    struct shell_settings settings;
    enum format format; /* of the command that runs */
    struct output output;
    struct live live;
    bool is_interactive;
    bool wants_quit;
    char *last;         /* last statement that was no meta-command: what \watch repeats */
    const char *source; /* name of the file that runs, NULL for none */
    unsigned source_line;
    unsigned depth; /* of \i */
};

void shell_init(struct shell *shell, const struct client_options *connection);
void shell_done(struct shell *shell);

/* Makes the client when there is none. On failure says why and returns an exit status. */
int shell_connect(struct shell *shell);
/* Takes another endpoint; the old connection is closed. ERR_INVALID leaves everything as it was. */
int shell_reconnect(struct shell *shell, const char *endpoints, struct error *e);

/* Run one command given as words, or every statement in a text or a stream. Return the exit status
 * of the first that failed; they stop there unless keep_going is set or the shell is interactive.
 * What is wrong has been said. */
int shell_run_words(struct shell *shell, const char *const *words, size_t n, const char *line);
int shell_run_text(struct shell *shell, const char *text);
int shell_run_stream(struct shell *shell, FILE *stream, const char *name);

/* "error: …" and "hint: …" on standard error. */
void shell_error(struct shell *shell, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void shell_hint(struct shell *shell, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Waits for the cluster, Ctrl-C or the deadline (clock_mono_ms; INT64_MAX: none), once, and
 * dispatches. Also returns for nothing. */
void shell_wait(struct shell *shell, int64_t deadline_ms);

/* True once for a Ctrl-C, whose echo on the terminal it ends with a new line. */
bool shell_take_interrupt(struct shell *shell);

/* Rows, or one object, in the format of the command that runs. */
void shell_print_rows(struct shell *shell, const struct column *columns, const json_t *rows);
void shell_print_object(struct shell *shell, const struct column *columns, const json_t *object);
/* A line for people: left out in formats for programs. */
void shell_say(struct shell *shell, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#endif
