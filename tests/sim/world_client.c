/* Whoever uses the cluster: submits until it has an answer, cancels, retries, drains nodes. In the
 * end it stops what could never end, and waits for the rest. */
#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "tests/sim/world.h"

/* ---- plans
 * --------------------------------------------------------------------------------------- */

static void world_client_plan(struct world *w, unsigned at)
{
    static const char *const selectors[] = {NULL, NULL, "odd", "!odd", "nosuch", "name=n1"};
    static const char *const arrays[] = {"0", "0-3", "5-20:5", "0-11", "1,3,5-9"};
    struct world_job *job = &w->jobs[at];
    job->id.bytes[0] = (uint8_t)(0xa0 + at);
    job->id.bytes[15] = (uint8_t)(at + 1);
    int err = rangeset_parse(&job->elements, arrays[prng_below(&w->time.prng, 5)], 100, 100);
    assert(err == 0);
    (void)err;
    snprintf(job->key, sizeof job->key, "key %u", at);
    job->spec = (struct sched_job_spec){
        .elements = &job->elements,
        .array = true,
        .array_limit = world_chance(w, 30) ? 1 + (uint32_t)prng_below(&w->time.prng, 3) : 0,
        .cpus = world_chance(w, 30) ? (uint32_t)prng_below(&w->time.prng, 5) : 1,
        .retries = (uint32_t)prng_below(&w->time.prng, 4),
        .priority = (int32_t)prng_below(&w->time.prng, 3),
        .selector = selectors[prng_below(&w->time.prng, 6)],
        .idempotency_key = world_chance(w, 50) ? job->key : NULL,
        .after = job->after,
        .after_n = at > 0 && world_chance(w, 40) ? 1 + prng_below(&w->time.prng, 2) : 0,
    };
    for (size_t i = 0; i < job->spec.after_n; i++)
        job->after[i].kind = (Wire__DependencyKind)prng_below(&w->time.prng, 3);
    job->fail_percent = world_chance(w, 50) ? 0 : (uint32_t)prng_below(&w->time.prng, 60);
    job->run_ms_max = world_chance(w, 50) ? 20 : 3000;
    job->endless = w->agents_n == 0 && world_chance(w, 10);
    if (job->endless)
        job->run_ms_max = 2 * WORLD_HEAL_MS;
}

void world_client_init(struct world *w)
{
    w->jobs_n = 1 + (unsigned)prng_below(&w->time.prng, WORLD_JOBS_MAX);
    for (unsigned i = 0; i < w->jobs_n; i++)
        world_client_plan(w, i);
    world_at(w, world_ms(w, 1, 500), world_client_act);
}

bool world_client_is_possible(const struct world *w, const struct world_job *job)
{
    const char *selector = job->spec.selector != NULL ? job->spec.selector : "";
    for (uint64_t id = 1; id <= WORLD_NODES_MAX; id++) {
        uint32_t slots = 0;
        if (id <= w->workers_n)
            slots = w->workers[id - 1].dead ? 0 : w->workers[id - 1].slots;
        else if (id > WORLD_WORKERS_MAX && id <= WORLD_WORKERS_MAX + w->agents_n)
            slots = w->agents[id - WORLD_WORKERS_MAX - 1].dead ? 0 : 1;
        bool matches = selector[0] == '\0' || (strcmp(selector, "odd") == 0 && id % 2 == 1) ||
                       (strcmp(selector, "!odd") == 0 && id % 2 == 0) ||
                       (strcmp(selector, "name=n1") == 0 && id == 1);
        if (slots > 0 && slots >= job->spec.cpus && matches)
            return true;
    }
    return false;
}

/* ---- submitting
 * ---------------------------------------------------------------------------------- */

static void world_client_answered(struct world *w, struct world_event *event)
{
    struct world_job *job = &w->jobs[event->node];
    if (job->acked)
        return;
    if (event->code < 0 && event->code != ERR_EXISTS)
        world_wrong(w, "job %u is refused: %s", (unsigned)event->node + 1, event->reply.text);
    job->acked = true;
    if (event->code == 0)
        job->id = event->reply.id;
    world_trace(w, "job %u is acknowledged", (unsigned)event->node + 1);
}

/* What the durable state knows of a job that has ended, by id or by key. */
static struct sched_rows_job *world_client_known(struct world *w, const struct world_job *job)
{
    for (struct sched_rows_job *row = w->rows.jobs; row != NULL; row = row->hh.next) {
        bool same_key = job->spec.idempotency_key != NULL && row->spec.idempotency_key != NULL &&
                        strcmp(row->spec.idempotency_key, job->spec.idempotency_key) == 0;
        if (job_state_is_ended(row->state) &&
            (same_key || uuid_compare(&row->spec.id, &job->id) == 0))
            return row;
    }
    return NULL;
}

static bool world_client_fill_deps(struct world *w, struct world_job *job)
{
    unsigned at = (unsigned)(job - w->jobs);
    for (size_t i = 0; i < job->spec.after_n; i++) {
        const struct world_job *on = &w->jobs[(at + i * 3) % at];
        if (!on->acked)
            return false;
        job->after[i].job = on->id;
        const struct sched_rows_job *row = sched_rows_job(&w->rows, &on->id);
        if (row == NULL)
            world_wrong(w, "job %u was acknowledged and is not durable", (unsigned)(on - w->jobs));
        job->after[i].state = job_state_is_ended(row->state) ? row->state : JOB_STATE_NONE;
    }
    return true;
}

static void world_client_submit(struct world *w, struct world_job *job)
{
    if (job->acked || !w->leader.alive || !world_client_fill_deps(w, job))
        return;
    const struct sched_rows_job *known = world_client_known(w, job);
    if (known != NULL) {
        job->id = known->spec.id;
        job->acked = true;
        return;
    }
    job->submissions++;
    if (job->spec.idempotency_key != NULL)
        job->id.bytes[14] = (uint8_t)job->submissions;
    job->spec.id = job->id;
    sched_rows_remember(&w->rows, &job->spec);
    int code = world_leader_step(
        w, (struct sched_event){.type = SCHED_EVENT_JOB_SUBMIT, .job = &job->spec});
    world_trace(w, "job %u is submitted: %d", (unsigned)(job - w->jobs) + 1, code);
    world_leader_answer(w, world_client_answered, (uint64_t)(job - w->jobs), code);
}

/* ---- changing its mind
 * --------------------------------------------------------------------------- */

static void world_client_cancel(struct world *w, const struct world_job *job, bool whole)
{
    struct rangeset some;
    rangeset_init(&some);
    uint32_t index = 0;
    while (rangeset_next(&job->elements, index, &index)) {
        if (whole || world_chance(w, 40))
            rangeset_add(&some, index, index);
        index++;
    }
    world_trace(w, "job %u is to be cancelled%s", (unsigned)(job - w->jobs) + 1,
                whole ? "" : " in part");
    if (!rangeset_is_empty(&some))
        world_leader_step(w, (struct sched_event){.type = SCHED_EVENT_JOB_CANCEL,
                                                  .job_id = job->id,
                                                  .elements = whole ? NULL : &some,
                                                  .reason = "cancelled by the client"});
    rangeset_done(&some);
}

/* A job that left memory is given back to it first. */
static void world_client_retry(struct world *w, const struct world_job *job)
{
    const struct sched_event event = {.type = SCHED_EVENT_JOB_RETRY, .job_id = job->id};
    if (world_leader_step(w, event) != ERR_NOT_FOUND || !world_leader_is_settled(w))
        return;
    world_trace(w, "job %u is to be retried from its rows", (unsigned)(job - w->jobs) + 1);
    int err =
        sched_rows_load(&w->rows, &job->id, w->leader.sched, &w->leader.update, w->time.now_ms);
    if (err == 0)
        err = world_leader_step(w, event);
    if (err < 0)
        world_wrong(w, "job %u can't be retried: %s", (unsigned)(job - w->jobs) + 1, err_text(err));
}

static void world_client_drain(struct world *w, uint64_t node, bool draining)
{
    if (!w->leader.alive || w->draining[node] == draining)
        return;
    w->draining[node] = draining;
    world_trace(w, "node %u: draining %d", (unsigned)node, draining);
    int64_t deadline_ms = world_chance(w, 50) ? w->time.now_ms + world_ms(w, 1, 2000) : 0;
    world_leader_step(w, (struct sched_event){.type = SCHED_EVENT_NODE_DRAIN,
                                              .node = node,
                                              .draining = draining,
                                              .drain_deadline_ms = deadline_ms});
}

void world_client_act(struct world *w, struct world_event *event)
{
    (void)event;
    if (w->healed)
        return;
    world_at(w, world_ms(w, 20, 1500), world_client_act);
    struct world_job *job = &w->jobs[prng_below(&w->time.prng, w->jobs_n)];
    uint64_t node = 1 + prng_below(&w->time.prng, WORLD_NODES_MAX);
    if (!w->leader.alive)
        return;
    if (!job->acked)
        world_client_submit(w, job);
    else if (world_chance(w, 40))
        world_client_cancel(w, job, world_chance(w, 30));
    else if (world_chance(w, 60))
        world_client_retry(w, job);
    else if (world_worker(w, node) != NULL || world_agent(w, node) != NULL)
        world_client_drain(w, node, world_chance(w, 50));
}

/* ---- the end
 * ------------------------------------------------------------------------------------- */

static void world_client_remove_dead(struct world *w)
{
    for (unsigned i = 0; i < w->workers_n; i++) {
        uint64_t node = w->workers[i].id;
        if (!w->workers[i].dead || !w->leader.alive || w->removed[node] || world_chance(w, 80))
            continue;
        world_trace(w, "node %u is removed", (unsigned)node);
        w->removed[node] = true;
        world_leader_step(w, (struct sched_event){.type = SCHED_EVENT_NODE_REMOVE, .node = node});
    }
}

void world_client_heal(struct world *w, struct world_event *event)
{
    (void)event;
    world_at(w, 500, world_client_heal);
    world_client_remove_dead(w);
    for (uint64_t node = 1; node <= WORLD_NODES_MAX; node++)
        world_client_drain(w, node, false);
    for (unsigned i = 0; i < w->jobs_n; i++) {
        struct world_job *job = &w->jobs[i];
        if (!job->acked)
            world_client_submit(w, job);
        else if (job->endless || !world_client_is_possible(w, job))
            world_client_cancel(w, job, true);
    }
}

bool world_client_is_done(const struct world *w)
{
    if (!w->healed || !world_leader_is_settled(w))
        return false;
    for (unsigned i = 0; i < w->jobs_n; i++) {
        if (!w->jobs[i].acked)
            return false;
    }
    for (const struct sched_rows_job *row = w->rows.jobs; row != NULL; row = row->hh.next) {
        if (!job_state_is_ended(row->state))
            return false;
    }
    for (unsigned i = 0; i < w->workers_n; i++) {
        if (w->workers[i].tasks_n > 0 && !w->workers[i].dead)
            return false;
    }
    for (unsigned i = 0; i < w->agents_n; i++) {
        if (w->agents[i].has)
            return false;
    }
    return true;
}
