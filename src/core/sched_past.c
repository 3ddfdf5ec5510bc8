/* What an element that has not ended remembers of earlier attempts, and lost attempts that are
 * found.
 *
 * An attempt is lost when its node is silent or doesn't hold it. That may be wrong: when the node
 * is back and still runs it, and nothing replaced it yet, it is taken back; when it has completed,
 * its result counts although a replacement runs. */
#include <assert.h>
#include <string.h>

#include "core/sched_internal.h"

struct sched_past *sched_past_find(const struct sched *s, const struct sched_job *job,
                                   uint32_t ordinal)
{
    const struct sched_element_key key = {job->seq, ordinal, 0};
    struct sched_past *past;
    HASH_FIND(hh, s->pasts, &key, sizeof key, past);
    return past;
}

struct sched_past *sched_past_get(struct sched *s, struct sched_job *job, uint32_t ordinal)
{
    struct sched_past *past = sched_past_find(s, job, ordinal);
    if (past != NULL)
        return past;
    past = mem_zalloc(sizeof *past);
    past->key = (struct sched_element_key){job->seq, ordinal, 0};
    past->job = job;
    HASH_ADD(hh, s->pasts, key, sizeof past->key, past);
    return past;
}

void sched_past_free(struct sched *s, struct sched_past *past)
{
    if (past == NULL)
        return;
    if (past->queued)
        sched_past_unqueue(s, past);
    HASH_DEL(s->pasts, past);
    free(past->lost);
    free(past);
}

void sched_past_queue(struct sched *s, struct sched_past *past)
{
    assert(!past->queued);
    past->queued = true;
    TAILQ_INSERT_TAIL(&past->job->again, past, of_again);
    past->job->again_n++;
    s->pending_n++;
}

void sched_past_unqueue(struct sched *s, struct sched_past *past)
{
    assert(past->queued);
    past->queued = false;
    TAILQ_REMOVE(&past->job->again, past, of_again);
    past->job->again_n--;
    s->pending_n--;
}

bool sched_past_avoids(const struct sched_past *past, uint64_t node)
{
    for (uint32_t i = 0; i < past->avoid_n; i++) {
        if (past->avoid[i] == node)
            return true;
    }
    return false;
}

void sched_past_avoid(struct sched_past *past, uint64_t node)
{
    if (sched_past_avoids(past, node))
        return;
    if (past->avoid_n == SCHED_AVOID_MAX)
        memmove(past->avoid, past->avoid + 1, --past->avoid_n * sizeof *past->avoid);
    past->avoid[past->avoid_n++] = node;
}

static void sched_past_remove_lost(struct sched_past *past, struct sched_lost *lost)
{
    size_t at = (size_t)(lost - past->lost);
    assert(at < past->lost_n);
    past->lost_n--;
    memmove(lost, lost + 1, (past->lost_n - at) * sizeof *lost);
}

void sched_past_add_lost(struct sched_past *past, const struct sched_lost *lost)
{
    if (past->lost_n == SCHED_LOST_MAX)
        sched_past_remove_lost(past, past->lost);
    past->lost = mem_reallocarray(past->lost, past->lost_n + 1, sizeof *past->lost);
    past->lost[past->lost_n++] = *lost;
}

struct sched_lost *sched_past_find_lost(struct sched_past *past, uint32_t attempt, uint64_t node)
{
    for (uint32_t i = 0; past != NULL && i < past->lost_n; i++) {
        if (past->lost[i].attempt == attempt && past->lost[i].node == node)
            return &past->lost[i];
    }
    return NULL;
}

void sched_past_renew(struct sched_past *past)
{
    past->failures = 0;
    past->losses = 0;
    past->avoid_n = 0;
    past->lost_n = 0;
}

void sched_lost_completed(struct sched *s, struct sched_past *past, struct sched_lost *lost,
                          const struct sched_report *report)
{
    struct sched_job *job = past->job;
    uint32_t ordinal = past->key.ordinal;
    struct sched_attempt *other = sched_attempt_find(s, job, ordinal);
    assert((other != NULL) != past->queued);
    if (other != NULL)
        sched_attempt_superseded(s, other);
    sched_record_lost(s, job, ordinal, lost, job->round, ATTEMPT_STATE_COMPLETED, report);
    sched_element_completed(s, job, ordinal);
    sched_touch(s, job);
    sched_job_settle(s, job);
}

void sched_lost_failed(struct sched *s, struct sched_past *past, struct sched_lost *lost,
                       const struct sched_report *report)
{
    struct sched_job *job = past->job;
    uint32_t ordinal = past->key.ordinal;
    uint64_t node = lost->node;
    assert(past->queued);
    if (report->code == TASK_CODE_NODE_LOST)
        return;
    sched_record_lost(s, job, ordinal, lost, job->round, ATTEMPT_STATE_FAILED, report);
    sched_past_remove_lost(past, lost);
    past->losses--;
    past->failures++;
    sched_past_avoid(past, node);
    if (past->failures > job->retries)
        sched_element_failed(s, job, ordinal, node, report->code, report->text);
    sched_touch(s, job);
    sched_job_settle(s, job);
}

void sched_lost_readopt(struct sched *s, struct sched_past *past, struct sched_lost *lost,
                        struct sched_node *node, const struct sched_report *report)
{
    struct sched_job *job = past->job;
    bool runs = report->phase == WIRE__TASK_PHASE__TASK_PHASE_RUNNING;
    assert(lost->node == node->id);
    sched_past_unqueue(s, past);
    struct sched_attempt *attempt = sched_attempt_new(
        s, job, past->key.ordinal, node, lost->attempt, job->round, ATTEMPT_STATE_LOST);
    attempt->assigned_ms = lost->assigned_ms;
    attempt->session = node->session;
    attempt->held = s->held_stamp;
    sched_past_remove_lost(past, lost);
    past->losses--;
    sched_attempt_set_state(attempt, runs ? ATTEMPT_STATE_RUNNING : ATTEMPT_STATE_ASSIGNED);
    sched_record_attempt(s, attempt, report, TASK_CODE_OK, NULL);
    sched_touch(s, job);
    sched_job_settle(s, job);
}
