/* Happy path: the collector says from where on it wants this node's events; a batch goes, and the
 * next one when it is acknowledged.
 *
 * What is older than the ring reaches is left out: the hole in the numbers tells the collector. */
#include <stdlib.h>

#include "base/mem.h"
#include "role/events_internal.h"

/* Sends the next batch; false when there was nothing to send, or it did not go. */
static bool events_send_batch(struct events *events)
{
    Wire__EventBatch batch = WIRE__EVENT_BATCH__INIT;
    Wire__Event rows[EVENTS_BATCH_MAX];
    Wire__Event *pointers[EVENTS_BATCH_MAX];
    size_t bytes = 0, from = event_ring_after_seq(&events->own, events->sent);
    uint64_t last = events->sent;
    while (batch.n_events < EVENTS_BATCH_MAX && bytes < EVENTS_BATCH_BYTES_MAX &&
           from + batch.n_events < events->own.n) {
        const struct event *event = event_ring_at(&events->own, from + batch.n_events);
        Wire__Event *row = &rows[batch.n_events];
        wire__event__init(row);
        row->seq = last = event->seq;
        row->at_ms = (uint64_t)event->at_ms;
        row->level = event->level;
        row->kind = (char *)(uintptr_t)event->kind;
        row->about = (char *)(uintptr_t)event->about;
        row->table = (char *)(uintptr_t)event->table;
        row->json.data = (uint8_t *)(uintptr_t)event->json;
        row->json.len = event->json_len;
        bytes += event->json_len;
        pointers[batch.n_events++] = row;
    }
    if (batch.n_events == 0)
        return false;
    batch.term = events->asked_term;
    batch.events = pointers;
    if (node_send(events->node, events->asked_by, WIRE_EVENT_BATCH, &batch.base) < 0)
        return false;
    events->sent = last;
    return true;
}

void events_send(struct events *events)
{
    if (events->asked_by != 0 && !events->in_flight && !events->stopping)
        events->in_flight = events_send_batch(events);
}

void events_on_ack(void *self, uint64_t from, const ProtobufCMessage *message)
{
    struct events *events = self;
    const Wire__EventAck *ack = (const Wire__EventAck *)message;
    if (ack->term < events->asked_term)
        return;
    if (ack->begin) {
        events->asked_by = from;
        events->asked_term = ack->term;
        events->sent = ack->seq < events->seq ? ack->seq : events->seq;
        events_tell_local(events);
        if (ack->seq > events->seq) /* it knows more of this node than the node itself */
            events->seq = events->sent = ack->seq;
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
}
