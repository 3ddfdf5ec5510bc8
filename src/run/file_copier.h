/* Checked copies of files on the threads of the pool, FILE_COPIER_MAX at a time, in the order in
 * which they were asked for. */
#ifndef RUN_FILE_COPIER_H
#define RUN_FILE_COPIER_H

#include <stdatomic.h>
#include <stdbool.h>
#include <sys/queue.h>

#include "base/error.h"
#include "run/file_copy.h"
#include "run/loop.h"

enum { FILE_COPIER_MAX = 2 };

struct file_copier_job;
TAILQ_HEAD(file_copier_jobs, file_copier_job);

struct file_copier {
    struct loop *loop;
    struct file_copier_jobs waiting;
    unsigned copying;
};

/* One copy; embedded in whoever wants it. */
struct file_copier_job {
    struct file_copier *copier;
    struct file_copy copy;
    struct loop_work *work; /* NULL: it waits for its turn, or nothing is under way */
    bool waits;
    atomic_bool cancel;
    struct error e;
    void (*fn)(void *arg);
    void *arg;
    TAILQ_ENTRY(file_copier_job) link;
};

void file_copier_init(struct file_copier *copier, struct loop *loop);

/* Begins a copy of what `job` is not busy with; the texts of `copy` stay the caller's until the
 * end, its `cancel` is set here. `fn` follows, never from inside this, with the outcome in job->e
 * (ERR_CANCELLED too); then the job may be used again, or go. */
void file_copier_start(struct file_copier *copier, struct file_copier_job *job,
                       const struct file_copy *copy, void (*fn)(void *arg), void *arg);

/* True: it had not begun, and `fn` does not follow. False: `fn` follows, or nothing was under way.
 */
bool file_copier_cancel(struct file_copier_job *job);

#endif
