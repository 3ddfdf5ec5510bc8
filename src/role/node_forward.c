/* API requests on their way to the leader.
 *
 * Happy path: the request travels whole as ApiRequest, the answer comes back as ApiReply and is
 * given out as it is. Without a leader it waits; a leader lost on the way gives outcome_unknown for
 * a change and another try for a read. */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "role/node_internal.h"

enum {
    NODE_FORWARD_HOLD_MS = 8000,     /* longer than any election */
    NODE_FORWARD_TIMEOUT_MS = 60000, /* long polls end before */
    NODE_FORWARD_SWEEP_MS = 50,
};

struct node_held {
    struct node *node;
    struct http_request *req;
    http_request_fn handler;
    void *arg;
    int64_t until_ms;
    uint64_t call; /* under way; 0: waits for a leader */
    TAILQ_ENTRY(node_held) link;
};

static void node_held_free(struct node_held *held)
{
    TAILQ_REMOVE(&held->node->held, held, link);
    http_request_on_close(held->req, NULL, NULL);
    free(held);
}

static void node_held_fail(struct node_held *held, int code, const char *message, const char *hint)
{
    struct http_request *req = held->req;
    struct error e;
    (void)error_set(&e, code, "%s", message);
    node_held_free(held);
    http_reply_failure(req, &e, hint);
}

static void node_held_add_headers(struct http_request *req, const char *headers)
{
    while (*headers != '\0') {
        const char *end = strstr(headers, "\r\n");
        const char *colon = strchr(headers, ':');
        if (end == NULL || colon == NULL || colon > end)
            return;
        char *name = mem_strndup(headers, (size_t)(colon - headers));
        const char *value_at = colon + 1 + strspn(colon + 1, " ");
        char *value = mem_strndup(value_at, (size_t)(end - value_at));
        http_reply_header(req, name, value);
        free(name);
        free(value);
        headers = end + 2;
    }
}

static void node_held_on_reply(void *arg, int code, const ProtobufCMessage *message)
{
    struct node_held *held = arg;
    held->call = 0;
    const Wire__ApiReply *early = (const Wire__ApiReply *)message;
    if (early != NULL && early->status == 503 && held->until_ms > loop_now_ms(held->node->loop))
        return; /* not done: the leader has just changed; the next sweep asks again */
    if (message != NULL) {
        const Wire__ApiReply *reply = (const Wire__ApiReply *)message;
        struct http_request *req = held->req;
        node_held_free(held);
        node_held_add_headers(req, reply->headers);
        http_reply(req, reply->status, reply->content_type[0] ? reply->content_type : NULL,
                   reply->body.data, reply->body.len);
    } else if (code == ERR_TIMEOUT) {
        node_held_fail(held, ERR_TIMEOUT, "the leader did not answer in time", NULL);
    } else if (code == ERR_BUSY || http_request_is_repeatable(held->req)) {
        /* waits for the next sweep: another leader is no reason to do a change twice */
    } else {
        node_held_fail(held, ERR_OUTCOME_UNKNOWN,
                       "the leader was lost while it worked on this: it may or may not be done",
                       "look at the state before you ask again");
    }
}

/* Hands the request to whoever leads now, if anybody does. */
static void node_held_send(struct node_held *held)
{
    struct node *node = held->node;
    if (node->leader == node->id) {
        if (!node->active)
            return; /* about to be */
        struct http_request *req = held->req;
        http_request_fn handler = held->handler;
        void *arg = held->arg;
        node_held_free(held);
        handler(req, arg);
        return;
    }
    if (node->leader == 0 || node_session(node, node->leader) == 0)
        return;
    Wire__ApiRequest request = WIRE__API_REQUEST__INIT;
    const char *type = http_request_header(held->req, "Content-Type");
    const char *key = http_request_header(held->req, "Idempotency-Key");
    const char *trace = http_request_header(held->req, "traceparent");
    size_t len;
    request.method = (char *)(uintptr_t)http_request_method(held->req);
    request.path = (char *)(uintptr_t)http_request_target(held->req);
    request.user = (char *)(uintptr_t)http_request_user(held->req);
    if (type != NULL)
        request.content_type = (char *)(uintptr_t)type;
    if (key != NULL)
        request.idempotency_key = (char *)(uintptr_t)key;
    if (trace != NULL)
        request.traceparent = (char *)(uintptr_t)trace;
    request.body.data = (uint8_t *)(uintptr_t)http_request_body(held->req, &len);
    request.body.len = len;
    request.hops = 1;
    held->call = node_call(node, node->leader, WIRE_API_REQUEST, &request.base, false,
                           NODE_FORWARD_TIMEOUT_MS, node_held_on_reply, held);
}

static void node_held_on_close(struct http_request *req, void *arg)
{
    struct node_held *held = arg;
    struct node *node = held->node;
    if (held->call != 0) {
        Wire__ApiCancel cancel = WIRE__API_CANCEL__INIT;
        cancel.call = held->call;
        (void)node_send(node, node->leader, WIRE_API_CANCEL, &cancel.base);
        node_call_end(node, held->call);
    }
    node_held_free(held);
    http_reply(req, 499, NULL, NULL, 0);
}

static void node_forward_on_timer(void *arg)
{
    struct node *node = arg;
    int64_t now = loop_now_ms(node->loop);
    struct node_held *held = TAILQ_FIRST(&node->held);
    while (held != NULL) {
        struct node_held *next = TAILQ_NEXT(held, link);
        if (held->call == 0) {
            if (now >= held->until_ms)
                node_held_fail(held, ERR_NO_LEADER, "the cluster has no leader at the moment",
                               "a majority of the metadata nodes must be up: raft status");
            else
                node_held_send(held);
        }
        held = next;
    }
    if (!TAILQ_EMPTY(&node->held))
        loop_timer_start(&node->held_timer, NODE_FORWARD_SWEEP_MS);
}

void node_forward_leader(struct node *node)
{
    if (!TAILQ_EMPTY(&node->held))
        loop_timer_start(&node->held_timer, 0);
}

void node_forward_init(struct node *node)
{
    TAILQ_INIT(&node->held);
    loop_timer_init(&node->held_timer, node->loop, node_forward_on_timer, node);
}

void node_forward_done(struct node *node)
{
    loop_timer_stop(&node->held_timer);
    struct node_held *held;
    while ((held = TAILQ_FIRST(&node->held)) != NULL)
        node_held_fail(held, ERR_CLOSED, "the node is shutting down", NULL);
}

void node_forward(struct node *node, struct http_request *req, http_request_fn handler, void *arg)
{
    struct node_held *held = mem_zalloc(sizeof *held);
    held->node = node;
    held->req = req;
    held->handler = handler;
    held->arg = arg;
    held->until_ms = loop_now_ms(node->loop) + NODE_FORWARD_HOLD_MS;
    TAILQ_INSERT_TAIL(&node->held, held, link);
    http_request_on_close(req, node_held_on_close, held);
    if (node->leader != node->id)
        node_held_send(held);
    if (!loop_timer_is_running(&node->held_timer))
        loop_timer_start(&node->held_timer, NODE_FORWARD_SWEEP_MS);
}

bool node_serves(struct node *node, struct http_request *req, http_request_fn handler, void *arg)
{
    if (node->active)
        return true;
    node_forward(node, req, handler, arg);
    return false;
}
