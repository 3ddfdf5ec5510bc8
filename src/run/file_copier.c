#include "run/file_copier.h"

#include <assert.h>

void file_copier_init(struct file_copier *copier, struct loop *loop)
{
    *copier = (struct file_copier){.loop = loop};
    TAILQ_INIT(&copier->waiting);
}

static void file_copier_pump(struct file_copier *copier);

static void file_copier_work(void *arg)
{
    struct file_copier_job *job = arg;
    (void)file_copy_checked(&job->copy, &job->e);
}

static void file_copier_on_done(void *arg, int code)
{
    struct file_copier_job *job = arg;
    struct file_copier *copier = job->copier;
    job->work = NULL;
    copier->copying--;
    if (code < 0 || atomic_load(&job->cancel))
        (void)error_set(&job->e, ERR_CANCELLED, "cancelled");
    job->fn(job->arg);
    file_copier_pump(copier);
}

static void file_copier_pump(struct file_copier *copier)
{
    struct file_copier_job *job;
    while (copier->copying < FILE_COPIER_MAX && (job = TAILQ_FIRST(&copier->waiting)) != NULL) {
        TAILQ_REMOVE(&copier->waiting, job, link);
        job->waits = false;
        copier->copying++;
        job->work = loop_work(copier->loop, file_copier_work, file_copier_on_done, job);
    }
}

void file_copier_start(struct file_copier *copier, struct file_copier_job *job,
                       const struct file_copy *copy, void (*fn)(void *arg), void *arg)
{
    assert(job->work == NULL && !job->waits);
    job->copier = copier;
    job->copy = *copy;
    job->copy.cancel = &job->cancel;
    atomic_store(&job->cancel, false);
    job->e = (struct error){0};
    job->fn = fn;
    job->arg = arg;
    job->waits = true;
    TAILQ_INSERT_TAIL(&copier->waiting, job, link);
    file_copier_pump(copier);
}

bool file_copier_cancel(struct file_copier_job *job)
{
    if (job->waits) {
        TAILQ_REMOVE(&job->copier->waiting, job, link);
        job->waits = false;
        return true;
    }
    atomic_store(&job->cancel, true);
    if (job->work != NULL)
        (void)loop_work_cancel(job->work);
    return false;
}
