/* A read opens the stream, reads and closes it on libuv's pool; back on the loop it is answered, or
 * held when it found nothing new and the task still runs. While some are held a timer looks at
 * sizes and sends those back to the pool that can go on; the end of their task sends all of them.
 *
 * What ended with its streams in the report is remembered for a while, because followers that read
 * the (removed) files a moment ago come once more for the rest. */
#include "run/output_reader.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/stat.h>
#include <unistd.h>
#include <uthash.h>

#include "base/mem.h"
#include "run/task_dir.h"

enum {
    OUTPUT_READER_RECENT_BYTES_MAX = 1024 * 1024,
    OUTPUT_READER_STATS_PER_TICK = 256, /* sizes looked at each time, in turn */
};

struct output_task {
    struct task_key key;
    bool is_running;
    /* the others only when it ended with its streams in the report */
    TAILQ_ENTRY(output_task) age;
    struct {
        uint8_t *data;
        size_t len;
    } streams[2];
    UT_hash_handle hh;
};

struct output_read {
    TAILQ_ENTRY(output_read) link; /* in held or busy */
    struct output_reader *reader;
    struct task_key key;
    Wire__OutputStream stream;
    uint64_t offset;
    size_t bytes_max;
    bool wait;
    output_read_fn done;
    void *arg;
    bool is_cancelled;
    bool is_refused;

    uv_work_t work;
    char *path;
    bool was_running; /* when the work was queued */
    int code;         /* of the work */
    uint8_t *data;
    size_t len;
    uint64_t size;
};

TAILQ_HEAD(output_read_list, output_read);

struct output_reader {
    uv_loop_t *loop;
    char *tasks_dir;
    uv_timer_t tick;
    struct output_task *tasks;        /* running or remembered */
    TAILQ_HEAD(, output_task) recent; /* oldest first */
    size_t recent_count;
    size_t recent_bytes;
    struct output_read_list held;
    struct output_read_list busy; /* on the pool */
    size_t read_count;
    bool is_closing;
    bool is_tick_closed;
    void (*closed)(void *arg);
    void *closed_arg;
};

/* ---- tasks ---- */

static struct output_task *output_reader_find(const struct output_reader *r,
                                              const struct task_key *key)
{
    struct output_task *task;

    HASH_FIND(hh, r->tasks, key, sizeof *key, task);
    return task;
}

static bool output_reader_is_running(const struct output_reader *r, const struct task_key *key)
{
    const struct output_task *task = output_reader_find(r, key);

    return task && task->is_running;
}

static void output_reader_forget(struct output_reader *r, struct output_task *task)
{
    if (!task->is_running) {
        TAILQ_REMOVE(&r->recent, task, age);
        r->recent_count--;
        r->recent_bytes -= task->streams[0].len + task->streams[1].len;
    }
    HASH_DEL(r->tasks, task);
    free(task->streams[0].data);
    free(task->streams[1].data);
    free(task);
}

static void output_reader_remember(struct output_reader *r, struct output_task *task,
                                   const Wire__TaskReport *report)
{
    const ProtobufCBinaryData *data[2] = {&report->stdout_inline, &report->stderr_inline};

    task->is_running = false;
    for (int i = 0; i < 2; i++) {
        task->streams[i].data = mem_dup(data[i]->data, data[i]->len);
        task->streams[i].len = data[i]->len;
        r->recent_bytes += data[i]->len;
    }
    TAILQ_INSERT_TAIL(&r->recent, task, age);
    r->recent_count++;
    while (r->recent_count > OUTPUT_READER_RECENT_MAX ||
           r->recent_bytes > OUTPUT_READER_RECENT_BYTES_MAX)
        output_reader_forget(r, TAILQ_FIRST(&r->recent));
}

/* ---- answers ---- */

static void output_reader_free(struct output_reader *r)
{
    struct output_task *task, *next;

    HASH_ITER (hh, r->tasks, task, next)
        output_reader_forget(r, task);
    if (r->closed)
        r->closed(r->closed_arg);
    free(r->tasks_dir);
    free(r);
}

/* Closed are the timer and every read. */
static void output_reader_check_closed(struct output_reader *r)
{
    if (r->is_closing && r->read_count == 0 && r->is_tick_closed)
        output_reader_free(r);
}

/* `read` is in no list. */
static void output_read_end(struct output_read *read, const struct output_chunk *chunk)
{
    struct output_reader *r = read->reader;

    if (!read->is_cancelled)
        read->done(read->arg, chunk);
    free(read->path);
    free(read->data);
    free(read);
    r->read_count--;
}

static void output_read_fail(struct output_read *read, int code, const char *text)
{
    struct output_chunk chunk = {.code = code, .text = text, .next_offset = read->offset};

    output_read_end(read, &chunk);
}

static void output_read_answer(struct output_read *read, const uint8_t *data, size_t len,
                               bool is_eof, bool is_running)
{
    struct output_chunk chunk = {
        .text = "",
        .data = data,
        .len = len,
        .next_offset = read->offset + len,
        .eof = is_eof,
        .running = is_running,
    };

    output_read_end(read, &chunk);
}

static void output_read_answer_recent(struct output_read *read, const struct output_task *task)
{
    size_t all = task->streams[read->stream].len;
    size_t from = read->offset < all ? (size_t)read->offset : all;
    size_t len = all - from < read->bytes_max ? all - from : read->bytes_max;
    const uint8_t *data = task->streams[read->stream].data;

    output_read_answer(read, data + from, len, from + len == all, false);
}

/* ---- the pool ---- */

static int output_read_file(struct output_read *read)
{
    struct stat st;
    int err = 0;

    int fd = open(read->path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    if (fstat(fd, &st) < 0)
        err = -errno;
    else if (!S_ISREG(st.st_mode))
        err = -EINVAL;
    read->size = err == 0 ? (uint64_t)st.st_size : 0;
    if (read->size > read->offset) {
        uint64_t left = read->size - read->offset;
        size_t want = left < read->bytes_max ? (size_t)left : read->bytes_max;
        read->data = mem_alloc(want);
        ssize_t n = pread(fd, read->data, want, (off_t)read->offset);
        err = n < 0 ? -errno : 0;
        read->len = n < 0 ? 0 : (size_t)n;
    }
    close(fd);
    return err;
}

static void output_read_work(uv_work_t *work)
{
    struct output_read *read = work->data;

    read->code = read->is_refused ? ERR_BUSY : output_read_file(read);
}

static void output_read_worked(uv_work_t *work, int status);

static void output_read_queue(struct output_read *read)
{
    struct output_reader *r = read->reader;

    TAILQ_INSERT_TAIL(&r->busy, read, link);
    free(read->data);
    read->data = NULL;
    read->len = 0;
    read->was_running = output_reader_is_running(r, &read->key);
    read->work.data = read;
    uv_queue_work(r->loop, &read->work, output_read_work, output_read_worked);
}

static void output_reader_tick(uv_timer_t *timer);

static void output_read_hold(struct output_read *read)
{
    struct output_reader *r = read->reader;

    TAILQ_INSERT_TAIL(&r->held, read, link);
    if (!uv_is_active((uv_handle_t *)&r->tick))
        uv_timer_start(&r->tick, output_reader_tick, OUTPUT_READER_POLL_MS, OUTPUT_READER_POLL_MS);
}

/* Nothing was read: the stream isn't there (yet, or any more), or ends where the read begins. */
static void output_read_at_end(struct output_read *read)
{
    bool is_running = output_reader_is_running(read->reader, &read->key);

    if (is_running && read->wait)
        output_read_hold(read);
    else if (is_running)
        output_read_answer(read, NULL, 0, false, true);
    else if (read->was_running) /* the end came in between: once more, to see all of it */
        output_read_queue(read);
    else if (read->code < 0)
        output_read_fail(read, ERR_NOT_FOUND, "the output is not on this node");
    else
        output_read_answer(read, NULL, 0, true, false);
}

static void output_read_worked(uv_work_t *work, int status)
{
    struct output_read *read = work->data;
    struct output_reader *r = read->reader;
    const struct output_task *task = output_reader_find(r, &read->key);

    (void)status;
    TAILQ_REMOVE(&r->busy, read, link);
    if (read->is_cancelled || r->is_closing)
        output_read_fail(read, ERR_CLOSED, err_text(ERR_CLOSED));
    else if (task && !task->is_running && !read->is_refused)
        output_read_answer_recent(read, task);
    else if (read->code < 0 && read->code != -ENOENT)
        output_read_fail(read, read->code, err_text(read->code));
    else if (read->len == 0)
        output_read_at_end(read);
    else
        output_read_answer(read, read->data, read->len,
                           !read->was_running && read->offset + read->len >= read->size,
                           task != NULL);
    output_reader_check_closed(r);
}

/* ---- those that are held ---- */

static void output_read_release(struct output_read *read)
{
    TAILQ_REMOVE(&read->reader->held, read, link);
    output_read_queue(read);
}

static void output_reader_tick(uv_timer_t *timer)
{
    struct output_reader *r = timer->data;
    struct output_read *last = TAILQ_LAST(&r->held, output_read_list);
    struct output_read *read;
    struct stat st;

    for (int i = 0; i < OUTPUT_READER_STATS_PER_TICK; i++) {
        read = TAILQ_FIRST(&r->held);
        if (!read)
            break;
        TAILQ_REMOVE(&r->held, read, link);
        if (stat(read->path, &st) == 0 && (uint64_t)st.st_size > read->offset)
            output_read_queue(read);
        else
            TAILQ_INSERT_TAIL(&r->held, read, link);
        if (read == last)
            break;
    }
    if (TAILQ_EMPTY(&r->held))
        uv_timer_stop(&r->tick);
}

/* ---- */

struct output_reader *output_reader_new(uv_loop_t *loop, const char *tasks_dir)
{
    struct output_reader *r = mem_zalloc(sizeof *r);

    r->loop = loop;
    r->tasks_dir = mem_strdup(tasks_dir);
    TAILQ_INIT(&r->recent);
    TAILQ_INIT(&r->held);
    TAILQ_INIT(&r->busy);
    uv_timer_init(loop, &r->tick);
    r->tick.data = r;
    return r;
}

static void output_reader_tick_closed(uv_handle_t *handle)
{
    struct output_reader *r = handle->data;

    r->is_tick_closed = true;
    output_reader_check_closed(r);
}

void output_reader_close(struct output_reader *r, void (*closed)(void *arg), void *arg)
{
    struct output_read *read;

    assert(!r->is_closing);
    r->is_closing = true;
    r->closed = closed;
    r->closed_arg = arg;
    while ((read = TAILQ_FIRST(&r->held)) != NULL) {
        TAILQ_REMOVE(&r->held, read, link);
        output_read_fail(read, ERR_CLOSED, err_text(ERR_CLOSED));
    }
    uv_close((uv_handle_t *)&r->tick, output_reader_tick_closed);
}

void output_reader_begin(struct output_reader *r, const struct task_key *key)
{
    struct output_task *task = output_reader_find(r, key);

    if (task && !task->is_running)
        output_reader_forget(r, task);
    else if (task)
        return;
    task = mem_zalloc(sizeof *task);
    task->key = *key;
    task->is_running = true;
    HASH_ADD(hh, r->tasks, key, sizeof task->key, task);
}

void output_reader_end(struct output_reader *r, const struct task_key *key,
                       const Wire__TaskReport *report)
{
    struct output_task *task = output_reader_find(r, key);
    struct output_read *read, *next;

    if (!task || !task->is_running)
        return;
    if (report->output_kept)
        output_reader_forget(r, task);
    else
        output_reader_remember(r, task, report);
    for (read = TAILQ_FIRST(&r->held); read; read = next) {
        next = TAILQ_NEXT(read, link);
        if (memcmp(&read->key, key, sizeof *key) == 0)
            output_read_release(read);
    }
}

struct output_read *output_reader_read(struct output_reader *r, const struct task_key *key,
                                       Wire__OutputStream stream, uint64_t offset, size_t bytes_max,
                                       bool wait, output_read_fn done, void *arg)
{
    struct output_read *read = mem_zalloc(sizeof *read);
    bool is_stderr = stream == WIRE__OUTPUT_STREAM__OUTPUT_STREAM_STDERR;

    assert(!r->is_closing);
    if (bytes_max == 0 || bytes_max > OUTPUT_READER_CHUNK_BYTES_MAX)
        bytes_max = OUTPUT_READER_CHUNK_BYTES_MAX;
    *read = (struct output_read){
        .reader = r,
        .key = *key,
        .stream = is_stderr ? stream : WIRE__OUTPUT_STREAM__OUTPUT_STREAM_STDOUT,
        .offset = offset > INT64_MAX ? INT64_MAX : offset,
        .bytes_max = bytes_max,
        .wait = wait,
        .done = done,
        .arg = arg,
        .is_refused = r->read_count >= OUTPUT_READER_READS_MAX,
    };
    char *dir = task_dir_path(r->tasks_dir, key);
    read->path = mem_printf("%s/%s", dir, is_stderr ? TASK_DIR_STDERR : TASK_DIR_STDOUT);
    free(dir);
    r->read_count++;
    output_read_queue(read);
    return read;
}

void output_reader_cancel(struct output_read *read)
{
    struct output_reader *r = read->reader;
    struct output_read *held;

    read->is_cancelled = true;
    TAILQ_FOREACH (held, &r->held, link) {
        if (held == read)
            break;
    }
    if (!held)
        return; /* the pool's callback ends it */
    TAILQ_REMOVE(&r->held, read, link);
    output_read_fail(read, ERR_CANCELLED, err_text(ERR_CANCELLED));
}
