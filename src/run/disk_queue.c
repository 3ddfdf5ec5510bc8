/* Happy path: io_submit() starts the write, the kernel counts an eventfd up at its end, which the
 * loop polls, and io_getevents() gives the result.
 *
 * How it fails: without a context there is no queue, and the owner writes by other means. */
#include "run/disk_queue.h"

#include <assert.h>
#include <errno.h>
#include <linux/aio_abi.h>
#include <linux/fs.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/mem.h"

enum { CONTEXT_EVENTS = 4, CONTEXTS_KEPT_MAX = 8 };

struct disk_queue {
    uv_poll_t poll;
    aio_context_t context;
    int event_fd;
    bool busy;
    bool pretends;
    int64_t pretended;
    struct iocb iocb;
    disk_queue_fn fn;
    void *arg;
};

/* ---- contexts -------------------------------------------------------------------------------- */

static pthread_mutex_t kept_mutex = PTHREAD_MUTEX_INITIALIZER;
static aio_context_t kept[CONTEXTS_KEPT_MAX];
static unsigned kept_n;

static int take_context(aio_context_t *context)
{
    pthread_mutex_lock(&kept_mutex);
    bool found = kept_n > 0;
    *context = found ? kept[--kept_n] : 0;
    pthread_mutex_unlock(&kept_mutex);
    if (found || syscall(SYS_io_setup, CONTEXT_EVENTS, context) == 0)
        return 0;
    return -errno;
}

static void give_context(aio_context_t context)
{
    pthread_mutex_lock(&kept_mutex);
    bool keeps = kept_n < CONTEXTS_KEPT_MAX;
    if (keeps)
        kept[kept_n++] = context;
    pthread_mutex_unlock(&kept_mutex);
    if (!keeps)
        (void)syscall(SYS_io_destroy, context);
}

/* ---- the end of a write ---------------------------------------------------------------------- */

/* Takes the result; blocks when `wait`. False: there is none yet. */
static bool take_result(struct disk_queue *queue, bool wait, int64_t *result)
{
    if (queue->pretends) {
        *result = queue->pretended;
        return true;
    }
    struct io_event event;
    long n;
    do
        n = syscall(SYS_io_getevents, queue->context, wait ? 1L : 0L, 1L, &event, NULL);
    while (n < 0 && errno == EINTR);
    assert(n >= 0);
    if (n == 1)
        *result = event.res;
    return n == 1;
}

static void finish(struct disk_queue *queue, bool wait)
{
    int64_t result;
    if (!queue->busy || !take_result(queue, wait, &result))
        return;
    queue->busy = queue->pretends = false;
    queue->fn(queue->arg, result);
}

static void on_readable(uv_poll_t *poll, int status, int events)
{
    (void)status;
    (void)events;
    struct disk_queue *queue = poll->data;
    uint64_t count;
    if (read(queue->event_fd, &count, sizeof count) == (ssize_t)sizeof count)
        finish(queue, false);
}

void disk_queue_wait(struct disk_queue *queue)
{
    finish(queue, true);
}

/* ---- its begin ------------------------------------------------------------------------------- */

int disk_queue_start(struct disk_queue *queue, const struct disk_write *write)
{
    assert(!queue->busy && write->len > 0);
    queue->iocb = (struct iocb){
        .aio_lio_opcode = IOCB_CMD_PWRITE,
        .aio_fildes = (uint32_t)write->fd,
        .aio_buf = (uintptr_t)write->data,
        .aio_nbytes = write->len,
        .aio_offset = (int64_t)write->offset,
        .aio_flags = IOCB_FLAG_RESFD,
        .aio_resfd = (uint32_t)queue->event_fd,
        .aio_rw_flags = RWF_NOWAIT,
    };
    struct iocb *iocbs[] = {&queue->iocb};
    long n;
    do
        n = syscall(SYS_io_submit, queue->context, 1L, iocbs);
    while (n < 0 && errno == EINTR);
    if (n < 0)
        return -errno;
    queue->busy = n == 1;
    return n == 1 ? 0 : -EAGAIN;
}

void disk_queue_pretend(struct disk_queue *queue, int64_t result)
{
    assert(!queue->busy);
    queue->busy = queue->pretends = true;
    queue->pretended = result;
    uint64_t one = 1;
    if (write(queue->event_fd, &one, sizeof one) != (ssize_t)sizeof one)
        abort();
}

/* ---- life ------------------------------------------------------------------------------------ */

int disk_queue_open(struct disk_queue **out, struct loop *loop, disk_queue_fn fn, void *arg)
{
    aio_context_t context;
    int rc = take_context(&context);
    if (rc < 0)
        return rc;
    int fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (fd < 0) {
        rc = -errno;
        give_context(context);
        return rc;
    }
    struct disk_queue *queue = mem_zalloc(sizeof *queue);
    queue->context = context;
    queue->event_fd = fd;
    queue->fn = fn;
    queue->arg = arg;
    queue->poll.data = queue;
    rc = uv_poll_init(loop_uv(loop), &queue->poll, fd);
    if (rc == 0)
        rc = uv_poll_start(&queue->poll, UV_READABLE, on_readable);
    assert(rc == 0);
    *out = queue;
    return 0;
}

static void on_closed(uv_handle_t *handle)
{
    struct disk_queue *queue = handle->data;
    (void)close(queue->event_fd);
    give_context(queue->context);
    free(queue);
}

void disk_queue_close(struct disk_queue *queue)
{
    if (queue == NULL)
        return;
    assert(!queue->busy);
    uv_close((uv_handle_t *)&queue->poll, on_closed);
}
