#include "run/spawner_tasks.h"

#include <assert.h>

#include "base/clock.h"

void spawner_tasks_init(struct spawner_tasks *tasks)
{
    *tasks = (struct spawner_tasks){.next_us = INT64_MAX};
    TAILQ_INIT(&tasks->leaving);
}

void spawner_tasks_done(struct spawner_tasks *tasks, struct spawner_task_means *means)
{
    struct spawner_task *t, *next;

    HASH_CLEAR(by_pid, tasks->by_pid);
    HASH_ITER (by_id, tasks->by_id, t, next) {
        HASH_DELETE(by_id, tasks->by_id, t);
        if (t->cgroup_fd >= 0)
            cgroup_remove(&means->cgroup, t->id, t->cgroup_fd);
        spawner_task_free(t);
    }
}

void spawner_tasks_add(struct spawner_tasks *tasks, struct spawner_task *t)
{
    assert(!t->is_leaving);
    HASH_ADD(by_id, tasks->by_id, id, sizeof t->id, t);
    HASH_ADD(by_pid, tasks->by_pid, pid, sizeof t->pid, t);
    t->order = ++tasks->newest;
    if (spawner_task_is_limited(t))
        tasks->limited++;
    spawner_tasks_wake_at(tasks, t->deadline_us);
}

void spawner_tasks_set_leaving(struct spawner_tasks *tasks, struct spawner_task *t, int status,
                               const struct rusage *usage)
{
    assert(!t->is_leaving);
    HASH_DELETE(by_pid, tasks->by_pid, t);
    TAILQ_INSERT_TAIL(&tasks->leaving, t, leaving);
    t->is_leaving = true;
    t->status = status;
    t->usage = *usage;
    t->ended_us = clock_mono_us();
    t->ended_ms = clock_wall_ms();
}

void spawner_tasks_remove(struct spawner_tasks *tasks, struct spawner_task *t)
{
    assert(t->is_leaving);
    HASH_DELETE(by_id, tasks->by_id, t);
    TAILQ_REMOVE(&tasks->leaving, t, leaving);
    if (spawner_task_is_limited(t))
        tasks->limited--;
    spawner_task_free(t);
}

struct spawner_task *spawner_tasks_find(const struct spawner_tasks *tasks, uint64_t id)
{
    struct spawner_task *t;

    HASH_FIND(by_id, tasks->by_id, &id, sizeof id, t);
    return t;
}

struct spawner_task *spawner_tasks_find_pid(const struct spawner_tasks *tasks, pid_t pid)
{
    struct spawner_task *t;

    HASH_FIND(by_pid, tasks->by_pid, &pid, sizeof pid, t);
    return t;
}

struct spawner_task *spawner_tasks_find_session(const struct spawner_tasks *tasks, pid_t session)
{
    struct spawner_task *t = spawner_tasks_find_pid(tasks, session);

    if (t)
        return t;
    TAILQ_FOREACH (t, &tasks->leaving, leaving) {
        if (t->pid == session)
            break;
    }
    return t;
}

uint64_t spawner_tasks_oldest(const struct spawner_tasks *tasks)
{
    uint64_t oldest = UINT64_MAX;

    for (const struct spawner_task *t = tasks->by_pid; t; t = t->by_pid.next)
        oldest = t->order < oldest ? t->order : oldest;
    return oldest;
}

struct spawner_task *spawner_tasks_leaving_before(const struct spawner_tasks *tasks, uint64_t order)
{
    struct spawner_task *t;

    TAILQ_FOREACH (t, &tasks->leaving, leaving) {
        if (t->order <= order)
            break;
    }
    return t;
}

void spawner_tasks_wake_at(struct spawner_tasks *tasks, int64_t at_us)
{
    if (at_us < tasks->next_us)
        tasks->next_us = at_us;
}
