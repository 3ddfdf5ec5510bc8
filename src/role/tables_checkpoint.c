/* Happy path: the parts are fetched into the executors' scratch directory, one task
 * gives their rows as lines, and threads replay them, a few batches behind; credit keeps the
 * executor from running ahead. Lines of files that come before the schema wait for it. */
#include "role/tables_checkpoint.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "run/executor.h"
#include "wire/lake_path.h"

enum {
    TABLES_CHECKPOINT_CREDIT = 4 << 20,
    TABLES_CHECKPOINT_WAIT_BYTES_MAX = 512 << 20,
    TABLES_CHECKPOINT_PARTS_MAX = 10000,
};

struct executor_pool *tables_executors(struct tables *tables, struct error *e)
{
    struct lake *lake = node_lake(tables->node);
    if (lake->executors != NULL)
        return lake->executors;
    if (tables->executors != NULL)
        return tables->executors;
    if (executor_check(NULL, e) < 0)
        return NULL;
    char *dir = mem_printf("%s/checkpoints", node_options(tables->node)->data_dir);
    struct executor_pool_options options = {.loop = node_loop(tables->node),
                                            .dir = dir,
                                            .slots = 1,
                                            .threads = 1,
                                            .memory_bytes_max = UINT64_C(1) << 30,
                                            .temp_bytes_max = UINT64_C(4) << 30,
                                            .time_limit_ms = TABLES_CHECKPOINT_TIME_MS};
    if (executor_pool_new(&options, &tables->executors, e) < 0)
        tables->executors = NULL;
    free(dir);
    return tables->executors;
}

struct tables_checkpoint_read {
    struct tables *tables;
    char *place;
    struct delta_last_checkpoint which;
    tables_load_fn fn;
    void *arg;

    struct executor_pool *pool;
    char *dir;     /* of the parts, in the scratch directory */
    char **paths;  /* below it */
    unsigned part; /* fetched so far */
    int fd;
    struct object_call *call;
    struct executor_job *job;
    struct loop_work *work;
    struct loop_timer timer;
    bool cancelled, ended; /* the job has */

    struct delta_log *log;
    bool schema, protocol; /* were seen */
    struct buf arriving;   /* lines that wait for the thread */
    struct buf loading;    /* with the thread */
    struct buf early;      /* lines of files before the schema */
    struct error error;
};

static unsigned tables_checkpoint_parts(const struct tables_checkpoint_read *read)
{
    return read->which.parts > 0 ? read->which.parts : 1;
}

static void tables_checkpoint_unlink(struct tables_checkpoint_read *read)
{
    for (unsigned i = 0; read->paths != NULL && i < tables_checkpoint_parts(read); i++) {
        char *path = mem_printf("%s/%s", read->dir, read->paths[i]);
        (void)unlink(path);
        free(path);
        free(read->paths[i]);
    }
    free(read->paths);
    read->paths = NULL;
}

static void tables_checkpoint_free(struct tables_checkpoint_read *read)
{
    loop_timer_stop(&read->timer);
    if (read->fd >= 0)
        (void)close(read->fd);
    tables_checkpoint_unlink(read);
    delta_log_free(read->log);
    buf_done(&read->arriving);
    buf_done(&read->loading);
    buf_done(&read->early);
    free(read->dir);
    free(read->place);
    free(read);
}

static void tables_checkpoint_end(struct tables_checkpoint_read *read)
{
    struct error e = read->error;
    struct delta_log *log = e.code == 0 ? read->log : NULL;
    tables_load_fn fn = read->fn;
    void *arg = read->arg;
    if (log != NULL)
        read->log = NULL;
    tables_checkpoint_free(read);
    fn(arg, e.code, e.text, log);
}

static void tables_checkpoint_on_timer(void *arg)
{
    tables_checkpoint_end(arg);
}

void tables_checkpoint_cancel(struct tables_checkpoint_read *read)
{
    read->cancelled = true;
    if (read->call != NULL)
        object_call_cancel(read->call);
    if (read->job != NULL)
        executor_drop(read->job);
    read->call = NULL;
    read->job = NULL;
    if (read->work == NULL)
        tables_checkpoint_free(read);
}

/* One line on the thread. */
static void tables_checkpoint_line(struct tables_checkpoint_read *read, const char *line,
                                   size_t len)
{
    bool file = strncmp(line, "{\"add\"", 6) == 0 || strncmp(line, "{\"remove\"", 9) == 0;
    if (file && !(read->schema && read->protocol)) {
        if (buf_append(&read->early, line, len) < 0 || buf_append_byte(&read->early, '\n') < 0)
            (void)error_set(&read->error, ERR_TOO_LARGE,
                            "checkpoint %" PRIu64 " gives its schema too late",
                            read->which.version);
        return;
    }
    read->schema |= strncmp(line, "{\"metaData\"", 11) == 0;
    read->protocol |= strncmp(line, "{\"protocol\"", 11) == 0;
    (void)delta_log_load_line(read->log, line, len, &read->error);
}

static void tables_checkpoint_lines(struct tables_checkpoint_read *read, struct buf *lines)
{
    size_t at = 0;
    while (at < lines->len && read->error.code == 0) {
        const char *line = (const char *)lines->data + at;
        const char *end = memchr(line, '\n', lines->len - at);
        size_t len = end != NULL ? (size_t)(end - line) : lines->len - at;
        if (len > 0 && strncmp(line, "null", len) != 0)
            tables_checkpoint_line(read, line, len);
        at += len + 1;
    }
    buf_clear(lines);
}

static void tables_checkpoint_work(void *arg)
{
    struct tables_checkpoint_read *read = arg;
    tables_checkpoint_lines(read, &read->loading);
    if (read->schema && read->protocol && read->early.len > 0)
        tables_checkpoint_lines(read, &read->early);
}

static void tables_checkpoint_next(struct tables_checkpoint_read *read);

static void tables_checkpoint_on_worked(void *arg, int code)
{
    struct tables_checkpoint_read *read = arg;
    (void)code;
    read->work = NULL;
    if (read->cancelled)
        tables_checkpoint_free(read);
    else
        tables_checkpoint_next(read);
}

/* Gives the thread what has arrived, or ends when nothing more will. */
static void tables_checkpoint_next(struct tables_checkpoint_read *read)
{
    if (read->work != NULL)
        return;
    if (read->arriving.len > 0 && read->error.code == 0) {
        struct buf empty = read->loading;
        read->loading = read->arriving;
        read->arriving = empty;
        if (read->job != NULL)
            executor_credit(read->job, read->loading.len);
        read->work = loop_work(node_loop(read->tables->node), tables_checkpoint_work,
                               tables_checkpoint_on_worked, read);
        return;
    }
    if (read->error.code < 0 && read->job != NULL) {
        executor_drop(read->job);
        read->job = NULL;
        read->ended = true;
    }
    if (!read->ended)
        return;
    if (read->error.code == 0)
        (void)delta_log_load_end(read->log, read->which.size, read->which.adds, &read->error);
    tables_checkpoint_end(read);
}

/* The executor names its copies; people know the parts by their own paths. malloc'ed. */
static char *tables_checkpoint_translate(const struct tables_checkpoint_read *read,
                                         const char *message)
{
    char key[LAKE_LOG_NAME_MAX];
    for (unsigned i = 0; i < tables_checkpoint_parts(read); i++) {
        char *path = mem_printf("%s/%s", read->dir, read->paths[i]);
        const char *at = strstr(message, path);
        size_t len = strlen(path);
        free(path);
        if (at == NULL)
            continue;
        if (read->which.parts > 0)
            (void)lake_log_checkpoint_part(read->which.version, i + 1, read->which.parts, key);
        else
            (void)lake_log_checkpoint(read->which.version, key);
        return mem_printf("%.*s%s%s", (int)(at - message), message, key, at + len);
    }
    return mem_strdup(message);
}

static void tables_checkpoint_on_update(void *arg, const Wire__SqlTaskUpdate *update)
{
    struct tables_checkpoint_read *read = arg;
    if (update->rows != NULL) {
        (void)buf_append(&read->arriving, update->rows->data.data, update->rows->data.len);
        if (read->arriving.len > 0 && read->arriving.data[read->arriving.len - 1] != '\n')
            (void)buf_append_byte(&read->arriving, '\n');
    }
    if (update->done != NULL) {
        const Wire__SqlError *error = update->done->error;
        read->job = NULL;
        read->ended = true;
        if (error != NULL && read->error.code == 0) {
            char *text = tables_checkpoint_translate(read, error->message);
            (void)error_set(&read->error, error->code, "checkpoint %" PRIu64 ": %s",
                            read->which.version, text);
            free(text);
        }
    }
    tables_checkpoint_next(read);
}

static void tables_checkpoint_run(struct tables_checkpoint_read *read)
{
    Wire__SqlRunTask task = WIRE__SQL_RUN_TASK__INIT;
    Wire__SqlCheckpointRead message = WIRE__SQL_CHECKPOINT_READ__INIT;
    char *root = mem_printf("file:%s", read->dir);
    message.root = root;
    message.paths = read->paths;
    message.n_paths = tables_checkpoint_parts(read);
    task.credit = TABLES_CHECKPOINT_CREDIT;
    task.time_limit_ms = TABLES_CHECKPOINT_TIME_MS;
    task.checkpoint_read = &message;
    read->log = delta_log_new();
    (void)delta_log_load_begin(read->log, read->which.version);
    int err = executor_run(read->pool, &task, tables_checkpoint_on_update, read, &read->job);
    free(root);
    if (err < 0) {
        (void)error_set(&read->error, err, "checkpoint %" PRIu64 ": %s", read->which.version,
                        err_text(err));
        tables_checkpoint_end(read);
    }
}

static void tables_checkpoint_fetch(struct tables_checkpoint_read *read);

static void tables_checkpoint_on_fetched(void *arg, const struct object_result *result)
{
    struct tables_checkpoint_read *read = arg;
    read->call = NULL;
    (void)close(read->fd);
    read->fd = -1;
    if (result->code < 0) {
        (void)error_set(&read->error, result->code, "%s", result->text);
        tables_checkpoint_end(read);
    } else if (++read->part < tables_checkpoint_parts(read)) {
        tables_checkpoint_fetch(read);
    } else {
        tables_checkpoint_run(read);
    }
}

static void tables_checkpoint_fetch(struct tables_checkpoint_read *read)
{
    char key[LAKE_LOG_NAME_MAX];
    if (read->which.parts > 0)
        (void)lake_log_checkpoint_part(read->which.version, read->part + 1, read->which.parts, key);
    else
        (void)lake_log_checkpoint(read->which.version, key);
    char *path = mem_printf("%s/%s", read->dir, read->paths[read->part]);
    read->fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    int err = read->fd < 0 ? -errno : 0;
    if (err < 0) {
        (void)error_set(&read->error, err, "%s: %s", path, err_text(err));
        loop_timer_start(&read->timer, 0);
    } else {
        struct object_request request = {.verb = OBJECT_GET,
                                         .place = read->place,
                                         .key = key,
                                         .to_fd = true,
                                         .out_fd = read->fd,
                                         .on_done = tables_checkpoint_on_fetched,
                                         .arg = read};
        read->call = object_store_call(read->tables->objects, &request);
    }
    free(path);
}

struct tables_checkpoint_read *tables_checkpoint_read(struct tables *tables, const char *place,
                                                      const struct delta_last_checkpoint *which,
                                                      tables_load_fn fn, void *arg)
{
    struct tables_checkpoint_read *read = mem_zalloc(sizeof *read);
    read->tables = tables;
    read->place = mem_strdup(place);
    read->which = *which;
    read->fn = fn;
    read->arg = arg;
    read->fd = -1;
    loop_timer_init(&read->timer, node_loop(tables->node), tables_checkpoint_on_timer, read);
    buf_init(&read->arriving, TABLES_CHECKPOINT_WAIT_BYTES_MAX);
    buf_init(&read->loading, TABLES_CHECKPOINT_WAIT_BYTES_MAX);
    buf_init(&read->early, TABLES_CHECKPOINT_WAIT_BYTES_MAX);
    read->pool = tables_executors(tables, &read->error);
    if (read->pool != NULL && which->parts > TABLES_CHECKPOINT_PARTS_MAX)
        (void)error_set(&read->error, ERR_TOO_LARGE, "checkpoint %" PRIu64 " has too many parts",
                        which->version);
    if (read->error.code < 0) {
        loop_timer_start(&read->timer, 0);
        return read;
    }
    read->dir = mem_strdup(executor_pool_scratch(read->pool));
    unsigned parts = tables_checkpoint_parts(read);
    read->paths = mem_calloc(parts, sizeof *read->paths);
    for (unsigned i = 0; i < parts; i++)
        read->paths[i] = mem_printf("checkpoint-%" PRIu64 "-%u.parquet", ++tables->checkpoints, i);
    tables_checkpoint_fetch(read);
    return read;
}
