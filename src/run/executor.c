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
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "run/executor_internal.h"
#include "run/executor_library.h"
#include "run/executor_publish.h"

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

static void executor_pool_check_closed(struct executor_pool *pool);

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
        executor_job_unqueue(job);
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
            executor_job_unqueue(job);
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
    }
    if (pool->slot_was_freed && pool->on_slot != NULL && executor_pool_has_slot(pool)) {
        pool->slot_was_freed = false;
        pool->on_slot(pool->on_slot_arg);
    }
}

/* ---- the pool -------------------------------------------------------------------------------- */

static char *executor_own_program(void)
{
    char self[PATH_MAX];
    ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
    self[n > 0 ? n : 0] = '\0';
    /* a program that was replaced while it runs still starts by the link */
    return mem_strdup(access(self, X_OK) == 0 ? self : "/proc/self/exe");
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
