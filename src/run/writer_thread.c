#include "run/writer_thread.h"

#include <errno.h>
#include <signal.h>

enum { STACK_BYTES = 256 << 10 };

/* ---- telling the loop ------------------------------------------------------------------------ */

/* Unlocks and, when `tells` and the loop doesn't know already, notifies. */
static void release(struct writer_thread *thread, bool tells)
{
    bool notify = tells && !thread->notified;
    thread->notified = thread->notified || tells;
    pthread_mutex_unlock(&thread->mutex);
    if (notify)
        thread->notify(thread->notify_arg);
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

static bool lacks_reserve(const struct writer_thread *thread)
{
    return thread->outcome.error.code == 0 && thread->ops->lacks_reserve(thread->arg);
}

/* Called with the mutex held; returns for work, for the end, or for a step towards the reserve. */
static void wait_for_work(struct writer_thread *thread)
{
    thread->busy = false;
    pthread_cond_broadcast(&thread->idle);
    while (!thread->ops->has_work(thread->arg) && !thread->stop) {
        if (!lacks_reserve(thread)) {
            pthread_cond_wait(&thread->wake, &thread->mutex);
            continue;
        }
        if (thread->outcome.reserve == 0)
            break;
        struct timespec until = writer_thread_retry_at();
        if (pthread_cond_timedwait(&thread->wake, &thread->mutex, &until) != 0)
            break;
    }
    thread->busy = thread->ops->has_work(thread->arg);
}

static void *run(void *arg)
{
    struct writer_thread *thread = arg;
    for (;;) {
        pthread_mutex_lock(&thread->mutex);
        wait_for_work(thread);
        bool has_work = thread->busy;
        if (has_work)
            thread->ops->take(thread->arg);
        bool stop = thread->stop;
        pthread_mutex_unlock(&thread->mutex);
        if (has_work)
            thread->ops->write(thread->arg);
        else if (stop)
            break;
        else if (lacks_reserve(thread))
            writer_thread_prepare(thread);
    }
    pthread_mutex_lock(&thread->mutex);
    thread->outcome.stopped = true;
    release(thread, true);
    return NULL;
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
                        void *arg, void (*notify)(void *arg), void *notify_arg)
{
    *thread =
        (struct writer_thread){.ops = ops, .arg = arg, .notify = notify, .notify_arg = notify_arg};
    pthread_condattr_t clock;
    pthread_condattr_init(&clock);
    pthread_condattr_setclock(&clock, CLOCK_MONOTONIC);
    pthread_mutex_init(&thread->mutex, NULL);
    pthread_cond_init(&thread->wake, &clock);
    pthread_cond_init(&thread->idle, NULL);
    pthread_condattr_destroy(&clock);
    int rc = create(thread);
    if (rc < 0)
        done(thread);
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
    done(thread);
}

/* ---- for the loop ---------------------------------------------------------------------------- */

void writer_thread_lock(struct writer_thread *thread)
{
    pthread_mutex_lock(&thread->mutex);
}

void writer_thread_release_work(struct writer_thread *thread)
{
    thread->busy = true;
    pthread_cond_signal(&thread->wake);
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
    while (thread->busy && !thread->stalled)
        pthread_cond_wait(&thread->idle, &thread->mutex);
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
