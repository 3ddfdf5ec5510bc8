/* Happy path: /metrics is the exposition; /api/metrics the same as JSON rows. With nodes=all every
 * member is asked over the links, and the rows of all are one list; a node that does not answer in
 * time has a row "up" of 0 and no others. Buckets of histograms are left out of the rows unless
 * they are asked for: sum and count are there. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/metric.h"
#include "role/api_json.h"
#include "role/metrics_internal.h"

enum { METRICS_GATHER_MS = 3000, METRICS_GATHERS_MAX = 16 };

/* ---- this node ------------------------------------------------------------------------------- */

static void metrics_expose(struct http_request *req, void *arg)
{
    (void)arg;
    struct buf out;
    size_t len;
    enum metric_format format = metric_format_accepted(http_request_header(req, "Accept"));
    buf_init(&out, METRIC_TEXT_MAX);
    metric_collect();
    if (metric_write(&out, format) < 0) {
        http_reply_error(req, 500, "too_large", "there are too many metrics", NULL);
        buf_done(&out);
        return;
    }
    char *text = buf_steal(&out, &len);
    http_reply_take(req, 200, metric_format_type(format), text, len);
}

struct metrics_rows {
    json_t *list;
    const char *node;
    bool buckets;
};

static json_t *metrics_row(const char *node, char *name, json_t *labels, double value)
{
    return json_pack("{s:s,s:s,s:o,s:o}", "node", node, "name", name, "labels", labels, "value",
                     isfinite(value) ? json_real(value) : json_null());
}

static int metrics_add_row(void *arg, const struct metric_sample *sample)
{
    struct metrics_rows *rows = arg;
    if (!rows->buckets && strcmp(sample->suffix, "_bucket") == 0)
        return 0;
    json_t *labels = json_object();
    for (size_t i = 0; i < sample->labels_n; i++)
        json_object_set_new(labels, sample->labels[i][0], api_json_text(sample->labels[i][1]));
    char *name = mem_printf("%s%s", metric_row(sample->metric)->name, sample->suffix);
    json_array_append_new(rows->list, metrics_row(rows->node, name, labels, sample->value));
    free(name);
    return 0;
}

static json_t *metrics_rows(const struct metrics *metrics, bool buckets)
{
    const char *node = node_options(metrics->node)->name;
    struct metrics_rows rows = {.list = json_array(), .node = node, .buckets = buckets};
    char up[] = "up";
    json_array_append_new(rows.list, metrics_row(node, up, json_object(), 1));
    metric_collect();
    (void)metric_each(metrics_add_row, &rows);
    return rows.list;
}

/* ---- all nodes ------------------------------------------------------------------------------- */

struct metrics_ask {
    struct metrics_gather *gather;
    uint64_t call; /* 0: over */
    char *node;
};

struct metrics_gather {
    struct metrics *metrics;
    struct http_request *req;
    json_t *list;
    struct metrics_ask *asks;
    size_t asks_n;
    size_t left;
    TAILQ_ENTRY(metrics_gather) entry;
};

static void metrics_gather_free(struct metrics_gather *gather)
{
    struct metrics *metrics = gather->metrics;
    for (size_t i = 0; i < gather->asks_n; i++) {
        if (gather->asks[i].call != 0)
            node_call_end(metrics->node, gather->asks[i].call);
        free(gather->asks[i].node);
    }
    TAILQ_REMOVE(&metrics->gathers, gather, entry);
    json_decref(gather->list);
    free(gather->asks);
    free(gather);
}

static void metrics_gather_end(struct metrics_gather *gather)
{
    struct http_request *req = gather->req;
    http_request_on_close(req, NULL, NULL);
    http_reply_json(req, 200, json_incref(gather->list));
    metrics_gather_free(gather);
}

static void metrics_on_reply(void *arg, int code, const ProtobufCMessage *message)
{
    struct metrics_ask *ask = arg;
    struct metrics_gather *gather = ask->gather;
    const Wire__ApiReply *reply = (const Wire__ApiReply *)message;
    (void)code;
    ask->call = 0;
    json_t *rows = reply != NULL && reply->status == 200
                       ? json_loadb((const char *)reply->body.data, reply->body.len, 0, NULL)
                       : NULL;
    if (json_is_array(rows)) {
        json_array_extend(gather->list, rows);
    } else {
        char up[] = "up";
        json_array_append_new(gather->list, metrics_row(ask->node, up, json_object(), 0));
    }
    json_decref(rows);
    if (--gather->left == 0)
        metrics_gather_end(gather);
}

static void metrics_on_close(struct http_request *req, void *arg)
{
    metrics_gather_free(arg);
    http_reply(req, 499, NULL, NULL, 0);
}

static void metrics_ask(struct metrics_gather *gather, const Wire__Node *member, bool buckets)
{
    struct metrics_ask *ask = &gather->asks[gather->asks_n++];
    Wire__ApiRequest request = WIRE__API_REQUEST__INIT;
    request.method = (char *)(uintptr_t) "GET";
    request.path = (char *)(uintptr_t)(buckets ? "/api/metrics?buckets=true" : "/api/metrics");
    request.user = (char *)(uintptr_t) "clusterd";
    request.hops = 2;
    request.here = true;
    ask->gather = gather;
    ask->node = mem_strdup(member->name);
    ask->call = node_call(gather->metrics->node, member->id, WIRE_API_REQUEST, &request.base, false,
                          METRICS_GATHER_MS, metrics_on_reply, ask);
    gather->left++;
}

static void metrics_gather_all(struct metrics *metrics, struct http_request *req, bool buckets)
{
    const Wire__Members *members = node_members(metrics->node);
    struct metrics_gather *gather = mem_zalloc(sizeof *gather);
    gather->metrics = metrics;
    gather->req = req;
    gather->list = metrics_rows(metrics, buckets);
    gather->asks = mem_calloc(members->n_nodes + 1, sizeof *gather->asks);
    TAILQ_INSERT_TAIL(&metrics->gathers, gather, entry);
    http_request_on_close(req, metrics_on_close, gather);
    for (size_t i = 0; i < members->n_nodes; i++) {
        const Wire__Node *member = members->nodes[i];
        if (member->id != node_id(metrics->node) && !member->removed && !member->poll)
            metrics_ask(gather, member, buckets);
    }
    if (gather->left == 0)
        metrics_gather_end(gather);
}

static void metrics_list(struct http_request *req, void *arg)
{
    struct metrics *metrics = arg;
    const char *nodes = http_request_query(req, "nodes");
    bool buckets = false;
    unsigned gathers = 0;
    struct metrics_gather *gather;
    struct error e;
    int err = http_request_query_bool(req, "buckets", &buckets, &e);
    if (err == 0 && nodes != NULL && strcmp(nodes, "all") != 0)
        err = error_set(&e, ERR_INVALID, "query parameter nodes must be \"all\" or left out");
    TAILQ_FOREACH (gather, &metrics->gathers, entry)
        gathers++;
    if (err == 0 && nodes != NULL && gathers >= METRICS_GATHERS_MAX)
        err = error_set(&e, ERR_BUSY, "%u requests for the metrics of all nodes are under way",
                        gathers);
    if (err < 0)
        http_reply_failure(req, &e, NULL);
    else if (nodes != NULL)
        metrics_gather_all(metrics, req, buckets);
    else
        http_reply_json(req, 200, metrics_rows(metrics, buckets));
}

static const struct http_route metrics_routes[] = {
    {.method = "GET", .path = "/metrics", .handler = metrics_expose},
    {.method = "GET", .path = "/api/metrics", .handler = metrics_list},
};

void metrics_api_add_routes(struct metrics *metrics)
{
    http_router_add(node_router(metrics->node), metrics_routes, MEM_COUNT(metrics_routes), metrics);
}

void metrics_api_stop(struct metrics *metrics)
{
    struct metrics_gather *gather;
    while ((gather = TAILQ_FIRST(&metrics->gathers)) != NULL) {
        struct http_request *req = gather->req;
        metrics_gather_free(gather);
        http_request_on_close(req, NULL, NULL);
        http_reply_error(req, 503, "unavailable", "the node is shutting down", NULL);
    }
}
