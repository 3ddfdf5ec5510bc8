#include "run/wal_thread.h"

#include <errno.h>

static void hand_back(struct wal_thread *thread, struct wal_queue *done)
{
    writer_thread_lock(&thread->base);
    STAILQ_CONCAT(&thread->done, done);
    thread->disk_bytes = wal_store_bytes(thread->store);
    writer_thread_release_done(&thread->base);
}

static void fail_all(struct wal_thread *thread, struct wal_queue *work, int code)
{
    struct wal_req *req;
    STAILQ_FOREACH (req, work, entry)
        req->status = code;
    writer_thread_lock(&thread->base);
    writer_thread_fail(&thread->base, code, "log", thread->store->dir.path);
    STAILQ_CONCAT(&thread->done, work);
    thread->disk_bytes = wal_store_bytes(thread->store);
    writer_thread_release_done(&thread->base);
}

/* Under load the reserve is made between blocks: at once from a spare, else in the second half of
 * the active segment. */
static bool should_prepare(const struct wal_thread *thread)
{
    const struct wal_store *store = thread->store;
    bool is_due =
        thread->base.outcome.reserve == 0 && store->offset > store->active->head.bytes / 2;
    return store->next == NULL && (store->spares_count > 0 || is_due);
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
static int wait_for_room(struct wal_thread *thread)
{
    struct writer_thread *base = &thread->base;
    writer_thread_set_reserve(base, -ENOSPC);
    writer_thread_set_stalled(base, true);
    int rc = wal_writer_trim_ahead(&thread->writer, &thread->work);
    if (rc != 0)
        return rc < 0 ? rc : 0;
    struct timespec until = writer_thread_retry_at();
    writer_thread_lock(base);
    bool late = false;
    while (!base->stop && !late && !has_trim(&thread->queue))
        late = pthread_cond_timedwait(&base->wake, &base->mutex, &until) != 0;
    STAILQ_CONCAT(&thread->work, &thread->queue);
    rc = base->stop ? -ENOSPC : 0;
    pthread_mutex_unlock(&base->mutex);
    return rc;
}

static void write_all(void *arg)
{
    struct wal_thread *thread = arg;
    struct wal_queue done = STAILQ_HEAD_INITIALIZER(done);
    int failed = thread->base.outcome.error.code; /* only who writes sets it */
    while (failed == 0 && !STAILQ_EMPTY(&thread->work)) {
        failed = wal_writer_step(&thread->writer, &thread->work, &done);
        if (!STAILQ_EMPTY(&done))
            hand_back(thread, &done);
        if (failed == WAL_WRITER_NO_ROOM) {
            failed = wait_for_room(thread);
            continue;
        }
        if (thread->base.stalled) /* only this thread sets it */
            writer_thread_set_stalled(&thread->base, false);
        if (failed == 0 && should_prepare(thread))
            writer_thread_prepare(&thread->base);
    }
    if (failed != 0)
        fail_all(thread, &thread->work, failed);
}

static bool has_work(void *arg)
{
    const struct wal_thread *thread = arg;
    return !STAILQ_EMPTY(&thread->queue);
}

static void take(void *arg)
{
    struct wal_thread *thread = arg;
    STAILQ_CONCAT(&thread->work, &thread->queue);
}

static bool lacks_reserve(const void *arg)
{
    const struct wal_thread *thread = arg;
    return thread->store->next == NULL;
}

static int prepare(void *arg)
{
    struct wal_thread *thread = arg;
    return wal_store_prepare(thread->store);
}

static bool plan(void *arg, struct disk_write *write)
{
    struct wal_thread *thread = arg;
    return wal_writer_plan(&thread->writer, &thread->queue, write);
}

static void wrote(void *arg)
{
    struct wal_thread *thread = arg;
    wal_writer_wrote(&thread->writer, &thread->queue, &thread->done);
    thread->disk_bytes = wal_store_bytes(thread->store);
}

/* The block stays made, its requests stay queued. */
static void declined(void *arg)
{
    (void)arg;
}

static void failed(void *arg, int code)
{
    struct wal_thread *thread = arg;
    writer_thread_fail(&thread->base, code, "log", thread->store->dir.path);
}

static const struct writer_thread_ops wal_thread_ops = {
    .name = "wal",
    .has_work = has_work,
    .take = take,
    .write = write_all,
    .lacks_reserve = lacks_reserve,
    .prepare = prepare,
    .plan = plan,
    .wrote = wrote,
    .declined = declined,
    .failed = failed,
};

int wal_thread_start(struct wal_thread *thread, struct wal_store *store,
                     const struct writer_thread_owner *owner, struct error *e)
{
    *thread = (struct wal_thread){.store = store};
    int rc = wal_writer_init(&thread->writer, store, e);
    if (rc < 0) {
        wal_writer_done(&thread->writer);
        return rc;
    }
    STAILQ_INIT(&thread->queue);
    STAILQ_INIT(&thread->done);
    STAILQ_INIT(&thread->work);
    thread->disk_bytes = wal_store_bytes(store);
    rc = writer_thread_start(&thread->base, &wal_thread_ops, thread, owner);
    if (rc < 0) {
        wal_writer_done(&thread->writer);
        return error_set(e, rc, "cannot start a thread for the log in %s: %s", store->dir.path,
                         err_text(rc));
    }
    return 0;
}

void wal_thread_put(struct wal_thread *thread, struct wal_queue *queue)
{
    writer_thread_lock(&thread->base);
    STAILQ_CONCAT(&thread->queue, queue);
    writer_thread_release_work(&thread->base);
}

void wal_thread_take(struct wal_thread *thread, struct wal_outcome *out)
{
    STAILQ_INIT(&out->done);
    writer_thread_lock(&thread->base);
    STAILQ_CONCAT(&out->done, &thread->done);
    writer_thread_release_taken(&thread->base, &out->writer);
}

int wal_thread_sync(struct wal_thread *thread)
{
    return writer_thread_sync(&thread->base);
}

bool wal_thread_is_stalled(struct wal_thread *thread)
{
    return writer_thread_is_stalled(&thread->base);
}

uint64_t wal_thread_disk_bytes(struct wal_thread *thread)
{
    writer_thread_lock(&thread->base);
    uint64_t bytes = thread->disk_bytes;
    pthread_mutex_unlock(&thread->base.mutex);
    return bytes;
}

void wal_thread_stop(struct wal_thread *thread)
{
    writer_thread_stop(&thread->base);
}

void wal_thread_join(struct wal_thread *thread)
{
    writer_thread_join(&thread->base);
    wal_writer_done(&thread->writer);
}
