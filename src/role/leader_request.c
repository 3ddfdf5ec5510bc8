/* Happy path: one call to whoever leads, itself included; the answer is parsed. Without a leader,
 * or one that is busy or is lost, it is asked again after a pause, until patience ends. A request
 * that any node can answer in its way goes to this one then. */
#include "role/leader_request.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "role/node.h"

enum { LEADER_REQUEST_PAUSE_MS = 50 };

struct leader_request {
    struct node *node;
    char *method;
    char *path;
    char *user;
    char *body;
    bool here;
    uint64_t call;
    struct loop_timer timer;
    int64_t until_ms;
    leader_request_fn fn;
    void *arg;
};

static void leader_request_free(struct leader_request *request)
{
    loop_timer_stop(&request->timer);
    free(request->method);
    free(request->path);
    free(request->user);
    free(request->body);
    free(request);
}

static void leader_request_end(struct leader_request *request, json_t *json, const struct error *e)
{
    leader_request_fn fn = request->fn;
    void *arg = request->arg;
    leader_request_free(request);
    fn(arg, json, e);
}

static void leader_request_fail(struct leader_request *request, int code)
{
    struct error e;
    (void)error_set(&e, code, "%s", err_text(code));
    leader_request_end(request, NULL, &e);
}

/* The error object of an answer. */
static void leader_request_read_error(json_t *json, unsigned status, struct error *e)
{
    const char *code = NULL;
    const char *message = NULL;
    if (json != NULL &&
        json_unpack(json, "{s:{s:s, s:s}}", "error", "code", &code, "message", &message) == 0)
        (void)error_set(e, err_from_name(code), "%s", message);
    else
        (void)error_set(e, ERR_PROTOCOL, "the leader answered with status %u", status);
}

static bool leader_request_may_wait(const struct leader_request *request)
{
    return loop_now_ms(node_loop(request->node)) < request->until_ms;
}

static void leader_request_on_reply(void *arg, int code, const ProtobufCMessage *message)
{
    struct leader_request *request = arg;
    const Wire__ApiReply *reply = (const Wire__ApiReply *)message;
    request->call = 0;
    if (reply == NULL && code == ERR_TIMEOUT) {
        leader_request_fail(request, ERR_TIMEOUT);
        return;
    }
    if ((reply == NULL || reply->status == 503) && leader_request_may_wait(request)) {
        loop_timer_start(&request->timer, LEADER_REQUEST_PAUSE_MS);
        return;
    }
    if (reply == NULL) {
        leader_request_fail(request, ERR_NO_LEADER);
        return;
    }
    json_t *json =
        json_loadb((const char *)reply->body.data, reply->body.len, JSON_ALLOW_NUL, NULL);
    if (reply->status >= 200 && reply->status < 300 && json != NULL) {
        leader_request_end(request, json, NULL);
    } else {
        struct error e;
        leader_request_read_error(json, reply->status, &e);
        leader_request_end(request, NULL, &e);
    }
    json_decref(json);
}

static void leader_request_send(void *arg)
{
    struct leader_request *request = arg;
    struct node *node = request->node;
    uint64_t leader = node_leader(node);
    bool none = leader == 0 || node_session(node, leader) == 0 ||
                (leader == node_id(node) && !node_is_active(node));
    int64_t waited_ms =
        LEADER_REQUEST_PATIENCE_MS - (request->until_ms - loop_now_ms(node_loop(node)));
    bool here = none && request->here && node_id(node) != 0 && waited_ms >= LEADER_REQUEST_HERE_MS;
    if (none && !here) {
        if (leader_request_may_wait(request))
            loop_timer_start(&request->timer, LEADER_REQUEST_PAUSE_MS);
        else
            leader_request_fail(request, ERR_NO_LEADER);
        return;
    }
    Wire__ApiRequest message = WIRE__API_REQUEST__INIT;
    message.method = request->method;
    message.path = request->path;
    message.user = request->user;
    if (request->body != NULL) {
        message.content_type = (char *)(uintptr_t) "application/json";
        message.body.data = (uint8_t *)request->body;
        message.body.len = strlen(request->body);
    }
    message.hops = 1;
    message.here = here;
    request->call = node_call(node, here ? node_id(node) : leader, WIRE_API_REQUEST, &message.base,
                              false, LEADER_REQUEST_TIMEOUT_MS, leader_request_on_reply, request);
}

struct leader_request *leader_request_start(struct node *node,
                                            const struct leader_request_spec *spec,
                                            leader_request_fn fn, void *arg)
{
    struct leader_request *request = mem_zalloc(sizeof *request);
    request->node = node;
    request->method = mem_strdup(spec->method);
    request->path = mem_strdup(spec->path);
    request->user = mem_strdup(spec->user);
    request->body = mem_strdup(spec->body);
    request->here = spec->here;
    request->fn = fn;
    request->arg = arg;
    request->until_ms = loop_now_ms(node_loop(node)) + LEADER_REQUEST_PATIENCE_MS;
    loop_timer_init(&request->timer, node_loop(node), leader_request_send, request);
    leader_request_send(request);
    return request;
}

void leader_request_cancel(struct leader_request *request)
{
    if (request->call != 0)
        node_call_end(request->node, request->call);
    leader_request_free(request);
}
