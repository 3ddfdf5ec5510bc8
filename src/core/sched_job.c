/* Jobs from submit to end.
 *
 * Happy path: submitted, its dependencies met, its elements placed one by one, the last one ended,
 * kept until the durable state has it. It is refused before anything changes when its form is
 * wrong, its id is taken, a dependency is unknown, or there are too many jobs. */
#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "core/sched_internal.h"

bool sched_job_before(const struct sched_job *a, const struct sched_job *b)
{
    return a->priority != b->priority ? a->priority > b->priority : a->seq < b->seq;
}

uint32_t sched_job_pending(const struct sched_job *job)
{
    return job->fresh_n + job->again_n;
}

struct sched_job *sched_job_by_id(const struct sched *s, const struct uuid *id)
{
    struct sched_job *job;
    HASH_FIND(hh, s->by_id, id, sizeof *id, job);
    return job;
}

static struct sched_job *sched_job_by_key(const struct sched *s, const char *key)
{
    struct sched_job *job;
    HASH_FIND(hh_key, s->by_key, key, strlen(key), job);
    return job;
}

/* ---- making and unmaking -----------------------------------------------------------------------
 */

int sched_job_validate(struct sched *s, const struct sched_job_spec *spec)
{
    uint64_t count = rangeset_count(spec->elements);
    if (count == 0)
        return sched_refuse(s, ERR_INVALID, "a job needs at least one element");
    if (count > SCHED_ELEMENTS_MAX)
        return sched_refuse(s, ERR_TOO_LARGE, "a job has at most %d elements", SCHED_ELEMENTS_MAX);
    if (spec->elements->ranges[spec->elements->n - 1].last > SCHED_INDEX_MAX)
        return sched_refuse(s, ERR_TOO_LARGE, "element numbers go up to %d", SCHED_INDEX_MAX);
    if (spec->retries > SCHED_RETRIES_MAX)
        return sched_refuse(s, ERR_TOO_LARGE, "at most %d retries", SCHED_RETRIES_MAX);
    if (spec->cpus > SCHED_CPUS_MAX || spec->memory_bytes > SCHED_MEMORY_BYTES_MAX)
        return sched_refuse(s, ERR_TOO_LARGE,
                            "an element takes at most %d cpus and 1 PiB of memory", SCHED_CPUS_MAX);
    if (spec->after_n > SCHED_DEPENDENCIES_MAX)
        return sched_refuse(s, ERR_TOO_LARGE, "a job waits for at most %d others",
                            SCHED_DEPENDENCIES_MAX);
    if (spec->idempotency_key != NULL && strlen(spec->idempotency_key) > SCHED_KEY_MAX)
        return sched_refuse(s, ERR_TOO_LARGE, "an idempotency key has at most %d bytes",
                            SCHED_KEY_MAX);
    struct selector selector;
    struct error e;
    int err = selector_parse(&selector, spec->selector, &e);
    if (err < 0)
        return sched_refuse(s, err, "%.*s", SCHED_REASON_MAX - 1, e.text);
    selector_done(&selector);
    return 0;
}

static void sched_job_set_elements(struct sched_job *job, const struct rangeset *elements)
{
    rangeset_copy(&job->elements, elements);
    job->base = mem_calloc(elements->n, sizeof *job->base);
    for (size_t i = 0; i < elements->n; i++) {
        job->base[i] = job->total;
        job->total += elements->ranges[i].last - elements->ranges[i].first + 1;
    }
    rangeset_add(&job->fresh, 0, job->total - 1);
    job->fresh_n = job->total;
}

struct sched_job *sched_job_new(const struct sched_job_spec *spec)
{
    struct sched_job *job = mem_zalloc(sizeof *job);
    job->id = spec->id;
    job->array = spec->array;
    job->array_limit = spec->array_limit;
    job->cpus = spec->cpus > 0 ? spec->cpus : 1;
    job->memory_bytes = spec->memory_bytes;
    job->retries = spec->retries;
    job->priority = spec->priority;
    if (spec->idempotency_key != NULL && spec->idempotency_key[0] != '\0')
        job->idempotency_key = mem_strdup(spec->idempotency_key);
    int err = selector_parse(&job->selector, spec->selector, NULL);
    assert(err == 0);
    sched_job_set_elements(job, spec->elements);
    job->deps = mem_calloc(spec->after_n + 1, sizeof *job->deps);
    for (size_t i = 0; i < spec->after_n; i++) {
        struct sched_dep *dep = &job->deps[job->deps_n++];
        dep->kind = spec->after[i].kind;
        dep->id = spec->after[i].job;
        dep->of = job;
    }
    TAILQ_INIT(&job->again);
    LIST_INIT(&job->live);
    LIST_INIT(&job->dependents);
    job->mean_8ms = -1;
    job->record_turn = UINT64_MAX;
    return job;
}

void sched_job_free(struct sched *s, struct sched_job *job)
{
    for (struct sched_attempt *attempt; (attempt = LIST_FIRST(&job->live)) != NULL;) {
        sched_past_free(s, sched_past_find(s, job, attempt->key.ordinal));
        sched_attempt_free(s, attempt);
    }
    while (!TAILQ_EMPTY(&job->again))
        sched_past_free(s, TAILQ_FIRST(&job->again));
    sched_dep_abandon(job);
    if (job->class != NULL)
        sched_class_leave(s, job);
    if (job->linked) {
        TAILQ_REMOVE(job_state_is_ended(job->state) ? &s->ended : &s->jobs, job, of_all);
        HASH_DELETE(hh, s->by_id, job);
        if (job->idempotency_key != NULL)
            HASH_DELETE(hh_key, s->by_key, job);
    }
    rangeset_done(&job->elements);
    rangeset_done(&job->fresh);
    rangeset_done(&job->completed);
    rangeset_done(&job->failed);
    rangeset_done(&job->cancelled);
    selector_done(&job->selector);
    free(job->base);
    free(job->deps);
    free(job->idempotency_key);
    free(job->cancel_reason);
    free(job->first_failure);
    free(job->why_text);
    free(job);
}

/* ---- life --------------------------------------------------------------------------------------
 */

void sched_job_set_state(struct sched *s, struct sched_job *job, enum job_state to)
{
    job_state_set(&job->state, to);
    if (to == JOB_STATE_RUNNING && job->started_ms == 0)
        job->started_ms = s->wall_ms;
    sched_touch(s, job);
}

void sched_job_link(struct sched *s, struct sched_job *job)
{
    HASH_ADD(hh, s->by_id, id, sizeof job->id, job);
    if (job->idempotency_key != NULL)
        HASH_ADD_KEYPTR(hh_key, s->by_key, job->idempotency_key, strlen(job->idempotency_key), job);
    job->linked = true;
    if (job_state_is_ended(job->state)) {
        job->ended_turn = s->update->turn;
        TAILQ_INSERT_TAIL(&s->ended, job, of_all);
        return;
    }
    TAILQ_INSERT_TAIL(&s->jobs, job, of_all);
    s->jobs_n++;
    s->pending_n += job->fresh_n; /* the others were counted one by one */
    job->waits_since_ms = s->now_ms;
    sched_class_join(s, job);
}

/* Every element has ended, and so has the job. */
static void sched_job_end(struct sched *s, struct sched_job *job)
{
    enum job_state to = JOB_STATE_COMPLETED;
    if (job->failed_n > 0)
        to = JOB_STATE_FAILED;
    else if (job->cancelled_n > 0)
        to = JOB_STATE_CANCELLED;
    assert(job->completed_n + job->failed_n + job->cancelled_n == job->total);
    sched_job_set_state(s, job, to);
    job->ended_ms = s->wall_ms;
    job->ended_turn = s->update->turn;
    if (s->reserve_job == job)
        sched_place_forget_reserve(s);
    sched_dep_forget(job);
    sched_class_leave(s, job);
    TAILQ_REMOVE(&s->jobs, job, of_all);
    s->jobs_n--;
    TAILQ_INSERT_TAIL(&s->ended, job, of_all);
    TAILQ_INSERT_TAIL(&s->ending, job, of_ending);
}

void sched_job_settle(struct sched *s, struct sched_job *job)
{
    uint32_t pending = sched_job_pending(job);
    if (pending == 0 && job->live_n == 0) {
        sched_job_end(s, job);
        return;
    }
    bool ready = pending > 0 && job->deps_waiting == 0 &&
                 (job->array_limit == 0 || job->live_n < job->array_limit);
    bool in = job->place != 0 || job->parked;
    if (ready && !in)
        sched_class_add_ready(s, job);
    else if (ready && job->parked)
        sched_class_unpark(s, job);
    else if (!ready && in)
        sched_class_remove(s, job);
}

void sched_job_applied(struct sched *s, uint64_t turn)
{
    struct sched_job *job;
    struct sched_job *next;
    for (job = TAILQ_FIRST(&s->ended); job != NULL && job->ended_turn <= turn; job = next) {
        next = TAILQ_NEXT(job, of_all);
        sched_job_free(s, job);
    }
}

/* ---- submit ------------------------------------------------------------------------------------
 */

static int sched_job_check_new(struct sched *s, const struct sched_job_spec *spec)
{
    int err = sched_job_validate(s, spec);
    if (err < 0)
        return err;
    char id[UUID_TEXT_MAX];
    if (sched_job_by_id(s, &spec->id) != NULL)
        return sched_refuse(s, ERR_EXISTS, "there is a job %s already", uuid_format(&spec->id, id));
    for (size_t i = 0; i < spec->after_n; i++) {
        const struct sched_dependency *after = &spec->after[i];
        if (!job_state_is_ended(after->state) && sched_job_by_id(s, &after->job) == NULL)
            return sched_refuse(s, ERR_NOT_FOUND, "there is no job %s to wait for",
                                uuid_format(&after->job, id));
    }
    if (s->jobs_n >= SCHED_JOBS_MAX)
        return sched_refuse(s, ERR_BUSY, "there are %d jobs that have not ended", SCHED_JOBS_MAX);
    return 0;
}

int sched_job_submit(struct sched *s, const struct sched_event *event)
{
    const struct sched_job_spec *spec = event->job;
    struct sched_reply *reply = &s->update->reply;
    const char *key = spec->idempotency_key != NULL ? spec->idempotency_key : "";
    struct sched_job *job = sched_job_by_key(s, key);
    if (job != NULL) {
        reply->duplicate = true;
    } else {
        int err = sched_job_check_new(s, spec);
        if (err < 0)
            return err;
        job = sched_job_new(spec);
        job->seq = s->next_seq++;
        job->created = true;
        job->submitted_ms = event->wall_ms;
        sched_job_set_state(s, job, JOB_STATE_PENDING);
        sched_job_link(s, job);
        sched_dep_connect(s, job, spec->after);
        if (!job_state_is_ended(job->state))
            sched_job_settle(s, job);
    }
    reply->seq = job->seq;
    reply->id = job->id;
    return 0;
}

/* ---- cancel ------------------------------------------------------------------------------------
 */

static void sched_job_cancel_pending(struct sched *s, struct sched_job *job,
                                     const struct rangeset *ordinals)
{
    struct rangeset fresh;
    rangeset_init(&fresh);
    for (size_t i = job->fresh_at; i < job->fresh.n; i++)
        sched_set_append(&fresh, job->fresh.ranges[i].first, job->fresh.ranges[i].last);
    sched_set_subtract(&fresh, ordinals);
    uint32_t left = (uint32_t)rangeset_count(&fresh);
    job->cancelled_n += job->fresh_n - left;
    s->pending_n -= job->fresh_n - left;
    job->fresh_n = left;
    rangeset_done(&job->fresh);
    job->fresh = fresh;
    job->fresh_at = 0;

    struct sched_past *past;
    struct sched_past *next;
    for (past = TAILQ_FIRST(&job->again); past != NULL; past = next) {
        next = TAILQ_NEXT(past, of_again);
        if (rangeset_contains(ordinals, past->key.ordinal))
            sched_element_cancelled(s, job, past->key.ordinal);
    }
}

static void sched_job_cancel_live(struct sched *s, struct sched_job *job,
                                  const struct rangeset *ordinals)
{
    /* an agent's attempt ends at once, and the job may end with the last of them */
    struct sched_attempt *attempt;
    struct sched_attempt *next;
    for (attempt = LIST_FIRST(&job->live); attempt != NULL; attempt = next) {
        next = LIST_NEXT(attempt, of_job);
        if (!attempt->cancelling && rangeset_contains(ordinals, attempt->key.ordinal))
            sched_attempt_cancel(s, attempt);
    }
}

void sched_job_cancel_set(struct sched *s, struct sched_job *job, const struct rangeset *ordinals,
                          const char *reason)
{
    struct rangeset target;
    rangeset_init(&target);
    rangeset_copy(&target, ordinals);
    sched_set_subtract(&target, &job->completed);
    sched_set_subtract(&target, &job->failed);
    sched_set_subtract(&target, &job->cancelled);
    if (!rangeset_is_empty(&target) && !job_state_is_ended(job->state)) {
        sched_set_unite(&job->cancelled, &target);
        job->cancelled_dirty = true;
        job->cancel_requested_ms = s->wall_ms;
        free(job->cancel_reason);
        job->cancel_reason = mem_strdup(reason != NULL ? reason : "");
        sched_touch(s, job);
        sched_job_cancel_pending(s, job, &target);
        sched_job_cancel_live(s, job, &target);
        if (!job_state_is_ended(job->state))
            sched_job_settle(s, job);
    }
    rangeset_done(&target);
}

void sched_job_cancel_all(struct sched *s, struct sched_job *job, const char *reason)
{
    struct rangeset all;
    rangeset_init(&all);
    rangeset_add(&all, 0, job->total - 1);
    sched_job_cancel_set(s, job, &all, reason);
    rangeset_done(&all);
}

int sched_job_cancel(struct sched *s, const struct sched_event *event)
{
    struct sched_job *job = sched_job_by_id(s, &event->job_id);
    if (job == NULL)
        return ERR_NOT_FOUND;
    s->update->reply.seq = job->seq;
    s->update->reply.id = job->id;
    if (event->elements == NULL) {
        sched_job_cancel_all(s, job, event->reason);
        return 0;
    }
    struct rangeset ordinals;
    rangeset_init(&ordinals);
    int err = 0;
    if (sched_set_ordinals(job, event->elements, &ordinals))
        sched_job_cancel_set(s, job, &ordinals, event->reason);
    else
        err = sched_refuse(s, ERR_INVALID, "the job doesn't have all of these elements");
    rangeset_done(&ordinals);
    return err;
}

/* ---- retry -------------------------------------------------------------------------------------
 */

/* Failed elements and those that were cancelled and have ended, into the empty `set`. */
static void sched_job_reopened(const struct sched_job *job, struct rangeset *set)
{
    rangeset_copy(set, &job->cancelled);
    sched_set_subtract(set, &job->completed);
    const struct sched_attempt *attempt;
    LIST_FOREACH (attempt, &job->live, of_job)
        rangeset_remove(set, attempt->key.ordinal, attempt->key.ordinal);
    sched_set_unite(set, &job->failed);
}

static void sched_job_renew_pasts(struct sched *s, struct sched_job *job)
{
    struct sched_past *past;
    TAILQ_FOREACH (past, &job->again, of_again)
        sched_past_renew(past);
    const struct sched_attempt *attempt;
    LIST_FOREACH (attempt, &job->live, of_job) {
        past = sched_past_find(s, job, attempt->key.ordinal);
        if (past != NULL)
            sched_past_renew(past);
    }
}

static void sched_job_begin_round(struct sched *s, struct sched_job *job,
                                  const struct rangeset *reopened)
{
    uint32_t count = (uint32_t)rangeset_count(reopened);
    assert(count == job->failed_n + job->cancelled_n);
    job->round++;
    job->attempt_base = job->attempt_max;
    job->failed_n = 0;
    job->cancelled_n = 0;
    rangeset_done(&job->failed);
    rangeset_done(&job->cancelled);
    job->cancelled_dirty = true;
    job->cancel_requested_ms = 0;
    free(job->cancel_reason);
    free(job->first_failure);
    job->cancel_reason = NULL;
    job->first_failure = NULL;
    sched_dep_forget(job);
    struct rangeset fresh;
    rangeset_init(&fresh);
    for (size_t i = job->fresh_at; i < job->fresh.n; i++)
        sched_set_append(&fresh, job->fresh.ranges[i].first, job->fresh.ranges[i].last);
    sched_set_unite(&fresh, reopened);
    rangeset_done(&job->fresh);
    job->fresh = fresh;
    job->fresh_at = 0;
    job->fresh_n += count;
    sched_job_renew_pasts(s, job);
}

int sched_job_retry(struct sched *s, const struct sched_event *event)
{
    struct sched_job *job = sched_job_by_id(s, &event->job_id);
    if (job == NULL)
        return ERR_NOT_FOUND;
    s->update->reply.seq = job->seq;
    s->update->reply.id = job->id;
    struct rangeset reopened;
    rangeset_init(&reopened);
    sched_job_reopened(job, &reopened);
    bool some = !rangeset_is_empty(&reopened) || !rangeset_is_empty(&job->cancelled);
    bool ended = job_state_is_ended(job->state);
    if (some && !(ended && rangeset_is_empty(&reopened))) {
        uint32_t before = job->fresh_n;
        sched_job_begin_round(s, job, &reopened);
        if (ended) {
            TAILQ_REMOVE(&s->ended, job, of_all);
            TAILQ_INSERT_TAIL(&s->jobs, job, of_all);
            s->jobs_n++;
            job->ended_ms = 0;
            job->waits_since_ms = s->now_ms;
            sched_job_set_state(s, job, JOB_STATE_PENDING);
            sched_class_join(s, job);
            sched_dep_reopen(s, job);
        }
        s->pending_n += job->fresh_n - before;
        sched_touch(s, job);
        sched_job_settle(s, job);
    }
    rangeset_done(&reopened);
    return 0;
}
