/* Happy path: handlers and messages become scheduler events; at the end of the loop turn what they
 * changed goes into one batch of the log; when that is durable, assignments, acknowledgements and
 * replies leave, in order. When the lead is lost everything here is thrown away and who waits is
 * told that the outcome is unknown. */
#include "role/coordinator.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/metric.h"
#include "role/coordinator_internal.h"
#include "run/state_query.h"

enum {
    COORDINATOR_RETENTION_MS = 60000,
    COORDINATOR_FORGET_MAX = 256, /* jobs at a time */
    COORDINATOR_LINGER_MS = 4,    /* results wait for others at most */
    COORDINATOR_LINGER_TASKS_MAX = 256,
};

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

void coordinator_keep(struct coordinator *c, ProtobufCMessage *message)
{
    MEM_GROW(c->kept, c->kept_cap, c->kept_n + 1);
    c->kept[c->kept_n++] = message;
}

static void coordinator_drop_kept(struct coordinator *c)
{
    for (size_t i = 0; i < c->kept_n; i++)
        protobuf_c_message_free_unpacked(c->kept[i], NULL);
    c->kept_n = 0;
}

/* ---- turns ----------------------------------------------------------------------------------- */

static void coordinator_turn_free(struct coordinator_turn *turn)
{
    for (size_t i = 0; i < turn->ended_n; i++)
        trace_free(turn->ended[i].span);
    free(turn->sends);
    free(turn->replies);
    for (size_t i = 0; i < turn->drafts_n; i++)
        event_draft_free(turn->drafts[i]);
    free(turn->drafts);
    free(turn->ended);
    free(turn);
}

static void coordinator_send_assign(struct coordinator *c, const struct sched_send *send)
{
    struct coordinator_job *job = coordinator_job_get(c, send->job_seq);
    if (job == NULL || !sched_attempt_is_live(c->sched, &send->key, send->node))
        return;
    Wire__AssignTask message = WIRE__ASSIGN_TASK__INIT;
    Wire__TaskKey key = WIRE__TASK_KEY__INIT;
    task_key_write(&send->key, &key);
    message.key = &key;
    message.spec = job->spec;
    message.job_name = job->spec->name;
    message.term = node_term(c->node);
    message.files = job->spec->files;
    message.n_files = job->spec->n_files;
    message.array_count = job->elements;
    (void)node_send(c->node, send->node, WIRE_ASSIGN_TASK, &message.base);
}

static void coordinator_send_cancel(struct coordinator *c, const struct sched_send *send)
{
    Wire__CancelTask message = WIRE__CANCEL_TASK__INIT;
    Wire__TaskKey key = WIRE__TASK_KEY__INIT;
    task_key_write(&send->key, &key);
    message.key = &key;
    message.superseded = send->superseded;
    if (send->reason != NULL)
        message.reason = (char *)(uintptr_t)send->reason;
    (void)node_send(c->node, send->node, WIRE_CANCEL_TASK, &message.base);
}

/* Sends the acknowledgements for one node that stand together as one message. */
static size_t coordinator_send_acks(struct coordinator *c, const struct sched_send *sends, size_t n)
{
    enum { COORDINATOR_ACKS_MAX = 256 };
    Wire__TaskAck message = WIRE__TASK_ACK__INIT;
    Wire__TaskKey keys[COORDINATOR_ACKS_MAX];
    Wire__TaskKey *pointers[COORDINATOR_ACKS_MAX];
    size_t count = 0;
    while (count < n && count < COORDINATOR_ACKS_MAX && sends[count].type == SCHED_SEND_ACK &&
           sends[count].node == sends[0].node) {
        wire__task_key__init(&keys[count]);
        task_key_write(&sends[count].key, &keys[count]);
        pointers[count] = &keys[count];
        count++;
    }
    message.keys = pointers;
    message.n_keys = count;
    (void)node_send(c->node, sends[0].node, WIRE_TASK_ACK, &message.base);
    return count;
}

static void coordinator_send_all(struct coordinator *c, const struct coordinator_turn *turn)
{
    for (size_t i = 0; i < turn->sends_n;) {
        const struct sched_send *send = &turn->sends[i];
        if (send->session == 0 || node_session(c->node, send->node) != send->session) {
            i++;
            continue;
        }
        if (send->type == SCHED_SEND_ACK) {
            i += coordinator_send_acks(c, send, turn->sends_n - i);
            continue;
        }
        if (send->type == SCHED_SEND_ASSIGN)
            coordinator_send_assign(c, send);
        else
            coordinator_send_cancel(c, send);
        i++;
    }
}

static void coordinator_release(struct coordinator *c, struct coordinator_turn *turn)
{
    bool current = turn->activation == c->activation && c->sched != NULL;
    if (current && turn->code == 0) {
        coordinator_send_all(c, turn);
        struct sched_event applied = {.type = SCHED_EVENT_APPLIED, .turn = turn->turn};
        (void)coordinator_step(c, &applied);
    }
    for (size_t i = 0; turn->code == 0 && i < turn->drafts_n; i++)
        event_publish(c->node, turn->drafts[i]);
    turn->drafts_n = turn->code == 0 ? 0 : turn->drafts_n;
    for (size_t i = 0; i < turn->replies_n; i++)
        turn->replies[i].fn(turn->replies[i].arg, turn->code);
    for (size_t i = 0; current && turn->code == 0 && i < turn->ended_n; i++) {
        uint64_t seq = turn->ended[i].seq;
        trace_end(turn->ended[i].span, turn->ended[i].failed, "elements of it failed");
        turn->ended[i].span = NULL;
        coordinator_waits_wake(c, seq);
        struct coordinator_job *job = coordinator_job_get(c, seq);
        struct sched_job_view view;
        if (job != NULL && !sched_job_view(c->sched, &job->id, &view))
            coordinator_job_drop(c, seq);
    }
    coordinator_turn_free(turn);
}

static void coordinator_release_ready(struct coordinator *c)
{
    struct coordinator_turn *turn;
    while ((turn = STAILQ_FIRST(&c->turns)) != NULL && turn->done) {
        STAILQ_REMOVE_HEAD(&c->turns, link);
        coordinator_release(c, turn);
    }
}

static void coordinator_on_turn(void *arg, int code, const struct state_result *result)
{
    struct coordinator_turn *turn = arg;
    struct coordinator *c = turn->coordinator;
    (void)result;
    turn->done = true;
    turn->code = code;
    coordinator_release_ready(c);
}

void coordinator_fill_job(struct coordinator *c, const struct sched_job_record *record,
                          Wire__JobRow *row, Wire__ElementSet *cancelled)
{
    struct coordinator_job *job = record->created ? coordinator_job_get(c, record->seq) : NULL;
    row->seq = record->seq;
    row->id.data = (uint8_t *)(uintptr_t)record->id.bytes;
    row->id.len = sizeof record->id.bytes;
    row->state = (Wire__JobState)record->state;
    row->spec = job != NULL ? job->spec : NULL;
    row->reason = record->reason;
    row->total = record->total;
    row->running = record->running;
    row->completed = record->completed;
    row->failed = record->failed;
    row->cancelled = record->cancelled_n;
    row->submitted_ms = (uint64_t)record->submitted_ms;
    row->started_ms = (uint64_t)record->started_ms;
    row->ended_ms = (uint64_t)record->ended_ms;
    row->cancel_requested_ms = (uint64_t)record->cancel_requested_ms;
    row->round = record->round;
    if (record->cancelled_changed) {
        cancelled->text = record->cancelled;
        row->cancelled_set = cancelled;
    }
}

static void coordinator_fill_task(const struct sched_task_record *record, Wire__TaskRow *row)
{
    row->job_seq = record->job_seq;
    row->index = record->key.index;
    row->attempt = record->key.attempt;
    row->state = (Wire__AttemptState)record->state;
    row->node_id = record->node;
    row->assigned_ms = (uint64_t)record->assigned_ms;
    row->round = record->round;
    row->code = record->code;
    if (record->text != NULL)
        row->text = (char *)(uintptr_t)record->text;
    row->report = (Wire__TaskReport *)(uintptr_t)record->keep;
}

/* Adds the turn's records to the batch; the last one answers for all. */
static void coordinator_add_records(struct coordinator *c, struct coordinator_turn *turn)
{
    struct changes *changes = node_replica(c->node)->changes;
    const struct sched_update *update = &c->update;
    size_t left = update->jobs_n + update->tasks_n;
    for (size_t i = 0; i < update->tasks_n; i++) {
        Wire__Change change = WIRE__CHANGE__INIT;
        Wire__TaskRow row = WIRE__TASK_ROW__INIT;
        coordinator_fill_task(&update->tasks[i], &row);
        change.of_case = WIRE__CHANGE__OF_TASK;
        change.task = &row;
        changes_add(changes, &change, --left == 0 ? coordinator_on_turn : NULL, turn);
    }
    for (size_t i = 0; i < update->jobs_n; i++) {
        Wire__Change change = WIRE__CHANGE__INIT;
        Wire__JobRow row = WIRE__JOB_ROW__INIT;
        Wire__ElementSet cancelled = WIRE__ELEMENT_SET__INIT;
        coordinator_fill_job(c, &update->jobs[i], &row, &cancelled);
        change.of_case = WIRE__CHANGE__OF_JOB;
        change.job = &row;
        changes_add(changes, &change, --left == 0 ? coordinator_on_turn : NULL, turn);
    }
}

static void coordinator_collect_ended(struct coordinator *c, struct coordinator_turn *turn)
{
    for (size_t i = 0; i < c->update.jobs_n; i++)
        if (job_state_is_ended(c->update.jobs[i].state)) {
            turn->ended = mem_reallocarray(turn->ended, turn->ended_n + 1, sizeof *turn->ended);
            turn->ended[turn->ended_n++] = (struct coordinator_finish){
                c->update.jobs[i].seq, coordinator_job_span(c, &c->update.jobs[i]),
                c->update.jobs[i].state == JOB_STATE_FAILED};
        }
}

/* Whether what the scheduler changed may wait for more of its kind: results of elements whose nodes
 * have others to go on with. One batch for several of them costs little more than for one. */
static bool coordinator_may_linger(struct coordinator *c)
{
    const struct sched_update *update = &c->update;
    int64_t now_ms = loop_now_ms(node_loop(c->node));
    if (update->hurry || c->replies_n > 0 || update->tasks_n >= COORDINATOR_LINGER_TASKS_MAX ||
        changes_has_open(node_replica(c->node)->changes))
        return false;
    if (c->linger_due_ms == 0)
        c->linger_due_ms = now_ms + COORDINATOR_LINGER_MS;
    if (now_ms >= c->linger_due_ms)
        return false;
    if (!loop_timer_is_running(&c->linger_timer))
        loop_timer_start_at(&c->linger_timer, c->linger_due_ms);
    return true;
}

static void coordinator_on_linger(void *arg)
{
    struct coordinator *c = arg;
    if (c->sched != NULL)
        changes_wake(node_replica(c->node)->changes);
}

/* Right before a batch: what the scheduler changed since the last one goes into it. */
static void coordinator_on_source(void *arg)
{
    struct coordinator *c = arg;
    struct sched_update *update = &c->update;
    size_t records = update->jobs_n + update->tasks_n;
    if (c->sched == NULL || records + update->sends_n + c->replies_n == 0 ||
        coordinator_may_linger(c))
        return;
    c->linger_due_ms = 0;
    loop_timer_stop(&c->linger_timer);
    struct coordinator_turn *turn = mem_zalloc(sizeof *turn);
    turn->coordinator = c;
    turn->activation = c->activation;
    turn->turn = update->turn;
    turn->done = records == 0;
    turn->sends = mem_dup(update->sends, update->sends_n * sizeof *update->sends);
    turn->sends_n = update->sends_n;
    turn->replies = mem_dup(c->replies, c->replies_n * sizeof *c->replies);
    turn->replies_n = c->replies_n;
    c->replies_n = 0;
    coordinator_collect_ended(c, turn);
    coordinator_count(c, update);
    coordinator_tell_records(c, turn);
    STAILQ_INSERT_TAIL(&c->turns, turn, link);
    coordinator_add_records(c, turn);
    sched_update_clear(update);
    coordinator_drop_kept(c);
    coordinator_release_ready(c);
}

void coordinator_when_durable(struct coordinator *c, coordinator_durable_fn fn, void *arg)
{
    MEM_GROW(c->replies, c->replies_cap, c->replies_n + 1);
    c->replies[c->replies_n++] = (struct coordinator_reply){.fn = fn, .arg = arg};
    changes_wake(node_replica(c->node)->changes);
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

/* ---- retention of ended jobs ----------------------------------------------------------------- */

struct coordinator_forget {
    struct coordinator *coordinator;
    unsigned activation;
    int64_t before_ms;
    uint64_t keep;
    uint64_t seqs[COORDINATOR_FORGET_MAX];
    unsigned n;
};

static int coordinator_forget_query(sqlite3 *db, void *arg)
{
    struct coordinator_forget *forget = arg;
    return state_query_forgettable(db, forget->before_ms, forget->keep, forget->seqs,
                                   COORDINATOR_FORGET_MAX, &forget->n);
}

static void coordinator_on_forgettable(void *arg, int code)
{
    struct coordinator_forget *forget = arg;
    struct coordinator *c = forget->coordinator;
    c->forgetting = false;
    bool current = c->active && forget->activation == c->activation;
    for (unsigned i = 0; code == 0 && current && i < forget->n; i++) {
        Wire__JobForget row = WIRE__JOB_FORGET__INIT;
        Wire__Change change = WIRE__CHANGE__INIT;
        if (coordinator_job_get(c, forget->seqs[i]) != NULL)
            continue; /* being retried */
        row.seq = forget->seqs[i];
        change.of_case = WIRE__CHANGE__OF_JOB_FORGET;
        change.job_forget = &row;
        changes_add(node_replica(c->node)->changes, &change, NULL, NULL);
    }
    if (current && forget->n == COORDINATOR_FORGET_MAX)
        loop_timer_start(&c->retention_timer, 100);
    free(forget);
}

static void coordinator_on_retention(void *arg)
{
    struct coordinator *c = arg;
    const struct node_options *options = node_options(c->node);
    loop_timer_start(&c->retention_timer, COORDINATOR_RETENTION_MS);
    if (!c->active || c->forgetting)
        return;
    struct coordinator_forget *forget = mem_zalloc(sizeof *forget);
    forget->coordinator = c;
    forget->activation = c->activation;
    forget->before_ms = loop_wall_ms(node_loop(c->node)) - (int64_t)options->history_keep_ms;
    forget->keep = options->history_jobs_max;
    c->forgetting = true;
    state_read(node_replica(c->node)->state, STATE_WEAK, coordinator_forget_query,
               coordinator_on_forgettable, forget);
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
    loop_timer_start(&c->retention_timer, COORDINATOR_RETENTION_MS);
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
    if (!c->source_added)
        changes_add_source(node_replica(c->node)->changes, coordinator_on_source, c);
    c->source_added = true;
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
    loop_timer_stop(&c->linger_timer);
    c->linger_due_ms = 0;
    coordinator_restores_clear(c);
    coordinator_submits_clear(c, ERR_NOT_LEADER);
    coordinator_waits_clear(c);
    coordinator_events_inactive(c);
    size_t n = c->replies_n;
    c->replies_n = 0;
    for (size_t i = 0; i < n; i++) /* in no batch yet: certainly not done */
        c->replies[i].fn(c->replies[i].arg, ERR_NOT_LEADER);
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
    STAILQ_INIT(&c->turns);
    TAILQ_INIT(&c->submits);
    TAILQ_INIT(&c->waits);
    TAILQ_INIT(&c->usages);
    TAILQ_INIT(&c->restores);
    loop_timer_init(&c->timer, node_loop(node), coordinator_on_timer, c);
    loop_timer_init(&c->retention_timer, node_loop(node), coordinator_on_retention, c);
    loop_timer_init(&c->linger_timer, node_loop(node), coordinator_on_linger, c);
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
    struct coordinator_turn *turn;
    metric_remove_collector(coordinator_on_collect, c);
    while ((turn = STAILQ_FIRST(&c->turns)) != NULL) {
        STAILQ_REMOVE_HEAD(&c->turns, link);
        coordinator_turn_free(turn);
    }
    coordinator_events_free(c);
    free(c->replies);
    free(c->kept);
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
