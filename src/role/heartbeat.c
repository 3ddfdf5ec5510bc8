/* Happy path: a heartbeat each interval, answered by an acknowledgement. To a leader, term or link
 * that is new it is a full one, at once, and again after short pauses until it is acknowledged: a
 * leader that has just been elected may not listen yet. While no leader can be reached the nodes
 * that are linked hear how this one is instead. */
#include "role/heartbeat.h"

#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/metric.h"
#include "base/uuid.h"
#include "role/events.h"
#include "role/node.h"
#include "run/vitals.h"

enum { HEARTBEAT_RETRY_MS_MIN = 25 };

struct heartbeat {
    struct node *node;
    struct vitals_sampler sampler;
    struct loop_timer timer;
    uint64_t boot;
    int64_t started_ms;
    uint64_t sequence;
    int64_t sent_us; /* the one of `sequence`; 0: it is acknowledged */

    /* To whom the last full one went, and whether it was taken. */
    uint64_t leader;
    uint64_t term;
    uint64_t session;
    uint64_t full_sequence;
    bool taken;
    int64_t retry_ms;
};

static void heartbeat_add_vitals(struct heartbeat *heartbeat, Wire__Vitals *out)
{
    struct node *node = heartbeat->node;
    struct vitals vitals;
    vitals_sample(&heartbeat->sampler, &vitals);
    wire__vitals__init(out);
    out->cpu_permille = vitals.cpu_permille;
    out->load_milli = vitals.load_milli;
    out->memory_total_bytes = vitals.memory_total_bytes;
    out->memory_available_bytes = vitals.memory_available_bytes;
    out->disk_total_bytes = vitals.disk_total_bytes;
    out->disk_free_bytes = vitals.disk_free_bytes;
    out->rss_bytes = vitals.rss_bytes;
    out->rtt_us = node_rtt_us(node, node_leader(node));
    out->pid = (uint64_t)getpid();
    out->uptime_ms = (uint64_t)(loop_now_ms(node_loop(node)) - heartbeat->started_ms);
    const struct node_work *work = node_work(node);
    if (work == NULL)
        return;
    work->count(work->arg, &out->tasks_running, &out->tasks_queued);
    out->disk_full = work->disk_full(work->arg);
}

static int heartbeat_send(struct heartbeat *heartbeat, bool full)
{
    struct node *node = heartbeat->node;
    const struct node_options *options = node_options(node);
    const struct node_work *work = node_work(node);
    Wire__Heartbeat message = WIRE__HEARTBEAT__INIT;
    Wire__Vitals vitals;
    heartbeat_add_vitals(heartbeat, &vitals);
    message.node_id = node_id(node);
    message.sequence = ++heartbeat->sequence;
    message.vitals = &vitals;
    message.full = full;
    message.slots = work != NULL ? options->slots : 0;
    message.memory_bytes = options->memory_bytes;
    message.boot = heartbeat->boot;
    if (full && work != NULL)
        work->held(work->arg, &message);
    int err = node_send(node, node_leader(node), WIRE_HEARTBEAT, &message.base);
    free(message.held);
    heartbeat->sent_us = err == 0 ? clock_mono_us() : 0;
    metric_add(METRIC_HEARTBEATS_SENT, err == 0);
    return err;
}

static void heartbeat_send_full(struct heartbeat *heartbeat, uint64_t session)
{
    struct node *node = heartbeat->node;
    const struct node_work *work = node_work(node);
    if (heartbeat_send(heartbeat, true) < 0)
        return; /* the retry comes */
    heartbeat->leader = node_leader(node);
    heartbeat->term = node_term(node);
    heartbeat->session = session;
    heartbeat->full_sequence = heartbeat->sequence;
    if (work != NULL)
        work->told(work->arg, heartbeat->leader, heartbeat->term, session);
}

static int64_t heartbeat_interval_ms(const struct heartbeat *heartbeat)
{
    return (int64_t)node_options(heartbeat->node)->worker_heartbeat_ms;
}

/* In a large cluster the metadata nodes hear it: only they are linked to everybody. */
static void heartbeat_tell_all(struct heartbeat *heartbeat)
{
    struct node *node = heartbeat->node;
    const Wire__Members *members = node_members(node);
    Wire__EventVitals message = WIRE__EVENT_VITALS__INIT;
    Wire__Vitals vitals;
    if (node_id(node) == 0)
        return;
    heartbeat_add_vitals(heartbeat, &vitals);
    message.vitals = &vitals;
    message.position = events_position(node);
    for (size_t i = 0; i < members->n_nodes; i++) {
        const Wire__Node *member = members->nodes[i];
        bool listens = (member->roles & WIRE__NODE_ROLE__NODE_ROLE_METADATA) != 0 ||
                       members->n_nodes <= node_options(node)->mesh_max;
        if (!member->removed && !member->poll && listens && node_session(node, member->id) != 0)
            (void)node_send(node, member->id, WIRE_EVENT_VITALS, &message.base);
    }
}

static void heartbeat_beat(struct heartbeat *heartbeat)
{
    struct node *node = heartbeat->node;
    uint64_t leader = node_leader(node);
    uint64_t session = leader != 0 && node_id(node) != 0 ? node_session(node, leader) : 0;
    int64_t interval_ms = heartbeat_interval_ms(heartbeat);
    if (session == 0) {
        heartbeat_tell_all(heartbeat);
        loop_timer_start(&heartbeat->timer, interval_ms);
        return;
    }
    if (leader != heartbeat->leader || node_term(node) != heartbeat->term ||
        session != heartbeat->session) {
        heartbeat->taken = false;
        heartbeat->retry_ms = HEARTBEAT_RETRY_MS_MIN;
    }
    if (heartbeat->taken) {
        (void)heartbeat_send(heartbeat, false);
        loop_timer_start(&heartbeat->timer, interval_ms);
        return;
    }
    heartbeat_send_full(heartbeat, session);
    loop_timer_start(&heartbeat->timer,
                     heartbeat->retry_ms < interval_ms ? heartbeat->retry_ms : interval_ms);
    heartbeat->retry_ms *= 2;
}

static void heartbeat_on_timer(void *arg)
{
    heartbeat_beat(arg);
}

static void heartbeat_on_ack(void *self, uint64_t from, const ProtobufCMessage *message)
{
    struct heartbeat *heartbeat = self;
    const Wire__HeartbeatAck *ack = (const Wire__HeartbeatAck *)message;
    if (ack->sequence == heartbeat->sequence && heartbeat->sent_us > 0) {
        metric_observe_since(METRIC_HEARTBEAT_ROUND_TRIP, heartbeat->sent_us);
        heartbeat->sent_us = 0;
    }
    if (from != heartbeat->leader || ack->term != heartbeat->term ||
        ack->sequence < heartbeat->full_sequence)
        return;
    bool was_taken = heartbeat->taken;
    heartbeat->taken = !ack->want_full;
    if (heartbeat->taken && !was_taken) {
        loop_timer_start(&heartbeat->timer, heartbeat_interval_ms(heartbeat));
    } else if (was_taken && !heartbeat->taken) {
        heartbeat->retry_ms = HEARTBEAT_RETRY_MS_MIN;
        loop_timer_start(&heartbeat->timer, 0);
    }
}

static void heartbeat_on_leader(void *self, uint64_t leader, uint64_t term)
{
    struct heartbeat *heartbeat = self;
    (void)term;
    if (leader != 0)
        heartbeat_beat(heartbeat);
}

static void heartbeat_on_link(void *self, uint64_t peer, uint64_t session)
{
    struct heartbeat *heartbeat = self;
    if (session != 0 && peer == node_leader(heartbeat->node))
        heartbeat_beat(heartbeat);
}

static void heartbeat_on_pulse(void *arg)
{
    struct heartbeat *heartbeat = arg;
    loop_timer_start(&heartbeat->timer, 0);
}

static int heartbeat_start(struct node *node, void **self, struct error *e)
{
    struct heartbeat *heartbeat = mem_zalloc(sizeof *heartbeat);
    (void)e;
    heartbeat->node = node;
    heartbeat->started_ms = loop_now_ms(node_loop(node));
    random_bytes(&heartbeat->boot, sizeof heartbeat->boot);
    vitals_init(&heartbeat->sampler, node_options(node)->data_dir);
    loop_timer_init(&heartbeat->timer, node_loop(node), heartbeat_on_timer, heartbeat);
    node_on_pulse(node, heartbeat_on_pulse, heartbeat);
    loop_timer_start(&heartbeat->timer, heartbeat_interval_ms(heartbeat));
    *self = heartbeat;
    return 0;
}

static void heartbeat_stop(void *self)
{
    struct heartbeat *heartbeat = self;
    loop_timer_stop(&heartbeat->timer);
    node_on_pulse(heartbeat->node, NULL, NULL);
    node_role_stopped(heartbeat->node);
}

static void heartbeat_free(void *self)
{
    struct heartbeat *heartbeat = self;
    loop_timer_stop(&heartbeat->timer);
    node_on_pulse(heartbeat->node, NULL, NULL);
    vitals_done(&heartbeat->sampler);
    free(heartbeat);
}

static const struct role_handler heartbeat_handlers[] = {{WIRE_HEARTBEAT_ACK, heartbeat_on_ack},
                                                         {0, NULL}};

const struct role heartbeat_role = {
    .name = "heartbeat",
    .start = heartbeat_start,
    .stop = heartbeat_stop,
    .free = heartbeat_free,
    .on_leader = heartbeat_on_leader,
    .on_link = heartbeat_on_link,
    .handlers = heartbeat_handlers,
};
