/* What nodes say about attempts.
 *
 * Happy path: the report is about the attempt that counts, on the node that has it. Everything else
 * is either a lost attempt that is found (see sched_past.c), or stale: a stale end is acknowledged
 * so that the node forgets it, a stale attempt that still runs is stopped. */
#include <assert.h>

#include "core/sched_internal.h"

#define SCHED_NOT_HELD "its node does not hold it"

static bool sched_report_is_alive(const struct sched_report *report)
{
    return report->phase == WIRE__TASK_PHASE__TASK_PHASE_QUEUED ||
           report->phase == WIRE__TASK_PHASE__TASK_PHASE_RUNNING;
}

static bool sched_report_is_end(const struct sched_report *report)
{
    return report->phase == WIRE__TASK_PHASE__TASK_PHASE_COMPLETED ||
           report->phase == WIRE__TASK_PHASE__TASK_PHASE_FAILED ||
           report->phase == WIRE__TASK_PHASE__TASK_PHASE_CANCELLED ||
           report->phase == WIRE__TASK_PHASE__TASK_PHASE_RETURNED;
}

static void sched_report_live(struct sched *s, struct sched_attempt *attempt,
                              const struct sched_report *report)
{
    switch (report->phase) {
    case WIRE__TASK_PHASE__TASK_PHASE_RUNNING:
        if (attempt->state == ATTEMPT_STATE_RUNNING)
            break;
        sched_attempt_set_state(attempt, ATTEMPT_STATE_RUNNING);
        sched_record_attempt(s, attempt, report, TASK_CODE_OK, NULL);
        break;
    case WIRE__TASK_PHASE__TASK_PHASE_COMPLETED:
        sched_attempt_completed(s, attempt, report);
        break;
    case WIRE__TASK_PHASE__TASK_PHASE_FAILED:
        sched_attempt_failed(s, attempt, report);
        break;
    case WIRE__TASK_PHASE__TASK_PHASE_CANCELLED:
        sched_attempt_cancelled(s, attempt, report, NULL);
        break;
    case WIRE__TASK_PHASE__TASK_PHASE_RETURNED:
        sched_attempt_returned(s, attempt, report);
        break;
    case WIRE__TASK_PHASE__TASK_PHASE_UNKNOWN:
        sched_attempt_lost(s, attempt, NULL, SCHED_NOT_HELD);
        break;
    default:
        break;
    }
}

/* It runs and doesn't count. `job` may be NULL: not in memory. */
static void sched_report_stray(struct sched *s, struct sched_node *node,
                               const struct sched_job *job, const struct task_key *key)
{
    struct sched_send *send = sched_send(s, SCHED_SEND_CANCEL, node, key);
    send->superseded = true;
    send->reason = task_code_text(TASK_CODE_SUPERSEDED);
    sched_node_add_stray(s, node, key, job != NULL ? job->cpus : 1,
                         job != NULL ? job->memory_bytes : 0);
}

static void sched_report_found(struct sched *s, struct sched_past *past, struct sched_lost *lost,
                               struct sched_node *node, const struct sched_report *report)
{
    bool ended = sched_report_is_end(report);
    if (report->phase == WIRE__TASK_PHASE__TASK_PHASE_COMPLETED)
        sched_lost_completed(s, past, lost, report);
    else if (report->phase == WIRE__TASK_PHASE__TASK_PHASE_FAILED && past->queued)
        sched_lost_failed(s, past, lost, report);
    else if (!ended && past->queued && node->health != SCHED_HEALTH_OFFLINE)
        sched_lost_readopt(s, past, lost, node, report);
    else if (!ended)
        sched_report_stray(s, node, past->job, &report->key);
}

/* An end is acknowledged also when it changes nothing. */
static void sched_report_one(struct sched *s, struct sched_node *node,
                             const struct sched_report *report)
{
    bool ended = sched_report_is_end(report);
    bool unknown = report->phase == WIRE__TASK_PHASE__TASK_PHASE_UNKNOWN;
    if (!ended && !unknown && !sched_report_is_alive(report))
        return;
    if (ended && !node->poll)
        sched_send(s, SCHED_SEND_ACK, node, &report->key);
    struct sched_job *job = sched_job_by_id(s, &report->key.job);
    uint32_t ordinal = 0;
    if (job != NULL && !sched_set_ordinal(job, report->key.index, &ordinal))
        job = NULL;
    struct sched_attempt *attempt = job != NULL ? sched_attempt_find(s, job, ordinal) : NULL;
    struct sched_past *past = job != NULL ? sched_past_find(s, job, ordinal) : NULL;
    struct sched_lost *lost = sched_past_find_lost(past, report->key.attempt, node->id);
    if (attempt != NULL && attempt->number == report->key.attempt && attempt->node == node) {
        attempt->held = s->held_stamp;
        sched_report_live(s, attempt, report);
        return;
    }
    if (ended || unknown)
        sched_node_remove_stray(s, node, &report->key);
    if (unknown)
        return;
    if (lost != NULL)
        sched_report_found(s, past, lost, node, report);
    else if (!ended)
        sched_report_stray(s, node, job, &report->key);
}

int sched_report_many(struct sched *s, const struct sched_event *event)
{
    struct sched_node *node = sched_node_by_id(s, event->node);
    if (node == NULL)
        return ERR_NOT_FOUND;
    bool old = event->session != 0 && event->session != node->session;
    for (size_t i = 0; i < event->reports_n; i++) {
        if (!old || !sched_report_is_alive(&event->reports[i]))
            sched_report_one(s, node, &event->reports[i]);
    }
    return 0;
}

/* ---- everything that a node holds
 * ---------------------------------------------------------------- */

/* What was assigned before this session and isn't held is lost; what is to stop is told so again.
 */
static void sched_report_missing(struct sched *s, struct sched_node *node)
{
    struct sched_attempt *attempt;
    struct sched_attempt *next;
    for (attempt = TAILQ_FIRST(&node->attempts); attempt != NULL; attempt = next) {
        next = TAILQ_NEXT(attempt, of_node);
        if (attempt->held == s->held_stamp) {
            attempt->session = node->session;
            if (attempt->cancelling || attempt->evicting)
                sched_attempt_send_cancel(s, attempt);
        } else if (attempt->session < node->session) {
            sched_attempt_lost(s, attempt, NULL, SCHED_NOT_HELD);
        }
    }
}

int sched_report_held(struct sched *s, const struct sched_event *event)
{
    struct sched_node *node = sched_node_by_id(s, event->node);
    if (node == NULL)
        return ERR_NOT_FOUND;
    assert(!node->poll);
    if (event->session != node->session || node->session == 0)
        return 0;
    s->held_stamp++;
    sched_node_clear_strays(s, node);
    for (size_t i = 0; i < event->reports_n; i++)
        sched_report_one(s, node, &event->reports[i]);
    sched_report_missing(s, node);
    node->linked = node->health != SCHED_HEALTH_OFFLINE;
    sched_node_changed(s, node);
    return 0;
}

/* ---- agents
 * -------------------------------------------------------------------------------------- */

static bool sched_report_has_ended(const struct sched_job *job, uint32_t ordinal,
                                   const struct sched_attempt *attempt)
{
    return job_state_is_ended(job->state) || rangeset_contains(&job->completed, ordinal) ||
           rangeset_contains(&job->failed, ordinal) ||
           (attempt == NULL && rangeset_contains(&job->cancelled, ordinal));
}

/* Replaces attempt 0 by the latest of the element that this node had. */
static uint32_t sched_report_latest(const struct sched_attempt *attempt,
                                    const struct sched_past *past, const struct sched_node *node)
{
    if (attempt != NULL && attempt->node == node)
        return attempt->number;
    for (uint32_t i = past != NULL ? past->lost_n : 0; i > 0; i--) {
        if (past->lost[i - 1].node == node->id)
            return past->lost[i - 1].attempt;
    }
    return 0;
}

int sched_report_result(struct sched *s, const struct sched_event *event)
{
    assert(event->reports_n == 1);
    struct sched_report report = event->reports[0];
    struct sched_node *node = sched_node_by_id(s, event->node);
    struct sched_job *job = sched_job_by_id(s, &report.key.job);
    uint32_t ordinal;
    if (node == NULL || job == NULL || !sched_set_ordinal(job, report.key.index, &ordinal))
        return ERR_NOT_FOUND;
    struct sched_attempt *attempt = sched_attempt_find(s, job, ordinal);
    struct sched_past *past = sched_past_find(s, job, ordinal);
    if (sched_report_has_ended(job, ordinal, attempt))
        return sched_refuse(s, ERR_EXISTS, "this element has ended already");
    uint32_t latest = sched_report_latest(attempt, past, node);
    if (report.key.attempt == 0)
        report.key.attempt = latest;
    bool live = attempt != NULL && attempt->node == node && attempt->number == report.key.attempt;
    if (!live && sched_past_find_lost(past, report.key.attempt, node->id) == NULL)
        return sched_refuse(s, ERR_FORBIDDEN, "this element was not given to %s", node->name);
    sched_report_one(s, node, &report);
    s->update->reply.seq = job->seq;
    s->update->reply.id = report.key.job;
    s->update->reply.key = report.key;
    return 0;
}
