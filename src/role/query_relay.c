/* Statements of other nodes: each node knows those that it coordinates, so that every member is
 * asked, or the one that is named.
 *
 * Happy path: a list has the rows of all; a cancel ends with the first node that had the statement.
 * A node that does not answer in time is left out of a list; a cancel that nobody else knew names
 * it, because the statement may be there. */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "role/query_internal.h"

enum { QUERY_RELAY_MS = 3000, QUERY_RELAYS_MAX = 16, QUERY_RELAY_SILENT_BYTES = 128 };

struct query_ask {
    struct query_relay *relay;
    uint64_t call; /* 0: over */
    char *node;
};

struct query_relay {
    struct queries *role;
    struct http_request *req;
    json_t *list;     /* of the rows; NULL: a cancel */
    char *target;     /* of what the others are asked */
    struct buf names; /* of those that did not answer */
    struct query_ask *asks;
    size_t asks_n, left;
    TAILQ_ENTRY(query_relay) entry;
};

static void query_relay_free(struct query_relay *relay)
{
    for (size_t i = 0; i < relay->asks_n; i++) {
        if (relay->asks[i].call != 0)
            node_call_end(relay->role->node, relay->asks[i].call);
        free(relay->asks[i].node);
    }
    TAILQ_REMOVE(&relay->role->relays, relay, entry);
    relay->role->relays_n--;
    http_request_on_close(relay->req, NULL, NULL);
    json_decref(relay->list);
    free(relay->target);
    buf_done(&relay->names);
    free(relay->asks);
    free(relay);
}

static void query_relay_end(struct query_relay *relay)
{
    struct http_request *req = relay->req;
    json_t *list = json_incref(relay->list);
    char *silent = mem_strdup(buf_cstr(&relay->names));
    query_relay_free(relay);
    if (list != NULL) {
        http_reply_json(req, 200, list);
    } else if (silent[0] != '\0') {
        char *text =
            mem_printf("no node that answered runs such a statement; %s did not answer", silent);
        http_reply_error(req, 503, "unavailable", text, "ask again when it is back");
        free(text);
    } else {
        http_reply_error(req, 404, "not_found", "no such statement runs",
                         "GET /api/sql?nodes=all lists what does");
    }
    free(silent);
}

static void query_relay_take_list(struct query_relay *relay, const Wire__ApiReply *reply)
{
    json_t *rows = json_loadb((const char *)reply->body.data, reply->body.len, 0, NULL);
    if (json_is_array(rows))
        json_array_extend(relay->list, rows);
    json_decref(rows);
}

static void query_relay_on_reply(void *arg, int code, const ProtobufCMessage *message)
{
    struct query_ask *ask = arg;
    struct query_relay *relay = ask->relay;
    const Wire__ApiReply *reply = (const Wire__ApiReply *)message;
    (void)code;
    ask->call = 0;
    relay->left--;
    if (reply == NULL && relay->names.len < QUERY_RELAY_SILENT_BYTES) {
        (void)buf_printf(&relay->names, "%s%s", relay->names.len > 0 ? ", " : "", ask->node);
    } else if (reply != NULL && relay->list != NULL && reply->status == 200) {
        query_relay_take_list(relay, reply);
    } else if (reply != NULL && relay->list == NULL && reply->status != 404) {
        struct http_request *req = relay->req;
        query_relay_free(relay);
        http_reply(req, reply->status, reply->content_type, reply->body.data, reply->body.len);
        return;
    }
    if (relay->left == 0)
        query_relay_end(relay);
}

static void query_relay_on_close(struct http_request *req, void *arg)
{
    query_relay_free(arg);
    http_reply(req, 499, NULL, NULL, 0);
}

static void query_relay_ask(struct query_relay *relay, const Wire__Node *member)
{
    struct query_ask *ask = &relay->asks[relay->asks_n++];
    Wire__ApiRequest request = WIRE__API_REQUEST__INIT;
    request.method = (char *)(uintptr_t)http_request_method(relay->req);
    request.path = relay->target;
    request.user = (char *)(uintptr_t)http_request_user(relay->req);
    request.hops = 2;
    request.here = true;
    ask->relay = relay;
    ask->node = mem_strdup(member->name);
    relay->left++;
    ask->call = node_call(relay->role->node, member->id, WIRE_API_REQUEST, &request.base, false,
                          QUERY_RELAY_MS, query_relay_on_reply, ask);
}

/* Whom a request is for, by its query parameter `nodes`. */
enum query_nodes query_relay_nodes(struct queries *role, struct http_request *req,
                                   enum query_nodes otherwise, struct error *e)
{
    const char *nodes = http_request_query(req, "nodes");
    if (nodes == NULL)
        return otherwise;
    if (strcmp(nodes, "here") == 0 || strcmp(nodes, node_options(role->node)->name) == 0)
        return QUERY_NODES_HERE;
    if (strcmp(nodes, "all") == 0)
        return QUERY_NODES_ALL;
    if (node_member_named(role->node, nodes) != NULL)
        return QUERY_NODES_ONE;
    (void)error_set(e, ERR_INVALID, "query parameter nodes is all, here or the name of a node");
    return QUERY_NODES_INVALID;
}

void query_relay(struct queries *role, struct http_request *req, const char *target, json_t *list)
{
    const Wire__Members *members = node_members(role->node);
    const char *only = http_request_query(req, "nodes");
    bool is_all = only == NULL || strcmp(only, "all") == 0;
    if (role->relays_n >= QUERY_RELAYS_MAX) {
        struct error e;
        (void)error_set(&e, ERR_BUSY, "%u requests about statements of all nodes are under way",
                        role->relays_n);
        json_decref(list);
        http_reply_failure(req, &e, NULL);
        return;
    }
    struct query_relay *relay = mem_zalloc(sizeof *relay);
    relay->role = role;
    relay->req = req;
    relay->list = list;
    relay->target = mem_strdup(target);
    relay->asks = mem_calloc(members->n_nodes + 1, sizeof *relay->asks);
    buf_init(&relay->names, QUERY_RELAY_SILENT_BYTES * 4);
    TAILQ_INSERT_TAIL(&role->relays, relay, entry);
    role->relays_n++;
    http_request_on_close(req, query_relay_on_close, relay);
    for (size_t i = 0; i < members->n_nodes; i++) {
        const Wire__Node *member = members->nodes[i];
        bool is_other = member->id != node_id(role->node) && !member->removed && !member->poll;
        if (is_other && (is_all || strcmp(member->name, only) == 0))
            query_relay_ask(relay, member);
    }
    if (relay->left == 0)
        query_relay_end(relay);
}

void query_relays_stop(struct queries *role)
{
    struct query_relay *relay;
    while ((relay = TAILQ_FIRST(&role->relays)) != NULL) {
        struct http_request *req = relay->req;
        query_relay_free(relay);
        http_reply_error(req, 503, "unavailable", "the node is shutting down", NULL);
    }
}
