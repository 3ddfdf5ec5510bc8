/* Time, and the trouble that comes with it. */
#include "tests/sim/world.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"

/* ---- events
 * -------------------------------------------------------------------------------------- */

struct world_event *world_at(struct world *w, int64_t ms, world_fire_fn fire)
{
    struct world_event *event = mem_zalloc(sizeof *event);
    event->fire = fire;
    sim_time_add(&w->time, &event->due, ms);
    return event;
}

struct world_event *world_copy(struct world *w, const struct world_event *event, int64_t ms)
{
    struct world_event *copy = world_at(w, ms, event->fire);
    struct sim_event due = copy->due;
    *copy = *event;
    copy->due = due;
    copy->reports = NULL;
    if (event->reports_n > 0)
        copy->reports = mem_dup(event->reports, event->reports_n * sizeof *event->reports);
    return copy;
}

static void world_event_free(struct world_event *event)
{
    free(event->reports);
    free(event);
}

/* ---- words
 * --------------------------------------------------------------------------------------- */

const char *world_key(const struct task_key *key)
{
    static char text[64];
    snprintf(text, sizeof text, "job %u.%u element %u attempt %u", key->job.bytes[15],
             key->job.bytes[14], key->index, key->attempt);
    return text;
}

struct world_worker *world_worker(struct world *w, uint64_t node)
{
    return node >= 1 && node <= w->workers_n ? &w->workers[node - 1] : NULL;
}

struct world_agent *world_agent(struct world *w, uint64_t node)
{
    uint64_t at = node - WORLD_WORKERS_MAX - 1;
    return node > WORLD_WORKERS_MAX && at < w->agents_n ? &w->agents[at] : NULL;
}

struct world_job *world_job_of(struct world *w, const struct uuid *id)
{
    assert(id->bytes[15] >= 1 && id->bytes[15] <= w->jobs_n);
    return &w->jobs[id->bytes[15] - 1];
}

/* ---- trouble
 * ------------------------------------------------------------------------------------- */

static void world_restart(struct world *w, struct world_event *event)
{
    struct world_worker *worker = world_worker(w, event->node);
    if (worker->up || worker->dead || worker->boot != event->boot)
        return;
    world_trace(w, "worker %u starts again", (unsigned)event->node);
    world_worker_start(w, worker);
}

static void world_continue(struct world *w, struct world_event *event)
{
    struct world_worker *worker = world_worker(w, event->node);
    world_worker_resume(w, worker);
    world_trace(w, "worker %u is back", (unsigned)event->node);
}

static void world_agent_restart(struct world *w, struct world_event *event)
{
    struct world_agent *agent = world_agent(w, event->node);
    agent->up = !agent->dead;
}

static void world_trouble_worker(struct world *w, struct world_worker *worker)
{
    int64_t ms = world_chance(w, 50) ? world_ms(w, 50, 2000) : world_ms(w, 2000, 9000);
    struct world_event *later;
    switch (prng_below(&w->time.prng, 4)) {
    case 0:
        if (!worker->up)
            break;
        world_trace(w, "worker %u crashes", (unsigned)worker->id);
        world_worker_crash(w, worker);
        later = world_at(w, ms, world_restart);
        later->node = worker->id;
        later->boot = worker->boot;
        break;
    case 1:
        world_trace(w, "worker %u stops for %d ms", (unsigned)worker->id, (int)ms);
        worker->stopped = true;
        world_at(w, ms, world_continue)->node = worker->id;
        break;
    case 2:
        world_trace(w, "worker %u is cut off for %d ms", (unsigned)worker->id, (int)ms);
        worker->cut = true;
        world_worker_break(w, worker);
        world_at(w, ms, world_continue)->node = worker->id;
        break;
    default:
        world_trace(w, "the link of worker %u breaks", (unsigned)worker->id);
        world_worker_break(w, worker);
    }
}

static void world_trouble(struct world *w, struct world_event *event)
{
    (void)event;
    if (w->healed)
        return;
    unsigned dice = (unsigned)prng_below(&w->time.prng, 10);
    if (dice < 2 && w->leader.alive) {
        world_leader_crash(w);
    } else if (dice == 2 && w->agents_n > 0) {
        struct world_agent *agent = &w->agents[prng_below(&w->time.prng, w->agents_n)];
        world_agent_crash(w, agent);
        world_at(w, world_ms(w, 100, 12000), world_agent_restart)->node = agent->id;
    } else if (w->workers_n > 0) {
        world_trouble_worker(w, &w->workers[prng_below(&w->time.prng, w->workers_n)]);
    }
    world_at(w, world_ms(w, 50, 4000), world_trouble);
}

static void world_heal(struct world *w, struct world_event *event)
{
    (void)event;
    world_trace(w, "the trouble is over");
    w->healed = true;
    w->heal_ms = w->time.now_ms;
    for (unsigned i = 0; i < w->workers_n; i++) {
        struct world_worker *worker = &w->workers[i];
        world_worker_resume(w, worker);
        worker->dead = world_chance(w, 15);
        if (worker->dead && worker->up)
            world_worker_crash(w, worker);
        else if (!worker->dead && !worker->up)
            world_worker_start(w, worker);
    }
    for (unsigned i = 0; i < w->agents_n; i++) {
        struct world_agent *agent = &w->agents[i];
        agent->dead = world_chance(w, 15);
        if (agent->dead)
            world_agent_crash(w, agent);
        agent->up = !agent->dead;
    }
    world_at(w, 1, world_client_heal);
}

static const unsigned world_forgets[WORLD_BUG_N] = {
    [WORLD_BUG_RESTORE_NO_COMPLETED] = SCHED_ROWS_FORGET_COMPLETED,
    [WORLD_BUG_RESTORE_NO_LOST] = SCHED_ROWS_FORGET_LOST,
    [WORLD_BUG_RESTORE_NO_FAILED] = SCHED_ROWS_FORGET_FAILED,
    [WORLD_BUG_RESTORE_NO_CANCELLED] = SCHED_ROWS_FORGET_CANCELLED,
    [WORLD_BUG_RESTORE_NO_ROUND] = SCHED_ROWS_FORGET_ROUND,
    [WORLD_BUG_RESTORE_NO_KEY] = SCHED_ROWS_FORGET_KEY,
    [WORLD_BUG_RESTORE_NO_LIVE] = SCHED_ROWS_FORGET_LIVE,
};

/* ---- life
 * ---------------------------------------------------------------------------------------- */

void world_init(struct world *w, uint64_t seed, enum world_bug bug)
{
    *w = (struct world){.bug = bug};
    sim_time_init(&w->time, seed, 1);
    sched_rows_init(&w->rows);
    w->rows.forget = world_forgets[bug];
    STAILQ_INIT(&w->leader.turns);
    sched_config_default(&w->config);
    w->config.losses_max = world_chance(w, 20) ? 2 : 20;
    w->config.starve_ms = world_ms(w, 100, 5000);
    w->config.short_ms = world_chance(w, 30) ? 0 : world_ms(w, 10, 1000);
    w->config.tiny_ms = world_ms(w, 0, w->config.short_ms);
    w->config.hold_ms = world_ms(w, 50, 1000);
    w->workers_n = (unsigned)prng_below(&w->time.prng, WORLD_WORKERS_MAX + 1);
    w->agents_n = (unsigned)prng_below(&w->time.prng, WORLD_AGENTS_MAX + 1);
    if (w->workers_n + w->agents_n == 0)
        w->workers_n = 1;
    world_at(w, 0, world_elect);
    for (unsigned i = 0; i < w->workers_n; i++) {
        w->workers[i].id = i + 1;
        w->workers[i].slots = 1 + (uint32_t)prng_below(&w->time.prng, 3);
        world_worker_start(w, &w->workers[i]);
        world_at(w, world_ms(w, 1, 1000), world_worker_beat)->node = w->workers[i].id;
    }
    for (unsigned i = 0; i < w->agents_n; i++) {
        w->agents[i].id = WORLD_WORKERS_MAX + 1 + i;
        w->agents[i].up = true;
        world_at(w, world_ms(w, 1, 1000), world_agent_wake)->node = w->agents[i].id;
    }
    world_client_init(w);
    world_at(w, world_ms(w, 100, 3000), world_trouble);
    world_at(w, world_ms(w, 2000, 15000), world_heal);
}

void world_run(struct world *w)
{
    while (!world_client_is_done(w)) {
        struct world_event *event = sim_time_take(&w->time);
        assert(event != NULL);
        event->fire(w, event);
        world_event_free(event);
        if (w->healed && w->time.now_ms > w->heal_ms + WORLD_HEAL_MS)
            world_truth_end(w);
    }
    world_truth_end(w);
}

void world_done(struct world *w)
{
    for (struct world_event *event; (event = sim_time_take(&w->time)) != NULL;)
        world_event_free(event);
    sim_time_done(&w->time);
    world_leader_free(w);
    sched_update_done(&w->leader.update);
    for (unsigned i = 0; i < w->jobs_n; i++)
        rangeset_done(&w->jobs[i].elements);
    for (unsigned i = 0; i < w->workers_n; i++)
        free(w->workers[i].inbox);
    sched_rows_done(&w->rows);
    world_truth_done(w);
}
