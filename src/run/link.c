/* The states of a link, and what its owner does with one that is up.
 *
 *     connecting -> [tls ->] hello -> [proof ->] up -> closing -> linger -> gone
 *
 * Going down is marked at once (the link takes and brings nothing more) and told to the owner at
 * the end of the turn. One that we close sends what is queued and its Goodbye first, then closes
 * its end and waits for the peer's, at most LINK_CLOSE_MS; closing with unread input would destroy
 * the Goodbye. One that was lost is gone at once. */
#include "run/link.h"

#include <assert.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/metric.h"
#include "base/str.h"
#include "run/link_internal.h"

static const char *const link_state_names[] = {
#define LINK_STATE_NAME(symbol, name) [symbol] = (name),
    LINK_STATE_LIST(LINK_STATE_NAME)
#undef LINK_STATE_NAME
};

#define LINK_BIT(state) (1u << (state))

/* The states that may follow. */
static const unsigned link_state_edges[] = {
    [LINK_STATE_CONNECTING] =
        LINK_BIT(LINK_STATE_TLS) | LINK_BIT(LINK_STATE_HELLO) | LINK_BIT(LINK_STATE_CLOSING),
    [LINK_STATE_TLS] = LINK_BIT(LINK_STATE_HELLO) | LINK_BIT(LINK_STATE_CLOSING),
    [LINK_STATE_HELLO] =
        LINK_BIT(LINK_STATE_PROOF) | LINK_BIT(LINK_STATE_UP) | LINK_BIT(LINK_STATE_CLOSING),
    [LINK_STATE_PROOF] = LINK_BIT(LINK_STATE_UP) | LINK_BIT(LINK_STATE_CLOSING),
    [LINK_STATE_UP] = LINK_BIT(LINK_STATE_CLOSING),
    [LINK_STATE_CLOSING] = LINK_BIT(LINK_STATE_LINGER) | LINK_BIT(LINK_STATE_GONE),
    [LINK_STATE_LINGER] = LINK_BIT(LINK_STATE_GONE),
    [LINK_STATE_GONE] = 0,
};

void link_set_state(struct link *link, enum link_state state)
{
    assert((link_state_edges[link->state] & LINK_BIT(state)) != 0);
    log_debug(LOG_ABOUT(.role = "link", .peer = link->peer != NULL ? link->peer->name : NULL),
              "%s link: %s -> %s", link->outgoing ? "outgoing" : "incoming",
              link_state_names[link->state], link_state_names[state]);
    link->state = state;
}

bool link_is_closing(const struct link *link)
{
    return link->state >= LINK_STATE_CLOSING;
}

/* ---- life --------------------------------------------------------------------------------- */

static void link_on_timer(void *arg)
{
    struct link *link = arg;
    switch (link->state) {
    case LINK_STATE_UP:
        link_probe(link);
        break;
    case LINK_STATE_CLOSING:
    case LINK_STATE_LINGER:
        link_drop(link);
        break;
    case LINK_STATE_CONNECTING:
        link_lost(link, -ETIMEDOUT, "no connection");
        break;
    default:
        link->set->stats.handshake_timeouts++;
        link_close(link, ERR_TIMEOUT, "the handshake took too long");
        break;
    }
}

struct link *link_new(struct link_set *set, struct link_dial *dial)
{
    struct link *link = mem_zalloc(sizeof *link);
    const struct link_set_options *options = &set->options;
    size_t queue_max = options->queue_bytes_max + FRAME_BODY_BYTES_MAX + LINK_OUT_SPARE_BYTES;
    link->set = set;
    link->dial = dial;
    link->outgoing = dial != NULL;
    link->refs = 1;
    link->born_ms = link->stats.heard_ms = loop_now_ms(set->loop);
    frame_decoder_init(&link->decoder, LINK_HELLO_BYTES_MAX);
    buf_init(&link->out, queue_max);
    buf_init(&link->flying, SIZE_MAX / 4); /* bounded by out */
    (void)uv_tcp_init(loop_uv(set->loop), &link->tcp);
    link->tcp.data = link;
    loop_timer_init(&link->timer, set->loop, link_on_timer, link);
    loop_timer_start(&link->timer, options->handshake_timeout_ms);
    TAILQ_INSERT_TAIL(&set->links, link, of_set);
    set->links_n++;
    set->open++;
    return link;
}

void link_hold(struct link *link)
{
    link->refs++;
}

void link_release(struct link *link)
{
    assert(link->refs > 0);
    if (--link->refs > 0)
        return;
    struct link_set *set = link->set;
    link_tls_session_free(link->tls);
    frame_decoder_done(&link->decoder);
    buf_done(&link->out);
    buf_done(&link->flying);
    wire_free(link->peer != NULL ? &link->peer->base : NULL);
    free(link);
    link_set_closed_one(set);
}

static void link_on_closed(uv_handle_t *handle)
{
    link_release(handle->data);
}

static void link_end_pending(struct link *link)
{
    if (!link->pending)
        return;
    link->pending = false;
    link->set->pending_n--;
    TAILQ_REMOVE(&link->set->pending, link, of_pending);
    link_accept_next(link->set);
}

void link_drop(struct link *link)
{
    struct link_set *set = link->set;
    if (link->state == LINK_STATE_GONE)
        return;
    assert(link_is_closing(link));
    link->lost = true;
    if (link->untold)
        return; /* link_tell_downs() comes back */
    link_set_state(link, LINK_STATE_GONE);
    loop_timer_stop(&link->timer);
    if (link->dirty)
        TAILQ_REMOVE(&set->dirty, link, of_dirty);
    if (link->attention)
        TAILQ_REMOVE(&set->attention, link, of_attention);
    link->dirty = link->attention = true; /* no way back into the lists */
    TAILQ_REMOVE(&set->links, link, of_set);
    set->links_n--;
    uv_close((uv_handle_t *)&link->tcp, link_on_closed);
    link_end_pending(link);
}

/* ---- up ----------------------------------------------------------------------------------- */

void link_connected(struct link *link)
{
    link->connected = true;
    if (link->set->tls == NULL) {
        link_secured(link);
    } else {
        link->tls = link_tls_session_new(link->set->tls, link->outgoing);
        link_set_state(link, LINK_STATE_TLS);
    }
    link_io_start(link);
}

void link_secured(struct link *link)
{
    link_set_state(link, LINK_STATE_HELLO);
    link_hello_begin(link);
}

static bool link_is_silent(const struct link *link)
{
    int64_t silent_ms = loop_now_ms(link->set->loop) - link->stats.heard_ms;
    return silent_ms > 2 * link_probe_interval_ms(link->set);
}

/* Whether the newcomer takes the place of the link that is up to the same node.
 *
 * Of two that both sides made, the lower id keeps the one that was up first with it: a connection
 * of its own is up there before it is here, so that here it replaces ours, and ours never that one.
 * A link that only one side knows to be dead has another boot number, has the initiator of the
 * newcomer, or has been silent for longer than a live link is ever left. */
static bool link_replaces(const struct link *newcomer, const struct link *old)
{
    const struct link_set *set = old->set;
    bool decided_there = !newcomer->outgoing && newcomer->node_id < set->node_id;
    return newcomer->peer->boot != old->peer->boot || newcomer->outgoing == old->outgoing ||
           decided_there || link_is_silent(old);
}

/* Another process with the peer's identity, while the first is alive: of one that was started anew
 * the old connections have ended, or are silent. */
bool link_is_double(const struct link *link)
{
    const struct link *twin = link_to(link->set, link->node_id);
    return twin != NULL && link->peer->boot != twin->peer->boot && !link_is_silent(twin);
}

static void link_count_up(struct link *link)
{
    const char *name = link->node_id != 0 ? link->peer->name : "guest";
    metric_series_add(metric_series(METRIC_LINK_CONNECTS, name), 1);
    link->frames_in = metric_series(METRIC_LINK_FRAMES, name, "in");
    link->frames_out = metric_series(METRIC_LINK_FRAMES, name, "out");
    link->bytes_in = metric_series(METRIC_LINK_BYTES, name, "in");
    link->bytes_out = metric_series(METRIC_LINK_BYTES, name, "out");
}

bool link_is_second(const struct link *link)
{
    const struct link *twin = link_to(link->set, link->node_id);
    return twin != NULL && !link_replaces(link, twin);
}

void link_up(struct link *link)
{
    struct link_set *set = link->set;
    struct link *twin = link_to(set, link->node_id);
    if (link_is_double(link)) {
        link_turn_away(link, ERR_CONFLICT, LINK_DOUBLE_TEXT);
        return;
    }
    if (link_is_second(link)) {
        link_close(link, ERR_EXISTS, "another link between these nodes is up");
        return;
    }
    if (twin != NULL)
        link_close(twin, ERR_EXISTS, "replaced by another link between these nodes");
    link_tell_downs(set); /* also of a link to this node that went down in this very turn */
    link_end_pending(link);
    link_set_state(link, LINK_STATE_UP);
    link->was_up = true;
    link->decoder.body_bytes_max = set->options.frame_bytes_max;
    link->stats.up_since_ms = loop_now_ms(set->loop);
    link_count_up(link);
    set->stats.up++;
    if (link->node_id != 0)
        HASH_ADD(hh, set->by_node, node_id, sizeof link->node_id, link);
    if (link->dial != NULL)
        link->dial->found_id = link->node_id;
    link_probe_start(link);
    set->options.ops->on_up(set->options.arg, link);
}

/* ---- down --------------------------------------------------------------------------------- */

static void link_down(struct link *link, int code, const char *reason)
{
    struct link_set *set = link->set;
    assert(code < 0 && !link_is_closing(link));
    link->down_code = code;
    (void)snprintf(link->down_reason, sizeof link->down_reason, "%s", reason);
    if (link->state == LINK_STATE_UP) {
        set->stats.up--;
        if (link->node_id != 0)
            HASH_DEL(set->by_node, link);
    }
    link_set_state(link, LINK_STATE_CLOSING);
    link->untold = true;
    TAILQ_INSERT_TAIL(&set->downs, link, of_downs);
    unsigned silence_ms = set->options.silence_timeout_ms;
    loop_timer_start(&link->timer, silence_ms < LINK_CLOSE_MS ? silence_ms : LINK_CLOSE_MS);
    loop_hook_arm(&set->defer);
}

void link_close(struct link *link, int code, const char *reason)
{
    if (link_is_closing(link))
        return;
    if (link->connected && (link->tls == NULL || link->secured)) {
        Wire__Goodbye goodbye = WIRE__GOODBYE__INIT;
        goodbye.code = code;
        goodbye.reason = (char *)(uintptr_t)reason;
        link_io_send(link, WIRE_GOODBYE, &goodbye.base);
    }
    link->lost = !link->connected;
    link_down(link, code, reason);
}

void link_lost(struct link *link, int code, const char *fmt, ...)
{
    char reason[LINK_REASON_MAX];
    va_list args;
    if (link_is_closing(link)) {
        link_drop(link);
        return;
    }
    va_start(args, fmt);
    (void)vsnprintf(reason, sizeof reason, fmt, args);
    va_end(args);
    link->lost = true;
    link_down(link, code, reason);
}

static void link_log_refusal(struct link *link, enum log_level level, int code, const char *reason)
{
    struct link_set *set = link->set;
    int64_t second = loop_now_ms(set->loop) / 1000;
    char from[ADDRESS_TEXT_MAX] = "?";
    struct sockaddr_storage address = {0};
    int len = sizeof address;
    if (second != set->log_second)
        set->log_records = 0;
    set->log_second = second;
    if (++set->log_records > LINK_LOG_RECORDS_MAX)
        return;
    if (uv_tcp_getpeername(&link->tcp, (struct sockaddr *)&address, &len) == 0)
        (void)address_format((struct sockaddr *)&address, from);
    log_write(level,
              LOG_ABOUT(.role = "link", .code = code,
                        .peer = link->peer != NULL ? link->peer->name : NULL),
              "closing the link %s %s: %s%s", link->outgoing ? "to" : "from", from, reason,
              set->log_records == LINK_LOG_RECORDS_MAX ? " (more in this second are not logged)"
                                                       : "");
}

void link_turn_away(struct link *link, int code, const char *reason)
{
    char *printable = str_printable(reason, strlen(reason), false);
    link->set->stats.refused++;
    link_log_refusal(link, LOG_LEVEL_INFO, code, printable);
    link_close(link, code, printable);
    free(printable);
}

void link_refuse(struct link *link, int code, const char *fmt, ...)
{
    char reason[LINK_REASON_MAX];
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(reason, sizeof reason, fmt, args);
    va_end(args);
    link->set->stats.protocol_errors++;
    link_log_refusal(link, LOG_LEVEL_WARN, code, reason);
    link_close(link, code, reason);
}

static void link_tell_down(struct link *link)
{
    struct link_set *set = link->set;
    assert(link->untold);
    TAILQ_REMOVE(&set->downs, link, of_downs);
    link->untold = false;
    if (link->was_up)
        set->options.ops->on_down(set->options.arg, link, link->down_code, link->down_reason);
    if (link->dial != NULL)
        link_dial_ended(link->dial, link);
    if (link->was_up && link->node_id != 0 && link_to(set, link->node_id) == NULL)
        link_dial_wake(set, link->node_id);
    if (link->lost)
        link_drop(link);
    else
        link_io_mark(link);
}

void link_tell_downs(struct link_set *set)
{
    struct link *link;
    while ((link = TAILQ_FIRST(&set->downs)) != NULL)
        link_tell_down(link);
}

/* ---- sending ------------------------------------------------------------------------------ */

static int link_check_room(struct link *link, size_t body_len)
{
    const struct link_set_options *options = &link->set->options;
    size_t queued = link_io_queued(link);
    if (link->state != LINK_STATE_UP)
        return ERR_CLOSED;
    if (body_len > FRAME_BODY_BYTES_MAX)
        return ERR_TOO_LARGE;
    if (queued > 0 && queued + FRAME_HEADER_BYTES + body_len > options->queue_bytes_max) {
        link->full = true;
        return ERR_BUSY;
    }
    return 0;
}

static int link_sent(struct link *link, size_t body_len)
{
    size_t queued = link_io_queued(link);
    link_io_count_out(link, FRAME_HEADER_BYTES + body_len);
    if (queued > link->stats.queued_bytes_max)
        link->stats.queued_bytes_max = queued;
    link_io_mark(link);
    return 0;
}

int link_send(struct link *link, enum wire_type type, const ProtobufCMessage *message)
{
    size_t len = protobuf_c_message_get_packed_size(message);
    int err = link_check_room(link, len);
    if (err == 0)
        err = wire_pack(&link->out, type, message);
    return err < 0 ? err : link_sent(link, len);
}

ProtobufCMessage *link_take_message(struct link *link)
{
    ProtobufCMessage *message = link->message;
    assert(message != NULL);
    link->message = NULL;
    return message;
}

/* ---- what it knows ------------------------------------------------------------------------ */

struct link *link_to(const struct link_set *set, uint64_t node_id)
{
    struct link *link = NULL;
    HASH_FIND(hh, set->by_node, &node_id, sizeof node_id, link);
    return link;
}

const Wire__Hello *link_peer(const struct link *link)
{
    assert(link->peer != NULL);
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
    out->queued_bytes = link_io_queued(link);
}
