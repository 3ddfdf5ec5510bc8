/* /api/nodes: the members with what the coordinator knows of them; drain, resume, remove. */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "role/api_json.h"
#include "role/coordinator_internal.h"

struct coordinator_node_change {
    struct coordinator *coordinator;
    unsigned activation;
    struct http_request *req;
    uint64_t id;
};

static json_t *coordinator_roles_json(const Wire__Node *row)
{
    static const struct {
        uint32_t bit;
        const char *name;
    } names[] = {{WIRE__NODE_ROLE__NODE_ROLE_METADATA, "metadata"},
                 {WIRE__NODE_ROLE__NODE_ROLE_WORKER, "worker"},
                 {WIRE__NODE_ROLE__NODE_ROLE_CHAT, "chat"},
                 {WIRE__NODE_ROLE__NODE_ROLE_PARTICIPANT, "participant"}};
    json_t *roles = json_array();
    for (unsigned i = 0; i < MEM_COUNT(names); i++)
        if ((row->roles & names[i].bit) != 0)
            json_array_append_new(roles, json_string(names[i].name));
    return roles;
}

static void coordinator_set(json_t *object, const char *key, json_t *value)
{
    (void)json_object_set_new_nocheck(object, key, value);
}

static void coordinator_set_vitals(json_t *object, const Wire__Vitals *vitals)
{
    static const Wire__Vitals none = WIRE__VITALS__INIT;
    const Wire__Vitals *v = vitals != NULL ? vitals : &none;
    coordinator_set(object, "cpu_percent", json_real(v->cpu_permille / 10.0));
    coordinator_set(object, "load", json_real(v->load_milli / 1000.0));
    coordinator_set(object, "memory_available_bytes",
                    json_integer((json_int_t)v->memory_available_bytes));
    coordinator_set(object, "disk_free_bytes", json_integer((json_int_t)v->disk_free_bytes));
    coordinator_set(object, "disk_full", json_boolean(v->disk_full));
    coordinator_set(object, "rss_bytes", json_integer((json_int_t)v->rss_bytes));
    coordinator_set(object, "tasks_running", json_integer(v->tasks_running));
    coordinator_set(object, "tasks_queued", json_integer(v->tasks_queued));
    coordinator_set(object, "rtt_ms", json_real(v->rtt_us / 1000.0));
    coordinator_set(object, "uptime_ms", json_integer((json_int_t)v->uptime_ms));
}

/* What its heartbeats say and does not change from one to the next. */
static void coordinator_set_machine(json_t *object, const Wire__Vitals *vitals)
{
    static const Wire__Vitals none = WIRE__VITALS__INIT;
    const Wire__Vitals *v = vitals != NULL ? vitals : &none;
    coordinator_set(object, "memory_total_bytes", json_integer((json_int_t)v->memory_total_bytes));
    coordinator_set(object, "disk_total_bytes", json_integer((json_int_t)v->disk_total_bytes));
    coordinator_set(object, "pid", v->pid > 0 ? json_integer((json_int_t)v->pid) : json_null());
}

json_t *coordinator_node_row(struct coordinator *c, const Wire__Node *row)
{
    const struct coordinator_node *known = coordinator_node_get(c, row->id);
    struct sched_node_view view = {0};
    (void)sched_node_view(c->sched, row->id, &view);
    json_t *labels = json_array();
    for (size_t i = 0; i < row->n_labels; i++)
        json_array_append_new(labels, api_json_text(row->labels[i]));
    json_t *object = json_object();
    coordinator_set(object, "name", api_json_text(row->name));
    coordinator_set(object, "id", json_integer((json_int_t)row->id));
    coordinator_set(object, "state", json_string(coordinator_node_state(c, row)));
    coordinator_set(object, "roles", coordinator_roles_json(row));
    coordinator_set(object, "kind", json_string(row->poll ? "agent" : "node"));
    coordinator_set(object, "leader", json_boolean(row->id == node_id(c->node)));
    coordinator_set(object, "address", json_string(row->peer_address));
    coordinator_set(object, "api_address", json_string(row->api_address));
    coordinator_set(object, "slots", json_integer(row->slots));
    coordinator_set(object, "slots_used", json_integer(view.slots_used));
    coordinator_set(object, "labels", labels);
    coordinator_set(object, "draining", json_boolean(row->draining));
    coordinator_set(object, "drain_reason", api_json_text(row->drain_reason));
    coordinator_set_machine(object, known != NULL ? known->vitals : NULL);
    coordinator_set(object, "joined_at", api_json_time(row->joined_ms));
    coordinator_set(object, "started_at",
                    api_json_time(known != NULL ? (uint64_t)known->started_wall_ms : 0));
    coordinator_set(object, "version", json_string(row->version));
    return object;
}

static json_t *coordinator_node_json(struct coordinator *c, const Wire__Node *row)
{
    const struct coordinator_node *known = coordinator_node_get(c, row->id);
    json_t *object = coordinator_node_row(c, row);
    coordinator_set_vitals(object, known != NULL ? known->vitals : NULL);
    coordinator_set(object, "last_seen",
                    api_json_time(known != NULL ? (uint64_t)known->heard_wall_ms : 0));
    return object;
}

static void coordinator_nodes_list(struct http_request *req, void *arg)
{
    struct coordinator *c = arg;
    if (!coordinator_serves(c, req, coordinator_nodes_list))
        return;
    json_t *rows = json_array();
    const Wire__Members *members = node_members(c->node);
    for (size_t i = 0; i < members->n_nodes; i++)
        if (!members->nodes[i]->removed)
            json_array_append_new(rows, coordinator_node_json(c, members->nodes[i]));
    http_reply_json(req, 200, rows);
}

static const Wire__Node *coordinator_node_named(struct coordinator *c, struct http_request *req)
{
    const char *name = http_request_param(req, "node");
    const Wire__Node *row = members_find_name(node_replica(c->node)->members, name);
    if (row == NULL) {
        struct error e;
        (void)error_set(&e, ERR_NOT_FOUND, "there is no node %.63s", name);
        http_reply_failure(req, &e, "node list shows the nodes");
    }
    return row;
}

static void coordinator_node_show(struct http_request *req, void *arg)
{
    struct coordinator *c = arg;
    if (!coordinator_serves(c, req, coordinator_node_show))
        return;
    const Wire__Node *row = coordinator_node_named(c, req);
    if (row != NULL)
        http_reply_json(req, 200, coordinator_node_json(c, row));
}

static void coordinator_on_node_changed(void *arg, int code, const Wire__Node *row)
{
    struct coordinator_node_change *change = arg;
    struct coordinator *c = change->coordinator;
    if (row != NULL && c->active && change->activation == c->activation) {
        http_reply_json(change->req, 200, coordinator_node_json(c, row));
    } else {
        struct error e;
        (void)error_set(&e, code < 0 && code != ERR_NOT_LEADER ? code : ERR_NO_LEADER, "%s",
                        err_text(code < 0 ? code : ERR_NOT_LEADER));
        http_reply_failure(change->req, &e, NULL);
    }
    free(change);
}

/* Writes `row` (taken) and answers with what it became. */
static void coordinator_change_node(struct coordinator *c, struct http_request *req,
                                    Wire__Node *row, const char *action)
{
    struct coordinator_node_change *change = mem_zalloc(sizeof *change);
    *change = (struct coordinator_node_change){
        .coordinator = c, .activation = c->activation, .req = req, .id = row->id};
    changes_audit(node_replica(c->node)->changes, http_request_user(req), action, row->name,
                  row->drain_reason);
    members_put(node_replica(c->node)->members, row, coordinator_on_node_changed, change);
    wire__node__free_unpacked(row, NULL);
}

static void coordinator_set_text(char **field, const char *text)
{
    if (*field != protobuf_c_empty_string)
        free(*field);
    *field = mem_strdup(text);
}

static void coordinator_drain(struct http_request *req, void *arg)
{
    struct coordinator *c = arg;
    if (!coordinator_serves(c, req, coordinator_drain))
        return;
    const Wire__Node *row = coordinator_node_named(c, req);
    json_t *body = row != NULL ? api_json_body(req) : NULL;
    if (body == NULL)
        return;
    const char *reason = json_string_value(json_object_get(body, "reason"));
    json_int_t deadline_ms = json_integer_value(json_object_get(body, "deadline_ms"));
    Wire__Node *changed = members_copy(row);
    changed->draining = true;
    coordinator_set_text(&changed->drain_reason, reason != NULL ? reason : "");
    changed->drain_deadline_ms =
        deadline_ms > 0 ? (uint64_t)(loop_wall_ms(node_loop(c->node)) + deadline_ms) : 0;
    coordinator_change_node(c, req, changed, "node.drain");
    json_decref(body);
}

static void coordinator_resume(struct http_request *req, void *arg)
{
    struct coordinator *c = arg;
    if (!coordinator_serves(c, req, coordinator_resume))
        return;
    const Wire__Node *row = coordinator_node_named(c, req);
    if (row == NULL)
        return;
    Wire__Node *changed = members_copy(row);
    changed->draining = false;
    changed->drain_deadline_ms = 0;
    coordinator_set_text(&changed->drain_reason, "");
    coordinator_change_node(c, req, changed, "node.resume");
}

static void coordinator_remove(struct http_request *req, void *arg)
{
    struct coordinator *c = arg;
    struct error e = {0};
    bool force = false;
    if (!coordinator_serves(c, req, coordinator_remove))
        return;
    const Wire__Node *row = coordinator_node_named(c, req);
    if (row == NULL)
        return;
    const char *hint = NULL;
    const char *state = coordinator_node_state(c, row);
    bool quiet = strcmp(state, "drained") == 0 || strcmp(state, "offline") == 0;
    if (http_request_query_bool(req, "force", &force, &e) == 0) {
        if (row->id == node_id(c->node)) {
            (void)error_set(&e, ERR_CONFLICT, "%s leads", row->name);
            hint = "raft transfer gives the lead to another node";
        } else if (!quiet && !force) {
            (void)error_set(&e, ERR_CONFLICT, "%s is %s", row->name, state);
            hint = "node drain lets its work end first; --force removes it now";
        }
    }
    if (e.code < 0) {
        http_reply_failure(req, &e, hint);
        return;
    }
    Wire__Node *changed = members_copy(row);
    changed->removed = true;
    coordinator_change_node(c, req, changed, "node.remove");
}

const struct http_route coordinator_node_routes[] = {
    {.method = "GET", .path = "/api/nodes", .handler = coordinator_nodes_list},
    {.method = "GET", .path = "/api/nodes/{node}", .handler = coordinator_node_show},
    {.method = "POST", .path = "/api/nodes/{node}/drain", .handler = coordinator_drain},
    {.method = "POST", .path = "/api/nodes/{node}/resume", .handler = coordinator_resume},
    {.method = "POST", .path = "/api/nodes/{node}/remove", .handler = coordinator_remove},
};
const size_t coordinator_node_routes_n = MEM_COUNT(coordinator_node_routes);
