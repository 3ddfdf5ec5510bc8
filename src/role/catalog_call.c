/* Happy path: one call to the leader, this node included; its answer is handed on. */
#include "role/catalog_call.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "role/node.h"

enum { CATALOG_CALL_PAUSE_MS = 20 };

struct catalog_call {
    struct node *node;
    Wire__CatalogRequest *request;
    uint64_t call;
    struct loop_timer timer;
    int64_t until_ms;
    catalog_call_fn fn;
    void *arg;
};

static void catalog_call_free(struct catalog_call *call)
{
    loop_timer_stop(&call->timer);
    wire__catalog_request__free_unpacked(call->request, NULL);
    free(call);
}

static void catalog_call_end(struct catalog_call *call, int code, const char *text,
                             const Wire__CatalogReply *reply)
{
    catalog_call_fn fn = call->fn;
    void *arg = call->arg;
    catalog_call_free(call);
    fn(arg, code, text, reply);
}

static bool catalog_call_is_passing(int code)
{
    return code == ERR_NOT_LEADER || code == ERR_OUTCOME_UNKNOWN || code == ERR_BUSY ||
           code == ERR_UNAVAILABLE || code == ERR_TIMEOUT || code == ERR_CLOSED;
}

static void catalog_call_on_reply(void *arg, int code, const ProtobufCMessage *message)
{
    struct catalog_call *call = arg;
    const Wire__CatalogReply *reply = (const Wire__CatalogReply *)message;
    call->call = 0;
    if (reply != NULL)
        code = reply->code;
    if (!catalog_call_is_passing(code)) {
        catalog_call_end(call, code, reply != NULL ? reply->text : err_text(code),
                         code == 0 ? reply : NULL);
    } else if (loop_now_ms(node_loop(call->node)) < call->until_ms) {
        loop_timer_start(&call->timer, CATALOG_CALL_PAUSE_MS);
    } else {
        if (code == ERR_TIMEOUT)
            code = ERR_OUTCOME_UNKNOWN;
        else if (code != ERR_OUTCOME_UNKNOWN && code != ERR_BUSY)
            code = ERR_NO_LEADER;
        catalog_call_end(call, code, err_text(code), NULL);
    }
}

static void catalog_call_send(void *arg)
{
    struct catalog_call *call = arg;
    struct node *node = call->node;
    uint64_t leader = node_leader(node);
    if (leader != 0 && node_session(node, leader) != 0 &&
        (leader != node_id(node) || node_is_active(node)))
        call->call = node_call(node, leader, WIRE_CATALOG_REQUEST, &call->request->base, false,
                               CATALOG_CALL_TIMEOUT_MS, catalog_call_on_reply, call);
    else if (loop_now_ms(node_loop(node)) < call->until_ms)
        loop_timer_start(&call->timer, CATALOG_CALL_PAUSE_MS);
    else
        catalog_call_end(call, ERR_NO_LEADER, err_text(ERR_NO_LEADER), NULL);
}

struct catalog_call *catalog_call_start(struct node *node, const Wire__CatalogRequest *request,
                                        catalog_call_fn fn, void *arg)
{
    struct catalog_call *call = mem_zalloc(sizeof *call);
    call->node = node;
    size_t len = wire__catalog_request__get_packed_size(request);
    uint8_t *packed = mem_alloc(len + 1);
    (void)wire__catalog_request__pack(request, packed);
    call->request = wire__catalog_request__unpack(NULL, len, packed);
    free(packed);
    if (call->request == NULL)
        abort();
    call->fn = fn;
    call->arg = arg;
    call->until_ms = loop_now_ms(node_loop(node)) + CATALOG_CALL_PATIENCE_MS;
    loop_timer_init(&call->timer, node_loop(node), catalog_call_send, call);
    uint64_t leader = node_leader(node);
    if (leader != 0 && node_session(node, leader) != 0)
        catalog_call_send(call);
    else
        loop_timer_start(&call->timer, 0);
    return call;
}

void catalog_call_cancel(struct catalog_call *call)
{
    if (call->call != 0)
        node_call_end(call->node, call->call);
    catalog_call_free(call);
}
