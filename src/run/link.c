/* The set of links: listening, dialing, which link to a node survives, probing, closing.
 *
 * A link that goes down is first only marked; its owner hears of it at the end of the turn, then
 * its socket is closed and its memory freed in libuv's callback. */
#include "run/link.h"

#include <assert.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/uuid.h"
#include "run/link_internal.h"

static const struct log_about link_log = {.role = "link"};

void link_set_options_init(struct link_set_options *options)
{
    *options = (struct link_set_options){
        .frame_bytes_max = FRAME_BODY_BYTES_MAX,
        .queue_bytes_max = 16 << 20,
        .links_max = 4096,
        .pending_max = 64,
        .handshake_timeout_ms = 5000,
        .ping_interval_ms = 250,
        .silence_timeout_ms = 2000,
        .backoff_min_ms = 50,
        .backoff_max_ms = 5000,
    };
}

static bool link_is_pending(const struct link *link)
{
    return !link->outgoing && (link->state == LINK_HELLO || link->state == LINK_PROOF);
}

/* ---- a link's life --------------------------------------------------------------------------- */

/* One interval for each link, so that probing a thousand costs no more than probing a few. */
static int64_t link_ping_interval_ms(const struct link_set *set)
{
    return set->links_n > set->options.ping_interval_ms ? set->links_n
                                                        : set->options.ping_interval_ms;
}

static int64_t link_silence_ms(const struct link_set *set)
{
    int64_t least = 3 * link_ping_interval_ms(set);
    return least > set->options.silence_timeout_ms ? least : set->options.silence_timeout_ms;
}

static void link_probe(struct link *link)
{
    struct link_set *set = link->set;
    int64_t silent_ms = loop_now_ms(set->loop) - link->heard_ms;
    if (silent_ms >= link_silence_ms(set)) {
        set->stats.silent++;
        link_down(link, ERR_TIMEOUT, "silent for %lld ms", (long long)silent_ms);
        return;
    }
    Wire__Ping ping = WIRE__PING__INIT;
    ping.sequence = ++link->ping_sequence;
    ping.sent_us = (uint64_t)uv_hrtime() / 1000;
    link_io_send(link, WIRE_PING, &ping.base);
    loop_timer_start(&link->timer, link_ping_interval_ms(set));
}

static void link_on_timer(void *arg)
{
    struct link *link = arg;
    switch (link->state) {
    case LINK_UP:
        link_probe(link);
        break;
    case LINK_CLOSING:
        loop_hook_arm(&link->set->defer);
        link->out.len = 0; /* enough waited for the Goodbye */
        break;
    case LINK_GONE:
        break;
    default:
        link->set->stats.handshake_timeouts++;
        link_down(link, ERR_TIMEOUT, "the handshake took too long");
    }
}

struct link *link_new(struct link_set *set, struct link_dial *dial)
{
    struct link *link = mem_zalloc(sizeof *link);
    link->set = set;
    link->dial = dial;
    link->outgoing = dial != NULL;
    link->heard_ms = loop_now_ms(set->loop);
    frame_decoder_init(&link->decoder, set->options.frame_bytes_max);
    size_t queue_max = set->options.queue_bytes_max + set->options.frame_bytes_max + 4096;
    buf_init(&link->out, queue_max);
    buf_init(&link->flying, queue_max);
    (void)uv_tcp_init(loop_uv(set->loop), &link->tcp);
    link->tcp.data = link;
    loop_timer_init(&link->timer, set->loop, link_on_timer, link);
    loop_timer_start(&link->timer, set->options.handshake_timeout_ms);
    TAILQ_INSERT_TAIL(&set->links, link, of_set);
    set->links_n++;
    set->handles++;
    return link;
}

static void link_set_finish(struct link_set *set)
{
    if (!set->closing || set->handles > 0)
        return;
    loop_hook_disarm(&set->flush);
    loop_hook_disarm(&set->defer);
    void (*closed)(void *arg) = set->closed;
    void *arg = set->closed_arg;
    free(set->cluster_id);
    free(set->node_uuid);
    free(set->name);
    free(set->version);
    free(set->peer_address);
    free(set->api_address);
    free(set->secret);
    free(set->scratch);
    free(set);
    if (closed != NULL)
        closed(arg);
}

static void link_on_handle_closed(uv_handle_t *handle)
{
    struct link *link = handle->data;
    struct link_set *set = link->set;
    frame_decoder_done(&link->decoder);
    buf_done(&link->out);
    buf_done(&link->flying);
    if (link->peer != NULL)
        wire__hello__free_unpacked(link->peer, NULL);
    free(link);
    set->handles--;
    link_set_finish(set);
}

/* Marks the link; whoever runs now may still hold it. */
void link_down(struct link *link, int code, const char *fmt, ...)
{
    if (link->state >= LINK_CLOSING)
        return;
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(link->down_reason, sizeof link->down_reason, fmt, args);
    va_end(args);
    link->down_code = code;
    if (code == ERR_PROTOCOL || code == ERR_TOO_LARGE) {
        Wire__Goodbye goodbye = WIRE__GOODBYE__INIT;
        goodbye.code = code;
        goodbye.reason = link->down_reason;
        link_io_send(link, WIRE_GOODBYE, &goodbye.base);
    }
    if (link_is_pending(link))
        link->set->pending_n--;
    link->was_up = link->state == LINK_UP;
    if (link->was_up)
        HASH_DEL(link->set->by_node, link);
    link->state = LINK_CLOSING;
    loop_timer_start(&link->timer, LINK_CLOSE_MAX_MS);
    loop_hook_arm(&link->set->defer);
}

void link_close(struct link *link, int code, const char *reason)
{
    if (link->state >= LINK_CLOSING)
        return;
    Wire__Goodbye goodbye = WIRE__GOODBYE__INIT;
    goodbye.code = code;
    goodbye.reason = (char *)(uintptr_t)reason;
    link_io_send(link, WIRE_GOODBYE, &goodbye.base);
    link_down(link, code, "%s", reason);
}

static void link_redial(struct link_dial *dial);

/* Tells the owner, then closes the socket when the Goodbye is out. */
static void link_finish_down(struct link *link)
{
    struct link_set *set = link->set;
    if (!link->down_told) {
        link->down_told = true;
        if (link->was_up) {
            set->stats.up--;
            set->options.ops->on_down(set->options.arg, link, link->down_code, link->down_reason);
        } else if (link->dial == NULL) {
            log_debug(LOG_ABOUT(.role = "link", .code = link->down_code),
                      "a connection that was accepted ended: %s", link->down_reason);
        }
        if (link->dial != NULL) {
            struct link_dial *dial = link->dial;
            link->dial = NULL;
            dial->link = NULL;
            if (!link->was_up)
                link_dial_failed(dial, link->down_code, link->down_reason);
            link_redial(dial);
        }
    }
    bool drained = !link->connected || (!link->writing && link->out.len == 0);
    if (!drained && loop_timer_is_running(&link->timer))
        return;
    link->state = LINK_GONE;
    loop_timer_stop(&link->timer);
    if (link->dirty)
        TAILQ_REMOVE(&set->dirty, link, of_dirty);
    link->dirty = false;
    TAILQ_REMOVE(&set->links, link, of_set);
    set->links_n--;
    uv_close((uv_handle_t *)&link->tcp, link_on_handle_closed);
}

static uint64_t link_initiator(const struct link *link)
{
    return link->outgoing ? link->set->node_id : link->node_id;
}

/* Whether the newcomer takes the place of the link that is up to the same node. */
static bool link_replaces(const struct link *newcomer, const struct link *old)
{
    if (newcomer->peer->boot != old->peer->boot)
        return true;
    return link_initiator(newcomer) <= link_initiator(old);
}

static struct link *link_twin(struct link *link)
{
    struct link *twin = NULL;
    if (link->node_id != 0)
        HASH_FIND(hh, link->set->by_node, &link->node_id, sizeof link->node_id, twin);
    return twin;
}

void link_set_up(struct link *link)
{
    struct link_set *set = link->set;
    struct link *twin = link_twin(link);
    if (twin != NULL && !link_replaces(link, twin)) {
        link_close(link, ERR_EXISTS, "another link is up");
        return;
    }
    if (twin != NULL) {
        link_close(twin, ERR_EXISTS, "replaced by another link");
        link_finish_down(twin);
    }
    if (link_is_pending(link))
        set->pending_n--;
    link->state = LINK_UP;
    link->stats.up_since_ms = loop_now_ms(set->loop);
    set->stats.up++;
    HASH_ADD(hh, set->by_node, node_id, sizeof link->node_id, link);
    if (link->dial != NULL) {
        link->dial->attempts = 0;
        link->dial->found_id = link->node_id;
    }
    loop_timer_start(&link->timer, link_ping_interval_ms(set));
    set->options.ops->on_up(set->options.arg, link);
}

/* ---- hooks ----------------------------------------------------------------------------------- */

static void link_on_flush(void *arg)
{
    struct link_set *set = arg;
    struct link *link;
    while ((link = TAILQ_FIRST(&set->dirty)) != NULL) {
        TAILQ_REMOVE(&set->dirty, link, of_dirty);
        link->dirty = false;
        link_io_flush(link);
    }
}

static void link_on_defer(void *arg)
{
    struct link_set *set = arg;
    struct link *link = TAILQ_FIRST(&set->links);
    link_on_flush(set);
    while (link != NULL) {
        struct link *next = TAILQ_NEXT(link, of_set);
        if (link->state == LINK_CLOSING) {
            link_finish_down(link);
        } else if (link->full && link->out.len <= set->options.queue_bytes_max / 2) {
            link->full = false;
            if (set->options.ops->on_drain != NULL)
                set->options.ops->on_drain(set->options.arg, link);
        }
        link = next;
    }
    link_set_finish(set);
}

/* ---- accepting ------------------------------------------------------------------------------- */

static void link_on_connection(uv_stream_t *listener, int status)
{
    struct link_set *set = listener->data;
    if (status < 0) {
        log_warn(&link_log, "accepting: %s", uv_strerror(status));
        return;
    }
    struct link *link = link_new(set, NULL);
    link->state = LINK_HELLO;
    set->pending_n++;
    set->stats.accepted++;
    if (uv_accept(listener, (uv_stream_t *)&link->tcp) < 0) {
        link_down(link, ERR_CLOSED, "the connection is gone");
        return;
    }
    link->connected = true;
    if (set->closing || set->links_n > set->options.links_max ||
        set->pending_n > set->options.pending_max) {
        link_close(link, ERR_BUSY, "too many connections");
        return;
    }
    link_hello_begin(link);
    link_io_start(link);
}

/* Splits "HOST:PORT" and "[IPV6]:PORT". */
static int link_split(const char *address, char *host, size_t host_size, char *port,
                      size_t port_size)
{
    const char *colon = strrchr(address, ':');
    if (colon == NULL || colon == address || colon[1] == '\0' || strlen(colon + 1) >= port_size)
        return ERR_INVALID;
    bool bracketed = address[0] == '[' && colon[-1] == ']';
    size_t len = (size_t)(colon - address) - (bracketed ? 2 : 0);
    if (len == 0 || len >= host_size)
        return ERR_INVALID;
    memcpy(host, address + bracketed, len);
    host[len] = '\0';
    (void)snprintf(port, port_size, "%s", colon + 1);
    return 0;
}

static void link_format_address(const struct sockaddr *address, char *out, size_t size)
{
    char host[64] = "";
    if (address->sa_family == AF_INET6) {
        const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)address;
        (void)uv_ip6_name(in6, host, sizeof host);
        (void)snprintf(out, size, "[%s]:%u", host, ntohs(in6->sin6_port));
    } else {
        const struct sockaddr_in *in4 = (const struct sockaddr_in *)address;
        (void)uv_ip4_name(in4, host, sizeof host);
        (void)snprintf(out, size, "%s:%u", host, ntohs(in4->sin_port));
    }
}

int link_set_listen(struct link_set *set, const char *address, struct error *e)
{
    enum { LINK_BACKLOG = 512 };
    char host[256];
    char port[8];
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE};
    struct addrinfo *found = NULL;
    assert(!set->listening);
    if (link_split(address, host, sizeof host, port, sizeof port) < 0)
        return error_set(e, ERR_INVALID, "%s: must be HOST:PORT", address);
    int status = getaddrinfo(host, port, &hints, &found);
    if (status != 0)
        return error_set(e, ERR_UNAVAILABLE, "%s: %s", address, gai_strerror(status));
    (void)uv_tcp_init(loop_uv(set->loop), &set->listener);
    set->listener.data = set;
    set->listening = true;
    set->handles++;
    status = uv_tcp_bind(&set->listener, found->ai_addr, 0);
    freeaddrinfo(found);
    if (status == 0)
        status = uv_listen((uv_stream_t *)&set->listener, LINK_BACKLOG, link_on_connection);
    if (status < 0)
        return error_set(e, status, "cannot listen for peers on %s: %s", address,
                         uv_strerror(status));
    struct sockaddr_storage name;
    int len = sizeof name;
    (void)uv_tcp_getsockname(&set->listener, (struct sockaddr *)&name, &len);
    link_format_address((struct sockaddr *)&name, set->address, sizeof set->address);
    if (set->peer_address[0] == '\0') {
        free(set->peer_address);
        set->peer_address = mem_strdup(set->address);
    }
    return 0;
}

const char *link_set_address(const struct link_set *set)
{
    return set->address;
}

/* ---- dialing --------------------------------------------------------------------------------- */

static int64_t link_backoff_ms(const struct link_dial *dial)
{
    const struct link_set_options *options = &dial->set->options;
    uint64_t span = options->backoff_min_ms;
    for (unsigned i = 1; i < dial->attempts && span < options->backoff_max_ms; i++)
        span *= 2;
    if (span > options->backoff_max_ms)
        span = options->backoff_max_ms;
    uint32_t random;
    random_bytes(&random, sizeof random);
    return (int64_t)(span / 2 + random % (span / 2 + 1));
}

static void link_redial(struct link_dial *dial)
{
    if (!dial->dead && !dial->set->closing)
        loop_timer_start(&dial->timer, link_backoff_ms(dial));
}

void link_dial_failed(struct link_dial *dial, int code, const char *reason)
{
    const struct link_ops *ops = dial->set->options.ops;
    if (ops->on_dial_failed != NULL && !dial->dead)
        ops->on_dial_failed(dial->set->options.arg, dial, code, reason);
}

static void link_on_connected(uv_connect_t *connect, int status)
{
    struct link *link = connect->data;
    if (link->state == LINK_GONE)
        return;
    if (status < 0) {
        link_down(link, status, "%s", uv_strerror(status));
        return;
    }
    if (link->state != LINK_CONNECTING)
        return;
    link->connected = true;
    link_hello_begin(link);
    link_io_start(link);
}

static void link_connect(struct link_dial *dial, const struct sockaddr *address)
{
    struct link *link = link_new(dial->set, dial);
    dial->link = link;
    link->state = LINK_CONNECTING;
    link->connect.data = link;
    int err = uv_tcp_connect(&link->connect, &link->tcp, address, link_on_connected);
    if (err < 0)
        link_down(link, err, "%s", uv_strerror(err));
}

static void link_dial_free(struct link_dial *dial)
{
    TAILQ_REMOVE(&dial->set->dials, dial, of_set);
    loop_timer_stop(&dial->timer);
    free(dial->address);
    free(dial);
}

static void link_on_resolved(uv_getaddrinfo_t *request, int status, struct addrinfo *found)
{
    struct link_dial *dial = request->data;
    struct link_set *set = dial->set;
    dial->resolving = false;
    set->handles--;
    if (dial->dead) {
        uv_freeaddrinfo(found);
        link_dial_free(dial);
        link_set_finish(set);
        return;
    }
    if (status < 0) {
        link_dial_failed(dial, status, uv_strerror(status));
        link_redial(dial);
    } else {
        link_connect(dial, found->ai_addr);
    }
    uv_freeaddrinfo(found);
}

/* A link to the same node is up already: look again later. */
static bool link_dial_stands_by(const struct link_dial *dial)
{
    uint64_t id = dial->node_id != 0 ? dial->node_id : dial->found_id;
    return id != 0 && link_to(dial->set, id) != NULL;
}

static void link_on_dial_timer(void *arg)
{
    struct link_dial *dial = arg;
    if (dial->link != NULL || dial->resolving)
        return;
    if (link_dial_stands_by(dial)) {
        dial->attempts = 0;
        loop_timer_start(&dial->timer, dial->set->options.ping_interval_ms);
        return;
    }
    dial->attempts++;
    struct sockaddr_storage address;
    if (uv_ip4_addr(dial->host, atoi(dial->port), (struct sockaddr_in *)&address) == 0 ||
        uv_ip6_addr(dial->host, atoi(dial->port), (struct sockaddr_in6 *)&address) == 0) {
        link_connect(dial, (struct sockaddr *)&address);
        return;
    }
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
    dial->resolve.data = dial;
    int err = uv_getaddrinfo(loop_uv(dial->set->loop), &dial->resolve, link_on_resolved, dial->host,
                             dial->port, &hints);
    if (err < 0) {
        link_redial(dial);
        return;
    }
    dial->resolving = true;
    dial->set->handles++;
}

struct link_dial *link_dial(struct link_set *set, const char *address, uint64_t node_id,
                            struct error *e)
{
    struct link_dial *dial = mem_zalloc(sizeof *dial);
    if (link_split(address, dial->host, sizeof dial->host, dial->port, sizeof dial->port) < 0) {
        free(dial);
        (void)error_set(e, ERR_INVALID, "%s: must be HOST:PORT", address);
        return NULL;
    }
    dial->set = set;
    dial->address = mem_strdup(address);
    dial->node_id = node_id;
    loop_timer_init(&dial->timer, set->loop, link_on_dial_timer, dial);
    loop_timer_start(&dial->timer, 0);
    TAILQ_INSERT_TAIL(&set->dials, dial, of_set);
    return dial;
}

void link_undial(struct link_dial *dial)
{
    dial->dead = true;
    loop_timer_stop(&dial->timer);
    if (dial->link != NULL) {
        struct link *link = dial->link;
        link->dial = NULL;
        dial->link = NULL;
        if (link->state < LINK_UP)
            link_down(link, ERR_CANCELLED, "no longer wanted");
    }
    if (!dial->resolving)
        link_dial_free(dial);
}

const char *link_dial_address(const struct link_dial *dial)
{
    return dial->address;
}

uint64_t link_dial_node_id(const struct link_dial *dial)
{
    return dial->found_id;
}

/* ---- the set --------------------------------------------------------------------------------- */

static void link_set_take_identity(struct link_set *set, const struct link_identity *identity)
{
    char **const fields[] = {&set->cluster_id, &set->node_uuid,    &set->name,
                             &set->version,    &set->peer_address, &set->api_address};
    const char *const values[] = {identity->cluster_id,   identity->node_uuid,
                                  identity->name,         identity->version,
                                  identity->peer_address, identity->api_address};
    for (unsigned i = 0; i < MEM_COUNT(fields); i++) {
        char *copy = mem_strdup(values[i] != NULL ? values[i] : "");
        free(*fields[i]);
        *fields[i] = copy;
    }
    if (set->peer_address[0] == '\0' && set->listening) {
        free(set->peer_address);
        set->peer_address = mem_strdup(set->address);
    }
    set->node_id = identity->node_id;
}

struct link_set *link_set_new(const struct link_set_options *options, struct error *e)
{
    if (options->tls != NULL) {
        (void)error_set(e, ERR_UNSUPPORTED, "this build has no TLS for peer links");
        return NULL;
    }
    struct link_set *set = mem_zalloc(sizeof *set);
    set->loop = options->loop;
    set->options = *options;
    set->secret = mem_strdup(options->secret != NULL ? options->secret : "");
    set->scratch = mem_alloc(LINK_READ_BYTES);
    random_bytes(&set->boot, sizeof set->boot);
    TAILQ_INIT(&set->links);
    TAILQ_INIT(&set->dirty);
    TAILQ_INIT(&set->dials);
    loop_hook_init(&set->flush, set->loop, LOOP_PHASE_FLUSH, link_on_flush, set);
    loop_hook_init(&set->defer, set->loop, LOOP_PHASE_FLUSH, link_on_defer, set);
    link_set_take_identity(set, &options->identity);
    return set;
}

void link_set_identify(struct link_set *set, const struct link_identity *identity)
{
    link_set_take_identity(set, identity);
    struct link *link;
    TAILQ_FOREACH (link, &set->links, of_set)
        link_close(link, ERR_CLOSED, "this node has a new identity");
}

static void link_on_listener_closed(uv_handle_t *handle)
{
    struct link_set *set = handle->data;
    set->handles--;
    link_set_finish(set);
}

void link_set_close(struct link_set *set, void (*fn)(void *arg), void *arg)
{
    set->closing = true;
    set->closed = fn;
    set->closed_arg = arg;
    struct link_dial *dial = TAILQ_FIRST(&set->dials);
    while (dial != NULL) {
        struct link_dial *next = TAILQ_NEXT(dial, of_set);
        if (!dial->dead)
            link_undial(dial);
        dial = next;
    }
    struct link *link;
    TAILQ_FOREACH (link, &set->links, of_set)
        link_close(link, ERR_CLOSED, "the node is shutting down");
    if (set->listening)
        uv_close((uv_handle_t *)&set->listener, link_on_listener_closed);
    loop_hook_arm(&set->defer); /* where nothing is open the end comes from there */
}

struct link *link_to(const struct link_set *set, uint64_t node_id)
{
    struct link *link = NULL;
    HASH_FIND(hh, set->by_node, &node_id, sizeof node_id, link);
    return link;
}

void link_set_each(struct link_set *set, void (*fn)(void *arg, struct link *link), void *arg)
{
    struct link *link = TAILQ_FIRST(&set->links);
    while (link != NULL) {
        struct link *next = TAILQ_NEXT(link, of_set);
        if (link->state == LINK_UP)
            fn(arg, link);
        link = next;
    }
}

void link_set_get_stats(const struct link_set *set, struct link_set_stats *out)
{
    *out = set->stats;
    out->pending = set->pending_n;
}

/* ---- links that are up ----------------------------------------------------------------------- */

static int link_check_room(struct link *link, size_t len)
{
    const struct link_set_options *options = &link->set->options;
    if (link->state != LINK_UP)
        return ERR_CLOSED;
    if (len > options->frame_bytes_max)
        return ERR_TOO_LARGE;
    size_t queued = link->out.len + link->flying.len;
    if (queued > 0 && queued + len > options->queue_bytes_max) {
        link->full = true;
        return ERR_BUSY;
    }
    return 0;
}

static void link_sent(struct link *link)
{
    size_t queued = link->out.len + link->flying.len;
    link->stats.frames_out++;
    if (queued > link->stats.queued_bytes_max)
        link->stats.queued_bytes_max = queued;
    link_io_mark(link);
}

int link_send(struct link *link, enum wire_type type, const ProtobufCMessage *message)
{
    int err = link_check_room(link, protobuf_c_message_get_packed_size(message));
    if (err == 0)
        err = wire_pack(&link->out, type, message);
    if (err == 0)
        link_sent(link);
    return err;
}

int link_send_body(struct link *link, enum wire_type type, const void *body, size_t len)
{
    int err = link_check_room(link, len);
    if (err == 0)
        err = frame_append(&link->out, (uint16_t)type, body, len);
    if (err == 0)
        link_sent(link);
    return err;
}

ProtobufCMessage *link_take_message(struct link *link)
{
    ProtobufCMessage *message = link->message;
    assert(message != NULL);
    link->message = NULL;
    return message;
}

const Wire__Hello *link_peer(const struct link *link)
{
    return link->peer;
}

uint64_t link_node_id(const struct link *link)
{
    return link->node_id;
}

bool link_is_outgoing(const struct link *link)
{
    return link->outgoing;
}

void link_set_data(struct link *link, void *data)
{
    link->data = data;
}

void *link_data(const struct link *link)
{
    return link->data;
}

void link_get_stats(const struct link *link, struct link_stats *out)
{
    *out = link->stats;
    out->queued_bytes = link->out.len + link->flying.len;
}
