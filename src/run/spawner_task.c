/* Starting: directory, streams, group, process; what fails undoes what was done. Reporting: sizes
 * of the streams, then, if asked to and if both are small and work/ is empty, their content instead
 * of the directory. */
#include "run/spawner_task.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/mem.h"
#include "run/spawner_child.h"
#include "run/task_dir.h"

/* Without control groups the sum of resident memory is watched; a process that grows faster than
 * that is looked at ends here. Stacks of threads count though they are hardly touched, so it is
 * generous. */
enum { SPAWNER_TASK_DATA_FACTOR = 2, SPAWNER_TASK_DATA_EXTRA = 256 * 1024 * 1024 };

static int spawner_task_open_stream(const char *dir, const char *name)
{
    char path[PATH_MAX];
    int n = snprintf(path, sizeof path, "%s/%s", dir, name);

    if (n < 0 || n >= (int)sizeof path)
        return -ENAMETOOLONG;
    int fd = open(path, O_RDWR | O_CREAT | O_APPEND | O_NOFOLLOW | O_CLOEXEC, 0600);
    return fd < 0 ? -errno : fd;
}

static int spawner_task_make_dir(struct spawner_task *t, struct spawner_task_means *means,
                                 const char **what)
{
    *what = "make its directory";
    int err = t->dir_use & SPAWN_DIR_MAKE ? dir_pool_make(&means->dirs, t->dir) : 0;
    if (err < 0)
        return err;
    *what = "open its output";
    t->stdout_fd = spawner_task_open_stream(t->dir, TASK_DIR_STDOUT);
    if (t->stdout_fd < 0)
        return t->stdout_fd;
    t->stderr_fd = spawner_task_open_stream(t->dir, TASK_DIR_STDERR);
    return t->stderr_fd < 0 ? t->stderr_fd : 0;
}

static int spawner_task_make_group(struct spawner_task *t, const struct cgroup_root *root,
                                   uint32_t cpu_milli_max, const char **what)
{
    struct cgroup_limits limits = {t->memory_bytes_max, cpu_milli_max};

    if (root->fd < 0 || (limits.memory_bytes_max == 0 && limits.cpu_milli_max == 0))
        return 0;
    *what = "make its control group";
    t->cgroup_fd = cgroup_make(root, t->id, &limits);
    return t->cgroup_fd < 0 ? t->cgroup_fd : 0;
}

static int spawner_task_execute(struct spawner_task *t, const struct spawner_task_means *means,
                                int nice_level, char **argv, char **env, const char **what)
{
    char work[PATH_MAX];
    bool is_in_memory_group = t->cgroup_fd >= 0 && means->cgroup.has_memory;
    struct spawner_child child = {
        .argv = argv,
        .env = env,
        .cwd = "/",
        .stdout_fd = t->dir ? t->stdout_fd : means->null_fd,
        .stderr_fd = t->dir ? t->stderr_fd : means->null_fd,
        .cgroup_procs_fd = -1,
        .files_max = means->files_max,
        .nice = nice_level,
    };

    if (t->dir) {
        snprintf(work, sizeof work, "%s/%s", t->dir, TASK_DIR_WORK);
        child.cwd = work;
    }
    if (t->memory_bytes_max > 0 && !is_in_memory_group &&
        t->memory_bytes_max < INT64_MAX / SPAWNER_TASK_DATA_FACTOR - SPAWNER_TASK_DATA_EXTRA)
        child.data_bytes_max =
            t->memory_bytes_max * SPAWNER_TASK_DATA_FACTOR + SPAWNER_TASK_DATA_EXTRA;
    if (t->cgroup_fd >= 0) {
        *what = "open its control group";
        child.cgroup_procs_fd = cgroup_open_procs(t->cgroup_fd);
        if (child.cgroup_procs_fd < 0)
            return child.cgroup_procs_fd;
    }
    t->started_us = clock_mono_us();
    t->started_ms = clock_wall_ms();
    int err = spawner_child_start(&child, &t->pid, what);
    if (child.cgroup_procs_fd >= 0)
        close(child.cgroup_procs_fd);
    return err;
}

static int64_t spawner_task_after(int64_t from_us, uint64_t ms)
{
    return ms < (uint64_t)(INT64_MAX - from_us) / 1000 ? from_us + (int64_t)ms * 1000 : INT64_MAX;
}

int spawner_task_start(struct spawner_task_means *means, const struct spawn_message_run *run,
                       const char *dir, char **argv, char **env, struct spawner_task **out,
                       const char **what)
{
    struct spawner_task *t = mem_zalloc(sizeof *t);

    *t = (struct spawner_task){
        .id = run->id,
        .slots = run->slots,
        .deadline_us = INT64_MAX,
        .kill_grace_ms = run->kill_grace_ms,
        .output_bytes_max = dir ? run->output_bytes_max : 0,
        .memory_bytes_max = run->memory_bytes_max,
        .dir = mem_strdup(dir),
        .dir_use = run->dir_use,
        .stdout_fd = -1,
        .stderr_fd = -1,
        .cgroup_fd = -1,
    };
    int err = dir ? spawner_task_make_dir(t, means, what) : 0;
    if (err == 0)
        err = spawner_task_make_group(t, &means->cgroup, run->cpu_milli_max, what);
    if (err == 0)
        err = spawner_task_execute(t, means, run->nice, argv, env, what);
    if (err < 0) {
        if (t->cgroup_fd >= 0)
            cgroup_remove(&means->cgroup, t->id, t->cgroup_fd);
        spawner_task_free(t);
        return err;
    }
    if (run->time_limit_ms > 0)
        t->deadline_us = spawner_task_after(t->started_us, run->time_limit_ms);
    *out = t;
    return 0;
}

void spawner_task_free(struct spawner_task *t)
{
    if (t->stdout_fd >= 0)
        close(t->stdout_fd);
    if (t->stderr_fd >= 0)
        close(t->stderr_fd);
    free(t->dir);
    free(t);
}

void spawner_task_terminate(struct spawner_task *t, enum spawn_reason reason, uint64_t grace_ms)
{
    int64_t until_us = spawner_task_after(clock_mono_us(), grace_ms);

    if (t->reason == SPAWN_REASON_NONE)
        t->reason = reason;
    if (t->stage == SPAWNER_TASK_STAGE_KILL)
        return;
    if (grace_ms == 0) {
        spawner_task_kill(t);
        return;
    }
    if (t->stage == SPAWNER_TASK_STAGE_TERM) {
        if (until_us < t->deadline_us)
            t->deadline_us = until_us;
        return;
    }
    t->stage = SPAWNER_TASK_STAGE_TERM;
    t->deadline_us = until_us;
    if (!t->is_leaving) {
        (void)kill(-t->pid, SIGTERM);
        (void)kill(-t->pid, SIGCONT);
    }
}

void spawner_task_kill(struct spawner_task *t)
{
    t->stage = SPAWNER_TASK_STAGE_KILL;
    t->deadline_us = spawner_task_after(clock_mono_us(), SPAWNER_TASK_LEAVING_MS_MAX);
    if (t->cgroup_fd >= 0)
        cgroup_kill(t->cgroup_fd);
    if (!t->is_leaving)
        (void)kill(-t->pid, SIGKILL);
}

static uint64_t spawner_task_stream_bytes(int fd)
{
    struct stat st;

    return fd >= 0 && fstat(fd, &st) == 0 ? (uint64_t)st.st_size : 0;
}

bool spawner_task_is_limited(const struct spawner_task *t)
{
    return t->output_bytes_max > 0 || t->memory_bytes_max > 0;
}

bool spawner_task_is_over_output(const struct spawner_task *t)
{
    return t->output_bytes_max > 0 &&
           (spawner_task_stream_bytes(t->stdout_fd) > t->output_bytes_max ||
            spawner_task_stream_bytes(t->stderr_fd) > t->output_bytes_max);
}

/* What was written past the limit before it was noticed goes. */
static uint64_t spawner_task_cut_stream(const struct spawner_task *t, int fd)
{
    uint64_t bytes = spawner_task_stream_bytes(fd);

    if (t->output_bytes_max > 0 && bytes > t->output_bytes_max &&
        ftruncate(fd, (off_t)t->output_bytes_max) == 0)
        bytes = t->output_bytes_max;
    return bytes;
}

static bool spawner_task_read_stream(int fd, uint64_t bytes, char data[static SPAWN_INLINE_MAX])
{
    return bytes == 0 || (bytes <= SPAWN_INLINE_MAX && pread(fd, data, bytes, 0) == (ssize_t)bytes);
}

static bool spawner_task_remove_stream(const struct spawner_task *t, const char *name,
                                       uint64_t bytes)
{
    char path[PATH_MAX];

    if (bytes == 0) /* the pool keeps an empty one for the next */
        return true;
    snprintf(path, sizeof path, "%s/%s", t->dir, name);
    return unlink(path) == 0;
}

static bool spawner_task_tidy(const struct spawner_task *t, struct spawner_task_means *means,
                              const struct spawn_message_ended *m,
                              char out[static SPAWN_INLINE_MAX], char err[static SPAWN_INLINE_MAX])
{
    bool is_ok = m->end == SPAWN_EXITED && m->status == 0;
    unsigned wanted = is_ok ? SPAWN_DIR_TIDY_ON_SUCCESS : SPAWN_DIR_TIDY_ON_FAILURE;

    return t->dir && t->dir_use & wanted && t->orphans == 0 &&
           spawner_task_read_stream(t->stdout_fd, m->stdout_bytes, out) &&
           spawner_task_read_stream(t->stderr_fd, m->stderr_bytes, err) &&
           task_dir_is_clean(t->dir) &&
           spawner_task_remove_stream(t, TASK_DIR_STDOUT, m->stdout_bytes) &&
           spawner_task_remove_stream(t, TASK_DIR_STDERR, m->stderr_bytes) &&
           dir_pool_remove(&means->dirs, t->dir) == 0;
}

/* The kernel says so; or, without control groups, it failed and was larger than it should be. */
static bool spawner_task_was_out_of_memory(const struct spawner_task *t)
{
    if (t->memory_bytes_max == 0)
        return false;
    if (t->cgroup_fd >= 0)
        return cgroup_was_out_of_memory(t->cgroup_fd);
    return t->status != 0 && (uint64_t)t->usage.ru_maxrss * 1024 > t->memory_bytes_max;
}

static uint64_t spawner_task_us(struct timeval tv)
{
    return (uint64_t)tv.tv_sec * 1000000 + (uint64_t)tv.tv_usec;
}

int spawner_task_report(struct spawner_task *t, struct spawner_task_means *means, struct buf *out)
{
    char stdout_data[SPAWN_INLINE_MAX];
    char stderr_data[SPAWN_INLINE_MAX];
    bool has_exited = WIFEXITED(t->status);

    if (t->reason == SPAWN_REASON_NONE && spawner_task_was_out_of_memory(t))
        t->reason = SPAWN_REASON_MEMORY_LIMIT;
    if (t->reason == SPAWN_REASON_NONE && spawner_task_is_over_output(t))
        t->reason = SPAWN_REASON_OUTPUT_LIMIT;
    struct spawn_message_ended m = {
        .id = t->id,
        .end = has_exited ? SPAWN_EXITED : SPAWN_SIGNALED,
        .reason = t->reason,
        .status = has_exited ? WEXITSTATUS(t->status) : WTERMSIG(t->status),
        .started_ms = t->started_ms,
        .ended_ms = t->ended_ms,
        .wall_us = (uint64_t)(t->ended_us - t->started_us),
        .user_us = spawner_task_us(t->usage.ru_utime),
        .system_us = spawner_task_us(t->usage.ru_stime),
        .rss_max_bytes = (uint64_t)t->usage.ru_maxrss * 1024,
        .stdout_bytes = spawner_task_cut_stream(t, t->stdout_fd),
        .stderr_bytes = spawner_task_cut_stream(t, t->stderr_fd),
    };
    if (t->cgroup_fd >= 0)
        cgroup_remove(&means->cgroup, t->id, t->cgroup_fd);
    t->cgroup_fd = -1;
    m.tidied = spawner_task_tidy(t, means, &m, stdout_data, stderr_data);
    size_t stdout_len = m.tidied ? m.stdout_bytes : 0;
    size_t stderr_len = m.tidied ? m.stderr_bytes : 0;

    int err = spawn_message_begin(out, SPAWN_MESSAGE_ENDED, sizeof m + stdout_len + stderr_len);
    if (err < 0)
        return err;
    spawn_message_put(out, &m, sizeof m);
    spawn_message_put(out, stdout_data, stdout_len);
    spawn_message_put(out, stderr_data, stderr_len);
    spawn_message_end(out);
    return 0;
}

static int spawner_task_report_unstarted(const struct spawn_message_ended *m, struct buf *out)
{
    int err = spawn_message_begin(out, SPAWN_MESSAGE_ENDED, sizeof *m);

    if (err < 0)
        return err;
    spawn_message_put(out, m, sizeof *m);
    spawn_message_end(out);
    return 0;
}

int spawner_task_report_failed(uint64_t id, int error, const char *what, struct buf *out)
{
    struct spawn_message_ended m = {.id = id, .end = SPAWN_FAILED, .status = error};

    snprintf(m.what, sizeof m.what, "%s", what);
    return spawner_task_report_unstarted(&m, out);
}

int spawner_task_report_recalled(uint64_t id, struct buf *out)
{
    struct spawn_message_ended m = {
        .id = id, .end = SPAWN_RECALLED, .tidied = true, .ended_ms = clock_wall_ms()};

    return spawner_task_report_unstarted(&m, out);
}
