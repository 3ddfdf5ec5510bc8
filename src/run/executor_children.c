/* Children: started, given a job, listened to, and what remains of them removed. */
#include "run/executor_internal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "run/executor_publish.h"

/* The job leaves its child. */
static struct executor_job *executor_child_release(struct executor_child *child)
{
    struct executor_job *job = child->job;
    child->job = NULL;
    if (job == NULL)
        return NULL;
    child->pool->heavy_running -= !job->is_light;
    child->pool->slot_was_freed = child->pool->slot_was_freed || !job->is_light;
    loop_hook_arm(&child->pool->dispatch);
    return job;
}

/* ---- children -------------------------------------------------------------------------------- */

static void executor_child_on_done(struct executor_child *child, Wire__SqlTaskUpdate *update)
{
    struct executor_job *job = executor_child_release(child);
    if (!child->was_killed) /* its last words, if it was: nothing more is given to it */
        child->state = EXECUTOR_CHILD_IDLE;
    bool was_cancelled = job->cancel_code != 0 && update->done->error != NULL &&
                         update->done->error->code == ERR_CANCELLED;
    if (was_cancelled)
        executor_job_fail_cancelled(job);
    else
        executor_job_end(job, update);
}

static void executor_child_on_update(struct executor_child *child, Wire__SqlTaskUpdate *update)
{
    struct executor_job *job = child->job;
    if (job == NULL || update->call != job->call)
        return; /* progress of a task that has ended */
    if (update->done != NULL) {
        executor_child_on_done(child, update);
    } else if (job->fn != NULL && job->cancel_code == 0) {
        update->call = job->own_call;
        job->fn(job->arg, update);
    }
}

static void executor_child_on_ready(struct executor_child *child, const Wire__SqlReady *ready)
{
    struct executor_pool *pool = child->pool;
    if (child->state != EXECUTOR_CHILD_STARTING)
        return;
    if (ready->code < 0) {
        (void)error_set(&pool->start_error, ready->code, "%s", ready->text);
        pool->failed_starts = EXECUTOR_START_TRIES;
        child->was_killed = true;
        executor_process_kill(child->process);
        return;
    }
    pool->failed_starts = 0;
    child->state = EXECUTOR_CHILD_IDLE;
    loop_hook_arm(&pool->dispatch);
}

static void executor_child_on_message(void *arg, enum wire_type type, ProtobufCMessage *message)
{
    struct executor_child *child = arg;
    if (type == WIRE_SQL_READY) {
        executor_child_on_ready(child, (const Wire__SqlReady *)message);
    } else if (type == WIRE_SQL_TASK_UPDATE) {
        executor_child_on_update(child, (Wire__SqlTaskUpdate *)message);
    } else {
        log_error(LOG_ABOUT(.role = "executor", .code = ERR_PROTOCOL), "an SQL executor sent %s",
                  wire_type_name(type));
        executor_process_kill(child->process);
    }
}

struct executor_removal {
    char *dir;
};

static void executor_removal_work(void *arg)
{
    executor_publish_remove(((struct executor_removal *)arg)->dir);
}

static void executor_removal_done(void *arg, int code)
{
    struct executor_removal *removal = arg;
    (void)code;
    free(removal->dir);
    free(removal);
}

/* Takes `dir`. */
static void executor_remove_later(struct executor_pool *pool, char *dir)
{
    struct executor_removal *removal = mem_alloc(sizeof *removal);
    removal->dir = dir;
    (void)loop_work(pool->options.loop, executor_removal_work, executor_removal_done, removal);
}

static void executor_child_crashed(struct executor_child *child, struct executor_job *job,
                                   const char *why)
{
    char *text = mem_printf("the process that ran the statement ended by itself (%s)", why);
    child->pool->stats.crashes++;
    log_warn(LOG_ABOUT(.role = "executor", .code = ERR_UNAVAILABLE),
             "an SQL executor ended by itself: %s", why);
    if (job != NULL)
        executor_job_fail(job, ERR_UNAVAILABLE, "crash", text,
                          strcmp(why, "signal 9") == 0
                              ? "perhaps the machine has run out of memory: lower sql.memory"
                              : "the node has started another one",
                          true);
    free(text);
}

static void executor_child_on_gone(void *arg, const char *why)
{
    struct executor_child *child = arg;
    struct executor_pool *pool = child->pool;
    struct executor_job *job = executor_child_release(child);
    bool was_starting = child->state == EXECUTOR_CHILD_STARTING;
    bool was_killed = child->was_killed;
    child->state = EXECUTOR_CHILD_NONE;
    child->process = NULL;
    child->was_killed = false;
    executor_remove_later(pool, child->dir);
    child->dir = NULL;
    if (was_starting && !was_killed) {
        pool->failed_starts++;
        (void)error_set(&pool->start_error, ERR_UNAVAILABLE, "an SQL executor does not start: %s",
                        why);
    }
    loop_hook_arm(&pool->dispatch);
    if (job != NULL && job->cancel_code != 0)
        executor_job_fail_cancelled(job);
    else if (job != NULL || !was_killed)
        executor_child_crashed(child, job, why);
}

static const struct executor_process_ops executor_child_ops = {
    .on_message = executor_child_on_message,
    .on_gone = executor_child_on_gone,
};

static void executor_child_set_up(struct executor_child *child)
{
    const struct executor_pool_options *options = &child->pool->options;
    Wire__SqlSetup setup = WIRE__SQL_SETUP__INIT;
    char **allowed = mem_calloc(options->allowed_n + 1, sizeof *allowed);
    memcpy(allowed, child->pool->allowed, options->allowed_n * sizeof *allowed);
    allowed[options->allowed_n] = child->pool->scratch;
    setup.memory_bytes_max = options->memory_bytes_max;
    setup.threads = options->threads;
    setup.temp_dir = child->dir;
    setup.temp_bytes_max = options->temp_bytes_max;
    setup.allowed = allowed;
    setup.n_allowed = options->allowed_n + 1;
    setup.library = child->pool->library;
    executor_process_send(child->process, WIRE_SQL_SETUP, &setup.base);
    free(allowed);
}

void executor_child_start(struct executor_child *child)
{
    struct executor_pool *pool = child->pool;
    child->dir = mem_printf("%s/%llu", pool->dir, (unsigned long long)pool->dirs++);
    int err = mkdir(child->dir, 0700) < 0 ? -errno : 0;
    if (err == 0)
        err = executor_process_start(pool->options.loop, pool->program, child->dir,
                                     &executor_child_ops, child, &child->process);
    if (err < 0) {
        (void)error_set(&pool->start_error, err, "cannot start an SQL executor in %s: %s",
                        child->dir, err_text(err));
        pool->failed_starts = EXECUTOR_START_TRIES;
        free(child->dir);
        child->dir = NULL;
        loop_hook_arm(&pool->dispatch);
        return;
    }
    child->state = EXECUTOR_CHILD_STARTING;
    executor_child_set_up(child);
}

void executor_child_give(struct executor_child *child, struct executor_job *job)
{
    executor_job_unqueue(job);
    job->pool->slot_was_freed = false;
    job->state = EXECUTOR_JOB_RUNNING;
    job->child = child;
    job->started_us = clock_mono_us();
    child->job = job;
    child->state = EXECUTOR_CHILD_BUSY;
    child->pool->heavy_running += !job->is_light;
    child->pool->stats.pid_last = executor_process_pid(child->process);
    if (job->time_limit_ms > 0)
        loop_timer_start(&job->limit, (int64_t)job->time_limit_ms);
    if (job->task == NULL) {
        executor_process_send_frame(child->process, &job->frame);
        return;
    }
    executor_process_send_parts(child->process, &job->parts, &job->task->base);
    job->task = NULL;
}
