#include "role/files_index.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/uuid.h"
#include "role/api_json.h"
#include "role/changes.h"
#include "role/node.h"
#include "role/state.h"
#include "run/state_query.h"

enum { FILES_INDEX_HOLDERS_MAX = 16, FILES_INDEX_NAME_MAX = 255 };

struct files_index_read {
    struct http_request *req;
    char *id;
    Wire__FileRow *row;
};

static void files_index_on_written(void *arg, int code, const struct state_result *result)
{
    struct http_request *req = arg;
    struct error e;
    (void)result;
    if (code == 0) {
        http_reply_json(req, 201, json_object());
        return;
    }
    (void)error_set(&e, code == ERR_NOT_LEADER ? ERR_NO_LEADER : code, "%s", err_text(code));
    http_reply_failure(req, &e, NULL);
}

static int files_index_parse(const json_t *body, Wire__FileRow *row, uint64_t *holders,
                             struct error *e)
{
    const char *id = NULL;
    const char *name = NULL;
    const char *xxh = NULL;
    const char *user = "";
    json_int_t bytes = -1;
    json_t *list = NULL;
    struct uuid uuid;
    if (json_unpack((json_t *)(uintptr_t)body, "{s:s, s:s, s:I, s:s, s:o, s?s}", "id", &id, "name",
                    &name, "bytes", &bytes, "xxh", &xxh, "holders", &list, "user", &user) != 0 ||
        uuid_parse(id, &uuid) < 0 || bytes < 0 || strlen(name) > FILES_INDEX_NAME_MAX ||
        !json_is_array(list) || json_array_size(list) > FILES_INDEX_HOLDERS_MAX)
        return error_set(e, ERR_INVALID, "malformed description of a file");
    row->id = (char *)(uintptr_t)id;
    row->name = (char *)(uintptr_t)name;
    row->xxh = (char *)(uintptr_t)xxh;
    row->user = (char *)(uintptr_t)user;
    row->bytes = (uint64_t)bytes;
    row->holders = holders;
    row->n_holders = json_array_size(list);
    for (size_t i = 0; i < row->n_holders; i++)
        holders[i] = (uint64_t)json_integer_value(json_array_get(list, i));
    return 0;
}

static void files_index_put(struct http_request *req, void *arg)
{
    struct node *node = arg;
    struct error e;
    Wire__FileRow row = WIRE__FILE_ROW__INIT;
    uint64_t holders[FILES_INDEX_HOLDERS_MAX];
    if (!node_serves(node, req, files_index_put, node))
        return;
    json_t *body = api_json_body(req);
    if (body == NULL)
        return;
    if (files_index_parse(body, &row, holders, &e) < 0) {
        http_reply_failure(req, &e, NULL);
    } else {
        Wire__Change change = WIRE__CHANGE__INIT;
        row.created_ms = (uint64_t)loop_wall_ms(node_loop(node));
        change.of_case = WIRE__CHANGE__OF_FILE;
        change.file = &row;
        changes_add(node_replica(node)->changes, &change, files_index_on_written, req);
    }
    json_decref(body);
}

static int files_index_query(sqlite3 *db, void *arg)
{
    struct files_index_read *read = arg;
    return state_query_file(db, read->id, &read->row);
}

static void files_index_on_read(void *arg, int code)
{
    struct files_index_read *read = arg;
    struct error e;
    if (code < 0) {
        (void)error_set(&e, code == ERR_NOT_LEADER ? ERR_NO_LEADER : code, "%s",
                        code == ERR_NOT_FOUND ? "there is no such file" : err_text(code));
        http_reply_failure(read->req, &e, NULL);
    } else {
        json_t *holders = json_array();
        for (size_t i = 0; i < read->row->n_holders; i++)
            json_array_append_new(holders, json_integer((json_int_t)read->row->holders[i]));
        http_reply_json(read->req, 200,
                        json_pack("{s:s, s:o, s:I, s:s, s:o, s:o}", "id", read->row->id, "name",
                                  api_json_text(read->row->name), "bytes",
                                  (json_int_t)read->row->bytes, "xxh", read->row->xxh, "holders",
                                  holders, "created_at", api_json_time(read->row->created_ms)));
        wire__file_row__free_unpacked(read->row, NULL);
    }
    free(read->id);
    free(read);
}

static void files_index_get(struct http_request *req, void *arg)
{
    struct node *node = arg;
    if (!node_serves(node, req, files_index_get, node))
        return;
    struct files_index_read *read = mem_zalloc(sizeof *read);
    read->req = req;
    read->id = mem_strdup(http_request_param(req, "id"));
    state_read(node_replica(node)->state, STATE_LINEARIZABLE, files_index_query,
               files_index_on_read, read);
}

static const struct http_route files_index_routes[] = {
    {.method = "POST", .path = "/api/internal/files", .handler = files_index_put},
    {.method = "GET", .path = "/api/internal/files/{id}", .handler = files_index_get},
};

void files_index_add_routes(struct node *node)
{
    http_router_add(node_router(node), files_index_routes, MEM_COUNT(files_index_routes), node);
}
