/* Reading a query: an executor parses it, the metadata gives a snapshot of each table that it
 * names, the planner makes stages of it. */
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "role/query_internal.h"
#include "run/object_store.h"
#include "wire/lake_path.h"

enum { QUERY_LIGHT_MS = 30000 };

/* ---- workers --------------------------------------------------------------------------------- */

void query_find_nodes(struct query *q)
{
    struct node *node = q->role->node;
    const Wire__Members *members = node_members(node);
    free(q->nodes);
    q->nodes = mem_calloc(members->n_nodes + 1, sizeof *q->nodes);
    q->nodes_n = 0;
    for (int own = 1; own >= 0; own--) {
        for (size_t i = 0; i < members->n_nodes; i++) {
            const Wire__Node *member = members->nodes[i];
            if ((member->id == node_id(node)) != (own == 1) || member->removed || member->poll ||
                (member->roles & WIRE__NODE_ROLE__NODE_ROLE_WORKER) == 0 ||
                node_session(node, member->id) == 0 || (member->draining && own == 0))
                continue;
            q->nodes[q->nodes_n++] = member->id;
        }
    }
}

/* ---- small requests to an executor ------------------------------------------------------------
 */

void query_fail_wire(struct query *q, const Wire__SqlError *error)
{
    size_t at = SQL_AT_NONE;
    if (error->position > 0 && q->source != NULL)
        at = sql_at_shift(error->position - 1, q->source_from, q->source_to);
    int code = error->code < 0 ? error->code : ERR_INTERNAL;
    const struct sql_statement *s = &q->statement;
    bool is_value = strcmp(error->kind, "conversion") == 0 || strcmp(error->kind, "range") == 0;
    /* The condition was counted by before: what doesn't fit is the value of the only column. */
    if (s->kind == SQL_UPDATE && s->sets_n == 1 && !q->counting && is_value)
        query_fail(q, code, at, error->hint, "column %s: %s", s->sets[0].column, error->message);
    else
        query_fail(q, code, at, error->hint, "%s", error->message);
}

static void query_light_cancel(struct query *q)
{
    if (q->light_call == 0)
        return;
    Wire__SqlCancelTask cancel = WIRE__SQL_CANCEL_TASK__INIT;
    cancel.call = q->light_call;
    (void)node_send(q->role->node, q->light_node, WIRE_SQL_CANCEL_TASK, &cancel.base);
    node_call_end(q->role->node, q->light_call);
    q->light_call = 0;
}

/* Ends the call when `update` is its last; true then. False after query_fail() or while more comes.
 */
static bool query_light_over(struct query *q, int code, const Wire__SqlTaskUpdate *update)
{
    if (update == NULL && code == ERR_TIMEOUT) {
        query_light_cancel(q);
        query_fail(q, code, SQL_AT_NONE, "put long lists of values into a table, by COPY",
                   "the statement was not understood within %d s", QUERY_LIGHT_MS / 1000);
        return false;
    }
    if (update == NULL) {
        q->light_call = 0;
        query_fail(q, code, SQL_AT_NONE, "repeat the statement", "the executor's node is gone: %s",
                   err_text(code));
        return false;
    }
    if (update->done == NULL)
        return false;
    node_call_end(q->role->node, q->light_call);
    q->light_call = 0;
    if (update->done->error != NULL) {
        query_fail_wire(q, update->done->error);
        return false;
    }
    return true;
}

/* Takes the task. */
static bool query_light(struct query *q, Wire__SqlRunTask *task, node_reply_fn fn)
{
    query_find_nodes(q);
    if (q->nodes_n == 0) {
        wire_free(&task->base);
        query_fail(q, ERR_UNAVAILABLE, SQL_AT_NONE,
                   "a node with the role worker and DuckDB must be online", "no node can run SQL");
        return false;
    }
    task->query =
        (ProtobufCBinaryData){sizeof q->id.bytes, mem_dup(q->id.bytes, sizeof q->id.bytes)};
    task->session = mem_strdup(q->session);
    task->user = mem_strdup(q->user);
    task->credit = QUERY_WINDOW_BYTES;
    q->light_node = q->nodes[0];
    q->light_call = node_call_give(q->role->node, q->light_node, WIRE_SQL_RUN_TASK, &task->base,
                                   true, QUERY_LIGHT_MS, fn, q);
    return true;
}

/* ---- parsing --------------------------------------------------------------------------------- */

static void query_tree_read(struct query_work *work)
{
    struct sql_error *e = &work->error;
    int err = sql_ast_read(work->json, work->json_len, &work->tree, e);
    if (err == 0)
        err = sql_refs_collect(work->tree, work->paths, &work->refs, e);
    if (err == 0)
        *e = (struct sql_error){.at = SQL_AT_NONE};
}

/* PIVOT without IN is several statements, and has no tree: it stays text. */
static bool query_text_pivots(const char *text)
{
    static const char *const words[] = {"pivot", "pivot_wider"};
    size_t len = strlen(text);
    struct sql_token token = sql_lex_next(text, len, 0);
    for (; token.kind != SQL_TOKEN_END; token = sql_lex_next(text, len, token.at + token.len))
        for (size_t i = 0; i < MEM_COUNT(words); i++)
            if (token.kind == SQL_TOKEN_WORD && sql_token_is(text, &token, words[i]))
                return true;
    return false;
}

static bool query_text_knows(const char *schema, const char *name, void *ctx)
{
    const struct tables_result *result = ctx;
    (void)schema;
    for (size_t i = 0; i < result->tables_n; i++)
        if (strcasecmp(result->tables[i].name, name) == 0)
            return true;
    return false;
}

/* Its tables are the names in it that are tables. */
static void query_on_text_list(void *arg, const struct tables_result *result)
{
    struct query *q = arg;
    struct sql_error e = {.at = SQL_AT_NONE};
    q->call = NULL;
    if (result->code < 0) {
        query_fail(q, result->code, SQL_AT_NONE, NULL, "%s", result->text);
        return;
    }
    if (sql_refs_guess(q->source, strlen(q->source), node_options(q->role->node)->sql_paths_n > 0,
                       query_text_knows, (void *)(uintptr_t)result, &q->refs, &e) < 0) {
        e.at = sql_at_shift(e.at, q->source_from, q->source_to);
        query_fail_error(q, &e);
        return;
    }
    q->tables = mem_calloc(q->refs.n + 1, sizeof *q->tables);
    q->views = mem_calloc(q->refs.n + 1, sizeof *q->views);
    query_snapshots(q);
}

static void query_tree_take(struct query *q)
{
    struct query_work *work = q->work;
    struct sql_error e = work->error;
    q->tree = work->tree;
    q->tree_bytes = work->json_len;
    q->refs = work->refs;
    work->tree = NULL;
    work->refs = (struct sql_refs){0};
    query_work_end(q);
    if (e.error.code == ERR_UNSUPPORTED && e.at == SQL_AT_NONE && query_text_pivots(q->source)) {
        q->call = tables_list(node_lake(q->role->node)->tables, query_on_text_list, q);
        return;
    }
    if (e.error.code < 0) {
        e.at = sql_at_shift(e.at, q->source_from, q->source_to);
        query_fail_error(q, &e);
        return;
    }
    q->tables = mem_calloc(q->refs.n + 1, sizeof *q->tables);
    q->views = mem_calloc(q->refs.n + 1, sizeof *q->views);
    query_snapshots(q);
}

/* A text of a message, which is left without it when that is ours. */
static char *query_text_take(char **text, bool ours)
{
    if (!ours || *text == protobuf_c_empty_string)
        return mem_strdup(*text);
    char *taken = *text;
    *text = (char *)(uintptr_t)protobuf_c_empty_string;
    return taken;
}

static void query_on_parsed(void *arg, int code, const ProtobufCMessage *message)
{
    struct query *q = arg;
    const Wire__SqlTaskUpdate *update = (const Wire__SqlTaskUpdate *)message;
    if (!query_light_over(q, code, update))
        return;
    if (update->done->n_parsed != 1) {
        query_fail(q, ERR_INTERNAL, SQL_AT_NONE, NULL, "the executor parsed nothing");
        return;
    }
    ProtobufCMessage *taken = node_take_message(q->role->node, message);
    Wire__SqlParsed *parsed = update->done->parsed[0];
    if (parsed->printed[0] != '\0')
        q->printed = query_text_take(&parsed->printed, taken != NULL);
    struct query_work *work = query_work_new(q);
    work->json_len = strlen(parsed->json);
    work->json = query_text_take(&parsed->json, taken != NULL);
    wire_free(taken);
    work->paths = node_options(q->role->node)->sql_paths_n > 0;
    query_work_run(work, work->json_len, query_tree_read, query_tree_take);
}

void query_read(struct query *q, char *source, size_t from, size_t to, query_next_fn next)
{
    Wire__SqlRunTask *task = mem_alloc(sizeof *task);
    wire__sql_run_task__init(task);
    task->parse = mem_alloc(sizeof *task->parse);
    wire__sql_parse__init(task->parse);
    query_read_done(q);
    q->source = source;
    q->source_from = from;
    q->source_to = to;
    q->next = next;
    task->parse->n_sql = 1;
    task->parse->sql = mem_alloc(sizeof *task->parse->sql);
    task->parse->sql[0] = mem_strdup(q->source);
    (void)query_light(q, task, query_on_parsed);
}

/* ---- describing ------------------------------------------------------------------------------ */

static void query_names_free(struct query *q)
{
    for (size_t i = 0; i < q->described_as_n; i++)
        free(q->described_as[i]);
    free(q->described_as);
    q->described_as = NULL;
    q->described_as_n = 0;
}

static void query_on_described(void *arg, int code, const ProtobufCMessage *message)
{
    struct query *q = arg;
    const Wire__SqlTaskUpdate *update = (const Wire__SqlTaskUpdate *)message;
    if (update != NULL && update->n_columns > 0 && q->described == NULL) {
        q->described_n = update->n_columns;
        q->described = mem_calloc(q->described_n, sizeof *q->described);
        for (size_t i = 0; i < q->described_n; i++) {
            q->described[i] = mem_alloc(sizeof **q->described);
            wire__sql_column__init(q->described[i]);
            q->described[i]->name =
                mem_strdup(i < q->described_as_n ? q->described_as[i] : update->columns[i]->name);
            q->described[i]->type = mem_strdup(update->columns[i]->type);
        }
    }
    if (query_light_over(q, code, update))
        q->next(q);
}

static void query_describe_send(struct query *q)
{
    struct sql_plan plan = q->work->plan;
    struct sql_error e = q->work->error;
    q->work->plan = (struct sql_plan){0};
    query_work_end(q);
    if (e.error.code < 0) {
        query_fail_error(q, &e);
        return;
    }
    const struct sql_stage *stage = &plan.stages[0];
    Wire__SqlRunTask *task = mem_alloc(sizeof *task);
    wire__sql_run_task__init(task);
    task->describe = mem_alloc(sizeof *task->describe);
    wire__sql_describe__init(task->describe);
    task->describe->inputs = mem_calloc(stage->inputs_n + 1, sizeof *task->describe->inputs);
    for (size_t i = 0; i < stage->inputs_n; i++)
        task->describe->inputs[task->describe->n_inputs++] =
            query_table_input(&q->tables[stage->inputs[i].index], &stage->inputs[i], 0, 0);
    if (stage->text != NULL)
        task->describe->sql = mem_strdup(q->source);
    else /* a table at a version */
        task->describe->ast = mem_strdup(stage->fragment);
    query_names_free(q);
    q->described_as = plan.names;
    q->described_as_n = plan.names_n;
    plan.names = NULL;
    plan.names_n = 0;
    (void)query_light(q, task, query_on_described);
    sql_plan_done(&plan);
}

/* ---- planning -------------------------------------------------------------------------------- */

static void query_plan_make(struct query_work *work)
{
    const struct query *q = work->q;
    struct sql_error e;
    if (sql_plan_query(q->tree, q->printed, q->source, &q->refs, q->views, &work->options,
                       &work->plan, &e) < 0)
        work->error = e;
}

static void query_plan_files_make(struct query_work *work)
{
    const struct query *q = work->q;
    struct sql_error e;
    if (sql_plan_files(q->tree, work->invert, &q->refs, q->views, &work->plan, &e) < 0)
        work->error = e;
}

void query_describe(struct query *q, query_next_fn next)
{
    if (q->tree == NULL) {
        query_fail(q, ERR_UNSUPPORTED, q->source_to, "PIVOT ... ON column IN (values)",
                   "a PIVOT that finds its columns when it runs can't fill a table");
        return;
    }
    struct query_work *work = query_work_new(q);
    q->next = next;
    work->options = (struct sql_plan_options){.workers = 1, .tasks_per_worker = 1};
    query_work_run(work, q->tree_bytes, query_plan_make, query_describe_send);
}

static void query_plan_take(struct query *q)
{
    struct sql_error e = q->work->error;
    q->plan = q->work->plan;
    q->work->plan = (struct sql_plan){0};
    query_work_end(q);
    q->planned = e.error.code == 0;
    if (q->planned)
        q->next(q);
    else
        query_fail_error(q, &e);
}

static void query_plan_forget(struct query *q)
{
    if (q->planned)
        sql_plan_done(&q->plan);
    q->planned = false;
}

void query_plan(struct query *q, size_t workers_max, query_next_fn next)
{
    query_plan_forget(q);
    query_find_nodes(q);
    q->next = next;
    if (q->tree == NULL) { /* it was not taken apart */
        (void)sql_plan_text(q->source, &q->refs, q->views, &q->plan);
        q->planned = true;
        next(q);
        return;
    }
    struct query_work *work = query_work_new(q);
    size_t workers = q->nodes_n < workers_max ? q->nodes_n : workers_max;
    work->options = (struct sql_plan_options){
        .workers = workers > 0 ? workers : 1,
        .tasks_per_worker = 1,
        .split_bytes_min = node_options(q->role->node)->sql_split_bytes,
        .now = clock_format_rfc3339(loop_wall_ms(node_loop(q->role->node)), work->now),
        .broadcast_bytes = node_options(q->role->node)->sql_broadcast_bytes,
    };
    query_work_run(work, q->tree_bytes, query_plan_make, query_plan_take);
}

void query_plan_files(struct query *q, bool invert, query_next_fn next)
{
    query_plan_forget(q);
    if (q->tree == NULL) {
        query_fail(q, ERR_UNSUPPORTED, q->source_to, "PIVOT ... ON column IN (values)",
                   "a PIVOT that finds its columns when it runs can't choose files");
        return;
    }
    q->next = next;
    struct query_work *work = query_work_new(q);
    work->invert = invert;
    query_work_run(work, q->tree_bytes, query_plan_files_make, query_plan_take);
}

void query_read_done(struct query *q)
{
    query_light_cancel(q);
    if (query_work_runs(q))
        return; /* query_over() */
    if (q->call != NULL)
        tables_cancel(q->call);
    q->call = NULL;
    query_cluster_cancel(q->cluster);
    q->cluster = NULL;
    if (q->put != NULL)
        object_call_cancel(q->put);
    q->put = NULL;
    for (size_t i = 0; i < q->refs.n && q->tables != NULL; i++)
        query_table_done(&q->tables[i]);
    free(q->tables);
    free(q->views);
    q->tables = NULL;
    q->views = NULL;
    q->tables_got = 0;
    sql_refs_done(&q->refs);
    query_work_drop_tree(q->role, q->tree, q->tree_bytes);
    q->tree = NULL;
    q->tree_bytes = 0;
    free(q->printed);
    q->printed = NULL;
    free(q->source);
    q->source = NULL;
    for (size_t i = 0; i < q->described_n; i++)
        wire__sql_column__free_unpacked(q->described[i], NULL);
    query_names_free(q);
    free(q->described);
    q->described = NULL;
    q->described_n = 0;
}
