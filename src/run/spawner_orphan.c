/* A child can't lose its pid before it is waited for, and only the spawner waits, so killing by pid
 * is safe. What an orphan leaves behind becomes a child of the spawner in turn, so that killing and
 * waiting until nothing is left reaches every descendant. */
#include "run/spawner_orphan.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <unistd.h>
#include <uthash.h>

#include "base/clock.h"
#include "base/mem.h"
#include "run/proc_fs.h"

enum { SPAWNER_ORPHAN_SWEEP_MS = 2000 };

#define SPAWNER_ORPHAN_OF_NONE UINT64_MAX /* of a task that is over, which one doesn't matter */

struct spawner_orphan {
    pid_t pid;
    uint64_t task;   /* 0: unclaimed */
    uint64_t newest; /* order of the last task started when it was found */
    int64_t found_ms;
    UT_hash_handle hh;
};

void spawner_orphans_init(struct spawner_orphans *o, struct spawner_tasks *tasks)
{
    *o = (struct spawner_orphans){.tasks = tasks, .children_fd = proc_fs_children_open()};
    spawner_orphans_set_owner(o, "");
}

static void spawner_orphan_drop(struct spawner_orphans *o, struct spawner_orphan *orphan)
{
    if (orphan->task == 0)
        o->unclaimed--;
    HASH_DEL(o->by_pid, orphan);
    free(orphan);
}

void spawner_orphans_done(struct spawner_orphans *o)
{
    struct spawner_orphan *orphan, *next;

    HASH_ITER (hh, o->by_pid, orphan, next)
        spawner_orphan_drop(o, orphan);
    if (o->children_fd >= 0)
        close(o->children_fd);
}

/* Kills a process that was left by an earlier spawner, waits for its end until `until_ms`. The
 * descriptor holds the process, so that its token is read from the very one that is killed. */
static bool spawner_orphan_sweep_one(const struct spawner_orphans *o, pid_t pid, int64_t until_ms)
{
    char task[SPAWNER_ORPHAN_TOKEN_MAX];
    int64_t left_ms = until_ms - clock_mono_ms();

    if (pid == getpid() || pid == getppid() || left_ms <= 0)
        return false;
    int fd = pidfd_open(pid, 0);
    if (fd < 0)
        return false;
    bool found = proc_fs_find_env(pid, o->prefix, task, sizeof task) &&
                 pidfd_send_signal(fd, SIGKILL, NULL, 0) == 0;
    struct pollfd wait = {.fd = fd, .events = POLLIN};
    if (found)
        (void)poll(&wait, 1, (int)left_ms);
    close(fd);
    return found;
}

struct spawner_orphan_sweep {
    const struct spawner_orphans *orphans;
    int64_t until_ms;
    bool found;
};

static bool spawner_orphan_sweep_pid(void *arg, pid_t pid)
{
    struct spawner_orphan_sweep *sweep = arg;

    if (spawner_orphan_sweep_one(sweep->orphans, pid, sweep->until_ms))
        sweep->found = true;
    return true;
}

void spawner_orphans_set_owner(struct spawner_orphans *o, const char *owner)
{
    struct spawner_orphan_sweep sweep = {.orphans = o,
                                         .until_ms = clock_mono_ms() + SPAWNER_ORPHAN_SWEEP_MS};

    snprintf(o->prefix, sizeof o->prefix, "%s=%s.", SPAWNER_ORPHAN_TOKEN, owner);
    if (!owner[0])
        return;
    do { /* what was just being forked is found in the next round */
        sweep.found = false;
        (void)proc_fs_each(spawner_orphan_sweep_pid, &sweep);
    } while (sweep.found && clock_mono_ms() < sweep.until_ms);
}

void spawner_orphans_token(const struct spawner_orphans *o, uint64_t task,
                           char out[static SPAWNER_ORPHAN_TOKEN_MAX])
{
    snprintf(out, SPAWNER_ORPHAN_TOKEN_MAX, "%s%llu", o->prefix, (unsigned long long)task);
}

/* The task that a process belongs to, 0 when it doesn't show. */
static uint64_t spawner_orphan_identify(const struct spawner_orphans *o, pid_t pid)
{
    char task[SPAWNER_ORPHAN_TOKEN_MAX];
    struct proc_stat st;
    const struct spawner_task *t = NULL;

    if (proc_fs_stat(pid, &st) == 0) {
        t = spawner_tasks_find_session(o->tasks, st.session);
        if (!t)
            t = spawner_tasks_find_session(o->tasks, st.group);
    }
    if (t)
        return t->id;
    return proc_fs_find_env(pid, o->prefix, task, sizeof task) ? strtoull(task, NULL, 10) : 0;
}

static void spawner_orphan_claim(struct spawner_orphans *o, struct spawner_orphan *orphan,
                                 uint64_t task)
{
    struct spawner_task *t = spawner_tasks_find(o->tasks, task);

    orphan->task = task;
    o->unclaimed--;
    if (t)
        t->orphans++;
    else
        (void)kill(orphan->pid, SIGKILL); /* its task is over */
}

static void spawner_orphan_meet(void *arg, pid_t pid)
{
    struct spawner_orphans *o = arg;
    struct spawner_orphan *orphan;

    if (spawner_tasks_find_pid(o->tasks, pid))
        return;
    HASH_FIND_INT(o->by_pid, &pid, orphan);
    if (orphan)
        return;
    orphan = mem_zalloc(sizeof *orphan);
    orphan->pid = pid;
    orphan->newest = o->tasks->newest;
    orphan->found_ms = clock_mono_ms();
    HASH_ADD_INT(o->by_pid, pid, orphan);
    o->unclaimed++;
}

/* Finds the task of one that nobody claims yet; when all are over that it could be of, it goes with
 * the last of them. */
static void spawner_orphan_settle(struct spawner_orphans *o, struct spawner_orphan *orphan,
                                  uint64_t oldest)
{
    uint64_t task = spawner_orphan_identify(o, orphan->pid);

    if (task == 0 && oldest > orphan->newest) {
        const struct spawner_task *t = spawner_tasks_leaving_before(o->tasks, orphan->newest);
        task = t ? t->id : SPAWNER_ORPHAN_OF_NONE;
    }
    if (task > 0)
        spawner_orphan_claim(o, orphan, task);
}

void spawner_orphans_scan(struct spawner_orphans *o)
{
    struct spawner_orphan *orphan, *next;

    (void)proc_fs_children(o->children_fd, spawner_orphan_meet, o);
    if (o->unclaimed == 0)
        return;
    uint64_t oldest = spawner_tasks_oldest(o->tasks);
    HASH_ITER (hh, o->by_pid, orphan, next) {
        if (orphan->task == 0)
            spawner_orphan_settle(o, orphan, oldest);
    }
}

void spawner_orphans_reaped(struct spawner_orphans *o, pid_t pid)
{
    struct spawner_orphan *orphan;

    HASH_FIND_INT(o->by_pid, &pid, orphan);
    if (!orphan)
        return;
    struct spawner_task *t = spawner_tasks_find(o->tasks, orphan->task);
    if (t)
        t->orphans--;
    spawner_orphan_drop(o, orphan);
}

uint64_t spawner_orphans_task_of(const struct spawner_orphans *o, pid_t pid)
{
    struct spawner_orphan *orphan;

    HASH_FIND_INT(o->by_pid, &pid, orphan);
    return orphan ? orphan->task : 0;
}

bool spawner_orphans_are_settled(const struct spawner_orphans *o, const struct spawner_task *t)
{
    int64_t now_ms = o->unclaimed > 0 ? clock_mono_ms() : 0;

    for (struct spawner_orphan *orphan = o->unclaimed > 0 ? o->by_pid : NULL; orphan;
         orphan = orphan->hh.next) {
        if (orphan->task == 0 && orphan->newest >= t->order &&
            now_ms - orphan->found_ms < SPAWNER_ORPHAN_SETTLE_MS)
            return false;
    }
    return true;
}

void spawner_orphans_kill(struct spawner_orphans *o, const struct spawner_task *t)
{
    struct spawner_orphan *orphan, *next;
    struct proc_stat st;
    bool in_group = false;

    HASH_ITER (hh, o->by_pid, orphan, next) {
        if (orphan->task != t->id)
            continue;
        if (!in_group && proc_fs_stat(orphan->pid, &st) == 0 && st.group == t->pid) {
            in_group = true; /* so the group's number is still its own */
            (void)kill(-t->pid, SIGKILL);
        }
        (void)kill(orphan->pid, SIGKILL);
    }
}

static void spawner_orphan_kill_child(void *arg, pid_t pid)
{
    (void)arg;
    (void)kill(pid, SIGKILL);
}

void spawner_orphans_kill_children(const struct spawner_orphans *o)
{
    (void)proc_fs_children(o->children_fd, spawner_orphan_kill_child, NULL);
}
