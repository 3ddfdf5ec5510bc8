/* The client's descriptor is an epoll set that holds the sockets and one timer.
 *
 * client_start() queues a call and sets the timer. client_dispatch() tells the transports
 * which sockets are ready, answers what they finished, launches what is due, frees what was
 * cancelled, and sets the timer to the next thing that is due. Failures of a call are
 * client_call.c's. */
#include "client/client.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/str.h"
#include "base/uuid.h"
#include "client/client_internal.h"
#include "client/client_token.h"

enum {
    CLIENT_EVENTS_MAX = 64,
    CLIENT_CONNECT_TIMEOUT_MS = 3000,
    CLIENT_RETRY_MS = 10000,
};

static int client_add_endpoint(struct client *client, const struct client_endpoint *endpoint)
{
    for (size_t i = 0; i < client->n_endpoints; i++) {
        if (strcmp(client->endpoints[i].text, endpoint->text) == 0)
            return 0;
    }
    if (client->n_endpoints == CLIENT_ENDPOINTS_MAX)
        return ERR_TOO_LARGE;
    client->endpoints[client->n_endpoints++] = *endpoint;
    return 0;
}

static int client_add_endpoints(struct client *client, const char *list, struct error *e)
{
    char *copy = mem_strdup(list);
    char *rest = copy;
    char *item;
    int rc = 0;
    while (rc == 0 && (item = strsep(&rest, ",")) != NULL) {
        struct client_endpoint endpoint;
        if (item[0] == '\0')
            continue;
        rc = client_endpoint_parse(item, &endpoint, e);
        if (rc == 0)
            rc = client_add_endpoint(client, &endpoint);
    }
    free(copy);
    if (rc == 0 && client->n_endpoints == 0)
        return error_set(e, ERR_INVALID, "endpoint \"%s\": it is empty", list);
    return rc;
}

/* A replay stands where an endpoint would. */
static int client_set_up_replay(struct client *client, struct client_replay *replay)
{
    struct client_endpoint *endpoint = &client->endpoints[client->n_endpoints++];
    (void)snprintf(endpoint->text, sizeof endpoint->text, "replay:%s", client_replay_path(replay));
    client->replay = replay;
    client->connected = client->ever_connected = true;
    return 0;
}

static int client_set_up(struct client *client, const struct client_options *options,
                         struct error *e)
{
    if (options->replay != NULL)
        return client_set_up_replay(client, options->replay);
    char *list =
        options->endpoints != NULL ? mem_strdup(options->endpoints) : client_endpoint_default(e);
    if (list == NULL)
        return ERR_NOT_FOUND;
    int rc = client_add_endpoints(client, list, e);
    free(list);
    if (rc == 0)
        rc = client_token_find(options->token, options->token_file, client->endpoints,
                               client->n_endpoints, &client->token, e);
    return rc;
}

int client_open(const struct client_options *options, struct client **client, struct error *e)
{
    struct client *c = mem_zalloc(sizeof *c);
    TAILQ_INIT(&c->calls);
    TAILQ_INIT(&c->https);
    c->epoll_fd = c->timer_fd = -1;
    c->curl_due_ms = INT64_MAX;
    c->ca_file = mem_strdup(options->ca_file);
    c->cert_file = mem_strdup(options->cert_file);
    c->key_file = mem_strdup(options->key_file);
    c->connect_timeout_ms =
        options->connect_timeout_ms != 0 ? options->connect_timeout_ms : CLIENT_CONNECT_TIMEOUT_MS;
    c->retry_ms = options->retry_ms != 0 ? options->retry_ms : CLIENT_RETRY_MS;
    c->retry_first = options->retry_first;

    int rc = client_set_up(c, options, e);
    if (rc != 0)
        goto fail;
    c->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    c->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
    struct epoll_event event = {.events = EPOLLIN, .data.fd = c->timer_fd};
    if (c->epoll_fd < 0 || c->timer_fd < 0 ||
        epoll_ctl(c->epoll_fd, EPOLL_CTL_ADD, c->timer_fd, &event) != 0) {
        rc = error_set(e, -errno, "client: %s", strerror(errno));
        goto fail;
    }
    *client = c;
    return 0;
fail:
    client_close(c);
    return rc;
}

void client_close(struct client *client)
{
    if (client == NULL)
        return;
    assert(!client->dispatching);
    struct client_call *call;
    while ((call = TAILQ_FIRST(&client->calls)) != NULL)
        client_call_free(call);
    client_curl_close(client);
    client_http_close(client);
    if (client->epoll_fd >= 0)
        (void)close(client->epoll_fd);
    if (client->timer_fd >= 0)
        (void)close(client->timer_fd);
    free(client->token);
    free(client->ca_file);
    free(client->cert_file);
    free(client->key_file);
    free(client);
}

/* Dispatch */

static void client_set_timer(struct client *client)
{
    int64_t due_ms = client->curl_due_ms;
    struct client_call *call;
    TAILQ_FOREACH (call, &client->calls, entry) {
        if (call->state == CLIENT_CALL_WAITING && call->due_ms < due_ms)
            due_ms = call->due_ms;
        if (call->answer != NULL && client_replay_fd(call->answer) == CLIENT_REPLAY_READY)
            due_ms = 0;
        if (call->answer != NULL && client_replay_due_ms(call->answer) < due_ms)
            due_ms = client_replay_due_ms(call->answer);
        if (call->deadline_ms < due_ms)
            due_ms = call->deadline_ms;
        if (call->state == CLIENT_CALL_RUNNING && call->attempt_until_ms < due_ms)
            due_ms = call->attempt_until_ms;
    }
    struct itimerspec at = {0};
    if (due_ms != INT64_MAX) {
        int64_t past_ms = due_ms < 1 ? 1 : due_ms;
        at.it_value.tv_sec = past_ms / 1000;
        at.it_value.tv_nsec = past_ms % 1000 * 1000000;
    }
    (void)timerfd_settime(client->timer_fd, TFD_TIMER_ABSTIME, &at, NULL);
}

static void client_poll_sockets(struct client *client)
{
    struct epoll_event events[CLIENT_EVENTS_MAX];
    int n = epoll_wait(client->epoll_fd, events, CLIENT_EVENTS_MAX, 0);
    for (int i = 0; i < n; i++) {
        uint64_t expirations;
        if (events[i].data.fd == client->timer_fd) {
            (void)!read(client->timer_fd, &expirations, sizeof expirations);
            continue;
        }
        if (!client_http_ready(client, events[i].data.fd, events[i].events) &&
            client->multi != NULL)
            client_curl_ready(client, events[i].data.fd, events[i].events);
    }
}

static void client_run_calls(struct client *client)
{
    int64_t now_ms = clock_mono_ms();
    struct client_call *call;
    struct client_call *next;
    for (call = TAILQ_FIRST(&client->calls); call != NULL; call = next) {
        next = TAILQ_NEXT(call, entry);
        bool is_live = call->state == CLIENT_CALL_WAITING || call->state == CLIENT_CALL_RUNNING;
        if (is_live && call->deadline_ms <= now_ms) {
            client_call_late(call);
        } else if (call->state == CLIENT_CALL_WAITING && call->due_ms <= now_ms) {
            client_call_launch(call);
        } else if (call->answer != NULL) {
            client_call_replay(call);
        } else if (call->state == CLIENT_CALL_RUNNING && call->attempt_until_ms <= now_ms) {
            client_call_abandon(call);
        }
    }
    for (call = TAILQ_FIRST(&client->calls); call != NULL; call = next) {
        next = TAILQ_NEXT(call, entry);
        if (call->state == CLIENT_CALL_CANCELLED || call->state == CLIENT_CALL_DONE)
            client_call_free(call);
    }
}

void client_dispatch(struct client *client)
{
    assert(!client->dispatching);
    client->dispatching = true;
    client_poll_sockets(client);
    client_curl_work(client);
    client_run_calls(client);
    client->dispatching = false;
    client_set_timer(client);
}

int client_fd(const struct client *client)
{
    return client->epoll_fd;
}

/* Calls */

struct client_call *client_start(struct client *client, const struct client_request *request,
                                 const struct client_handler *handler, void *arg, struct error *e)
{
    assert(handler->done != NULL);
    bool is_stream = request->body == CLIENT_BODY_BYTES || request->body == CLIENT_BODY_LINES;
    assert(!is_stream || handler->data != NULL);
    if (client->n_calls == CLIENT_CALLS_MAX) {
        (void)error_set(e, ERR_BUSY, "%d requests are under way already", CLIENT_CALLS_MAX);
        return NULL;
    }
    struct client_call *call = mem_zalloc(sizeof *call);
    call->client = client;
    call->state = CLIENT_CALL_WAITING;
    call->watched_fd = -1;
    call->handler = *handler;
    call->arg = arg;
    call->method = mem_strdup(request->method);
    call->path = mem_strdup(request->path);
    call->data = request->data != NULL ? mem_dup(request->data, request->data_len) : NULL;
    call->data_len = request->data_len;
    call->fd = request->from_fd ? request->fd : -1;
    call->fd_bytes = request->fd_bytes;
    call->content_type =
        mem_strdup(request->content_type != NULL ? request->content_type : "application/json");
    call->repeatable = request->repeatable || request->idempotency_key != NULL ||
                       strcmp(request->method, "GET") == 0;
    if (request->idempotency_key != NULL) {
        call->idempotency_key = mem_strdup(request->idempotency_key);
    } else if (strcmp(request->method, "POST") == 0) {
        struct uuid id;
        char text[UUID_TEXT_MAX];
        uuid_generate(&id);
        call->idempotency_key = mem_strdup(uuid_format(&id, text));
    }
    call->body_kind = request->body;
    call->attempt_ms = request->attempt_ms;
    buf_init(&call->body, is_stream ? CLIENT_LINE_BYTES_MAX : CLIENT_REPLY_BYTES_MAX);
    call->deadline_ms =
        request->timeout_ms != 0 ? clock_mono_ms() + (int64_t)request->timeout_ms : INT64_MAX;
    call->pause_ms = CLIENT_PAUSE_FIRST_MS;
    TAILQ_INSERT_TAIL(&client->calls, call, entry);
    client->n_calls++;
    if (!client->dispatching)
        client_set_timer(client);
    return call;
}

void client_cancel(struct client_call *call)
{
    assert(call->state == CLIENT_CALL_WAITING || call->state == CLIENT_CALL_RUNNING);
    struct client *client = call->client;
    if (client->dispatching) {
        call->state = CLIENT_CALL_CANCELLED;
        return;
    }
    client_call_free(call);
    client_set_timer(client);
}

/* What is known of the cluster */

const char *client_endpoint(const struct client *client)
{
    return client->endpoints[client->current].text;
}

const char *client_endpoint_first(const struct client *client)
{
    return client->endpoints[0].text;
}

const char *client_token(const struct client *client)
{
    return client->token;
}

bool client_is_connected(const struct client *client)
{
    return client->connected;
}

const char *client_trouble(const struct client *client)
{
    return client->trouble[0] != '\0' ? client->trouble : NULL;
}

bool client_learn_address(struct client *client, const char *address)
{
    const struct client_endpoint *current = &client->endpoints[client->current];
    struct client_endpoint endpoint;
    if (client->replay != NULL || address[0] == '\0')
        return true;
    bool has_scheme = strstr(address, "://") != NULL || str_starts_with(address, "unix:");
    bool is_tls = current->scheme == CLIENT_SCHEME_HTTPS;
    char *text = mem_printf("%s%s", has_scheme ? "" : is_tls ? "https://" : "http://", address);
    bool is_usable =
        client_endpoint_parse(text, &endpoint, NULL) == 0 &&
        (endpoint.scheme != CLIENT_SCHEME_HTTP || client_endpoint_is_local(&endpoint) ||
         (current->scheme == CLIENT_SCHEME_HTTP && !client_endpoint_is_local(current)));
    free(text);
    size_t n = client->n_endpoints;
    if (is_usable && client_add_endpoint(client, &endpoint) != 0)
        return false;
    if (client->n_endpoints > n)
        client->learned[n] = true;
    return true;
}

void client_learn(struct client *client, const json_t *nodes)
{
    size_t i;
    json_t *node;
    json_array_foreach(nodes, i, node)
    {
        const char *address = json_string_value(json_object_get(node, "api_address"));
        if (address != NULL && !client_learn_address(client, address))
            return;
    }
}
