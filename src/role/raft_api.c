#include "role/raft_api.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "role/changes.h"
#include "role/members.h"
#include "role/node.h"
#include "role/state.h"

/* A request whose change of the group is under way. */
struct raft_api_change {
    struct node *node;
    struct http_request *req;
    char *name;
};

static const char *raft_api_role_name(enum state_member_role role)
{
    static const char *const names[] = {
        [STATE_STANDBY] = "standby", [STATE_VOTER] = "voter", [STATE_SPARE] = "spare"};
    return names[role];
}

static json_t *raft_api_member(const struct node *node, const struct state_member *member)
{
    const struct state *state = node_replica(node)->state;
    const Wire__Node *row = node_member(node, member->id);
    bool leads = member->id == node_id(node);
    uint64_t last = state_last_index(state);
    uint64_t match = leads ? last : member->match_index;
    bool up = node_session(node, member->id) != 0;
    return json_pack(
        "{s:s, s:I, s:s, s:b, s:s, s:I, s:I, s:I, s:o, s:I, s:s}", "name",
        node_member_name(node, member->id), "id", (json_int_t)member->id, "role",
        raft_api_role_name(member->role), "leader", leads, "address",
        row != NULL ? row->peer_address : "", "term", (json_int_t)state_term(state), "match_index",
        (json_int_t)match, "last_index", (json_int_t)last, "applied_index",
        leads ? json_integer((json_int_t)state_applied(state)) : json_null(), "lag",
        (json_int_t)(last > match ? last - match : 0), "state", up ? "online" : "offline");
}

json_t *raft_api_members(const struct node *node)
{
    struct state_member members[STATE_MEMBERS_MAX];
    unsigned n = state_members(node_replica(node)->state, members);
    json_t *rows = json_array();
    for (unsigned i = 0; i < n; i++)
        json_array_append_new(rows, raft_api_member(node, &members[i]));
    return rows;
}

static void raft_api_list(struct http_request *req, void *arg)
{
    struct node *node = arg;
    if (node_serves(node, req, raft_api_list, node))
        http_reply_json(req, 200, raft_api_members(node));
}

/* The member that the body names under `key`; NULL after answering. */
static const Wire__Node *raft_api_named(struct node *node, struct http_request *req,
                                        const json_t *body, const char *key)
{
    struct error e;
    const char *name = json_string_value(json_object_get(body, key));
    const Wire__Node *row = name != NULL ? node_member_named(node, name) : NULL;
    if (row != NULL)
        return row;
    if (name == NULL)
        (void)error_set(&e, ERR_INVALID, "\"%s\" must name a node", key);
    else
        (void)error_set(&e, ERR_NOT_FOUND, "there is no node %s", name);
    http_reply_failure(req, &e, "node list shows the nodes");
    return NULL;
}

static bool raft_api_body(struct http_request *req, json_t **body)
{
    struct error e;
    if (http_request_json(req, body, &e) == 0)
        return true;
    http_reply_failure(req, &e, NULL);
    return false;
}

static struct raft_api_change *raft_api_change_new(struct node *node, struct http_request *req,
                                                   const char *name)
{
    struct raft_api_change *change = mem_zalloc(sizeof *change);
    change->node = node;
    change->req = req;
    change->name = mem_strdup(name);
    return change;
}

static void raft_api_change_free(struct raft_api_change *change)
{
    free(change->name);
    free(change);
}

static void raft_api_fail(struct raft_api_change *change, int code, const char *text)
{
    struct error e;
    (void)error_set(&e, code, "%s", text);
    http_reply_failure(change->req, &e, NULL);
    raft_api_change_free(change);
}

static void raft_api_on_transferred(void *arg, int code, const char *text)
{
    struct raft_api_change *change = arg;
    if (code < 0) {
        raft_api_fail(change, code, text);
        return;
    }
    const struct state *state = node_replica(change->node)->state;
    uint64_t leader = state_leader(state);
    http_reply_json(change->req, 200,
                    json_pack("{s:s, s:I}", "leader",
                              leader != 0 ? node_member_name(change->node, leader) : change->name,
                              "term", (json_int_t)state_term(state)));
    raft_api_change_free(change);
}

static void raft_api_transfer(struct http_request *req, void *arg)
{
    struct node *node = arg;
    json_t *body = NULL;
    if (!node_serves(node, req, raft_api_transfer, node) || !raft_api_body(req, &body))
        return;
    uint64_t to = 0;
    const char *name = "";
    if (json_object_get(body, "to") != NULL) {
        const Wire__Node *row = raft_api_named(node, req, body, "to");
        if (row == NULL)
            goto out;
        to = row->id;
        name = row->name;
    }
    changes_audit(node_replica(node)->changes, http_request_user(req), "raft.transfer",
                  *name ? name : "any", "");
    state_transfer(node_replica(node)->state, to, raft_api_on_transferred,
                   raft_api_change_new(node, req, name));
out:
    json_decref(body);
}

static void raft_api_on_removed(void *arg, int code, const char *text)
{
    struct raft_api_change *change = arg;
    if (code < 0) {
        raft_api_fail(change, code, text);
        return;
    }
    http_reply_json(change->req, 200, raft_api_members(change->node));
    raft_api_change_free(change);
}

static void raft_api_on_policy(void *arg, int code, const Wire__Node *row)
{
    struct raft_api_change *change = arg;
    if (code < 0 || row == NULL) {
        raft_api_fail(change, code < 0 ? code : ERR_NOT_LEADER, err_text(code));
        return;
    }
    struct state *state = node_replica(change->node)->state;
    if (row->raft_policy == WIRE__RAFT_POLICY__RAFT_POLICY_NEVER &&
        state_has_member(state, row->id))
        state_remove(state, row->id, raft_api_on_removed, change);
    else if (row->raft_policy == WIRE__RAFT_POLICY__RAFT_POLICY_ALWAYS &&
             !state_has_member(state, row->id))
        state_add(state, row->id, row->peer_address, raft_api_on_removed, change);
    else
        raft_api_on_removed(change, 0, "");
}

static void raft_api_set_policy(struct node *node, struct http_request *req,
                                Wire__RaftPolicy policy)
{
    json_t *body = NULL;
    if (!raft_api_body(req, &body))
        return;
    const Wire__Node *row = raft_api_named(node, req, body, "node");
    struct error e = {0};
    if (row == NULL)
        goto out;
    if ((row->roles & WIRE__NODE_ROLE__NODE_ROLE_METADATA) == 0)
        (void)error_set(&e, ERR_INVALID, "%s has not the metadata role (node.roles)", row->name);
    else if (policy == WIRE__RAFT_POLICY__RAFT_POLICY_NEVER && row->id == node_id(node))
        (void)error_set(&e, ERR_CONFLICT, "%s leads: first raft transfer", row->name);
    if (e.code < 0) {
        http_reply_failure(req, &e, NULL);
        goto out;
    }
    bool add = policy == WIRE__RAFT_POLICY__RAFT_POLICY_ALWAYS;
    changes_audit(node_replica(node)->changes, http_request_user(req),
                  add ? "raft.add" : "raft.remove", row->name, "");
    Wire__Node *changed = members_copy(row);
    changed->raft_policy = policy;
    members_put(node_replica(node)->members, changed, raft_api_on_policy,
                raft_api_change_new(node, req, row->name));
    wire__node__free_unpacked(changed, NULL);
out:
    json_decref(body);
}

static void raft_api_add(struct http_request *req, void *arg)
{
    if (node_serves(arg, req, raft_api_add, arg))
        raft_api_set_policy(arg, req, WIRE__RAFT_POLICY__RAFT_POLICY_ALWAYS);
}

static void raft_api_remove(struct http_request *req, void *arg)
{
    if (node_serves(arg, req, raft_api_remove, arg))
        raft_api_set_policy(arg, req, WIRE__RAFT_POLICY__RAFT_POLICY_NEVER);
}

static const struct http_route raft_api_routes[] = {
    {.method = "GET", .path = "/api/raft", .handler = raft_api_list},
    {.method = "POST", .path = "/api/raft/transfer", .handler = raft_api_transfer},
    {.method = "POST", .path = "/api/raft/add", .handler = raft_api_add},
    {.method = "POST", .path = "/api/raft/remove", .handler = raft_api_remove},
};

void raft_api_add_routes(struct node *node)
{
    http_router_add(node_router(node), raft_api_routes, MEM_COUNT(raft_api_routes), node);
}
