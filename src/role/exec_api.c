/* Happy path: one call to each node; what they send becomes lines; when the client has taken those,
 * the nodes get credit for as much again; after the last node's end comes "done". A node that can't
 * be reached, or is lost, is a "failed" line. A client that goes away ends the command everywhere.
 */
#include "role/exec_api.h"

#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "base/mem.h"
#include "role/api_json.h"
#include "role/exec_line.h"
#include "role/exec_server.h"
#include "role/exec_spec.h"
#include "role/node.h"
#include "wire/task_code.h"

enum { EXEC_API_OUT_BYTES_MAX = 128 << 20, EXEC_API_BODY_BYTES_MAX = 4 << 20 };

struct exec_api_request;

struct exec_api_target {
    struct exec_api_request *request;
    uint64_t node;
    char *name;
    uint64_t call; /* 0: over */
    uint64_t owed; /* bytes that came and were not given credit for again */
    bool started;
    struct exec_line_rest rests[2];
};

struct exec_api_request {
    struct exec_api *api;
    struct http_request *req;
    struct exec_api_target *targets;
    size_t targets_n;
    size_t open_n;
    size_t ok_n;
    uint64_t window; /* of each target */
    struct buf out;
    size_t out_at;
    bool full; /* the client must read first */
    struct loop_hook hook;
    TAILQ_ENTRY(exec_api_request) link;
};

struct exec_api {
    struct node *node;
    bool stopped;
    unsigned requests_n;
    TAILQ_HEAD(, exec_api_request) requests;
};

/* ---- ends -------------------------------------------------------------------------------------*/

static void exec_api_release(struct exec_api_request *r)
{
    struct exec_api *api = r->api;
    TAILQ_REMOVE(&api->requests, r, link);
    api->requests_n--;
    loop_hook_disarm(&r->hook);
    for (size_t i = 0; i < r->targets_n; i++) {
        struct exec_api_target *target = &r->targets[i];
        if (target->call != 0) {
            Wire__ExecCancel cancel = WIRE__EXEC_CANCEL__INIT;
            cancel.call = target->call;
            (void)node_send(api->node, target->node, WIRE_EXEC_CANCEL, &cancel.base);
            node_call_end(api->node, target->call);
        }
        free(target->name);
    }
    http_request_on_close(r->req, NULL, NULL);
    buf_done(&r->out);
    free(r->targets);
    free(r);
}

static void exec_api_break_off(struct exec_api_request *r)
{
    struct http_request *req = r->req;
    exec_api_release(r);
    http_stream_abort(req);
}

static void exec_api_on_close(struct http_request *req, void *arg)
{
    (void)req;
    exec_api_break_off(arg);
}

/* ---- to the client ----------------------------------------------------------------------------*/

/* The client has everything: the nodes may send as much again. */
static void exec_api_give_credit(struct exec_api_request *r)
{
    for (size_t i = 0; i < r->targets_n; i++) {
        struct exec_api_target *target = &r->targets[i];
        if (target->call == 0 || target->owed < r->window / 4)
            continue;
        Wire__ExecCredit credit = WIRE__EXEC_CREDIT__INIT;
        credit.call = target->call;
        credit.bytes = target->owed;
        if (node_send(r->api->node, target->node, WIRE_EXEC_CREDIT, &credit.base) == 0)
            target->owed = 0;
    }
}

static void exec_api_write(struct exec_api_request *r)
{
    while (!r->full && r->out_at < r->out.len) {
        size_t n = r->out.len - r->out_at;
        n = n < HTTP_STREAM_WRITE_MAX ? n : HTTP_STREAM_WRITE_MAX;
        int rc = http_stream_write(r->req, r->out.data + r->out_at, n);
        if (rc < 0)
            return; /* on_close comes */
        r->out_at += n;
        r->full = rc > 0;
    }
    if (r->out_at < r->out.len)
        return;
    buf_clear(&r->out);
    r->out_at = 0;
    if (r->open_n > 0) {
        exec_api_give_credit(r);
        return;
    }
    struct http_request *req = r->req;
    exec_api_release(r);
    http_stream_end(req);
}

static void exec_api_on_hook(void *arg)
{
    exec_api_write(arg);
}

static void exec_api_on_drain(struct http_request *req, void *arg)
{
    struct exec_api_request *r = arg;
    (void)req;
    r->full = false;
    exec_api_write(r);
}

/* ---- from the nodes ---------------------------------------------------------------------------*/

static void exec_api_over(struct exec_api_target *target, bool ok)
{
    struct exec_api_request *r = target->request;
    node_call_end(r->api->node, target->call);
    target->call = 0;
    r->ok_n += ok;
    if (--r->open_n == 0)
        (void)exec_line_done(&r->out, r->ok_n, r->targets_n - r->ok_n);
}

static void exec_api_fail(struct exec_api_target *target, const char *code, const char *text)
{
    (void)exec_line_failed(&target->request->out, target->name, code, text);
    exec_api_over(target, false);
}

static int exec_api_add_output(struct exec_api_target *target, const Wire__ExecUpdate *update)
{
    struct buf *out = &target->request->out;
    target->owed += update->stdout_data.len + update->stderr_data.len;
    int err = exec_line_output(out, target->name, "stdout", update->stdout_data.data,
                               update->stdout_data.len, &target->rests[0], update->ended);
    if (err == 0)
        err = exec_line_output(out, target->name, "stderr", update->stderr_data.data,
                               update->stderr_data.len, &target->rests[1], update->ended);
    return err;
}

static void exec_api_end(struct exec_api_target *target, const Wire__ExecUpdate *update)
{
    const Wire__TaskReport *report = update->report;
    if (update->code < 0 || report == NULL) {
        exec_api_fail(target, err_name(update->code < 0 ? update->code : ERR_PROTOCOL),
                      update->text);
    } else if (report->code == TASK_CODE_SPAWN_FAILED || report->code == TASK_CODE_NODE_LOST ||
               report->code == TASK_CODE_DISK_FULL) {
        exec_api_fail(target, task_code_name(report->code), report->text);
    } else {
        (void)exec_line_ended(&target->request->out, target->name, report);
        exec_api_over(target, report->code == TASK_CODE_OK);
    }
}

static const char *exec_api_lost_text(const struct exec_api_target *target, int code)
{
    if (target->started)
        return "the node was lost: its command is being ended";
    return code == ERR_UNAVAILABLE ? "the node is not reachable" : err_text(code);
}

static void exec_api_on_update(void *arg, int code, const ProtobufCMessage *message)
{
    struct exec_api_target *target = arg;
    struct exec_api_request *r = target->request;
    const Wire__ExecUpdate *update = (const Wire__ExecUpdate *)message;
    int err = 0;
    if (update == NULL) {
        exec_api_fail(target, err_name(code), exec_api_lost_text(target, code));
    } else {
        if (update->started && !target->started)
            err = exec_line_started(&r->out, target->name);
        target->started = target->started || update->started;
        if (err == 0)
            err = exec_api_add_output(target, update);
        if (err == 0 && update->ended)
            exec_api_end(target, update);
    }
    if (err < 0)
        exec_api_break_off(r);
    else
        loop_hook_arm(&r->hook);
}

/* ---- requests ---------------------------------------------------------------------------------*/

static void exec_api_start(struct exec_api *api, struct http_request *req,
                           const struct nodeset *nodes, Wire__ExecStart *start)
{
    struct exec_api_request *r = mem_zalloc(sizeof *r);
    r->api = api;
    r->req = req;
    r->targets_n = nodes->n;
    r->open_n = nodes->n;
    r->targets = mem_calloc(nodes->n, sizeof *r->targets);
    r->window = EXEC_API_WINDOW_BYTES / nodes->n;
    if (r->window > EXEC_SERVER_CREDIT_MAX)
        r->window = EXEC_SERVER_CREDIT_MAX;
    if (r->window < EXEC_SERVER_CREDIT_MIN)
        r->window = EXEC_SERVER_CREDIT_MIN;
    buf_init(&r->out, EXEC_API_OUT_BYTES_MAX);
    loop_hook_init(&r->hook, node_loop(api->node), LOOP_PHASE_FLUSH, exec_api_on_hook, r);
    TAILQ_INSERT_TAIL(&api->requests, r, link);
    api->requests_n++;
    http_stream_begin(req, 200, "application/x-ndjson", HTTP_STREAM_CHUNKED);
    http_request_on_close(req, exec_api_on_close, r);
    http_stream_on_drain(req, exec_api_on_drain, r);
    (void)exec_line_targets(&r->out, (const char *const *)nodes->names, nodes->n);
    loop_hook_arm(&r->hook);
    start->credit = r->window;
    start->user = mem_strdup(http_request_user(req));
    for (size_t i = 0; i < nodes->n; i++) {
        struct exec_api_target *target = &r->targets[i];
        target->request = r;
        target->name = mem_strdup(nodes->names[i]);
        target->node = node_member_named(api->node, target->name)->id;
        target->call = node_call(api->node, target->node, WIRE_EXEC_START, &start->base, true, 0,
                                 exec_api_on_update, target);
    }
}

static int exec_api_resolve(struct exec_api *api, const json_t *body, struct nodeset *nodes,
                            struct error *e)
{
    const char *text = json_string_value(json_object_get(body, "nodes"));
    if (text == NULL)
        return error_set(e, ERR_INVALID, "\"nodes\" must be text, as \"@all\" or \"n[1-3]\"");
    int err = node_resolve(api->node, text, nodes, e);
    if (err == 0 && nodes->n == 0)
        err = error_set(e, ERR_NOT_FOUND, "\"%.64s\" holds no node", text);
    return err;
}

static void exec_api_post(struct http_request *req, void *arg)
{
    struct exec_api *api = arg;
    static const char *const others[] = {"nodes", NULL};
    struct nodeset nodes;
    struct error e;
    Wire__ExecStart *start = NULL;
    json_t *body = api_json_body(req);
    if (body == NULL)
        return;
    nodeset_init(&nodes);
    int err = exec_spec_parse(body, others, &start, &e);
    if (err == 0)
        err = exec_api_resolve(api, body, &nodes, &e);
    if (err == 0 && api->stopped)
        err = error_set(&e, ERR_UNAVAILABLE, "the node is shutting down");
    if (err == 0 && api->requests_n >= EXEC_API_REQUESTS_MAX)
        err = error_set(&e, ERR_BUSY, "this node serves too many of these at once");
    if (err < 0)
        http_reply_failure(req, &e, err == ERR_NOT_FOUND ? "node list shows the nodes" : NULL);
    else
        exec_api_start(api, req, &nodes, start);
    if (start != NULL)
        wire__exec_start__free_unpacked(start, NULL);
    nodeset_done(&nodes);
    json_decref(body);
}

static const struct http_route exec_api_routes[] = {
    {.method = "POST",
     .path = "/api/exec",
     .flags = HTTP_ROUTE_STREAM,
     .body_max = EXEC_API_BODY_BYTES_MAX,
     .handler = exec_api_post},
};

struct exec_api *exec_api_new(struct node *node)
{
    struct exec_api *api = mem_zalloc(sizeof *api);
    api->node = node;
    TAILQ_INIT(&api->requests);
    http_router_add(node_router(node), exec_api_routes, MEM_COUNT(exec_api_routes), api);
    return api;
}

void exec_api_stop(struct exec_api *api)
{
    api->stopped = true;
    while (!TAILQ_EMPTY(&api->requests))
        exec_api_break_off(TAILQ_FIRST(&api->requests));
}

void exec_api_free(struct exec_api *api)
{
    free(api);
}
