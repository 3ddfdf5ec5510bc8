#include "tests/sim/sched_rows.h"

#include <assert.h>
#include <string.h>

#include "base/mem.h"

void sched_rows_init(struct sched_rows *rows)
{
    *rows = (struct sched_rows){.next_seq = 1};
}

static void sched_rows_free_job(struct sched_rows_job *job)
{
    rangeset_done(&job->elements);
    rangeset_done(&job->cancelled);
    free((void *)(uintptr_t)job->spec.selector);
    free((void *)(uintptr_t)job->spec.idempotency_key);
    free((void *)(uintptr_t)job->spec.after);
    free(job->reason);
    free(job);
}

void sched_rows_done(struct sched_rows *rows)
{
    struct sched_rows_job *job;
    struct sched_rows_job *job_next;
    HASH_ITER (hh, rows->jobs, job, job_next) {
        HASH_DEL(rows->jobs, job);
        sched_rows_free_job(job);
    }
    HASH_ITER (hh, rows->specs, job, job_next) {
        HASH_DEL(rows->specs, job);
        sched_rows_free_job(job);
    }
    struct sched_rows_task *task;
    struct sched_rows_task *task_next;
    HASH_ITER (hh, rows->tasks, task, task_next) {
        HASH_DEL(rows->tasks, task);
        free(task);
    }
}

void sched_rows_remember(struct sched_rows *rows, const struct sched_job_spec *spec)
{
    struct sched_rows_job *job;
    HASH_FIND(hh, rows->specs, &spec->id, sizeof spec->id, job);
    if (job != NULL)
        return;
    job = mem_zalloc(sizeof *job);
    job->spec = *spec;
    rangeset_copy(&job->elements, spec->elements);
    job->spec.elements = &job->elements;
    job->spec.selector = mem_strdup(spec->selector);
    job->spec.idempotency_key = mem_strdup(spec->idempotency_key);
    struct sched_dependency *after = mem_calloc(spec->after_n + 1, sizeof *after);
    for (size_t i = 0; i < spec->after_n; i++)
        after[i] = spec->after[i];
    job->spec.after = after;
    HASH_ADD(hh, rows->specs, spec.id, sizeof job->spec.id, job);
}

static struct sched_rows_job *sched_rows_by_seq(const struct sched_rows *rows, uint64_t seq)
{
    struct sched_rows_job *job;
    HASH_FIND(hh, rows->jobs, &seq, sizeof seq, job);
    return job;
}

struct sched_rows_job *sched_rows_job(const struct sched_rows *rows, const struct uuid *id)
{
    for (struct sched_rows_job *job = rows->jobs; job != NULL; job = job->hh.next) {
        if (uuid_compare(&job->spec.id, id) == 0)
            return job;
    }
    return NULL;
}

struct sched_rows_task *sched_rows_task(const struct sched_rows *rows, uint64_t seq, uint32_t index,
                                        uint32_t attempt)
{
    const struct {
        uint64_t seq;
        uint32_t index;
        uint32_t attempt;
    } key = {seq, index, attempt};
    struct sched_rows_task *task;
    HASH_FIND(hh, rows->tasks, &key, sizeof key, task);
    return task;
}

void sched_rows_put_job(struct sched_rows *rows, const struct sched_job_record *record)
{
    struct sched_rows_job *job = sched_rows_by_seq(rows, record->seq);
    assert((job == NULL) == record->created);
    if (job == NULL) {
        HASH_FIND(hh, rows->specs, &record->id, sizeof record->id, job);
        assert(job != NULL);
        HASH_DEL(rows->specs, job);
        job->seq = record->seq;
        HASH_ADD(hh, rows->jobs, seq, sizeof job->seq, job);
        assert(record->seq >= rows->next_seq);
        rows->next_seq = record->seq + 1;
    }
    if (record->cancelled_changed) {
        rangeset_done(&job->cancelled);
        if (record->cancelled[0] != '\0') {
            int err = rangeset_parse(&job->cancelled, record->cancelled, UINT32_MAX, UINT64_MAX);
            assert(err == 0);
        }
    }
    free(job->reason);
    job->reason = mem_strdup(record->reason);
    job->state = record->state;
    job->round = record->round;
    job->total = record->total;
    job->running = record->running;
    job->completed = record->completed;
    job->failed = record->failed;
    job->cancelled_n = record->cancelled_n;
    job->submitted_ms = record->submitted_ms;
    job->started_ms = record->started_ms;
    job->ended_ms = record->ended_ms;
    job->cancel_requested_ms = record->cancel_requested_ms;
}

void sched_rows_put_task(struct sched_rows *rows, const struct sched_task_record *record)
{
    struct sched_rows_task *task =
        sched_rows_task(rows, record->job_seq, record->key.index, record->key.attempt);
    if (task == NULL) {
        task = mem_zalloc(sizeof *task);
        task->key.seq = record->job_seq;
        task->key.index = record->key.index;
        task->key.attempt = record->key.attempt;
        HASH_ADD(hh, rows->tasks, key, sizeof task->key, task);
    }
    task->round = record->round;
    task->state = record->state;
    task->node = record->node;
    task->assigned_ms = record->assigned_ms;
    task->code = record->code;
    task->text = record->text;
}

void sched_rows_apply(struct sched_rows *rows, const struct sched_update *update)
{
    for (size_t i = 0; i < update->jobs_n; i++)
        sched_rows_put_job(rows, &update->jobs[i]);
    for (size_t i = 0; i < update->tasks_n; i++)
        sched_rows_put_task(rows, &update->tasks[i]);
}

/* ---- restoring ------------------------------------------------------------------------------- */

static int sched_rows_compare(const struct sched_rows_task *a, const struct sched_rows_task *b)
{
    if (a->key.seq != b->key.seq)
        return a->key.seq < b->key.seq ? -1 : 1;
    if (a->key.index != b->key.index)
        return a->key.index < b->key.index ? -1 : 1;
    return (a->key.attempt > b->key.attempt) - (a->key.attempt < b->key.attempt);
}

static int sched_rows_feed_job(const struct sched_rows *rows, const struct sched_rows_job *job,
                               struct sched *sched, struct sched_update *update, int64_t now_ms)
{
    struct sched_dependency after[SCHED_DEPENDENCIES_MAX];
    struct sched_job_row row = {
        .seq = job->seq,
        .job = job->spec,
        .state = job->state,
        .reason = job->reason,
        .round = job->round,
        .cancelled = &job->cancelled,
        .submitted_ms = job->submitted_ms,
        .started_ms = job->started_ms,
        .ended_ms = job->ended_ms,
        .cancel_requested_ms = job->cancel_requested_ms,
    };
    for (size_t i = 0; i < row.job.after_n; i++) {
        after[i] = row.job.after[i];
        const struct sched_rows_job *on = sched_rows_job(rows, &after[i].job);
        after[i].state = on != NULL ? on->state : JOB_STATE_NONE;
    }
    row.job.after = after;
    if (rows->forget & SCHED_ROWS_FORGET_CANCELLED)
        row.cancelled = NULL;
    if (rows->forget & SCHED_ROWS_FORGET_ROUND)
        row.round = 0;
    if (rows->forget & SCHED_ROWS_FORGET_KEY)
        row.job.idempotency_key = NULL;
    struct sched_event event = {
        .type = SCHED_EVENT_RESTORE_JOB,
        .now_ms = now_ms,
        .wall_ms = now_ms,
        .job_row = &row,
    };
    return sched_step(sched, &event, update);
}

static bool sched_rows_forgets(const struct sched_rows *rows, enum attempt_state state)
{
    switch (state) {
    case ATTEMPT_STATE_COMPLETED:
        return rows->forget & SCHED_ROWS_FORGET_COMPLETED;
    case ATTEMPT_STATE_LOST:
        return rows->forget & SCHED_ROWS_FORGET_LOST;
    case ATTEMPT_STATE_FAILED:
        return rows->forget & SCHED_ROWS_FORGET_FAILED;
    case ATTEMPT_STATE_ASSIGNED:
    case ATTEMPT_STATE_RUNNING:
        return rows->forget & SCHED_ROWS_FORGET_LIVE;
    default:
        return false;
    }
}

/* The rows of one job; `*task` is the first of these or of a later job. */
static int sched_rows_feed(const struct sched_rows *rows, const struct sched_rows_job *job,
                           struct sched_rows_task **task, struct sched *sched,
                           struct sched_update *update, int64_t now_ms)
{
    int err = sched_rows_feed_job(rows, job, sched, update, now_ms);
    while (*task != NULL && (*task)->key.seq < job->seq)
        *task = (*task)->hh.next;
    for (; err == 0 && *task != NULL && (*task)->key.seq == job->seq; *task = (*task)->hh.next) {
        if (sched_rows_forgets(rows, (*task)->state))
            continue;
        const struct sched_task_row row = {
            .index = (*task)->key.index,
            .attempt = (*task)->key.attempt,
            .round = rows->forget & SCHED_ROWS_FORGET_ROUND ? 0 : (*task)->round,
            .state = (*task)->state,
            .node = (*task)->node,
            .assigned_ms = (*task)->assigned_ms,
            .code = (*task)->code,
        };
        struct sched_event event = {
            .type = SCHED_EVENT_RESTORE_TASK,
            .now_ms = now_ms,
            .wall_ms = now_ms,
            .task_row = &row,
        };
        err = sched_step(sched, &event, update);
    }
    return err;
}

static int sched_rows_frame(enum sched_event_type type, const struct sched_rows *rows,
                            struct sched *sched, struct sched_update *update, int64_t now_ms)
{
    struct sched_event event = {
        .type = type,
        .now_ms = now_ms,
        .wall_ms = now_ms,
        .next_seq = rows->next_seq,
    };
    return sched_step(sched, &event, update);
}

int sched_rows_restore(struct sched_rows *rows, struct sched *sched, struct sched_update *update,
                       int64_t now_ms)
{
    HASH_SORT(rows->tasks, sched_rows_compare);
    int err = sched_rows_frame(SCHED_EVENT_RESTORE_BEGIN, rows, sched, update, now_ms);
    struct sched_rows_task *task = rows->tasks;
    for (struct sched_rows_job *job = rows->jobs; job != NULL && err == 0; job = job->hh.next) {
        if (!job_state_is_ended(job->state))
            err = sched_rows_feed(rows, job, &task, sched, update, now_ms);
    }
    int end = sched_rows_frame(SCHED_EVENT_RESTORE_END, rows, sched, update, now_ms);
    return err < 0 ? err : end;
}

int sched_rows_load(struct sched_rows *rows, const struct uuid *id, struct sched *sched,
                    struct sched_update *update, int64_t now_ms)
{
    struct sched_rows_job *job = sched_rows_job(rows, id);
    if (job == NULL)
        return ERR_NOT_FOUND;
    HASH_SORT(rows->tasks, sched_rows_compare);
    int err = sched_rows_frame(SCHED_EVENT_RESTORE_BEGIN, rows, sched, update, now_ms);
    struct sched_rows_task *task = rows->tasks;
    if (err == 0)
        err = sched_rows_feed(rows, job, &task, sched, update, now_ms);
    int end = sched_rows_frame(SCHED_EVENT_RESTORE_END, rows, sched, update, now_ms);
    return err < 0 ? err : end;
}
