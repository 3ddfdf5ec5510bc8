/* Connections that come in. Until its Hello a connection is pending, and pending ones are few: one
 * more waits in the kernel's backlog until a place is free, which a slow one must give up when
 * others wait. So a thousand nodes that come at once are all served, and idle strangers keep nobody
 * out. */
#include <assert.h>
#include <string.h>

#include "base/log.h"
#include "run/link_internal.h"

enum { LINK_BACKLOG = 1024 };

static void link_accept(struct link_set *set)
{
    struct link *link = link_new(set, NULL);
    set->stats.accepted++;
    link->pending = true;
    set->pending_n++;
    TAILQ_INSERT_TAIL(&set->pending, link, of_pending);
    int err = uv_accept((uv_stream_t *)&set->listener, (uv_stream_t *)&link->tcp);
    if (err < 0) {
        link_lost(link, err, "%s", err_text(err));
        return;
    }
    bool too_many = set->links_n > set->options.links_max;
    link_connected(link);
    if (too_many)
        link_close(link, ERR_BUSY, "this node has too many links");
}

/* Makes room by dropping the oldest, when it had time enough; else sets the timer for that. */
static bool link_accept_has_room(struct link_set *set)
{
    if (set->pending_n < set->options.pending_max)
        return true;
    struct link *oldest = TAILQ_FIRST(&set->pending);
    int64_t due_ms = oldest->born_ms + set->options.handshake_timeout_ms / LINK_PATIENCE_PART;
    if (loop_now_ms(set->loop) >= due_ms) {
        set->stats.handshake_timeouts++;
        link_lost(oldest, ERR_TIMEOUT, "the handshake took too long while others waited");
    }
    loop_timer_start_at(&set->accept_timer, due_ms);
    return false;
}

void link_accept_next(struct link_set *set)
{
    if (!set->accept_waits || set->closing || !link_accept_has_room(set))
        return;
    set->accept_waits = false;
    loop_timer_stop(&set->accept_timer);
    link_accept(set); /* libuv listens again, and calls for the next one */
}

static void link_accept_on_connection(uv_stream_t *listener, int status)
{
    struct link_set *set = listener->data;
    if (status < 0) {
        log_warn(LOG_ABOUT(.role = "link", .code = status), "cannot accept a connection: %s",
                 err_text(status));
        return;
    }
    set->accept_waits = true;
    link_accept_next(set);
}

static int link_accept_resolve(const char *address, struct sockaddr_storage *out, struct error *e)
{
    char host[ADDRESS_HOST_MAX];
    uint16_t port;
    if (address_split(address, host, &port) < 0)
        return error_set(e, ERR_INVALID, "\"%s\" must be HOST:PORT or [IPV6]:PORT", address);
    if (address_parse_numeric(host, port, out) == 0)
        return 0;
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE};
    struct addrinfo *found = NULL;
    int status = getaddrinfo(host, NULL, &hints, &found);
    if (status != 0)
        return error_set(e, ERR_UNAVAILABLE, "%s: %s", host, gai_strerror(status));
    memcpy(out, found->ai_addr, found->ai_addrlen);
    freeaddrinfo(found);
    /* the port has the same place in both families */
    ((struct sockaddr_in *)out)->sin_port = htons(port);
    return 0;
}

int link_set_listen(struct link_set *set, const char *address, struct error *e)
{
    struct sockaddr_storage name = {0};
    assert(!set->listening);
    int err = link_accept_resolve(address, &name, e);
    if (err < 0)
        return err;
    (void)uv_tcp_init(loop_uv(set->loop), &set->listener);
    set->listener.data = set;
    set->listening = true;
    set->open++;
    err = uv_tcp_bind(&set->listener, (struct sockaddr *)&name, 0);
    if (err == 0)
        err = uv_listen((uv_stream_t *)&set->listener, LINK_BACKLOG, link_accept_on_connection);
    if (err < 0)
        return error_set(e, err, "cannot listen for peers on %s: %s: choose another peer.listen",
                         address, err_text(err));
    int len = sizeof name;
    (void)uv_tcp_getsockname(&set->listener, (struct sockaddr *)&name, &len);
    (void)address_format((struct sockaddr *)&name, set->address);
    return 0;
}

const char *link_set_address(const struct link_set *set)
{
    return set->address;
}
