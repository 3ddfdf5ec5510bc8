/* A task from executor_run() to its last update. */
#include "run/executor_internal.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/str.h"
#include "wire/frame.h"

bool executor_task_is_light(const Wire__SqlRunTask *task)
{
    return task->parse != NULL || task->describe != NULL;
}

/* ---- ends of jobs ---------------------------------------------------------------------------- */

void executor_job_free(struct executor_job *job)
{
    loop_timer_stop(&job->limit);
    loop_timer_stop(&job->kill);
    buf_done(&job->frame);
    wire_parts_done(&job->parts);
    if (job->task != NULL)
        wire_free(&job->task->base);
    free(job->cancel_text);
    free(job);
}

/* Takes the job, which is in no queue and at no child any more. */
void executor_job_end(struct executor_job *job, Wire__SqlTaskUpdate *update)
{
    struct executor_pool *pool = job->pool;
    executor_update_fn fn = job->fn;
    void *arg = job->arg;
    Wire__SqlProfile *profile = update->done->profile;
    if (profile != NULL)
        profile->queued_us = (uint64_t)(job->started_us - job->queued_us);
    update->call = job->own_call;
    pool->stats.tasks++;
    pool->stats.failed += update->done->error != NULL;
    executor_job_free(job);
    if (fn != NULL)
        fn(arg, update);
}

void executor_job_fail(struct executor_job *job, int code, const char *kind, const char *text,
                       const char *hint, bool elsewhere)
{
    Wire__SqlTaskUpdate update = WIRE__SQL_TASK_UPDATE__INIT;
    Wire__SqlTaskDone done = WIRE__SQL_TASK_DONE__INIT;
    Wire__SqlError error = WIRE__SQL_ERROR__INIT;
    char *message = mem_strdup(text);
    error.code = code;
    error.kind = (char *)(uintptr_t)kind;
    error.message = message;
    error.hint = (char *)(uintptr_t)hint;
    error.elsewhere = elsewhere;
    done.error = &error;
    update.state = WIRE__SQL_TASK_STATE__SQL_TASK_STATE_ENDED;
    update.done = &done;
    executor_job_end(job, &update);
    free(message);
}

void executor_job_fail_cancelled(struct executor_job *job)
{
    const char *kind = "cancelled";
    const char *hint = "";
    if (job->cancel_code == ERR_TIMEOUT) {
        kind = "limit";
        hint = "raise the time limit, or select less";
    } else if (job->cancel_code == ERR_UNAVAILABLE) {
        kind = "unavailable";
    }
    executor_job_fail(job, job->cancel_code, kind, job->cancel_text, hint,
                      job->cancel_code == ERR_UNAVAILABLE);
}

void executor_job_unqueue(struct executor_job *job)
{
    struct executor_pool *pool = job->pool;
    TAILQ_REMOVE(job->is_light ? &pool->light : &pool->heavy, job, entry);
    pool->light_n -= job->is_light;
    pool->heavy_n -= !job->is_light;
    pool->slot_was_freed = pool->slot_was_freed || !job->is_light;
}

/* ---- tasks ----------------------------------------------------------------------------------- */

static void executor_job_on_limit(void *arg)
{
    struct executor_job *job = arg;
    char text[128];
    char duration[STR_SHORT_MAX];
    (void)snprintf(text, sizeof text, "the statement took longer than its limit of %s",
                   str_format_duration((int64_t)job->time_limit_ms, duration));
    executor_cancel(job, ERR_TIMEOUT, text);
}

static void executor_job_on_kill(void *arg)
{
    struct executor_job *job = arg;
    if (job->child == NULL || job->child->process == NULL)
        return;
    job->pool->stats.kills++;
    job->child->was_killed = true;
    executor_process_kill(job->child->process);
}

static struct executor_job *executor_job_new(struct executor_pool *pool)
{
    struct executor_job *job = mem_zalloc(sizeof *job);
    job->pool = pool;
    job->call = ++pool->calls;
    buf_init(&job->frame, FRAME_BODY_BYTES_MAX + FRAME_HEADER_BYTES);
    loop_timer_init(&job->limit, pool->options.loop, executor_job_on_limit, job);
    loop_timer_init(&job->kill, pool->options.loop, executor_job_on_kill, job);
    return job;
}

static void executor_job_enter(struct executor_job *job, const Wire__SqlRunTask *task,
                               executor_update_fn fn, void *arg)
{
    struct executor_pool *pool = job->pool;
    job->is_light = executor_task_is_light(task);
    job->fn = fn;
    job->arg = arg;
    job->queued_us = clock_mono_us();
    job->started_us = job->queued_us;
    job->time_limit_ms =
        task->time_limit_ms > 0 ? task->time_limit_ms : pool->options.time_limit_ms;
    TAILQ_INSERT_TAIL(job->is_light ? &pool->light : &pool->heavy, job, entry);
    pool->light_n += job->is_light;
    pool->heavy_n += !job->is_light;
    loop_hook_arm(&pool->dispatch);
}

int executor_run(struct executor_pool *pool, const Wire__SqlRunTask *task, executor_update_fn fn,
                 void *arg, struct executor_job **out)
{
    assert(pool->closed == NULL);
    if (pool->light_n + pool->heavy_n >= EXECUTOR_QUEUE_MAX)
        return ERR_BUSY;
    struct executor_job *job = executor_job_new(pool);
    Wire__SqlRunTask copy = *task;
    job->own_call = task->call;
    copy.call = job->call;
    if (wire_pack(&job->frame, WIRE_SQL_RUN_TASK, &copy.base) < 0) {
        executor_job_free(job);
        return ERR_TOO_LARGE;
    }
    executor_job_enter(job, task, fn, arg);
    *out = job;
    return 0;
}

int executor_run_given(struct executor_pool *pool, Wire__SqlRunTask *task, executor_update_fn fn,
                       void *arg, struct executor_job **out)
{
    assert(pool->closed == NULL);
    if (pool->light_n + pool->heavy_n >= EXECUTOR_QUEUE_MAX)
        return ERR_BUSY;
    struct executor_job *job = executor_job_new(pool);
    job->own_call = task->call;
    task->call = job->call;
    if (wire_pack_parts(&job->parts, WIRE_SQL_RUN_TASK, &task->base) < 0) {
        task->call = job->own_call;
        executor_job_free(job);
        return ERR_TOO_LARGE;
    }
    job->task = task;
    executor_job_enter(job, task, fn, arg);
    *out = job;
    return 0;
}

void executor_credit(struct executor_job *job, uint64_t bytes)
{
    Wire__SqlCredit credit = WIRE__SQL_CREDIT__INIT;
    if (job->state != EXECUTOR_JOB_RUNNING || bytes == 0)
        return;
    credit.call = job->call;
    credit.bytes = bytes;
    executor_process_send(job->child->process, WIRE_SQL_CREDIT, &credit.base);
}

void executor_cancel(struct executor_job *job, int code, const char *text)
{
    assert(code < 0);
    if (job->cancel_code != 0)
        return;
    job->cancel_code = code;
    job->cancel_text = mem_strdup(text);
    loop_timer_stop(&job->limit);
    if (job->state == EXECUTOR_JOB_QUEUED) {
        loop_hook_arm(&job->pool->dispatch);
        return;
    }
    Wire__SqlCancelTask cancel = WIRE__SQL_CANCEL_TASK__INIT;
    cancel.call = job->call;
    executor_process_send(job->child->process, WIRE_SQL_CANCEL_TASK, &cancel.base);
    loop_timer_start(&job->kill, EXECUTOR_CANCEL_MS);
}

void executor_drop(struct executor_job *job)
{
    job->fn = NULL;
    executor_cancel(job, ERR_CANCELLED, "cancelled");
}
