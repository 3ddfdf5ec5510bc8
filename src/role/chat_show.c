/* GET /api/chat/members, POST /api/chat/transfer, and the chat's row of /api/elections. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "role/api_json.h"
#include "role/chat_api.h"
#include "role/events.h"
#include "role/status_api.h"

static json_t *seq_or_null(bool known, uint64_t seq)
{
    return known ? json_integer((json_int_t)seq) : json_null();
}

static const char *member_state(const struct order_peer_view *member, bool leading)
{
    if (member->damaged)
        return "damaged";
    if (member->full)
        return "full";
    if (member->self || (leading ? member->active : member->linked))
        return "online";
    return "offline";
}

/* Only the leader knows how far the others are; each node knows itself. */
static json_t *member_row(const struct chat *chat, const struct order_view *view,
                          const struct order_peer_view *member)
{
    bool leading = view->state == ORDER_STATE_LEADING;
    bool known = leading || member->self;
    uint64_t durable = member->self ? view->durable_seq : member->durable_seq;
    uint64_t delivered = member->self ? view->delivered_seq : member->delivered_seq;
    uint64_t id = member->member.id;
    uint64_t priority = id >> 32 != 0 ? id >> 32 : id;
    return json_pack("{s:s, s:I, s:s, s:b, s:b, s:s, s:o, s:o, s:o}", "name", chat_name(chat, id),
                     "id", (json_int_t)priority, "address", member->member.address, "leader",
                     (int)(id == view->leader && view->leader != 0), "voter",
                     (int)member->member.voter, "state", member_state(member, leading),
                     "durable_seq", seq_or_null(known, durable), "delivered_seq",
                     seq_or_null(known, delivered), "lag",
                     seq_or_null(known, view->last_seq > durable ? view->last_seq - durable : 0));
}

void chat_api_get_members(struct http_request *req, void *arg)
{
    struct chat_api *api = arg;
    struct chat *chat = api->chat;
    json_t *rows = json_array();
    if (chat->order != NULL) {
        struct order_peer_view members[ORDER_MEMBERS_MAX];
        struct order_view view;
        order_view(chat->order, &view);
        size_t n = order_members(chat->order, members);
        for (size_t i = 0; i < n; i++)
            json_array_append_new(rows, member_row(chat, &view, &members[i]));
    }
    http_reply_json(req, 200, rows);
}

void chat_api_describe(void *arg, struct node_election *out)
{
    struct chat_api *api = arg;
    struct chat *chat = api->chat;
    struct order_view view;
    *out = (struct node_election){.group = "chat", .state = "outside"};
    if (chat->order == NULL) {
        out->state = chat->id == 0 ? "outside" : "disk failed";
        return;
    }
    order_view(chat->order, &view);
    out->leader = view.leader != 0 ? chat_cluster_id(view.leader) : 0;
    out->term = view.term;
    out->since_ms = chat->since_ms;
    out->state = order_state_name(view.state);
    out->elections = view.elections;
    out->members = 0;
    (void)snprintf(out->reason, sizeof out->reason, "%s", view.reason);
    struct order_peer_view members[ORDER_MEMBERS_MAX];
    size_t n = order_members(chat->order, members);
    for (size_t i = 0; i < n; i++)
        out->members += members[i].member.voter;
}

/* ---- what is told of it ---------------------------------------------------------------------- */

void chat_api_tell_change(struct chat_api *api, const struct order_change *change)
{
    struct chat *chat = api->chat;
    struct node *node = chat->node;
    const char *name = node_options(node)->name;
    unsigned long long term = change->term;
    if (change->to == ORDER_STATE_LEADING) {
        struct node_election election;
        chat_api_describe(api, &election);
        event_emit(node, EVENT_CHAT_LEAD,
                   EVENT_ABOUT(.node = name, .key = "chat", .cause = change->reason,
                               .more = json_pack("{s:I}", "term", (json_int_t)term),
                               .row = status_election_json(node, &election)),
                   "%s leads the chat in term %llu: %s", name, term, change->reason);
    } else if (change->from == ORDER_STATE_LEADING) {
        event_emit(node, EVENT_CHAT_LOST,
                   EVENT_ABOUT(.node = name, .cause = change->reason,
                               .minor = strcmp(change->reason, ORDER_REASON_HANDED) == 0),
                   "%s leads the chat no longer: %s", name, change->reason);
    } else if (change->to == ORDER_STATE_POLLING || change->to == ORDER_STATE_CLAIMING) {
        event_emit(node, EVENT_CHAT_ELECTION,
                   EVENT_ABOUT(.node = name, .cause = change->reason,
                               .more = json_pack("{s:I, s:s}", "term", (json_int_t)term, "state",
                                                 order_state_name(change->to))),
                   "%s is %s in term %llu: %s", name, order_state_name(change->to), term,
                   change->reason);
    } else {
        event_emit(node, EVENT_CHAT_TERM,
                   EVENT_ABOUT(.node = name, .cause = change->reason,
                               .more = json_pack("{s:I, s:s}", "term", (json_int_t)term, "state",
                                                 order_state_name(change->to))),
                   "%s is %s of the chat in term %llu%s%s: %s", name, order_state_name(change->to),
                   term, change->leader != 0 ? ", led by " : "",
                   change->leader != 0 ? chat_name(chat, change->leader) : "", change->reason);
    }
}

void chat_api_tell_promise(struct chat_api *api, const struct order_meta *meta)
{
    struct chat *chat = api->chat;
    const char *name = node_options(chat->node)->name, *to = chat_name(chat, meta->promised_to);
    if (meta->promised_to == 0 ||
        (meta->term == api->promised_term && meta->promised_to == api->promised_to))
        return;
    api->promised_term = meta->term;
    api->promised_to = meta->promised_to;
    event_emit(chat->node, EVENT_CHAT_PROMISE,
               EVENT_ABOUT(.node = name, .more = json_pack("{s:I, s:s}", "term",
                                                           (json_int_t)meta->term, "to", to)),
               "%s promised to follow %s in term %llu", name,
               meta->promised_to == chat->id ? "nobody else" : to, (unsigned long long)meta->term);
}

/* A member that came or went, votes or not, is well or not. */
static enum event_kind chat_member_tell(const char *key, const json_t *before, const json_t *row,
                                        char text[EVENT_SOURCE_TEXT_MAX])
{
    const char *state = json_string_value(json_object_get(row, "state"));
    bool votes = json_is_true(json_object_get(row, "voter"));
    if (row == NULL)
        (void)snprintf(text, EVENT_SOURCE_TEXT_MAX, "%s is no member of the chat any more", key);
    else if (json_equal(json_object_get(before, "state"), json_object_get(row, "state")) &&
             json_equal(json_object_get(before, "voter"), json_object_get(row, "voter")))
        return EVENT_NONE;
    else
        (void)snprintf(text, EVENT_SOURCE_TEXT_MAX, "%s, %s of the chat, is %s", key,
                       votes ? "a voter" : "a learner", state != NULL ? state : "?");
    return EVENT_CHAT_MEMBER;
}

/* Rows of the members as this node sees them, without what changes with each message. */
static void chat_member_rows(void *arg, struct event_rows *rows, unsigned slice)
{
    static const char *const moving[] = {"durable_seq", "delivered_seq", "lag"};
    const struct chat_api *api = arg;
    const struct chat *chat = api->chat;
    struct order_peer_view members[ORDER_MEMBERS_MAX];
    struct order_view view;
    (void)slice;
    if (chat->order == NULL)
        return;
    order_view(chat->order, &view);
    size_t n = order_members(chat->order, members);
    for (size_t i = 0; i < n; i++) {
        json_t *row = member_row(chat, &view, &members[i]);
        for (unsigned k = 0; k < MEM_COUNT(moving); k++)
            (void)json_object_del(row, moving[k]);
        event_rows_add(rows, chat_name(chat, members[i].member.id), row);
    }
}

/* The last messages, as far as they are in memory. */
static void chat_last_messages(void *arg, struct buf *out)
{
    enum { CHAT_REPORT_SEQS = 10000 };
    struct chat_api *api = arg;
    struct chat *chat = api->chat;
    struct order_view view;
    if (chat->order == NULL)
        return;
    order_view(chat->order, &view);
    uint64_t from =
        view.delivered_seq > CHAT_REPORT_SEQS ? view.delivered_seq - CHAT_REPORT_SEQS : 1;
    for (uint64_t seq = from; seq <= view.delivered_seq; seq++) {
        const struct order_entry *entry = order_entry(chat->order, seq);
        if (entry != NULL && entry->type == ORDER_ENTRY_MESSAGE)
            chat_api_put_message(api, out, entry);
    }
}

void chat_api_add_source(struct chat_api *api)
{
    events_set_messages(api->chat->node, chat_last_messages, api);
    events_add_source(api->chat->node, &(struct event_source){.table = "chat",
                                                              .tell = chat_member_tell,
                                                              .whole = true,
                                                              .fn = chat_member_rows,
                                                              .arg = api});
}

/* ---- transfer -------------------------------------------------------------------------------- */

struct transfer {
    struct chat_api *api;
    struct http_request *req;
    uint64_t call;
    uint64_t leader; /* in the cluster */
};

static void reply_begun(struct http_request *req, const char *to)
{
    http_reply_json(req, 202, json_pack("{s:s}", "to", to));
}

static void reply_code(struct http_request *req, int code, const char *text, const char *hint)
{
    struct error e;
    (void)error_set(&e, code, "%s", text);
    http_reply_failure(req, &e, hint);
}

static void on_transfer_reply(void *arg, int code, const ProtobufCMessage *message)
{
    struct transfer *transfer = arg;
    struct http_request *req = transfer->req;
    http_request_on_close(req, NULL, NULL);
    free(transfer);
    const Wire__ApiReply *reply = (const Wire__ApiReply *)message;
    if (reply != NULL)
        http_reply(req, reply->status, reply->content_type[0] ? reply->content_type : NULL,
                   reply->body.data, reply->body.len);
    else
        reply_code(req, code, "the node that leads the chat did not answer", NULL);
}

static void on_transfer_close(struct http_request *req, void *arg)
{
    struct transfer *transfer = arg;
    node_call_end(transfer->api->chat->node, transfer->call);
    free(transfer);
    http_reply(req, 499, NULL, NULL, 0);
}

/* The leader decides: the request goes there. */
static void forward(struct chat_api *api, struct http_request *req, uint64_t leader)
{
    struct transfer *transfer = mem_zalloc(sizeof *transfer);
    Wire__ApiRequest request = WIRE__API_REQUEST__INIT;
    size_t len;
    request.method = (char *)(uintptr_t)http_request_method(req);
    request.path = (char *)(uintptr_t)http_request_target(req);
    request.user = (char *)(uintptr_t)http_request_user(req);
    request.body.data = (uint8_t *)(uintptr_t)http_request_body(req, &len);
    request.body.len = len;
    request.content_type = (char *)"application/json";
    request.hops = 1;
    request.here = true;
    transfer->api = api;
    transfer->req = req;
    transfer->leader = leader;
    http_request_on_close(req, on_transfer_close, transfer);
    transfer->call = node_call(api->chat->node, leader, WIRE_API_REQUEST, &request.base, false,
                               10000, on_transfer_reply, transfer);
}

/* The member that "to" names, 0 for any; false after answering. */
static bool find_target(struct chat *chat, struct http_request *req, const json_t *body,
                        uint64_t *id)
{
    const json_t *to = json_object_get(body, "to");
    const char *name = json_string_value(to);
    *id = 0;
    if (to == NULL)
        return true;
    if (name == NULL) {
        reply_code(req, ERR_INVALID, "\"to\" must name a node", NULL);
        return false;
    }
    struct order_peer_view members[ORDER_MEMBERS_MAX];
    size_t n = order_members(chat->order, members);
    for (size_t i = 0; i < n; i++)
        if (strcmp(chat_name(chat, members[i].member.id), name) == 0)
            *id = members[i].member.id;
    if (*id == 0)
        reply_code(req, ERR_NOT_FOUND, "no such node takes part in the chat",
                   "chat members shows them");
    return *id != 0;
}

static void transfer_here(struct chat *chat, struct http_request *req, uint64_t to,
                          const char *name)
{
    struct order_event event = {.type = ORDER_EVENT_TRANSFER, .peer = to};
    int rc = to == chat->id ? ERR_EXISTS : chat_step(chat, &event);
    if (rc == 0)
        reply_begun(req, name);
    else if (rc == ERR_EXISTS)
        reply_code(req, rc, "it leads already", NULL);
    else if (rc == ERR_UNAVAILABLE)
        reply_code(req, rc, "it does not follow closely enough to lead", "chat members shows why");
    else
        reply_code(req, rc, err_text(rc), NULL);
}

void chat_api_transfer(struct http_request *req, void *arg)
{
    struct chat_api *api = arg;
    struct chat *chat = api->chat;
    struct order_view view = {0};
    uint64_t to;
    json_t *body = api_json_body(req);
    if (body == NULL)
        return;
    if (chat->order != NULL)
        order_view(chat->order, &view);
    const char *name = json_string_value(json_object_get(body, "to"));
    if (view.leader == 0)
        reply_code(req, ERR_NO_LEADER, "no node leads the chat at the moment",
                   "a majority of the chat nodes must be up: chat members");
    else if (!find_target(chat, req, body, &to))
        (void)to;
    else if (view.leader == chat->id)
        transfer_here(chat, req, to, name != NULL ? name : "any");
    else if (strcmp(http_request_peer(req), "forwarded") == 0)
        reply_code(req, ERR_NOT_LEADER, "this node does not lead the chat any more", "try again");
    else
        forward(api, req, chat_cluster_id(view.leader));
    json_decref(body);
}
