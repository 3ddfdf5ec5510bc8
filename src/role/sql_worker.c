/* Happy path: SqlRunTask begins at once when a slot is free, else it waits in the queue; what the
 * executor says goes back over the link under the requester's call number.
 *
 * Ends early: SqlCancelTask, the requester's link lost, the node stopping. */
#include "role/sql_worker.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/metric.h"
#include "base/str.h"
#include "role/sql_worker_internal.h"
#include "run/object_cache.h"
#include "run/vitals.h"

static const struct log_about sql_worker_log = {.role = "sql_worker"};

static void sql_worker_on_slot(void *arg)
{
    struct sql_worker *worker = arg;
    struct sql_run *run;
    while (!worker->is_stopping && executor_pool_has_slot(worker->pool) &&
           (run = sql_queue_take(worker->queue)) != NULL) {
        Wire__SqlRunTask *task = run->task;
        run->task = NULL;
        sql_run_begin(run, task != NULL ? task : sql_run_task(run), task);
    }
}

/* ---- requests -------------------------------------------------------------------------------- */

static struct sql_run *sql_worker_find(struct sql_worker *worker, uint64_t peer, uint64_t call)
{
    struct sql_run *run = NULL;
    struct sql_run_key key = {peer, call};
    HASH_FIND(hh, worker->runs, &key, sizeof key, run);
    return run;
}

static bool sql_worker_writes(const Wire__SqlRunTask *task)
{
    const Wire__SqlOutput *output = task->fragment != NULL ? task->fragment->output : NULL;
    return output != NULL && output->kind != WIRE__SQL_OUTPUT_KIND__SQL_OUTPUT_KIND_ROWS;
}

/* What is written goes through the scratch directory, wherever its place is. */
static int sql_worker_check_disk(struct sql_worker *worker, const Wire__SqlRunTask *task,
                                 struct error *e)
{
    const struct node_options *options = node_options(worker->node);
    if (!sql_worker_writes(task))
        return 0;
    worker->is_full =
        vitals_disk_is_full(options->data_dir, options->disk_free_min_bytes, worker->is_full);
    return worker->is_full
               ? error_set(e, -ENOSPC, "the disk of %s is full: free space there", options->name)
               : 0;
}

/* What cannot run here whatever the statement says. */
static int sql_worker_check(struct sql_worker *worker, const Wire__SqlRunTask *task,
                            struct error *e)
{
    if (worker->pool == NULL)
        return error_set(e, worker->why.code, "%s", worker->why.text);
    if (worker->is_stopping)
        return error_set(e, ERR_UNAVAILABLE, "this node is stopping");
    if (HASH_COUNT(worker->runs) >= SQL_WORKER_RUNS_MAX)
        return error_set(e, ERR_BUSY, "this node has %d SQL tasks already", SQL_WORKER_RUNS_MAX);
    if (strlen(task->session) > SQL_WORKER_SESSION_BYTES_MAX)
        return error_set(e, ERR_PROTOCOL, "a session's name is too long");
    if (sql_remote_is_needed(task) && node_lake(worker->node)->objects == NULL)
        return error_set(e, ERR_UNSUPPORTED, "this node reaches no buckets");
    return sql_worker_check_disk(worker, task, e);
}

static void sql_worker_on_run(void *self, uint64_t from, const ProtobufCMessage *message)
{
    struct sql_worker *worker = self;
    const Wire__SqlRunTask *task = (const Wire__SqlRunTask *)message;
    struct sql_run_key key = {from, task->call};
    struct error e = {0};
    if (sql_worker_find(worker, from, task->call) != NULL)
        return; /* a call number that is in use: the requester's mistake */
    int err = sql_worker_check(worker, task, &e);
    if (err < 0) {
        sql_worker_tell_failure(worker, &key, NULL, &e, err == -ENOSPC ? "disk" : "unavailable",
                                true);
        return;
    }
    struct sql_run *run = sql_run_new(worker, &key, task);
    bool is_remote = sql_remote_is_needed(task);
    if (!is_remote && (executor_task_is_light(task) || executor_pool_has_slot(worker->pool))) {
        sql_run_begin(run, task, (Wire__SqlRunTask *)node_take_message(worker->node, message));
        return;
    }
    Wire__SqlRunTask *copy = (Wire__SqlRunTask *)node_take_message(worker->node, message);
    if (copy == NULL)
        copy = (Wire__SqlRunTask *)sql_run_copy(WIRE_SQL_RUN_TASK, message);
    if (is_remote) {
        sql_run_bring(run, copy);
        return;
    }
    run->task = copy;
    sql_run_enter(run);
}

static void sql_worker_on_credit(void *self, uint64_t from, const ProtobufCMessage *message)
{
    const Wire__SqlCredit *credit = (const Wire__SqlCredit *)message;
    struct sql_run *run = sql_worker_find(self, from, credit->call);
    if (run == NULL)
        return;
    if (!run->has_begun && sql_run_task(run) != NULL)
        sql_run_task(run)->credit += credit->bytes;
    else if (run->job != NULL)
        executor_credit(run->job, credit->bytes);
}

static void sql_worker_on_cancel(void *self, uint64_t from, const ProtobufCMessage *message)
{
    struct sql_worker *worker = self;
    const Wire__SqlCancelTask *cancel = (const Wire__SqlCancelTask *)message;
    struct sql_run *run = sql_worker_find(worker, from, cancel->call);
    struct error e = {.code = ERR_CANCELLED, .text = "cancelled"};
    if (run == NULL)
        return;
    if (run->session != NULL) {
        sql_queue_remove(worker->queue, run);
        sql_worker_tell_failure(worker, &run->key, run, &e, "cancelled", false);
    } else if (run->job != NULL) {
        run->is_cancelled = true;
        executor_cancel(run->job, ERR_CANCELLED, "cancelled");
    } else if (!run->has_ended) {
        sql_worker_tell_failure(worker, &run->key, run, &e, "cancelled", false);
    }
}

/* Nobody waits for it any more; takes the run, which ends with its job. */
static void sql_run_drop(struct sql_run *run)
{
    if (run->session != NULL)
        sql_queue_remove(run->worker->queue, run);
    if (run->job == NULL) {
        sql_run_free(run);
        return;
    }
    HASH_DEL(run->worker->runs, run);
    run->is_detached = true;
    run->is_cancelled = true;
    executor_cancel(run->job, ERR_CANCELLED, "cancelled");
}

static void sql_worker_on_link(void *self, uint64_t peer, uint64_t session)
{
    struct sql_worker *worker = self;
    struct sql_run *run;
    struct sql_run *next;
    (void)session; /* a new link's tasks come after this: what is there belongs to the old one */
    HASH_ITER (hh, worker->runs, run, next)
        if (run->key.peer == peer)
            sql_run_drop(run);
}

/* ---- life ------------------------------------------------------------------------------------ */

static void sql_worker_on_collect(void *arg)
{
    const struct sql_worker *worker = arg;
    struct object_cache_stats stats;
    metric_series_set(metric_series(METRIC_QUEUE_LENGTH, "sql_tasks"), HASH_COUNT(worker->runs));
    if (worker->cache == NULL)
        return;
    object_cache_get_stats(worker->cache, &stats);
    metric_set(METRIC_OBJECT_CACHE_SIZE, (double)stats.bytes);
    metric_series_set_counter(metric_series(METRIC_OBJECT_CACHE_ASKED, "cache"), stats.bytes_hit);
    metric_series_set_counter(metric_series(METRIC_OBJECT_CACHE_ASKED, "store"),
                              stats.bytes_fetched);
    metric_set_counter(METRIC_OBJECT_CACHE_EVICTIONS, stats.evictions);
    metric_set_counter(METRIC_OBJECT_CACHE_DAMAGED, stats.damaged);
}

static void sql_worker_on_cache_closed(void *arg)
{
    struct sql_worker *worker = arg;
    worker->cache = NULL;
    node_role_stopped(worker->node);
}

static void sql_worker_on_closed(void *arg)
{
    struct sql_worker *worker = arg;
    worker->pool = NULL;
    object_cache_close(worker->cache, sql_worker_on_cache_closed, worker);
}

static void sql_worker_stop(void *self)
{
    struct sql_worker *worker = self;
    struct error e = {.code = ERR_UNAVAILABLE, .text = "this node is stopping"};
    struct sql_run *run;
    struct sql_run *next;
    worker->is_stopping = true;
    metric_remove_collector(sql_worker_on_collect, worker);
    struct lake *lake = node_lake(worker->node);
    if (lake->executors != NULL && lake->executors_lost != NULL)
        lake->executors_lost(lake->executors_lost_arg);
    lake->executors = NULL;
    HASH_ITER (hh, worker->runs, run, next) {
        struct sql_run_key key = run->key;
        sql_run_drop(run);
        sql_worker_tell_failure(worker, &key, NULL, &e, "unavailable", true);
    }
    if (worker->pool != NULL)
        executor_pool_close(worker->pool, sql_worker_on_closed, worker);
    else
        node_role_stopped(worker->node);
}

static void sql_worker_free(void *self)
{
    struct sql_worker *worker = self;
    metric_remove_collector(sql_worker_on_collect, worker);
    if (worker->pool != NULL)
        return; /* given up: the pool still refers to it, and the process ends */
    sql_queue_free(worker->queue);
    free(worker);
}

/* The directories that tasks may use: the store, when it is one, and those of the configuration. */
static size_t sql_worker_allowed(const struct node *node, const char *place, const char *cache,
                                 const char ***out)
{
    const struct node_options *options = node_options(node);
    const char **allowed = mem_calloc(options->sql_paths_n + 2, sizeof *allowed);
    size_t n = 0;
    allowed[n++] = cache;
    if (place != NULL && str_starts_with(place, "file:"))
        allowed[n++] = place + strlen("file:");
    for (size_t i = 0; i < options->sql_paths_n; i++)
        if (options->sql_paths[i][0] == '/')
            allowed[n++] = options->sql_paths[i];
    *out = allowed;
    return n;
}

static void sql_worker_on_abandoned(void *arg)
{
    (void)arg;
}

static int sql_worker_open(struct sql_worker *worker, struct error *e)
{
    const struct node_options *options = node_options(worker->node);
    struct lake *lake = node_lake(worker->node);
    const char **allowed;
    char *cache_dir = mem_printf("%s/sql-cache", options->data_dir);
    size_t allowed_n = sql_worker_allowed(worker->node, lake->place, cache_dir, &allowed);
    char *dir = mem_printf("%s/sql", options->data_dir);
    struct object_cache_options cache = {.loop = node_loop(worker->node),
                                         .store = lake->objects,
                                         .dir = cache_dir,
                                         .bytes_max = options->sql_cache_bytes};
    struct executor_pool_options pool = {
        .loop = node_loop(worker->node),
        .dir = dir,
        .slots = options->sql_slots,
        .threads = options->sql_threads,
        .memory_bytes_max = options->sql_memory_bytes / options->sql_slots,
        .temp_bytes_max = options->sql_temp_bytes / options->sql_slots,
        .time_limit_ms = options->sql_time_limit_ms,
        .allowed = allowed,
        .allowed_n = allowed_n,
    };
    int err = executor_pool_new(&pool, &worker->pool, e);
    if (err == 0 && (err = object_cache_new(&cache, &worker->cache, e)) < 0) {
        executor_pool_close(worker->pool, sql_worker_on_abandoned, NULL);
        worker->pool = NULL;
    }
    if (err == 0) {
        executor_pool_on_slot(worker->pool, sql_worker_on_slot, worker);
        lake->executors = worker->pool;
    }
    free(dir);
    free(cache_dir);
    free(allowed);
    return err;
}

/* A node without DuckDB is a node all the same: it refuses SQL tasks with the reason. */
static int sql_worker_start(struct node *node, void **self, struct error *e)
{
    struct sql_worker *worker = mem_zalloc(sizeof *worker);
    worker->node = node;
    worker->queue = sql_queue_new();
    int err = executor_check(NULL, &worker->why);
    if (err < 0)
        log_info(&sql_worker_log, "no SQL on this node: %s", worker->why.text);
    else
        err = sql_worker_open(worker, e);
    if (err < 0 && err != worker->why.code) {
        sql_queue_free(worker->queue);
        free(worker);
        return err;
    }
    metric_add_collector(sql_worker_on_collect, worker);
    *self = worker;
    return 0;
}

static const struct role_handler sql_worker_handlers[] = {
    {WIRE_SQL_RUN_TASK, sql_worker_on_run},
    {WIRE_SQL_CREDIT, sql_worker_on_credit},
    {WIRE_SQL_CANCEL_TASK, sql_worker_on_cancel},
    {0, NULL},
};

const struct role sql_worker_role = {
    .name = "sql_worker",
    .start = sql_worker_start,
    .stop = sql_worker_stop,
    .free = sql_worker_free,
    .on_link = sql_worker_on_link,
    .handlers = sql_worker_handlers,
};
