/* The socket is a stream of frames over a uv_pipe_t. The process has ended when it was reaped and
 * its socket is read to the end: what it said last counts. */
#include "run/executor_process.h"

#include <assert.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "run/executor_child.h"
#include "wire/frame.h"

enum {
    EXECUTOR_PROCESS_READ_BYTES = 64 * 1024,
    EXECUTOR_PROCESS_WHY_MAX = 64,
    EXECUTOR_PROCESS_ENV_MAX = 12,
};

struct executor_process {
    struct loop *loop;
    const struct executor_process_ops *ops; /* NULL: nobody listens any more */
    void *arg;
    uv_process_t process;
    uv_pipe_t pipe;
    unsigned open_handles;
    bool is_running;
    bool is_at_end; /* of the socket */
    struct frame_decoder decoder;
    uint8_t *scratch;
    char why[EXECUTOR_PROCESS_WHY_MAX];
};

struct executor_process_write {
    uv_write_t req;
    uint8_t *data; /* or: */
    struct wire_parts parts;
    ProtobufCMessage *message;
};

/* ---- ends ------------------------------------------------------------------------------------ */

static void executor_process_handle_closed(uv_handle_t *handle)
{
    struct executor_process *p = handle->data;
    if (--p->open_handles > 0)
        return;
    frame_decoder_done(&p->decoder);
    free(p->scratch);
    free(p);
}

static void executor_process_close(uv_handle_t *handle)
{
    if (!uv_is_closing(handle))
        uv_close(handle, executor_process_handle_closed);
}

static void executor_process_check_gone(struct executor_process *p)
{
    if (p->is_running || !p->is_at_end || p->ops == NULL)
        return;
    const struct executor_process_ops *ops = p->ops;
    p->ops = NULL;
    ops->on_gone(p->arg, p->why);
    executor_process_close((uv_handle_t *)&p->pipe);
}

static void executor_process_exited(uv_process_t *process, int64_t status, int signal)
{
    struct executor_process *p = process->data;
    p->is_running = false;
    (void)snprintf(p->why, sizeof p->why, signal ? "signal %d" : "exit status %d",
                   signal ? signal : (int)status);
    executor_process_close((uv_handle_t *)process);
    executor_process_check_gone(p);
}

void executor_process_kill(struct executor_process *p)
{
    if (p->is_running)
        (void)uv_process_kill(&p->process, SIGKILL);
}

void executor_process_free(struct executor_process *p)
{
    if (p == NULL)
        return;
    p->ops = NULL;
    executor_process_kill(p);
    executor_process_close((uv_handle_t *)&p->pipe);
}

/* ---- reading --------------------------------------------------------------------------------- */

/* The socket is of no use any more; the process goes with it. */
static void executor_process_end(struct executor_process *p)
{
    p->is_at_end = true;
    (void)uv_read_stop((uv_stream_t *)&p->pipe);
    executor_process_kill(p);
    executor_process_check_gone(p);
}

static void executor_process_frame(struct executor_process *p, const struct frame *frame)
{
    ProtobufCMessage *message = NULL;
    if (wire_unpack(frame->type, frame->body, frame->len, &message) < 0) {
        log_error(LOG_ABOUT(.role = "executor", .code = ERR_PROTOCOL),
                  "an SQL executor sent a malformed message");
        executor_process_end(p);
        return;
    }
    if (p->ops != NULL)
        p->ops->on_message(p->arg, (enum wire_type)frame->type, message);
    wire_free(message);
}

static void executor_process_alloc(uv_handle_t *handle, size_t size, uv_buf_t *buf)
{
    struct executor_process *p = handle->data;
    void *to;
    size_t room;
    (void)size;
    frame_decoder_space(&p->decoder, p->scratch, EXECUTOR_PROCESS_READ_BYTES, &to, &room);
    *buf = uv_buf_init(to, (unsigned)room);
}

static void executor_process_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
    struct executor_process *p = stream->data;
    struct frame frame;
    int err = 0;
    if (n < 0) {
        executor_process_end(p);
        return;
    }
    if (n == 0)
        return;
    frame_decoder_push(&p->decoder, buf->base, (size_t)n);
    while (!p->is_at_end && (err = frame_decoder_next(&p->decoder, &frame)) > 0)
        executor_process_frame(p, &frame);
    if (err < 0) {
        log_error(LOG_ABOUT(.role = "executor", .code = ERR_PROTOCOL),
                  "an SQL executor sent a malformed frame");
        executor_process_end(p);
    }
    frame_decoder_keep(&p->decoder);
}

/* ---- writing --------------------------------------------------------------------------------- */

static void executor_process_write_free(struct executor_process_write *write)
{
    free(write->data);
    wire_parts_done(&write->parts);
    wire_free(write->message);
    free(write);
}

static void executor_process_written(uv_write_t *req, int status)
{
    (void)status; /* a broken socket shows in reading */
    executor_process_write_free((struct executor_process_write *)req);
}

void executor_process_send_frame(struct executor_process *p, struct buf *frame)
{
    struct executor_process_write *write = mem_zalloc(sizeof *write);
    size_t len;
    write->data = (uint8_t *)buf_steal(frame, &len);
    uv_buf_t buf = uv_buf_init((char *)write->data, (unsigned)len);
    if (p->is_at_end ||
        uv_write(&write->req, (uv_stream_t *)&p->pipe, &buf, 1, executor_process_written) < 0)
        executor_process_write_free(write);
}

void executor_process_send_parts(struct executor_process *p, struct wire_parts *parts,
                                 ProtobufCMessage *message)
{
    struct executor_process_write *write = mem_zalloc(sizeof *write);
    uv_buf_t *bufs = mem_calloc(parts->n + 1, sizeof *bufs);
    for (size_t i = 0; i < parts->n; i++)
        bufs[i] =
            uv_buf_init((char *)(uintptr_t)parts->parts[i].data, (unsigned)parts->parts[i].len);
    write->parts = *parts;
    write->message = message;
    *parts = (struct wire_parts){0};
    if (p->is_at_end || uv_write(&write->req, (uv_stream_t *)&p->pipe, bufs,
                                 (unsigned)write->parts.n, executor_process_written) < 0)
        executor_process_write_free(write);
    free(bufs);
}

void executor_process_send(struct executor_process *p, enum wire_type type,
                           const ProtobufCMessage *message)
{
    struct buf frame;
    buf_init(&frame, FRAME_BODY_BYTES_MAX + FRAME_HEADER_BYTES);
    int err = wire_pack(&frame, type, message);
    assert(err == 0);
    (void)err;
    executor_process_send_frame(p, &frame);
    buf_done(&frame);
}

/* ---- start ----------------------------------------------------------------------------------- */

static void executor_process_env(char **env, const char *dir)
{
    static const char *const kept[] = {"ASAN_OPTIONS", "LSAN_OPTIONS", "TSAN_OPTIONS",
                                       "UBSAN_OPTIONS"};
    size_t n = 0;
    env[n++] = mem_strdup("PATH=/usr/bin:/bin");
    env[n++] = mem_strdup("LANG=C.UTF-8");
    env[n++] = mem_printf("HOME=%s", dir);
    env[n++] = mem_printf("TMPDIR=%s", dir);
    for (size_t i = 0; i < MEM_COUNT(kept); i++) {
        const char *value = getenv(kept[i]);
        if (value != NULL)
            env[n++] = mem_printf("%s=%s", kept[i], value);
    }
    env[n] = NULL;
}

static int executor_process_spawn(struct executor_process *p, const char *program, const char *dir,
                                  int remote_fd)
{
    char *args[] = {(char *)(uintptr_t)program, (char *)"executor", NULL};
    char *env[EXECUTOR_PROCESS_ENV_MAX];
    uv_stdio_container_t stdio[EXECUTOR_FD + 1] = {
        {.flags = UV_IGNORE},
        {.flags = UV_IGNORE},
        {.flags = UV_INHERIT_FD, .data.fd = STDERR_FILENO},
        {.flags = UV_INHERIT_FD, .data.fd = remote_fd},
    };
    executor_process_env(env, dir);
    uv_process_options_t options = {
        .exit_cb = executor_process_exited,
        .file = program,
        .args = args,
        .env = env,
        .cwd = dir,
        .flags = UV_PROCESS_DETACHED,
        .stdio_count = EXECUTOR_FD + 1,
        .stdio = stdio,
    };
    p->process.data = p;
    int err = uv_spawn(loop_uv(p->loop), &p->process, &options);
    p->open_handles++; /* also when it failed it must be closed */
    p->is_running = err == 0;
    if (err < 0)
        executor_process_close((uv_handle_t *)&p->process);
    for (size_t i = 0; env[i] != NULL; i++)
        free(env[i]);
    return err;
}

int executor_process_start(struct loop *loop, const char *program, const char *dir,
                           const struct executor_process_ops *ops, void *arg,
                           struct executor_process **out)
{
    int fds[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) < 0)
        return -errno;
    struct executor_process *p = mem_zalloc(sizeof *p);
    p->loop = loop;
    p->ops = ops;
    p->arg = arg;
    p->scratch = mem_alloc(EXECUTOR_PROCESS_READ_BYTES);
    frame_decoder_init(&p->decoder, FRAME_BODY_BYTES_MAX);
    int err = uv_pipe_init(loop_uv(loop), &p->pipe, 0);
    assert(err == 0);
    p->pipe.data = p;
    p->open_handles = 1;
    err = executor_process_spawn(p, program, dir, fds[1]);
    close(fds[1]);
    if (err == 0)
        err = uv_pipe_open(&p->pipe, fds[0]);
    if (err < 0)
        close(fds[0]);
    else
        err = uv_read_start((uv_stream_t *)&p->pipe, executor_process_alloc, executor_process_read);
    if (err < 0) {
        executor_process_free(p);
        return err;
    }
    *out = p;
    return 0;
}

int executor_process_pid(const struct executor_process *p)
{
    return p->is_running ? p->process.pid : 0;
}
