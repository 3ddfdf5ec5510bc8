#include "shell/request.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"

enum { REQUEST_TELL_AFTER_MS = 400 }; /* why calls are being repeated */

struct request_wait {
    struct request_answer *answer;
    bool is_done;
};

static void request_on_done(void *arg, const struct client_reply *reply)
{
    struct request_wait *wait = arg;
    struct request_answer *answer = wait->answer;
    wait->is_done = true;
    answer->code = reply->code;
    answer->status = reply->status;
    answer->connected = reply->connected;
    (void)snprintf(answer->text, sizeof answer->text, "%s", reply->text);
    (void)snprintf(answer->hint, sizeof answer->hint, "%s", reply->hint);
    (void)snprintf(answer->etag, sizeof answer->etag, "%s", reply->etag);
    answer->json = json_incref(reply->json);
    answer->bytes = mem_dup(reply->bytes, reply->bytes_len + 1);
    answer->bytes_len = reply->bytes_len;
}

void request_run(struct shell *shell, const struct client_request *request,
                 struct request_answer *answer)
{
    *answer = (struct request_answer){.connected = true};
    struct request_wait wait = {.answer = answer};
    static const struct client_handler handler = {.done = request_on_done};
    struct error e = {0};
    struct client_call *call = client_start(shell->client, request, &handler, &wait, &e);
    if (call == NULL) {
        answer->code = e.code;
        (void)snprintf(answer->text, sizeof answer->text, "%s", e.text);
        return;
    }
    int64_t tell_ms = clock_mono_ms() + REQUEST_TELL_AFTER_MS;
    while (!wait.is_done) {
        bool is_late = clock_mono_ms() >= tell_ms;
        if (is_late && client_trouble(shell->client) != NULL)
            output_status(&shell->output, "%s; trying again", client_trouble(shell->client));
        shell_wait(shell, is_late ? INT64_MAX : tell_ms);
        if (!wait.is_done && shell_take_interrupt(shell)) {
            client_cancel(call);
            answer->code = ERR_CANCELLED;
            break;
        }
    }
    output_status_clear(&shell->output);
}

void request_answer_done(struct request_answer *answer)
{
    json_decref(answer->json);
    free(answer->bytes);
    answer->json = NULL;
    answer->bytes = NULL;
}

static int request_say(struct shell *shell, int code, unsigned http, bool connected,
                       const char *text, const char *hint)
{
    if (code == ERR_CANCELLED) {
        shell_error(shell, "interrupted");
        return SHELL_STATUS_INTERRUPTED;
    }
    shell_error(shell, "%s", text);
    shell_note_failure(shell, code, http);
    if (hint[0] != '\0')
        shell_hint(shell, "%s", hint);
    else if (code == ERR_OUTCOME_UNKNOWN)
        shell_hint(shell, "it may have been done: look before you repeat it");
    else if (!connected)
        shell_hint(shell, "is clusterd running there? -s ENDPOINT or CLUSTERSH_ENDPOINT names "
                          "another; clusterd dev starts one");
    else if (code == ERR_UNAUTHORIZED)
        shell_hint(shell, "--token-file FILE or CLUSTERSH_TOKEN gives the token, which is in "
                          "DATA/api.token of the node");
    else if (code == ERR_NO_LEADER)
        shell_hint(shell, "a majority of the voters must be up; node list shows them, "
                          "--consistency stale reads what this node knows");
    return connected ? SHELL_STATUS_FAILED : SHELL_STATUS_NO_CONNECTION;
}

int request_report(struct shell *shell, const struct request_answer *answer)
{
    return request_say(shell, answer->code, answer->status, answer->connected, answer->text,
                       answer->hint);
}

int request_report_reply(struct shell *shell, const struct client_reply *reply)
{
    return request_say(shell, reply->code, reply->status, reply->connected, reply->text,
                       reply->hint);
}

int request_strange(struct shell *shell, const char *what)
{
    shell_error(shell, "the answer of %s is not what this clustersh knows: %s",
                client_endpoint(shell->client), what);
    shell_note_failure(shell, ERR_PROTOCOL, 200);
    shell_hint(shell, "clustersh status and clustersh --version show which versions meet; the "
                      "older one is to be updated");
    return SHELL_STATUS_FAILED;
}

static int request_json(struct shell *shell, const struct client_request *request, json_t **json)
{
    struct request_answer answer;
    int status = shell_connect(shell);
    if (status != 0)
        return status;
    request_run(shell, request, &answer);
    if (answer.code == 0 && answer.json == NULL && json != NULL) {
        status = request_strange(shell, "it is empty");
    } else if (answer.code != 0)
        status = request_report(shell, &answer);
    else if (json != NULL)
        *json = json_incref(answer.json);
    request_answer_done(&answer);
    return status;
}

int request_get(struct shell *shell, struct client_path *path, json_t **json)
{
    (void)client_path_param(path, "consistency", shell->settings.consistency);
    return request_json(shell,
                        &CLIENT_REQUEST(.method = "GET", .path = path->text,
                                        .timeout_ms = SHELL_TIMEOUT_MS,
                                        .attempt_ms = SHELL_ATTEMPT_MS),
                        json);
}

int request_get_rows(struct shell *shell, struct client_path *path, json_t **rows)
{
    int status = request_get(shell, path, rows);
    if (status != SHELL_STATUS_OK || json_is_array(*rows))
        return status;
    json_decref(*rows);
    return request_strange(shell, "it is no list");
}

int request_change(struct shell *shell, const char *method, const char *path, json_t *body,
                   json_t **json)
{
    char *text = body != NULL ? json_dumps(body, JSON_COMPACT) : NULL;
    int status = request_json(shell,
                              &CLIENT_REQUEST(.method = method, .path = path, .data = text,
                                              .data_len = text != NULL ? strlen(text) : 0,
                                              .timeout_ms = SHELL_TIMEOUT_MS),
                              json);
    free(text);
    json_decref(body);
    return status;
}
