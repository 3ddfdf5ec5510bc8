#include "run/wal_thread.h"

#include <errno.h>
#include <signal.h>
#include <time.h>

enum { STACK_BYTES = 256 << 10, RESERVE_RETRY_S = 1 };

/* Called with the mutex held: whether the loop has to be told. */
static bool should_notify(struct wal_thread *thread)
{
    bool first = !thread->notified;
    thread->notified = true;
    return first;
}

static void set_reserve(struct wal_thread *thread, int code)
{
    struct wal_outcome *outcome = &thread->outcome;
    pthread_mutex_lock(&thread->mutex);
    bool changed = (outcome->reserve < 0) != (code < 0);
    outcome->reserve = code;
    outcome->reserve_changed = outcome->reserve_changed || changed;
    bool notify = changed && should_notify(thread);
    pthread_mutex_unlock(&thread->mutex);
    if (notify)
        thread->notify(thread->arg);
}

/* Takes one step towards the reserve. */
static void prepare_reserve(struct wal_thread *thread)
{
    int rc = wal_store_prepare(thread->store);
    if (rc != 0)
        set_reserve(thread, rc < 0 ? rc : 0);
}

static void hand_back(struct wal_thread *thread, struct wal_queue *done)
{
    pthread_mutex_lock(&thread->mutex);
    STAILQ_CONCAT(&thread->outcome.done, done);
    thread->disk_bytes = wal_store_bytes(thread->store);
    bool notify = should_notify(thread);
    pthread_mutex_unlock(&thread->mutex);
    if (notify)
        thread->notify(thread->arg);
}

static void fail_all(struct wal_thread *thread, struct wal_queue *work, int code)
{
    pthread_mutex_lock(&thread->mutex);
    if (thread->outcome.error.code == 0)
        error_set(&thread->outcome.error, code, "the log in %s failed: %s", thread->store->dir.path,
                  err_text(code));
    pthread_mutex_unlock(&thread->mutex);
    struct wal_req *req;
    STAILQ_FOREACH (req, work, entry)
        req->status = code;
    hand_back(thread, work);
}

/* Under load the reserve is made between blocks: at once from a spare, else in the second half of
 * the active segment. */
static bool should_prepare(const struct wal_thread *thread)
{
    const struct wal_store *store = thread->store;
    bool is_due = thread->outcome.reserve == 0 && store->offset > store->active->head.bytes / 2;
    return store->next == NULL && (store->spares_count > 0 || is_due);
}

static void set_stalled(struct wal_thread *thread, bool stalled)
{
    pthread_mutex_lock(&thread->mutex);
    bool notify = thread->stalled != stalled && should_notify(thread);
    thread->stalled = stalled;
    if (stalled)
        pthread_cond_broadcast(&thread->idle);
    pthread_mutex_unlock(&thread->mutex);
    if (notify)
        thread->notify(thread->arg);
}

static struct timespec after_retry(void)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += RESERVE_RETRY_S;
    return until;
}

static bool has_trim(const struct wal_queue *queue)
{
    const struct wal_req *req;
    STAILQ_FOREACH (req, queue, entry)
        if (req->kind == WAL_KIND_TRIM)
            return true;
    return false;
}

/* Waits until another try is worth it: a trim gave back a segment, or some time has passed. -ENOSPC
 * when the log is being closed. */
static int wait_for_room(struct wal_thread *thread, struct wal_queue *work)
{
    set_reserve(thread, -ENOSPC);
    set_stalled(thread, true);
    int rc = wal_writer_trim_ahead(&thread->writer, work);
    if (rc != 0)
        return rc < 0 ? rc : 0;
    struct timespec until = after_retry();
    pthread_mutex_lock(&thread->mutex);
    bool late = false;
    while (!thread->stop && !late && !has_trim(&thread->queue))
        late = pthread_cond_timedwait(&thread->wake, &thread->mutex, &until) != 0;
    STAILQ_CONCAT(work, &thread->queue);
    rc = thread->stop ? -ENOSPC : 0;
    pthread_mutex_unlock(&thread->mutex);
    return rc;
}

static void write_all(struct wal_thread *thread, struct wal_queue *work)
{
    struct wal_queue done = STAILQ_HEAD_INITIALIZER(done);
    int failed = thread->outcome.error.code; /* only this thread sets it */
    while (failed == 0 && !STAILQ_EMPTY(work)) {
        failed = wal_writer_step(&thread->writer, work, &done);
        if (!STAILQ_EMPTY(&done))
            hand_back(thread, &done);
        if (failed == WAL_WRITER_NO_ROOM) {
            failed = wait_for_room(thread, work);
            continue;
        }
        if (thread->stalled) /* only this thread sets it */
            set_stalled(thread, false);
        if (failed == 0 && should_prepare(thread))
            prepare_reserve(thread);
    }
    if (failed != 0)
        fail_all(thread, work, failed);
}

static bool lacks_reserve(const struct wal_thread *thread)
{
    return thread->store->next == NULL && thread->outcome.error.code == 0;
}

/* Called with the mutex held; returns for work, for the end, or for a step towards the reserve. One
 * that could not be had is tried again each second. */
static void wait_for_work(struct wal_thread *thread)
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
        struct timespec until = after_retry();
        if (pthread_cond_timedwait(&thread->wake, &thread->mutex, &until) != 0)
            break;
    }
    thread->busy = !STAILQ_EMPTY(&thread->queue);
}

static void *run(void *arg)
{
    struct wal_thread *thread = arg;
    for (;;) {
        struct wal_queue work = STAILQ_HEAD_INITIALIZER(work);
        pthread_mutex_lock(&thread->mutex);
        wait_for_work(thread);
        STAILQ_CONCAT(&work, &thread->queue);
        bool stop = thread->stop;
        pthread_mutex_unlock(&thread->mutex);
        if (!STAILQ_EMPTY(&work))
            write_all(thread, &work);
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

static int create(struct wal_thread *thread)
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
        (void)pthread_setname_np(thread->thread, "wal");
    return rc;
}

static void done(struct wal_thread *thread)
{
    wal_writer_done(&thread->writer);
    pthread_cond_destroy(&thread->wake);
    pthread_cond_destroy(&thread->idle);
    pthread_mutex_destroy(&thread->mutex);
}

int wal_thread_start(struct wal_thread *thread, struct wal_store *store, void (*notify)(void *arg),
                     void *arg, struct error *e)
{
    *thread = (struct wal_thread){.store = store, .notify = notify, .arg = arg};
    int rc = wal_writer_init(&thread->writer, store, e);
    if (rc < 0) {
        wal_writer_done(&thread->writer);
        return rc;
    }
    STAILQ_INIT(&thread->queue);
    STAILQ_INIT(&thread->outcome.done);
    thread->disk_bytes = wal_store_bytes(store);
    pthread_condattr_t clock;
    pthread_condattr_init(&clock);
    pthread_condattr_setclock(&clock, CLOCK_MONOTONIC);
    pthread_mutex_init(&thread->mutex, NULL);
    pthread_cond_init(&thread->wake, &clock);
    pthread_cond_init(&thread->idle, NULL);
    pthread_condattr_destroy(&clock);
    rc = create(thread);
    if (rc < 0) {
        done(thread);
        return error_set(e, rc, "cannot start a thread for the log in %s: %s", store->dir.path,
                         err_text(rc));
    }
    return 0;
}

void wal_thread_put(struct wal_thread *thread, struct wal_queue *queue)
{
    pthread_mutex_lock(&thread->mutex);
    STAILQ_CONCAT(&thread->queue, queue);
    thread->busy = true;
    pthread_cond_signal(&thread->wake);
    pthread_mutex_unlock(&thread->mutex);
}

void wal_thread_take(struct wal_thread *thread, struct wal_outcome *out)
{
    pthread_mutex_lock(&thread->mutex);
    *out = thread->outcome;
    STAILQ_INIT(&out->done);
    STAILQ_CONCAT(&out->done, &thread->outcome.done);
    thread->outcome.reserve_changed = false;
    thread->notified = false;
    pthread_mutex_unlock(&thread->mutex);
}

int wal_thread_sync(struct wal_thread *thread)
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

bool wal_thread_is_stalled(struct wal_thread *thread)
{
    pthread_mutex_lock(&thread->mutex);
    bool stalled = thread->stalled;
    pthread_mutex_unlock(&thread->mutex);
    return stalled;
}

uint64_t wal_thread_disk_bytes(struct wal_thread *thread)
{
    pthread_mutex_lock(&thread->mutex);
    uint64_t bytes = thread->disk_bytes;
    pthread_mutex_unlock(&thread->mutex);
    return bytes;
}

void wal_thread_stop(struct wal_thread *thread)
{
    pthread_mutex_lock(&thread->mutex);
    thread->stop = true;
    pthread_cond_signal(&thread->wake);
    pthread_mutex_unlock(&thread->mutex);
}

void wal_thread_join(struct wal_thread *thread)
{
    pthread_join(thread->thread, NULL);
    done(thread);
}
