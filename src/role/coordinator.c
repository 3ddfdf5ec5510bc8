/* Happy path: handlers and messages become scheduler events; what they changed goes into the log by
 * turns (coordinator_turn.c), and when it is durable, assignments, acknowledgements and replies
 * leave. When the lead is lost everything here is thrown away and who waits is told that the
 * outcome is unknown. */
#include "role/coordinator.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/metric.h"
#include "role/coordinator_internal.h"

static const struct log_about coordinator_log = {.role = "coordinator"};

/* ---- what lives with a job ------------------------------------------------------------------- */

struct coordinator_job *coordinator_job_get(struct coordinator *c, uint64_t seq)
{
    struct coordinator_job *job = NULL;
    HASH_FIND(hh, c->jobs, &seq, sizeof seq, job);
    return job;
}

void coordinator_job_put(struct coordinator *c, uint64_t seq, const struct uuid *id,
                         Wire__JobSpec *spec, uint32_t elements)
{
    assert(coordinator_job_get(c, seq) == NULL);
    struct coordinator_job *job = mem_zalloc(sizeof *job);
    job->seq = seq;
    job->id = *id;
    job->spec = spec;
    job->elements = elements;
    HASH_ADD(hh, c->jobs, seq, sizeof job->seq, job);
}

void coordinator_job_drop(struct coordinator *c, uint64_t seq)
{
    struct coordinator_job *job = coordinator_job_get(c, seq);
    if (job == NULL)
        return;
    HASH_DEL(c->jobs, job);
    wire__job_spec__free_unpacked(job->spec, NULL);
    free(job);
}

/* ---- events ---------------------------------------------------------------------------------- */

void coordinator_arm_timer(struct coordinator *c)
{
    int64_t due = c->sched_due_ms < c->detector_due_ms ? c->sched_due_ms : c->detector_due_ms;
    if (due == INT64_MAX)
        loop_timer_stop(&c->timer);
    else if (!loop_timer_is_running(&c->timer) || c->timer.due_ms != due)
        loop_timer_start_at(&c->timer, due);
}

int coordinator_step(struct coordinator *c, struct sched_event *event)
{
    event->now_ms = loop_now_ms(node_loop(c->node));
    event->wall_ms = loop_wall_ms(node_loop(c->node));
    int code = sched_step(c->sched, event, &c->update);
    c->sched_due_ms = c->update.next_deadline_ms;
    coordinator_arm_timer(c);
    if (c->update.jobs_n + c->update.tasks_n + c->update.sends_n > 0)
        changes_wake(node_replica(c->node)->changes);
    return code;
}

static void coordinator_on_timer(void *arg)
{
    struct coordinator *c = arg;
    int64_t now = loop_now_ms(node_loop(c->node));
    if (!c->active)
        return; /* coordinator_on_restored() steps both */
    if (now >= c->detector_due_ms)
        coordinator_detect(c, DETECTOR_EVENT_TICK, 0);
    if (now >= c->sched_due_ms) {
        struct sched_event tick = {.type = SCHED_EVENT_TICK};
        (void)coordinator_step(c, &tick);
    }
    coordinator_arm_timer(c);
}

/* ---- life ------------------------------------------------------------------------------------ */

static void coordinator_on_restored(struct coordinator *c, void *arg, int code)
{
    (void)arg;
    if (code == ERR_NOT_LEADER)
        return;
    if (code < 0) {
        struct error e;
        (void)error_set(&e, code, "the jobs in the cluster's state cannot be read: %s",
                        err_text(code));
        node_fatal(c->node, &e);
        return;
    }
    c->active = true;
    coordinator_sync_nodes(c); /* who came or went meanwhile */
    coordinator_events_active(c);
    coordinator_on_timer(c);
    struct sched_stats stats;
    sched_stats(c->sched, &stats);
    log_info(&coordinator_log, "coordinating: %u jobs, %llu elements wait, %u attempts are out",
             stats.jobs, (unsigned long long)stats.pending, stats.attempts);
    coordinator_link(c, node_id(c->node), node_session(c->node, node_id(c->node)));
    const Wire__Members *members = node_members(c->node);
    for (size_t i = 0; i < members->n_nodes; i++) {
        uint64_t id = members->nodes[i]->id;
        if (id != node_id(c->node) && node_session(c->node, id) != 0)
            coordinator_link(c, id, node_session(c->node, id));
    }
    coordinator_retention_active(c);
}

static void coordinator_on_active(void *self)
{
    struct coordinator *c = self;
    struct sched_config config;
    sched_config_default(&config);
    c->activation++;
    c->sched = sched_new(&config);
    c->detector = detector_new();
    c->update = (struct sched_update){0};
    sched_update_clear(&c->update);
    c->sched_due_ms = c->detector_due_ms = INT64_MAX;
    coordinator_turns_active(c);
    coordinator_sync_nodes(c);
    coordinator_restore(c, coordinator_on_restored);
}

static void coordinator_drop_state(struct coordinator *c)
{
    struct coordinator_job *job;
    struct coordinator_job *next;
    HASH_ITER (hh, c->jobs, job, next)
        coordinator_job_drop(c, job->seq);
    coordinator_nodes_clear(c);
    coordinator_drop_kept(c);
    sched_update_done(&c->update);
    sched_free(c->sched);
    detector_update_done(&c->detected);
    detector_free(c->detector);
    c->sched = NULL;
    c->detector = NULL;
}

static void coordinator_on_inactive(void *self)
{
    struct coordinator *c = self;
    if (c->sched == NULL)
        return;
    c->active = false;
    c->activation++;
    loop_timer_stop(&c->timer);
    loop_timer_stop(&c->retention_timer);
    coordinator_restores_clear(c);
    coordinator_submits_clear(c, ERR_NOT_LEADER);
    coordinator_waits_clear(c);
    coordinator_events_inactive(c);
    coordinator_turns_inactive(c);
    coordinator_drop_state(c);
}

static void coordinator_on_members(void *self)
{
    struct coordinator *c = self;
    if (c->active)
        coordinator_sync_nodes(c);
}

static void coordinator_on_link(void *self, uint64_t peer, uint64_t session)
{
    struct coordinator *c = self;
    if (c->active)
        coordinator_link(c, peer, session);
}

/* On a full disk what changes something is refused before the scheduler hears of it. */
static bool coordinator_has_room(struct coordinator *c, struct http_request *req)
{
    bool reads = strcmp(http_request_method(req), "GET") == 0 &&
                 strncmp(http_request_target(req), "/api/jobs/get-job", 17) != 0;
    if (reads || !state_is_full(node_replica(c->node)->state))
        return true;
    struct error e;
    (void)error_set(&e, -ENOSPC, "the disk of the leader is full");
    http_reply_failure(req, &e, "free some space on its data directory: node list shows how much");
    return false;
}

bool coordinator_serves(struct coordinator *c, struct http_request *req, http_request_fn handler)
{
    if (c->active && coordinator_has_room(c, req))
        return true;
    if (c->active)
        return false;
    node_forward(c->node, req, handler, c);
    return false;
}

static int coordinator_start(struct node *node, void **self, struct error *e)
{
    struct coordinator *c = mem_zalloc(sizeof *c);
    (void)e;
    c->node = node;
    TAILQ_INIT(&c->submits);
    TAILQ_INIT(&c->waits);
    TAILQ_INIT(&c->usages);
    TAILQ_INIT(&c->restores);
    loop_timer_init(&c->timer, node_loop(node), coordinator_on_timer, c);
    coordinator_retention_start(c);
    coordinator_turns_start(c);
    coordinator_events_start(c);
    struct http_router *router = node_router(node);
    http_router_add(router, coordinator_job_routes, coordinator_job_routes_n, c);
    http_router_add(router, coordinator_node_routes, coordinator_node_routes_n, c);
    http_router_add(router, coordinator_agent_routes, coordinator_agent_routes_n, c);
    metric_add_collector(coordinator_on_collect, c);
    *self = c;
    return 0;
}

static void coordinator_stop(void *self)
{
    struct coordinator *c = self;
    c->stopping = true;
    coordinator_usages_end(c);
    metric_remove_collector(coordinator_on_collect, c);
    coordinator_on_inactive(c);
    node_role_stopped(c->node);
}

static void coordinator_free(void *self)
{
    struct coordinator *c = self;
    metric_remove_collector(coordinator_on_collect, c);
    coordinator_turns_free(c);
    coordinator_events_free(c);
    free(c);
}

static const struct role_handler coordinator_handlers[] = {
    {WIRE_HEARTBEAT, coordinator_on_heartbeat},
    {WIRE_TASK_UPDATE, coordinator_on_task_update},
    {WIRE_LEAVE, coordinator_on_leave},
    {0, NULL},
};

const struct role coordinator_role = {
    .name = "coordinator",
    .start = coordinator_start,
    .stop = coordinator_stop,
    .free = coordinator_free,
    .on_members = coordinator_on_members,
    .on_link = coordinator_on_link,
    .on_active = coordinator_on_active,
    .on_inactive = coordinator_on_inactive,
    .handlers = coordinator_handlers,
};
