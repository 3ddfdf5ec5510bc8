/* One loop: wait for a request, for the end of a child, or for the next deadline; do all that there
 * is to do; send what came out of it. Signals are blocked except while it waits.
 *
 *   request "run"  -> start the command, or put it in line until slots are free -> "started"
 *   a child ended  -> a command: kill what it left behind -> "ended"
 *   deadline       -> time limit, end of grace, looks at output and memory
 *
 * When the daemon's end of the socket is closed, everything is killed and waited for, and the
 * process ends. Nothing is logged here; what the daemon must know is in the records. */
#include "run/spawner.h"

#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"
#include "run/spawn_channel.h"
#include "run/spawner_line.h"
#include "run/spawner_memory.h"
#include "run/spawner_orphan.h"
#include "run/spawner_setup.h"
#include "run/spawner_tasks.h"

enum {
    SPAWNER_OUT_BYTES_MAX = 1024 * 1024 * 1024, /* results while the daemon is stopped */
    SPAWNER_PACKETS_PER_TURN = 16,
    SPAWNER_RESCAN_US = 2000,        /* for orphans that can't be told yet */
    SPAWNER_STARTED_DELAY_US = 2000, /* a short command's "started" goes with its "ended" */
    SPAWNER_ENDED_DELAY_US = 2000,   /* ends go together while others wait in line */
    SPAWNER_END_MS_MAX = 5000,       /* for the last children to be gone */
};

struct spawner {
    struct spawn_channel channel;
    struct spawner_task_means means;
    struct spawner_tasks tasks;
    struct spawner_line line;
    uint64_t newest_id; /* of the last command that was handed over */
    struct spawner_orphans orphans;
    struct spawner_memory memory;
    int64_t next_check_us; /* of the limits */
    int64_t rescan_us;     /* for orphans; INT64_MAX: when a child ends */
    int64_t flush_us;      /* when to send what waits; INT64_MAX: nothing waits */
    bool has_ended;        /* ends are among what waits */
    bool is_full;          /* the daemon doesn't read at the moment */
    bool is_over;
};

/* ---- requests ---- */

static void spawner_send_started(struct spawner *sp, const struct spawner_task *t)
{
    struct spawn_message_started m = {.id = t->id, .started_ms = t->started_ms, .pid = t->pid};
    int64_t flush_us = t->started_us + SPAWNER_STARTED_DELAY_US;

    if (spawn_message_begin(&sp->channel.out, SPAWN_MESSAGE_STARTED, sizeof m) < 0)
        return;
    spawn_message_put(&sp->channel.out, &m, sizeof m);
    spawn_message_end(&sp->channel.out);
    if (flush_us < sp->flush_us)
        sp->flush_us = flush_us;
}

static int spawner_start(struct spawner *sp, const struct spawn_message_run *run, const char *dir,
                         char **argv, char **env)
{
    struct spawner_task *t;
    const char *what;

    int err = spawner_task_start(&sp->means, run, dir, argv, env, &t, &what);
    if (err < 0) {
        sp->flush_us = 0;
        return spawner_task_report_failed(run->id, err, what, &sp->channel.out);
    }
    if (sp->tasks.limited == 0)
        sp->next_check_us = t->started_us + SPAWNER_TASK_CHECK_MS * 1000;
    spawner_tasks_add(&sp->tasks, t);
    sp->line.used += t->slots;
    spawner_send_started(sp, t);
    return 0;
}

static int spawner_run(struct spawner *sp, struct spawn_message_cursor body)
{
    struct spawn_message_run run;
    char token[SPAWNER_ORPHAN_TOKEN_MAX];
    char *dir;
    char **argv;
    char **env;

    int err = spawn_message_read_run(body, &run, &dir, &argv, &env);
    if (err < 0)
        return err;
    spawner_orphans_token(&sp->orphans, run.id, token);
    env[0] = token;
    err = spawner_start(sp, &run, dir, argv, env);
    free(argv);
    return err;
}

/* Starts what waits in line and fits. */
static void spawner_pump(struct spawner *sp)
{
    struct spawner_waiter *waiter;
    int err = 0;

    while (err == 0 && (waiter = spawner_line_next(&sp->line)) != NULL) {
        err = spawner_run(sp, (struct spawn_message_cursor){waiter->body, waiter->len});
        free(waiter);
    }
    sp->is_over = sp->is_over || err < 0;
}

static int spawner_on_run(struct spawner *sp, struct spawn_message_cursor body)
{
    struct spawn_message_run run;
    struct spawn_message_cursor all = body;

    int err = spawn_message_get(&all, &run, sizeof run);
    if (err < 0 || run.id <= sp->newest_id)
        return ERR_PROTOCOL;
    sp->newest_id = run.id;
    if (run.slots == 0)
        return spawner_run(sp, body);
    spawner_line_add(&sp->line, run.id, run.slots, body);
    return 0;
}

static int spawner_on_slots(struct spawner *sp, struct spawn_message_cursor body)
{
    struct spawn_message_slots m;

    int err = spawn_message_get(&body, &m, sizeof m);
    if (err == 0)
        sp->line.slots = m.slots;
    return err;
}

static int spawner_on_kill(struct spawner *sp, struct spawn_message_cursor body)
{
    struct spawn_message_kill m;

    int err = spawn_message_get(&body, &m, sizeof m);
    if (err < 0)
        return err;
    if (spawner_line_remove(&sp->line, m.id)) {
        sp->flush_us = 0;
        return spawner_task_report_recalled(m.id, &sp->channel.out);
    }
    struct spawner_task *t = m.is_recall ? NULL : spawner_tasks_find(&sp->tasks, m.id);
    if (t) {
        spawner_task_terminate(t, SPAWN_REASON_KILL, m.grace_ms);
        spawner_tasks_wake_at(&sp->tasks, t->deadline_us);
    }
    return 0;
}

static int spawner_on_hello(struct spawner *sp, struct spawn_message_cursor body)
{
    struct spawn_message_hello m;
    char *owner = NULL;
    char *spare = NULL;

    int err = spawn_message_get(&body, &m, sizeof m);
    if (err == 0)
        err = spawn_message_get_string(&body, &owner);
    if (err == 0 && m.has_spare)
        err = spawn_message_get_string(&body, &spare);
    if (err < 0)
        return err;
    spawner_orphans_set_owner(&sp->orphans, owner);
    sp->line.slots = m.slots;
    dir_pool_done(&sp->means.dirs);
    dir_pool_init(&sp->means.dirs, spare);
    return 0;
}

static int spawner_on_message(void *arg, enum spawn_message_type type,
                              struct spawn_message_cursor body)
{
    switch (type) {
    case SPAWN_MESSAGE_HELLO:
        return spawner_on_hello(arg, body);
    case SPAWN_MESSAGE_RUN:
        return spawner_on_run(arg, body);
    case SPAWN_MESSAGE_KILL:
        return spawner_on_kill(arg, body);
    case SPAWN_MESSAGE_SLOTS:
        return spawner_on_slots(arg, body);
    default:
        return ERR_PROTOCOL;
    }
}

/* ---- ends of children ---- */

static void spawner_set_over(struct spawner *sp, struct spawner_task *t)
{
    int64_t flush_us = t->slots == 0 ? 0 : t->ended_us + SPAWNER_ENDED_DELAY_US;

    (void)spawner_task_report(t, &sp->means, &sp->channel.out);
    if (flush_us < sp->flush_us)
        sp->flush_us = flush_us;
    sp->has_ended = true;
    sp->line.used -= t->slots;
    spawner_tasks_remove(&sp->tasks, t);
}

/* Its process has ended: reports it if nothing else is left of it, else ends that. */
static void spawner_see_off(struct spawner *sp, struct spawner_task *t)
{
    int64_t now_us = clock_mono_us();
    bool is_late = now_us >= t->deadline_us;

    if (t->stage == SPAWNER_TASK_STAGE_KILL && is_late) {
        spawner_set_over(sp, t);
    } else if (!spawner_orphans_are_settled(&sp->orphans, t)) {
        sp->rescan_us = now_us + SPAWNER_RESCAN_US;
    } else if (t->orphans == 0) {
        spawner_set_over(sp, t);
    } else if (t->stage != SPAWNER_TASK_STAGE_TERM || is_late) { /* the grace is for all of them */
        if (t->stage != SPAWNER_TASK_STAGE_KILL)
            spawner_task_kill(t);
        spawner_orphans_kill(&sp->orphans, t);
        spawner_tasks_wake_at(&sp->tasks, t->deadline_us);
    }
}

static void spawner_reap(struct spawner *sp)
{
    struct rusage usage;
    int status;
    pid_t pid;
    bool is_news = sp->rescan_us != INT64_MAX && clock_mono_us() >= sp->rescan_us;

    while ((pid = wait4(-1, &status, WNOHANG, &usage)) > 0) {
        struct spawner_task *t = spawner_tasks_find_pid(&sp->tasks, pid);
        is_news = true;
        if (t)
            spawner_tasks_set_leaving(&sp->tasks, t, status, &usage);
        else
            spawner_orphans_reaped(&sp->orphans, pid);
    }
    if (!is_news)
        return;
    sp->rescan_us = INT64_MAX;
    spawner_orphans_scan(&sp->orphans);
    struct spawner_task *next;
    for (struct spawner_task *t = TAILQ_FIRST(&sp->tasks.leaving); t; t = next) {
        next = TAILQ_NEXT(t, leaving);
        spawner_see_off(sp, t);
    }
}

/* ---- deadlines ---- */

static void spawner_on_deadline(struct spawner *sp, struct spawner_task *t)
{
    if (t->is_leaving)
        spawner_see_off(sp, t); /* may free it */
    else if (t->stage == SPAWNER_TASK_STAGE_NONE)
        spawner_task_terminate(t, SPAWN_REASON_TIME_LIMIT, t->kill_grace_ms);
    else if (t->stage == SPAWNER_TASK_STAGE_TERM)
        spawner_task_kill(t);
    else
        t->deadline_us = INT64_MAX; /* the kernel can't end it yet */
}

static void spawner_expire(struct spawner *sp, int64_t now_us)
{
    struct spawner_task *t, *next;

    if (now_us < sp->tasks.next_us)
        return;
    HASH_ITER (by_id, sp->tasks.by_id, t, next) {
        if (t->deadline_us <= now_us)
            spawner_on_deadline(sp, t);
    }
    sp->tasks.next_us = INT64_MAX;
    for (t = sp->tasks.by_id; t; t = t->by_id.next)
        spawner_tasks_wake_at(&sp->tasks, t->deadline_us);
}

/* The task that a process belongs to by what is known of itself. */
static uint64_t spawner_task_of(void *arg, const struct proc_stat *st)
{
    struct spawner *sp = arg;
    const struct spawner_task *t = spawner_tasks_find_session(&sp->tasks, st->session);

    return t ? t->id : spawner_orphans_task_of(&sp->orphans, st->pid);
}

static void spawner_check_memory(struct spawner *sp)
{
    struct spawner_task *t;
    bool has_scanned = false;

    for (t = sp->tasks.by_id; t; t = t->by_id.next) {
        if (t->memory_bytes_max == 0 || (t->cgroup_fd >= 0 && sp->means.cgroup.has_memory))
            continue;
        if (!has_scanned)
            spawner_memory_scan(&sp->memory, spawner_task_of, sp);
        has_scanned = true;
        if (spawner_memory_is_over(&sp->memory, t->id, t->memory_bytes_max))
            spawner_task_terminate(t, SPAWN_REASON_MEMORY_LIMIT, 0);
    }
}

static void spawner_check(struct spawner *sp, int64_t now_us)
{
    if (sp->tasks.limited == 0 || now_us < sp->next_check_us)
        return;
    sp->next_check_us = now_us + SPAWNER_TASK_CHECK_MS * 1000;
    for (struct spawner_task *t = sp->tasks.by_id; t; t = t->by_id.next) {
        if (spawner_task_is_over_output(t))
            spawner_task_terminate(t, SPAWN_REASON_OUTPUT_LIMIT, 0);
    }
    spawner_check_memory(sp);
}

/* ---- the process ---- */

static int spawner_init(struct spawner *sp, int fd)
{
    *sp = (struct spawner){.rescan_us = INT64_MAX, .flush_us = INT64_MAX};
    sp->means.cgroup.fd = -1;
    sp->means.dirs.fd = -1;
    int err = spawner_setup(fd, &sp->means.null_fd, &sp->means.files_max);
    if (err < 0)
        return err;
    (void)cgroup_open(&sp->means.cgroup);
    spawner_tasks_init(&sp->tasks);
    spawner_line_init(&sp->line);
    spawner_orphans_init(&sp->orphans, &sp->tasks);
    spawner_memory_init(&sp->memory);
    spawn_channel_init(&sp->channel, fd, SPAWNER_OUT_BYTES_MAX);
    return 0;
}

static int spawner_timeout(const struct spawner *sp, struct timespec *out)
{
    int64_t at_us = sp->tasks.next_us;

    if (sp->rescan_us < at_us)
        at_us = sp->rescan_us;
    if (sp->tasks.limited > 0 && sp->next_check_us < at_us)
        at_us = sp->next_check_us;
    if (!sp->is_full && sp->flush_us < at_us)
        at_us = sp->flush_us;
    if (at_us == INT64_MAX)
        return 0;
    int64_t left_us = at_us - clock_mono_us();
    left_us = left_us < 0 ? 0 : left_us;
    *out = (struct timespec){left_us / 1000000, left_us % 1000000 * 1000};
    return 1;
}

static void spawner_flush(struct spawner *sp, int64_t now_us)
{
    if (sp->has_ended && spawner_line_is_empty(&sp->line))
        sp->flush_us = 0; /* the daemon had better go on */
    if (sp->channel.out.len == 0 || (!sp->is_full && now_us < sp->flush_us))
        return;
    sp->has_ended = false;
    int rc = spawn_channel_flush(&sp->channel);
    sp->is_full = rc > 0;
    sp->is_over = sp->is_over || rc < 0;
    sp->flush_us = rc > 0 ? 0 : INT64_MAX;
}

static void spawner_turn(struct spawner *sp)
{
    struct pollfd p = {.fd = sp->channel.fd,
                       .events = (short)(POLLIN | (sp->is_full ? POLLOUT : 0))};
    struct timespec timeout;
    sigset_t none;

    sigemptyset(&none);
    bool has_timeout = spawner_timeout(sp, &timeout);
    int n = ppoll(&p, 1, has_timeout ? &timeout : NULL, &none);
    spawner_reap(sp);
    spawner_pump(sp);
    if (n > 0 && p.revents & ~POLLOUT &&
        spawn_channel_receive(&sp->channel, SPAWNER_PACKETS_PER_TURN, spawner_on_message, sp) < 0)
        sp->is_over = true;
    int64_t now_us = clock_mono_us();
    spawner_expire(sp, now_us);
    spawner_check(sp, now_us);
    spawner_pump(sp);
    spawner_flush(sp, now_us);
}

/* Kills and waits until there is no descendant left, or time is over. */
static void spawner_end(struct spawner *sp)
{
    int64_t until_us = clock_mono_us() + SPAWNER_END_MS_MAX * 1000;
    struct timespec pause = {0, 50 * 1000 * 1000};
    struct spawner_task *t, *next;
    sigset_t none;
    pid_t pid;

    sigemptyset(&none);
    HASH_ITER (by_id, sp->tasks.by_id, t, next) {
        spawner_task_kill(t);
    }
    while (clock_mono_us() < until_us) {
        spawner_orphans_kill_children(&sp->orphans);
        do {
            pid = waitpid(-1, NULL, WNOHANG);
        } while (pid > 0);
        if (pid < 0)
            break;
        (void)ppoll(NULL, 0, &pause, &none); /* until the next SIGCHLD */
    }
}

static void spawner_done(struct spawner *sp)
{
    spawner_tasks_done(&sp->tasks, &sp->means);
    spawner_line_done(&sp->line);
    spawner_orphans_done(&sp->orphans);
    spawner_memory_done(&sp->memory);
    spawn_channel_done(&sp->channel);
    dir_pool_done(&sp->means.dirs);
    cgroup_close(&sp->means.cgroup);
    close(sp->means.null_fd);
}

int spawner_main(int fd)
{
    struct spawner sp;
    pid_t daemon = getppid();

    if (spawner_init(&sp, fd) < 0)
        return EXIT_FAILURE;
    while (!sp.is_over && getppid() == daemon)
        spawner_turn(&sp);
    spawner_end(&sp);
    spawner_done(&sp);
    return EXIT_SUCCESS;
}
