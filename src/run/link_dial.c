/* Connections that go out: resolve, try each address, and after a failure again, later and later.
 * A dial whose node is linked already stands by until that link is down. */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"
#include "run/link_internal.h"

/* For an address while there are others to try. */
enum { LINK_DIAL_NEXT_MS = 1000 };

static void link_dial_tell(struct link_dial *dial, int code, const char *reason)
{
    const struct link_set_options *options = &dial->set->options;
    if (options->ops->on_dial_failed != NULL && !dial->dead && !dial->set->closing)
        options->ops->on_dial_failed(options->arg, dial, code, reason);
}

/* Doubles with each attempt; jittered over its upper half, so that nodes which lost the same peer
 * don't come back at the same time. */
static int64_t link_dial_backoff_ms(struct link_dial *dial)
{
    const struct link_set_options *options = &dial->set->options;
    uint64_t span_ms = options->backoff_min_ms;
    for (unsigned i = 1; i < dial->attempts && span_ms < options->backoff_max_ms; i++)
        span_ms *= 2;
    if (span_ms > options->backoff_max_ms)
        span_ms = options->backoff_max_ms;
    return (int64_t)prng_between(&dial->set->prng, span_ms / 2, span_ms);
}

static void link_dial_again(struct link_dial *dial)
{
    if (dial->dead || dial->set->closing)
        return;
    dial->attempts++;
    loop_timer_start(&dial->timer, link_dial_backoff_ms(dial));
}

static void link_dial_free(struct link_dial *dial)
{
    TAILQ_REMOVE(&dial->set->dials, dial, of_set);
    loop_timer_stop(&dial->timer);
    uv_freeaddrinfo(dial->found);
    free(dial->address);
    free(dial);
}

/* ---- connecting --------------------------------------------------------------------------- */

static void link_dial_on_connected(uv_connect_t *connect, int status)
{
    struct link *link = connect->data;
    if (link->state != LINK_STATE_CONNECTING)
        return;
    if (status < 0)
        link_lost(link, status, "%s", err_text(status));
    else
        link_connected(link);
}

static void link_dial_connect(struct link_dial *dial, const struct sockaddr *address)
{
    struct link *link = link_new(dial->set, dial);
    dial->link = link;
    link->request.connect.data = link;
    if (dial->next != NULL)
        loop_timer_start(&link->timer, LINK_DIAL_NEXT_MS);
    int err = uv_tcp_connect(&link->request.connect, &link->tcp, address, link_dial_on_connected);
    if (err < 0)
        link_lost(link, err, "%s", err_text(err));
}

static void link_dial_connect_next(struct link_dial *dial)
{
    const struct addrinfo *address = dial->next;
    dial->next = address->ai_next;
    link_dial_connect(dial, address->ai_addr);
}

static void link_dial_on_resolved(uv_getaddrinfo_t *request, int status, struct addrinfo *found)
{
    struct link_dial *dial = request->data;
    struct link_set *set = dial->set;
    dial->resolving = false;
    dial->found = dial->next = found;
    if (dial->dead) {
        link_dial_free(dial);
    } else if (status < 0) {
        link_dial_tell(dial, ERR_UNAVAILABLE, uv_strerror(status));
        link_dial_again(dial);
    } else {
        link_dial_connect_next(dial);
    }
    link_set_closed_one(set);
}

static int link_dial_resolve(struct link_dial *dial)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
    char port[8];
    (void)snprintf(port, sizeof port, "%u", dial->port);
    uv_freeaddrinfo(dial->found);
    dial->found = dial->next = NULL;
    dial->resolve.data = dial;
    int err = uv_getaddrinfo(loop_uv(dial->set->loop), &dial->resolve, link_dial_on_resolved,
                             dial->host, port, &hints);
    dial->resolving = err == 0;
    dial->set->open += err == 0;
    return err;
}

static bool link_dial_is_linked(const struct link_dial *dial)
{
    uint64_t id = link_dial_node_id(dial);
    return id != 0 && link_to(dial->set, id) != NULL;
}

static void link_dial_on_timer(void *arg)
{
    struct link_dial *dial = arg;
    struct sockaddr_storage address;
    assert(dial->link == NULL && !dial->resolving);
    dial->standing_by = link_dial_is_linked(dial);
    if (dial->standing_by)
        return;
    if (address_parse_numeric(dial->host, dial->port, &address) == 0) {
        link_dial_connect(dial, (struct sockaddr *)&address);
        return;
    }
    int err = link_dial_resolve(dial);
    if (err < 0) {
        link_dial_tell(dial, err, uv_strerror(err));
        link_dial_again(dial);
    }
}

void link_dial_ended(struct link_dial *dial, struct link *link)
{
    assert(dial->link == link);
    dial->link = NULL;
    link->dial = NULL;
    if (dial->set->closing)
        return;
    if (!link->was_up && !link->connected && dial->next != NULL) {
        link_dial_connect_next(dial);
        return;
    }
    dial->next = NULL;
    if (!link->was_up && link->down_code != ERR_EXISTS)
        link_dial_tell(dial, link->down_code, link->down_reason);
    if (link->was_up && loop_now_ms(dial->set->loop) - link->stats.up_since_ms >= LINK_STABLE_MS)
        dial->attempts = 0;
    link_dial_again(dial);
}

void link_dial_wake(struct link_set *set, uint64_t node_id)
{
    struct link_dial *dial;
    TAILQ_FOREACH (dial, &set->dials, of_set) {
        if (!dial->standing_by || link_dial_node_id(dial) != node_id)
            continue;
        dial->standing_by = false;
        dial->attempts = 0;
        link_dial_again(dial);
    }
}

void link_dial_hurry(struct link_set *set)
{
    struct link_dial *dial;
    TAILQ_FOREACH (dial, &set->dials, of_set) {
        dial->attempts = 0;
        if (loop_timer_is_running(&dial->timer))
            loop_timer_start(&dial->timer, 0);
    }
}

/* ---- for the owner ------------------------------------------------------------------------ */

struct link_dial *link_dial(struct link_set *set, const char *address, uint64_t node_id,
                            struct error *e)
{
    struct link_dial *dial = mem_zalloc(sizeof *dial);
    assert(!set->closing);
    if (address_split(address, dial->host, &dial->port) < 0 || dial->port == 0) {
        free(dial);
        (void)error_set(e, ERR_INVALID, "\"%s\" must be HOST:PORT or [IPV6]:PORT", address);
        return NULL;
    }
    dial->set = set;
    dial->address = mem_strdup(address);
    dial->node_id = node_id;
    loop_timer_init(&dial->timer, set->loop, link_dial_on_timer, dial);
    loop_timer_start(&dial->timer, 0);
    TAILQ_INSERT_TAIL(&set->dials, dial, of_set);
    return dial;
}

void link_undial(struct link_dial *dial)
{
    struct link *link = dial->link;
    dial->dead = true;
    loop_timer_stop(&dial->timer);
    if (link != NULL) {
        link->dial = NULL;
        dial->link = NULL;
        if (link->state < LINK_STATE_UP)
            link_close(link, ERR_CANCELLED, "not wanted any more");
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
    return dial->node_id != 0 ? dial->node_id : dial->found_id;
}
