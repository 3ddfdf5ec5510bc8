/* Happy path: the request goes through this node's router like any other, its answer back as
 * ApiReply. One that was handed on too often is refused; one whose asker is gone is let go. */
#include "role/api_relay.h"

#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "base/mem.h"
#include "role/node.h"
#include "run/http_status.h"

struct api_relay_id {
    uint64_t peer;
    uint64_t call;
};

struct api_relay_request {
    struct api_relay_id id;
    struct api_relay *relay;
    struct http_request *req; /* NULL: is being dispatched */
    bool answered;
    UT_hash_handle hh;
};

struct api_relay {
    struct node *node;
    struct api_relay_request *requests;
};

struct api_relay *api_relay_new(struct node *node)
{
    struct api_relay *relay = mem_zalloc(sizeof *relay);
    relay->node = node;
    return relay;
}

static void api_relay_reply(struct api_relay *relay, const struct api_relay_id *id,
                            const struct http_result *result)
{
    Wire__ApiReply reply = WIRE__API_REPLY__INIT;
    reply.call = id->call;
    reply.status = result->status;
    reply.body.data = (uint8_t *)(uintptr_t)result->body;
    reply.body.len = result->body_len;
    if (result->type != NULL)
        reply.content_type = (char *)(uintptr_t)result->type;
    if (result->headers != NULL)
        reply.headers = (char *)(uintptr_t)result->headers;
    (void)node_send(relay->node, id->peer, WIRE_API_REPLY, &reply.base);
}

static void api_relay_refuse(struct api_relay *relay, const struct api_relay_id *id, int code,
                             const char *message)
{
    char *body = mem_printf("{\"error\":{\"code\":\"%s\",\"message\":\"%s\",\"hint\":null}}",
                            err_name(code), message);
    struct http_result result = {.status = http_status_of(code),
                                 .type = "application/json",
                                 .body = body,
                                 .body_len = strlen(body)};
    api_relay_reply(relay, id, &result);
    free(body);
}

static void api_relay_forget(struct api_relay_request *request)
{
    HASH_DEL(request->relay->requests, request);
    free(request);
}

static void api_relay_on_result(void *arg, const struct http_result *result)
{
    struct api_relay_request *request = arg;
    api_relay_reply(request->relay, &request->id, result);
    request->answered = true;
    if (request->req != NULL)
        api_relay_forget(request);
}

void api_relay_on_request(struct api_relay *relay, uint64_t from, const Wire__ApiRequest *message)
{
    struct api_relay_id id = {.peer = from, .call = message->call};
    struct api_relay_request *request = NULL;
    HASH_FIND(hh, relay->requests, &id, sizeof id, request);
    if (request != NULL || message->hops > API_RELAY_HOPS_MAX) {
        api_relay_refuse(relay, &id, ERR_PROTOCOL, "the request goes round in circles");
        return;
    }
    if (HASH_COUNT(relay->requests) >= API_RELAY_REQUESTS_MAX) {
        api_relay_refuse(relay, &id, ERR_BUSY, "this node has too many requests at once");
        return;
    }
    request = mem_zalloc(sizeof *request);
    request->id = id;
    request->relay = relay;
    HASH_ADD(hh, relay->requests, id, sizeof request->id, request);
    struct http_message http = {
        .method = message->method,
        .target = message->path,
        .content_type = message->content_type[0] != '\0' ? message->content_type : NULL,
        .idempotency_key = message->idempotency_key[0] != '\0' ? message->idempotency_key : NULL,
        .user = message->user,
        .body = message->body.data,
        .body_len = message->body.len,
    };
    struct http_request *req =
        http_dispatch(node_router(relay->node), &http, api_relay_on_result, request);
    request->req = req;
    if (request->answered)
        api_relay_forget(request);
}

void api_relay_on_cancel(struct api_relay *relay, uint64_t from, const Wire__ApiCancel *message)
{
    struct api_relay_id id = {.peer = from, .call = message->call};
    struct api_relay_request *request = NULL;
    HASH_FIND(hh, relay->requests, &id, sizeof id, request);
    if (request == NULL)
        return;
    http_dispatch_cancel(request->req);
    api_relay_forget(request);
}

void api_relay_lost(struct api_relay *relay, uint64_t peer)
{
    struct api_relay_request *request;
    struct api_relay_request *next;
    HASH_ITER (hh, relay->requests, request, next)
        if (request->id.peer == peer) {
            http_dispatch_cancel(request->req);
            api_relay_forget(request);
        }
}

void api_relay_free(struct api_relay *relay)
{
    if (relay == NULL)
        return;
    struct api_relay_request *request;
    struct api_relay_request *next;
    HASH_ITER (hh, relay->requests, request, next) {
        http_dispatch_cancel(request->req);
        api_relay_forget(request);
    }
    free(relay);
}
