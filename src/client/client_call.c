/* One request and what becomes of it, whichever way it travels.
 *
 * Happy path: the call goes to the transport of the current endpoint; body bytes arrive in
 * client_call_take; client_call_answered reads the status and answers.
 *
 * Failures: not sent → next endpoint, then again after a pause; sent but
 * no whole answer → again only if it is repeatable and nothing was delivered; no_leader,
 * not_leader, busy → the cluster did nothing, again after a pause; outcome_unknown → again if
 * repeatable. retry_ms after the first failure the last one is the answer. */
#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/str.h"
#include "base/uuid.h"
#include "client/client_internal.h"

/* Answering */

/* Has client_fd() become readable with the descriptor that a replay's answer waits for. */
static void client_call_watch(struct client_call *call, int fd)
{
    struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};
    int epoll_fd = call->client->epoll_fd;
    if (fd == call->watched_fd)
        return;
    if (call->watched_fd >= 0)
        (void)epoll_ctl(epoll_fd, EPOLL_CTL_DEL, call->watched_fd, NULL);
    if (fd >= 0 && epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event) != 0)
        fd = -1;
    call->watched_fd = fd;
}

static void client_call_detach(struct client_call *call)
{
    client_call_watch(call, -1);
    client_replay_answer_free(call->answer);
    call->answer = NULL;
    client_http_detach(call);
    client_curl_detach(call);
}

static void client_call_answer(struct client_call *call, const struct client_reply *reply)
{
    call->state = CLIENT_CALL_DONE;
    call->handler.done(call->arg, reply);
    client_call_detach(call);
}

void client_call_fail(struct client_call *call, int code, const char *text)
{
    struct client_reply reply = {
        .code = code,
        .connected = call->client->connected,
        .text = text,
        .hint = "",
        .etag = "",
        .partial = "",
        .bytes = "",
    };
    client_call_answer(call, &reply);
}

void client_call_free(struct client_call *call)
{
    client_call_detach(call);
    TAILQ_REMOVE(&call->client->calls, call, entry);
    call->client->n_calls--;
    buf_done(&call->body);
    free(call->method);
    free(call->path);
    free(call->data);
    free(call->content_type);
    free(call->idempotency_key);
    free(call);
}

/* What a transport brings */

static bool client_call_is_stream(const struct client_call *call)
{
    return call->body_kind == CLIENT_BODY_BYTES || call->body_kind == CLIENT_BODY_LINES;
}

static int client_call_deliver_lines(struct client_call *call, const char *bytes, size_t len)
{
    while (len > 0 && call->state == CLIENT_CALL_RUNNING) {
        const char *end = memchr(bytes, '\n', len);
        size_t n = end != NULL ? (size_t)(end - bytes) : len;
        if (end != NULL && call->body.len == 0) {
            call->handler.data(call->arg, bytes, n);
        } else {
            int rc = buf_append(&call->body, bytes, n);
            if (rc != 0)
                return rc;
            if (end != NULL) {
                call->handler.data(call->arg, buf_cstr(&call->body), call->body.len);
                buf_clear(&call->body);
            }
        }
        n += end != NULL;
        bytes += n;
        len -= n;
    }
    return 0;
}

bool client_call_take(struct client_call *call, const char *bytes, size_t len)
{
    if (call->status >= 400 && call->body.len + len > CLIENT_ERROR_BYTES_MAX)
        return true;
    if (call->status >= 400 || !client_call_is_stream(call)) {
        call->data_code = buf_append(&call->body, bytes, len);
    } else if (call->body_kind == CLIENT_BODY_BYTES) {
        call->delivered = true;
        call->handler.data(call->arg, bytes, len);
    } else {
        call->delivered = true;
        call->data_code = client_call_deliver_lines(call, bytes, len);
    }
    return call->data_code == 0 && call->state == CLIENT_CALL_RUNNING;
}

/* The value of the header `name` ("x:") without quotes, if the line is that one and it fits. */
static void client_call_take_header(const char *line, size_t len, const char *name, char *to,
                                    size_t size)
{
    size_t name_len = strlen(name);
    if (len <= name_len || strncasecmp(line, name, name_len) != 0)
        return;
    const char *from = line + name_len;
    size_t n = len - name_len;
    while (n > 0 && strchr(" \t\"", from[0]) != NULL)
        from++, n--;
    while (n > 0 && strchr(" \t\"\r\n", from[n - 1]) != NULL)
        n--;
    if (n < size) {
        memcpy(to, from, n);
        to[n] = '\0';
    }
}

void client_call_header(struct client_call *call, const char *line, size_t len)
{
    client_call_take_header(line, len, "etag:", call->etag, sizeof call->etag);
    client_call_take_header(line, len, "clusterd-partial:", call->partial, sizeof call->partial);
    client_call_take_header(line, len, "content-type:", call->type, sizeof call->type);
}

/* Launching */

/* A line break in it would be another header. */
static bool client_call_is_one_line(const char *text)
{
    for (; text != NULL && *text != '\0'; text++)
        if ((unsigned char)*text < ' ' || *text == 0x7f)
            return false;
    return true;
}

void client_call_launch(struct client_call *call)
{
    struct client *client = call->client;
    const struct client_endpoint *endpoint = &client->endpoints[client->current];
    assert(call->easy == NULL && call->answer == NULL && call->http == NULL);
    call->endpoint = client->current;
    call->state = CLIENT_CALL_RUNNING;
    bool may_abandon = call->attempt_ms > 0 && call->repeatable && client->n_endpoints > 1;
    call->attempt_until_ms = may_abandon ? clock_mono_ms() + (int64_t)call->attempt_ms : INT64_MAX;
    call->data_code = 0;
    call->status = 0;
    call->etag[0] = '\0';
    call->partial[0] = '\0';
    call->type[0] = '\0';
    buf_clear(&call->body);
    if (!client_call_is_one_line(call->idempotency_key))
        client_call_fail(call, ERR_INVALID,
                         "an idempotency key is one line without control characters");
    else if (client->replay != NULL)
        call->answer =
            client_replay_ask(client->replay, call->method, call->path, call->data, call->data_len);
    else if (endpoint->scheme == CLIENT_SCHEME_UNIX)
        client_http_launch(call, endpoint);
    else
        client_curl_launch(call, endpoint);
}

/* Trying again */

/* Full jitter keeps many consoles from coming back in step. */
static int64_t client_call_next_pause_ms(struct client_call *call)
{
    uint32_t random;
    random_bytes(&random, sizeof random);
    unsigned pause_ms = call->pause_ms / 2 + random % (call->pause_ms / 2 + 1);
    call->pause_ms =
        call->pause_ms * 2 < CLIENT_PAUSE_MAX_MS ? call->pause_ms * 2 : CLIENT_PAUSE_MAX_MS;
    return pause_ms;
}

static void client_call_next_endpoint(struct client_call *call)
{
    struct client *client = call->client;
    if (call->endpoint != client->current)
        return;
    do
        client->current = (client->current + 1) % client->n_endpoints;
    while (client->unusable[client->current] && client->current != call->endpoint);
}

/* Puts the call back to be launched again. False when its time for that is over. */
static bool client_call_again(struct client_call *call, bool at_once, const char *why)
{
    struct client *client = call->client;
    int64_t now_ms = clock_mono_ms();
    if (call->retry_until_ms == 0)
        call->retry_until_ms = now_ms + client->retry_ms;
    int64_t due_ms = at_once ? now_ms : now_ms + client_call_next_pause_ms(call);
    if (due_ms > call->retry_until_ms)
        return false;
    client_call_detach(call);
    call->state = CLIENT_CALL_WAITING;
    call->due_ms = due_ms;
    if (!at_once)
        (void)snprintf(client->trouble, sizeof client->trouble, "%s", why);
    return true;
}

void client_call_unreachable(struct client_call *call, const char *text, bool is_hopeless)
{
    struct client *client = call->client;
    const struct client_endpoint *endpoint = &client->endpoints[call->endpoint];
    char *why = mem_printf("no connection to %s: %s", endpoint->text, text);

    client_call_next_endpoint(call);
    bool round_is_over = ++call->tried >= client->n_endpoints;
    bool may_wait = client->ever_connected || client->retry_first;
    if (round_is_over) {
        call->tried = 0;
        client->connected = false;
    }
    if ((round_is_over && (!may_wait || is_hopeless)) ||
        !client_call_again(call, !round_is_over, why)) {
        client->connected = false;
        client->trouble[0] = '\0';
        client_call_fail(call, ERR_UNAVAILABLE, why);
    }
    free(why);
}

/* What `why` says; it is repeated where that does no harm. */
static void client_call_lost(struct client_call *call, const char *why)
{
    int code = call->repeatable ? ERR_UNAVAILABLE : ERR_OUTCOME_UNKNOWN;
    client_call_next_endpoint(call);
    call->client->connected = false;
    if (!call->repeatable || call->delivered || !client_call_again(call, false, why))
        client_call_fail(call, code, why);
}

void client_call_broken(struct client_call *call, const char *text)
{
    const char *endpoint = call->client->endpoints[call->endpoint].text;
    char *why = call->data_code != 0 ? mem_printf("the answer of %s is too large", endpoint)
                                     : mem_printf("the connection to %s broke: %s", endpoint, text);
    if (call->data_code != 0)
        client_call_fail(call, call->data_code, why);
    else
        client_call_lost(call, why);
    free(why);
}

void client_call_late(struct client_call *call)
{
    bool is_unknown = (call->easy != NULL || call->http != NULL) && !call->repeatable;
    char *why = mem_printf("no answer in time from %s",
                           call->client->endpoints[call->client->current].text);
    client_call_fail(call, is_unknown ? ERR_OUTCOME_UNKNOWN : ERR_TIMEOUT, why);
    free(why);
}

void client_call_abandon(struct client_call *call)
{
    call->attempt_until_ms = INT64_MAX;
    if (call->status != 0)
        return;
    char *why = mem_printf("no answer from %s: it hangs, or waits for a majority of the nodes",
                           call->client->endpoints[call->endpoint].text);
    client_call_lost(call, why);
    free(why);
}

/* Answers */

static const char client_call_foreign_hint[] =
    "is that the API of a node, and of this version? -s ENDPOINT names another";
static const char client_call_version_hint[] =
    "the node is of another version than this program: clustersh status and clustersh --version "
    "show both, the older one is to be updated";

/* No node says this of a path that it has. */
static bool client_call_is_unknown_path(unsigned status, const char *hint)
{
    return status == 405 ||
           (status == 404 && hint != NULL && strcmp(hint, "docs/api.md lists the paths") == 0);
}

/* What answered is no node as we know them. */
static void client_call_foreign(struct client_call *call, struct client_reply *reply,
                                const char *what)
{
    char text[ERROR_TEXT_MAX];
    (void)snprintf(text, sizeof text,
                   "what answers at %s is no clusterd that this program knows: %s",
                   client_endpoint(call->client), what);
    reply->code = ERR_PROTOCOL;
    reply->text = text;
    reply->hint = client_call_foreign_hint;
    client_call_answer(call, reply);
}

static int client_call_code_of_status(long status)
{
    switch (status) {
    case 401:
        return ERR_UNAUTHORIZED;
    case 403:
        return ERR_FORBIDDEN;
    case 404:
        return ERR_NOT_FOUND;
    case 409:
        return ERR_CONFLICT;
    case 413:
        return ERR_TOO_LARGE;
    case 503:
        return ERR_UNAVAILABLE;
    case 504:
        return ERR_TIMEOUT;
    default:
        return status < 500 ? ERR_INVALID : ERR_INTERNAL;
    }
}

static void client_call_refused(struct client_call *call, struct client_reply *reply)
{
    struct client *client = call->client;
    json_t *body = json_loadb((const char *)call->body.data, call->body.len, JSON_ALLOW_NUL, NULL);
    const json_t *error = json_object_get(body, "error");
    const char *name = json_string_value(json_object_get(error, "code"));
    const char *text = json_string_value(json_object_get(error, "message"));
    const char *hint = json_string_value(json_object_get(error, "hint"));
    char plain[64];
    (void)snprintf(plain, sizeof plain, "HTTP status %u", reply->status);
    if (name == NULL && text == NULL && reply->status < 500 && reply->status != 401) {
        json_decref(body);
        client_call_foreign(call, reply, plain);
        return;
    }
    (void)snprintf(plain, sizeof plain, "the node answered with HTTP status %u", reply->status);
    reply->code = name != NULL ? err_from_name(name) : client_call_code_of_status(reply->status);
    if (reply->code == 0)
        reply->code = ERR_INTERNAL;
    reply->text = text != NULL && text[0] != '\0' ? text : plain;
    reply->hint = client_call_is_unknown_path(reply->status, hint) ? client_call_version_hint
                  : hint != NULL                                   ? hint
                                                                   : "";

    bool is_undone = reply->code == ERR_NO_LEADER || reply->code == ERR_NOT_LEADER ||
                     (reply->code == ERR_BUSY && reply->status == 503);
    bool is_unknown = reply->code == ERR_OUTCOME_UNKNOWN && call->repeatable;
    bool is_stranger = reply->status == 401 && client->learned[call->endpoint];
    client->unusable[call->endpoint] = is_stranger;
    if (is_undone || is_stranger)
        client_call_next_endpoint(call);
    bool wants_again = is_undone || is_unknown || is_stranger;
    if (!wants_again || !client_call_again(call, false, reply->text))
        client_call_answer(call, reply);
    json_decref(body);
}

static void client_call_succeeded(struct client_call *call, struct client_reply *reply)
{
    json_error_t where;
    json_t *json = NULL;
    if (strncasecmp(call->type, "text/html", strlen("text/html")) == 0) {
        client_call_foreign(call, reply, "a page of the web");
        return;
    }
    if (call->body_kind == CLIENT_BODY_LINES && call->body.len > 0) {
        call->handler.data(call->arg, buf_cstr(&call->body), call->body.len);
        if (call->state != CLIENT_CALL_RUNNING)
            return;
    } else if (call->body_kind == CLIENT_BODY_WHOLE) {
        reply->bytes = buf_cstr(&call->body);
        reply->bytes_len = call->body.len;
    } else if (call->body_kind == CLIENT_BODY_JSON && call->body.len > 0) {
        json = json_loadb((const char *)call->body.data, call->body.len,
                          JSON_DECODE_ANY | JSON_ALLOW_NUL, &where);
        if (!json_is_object(json) && !json_is_array(json)) {
            client_call_foreign(call, reply,
                                json == NULL ? "an answer that is not JSON"
                                             : "an answer that is neither an object nor a list");
            json_decref(json);
            return;
        }
        reply->json = json;
    }
    client_call_answer(call, reply);
    json_decref(json);
}

void client_call_answered(struct client_call *call)
{
    struct client *client = call->client;
    client->current = call->endpoint;
    client->connected = client->ever_connected = true;
    client->trouble[0] = '\0';
    call->tried = 0;
    struct client_reply reply = {
        .status = call->status,
        .connected = true,
        .text = "",
        .hint = "",
        .etag = call->etag,
        .partial = call->partial,
        .bytes = "",
    };
    if (call->status >= 400)
        client_call_refused(call, &reply);
    else
        client_call_succeeded(call, &reply);
}

void client_call_replay(struct client_call *call)
{
    struct buf piece;
    buf_init(&piece, CLIENT_REPLY_BYTES_MAX);
    call->status = client_replay_status(call->answer);
    client_call_watch(call, -1); /* its descriptor may be gone after the next piece */
    bool has_more = client_replay_next(call->answer, &piece);
    bool goes_on = piece.len == 0 || client_call_take(call, (const char *)piece.data, piece.len);
    buf_done(&piece);
    if (call->data_code != 0)
        client_call_fail(call, call->data_code, "an answer of the replay is too large");
    else if (goes_on && !has_more)
        client_call_answered(call);
    else if (goes_on)
        client_call_watch(call, client_replay_fd(call->answer));
}
