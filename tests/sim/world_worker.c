/* Workers that are pushed to: links, slots, tasks, and a journal of ended ones that survives a
 * crash. */
#include <assert.h>
#include <string.h>

#include "base/mem.h"
#include "tests/sim/world.h"

static void world_worker_run(struct world *w, struct world_worker *worker);

static bool world_phase_is_ended(Wire__TaskPhase phase)
{
    return phase != WIRE__TASK_PHASE__TASK_PHASE_QUEUED &&
           phase != WIRE__TASK_PHASE__TASK_PHASE_RUNNING;
}

/* ---- what it says
 * -------------------------------------------------------------------------------- */

static struct world_event *world_worker_say(struct world *w, struct world_worker *worker,
                                            world_fire_fn fire)
{
    int64_t at_ms = w->time.now_ms + world_ms(w, 0, world_chance(w, 10) ? 300 : 5);
    if (at_ms > worker->up_ms)
        worker->up_ms = at_ms;
    struct world_event *event = world_at(w, worker->up_ms - w->time.now_ms, fire);
    event->node = worker->id;
    event->link = worker->link;
    event->epoch = worker->epoch;
    return event;
}

static void world_worker_arrive(struct world *w, struct world_event *event);

static void world_worker_add_report(struct world_event *event, const struct world_task *task)
{
    event->reports = mem_reallocarray(event->reports, event->reports_n + 1, sizeof *event->reports);
    event->reports[event->reports_n++] = (struct sched_report){
        .key = task->key,
        .phase = task->phase,
        .code = task->code,
        .wall_ms = task->run_ms,
    };
}

static void world_worker_report(struct world *w, struct world_worker *worker,
                                const struct world_task *task)
{
    if (worker->link == 0)
        return;
    world_worker_add_report(world_worker_say(w, worker, world_worker_arrive), task);
}

static void world_worker_say_all(struct world *w, struct world_worker *worker)
{
    struct world_event *event = world_worker_say(w, worker, world_worker_arrive);
    event->held = true;
    for (size_t i = 0; i < worker->tasks_n; i++)
        world_worker_add_report(event, &worker->tasks[i]);
}

/* At the leader's end: lost with its link, sometimes late. */
static void world_worker_arrive(struct world *w, struct world_event *event)
{
    const struct world_worker *worker = world_worker(w, event->node);
    if (worker->cut || (worker->link != event->link && world_chance(w, 60)))
        return;
    world_leader_reports(w, event);
}

static void world_worker_arrive_connect(struct world *w, struct world_event *event)
{
    if (world_worker(w, event->node)->link == event->link)
        world_leader_connected(w, event);
}

static void world_worker_arrive_beat(struct world *w, struct world_event *event)
{
    if (world_worker(w, event->node)->link == event->link)
        world_leader_beat(w, event);
}

/* ---- links
 * --------------------------------------------------------------------------------------- */

static void world_worker_connect(struct world *w, struct world_event *event)
{
    struct world_worker *worker = world_worker(w, event->node);
    worker->connecting = false;
    if (!worker->up || worker->link != 0)
        return;
    if (worker->stopped || worker->cut || !w->leader.alive) {
        worker->connecting = true;
        world_at(w, world_ms(w, 20, 300), world_worker_connect)->node = worker->id;
        return;
    }
    worker->link = ++w->links;
    worker->epoch = w->leader.epoch;
    worker->up_ms = w->time.now_ms;
    world_trace(w, "worker %u has link %u", (unsigned)worker->id, (unsigned)worker->link);
    world_worker_say(w, worker, world_worker_arrive_connect);
    world_worker_say_all(w, worker);
}

static void world_worker_seek(struct world *w, struct world_worker *worker)
{
    if (worker->connecting)
        return;
    worker->connecting = true;
    world_at(w, world_ms(w, 1, 300), world_worker_connect)->node = worker->id;
}

/* The leader notices that the link is gone. */
static void world_worker_noticed(struct world *w, struct world_event *event)
{
    struct world_leader *leader = &w->leader;
    if (!leader->alive || leader->epoch != event->epoch ||
        leader->session[event->node] != event->link)
        return;
    world_leader_step(w, (struct sched_event){.type = SCHED_EVENT_NODE_LINK, .node = event->node});
}

void world_worker_break(struct world *w, struct world_worker *worker)
{
    if (worker->link != 0 && world_chance(w, 50)) {
        struct world_event *event = world_at(w, world_ms(w, 0, 2000), world_worker_noticed);
        event->node = worker->id;
        event->link = worker->link;
        event->epoch = worker->epoch;
    }
    worker->link = 0;
    if (worker->up)
        world_worker_seek(w, worker);
}

/* ---- tasks
 * --------------------------------------------------------------------------------------- */

void world_task_plan(struct world *w, const struct task_key *key, struct world_task *task)
{
    const struct world_job *job = world_job_of(w, &key->job);
    *task = (struct world_task){
        .key = *key,
        .phase = WIRE__TASK_PHASE__TASK_PHASE_QUEUED,
        .since_ms = w->time.now_ms,
        .run_ms = world_ms(w, 0, job->run_ms_max),
        .fails = world_chance(w, job->fail_percent),
        .cpus = job->spec.cpus > 0 ? job->spec.cpus : 1,
    };
}

static struct world_task *world_worker_task(struct world_worker *worker, const struct task_key *key)
{
    for (size_t i = 0; i < worker->tasks_n; i++) {
        if (memcmp(&worker->tasks[i].key, key, sizeof *key) == 0)
            return &worker->tasks[i];
    }
    return NULL;
}

static void world_worker_forget(struct world_worker *worker, struct world_task *task)
{
    size_t at = (size_t)(task - worker->tasks);
    worker->tasks_n--;
    memmove(task, task + 1, (worker->tasks_n - at) * sizeof *task);
}

static void world_worker_end(struct world *w, struct world_worker *worker, struct world_task *task,
                             Wire__TaskPhase phase, enum task_code code)
{
    if (task->phase == WIRE__TASK_PHASE__TASK_PHASE_RUNNING)
        world_truth_ended(w, &task->key, phase == WIRE__TASK_PHASE__TASK_PHASE_COMPLETED);
    world_trace(w, "worker %u ends %s: phase %d", (unsigned)worker->id, world_key(&task->key),
                phase);
    task->phase = phase;
    task->code = code;
    world_worker_report(w, worker, task);
}

static void world_worker_task_is_over(struct world *w, struct world_event *event)
{
    struct world_worker *worker = world_worker(w, event->node);
    if (!worker->up || worker->boot != event->boot)
        return;
    if (worker->stopped) {
        world_copy(w, event, world_ms(w, 50, 200));
        return;
    }
    struct world_task *task = world_worker_task(worker, &event->key);
    if (task == NULL || task->phase != WIRE__TASK_PHASE__TASK_PHASE_RUNNING)
        return;
    if (task->fails)
        world_worker_end(w, worker, task, WIRE__TASK_PHASE__TASK_PHASE_FAILED,
                         TASK_CODE_EXIT_NONZERO);
    else
        world_worker_end(w, worker, task, WIRE__TASK_PHASE__TASK_PHASE_COMPLETED, TASK_CODE_OK);
    world_worker_run(w, worker);
}

static uint32_t world_worker_used(const struct world_worker *worker)
{
    uint32_t used = 0;
    for (size_t i = 0; i < worker->tasks_n; i++) {
        if (worker->tasks[i].phase == WIRE__TASK_PHASE__TASK_PHASE_RUNNING)
            used += worker->tasks[i].cpus;
    }
    return used;
}

/* Starts what fits, in order; gives back what waited for too long. */
static void world_worker_run(struct world *w, struct world_worker *worker)
{
    for (size_t i = 0; i < worker->tasks_n; i++) {
        struct world_task *task = &worker->tasks[i];
        if (task->phase != WIRE__TASK_PHASE__TASK_PHASE_QUEUED)
            continue;
        if (world_worker_used(worker) + task->cpus <= worker->slots) {
            task->phase = WIRE__TASK_PHASE__TASK_PHASE_RUNNING;
            world_truth_started(w, &task->key, worker->id);
            struct world_event *end = world_at(w, task->run_ms, world_worker_task_is_over);
            end->node = worker->id;
            end->boot = worker->boot;
            end->key = task->key;
            if (world_chance(w, 60))
                world_worker_report(w, worker, task);
        } else if (w->time.now_ms - task->since_ms > WORLD_RETURN_MS) {
            world_worker_end(w, worker, task, WIRE__TASK_PHASE__TASK_PHASE_RETURNED, TASK_CODE_OK);
        }
    }
}

/* ---- what it is told
 * ----------------------------------------------------------------------------- */

static void world_worker_assigned(struct world *w, struct world_worker *worker,
                                  const struct task_key *key)
{
    world_trace(w, "worker %u gets %s", (unsigned)worker->id, world_key(key));
    if (world_worker_task(worker, key) != NULL)
        return;
    if (worker->tasks_n == WORLD_TASKS_MAX)
        world_wrong(w, "worker %u has too many tasks", (unsigned)worker->id);
    world_task_plan(w, key, &worker->tasks[worker->tasks_n++]);
    world_worker_run(w, worker);
}

static void world_worker_cancelled(struct world *w, struct world_worker *worker,
                                   const struct task_key *key)
{
    struct world_task *task = world_worker_task(worker, key);
    world_trace(w, "worker %u is to stop %s", (unsigned)worker->id, world_key(key));
    if (task == NULL) {
        const struct world_task unknown = {.key = *key,
                                           .phase = WIRE__TASK_PHASE__TASK_PHASE_UNKNOWN};
        world_worker_report(w, worker, &unknown);
        return;
    }
    if (world_phase_is_ended(task->phase)) {
        world_worker_report(w, worker, task);
        return;
    }
    bool endless = world_job_of(w, &key->job)->endless;
    if (task->phase == WIRE__TASK_PHASE__TASK_PHASE_RUNNING && !endless && world_chance(w, 20))
        return; /* ends by itself first */
    world_worker_end(w, worker, task, WIRE__TASK_PHASE__TASK_PHASE_CANCELLED, TASK_CODE_CANCELLED);
    world_worker_run(w, worker);
}

static void world_worker_acked(struct world *w, struct world_worker *worker,
                               const struct task_key *key)
{
    struct world_task *task = world_worker_task(worker, key);
    if (task == NULL || !world_phase_is_ended(task->phase))
        return;
    world_truth_acked(w, key, task->phase);
    world_worker_forget(worker, task);
}

/* Only over its present link. */
static void world_worker_read(struct world *w, struct world_worker *worker,
                              const struct world_event *event)
{
    if (!worker->up || worker->cut || worker->link != event->link || worker->link == 0)
        return;
    if (event->want_full)
        world_worker_say_all(w, worker);
    else if (event->send == SCHED_SEND_ASSIGN)
        world_worker_assigned(w, worker, &event->key);
    else if (event->send == SCHED_SEND_CANCEL)
        world_worker_cancelled(w, worker, &event->key);
    else
        world_worker_acked(w, worker, &event->key);
}

static void world_worker_receive(struct world *w, struct world_event *event)
{
    struct world_worker *worker = world_worker(w, event->node);
    if (!worker->stopped) {
        world_worker_read(w, worker, event);
        return;
    }
    worker->inbox = mem_reallocarray(worker->inbox, worker->inbox_n + 1, sizeof *worker->inbox);
    worker->inbox[worker->inbox_n++] = *event;
}

struct world_event *world_worker_tell(struct world *w, uint64_t node, uint64_t link)
{
    struct world_worker *worker = world_worker(w, node);
    int64_t at_ms = w->time.now_ms + world_ms(w, 0, world_chance(w, 10) ? 300 : 5);
    if (at_ms > worker->down_ms)
        worker->down_ms = at_ms;
    struct world_event *event = world_at(w, worker->down_ms - w->time.now_ms, world_worker_receive);
    event->node = node;
    event->link = link;
    return event;
}

void world_worker_resume(struct world *w, struct world_worker *worker)
{
    worker->stopped = false;
    worker->cut = false;
    for (size_t i = 0; i < worker->inbox_n; i++)
        world_worker_read(w, worker, &worker->inbox[i]);
    worker->inbox_n = 0;
}

/* A heartbeat; now and then a result that was not acknowledged is sent again. */
void world_worker_beat(struct world *w, struct world_event *event)
{
    struct world_worker *worker = world_worker(w, event->node);
    world_at(w, 1000, world_worker_beat)->node = worker->id;
    if (!worker->up || worker->stopped)
        return;
    world_worker_run(w, worker);
    if (worker->link == 0)
        return;
    world_worker_say(w, worker, world_worker_arrive_beat);
    for (size_t i = 0; i < worker->tasks_n; i++) {
        if (world_phase_is_ended(worker->tasks[i].phase) && world_chance(w, 30))
            world_worker_report(w, worker, &worker->tasks[i]);
    }
}

/* ---- life
 * ---------------------------------------------------------------------------------------- */

void world_worker_start(struct world *w, struct world_worker *worker)
{
    worker->up = true;
    worker->boot++;
    world_worker_seek(w, worker);
}

/* Running tasks die with it: forgotten, or remembered as lost. */
void world_worker_crash(struct world *w, struct world_worker *worker)
{
    worker->up = false;
    worker->stopped = false;
    worker->inbox_n = 0;
    world_worker_break(w, worker);
    for (size_t i = 0; i < worker->tasks_n;) {
        struct world_task *task = &worker->tasks[i];
        bool running = task->phase == WIRE__TASK_PHASE__TASK_PHASE_RUNNING;
        if (running)
            world_truth_ended(w, &task->key, false);
        if (running && world_chance(w, 50)) {
            task->phase = WIRE__TASK_PHASE__TASK_PHASE_FAILED;
            task->code = TASK_CODE_NODE_LOST;
        }
        if (world_phase_is_ended(task->phase))
            i++;
        else
            world_worker_forget(worker, task);
    }
}
