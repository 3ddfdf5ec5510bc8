/* A new leader's first reading: every job that has not ended with all its attempts goes from the
 * state file to the scheduler. The reader's thread collects rows, the loop feeds them. */
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "role/coordinator_internal.h"
#include "role/job_spec.h"
#include "run/state_query.h"

struct coordinator_restore {
    struct coordinator *coordinator;
    unsigned activation;
    void (*done)(struct coordinator *c, int code);
    uint64_t last_seq;
    Wire__JobRow **jobs;
    size_t jobs_n, jobs_cap;
    Wire__TaskRow **tasks;
    size_t tasks_n, tasks_cap;
};

static int coordinator_restore_take_job(void *arg, Wire__JobRow *row)
{
    struct coordinator_restore *restore = arg;
    MEM_GROW(restore->jobs, restore->jobs_cap, restore->jobs_n + 1);
    restore->jobs[restore->jobs_n++] = row;
    return 0;
}

static int coordinator_restore_take_task(void *arg, Wire__TaskRow *row)
{
    struct coordinator_restore *restore = arg;
    MEM_GROW(restore->tasks, restore->tasks_cap, restore->tasks_n + 1);
    restore->tasks[restore->tasks_n++] = row;
    return 0;
}

static int coordinator_restore_query(sqlite3 *db, void *arg)
{
    struct coordinator_restore *restore = arg;
    int err = state_query_last_seq(db, &restore->last_seq);
    if (err == 0)
        err = state_query_active_jobs(db, coordinator_restore_take_job, restore);
    for (size_t i = 0; err == 0 && i < restore->jobs_n; i++)
        err = state_query_tasks(db, restore->jobs[i]->seq, false, 0, INT64_MAX,
                                coordinator_restore_take_task, restore);
    return err;
}

/* Whether a dependency is among the jobs that have not ended; if not it has, or is forgotten. */
static enum job_state coordinator_restore_dependency(const struct coordinator_restore *restore,
                                                     const Wire__Dependency *after)
{
    for (size_t i = 0; i < restore->jobs_n; i++)
        if (memcmp(restore->jobs[i]->id.data, after->job.data, sizeof(struct uuid)) == 0)
            return JOB_STATE_NONE;
    return after->kind == WIRE__DEPENDENCY_KIND__DEPENDENCY_KIND_FAIL ? JOB_STATE_FAILED
                                                                      : JOB_STATE_COMPLETED;
}

static size_t coordinator_restore_after(const struct coordinator_restore *restore,
                                        const Wire__JobSpec *spec, struct sched_dependency *after)
{
    size_t n = spec->n_after < SCHED_DEPENDENCIES_MAX ? spec->n_after : SCHED_DEPENDENCIES_MAX;
    for (size_t i = 0; i < n; i++) {
        after[i].kind = spec->after[i]->kind;
        memcpy(after[i].job.bytes, spec->after[i]->job.data, sizeof after[i].job.bytes);
        after[i].state = restore != NULL ? coordinator_restore_dependency(restore, spec->after[i])
                                         : JOB_STATE_COMPLETED;
    }
    return n;
}

static int coordinator_restore_row(struct coordinator *c, const struct coordinator_restore *restore,
                                   Wire__JobRow *row)
{
    struct sched_dependency after[SCHED_DEPENDENCIES_MAX];
    struct rangeset elements;
    struct rangeset cancelled;
    struct error e;
    rangeset_init(&elements);
    rangeset_init(&cancelled);
    Wire__JobSpec *spec = row->spec;
    int err = job_spec_elements(spec, &elements, &e);
    if (err == 0 && row->cancelled_set != NULL && row->cancelled_set->text[0] != '\0')
        err = rangeset_parse(&cancelled, row->cancelled_set->text, SCHED_INDEX_MAX,
                             SCHED_ELEMENTS_MAX);
    struct sched_job_row job_row = {
        .seq = row->seq,
        .state = (enum job_state)row->state,
        .reason = row->reason,
        .round = row->round,
        .cancelled = &cancelled,
        .submitted_ms = (int64_t)row->submitted_ms,
        .started_ms = (int64_t)row->started_ms,
        .ended_ms = (int64_t)row->ended_ms,
        .cancel_requested_ms = (int64_t)row->cancel_requested_ms,
        .job = {.elements = &elements,
                .array = spec->array[0] != '\0',
                .array_limit = spec->array_limit,
                .cpus = spec->cpus,
                .memory_bytes = spec->memory_bytes,
                .retries = spec->retries,
                .priority = spec->priority,
                .selector = spec->selector,
                .idempotency_key = spec->idempotency_key,
                .after = after},
    };
    memcpy(job_row.job.id.bytes, row->id.data, sizeof job_row.job.id.bytes);
    job_row.job.after_n = coordinator_restore_after(restore, spec, after);
    struct sched_event event = {.type = SCHED_EVENT_RESTORE_JOB, .job_row = &job_row};
    if (err == 0)
        err = coordinator_step(c, &event);
    if (err == 0) {
        coordinator_job_put(c, row->seq, &job_row.job.id, spec,
                            (uint32_t)rangeset_count(&elements));
        row->spec = NULL;
    } else {
        log_error(LOG_ABOUT(.role = "coordinator", .code = err), "job %llu cannot be restored: %s",
                  (unsigned long long)row->seq, c->update.reply.text);
    }
    rangeset_done(&elements);
    rangeset_done(&cancelled);
    return err;
}

static int coordinator_restore_task(struct coordinator *c, const Wire__TaskRow *row)
{
    struct sched_task_row task_row = {
        .index = row->index,
        .attempt = row->attempt,
        .round = row->round,
        .state = (enum attempt_state)row->state,
        .node = row->node_id,
        .assigned_ms = (int64_t)row->assigned_ms,
        .code = (enum task_code)row->code,
        .text = row->text,
    };
    struct sched_event event = {.type = SCHED_EVENT_RESTORE_TASK, .task_row = &task_row};
    return coordinator_step(c, &event);
}

static int coordinator_restore_feed(struct coordinator *c, struct coordinator_restore *restore)
{
    struct sched_event begin = {.type = SCHED_EVENT_RESTORE_BEGIN,
                                .next_seq = restore->last_seq + 1};
    int err = coordinator_step(c, &begin);
    size_t task = 0;
    for (size_t i = 0; err == 0 && i < restore->jobs_n; i++) {
        uint64_t seq = restore->jobs[i]->seq;
        err = coordinator_restore_row(c, restore, restore->jobs[i]);
        for (; err == 0 && task < restore->tasks_n && restore->tasks[task]->job_seq == seq; task++)
            err = coordinator_restore_task(c, restore->tasks[task]);
    }
    struct sched_event end = {.type = SCHED_EVENT_RESTORE_END};
    return err < 0 ? err : coordinator_step(c, &end);
}

static void coordinator_restore_free(struct coordinator_restore *restore)
{
    for (size_t i = 0; i < restore->jobs_n; i++)
        wire__job_row__free_unpacked(restore->jobs[i], NULL);
    for (size_t i = 0; i < restore->tasks_n; i++)
        wire__task_row__free_unpacked(restore->tasks[i], NULL);
    free(restore->jobs);
    free(restore->tasks);
    free(restore);
}

static void coordinator_restore_on_rows(void *arg, int code)
{
    struct coordinator_restore *restore = arg;
    struct coordinator *c = restore->coordinator;
    if (restore->activation == c->activation && c->sched != NULL) {
        if (code == 0)
            code = coordinator_restore_feed(c, restore);
        if (code != ERR_NOT_LEADER)
            restore->done(c, code);
    }
    coordinator_restore_free(restore);
}

void coordinator_restore(struct coordinator *c, void (*done)(struct coordinator *c, int code))
{
    struct coordinator_restore *restore = mem_zalloc(sizeof *restore);
    restore->coordinator = c;
    restore->activation = c->activation;
    restore->done = done;
    state_read(node_replica(c->node)->state, STATE_WEAK, coordinator_restore_query,
               coordinator_restore_on_rows, restore);
}

int coordinator_restore_job(struct coordinator *c, Wire__JobRow *row, Wire__TaskRow **tasks,
                            size_t tasks_n)
{
    struct sched_event begin = {.type = SCHED_EVENT_RESTORE_BEGIN, .next_seq = row->seq + 1};
    int err = coordinator_step(c, &begin);
    if (err == 0)
        err = coordinator_restore_row(c, NULL, row);
    for (size_t i = 0; err == 0 && i < tasks_n; i++)
        err = coordinator_restore_task(c, tasks[i]);
    struct sched_event end = {.type = SCHED_EVENT_RESTORE_END};
    int end_err = coordinator_step(c, &end);
    return err < 0 ? err : end_err;
}
