/* Jobs on their way from the state file to the scheduler, with all their attempts: those that have
 * not ended when a leader begins, one that has when it is to be retried. The reader's thread
 * collects a page of rows, the loop feeds it, and asks for the next: no more than that is ever in
 * memory. */
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "role/coordinator_internal.h"
#include "role/job_spec.h"
#include "run/state_query.h"

enum {
    COORDINATOR_PAGE_TASKS_MAX = 4096,
    COORDINATOR_PAGE_BYTES_MAX = 4 << 20, /* of specifications, the last one not counted */
};

struct coordinator_restore {
    struct coordinator *coordinator;
    unsigned activation;
    coordinator_restored_fn done;
    void *arg;
    Wire__JobRow *only; /* the job that is to be retried; NULL: all that have not ended */
    bool begun;
    bool fed; /* `only` is in the scheduler */

    /* how far the pages have come */
    uint64_t next_seq; /* more than any job's; 0: not read yet */
    uint64_t job_seq;  /* whose attempts come next; 0: another job's */
    uint32_t index, attempt;
    uint64_t after_seq;
    bool last;
    struct uuid last_id; /* of the job that was fed last */

    /* a page: attempts of `job_seq`, then jobs with theirs */
    Wire__JobRow **jobs;
    size_t jobs_n, jobs_cap;
    uint64_t bytes;
    Wire__TaskRow **tasks;
    size_t tasks_n, tasks_cap;

    TAILQ_ENTRY(coordinator_restore) link;
};

/* ---- a page, on the reader's thread ------------------------------------------------------------
 */

static bool coordinator_restore_is_full(const struct coordinator_restore *restore)
{
    return restore->tasks_n >= COORDINATOR_PAGE_TASKS_MAX ||
           restore->bytes >= COORDINATOR_PAGE_BYTES_MAX;
}

static int coordinator_restore_take_job(void *arg, Wire__JobRow *row)
{
    struct coordinator_restore *restore = arg;
    MEM_GROW(restore->jobs, restore->jobs_cap, restore->jobs_n + 1);
    restore->jobs[restore->jobs_n++] = row;
    restore->bytes += wire__job_spec__get_packed_size(row->spec);
    restore->after_seq = restore->job_seq = row->seq;
    restore->index = restore->attempt = 0;
    return 1; /* its attempts first */
}

static int coordinator_restore_take_task(void *arg, Wire__TaskRow *row)
{
    struct coordinator_restore *restore = arg;
    MEM_GROW(restore->tasks, restore->tasks_cap, restore->tasks_n + 1);
    restore->tasks[restore->tasks_n++] = row;
    restore->index = row->index;
    restore->attempt = row->attempt;
    return 0;
}

/* Attempts of the job at hand; with the last of them it is no longer at hand. Attempts count from
 * 1, so that none is before (0, 0). */
static int coordinator_restore_read_tasks(sqlite3 *db, struct coordinator_restore *restore)
{
    size_t before = restore->tasks_n;
    unsigned limit = (unsigned)(COORDINATOR_PAGE_TASKS_MAX - before);
    int err = state_query_tasks_after(db, restore->job_seq, restore->index, restore->attempt, limit,
                                      coordinator_restore_take_task, restore);
    if (restore->tasks_n - before < limit)
        restore->job_seq = 0;
    return err;
}

static int coordinator_restore_query(sqlite3 *db, void *arg)
{
    struct coordinator_restore *restore = arg;
    int err = 0;
    if (restore->next_seq == 0) {
        err = state_query_last_seq(db, &restore->next_seq);
        restore->next_seq++;
    }
    while (err == 0 && !restore->last && !coordinator_restore_is_full(restore)) {
        if (restore->job_seq != 0) {
            err = coordinator_restore_read_tasks(db, restore);
            continue;
        }
        if (restore->only == NULL)
            err = state_query_active_jobs(db, restore->after_seq, coordinator_restore_take_job,
                                          restore);
        restore->last = err == 0;
        err = err > 0 ? 0 : err;
    }
    return err;
}

/* ---- rows become events ------------------------------------------------------------------------
 */

/* Whether a dependency is among the jobs that have not ended; if not it has, or is forgotten. It
 * came before the job that waits for it. */
static enum job_state coordinator_restore_dependency(struct coordinator *c,
                                                     const struct coordinator_restore *restore,
                                                     const Wire__Dependency *after)
{
    struct sched_job_view view;
    struct uuid id;
    memcpy(id.bytes, after->job.data, sizeof id.bytes);
    if (uuid_compare(&id, &restore->last_id) == 0 || sched_job_view(c->sched, &id, &view))
        return JOB_STATE_NONE;
    return after->kind == WIRE__DEPENDENCY_KIND__DEPENDENCY_KIND_FAIL ? JOB_STATE_FAILED
                                                                      : JOB_STATE_COMPLETED;
}

static size_t coordinator_restore_after(struct coordinator *c,
                                        const struct coordinator_restore *restore,
                                        const Wire__JobSpec *spec, struct sched_dependency *after)
{
    size_t n = spec->n_after < SCHED_DEPENDENCIES_MAX ? spec->n_after : SCHED_DEPENDENCIES_MAX;
    for (size_t i = 0; i < n; i++) {
        after[i].kind = spec->after[i]->kind;
        memcpy(after[i].job.bytes, spec->after[i]->job.data, sizeof after[i].job.bytes);
        after[i].state = c->active ? JOB_STATE_COMPLETED /* it ended: it waits for nothing */
                                   : coordinator_restore_dependency(c, restore, spec->after[i]);
    }
    return n;
}

static int coordinator_restore_row(struct coordinator *c, struct coordinator_restore *restore,
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
    job_row.job.after_n = coordinator_restore_after(c, restore, spec, after);
    struct sched_event event = {.type = SCHED_EVENT_RESTORE_JOB, .job_row = &job_row};
    if (err == 0)
        err = coordinator_step(c, &event);
    if (err == 0) {
        coordinator_job_put(c, row->seq, &job_row.job.id, spec,
                            (uint32_t)rangeset_count(&elements));
        row->spec = NULL;
        restore->last_id = job_row.job.id;
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

/* Feeds the page: attempts left of the job before, then jobs with theirs. */
static int coordinator_restore_feed(struct coordinator *c, struct coordinator_restore *restore)
{
    int err = 0;
    size_t task = 0;
    for (size_t i = 0; err == 0 && i <= restore->jobs_n; i++) {
        uint64_t next_seq = i < restore->jobs_n ? restore->jobs[i]->seq : UINT64_MAX;
        for (; err == 0 && task < restore->tasks_n && restore->tasks[task]->job_seq < next_seq;
             task++)
            err = coordinator_restore_task(c, restore->tasks[task]);
        if (err == 0 && i < restore->jobs_n)
            err = coordinator_restore_row(c, restore, restore->jobs[i]);
    }
    return err;
}

static void coordinator_restore_drop_page(struct coordinator_restore *restore)
{
    for (size_t i = 0; i < restore->jobs_n; i++)
        wire__job_row__free_unpacked(restore->jobs[i], NULL);
    for (size_t i = 0; i < restore->tasks_n; i++)
        wire__task_row__free_unpacked(restore->tasks[i], NULL);
    restore->jobs_n = 0;
    restore->tasks_n = 0;
    restore->bytes = 0;
}

static void coordinator_restore_free(struct coordinator_restore *restore)
{
    coordinator_restore_drop_page(restore);
    if (restore->only != NULL)
        wire__job_row__free_unpacked(restore->only, NULL);
    free(restore->jobs);
    free(restore->tasks);
    free(restore);
}

static int coordinator_restore_begin(struct coordinator *c, struct coordinator_restore *restore)
{
    struct sched_event begin = {.type = SCHED_EVENT_RESTORE_BEGIN, .next_seq = restore->next_seq};
    restore->begun = true;
    int err = coordinator_step(c, &begin);
    if (err == 0 && restore->only != NULL) {
        err = coordinator_restore_row(c, restore, restore->only);
        restore->fed = err == 0;
    }
    return err;
}

static void coordinator_restore_next(struct coordinator *c);

static void coordinator_restore_end(struct coordinator *c, struct coordinator_restore *restore,
                                    int code)
{
    struct sched_event end = {.type = SCHED_EVENT_RESTORE_END};
    int end_code = restore->begun ? coordinator_step(c, &end) : 0;
    code = code < 0 ? code : end_code;
    if (code < 0 && restore->fed)
        coordinator_job_drop(c, restore->only->seq);
    TAILQ_REMOVE(&c->restores, restore, link);
    coordinator_restore_next(c);
    restore->done(c, restore->arg, code);
    coordinator_restore_free(restore);
}

static void coordinator_restore_read(struct coordinator_restore *restore);

static void coordinator_restore_on_rows(void *arg, int code)
{
    struct coordinator_restore *restore = arg;
    struct coordinator *c = restore->coordinator;
    if (restore->activation != c->activation || c->sched == NULL) {
        coordinator_restore_free(restore); /* its asker was told when the lead was lost */
        return;
    }
    if (code == 0 && !restore->begun)
        code = coordinator_restore_begin(c, restore);
    if (code == 0)
        code = coordinator_restore_feed(c, restore);
    coordinator_restore_drop_page(restore);
    if (code == 0 && !restore->last)
        coordinator_restore_read(restore);
    else
        coordinator_restore_end(c, restore, code);
}

static void coordinator_restore_read(struct coordinator_restore *restore)
{
    state_read(node_replica(restore->coordinator->node)->state, STATE_WEAK,
               coordinator_restore_query, coordinator_restore_on_rows, restore);
}

/* One at a time: the scheduler takes the rows of one restoration. */
static void coordinator_restore_next(struct coordinator *c)
{
    struct coordinator_restore *first = TAILQ_FIRST(&c->restores);
    if (first != NULL)
        coordinator_restore_read(first);
}

static void coordinator_restore_add(struct coordinator *c, struct coordinator_restore *restore)
{
    bool is_first = TAILQ_EMPTY(&c->restores);
    restore->coordinator = c;
    restore->activation = c->activation;
    TAILQ_INSERT_TAIL(&c->restores, restore, link);
    if (is_first)
        coordinator_restore_next(c);
}

void coordinator_restore(struct coordinator *c, coordinator_restored_fn done)
{
    struct coordinator_restore *restore = mem_zalloc(sizeof *restore);
    restore->done = done;
    coordinator_restore_add(c, restore);
}

void coordinator_restore_job(struct coordinator *c, Wire__JobRow *row, coordinator_restored_fn done,
                             void *arg)
{
    struct coordinator_restore *restore = mem_zalloc(sizeof *restore);
    restore->done = done;
    restore->arg = arg;
    restore->only = row;
    restore->next_seq = row->seq + 1;
    restore->job_seq = row->seq;
    coordinator_restore_add(c, restore);
}

void coordinator_restores_clear(struct coordinator *c)
{
    struct coordinator_restore *first = TAILQ_FIRST(&c->restores);
    struct coordinator_restore *restore;
    while ((restore = TAILQ_FIRST(&c->restores)) != NULL) {
        TAILQ_REMOVE(&c->restores, restore, link);
        restore->done(c, restore->arg, ERR_NOT_LEADER);
        if (restore != first)
            coordinator_restore_free(restore); /* the first one's read is under way */
    }
}
