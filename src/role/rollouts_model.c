/* /api/models: what may be rolled out. A model has an id and the URL of its upstream, or "echo:",
 * the one that is built in. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "role/api_json.h"
#include "role/rollouts_internal.h"
#include "role/routing_table.h"
#include "run/proxy.h"

const struct rollouts_model *rollouts_model(const struct rollouts *rollouts, const char *id)
{
    const struct rollouts_model *model;
    TAILQ_FOREACH (model, &rollouts->models, link) {
        if (strcmp(model->id, id) == 0)
            return model;
    }
    return NULL;
}

static void model_free(struct rollouts *rollouts, struct rollouts_model *model)
{
    TAILQ_REMOVE(&rollouts->models, model, link);
    rollouts->models_n--;
    json_decref(model->json);
    free(model);
}

void rollouts_models_clear(struct rollouts *rollouts)
{
    struct rollouts_model *model;
    while ((model = TAILQ_FIRST(&rollouts->models)) != NULL)
        model_free(rollouts, model);
}

void rollouts_model_load(struct rollouts *rollouts, json_t *json)
{
    const char *id = json_string_value(json_object_get(json, "id"));
    const char *url = json_string_value(json_object_get(json, "url"));
    if (id == NULL || url == NULL || strlen(id) > ROUTING_NAME_MAX ||
        strlen(url) >= ROUTING_URL_MAX)
        return;
    struct rollouts_model *model = (struct rollouts_model *)(uintptr_t)rollouts_model(rollouts, id);
    if (model != NULL)
        model_free(rollouts, model);
    model = mem_zalloc(sizeof *model);
    (void)snprintf(model->id, sizeof model->id, "%s", id);
    (void)snprintf(model->url, sizeof model->url, "%s", url);
    model->json = json_incref(json);
    struct rollouts_model *at;
    TAILQ_FOREACH (at, &rollouts->models, link) {
        if (strcmp(at->id, id) > 0)
            break;
    }
    if (at != NULL)
        TAILQ_INSERT_BEFORE(at, model, link);
    else
        TAILQ_INSERT_TAIL(&rollouts->models, model, link);
    rollouts->models_n++;
}

/* ---- requests
 * ------------------------------------------------------------------------------------- */

struct model_request {
    struct rollouts *rollouts;
    uint64_t epoch;
    struct http_request *req;
    json_t *json; /* of the model; NULL: it is removed */
    char id[ROUTING_NAME_MAX + 1];
};

static void model_on_written(void *arg, int code, const struct state_result *result)
{
    (void)result;
    struct model_request *request = arg;
    struct rollouts *rollouts = request->rollouts;
    struct error e;
    if (code < 0) {
        (void)error_set(&e, code == ERR_NOT_LEADER ? ERR_NO_LEADER : code, "%s", err_text(code));
        http_reply_failure(request->req, &e, NULL);
    } else if (request->json != NULL) {
        if (request->epoch == rollouts->epoch)
            rollouts_model_load(rollouts, request->json);
        http_reply_json(request->req, 201, json_incref(request->json));
    } else {
        http_reply_json(request->req, 200, json_pack("{s:s}", "removed", request->id));
    }
    json_decref(request->json);
    free(request);
}

static struct model_request *model_request_new(struct rollouts *rollouts, struct http_request *req,
                                               const char *id)
{
    struct model_request *request = mem_zalloc(sizeof *request);
    request->rollouts = rollouts;
    request->epoch = rollouts->epoch;
    request->req = req;
    (void)snprintf(request->id, sizeof request->id, "%s", id);
    return request;
}

/* What serves it, or is about to: NULL when nothing does. */
static const char *model_user(const struct rollouts *rollouts, const char *id)
{
    const struct routing_table *table = node_routing(rollouts->node);
    const struct routing_state *state;
    for (size_t i = 0; (state = routing_table_at(table, i)) != NULL; i++) {
        if (strcmp(state->stable, id) == 0 || strcmp(state->canary, id) == 0)
            return state->service;
    }
    const struct rollouts_entry *entry;
    TAILQ_FOREACH (entry, &rollouts->entries, link) {
        for (size_t i = 0; i < entry->r.targets_n && !rollout_is_ended(&entry->r); i++) {
            if (strcmp(entry->r.targets[i].canary, id) == 0)
                return entry->r.targets[i].service;
        }
    }
    return NULL;
}

static int model_check(const struct rollouts *rollouts, const char *id, const char *url,
                       struct error *e)
{
    if (id == NULL || url == NULL)
        return error_set(e, ERR_INVALID, "a model is {\"id\":\"…\",\"url\":\"…\"}");
    if (!str_is_name(id, ROUTING_NAME_MAX))
        return error_set(e, ERR_INVALID,
                         "a model's id has 1 to %d letters, digits, '-', '_' or '.'",
                         ROUTING_NAME_MAX);
    if (strlen(url) >= ROUTING_URL_MAX)
        return error_set(e, ERR_TOO_LARGE, "a model's URL has at most %d bytes",
                         ROUTING_URL_MAX - 1);
    const struct rollouts_model *known = rollouts_model(rollouts, id);
    if (known != NULL && strcmp(known->url, url) != 0)
        return error_set(e, ERR_EXISTS,
                         "model %s is at %s already: another version is another model", id,
                         known->url);
    if (known == NULL && rollouts->models_n >= ROLLOUTS_MODELS_MAX)
        return error_set(e, ERR_BUSY, "there are %d models already: model remove makes room",
                         ROLLOUTS_MODELS_MAX);
    return proxy_check_url(url, e);
}

static void model_post(struct http_request *req, void *arg)
{
    struct rollouts *rollouts = arg;
    struct error e;
    if (!rollouts_serves(rollouts, req, model_post))
        return;
    json_t *body = api_json_body(req);
    if (body == NULL)
        return;
    const char *id = json_string_value(json_object_get(body, "id"));
    const char *url = json_string_value(json_object_get(body, "url"));
    if (model_check(rollouts, id, url, &e) < 0) {
        http_reply_failure(req, &e, NULL);
        json_decref(body);
        return;
    }
    struct model_request *request = model_request_new(rollouts, req, id);
    request->json =
        json_pack("{s:s, s:s, s:s, s:o}", "id", id, "url", url, "added_by", http_request_user(req),
                  "added_at", api_json_time((uint64_t)loop_wall_ms(node_loop(rollouts->node))));
    char *key = mem_printf(ROLLOUTS_MODEL_PREFIX "%s", id);
    changes_audit(node_replica(rollouts->node)->changes, http_request_user(req), "model add", id,
                  url);
    rollouts_put(rollouts, key, request->json, model_on_written, request);
    free(key);
    json_decref(body);
}

static void model_delete(struct http_request *req, void *arg)
{
    struct rollouts *rollouts = arg;
    struct error e;
    if (!rollouts_serves(rollouts, req, model_delete))
        return;
    const char *id = http_request_param(req, "id");
    const struct rollouts_model *model = rollouts_model(rollouts, id);
    const char *user = model_user(rollouts, id);
    if (model == NULL) {
        (void)error_set(&e, ERR_NOT_FOUND, "no model is called %.64s", id);
        http_reply_failure(req, &e, "model list shows them");
        return;
    }
    if (user != NULL) {
        (void)error_set(&e, ERR_CONFLICT, "model %.64s serves %s", id, user);
        http_reply_failure(req, &e, "roll another model out first");
        return;
    }
    struct model_request *request = model_request_new(rollouts, req, id);
    char *key = mem_printf(ROLLOUTS_MODEL_PREFIX "%s", id);
    changes_audit(node_replica(rollouts->node)->changes, http_request_user(req), "model remove", id,
                  "");
    Wire__KvDelete gone = WIRE__KV_DELETE__INIT;
    gone.key = key;
    Wire__Change change = WIRE__CHANGE__INIT;
    change.of_case = WIRE__CHANGE__OF_KV_DELETE;
    change.kv_delete = &gone;
    changes_add(node_replica(rollouts->node)->changes, &change, model_on_written, request);
    model_free(rollouts, (struct rollouts_model *)(uintptr_t)model);
    free(key);
}

static void model_list(struct http_request *req, void *arg)
{
    struct rollouts *rollouts = arg;
    if (!rollouts_serves(rollouts, req, model_list))
        return;
    json_t *rows = json_array();
    const struct rollouts_model *model;
    TAILQ_FOREACH (model, &rollouts->models, link) {
        const char *service = model_user(rollouts, model->id);
        json_t *row = json_copy(model->json);
        json_object_set_new(row, "serves", service != NULL ? json_string(service) : json_null());
        json_array_append_new(rows, row);
    }
    http_reply_json(req, 200, rows);
}

static const struct http_route model_routes[] = {
    {.method = "GET", .path = "/api/models", .handler = model_list},
    {.method = "POST", .path = "/api/models", .handler = model_post},
    {.method = "DELETE", .path = "/api/models/{id}", .handler = model_delete},
};

void rollouts_model_add_routes(struct rollouts *rollouts)
{
    http_router_add(node_router(rollouts->node), model_routes, MEM_COUNT(model_routes), rollouts);
}
