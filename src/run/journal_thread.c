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
    int failed = outcome->error.code; /* only who writes sets it; the reserve, only this thread */
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

static bool plan(void *arg, struct disk_write *write)
{
    struct journal_thread *thread = arg;
    struct journal_op *op = STAILQ_FIRST(&thread->queue);
    if (!journal_writer_plan(thread->writer, op, write))
        return false;
    STAILQ_REMOVE_HEAD(&thread->queue, entry);
    thread->lent = op;
    return true;
}

static void end_lent(struct journal_thread *thread, int status)
{
    struct journal_op *op = thread->lent;
    thread->lent = NULL;
    op->status = status;
    STAILQ_INSERT_TAIL(&thread->done, op, entry);
}

static void wrote(void *arg)
{
    struct journal_thread *thread = arg;
    journal_writer_wrote(thread->writer, thread->lent);
    end_lent(thread, 0);
}

static void declined(void *arg)
{
    struct journal_thread *thread = arg;
    STAILQ_INSERT_HEAD(&thread->queue, thread->lent, entry);
    thread->lent = NULL;
}

static void failed(void *arg, int code)
{
    struct journal_thread *thread = arg;
    writer_thread_fail(&thread->base, code, "journal", thread->writer->dir->path);
    end_lent(thread, code);
}

static const struct writer_thread_ops journal_thread_ops = {
    .name = "journal",
    .has_work = has_work,
    .take = take,
    .write = execute_all,
    .lacks_reserve = lacks_reserve,
    .prepare = prepare,
    .plan = plan,
    .wrote = wrote,
    .declined = declined,
    .failed = failed,
};

int journal_thread_start(struct journal_thread *thread, struct journal_writer *writer,
                         const struct writer_thread_owner *owner, struct error *e)
{
    *thread = (struct journal_thread){.writer = writer};
    STAILQ_INIT(&thread->queue);
    STAILQ_INIT(&thread->done);
    STAILQ_INIT(&thread->work);
    int rc = writer_thread_start(&thread->base, &journal_thread_ops, thread, owner);
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
