/* One look at every directory below TASKS gives the attempts with their sizes and times; oldest
 * first they go until the rest is young enough and small enough. */
#include "run/retention.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <uthash.h>

#include "base/clock.h"
#include "base/mem.h"
#include "run/task_dir.h"

struct retention_attempt {
    struct task_key key;
    int64_t written_ms;
    uint64_t bytes;
};

struct retention_keep {
    struct task_key key;
    UT_hash_handle hh;
};

struct retention {
    const char *tasks_dir;
    struct retention_keep *keep; /* hash over an array */
    struct retention_attempt *attempts;
    size_t n;
    size_t cap;
    struct retention_stats stats;
};

static bool retention_must_keep(const struct retention *r, const struct task_key *key)
{
    struct retention_keep *found;

    HASH_FIND(hh, r->keep, key, sizeof *key, found);
    return found != NULL;
}

static void retention_count(struct retention_attempt *a, const struct stat *st)
{
    int64_t written_ms = (int64_t)st->st_mtim.tv_sec * 1000 + st->st_mtim.tv_nsec / 1000000;

    a->bytes += (uint64_t)st->st_blocks * 512;
    if (written_ms > a->written_ms)
        a->written_ms = written_ms;
}

/* The directory and its streams; work/ is gone when an attempt is over. */
static void retention_measure(int tasks_fd, const char *name, struct retention_attempt *a)
{
    static const char *const streams[] = {TASK_DIR_STDOUT, TASK_DIR_STDERR};
    struct stat st;

    if (fstatat(tasks_fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0)
        retention_count(a, &st);
    for (size_t i = 0; i < MEM_COUNT(streams); i++) {
        char *path = mem_printf("%s/%s", name, streams[i]);
        if (fstatat(tasks_fd, path, &st, AT_SYMLINK_NOFOLLOW) == 0)
            retention_count(a, &st);
        free(path);
    }
}

static int retention_list(struct retention *r)
{
    struct dirent *entry;
    DIR *dir = opendir(r->tasks_dir);

    if (!dir)
        return -errno;
    while ((entry = readdir(dir)) != NULL) {
        struct retention_attempt a = {0};
        if (task_dir_parse(entry->d_name, &a.key) < 0)
            continue;
        retention_measure(dirfd(dir), entry->d_name, &a);
        r->stats.attempts_kept++;
        r->stats.bytes_kept += a.bytes;
        if (retention_must_keep(r, &a.key))
            continue;
        MEM_GROW(r->attempts, r->cap, r->n + 1);
        r->attempts[r->n++] = a;
    }
    closedir(dir);
    return 0;
}

static int retention_compare(const void *a, const void *b)
{
    const struct retention_attempt *x = a, *y = b;

    return (x->written_ms > y->written_ms) - (x->written_ms < y->written_ms);
}

static bool retention_is_due(const struct retention *r, const struct retention_attempt *a,
                             const struct retention_policy *policy, int64_t now_ms)
{
    int64_t age_ms = now_ms - a->written_ms;

    if (age_ms < RETENTION_FRESH_MS)
        return false;
    return (policy->age_max_ms > 0 && age_ms > policy->age_max_ms) ||
           (policy->bytes_max > 0 && r->stats.bytes_kept > policy->bytes_max);
}

/* Goes on after an attempt that can't be removed; returns the first error. */
static int retention_remove(struct retention *r, const struct retention_policy *policy,
                            int64_t now_ms, struct error *e)
{
    int first = 0;

    if (r->n > 0)
        qsort(r->attempts, r->n, sizeof *r->attempts, retention_compare);
    for (size_t i = 0; i < r->n; i++) {
        const struct retention_attempt *a = &r->attempts[i];
        if (!retention_is_due(r, a, policy, now_ms))
            break; /* the others are younger */
        char *path = task_dir_path(r->tasks_dir, &a->key);
        int err = task_dir_remove(path, first < 0 ? NULL : e);
        free(path);
        if (err < 0) {
            first = first < 0 ? first : err;
            continue;
        }
        r->stats.attempts_kept--;
        r->stats.bytes_kept -= a->bytes;
        r->stats.attempts_removed++;
        r->stats.bytes_removed += a->bytes;
    }
    return first;
}

int retention_sweep(const char *tasks_dir, const struct retention_policy *policy,
                    const struct task_key *keep, size_t keep_n, int64_t now_ms,
                    struct retention_stats *stats, struct error *e)
{
    struct retention r = {.tasks_dir = tasks_dir};
    struct retention_keep *rows = mem_calloc(keep_n, sizeof *rows);

    for (size_t i = 0; i < keep_n; i++) {
        rows[i].key = keep[i];
        HASH_ADD(hh, r.keep, key, sizeof rows[i].key, &rows[i]);
    }
    int err = retention_list(&r);
    if (err < 0)
        error_set(e, err, "cannot read %s: %s", tasks_dir, err_text(err));
    else
        err = retention_remove(&r, policy, now_ms, e);
    *stats = r.stats;
    HASH_CLEAR(hh, r.keep);
    free(rows);
    free(r.attempts);
    return err;
}

struct retention_job {
    uv_work_t work;
    char *tasks_dir;
    struct retention_policy policy;
    struct task_key *keep;
    size_t keep_n;
    struct retention_stats stats;
    struct error e;
    int code;
    retention_done_fn done;
    void *arg;
};

static void retention_work(uv_work_t *work)
{
    struct retention_job *job = work->data;

    job->code = retention_sweep(job->tasks_dir, &job->policy, job->keep, job->keep_n,
                                clock_wall_ms(), &job->stats, &job->e);
}

static void retention_worked(uv_work_t *work, int status)
{
    struct retention_job *job = work->data;

    (void)status; /* it is never cancelled */
    job->done(job->arg, job->code, &job->stats, job->e.text);
    free(job->tasks_dir);
    free(job->keep);
    free(job);
}

void retention_start(uv_loop_t *loop, const char *tasks_dir, const struct retention_policy *policy,
                     const struct task_key *keep, size_t keep_n, retention_done_fn done, void *arg)
{
    struct retention_job *job = mem_zalloc(sizeof *job);

    *job = (struct retention_job){
        .tasks_dir = mem_strdup(tasks_dir),
        .policy = *policy,
        .keep = mem_dup(keep, keep_n * sizeof *keep),
        .keep_n = keep_n,
        .done = done,
        .arg = arg,
    };
    job->work.data = job;
    uv_queue_work(loop, &job->work, retention_work, retention_worked);
}
