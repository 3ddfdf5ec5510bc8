/* One task on this node, from the slot to its last update.
 *
 * A full link holds updates here, no more than the credit that the requester gave; an executor that
 * has no credit waits. Files in buckets are brought before a task waits for its slot, and put after
 * it gave it back. */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/metric.h"
#include "base/trace.h"
#include "role/sql_worker_internal.h"
#include "run/object_store.h"
#include "wire/lake_path.h"

/* ---- answers --------------------------------------------------------------------------------- */

void sql_run_free(struct sql_run *run)
{
    struct sql_run_held *held;
    if (!run->is_detached)
        HASH_DEL(run->worker->runs, run);
    while ((held = STAILQ_FIRST(&run->held)) != NULL) {
        STAILQ_REMOVE_HEAD(&run->held, entry);
        wire_free(held->update);
        free(held);
    }
    loop_timer_stop(&run->retry);
    sql_remote_free(run->remote);
    if (run->task != NULL)
        wire_free(&run->task->base);
    if (run->last != NULL)
        wire_free(&run->last->base);
    trace_end(run->span, ERR_CANCELLED, NULL);
    free(run->shuffle_root);
    free(run->shuffle_dir);
    free(run);
}

ProtobufCMessage *sql_run_copy(enum wire_type type, const ProtobufCMessage *message)
{
    ProtobufCMessage *copy = NULL;
    size_t len = protobuf_c_message_get_packed_size(message);
    uint8_t *packed = mem_alloc(len + 1);
    (void)protobuf_c_message_pack(message, packed);
    int err = wire_unpack(type, packed, len, &copy);
    assert(err == 0);
    (void)err;
    free(packed);
    return copy;
}

static void sql_run_on_retry(void *arg)
{
    struct sql_run *run = arg;
    struct sql_run_held *held;
    while ((held = STAILQ_FIRST(&run->held)) != NULL) {
        if (node_send(run->worker->node, run->key.peer, WIRE_SQL_TASK_UPDATE, held->update) ==
            ERR_BUSY) {
            loop_timer_start(&run->retry, SQL_WORKER_RETRY_MS);
            return;
        }
        STAILQ_REMOVE_HEAD(&run->held, entry);
        wire_free(held->update);
        free(held);
    }
    if (run->has_ended)
        sql_run_free(run);
}

/* Sends an update, or holds it. Progress is not worth holding. */
static void sql_run_send(struct sql_run *run, const Wire__SqlTaskUpdate *update)
{
    int err = ERR_BUSY;
    if (STAILQ_EMPTY(&run->held))
        err = node_send(run->worker->node, run->key.peer, WIRE_SQL_TASK_UPDATE, &update->base);
    if (err != ERR_BUSY || (update->done == NULL && update->rows == NULL))
        return; /* sent; or the link is gone, and sql_worker_on_link follows */
    struct sql_run_held *held = mem_alloc(sizeof *held);
    held->update = sql_run_copy(WIRE_SQL_TASK_UPDATE, &update->base);
    STAILQ_INSERT_TAIL(&run->held, held, entry);
    if (!loop_timer_is_running(&run->retry))
        loop_timer_start(&run->retry, SQL_WORKER_RETRY_MS);
}

static void sql_run_remember_shuffle(struct sql_run *run, const Wire__SqlRunTask *task)
{
    const Wire__SqlOutput *output = task->fragment != NULL ? task->fragment->output : NULL;
    const char *path = output != NULL && output->n_paths > 0 ? output->paths[0] : "";
    const char *slash = strrchr(path, '/');
    if (slash == NULL || !lake_key_is_shuffle(path))
        return;
    run->shuffle_root = mem_strdup(output->root);
    run->shuffle_dir = mem_strndup(path, (size_t)(slash - path));
}

static void sql_run_name(struct sql_run *run, const Wire__SqlRunTask *task)
{
    struct uuid query;
    run->stage = task->stage;
    run->index = task->task;
    run->attempt = task->attempt;
    if (task->query.len != sizeof query.bytes)
        return;
    memcpy(query.bytes, task->query.data, sizeof query.bytes);
    uuid_format(&query, run->query);
}

static void sql_run_trace(struct sql_run *run, const Wire__SqlRunTask *task)
{
    struct trace_context stage;
    if (task->traceparent[0] == '\0' || trace_parse(task->traceparent, &stage) < 0)
        return;
    run->span = trace_child(&stage, "sql task", TRACE_CONSUMER);
    trace_text(run->span, "clusterd.query.id", run->query);
    trace_number(run->span, "clusterd.task.index", task->task);
    trace_number(run->span, "clusterd.task.attempt", task->attempt);
}

struct sql_run *sql_run_new(struct sql_worker *worker, const struct sql_run_key *key,
                            const Wire__SqlRunTask *task)
{
    struct sql_run *run = mem_zalloc(sizeof *run);
    run->worker = worker;
    run->key = *key;
    run->since_us = clock_mono_us();
    sql_run_name(run, task);
    sql_run_trace(run, task);
    STAILQ_INIT(&run->held);
    sql_run_remember_shuffle(run, task);
    loop_timer_init(&run->retry, node_loop(worker->node), sql_run_on_retry, run);
    HASH_ADD(hh, worker->runs, key, sizeof run->key, run);
    return run;
}

static void sql_run_log_failure(const struct sql_run *run, const Wire__SqlError *error)
{
    static struct log_limit limit;
    char more[LOG_LIMIT_TEXT_MAX], task[48];
    if (!log_limit_take(&limit, SQL_WORKER_LOGGED_MAX, clock_mono_ms(), more))
        return;
    (void)snprintf(task, sizeof task, "%u_%u", run->stage, run->index);
    log_info(LOG_ABOUT(.role = "sql_worker", .job = run->query, .task = task, .code = error->code),
             "attempt %u failed: %s%s", run->attempt, error->message, more);
}

/* Its last update; takes the run. */
static void sql_run_end(struct sql_run *run, const Wire__SqlTaskUpdate *update)
{
    int code = update->done->error != NULL ? update->done->error->code : 0;
    metric_series_add(metric_series(METRIC_SQL_TASKS, code == 0 ? "ok" : err_name(code)), 1);
    metric_observe_since(METRIC_SQL_TASK, run->since_us);
    trace_number(run->span, "clusterd.task.rows", (int64_t)update->done->rows);
    trace_number(run->span, "clusterd.task.bytes", (int64_t)update->done->bytes);
    trace_end(run->span, code, code != 0 ? update->done->error->message : NULL);
    run->span = NULL;
    if (code != 0 && code != ERR_CANCELLED)
        sql_run_log_failure(run, update->done->error);
    run->has_ended = true;
    run->job = NULL;
    sql_remote_free(run->remote);
    run->remote = NULL;
    sql_run_send(run, update);
    if (STAILQ_EMPTY(&run->held))
        sql_run_free(run);
}

void sql_worker_tell_failure(struct sql_worker *worker, const struct sql_run_key *key,
                             struct sql_run *run, const struct error *e, const char *kind,
                             bool elsewhere)
{
    Wire__SqlTaskUpdate update = WIRE__SQL_TASK_UPDATE__INIT;
    Wire__SqlTaskDone done = WIRE__SQL_TASK_DONE__INIT;
    Wire__SqlError error = WIRE__SQL_ERROR__INIT;
    char *text = mem_strdup(e->text);
    error.code = e->code;
    error.kind = (char *)(uintptr_t)kind;
    error.message = text;
    error.elsewhere = elsewhere;
    done.error = &error;
    update.call = key->call;
    update.state = WIRE__SQL_TASK_STATE__SQL_TASK_STATE_ENDED;
    update.done = &done;
    if (run != NULL)
        sql_run_end(run, &update);
    else
        (void)node_send(worker->node, key->peer, WIRE_SQL_TASK_UPDATE, &update.base);
    free(text);
}

static void sql_run_tell_state(struct sql_run *run, Wire__SqlTaskState state)
{
    Wire__SqlTaskUpdate update = WIRE__SQL_TASK_UPDATE__INIT;
    update.call = run->key.call;
    update.state = state;
    sql_run_send(run, &update);
}

/* ---- running --------------------------------------------------------------------------------- */

static void sql_run_on_put(void *arg, int code, const struct error *e, bool elsewhere)
{
    struct sql_run *run = arg;
    Wire__SqlTaskUpdate *last = run->last;
    run->last = NULL;
    if (code < 0)
        sql_worker_tell_failure(run->worker, &run->key, run, e, "store", elsewhere);
    else
        sql_run_end(run, last);
    wire_free(&last->base);
}

static void sql_run_translate(const struct sql_run *run, char **text)
{
    if (*text == protobuf_c_empty_string)
        return;
    char *translated = sql_remote_translate(run->remote, *text);
    free(*text);
    *text = translated;
}

/* The executor's end of a task with files in buckets. */
static void sql_run_end_remote(struct sql_run *run, const Wire__SqlTaskUpdate *update)
{
    Wire__SqlTaskUpdate *last =
        (Wire__SqlTaskUpdate *)sql_run_copy(WIRE_SQL_TASK_UPDATE, &update->base);
    run->job = NULL;
    sql_run_translate(run, &last->done->text);
    if (last->done->error != NULL) {
        sql_run_translate(run, &last->done->error->message);
        sql_run_translate(run, &last->done->error->hint);
        sql_run_translate(run, &last->done->error->name);
    } else if (sql_remote_put(run->remote, last->done, sql_run_on_put, run)) {
        run->last = last;
        return;
    }
    sql_run_end(run, last);
    wire_free(&last->base);
}

static void sql_run_on_swept(void *arg, const struct object_result *result)
{
    (void)arg;
    (void)result;
}

/* What an attempt that nobody wants any more has written of a shuffle. */
static void sql_run_sweep(const struct sql_run *run)
{
    struct object_store *store = node_lake(run->worker->node)->objects;
    if (run->shuffle_dir == NULL || store == NULL)
        return;
    struct object_request request = {.verb = OBJECT_DELETE_PREFIX,
                                     .place = run->shuffle_root,
                                     .key = run->shuffle_dir,
                                     .on_done = sql_run_on_swept};
    (void)object_store_call(store, &request);
}

static void sql_run_on_update(void *arg, const Wire__SqlTaskUpdate *update)
{
    struct sql_run *run = arg;
    if (update->done != NULL && run->is_cancelled)
        sql_run_sweep(run);
    if (run->is_detached) {
        if (update->done != NULL)
            sql_run_free(run);
        return;
    }
    if (update->done != NULL && run->remote != NULL)
        sql_run_end_remote(run, update);
    else if (update->done != NULL)
        sql_run_end(run, update);
    else
        sql_run_send(run, update);
}

void sql_run_begin(struct sql_run *run, const Wire__SqlRunTask *task, Wire__SqlRunTask *given)
{
    struct error e = {0};
    struct executor_pool *pool = run->worker->pool;
    run->has_begun = true;
    int err = given != NULL ? executor_run_given(pool, given, sql_run_on_update, run, &run->job)
                            : executor_run(pool, task, sql_run_on_update, run, &run->job);
    if (err < 0 && given != NULL)
        wire_free(&given->base);
    if (err == 0) {
        sql_run_tell_state(run, WIRE__SQL_TASK_STATE__SQL_TASK_STATE_RUNNING);
        return;
    }
    (void)error_set(&e, err,
                    err == ERR_TOO_LARGE ? "the statement and the files it reads don't fit one task"
                                         : "too many SQL tasks wait on this node");
    sql_worker_tell_failure(run->worker, &run->key, run, &e, "limit", err == ERR_BUSY);
}

Wire__SqlRunTask *sql_run_task(const struct sql_run *run)
{
    return run->remote != NULL ? sql_remote_task(run->remote) : run->task;
}

void sql_run_enter(struct sql_run *run)
{
    const Wire__SqlRunTask *task = sql_run_task(run);
    if (executor_pool_has_slot(run->worker->pool)) {
        sql_run_begin(run, task, NULL);
    } else {
        sql_queue_add(run->worker->queue, task->session, run);
        sql_run_tell_state(run, WIRE__SQL_TASK_STATE__SQL_TASK_STATE_QUEUED);
    }
}

static void sql_run_on_brought(void *arg, int code, const struct error *e, bool elsewhere)
{
    struct sql_run *run = arg;
    if (code < 0)
        sql_worker_tell_failure(run->worker, &run->key, run, e, "store", elsewhere);
    else
        sql_run_enter(run);
}

void sql_run_bring(struct sql_run *run, Wire__SqlRunTask *task)
{
    const struct sql_worker *worker = run->worker;
    const struct node_options *options = node_options(worker->node);
    struct sql_remote_options remote = {
        .loop = node_loop(worker->node),
        .store = node_lake(worker->node)->objects,
        .cache = worker->cache,
        .scratch = executor_pool_scratch(worker->pool),
        .copy_bytes_max = options->sql_temp_bytes / options->sql_slots,
        .trace = *trace_context(run->span),
    };
    sql_run_tell_state(run, WIRE__SQL_TASK_STATE__SQL_TASK_STATE_QUEUED);
    run->remote = sql_remote_new(&remote, task, sql_run_on_brought, run);
}
