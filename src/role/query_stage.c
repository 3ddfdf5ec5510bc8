/* Happy path: all tasks of a stage go to workers at once, one after the other; each tells what it
 * wrote; when all have, the stage's manifest is written and the next one begins. The last one's
 * rows go to the client in the order of its tasks: the first task's as they come, the others' wait
 * with little credit.
 *
 * An attempt that ends with `elsewhere`, or with its link, is followed by another one on the next
 * node. The first attempt that completes counts; others are cancelled, their files are in no
 * manifest. */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/mem.h"
#include "base/metric.h"
#include "base/str.h"
#include "role/query_internal.h"
#include "run/object_store.h"
#include "wire/lake_path.h"

static void query_stage_begin(struct query *q);

/* ---- attempts -------------------------------------------------------------------------------- */

static void query_attempt_cancel(struct query *q, struct query_attempt *attempt)
{
    if (attempt->call == 0)
        return;
    Wire__SqlCancelTask cancel = WIRE__SQL_CANCEL_TASK__INIT;
    cancel.call = attempt->call;
    (void)node_send(q->role->node, attempt->node, WIRE_SQL_CANCEL_TASK, &cancel.base);
    node_call_end(q->role->node, attempt->call);
    attempt->call = 0;
}

static void query_on_update(void *arg, int code, const ProtobufCMessage *message);

static bool query_has_node(const struct query *q, uint64_t node)
{
    for (size_t i = 0; i < q->nodes_n; i++)
        if (q->nodes[i] == node)
            return true;
    return false;
}

/* It has no room on its disk: this statement goes to others, while there are any. */
static void query_leave_node(struct query *q, uint64_t node)
{
    size_t n = 0;
    if (q->nodes_n < 2)
        return;
    for (size_t i = 0; i < q->nodes_n; i++)
        if (q->nodes[i] != node)
            q->nodes[n++] = q->nodes[i];
    q->nodes_n = n;
}

/* A node for the next attempt: another one than those that had the task, as far as there is one. */
static uint64_t query_pick_node(const struct query *q, const struct query_task *task)
{
    if (task->attempts_n == 0 && query_has_node(q, task->place) &&
        node_session(q->role->node, task->place) != 0)
        return task->place;
    for (size_t i = 0; i < q->nodes_n; i++) {
        uint64_t node = q->nodes[(task->index + task->attempts_n + i) % q->nodes_n];
        bool had = node_session(q->role->node, node) == 0;
        for (unsigned a = 0; a < task->attempts_n; a++)
            had |= task->attempts[a].node == node;
        if (!had)
            return node;
    }
    for (size_t i = 0; i < q->nodes_n; i++) {
        uint64_t node = q->nodes[(task->index + task->attempts_n + i) % q->nodes_n];
        if (node_session(q->role->node, node) != 0)
            return node;
    }
    return node_id(q->role->node);
}

static void query_attempt_begin(struct query_task *task)
{
    struct query *q = task->query;
    struct query_attempt *attempt = &task->attempts[task->attempts_n];
    *attempt = (struct query_attempt){.task = task,
                                      .node = query_pick_node(q, task),
                                      .number = task->attempts_n,
                                      .started_ms = loop_now_ms(node_loop(q->role->node))};
    task->attempts_n++;
    Wire__SqlRunTask *message = query_task_message(q, task, attempt->number);
    attempt->call = node_call_give(q->role->node, attempt->node, WIRE_SQL_RUN_TASK, &message->base,
                                   true, 0, query_on_update, attempt);
}

/* ---- rows ------------------------------------------------------------------------------------ */

static void query_credit(struct query *q, struct query_attempt *attempt, uint64_t bytes)
{
    Wire__SqlCredit credit = WIRE__SQL_CREDIT__INIT;
    if (attempt->call == 0 || bytes == 0)
        return;
    credit.call = attempt->call;
    credit.bytes = bytes;
    (void)node_send(q->role->node, attempt->node, WIRE_SQL_CREDIT, &credit.base);
}

void query_give_credit(struct query *q)
{
    if (q->ended || q->stages == NULL || query_out_is_full(q))
        return;
    struct query_stage *stage = &q->stages[q->stage];
    for (size_t t = 0; t < stage->tasks_n; t++) {
        struct query_task *task = &stage->tasks[t];
        for (unsigned a = 0; a < task->attempts_n; a++) {
            struct query_attempt *attempt = &task->attempts[a];
            uint64_t owed = attempt->owed;
            attempt->owed = 0;
            query_credit(q, attempt, owed);
        }
    }
}

static void query_task_emit(struct query_task *task, const char *data, size_t len, uint32_t count)
{
    struct query *q = task->query;
    const struct query_stage *stage = &q->stages[q->stage];
    query_out_columns(q, stage->columns, stage->columns_n);
    query_out_rows(q, data, len, count);
    task->has_sent = true;
}

/* The next task's rows may go: what it held, then as they come. */
static void query_rows_next(struct query *q)
{
    struct query_stage *stage = &q->stages[q->stage];
    while (q->rows_task < stage->tasks_n) {
        struct query_task *task = &stage->tasks[q->rows_task];
        struct query_rows *rows;
        while ((rows = STAILQ_FIRST(&task->held)) != NULL) {
            STAILQ_REMOVE_HEAD(&task->held, entry);
            uint32_t count;
            memcpy(&count, rows->data, sizeof count);
            query_task_emit(task, rows->data + sizeof count, rows->len, count);
            rows->from->owed += rows->len;
            free(rows);
        }
        if (!task->done)
            return;
        q->rows_task++;
    }
}

static void query_take_rows(struct query_attempt *attempt, const Wire__SqlRows *rows)
{
    struct query_task *task = attempt->task;
    struct query *q = task->query;
    if (q->counting)
        q->counted += strtoull((const char *)rows->data.data + 1, NULL, 10); /* "[123]" */
    if (q->statement.analyze || q->counting) { /* EXPLAIN ANALYZE throws them away */
        query_credit(q, attempt, rows->data.len);
        return;
    }
    if (task->index == q->rows_task) {
        query_task_emit(task, (const char *)rows->data.data, rows->data.len, rows->count);
        attempt->owed += rows->data.len;
        return;
    }
    struct query_rows *held = mem_alloc(sizeof *held + sizeof rows->count + rows->data.len);
    held->len = rows->data.len;
    held->from = attempt;
    memcpy(held->data, &rows->count, sizeof rows->count);
    memcpy(held->data + sizeof rows->count, rows->data.data, rows->data.len);
    STAILQ_INSERT_TAIL(&task->held, held, entry);
}

static void query_drop_held(struct query_task *task)
{
    struct query_rows *rows;
    while ((rows = STAILQ_FIRST(&task->held)) != NULL) {
        STAILQ_REMOVE_HEAD(&task->held, entry);
        free(rows);
    }
}

/* ---- ends of stages -------------------------------------------------------------------------- */

/* Its span; `code` of the end. */
static void query_stage_trace(struct query_stage *stage, int code)
{
    trace_number(stage->span, "clusterd.stage.tasks", (int64_t)stage->tasks_n);
    trace_number(stage->span, "clusterd.stage.rows", (int64_t)stage->rows);
    trace_number(stage->span, "clusterd.stage.bytes", (int64_t)stage->bytes);
    trace_end(stage->span, code, NULL);
    stage->span = NULL;
}

static void query_stage_next(struct query *q)
{
    query_stage_trace(&q->stages[q->stage], 0);
    bool last = q->stage + 1 == q->plan.stages_n || q->stages[q->stage].by_alone;
    if (last) {
        struct query_stage *stage = &q->stages[q->stage];
        if (q->target.kind == WIRE__SQL_OUTPUT_KIND__SQL_OUTPUT_KIND_ROWS &&
            !q->statement.explain && !q->counting)
            query_out_columns(q, stage->columns, stage->columns_n);
        q->finished(q);
        return;
    }
    q->stage++;
    query_stage_begin(q);
}

static void query_on_manifest(void *arg, const struct object_result *result)
{
    struct query *q = arg;
    q->put = NULL;
    if (result->code < 0)
        query_fail(q, result->code, SQL_AT_NONE, "see sql.store in the configuration",
                   "the store of tables doesn't take what a stage came to: %s", result->text);
    else
        query_stage_next(q);
}

/* Which attempts count. Written before anything reads them. */
static void query_stage_manifest(struct query *q)
{
    const struct query_stage *stage = &q->stages[q->stage];
    const struct lake *lake = node_lake(q->role->node);
    json_t *attempts = json_array();
    for (size_t t = 0; t < stage->tasks_n; t++)
        json_array_append_new(attempts, json_integer(stage->tasks[t].winner));
    json_t *manifest = json_pack("{s:s,s:I,s:o}", "query", q->id_text, "stage",
                                 (json_int_t)q->stage, "attempts", attempts);
    char *text = json_dumps(manifest, JSON_COMPACT);
    char *key = lake_shuffle_manifest(&q->id, (unsigned)q->stage);
    struct object_request request = {.verb = OBJECT_PUT,
                                     .place = lake->place,
                                     .key = key,
                                     .body = text,
                                     .body_len = strlen(text),
                                     .transient = true,
                                     .trace = *trace_context(stage->span),
                                     .on_done = query_on_manifest,
                                     .arg = q};
    q->put = object_store_call(lake->objects, &request);
    json_decref(manifest);
    free(text);
    free(key);
}

static void query_stage_end(struct query *q)
{
    struct query_stage *stage = &q->stages[q->stage];
    stage->wall_ms = loop_now_ms(node_loop(q->role->node)) - stage->started_ms;
    metric_observe(METRIC_SQL_STAGE, stage->wall_ms * 1000);
    query_tell_stage(q, true);
    metric_add(METRIC_SQL_STAGE_ROWS, stage->rows);
    metric_add(METRIC_SQL_STAGE_BYTES, stage->bytes);
    if (q->plan.stages[q->stage].output != SQL_OUTPUT_ROWS && !stage->by_alone) {
        query_stage_manifest(q);
        return;
    }
    query_stage_next(q);
}

static Wire__SqlTaskDone *query_done_copy(const Wire__SqlTaskDone *done)
{
    size_t len = wire__sql_task_done__get_packed_size(done);
    uint8_t *packed = mem_alloc(len + 1);
    wire__sql_task_done__pack(done, packed);
    Wire__SqlTaskDone *copy = wire__sql_task_done__unpack(NULL, len, packed);
    free(packed);
    return copy;
}

static void query_task_done(struct query_attempt *attempt, const Wire__SqlTaskDone *done)
{
    struct query_task *task = attempt->task;
    struct query *q = task->query;
    struct query_stage *stage = &q->stages[q->stage];
    task->done = true;
    task->winner = attempt->number;
    task->result = query_done_copy(done);
    query_places_note(q, task, attempt->node);
    task->wall_ms = loop_now_ms(node_loop(q->role->node)) - attempt->started_ms;
    task->rows = done->rows;
    task->bytes = done->bytes;
    stage->rows += done->rows;
    stage->bytes += done->bytes;
    stage->done_n++;
    for (unsigned a = 0; a < task->attempts_n; a++)
        query_attempt_cancel(q, &task->attempts[a]);
    query_rows_next(q);
    if (stage->done_n == stage->tasks_n)
        query_stage_end(q);
}

/* An attempt came to nothing: another one, unless the statement is at fault. */
static void query_task_failed(struct query_attempt *attempt, const Wire__SqlError *error, int code)
{
    struct query_task *task = attempt->task;
    struct query *q = task->query;
    bool elsewhere = error == NULL || error->elsewhere;
    unsigned running = 0;
    if (elsewhere && error != NULL && strcmp(error->kind, "disk") == 0)
        query_leave_node(q, attempt->node);
    for (unsigned a = 0; a < task->attempts_n; a++)
        running += task->attempts[a].call != 0;
    if (elsewhere && running > 0)
        return;
    if (elsewhere && task->attempts_n < QUERY_ATTEMPTS_MAX && !task->has_sent) {
        query_drop_held(task);
        query_attempt_begin(task);
        return;
    }
    if (error != NULL) {
        query_fail_wire(q, error);
        return;
    }
    query_fail(q, code, SQL_AT_NONE, "repeat the statement",
               task->has_sent ? "%s was lost while it sent rows"
                              : "%s was lost, and so were the others",
               node_member_name(q->role->node, attempt->node));
}

static void query_take_columns(struct query_stage *stage, const Wire__SqlTaskUpdate *update)
{
    if (stage->columns != NULL || update->n_columns == 0)
        return;
    stage->columns_n = update->n_columns;
    stage->columns = mem_calloc(stage->columns_n, sizeof *stage->columns);
    for (size_t i = 0; i < stage->columns_n; i++)
        stage->columns[i] =
            query_column(update->columns[i]->name, update->columns[i]->type, false, false);
}

static void query_on_update(void *arg, int code, const ProtobufCMessage *message)
{
    struct query_attempt *attempt = arg;
    struct query_task *task = attempt->task;
    struct query *q = task->query;
    const Wire__SqlTaskUpdate *update = (const Wire__SqlTaskUpdate *)message;
    if (update == NULL) {
        attempt->call = 0;
        query_task_failed(attempt, NULL, code);
        return;
    }
    query_take_columns(&q->stages[q->stage], update);
    if (update->rows != NULL && update->rows->count > 0)
        query_take_rows(attempt, update->rows);
    if (update->done == NULL)
        return;
    node_call_end(q->role->node, attempt->call);
    attempt->call = 0;
    if (update->done->error != NULL)
        query_task_failed(attempt, update->done->error, 0);
    else
        query_task_done(attempt, update->done);
}

/* ---- stages ---------------------------------------------------------------------------------- */

/* Whether one task is enough for what the earlier stages wrote. */
static bool query_stage_is_small(const struct query *q)
{
    const struct sql_stage *plan = &q->plan.stages[q->stage];
    uint64_t bytes = 0, rows = 0;
    for (size_t i = 0; i < plan->inputs_n; i++) {
        const struct sql_input *input = &plan->inputs[i];
        if (input->kind == SQL_INPUT_TABLE && input->split)
            return false;
        if (input->kind == SQL_INPUT_STAGE) {
            bytes += q->stages[input->index].bytes;
            rows += q->stages[input->index].rows;
        }
    }
    return sql_stage_is_small(bytes, rows, node_options(q->role->node)->sql_split_bytes);
}

static void query_stage_begin(struct query *q)
{
    const struct sql_stage *plan = &q->plan.stages[q->stage];
    struct query_stage *stage = &q->stages[q->stage];
    bool small = plan->tasks > 1 && query_stage_is_small(q);
    stage->by_alone = small && plan->alone != NULL;
    stage->tasks_n = small ? 1 : plan->tasks;
    stage->started_ms = loop_now_ms(node_loop(q->role->node));
    stage->span = trace_child(trace_context(q->span), "sql stage", TRACE_INTERNAL);
    trace_number(stage->span, "clusterd.stage.number", (int64_t)q->stage);
    trace_text(stage->span, "clusterd.query.id", q->id_text);
    stage->tasks = mem_calloc(stage->tasks_n, sizeof *stage->tasks);
    q->rows_task = 0;
    for (size_t t = 0; t < stage->tasks_n; t++) {
        stage->tasks[t].query = q;
        stage->tasks[t].index = t;
        STAILQ_INIT(&stage->tasks[t].held);
    }
    query_tell_stage(q, false);
    query_places_choose(q);
    for (size_t t = 0; t < stage->tasks_n; t++)
        query_attempt_begin(&stage->tasks[t]);
}

/* Half of the tasks are done and one takes more than twice as long as the slowest of these: once
 * more. */
void query_look_for_stragglers(struct query *q)
{
    if (q->stages == NULL || q->nodes_n < 2)
        return;
    struct query_stage *stage = &q->stages[q->stage];
    int64_t now = loop_now_ms(node_loop(q->role->node)), slowest = 0;
    if (stage->done_n * 2 < stage->tasks_n || q->plan.stages[q->stage].output == SQL_OUTPUT_ROWS)
        return;
    for (size_t t = 0; t < stage->tasks_n; t++)
        slowest = stage->tasks[t].done && stage->tasks[t].wall_ms > slowest
                      ? stage->tasks[t].wall_ms
                      : slowest;
    for (size_t t = 0; t < stage->tasks_n; t++) {
        struct query_task *task = &stage->tasks[t];
        int64_t ran = now - task->attempts[0].started_ms;
        if (!task->done && task->attempts_n == 1 && ran > QUERY_STRAGGLER_MS && ran > 2 * slowest)
            query_attempt_begin(task);
    }
}

void query_run(struct query *q, query_next_fn finished)
{
    q->finished = finished;
    q->stage = 0;
    q->stages = mem_calloc(q->plan.stages_n, sizeof *q->stages);
    query_stage_begin(q);
}

static void query_on_removed(void *arg, const struct object_result *result)
{
    (void)arg;
    (void)result;
}

/* Files of a table that no commit names. */
static void query_take_back(struct query *q, const struct query_task *task)
{
    struct object_store *objects = node_lake(q->role->node)->objects;
    for (size_t f = 0; objects != NULL && f < task->result->n_files; f++) {
        struct object_request request = {.verb = OBJECT_DELETE,
                                         .place = q->target.root,
                                         .key = task->result->files[f]->path,
                                         .on_done = query_on_removed};
        (void)object_store_call(objects, &request);
    }
}

void query_stages_done(struct query *q)
{
    bool takes_back = q->target.kind == WIRE__SQL_OUTPUT_KIND__SQL_OUTPUT_KIND_TABLE &&
                      q->target.root != NULL && !q->may_be_committed;
    if (q->put != NULL)
        object_call_cancel(q->put);
    q->put = NULL;
    for (size_t s = 0; q->stages != NULL && s < q->plan.stages_n; s++) {
        struct query_stage *stage = &q->stages[s];
        query_stage_trace(stage, q->code);
        for (size_t t = 0; t < stage->tasks_n; t++) {
            struct query_task *task = &stage->tasks[t];
            for (unsigned a = 0; a < task->attempts_n; a++)
                query_attempt_cancel(q, &task->attempts[a]);
            query_drop_held(task);
            bool is_last = s + 1 == q->plan.stages_n || stage->by_alone;
            if (task->result != NULL && is_last && takes_back)
                query_take_back(q, task);
            if (task->result != NULL)
                wire__sql_task_done__free_unpacked(task->result, NULL);
        }
        for (size_t i = 0; i < stage->columns_n; i++)
            wire__sql_column__free_unpacked(stage->columns[i], NULL);
        free(stage->columns);
        free(stage->tasks);
    }
    if (q->has_cluster_files || (q->stages != NULL && q->plan.stages_n > 1)) {
        q->has_cluster_files = false;
        char *prefix = lake_shuffle_prefix(&q->id);
        size_t len = strlen(prefix);
        if (len > 0 && prefix[len - 1] == '/')
            prefix[len - 1] = '\0';
        struct object_request request = {.verb = OBJECT_DELETE_PREFIX,
                                         .place = node_lake(q->role->node)->place,
                                         .key = prefix,
                                         .trace = *trace_context(q->span),
                                         .on_done = query_on_removed};
        (void)object_store_call(node_lake(q->role->node)->objects, &request);
        free(prefix);
    }
    free(q->stages);
    q->stages = NULL;
    free(q->nodes);
    q->nodes = NULL;
    q->nodes_n = 0;
}
