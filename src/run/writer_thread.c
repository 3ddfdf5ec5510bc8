#include "run/writer_thread.h"

#include <errno.h>
#include <signal.h>

enum { STACK_BYTES = 256 << 10 };

/* ---- telling the loop ------------------------------------------------------------------------ */

static void on_post(void *arg)
{
    struct writer_thread *thread = arg;
    thread->owner.on_outcome(thread->owner.arg);
}

/* Unlocks and, when `tells` and the loop doesn't know already, tells it. */
static void release(struct writer_thread *thread, bool tells)
{
    bool posts = tells && !thread->notified;
    thread->notified = thread->notified || tells;
    pthread_mutex_unlock(&thread->mutex);
    if (posts)
        loop_post(thread->owner.loop, &thread->post, on_post, thread);
}

void writer_thread_release_done(struct writer_thread *thread)
{
    release(thread, true);
}

void writer_thread_fail(struct writer_thread *thread, int code, const char *what, const char *path)
{
    if (thread->outcome.error.code == 0)
        error_set(&thread->outcome.error, code, "the %s in %s failed: %s", what, path,
                  err_text(code));
}

void writer_thread_set_reserve(struct writer_thread *thread, int code)
{
    struct writer_outcome *outcome = &thread->outcome;
    pthread_mutex_lock(&thread->mutex);
    bool changed = (outcome->reserve < 0) != (code < 0);
    outcome->reserve = code;
    outcome->reserve_changed = outcome->reserve_changed || changed;
    release(thread, changed);
}

void writer_thread_prepare(struct writer_thread *thread)
{
    int rc = thread->ops->prepare(thread->arg);
    thread->prepared = rc == 0;
    if (rc != 0)
        writer_thread_set_reserve(thread, rc < 0 ? rc : 0);
}

void writer_thread_set_stalled(struct writer_thread *thread, bool stalled)
{
    pthread_mutex_lock(&thread->mutex);
    bool changed = thread->stalled != stalled;
    thread->stalled = stalled;
    if (stalled)
        pthread_cond_broadcast(&thread->idle);
    release(thread, changed);
}

/* ---- the thread ------------------------------------------------------------------------------ */

struct timespec writer_thread_retry_at(void)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += WRITER_THREAD_RETRY_S;
    return until;
}

enum next { NEXT_WRITE, NEXT_PREPARE, NEXT_END };

/* Called with the mutex held. */
static enum next wait_for_work(struct writer_thread *thread)
{
    thread->busy = false;
    pthread_cond_broadcast(&thread->idle);
    for (;;) {
        bool has_work = thread->ops->has_work(thread->arg);
        if (!thread->lent && (has_work || thread->stop)) {
            thread->busy = has_work;
            return has_work ? NEXT_WRITE : NEXT_END;
        }
        bool prepares = !thread->stop && thread->outcome.error.code == 0 &&
                        thread->ops->lacks_reserve(thread->arg);
        if (!prepares) {
            pthread_cond_wait(&thread->wake, &thread->mutex);
            continue;
        }
        if (thread->outcome.reserve == 0 || thread->prepared)
            return NEXT_PREPARE;
        struct timespec until = writer_thread_retry_at();
        if (pthread_cond_timedwait(&thread->wake, &thread->mutex, &until) != 0)
            return NEXT_PREPARE;
    }
}

static void *run(void *arg)
{
    struct writer_thread *thread = arg;
    enum next next;
    do {
        pthread_mutex_lock(&thread->mutex);
        next = wait_for_work(thread);
        if (next == NEXT_WRITE)
            thread->ops->take(thread->arg);
        pthread_mutex_unlock(&thread->mutex);
        if (next == NEXT_WRITE)
            thread->ops->write(thread->arg);
        else if (next == NEXT_PREPARE)
            writer_thread_prepare(thread);
    } while (next != NEXT_END);
    pthread_mutex_lock(&thread->mutex);
    thread->outcome.stopped = true;
    release(thread, true);
    return NULL;
}

/* ---- the loop writes ------------------------------------------------------------------------- */

static void give_up_queue(struct writer_thread *thread)
{
    disk_queue_close(thread->queue);
    thread->queue = NULL;
}

/* With the mutex held: starts what is first, when it is for the loop. */
static bool lend(struct writer_thread *thread)
{
    struct disk_write write;
    if (thread->queue == NULL || thread->busy || thread->lent || thread->outcome.error.code != 0 ||
        !thread->ops->has_work(thread->arg) || !thread->ops->plan(thread->arg, &write))
        return false;
    const struct wal_io *io = thread->owner.io;
    int rc = io->start(io->arg, thread->queue, &write);
    thread->lent = rc == 0;
    thread->lent_bytes = write.len;
    if (rc < 0)
        thread->ops->declined(thread->arg);
    if (rc < 0 && rc != -EAGAIN) /* not on this file system, or kernel */
        give_up_queue(thread);
    return thread->lent;
}

/* With the mutex held: what is queued is begun by whoever shall. */
static void begin(struct writer_thread *thread)
{
    if (lend(thread) || thread->lent || !thread->ops->has_work(thread->arg))
        return;
    thread->busy = true;
    pthread_cond_signal(&thread->wake);
}

/* A write that was declined, or done in part, is done again as a whole; one that failed is not.
 * What came meanwhile is the thread's. */
static void take_back(struct writer_thread *thread, int64_t result)
{
    thread->lent = false;
    bool declined = result >= 0 || result == -EAGAIN || result == -EINVAL || result == -EOPNOTSUPP;
    if (result == (int64_t)thread->lent_bytes)
        thread->ops->wrote(thread->arg);
    else if (declined)
        thread->ops->declined(thread->arg);
    else
        thread->ops->failed(thread->arg, (int)result);
    if (thread->ops->has_work(thread->arg)) {
        thread->busy = true;
        pthread_cond_signal(&thread->wake);
    }
}

static void on_written(void *arg, int64_t result)
{
    struct writer_thread *thread = arg;
    pthread_mutex_lock(&thread->mutex);
    take_back(thread, result);
    if (thread->stop)
        pthread_cond_signal(&thread->wake);
    if (!thread->notified)
        loop_hook_arm(&thread->hook);
    thread->notified = true;
    pthread_mutex_unlock(&thread->mutex);
}

/* ---- life ------------------------------------------------------------------------------------ */

static int create(struct writer_thread *thread)
{
    sigset_t all;
    sigset_t old;
    sigfillset(&all);
    pthread_attr_t attr;
    pthread_attr_init(&attr);
    pthread_attr_setstacksize(&attr, STACK_BYTES);
    pthread_sigmask(SIG_SETMASK, &all, &old);
    int rc = -pthread_create(&thread->thread, &attr, run, thread);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    pthread_attr_destroy(&attr);
    if (rc == 0)
        (void)pthread_setname_np(thread->thread, thread->ops->name);
    return rc;
}

static void done(struct writer_thread *thread)
{
    pthread_cond_destroy(&thread->wake);
    pthread_cond_destroy(&thread->idle);
    pthread_mutex_destroy(&thread->mutex);
}

int writer_thread_start(struct writer_thread *thread, const struct writer_thread_ops *ops,
                        void *arg, const struct writer_thread_owner *owner)
{
    *thread = (struct writer_thread){.ops = ops, .arg = arg, .owner = *owner};
    pthread_condattr_t clock;
    pthread_condattr_init(&clock);
    pthread_condattr_setclock(&clock, CLOCK_MONOTONIC);
    pthread_mutex_init(&thread->mutex, NULL);
    pthread_cond_init(&thread->wake, &clock);
    pthread_cond_init(&thread->idle, NULL);
    pthread_condattr_destroy(&clock);
    loop_hook_init(&thread->hook, owner->loop, LOOP_PHASE_DEFER, on_post, thread);
    int rc = create(thread);
    if (rc < 0)
        done(thread);
    else if (owner->io->start != NULL)
        (void)disk_queue_open(&thread->queue, owner->loop, on_written, thread);
    return rc;
}

void writer_thread_stop(struct writer_thread *thread)
{
    pthread_mutex_lock(&thread->mutex);
    thread->stop = true;
    pthread_cond_signal(&thread->wake);
    pthread_mutex_unlock(&thread->mutex);
}

void writer_thread_join(struct writer_thread *thread)
{
    pthread_join(thread->thread, NULL);
    loop_hook_disarm(&thread->hook);
    give_up_queue(thread);
    done(thread);
}

/* ---- for the loop ---------------------------------------------------------------------------- */

void writer_thread_lock(struct writer_thread *thread)
{
    pthread_mutex_lock(&thread->mutex);
}

void writer_thread_release_work(struct writer_thread *thread)
{
    begin(thread);
    pthread_mutex_unlock(&thread->mutex);
}

void writer_thread_release_taken(struct writer_thread *thread, struct writer_outcome *out)
{
    *out = thread->outcome;
    thread->outcome.reserve_changed = false;
    thread->notified = false;
    pthread_mutex_unlock(&thread->mutex);
}

int writer_thread_sync(struct writer_thread *thread)
{
    pthread_mutex_lock(&thread->mutex);
    while ((thread->lent || thread->busy) && !thread->stalled) {
        if (thread->lent) {
            pthread_mutex_unlock(&thread->mutex);
            disk_queue_wait(thread->queue);
            pthread_mutex_lock(&thread->mutex);
        } else {
            pthread_cond_wait(&thread->idle, &thread->mutex);
        }
    }
    int rc = thread->outcome.error.code;
    if (rc == 0 && thread->stalled)
        rc = -ENOSPC;
    pthread_mutex_unlock(&thread->mutex);
    return rc;
}

bool writer_thread_is_stalled(struct writer_thread *thread)
{
    pthread_mutex_lock(&thread->mutex);
    bool stalled = thread->stalled;
    pthread_mutex_unlock(&thread->mutex);
    return stalled;
}
