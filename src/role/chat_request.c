/* Happy path: this node, or any with the role, is asked; it names the leader of the chat, which
 * answers. When none does for longer than an election takes, any node answers by itself. Nodes that
 * cannot are asked in turn, until patience ends. */
#include "role/chat_request.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <jansson.h>

#include "base/mem.h"
#include "role/node.h"

enum { CHAT_REQUEST_PAUSE_MS = 50, CHAT_REQUEST_HOPS_MAX = 3 };

struct chat_request {
    struct node *node;
    char *path;
    char *user;
    unsigned tries;  /* the next of those that may be asked */
    unsigned hops;   /* leaders that were named in a row */
    uint64_t leader; /* is asked; 0: anybody */
    bool any;        /* whoever is asked answers by itself */
    uint64_t asked;  /* node */
    uint64_t call;
    struct loop_timer timer;
    int64_t until_ms;
    struct error error; /* of the last one that was asked */
    chat_request_fn fn;
    void *arg;
};

static void chat_request_free(struct chat_request *request)
{
    loop_timer_stop(&request->timer);
    free(request->path);
    free(request->user);
    free(request);
}

static void chat_request_end(struct chat_request *request, const struct chat_page *page,
                             const struct error *e)
{
    chat_request_fn fn = request->fn;
    void *arg = request->arg;
    if (page == NULL) {
        struct error copy = *e;
        chat_request_free(request);
        fn(arg, NULL, &copy);
        return;
    }
    fn(arg, page, NULL);
    chat_request_free(request);
}

static bool chat_request_may_ask(const Wire__Node *member)
{
    return (member->roles & WIRE__NODE_ROLE__NODE_ROLE_CHAT) != 0 && !member->removed &&
           !member->poll;
}

/* This node first, then the others, those that are linked before; in turn. */
static uint64_t chat_request_choose(const struct chat_request *request)
{
    const struct node *node = request->node;
    const Wire__Members *members = node_members(node);
    const Wire__Node *self = node_member(node, node_id(node));
    size_t n = 0, at = 0;
    if (self != NULL && chat_request_may_ask(self) && request->tries == 0)
        return node_id(node);
    for (size_t i = 0; i < members->n_nodes; i++)
        n += chat_request_may_ask(members->nodes[i]);
    if (n == 0)
        return 0;
    for (unsigned linked = 2; linked-- > 0;)
        for (size_t i = 0; i < members->n_nodes; i++)
            if (chat_request_may_ask(members->nodes[i]) &&
                (node_session(node, members->nodes[i]->id) != 0) == (linked == 1) &&
                at++ == request->tries % n)
                return members->nodes[i]->id;
    return 0;
}

/* Somebody else is asked after a pause, while there is patience. */
static void chat_request_again(struct chat_request *request, int code, const char *text)
{
    (void)error_set(&request->error, code, "%s", text);
    int64_t left_ms = request->until_ms - loop_now_ms(node_loop(request->node));
    request->any = left_ms < CHAT_REQUEST_PATIENCE_MS - CHAT_REQUEST_LEADER_MS;
    request->tries += request->leader == 0;
    request->leader = 0;
    request->hops = 0;
    if (left_ms > 0)
        loop_timer_start(&request->timer, CHAT_REQUEST_PAUSE_MS);
    else
        chat_request_end(request, NULL, &request->error);
}

/* ---- the answer ------------------------------------------------------------------------------ */

/* What may be right at another node. */
static bool chat_request_is_passing(int code)
{
    return code == ERR_UNAVAILABLE || code == ERR_BUSY || code == ERR_TIMEOUT ||
           code == ERR_CLOSED || code == ERR_NO_LEADER || code == ERR_UNSUPPORTED ||
           code == ERR_CORRUPT || code == ERR_NOT_FOUND || code == ERR_PROTOCOL || code == -EIO;
}

static void chat_request_refused(struct chat_request *request, const Wire__ApiReply *reply)
{
    const char *name = NULL, *text = NULL;
    json_t *json =
        json_loadb((const char *)reply->body.data, reply->body.len, JSON_ALLOW_NUL, NULL);
    (void)json_unpack(json, "{s:{s:s, s:s}}", "error", "code", &name, "message", &text);
    int code = name != NULL ? err_from_name(name) : ERR_PROTOCOL;
    struct error e;
    (void)error_set(&e, code, "%s", text != NULL ? text : "the node gave no page of the chat");
    json_decref(json);
    if (chat_request_is_passing(code))
        chat_request_again(request, code, e.text);
    else
        chat_request_end(request, NULL, &e);
}

/* Where the last line begins. */
static size_t chat_request_last_line(const char *text, size_t len)
{
    size_t at = len > 0 ? len - 1 : 0; /* its line feed */
    while (at > 0 && text[at - 1] != '\n')
        at--;
    return at;
}

static void chat_request_go_to(struct chat_request *request, const char *name)
{
    const Wire__Node *member = node_member_named(request->node, name);
    request->leader = member != NULL ? member->id : 0;
    if (member == NULL || ++request->hops > CHAT_REQUEST_HOPS_MAX)
        chat_request_again(request, ERR_UNAVAILABLE, "who leads the chat changes all the time");
    else
        loop_timer_start(&request->timer, 0);
}

static void chat_request_take(struct chat_request *request, const char *text, size_t len)
{
    struct chat_page page = {
        .lines = text, .len = chat_request_last_line(text, len), .node = request->asked};
    json_t *last = json_loadb(text + page.len, len - page.len, 0, NULL);
    const char *leader = json_string_value(json_object_get(last, "leader"));
    const json_t *next = json_object_get(last, "next"), *to = json_object_get(last, "to");
    for (const char *c = text; (c = memchr(c, '\n', (size_t)(text + page.len - c))) != NULL; c++)
        page.rows++;
    page.next = (uint64_t)json_integer_value(next);
    page.to = (uint64_t)json_integer_value(to);
    if (leader != NULL)
        chat_request_go_to(request, leader);
    else if (json_is_integer(next) && json_is_integer(to))
        chat_request_end(request, &page, NULL);
    else
        chat_request_again(request, ERR_PROTOCOL, "the node gave no page of the chat");
    json_decref(last);
}

static void chat_request_on_reply(void *arg, int code, const ProtobufCMessage *message)
{
    struct chat_request *request = arg;
    const Wire__ApiReply *reply = (const Wire__ApiReply *)message;
    request->call = 0;
    if (reply == NULL)
        chat_request_again(request, code, err_text(code));
    else if (reply->status == 200)
        chat_request_take(request, (const char *)reply->body.data, reply->body.len);
    else
        chat_request_refused(request, reply);
}

/* ---- asking ---------------------------------------------------------------------------------- */

static void chat_request_send(void *arg)
{
    struct chat_request *request = arg;
    Wire__ApiRequest message = WIRE__API_REQUEST__INIT;
    uint64_t to = request->leader != 0 ? request->leader : chat_request_choose(request);
    if (to == 0) {
        struct error e;
        (void)error_set(&e, ERR_UNSUPPORTED, "no node of the cluster takes part in the chat");
        chat_request_end(request, NULL, &e);
        return;
    }
    request->asked = to;
    char *path = mem_printf("%s%s", request->path, request->any ? "&any=true" : "");
    message.method = (char *)"GET";
    message.path = path;
    message.user = request->user;
    message.hops = 1;
    message.here = true;
    request->call = node_call(request->node, to, WIRE_API_REQUEST, &message.base, false,
                              CHAT_REQUEST_TIMEOUT_MS, chat_request_on_reply, request);
    free(path);
}

struct chat_request *chat_request_start(struct node *node, const char *path, const char *user,
                                        uint64_t first, chat_request_fn fn, void *arg)
{
    struct chat_request *request = mem_zalloc(sizeof *request);
    request->node = node;
    request->path = mem_strdup(path);
    request->user = mem_strdup(user);
    request->leader = first;
    request->fn = fn;
    request->arg = arg;
    request->until_ms = loop_now_ms(node_loop(node)) + CHAT_REQUEST_PATIENCE_MS;
    loop_timer_init(&request->timer, node_loop(node), chat_request_send, request);
    loop_timer_start(&request->timer, 0);
    return request;
}

void chat_request_cancel(struct chat_request *request)
{
    if (request->call != 0)
        node_call_end(request->node, request->call);
    chat_request_free(request);
}
