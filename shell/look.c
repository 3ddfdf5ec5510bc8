/* A read, and when no node leads what /api/frame knows of it.
 *
 * Happy path: the answer comes within LOOK_WHOLE_MS. Else a frame is asked for: one that is whole
 * means that a node leads again, and the read is sent anew with all the time that reads have; one
 * that is a part is the answer. Without either the first failure stands. */
#include "shell/look.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/mem.h"
#include "base/str.h"
#include "client/client_vitals.h"
#include "shell/request.h"

enum {
    LOOK_WHOLE_MS = 2500, /* an election takes less */
    LOOK_FRAME_MS = 6000,
    LOOK_VITALS_MS = 3000,
    LOOK_NAMES_MAX = 4096,
};

/* Whether a part may be the answer to what went wrong. */
static bool look_is_leaderless(const struct request_answer *answer)
{
    return answer->code == ERR_NO_LEADER || answer->code == ERR_NOT_LEADER ||
           answer->code == ERR_TIMEOUT || answer->code == ERR_OUTCOME_UNKNOWN ||
           (answer->code == ERR_UNAVAILABLE && answer->connected);
}

static void look_ask(struct shell *shell, const char *path, enum client_body body,
                     uint64_t timeout_ms, struct request_answer *answer)
{
    request_run(shell,
                &CLIENT_REQUEST(.method = "GET", .path = path, .body = body,
                                .timeout_ms = timeout_ms, .attempt_ms = SHELL_ATTEMPT_MS),
                answer);
}

static char *look_text(const json_t *object, const char *key, const char *otherwise)
{
    const json_t *value = json_object_get(object, key);
    const char *text = json_is_string(value) ? json_string_value(value) : otherwise;
    return str_printable(text, strlen(text), false);
}

static void look_say_partial(struct shell *shell, const json_t *frame)
{
    char *node = look_text(frame, "partial", "");
    char *reason = look_text(frame, "reason", "no node leads");
    const json_t *name;
    struct buf names;
    size_t i;
    buf_init(&names, LOOK_NAMES_MAX);
    json_array_foreach(json_object_get(frame, "missing"), i, name)
    {
        const char *text = json_is_string(name) ? json_string_value(name) : "?";
        char *clean = str_printable(text, strlen(text), false);
        (void)buf_printf(&names, "%s%s", i > 0 ? ", " : "; not reached: ", clean);
        free(clean);
    }
    output_note(&shell->output, "%s: this is what %s knows%s", reason, node, buf_cstr(&names));
    buf_done(&names);
    free(node);
    free(reason);
}

/* Frames have what nodes measure as of some former moment: the present of those that are heard
 * takes its place, of others it is not known. */
static void look_set_vitals(struct shell *shell, json_t *nodes)
{
    struct request_answer answer;
    json_t *last = NULL;
    look_ask(shell, "/api/vitals?since=5s", CLIENT_BODY_WHOLE, LOOK_VITALS_MS, &answer);
    const char *line = answer.code == 0 && answer.bytes != NULL ? answer.bytes : "";
    while (*line != '\0') {
        size_t len = strcspn(line, "\n");
        json_t *tick = json_loadb(line, len, 0, NULL);
        if (json_is_object(json_object_get(tick, "nodes"))) {
            json_decref(last);
            last = json_incref(tick);
        }
        json_decref(tick);
        line += len + (line[len] == '\n');
    }
    client_vitals_renew(nodes, last);
    json_decref(last);
    request_answer_done(&answer);
}

/* What no frame has. */
static int look_say_leaderless(struct shell *shell, const char *what)
{
    struct request_answer answer = {.code = ERR_NO_LEADER, .connected = true};
    (void)snprintf(answer.text, sizeof answer.text,
                   "no node leads, and %s comes from the one that does", what);
    return request_report(shell, &answer);
}

/* The rows of the table in a frame that is a part. NULL when there is none, or a whole one: then
 * *leads says whether a node does. */
static json_t *look_part(struct shell *shell, const char *table, bool *leads)
{
    struct request_answer answer;
    json_t *rows = NULL;
    look_ask(shell, "/api/frame", CLIENT_BODY_JSON, LOOK_FRAME_MS, &answer);
    bool is_part = answer.code == 0 && json_is_string(json_object_get(answer.json, "partial"));
    *leads = !is_part;
    if (is_part && table != NULL)
        rows = json_incref(json_object_get(answer.json, table));
    if (json_is_array(rows)) {
        look_say_partial(shell, answer.json);
        if (strcmp(table, "nodes") == 0)
            look_set_vitals(shell, rows);
    } else {
        json_decref(rows);
        rows = NULL;
    }
    request_answer_done(&answer);
    return rows;
}

/* The whole answer in *whole, or the rows of a part in *part; an exit status otherwise. Without a
 * table there is no part, and `what` is what then isn't known. */
static int look_get(struct shell *shell, struct client_path *path, const char *table,
                    const char *what, json_t **whole, json_t **part)
{
    bool leads = true;
    struct request_answer answer;
    *whole = *part = NULL;
    int status = shell_connect(shell);
    if (status != SHELL_STATUS_OK)
        return status;
    if (shell->settings.consistency != NULL || shell->replay != NULL)
        return request_get(shell, path, whole);
    look_ask(shell, path->text, CLIENT_BODY_JSON, LOOK_WHOLE_MS, &answer);
    if (answer.code == 0 && answer.json != NULL)
        *whole = json_incref(answer.json);
    else if (answer.code == 0)
        status = request_strange(shell, "it is empty");
    else if (look_is_leaderless(&answer))
        *part = look_part(shell, table, &leads);
    else
        status = request_report(shell, &answer);
    request_answer_done(&answer);
    if (!leads && table == NULL)
        status = look_say_leaderless(shell, what);
    if (status == SHELL_STATUS_OK && *whole == NULL && *part == NULL)
        status = request_get(shell, path, whole);
    return status;
}

int look_rows(struct shell *shell, struct client_path *path, const char *table, json_t **rows,
              bool *is_part)
{
    json_t *whole, *part;
    int status = look_get(shell, path, table, NULL, &whole, &part);
    if (status != SHELL_STATUS_OK)
        return status;
    if (whole != NULL && !json_is_array(whole)) {
        json_decref(whole);
        return request_strange(shell, "it is no list");
    }
    *rows = whole != NULL ? whole : part;
    if (is_part != NULL)
        *is_part = whole == NULL;
    return SHELL_STATUS_OK;
}

static json_t *look_find(const json_t *rows, const char *field, const char *key)
{
    json_t *row, *found = NULL;
    size_t i, n = 0;
    json_array_foreach(rows, i, row)
    {
        const char *text = json_string_value(json_object_get(row, field));
        if (text == NULL || !str_starts_with(text, key))
            continue;
        if (strcmp(text, key) == 0)
            return row;
        found = row;
        n++;
    }
    return n == 1 ? found : NULL;
}

int look_row(struct shell *shell, struct client_path *path, const char *table, const char *field,
             const char *key, json_t **row)
{
    json_t *whole, *part;
    int status = look_get(shell, path, table, NULL, &whole, &part);
    if (status != SHELL_STATUS_OK)
        return status;
    if (whole != NULL && !json_is_string(json_object_get(whole, field))) {
        json_decref(whole);
        return request_strange(shell, "it has no such row");
    }
    *row = whole != NULL ? whole : json_incref(look_find(part, field, key));
    if (*row == NULL) {
        shell_error(shell, "%s is not among what is known there", key);
        status = SHELL_STATUS_FAILED;
    }
    json_decref(part);
    return status;
}

int look_list(struct shell *shell, struct client_path *path, const char *what,
              const struct column *columns)
{
    json_t *rows, *part;
    int status = look_get(shell, path, NULL, what, &rows, &part);
    if (status != SHELL_STATUS_OK)
        return status;
    if (json_is_array(rows))
        shell_print_rows(shell, columns, rows);
    else
        status = request_strange(shell, "it is no list");
    json_decref(rows);
    return status;
}
