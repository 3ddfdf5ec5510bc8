/* One request and what becomes of it.
 *
 * Happy path: an easy handle for the current endpoint goes to libcurl; body bytes arrive in
 * client_call_on_body; client_call_finished reads the status and answers.
 *
 * Failures, in client_call_finished: not sent → next endpoint, then again after a pause; sent but
 * no whole answer → again only if it is repeatable and nothing was delivered; no_leader,
 * not_leader, busy → the cluster did nothing, again after a pause; outcome_unknown → again if
 * repeatable. retry_ms after the first failure the last one is the answer. */
#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/str.h"
#include "base/uuid.h"
#include "client/client_internal.h"

/* Answering */

static void client_call_detach(struct client_call *call)
{
    client_replay_answer_free(call->answer);
    call->answer = NULL;
    if (call->easy == NULL)
        return;
    (void)curl_multi_remove_handle(call->client->multi, call->easy);
    curl_easy_cleanup(call->easy);
    call->easy = NULL;
    curl_slist_free_all(call->headers);
    call->headers = NULL;
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

/* What libcurl asks and brings */

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

/* Whether the answer may go on. */
static bool client_call_take(struct client_call *call, long status, const char *bytes, size_t len)
{
    if (status >= 400 && call->body.len + len > CLIENT_ERROR_BYTES_MAX)
        return true;
    if (status >= 400 || !client_call_is_stream(call)) {
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

static size_t client_call_on_body(char *bytes, size_t size, size_t count, void *arg)
{
    struct client_call *call = arg;
    size_t len = size * count;
    long status = 0;
    if (call->state != CLIENT_CALL_RUNNING)
        return 0;
    if (call->paused)
        return CURL_WRITEFUNC_PAUSE;
    (void)curl_easy_getinfo(call->easy, CURLINFO_RESPONSE_CODE, &status);
    return client_call_take(call, status, bytes, len) ? len : 0;
}

static size_t client_call_on_header(char *line, size_t size, size_t count, void *arg)
{
    struct client_call *call = arg;
    size_t len = size * count;
    static const char name[] = "etag:";
    if (len <= sizeof name || strncasecmp(line, name, sizeof name - 1) != 0)
        return len;
    const char *from = line + sizeof name - 1;
    size_t n = len - (sizeof name - 1);
    while (n > 0 && strchr(" \t\"", from[0]) != NULL)
        from++, n--;
    while (n > 0 && strchr(" \t\"\r\n", from[n - 1]) != NULL)
        n--;
    if (n < sizeof call->etag) {
        memcpy(call->etag, from, n);
        call->etag[n] = '\0';
    }
    return len;
}

static size_t client_call_on_read(char *to, size_t size, size_t count, void *arg)
{
    struct client_call *call = arg;
    uint64_t left = call->fd_bytes - call->fd_sent;
    size_t max = size * count < left ? size * count : (size_t)left;
    ssize_t n = max == 0 ? 0 : pread(call->fd, to, max, (off_t)call->fd_sent);
    if (n < 0 || (n == 0 && max > 0))
        return CURL_READFUNC_ABORT;
    call->fd_sent += (uint64_t)n;
    return (size_t)n;
}

static int client_call_on_seek(void *arg, curl_off_t offset, int origin)
{
    struct client_call *call = arg;
    if (origin != SEEK_SET || offset < 0)
        return CURL_SEEKFUNC_FAIL;
    call->fd_sent = (uint64_t)offset;
    return CURL_SEEKFUNC_OK;
}

/* Launching */

static void client_call_add_header(struct client_call *call, const char *name, const char *value)
{
    /* "Name:" alone keeps libcurl from adding its own. */
    char *line = mem_printf("%s:%s%s", name, value[0] != '\0' ? " " : "", value);
    struct curl_slist *longer = curl_slist_append(call->headers, line);
    if (longer == NULL)
        abort();
    call->headers = longer;
    free(line);
}

static void client_call_set_body(struct client_call *call)
{
    if (call->fd >= 0) {
        call->fd_sent = 0;
        (void)curl_easy_setopt(call->easy, CURLOPT_UPLOAD, 1L);
        (void)curl_easy_setopt(call->easy, CURLOPT_READFUNCTION, client_call_on_read);
        (void)curl_easy_setopt(call->easy, CURLOPT_READDATA, call);
        (void)curl_easy_setopt(call->easy, CURLOPT_SEEKFUNCTION, client_call_on_seek);
        (void)curl_easy_setopt(call->easy, CURLOPT_SEEKDATA, call);
        (void)curl_easy_setopt(call->easy, CURLOPT_INFILESIZE_LARGE, (curl_off_t)call->fd_bytes);
    } else if (call->data != NULL || strcmp(call->method, "POST") == 0 ||
               strcmp(call->method, "PUT") == 0) {
        (void)curl_easy_setopt(call->easy, CURLOPT_POSTFIELDS,
                               call->data != NULL ? (const char *)call->data : "");
        (void)curl_easy_setopt(call->easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)call->data_len);
    }
    if (strcmp(call->method, "GET") != 0) {
        bool has_body = call->fd >= 0 || call->data != NULL;
        (void)curl_easy_setopt(call->easy, CURLOPT_CUSTOMREQUEST, call->method);
        client_call_add_header(call, "Content-Type", has_body ? call->content_type : "");
        client_call_add_header(call, "Expect", "");
    }
}

static void client_call_set_endpoint(struct client_call *call,
                                     const struct client_endpoint *endpoint)
{
    const struct client *client = call->client;
    char *url = mem_printf("%s%s", endpoint->base_url, call->path);
    (void)curl_easy_setopt(call->easy, CURLOPT_URL, url);
    free(url);
    if (endpoint->scheme == CLIENT_SCHEME_UNIX) {
        (void)curl_easy_setopt(call->easy, CURLOPT_UNIX_SOCKET_PATH, endpoint->socket_path);
        return;
    }
    if (client->token != NULL) {
        char *value = mem_printf("Bearer %s", client->token);
        client_call_add_header(call, "Authorization", value);
        free(value);
    }
    if (client->ca_file != NULL)
        (void)curl_easy_setopt(call->easy, CURLOPT_CAINFO, client->ca_file);
    if (client->cert_file != NULL)
        (void)curl_easy_setopt(call->easy, CURLOPT_SSLCERT, client->cert_file);
    if (client->key_file != NULL)
        (void)curl_easy_setopt(call->easy, CURLOPT_SSLKEY, client->key_file);
}

void client_call_launch(struct client_call *call)
{
    struct client *client = call->client;
    assert(call->easy == NULL && call->answer == NULL);
    call->endpoint = client->current;
    call->state = CLIENT_CALL_RUNNING;
    if (client->replay != NULL) {
        call->attempt_until_ms = INT64_MAX;
        call->answer = client_replay_ask(client->replay, call->method, call->path);
        return;
    }
    call->easy = curl_easy_init();
    if (call->easy == NULL)
        abort();
    bool may_abandon = call->attempt_ms > 0 && call->repeatable && client->n_endpoints > 1;
    call->attempt_until_ms = may_abandon ? clock_mono_ms() + (int64_t)call->attempt_ms : INT64_MAX;
    call->data_code = 0;
    call->etag[0] = '\0';
    call->curl_text[0] = '\0';
    buf_clear(&call->body);

    CURL *easy = call->easy;
    (void)curl_easy_setopt(easy, CURLOPT_PRIVATE, (char *)call);
    (void)curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, call->curl_text);
    (void)curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    (void)curl_easy_setopt(easy, CURLOPT_NOPROXY, "*");
    (void)curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
    (void)curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    (void)curl_easy_setopt(easy, CURLOPT_TCP_KEEPALIVE, 1L);
    (void)curl_easy_setopt(easy, CURLOPT_BUFFERSIZE, 128L * 1024);
    (void)curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, (long)client->connect_timeout_ms);
    (void)curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, client_call_on_body);
    (void)curl_easy_setopt(easy, CURLOPT_WRITEDATA, call);
    (void)curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, client_call_on_header);
    (void)curl_easy_setopt(easy, CURLOPT_HEADERDATA, call);
    client_call_set_endpoint(call, &client->endpoints[call->endpoint]);
    client_call_set_body(call);
    if (call->idempotency_key != NULL)
        client_call_add_header(call, "Idempotency-Key", call->idempotency_key);
    (void)curl_easy_setopt(easy, CURLOPT_HTTPHEADER, call->headers);
    if (curl_multi_add_handle(client->multi, easy) != CURLM_OK)
        abort();
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

/* libcurl speaks of port 80 of localhost where it means a Unix socket. */
static const char *client_call_why(const struct client_call *call, CURLcode rc)
{
    const struct client_endpoint *endpoint = &call->client->endpoints[call->endpoint];
    if (endpoint->scheme == CLIENT_SCHEME_UNIX && rc == CURLE_COULDNT_CONNECT) {
        if (access(endpoint->socket_path, W_OK) != 0)
            return strerror(errno);
        return "nobody listens there";
    }
    return call->curl_text[0] != '\0' ? call->curl_text : curl_easy_strerror(rc);
}

static void client_call_unreachable(struct client_call *call, CURLcode rc)
{
    struct client *client = call->client;
    const char *text = client_call_why(call, rc);
    const struct client_endpoint *endpoint = &client->endpoints[call->endpoint];
    char *why = mem_printf("no connection to %s: %s", endpoint->text, text);

    client_call_next_endpoint(call);
    bool round_is_over = ++call->tried >= client->n_endpoints;
    bool may_wait = client->ever_connected || client->retry_first;
    bool is_hopeless = rc == CURLE_PEER_FAILED_VERIFICATION || rc == CURLE_SSL_CERTPROBLEM ||
                       rc == CURLE_SSL_CACERT_BADFILE;
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

/* The connection ended after the request had left and before the answer was whole. */
static void client_call_broken(struct client_call *call, CURLcode rc)
{
    const char *text = call->curl_text[0] != '\0' ? call->curl_text : curl_easy_strerror(rc);
    const char *endpoint = call->client->endpoints[call->endpoint].text;
    int code = call->repeatable ? ERR_UNAVAILABLE : ERR_OUTCOME_UNKNOWN;
    char *why =
        call->data_code != 0 ? mem_printf("the answer of %s is too large", endpoint)
        : rc == CURLE_OPERATION_TIMEDOUT
            ? mem_printf("no answer from %s: it hangs, or waits for a majority of the nodes",
                         endpoint)
            : mem_printf("the connection to %s broke: %s", endpoint, text);
    if (call->data_code == 0) {
        client_call_next_endpoint(call);
        call->client->connected = false;
    }
    if (call->data_code != 0)
        client_call_fail(call, call->data_code, why);
    else if (!call->repeatable || call->delivered || !client_call_again(call, false, why))
        client_call_fail(call, code, why);
    free(why);
}

void client_call_late(struct client_call *call)
{
    bool is_unknown = call->easy != NULL && !call->repeatable;
    char *why = mem_printf("no answer in time from %s",
                           call->client->endpoints[call->client->current].text);
    client_call_fail(call, is_unknown ? ERR_OUTCOME_UNKNOWN : ERR_TIMEOUT, why);
    free(why);
}

void client_call_abandon(struct client_call *call)
{
    long status = 0;
    (void)curl_easy_getinfo(call->easy, CURLINFO_RESPONSE_CODE, &status);
    call->attempt_until_ms = INT64_MAX;
    if (status != 0)
        return;
    client_call_broken(call, CURLE_OPERATION_TIMEDOUT);
}

/* Answers */

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
    (void)snprintf(plain, sizeof plain, "the node answered with HTTP status %u", reply->status);
    reply->code = name != NULL ? err_from_name(name) : client_call_code_of_status(reply->status);
    if (reply->code == 0)
        reply->code = ERR_INTERNAL;
    reply->text = text != NULL && text[0] != '\0' ? text : plain;
    reply->hint = hint != NULL ? hint : "";

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
    char why[ERROR_TEXT_MAX];
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
        if (json == NULL) {
            (void)snprintf(why, sizeof why, "the answer of %s is not JSON: %s",
                           client_endpoint(call->client), where.text);
            reply->code = ERR_PROTOCOL;
            reply->text = why;
        }
        reply->json = json;
    }
    client_call_answer(call, reply);
    json_decref(json);
}

/* The whole answer has come. */
static void client_call_answered(struct client_call *call, unsigned status)
{
    struct client *client = call->client;
    client->current = call->endpoint;
    client->connected = client->ever_connected = true;
    client->trouble[0] = '\0';
    call->tried = 0;
    struct client_reply reply = {
        .status = status,
        .connected = true,
        .text = "",
        .hint = "",
        .etag = call->etag,
        .bytes = "",
    };
    if (status >= 400)
        client_call_refused(call, &reply);
    else
        client_call_succeeded(call, &reply);
}

void client_call_replay(struct client_call *call)
{
    struct buf piece;
    buf_init(&piece, CLIENT_REPLY_BYTES_MAX);
    unsigned status = client_replay_status(call->answer);
    bool has_more = client_replay_next(call->answer, &piece);
    bool goes_on =
        piece.len == 0 || client_call_take(call, status, (const char *)piece.data, piece.len);
    buf_done(&piece);
    if (call->data_code != 0)
        client_call_fail(call, call->data_code, "an answer of the replay is too large");
    else if (goes_on && !has_more)
        client_call_answered(call, status);
}

void client_call_finished(struct client_call *call, CURLcode rc)
{
    long status = 0;
    long request_bytes = 0;
    (void)curl_easy_getinfo(call->easy, CURLINFO_RESPONSE_CODE, &status);
    (void)curl_easy_getinfo(call->easy, CURLINFO_REQUEST_SIZE, &request_bytes);
    if (rc != CURLE_OK && request_bytes == 0) {
        client_call_unreachable(call, rc);
        return;
    }
    if (rc != CURLE_OK) {
        client_call_broken(call, rc);
        return;
    }
    client_call_answered(call, (unsigned)status);
}
