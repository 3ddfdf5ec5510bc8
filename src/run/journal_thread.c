#include "run/journal_thread.h"

static void hand_back(struct journal_thread *thread, struct journal_op *op, int failed)
{
    writer_thread_lock(&thread->base);
    if (failed < 0)
        writer_thread_fail(&thread->base, failed, "journal", thread->writer->dir->path);
    STAILQ_INSERT_TAIL(&thread->done, op, entry);
    writer_thread_release_done(&thread->base);
}

static void execute_all(void *arg)
{
    struct journal_thread *thread = arg;
    const struct writer_outcome *outcome = &thread->base.outcome;
    int failed =
        outcome->error.code; /* only this thread sets it, as what is known of the reserve */
    struct journal_op *op;
    while ((op = STAILQ_FIRST(&thread->work)) != NULL) {
        STAILQ_REMOVE_HEAD(&thread->work, entry);
        if (failed == 0)
            failed = journal_writer_step(thread->writer, op);
        else
            op->status = failed;
        hand_back(thread, op, failed);
        if (failed == 0 && outcome->reserve == 0 && journal_writer_is_low(thread->writer))
            writer_thread_prepare(&thread->base);
    }
}

static bool has_work(void *arg)
{
    const struct journal_thread *thread = arg;
    return !STAILQ_EMPTY(&thread->queue);
}

static void take(void *arg)
{
    struct journal_thread *thread = arg;
    STAILQ_CONCAT(&thread->work, &thread->queue);
}

static bool lacks_reserve(const void *arg)
{
    const struct journal_thread *thread = arg;
    return !thread->writer->next_ready;
}

static int prepare(void *arg)
{
    struct journal_thread *thread = arg;
    return journal_writer_prepare(thread->writer);
}

static const struct writer_thread_ops journal_thread_ops = {
    .name = "journal",
    .has_work = has_work,
    .take = take,
    .write = execute_all,
    .lacks_reserve = lacks_reserve,
    .prepare = prepare,
};

int journal_thread_start(struct journal_thread *thread, struct journal_writer *writer,
                         void (*notify)(void *arg), void *arg, struct error *e)
{
    *thread = (struct journal_thread){.writer = writer};
    STAILQ_INIT(&thread->queue);
    STAILQ_INIT(&thread->done);
    STAILQ_INIT(&thread->work);
    int rc = writer_thread_start(&thread->base, &journal_thread_ops, thread, notify, arg);
    if (rc < 0)
        return error_set(e, rc, "cannot start a thread for the journal in %s: %s",
                         writer->dir->path, err_text(rc));
    return 0;
}

void journal_thread_put(struct journal_thread *thread, struct journal_op_list *ops)
{
    writer_thread_lock(&thread->base);
    STAILQ_CONCAT(&thread->queue, ops);
    writer_thread_release_work(&thread->base);
}

void journal_thread_take(struct journal_thread *thread, struct journal_outcome *out)
{
    STAILQ_INIT(&out->done);
    writer_thread_lock(&thread->base);
    STAILQ_CONCAT(&out->done, &thread->done);
    writer_thread_release_taken(&thread->base, &out->writer);
}

int journal_thread_sync(struct journal_thread *thread)
{
    return writer_thread_sync(&thread->base);
}

void journal_thread_stop(struct journal_thread *thread)
{
    writer_thread_stop(&thread->base);
}

void journal_thread_join(struct journal_thread *thread)
{
    writer_thread_join(&thread->base);
}
