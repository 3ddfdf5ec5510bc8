/* Nodes as the coordinator follows them: rows, links, heartbeats, and what the failure detector
 * makes of their silence. */
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/metric.h"
#include "role/coordinator_internal.h"

enum { COORDINATOR_AGENT_INTERVAL_MS = 10000, COORDINATOR_AGENT_OFFLINE_MS = 30000 };

struct coordinator_node *coordinator_node_get(struct coordinator *c, uint64_t id)
{
    struct coordinator_node *known = NULL;
    HASH_FIND(hh, c->nodes, &id, sizeof id, known);
    return known;
}

static void coordinator_node_drop(struct coordinator *c, struct coordinator_node *known)
{
    HASH_DEL(c->nodes, known);
    wire__node__free_unpacked(known->row, NULL);
    if (known->vitals != NULL)
        wire__vitals__free_unpacked(known->vitals, NULL);
    free(known);
}

void coordinator_nodes_clear(struct coordinator *c)
{
    struct coordinator_node *known;
    struct coordinator_node *next;
    HASH_ITER (hh, c->nodes, known, next)
        coordinator_node_drop(c, known);
}

/* ---- the detector ---------------------------------------------------------------------------- */

static enum sched_health coordinator_health(enum detector_state state)
{
    switch (state) {
    case DETECTOR_STATE_ALIVE:
        return SCHED_HEALTH_ALIVE;
    case DETECTOR_STATE_SUSPECT:
        return SCHED_HEALTH_SUSPECT;
    case DETECTOR_STATE_OFFLINE:
        return SCHED_HEALTH_OFFLINE;
    default:
        return SCHED_HEALTH_UNKNOWN;
    }
}

static void coordinator_on_change(struct coordinator *c, const struct detector_change *change,
                                  bool left)
{
    const char *name = node_member_name(c->node, change->node);
    enum log_level level = change->to == DETECTOR_STATE_ALIVE ? LOG_LEVEL_INFO : LOG_LEVEL_WARN;
    log_write(level, LOG_ABOUT(.role = "coordinator", .peer = name), "%s is %s: %s", name,
              detector_state_name(change->to), change->reason);
    metric_series_add(metric_series(METRIC_NODE_CHANGES, name, detector_state_name(change->to)), 1);
    struct sched_event event = {.type = SCHED_EVENT_NODE_HEALTH,
                                .node = change->node,
                                .health = coordinator_health(change->to)};
    (void)coordinator_step(c, &event);
    coordinator_tell_health(c, change, left);
}

void coordinator_detect(struct coordinator *c, enum detector_event_type type, uint64_t node)
{
    struct detector_event event = {
        .type = type, .now_ms = loop_now_ms(node_loop(c->node)), .node = node};
    const struct coordinator_node *known = node != 0 ? coordinator_node_get(c, node) : NULL;
    if (type == DETECTOR_EVENT_WATCH && known != NULL) {
        const struct node_options *options = node_options(c->node);
        event.interval_ms = known->row->poll ? COORDINATOR_AGENT_INTERVAL_MS
                                             : (uint32_t)options->worker_heartbeat_ms;
        event.offline_ms =
            known->row->poll ? COORDINATOR_AGENT_OFFLINE_MS : (uint32_t)options->offline_after_ms;
    }
    (void)detector_step(c->detector, &event, &c->detected);
    c->detector_due_ms = c->detected.next_deadline_ms;
    if (c->detected.stalled_ms > 0) {
        log_warn(LOG_ABOUT(.role = "coordinator"),
                 "this process stood still for %lld ms; nobody is blamed for it",
                 (long long)c->detected.stalled_ms);
        event_emit(c->node, EVENT_NODE_STALL, EVENT_ABOUT(.node = node_options(c->node)->name),
                   "%s stood still for %lld ms; nobody is blamed for it",
                   node_options(c->node)->name, (long long)c->detected.stalled_ms);
    }
    for (size_t i = 0; i < c->detected.n; i++)
        coordinator_on_change(c, &c->detected.changes[i],
                              type == DETECTOR_EVENT_LEFT && c->detected.changes[i].node == node);
    coordinator_arm_timer(c);
}

/* ---- rows ------------------------------------------------------------------------------------ */

static bool coordinator_row_changed(const Wire__Node *a, const Wire__Node *b)
{
    size_t a_len = wire__node__get_packed_size(a);
    if (a_len != wire__node__get_packed_size(b))
        return true;
    uint8_t *packed = mem_alloc(a_len * 2);
    (void)wire__node__pack(a, packed);
    (void)wire__node__pack(b, packed + a_len);
    bool changed = memcmp(packed, packed + a_len, a_len) != 0;
    free(packed);
    return changed;
}

static void coordinator_put_node(struct coordinator *c, const Wire__Node *row)
{
    bool works = row->poll || (row->roles & WIRE__NODE_ROLE__NODE_ROLE_WORKER) != 0;
    struct sched_node_spec put = {
        .id = row->id,
        .name = row->name,
        .poll = row->poll,
        .slots = works ? row->slots : 0,
        .memory_bytes = row->memory_bytes,
        .labels = (const char *const *)row->labels,
        .labels_n = row->n_labels,
    };
    struct sched_event event = {.type = SCHED_EVENT_NODE_PUT, .put = &put};
    if (coordinator_step(c, &event) < 0)
        log_warn(LOG_ABOUT(.role = "coordinator"), "%s gets no work: %s", row->name,
                 c->update.reply.text);
}

static void coordinator_drain_node(struct coordinator *c, const Wire__Node *row)
{
    int64_t now_ms = loop_now_ms(node_loop(c->node));
    int64_t wall_ms = loop_wall_ms(node_loop(c->node));
    int64_t left = (int64_t)row->drain_deadline_ms - wall_ms;
    struct sched_event event = {
        .type = SCHED_EVENT_NODE_DRAIN,
        .node = row->id,
        .draining = row->draining,
        .drain_deadline_ms = row->drain_deadline_ms == 0 ? 0 : now_ms + (left > 1 ? left : 1)};
    (void)coordinator_step(c, &event);
}

static void coordinator_remove_node(struct coordinator *c, struct coordinator_node *known)
{
    struct sched_event event = {.type = SCHED_EVENT_NODE_REMOVE, .node = known->id};
    coordinator_tell_removed(c, known->row);
    (void)coordinator_step(c, &event);
    coordinator_detect(c, DETECTOR_EVENT_FORGET, known->id);
    coordinator_node_drop(c, known);
}

static void coordinator_sync_node(struct coordinator *c, const Wire__Node *row)
{
    struct coordinator_node *known = coordinator_node_get(c, row->id);
    if (row->removed) {
        if (known != NULL)
            coordinator_remove_node(c, known);
        return;
    }
    bool fresh = known == NULL;
    if (fresh) {
        known = mem_zalloc(sizeof *known);
        known->id = row->id;
        HASH_ADD(hh, c->nodes, id, sizeof known->id, known);
    } else if (!coordinator_row_changed(known->row, row)) {
        return;
    }
    bool drain = fresh ? row->draining
                       : row->draining != known->row->draining ||
                             row->drain_deadline_ms != known->row->drain_deadline_ms;
    Wire__Node *before = known->row;
    known->row = members_copy(row);
    coordinator_put_node(c, row);
    if (drain)
        coordinator_drain_node(c, row);
    if (fresh)
        coordinator_detect(c, DETECTOR_EVENT_WATCH, row->id);
    coordinator_tell_node(c, before, row);
    if (before != NULL)
        wire__node__free_unpacked(before, NULL);
}

void coordinator_sync_nodes(struct coordinator *c)
{
    const Wire__Members *members = node_members(c->node);
    for (size_t i = 0; i < members->n_nodes; i++)
        coordinator_sync_node(c, members->nodes[i]);
}

/* ---- messages -------------------------------------------------------------------------------- */

void coordinator_link(struct coordinator *c, uint64_t node, uint64_t session)
{
    const struct coordinator_node *known = coordinator_node_get(c, node);
    if (known == NULL || known->row->poll)
        return;
    struct sched_event event = {.type = SCHED_EVENT_NODE_LINK, .node = node, .session = session};
    (void)coordinator_step(c, &event);
    if (session == 0)
        coordinator_detect(c, DETECTOR_EVENT_LINK_LOST, node);
}

static ProtobufCMessage *coordinator_dup(const ProtobufCMessage *message)
{
    size_t len = protobuf_c_message_get_packed_size(message);
    uint8_t *packed = mem_alloc(len);
    (void)protobuf_c_message_pack(message, packed);
    ProtobufCMessage *copy = protobuf_c_message_unpack(message->descriptor, NULL, len, packed);
    free(packed);
    if (copy == NULL)
        abort();
    return copy;
}

static int64_t coordinator_wall_ms(const Wire__TaskReport *report)
{
    return report->started_ms > 0 && report->ended_ms >= report->started_ms
               ? (int64_t)(report->ended_ms - report->started_ms)
               : -1;
}

/* Turns received reports into the scheduler's; malformed ones are left out. */
static size_t coordinator_read_reports(Wire__TaskReport *const *in, size_t n,
                                       struct sched_report *out)
{
    size_t count = 0;
    for (size_t i = 0; i < n; i++) {
        struct sched_report *report = &out[count];
        if (task_key_read(in[i]->key, &report->key) < 0)
            continue;
        report->phase = in[i]->phase;
        report->code = (enum task_code)in[i]->code;
        report->text = in[i]->text;
        report->wall_ms = coordinator_wall_ms(in[i]);
        report->keep = in[i];
        count++;
    }
    return count;
}

static void coordinator_report(struct coordinator *c, enum sched_event_type type, uint64_t node,
                               Wire__TaskReport *const *reports, size_t n)
{
    struct sched_report *read = mem_calloc(n, sizeof *read);
    struct sched_event event = {.type = type,
                                .node = node,
                                .session = node_session(c->node, node),
                                .reports = read,
                                .reports_n = coordinator_read_reports(reports, n, read)};
    (void)coordinator_step(c, &event);
    free(read);
}

static void coordinator_take_vitals(struct coordinator *c, struct coordinator_node *known,
                                    const Wire__Vitals *vitals)
{
    if (vitals == NULL)
        return;
    if (known->vitals == NULL || known->vitals->pid != vitals->pid)
        known->started_wall_ms = loop_wall_ms(node_loop(c->node)) - (int64_t)vitals->uptime_ms;
    if (known->vitals != NULL)
        wire__vitals__free_unpacked(known->vitals, NULL);
    known->vitals = (Wire__Vitals *)coordinator_dup(&vitals->base);
    struct sched_event event = {.type = SCHED_EVENT_NODE_VITALS,
                                .node = known->id,
                                .load_milli = vitals->load_milli,
                                .memory_available_bytes = vitals->memory_available_bytes,
                                .disk_full = vitals->disk_full};
    (void)coordinator_step(c, &event);
}

/* Counts it, and those that should have come since the last one. */
static void coordinator_count_heartbeat(struct coordinator *c, struct coordinator_node *known)
{
    int64_t now_ms = loop_wall_ms(node_loop(c->node));
    int64_t interval_ms = (int64_t)node_options(c->node)->worker_heartbeat_ms;
    int64_t gap_ms = known->heard_wall_ms > 0 ? now_ms - known->heard_wall_ms : 0;
    int64_t missed = (gap_ms - interval_ms / 2) / interval_ms;
    if (known->heard == NULL)
        known->heard = metric_series(METRIC_HEARTBEATS_RECEIVED, known->row->name);
    metric_series_add(known->heard, 1);
    if (missed > 0)
        metric_series_add(metric_series(METRIC_HEARTBEATS_MISSED, known->row->name),
                          (uint64_t)missed);
    known->heard_wall_ms = now_ms;
}

void coordinator_on_heartbeat(void *self, uint64_t from, const ProtobufCMessage *message)
{
    struct coordinator *c = self;
    const Wire__Heartbeat *heartbeat = (const Wire__Heartbeat *)message;
    struct coordinator_node *known = c->active ? coordinator_node_get(c, from) : NULL;
    if (known == NULL || known->row->poll)
        return;
    coordinator_count_heartbeat(c, known);
    coordinator_detect(c, DETECTOR_EVENT_HEARD, from);
    events_heard(c->node, from, heartbeat->vitals);
    coordinator_take_vitals(c, known, heartbeat->vitals);
    if (heartbeat->full) {
        Wire__Heartbeat *copy = (Wire__Heartbeat *)coordinator_dup(message);
        coordinator_keep(c, &copy->base);
        coordinator_report(c, SCHED_EVENT_NODE_HELD, from, copy->held, copy->n_held);
    }
    struct sched_node_view view;
    Wire__HeartbeatAck ack = WIRE__HEARTBEAT_ACK__INIT;
    ack.sequence = heartbeat->sequence;
    ack.term = node_term(c->node);
    ack.want_full = sched_node_view(c->sched, from, &view) && !view.linked;
    (void)node_send(c->node, from, WIRE_HEARTBEAT_ACK, &ack.base);
}

void coordinator_on_task_update(void *self, uint64_t from, const ProtobufCMessage *message)
{
    struct coordinator *c = self;
    if (!c->active || coordinator_node_get(c, from) == NULL)
        return;
    Wire__TaskUpdate *copy = (Wire__TaskUpdate *)coordinator_dup(message);
    coordinator_keep(c, &copy->base);
    coordinator_report(c, SCHED_EVENT_REPORTS, from, copy->reports, copy->n_reports);
}

void coordinator_on_leave(void *self, uint64_t from, const ProtobufCMessage *message)
{
    struct coordinator *c = self;
    (void)message;
    if (c->active)
        coordinator_detect(c, DETECTOR_EVENT_LEFT, from);
}

const char *coordinator_node_state(struct coordinator *c, const Wire__Node *row)
{
    struct sched_node_view view;
    if (row->removed)
        return "removed";
    switch (detector_get(c->detector, row->id)) {
    case DETECTOR_STATE_SUSPECT:
        return "suspect";
    case DETECTOR_STATE_ALIVE:
        break;
    case DETECTOR_STATE_UNKNOWN:
        return "unknown";
    default:
        return "offline";
    }
    if (!row->draining)
        return "online";
    return sched_node_view(c->sched, row->id, &view) && view.assigned + view.running > 0
               ? "draining"
               : "drained";
}
