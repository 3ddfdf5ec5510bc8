/* Rebuilding the state of an earlier leader from its rows.
 *
 * Happy path: a job's row, then its attempts by (index, attempt). The attempts at one element are
 * folded together until the next element begins; what that element is then follows by the rules of
 * sched_element.c. Elements without rows are fresh, or cancelled. A job that had not ended goes on;
 * one that had is only there to be retried.
 *
 * Rows that contradict each other end the restoration with ERR_CORRUPT. */
#include <assert.h>
#include <stdio.h>

#include "core/sched_internal.h"

/* The attempts at one element. */
struct sched_fold {
    bool some;
    uint32_t ordinal;
    uint32_t attempt; /* of the last row */
    bool completed;
    bool tried; /* in this round */
    bool live;
    struct sched_task_row running; /* that one; no text */
    struct sched_past past;        /* what it remembers; owns `lost` */
    uint64_t failed_node;          /* of the last failure or loss */
    enum task_code failed_code;
    char failed_text[SCHED_FAILURE_TEXT_MAX + 1];
};

struct sched_restore {
    int err;               /* of an earlier row: nothing more is taken */
    struct sched_job *job; /* NULL between jobs */
    struct sched_dependency *after;
    enum job_state state;
    char *reason;
    uint64_t last_seq;
    bool began;    /* it has attempts that live or are of this round */
    uint32_t next; /* ordinals before it are decided */
    struct sched_fold fold;
};

static void sched_restore_drop_job(struct sched *s, struct sched_restore *r)
{
    if (r->job != NULL)
        sched_job_free(s, r->job);
    free(r->after);
    free(r->reason);
    free(r->fold.past.lost);
    *r = (struct sched_restore){.last_seq = r->last_seq};
}

static int sched_restore_fail(struct sched *s, int err)
{
    sched_restore_drop_job(s, s->restore);
    s->restore->err = err;
    return err;
}

void sched_restore_free(struct sched *s)
{
    if (s->restore == NULL)
        return;
    sched_restore_drop_job(s, s->restore);
    free(s->restore);
    s->restore = NULL;
}

int sched_restore_begin(struct sched *s, const struct sched_event *event)
{
    assert(s->restore == NULL);
    if (event->next_seq > s->next_seq)
        s->next_seq = event->next_seq;
    s->restore = mem_zalloc(sizeof *s->restore);
    return 0;
}

/* ---- one element -------------------------------------------------------------------------------
 */

static void sched_fold_failure(struct sched_fold *fold, const struct sched_task_row *row,
                               enum task_code code)
{
    fold->failed_node = row->node;
    fold->failed_code = code;
    snprintf(fold->failed_text, sizeof fold->failed_text, "%s", row->text != NULL ? row->text : "");
}

static void sched_fold_add(struct sched_fold *fold, const struct sched_task_row *row, bool counts)
{
    const struct sched_lost lost = {row->attempt, row->node, row->assigned_ms};
    if (row->state == ATTEMPT_STATE_COMPLETED)
        fold->completed = true;
    if (!attempt_state_is_ended(row->state)) {
        fold->live = true;
        fold->running = *row;
        fold->running.text = NULL;
    }
    if (!counts)
        return;
    fold->tried = true;
    fold->past.attempt_last = row->attempt;
    if (row->state == ATTEMPT_STATE_FAILED) {
        fold->past.failures++;
        sched_past_avoid(&fold->past, row->node);
        sched_fold_failure(fold, row, row->code);
    } else if (row->state == ATTEMPT_STATE_LOST) {
        fold->past.losses++;
        sched_past_add_lost(&fold->past, &lost);
        sched_fold_failure(fold, row, TASK_CODE_NODE_LOST);
    }
}

/* Hands what was collected over to the element. */
static struct sched_past *sched_fold_keep(struct sched *s, struct sched_job *job,
                                          struct sched_fold *fold)
{
    struct sched_past *past = sched_past_get(s, job, fold->ordinal);
    past->attempt_last = fold->past.attempt_last;
    past->failures = fold->past.failures;
    past->losses = fold->past.losses;
    past->avoid_n = fold->past.avoid_n;
    for (uint32_t i = 0; i < past->avoid_n; i++)
        past->avoid[i] = fold->past.avoid[i];
    past->lost = fold->past.lost;
    past->lost_n = fold->past.lost_n;
    fold->past.lost = NULL;
    return past;
}

/* Its node was removed and nobody said so. */
static void sched_fold_lose_live(struct sched *s, const struct sched_job *job,
                                 struct sched_fold *fold)
{
    struct sched_task_row row = fold->running;
    row.state = ATTEMPT_STATE_LOST;
    row.text = "its node is no member";
    fold->live = false;
    sched_fold_add(fold, &row, row.round == job->round);
    const struct sched_lost lost = {row.attempt, row.node, row.assigned_ms};
    const struct sched_report report = {.code = TASK_CODE_NODE_LOST};
    sched_record_lost(s, job, fold->ordinal, &lost, row.round, ATTEMPT_STATE_LOST, &report);
}

static void sched_fold_resume(struct sched *s, struct sched_job *job, struct sched_fold *fold,
                              struct sched_node *node)
{
    const struct sched_task_row *row = &fold->running;
    struct sched_attempt *attempt =
        sched_attempt_new(s, job, fold->ordinal, node, row->attempt, row->round, row->state);
    attempt->assigned_ms = row->assigned_ms;
    attempt->cancelling = rangeset_contains(&job->cancelled, fold->ordinal);
    if (fold->past.failures > 0 || fold->past.losses > 0)
        sched_fold_keep(s, job, fold);
}

static void sched_restore_element(struct sched *s, struct sched_restore *r)
{
    struct sched_job *job = r->job;
    struct sched_fold *fold = &r->fold;
    uint32_t at = fold->ordinal;
    if (at > r->next)
        sched_set_append(&job->fresh, r->next, at - 1);
    r->next = at + 1;
    struct sched_node *node = fold->live ? sched_node_by_id(s, fold->running.node) : NULL;
    if (fold->live && node == NULL && !fold->completed)
        sched_fold_lose_live(s, job, fold);
    r->began = r->began || fold->live || fold->tried;

    if (fold->completed) {
        sched_set_append(&job->completed, at, at);
        job->completed_n++;
    } else if (fold->live) {
        sched_fold_resume(s, job, fold, node);
    } else if (rangeset_contains(&job->cancelled, at)) {
        job->cancelled_n++;
    } else if (fold->past.failures > job->retries || fold->past.losses > s->config.losses_max) {
        sched_element_failed(s, job, at, fold->failed_node, fold->failed_code, fold->failed_text);
    } else if (fold->tried) {
        sched_past_queue(s, sched_fold_keep(s, job, fold));
    } else {
        sched_set_append(&job->fresh, at, at);
    }
    free(fold->past.lost);
    *fold = (struct sched_fold){0};
}

/* ---- one job -----------------------------------------------------------------------------------
 */

static void sched_restore_fill(struct sched_job *job, const struct sched_job_row *row)
{
    job->seq = row->seq;
    job->round = row->round;
    job->submitted_ms = row->submitted_ms;
    job->started_ms = row->started_ms;
    job->ended_ms = row->ended_ms;
    job->cancel_requested_ms = row->cancel_requested_ms;
    job->why.code = -1;
    rangeset_done(&job->fresh); /* filled by what no row speaks of */
    job->fresh_n = 0;
}

/* Elements behind the last one with rows; those that were cancelled before they began. */
static void sched_restore_rest(struct sched_restore *r)
{
    struct sched_job *job = r->job;
    if (r->next < job->total)
        sched_set_append(&job->fresh, r->next, job->total - 1);
    uint32_t count = (uint32_t)rangeset_count(&job->fresh);
    sched_set_subtract(&job->fresh, &job->cancelled);
    job->fresh_n = (uint32_t)rangeset_count(&job->fresh);
    job->cancelled_n += count - job->fresh_n;
}

/* The rows of the job are complete. */
static int sched_restore_finish_job(struct sched *s, struct sched_restore *r)
{
    struct sched_job *job = r->job;
    if (job == NULL)
        return 0;
    if (r->fold.some)
        sched_restore_element(s, r);
    sched_restore_rest(r);
    bool open = sched_job_pending(job) > 0 || job->live_n > 0;
    bool began = r->began || r->state == JOB_STATE_RUNNING || !open;
    job->state = r->state;
    if (!job_state_is_ended(job->state))
        job->state = began ? JOB_STATE_RUNNING : JOB_STATE_PENDING;
    else if (open)
        return sched_refuse(s, ERR_CORRUPT, "job %llu has ended, not all of its elements have",
                            (unsigned long long)job->seq);
    if (sched_job_pending(job) == 0 && job->cancel_requested_ms != 0)
        job->cancel_reason = mem_strdup(r->reason);
    job->why_text = r->reason;
    r->reason = NULL;
    r->job = NULL;
    sched_job_link(s, job);
    if (!job_state_is_ended(job->state)) {
        if (!began && job->round == 0)
            sched_dep_connect(s, job, r->after);
        if (!job_state_is_ended(job->state))
            sched_job_settle(s, job);
    }
    sched_restore_drop_job(s, r);
    return 0;
}

static int sched_restore_check_job(struct sched *s, const struct sched_job_row *row)
{
    unsigned long long seq = (unsigned long long)row->seq;
    if (sched_job_by_id(s, &row->job.id) != NULL)
        return sched_refuse(s, ERR_EXISTS, "job %llu is in memory", seq);
    if (row->state == JOB_STATE_NONE || (s->serving && !job_state_is_ended(row->state)))
        return sched_refuse(s, ERR_CORRUPT, "job %llu has the state %s", seq,
                            job_state_name(row->state));
    if (row->seq >= s->next_seq || row->seq <= s->restore->last_seq)
        return sched_refuse(s, ERR_CORRUPT, "job %llu is out of order", seq);
    return sched_job_validate(s, &row->job);
}

int sched_restore_job(struct sched *s, const struct sched_event *event)
{
    const struct sched_job_row *row = event->job_row;
    struct sched_restore *r = s->restore;
    assert(r != NULL);
    if (r->err < 0)
        return r->err;
    int err = sched_restore_finish_job(s, r);
    if (err == 0)
        err = sched_restore_check_job(s, row);
    if (err < 0)
        return sched_restore_fail(s, err);
    r->job = sched_job_new(&row->job);
    sched_restore_fill(r->job, row);
    r->state = row->state;
    r->reason = mem_strdup(row->reason != NULL ? row->reason : "");
    r->last_seq = row->seq;
    r->after = mem_calloc(row->job.after_n + 1, sizeof *r->after);
    for (size_t i = 0; i < row->job.after_n; i++)
        r->after[i] = row->job.after[i];
    if (row->cancelled == NULL || sched_set_ordinals(r->job, row->cancelled, &r->job->cancelled))
        return 0;
    err = sched_refuse(s, ERR_CORRUPT, "job %llu has cancelled elements that are not its own",
                       (unsigned long long)row->seq);
    return sched_restore_fail(s, err);
}

static int sched_restore_check_task(struct sched *s, const struct sched_restore *r,
                                    const struct sched_task_row *row, uint32_t *ordinal)
{
    const struct sched_fold *fold = &r->fold;
    bool known = r->job != NULL && sched_set_ordinal(r->job, row->index, ordinal);
    if (!known || row->attempt == 0 || row->state == ATTEMPT_STATE_NONE ||
        row->round > r->job->round)
        return sched_refuse(s, ERR_CORRUPT, "attempt %u at element %u fits no job", row->attempt,
                            row->index);
    bool ordered = *ordinal >= r->next;
    if (fold->some)
        ordered =
            *ordinal > fold->ordinal || (*ordinal == fold->ordinal && row->attempt > fold->attempt);
    if (!ordered)
        return sched_refuse(s, ERR_CORRUPT, "attempt %u at element %u is out of order",
                            row->attempt, row->index);
    bool live = !attempt_state_is_ended(row->state);
    if (live && fold->some && *ordinal == fold->ordinal && fold->live)
        return sched_refuse(s, ERR_CORRUPT, "two attempts at element %u live", row->index);
    return 0;
}

int sched_restore_task(struct sched *s, const struct sched_event *event)
{
    const struct sched_task_row *row = event->task_row;
    struct sched_restore *r = s->restore;
    assert(r != NULL);
    uint32_t ordinal = 0;
    int err = r->err < 0 ? r->err : sched_restore_check_task(s, r, row, &ordinal);
    if (err < 0)
        return sched_restore_fail(s, err);
    if (r->fold.some && r->fold.ordinal != ordinal)
        sched_restore_element(s, r);
    r->fold.some = true;
    r->fold.ordinal = ordinal;
    r->fold.attempt = row->attempt;
    sched_fold_add(&r->fold, row, row->round == r->job->round);
    if (row->attempt > r->job->attempt_max)
        r->job->attempt_max = row->attempt;
    if (row->round < r->job->round && row->attempt > r->job->attempt_base)
        r->job->attempt_base = row->attempt;
    return 0;
}

int sched_restore_end(struct sched *s, const struct sched_event *event)
{
    (void)event;
    assert(s->restore != NULL);
    int err = s->restore->err < 0 ? s->restore->err : sched_restore_finish_job(s, s->restore);
    sched_restore_free(s);
    if (err < 0)
        return err;
    s->serving = true;
    s->sweep_left = s->jobs_n;
    return 0;
}
