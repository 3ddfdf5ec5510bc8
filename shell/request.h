/* Requests that a command waits for. Ctrl-C ends the wait. */
#ifndef SHELL_REQUEST_H
#define SHELL_REQUEST_H

#include <jansson.h>

#include "client/client.h"
#include "client/client_path.h"
#include "shell/shell.h"

struct request_answer {
    int code; /* of the reply; ERR_CANCELLED after Ctrl-C */
    unsigned status;
    bool connected;
    char text[ERROR_TEXT_MAX];
    char hint[CLIENT_HINT_MAX];
    char etag[128];
    json_t *json;
    char *bytes; /* CLIENT_BODY_WHOLE; NUL-terminated */
    size_t bytes_len;
};

/* Sends `request` and waits. Nothing is said. Release the answer in any case. */
void request_run(struct shell *shell, const struct client_request *request,
                 struct request_answer *answer);
void request_answer_done(struct request_answer *answer);

/* Says what is wrong in the answer and returns the exit status that goes with it. */
int request_report(struct shell *shell, const struct request_answer *answer);
/* The same for a reply that came by callback. */
int request_report_reply(struct shell *shell, const struct client_reply *reply);
/* Says that an answer is of another version, as `what` shows, and returns the exit status. */
int request_strange(struct shell *shell, const char *what);

/* The usual cases: a read with the shell's consistency, a change with a JSON body (`body` is taken;
 * NULL: none). 0 and *json, which is yours, or an exit status after saying what went wrong. */
int request_get(struct shell *shell, struct client_path *path, json_t **json);
/* The same for a list. */
int request_get_rows(struct shell *shell, struct client_path *path, json_t **rows);
int request_change(struct shell *shell, const char *method, const char *path, json_t *body,
                   json_t **json);

#endif
