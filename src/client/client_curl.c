/* Calls over TCP, by libcurl: an easy handle for each, its sockets in the client's epoll set. */
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "client/client_internal.h"

/* What libcurl asks of the client */

static int client_curl_on_socket(CURL *easy, curl_socket_t fd, int what, void *arg, void *known)
{
    (void)easy;
    struct client *client = arg;
    if (what == CURL_POLL_REMOVE) {
        (void)epoll_ctl(client->epoll_fd, EPOLL_CTL_DEL, fd, NULL);
        return 0;
    }
    struct epoll_event event = {.data.fd = fd};
    if ((what & CURL_POLL_IN) != 0)
        event.events |= EPOLLIN;
    if ((what & CURL_POLL_OUT) != 0)
        event.events |= EPOLLOUT;
    if (known == NULL) {
        (void)fcntl(fd, F_SETFD, FD_CLOEXEC);
        (void)client->curl->multi_assign(client->multi, fd, client);
    }
    if (epoll_ctl(client->epoll_fd, EPOLL_CTL_MOD, fd, &event) != 0)
        (void)epoll_ctl(client->epoll_fd, EPOLL_CTL_ADD, fd, &event);
    return 0;
}

static int client_curl_on_timer(CURLM *multi, long timeout_ms, void *arg)
{
    (void)multi;
    struct client *client = arg;
    client->curl_due_ms = timeout_ms < 0 ? INT64_MAX : clock_mono_ms() + timeout_ms;
    return 0;
}

static int client_curl_set_up(struct client *client, struct error *e)
{
    if (client->multi != NULL)
        return 0;
    int rc = curl_library_load(&client->curl, e);
    if (rc != 0)
        return rc;
    const struct curl_library *curl = client->curl;
    (void)curl->global_init(CURL_GLOBAL_DEFAULT);
    client->multi = curl->multi_init();
    if (client->multi == NULL)
        abort();
    (void)curl->multi_setopt(client->multi, CURLMOPT_SOCKETFUNCTION, client_curl_on_socket);
    (void)curl->multi_setopt(client->multi, CURLMOPT_SOCKETDATA, client);
    (void)curl->multi_setopt(client->multi, CURLMOPT_TIMERFUNCTION, client_curl_on_timer);
    (void)curl->multi_setopt(client->multi, CURLMOPT_TIMERDATA, client);
    return 0;
}

/* What libcurl asks of a call, and brings */

static long client_curl_status(const struct client_call *call)
{
    long status = 0;
    (void)call->client->curl->easy_getinfo(call->easy, CURLINFO_RESPONSE_CODE, &status);
    return status;
}

static size_t client_curl_on_body(char *bytes, size_t size, size_t count, void *arg)
{
    struct client_call *call = arg;
    size_t len = size * count;
    if (call->state != CLIENT_CALL_RUNNING)
        return 0;
    call->status = (unsigned)client_curl_status(call);
    return client_call_take(call, bytes, len) ? len : 0;
}

static size_t client_curl_on_header(char *line, size_t size, size_t count, void *arg)
{
    struct client_call *call = arg;
    call->status = (unsigned)client_curl_status(call);
    client_call_header(call, line, size * count);
    return size * count;
}

static size_t client_curl_on_read(char *to, size_t size, size_t count, void *arg)
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

static int client_curl_on_seek(void *arg, curl_off_t offset, int origin)
{
    struct client_call *call = arg;
    if (origin != SEEK_SET || offset < 0)
        return CURL_SEEKFUNC_FAIL;
    call->fd_sent = (uint64_t)offset;
    return CURL_SEEKFUNC_OK;
}

/* Launching */

static void client_curl_add_header(struct client_call *call, const char *name, const char *value)
{
    /* "Name:" alone keeps libcurl from adding its own. */
    char *line = mem_printf("%s:%s%s", name, value[0] != '\0' ? " " : "", value);
    struct curl_slist *longer = call->client->curl->slist_append(call->headers, line);
    if (longer == NULL)
        abort();
    call->headers = longer;
    free(line);
}

static void client_curl_set_body(struct client_call *call)
{
    if (call->fd >= 0) {
        call->fd_sent = 0;
        (void)call->client->curl->easy_setopt(call->easy, CURLOPT_UPLOAD, 1L);
        (void)call->client->curl->easy_setopt(call->easy, CURLOPT_READFUNCTION,
                                              client_curl_on_read);
        (void)call->client->curl->easy_setopt(call->easy, CURLOPT_READDATA, call);
        (void)call->client->curl->easy_setopt(call->easy, CURLOPT_SEEKFUNCTION,
                                              client_curl_on_seek);
        (void)call->client->curl->easy_setopt(call->easy, CURLOPT_SEEKDATA, call);
        (void)call->client->curl->easy_setopt(call->easy, CURLOPT_INFILESIZE_LARGE,
                                              (curl_off_t)call->fd_bytes);
    } else if (call->data != NULL || strcmp(call->method, "POST") == 0 ||
               strcmp(call->method, "PUT") == 0) {
        (void)call->client->curl->easy_setopt(call->easy, CURLOPT_POSTFIELDS,
                                              call->data != NULL ? (const char *)call->data : "");
        (void)call->client->curl->easy_setopt(call->easy, CURLOPT_POSTFIELDSIZE_LARGE,
                                              (curl_off_t)call->data_len);
    }
    if (strcmp(call->method, "GET") != 0) {
        bool has_body = call->fd >= 0 || call->data != NULL;
        (void)call->client->curl->easy_setopt(call->easy, CURLOPT_CUSTOMREQUEST, call->method);
        client_curl_add_header(call, "Content-Type", has_body ? call->content_type : "");
        client_curl_add_header(call, "Expect", "");
    }
}

static void client_curl_set_endpoint(struct client_call *call,
                                     const struct client_endpoint *endpoint)
{
    const struct client *client = call->client;
    char *url = mem_printf("%s%s", endpoint->base_url, call->path);
    (void)call->client->curl->easy_setopt(call->easy, CURLOPT_URL, url);
    free(url);
    if (client->token != NULL) {
        char *value = mem_printf("Bearer %s", client->token);
        client_curl_add_header(call, "Authorization", value);
        free(value);
    }
    if (client->ca_file != NULL)
        (void)call->client->curl->easy_setopt(call->easy, CURLOPT_CAINFO, client->ca_file);
    if (client->cert_file != NULL)
        (void)call->client->curl->easy_setopt(call->easy, CURLOPT_SSLCERT, client->cert_file);
    if (client->key_file != NULL)
        (void)call->client->curl->easy_setopt(call->easy, CURLOPT_SSLKEY, client->key_file);
}

void client_curl_launch(struct client_call *call, const struct client_endpoint *endpoint)
{
    struct client *client = call->client;
    struct error e = {0};
    if (client_curl_set_up(client, &e) != 0) {
        client_call_unreachable(call, e.text, true);
        return;
    }
    const struct curl_library *curl = client->curl;
    call->easy = curl->easy_init();
    if (call->easy == NULL)
        abort();
    call->curl_text[0] = '\0';
    CURL *easy = call->easy;
    (void)curl->easy_setopt(easy, CURLOPT_PRIVATE, (char *)call);
    (void)curl->easy_setopt(easy, CURLOPT_ERRORBUFFER, call->curl_text);
    (void)curl->easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    (void)curl->easy_setopt(easy, CURLOPT_NOPROXY, "*");
    (void)curl->easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
    (void)curl->easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    (void)curl->easy_setopt(easy, CURLOPT_TCP_KEEPALIVE, 1L);
    (void)curl->easy_setopt(easy, CURLOPT_BUFFERSIZE, 128L * 1024);
    (void)curl->easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, (long)client->connect_timeout_ms);
    (void)curl->easy_setopt(easy, CURLOPT_WRITEFUNCTION, client_curl_on_body);
    (void)curl->easy_setopt(easy, CURLOPT_WRITEDATA, call);
    (void)curl->easy_setopt(easy, CURLOPT_HEADERFUNCTION, client_curl_on_header);
    (void)curl->easy_setopt(easy, CURLOPT_HEADERDATA, call);
    client_curl_set_endpoint(call, endpoint);
    client_curl_set_body(call);
    if (call->idempotency_key != NULL)
        client_curl_add_header(call, "Idempotency-Key", call->idempotency_key);
    (void)curl->easy_setopt(easy, CURLOPT_HTTPHEADER, call->headers);
    if (curl->multi_add_handle(client->multi, easy) != CURLM_OK)
        abort();
}

void client_curl_detach(struct client_call *call)
{
    if (call->easy == NULL)
        return;
    (void)call->client->curl->multi_remove_handle(call->client->multi, call->easy);
    call->client->curl->easy_cleanup(call->easy);
    call->easy = NULL;
    call->client->curl->slist_free_all(call->headers);
    call->headers = NULL;
}

/* What libcurl is done with */

static void client_curl_finished(struct client_call *call, CURLcode rc)
{
    const struct curl_library *curl = call->client->curl;
    const char *text = call->curl_text[0] != '\0' ? call->curl_text : curl->easy_strerror(rc);
    long request_bytes = 0;
    bool is_hopeless = rc == CURLE_PEER_FAILED_VERIFICATION || rc == CURLE_SSL_CERTPROBLEM ||
                       rc == CURLE_SSL_CACERT_BADFILE;
    (void)curl->easy_getinfo(call->easy, CURLINFO_REQUEST_SIZE, &request_bytes);
    call->status = (unsigned)client_curl_status(call);
    bool is_http = rc != CURLE_UNSUPPORTED_PROTOCOL && rc != CURLE_WEIRD_SERVER_REPLY;
    if (rc == CURLE_OK)
        client_call_answered(call);
    else if (!is_http && call->status == 0 && call->repeatable)
        client_call_unreachable(call, "what came is not HTTP", true);
    else if (request_bytes == 0)
        client_call_unreachable(call, text, is_hopeless);
    else
        client_call_broken(call, text);
}

void client_curl_ready(struct client *client, int fd, uint32_t events)
{
    int what = 0;
    int running;
    if ((events & EPOLLIN) != 0)
        what |= CURL_CSELECT_IN;
    if ((events & EPOLLOUT) != 0)
        what |= CURL_CSELECT_OUT;
    if ((events & (EPOLLERR | EPOLLHUP)) != 0)
        what |= CURL_CSELECT_ERR;
    (void)client->curl->multi_socket_action(client->multi, fd, what, &running);
}

void client_curl_work(struct client *client)
{
    CURLMsg *message;
    int running;
    int left;
    if (client->multi == NULL)
        return;
    if (client->curl_due_ms <= clock_mono_ms()) {
        client->curl_due_ms = INT64_MAX;
        (void)client->curl->multi_socket_action(client->multi, CURL_SOCKET_TIMEOUT, 0, &running);
    }
    while ((message = client->curl->multi_info_read(client->multi, &left)) != NULL) {
        struct client_call *call;
        if (message->msg != CURLMSG_DONE)
            continue;
        CURLcode rc = message->data.result;
        (void)client->curl->easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, (char **)&call);
        if (call->state == CLIENT_CALL_RUNNING)
            client_curl_finished(call, rc);
    }
}

void client_curl_close(struct client *client)
{
    if (client->multi == NULL)
        return;
    (void)client->curl->multi_cleanup(client->multi);
    client->curl->global_cleanup();
}
