/* /api/kv: small values under names, each with a version for compare-and-set; /api/audit: what
 * operators did. Changes are decided where they are applied, so a condition needs no round trip. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "role/api_json.h"
#include "role/changes.h"
#include "role/node.h"
#include "role/state.h"
#include "role/status_api.h"
#include "run/state_query.h"

#define KV_OWN_PREFIX "clusterd."

enum { KV_KEY_MAX = 512, KV_VALUE_MAX = 64 * 1024, KV_LIST_MAX = 10000 };

struct kv_request {
    struct node *node;
    struct http_request *req;
    char *key;
    struct state_query_value value;
    uint64_t limit;
    json_t *rows;
};

static struct kv_request *kv_request_new(struct node *node, struct http_request *req,
                                         const char *key)
{
    struct kv_request *kv = mem_zalloc(sizeof *kv);
    kv->node = node;
    kv->req = req;
    kv->key = mem_strdup(key);
    return kv;
}

static void kv_request_free(struct kv_request *kv)
{
    free(kv->value.data);
    free(kv->key);
    free(kv);
}

static void kv_fail(struct kv_request *kv, int code, const char *text)
{
    struct error e;
    (void)error_set(&e, code == ERR_NOT_LEADER ? ERR_NO_LEADER : code, "%s", text);
    http_reply_failure(kv->req, &e, NULL);
    kv_request_free(kv);
}

static void kv_set_etag(struct http_request *req, uint64_t version)
{
    char etag[32];
    (void)snprintf(etag, sizeof etag, "\"%" PRIu64 "\"", version);
    http_reply_header(req, "ETag", etag);
}

/* ---- changes --------------------------------------------------------------------------------- */

static void kv_on_changed(void *arg, int code, const struct state_result *result)
{
    struct kv_request *kv = arg;
    char text[128];
    if (code < 0 || result == NULL) {
        kv_fail(kv, code < 0 ? code : ERR_INTERNAL, err_text(code));
    } else if (result->code == ERR_CONFLICT) {
        (void)snprintf(text, sizeof text, "the key has version %" PRIu64, result->version);
        kv_fail(kv, ERR_CONFLICT, text);
    } else if (result->code < 0) {
        kv_fail(kv, result->code, "there is no such key");
    } else {
        size_t len;
        json_t *body =
            json_pack("{s:s, s:I}", "key", kv->key, "version", (json_int_t)result->version);
        char *json = json_dumps(body, JSON_COMPACT);
        len = strlen(json);
        json_decref(body);
        kv_set_etag(kv->req, result->version);
        http_reply_take(kv->req, 200, "application/json", json, len);
        kv_request_free(kv);
    }
}

/* The key of the path and ?if_version=; false after answering. */
static bool kv_read_target(struct http_request *req, const char **key, bool *conditional,
                           uint64_t *version)
{
    struct error e = {0};
    *key = http_request_param(req, "key");
    *version = UINT64_MAX;
    if (strlen(*key) > KV_KEY_MAX || !str_is_utf8(*key, strlen(*key)))
        (void)error_set(&e, ERR_INVALID, "a key is UTF-8 of at most %d bytes", KV_KEY_MAX);
    else if (str_starts_with(*key, "clusterd/"))
        (void)error_set(&e, ERR_FORBIDDEN, "keys that begin with clusterd/ are the cluster's own");
    else
        (void)http_request_query_u64(req, "if_version", 0, INT64_MAX, version, &e);
    *conditional = *version != UINT64_MAX;
    if (e.code < 0)
        http_reply_failure(req, &e, NULL);
    return e.code == 0;
}

static void kv_put(struct http_request *req, void *arg)
{
    struct node *node = arg;
    Wire__KvPut put = WIRE__KV_PUT__INIT;
    const char *key;
    bool conditional;
    uint64_t version;
    size_t len;
    if (!node_serves(node, req, kv_put, node) || !kv_read_target(req, &key, &conditional, &version))
        return;
    put.key = (char *)(uintptr_t)key;
    put.value.data = (uint8_t *)(uintptr_t)http_request_body(req, &len);
    put.value.len = len;
    put.conditional = conditional;
    put.if_version = conditional ? version : 0;
    Wire__Change change = WIRE__CHANGE__INIT;
    change.of_case = WIRE__CHANGE__OF_KV_PUT;
    change.kv_put = &put;
    changes_add(node_replica(node)->changes, &change, kv_on_changed,
                kv_request_new(node, req, key));
}

static void kv_delete(struct http_request *req, void *arg)
{
    struct node *node = arg;
    Wire__KvDelete request = WIRE__KV_DELETE__INIT;
    const char *key;
    bool conditional;
    uint64_t version;
    if (!node_serves(node, req, kv_delete, node) ||
        !kv_read_target(req, &key, &conditional, &version))
        return;
    request.key = (char *)(uintptr_t)key;
    request.conditional = conditional;
    request.if_version = conditional ? version : 0;
    Wire__Change change = WIRE__CHANGE__INIT;
    change.of_case = WIRE__CHANGE__OF_KV_DELETE;
    change.kv_delete = &request;
    changes_add(node_replica(node)->changes, &change, kv_on_changed,
                kv_request_new(node, req, key));
}

/* ---- reads ----------------------------------------------------------------------------------- */

static int kv_get_query(sqlite3 *db, void *arg)
{
    struct kv_request *kv = arg;
    return state_query_kv(db, kv->key, &kv->value);
}

static void kv_on_got(void *arg, int code)
{
    struct kv_request *kv = arg;
    if (code < 0) {
        kv_fail(kv, code, code == ERR_NOT_FOUND ? "there is no such key" : err_text(code));
        return;
    }
    kv_set_etag(kv->req, kv->value.version);
    http_reply(kv->req, 200, "application/octet-stream", kv->value.data, kv->value.len);
    kv_request_free(kv);
}

static void kv_get(struct http_request *req, void *arg)
{
    struct node *node = arg;
    if (node_serves(node, req, kv_get, node))
        state_read(node_replica(node)->state, STATE_LINEARIZABLE, kv_get_query, kv_on_got,
                   kv_request_new(node, req, http_request_param(req, "key")));
}

/* Keys of the nodes themselves are listed only to who asks for them. */
static void kv_hide_own(struct kv_request *kv)
{
    if (str_starts_with(kv->key, KV_OWN_PREFIX))
        return;
    size_t i = 0;
    while (i < json_array_size(kv->rows)) {
        const char *key = json_string_value(json_object_get(json_array_get(kv->rows, i), "key"));
        if (key != NULL && str_starts_with(key, KV_OWN_PREFIX))
            (void)json_array_remove(kv->rows, i);
        else
            i++;
    }
}

static int kv_list_query(sqlite3 *db, void *arg)
{
    struct kv_request *kv = arg;
    int err = state_query_kv_list(db, kv->key, (unsigned)kv->limit, &kv->rows);
    if (err == 0)
        kv_hide_own(kv);
    return err;
}

static int kv_audit_query(sqlite3 *db, void *arg)
{
    struct kv_request *kv = arg;
    return state_query_audit(db, (unsigned)kv->limit, &kv->rows);
}

static void kv_on_rows(void *arg, int code)
{
    struct kv_request *kv = arg;
    if (code < 0) {
        json_decref(kv->rows);
        kv_fail(kv, code, err_text(code));
        return;
    }
    http_reply_json(kv->req, 200, kv->rows);
    kv_request_free(kv);
}

static void kv_read_rows(struct node *node, struct http_request *req, const char *prefix,
                         state_db_query_fn query)
{
    struct error e;
    uint64_t limit = 1000;
    if (http_request_query_u64(req, "limit", 1, KV_LIST_MAX, &limit, &e) < 0) {
        http_reply_failure(req, &e, NULL);
        return;
    }
    struct kv_request *kv = kv_request_new(node, req, prefix != NULL ? prefix : "");
    kv->limit = limit;
    state_read(node_replica(node)->state, STATE_LINEARIZABLE, query, kv_on_rows, kv);
}

static void kv_list(struct http_request *req, void *arg)
{
    if (node_serves(arg, req, kv_list, arg))
        kv_read_rows(arg, req, http_request_query(req, "prefix"), kv_list_query);
}

static void kv_audit(struct http_request *req, void *arg)
{
    if (node_serves(arg, req, kv_audit, arg))
        kv_read_rows(arg, req, NULL, kv_audit_query);
}

static const struct http_route kv_routes[] = {
    {.method = "GET", .path = "/api/kv", .handler = kv_list},
    {.method = "GET", .path = "/api/kv/{key}", .handler = kv_get},
    {.method = "PUT",
     .path = "/api/kv/{key}",
     .flags = HTTP_ROUTE_BYTES,
     .body_max = KV_VALUE_MAX,
     .handler = kv_put},
    {.method = "DELETE", .path = "/api/kv/{key}", .handler = kv_delete},
    {.method = "GET", .path = "/api/audit", .handler = kv_audit},
};

void kv_api_add_routes(struct node *node)
{
    http_router_add(node_router(node), kv_routes, MEM_COUNT(kv_routes), node);
}
