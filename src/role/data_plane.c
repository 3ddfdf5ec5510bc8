/* Every change of the routing table becomes a new table of the proxy, once a turn. */
#include "role/data_plane.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "role/node.h"
#include "role/routing_json.h"
#include "role/routing_table.h"
#include "run/address.h"
#include "run/proxy.h"

enum { DATA_PLANE_DRAIN_MS = 5000 };

static const struct log_about data_plane_log = {.role = "data_plane"};

struct data_plane {
    struct node *node;
    struct routing_table *table;
    struct proxy *proxy; /* NULL: it serves nowhere */
    struct loop_hook publish;
};

/* A table under construction; strings of pages and reasons are owned. */
struct data_plane_table {
    struct proxy_service services[PROXY_SERVICES_MAX];
    size_t services_n;
    struct proxy_page pages[PROXY_PAGES_MAX];
    size_t pages_n;
    json_t *all;
};

static void data_plane_add_page(struct data_plane_table *t, char *path, unsigned status,
                                json_t *json)
{
    char *text = json_dumps(json, JSON_COMPACT | JSON_PRESERVE_ORDER);
    t->pages[t->pages_n++] = (struct proxy_page){path, status, text};
    json_decref(json);
}

/* Models with a share of the traffic; the canary's numbers come first, as core/routing.h has it. */
static void data_plane_add_targets(const struct routing_state *state, struct proxy_service *service)
{
    static const enum routing_model order[] = {ROUTING_MODEL_CANARY, ROUTING_MODEL_STABLE};
    for (unsigned i = 0; i < MEM_COUNT(order); i++) {
        const char *id = routing_model_id(state, order[i]);
        const char *url = routing_model_url(state, order[i]);
        int weight = order[i] == ROUTING_MODEL_CANARY ? state->canary_weight : state->stable_weight;
        if (weight <= 0)
            continue;
        if (proxy_check_url(url, NULL) < 0) {
            free((void *)(uintptr_t)service->closed);
            service->closed = mem_printf("the URL of model %s is none: \"%s\"", id, url);
            return;
        }
        service->targets[service->targets_n++] = (struct proxy_target){id, url, (unsigned)weight};
    }
}

static void data_plane_add_service(const struct data_plane *plane, struct data_plane_table *t,
                                   const struct routing_state *state)
{
    const char *reason;
    struct proxy_service *service = &t->services[t->services_n++];
    *service = (struct proxy_service){.name = state->service, .version = state->version};
    if (!routing_table_in_rotation(plane->table, &reason))
        service->closed = mem_printf("this node is out of rotation: %s", reason);
    else
        data_plane_add_targets(state, service);
    if (service->closed != NULL)
        service->targets_n = 0;
    json_t *json = routing_json(state);
    (void)json_array_append(t->all, json);
    data_plane_add_page(t, mem_printf("/routing/state/%s", state->service), 200, json);
}

static json_t *data_plane_none(void)
{
    return json_pack("{s:{s:s, s:s}}", "error", "code", "not_found", "message",
                     "no service is the default one: ask for /routing/state/SERVICE; /routing has "
                     "all of them");
}

static void data_plane_add_pages(const struct data_plane *plane, struct data_plane_table *t)
{
    const char *reason;
    const char *name = node_options(plane->node)->name;
    const struct routing_state *fallback = routing_table_default(plane->table);
    bool serves = routing_table_in_rotation(plane->table, &reason);
    data_plane_add_page(t, mem_strdup("/health"), serves ? 200 : 503,
                        json_pack("{s:s, s:s, s:s}", "status", serves ? "ok" : "out_of_rotation",
                                  "node", name, "reason", reason));
    data_plane_add_page(t, mem_strdup("/routing"), 200,
                        json_pack("{s:s, s:b, s:s, s:O}", "node", name, "in_rotation", serves,
                                  "reason", reason, "services", t->all));
    data_plane_add_page(t, mem_strdup("/routing/state"), fallback != NULL ? 200 : 404,
                        fallback != NULL ? routing_json(fallback) : data_plane_none());
}

static void data_plane_on_publish(void *arg)
{
    struct data_plane *plane = arg;
    struct data_plane_table *t = mem_zalloc(sizeof *t);
    const struct routing_state *fallback = routing_table_default(plane->table);
    const struct routing_state *state;
    t->all = json_array();
    for (size_t i = 0; (state = routing_table_at(plane->table, i)) != NULL; i++) {
        if (t->services_n == PROXY_SERVICES_MAX) {
            log_warn(&data_plane_log, "only the first %d services are served", PROXY_SERVICES_MAX);
            break;
        }
        data_plane_add_service(plane, t, state);
    }
    data_plane_add_pages(plane, t);
    proxy_set_table(plane->proxy, &(struct proxy_table){
                                      .services = t->services,
                                      .services_n = t->services_n,
                                      .service = fallback != NULL ? fallback->service : NULL,
                                      .pages = t->pages,
                                      .pages_n = t->pages_n,
                                  });
    for (size_t i = 0; i < t->pages_n; i++) {
        free((void *)(uintptr_t)t->pages[i].path);
        free((void *)(uintptr_t)t->pages[i].json);
    }
    for (size_t i = 0; i < t->services_n; i++)
        free((void *)(uintptr_t)t->services[i].closed);
    json_decref(t->all);
    free(t);
}

static void data_plane_on_change(void *arg)
{
    struct data_plane *plane = arg;
    loop_hook_arm(&plane->publish);
}

static void data_plane_on_stats(void *arg, const struct proxy_stats *rows, size_t n)
{
    struct data_plane *plane = arg;
    for (size_t i = 0; i < n; i++) {
        struct health health = {.requests = rows[i].requests, .errors = rows[i].errors};
        for (unsigned j = 0; j < PROXY_BUCKETS; j++)
            health.latency[health_bucket(proxy_bucket_limit_us(j) - 1)] += rows[i].buckets[j];
        routing_table_set_health(plane->table, rows[i].service, rows[i].model, &health);
    }
}

static int data_plane_listen(struct data_plane *plane, struct error *e)
{
    const struct node_options *options = node_options(plane->node);
    struct proxy_options proxy_options;
    char host[ADDRESS_HOST_MAX];
    uint16_t port;
    if (address_split(options->data_address, host, &port) < 0)
        return error_set(e, ERR_INVALID, "data.listen: \"%s\" is no HOST:PORT",
                         options->data_address);
    proxy_options_init(&proxy_options);
    proxy_options.loop = node_loop(plane->node);
    proxy_options.host = host;
    proxy_options.port = port;
    proxy_options.sticky_header =
        options->data_sticky_header[0] != '\0' ? options->data_sticky_header : NULL;
    proxy_options.connections_max = (unsigned)options->data_connections_max;
    proxy_options.body_bytes_max = options->data_body_bytes_max;
    proxy_options.connect_timeout_ms = (unsigned)options->data_connect_timeout_ms;
    proxy_options.answer_timeout_ms = (unsigned)options->data_answer_timeout_ms;
    int err = proxy_open(&plane->proxy, &proxy_options, data_plane_on_stats, plane, e);
    if (err < 0)
        return error_prefix(e, "data.listen");
    log_info(&data_plane_log, "serving models on %s port %u", host, proxy_port(plane->proxy));
    return 0;
}

static int data_plane_start(struct node *node, void **self, struct error *e)
{
    const char *address = node_options(node)->data_address;
    struct data_plane *plane = mem_zalloc(sizeof *plane);
    plane->node = node;
    plane->table = node_routing(node);
    loop_hook_init(&plane->publish, node_loop(node), LOOP_PHASE_FLUSH, data_plane_on_publish,
                   plane);
    *self = plane;
    if (address[0] == '\0' || strcmp(address, "none") == 0)
        return 0;
    int err = data_plane_listen(plane, e);
    if (err < 0) {
        free(plane);
        return err;
    }
    routing_table_on_change(plane->table, data_plane_on_change, plane);
    loop_hook_arm(&plane->publish);
    return 0;
}

static void data_plane_on_closed(void *arg)
{
    struct data_plane *plane = arg;
    node_role_stopped(plane->node);
}

/* Requests under way end first. */
static void data_plane_stop(void *self)
{
    struct data_plane *plane = self;
    routing_table_on_change(plane->table, NULL, plane);
    loop_hook_disarm(&plane->publish);
    if (plane->proxy != NULL)
        proxy_close(plane->proxy, DATA_PLANE_DRAIN_MS, data_plane_on_closed, plane);
    else
        node_role_stopped(plane->node);
}

static void data_plane_free(void *self)
{
    free(self);
}

static const struct role_handler data_plane_handlers[] = {{0}};

const struct role data_plane_role = {
    .name = "data_plane",
    .start = data_plane_start,
    .stop = data_plane_stop,
    .free = data_plane_free,
    .handlers = data_plane_handlers,
};
