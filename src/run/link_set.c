/* The set of a node's links: its identity, its hooks, its end. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/uuid.h"
#include "run/link_internal.h"

void link_set_options_init(struct link_set_options *options)
{
    *options = (struct link_set_options){
        .frame_bytes_max = FRAME_BODY_BYTES_MAX,
        .queue_bytes_max =
            FRAME_BODY_BYTES_MAX + (8 << 20), /* small frames fit behind the largest */
        .links_max = 4096,
        .pending_max = 64,
        .handshake_timeout_ms = 5000,
        .ping_interval_ms = 250,
        .silence_timeout_ms = 2000,
        .backoff_min_ms = 50,
        .backoff_max_ms = 5000,
    };
}

/* ---- hooks -------------------------------------------------------------------------------- */

static void link_set_on_defer(void *arg)
{
    struct link_set *set = arg;
    link_tell_downs(set);
    if (set->end_due) {
        set->end_due = false;
        link_set_closed_one(set);
    }
}

static void link_set_on_flush(void *arg)
{
    struct link_set *set = arg;
    struct link *link;
    while ((link = TAILQ_FIRST(&set->dirty)) != NULL) {
        TAILQ_REMOVE(&set->dirty, link, of_dirty);
        link->dirty = false;
        link_io_flush(link);
    }
}

static void link_set_on_turn(void *arg)
{
    struct link_set *set = arg;
    struct link *link;
    unsigned n = 0; /* who asks again meanwhile waits for the turn after this one */
    TAILQ_FOREACH (link, &set->attention, of_attention)
        n++;
    while (n-- > 0 && (link = TAILQ_FIRST(&set->attention)) != NULL) {
        TAILQ_REMOVE(&set->attention, link, of_attention);
        link->attention = false;
        link_io_attended(link);
    }
    if (!TAILQ_EMPTY(&set->attention))
        loop_timer_start(&set->turn, 0);
}

static void link_set_on_accept_timer(void *arg)
{
    link_accept_next(arg);
}

/* ---- identity ----------------------------------------------------------------------------- */

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
    set->node_id = identity->node_id;
}

static void link_set_close_links(struct link_set *set, const char *reason)
{
    struct link *link;
    TAILQ_FOREACH (link, &set->links, of_set)
        link_close(link, ERR_CLOSED, reason);
}

void link_set_identify(struct link_set *set, const struct link_identity *identity)
{
    const char *cluster_id = identity->cluster_id != NULL ? identity->cluster_id : "";
    bool changed = identity->node_id != set->node_id || strcmp(cluster_id, set->cluster_id) != 0;
    link_set_take_identity(set, identity);
    if (!changed)
        return;
    link_set_close_links(set, "the node has a new identity");
    link_dial_hurry(set);
}

/* ---- life --------------------------------------------------------------------------------- */

struct link_set *link_set_new(const struct link_set_options *options, struct error *e)
{
    struct link_tls *tls = NULL;
    assert(options->loop != NULL && options->ops->on_up != NULL &&
           options->ops->on_message != NULL && options->ops->on_down != NULL);
    assert(options->frame_bytes_max <= FRAME_BODY_BYTES_MAX && options->pending_max > 0);
    if (options->tls != NULL && link_tls_new(options->tls, &tls, e) < 0)
        return NULL;
    struct link_set *set = mem_zalloc(sizeof *set);
    uint64_t seed;
    random_bytes(&seed, sizeof seed);
    random_bytes(&set->boot, sizeof set->boot);
    prng_init(&set->prng, seed);
    set->loop = options->loop;
    set->options = *options;
    set->check_name = options->tls != NULL && options->tls->check_name;
    set->options.tls = NULL; /* was borrowed */
    set->tls = tls;
    set->secret = mem_strdup(options->secret != NULL ? options->secret : "");
    TAILQ_INIT(&set->links);
    TAILQ_INIT(&set->pending);
    TAILQ_INIT(&set->downs);
    TAILQ_INIT(&set->dirty);
    TAILQ_INIT(&set->attention);
    TAILQ_INIT(&set->dials);
    loop_hook_init(&set->defer, set->loop, LOOP_PHASE_DEFER, link_set_on_defer, set);
    loop_hook_init(&set->flush, set->loop, LOOP_PHASE_FLUSH, link_set_on_flush, set);
    loop_timer_init(&set->turn, set->loop, link_set_on_turn, set);
    loop_timer_init(&set->accept_timer, set->loop, link_set_on_accept_timer, set);
    link_set_take_identity(set, &options->identity);
    return set;
}

static void link_set_free(struct link_set *set)
{
    assert(TAILQ_EMPTY(&set->links) && TAILQ_EMPTY(&set->dials) && set->by_node == NULL);
    loop_hook_disarm(&set->defer);
    loop_hook_disarm(&set->flush);
    loop_timer_stop(&set->turn);
    loop_timer_stop(&set->accept_timer);
    link_tls_free(set->tls);
    free(set->cluster_id);
    free(set->node_uuid);
    free(set->name);
    free(set->version);
    free(set->peer_address);
    free(set->api_address);
    free(set->secret);
    free(set);
}

void link_set_closed_one(struct link_set *set)
{
    assert(set->open > 0);
    set->open--;
    if (!set->closing || set->open > 0)
        return;
    void (*closed)(void *arg) = set->closed;
    void *arg = set->closed_arg;
    link_set_free(set);
    if (closed != NULL)
        closed(arg);
}

static void link_set_on_listener_closed(uv_handle_t *handle)
{
    link_set_closed_one(handle->data);
}

void link_set_close(struct link_set *set, void (*fn)(void *arg), void *arg)
{
    assert(!set->closing);
    set->closed = fn;
    set->closed_arg = arg;
    struct link_dial *next;
    for (struct link_dial *dial = TAILQ_FIRST(&set->dials); dial != NULL; dial = next) {
        next = TAILQ_NEXT(dial, of_set);
        if (!dial->dead)
            link_undial(dial);
    }
    set->closing = true;
    link_set_close_links(set, "the node is shutting down");
    if (set->listening)
        uv_close((uv_handle_t *)&set->listener, link_set_on_listener_closed);
    /* When nothing else is open, the end comes from the hook. */
    set->open++;
    set->end_due = true;
    loop_hook_arm(&set->defer);
}

/* ---- what it knows ------------------------------------------------------------------------ */

void link_set_each(struct link_set *set, void (*fn)(void *arg, struct link *link), void *arg)
{
    struct link *link;
    TAILQ_FOREACH (link, &set->links, of_set) { /* nothing leaves the list inside of `fn` */
        if (link->state == LINK_STATE_UP)
            fn(arg, link);
    }
}

void link_set_get_stats(const struct link_set *set, struct link_set_stats *out)
{
    *out = set->stats;
    out->pending = set->pending_n;
}
