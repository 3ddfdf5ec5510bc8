/* Requests to other nodes and the replies that they wait for.
 *
 * In a large cluster not everybody links to everybody: a call to whom this node keeps no link waits
 * until it is dialed, and keeps it dialed as long as it lasts. */
#include <assert.h>
#include <stdlib.h>

#include "base/mem.h"
#include "role/node_internal.h"

enum { NODE_CALL_LINK_MS = 5000 }; /* until a link that is dialed for a call must be up */

struct node_call {
    uint64_t call;
    uint64_t to;
    bool many;
    int code; /* once it has failed */
    int64_t timeout_ms;
    struct loop_timer timer;
    bool holds_link;
    enum wire_type type; /* of the request that waits for the link */
    uint8_t *waiting;    /* NULL: sent */
    size_t waiting_len;
    struct node *node;
    node_reply_fn fn;
    void *arg;
    UT_hash_handle hh;
    STAILQ_ENTRY(node_call) link;
};

static void node_call_free(struct node_call *call)
{
    loop_timer_stop(&call->timer);
    if (call->holds_link)
        node_release_link(call->node, call->to);
    free(call->waiting);
    free(call);
}

static struct node_call *node_call_find(struct node *node, uint64_t number)
{
    struct node_call *call = NULL;
    HASH_FIND(hh, node->calls, &number, sizeof number, call);
    return call;
}

/* The caller hears of a failure at the end of the turn, never from within. */
static void node_call_fail(struct node_call *call, int code)
{
    struct node *node = call->node;
    if (call->code != 0)
        return;
    call->code = code;
    loop_timer_stop(&call->timer);
    STAILQ_INSERT_TAIL(&node->calls_failed, call, link);
    loop_hook_arm(&node->calls_hook);
}

static void node_calls_on_hook(void *arg)
{
    struct node *node = arg;
    struct node_call *call;
    while ((call = STAILQ_FIRST(&node->calls_failed)) != NULL) {
        STAILQ_REMOVE_HEAD(&node->calls_failed, link);
        HASH_DEL(node->calls, call);
        node_reply_fn fn = call->fn;
        if (fn != NULL)
            fn(call->arg, call->code, NULL);
        node_call_free(call);
    }
}

static void node_call_on_timeout(void *arg)
{
    struct node_call *call = arg;
    node_call_fail(call, call->waiting != NULL ? ERR_UNAVAILABLE : ERR_TIMEOUT);
}

void node_calls_init(struct node *node)
{
    STAILQ_INIT(&node->calls_failed);
    loop_hook_init(&node->calls_hook, node->loop, LOOP_PHASE_DEFER, node_calls_on_hook, node);
}

void node_calls_done(struct node *node)
{
    loop_hook_disarm(&node->calls_hook);
    struct node_call *call;
    struct node_call *next;
    HASH_ITER (hh, node->calls, call, next) {
        HASH_DEL(node->calls, call);
        call->holds_link = false; /* links are gone already */
        node_call_free(call);
    }
}

/* Every request and reply begins with `uint64 call = 1`. */
static uint64_t *node_call_number(ProtobufCMessage *message)
{
    const ProtobufCFieldDescriptor *field =
        protobuf_c_message_descriptor_get_field(message->descriptor, 1);
    assert(field != NULL && field->type == PROTOBUF_C_TYPE_UINT64);
    return (uint64_t *)((char *)message + field->offset);
}

static bool node_call_is_reply(enum wire_type type)
{
    switch (type) {
    case WIRE_JOIN_REPLY:
    case WIRE_API_REPLY:
    case WIRE_TASK_STATUS:
    case WIRE_OUTPUT_CHUNK:
    case WIRE_EXEC_UPDATE:
    case WIRE_FILE_CHUNK:
    case WIRE_FILE_COPIED:
    case WIRE_SQL_TASK_UPDATE:
    case WIRE_CATALOG_REPLY:
    case WIRE_EVENT_CHUNK:
        return true;
    default:
        return false;
    }
}

bool node_calls_take(struct node *node, uint64_t from, enum wire_type type,
                     const ProtobufCMessage *message)
{
    if (!node_call_is_reply(type))
        return false;
    struct node_call *call =
        node_call_find(node, *node_call_number((ProtobufCMessage *)(uintptr_t)message));
    if (call == NULL || call->to != from || call->code != 0 || call->fn == NULL)
        return true; /* nobody waits for it any more */
    if (call->many) {
        if (call->timeout_ms > 0)
            loop_timer_start(&call->timer, call->timeout_ms);
        call->fn(call->arg, 0, message);
        return true;
    }
    HASH_DEL(node->calls, call);
    node_reply_fn fn = call->fn;
    void *arg = call->arg;
    node_call_free(call);
    fn(arg, 0, message);
    return true;
}

void node_calls_lost(struct node *node, uint64_t peer)
{
    struct node_call *call;
    struct node_call *next;
    HASH_ITER (hh, node->calls, call, next)
        if (call->to == peer)
            node_call_fail(call, ERR_UNAVAILABLE);
}

/* ---- links that come when they are needed -----------------------------------------------------
 */

static bool node_call_needs_link(const struct node *node, uint64_t to)
{
    const Wire__Node *member = node_member(node, to);
    return member != NULL && !member->removed && !member->poll && node_session(node, to) == 0 &&
           !node_keeps_link(node, to);
}

static void node_call_wait(struct node_call *call, enum wire_type type,
                           const ProtobufCMessage *request)
{
    call->type = type;
    call->waiting_len = protobuf_c_message_get_packed_size(request);
    call->waiting = mem_alloc(call->waiting_len);
    (void)protobuf_c_message_pack(request, call->waiting);
    call->holds_link = true;
    node_hold_link(call->node, call->to);
    loop_timer_start(&call->timer, NODE_CALL_LINK_MS);
}

static int node_call_send_waiting(struct node_call *call)
{
    ProtobufCMessage *request = NULL;
    int err = wire_unpack(call->type, call->waiting, call->waiting_len, &request);
    if (err == 0)
        err = node_send(call->node, call->to, call->type, request);
    wire_free(request);
    free(call->waiting);
    call->waiting = NULL;
    return err;
}

void node_calls_linked(struct node *node, uint64_t peer)
{
    struct node_call *call;
    struct node_call *next;
    HASH_ITER (hh, node->calls, call, next) {
        if (call->to != peer || call->waiting == NULL || call->code != 0)
            continue;
        loop_timer_stop(&call->timer);
        int err = node_call_send_waiting(call);
        if (err < 0)
            node_call_fail(call, err);
        else if (call->timeout_ms > 0)
            loop_timer_start(&call->timer, call->timeout_ms);
    }
}

static struct node_call *node_call_new(struct node *node, uint64_t to, ProtobufCMessage *request,
                                       bool many, int64_t timeout_ms, node_reply_fn fn, void *arg)
{
    struct node_call *call = mem_zalloc(sizeof *call);
    call->call = ++node->calls_last;
    call->to = to;
    call->many = many;
    call->timeout_ms = timeout_ms;
    call->node = node;
    call->fn = fn;
    call->arg = arg;
    loop_timer_init(&call->timer, node->loop, node_call_on_timeout, call);
    bool full = HASH_COUNT(node->calls) >= NODE_CALLS_MAX;
    HASH_ADD(hh, node->calls, call, sizeof call->call, call);
    *node_call_number(request) = call->call;
    if (full)
        node_call_fail(call, ERR_BUSY);
    return call;
}

static void node_call_sent(struct node_call *call, int err)
{
    if (err < 0)
        node_call_fail(call, err);
    else if (call->timeout_ms > 0)
        loop_timer_start(&call->timer, call->timeout_ms);
}

uint64_t node_call(struct node *node, uint64_t to, enum wire_type type, ProtobufCMessage *request,
                   bool many, int64_t timeout_ms, node_reply_fn fn, void *arg)
{
    struct node_call *call = node_call_new(node, to, request, many, timeout_ms, fn, arg);
    if (call->code == 0 && node_call_needs_link(node, to))
        node_call_wait(call, type, request);
    else if (call->code == 0)
        node_call_sent(call, node_send(node, to, type, request));
    return call->call;
}

uint64_t node_call_give(struct node *node, uint64_t to, enum wire_type type,
                        ProtobufCMessage *request, bool many, int64_t timeout_ms, node_reply_fn fn,
                        void *arg)
{
    if (to != node->id) {
        uint64_t number = node_call(node, to, type, request, many, timeout_ms, fn, arg);
        wire_free(request);
        return number;
    }
    struct node_call *call = node_call_new(node, to, request, many, timeout_ms, fn, arg);
    if (call->code == 0)
        node_call_sent(call, node_send_given(node, to, type, request));
    else
        wire_free(request);
    return call->call;
}

void node_call_end(struct node *node, uint64_t number)
{
    struct node_call *call = node_call_find(node, number);
    if (call == NULL)
        return;
    call->fn = NULL;
    node_call_fail(call, ERR_CANCELLED); /* freed outside of whatever runs now */
}
