/* Happy path of a step: the handler of the event's type changes the state; what became possible is
 * placed; jobs that were touched get a record. A handler that refuses does so before it changes
 * anything. */
#include "core/scheduler.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "core/sched_internal.h"

void sched_config_default(struct sched_config *config)
{
    *config = (struct sched_config){
        .losses_max = 20,
        .starve_ms = 5000,
        .short_ms = 20,
        .tiny_ms = 4,
        .hold_ms = 1000,
    };
}

struct sched *sched_new(const struct sched_config *config)
{
    struct sched *s = mem_zalloc(sizeof *s);
    s->config = *config;
    s->next_seq = 1;
    TAILQ_INIT(&s->jobs);
    TAILQ_INIT(&s->ended);
    TAILQ_INIT(&s->ending);
    LIST_INIT(&s->timed);
    LIST_INIT(&s->ahead);
    LIST_INIT(&s->left);
    TAILQ_INIT(&s->spare);
    heap_init(&s->runnable, sched_class_before, offsetof(struct sched_class, run_place));
    heap_init(&s->waiting, sched_class_before, offsetof(struct sched_class, wait_place));
    return s;
}

void sched_free(struct sched *s)
{
    if (s == NULL)
        return;
    s->serving = false; /* room on nodes is offered to nobody any more */
    s->reserve_job = NULL;
    s->reserve_node = NULL;
    sched_restore_free(s);
    struct sched_job *job;
    struct sched_job *job_next;
    HASH_ITER (hh, s->by_id, job, job_next)
        sched_job_free(s, job);
    assert(s->attempts == NULL && s->pasts == NULL && s->pools == NULL);
    struct sched_node *node;
    struct sched_node *node_next;
    HASH_ITER (hh, s->nodes, node, node_next) {
        sched_node_clear_strays(s, node);
        sched_node_free(s, node);
    }
    heap_done(&s->runnable);
    heap_done(&s->waiting);
    free(s->touched);
    free(s);
}

int sched_refuse(struct sched *s, int code, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    vsnprintf(s->update->reply.text, sizeof s->update->reply.text, fmt, args);
    va_end(args);
    return code;
}

/* ---- the update ------------------------------------------------------------------------------ */

void sched_update_clear(struct sched_update *update)
{
    for (size_t i = 0; i < update->jobs_n; i++) {
        free(update->jobs[i].reason);
        free(update->jobs[i].cancelled);
    }
    update->jobs_n = 0;
    update->tasks_n = 0;
    update->sends_n = 0;
    update->hurry = false;
    update->turn++;
}

void sched_update_done(struct sched_update *update)
{
    sched_update_clear(update);
    free(update->jobs);
    free(update->tasks);
    free(update->sends);
    *update = (struct sched_update){0};
}

void sched_attempt_key(const struct sched_attempt *attempt, struct task_key *key)
{
    *key = (struct task_key){
        .job = attempt->job->id,
        .index = sched_set_index(attempt->job, attempt->key.ordinal),
        .attempt = attempt->number,
    };
}

static struct sched_task_record *sched_record_add(struct sched *s)
{
    struct sched_update *update = s->update;
    MEM_GROW(update->tasks, update->tasks_cap, update->tasks_n + 1);
    return &update->tasks[update->tasks_n++];
}

void sched_record_attempt(struct sched *s, struct sched_attempt *attempt,
                          const struct sched_report *report, enum task_code code, const char *text)
{
    struct sched_update *update = s->update;
    struct sched_task_record *record;
    if (attempt->record_turn == update->turn) {
        record = &update->tasks[attempt->record_at];
    } else {
        record = sched_record_add(s);
        attempt->record_turn = update->turn;
        attempt->record_at = update->tasks_n - 1;
        sched_attempt_key(attempt, &record->key);
    }
    *record = (struct sched_task_record){
        .job_seq = attempt->job->seq,
        .key = record->key,
        .round = attempt->round,
        .state = attempt->state,
        .node = attempt->node->id,
        .assigned_ms = attempt->assigned_ms,
        .code = report != NULL ? report->code : code,
        .text = report != NULL ? NULL : text,
        .keep = report != NULL ? report->keep : NULL,
    };
}

void sched_record_lost(struct sched *s, const struct sched_job *job, uint32_t ordinal,
                       const struct sched_lost *lost, uint32_t round, enum attempt_state state,
                       const struct sched_report *report)
{
    *sched_record_add(s) = (struct sched_task_record){
        .job_seq = job->seq,
        .key = {job->id, sched_set_index(job, ordinal), lost->attempt},
        .round = round,
        .state = state,
        .node = lost->node,
        .assigned_ms = lost->assigned_ms,
        .code = report->code,
        .keep = report->keep,
    };
}

struct sched_send *sched_send(struct sched *s, enum sched_send_type type,
                              const struct sched_node *node, const struct task_key *key)
{
    struct sched_update *update = s->update;
    const struct sched_job *job = sched_job_by_id(s, &key->job);
    MEM_GROW(update->sends, update->sends_cap, update->sends_n + 1);
    struct sched_send *send = &update->sends[update->sends_n++];
    update->hurry |= type == SCHED_SEND_CANCEL;
    *send = (struct sched_send){
        .type = type,
        .node = node->id,
        .session = node->session,
        .job_seq = job != NULL ? job->seq : 0,
        .key = *key,
    };
    return send;
}

void sched_touch(struct sched *s, struct sched_job *job)
{
    if (job->touched)
        return;
    job->touched = true;
    MEM_GROW(s->touched, s->touched_cap, s->touched_n + 1);
    s->touched[s->touched_n++] = job;
}

static char *sched_cancelled_text(const struct sched_job *job)
{
    struct rangeset indices;
    rangeset_init(&indices);
    sched_set_indices(job, &job->cancelled, &indices);
    char *text = rangeset_format(&indices);
    rangeset_done(&indices);
    return text;
}

static void sched_record_job(struct sched *s, struct sched_job *job)
{
    struct sched_update *update = s->update;
    if (job->record_turn != update->turn) {
        MEM_GROW(update->jobs, update->jobs_cap, update->jobs_n + 1);
        job->record_turn = update->turn;
        job->record_at = update->jobs_n++;
        update->jobs[job->record_at] = (struct sched_job_record){.created = job->created};
        update->hurry |= job->created;
        job->created = false;
    }
    update->hurry |= job_state_is_ended(job->state);
    struct sched_job_record *record = &update->jobs[job->record_at];
    char reason[SCHED_REASON_MAX];
    sched_job_reason(s, job, reason);
    free(record->reason);
    record->seq = job->seq;
    record->id = job->id;
    record->state = job->state;
    record->reason = mem_strdup(reason);
    record->round = job->round;
    if (job->cancelled_dirty) {
        free(record->cancelled);
        record->cancelled = sched_cancelled_text(job);
        record->cancelled_changed = true;
        job->cancelled_dirty = false;
    }
    record->total = job->total;
    record->running = job->live_n;
    record->completed = job->completed_n;
    record->failed = job->failed_n;
    record->cancelled_n = job->cancelled_n;
    record->submitted_ms = job->submitted_ms;
    record->started_ms = job->started_ms;
    record->ended_ms = job->ended_ms;
    record->cancel_requested_ms = job->cancel_requested_ms;
}

static void sched_record_jobs(struct sched *s)
{
    for (size_t i = 0; i < s->touched_n; i++) {
        s->touched[i]->touched = false;
        sched_record_job(s, s->touched[i]);
    }
    s->touched_n = 0;
}

/* ---- the step -------------------------------------------------------------------------------- */

static int sched_tick(struct sched *s, const struct sched_event *event)
{
    (void)event;
    sched_node_tick(s);
    sched_sweep(s);
    return 0;
}

static int sched_applied(struct sched *s, const struct sched_event *event)
{
    sched_job_applied(s, event->turn);
    return 0;
}

static const struct {
    int (*handle)(struct sched *s, const struct sched_event *event);
    bool early; /* before the first restoration has ended */
} sched_handlers[] = {
    [SCHED_EVENT_TICK] = {sched_tick, false},
    [SCHED_EVENT_JOB_SUBMIT] = {sched_job_submit, false},
    [SCHED_EVENT_JOB_CANCEL] = {sched_job_cancel, false},
    [SCHED_EVENT_JOB_RETRY] = {sched_job_retry, false},
    [SCHED_EVENT_NODE_PUT] = {sched_node_put, true},
    [SCHED_EVENT_NODE_LINK] = {sched_node_link, false},
    [SCHED_EVENT_NODE_HELD] = {sched_report_held, false},
    [SCHED_EVENT_NODE_HEALTH] = {sched_node_health, false},
    [SCHED_EVENT_NODE_VITALS] = {sched_node_vitals, false},
    [SCHED_EVENT_NODE_DRAIN] = {sched_node_drain, true},
    [SCHED_EVENT_NODE_REMOVE] = {sched_node_remove, false},
    [SCHED_EVENT_REPORTS] = {sched_report_many, false},
    [SCHED_EVENT_RESULT] = {sched_report_result, false},
    [SCHED_EVENT_POLL] = {sched_place_poll, false},
    [SCHED_EVENT_APPLIED] = {sched_applied, false},
    [SCHED_EVENT_RESTORE_BEGIN] = {sched_restore_begin, true},
    [SCHED_EVENT_RESTORE_JOB] = {sched_restore_job, true},
    [SCHED_EVENT_RESTORE_TASK] = {sched_restore_task, true},
    [SCHED_EVENT_RESTORE_END] = {sched_restore_end, true},
};

static int64_t sched_min(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static int64_t sched_deadline_ms(const struct sched *s)
{
    if (!s->serving)
        return INT64_MAX;
    int64_t deadline_ms = sched_min(sched_node_deadline_ms(s), sched_place_deadline_ms(s));
    if (s->sweep_left > 0)
        deadline_ms = sched_min(deadline_ms, s->now_ms + SCHED_SWEEP_MS);
    return deadline_ms;
}

int sched_step(struct sched *s, const struct sched_event *event, struct sched_update *update)
{
    assert((size_t)event->type < MEM_COUNT(sched_handlers));
    assert(event->now_ms >= s->now_ms);
    assert(s->serving || sched_handlers[event->type].early);
    s->now_ms = event->now_ms;
    s->wall_ms = event->wall_ms;
    s->update = update;
    update->reply = (struct sched_reply){0};

    int err = sched_handlers[event->type].handle(s, event);
    if (s->serving) {
        sched_dep_finish_ending(s);
        sched_place(s);
        sched_record_jobs(s);
    }
    update->next_deadline_ms = sched_deadline_ms(s);
    s->update = NULL;
    return err;
}

/* ---- questions ------------------------------------------------------------------------------- */

bool sched_job_view(const struct sched *s, const struct uuid *id, struct sched_job_view *view)
{
    const struct sched_job *job = sched_job_by_id(s, id);
    if (job == NULL)
        return false;
    *view = (struct sched_job_view){
        .seq = job->seq,
        .state = job->state,
        .total = job->total,
        .pending = sched_job_pending(job),
        .running = job->live_n,
        .completed = job->completed_n,
        .failed = job->failed_n,
        .cancelled = job->cancelled_n,
    };
    return true;
}

bool sched_node_view(const struct sched *s, uint64_t id, struct sched_node_view *view)
{
    const struct sched_node *node = sched_node_by_id(s, id);
    if (node == NULL)
        return false;
    *view = (struct sched_node_view){
        .health = node->health,
        .linked = node->poll || node->linked,
        .draining = node->draining,
        .disk_full = node->disk_full,
        .slots = node->slots,
        .slots_used = node->used,
        .assigned = node->attempts_n - node->running_n,
        .running = node->running_n,
        .memory_reserved_bytes = node->memory_reserved_bytes,
    };
    return true;
}

void sched_stats(const struct sched *s, struct sched_stats *stats)
{
    *stats = (struct sched_stats){
        .jobs = HASH_COUNT(s->by_id),
        .pending = s->pending_n,
        .attempts = s->attempts_n,
        .nodes = HASH_COUNT(s->nodes),
    };
    const struct sched_job *job;
    TAILQ_FOREACH (job, &s->jobs, of_all)
        stats->jobs_waiting += sched_job_pending(job) > 0;
    for (const struct sched_node *node = s->nodes; node != NULL; node = node->hh.next)
        stats->nodes_up += sched_node_is_up(node);
}

bool sched_reason(struct sched *s, const struct uuid *id, char out[static SCHED_REASON_MAX])
{
    struct sched_job *job = sched_job_by_id(s, id);
    if (job == NULL)
        return false;
    struct sched_why why = sched_why(s, job);
    sched_why_format(s, job, &why, out);
    return true;
}

bool sched_attempt_is_live(const struct sched *s, const struct task_key *key, uint64_t node)
{
    const struct sched_job *job = sched_job_by_id(s, &key->job);
    uint32_t ordinal;
    if (job == NULL || !sched_set_ordinal(job, key->index, &ordinal))
        return false;
    const struct sched_attempt *attempt = sched_attempt_find(s, job, ordinal);
    return attempt != NULL && attempt->number == key->attempt && attempt->node->id == node;
}
