#include "run/journal_thread.h"

#include <signal.h>
#include <time.h>

enum { STACK_BYTES = 256 << 10, RESERVE_RETRY_S = 1 };

/* Called with the mutex held: whether the loop has to be told. */
static bool should_notify(struct journal_thread *thread)
{
    bool first = !thread->notified;
    thread->notified = true;
    return first;
}

static void prepare_reserve(struct journal_thread *thread)
{
    int rc = journal_writer_prepare(thread->writer);
    if (rc == 0)
        return;
    int code = rc < 0 ? rc : 0;
    struct journal_outcome *outcome = &thread->outcome;
    pthread_mutex_lock(&thread->mutex);
    bool changed = (outcome->reserve < 0) != (code < 0);
    outcome->reserve = code;
    outcome->reserve_changed = outcome->reserve_changed || changed;
    bool notify = changed && should_notify(thread);
    pthread_mutex_unlock(&thread->mutex);
    if (notify)
        thread->notify(thread->arg);
}

static void hand_back(struct journal_thread *thread, struct journal_op *op, int failed)
{
    struct journal_outcome *outcome = &thread->outcome;
    pthread_mutex_lock(&thread->mutex);
    if (failed < 0 && outcome->error.code == 0)
        error_set(&outcome->error, failed, "the journal in %s failed: %s",
                  thread->writer->dir->path, err_text(failed));
    STAILQ_INSERT_TAIL(&outcome->done, op, entry);
    bool notify = should_notify(thread);
    pthread_mutex_unlock(&thread->mutex);
    if (notify)
        thread->notify(thread->arg);
}

static void execute_all(struct journal_thread *thread, struct journal_op_list *work)
{
    int failed = thread->outcome.error.code; /* only this thread sets it */
    struct journal_op *op;
    while ((op = STAILQ_FIRST(work)) != NULL) {
        STAILQ_REMOVE_HEAD(work, entry);
        if (failed == 0)
            failed = journal_writer_step(thread->writer, op);
        else
            op->status = failed;
        hand_back(thread, op, failed);
        if (failed == 0 && thread->outcome.reserve == 0 && journal_writer_is_low(thread->writer))
            prepare_reserve(thread);
    }
}

static bool lacks_reserve(const struct journal_thread *thread)
{
    return !thread->writer->next_ready && thread->outcome.error.code == 0;
}

/* Called with the mutex held; returns for work, for the end, or for a step towards the reserve. One
 * that could not be had is tried again each second. */
static void wait_for_work(struct journal_thread *thread)
{
    thread->busy = false;
    pthread_cond_broadcast(&thread->idle);
    while (STAILQ_EMPTY(&thread->queue) && !thread->stop) {
        if (!lacks_reserve(thread)) {
            pthread_cond_wait(&thread->wake, &thread->mutex);
            continue;
        }
        if (thread->outcome.reserve == 0)
            break;
        struct timespec until;
        clock_gettime(CLOCK_MONOTONIC, &until);
        until.tv_sec += RESERVE_RETRY_S;
        if (pthread_cond_timedwait(&thread->wake, &thread->mutex, &until) != 0)
            break;
    }
    thread->busy = !STAILQ_EMPTY(&thread->queue);
}

static void *run(void *arg)
{
    struct journal_thread *thread = arg;
    for (;;) {
        struct journal_op_list work = STAILQ_HEAD_INITIALIZER(work);
        pthread_mutex_lock(&thread->mutex);
        wait_for_work(thread);
        STAILQ_CONCAT(&work, &thread->queue);
        bool stop = thread->stop;
        pthread_mutex_unlock(&thread->mutex);
        if (!STAILQ_EMPTY(&work))
            execute_all(thread, &work);
        else if (stop)
            break;
        else if (lacks_reserve(thread))
            prepare_reserve(thread);
    }
    pthread_mutex_lock(&thread->mutex);
    thread->outcome.stopped = true;
    bool notify = should_notify(thread);
    pthread_mutex_unlock(&thread->mutex);
    if (notify)
        thread->notify(thread->arg);
    return NULL;
}

static int create(struct journal_thread *thread)
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
        (void)pthread_setname_np(thread->thread, "journal");
    return rc;
}

static void done(struct journal_thread *thread)
{
    pthread_cond_destroy(&thread->wake);
    pthread_cond_destroy(&thread->idle);
    pthread_mutex_destroy(&thread->mutex);
}

int journal_thread_start(struct journal_thread *thread, struct journal_writer *writer,
                         void (*notify)(void *arg), void *arg, struct error *e)
{
    *thread = (struct journal_thread){.writer = writer, .notify = notify, .arg = arg};
    STAILQ_INIT(&thread->queue);
    STAILQ_INIT(&thread->outcome.done);
    pthread_condattr_t clock;
    pthread_condattr_init(&clock);
    pthread_condattr_setclock(&clock, CLOCK_MONOTONIC);
    pthread_mutex_init(&thread->mutex, NULL);
    pthread_cond_init(&thread->wake, &clock);
    pthread_cond_init(&thread->idle, NULL);
    pthread_condattr_destroy(&clock);
    int rc = create(thread);
    if (rc < 0) {
        done(thread);
        return error_set(e, rc, "cannot start a thread for the journal in %s: %s",
                         writer->dir->path, err_text(rc));
    }
    return 0;
}

void journal_thread_put(struct journal_thread *thread, struct journal_op_list *ops)
{
    pthread_mutex_lock(&thread->mutex);
    STAILQ_CONCAT(&thread->queue, ops);
    thread->busy = true;
    pthread_cond_signal(&thread->wake);
    pthread_mutex_unlock(&thread->mutex);
}

void journal_thread_take(struct journal_thread *thread, struct journal_outcome *out)
{
    pthread_mutex_lock(&thread->mutex);
    *out = thread->outcome;
    STAILQ_INIT(&out->done);
    STAILQ_CONCAT(&out->done, &thread->outcome.done);
    thread->outcome.reserve_changed = false;
    thread->notified = false;
    pthread_mutex_unlock(&thread->mutex);
}

int journal_thread_sync(struct journal_thread *thread)
{
    pthread_mutex_lock(&thread->mutex);
    while (thread->busy)
        pthread_cond_wait(&thread->idle, &thread->mutex);
    int rc = thread->outcome.error.code;
    pthread_mutex_unlock(&thread->mutex);
    return rc;
}

void journal_thread_stop(struct journal_thread *thread)
{
    pthread_mutex_lock(&thread->mutex);
    thread->stop = true;
    pthread_cond_signal(&thread->wake);
    pthread_mutex_unlock(&thread->mutex);
}

void journal_thread_join(struct journal_thread *thread)
{
    pthread_join(thread->thread, NULL);
    done(thread);
}
