/* What this node serves and knows (/routing, /routing/state), all nodes side by side
 * (/api/routing), transactions in doubt and the operator's word on them. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"
#include "role/api_json.h"
#include "role/changes.h"
#include "role/leader_request.h"
#include "role/participant_internal.h"
#include "role/routing_table.h"

static const struct log_about api_log = {.role = "participant"};

/* ---- this node
 * ----------------------------------------------------------------------------------------- */

json_t *participant_state_json(const struct routing_state *state)
{
    char id[UUID_TEXT_MAX];
    return json_pack(
        "{s:s, s:I, s:s, s:o, s:{s:i, s:i}, s:s, s:s, s:o, s:o, s:o}", "service", state->service,
        "version", (json_int_t)state->version, "stable_model_id", state->stable, "canary_model_id",
        state->canary[0] != '\0' ? json_string(state->canary) : json_null(), "weights", "stable",
        state->stable_weight, "canary", state->canary_weight, "status", routing_status(state),
        "txid", uuid_format(&state->txid, id), "by", api_json_text(state->by), "reason",
        api_json_text(state->reason), "since", api_json_time((uint64_t)state->at_ms));
}

static json_t *api_services(const struct participant *participant)
{
    const struct routing_table *table = node_routing(participant->node);
    const struct routing_state *state;
    json_t *services = json_array();
    for (size_t i = 0; (state = routing_table_at(table, i)) != NULL; i++)
        json_array_append_new(services, participant_state_json(state));
    return services;
}

static json_t *api_doubts(const struct participant *participant)
{
    struct txn_doubt doubt;
    json_t *rows = json_array();
    int64_t now_ms = loop_now_ms(node_loop(participant->node));
    for (size_t i = 0; participant->txn != NULL && txn_doubt_at(participant->txn, i, &doubt); i++) {
        char id[UUID_TEXT_MAX];
        json_t *services = json_array();
        json_t *nodes = json_array();
        for (size_t k = 0; k < doubt.body->writes_n; k++)
            json_array_append_new(services, json_string(doubt.body->writes[k].key));
        for (size_t k = 0; k < doubt.body->participants_n; k++)
            json_array_append_new(nodes, json_string(node_member_name(
                                             participant->node, doubt.body->participants[k])));
        json_array_append_new(
            rows,
            json_pack("{s:s, s:s, s:s, s:b, s:o, s:o, s:I, s:i, s:o}", "txid",
                      uuid_format(&doubt.body->txid, id), "state", txn_state_name(doubt.state),
                      "coordinator", node_member_name(participant->node, doubt.body->coordinator),
                      "group", doubt.body->group, "services", services, "participants", nodes,
                      "age_ms", (json_int_t)(now_ms - doubt.since_ms), "asked", (int)doubt.asked,
                      "text", api_json_text(doubt.text)));
    }
    return rows;
}

static json_t *api_alarms(const struct participant *participant)
{
    json_t *rows = json_array();
    size_t n = participant->alarms_n < PARTICIPANT_ALARMS_MAX ? participant->alarms_n
                                                              : PARTICIPANT_ALARMS_MAX;
    for (size_t i = 0; i < n; i++) {
        char id[UUID_TEXT_MAX];
        json_array_append_new(rows, json_pack("{s:o, s:s, s:o}", "at",
                                              api_json_time((uint64_t)participant->alarms[i].at_ms),
                                              "txid", uuid_format(&participant->alarms[i].txid, id),
                                              "text", api_json_text(participant->alarms[i].text)));
    }
    return rows;
}

static json_t *api_health(const struct participant *participant)
{
    const struct routing_table *table = node_routing(participant->node);
    const char *service;
    const char *model;
    const struct health *health;
    json_t *rows = json_array();
    for (size_t i = 0; routing_table_health_at(table, i, &service, &model, &health); i++)
        json_array_append_new(rows,
                              json_pack("{s:s, s:s, s:I, s:I, s:f, s:f, s:f}", "service", service,
                                        "model_id", model, "requests", (json_int_t)health->requests,
                                        "errors", (json_int_t)health->errors, "p50_ms",
                                        (double)health_percentile_us(health, 500) / 1000, "p95_ms",
                                        (double)health_percentile_us(health, 950) / 1000, "p99_ms",
                                        (double)health_percentile_us(health, 990) / 1000));
    return rows;
}

static void api_routing(struct http_request *req, void *arg)
{
    http_reply_json(req, 200, api_services(arg));
}

static void api_state(struct http_request *req, void *arg)
{
    const struct participant *participant = arg;
    const char *reason;
    bool in = routing_table_in_rotation(node_routing(participant->node), &reason);
    http_reply_json(req, 200,
                    json_pack("{s:s, s:b, s:o, s:o, s:o, s:o, s:o}", "node",
                              node_options(participant->node)->name, "in_rotation", in, "reason",
                              api_json_text(reason), "services", api_services(participant),
                              "in_doubt", api_doubts(participant), "models",
                              api_health(participant), "alarms", api_alarms(participant)));
}

/* ---- all nodes
 * ------------------------------------------------------------------------------------------- */

/* One row for each node and service; a node without services, or that does not answer, has one. */
static void api_on_routing(void *arg, json_t *rows)
{
    struct http_request *req = arg;
    json_t *answer = json_array();
    size_t i;
    json_t *row;
    json_array_foreach(rows, i, row)
    {
        json_t *services = json_object_get(row, "services");
        json_t *common = json_pack("{s:O}", "node", json_object_get(row, "node"));
        static const char *const keys[] = {"in_rotation", "error"};
        for (size_t k = 0; k < MEM_COUNT(keys); k++)
            if (json_object_get(row, keys[k]) != NULL)
                json_object_set(common, keys[k], json_object_get(row, keys[k]));
        if (json_object_get(row, "in_doubt") != NULL)
            json_object_set_new(
                common, "in_doubt",
                json_integer((json_int_t)json_array_size(json_object_get(row, "in_doubt"))));
        json_object_set_new(common, "out_because",
                            json_is_false(json_object_get(row, "in_rotation"))
                                ? json_incref(json_object_get(row, "reason"))
                                : json_null());
        size_t k;
        json_t *service;
        json_array_foreach(services, k, service)
        {
            json_t *line = json_copy(common);
            json_object_update_missing(line, service);
            json_array_append_new(answer, line);
        }
        if (json_array_size(services) == 0)
            json_array_append(answer, common);
        json_decref(common);
    }
    http_reply_json(req, 200, answer);
}

static void api_routing_all(struct http_request *req, void *arg)
{
    struct participant *participant = arg;
    participant_ask_all(participant->node, "/routing/state", api_on_routing, req);
}

static void api_on_indoubt(void *arg, json_t *rows)
{
    struct http_request *req = arg;
    json_t *answer = json_array();
    size_t i;
    json_t *row;
    json_array_foreach(rows, i, row)
    {
        size_t k;
        json_t *doubt;
        json_array_foreach(json_object_get(row, "in_doubt"), k, doubt)
        {
            json_t *line = json_pack("{s:O}", "node", json_object_get(row, "node"));
            json_object_update(line, doubt);
            json_array_append_new(answer, line);
        }
        if (json_object_get(row, "error") != NULL)
            json_array_append(answer, row);
    }
    http_reply_json(req, 200, answer);
}

static void api_indoubt(struct http_request *req, void *arg)
{
    struct participant *participant = arg;
    participant_ask_all(participant->node, "/routing/state", api_on_indoubt, req);
}

/* ---- the operator's word
 * ---------------------------------------------------------------------------------- */

/* A request on its way to the node that is in doubt. */
struct api_resolve {
    struct participant *participant;
    struct http_request *req;
    char *body;
    char *txid;
};

static void api_on_audited(void *arg, json_t *json, const struct error *e)
{
    (void)arg;
    (void)json;
    if (e != NULL)
        log_warn(&api_log, "the audit trail has no entry of an operator's decision: %s", e->text);
}

/* Tells the leader, who keeps the trail. */
static void api_resolve_audit(struct participant *participant, const char *user, const char *txid,
                              const char *detail)
{
    json_t *json = json_pack("{s:s, s:s, s:s}", "user", user, "txid", txid, "detail", detail);
    char *body = json_dumps(json, JSON_COMPACT);
    char *node = mem_printf("node:%s", node_options(participant->node)->name);
    const struct leader_request_spec spec = {
        .method = "POST", .path = "/api/rollouts/resolved", .user = node, .body = body};
    log_warn(&api_log, "an operator (%s) decides transaction %s: %s", user, txid, detail);
    (void)leader_request_start(participant->node, &spec, api_on_audited, NULL);
    free(node);
    free(body);
    json_decref(json);
}

static void api_resolved(struct http_request *req, void *arg)
{
    struct participant *participant = arg;
    if (!node_serves(participant->node, req, api_resolved, arg))
        return;
    json_t *body = api_json_body(req);
    const char *user = json_string_value(json_object_get(body, "user"));
    const char *txid = json_string_value(json_object_get(body, "txid"));
    const char *detail = json_string_value(json_object_get(body, "detail"));
    if (body == NULL)
        return;
    if (!str_starts_with(http_request_user(req), "node:") || user == NULL || txid == NULL ||
        detail == NULL) {
        http_reply_error(req, 403, "forbidden", "nodes tell this to each other", NULL);
    } else {
        changes_audit(node_replica(participant->node)->changes, user, "rollout resolve", txid,
                      detail);
        http_reply_json(req, 200, json_object());
    }
    json_decref(body);
}

void participant_api_resolved(struct participant *participant, const struct txn_effect *effect)
{
    struct participant_resolve *resolve;
    struct participant_resolve *next;
    char id[UUID_TEXT_MAX];
    for (resolve = TAILQ_FIRST(&participant->resolves); resolve != NULL; resolve = next) {
        next = TAILQ_NEXT(resolve, link);
        if (uuid_compare(&resolve->txid, &effect->txid) != 0)
            continue;
        struct error e;
        if (effect->code == 0) {
            http_reply_json(resolve->req, 200,
                            json_pack("{s:s, s:s, s:s}", "txid", uuid_format(&effect->txid, id),
                                      "node", node_options(participant->node)->name, "text",
                                      effect->text));
        } else {
            (void)error_set(&e, effect->code, "%s", effect->text);
            http_reply_failure(resolve->req, &e, NULL);
        }
        TAILQ_REMOVE(&participant->resolves, resolve, link);
        free(resolve);
    }
}

static void api_resolve_here(struct participant *participant, struct http_request *req,
                             const struct uuid *txid, enum txn_outcome outcome, const char *reason)
{
    char text[TXN_TEXT_MAX] = "";
    char id[UUID_TEXT_MAX];
    struct participant_resolve *resolve = mem_zalloc(sizeof *resolve);
    char *who = mem_printf("%.64s: %.160s", http_request_user(req), reason);
    char *detail = mem_printf("%s: %.160s", txn_outcome_name(outcome), reason);
    resolve->req = req;
    resolve->txid = *txid;
    TAILQ_INSERT_TAIL(&participant->resolves, resolve, link);
    api_resolve_audit(participant, http_request_user(req), uuid_format(txid, id), detail);
    int err = participant_step(
        participant,
        (struct txn_event){
            .type = TXN_EVENT_RESOLVE, .txid = *txid, .outcome = outcome, .text = who},
        text);
    if (err < 0) {
        struct error e;
        (void)error_set(&e, err, "%s", text);
        TAILQ_REMOVE(&participant->resolves, resolve, link);
        free(resolve);
        http_reply_failure(req, &e, NULL);
    }
    free(who);
    free(detail);
}

static bool api_resolve_parse(const json_t *body, struct uuid *txid, enum txn_outcome *outcome,
                              const char **reason, struct error *e)
{
    const char *id = json_string_value(json_object_get(body, "txid"));
    const char *name = json_string_value(json_object_get(body, "outcome"));
    int parsed = name != NULL ? txn_outcome_parse(name) : (int)ERR_INVALID;
    *reason = json_string_value(json_object_get(body, "reason"));
    if (*reason == NULL)
        *reason = "no reason given";
    if (id == NULL || uuid_parse(id, txid) < 0)
        (void)error_set(e, ERR_INVALID,
                        "\"txid\" is a transaction's UUID: rollout indoubt lists them");
    else if (parsed < 0)
        (void)error_set(e, ERR_INVALID, "\"outcome\" is commit or abort");
    else {
        *outcome = (enum txn_outcome)parsed;
        return true;
    }
    return false;
}

static void api_resolve_body(struct participant *participant, struct http_request *req,
                             const char *text)
{
    struct uuid txid;
    enum txn_outcome outcome;
    const char *reason;
    struct error e;
    json_t *body = json_loads(text, 0, NULL);
    if (api_resolve_parse(body, &txid, &outcome, &reason, &e))
        api_resolve_here(participant, req, &txid, outcome, reason);
    else
        http_reply_failure(req, &e, NULL);
    json_decref(body);
}

static void api_on_remote(void *arg, int code, const ProtobufCMessage *message)
{
    struct http_request *req = arg;
    const Wire__ApiReply *reply = (const Wire__ApiReply *)message;
    struct error e;
    if (reply != NULL) {
        http_reply(req, reply->status, reply->content_type, reply->body.data, reply->body.len);
        return;
    }
    (void)error_set(&e, code, "the node that is in doubt does not answer: %s", err_text(code));
    http_reply_failure(req, &e, NULL);
}

/* The first node that is in doubt about it; NULL: none says so. */
static const char *api_doubter(const json_t *rows, const char *txid)
{
    size_t i;
    json_t *row;
    json_array_foreach(rows, i, row)
    {
        size_t k;
        json_t *doubt;
        json_array_foreach(json_object_get(row, "in_doubt"), k, doubt)
        {
            const char *id = json_string_value(json_object_get(doubt, "txid"));
            if (id != NULL && strcmp(id, txid) == 0)
                return json_string_value(json_object_get(row, "node"));
        }
    }
    return NULL;
}

static void api_on_found(void *arg, json_t *rows)
{
    struct api_resolve *resolve = arg;
    struct participant *participant = resolve->participant;
    struct node *node = participant->node;
    const char *name = api_doubter(rows, resolve->txid);
    const Wire__Node *member = name != NULL ? node_member_named(node, name) : NULL;
    if (member == NULL || member->id == node_id(node)) {
        api_resolve_body(participant, resolve->req, resolve->body);
    } else {
        Wire__ApiRequest request = WIRE__API_REQUEST__INIT;
        request.method = (char *)(uintptr_t) "POST";
        request.path = (char *)(uintptr_t) "/api/rollouts/resolve?local=true";
        request.content_type = (char *)(uintptr_t) "application/json";
        request.user = (char *)(uintptr_t)http_request_user(resolve->req);
        request.body.data = (uint8_t *)resolve->body;
        request.body.len = strlen(resolve->body);
        request.hops = 2;
        request.here = true;
        (void)node_call(node, member->id, WIRE_API_REQUEST, &request.base, false, 10000,
                        api_on_remote, resolve->req);
    }
    free(resolve->txid);
    free(resolve->body);
    free(resolve);
}

static void api_resolve(struct http_request *req, void *arg)
{
    struct participant *participant = arg;
    struct uuid txid;
    enum txn_outcome outcome;
    const char *reason;
    struct error e;
    bool local = false;
    char id[UUID_TEXT_MAX];
    json_t *body = api_json_body(req);
    if (body == NULL)
        return;
    bool good = http_request_query_bool(req, "local", &local, &e) == 0 &&
                api_resolve_parse(body, &txid, &outcome, &reason, &e);
    if (!good) {
        http_reply_failure(req, &e, NULL);
    } else if (local) {
        api_resolve_here(participant, req, &txid, outcome, reason);
    } else {
        struct api_resolve *resolve = mem_zalloc(sizeof *resolve);
        resolve->participant = participant;
        resolve->req = req;
        resolve->body = json_dumps(body, JSON_COMPACT);
        resolve->txid = mem_strdup(uuid_format(&txid, id));
        participant_ask_all(participant->node, "/routing/state", api_on_found, resolve);
    }
    json_decref(body);
}

/* ---- life
 * ---------------------------------------------------------------------------------------------------
 */

void participant_api_stop(struct participant *participant)
{
    struct participant_resolve *resolve;
    struct error e;
    while ((resolve = TAILQ_FIRST(&participant->resolves)) != NULL) {
        (void)error_set(&e, ERR_OUTCOME_UNKNOWN, "this node stops");
        http_reply_failure(resolve->req, &e, "rollout indoubt tells whether it was decided");
        TAILQ_REMOVE(&participant->resolves, resolve, link);
        free(resolve);
    }
}

static const struct http_route api_routes[] = {
    {.method = "GET", .path = "/routing", .handler = api_routing},
    {.method = "GET", .path = "/routing/state", .handler = api_state},
    {.method = "GET", .path = "/api/routing", .handler = api_routing_all},
    {.method = "GET", .path = "/api/rollouts/indoubt", .handler = api_indoubt},
    {.method = "POST", .path = "/api/rollouts/resolve", .handler = api_resolve},
    {.method = "POST", .path = "/api/rollouts/resolved", .handler = api_resolved},
};

void participant_api_add_routes(struct participant *participant)
{
    http_router_add(node_router(participant->node), api_routes, MEM_COUNT(api_routes), participant);
}
