/* Attempts at elements.
 *
 * Happy path: started, reported running, reported completed; the element is then completed for
 * good. Any other end decides between "pending again", "failed" and "cancelled", by rules that use
 * nothing but what the rows hold, so that a new leader decides alike (see sched_restore.c):
 *
 *   cancellation asked for in this round            -> cancelled
 *   attempt of an earlier round                     -> pending again, counts for nothing
 *   failed, more failures than retries              -> failed
 *   lost, more losses than losses_max               -> failed
 *   else                                            -> pending again */
#include <assert.h>
#include <stdio.h>

#include "core/sched_internal.h"

struct sched_attempt *sched_attempt_find(const struct sched *s, const struct sched_job *job,
                                         uint32_t ordinal)
{
    const struct sched_element_key key = {job->seq, ordinal, 0};
    struct sched_attempt *attempt;
    HASH_FIND(hh, s->attempts, &key, sizeof key, attempt);
    return attempt;
}

struct sched_attempt *sched_attempt_new(struct sched *s, struct sched_job *job, uint32_t ordinal,
                                        struct sched_node *node, uint32_t number, uint32_t round,
                                        enum attempt_state state)
{
    struct sched_attempt *attempt = mem_zalloc(sizeof *attempt);
    attempt->key = (struct sched_element_key){job->seq, ordinal, 0};
    attempt->job = job;
    attempt->node = node;
    attempt->number = number;
    attempt->round = round;
    attempt->state = state;
    attempt->record_turn = UINT64_MAX;
    HASH_ADD(hh, s->attempts, key, sizeof attempt->key, attempt);
    LIST_INSERT_HEAD(&job->live, attempt, of_job);
    TAILQ_INSERT_TAIL(&node->attempts, attempt, of_node);
    if (number > job->attempt_max)
        job->attempt_max = number;
    job->live_n++;
    s->attempts_n++;
    node->attempts_n++;
    node->running_n += state == ATTEMPT_STATE_RUNNING;
    sched_node_take(s, node, job->cpus, job->memory_bytes);
    return attempt;
}

void sched_attempt_free(struct sched *s, struct sched_attempt *attempt)
{
    struct sched_job *job = attempt->job;
    struct sched_node *node = attempt->node;
    HASH_DEL(s->attempts, attempt);
    LIST_REMOVE(attempt, of_job);
    TAILQ_REMOVE(&node->attempts, attempt, of_node);
    job->live_n--;
    s->attempts_n--;
    node->attempts_n--;
    node->running_n -= attempt->state == ATTEMPT_STATE_RUNNING;
    free(attempt);
    sched_node_give_back(s, node, job->cpus, job->memory_bytes);
}

void sched_attempt_set_state(struct sched_attempt *attempt, enum attempt_state to)
{
    struct sched_node *node = attempt->node;
    node->running_n -= attempt->state == ATTEMPT_STATE_RUNNING;
    node->running_n += to == ATTEMPT_STATE_RUNNING;
    attempt_state_set(&attempt->state, to);
}

/* ---- start ----------------------------------------------------------------------------------- */

/* Takes the first element that was never tried in this round. */
static uint32_t sched_element_take_fresh(struct sched *s, struct sched_job *job)
{
    assert(job->fresh_n > 0);
    struct rangeset_range *range = &job->fresh.ranges[job->fresh_at];
    uint32_t ordinal = range->first;
    if (range->first == range->last)
        job->fresh_at++;
    else
        range->first++;
    job->fresh_n--;
    s->pending_n--;
    return ordinal;
}

struct sched_attempt *sched_element_start(struct sched *s, struct sched_job *job,
                                          struct sched_past *past, struct sched_node *node)
{
    uint32_t number = job->attempt_base;
    if (past != NULL && past->attempt_last > number)
        number = past->attempt_last;
    number++;
    uint32_t ordinal;
    if (past != NULL) {
        ordinal = past->key.ordinal;
        past->attempt_last = number;
        sched_past_unqueue(s, past);
    } else {
        ordinal = sched_element_take_fresh(s, job);
    }
    s->update->hurry |= node->used < node->slots;
    struct sched_attempt *attempt =
        sched_attempt_new(s, job, ordinal, node, number, job->round, ATTEMPT_STATE_NONE);
    sched_attempt_set_state(attempt, ATTEMPT_STATE_ASSIGNED);
    attempt->session = node->session;
    attempt->assigned_ms = s->wall_ms;
    sched_record_attempt(s, attempt, NULL, TASK_CODE_OK, NULL);
    if (!node->poll) {
        struct task_key key;
        sched_attempt_key(attempt, &key);
        sched_send(s, SCHED_SEND_ASSIGN, node, &key);
    }
    job->waits_since_ms = s->now_ms;
    if (s->reserve_job == job)
        sched_place_forget_reserve(s);
    if (job->state == JOB_STATE_PENDING)
        sched_job_set_state(s, job, JOB_STATE_RUNNING);
    sched_touch(s, job);
    sched_job_settle(s, job);
    return attempt;
}

/* ---- what becomes of an element ----------------------------------------------------------------
 */

void sched_element_completed(struct sched *s, struct sched_job *job, uint32_t ordinal)
{
    assert(!rangeset_contains(&job->completed, ordinal));
    rangeset_add(&job->completed, ordinal, ordinal);
    job->completed_n++;
    sched_past_free(s, sched_past_find(s, job, ordinal));
}

void sched_element_cancelled(struct sched *s, struct sched_job *job, uint32_t ordinal)
{
    assert(rangeset_contains(&job->cancelled, ordinal));
    job->cancelled_n++;
    sched_past_free(s, sched_past_find(s, job, ordinal));
}

void sched_element_failed(struct sched *s, struct sched_job *job, uint32_t ordinal, uint64_t node,
                          enum task_code code, const char *text)
{
    assert(!rangeset_contains(&job->failed, ordinal));
    rangeset_add(&job->failed, ordinal, ordinal);
    job->failed_n++;
    sched_past_free(s, sched_past_find(s, job, ordinal));
    if (job->first_failure != NULL)
        return;
    const struct sched_node *on = sched_node_by_id(s, node);
    char element[32] = "";
    if (job->array)
        snprintf(element, sizeof element, "element %u: ", sched_set_index(job, ordinal));
    job->first_failure = mem_printf("%s%s on %s%s%.*s", element, task_code_name(code),
                                    on != NULL ? on->name : "a node that was removed",
                                    text != NULL && text[0] != '\0' ? ": " : "",
                                    SCHED_FAILURE_TEXT_MAX, text != NULL ? text : "");
}

/* The attempt, which has ended, decides nothing: its element is to be tried again. */
static struct sched_past *sched_element_again(struct sched *s, struct sched_job *job,
                                              uint32_t ordinal, uint32_t number)
{
    struct sched_past *past = sched_past_get(s, job, ordinal);
    if (number > past->attempt_last)
        past->attempt_last = number;
    sched_past_queue(s, past);
    return past;
}

/* ---- ends of a live attempt --------------------------------------------------------------------
 */

/* The part of an attempt that outlives it. */
struct sched_end {
    struct sched_job *job;
    uint32_t ordinal;
    uint64_t node;
    uint32_t number;
    int64_t assigned_ms;
    bool cancelled; /* asked for in this round */
    bool old;       /* of an earlier round */
};

/* Records the end and forgets the attempt. */
static struct sched_end sched_attempt_end(struct sched *s, struct sched_attempt *attempt,
                                          enum attempt_state to, const struct sched_report *report,
                                          enum task_code code, const char *text)
{
    struct sched_job *job = attempt->job;
    const struct sched_end end = {
        .job = job,
        .ordinal = attempt->key.ordinal,
        .node = attempt->node->id,
        .number = attempt->number,
        .assigned_ms = attempt->assigned_ms,
        .cancelled = rangeset_contains(&job->cancelled, attempt->key.ordinal),
        .old = attempt->round < job->round,
    };
    sched_attempt_set_state(attempt, to);
    sched_record_attempt(s, attempt, report, code, text);
    sched_attempt_free(s, attempt);
    sched_touch(s, job);
    return end;
}

/* Below a limit tasks count as short or tiny, and do so until they take twice as long. */
static enum sched_ahead sched_job_ahead(const struct sched *s, const struct sched_job *job)
{
    const enum sched_ahead now = job->class->ahead;
    const int64_t tiny_8ms = 8 * s->config.tiny_ms;
    const int64_t short_8ms = 8 * s->config.short_ms;
    if (job->mean_8ms < (now == SCHED_AHEAD_TINY ? 2 * tiny_8ms : tiny_8ms))
        return SCHED_AHEAD_TINY;
    if (job->mean_8ms < (now != SCHED_AHEAD_NONE ? 2 * short_8ms : short_8ms))
        return SCHED_AHEAD_SHORT;
    return SCHED_AHEAD_NONE;
}

/* Learns how long the job's tasks run, and so how many of them may be queued at nodes. */
static void sched_job_learn(struct sched *s, struct sched_job *job, int64_t wall_ms)
{
    if (wall_ms < 0 || job->total == 1)
        return;
    if (job->mean_8ms < 0)
        job->mean_8ms = 8 * wall_ms;
    else
        job->mean_8ms += wall_ms - job->mean_8ms / 8;
    enum sched_ahead ahead = sched_job_ahead(s, job);
    if (ahead != job->class->ahead)
        sched_class_move(s, job, ahead);
}

void sched_attempt_completed(struct sched *s, struct sched_attempt *attempt,
                             const struct sched_report *report)
{
    struct sched_end end =
        sched_attempt_end(s, attempt, ATTEMPT_STATE_COMPLETED, report, TASK_CODE_OK, NULL);
    sched_job_learn(s, end.job, report->wall_ms);
    sched_element_completed(s, end.job, end.ordinal);
    sched_job_settle(s, end.job);
}

void sched_attempt_failed(struct sched *s, struct sched_attempt *attempt,
                          const struct sched_report *report)
{
    if (report->code == TASK_CODE_NODE_LOST) {
        sched_attempt_lost(s, attempt, report, NULL);
        return;
    }
    struct sched_end end =
        sched_attempt_end(s, attempt, ATTEMPT_STATE_FAILED, report, TASK_CODE_OK, NULL);
    struct sched_job *job = end.job;
    sched_job_learn(s, job, report->wall_ms);
    const struct sched_past *past = sched_past_find(s, job, end.ordinal);
    uint32_t failures = (past != NULL ? past->failures : 0) + 1;
    if (end.cancelled) {
        sched_element_cancelled(s, job, end.ordinal);
    } else if (!end.old && failures > job->retries) {
        sched_element_failed(s, job, end.ordinal, end.node, report->code, report->text);
    } else {
        struct sched_past *again = sched_element_again(s, job, end.ordinal, end.number);
        if (!end.old) {
            again->failures = failures;
            sched_past_avoid(again, end.node);
        }
    }
    sched_job_settle(s, job);
}

void sched_attempt_lost(struct sched *s, struct sched_attempt *attempt,
                        const struct sched_report *report, const char *text)
{
    struct sched_end end =
        sched_attempt_end(s, attempt, ATTEMPT_STATE_LOST, report, TASK_CODE_NODE_LOST, text);
    struct sched_job *job = end.job;
    const struct sched_past *past = sched_past_find(s, job, end.ordinal);
    uint32_t losses = (past != NULL ? past->losses : 0) + 1;
    if (end.cancelled) {
        sched_element_cancelled(s, job, end.ordinal);
    } else if (!end.old && losses > s->config.losses_max) {
        sched_element_failed(s, job, end.ordinal, end.node, TASK_CODE_NODE_LOST,
                             "lost more often than is allowed");
    } else {
        struct sched_past *again = sched_element_again(s, job, end.ordinal, end.number);
        const struct sched_lost lost = {end.number, end.node, end.assigned_ms};
        if (!end.old) {
            again->losses = losses;
            sched_past_add_lost(again, &lost);
        }
    }
    sched_job_settle(s, job);
}

/* The attempt ended without a fault of its own and is to be tried again, unless cancelled. */
static void sched_attempt_given_back(struct sched *s, struct sched_attempt *attempt,
                                     enum attempt_state to, const struct sched_report *report,
                                     enum task_code code, const char *text)
{
    struct sched_end end = sched_attempt_end(s, attempt, to, report, code, text);
    if (end.cancelled)
        sched_element_cancelled(s, end.job, end.ordinal);
    else
        sched_element_again(s, end.job, end.ordinal, end.number);
    sched_job_settle(s, end.job);
}

void sched_attempt_returned(struct sched *s, struct sched_attempt *attempt,
                            const struct sched_report *report)
{
    struct sched_node *node = attempt->node;
    if (!attempt->cancelling && !attempt->evicting)
        sched_node_hold(s, node);
    sched_attempt_given_back(s, attempt, ATTEMPT_STATE_RETURNED, report, TASK_CODE_OK, NULL);
}

void sched_attempt_cancelled(struct sched *s, struct sched_attempt *attempt,
                             const struct sched_report *report, const char *text)
{
    if (attempt->cancelling)
        sched_attempt_given_back(s, attempt, ATTEMPT_STATE_CANCELLED, report, TASK_CODE_CANCELLED,
                                 text);
    else if (attempt->evicting)
        sched_attempt_given_back(s, attempt, ATTEMPT_STATE_RETURNED, report, TASK_CODE_CANCELLED,
                                 text);
    else
        sched_attempt_lost(s, attempt, report, text);
}

void sched_attempt_superseded(struct sched *s, struct sched_attempt *attempt)
{
    struct sched_node *node = attempt->node;
    struct task_key key;
    sched_attempt_key(attempt, &key);
    if (!node->poll) {
        struct sched_send *send = sched_send(s, SCHED_SEND_CANCEL, node, &key);
        send->superseded = true;
        send->reason = task_code_text(TASK_CODE_SUPERSEDED);
        sched_node_add_stray(s, node, &key, attempt->job->cpus, attempt->job->memory_bytes);
    }
    sched_attempt_end(s, attempt, ATTEMPT_STATE_CANCELLED, NULL, TASK_CODE_SUPERSEDED,
                      task_code_text(TASK_CODE_SUPERSEDED));
}

/* ---- stopping a live attempt -------------------------------------------------------------------
 */

void sched_attempt_send_cancel(struct sched *s, const struct sched_attempt *attempt)
{
    struct task_key key;
    sched_attempt_key(attempt, &key);
    struct sched_send *send = sched_send(s, SCHED_SEND_CANCEL, attempt->node, &key);
    send->reason = attempt->cancelling ? "cancelled" : "the node is drained";
}

void sched_attempt_cancel(struct sched *s, struct sched_attempt *attempt)
{
    attempt->cancelling = true;
    if (attempt->node->poll)
        sched_attempt_cancelled(s, attempt, NULL, "cancelled");
    else
        sched_attempt_send_cancel(s, attempt);
}

void sched_attempt_evict(struct sched *s, struct sched_attempt *attempt)
{
    if (attempt->cancelling)
        return;
    attempt->evicting = true;
    if (attempt->node->poll)
        sched_attempt_lost(s, attempt, NULL, "its node is drained");
    else
        sched_attempt_send_cancel(s, attempt);
}
