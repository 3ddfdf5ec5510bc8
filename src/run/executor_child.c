/* First comes SqlSetup: limits are taken on, DuckDB is loaded and opened, SqlReady answers. Then
 * tasks, credit, cancels. While a task runs the reader wakes ten times a second to report progress;
 * after a cancel it interrupts DuckDB until the task has ended, since an interrupt reaches only
 * what runs at that moment.
 *
 * What the daemon sends against the rules, and a closed socket, end the process. */
#include "run/executor_child.h"

#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/error.h"
#include "run/executor_limits.h"
#include "run/executor_port.h"
#include "wire/frame.h"
#include "wire/message.h"

#ifdef HAVE_DUCKDB

#include "run/duck.h"
#include "run/executor_engine.h"
#include "run/executor_task.h"

enum {
    EXECUTOR_CHILD_READ_BYTES = 64 * 1024,
    EXECUTOR_CHILD_PROGRESS_MS = 100,
    EXECUTOR_CHILD_INTERRUPT_MS = 10,
    EXECUTOR_CHILD_STACK_BYTES = 64 * 1024 * 1024, /* deep expressions recurse in DuckDB */
};

struct executor_child {
    struct executor_port port;
    struct frame_decoder decoder;
    struct executor_engine engine;
    bool is_ready;
    pthread_mutex_t lock; /* of what follows */
    pthread_cond_t given;
    Wire__SqlRunTask *task; /* being worked on; NULL: none */
};

/* ---- the thread that works ------------------------------------------------------------------- */

static Wire__SqlRunTask *executor_child_wait(struct executor_child *child)
{
    pthread_mutex_lock(&child->lock);
    while (child->task == NULL)
        pthread_cond_wait(&child->given, &child->lock);
    Wire__SqlRunTask *task = child->task;
    pthread_mutex_unlock(&child->lock);
    return task;
}

static void *executor_child_work(void *arg)
{
    struct executor_child *child = arg;
    for (;;) {
        struct executor_task task;
        Wire__SqlRunTask *request = executor_child_wait(child);
        executor_task_init(&task, &child->engine, &child->port, request);
        executor_task_run(&task);
        /* The daemon may send the next task as soon as it has the answer. */
        pthread_mutex_lock(&child->lock);
        child->task = NULL;
        pthread_mutex_unlock(&child->lock);
        executor_task_answer(&task);
        executor_task_done(&task);
        wire_free(&request->base);
    }
    return NULL;
}

static int executor_child_start_worker(struct executor_child *child)
{
    pthread_attr_t attr;
    pthread_t thread;
    pthread_mutex_init(&child->lock, NULL);
    pthread_cond_init(&child->given, NULL);
    pthread_attr_init(&attr);
    (void)pthread_attr_setstacksize(&attr, EXECUTOR_CHILD_STACK_BYTES);
    int err = -pthread_create(&thread, &attr, executor_child_work, child);
    pthread_attr_destroy(&attr);
    return err;
}

/* ---- the thread that reads ------------------------------------------------------------------- */

static void executor_child_die(const char *why)
{
    fprintf(stderr, "clusterd executor: %s\n", why);
    _exit(2);
}

static void executor_child_setup(struct executor_child *child, const Wire__SqlSetup *setup)
{
    struct error e = {0};
    Wire__SqlReady ready = WIRE__SQL_READY__INIT;
    if (child->is_ready)
        executor_child_die("a second setup");
    executor_limits_apply(setup->memory_bytes_max);
    int err = duck_load(setup->library, &e);
    if (err == 0)
        err = executor_engine_open(&child->engine, setup, &e);
    if (err == 0 && executor_child_start_worker(child) < 0)
        err = error_set(&e, -EAGAIN, "cannot start a thread");
    ready.code = err;
    ready.text = e.text;
    if (err == 0)
        ready.version = (char *)(uintptr_t)duck.library_version();
    child->is_ready = err == 0;
    executor_port_send(&child->port, WIRE_SQL_READY, &ready.base);
}

static void executor_child_begin(struct executor_child *child, Wire__SqlRunTask *task)
{
    pthread_mutex_lock(&child->lock);
    bool is_busy = child->task != NULL;
    if (!is_busy) {
        executor_port_begin(&child->port, task->credit);
        child->task = task;
        pthread_cond_signal(&child->given);
    }
    pthread_mutex_unlock(&child->lock);
    if (is_busy)
        executor_child_die("a second task while one runs");
}

/* The call of the task that runs; 0: none. */
static uint64_t executor_child_call(struct executor_child *child)
{
    pthread_mutex_lock(&child->lock);
    uint64_t call = child->task != NULL ? child->task->call : 0;
    pthread_mutex_unlock(&child->lock);
    return call;
}

static void executor_child_on_message(struct executor_child *child, unsigned type,
                                      ProtobufCMessage *message)
{
    if (type != WIRE_SQL_SETUP && !child->is_ready)
        executor_child_die("a message before the setup");
    switch (type) {
    case WIRE_SQL_SETUP:
        executor_child_setup(child, (const Wire__SqlSetup *)message);
        break;
    case WIRE_SQL_RUN_TASK:
        executor_child_begin(child, (Wire__SqlRunTask *)message);
        return; /* the worker frees it */
    case WIRE_SQL_CREDIT: {
        const Wire__SqlCredit *credit = (const Wire__SqlCredit *)message;
        if (credit->call == executor_child_call(child))
            executor_port_credit(&child->port, credit->bytes);
        break;
    }
    case WIRE_SQL_CANCEL_TASK:
        if (((const Wire__SqlCancelTask *)message)->call == executor_child_call(child)) {
            executor_port_cancel(&child->port);
            executor_engine_interrupt(&child->engine);
        }
        break;
    default:
        executor_child_die("a message that is none for it");
    }
    wire_free(message);
}

static void executor_child_read(struct executor_child *child)
{
    static uint8_t scratch[EXECUTOR_CHILD_READ_BYTES];
    struct frame frame;
    void *to;
    size_t room;
    int err;
    frame_decoder_space(&child->decoder, scratch, sizeof scratch, &to, &room);
    ssize_t n = recv(child->port.fd, to, room, 0);
    if (n < 0 && errno == EINTR)
        return;
    if (n <= 0)
        _exit(0); /* the daemon is gone or wants no more */
    frame_decoder_push(&child->decoder, to, (size_t)n);
    while ((err = frame_decoder_next(&child->decoder, &frame)) > 0) {
        ProtobufCMessage *message = NULL;
        if (wire_unpack(frame.type, frame.body, frame.len, &message) < 0)
            executor_child_die("a malformed message");
        executor_child_on_message(child, frame.type, message);
    }
    if (err < 0)
        executor_child_die("a malformed frame");
    frame_decoder_keep(&child->decoder);
}

static void executor_child_report(struct executor_child *child, uint64_t call)
{
    Wire__SqlTaskUpdate update = WIRE__SQL_TASK_UPDATE__INIT;
    Wire__SqlProgress progress = WIRE__SQL_PROGRESS__INIT;
    executor_engine_progress(&child->engine, &progress);
    if (progress.permille == 0 && progress.rows_total == 0)
        return;
    update.call = call;
    update.state = WIRE__SQL_TASK_STATE__SQL_TASK_STATE_RUNNING;
    update.progress = &progress;
    executor_port_send(&child->port, WIRE_SQL_TASK_UPDATE, &update.base);
}

static void executor_child_serve(struct executor_child *child)
{
    for (;;) {
        struct pollfd poll_fd = {.fd = child->port.fd, .events = POLLIN};
        uint64_t call = child->is_ready ? executor_child_call(child) : 0;
        bool is_cancelled = call != 0 && executor_port_is_cancelled(&child->port);
        int wait_ms = -1;
        if (call != 0)
            wait_ms = is_cancelled ? EXECUTOR_CHILD_INTERRUPT_MS : EXECUTOR_CHILD_PROGRESS_MS;
        int n = poll(&poll_fd, 1, wait_ms);
        if (n > 0)
            executor_child_read(child);
        else if (n == 0 && is_cancelled)
            executor_engine_interrupt(&child->engine);
        else if (n == 0 && executor_child_call(child) == call)
            executor_child_report(child, call);
    }
}

int executor_main(int fd)
{
    static struct executor_child child;
    (void)signal(SIGPIPE, SIG_IGN);
    (void)signal(SIGINT, SIG_IGN); /* a Ctrl-C at the daemon's terminal is the daemon's */
    (void)close_range((unsigned)fd + 1, ~0U, 0);
    executor_port_init(&child.port, fd);
    frame_decoder_init(&child.decoder, FRAME_BODY_BYTES_MAX);
    executor_child_serve(&child);
    return 0;
}

#else

int executor_main(int fd)
{
    (void)fd;
    fprintf(stderr, "clusterd executor: this clusterd was built without DuckDB\n");
    return 2;
}

#endif
