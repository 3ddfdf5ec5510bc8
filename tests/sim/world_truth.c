/* What must hold of durable rows and of what really ran, whatever happened:
 *
 *   - an element completes once, by an attempt that really completed on that node
 *   - nothing is given out for an element whose completion is durable
 *   - at most one attempt at an element counts at a time, and two that count never run together
 *   - an attempt runs only after its assignment is durable, and not after it was given up
 *   - a node forgets a result only when the durable state doesn't need it
 *   - a node gets no more than its slots and what may be queued
 *   - a new leader would know what the present one knows
 *   - every job that was acknowledged is durable, ends, and its counts are right */
#include <assert.h>
#include <string.h>

#include "base/mem.h"
#include "tests/sim/world.h"

#define WORLD_GIVEN_UP "its node does not hold it"

static struct world_run *world_run_of(const struct world *w, const struct task_key *key)
{
    struct world_run *run;
    HASH_FIND(hh, w->runs, key, sizeof *key, run);
    return run;
}

static struct world_element *world_element_of(struct world *w, uint64_t seq, uint32_t index)
{
    const struct {
        uint64_t seq;
        uint64_t index;
    } key = {seq, index};
    struct world_element *element;
    HASH_FIND(hh, w->elements, &key, sizeof key, element);
    if (element == NULL) {
        element = mem_zalloc(sizeof *element);
        element->key.seq = seq;
        element->key.index = index;
        HASH_ADD(hh, w->elements, key, sizeof element->key, element);
    }
    return element;
}

static struct sched_rows_task *world_row_of(const struct world *w, const struct task_key *key)
{
    const struct sched_rows_job *job = sched_rows_job(&w->rows, &key->job);
    return job != NULL ? sched_rows_task(&w->rows, job->seq, key->index, key->attempt) : NULL;
}

static bool world_state_is_live(enum attempt_state state)
{
    return state == ATTEMPT_STATE_ASSIGNED || state == ATTEMPT_STATE_RUNNING;
}

/* ---- what becomes durable
 * ------------------------------------------------------------------------ */

static void world_truth_job(struct world *w, const struct sched_job_record *record)
{
    sched_rows_put_job(&w->rows, record);
    if (!record->created)
        return;
    const struct sched_rows_job *made = sched_rows_job(&w->rows, &record->id);
    const char *key = made->spec.idempotency_key;
    for (const struct sched_rows_job *job = w->rows.jobs; job != NULL; job = job->hh.next) {
        if (job != made && key != NULL && job->spec.idempotency_key != NULL &&
            strcmp(job->spec.idempotency_key, key) == 0)
            world_wrong(w, "two jobs for one idempotency key");
    }
}

static void world_truth_completed(struct world *w, struct world_element *element,
                                  const struct sched_task_record *record)
{
    if (element->completed_by != 0 && element->completed_by != record->key.attempt)
        world_wrong(w, "%s: completed by attempt %u before", world_key(&record->key),
                    element->completed_by);
    const struct world_run *run = world_run_of(w, &record->key);
    if (run == NULL || !run->completed || run->node != record->node)
        world_wrong(w, "%s: did not complete on node %u", world_key(&record->key),
                    (unsigned)record->node);
    element->completed_by = record->key.attempt;
}

static void world_truth_task(struct world *w, const struct sched_task_record *record)
{
    const struct sched_rows_task *row =
        sched_rows_task(&w->rows, record->job_seq, record->key.index, record->key.attempt);
    struct world_element *element = world_element_of(w, record->job_seq, record->key.index);
    enum attempt_state from = row != NULL ? row->state : ATTEMPT_STATE_NONE;
    if (from != ATTEMPT_STATE_NONE && from != record->state &&
        !attempt_state_allows(from, record->state))
        world_wrong(w, "%s: from %s to %s", world_key(&record->key), attempt_state_name(from),
                    attempt_state_name(record->state));
    if (world_state_is_live(record->state) && element->completed_by != 0)
        world_wrong(w, "%s: given out after attempt %u completed", world_key(&record->key),
                    element->completed_by);
    if (row != NULL && row->node != record->node)
        world_wrong(w, "%s: from node %u to node %u", world_key(&record->key), (unsigned)row->node,
                    (unsigned)record->node);
    element->live -= world_state_is_live(from);
    element->live += world_state_is_live(record->state);
    if (record->state == ATTEMPT_STATE_COMPLETED)
        world_truth_completed(w, element, record);
    sched_rows_put_task(&w->rows, record);
}

void world_truth_apply(struct world *w, const struct sched_update *update)
{
    for (size_t i = 0; i < update->jobs_n; i++)
        world_truth_job(w, &update->jobs[i]);
    for (size_t i = 0; i < update->tasks_n; i++)
        world_truth_task(w, &update->tasks[i]);
    for (size_t i = 0; i < update->tasks_n; i++) {
        const struct sched_task_record *record = &update->tasks[i];
        if (world_element_of(w, record->job_seq, record->key.index)->live > 1)
            world_wrong(w, "%s: two attempts count", world_key(&record->key));
    }
}

/* ---- what runs
 * ----------------------------------------------------------------------------------- */

static bool world_truth_counts(const struct world *w, const struct task_key *key)
{
    const struct sched_rows_task *row = world_row_of(w, key);
    return row != NULL && world_state_is_live(row->state);
}

void world_truth_started(struct world *w, const struct task_key *key, uint64_t node)
{
    const struct sched_rows_task *row = world_row_of(w, key);
    if (row == NULL)
        world_wrong(w, "%s: runs before its assignment is durable", world_key(key));
    if (row->text != NULL && strcmp(row->text, WORLD_GIVEN_UP) == 0)
        world_wrong(w, "%s: runs after it was given up", world_key(key));
    for (const struct world_run *other = w->runs; other != NULL; other = other->hh.next) {
        if (other->running && other->key.index == key->index &&
            uuid_compare(&other->key.job, &key->job) == 0 && world_truth_counts(w, &other->key) &&
            world_truth_counts(w, key))
            world_wrong(w, "%s: runs while attempt %u counts", world_key(key), other->key.attempt);
    }
    struct world_run *run = world_run_of(w, key);
    if (run != NULL && world_agent(w, node) == NULL)
        world_wrong(w, "%s: runs for the second time", world_key(key));
    if (run == NULL) {
        run = mem_zalloc(sizeof *run);
        run->key = *key;
        HASH_ADD(hh, w->runs, key, sizeof run->key, run);
    }
    run->node = node;
    run->running = true;
}

void world_truth_ended(struct world *w, const struct task_key *key, bool completed)
{
    struct world_run *run = world_run_of(w, key);
    run->running = false;
    run->completed = run->completed || completed;
}

/* The durable state has an end for the element without this attempt. */
static bool world_truth_is_decided(struct world *w, const struct task_key *key)
{
    const struct sched_rows_job *job = sched_rows_job(&w->rows, &key->job);
    if (job_state_is_ended(job->state) || rangeset_contains(&job->cancelled, key->index) ||
        world_element_of(w, job->seq, key->index)->completed_by != 0)
        return true;
    uint32_t failures = 0;
    uint32_t losses = 0;
    const struct sched_rows_task *row;
    for (uint32_t attempt = 1; attempt < 200; attempt++) {
        row = sched_rows_task(&w->rows, job->seq, key->index, attempt);
        failures += row != NULL && row->round == job->round && row->state == ATTEMPT_STATE_FAILED;
        losses += row != NULL && row->round == job->round && row->state == ATTEMPT_STATE_LOST;
    }
    return failures > job->spec.retries || losses > w->config.losses_max;
}

void world_truth_acked(struct world *w, const struct task_key *key, Wire__TaskPhase phase)
{
    const struct sched_rows_job *job = sched_rows_job(&w->rows, &key->job);
    const struct sched_rows_task *row = world_row_of(w, key);
    if (row == NULL || world_state_is_live(row->state))
        world_wrong(w, "%s: its end was forgotten before it was durable", world_key(key));
    if (phase == WIRE__TASK_PHASE__TASK_PHASE_COMPLETED && row->state != ATTEMPT_STATE_COMPLETED &&
        row->round == job->round && !world_truth_is_decided(w, key))
        world_wrong(w, "%s: its result was dropped while its element goes on", world_key(key));
}

/* ---- what the leader does
 * ------------------------------------------------------------------------ */

void world_truth_placed(struct world *w, size_t sends_before)
{
    const struct world_leader *leader = &w->leader;
    for (size_t i = sends_before; i < leader->update.sends_n; i++) {
        const struct sched_send *send = &leader->update.sends[i];
        struct sched_node_view view;
        if (send->type != SCHED_SEND_ASSIGN || !sched_node_view(leader->sched, send->node, &view))
            continue;
        uint32_t limit = w->config.short_ms > 0 ? sched_slots_ahead(view.slots) : view.slots;
        if (view.slots_used > limit || view.health != SCHED_HEALTH_ALIVE || view.draining)
            world_wrong(w, "node %u: %u of %u slots taken", (unsigned)send->node, view.slots_used,
                        view.slots);
    }
}

static void world_truth_compare_job(struct world *w, const struct sched_rows_job *row,
                                    const struct sched *other)
{
    struct sched_job_view now;
    struct sched_job_view then;
    if (!sched_job_view(w->leader.sched, &row->spec.id, &now) ||
        !sched_job_view(other, &row->spec.id, &then))
        world_wrong(w, "job %u has not ended and is not known", (unsigned)row->seq);
    if (now.state != then.state || now.pending != then.pending || now.running != then.running ||
        now.completed != then.completed || now.failed != then.failed ||
        now.cancelled != then.cancelled)
        world_wrong(
            w,
            "job %u: %s with %u pending, %u running, %u completed, %u failed, %u cancelled; "
            "a new leader would know of %s, %u, %u, %u, %u, %u",
            (unsigned)row->seq, job_state_name(now.state), now.pending, now.running, now.completed,
            now.failed, now.cancelled, job_state_name(then.state), then.pending, then.running,
            then.completed, then.failed, then.cancelled);
    if (row->running != now.running || row->completed != now.completed ||
        row->failed != now.failed || row->cancelled_n != now.cancelled)
        world_wrong(w, "job %u: its row has other counts", (unsigned)row->seq);
}

void world_truth_compare(struct world *w)
{
    struct sched_update update = {0};
    struct sched *other = world_leader_rebuild(w, &update);
    sched_check(other);
    for (const struct sched_rows_job *row = w->rows.jobs; row != NULL; row = row->hh.next) {
        if (!job_state_is_ended(row->state))
            world_truth_compare_job(w, row, other);
    }
    sched_free(other);
    sched_update_done(&update);
}

/* ---- the end
 * ------------------------------------------------------------------------------------- */

static void world_truth_end_job(struct world *w, const struct sched_rows_job *row)
{
    uint32_t completed = 0;
    for (const struct world_element *element = w->elements; element != NULL;
         element = element->hh.next) {
        completed += element->key.seq == row->seq && element->completed_by != 0;
        if (element->key.seq == row->seq && element->live > 0)
            world_wrong(w, "job %u has ended, element %u has not", (unsigned)row->seq,
                        (unsigned)element->key.index);
    }
    enum job_state state = JOB_STATE_COMPLETED;
    if (row->failed > 0)
        state = JOB_STATE_FAILED;
    else if (row->cancelled_n > 0)
        state = JOB_STATE_CANCELLED;
    if (row->completed != completed || row->running != 0 || row->state != state ||
        row->completed + row->failed + row->cancelled_n != row->total)
        world_wrong(w, "job %u %s: %u completed (really %u), %u failed, %u cancelled of %u",
                    (unsigned)row->seq, job_state_name(row->state), row->completed, completed,
                    row->failed, row->cancelled_n, row->total);
}

void world_truth_end(struct world *w)
{
    for (unsigned i = 0; i < w->jobs_n; i++) {
        if (w->jobs[i].acked && sched_rows_job(&w->rows, &w->jobs[i].id) == NULL)
            world_wrong(w, "job %u was acknowledged and is not durable", i + 1);
    }
    for (const struct sched_rows_job *row = w->rows.jobs; row != NULL; row = row->hh.next) {
        if (!job_state_is_ended(row->state))
            world_wrong(w, "job %u is still %s: %s", (unsigned)row->seq, job_state_name(row->state),
                        row->reason);
        world_truth_end_job(w, row);
    }
    for (unsigned i = 0; i < w->workers_n; i++) {
        if (w->workers[i].tasks_n > 0 && !w->workers[i].dead)
            world_wrong(w, "worker %u still holds %s", i + 1,
                        world_key(&w->workers[i].tasks[0].key));
    }
    if (!world_client_is_done(w))
        world_wrong(w, "all has ended, but not everybody knows");
}

void world_truth_done(struct world *w)
{
    struct world_run *run;
    struct world_run *run_next;
    HASH_ITER (hh, w->runs, run, run_next) {
        HASH_DEL(w->runs, run);
        free(run);
    }
    struct world_element *element;
    struct world_element *element_next;
    HASH_ITER (hh, w->elements, element, element_next) {
        HASH_DEL(w->elements, element);
        free(element);
    }
}
