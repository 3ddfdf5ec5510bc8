/* Happy path: what is added gathers; a quarter of a second later a worker writes it in one
 * transaction while the next gathers.
 *
 * How it fails: a write that fails (full disk, broken file) loses what it was to write, which is
 * counted and told once; the next one tries again. When the disk is slower than the events, those
 * past EVENT_STORE_PENDING_MAX are counted too. */
#include "run/event_store.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "run/event_store_internal.h"

void event_store_pending_init(struct event_store_pending *pending)
{
    *pending = (struct event_store_pending){0};
    buf_init(&pending->packed, 2 * (size_t)EVENT_STORE_PENDING_MAX);
}

static void event_store_load_init(struct event_store_load *load)
{
    *load = (struct event_store_load){0};
    STAILQ_INIT(&load->blobs);
    for (unsigned i = 0; i < EVENT_STORE_LISTS; i++)
        event_store_pending_init(&load->lists[i]);
}

static void event_store_load_done(struct event_store_load *load)
{
    struct event_store_blob *blob;
    while ((blob = STAILQ_FIRST(&load->blobs)) != NULL) {
        STAILQ_REMOVE_HEAD(&load->blobs, link);
        free(blob->data);
        free(blob);
    }
    for (unsigned i = 0; i < EVENT_STORE_LISTS; i++)
        buf_done(&load->lists[i].packed);
    free(load->marks);
}

static bool event_store_load_is_empty(const struct event_store_load *load)
{
    bool empty = STAILQ_EMPTY(&load->blobs) && load->marks_n == 0;
    for (unsigned i = 0; i < EVENT_STORE_LISTS; i++)
        empty = empty && load->lists[i].n == 0;
    return empty;
}

/* ---- the worker ------------------------------------------------------------------------------ */

static void event_store_write(struct event_store *store);

static void event_store_end(struct event_store *store)
{
    void (*closed)(void *arg) = store->closed;
    void *arg = store->closed_arg;
    event_store_file_close(&store->file);
    event_store_load_done(&store->load);
    free(store);
    if (closed != NULL)
        closed(arg);
}

static void event_store_on_write(void *arg)
{
    struct event_store *store = arg;
    store->code =
        event_store_file_write(&store->file, &store->flight, clock_wall_ms(), &store->error);
}

static void event_store_tell(struct event_store *store)
{
    uint64_t lost = store->lost;
    bool bad = store->code < 0;
    if (bad == store->in_trouble && (bad || lost == 0))
        return;
    store->in_trouble = bad;
    if (!bad)
        store->lost = 0;
    if (store->options.trouble != NULL)
        store->options.trouble(store->options.arg, store->code, bad ? store->error.text : "", lost);
}

static void event_store_on_written(void *arg, int code)
{
    struct event_store *store = arg;
    (void)code;
    store->writing = false;
    store->bytes = store->file.bytes;
    for (unsigned i = 0; store->code < 0 && i < EVENT_STORE_LISTS; i++)
        store->lost += store->flight.lists[i].n;
    store->lost += store->flight.lost;
    event_store_load_done(&store->flight);
    event_store_tell(store);
    if (store->closing && event_store_load_is_empty(&store->load))
        event_store_end(store);
    else if (store->closing)
        event_store_write(store);
    else if (!event_store_load_is_empty(&store->load))
        loop_timer_start(&store->timer, EVENT_STORE_FLUSH_MS);
}

static void event_store_write(struct event_store *store)
{
    if (store->options.flushing != NULL && !store->closing)
        store->options.flushing(store->options.arg);
    store->flight = store->load;
    /* the queue's tail pointer is inside of its head */
    STAILQ_INIT(&store->flight.blobs);
    STAILQ_CONCAT(&store->flight.blobs, &store->load.blobs);
    event_store_load_init(&store->load);
    store->writing = true;
    (void)loop_work(store->options.loop, event_store_on_write, event_store_on_written, store);
}

static void event_store_on_timer(void *arg)
{
    struct event_store *store = arg;
    if (!store->writing && !store->closing)
        event_store_write(store);
}

static void event_store_wake(struct event_store *store)
{
    if (!store->writing && !store->closing && !loop_timer_is_running(&store->timer))
        loop_timer_start(&store->timer, EVENT_STORE_FLUSH_MS);
}

/* ---- adding ---------------------------------------------------------------------------------- */

/* A field of a message of messages: tag, length, content. */
static void event_store_append(struct buf *out, const Wire__Event *event)
{
    enum { EVENT_STORE_TAG = 2 << 3 | 2 }; /* EventBatch.events */
    size_t len = wire__event__get_packed_size(event);
    (void)buf_append_byte(out, EVENT_STORE_TAG);
    size_t left = len;
    while (left >= 0x80) {
        (void)buf_append_byte(out, (uint8_t)(left | 0x80));
        left >>= 7;
    }
    (void)buf_append_byte(out, (uint8_t)left);
    (void)buf_reserve(out, len);
    (void)wire__event__pack(event, out->data + out->len);
    out->len += len;
}

void event_store_add(struct event_store *store, enum event_store_list list, uint64_t number,
                     const Wire__Event *event)
{
    struct event_store_pending *pending = &store->load.lists[list];
    int64_t at_ms = (int64_t)event->at_ms;
    if (pending->packed.len >= EVENT_STORE_PENDING_MAX) {
        store->load.lost++;
        return;
    }
    if (pending->n++ == 0) {
        pending->first = number;
        pending->at_min_ms = pending->at_max_ms = at_ms;
    }
    assert(number >= pending->last);
    pending->last = number;
    pending->at_min_ms = at_ms < pending->at_min_ms ? at_ms : pending->at_min_ms;
    pending->at_max_ms = at_ms > pending->at_max_ms ? at_ms : pending->at_max_ms;
    event_store_append(&pending->packed, event);
    event_store_wake(store);
}

void event_store_add_mark(struct event_store *store, uint64_t node, uint64_t seq)
{
    struct event_store_load *load = &store->load;
    MEM_GROW(load->marks, load->marks_cap, load->marks_n + 1);
    load->marks[load->marks_n++] = (struct event_store_mark){.node = node, .seq = seq};
    event_store_wake(store);
}

static void event_store_add_blob(struct event_store *store, const struct event_store_blob *from)
{
    struct event_store_load *load = &store->load;
    if (load->blobs_bytes > 0 && load->blobs_bytes + from->len > EVENT_STORE_BLOB_MAX) {
        free(from->data);
        return;
    }
    struct event_store_blob *blob = mem_dup(from, sizeof *from);
    STAILQ_INSERT_TAIL(&load->blobs, blob, link);
    load->blobs_bytes += blob->len;
    event_store_wake(store);
}

void event_store_add_frame(struct event_store *store, uint64_t position, int64_t at_ms, char *data,
                           size_t len)
{
    event_store_add_blob(
        store, &(struct event_store_blob){
                   .frame = true, .position = position, .at_ms = at_ms, .data = data, .len = len});
}

void event_store_add_tick(struct event_store *store, uint32_t step_ms, int64_t at_ms, char *data,
                          size_t len)
{
    event_store_add_blob(store, &(struct event_store_blob){
                                    .step_ms = step_ms, .at_ms = at_ms, .data = data, .len = len});
}

uint64_t event_store_bytes(const struct event_store *store)
{
    return store->bytes;
}

/* ---- life ------------------------------------------------------------------------------------ */

int event_store_open(struct event_store **out, const struct event_store_options *options,
                     struct event_store_found *found, struct error *e)
{
    struct event_store *store = mem_zalloc(sizeof *store);
    store->options = *options;
    int err = event_store_file_open(&store->file, options, found, e);
    if (err < 0) {
        free(store);
        return err;
    }
    store->options.path = store->file.path;
    store->bytes = store->file.bytes;
    event_store_load_init(&store->load);
    TAILQ_INIT(&store->reads);
    loop_timer_init(&store->timer, options->loop, event_store_on_timer, store);
    *out = store;
    return 0;
}

void event_store_close(struct event_store *store, void (*closed)(void *arg), void *arg)
{
    store->closing = true;
    store->closed = closed;
    store->closed_arg = arg;
    loop_timer_stop(&store->timer);
    event_store_end_reads(store);
    if (!store->writing)
        event_store_write(store); /* ends with it */
}
