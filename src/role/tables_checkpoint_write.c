/* Happy path: a thread writes the lines to a scratch file, one task makes Parquet of it, which is
 * put as an object, and then _last_checkpoint. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "role/tables_checkpoint.h"
#include "run/executor.h"
#include "wire/lake_path.h"

#define TABLES_TOMBSTONE_KEEP_MS (INT64_C(7) * 24 * 3600 * 1000)

struct tables_checkpoint_write {
    struct tables *tables;
    char *place;
    struct delta_view *view;
    tables_checkpoint_fn fn;
    void *arg;

    struct executor_pool *pool;
    char *lines, *parquet; /* names in the scratch directory */
    int64_t tombstones_from_ms;
    struct delta_checkpoint_counts counts;
    uint64_t bytes;
    struct object_call *call;
    struct executor_job *job;
    struct loop_work *work;
    struct loop_timer timer;
    bool cancelled;
    int fd;
    struct error error;
};

static char *tables_checkpoint_path(const struct tables_checkpoint_write *write, const char *name)
{
    return mem_printf("%s/%s", executor_pool_scratch(write->pool), name);
}

static void tables_checkpoint_write_free(struct tables_checkpoint_write *write)
{
    char *names[] = {write->lines, write->parquet};
    for (size_t i = 0; i < MEM_COUNT(names); i++) {
        if (names[i] == NULL)
            continue;
        char *path = tables_checkpoint_path(write, names[i]);
        (void)unlink(path);
        free(path);
        free(names[i]);
    }
    loop_timer_stop(&write->timer);
    if (write->fd >= 0)
        (void)close(write->fd);
    delta_view_close(write->view);
    free(write->place);
    free(write);
}

static void tables_checkpoint_write_end(struct tables_checkpoint_write *write)
{
    struct error e = write->error;
    tables_checkpoint_fn fn = write->fn;
    void *arg = write->arg;
    tables_checkpoint_write_free(write);
    fn(arg, e.code, e.text);
}

static void tables_checkpoint_write_fail(struct tables_checkpoint_write *write, int code,
                                         const char *text)
{
    (void)error_set(&write->error, code, "%s", text);
    tables_checkpoint_write_end(write);
}

static void tables_checkpoint_write_on_timer(void *arg)
{
    tables_checkpoint_write_end(arg);
}

void tables_checkpoint_write_cancel(struct tables_checkpoint_write *write)
{
    write->cancelled = true;
    if (write->call != NULL)
        object_call_cancel(write->call);
    if (write->job != NULL)
        executor_drop(write->job);
    write->call = NULL;
    write->job = NULL;
    if (write->work == NULL)
        tables_checkpoint_write_free(write);
}

static void tables_checkpoint_on_last_put(void *arg, const struct object_result *result)
{
    struct tables_checkpoint_write *write = arg;
    write->call = NULL;
    if (result->code < 0)
        (void)error_set(&write->error, result->code, "%s", result->text);
    tables_checkpoint_write_end(write);
}

static void tables_checkpoint_on_put(void *arg, const struct object_result *result)
{
    struct tables_checkpoint_write *write = arg;
    write->call = NULL;
    if (result->code < 0) {
        tables_checkpoint_write_fail(write, result->code, result->text);
        return;
    }
    struct delta_last_checkpoint last = {.version = delta_view_version(write->view),
                                         .size = write->counts.actions,
                                         .adds = write->counts.adds};
    char *text = delta_last_checkpoint_format(&last, write->bytes);
    struct object_request request = {.verb = OBJECT_PUT,
                                     .place = write->place,
                                     .key = LAKE_LAST_CHECKPOINT,
                                     .body = text,
                                     .body_len = strlen(text),
                                     .on_done = tables_checkpoint_on_last_put,
                                     .arg = write};
    write->call = object_store_call(write->tables->objects, &request);
    free(text);
}

static void tables_checkpoint_put(struct tables_checkpoint_write *write)
{
    char key[LAKE_LOG_NAME_MAX];
    struct stat st;
    char *path = tables_checkpoint_path(write, write->parquet);
    write->fd = open(path, O_RDONLY | O_CLOEXEC);
    int err = write->fd < 0 || fstat(write->fd, &st) < 0 ? -errno : 0;
    free(path);
    if (err < 0) {
        tables_checkpoint_write_fail(write, err, err_text(err));
        return;
    }
    write->bytes = (uint64_t)st.st_size;
    struct object_request request = {.verb = OBJECT_PUT,
                                     .place = write->place,
                                     .key =
                                         lake_log_checkpoint(delta_view_version(write->view), key),
                                     .from_fd = true,
                                     .body_fd = write->fd,
                                     .fd_len = write->bytes,
                                     .on_done = tables_checkpoint_on_put,
                                     .arg = write};
    write->call = object_store_call(write->tables->objects, &request);
}

static void tables_checkpoint_on_written(void *arg, const Wire__SqlTaskUpdate *update)
{
    struct tables_checkpoint_write *write = arg;
    if (update->done == NULL)
        return;
    write->job = NULL;
    if (update->done->error != NULL)
        tables_checkpoint_write_fail(write, update->done->error->code,
                                     update->done->error->message);
    else
        tables_checkpoint_put(write);
}

static int tables_checkpoint_write_line(void *arg, const char *line, size_t len)
{
    FILE *file = arg;
    return fwrite(line, 1, len, file) == len && fputc('\n', file) != EOF ? 0 : -EIO;
}

static void tables_checkpoint_write_lines(void *arg)
{
    struct tables_checkpoint_write *write = arg;
    char *path = tables_checkpoint_path(write, write->lines);
    FILE *file = fopen(path, "we");
    int err = file == NULL
                  ? -errno
                  : delta_checkpoint_write(write->view, write->tombstones_from_ms,
                                           tables_checkpoint_write_line, file, &write->counts);
    if (file != NULL && fclose(file) != 0 && err == 0)
        err = -errno;
    if (err < 0)
        (void)error_set(&write->error, err, "%s: %s", path, err_text(err));
    free(path);
}

static void tables_checkpoint_on_lines(void *arg, int code)
{
    struct tables_checkpoint_write *write = arg;
    (void)code;
    write->work = NULL;
    if (write->cancelled) {
        tables_checkpoint_write_free(write);
        return;
    }
    if (write->error.code < 0) {
        tables_checkpoint_write_end(write);
        return;
    }
    Wire__SqlRunTask task = WIRE__SQL_RUN_TASK__INIT;
    Wire__SqlCheckpointWrite message = WIRE__SQL_CHECKPOINT_WRITE__INIT;
    char *lines = tables_checkpoint_path(write, write->lines);
    char *root = mem_printf("file:%s", executor_pool_scratch(write->pool));
    message.lines_path = lines;
    message.root = root;
    message.path = write->parquet;
    task.time_limit_ms = TABLES_CHECKPOINT_TIME_MS;
    task.checkpoint_write = &message;
    int err = executor_run(write->pool, &task, tables_checkpoint_on_written, write, &write->job);
    free(lines);
    free(root);
    if (err < 0)
        tables_checkpoint_write_fail(write, err, err_text(err));
}

/* How long removed files are remembered: delta.deletedFileRetentionDuration is an interval in
 * words; the default of the Delta world is a week. */
struct tables_checkpoint_write *tables_checkpoint_write(struct tables *tables, const char *place,
                                                        struct delta_view *view,
                                                        tables_checkpoint_fn fn, void *arg)
{
    struct tables_checkpoint_write *write = mem_zalloc(sizeof *write);
    struct loop *loop = node_loop(tables->node);
    write->tables = tables;
    write->place = mem_strdup(place);
    write->view = view;
    delta_view_detach(view);
    write->fn = fn;
    write->arg = arg;
    write->fd = -1;
    write->tombstones_from_ms = loop_wall_ms(loop) - TABLES_TOMBSTONE_KEEP_MS;
    loop_timer_init(&write->timer, loop, tables_checkpoint_write_on_timer, write);
    write->pool = tables_executors(tables, &write->error);
    if (write->pool == NULL) {
        loop_timer_start(&write->timer, 0);
        return write;
    }
    uint64_t serial = ++tables->checkpoints;
    write->lines = mem_printf("checkpoint-%" PRIu64 ".json", serial);
    write->parquet = mem_printf("checkpoint-%" PRIu64 ".parquet", serial);
    write->work = loop_work(loop, tables_checkpoint_write_lines, tables_checkpoint_on_lines, write);
    return write;
}
