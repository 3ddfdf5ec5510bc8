/* Agents that poll over HTTP: one task at a time, answers get lost, a crash forgets the task. */
#include <string.h>

#include "tests/sim/world.h"

static void world_agent_ran(struct world *w, struct world_event *event)
{
    struct world_agent *agent = world_agent(w, event->node);
    if (!agent->up || agent->boot != event->boot || !agent->has)
        return;
    world_truth_ended(w, &agent->task.key, !agent->task.fails);
    agent->done = true;
}

static void world_agent_given(struct world *w, struct world_event *event)
{
    struct world_agent *agent = world_agent(w, event->node);
    if (!agent->up || agent->boot != event->boot || agent->has || !event->reply.assigned)
        return;
    world_trace(w, "agent %u gets %s", (unsigned)agent->id, world_key(&event->reply.key));
    world_task_plan(w, &event->reply.key, &agent->task);
    agent->has = true;
    agent->done = false;
    world_truth_started(w, &agent->task.key, agent->id);
    struct world_event *end = world_at(w, agent->task.run_ms, world_agent_ran);
    end->node = agent->id;
    end->boot = agent->boot;
}

static void world_agent_answered(struct world *w, struct world_event *event)
{
    struct world_agent *agent = world_agent(w, event->node);
    if (!agent->up || agent->boot != event->boot || !agent->done ||
        memcmp(&agent->task.key, &event->key, sizeof event->key) != 0)
        return;
    if (event->code == 0 && !agent->task.fails)
        world_truth_acked(w, &agent->task.key, WIRE__TASK_PHASE__TASK_PHASE_COMPLETED);
    world_trace(w, "agent %u is done with %s: %d", (unsigned)agent->id, world_key(&agent->task.key),
                event->code);
    agent->has = false;
    agent->done = false;
}

static void world_agent_submit(struct world *w, struct world_agent *agent)
{
    const struct sched_report report = {
        .key = agent->task.key,
        .phase = agent->task.fails ? WIRE__TASK_PHASE__TASK_PHASE_FAILED
                                   : WIRE__TASK_PHASE__TASK_PHASE_COMPLETED,
        .code = agent->task.fails ? TASK_CODE_EXIT_NONZERO : TASK_CODE_OK,
        .wall_ms = agent->task.run_ms,
    };
    int code = world_leader_step(
        w, (struct sched_event){
               .type = SCHED_EVENT_RESULT, .node = agent->id, .reports = &report, .reports_n = 1});
    if (code == ERR_NO_LEADER)
        return;
    struct world_answer *answer = world_leader_answer(w, world_agent_answered, agent->id, code);
    answer->boot = agent->boot;
    answer->key = agent->task.key;
}

static void world_agent_poll(struct world *w, struct world_agent *agent)
{
    int code =
        world_leader_step(w, (struct sched_event){.type = SCHED_EVENT_POLL, .node = agent->id});
    if (code == 0)
        world_leader_answer(w, world_agent_given, agent->id, code)->boot = agent->boot;
}

void world_agent_wake(struct world *w, struct world_event *event)
{
    struct world_agent *agent = world_agent(w, event->node);
    world_at(w, world_ms(w, 200, 1500), world_agent_wake)->node = agent->id;
    if (!agent->up || !w->leader.alive)
        return;
    world_leader_heard(w, agent->id);
    if (agent->done)
        world_agent_submit(w, agent);
    else if (!agent->has)
        world_agent_poll(w, agent);
}

void world_agent_crash(struct world *w, struct world_agent *agent)
{
    if (!agent->up)
        return;
    world_trace(w, "agent %u crashes", (unsigned)agent->id);
    if (agent->has && !agent->done)
        world_truth_ended(w, &agent->task.key, false);
    agent->up = false;
    agent->has = false;
    agent->done = false;
    agent->boot++;
}
