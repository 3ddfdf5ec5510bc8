/* A task waits in the queue of its kind until a child is free: tasks with data have `slots`, light
 * ones one child more. Children are started as they are needed, tasks handed out at the end of the
 * turn, and so are the ends of tasks that never ran.
 *
 * Ends of a task: its child says `done`; its child is gone; it was cancelled before it began; no
 * child can be started. A cancel is asked for first; a child that has not ended the task after
 * EXECUTOR_CANCEL_MS is killed. */
#include "run/executor.h"

#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"
#include "run/executor_library.h"
#include "run/executor_process.h"
#include "run/executor_publish.h"
#include "wire/frame.h"

enum {
    EXECUTOR_START_TRIES = 3, /* children in a row that don't come up, then tasks fail */
    EXECUTOR_CHILDREN_MAX = EXECUTOR_SLOTS_MAX + 1,
};

enum executor_child_state {
    EXECUTOR_CHILD_NONE, /* this place has no process */
    EXECUTOR_CHILD_STARTING,
    EXECUTOR_CHILD_IDLE,
    EXECUTOR_CHILD_BUSY,
};

struct executor_child {
    struct executor_pool *pool;
    enum executor_child_state state;
    struct executor_process *process;
    struct executor_job *job;
    char *dir;
    bool was_killed; /* by us */
};

enum executor_job_state { EXECUTOR_JOB_QUEUED, EXECUTOR_JOB_RUNNING };

struct executor_job {
    TAILQ_ENTRY(executor_job) entry; /* while it waits */
    struct executor_pool *pool;
    struct executor_child *child;
    enum executor_job_state state;
    bool is_light;
    uint64_t call;     /* on the socket */
    uint64_t own_call; /* that of the task */
    struct buf frame;  /* until it is sent */
    executor_update_fn fn;
    void *arg;
    int64_t queued_us;
    int64_t started_us;
    uint64_t time_limit_ms;
    struct loop_timer limit;
    struct loop_timer kill;
    int cancel_code; /* 0: not cancelled */
    char *cancel_text;
};

TAILQ_HEAD(executor_queue, executor_job);

struct executor_pool {
    struct executor_pool_options options;
    char *program;
    char *library;
    char *dir;
    char *scratch;
    char **allowed;
    struct executor_child children[EXECUTOR_CHILDREN_MAX];
    struct executor_queue light;
    struct executor_queue heavy;
    unsigned light_n;
    unsigned heavy_n;
    unsigned heavy_running;
    struct loop_hook dispatch;
    bool slot_was_freed;
    bool is_warm; /* keep a child even when nothing waits */
    bool is_removing;
    unsigned failed_starts;
    struct error start_error;
    uint64_t calls;
    uint64_t dirs;
    void (*on_slot)(void *arg);
    void *on_slot_arg;
    struct executor_stats stats;
    void (*closed)(void *arg);
    void *closed_arg;
};

bool executor_task_is_light(const Wire__SqlRunTask *task)
{
    return task->parse != NULL || task->describe != NULL;
}

int executor_check(const char *library, struct error *e)
{
#ifdef HAVE_DUCKDB
    char *found = executor_library_find(library, e);
    free(found);
    return found != NULL ? 0 : ERR_UNSUPPORTED;
#else
    (void)library;
    return error_set(e, ERR_UNSUPPORTED,
                     "this clusterd was built without DuckDB: run scripts/install-deps, configure "
                     "and build again");
#endif
}

/* ---- ends of jobs ---------------------------------------------------------------------------- */

static void executor_job_free(struct executor_job *job)
{
    loop_timer_stop(&job->limit);
    loop_timer_stop(&job->kill);
    buf_done(&job->frame);
    free(job->cancel_text);
    free(job);
}

/* Takes the job, which is in no queue and at no child any more. */
static void executor_job_end(struct executor_job *job, Wire__SqlTaskUpdate *update)
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

static void executor_job_fail(struct executor_job *job, int code, const char *kind,
                              const char *text, const char *hint, bool elsewhere)
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

static void executor_job_fail_cancelled(struct executor_job *job)
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

static void executor_queue_remove(struct executor_job *job)
{
    struct executor_pool *pool = job->pool;
    TAILQ_REMOVE(job->is_light ? &pool->light : &pool->heavy, job, entry);
    pool->light_n -= job->is_light;
    pool->heavy_n -= !job->is_light;
    pool->slot_was_freed = pool->slot_was_freed || !job->is_light;
}

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
        log_error(NULL, "an SQL executor sent %s", wire_type_name(type));
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
    log_warn(LOG_ABOUT(.code = ERR_UNAVAILABLE), "an SQL executor ended by itself: %s", why);
    if (job != NULL)
        executor_job_fail(job, ERR_UNAVAILABLE, "crash", text,
                          strcmp(why, "signal 9") == 0
                              ? "perhaps the machine has run out of memory: lower sql.memory"
                              : "the node has started another one",
                          true);
    free(text);
}

static void executor_pool_check_closed(struct executor_pool *pool);

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

static void executor_child_start(struct executor_child *child)
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

static void executor_child_give(struct executor_child *child, struct executor_job *job)
{
    executor_queue_remove(job);
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
    executor_process_send_frame(child->process, &job->frame);
}

/* ---- handing out ----------------------------------------------------------------------------- */

static struct executor_child *executor_find(struct executor_pool *pool,
                                            enum executor_child_state state)
{
    for (unsigned i = 0; i <= pool->options.slots; i++)
        if (pool->children[i].state == state)
            return &pool->children[i];
    return NULL;
}

static unsigned executor_count(const struct executor_pool *pool, enum executor_child_state state)
{
    unsigned n = 0;
    for (unsigned i = 0; i <= pool->options.slots; i++)
        n += pool->children[i].state == state;
    return n;
}

static unsigned executor_free_slots(const struct executor_pool *pool)
{
    return pool->options.slots - pool->heavy_running;
}

static void executor_hand_out(struct executor_pool *pool)
{
    struct executor_child *child;
    struct executor_job *job;
    while ((job = TAILQ_FIRST(&pool->light)) != NULL &&
           (child = executor_find(pool, EXECUTOR_CHILD_IDLE)) != NULL)
        executor_child_give(child, job);
    while ((job = TAILQ_FIRST(&pool->heavy)) != NULL && executor_free_slots(pool) > 0 &&
           (child = executor_find(pool, EXECUTOR_CHILD_IDLE)) != NULL)
        executor_child_give(child, job);
}

static void executor_start_children(struct executor_pool *pool)
{
    unsigned heavy = pool->heavy_n;
    if (heavy > executor_free_slots(pool))
        heavy = executor_free_slots(pool);
    unsigned needed = pool->light_n + heavy;
    if (needed == 0 && pool->is_warm && executor_count(pool, EXECUTOR_CHILD_BUSY) == 0)
        needed = 1;
    unsigned there =
        executor_count(pool, EXECUTOR_CHILD_IDLE) + executor_count(pool, EXECUTOR_CHILD_STARTING);
    struct executor_child *child;
    for (; there < needed && pool->failed_starts < EXECUTOR_START_TRIES &&
           (child = executor_find(pool, EXECUTOR_CHILD_NONE)) != NULL;
         there++)
        executor_child_start(child);
}

static void executor_fail_queue(struct executor_pool *pool, struct executor_queue *queue)
{
    struct executor_job *job;
    while ((job = TAILQ_FIRST(queue)) != NULL) {
        executor_queue_remove(job);
        executor_job_fail(job, pool->start_error.code, "unavailable", pool->start_error.text, "",
                          true);
    }
}

static void executor_end_cancelled(struct executor_queue *queue)
{
    struct executor_job *job = TAILQ_FIRST(queue);
    while (job != NULL) {
        struct executor_job *next = TAILQ_NEXT(job, entry);
        if (job->cancel_code != 0) {
            executor_queue_remove(job);
            executor_job_fail_cancelled(job);
            next = TAILQ_FIRST(queue); /* the callback may have changed the queue */
        }
        job = next;
    }
}

static void executor_on_dispatch(void *arg)
{
    struct executor_pool *pool = arg;
    executor_end_cancelled(&pool->light);
    executor_end_cancelled(&pool->heavy);
    if (pool->closed != NULL) {
        executor_pool_check_closed(pool);
        return;
    }
    executor_hand_out(pool);
    executor_start_children(pool);
    bool is_starting = executor_find(pool, EXECUTOR_CHILD_STARTING) != NULL;
    if (pool->failed_starts >= EXECUTOR_START_TRIES && !is_starting) {
        executor_fail_queue(pool, &pool->light);
        executor_fail_queue(pool, &pool->heavy);
        pool->failed_starts = 0;
        pool->is_warm = false;
    }
    if (pool->slot_was_freed && pool->on_slot != NULL && executor_pool_has_slot(pool)) {
        pool->slot_was_freed = false;
        pool->on_slot(pool->on_slot_arg);
    }
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

int executor_run(struct executor_pool *pool, const Wire__SqlRunTask *task, executor_update_fn fn,
                 void *arg, struct executor_job **out)
{
    assert(pool->closed == NULL);
    if (pool->light_n + pool->heavy_n >= EXECUTOR_QUEUE_MAX)
        return ERR_BUSY;
    struct executor_job *job = mem_zalloc(sizeof *job);
    Wire__SqlRunTask copy = *task;
    copy.call = ++pool->calls;
    buf_init(&job->frame, FRAME_BODY_BYTES_MAX + FRAME_HEADER_BYTES);
    loop_timer_init(&job->limit, pool->options.loop, executor_job_on_limit, job);
    loop_timer_init(&job->kill, pool->options.loop, executor_job_on_kill, job);
    if (wire_pack(&job->frame, WIRE_SQL_RUN_TASK, &copy.base) < 0) {
        executor_job_free(job);
        return ERR_TOO_LARGE;
    }
    job->pool = pool;
    job->call = copy.call;
    job->own_call = task->call;
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

/* ---- the pool -------------------------------------------------------------------------------- */

static char *executor_own_program(void)
{
    char self[PATH_MAX];
    ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
    return n > 0 ? mem_strndup(self, (size_t)n) : mem_strdup("/proc/self/exe");
}

static void executor_pool_free(struct executor_pool *pool)
{
    for (size_t i = 0; i < pool->options.allowed_n; i++)
        free(pool->allowed[i]);
    free(pool->allowed);
    free(pool->program);
    free(pool->library);
    free(pool->scratch);
    free(pool->dir);
    loop_hook_disarm(&pool->dispatch);
    free(pool);
}

int executor_pool_new(const struct executor_pool_options *options, struct executor_pool **out,
                      struct error *e)
{
    assert(options->slots >= 1 && options->slots <= EXECUTOR_SLOTS_MAX && options->threads >= 1);
    struct executor_pool *pool = mem_zalloc(sizeof *pool);
    pool->options = *options;
    pool->program =
        options->program != NULL ? mem_strdup(options->program) : executor_own_program();
    pool->library = mem_strdup(options->library != NULL ? options->library : "");
    pool->dir = mem_strdup(options->dir);
    pool->scratch = mem_printf("%s/scratch", options->dir);
    pool->allowed = mem_calloc(options->allowed_n + 1, sizeof *pool->allowed);
    for (size_t i = 0; i < options->allowed_n; i++)
        pool->allowed[i] = mem_strdup(options->allowed[i]);
    TAILQ_INIT(&pool->light);
    TAILQ_INIT(&pool->heavy);
    loop_hook_init(&pool->dispatch, options->loop, LOOP_PHASE_DEFER, executor_on_dispatch, pool);
    for (unsigned i = 0; i < EXECUTOR_CHILDREN_MAX; i++)
        pool->children[i].pool = pool;
    executor_publish_remove(pool->dir);
    if (mkdir(pool->dir, 0700) < 0 || mkdir(pool->scratch, 0700) < 0) {
        int err = error_set(e, -errno, "cannot make %s: %s", pool->dir, err_text(-errno));
        executor_pool_free(pool);
        return err;
    }
    *out = pool;
    return 0;
}

static void executor_pool_removed(void *arg, int code)
{
    struct executor_pool *pool = arg;
    void (*closed)(void *arg) = pool->closed;
    void *closed_arg = pool->closed_arg;
    (void)code;
    executor_pool_free(pool);
    closed(closed_arg);
}

static void executor_pool_remove(void *arg)
{
    executor_publish_remove(((struct executor_pool *)arg)->dir);
}

/* When the last child is gone. */
static void executor_pool_check_closed(struct executor_pool *pool)
{
    if (pool->is_removing || executor_count(pool, EXECUTOR_CHILD_NONE) <= pool->options.slots)
        return;
    pool->is_removing = true;
    (void)loop_work(pool->options.loop, executor_pool_remove, executor_pool_removed, pool);
}

static void executor_pool_end_job(struct executor_job *job)
{
    if (job->cancel_code != 0)
        return;
    job->cancel_code = ERR_UNAVAILABLE;
    job->cancel_text = mem_strdup("this node is stopping");
}

void executor_pool_close(struct executor_pool *pool, void (*closed)(void *arg), void *arg)
{
    assert(pool->closed == NULL && closed != NULL);
    pool->closed = closed;
    pool->closed_arg = arg;
    struct executor_job *job;
    TAILQ_FOREACH (job, &pool->light, entry)
        executor_pool_end_job(job);
    TAILQ_FOREACH (job, &pool->heavy, entry)
        executor_pool_end_job(job);
    for (unsigned i = 0; i <= pool->options.slots; i++) {
        struct executor_child *child = &pool->children[i];
        if (child->job != NULL)
            executor_pool_end_job(child->job);
        child->was_killed = true;
        if (child->process != NULL)
            executor_process_kill(child->process);
    }
    loop_hook_arm(&pool->dispatch);
}

void executor_pool_warm(struct executor_pool *pool)
{
    pool->is_warm = true;
    loop_hook_arm(&pool->dispatch);
}

const char *executor_pool_scratch(const struct executor_pool *pool)
{
    return pool->scratch;
}

bool executor_pool_has_slot(const struct executor_pool *pool)
{
    return pool->heavy_running + pool->heavy_n < pool->options.slots;
}

void executor_pool_on_slot(struct executor_pool *pool, void (*fn)(void *arg), void *arg)
{
    pool->on_slot = fn;
    pool->on_slot_arg = arg;
}

void executor_pool_get_stats(const struct executor_pool *pool, struct executor_stats *out)
{
    *out = pool->stats;
    out->children = pool->options.slots + 1 - executor_count(pool, EXECUTOR_CHILD_NONE);
    out->idle = executor_count(pool, EXECUTOR_CHILD_IDLE);
    out->queued = pool->light_n + pool->heavy_n;
}
