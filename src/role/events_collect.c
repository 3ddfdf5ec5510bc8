/* Happy path: the node that leads tells every linked node what it has of it; batches come, each
 * event gets its position in the stream, changes the state, and readers are woken.
 *
 * A number that is missing in a node's events is told as an event of its own. What comes twice is
 * left out by its number. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/json_scan.h"
#include "base/mem.h"
#include "base/metric.h"
#include "role/events_internal.h"

struct events_mark *events_mark_get(struct events *events, uint64_t node)
{
    struct events_mark *mark = NULL;
    HASH_FIND(hh, events->marks, &node, sizeof node, mark);
    if (mark == NULL) {
        mark = mem_zalloc(sizeof *mark);
        mark->node = node;
        HASH_ADD(hh, events->marks, node, sizeof mark->node, mark);
    }
    return mark;
}

/* The machine went down and its node began with numbers far behind. */
static bool events_are_skipped(const struct event *event)
{
    return strcmp(event->kind, event_kind_row(EVENT_DAEMON_START)->name) == 0 &&
           strstr(event->json, "\"skipped\":true") != NULL;
}

/* A node that has never been heard may have had events before this collector's time; one that has
 * skips numbers only when it lost what they stood for. */
static void events_note_hole(struct events *events, struct events_mark *mark,
                             const struct event *event)
{
    if (event->seq == mark->seq + 1 || mark->seq == 0 || events_are_skipped(event))
        return;
    uint64_t lost = event->seq - mark->seq - 1;
    const char *name = node_member_name(events->node, mark->node);
    metric_series_add(metric_series(METRIC_EVENTS_LOST, name), lost);
    event_emit(events->node, EVENT_DROPPED,
               EVENT_ABOUT(.node = name, .more = json_pack("{s:I}", "lost", (json_int_t)lost)),
               "%" PRIu64 " event%s of %s %s lost", lost, lost == 1 ? "" : "s", name,
               lost == 1 ? "is" : "are");
}

/* Takes the reference. */
static void events_collect(struct events *events, struct event *event)
{
    struct events_mark *mark = events_mark_get(events, event->node);
    if (event->seq <= mark->seq) {
        event_unref(event);
        return;
    }
    events_note_hole(events, mark, event);
    mark->seq = event->seq;
    mark->dirty = true;
    event->position = ++events->position;
    if (events->store != NULL) {
        Wire__Event row;
        events_to_wire(event, &row);
        event_store_add(events->store, EVENT_STORE_STREAM, event->position, &row);
    }
    events_frame_apply(events, event);
    event_ring_push(&events->stream, event);
}

void events_collect_own(struct events *events)
{
    uint64_t self = node_id(events->node);
    uint64_t seen = events_mark_get(events, self)->seq;
    size_t at = event_ring_after_seq(&events->own, seen);
    while (at < events->own.n) { /* it may grow meanwhile */
        struct event *event = event_ref(event_ring_at(&events->own, at++));
        event->node = self;
        events_collect(events, event);
    }
    events_readers_wake(events);
}

void events_collect_flush(struct events *events)
{
    struct events_mark *mark;
    struct events_mark *next;
    HASH_ITER (hh, events->marks, mark, next) {
        if (mark->dirty && events->store != NULL)
            event_store_add_mark(events->store, mark->node, mark->seq);
        mark->dirty = false;
    }
}

/* ---- from others ----------------------------------------------------------------------------- */

bool events_is_json(const char *line, size_t len)
{
    struct json_scan scan;
    if (len == 0 || len > EVENT_JSON_MAX || memchr(line, '\n', len) != NULL || line[0] != '{')
        return false;
    json_scan_init(&scan, line, len);
    bool good = json_scan_skip(&scan, NULL) && json_scan_end(&scan);
    json_scan_done(&scan);
    return good;
}

/* What a node of the cluster sends is trusted to be of the form, but not to be JSON at all. */
bool events_is_line(const Wire__Event *row)
{
    return row->level <= LOG_LEVEL_ERROR && strlen(row->kind) <= EVENT_NAME_MAX &&
           strlen(row->about) <= EVENT_NAME_MAX && strlen(row->table) <= EVENT_NAME_MAX &&
           events_is_json((const char *)row->json.data, row->json.len);
}

/* What only the leader tells is, from another node than this one, of the time when that one led: it
 * may be behind what was told since. */
static void events_take(struct events *events, uint64_t from, const Wire__Event *row)
{
    if (!events_is_line(row))
        return; /* its number is missing then */
    struct event event = events_from_wire(row);
    event.node = from;
    event.position = 0;
    struct event *taken = event_kind_is_leaders(event.kind, event.table)
                              ? event_new_without_patch(&event)
                              : event_new(&event);
    if (taken != NULL)
        events_collect(events, taken);
}

static void events_ack(struct events *events, uint64_t to, bool begin)
{
    Wire__EventAck ack = WIRE__EVENT_ACK__INIT;
    ack.term = events->term;
    ack.seq = events_mark_get(events, to)->seq;
    ack.begin = begin;
    (void)node_send(events->node, to, WIRE_EVENT_ACK, &ack.base);
}

void events_on_batch(void *self, uint64_t from, const ProtobufCMessage *message)
{
    struct events *events = self;
    const Wire__EventBatch *batch = (const Wire__EventBatch *)message;
    if (!events->collecting || batch->term != events->term)
        return;
    for (size_t i = 0; i < batch->n_events; i++)
        events_take(events, from, batch->events[i]);
    events_ack(events, from, false);
    events_collect_own(events); /* and wakes readers */
}

void events_collect_ask(struct events *events, uint64_t node)
{
    if (node != node_id(events->node) && node_member(events->node, node) != NULL)
        events_ack(events, node, true);
}

/* ---- life ------------------------------------------------------------------------------------ */

void events_collect_begin(struct events *events)
{
    events->collecting = true;
    events->begun = false;
    events->term = node_term(events->node);
    uint64_t start = events->term << EVENTS_TERM_SHIFT;
    events->position = start > events->position ? start : events->position;
    event_state_clear(events->state);
    events_vitals_clear(events);
    event_emit(events->node, EVENT_COLLECT_BEGIN, EVENT_ABOUT(.node = events->name),
               "%s collects the events of the cluster since term %" PRIu64, events->name,
               events->term);
    const Wire__Members *members = node_members(events->node);
    for (size_t i = 0; i < members->n_nodes; i++)
        if (node_session(events->node, members->nodes[i]->id) != 0)
            events_collect_ask(events, members->nodes[i]->id);
}

void events_collect_end(struct events *events)
{
    if (!events->collecting)
        return;
    events->collecting = false;
    events->begun = false;
    events_mirrors_end(events);
    event_ring_done(&events->stream); /* the disk has it; the next time is another term */
    events_readers_end(events, ERR_NOT_LEADER, "another node collects the events now: ask again");
}

void events_collect_free(struct events *events)
{
    struct events_mark *mark;
    struct events_mark *next;
    HASH_ITER (hh, events->marks, mark, next) {
        HASH_DEL(events->marks, mark);
        free(mark);
    }
    events_vitals_clear(events);
}
