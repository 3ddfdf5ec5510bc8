/* Happy path: the collector asks every other voter where it stands in the stream, and sends what is
 * behind that: a batch, and the next one when it is acknowledged. So whoever is elected next has
 * the stream, its positions, frames and vitals as the one that died had them a moment before.
 *
 * What is not in memory any more is read from the disk. A node that was away goes on where it
 * stood; frames and vitals of that time it lacks. One that does not answer is asked again. */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/metric.h"
#include "role/events_internal.h"
#include "role/state.h"

/* ---- on the collector ------------------------------------------------------------------------ */

static struct events_mirror *mirror_find(const struct events *events, uint64_t node)
{
    struct events_mirror *mirror;
    TAILQ_FOREACH (mirror, &events->mirrors, link)
        if (mirror->node == node)
            return mirror;
    return NULL;
}

static void mirror_free(struct events_mirror *mirror)
{
    event_store_cancel(mirror->read);
    TAILQ_REMOVE(&mirror->events->mirrors, mirror, link);
    free(mirror);
}

static void mirror_send(struct events_mirror *mirror, Wire__Event **rows, size_t n)
{
    struct events *events = mirror->events;
    Wire__EventMirror message = WIRE__EVENT_MIRROR__INIT;
    message.term = events->term;
    message.events = rows;
    message.n_events = n;
    if (node_send(events->node, mirror->node, WIRE_EVENT_MIRROR, &message.base) < 0)
        return;
    mirror->in_flight = true;
    mirror->sent_ms = loop_now_ms(node_loop(events->node));
}

static void mirror_send_ring(struct events_mirror *mirror)
{
    const struct event_ring *ring = &mirror->events->stream;
    Wire__Event rows[EVENTS_BATCH_MAX];
    Wire__Event *pointers[EVENTS_BATCH_MAX];
    size_t bytes = 0, n = 0, from = event_ring_after_position(ring, mirror->position);
    while (n < EVENTS_BATCH_MAX && bytes < EVENTS_BATCH_BYTES_MAX && from + n < ring->n) {
        const struct event *event = event_ring_at(ring, from + n);
        events_to_wire(event, &rows[n]);
        bytes += event->json_len;
        pointers[n] = &rows[n];
        n++;
    }
    if (n > 0)
        mirror_send(mirror, pointers, n);
}

static void mirror_work(struct events_mirror *mirror);

static void mirror_on_disk(void *arg, int code, const Wire__EventBatch *batch, uint64_t first,
                           uint64_t last)
{
    struct events_mirror *mirror = arg;
    const struct event_ring *ring = &mirror->events->stream;
    size_t bytes = 0, from = 0, n = 0;
    (void)first;
    mirror->read = NULL;
    while (batch != NULL && from < batch->n_events &&
           batch->events[from]->position <= mirror->position)
        from++;
    while (batch != NULL && from + n < batch->n_events && n < EVENTS_BATCH_MAX &&
           bytes < EVENTS_BATCH_BYTES_MAX)
        bytes += batch->events[from + n++]->json.len;
    if (n > 0) {
        mirror_send(mirror, &batch->events[from], n);
        return;
    }
    if (code == 0 && batch != NULL && last > mirror->position)
        mirror->position = last;
    else if (ring->n > 0) /* the disk has no more: on in memory */
        mirror->position = event_ring_at(ring, 0)->position - 1;
    mirror_work(mirror);
}

/* What it lacks, if nothing is on its way. */
static void mirror_work(struct events_mirror *mirror)
{
    struct events *events = mirror->events;
    const struct event_ring *ring = &events->stream;
    if (!mirror->known || mirror->in_flight || mirror->read != NULL ||
        mirror->position >= events->position || ring->n == 0)
        return;
    uint64_t first = event_ring_at(ring, 0)->position;
    if (mirror->position + 1 >= first || events->store == NULL) {
        mirror_send_ring(mirror);
        return;
    }
    struct event_store_want want = {.list = EVENT_STORE_STREAM,
                                    .after = mirror->position,
                                    .before = first,
                                    .since_ms = INT64_MIN};
    mirror->read = event_store_read_events(events->store, &want, mirror_on_disk, mirror);
}

static void mirror_ask(struct events *events, uint64_t node)
{
    struct events_mirror *mirror = mirror_find(events, node);
    if (mirror == NULL) {
        mirror = mem_zalloc(sizeof *mirror);
        mirror->events = events;
        mirror->node = node;
        TAILQ_INSERT_TAIL(&events->mirrors, mirror, link);
    }
    int64_t silent_ms = loop_now_ms(node_loop(events->node)) - mirror->sent_ms;
    if (mirror->in_flight && silent_ms > EVENTS_MIRROR_PATIENCE_MS)
        mirror->known = mirror->in_flight = false;
    if (!mirror->known && !mirror->in_flight)
        mirror_send(mirror, NULL, 0);
}

static bool mirror_is_voter(const struct events *events, uint64_t node)
{
    const struct replica *replica = node_replica(events->node);
    struct state_member members[STATE_MEMBERS_MAX];
    unsigned n = replica != NULL ? state_members(replica->state, members) : 0;
    for (unsigned i = 0; i < n; i++)
        if (members[i].id == node)
            return members[i].role == STATE_VOTER;
    return false;
}

void events_mirrors_choose(struct events *events)
{
    const Wire__Members *members = node_members(events->node);
    struct events_mirror *mirror, *next;
    for (mirror = TAILQ_FIRST(&events->mirrors); mirror != NULL; mirror = next) {
        next = TAILQ_NEXT(mirror, link);
        if (!mirror_is_voter(events, mirror->node))
            mirror_free(mirror);
    }
    for (size_t i = 0; i < members->n_nodes; i++) {
        uint64_t node = members->nodes[i]->id;
        if (node != node_id(events->node) && node_session(events->node, node) != 0 &&
            mirror_is_voter(events, node))
            mirror_ask(events, node);
    }
}

void events_mirrors_send(struct events *events)
{
    struct events_mirror *mirror;
    TAILQ_FOREACH (mirror, &events->mirrors, link)
        mirror_work(mirror);
}

void events_mirrors_give(struct events *events, uint32_t step_ms, int64_t at_ms, uint64_t position,
                         const char *data, size_t len)
{
    Wire__EventMirror message = WIRE__EVENT_MIRROR__INIT;
    Wire__EventPiece piece = WIRE__EVENT_PIECE__INIT;
    Wire__EventPiece *pieces[] = {&piece};
    struct events_mirror *mirror;
    if (len > EVENTS_PIECE_BYTES_MAX)
        return;
    piece.step_ms = step_ms;
    piece.at_ms = (uint64_t)at_ms;
    piece.position = position;
    piece.data.data = (uint8_t *)(uintptr_t)data;
    piece.data.len = len;
    message.term = events->term;
    message.pieces = pieces;
    message.n_pieces = 1;
    TAILQ_FOREACH (mirror, &events->mirrors, link)
        if (mirror->known)
            (void)node_send(events->node, mirror->node, WIRE_EVENT_MIRROR, &message.base);
}

void events_on_mirror_ack(void *self, uint64_t from, const ProtobufCMessage *message)
{
    struct events *events = self;
    const Wire__EventMirrorAck *ack = (const Wire__EventMirrorAck *)message;
    struct events_mirror *mirror = mirror_find(events, from);
    if (mirror == NULL || !events->collecting || ack->term != events->term)
        return;
    bool more = mirror->known; /* the first batch is sent with the next tick, as all that is new */
    mirror->known = true;
    mirror->in_flight = false;
    mirror->position = ack->position;
    if (more && events->position > ack->position + EVENTS_BATCH_MAX)
        mirror_work(mirror);
}

void events_mirror_lost(struct events *events, uint64_t node)
{
    struct events_mirror *mirror = mirror_find(events, node);
    if (mirror != NULL)
        mirror_free(mirror);
}

void events_mirrors_end(struct events *events)
{
    struct events_mirror *mirror;
    while ((mirror = TAILQ_FIRST(&events->mirrors)) != NULL)
        mirror_free(mirror);
}

void events_mirrors_measure(const struct events *events)
{
    const struct events_mirror *mirror;
    metric_clear(METRIC_EVENTS_MIRROR_LAG);
    TAILQ_FOREACH (mirror, &events->mirrors, link)
        if (mirror->known)
            metric_series_set(metric_series(METRIC_EVENTS_MIRROR_LAG,
                                            node_member_name(events->node, mirror->node)),
                              mirror->position < events->position
                                  ? (double)(events->position - mirror->position)
                                  : 0);
}

/* ---- on those who may collect next ----------------------------------------------------------- */

static void mirror_take(struct events *events, const Wire__Event *row)
{
    if (row->position <= events->position || !events_is_line(row))
        return;
    struct events_mark *mark = events_mark_get(events, row->node);
    if (row->seq > mark->seq) {
        mark->seq = row->seq;
        mark->dirty = true;
    }
    events->position = row->position;
    event_store_add(events->store, EVENT_STORE_STREAM, row->position, row);
}

static void mirror_take_piece(struct events *events, const Wire__EventPiece *piece)
{
    if (piece->data.len == 0 || piece->at_ms > INT64_MAX)
        return;
    char *data = mem_dup(piece->data.data, piece->data.len);
    if (piece->step_ms == 0)
        event_store_add_frame(events->store, piece->position, (int64_t)piece->at_ms, data,
                              piece->data.len);
    else
        event_store_add_tick(events->store, piece->step_ms, (int64_t)piece->at_ms, data,
                             piece->data.len);
}

void events_on_mirror(void *self, uint64_t from, const ProtobufCMessage *message)
{
    struct events *events = self;
    const Wire__EventMirror *mirror = (const Wire__EventMirror *)message;
    if (events->collecting || events->store == NULL || events->stopping ||
        node_leader(events->node) != from || mirror->term < events->mirrored_term)
        return;
    events->mirrored_term = mirror->term;
    for (size_t i = 0; i < mirror->n_events; i++)
        mirror_take(events, mirror->events[i]);
    for (size_t i = 0; i < mirror->n_pieces; i++)
        mirror_take_piece(events, mirror->pieces[i]);
    if (mirror->n_pieces > 0)
        return;
    Wire__EventMirrorAck ack = WIRE__EVENT_MIRROR_ACK__INIT;
    ack.term = mirror->term;
    ack.position = events->position;
    (void)node_send(events->node, from, WIRE_EVENT_MIRROR_ACK, &ack.base);
}
