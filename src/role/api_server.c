/* Happy path: an ApiRequest is dispatched to the same handlers as a request of the node's own API;
 * what they answer goes back as ApiReply. A caller that lost interest, or its link, cancels. */
#include "role/api_server.h"

#include <stdlib.h>
#include <string.h>
#include <uthash.h>

#include "base/failpoint.h"
#include "base/mem.h"
#include "role/node.h"

enum { API_SERVER_HOPS_MAX = 2, API_SERVER_REQUESTS_MAX = 16384 };

struct api_server_key {
    uint64_t from;
    uint64_t call;
};

struct api_server_request {
    struct api_server *server;
    struct api_server_key key;
    struct http_request *req; /* NULL while it is being dispatched */
    bool reads;
    bool done;
    UT_hash_handle hh;
};

struct api_server {
    struct node *node;
    struct api_server_request *requests;
};

static void api_server_reply_error(struct node *node, uint64_t to, uint64_t call, unsigned status,
                                   const char *code, const char *text)
{
    Wire__ApiReply reply = WIRE__API_REPLY__INIT;
    char *body = mem_printf("{\"error\":{\"code\":\"%s\",\"message\":\"%s\"}}", code, text);
    reply.call = call;
    reply.status = status;
    reply.content_type = (char *)(uintptr_t) "application/json";
    reply.body.data = (uint8_t *)body;
    reply.body.len = strlen(body);
    (void)node_send(node, to, WIRE_API_REPLY, &reply.base);
    free(body);
}

static void api_server_forget(struct api_server_request *request)
{
    HASH_DEL(request->server->requests, request);
    free(request);
}

static void api_server_on_result(void *arg, const struct http_result *result)
{
    struct api_server_request *request = arg;
    Wire__ApiReply reply = WIRE__API_REPLY__INIT;
    reply.call = request->key.call;
    reply.status = result->status;
    if (result->type != NULL)
        reply.content_type = (char *)(uintptr_t)result->type;
    if (result->headers != NULL)
        reply.headers = (char *)(uintptr_t)result->headers;
    reply.body.data = (uint8_t *)(uintptr_t)result->body;
    reply.body.len = result->body_len;
    if (!request->reads)
        failpoint("api.reply");
    (void)node_send(request->server->node, request->key.from, WIRE_API_REPLY, &reply.base);
    if (request->req != NULL)
        api_server_forget(request);
    else
        request->done = true;
}

static void api_server_on_request(void *self, uint64_t from, const ProtobufCMessage *message)
{
    struct api_server *server = self;
    const Wire__ApiRequest *in = (const Wire__ApiRequest *)message;
    if (in->hops > API_SERVER_HOPS_MAX || HASH_COUNT(server->requests) >= API_SERVER_REQUESTS_MAX) {
        api_server_reply_error(server->node, from, in->call, 503, "busy",
                               "too many requests are forwarded");
        return;
    }
    if (!in->here &&
        !node_is_active(server->node)) { /* sent to a leader that is none any more, or not yet */
        api_server_reply_error(server->node, from, in->call, 503, "no_leader",
                               "the cluster has no leader at the moment");
        return;
    }
    struct api_server_request *request = mem_zalloc(sizeof *request);
    request->server = server;
    request->key = (struct api_server_key){.from = from, .call = in->call};
    request->reads = strcmp(in->method, "GET") == 0;
    HASH_ADD(hh, server->requests, key, sizeof request->key, request);
    struct http_message forwarded = {
        .method = in->method,
        .target = in->path,
        .content_type = in->content_type[0] != '\0' ? in->content_type : NULL,
        .idempotency_key = in->idempotency_key[0] != '\0' ? in->idempotency_key : NULL,
        .traceparent = in->traceparent[0] != '\0' ? in->traceparent : NULL,
        .user = in->user,
        .body = in->body.data,
        .body_len = in->body.len,
    };
    struct http_request *req =
        http_dispatch(node_router(server->node), &forwarded, api_server_on_result, request);
    if (request->done)
        api_server_forget(request);
    else
        request->req = req;
}

static void api_server_cancel(struct api_server_request *request)
{
    struct http_request *req = request->req;
    api_server_forget(request);
    http_dispatch_cancel(req);
}

static void api_server_on_cancel(void *self, uint64_t from, const ProtobufCMessage *message)
{
    struct api_server *server = self;
    struct api_server_key key = {.from = from, .call = ((const Wire__ApiCancel *)message)->call};
    struct api_server_request *request = NULL;
    HASH_FIND(hh, server->requests, &key, sizeof key, request);
    if (request != NULL)
        api_server_cancel(request);
}

/* Whoever asked over a link that is gone will not hear the answer. */
static void api_server_on_link(void *self, uint64_t peer, uint64_t session)
{
    struct api_server *server = self;
    struct api_server_request *request;
    struct api_server_request *next;
    if (session != 0)
        return;
    HASH_ITER (hh, server->requests, request, next)
        if (request->key.from == peer)
            api_server_cancel(request);
}

static int api_server_start(struct node *node, void **self, struct error *e)
{
    struct api_server *server = mem_zalloc(sizeof *server);
    (void)e;
    server->node = node;
    *self = server;
    return 0;
}

static void api_server_stop(void *self)
{
    struct api_server *server = self;
    node_role_stopped(server->node);
}

static void api_server_free(void *self)
{
    struct api_server *server = self;
    struct api_server_request *request;
    struct api_server_request *next;
    HASH_ITER (hh, server->requests, request, next)
        api_server_forget(request);
    free(server);
}

static const struct role_handler api_server_handlers[] = {
    {WIRE_API_REQUEST, api_server_on_request},
    {WIRE_API_CANCEL, api_server_on_cancel},
    {0, NULL},
};

const struct role api_server_role = {
    .name = "api_server",
    .start = api_server_start,
    .stop = api_server_stop,
    .free = api_server_free,
    .on_link = api_server_on_link,
    .handlers = api_server_handlers,
};
