/* Requests are appended to the channel's buffer and sent before the loop waits again (an active
 * idle handle keeps it from waiting, also when a request comes after the other callbacks of a
 * turn). The spawner's records become callbacks.
 *
 * The spawner dies: what is still in the buffer was not sent and waits for the next one; every
 * other command is reported as lost. Several deaths in a row make the pauses longer. */
#include "run/spawn.h"

#include <assert.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <uthash.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/uuid.h"
#include "run/dir_pool.h"
#include "run/spawn_channel.h"
#include "run/spawner.h"

enum {
    SPAWN_OUT_BYTES_MAX = 64 * 1024 * 1024,      /* no more commands above this */
    SPAWN_OUT_EXTRA_BYTES_MAX = 8 * 1024 * 1024, /* for the last, greeting and kills */
    SPAWN_PACKETS_PER_TURN = 16,
    SPAWN_PAUSE_MS = 100,        /* doubles with each death */
    SPAWN_STEADY_MS = 30 * 1000, /* a spawner that lived so long did not die "in a row" */
    SPAWN_END_MS = 6000,         /* after that a closing spawner is killed */
};

struct spawn_job {
    uint64_t id;
    struct spawn_callbacks callbacks;
    bool is_waiting; /* its request was not sent */
    UT_hash_handle hh;
};

/* One spawner process. Outlives its successor's start when its handles take time to close. */
struct spawn_child {
    struct spawn *owner; /* NULL: it is not the present one any more */
    uv_process_t process;
    uv_poll_t poll;
    unsigned open_handles;
    bool is_running;
    int events; /* that it is polled for */
    int fd;
    int64_t started_ms;
};

struct spawn {
    uv_loop_t *loop;
    char *program;
    char *name; /* marks our processes */
    char *spare;
    struct spawn_child *child; /* NULL between two */
    struct spawn_channel channel;
    uv_idle_t flush;
    uv_timer_t timer; /* next start, or patience while closing */
    struct spawn_job *jobs;
    uint64_t last_id;
    uint32_t slots; /* of commands in line */
    unsigned restart_count;
    int64_t pause_ms;
    unsigned open_handles; /* while closing: flush and timer */
    bool is_closing;
    void (*closed)(void *arg);
    void *closed_arg;
};

static void spawn_lose_child(struct spawn *s, const char *why);
static void spawn_start_later(struct spawn *s);

/* ---- records from the spawner ---- */

static struct spawn_job *spawn_find(struct spawn *s, uint64_t id)
{
    struct spawn_job *job;

    HASH_FIND(hh, s->jobs, &id, sizeof id, job);
    return job;
}

static void spawn_end_job(struct spawn *s, struct spawn_job *job, const struct spawn_result *result)
{
    struct spawn_job ended = *job;

    HASH_DEL(s->jobs, job);
    free(job);
    ended.callbacks.ended(ended.callbacks.arg, ended.id, result);
}

static int spawn_on_started(struct spawn *s, struct spawn_message_cursor body)
{
    struct spawn_message_started m;

    int err = spawn_message_get(&body, &m, sizeof m);
    if (err < 0)
        return err;
    struct spawn_job *job = spawn_find(s, m.id);
    if (job && job->callbacks.started)
        job->callbacks.started(job->callbacks.arg, m.id, m.pid, m.started_ms);
    return 0;
}

static int spawn_on_ended(struct spawn *s, struct spawn_message_cursor body)
{
    struct spawn_message_ended m;
    struct spawn_result result;

    int err = spawn_message_read_ended(body, &m, &result);
    if (err < 0)
        return err;
    struct spawn_job *job = spawn_find(s, m.id);
    if (job)
        spawn_end_job(s, job, &result);
    return 0;
}

static int spawn_on_message(void *arg, enum spawn_message_type type,
                            struct spawn_message_cursor body)
{
    struct spawn *s = arg;
    int err = ERR_PROTOCOL;

    if (type == SPAWN_MESSAGE_STARTED)
        err = spawn_on_started(s, body);
    else if (type == SPAWN_MESSAGE_ENDED)
        err = spawn_on_ended(s, body);
    return s->is_closing ? ERR_CANCELLED : err;
}

/* ---- the socket ---- */

static void spawn_on_poll(uv_poll_t *poll, int status, int events);

static void spawn_poll_for(struct spawn_child *child, int events)
{
    if (child->events != events)
        uv_poll_start(&child->poll, events, spawn_on_poll);
    child->events = events;
}

static void spawn_flush(struct spawn *s)
{
    int rc = s->child ? spawn_channel_flush(&s->channel) : 1;

    uv_idle_stop(&s->flush);
    if (rc < 0)
        spawn_lose_child(s, "it doesn't listen any more");
    else if (s->child)
        spawn_poll_for(s->child, UV_READABLE | (rc > 0 ? UV_WRITABLE : 0));
}

static void spawn_on_idle(uv_idle_t *idle)
{
    spawn_flush(idle->data);
}

static void spawn_on_poll(uv_poll_t *poll, int status, int events)
{
    struct spawn_child *child = poll->data;
    struct spawn *s = child->owner;
    int err = status < 0 ? status : 0;

    if (err == 0 && events & UV_READABLE)
        err = spawn_channel_receive(&s->channel, SPAWN_PACKETS_PER_TURN, spawn_on_message, s);
    if (s->is_closing)
        return;
    if (err < 0)
        spawn_lose_child(s, err == ERR_CLOSED ? "it ended" : err_text(err));
    else if (events & UV_WRITABLE)
        spawn_flush(s);
}

/* ---- the process ---- */

static void spawn_child_handle_closed(uv_handle_t *handle)
{
    struct spawn_child *child = handle->data;

    if (--child->open_handles == 0)
        free(child);
}

/* Closes our end: the spawner kills what it runs and ends. Its process is waited for. */
static void spawn_child_disconnect(struct spawn_child *child)
{
    if (child->fd < 0)
        return;
    uv_close((uv_handle_t *)&child->poll, spawn_child_handle_closed);
    close(child->fd);
    child->fd = -1;
}

static void spawn_child_exited(uv_process_t *process, int64_t exit_status, int signal)
{
    struct spawn_child *child = process->data;
    struct spawn *s = child->owner;
    char why[64];

    child->is_running = false;
    uv_close((uv_handle_t *)process, spawn_child_handle_closed);
    if (!s)
        return;
    snprintf(why, sizeof why, signal ? "signal %d" : "exit status %d",
             signal ? signal : (int)exit_status);
    if (!s->is_closing) /* what it said before may still be in the socket */
        (void)spawn_channel_receive(&s->channel, UINT_MAX, spawn_on_message, s);
    spawn_lose_child(s, why);
}

static int spawn_child_start(struct spawn *s, struct spawn_child *child, int remote_fd)
{
    char *args[] = {s->program, (char *)"spawner", NULL};
    uv_stdio_container_t stdio[SPAWNER_FD + 1] = {
        {.flags = UV_IGNORE},
        {.flags = UV_IGNORE},
        {.flags = UV_INHERIT_FD, .data.fd = STDERR_FILENO},
        {.flags = UV_INHERIT_FD, .data.fd = remote_fd},
    };
    uv_process_options_t options = {
        .exit_cb = spawn_child_exited,
        .file = s->program,
        .args = args,
        .flags = UV_PROCESS_DETACHED,
        .stdio_count = SPAWNER_FD + 1,
        .stdio = stdio,
    };

    child->process.data = child;
    int err = uv_spawn(s->loop, &child->process, &options);
    child->open_handles = 1; /* also when it failed it must be closed */
    child->is_running = err == 0;
    if (err < 0)
        uv_close((uv_handle_t *)&child->process, spawn_child_handle_closed);
    return err;
}

/* The greeting goes before what waits. */
static void spawn_greet(struct spawn *s)
{
    struct buf out;

    buf_init(&out, SPAWN_OUT_BYTES_MAX + SPAWN_OUT_EXTRA_BYTES_MAX);
    int err = spawn_message_add_hello(&out, s->name, s->spare, s->slots);
    if (err == 0)
        err = buf_append(&out, s->channel.out.data, s->channel.out.len);
    assert(err == 0);
    (void)err;
    buf_done(&s->channel.out);
    s->channel.out = out;
}

static int spawn_start(struct spawn *s)
{
    int fds[2];

    assert(!s->child);
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds) < 0)
        return -errno;
    struct spawn_child *child = mem_zalloc(sizeof *child);
    int err = spawn_child_start(s, child, fds[1]);
    close(fds[1]);
    if (err < 0) {
        close(fds[0]);
        return err;
    }
    child->fd = fds[0];
    child->owner = s;
    child->started_ms = clock_mono_ms();
    child->poll.data = child;
    child->open_handles++;
    err = uv_poll_init(s->loop, &child->poll, child->fd);
    assert(err == 0); /* a fresh socket */
    (void)err;
    s->child = child;
    s->channel.fd = child->fd;
    spawn_greet(s);
    spawn_flush(s);
    return 0;
}

static void spawn_on_timer(uv_timer_t *timer)
{
    struct spawn *s = timer->data;

    if (s->is_closing) {
        if (s->child && s->child->is_running)
            uv_process_kill(&s->child->process, SIGKILL);
        return;
    }
    int err = spawn_start(s);
    if (err < 0) {
        log_error(LOG_ABOUT(.role = "spawner", .code = err), "cannot start the spawner: %s",
                  err_text(err));
        spawn_start_later(s);
        return;
    }
    s->restart_count++;
}

static void spawn_start_later(struct spawn *s)
{
    uv_timer_start(&s->timer, spawn_on_timer, (uint64_t)s->pause_ms, 0);
    s->pause_ms = s->pause_ms == 0 ? SPAWN_PAUSE_MS : s->pause_ms * 2;
    if (s->pause_ms > SPAWN_RESTART_PAUSE_MS_MAX)
        s->pause_ms = SPAWN_RESTART_PAUSE_MS_MAX;
}

/* ---- its death ---- */

/* Marks the commands whose requests are still in the buffer. */
static void spawn_mark_waiting(struct spawn *s)
{
    const struct buf *out = &s->channel.out;
    struct spawn_message_head head;
    struct spawn_message_run run;
    struct spawn_job *job, *next;

    HASH_ITER (hh, s->jobs, job, next)
        job->is_waiting = false;
    for (size_t at = 0; at < out->len; at += head.bytes) {
        memcpy(&head, out->data + at, sizeof head);
        if (head.type != SPAWN_MESSAGE_RUN)
            continue;
        memcpy(&run, out->data + at + sizeof head, sizeof run);
        job = spawn_find(s, run.id);
        if (job)
            job->is_waiting = true;
    }
}

static void spawn_report_lost(struct spawn *s)
{
    struct spawn_result lost = {.end = SPAWN_LOST, .ended_ms = clock_wall_ms(), .what = ""};
    uint64_t last_id = s->last_id; /* callbacks may hand over more */
    struct spawn_job *job, *next;

    spawn_mark_waiting(s);
    HASH_ITER (hh, s->jobs, job, next) {
        if (s->is_closing)
            return;
        if (!job->is_waiting && job->id <= last_id)
            spawn_end_job(s, job, &lost);
    }
}

static void spawn_handle_closed(uv_handle_t *handle)
{
    struct spawn *s = handle->data;
    struct spawn_job *job, *next;

    if (--s->open_handles > 0)
        return;
    if (s->closed)
        s->closed(s->closed_arg);
    HASH_ITER (hh, s->jobs, job, next) {
        HASH_DEL(s->jobs, job);
        free(job);
    }
    spawn_channel_done(&s->channel);
    free(s->program);
    free(s->name);
    free(s->spare);
    free(s);
}

static void spawn_finish_close(struct spawn *s)
{
    s->channel.fd = -1;
    s->open_handles = 2;
    uv_close((uv_handle_t *)&s->flush, spawn_handle_closed);
    uv_close((uv_handle_t *)&s->timer, spawn_handle_closed);
}

static void spawn_lose_child(struct spawn *s, const char *why)
{
    struct spawn_child *child = s->child;

    s->child = NULL;
    s->channel.fd = -1;
    child->owner = NULL;
    spawn_child_disconnect(child);
    if (child->is_running)
        uv_process_kill(&child->process, SIGKILL);
    if (s->is_closing) {
        spawn_finish_close(s);
        return;
    }
    log_warn(LOG_ABOUT(.role = "spawner", .code = ERR_UNAVAILABLE),
             "the spawner is lost (%s), with %u commands", why, HASH_COUNT(s->jobs));
    if (clock_mono_ms() - child->started_ms > SPAWN_STEADY_MS)
        s->pause_ms = 0;
    spawn_start_later(s);
    spawn_report_lost(s);
}

/* ---- */

int spawn_new(uv_loop_t *loop, const struct spawn_options *options, struct spawn **out,
              struct error *e)
{
    struct uuid random;
    char random_text[UUID_TEXT_MAX];
    const char *name = options->owner;

    if (!name) {
        uuid_generate(&random);
        name = uuid_format(&random, random_text);
    }
    if (strlen(name) > SPAWN_OWNER_BYTES_MAX)
        return error_set(e, ERR_INVALID, "the spawner's owner \"%s\" is too long", name);
    struct spawn *s = mem_zalloc(sizeof *s);
    *s = (struct spawn){
        .loop = loop,
        .slots = UINT32_MAX,
        .program = mem_strdup(options->program ? options->program : "/proc/self/exe"),
        .name = mem_strdup(name),
        .spare = options->tasks_dir ? mem_printf("%s/%s", options->tasks_dir, DIR_POOL_NAME) : NULL,
    };
    spawn_channel_init(&s->channel, -1, SPAWN_OUT_BYTES_MAX + SPAWN_OUT_EXTRA_BYTES_MAX);
    uv_idle_init(loop, &s->flush);
    uv_timer_init(loop, &s->timer);
    s->flush.data = s->timer.data = s;
    int err = spawn_start(s);
    if (err < 0) {
        s->is_closing = true;
        spawn_finish_close(s);
        return error_set(e, err, "cannot start %s spawner: %s",
                         options->program ? options->program : "/proc/self/exe", err_text(err));
    }
    *out = s;
    return 0;
}

void spawn_close(struct spawn *s, void (*closed)(void *arg), void *arg)
{
    assert(!s->is_closing);
    s->is_closing = true;
    s->closed = closed;
    s->closed_arg = arg;
    uv_idle_stop(&s->flush);
    if (!s->child) {
        spawn_finish_close(s);
        return;
    }
    spawn_child_disconnect(s->child);
    uv_timer_start(&s->timer, spawn_on_timer, SPAWN_END_MS, 0);
}

int spawn_run(struct spawn *s, const struct spawn_command *command,
              const struct spawn_callbacks *callbacks, uint64_t *id)
{
    assert(!s->is_closing && callbacks->ended);
    if (HASH_COUNT(s->jobs) >= SPAWN_COMMANDS_MAX || s->channel.out.len > SPAWN_OUT_BYTES_MAX)
        return ERR_BUSY;
    int err = spawn_message_add_run(&s->channel.out, s->last_id + 1, command);
    if (err < 0)
        return err;
    struct spawn_job *job = mem_zalloc(sizeof *job);
    job->id = ++s->last_id;
    job->callbacks = *callbacks;
    HASH_ADD(hh, s->jobs, id, sizeof job->id, job);
    uv_idle_start(&s->flush, spawn_on_idle);
    *id = job->id;
    return 0;
}

static void spawn_tell(struct spawn *s, enum spawn_message_type type, const void *body, size_t len)
{
    if (s->is_closing || spawn_message_begin(&s->channel.out, type, len) < 0)
        return;
    spawn_message_put(&s->channel.out, body, len);
    spawn_message_end(&s->channel.out);
    uv_idle_start(&s->flush, spawn_on_idle);
}

void spawn_kill(struct spawn *s, uint64_t id, uint64_t grace_ms)
{
    struct spawn_message_kill m = {.id = id, .grace_ms = grace_ms};

    if (spawn_find(s, id))
        spawn_tell(s, SPAWN_MESSAGE_KILL, &m, sizeof m);
}

void spawn_recall(struct spawn *s, uint64_t id)
{
    struct spawn_message_kill m = {.id = id, .is_recall = true};

    if (spawn_find(s, id))
        spawn_tell(s, SPAWN_MESSAGE_KILL, &m, sizeof m);
}

void spawn_set_slots(struct spawn *s, uint32_t slots)
{
    struct spawn_message_slots m = {.slots = slots};

    if (s->slots == slots)
        return;
    s->slots = slots;
    spawn_tell(s, SPAWN_MESSAGE_SLOTS, &m, sizeof m);
}

int spawn_pid(const struct spawn *s)
{
    return s->child ? s->child->process.pid : 0;
}

unsigned spawn_restart_count(const struct spawn *s)
{
    return s->restart_count;
}

size_t spawn_command_count(const struct spawn *s)
{
    return HASH_COUNT(s->jobs);
}
