/* Happy path: a request becomes a query that waits or begins; when it ends, the next one of the
 * session with the fewest running begins. Every end goes through query_fail() or query_done(),
 * which write the last line and let the rest of the answer flow out; query_free() follows. */
#include "role/query.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/metric.h"
#include "role/api_json.h"
#include "role/query_internal.h"

enum { QUERY_LOGGED_MAX = 20 };                         /* failed statements a second */
enum { QUERY_BODY_BYTES_MAX = 2 * SQL_TEXT_BYTES_MAX }; /* quotes and ends of lines are escaped */

static void queries_admit(struct queries *role);

/* ---- ends ------------------------------------------------------------------------------------ */

/* What a client's statement was counted as. */
static void query_uncount(struct query *q)
{
    struct queries *role = q->role;
    metric_series_add(metric_series(METRIC_SQL_QUERIES, q->code == 0 ? "ok" : err_name(q->code)),
                      1);
    metric_observe(METRIC_SQL_QUERY, (loop_now_ms(node_loop(role->node)) - q->began_ms) * 1000);
    metric_add(METRIC_SQL_ROWS, q->rows_out);
    if (q->waiting)
        role->waiting_n--;
    else
        role->running_n--;
    q->waiting = false;
}

/* The answer may still flow. */
void query_stop(struct query *q)
{
    if (q->ended)
        return;
    if (q->told)
        query_tell_end(q, NULL);
    q->ended = true;
    loop_timer_stop(&q->timer);
    query_work_cancel(q);
    query_stages_done(q);
    query_crowd_leave(q);
    trace_number(q->span, "clusterd.query.rows", (int64_t)q->rows_out);
    trace_text(q->span, "clusterd.query.command", sql_kind_name(q->statement.kind));
    trace_end(q->span, q->code, NULL);
    q->span = NULL;
    query_read_done(q);
    if (q->on_end != NULL)
        return;
    query_uncount(q);
    queries_admit(q->role);
}

static void query_release(struct query *q)
{
    if (q->planned)
        sql_plan_done(&q->plan);
    query_write_done(q);
    sql_statement_done(&q->statement);
    buf_done(&q->lines);
    buf_done(&q->out);
    free(q->txn_id);
    free(q->session);
    free(q->user);
    free(q->text);
    free(q);
}

void query_free(struct query *q)
{
    query_stop(q);
    TAILQ_REMOVE(q->on_end != NULL ? &q->role->carriers : &q->role->all, q, entry);
    loop_hook_disarm(&q->hook);
    q->gone = true;
    if (!query_work_runs(q))
        query_release(q);
}

/* A role that stops has stopped when no thread works for it any more. */
static void queries_stopped(struct queries *role)
{
    if (role->stopped && role->bodies_n == 0 && role->works_n == 0)
        node_role_stopped(role->node);
}

void query_over(struct query *q)
{
    struct queries *role = q->role;
    query_work_end(q);
    query_read_done(q);
    if (q->gone)
        query_release(q);
    queries_stopped(role);
}

static void query_log_failure(const struct query *q, const char *text)
{
    static struct log_limit limit;
    char more[LOG_LIMIT_TEXT_MAX];
    if (q->code != ERR_CANCELLED && log_limit_take(&limit, QUERY_LOGGED_MAX, clock_mono_ms(), more))
        log_info(LOG_ABOUT(.role = "query", .job = q->id_text, .code = q->code),
                 "statement of %s failed: %s%s", q->user, text, more);
}

static void query_fail_line(struct query *q, int code, size_t at, const char *hint,
                            const char *text)
{
    json_t *error = json_pack("{s:s,s:s}", "code", err_name(code), "message", text);
    if (error == NULL)
        error = json_pack("{s:s,s:s}", "code", err_name(code), "message", err_text(code));
    if (hint != NULL && hint[0] != '\0')
        json_object_set_new(error, "hint", json_string(hint));
    if (at != SQL_AT_NONE)
        json_object_set_new(error, "position", json_integer((json_int_t)at));
    q->code = code;
    query_log_failure(q, text);
    query_tell_end(q, text);
    query_stop(q);
    query_out_line(q, json_pack("{s:o}", "error", error));
    query_out_end(q);
}

void query_fail(struct query *q, int code, size_t at, const char *hint, const char *fmt, ...)
{
    char text[2048];
    va_list args;
    if (q->ended)
        return;
    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    if (q->on_end != NULL)
        q->on_end(q, code, hint, text);
    else
        query_fail_line(q, code, at, hint, text);
}

void query_fail_error(struct query *q, const struct sql_error *e)
{
    query_fail(q, e->error.code, e->at, e->hint, "%s", e->error.text);
}

void query_done(struct query *q)
{
    if (q->ended)
        return;
    if (q->on_end != NULL) {
        q->on_end(q, 0, NULL, "");
        return;
    }
    int64_t wall = loop_now_ms(node_loop(q->role->node)) - q->began_ms;
    const char *command = q->statement.explain ? "EXPLAIN" : sql_kind_name(q->statement.kind);
    json_t *done = json_pack("{s:I,s:I,s:s}", "rows", (json_int_t)q->rows_out, "wall_ms",
                             (json_int_t)wall, "command", command);
    if (q->target.kind != WIRE__SQL_OUTPUT_KIND__SQL_OUTPUT_KIND_ROWS || q->affected > 0)
        json_object_set_new(done, "affected", json_integer((json_int_t)q->affected));
    q->code = 0;
    query_stop(q);
    query_out_line(q, json_pack("{s:o}", "done", done));
    query_out_end(q);
}

static void query_on_close(struct http_request *req, void *arg)
{
    struct query *q = arg;
    (void)req;
    struct http_request *mine = q->req;
    q->req = NULL;
    query_free(q);
    http_stream_abort(mine);
}

/* ---- admission ------------------------------------------------------------------------------- */

static unsigned queries_running_of(const struct queries *role, const char *session)
{
    unsigned n = 0;
    struct query *q;
    TAILQ_FOREACH (q, &role->all, entry) {
        n += !q->waiting && !q->ended && strcmp(q->session, session) == 0;
    }
    return n;
}

static void query_on_timer(void *arg)
{
    struct query *q = arg;
    if (q->ended || q->full)
        return;
    query_tell_slow(q);
    query_look_for_stragglers(q);
    query_out_progress(q);
    loop_timer_start(&q->timer, QUERY_PROGRESS_MS);
}

static void queries_admit(struct queries *role)
{
    while (!role->stopped && role->running_n < QUERY_RUNNING_MAX && role->waiting_n > 0) {
        struct query *best = NULL, *q;
        unsigned best_n = 0;
        TAILQ_FOREACH (q, &role->all, entry) {
            if (!q->waiting)
                continue;
            unsigned n = queries_running_of(role, q->session);
            if (best == NULL || n < best_n) {
                best = q;
                best_n = n;
            }
        }
        best->waiting = false;
        role->waiting_n--;
        role->running_n++;
        query_tell_begin(best);
        query_begin(best);
    }
}

/* ---- requests -------------------------------------------------------------------------------- */

static void query_trace(struct query *q)
{
    struct trace_context incoming;
    (void)trace_parse(http_request_header(q->req, "traceparent"), &incoming);
    q->span = trace_root(&incoming, 1, "sql query", TRACE_SERVER);
    trace_text(q->span, "clusterd.query.id", q->id_text);
    trace_text(q->span, "clusterd.user", q->user);
}

/* Takes text and session (NULL: the connection's). */
static void query_new(struct queries *role, struct http_request *req, char *text, char *session)
{
    struct query *q = mem_zalloc(sizeof *q);
    q->role = role;
    q->req = req;
    uuid_generate(&q->id);
    uuid_format(&q->id, q->id_text);
    q->text = text;
    q->user = mem_strdup(http_request_user(req));
    q->session = session != NULL ? session : mem_strdup(http_request_peer(req));
    q->waiting = true;
    q->code = ERR_CANCELLED;
    query_trace(q);
    q->began_ms = loop_now_ms(node_loop(role->node));
    buf_init(&q->lines, TABLES_ENTRY_BYTES_MAX);
    loop_timer_init(&q->timer, node_loop(role->node), query_on_timer, q);
    loop_timer_start(&q->timer, QUERY_PROGRESS_MS);
    TAILQ_INSERT_TAIL(&role->all, q, entry);
    role->waiting_n++;
    query_out_init(q);
    http_request_on_close(req, query_on_close, q);
    query_out_line(q, json_pack("{s:s}", "query", q->id_text));
    queries_admit(role);
}

static void query_on_carried(void *arg)
{
    query_free(arg);
}

struct query *query_new_carrier(const struct query *like, query_end_fn on_end)
{
    struct query *q = mem_zalloc(sizeof *q);
    q->role = like->role;
    q->on_end = on_end;
    uuid_generate(&q->id);
    uuid_format(&q->id, q->id_text);
    q->user = mem_strdup(like->user);
    q->session = mem_strdup(like->session);
    q->text = mem_strdup("");
    q->statement.kind = like->statement.kind;
    q->code = ERR_CANCELLED;
    q->span = trace_child(trace_context(like->span), "sql group", TRACE_INTERNAL);
    trace_text(q->span, "clusterd.query.id", q->id_text);
    q->began_ms = loop_now_ms(node_loop(q->role->node));
    buf_init(&q->lines, TABLES_ENTRY_BYTES_MAX);
    buf_init(&q->out, 1); /* nothing is told */
    loop_timer_init(&q->timer, node_loop(q->role->node), query_on_timer, q);
    loop_hook_init(&q->hook, node_loop(q->role->node), LOOP_PHASE_FLUSH, query_on_carried, q);
    TAILQ_INSERT_TAIL(&q->role->carriers, q, entry);
    return q;
}

/* A request's body on its way to be a query; the request is valid as long as it isn't answered. */
struct query_body {
    struct queries *role;
    struct http_request *req;
    const char *data;
    size_t len;
    char *text, *session;
    struct error error;
};

static int query_body_take(struct query_body *body, const json_t *json)
{
    const json_t *text = json_object_get(json, "sql");
    const json_t *session = json_object_get(json, "session");
    if (!json_is_string(text) || (session != NULL && !json_is_string(session)) ||
        json_object_size(json) > 2)
        return error_set(&body->error, ERR_INVALID,
                         "the body is {\"sql\":\"one statement\",\"session\":\"name\"?}");
    if (json_string_length(session) > 64)
        return error_set(&body->error, ERR_TOO_LARGE, "the session's name has more than 64 bytes");
    body->text = mem_strdup(json_string_value(text));
    body->session = session != NULL ? mem_strdup(json_string_value(session)) : NULL;
    return 0;
}

/* Any thread. */
static void query_body_read(void *arg)
{
    struct query_body *body = arg;
    json_error_t e = {0};
    json_t *json = body->len > 0 ? json_loadb(body->data, body->len, JSON_REJECT_DUPLICATES, &e)
                                 : json_object();
    if (json == NULL)
        (void)error_set(&body->error, ERR_INVALID, "invalid JSON at line %d, column %d: %s", e.line,
                        e.column, e.text);
    else
        (void)query_body_take(body, json);
    json_decref(json);
}

/* Takes the body. */
static void query_body_begin(struct query_body *body)
{
    struct queries *role = body->role;
    struct error *e = &body->error;
    if (e->code == 0 && role->stopped)
        (void)error_set(e, ERR_UNAVAILABLE, "the node is shutting down");
    else if (e->code == 0 && role->waiting_n >= QUERY_WAITING_MAX)
        (void)error_set(e, ERR_BUSY, "%d statements wait on this node already", QUERY_WAITING_MAX);
    else if (e->code == 0 && http_request_closed(body->req))
        (void)error_set(e, ERR_CLOSED, "the client is gone");
    if (e->code < 0) {
        http_reply_failure(body->req, e, NULL);
        free(body->text);
        free(body->session);
    } else {
        query_new(role, body->req, body->text, body->session);
    }
    free(body);
}

static void query_body_on_read(void *arg, int code)
{
    struct query_body *body = arg;
    struct queries *role = body->role;
    (void)code;
    role->bodies_n--;
    query_body_begin(body);
    queries_stopped(role);
}

static void queries_post(struct http_request *req, void *arg)
{
    struct queries *role = arg;
    struct query_body *body = mem_zalloc(sizeof *body);
    body->role = role;
    body->req = req;
    body->data = http_request_body(req, &body->len);
    if (body->len < QUERY_WORK_BYTES || role->bodies_n >= QUERY_WAITING_MAX) {
        if (body->len < QUERY_WORK_BYTES)
            query_body_read(body);
        else
            (void)error_set(&body->error, ERR_BUSY, "%d statements are being read already",
                            QUERY_WAITING_MAX);
        query_body_begin(body);
        return;
    }
    role->bodies_n++;
    (void)loop_work(node_loop(role->node), query_body_read, query_body_on_read, body);
}

static json_t *queries_list(const struct queries *role)
{
    json_t *list = json_array();
    const char *node = node_options(role->node)->name;
    const struct query *q;
    TAILQ_FOREACH (q, &role->all, entry) {
        if (q->ended)
            continue;
        char *text = mem_strndup(q->text, strnlen(q->text, 1024));
        json_array_append_new(
            list, json_pack("{s:s,s:s,s:s,s:o,s:s,s:s,s:I,s:I}", "query", q->id_text, "node", node,
                            "state", q->waiting ? "waiting" : "running", "sql", api_json_text(text),
                            "user", q->user, "session", q->session, "wall_ms",
                            (json_int_t)(loop_now_ms(node_loop(role->node)) - q->began_ms), "rows",
                            (json_int_t)q->rows_out));
        free(text);
    }
    return list;
}

static void queries_get(struct http_request *req, void *arg)
{
    struct queries *role = arg;
    struct error e = {0};
    switch (query_relay_nodes(role, req, QUERY_NODES_HERE, &e)) {
    case QUERY_NODES_INVALID:
        http_reply_failure(req, &e, NULL);
        break;
    case QUERY_NODES_HERE:
        http_reply_json(req, 200, queries_list(role));
        break;
    case QUERY_NODES_ONE:
        query_relay(role, req, "/api/sql?nodes=here", json_array());
        break;
    case QUERY_NODES_ALL:
        query_relay(role, req, "/api/sql?nodes=here", queries_list(role));
        break;
    }
}

static bool queries_cancel(struct queries *role, const char *id)
{
    struct query *q;
    TAILQ_FOREACH (q, &role->all, entry) {
        if (!q->ended && strcmp(q->id_text, id) == 0) {
            query_fail(q, ERR_CANCELLED, SQL_AT_NONE,
                       query_is_committing(q) ? "its commit was on its way: look whether it stands"
                                              : NULL,
                       "the statement was cancelled");
            return true;
        }
    }
    return false;
}

static void queries_delete(struct http_request *req, void *arg)
{
    struct queries *role = arg;
    struct error e = {0};
    struct uuid uuid;
    const char *id = http_request_param(req, "query");
    enum query_nodes nodes = query_relay_nodes(role, req, QUERY_NODES_ALL, &e);
    if (nodes == QUERY_NODES_INVALID) {
        http_reply_failure(req, &e, NULL);
    } else if (nodes != QUERY_NODES_ONE && queries_cancel(role, id)) {
        http_reply_json(req, 200,
                        json_pack("{s:s,s:s,s:s}", "query", id, "node",
                                  node_options(role->node)->name, "state", "cancelled"));
    } else if (nodes == QUERY_NODES_HERE || uuid_parse(id, &uuid) != 0) {
        http_reply_error(req, 404, "not_found", "no such statement runs",
                         "GET /api/sql?nodes=all lists what does");
    } else {
        char *target = mem_printf("/api/sql/%s?nodes=here", id);
        query_relay(role, req, target, NULL);
        free(target);
    }
}

static const struct http_route queries_routes[] = {
    {.method = "POST",
     .path = "/api/sql",
     .flags = HTTP_ROUTE_STREAM,
     .body_max = QUERY_BODY_BYTES_MAX,
     .handler = queries_post},
    {.method = "GET", .path = "/api/sql", .handler = queries_get},
    {.method = "DELETE", .path = "/api/sql/{query}", .handler = queries_delete},
};

/* ---- life ------------------------------------------------------------------------------------ */

static void queries_collect(void *arg)
{
    const struct queries *role = arg;
    metric_series_set(metric_series(METRIC_SQL_ACTIVE, "running"), role->running_n);
    metric_series_set(metric_series(METRIC_SQL_ACTIVE, "waiting"), role->waiting_n);
}

static int queries_start(struct node *node, void **self, struct error *e)
{
    (void)e;
    struct queries *role = mem_zalloc(sizeof *role);
    role->node = node;
    role->places = sql_places_new();
    TAILQ_INIT(&role->all);
    TAILQ_INIT(&role->relays);
    TAILQ_INIT(&role->carriers);
    TAILQ_INIT(&role->crowds);
    TAILQ_INIT(&role->works);
    http_router_add(node_router(node), queries_routes, MEM_COUNT(queries_routes), role);
    metric_add_collector(queries_collect, role);
    query_events_start(role);
    *self = role;
    return 0;
}

static void queries_stop(void *self)
{
    struct queries *role = self;
    role->stopped = true;
    metric_remove_collector(queries_collect, role);
    query_relays_stop(role);
    while (!TAILQ_EMPTY(&role->all)) {
        struct query *q = TAILQ_FIRST(&role->all);
        struct http_request *req = q->req;
        q->req = NULL;
        query_free(q);
        if (req != NULL) {
            http_request_on_close(req, NULL, NULL);
            http_stream_abort(req);
        }
    }
    query_crowds_free(role);
    queries_stopped(role);
}

static void queries_free(void *self)
{
    struct queries *role = self;
    if (role->bodies_n + role->works_n > 0)
        return; /* given up: threads still refer to it, and the process ends */
    metric_remove_collector(queries_collect, self);
    sql_places_free(role->places);
    query_events_free(self);
    free(self);
}

const struct role query_role = {
    .name = "query",
    .start = queries_start,
    .stop = queries_stop,
    .free = queries_free,
};
