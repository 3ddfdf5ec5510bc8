/* libcurl tells which sockets and which time it waits for; the loop waits for them and tells
 * libcurl. After each of these the calls that are complete are taken from libcurl and answered. */
#include "run/http_client.h"

#include <assert.h>
#include <stdlib.h>

#include "base/mem.h"
#include "run/http_call.h"

enum { HTTP_CLIENT_IDLE_CONNECTIONS_MAX = 8 };

/* A socket of libcurl's that the loop watches. */
struct http_client_socket {
    uv_poll_t poll;
    struct http_client *client;
    curl_socket_t fd;
};

void http_client_options_init(struct http_client_options *options)
{
    *options = (struct http_client_options){
        .calls_max = 64, .calls_per_host_max = 8, .user_agent = "clusterd"};
}

struct http_client *http_client_new(const struct http_client_options *options)
{
    assert(options->loop != NULL && options->calls_max > 0);
    struct http_client *client = mem_zalloc(sizeof *client);
    client->loop = options->loop;
    client->calls_max = options->calls_max;
    client->calls_per_host_max = options->calls_per_host_max;
    client->ca_path = mem_strdup(options->ca_path);
    client->cert_path = mem_strdup(options->cert_path);
    client->key_path = mem_strdup(options->key_path);
    client->user_agent = mem_strdup(options->user_agent != NULL ? options->user_agent : "clusterd");
    TAILQ_INIT(&client->waiting);
    TAILQ_INIT(&client->running);
    return client;
}

static void http_client_on_starter(uv_timer_t *timer);

static void http_client_take_done(struct http_client *client)
{
    CURLMsg *message;
    int left;
    while (!client->closing && (message = curl_multi_info_read(client->multi, &left)) != NULL) {
        assert(message->msg == CURLMSG_DONE);
        CURLcode result = message->data.result;
        struct http_call *call = NULL;
        (void)curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, (char **)&call);
        (void)curl_multi_remove_handle(client->multi, call->easy);
        client->active--;
        if (!TAILQ_EMPTY(&client->waiting))
            (void)uv_timer_start(&client->starter, http_client_on_starter, 0, 0);
        call->state = HTTP_CALL_DONE;
        http_call_finish(call, result);
    }
}

static void http_client_on_socket(uv_poll_t *poll, int status, int events)
{
    struct http_client_socket *socket = poll->data;
    struct http_client *client = socket->client;
    int flags = status < 0 ? CURL_CSELECT_ERR : 0;
    flags |= (events & UV_READABLE) != 0 ? CURL_CSELECT_IN : 0;
    flags |= (events & UV_WRITABLE) != 0 ? CURL_CSELECT_OUT : 0;
    int running;
    (void)curl_multi_socket_action(client->multi, socket->fd, flags, &running);
    http_client_take_done(client);
}

static void http_client_on_timer(uv_timer_t *timer)
{
    struct http_client *client = timer->data;
    int running;
    (void)curl_multi_socket_action(client->multi, CURL_SOCKET_TIMEOUT, 0, &running);
    http_client_take_done(client);
}

static int http_client_set_timer(CURLM *multi, long timeout_ms, void *arg)
{
    (void)multi;
    struct http_client *client = arg;
    if (timeout_ms < 0)
        (void)uv_timer_stop(&client->timer);
    else
        (void)uv_timer_start(&client->timer, http_client_on_timer, (uint64_t)timeout_ms, 0);
    return 0;
}

static void http_client_maybe_closed(struct http_client *client)
{
    if (!client->closing || client->handles > 0 || client->calls > 0)
        return;
    void (*fn)(void *) = client->on_closed;
    void *arg = client->on_closed_arg;
    free(client->ca_path);
    free(client->cert_path);
    free(client->key_path);
    free(client->user_agent);
    free(client);
    if (fn != NULL)
        fn(arg);
}

static void http_client_on_socket_closed(uv_handle_t *handle)
{
    struct http_client_socket *socket = handle->data;
    struct http_client *client = socket->client;
    free(socket);
    client->handles--;
    http_client_maybe_closed(client);
}

static void http_client_on_timer_closed(uv_handle_t *handle)
{
    struct http_client *client = handle->data;
    client->handles--;
    http_client_maybe_closed(client);
}

static int http_client_watch(CURL *easy, curl_socket_t fd, int what, void *arg, void *socket_arg)
{
    (void)easy;
    struct http_client *client = arg;
    struct http_client_socket *socket = socket_arg;
    if (what == CURL_POLL_REMOVE) {
        if (socket == NULL)
            return 0;
        (void)uv_poll_stop(&socket->poll);
        uv_close((uv_handle_t *)&socket->poll, http_client_on_socket_closed);
        (void)curl_multi_assign(client->multi, fd, NULL);
        return 0;
    }
    if (socket == NULL) {
        socket = mem_zalloc(sizeof *socket);
        socket->client = client;
        socket->fd = fd;
        socket->poll.data = socket;
        if (uv_poll_init(client->loop, &socket->poll, fd) != 0) {
            free(socket);
            return -1;
        }
        client->handles++;
        (void)curl_multi_assign(client->multi, fd, socket);
    }
    int events = (what & CURL_POLL_IN ? UV_READABLE : 0) | (what & CURL_POLL_OUT ? UV_WRITABLE : 0);
    return uv_poll_start(&socket->poll, events, http_client_on_socket) == 0 ? 0 : -1;
}

/* Starts what waits, from the loop: so that on_done never comes from inside http_client_call(). */
static void http_client_on_starter(uv_timer_t *timer)
{
    struct http_client *client = timer->data;
    struct http_call *call;
    while (!client->closing && client->active < client->calls_max &&
           (call = TAILQ_FIRST(&client->waiting)) != NULL) {
        TAILQ_REMOVE(&client->waiting, call, entry);
        TAILQ_INSERT_TAIL(&client->running, call, entry);
        if (call->code != 0) {
            call->state = HTTP_CALL_DONE;
            http_call_finish(call, CURLE_OK);
            continue;
        }
        call->state = HTTP_CALL_ACTIVE;
        client->active++;
        (void)curl_multi_add_handle(client->multi, call->easy);
    }
}

static void http_client_set_up(struct http_client *client)
{
    static bool global;
    if (!global && curl_global_init(CURL_GLOBAL_DEFAULT) != 0)
        abort(); /* out of memory */
    global = true;
    client->multi = curl_multi_init();
    if (client->multi == NULL)
        abort();
    CURLM *multi = client->multi;
    (void)curl_multi_setopt(multi, CURLMOPT_SOCKETFUNCTION, http_client_watch);
    (void)curl_multi_setopt(multi, CURLMOPT_SOCKETDATA, client);
    (void)curl_multi_setopt(multi, CURLMOPT_TIMERFUNCTION, http_client_set_timer);
    (void)curl_multi_setopt(multi, CURLMOPT_TIMERDATA, client);
    (void)curl_multi_setopt(multi, CURLMOPT_MAXCONNECTS, (long)HTTP_CLIENT_IDLE_CONNECTIONS_MAX);
    (void)curl_multi_setopt(multi, CURLMOPT_MAX_HOST_CONNECTIONS, (long)client->calls_per_host_max);
    (void)uv_timer_init(client->loop, &client->timer);
    (void)uv_timer_init(client->loop, &client->starter);
    client->timer.data = client->starter.data = client;
    client->handles += 2;
}

struct http_call *http_client_call(struct http_client *client,
                                   const struct http_call_options *options)
{
    assert(!client->closing && options->url != NULL && options->on_done != NULL);
    if (client->multi == NULL)
        http_client_set_up(client);
    struct http_call *call = http_call_new(client, options);
    client->calls++;
    TAILQ_INSERT_TAIL(&client->waiting, call, entry);
    (void)uv_timer_start(&client->starter, http_client_on_starter, 0, 0);
    return call;
}

void http_client_call_gone(struct http_client *client)
{
    client->calls--;
    http_client_maybe_closed(client);
}

void http_call_cancel(struct http_call *call)
{
    struct http_client *client = call->client;
    if (call->state == HTTP_CALL_ACTIVE) {
        (void)curl_multi_remove_handle(client->multi, call->easy);
        client->active--;
        if (!TAILQ_EMPTY(&client->waiting))
            (void)uv_timer_start(&client->starter, http_client_on_starter, 0, 0);
    }
    http_call_leave(call);
    http_call_end(call);
}

void http_client_close(struct http_client *client, void (*fn)(void *arg), void *arg)
{
    assert(!client->closing);
    struct http_call *call;
    while ((call = TAILQ_FIRST(&client->waiting)) != NULL)
        http_call_cancel(call);
    while ((call = TAILQ_FIRST(&client->running)) != NULL)
        http_call_cancel(call);
    client->closing = true;
    client->on_closed = fn;
    client->on_closed_arg = arg;
    if (client->multi != NULL) {
        (void)curl_multi_cleanup(client->multi);
        uv_close((uv_handle_t *)&client->timer, http_client_on_timer_closed);
        uv_close((uv_handle_t *)&client->starter, http_client_on_timer_closed);
    }
    http_client_maybe_closed(client);
}
