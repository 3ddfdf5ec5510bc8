#include "role/status_api.h"

#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "role/api_json.h"
#include "role/node.h"
#include "role/state.h"
#include "run/vitals.h"

static json_t *status_roles(const struct node *node)
{
    uint32_t roles = node_options(node)->roles;
    json_t *list = json_array();
    if ((roles & WIRE__NODE_ROLE__NODE_ROLE_METADATA) != 0)
        json_array_append_new(list, json_string("metadata"));
    if ((roles & WIRE__NODE_ROLE__NODE_ROLE_WORKER) != 0)
        json_array_append_new(list, json_string("worker"));
    if ((roles & WIRE__NODE_ROLE__NODE_ROLE_CHAT) != 0)
        json_array_append_new(list, json_string("chat"));
    return list;
}

static json_t *status_leader(const struct node *node)
{
    uint64_t leader = node_leader(node);
    return leader != 0 ? json_string(node_member_name(node, leader)) : json_null();
}

static void status_health(struct http_request *req, void *arg)
{
    struct node *node = arg;
    bool ok = node_leader(node) != 0;
    http_reply_json(req, ok ? 200 : 503,
                    json_pack("{s:s, s:s, s:o}", "status", ok ? "ok" : "no_leader", "node",
                              node_options(node)->name, "leader", status_leader(node)));
}

static void status_show(struct http_request *req, void *arg)
{
    struct node *node = arg;
    const struct node_options *options = node_options(node);
    const struct replica *replica = node_replica(node);
    struct vitals_sampler sampler;
    struct vitals vitals;
    vitals_init(&sampler, options->data_dir);
    vitals_sample(&sampler, &vitals);
    vitals_done(&sampler);
    json_t *api = json_array();
    json_array_append_new(api, json_sprintf("unix:%s", options->api_socket));
    if (options->api_address[0] != '\0')
        json_array_append_new(api, json_sprintf("%s://%s", options->api_tls ? "https" : "http",
                                                options->api_address));
    http_reply_json(
        req, 200,
        json_pack(
            "{s:s, s:I, s:s, s:s, s:o, s:o, s:I, s:o, s:I, s:I, s:I, s:o, s:s}", "node",
            options->name, "id", (json_int_t)node_id(node), "cluster_id", node_cluster_id(node),
            "version", options->version, "roles", status_roles(node), "leader", status_leader(node),
            "term", (json_int_t)node_term(node), "applied_index",
            replica != NULL ? json_integer((json_int_t)state_applied(replica->state)) : json_null(),
            "pid", (json_int_t)getpid(), "uptime_ms",
            (json_int_t)(loop_now_ms(node_loop(node)) - options->started_ms), "rss_bytes",
            (json_int_t)vitals.rss_bytes, "api", api, "peer", options->peer_address));
}

json_t *status_election_json(const struct node *node, const struct node_election *election)
{
    return json_pack(
        "{s:s, s:o, s:I, s:o, s:s, s:s, s:I, s:I}", "group", election->group, "leader",
        election->leader != 0 ? json_string(node_member_name(node, election->leader)) : json_null(),
        "term", (json_int_t)election->term, "since", api_json_time((uint64_t)election->since_ms),
        "state", election->state, "reason", election->reason, "elections",
        (json_int_t)election->elections, "members", (json_int_t)election->members);
}

static void status_elections(struct http_request *req, void *arg)
{
    struct node *node = arg;
    struct node_election election;
    json_t *rows = json_array();
    for (unsigned i = 0; node_election(node, i, &election); i++)
        json_array_append_new(rows, status_election_json(node, &election));
    http_reply_json(req, 200, rows);
}

static const struct http_route status_routes[] = {
    {.method = "GET", .path = "/healthz", .flags = HTTP_ROUTE_PUBLIC, .handler = status_health},
    {.method = "GET", .path = "/api/status", .handler = status_show},
    {.method = "GET", .path = "/api/elections", .handler = status_elections},
};

void status_api_add_routes(struct node *node)
{
    http_router_add(node_router(node), status_routes, MEM_COUNT(status_routes), node);
}
