#include "role/join_relay.h"

#include <stdlib.h>

#include "base/mem.h"

enum { JOIN_RELAY_TIMEOUT_MS = 4000 };

struct join_relay {
    struct node *node;
    uint64_t from;
    uint64_t call;
};

static void join_relay_fail(struct node *node, uint64_t to, uint64_t call, int code)
{
    Wire__JoinReply reply = WIRE__JOIN_REPLY__INIT;
    reply.call = call;
    reply.code = code;
    reply.text = (char *)(uintptr_t)err_text(code);
    (void)node_send(node, to, WIRE_JOIN_REPLY, &reply.base);
}

static void join_relay_on_reply(void *arg, int code, const ProtobufCMessage *message)
{
    struct join_relay *relay = arg;
    if (message != NULL) {
        Wire__JoinReply reply = *(const Wire__JoinReply *)message;
        reply.call = relay->call;
        (void)node_send(relay->node, relay->from, WIRE_JOIN_REPLY, &reply.base);
    } else {
        join_relay_fail(relay->node, relay->from, relay->call, code);
    }
    free(relay);
}

void join_relay(struct node *node, uint64_t from, const Wire__JoinRequest *request)
{
    uint64_t leader = node_leader(node);
    if (leader == 0 || leader == node_id(node) || leader == from) {
        join_relay_fail(node, from, request->call, ERR_NO_LEADER);
        return;
    }
    struct join_relay *relay = mem_zalloc(sizeof *relay);
    *relay = (struct join_relay){.node = node, .from = from, .call = request->call};
    Wire__JoinRequest copy = *request;
    (void)node_call(node, leader, WIRE_JOIN_REQUEST, &copy.base, false, JOIN_RELAY_TIMEOUT_MS,
                    join_relay_on_reply, relay);
}

static int join_relay_start(struct node *node, void **self, struct error *e)
{
    (void)e;
    *self = node;
    return 0;
}

static void join_relay_stop(void *self)
{
    node_role_stopped(self);
}

static void join_relay_free(void *self)
{
    (void)self;
}

static void join_relay_on_request(void *self, uint64_t from, const ProtobufCMessage *message)
{
    join_relay(self, from, (const Wire__JoinRequest *)message);
}

static const struct role_handler join_relay_handlers[] = {
    {WIRE_JOIN_REQUEST, join_relay_on_request}, {0, NULL}};

const struct role join_relay_role = {
    .name = "join_relay",
    .start = join_relay_start,
    .stop = join_relay_stop,
    .free = join_relay_free,
    .handlers = join_relay_handlers,
};
