/* Dependencies: a job waits until each is met. One that can never be met cancels it.
 *
 * Chains are as long as users make them, so the end of a job is passed on from a list and not by
 * recursion. A job that is retried no longer waits: whoever retries it wants it to run. Those that
 * wait for it do so again, unless they have begun. */
#include <assert.h>
#include <stdio.h>

#include "core/sched_internal.h"

void sched_dep_forget(struct sched_job *job)
{
    for (size_t i = 0; i < job->deps_n; i++) {
        if (job->deps[i].on != NULL)
            LIST_REMOVE(&job->deps[i], of_on);
        job->deps[i].on = NULL;
    }
    job->deps_waiting = 0;
}

void sched_dep_abandon(struct sched_job *job)
{
    sched_dep_forget(job);
    while (!LIST_EMPTY(&job->dependents)) {
        struct sched_dep *dep = LIST_FIRST(&job->dependents);
        LIST_REMOVE(dep, of_on);
        dep->on = NULL;
    }
}

static bool sched_dep_is_met(Wire__DependencyKind kind, enum job_state state)
{
    switch (kind) {
    case WIRE__DEPENDENCY_KIND__DEPENDENCY_KIND_OK:
        return state == JOB_STATE_COMPLETED;
    case WIRE__DEPENDENCY_KIND__DEPENDENCY_KIND_FAIL:
        return state == JOB_STATE_FAILED;
    default:
        return job_state_is_ended(state);
    }
}

/* Job `id` has ended as `state`; what depends on it can go on or never will. */
static void sched_dep_decide(struct sched *s, struct sched_dep *dep, enum job_state state)
{
    struct sched_job *job = dep->of;
    if (sched_dep_is_met(dep->kind, state)) {
        assert(job->deps_waiting > 0);
        job->deps_waiting--;
        job->waits_since_ms = s->now_ms;
        sched_job_settle(s, job);
        return;
    }
    char id[UUID_TEXT_MAX];
    char reason[SCHED_REASON_MAX];
    bool ok = dep->kind == WIRE__DEPENDENCY_KIND__DEPENDENCY_KIND_OK;
    snprintf(reason, sizeof reason, "job %.8s ended as %s, but this one was to run only if it %s",
             uuid_format(&dep->id, id), job_state_name(state), ok ? "completed" : "failed");
    sched_job_cancel_all(s, job, reason);
}

/* `after` says what is known of jobs that are not in memory. */
void sched_dep_connect(struct sched *s, struct sched_job *job, const struct sched_dependency *after)
{
    job->deps_waiting = (uint32_t)job->deps_n;
    for (size_t i = 0; i < job->deps_n && !job_state_is_ended(job->state); i++) {
        struct sched_dep *dep = &job->deps[i];
        struct sched_job *on = sched_job_by_id(s, &dep->id);
        enum job_state state = on != NULL ? on->state : after[i].state;
        if (on == NULL && !job_state_is_ended(state))
            state = JOB_STATE_CANCELLED; /* forgotten by retention */
        if (!job_state_is_ended(state)) {
            dep->on = on;
            LIST_INSERT_HEAD(&on->dependents, dep, of_on);
        } else {
            sched_dep_decide(s, dep, state);
        }
    }
}

void sched_dep_reopen(struct sched *s, struct sched_job *on)
{
    struct sched_job *job;
    TAILQ_FOREACH (job, &s->jobs, of_all) {
        bool changed = false;
        bool begun = job->state != JOB_STATE_PENDING || job->round > 0;
        for (size_t i = 0; i < job->deps_n && !begun; i++) {
            struct sched_dep *dep = &job->deps[i];
            if (dep->on != NULL || uuid_compare(&dep->id, &on->id) != 0)
                continue;
            dep->on = on;
            LIST_INSERT_HEAD(&on->dependents, dep, of_on);
            job->deps_waiting++;
            changed = true;
        }
        if (changed) {
            sched_touch(s, job);
            sched_job_settle(s, job);
        }
    }
}

void sched_dep_finish_ending(struct sched *s)
{
    for (struct sched_job *job; (job = TAILQ_FIRST(&s->ending)) != NULL;) {
        TAILQ_REMOVE(&s->ending, job, of_ending);
        while (!LIST_EMPTY(&job->dependents)) {
            struct sched_dep *dep = LIST_FIRST(&job->dependents);
            LIST_REMOVE(dep, of_on);
            dep->on = NULL;
            sched_touch(s, dep->of);
            sched_dep_decide(s, dep, job->state);
        }
    }
}
