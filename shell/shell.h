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
#include "shell/script.h"
#include "shell/vars.h"

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
    bool no_highlight;
    bool no_footer;
    enum format_border border;
    const char *null;        /* what NULL looks like to people; owned by the shell, NULL: "NULL" */
    unsigned pager_lines;    /* 0: the terminal's height */
    const char *consistency; /* of reads: static text, NULL for the default */
};

enum {
    SHELL_INCLUDE_DEPTH_MAX = 16,
    SHELL_TIMEOUT_MS = 30000,
    SHELL_ATTEMPT_MS = 5000, /* then another node is asked */
};

/* Rows that are taken instead of being printed. */
struct shell_capture {
    char **names;
    size_t n_names;
    size_t cap;
    json_t *rows; /* arrays of values */
};

/* What went wrong last, for \errverbose. */
struct shell_failure {
    char *text;
    char *hint;
    char *statement;
    char *endpoint;
    int code;        /* enum err or -errno; 0: none came from the cluster */
    unsigned status; /* of HTTP; 0: none */
};

struct shell {
    struct client *client;            /* NULL until the first command that needs it */
    struct client_replay *replay;     /* a report instead of a cluster; NULL: none */
    struct client_options connection; /* strings are owned */
    struct shell_settings settings;
    enum format format; /* of the command that runs */
    struct output output;
    struct live live;
    bool is_interactive;
    bool wants_quit;
    struct vars vars;
    struct script *script; /* innermost that runs; NULL for arguments of the program */
    char *last;            /* statement that ran last, variables in it */
    bool last_is_sql;
    unsigned depth;      /* of \i */
    unsigned expansions; /* of variables that stand for statements, in each other */
    struct shell_capture *capture;
    struct shell_failure failure;
    uint64_t row_count; /* of the statement that runs */
    char *typed;        /* what the prompt is to take as if it had been typed; from \e */
};

void shell_init(struct shell *shell, const struct client_options *connection);
void shell_done(struct shell *shell);

/* Makes the client when there is none. On failure says why and returns an exit status. */
int shell_connect(struct shell *shell);
/* Takes another endpoint; the old connection, or the replay, is closed. ERR_INVALID leaves
 * everything as it was. */
int shell_reconnect(struct shell *shell, const char *endpoints, struct error *e);
/* The same in two steps: talks to `endpoints`, and keeps in *previous (may be NULL) what was there;
 * then shell_keep() closes that, or shell_go_back() returns to it. `is_ours`: a node of the present
 * cluster, which is shown the present token. */
int shell_try(struct shell *shell, const char *endpoints, bool is_ours, struct client **previous,
              struct error *e);
void shell_keep(struct shell *shell, const char *endpoints, struct client *previous);
void shell_go_back(struct shell *shell, struct client *previous);

/* Takes a report in place of a cluster, at `at` (moment.h; NULL: its end). 0, or an exit status
 * after saying what is wrong. */
int shell_open_replay(struct shell *shell, const char *path, const char *at);
/* Goes to another moment of the replay, with everything that is known. The same. */
int shell_seek(struct shell *shell, const char *at);
/* 0 when there is a cluster; else says why not in a replay ("nothing goes on in it"), and the
 * status.
 */
int shell_refuse_replay(struct shell *shell, const char *why);
/* The time of day: the moment of the replay, when there is one. */
int64_t shell_now_ms(const struct shell *shell);

/* Run one command given as words, one backslash command with its words, one statement of SQL
 * without its semicolon. Return the exit status; what is wrong has been said. */
int shell_run_words(struct shell *shell, const char *const *words, size_t n);
int shell_run_meta(struct shell *shell, const struct command *command, const char *const *words,
                   size_t n);
int shell_run_sql(struct shell *shell, const char *text, size_t len);
/* Says that there is no backslash command of the name at `text`. */
int shell_unknown_meta(struct shell *shell, const char *text, size_t len);

/* Around each statement: count its rows, set ERROR, ROW_COUNT and the like. */
void shell_begin_statement(struct shell *shell);
void shell_end_statement(struct shell *shell, int status, const char *text);
/* Sets SHELL_EXIT_CODE and SHELL_ERROR unless `code` is negative. */
void shell_set_exit_code(struct shell *shell, int code);

/* Takes rows instead of printing them until the end, which hands them over as they are. */
void shell_capture_begin(struct shell *shell, struct shell_capture *capture);
void shell_capture_end(struct shell *shell);
void shell_capture_done(struct shell_capture *capture);
/* A taken value as text; NULL for null. Malloc'ed. */
char *shell_capture_text(const json_t *value);

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
/* Remembers of the failure that was just said how the cluster put it. */
void shell_note_failure(struct shell *shell, int code, unsigned status);

/* A line for people: left out in formats for programs. */
void shell_say(struct shell *shell, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#endif
