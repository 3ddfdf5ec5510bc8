/* Happy path: the collector says from where on it wants this node's events; a batch goes, and the
 * next one when it is acknowledged. What is not in memory any more is read from the disk.
 *
 * What neither has is left out: the hole in the numbers tells the collector. */
#include <stdlib.h>

#include "base/mem.h"
#include "role/events_internal.h"

/* Whether the batch went. */
static bool events_send_rows(struct events *events, Wire__Event **rows, size_t n, uint64_t last)
{
    Wire__EventBatch batch = WIRE__EVENT_BATCH__INIT;
    batch.term = events->asked_term;
    batch.events = rows;
    batch.n_events = n;
    if (node_send(events->node, events->asked_by, WIRE_EVENT_BATCH, &batch.base) < 0)
        return false;
    events->sent = last;
    events->in_flight = true;
    return true;
}

static void events_send_ring(struct events *events)
{
    Wire__Event rows[EVENTS_BATCH_MAX];
    Wire__Event *pointers[EVENTS_BATCH_MAX];
    size_t bytes = 0, n = 0, from = event_ring_after_seq(&events->own, events->sent);
    uint64_t last = events->sent;
    while (n < EVENTS_BATCH_MAX && bytes < EVENTS_BATCH_BYTES_MAX && from + n < events->own.n) {
        const struct event *event = event_ring_at(&events->own, from + n);
        events_to_wire(event, &rows[n]);
        rows[n].position = 0;
        last = event->seq;
        bytes += event->json_len;
        pointers[n] = &rows[n];
        n++;
    }
    if (n > 0)
        (void)events_send_rows(events, pointers, n, last);
}

static void events_on_disk(void *arg, int code, const Wire__EventBatch *batch, uint64_t first,
                           uint64_t last)
{
    struct events *events = arg;
    size_t bytes = 0, from = 0, n = 0;
    (void)first;
    (void)last;
    events->send_read = NULL;
    if (code < 0 || batch == NULL) { /* the disk has no more: a hole, up to the ring */
        if (events->own.n > 0)
            events->sent = event_ring_at(&events->own, 0)->seq - 1;
        events_send(events);
        return;
    }
    while (from < batch->n_events && batch->events[from]->seq <= events->sent)
        from++;
    while (from + n < batch->n_events && n < EVENTS_BATCH_MAX && bytes < EVENTS_BATCH_BYTES_MAX)
        bytes += batch->events[from + n++]->json.len;
    if (n > 0)
        (void)events_send_rows(events, &batch->events[from], n, batch->events[from + n - 1]->seq);
}

void events_send(struct events *events)
{
    if (events->asked_by == 0 || events->in_flight || events->stopping ||
        events->send_read != NULL || events->own.n == 0)
        return;
    uint64_t first = event_ring_at(&events->own, 0)->seq;
    if (events->sent + 1 >= first || events->store == NULL) {
        events_send_ring(events);
        return;
    }
    struct event_store_want want = {
        .list = EVENT_STORE_OWN, .after = events->sent, .before = first, .since_ms = INT64_MIN};
    events->send_read = event_store_read_events(events->store, &want, events_on_disk, events);
}

void events_on_ack(void *self, uint64_t from, const ProtobufCMessage *message)
{
    struct events *events = self;
    const Wire__EventAck *ack = (const Wire__EventAck *)message;
    if (ack->term < events->asked_term)
        return;
    if (ack->begin) {
        events_send_lost(events);
        events->asked_by = from;
        events->asked_term = ack->term;
        events->sent = ack->seq;
        event_seq_raise(&events->seq, ack->seq); /* of a data directory that is an older copy */
        events_tell_local(events);
    } else if (from != events->asked_by || ack->term != events->asked_term ||
               ack->seq < events->sent) {
        return;
    }
    events->in_flight = false;
    events_send(events);
}

void events_send_lost(struct events *events)
{
    events->asked_by = 0;
    events->in_flight = false;
    event_store_cancel(events->send_read);
    events->send_read = NULL;
}
