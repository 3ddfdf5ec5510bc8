/* Ends connections that are too slow. libmicrohttpd's own timeout starts anew with each byte, so
 * that a client that sends one byte now and then would hold its connection for ever. */
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "run/http_conn.h"

enum { HTTP_SWEEP_MIN_MS = 10, HTTP_SWEEP_MAX_MS = 1000, HTTP_SWEEP_LINGER_MS = 100 };

/* Whether the body has brought enough since the last look that had a right to expect it. */
static bool http_sweep_body_is_late(struct http_conn *conn, uint64_t now, unsigned timeout_ms)
{
    if (conn->suspended) { /* we are the slow ones: the disk */
        conn->since_ms = now;
        return false;
    }
    if (now - conn->since_ms < timeout_ms)
        return false;
    if (conn->body_received - conn->body_mark < HTTP_BODY_PROGRESS_BYTES_MIN)
        return true;
    conn->body_mark = conn->body_received;
    conn->since_ms = now;
    return false;
}

static bool http_sweep_is_late(struct http_conn *conn, uint64_t now)
{
    const struct http_server_options *o = &conn->listener->server->options;
    uint64_t age = now - conn->since_ms;
    bool no_request = conn->phase == HTTP_CONN_FRESH || conn->phase == HTTP_CONN_HEAD ||
                      conn->phase == HTTP_CONN_IDLE;
    if (conn->hung_up && no_request && age >= HTTP_SWEEP_LINGER_MS)
        return true; /* libmicrohttpd misses an end that comes together with data */
    switch (conn->phase) {
    case HTTP_CONN_FRESH:
    case HTTP_CONN_HEAD:
        return age >= o->header_timeout_ms;
    case HTTP_CONN_BODY:
        return http_sweep_body_is_late(conn, now, o->body_timeout_ms);
    case HTTP_CONN_REPLYING:
        return !conn->suspended && age >= o->write_timeout_ms;
    case HTTP_CONN_IDLE:
        return age >= o->idle_timeout_ms;
    case HTTP_CONN_HANDLING:
        break;
    }
    return false;
}

/* libmicrohttpd sends no answer before it has the whole request, so this one goes by itself. */
static void http_sweep_say_timeout(const struct http_conn *conn)
{
    static const char body[] = "{\"error\":{\"code\":\"timeout\",\"message\":\"the request did not "
                               "arrive in time\"}}\n";
    if (conn->listener->tls || (conn->phase != HTTP_CONN_HEAD && conn->phase != HTTP_CONN_BODY))
        return;
    char answer[256];
    int len = snprintf(answer, sizeof answer,
                       "HTTP/1.1 408 Request Timeout\r\nConnection: close\r\n"
                       "Content-Type: application/json\r\nContent-Length: %zu\r\n\r\n%s",
                       sizeof body - 1, body);
    (void)send(conn->fd, answer, (size_t)len, MSG_DONTWAIT | MSG_NOSIGNAL);
}

static void http_sweep_end(struct http_conn *conn)
{
    if (!conn->hung_up)
        conn->listener->server->stats.timeouts++;
    http_sweep_say_timeout(conn);
    http_conn_kill(conn);
}

static void http_sweep_on_timer(uv_timer_t *timer)
{
    struct http_server *server = timer->data;
    uint64_t now = uv_now(server->options.loop);
    struct http_conn *conn;
    TAILQ_FOREACH (conn, &server->conns, entry) {
        if (conn->kill)
            http_server_wake(server, conn->listener); /* until it is gone */
        else if (http_sweep_is_late(conn, now))
            http_sweep_end(conn);
    }
    if (server->closing)
        http_server_wake(server, NULL);
    else if (TAILQ_EMPTY(&server->conns))
        (void)uv_timer_stop(timer);
}

void http_sweep_init(struct http_server *server)
{
    (void)uv_timer_init(server->options.loop, &server->sweep);
    uv_unref((uv_handle_t *)&server->sweep);
    server->sweep.data = server;
}

void http_sweep_start(struct http_server *server)
{
    if (uv_is_active((uv_handle_t *)&server->sweep))
        return;
    const struct http_server_options *o = &server->options;
    const unsigned limits[] = {o->header_timeout_ms, o->body_timeout_ms, o->idle_timeout_ms,
                               o->write_timeout_ms};
    uint64_t ms = HTTP_SWEEP_MAX_MS;
    for (size_t i = 0; i < sizeof limits / sizeof limits[0]; i++)
        ms = limits[i] / 8 < ms ? limits[i] / 8 : ms;
    ms = ms < HTTP_SWEEP_MIN_MS ? HTTP_SWEEP_MIN_MS : ms;
    (void)uv_timer_start(&server->sweep, http_sweep_on_timer, ms, ms);
}
