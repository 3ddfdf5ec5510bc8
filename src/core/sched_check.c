/* Every invariant, counted again from scratch. */
#include <assert.h>
#include <string.h>

#include "core/sched_internal.h"

static uint64_t sched_check_overlap(const struct rangeset *a, const struct rangeset *b)
{
    struct rangeset rest;
    rangeset_init(&rest);
    rangeset_copy(&rest, a);
    sched_set_subtract(&rest, b);
    uint64_t overlap = rangeset_count(a) - rangeset_count(&rest);
    rangeset_done(&rest);
    return overlap;
}

static void sched_check_attempt(const struct sched_attempt *attempt)
{
    const struct sched_job *job = attempt->job;
    assert(attempt->key.seq == job->seq && attempt->key.ordinal < job->total);
    assert(attempt->state == ATTEMPT_STATE_ASSIGNED || attempt->state == ATTEMPT_STATE_RUNNING);
    assert(attempt->number > 0 && attempt->number <= job->attempt_max);
    assert(attempt->round <= job->round);
    assert(attempt->node->health != SCHED_HEALTH_OFFLINE);
    assert(attempt->node->poll || attempt->session <= attempt->node->session ||
           attempt->node->session == 0);
}

static void sched_check_past(const struct sched *s, const struct sched_past *past)
{
    const struct sched_job *job = past->job;
    bool live = sched_attempt_find(s, job, past->key.ordinal) != NULL;
    assert(past->key.seq == job->seq);
    assert(past->queued != live);
    assert(past->avoid_n <= SCHED_AVOID_MAX && past->lost_n <= SCHED_LOST_MAX);
    assert(past->failures <= job->retries && past->losses <= s->config.losses_max);
    assert(past->lost_n <= past->losses);
    assert(past->attempt_last <= job->attempt_max);
    for (uint32_t i = 0; i < past->lost_n; i++)
        assert(past->lost[i].attempt <= past->attempt_last);
}

/* Each element is in exactly one place. */
static void sched_check_elements(const struct sched *s, const struct sched_job *job)
{
    struct rangeset seen;
    rangeset_init(&seen);
    uint32_t fresh_n = 0;
    for (size_t i = job->fresh_at; i < job->fresh.n; i++) {
        const struct rangeset_range *range = &job->fresh.ranges[i];
        fresh_n += range->last - range->first + 1;
        rangeset_add(&seen, range->first, range->last);
    }
    const struct sched_past *past;
    uint32_t again_n = 0;
    TAILQ_FOREACH (past, &job->again, of_again) {
        assert(past->queued && past->job == job);
        rangeset_add(&seen, past->key.ordinal, past->key.ordinal);
        again_n++;
    }
    const struct sched_attempt *attempt;
    struct rangeset live;
    rangeset_init(&live);
    uint32_t live_n = 0;
    LIST_FOREACH (attempt, &job->live, of_job) {
        assert(sched_attempt_find(s, job, attempt->key.ordinal) == attempt);
        rangeset_add(&live, attempt->key.ordinal, attempt->key.ordinal);
        live_n++;
    }
    sched_set_unite(&seen, &live);
    assert(fresh_n == job->fresh_n && again_n == job->again_n && live_n == job->live_n);
    assert(rangeset_count(&job->completed) == job->completed_n);
    assert(rangeset_count(&job->failed) == job->failed_n);
    sched_set_unite(&seen, &job->completed);
    sched_set_unite(&seen, &job->failed);
    uint32_t sum = fresh_n + again_n + live_n + job->completed_n + job->failed_n;
    assert(rangeset_count(&seen) == sum);
    assert(sum + job->cancelled_n == job->total);
    uint64_t running = sched_check_overlap(&job->cancelled, &live);
    uint64_t late = sched_check_overlap(&job->cancelled, &job->completed);
    assert(rangeset_count(&job->cancelled) == job->cancelled_n + running + late);
    assert(sched_check_overlap(&job->cancelled, &job->failed) == 0);
    rangeset_done(&live);
    rangeset_done(&seen);
}

static void sched_check_job(const struct sched *s, const struct sched_job *job)
{
    sched_check_elements(s, job);
    assert(sched_job_by_id(s, &job->id) == job && job->linked);
    assert(job->seq < s->next_seq);
    uint32_t waiting = 0;
    for (size_t i = 0; i < job->deps_n; i++) {
        const struct sched_dep *dep = &job->deps[i];
        waiting += dep->on != NULL;
        assert(dep->on == NULL || !job_state_is_ended(dep->on->state));
    }
    assert(waiting == job->deps_waiting);
    uint32_t pending = sched_job_pending(job);
    if (job_state_is_ended(job->state)) {
        assert(pending == 0 && job->live_n == 0 && job->class == NULL);
        assert(LIST_EMPTY(&job->dependents));
        assert((job->state == JOB_STATE_FAILED) == (job->failed_n > 0));
        assert(job->state != JOB_STATE_COMPLETED || job->completed_n == job->total);
        return;
    }
    assert(pending > 0 || job->live_n > 0);
    assert(job->state != JOB_STATE_PENDING || job->live_n == 0);
    bool ready = pending > 0 && job->deps_waiting == 0 &&
                 (job->array_limit == 0 || job->live_n < job->array_limit);
    assert(ready == (job->place != 0 || job->parked));
    assert(!job->parked || (job->fresh_n == 0 && job->place == 0));
}

static void sched_check_node(const struct sched *s, const struct sched_node *node)
{
    uint64_t used = 0;
    uint64_t memory_bytes = 0;
    uint32_t attempts_n = 0;
    uint32_t running_n = 0;
    const struct sched_attempt *attempt;
    TAILQ_FOREACH (attempt, &node->attempts, of_node) {
        assert(attempt->node == node);
        sched_check_attempt(attempt);
        used += attempt->job->cpus;
        memory_bytes += attempt->job->memory_bytes;
        attempts_n++;
        running_n += attempt->state == ATTEMPT_STATE_RUNNING;
    }
    const struct sched_stray *stray;
    TAILQ_FOREACH (stray, &node->strays, of_node) {
        used += stray->cpus;
        memory_bytes += stray->memory_bytes;
    }
    assert(node->used == used && node->memory_reserved_bytes == memory_bytes);
    assert(node->attempts_n == attempts_n && node->running_n == running_n);
    assert(node->counted.up == sched_node_is_up(node) && node->counted.slots == node->slots);
    assert(node->serves == NULL && !(s->serving && node->spare));
    assert(node->timed == (node->drain_deadline_ms != 0 || node->hold_until_ms != 0));
    const struct sched_member *member;
    LIST_FOREACH (member, &node->members, of_node)
        assert(heap_holds(&member->pool->open, member) == sched_node_is_open(s, node));
}

/* What is blocked is blocked for a reason: no node has room for its first job. */
static void sched_check_blocked(const struct sched *s, const struct sched_class *class)
{
    const struct sched_job *first = sched_class_first(class);
    const struct sched_job *job;
    const struct sched_member *member;
    LIST_FOREACH (member, &class->pool->members, of_pool) {
        if (member->node->poll)
            continue;
        if (first != NULL)
            assert(!sched_place_fits(s, first, member->node));
        TAILQ_FOREACH (job, &class->parked, of_parked)
            assert(!sched_place_may_unpark(s, job, member->node));
    }
}

static void sched_check_class(const struct sched *s, const struct sched_class *class)
{
    heap_check(&class->ready);
    assert(LIST_EMPTY(&class->servers));
    uint32_t able = 0;
    const struct sched_member *member;
    LIST_FOREACH (member, &class->pool->members, of_pool)
        able += sched_class_is_able(class, &member->node->counted);
    assert(able == class->able);
    assert(class->jobs_n > 0);
    if (!s->serving)
        return;
    assert(!class->left);
    bool wait = class->ready.n > 0 && able > 0;
    assert(heap_holds(&s->waiting, class) == wait);
    assert(!heap_holds(&s->runnable, class));
    sched_check_blocked(s, class);
}

static void sched_check_pool(const struct sched *s, const struct sched_pool *pool)
{
    heap_check(&pool->open);
    sched_demand_check(pool);
    uint32_t members_n = 0;
    const struct sched_member *member;
    LIST_FOREACH (member, &pool->members, of_pool)
        members_n++;
    assert(members_n == pool->members_n);
    const struct sched_class *class;
    LIST_FOREACH (class, &pool->classes, of_pool)
        sched_check_class(s, class);
}

void sched_check(const struct sched *s)
{
    uint64_t pending = 0;
    uint64_t live = 0;
    uint32_t jobs_n = 0;
    for (const struct sched_job *job = s->by_id; job != NULL; job = job->hh.next) {
        sched_check_job(s, job);
        pending += sched_job_pending(job);
        live += job->live_n;
        jobs_n += !job_state_is_ended(job->state);
    }
    assert(pending == s->pending_n && live == s->attempts_n && jobs_n == s->jobs_n);
    assert(HASH_COUNT(s->attempts) == live);
    for (const struct sched_past *past = s->pasts; past != NULL; past = past->hh.next)
        sched_check_past(s, past);
    for (const struct sched_node *node = s->nodes; node != NULL; node = node->hh.next)
        sched_check_node(s, node);
    heap_check(&s->runnable);
    heap_check(&s->waiting);
    assert(!s->serving || (TAILQ_EMPTY(&s->ending) && LIST_EMPTY(&s->left)));
    assert((s->reserve_job != NULL) == (s->reserve_node != NULL));
    for (const struct sched_pool *pool = s->pools; pool != NULL; pool = pool->hh.next)
        sched_check_pool(s, pool);
}
