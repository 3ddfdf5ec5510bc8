/* /api/tables: tables for programs, on any node. What they say of files comes from the log. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/str.h"
#include "role/api_json.h"
#include "role/tables_internal.h"

enum { TABLES_API_FILES_MAX = 100000, TABLES_API_HISTORY_MAX = 10000 };

/* A request that waits for a call. */
struct tables_request {
    struct tables *tables;
    struct http_request *req;
};

static struct tables_request *tables_request_new(struct tables *tables, struct http_request *req)
{
    struct tables_request *request = mem_zalloc(sizeof *request);
    request->tables = tables;
    request->req = req;
    return request;
}

static void tables_request_free(struct tables_request *request)
{
    free(request);
}

static void tables_request_fail(struct tables_request *request, int code, const char *text)
{
    struct error e;
    (void)error_set(&e, code, "%s", text);
    http_reply_failure(request->req, &e, NULL);
    tables_request_free(request);
}

static void tables_request_reply(struct tables_request *request, unsigned status, json_t *json)
{
    http_reply_json(request->req, status, json);
    tables_request_free(request);
}

/* ---- JSON -------------------------------------------------------------------------------------
 */

static json_t *tables_json_version(uint64_t version)
{
    return version == DELTA_NO_VERSION ? json_null() : json_integer((json_int_t)version);
}

static json_t *tables_json_table(const struct tables_table *table)
{
    char id[UUID_TEXT_MAX];
    return json_pack("{s:o, s:s, s:s, s:o, s:o, s:b, s:o, s:o, s:o}", "name",
                     api_json_text(table->name), "id", uuid_format(&table->id, id), "place",
                     table->place, "version", tables_json_version(table->version), "published",
                     tables_json_version(table->published), "owned", table->owned, "created_at",
                     api_json_time((uint64_t)table->created_ms), "changed_at",
                     api_json_time((uint64_t)table->changed_ms), "read_only",
                     table->broken[0] != '\0' ? json_string(table->broken) : json_null());
}

static json_t *tables_json_columns(const struct delta_metadata *metadata)
{
    json_t *columns = json_array();
    for (size_t i = 0; i < metadata->schema.n; i++) {
        const struct delta_field *field = &metadata->schema.fields[i];
        size_t partition = delta_metadata_partition(metadata, i);
        char *type = delta_type_duckdb(&field->type);
        json_array_append_new(
            columns,
            json_pack("{s:o, s:o, s:b, s:o}", "name", api_json_text(field->name), "type",
                      api_json_text(type), "nullable", field->nullable, "partition",
                      partition == SIZE_MAX ? json_null() : json_integer((json_int_t)partition)));
        free(type);
    }
    return columns;
}

static json_t *tables_json_view(const struct tables_result *result)
{
    const struct delta_view *view = result->view;
    uint64_t rows = 0;
    bool counted = delta_view_rows(view, &rows);
    json_t *json = tables_json_table(&result->tables[0]);
    json_object_set_new(json, "version", tables_json_version(delta_view_version(view)));
    json_object_set_new(json, "columns", tables_json_columns(delta_view_metadata(view)));
    json_object_set_new(json, "files", json_integer((json_int_t)delta_view_files(view)));
    json_object_set_new(json, "bytes", json_integer((json_int_t)delta_view_bytes(view)));
    json_object_set_new(json, "rows", counted ? json_integer((json_int_t)rows) : json_null());
    return json;
}

static json_t *tables_json_file(const struct delta_view *view, const struct delta_file *file)
{
    const struct delta_metadata *metadata = delta_view_metadata(view);
    json_t *values = json_object();
    for (size_t i = 0; i < metadata->partitions_n; i++) {
        const char *value = delta_file_partition(view, file, i);
        json_object_set_new(values, metadata->schema.fields[metadata->partitions[i]].name,
                            value != NULL ? api_json_text(value) : json_null());
    }
    return json_pack("{s:o, s:I, s:o, s:o, s:o}", "path", api_json_text(file->path), "bytes",
                     (json_int_t)file->size, "rows", tables_json_version(file->rows),
                     "partition_values", values, "modified_at",
                     api_json_time((uint64_t)file->modified_ms));
}

static json_t *tables_json_entry(const struct tables_entry *entry)
{
    return json_pack("{s:o, s:o, s:o, s:o, s:o, s:I, s:I, s:I, s:I}", "version",
                     tables_json_version(entry->version), "at",
                     api_json_time((uint64_t)entry->at_ms), "operation",
                     api_json_text(entry->operation), "user", api_json_text(entry->user), "txn_id",
                     api_json_text(entry->txn_id), "files_added", (json_int_t)entry->files_added,
                     "files_removed", (json_int_t)entry->files_removed, "rows_added",
                     (json_int_t)entry->rows_added, "bytes_added", (json_int_t)entry->bytes_added);
}

/* ---- reading ----------------------------------------------------------------------------------
 */

static void tables_api_on_list(void *arg, const struct tables_result *result)
{
    struct tables_request *request = arg;
    if (result->code < 0) {
        tables_request_fail(request, result->code, result->text);
        return;
    }
    json_t *json = json_array();
    for (size_t i = 0; i < result->tables_n; i++)
        json_array_append_new(json, tables_json_table(&result->tables[i]));
    tables_request_reply(request, 200, json);
}

static void tables_api_list(struct http_request *req, void *arg)
{
    struct tables *tables = arg;
    (void)tables_list(tables, tables_api_on_list, tables_request_new(tables, req));
}

static void tables_api_on_view(void *arg, const struct tables_result *result)
{
    struct tables_request *request = arg;
    if (result->code < 0) {
        tables_request_fail(request, result->code, result->text);
        return;
    }
    json_t *json = tables_json_view(result);
    delta_view_close(result->view);
    tables_request_reply(request, 200, json);
}

static void tables_api_on_files(void *arg, const struct tables_result *result)
{
    struct tables_request *request = arg;
    struct delta_file file;
    if (result->code < 0) {
        tables_request_fail(request, result->code, result->text);
        return;
    }
    if (delta_view_files(result->view) > TABLES_API_FILES_MAX) {
        delta_view_close(result->view);
        tables_request_fail(request, ERR_TOO_LARGE, "the table has too many files to list");
        return;
    }
    json_t *json = json_array();
    for (size_t at = 0; delta_view_next(result->view, &at, &file);)
        json_array_append_new(json, tables_json_file(result->view, &file));
    delta_view_close(result->view);
    tables_request_reply(request, 200, json);
}

/* Reads ?version= or ?at=; false after answering. */
static bool tables_api_when(struct http_request *req, uint64_t *version, int64_t *at_ms)
{
    const char *at = http_request_query(req, "at");
    struct error e = {0};
    *version = DELTA_NO_VERSION;
    *at_ms = 0;
    (void)http_request_query_u64(req, "version", 0, INT64_MAX, version, &e);
    if (e.code == 0 && at != NULL && clock_parse_rfc3339(at, at_ms) < 0)
        (void)error_set(&e, ERR_INVALID, "at: not a time like 2026-11-28T10:00:00Z");
    if (e.code < 0)
        http_reply_failure(req, &e, NULL);
    return e.code == 0;
}

static void tables_api_show(struct http_request *req, void *arg)
{
    struct tables *tables = arg;
    uint64_t version;
    int64_t at_ms;
    if (tables_api_when(req, &version, &at_ms))
        (void)tables_snapshot(tables, http_request_param(req, "table"), version, at_ms,
                              tables_api_on_view, tables_request_new(tables, req));
}

static void tables_api_files(struct http_request *req, void *arg)
{
    struct tables *tables = arg;
    uint64_t version;
    int64_t at_ms;
    if (tables_api_when(req, &version, &at_ms))
        (void)tables_snapshot(tables, http_request_param(req, "table"), version, at_ms,
                              tables_api_on_files, tables_request_new(tables, req));
}

static void tables_api_on_history(void *arg, const struct tables_result *result)
{
    struct tables_request *request = arg;
    if (result->code < 0) {
        tables_request_fail(request, result->code, result->text);
        return;
    }
    json_t *json = json_array();
    for (size_t i = 0; i < result->entries_n; i++)
        json_array_append_new(json, tables_json_entry(&result->entries[i]));
    tables_request_reply(request, 200, json);
}

static void tables_api_history(struct http_request *req, void *arg)
{
    struct tables *tables = arg;
    uint64_t limit = 100, before = DELTA_NO_VERSION;
    struct error e = {0};
    if (http_request_query_u64(req, "limit", 1, TABLES_API_HISTORY_MAX, &limit, &e) < 0 ||
        http_request_query_u64(req, "before", 0, INT64_MAX, &before, &e) < 0) {
        http_reply_failure(req, &e, NULL);
        return;
    }
    (void)tables_history(tables, http_request_param(req, "table"), before, (unsigned)limit,
                         tables_api_on_history, tables_request_new(tables, req));
}

/* ---- changing ---------------------------------------------------------------------------------
 */

static void tables_api_on_created(void *arg, const struct tables_result *result)
{
    struct tables_request *request = arg;
    if (result->code < 0)
        tables_request_fail(request, result->code, result->text);
    else if (result->tables_n == 0)
        tables_request_reply(request, 200, json_pack("{s:b}", "duplicate", true));
    else
        tables_request_reply(request, result->repeated ? 200 : 201,
                             tables_json_table(&result->tables[0]));
}

static int tables_api_schema(const json_t *columns, struct delta_schema *schema, struct error *e)
{
    size_t i;
    json_t *column;
    json_array_foreach(columns, i, column)
    {
        const char *name = NULL, *type = NULL;
        int nullable = 1;
        json_error_t error;
        if (json_unpack_ex(column, &error, JSON_STRICT, "{s:s, s:s, s?b}", "name", &name, "type",
                           &type, "nullable", &nullable) != 0)
            return error_set(e, ERR_INVALID, "columns[%zu]: wants name and type: %s", i,
                             error.text);
        int err = delta_schema_add(schema, name, type, nullable != 0, e);
        if (err < 0)
            return err;
    }
    return 0;
}

static int tables_api_create_from(const json_t *body, struct tables_create *create,
                                  struct delta_schema *schema, const char **partitions,
                                  struct error *e)
{
    json_t *columns = NULL, *by = NULL, *item;
    size_t i;
    int if_not_exists = 0;
    json_error_t error;
    if (json_unpack_ex((json_t *)(uintptr_t)body, &error, JSON_STRICT,
                       "{s:s, s?s, s?o, s?o, s?b, s?s}", "name", &create->name, "place",
                       &create->place, "columns", &columns, "partitioned_by", &by, "if_not_exists",
                       &if_not_exists, "idempotency_key", &create->txn_id) != 0)
        return error_set(e, ERR_INVALID, "%s", error.text);
    if ((columns != NULL && !json_is_array(columns)) || (by != NULL && !json_is_array(by)))
        return error_set(e, ERR_INVALID, "columns and partitioned_by are arrays");
    create->if_not_exists = if_not_exists != 0;
    json_array_foreach(by, i, item)
    {
        if (!json_is_string(item) || i >= DELTA_PARTITION_COLUMNS_MAX)
            return error_set(e, ERR_INVALID, "partitioned_by holds at most %d names of columns",
                             DELTA_PARTITION_COLUMNS_MAX);
        partitions[create->partitions_n++] = json_string_value(item);
    }
    create->partitions = partitions;
    int err = tables_api_schema(columns, schema, e);
    if (err == 0 && columns != NULL)
        create->schema = schema;
    return err;
}

static void tables_api_create(struct http_request *req, void *arg)
{
    struct tables *tables = arg;
    struct tables_create create = {.user = http_request_user(req)};
    struct delta_schema schema = {0};
    const char *partitions[DELTA_PARTITION_COLUMNS_MAX];
    struct error e;
    json_t *body = api_json_body(req);
    if (body == NULL)
        return;
    if (tables_api_create_from(body, &create, &schema, partitions, &e) < 0)
        http_reply_failure(req, &e, NULL);
    else
        (void)tables_create(tables, &create, tables_api_on_created,
                            tables_request_new(tables, req));
    delta_schema_done(&schema);
    json_decref(body);
}

static void tables_api_on_dropped(void *arg, const struct tables_result *result)
{
    struct tables_request *request = arg;
    if (result->code < 0)
        tables_request_fail(request, result->code, result->text);
    else
        tables_request_reply(request, 200, json_pack("{s:b}", "dropped", true));
}

static void tables_api_drop(struct http_request *req, void *arg)
{
    struct tables *tables = arg;
    (void)tables_drop(tables, http_request_param(req, "table"), http_request_user(req),
                      tables_api_on_dropped, tables_request_new(tables, req));
}

static void tables_api_on_committed(void *arg, const struct tables_result *result)
{
    struct tables_request *request = arg;
    if (result->code < 0)
        tables_request_fail(request, result->code, result->text);
    else
        tables_request_reply(request, result->repeated ? 200 : 201,
                             json_pack("{s:I, s:b}", "version", (json_int_t)result->version,
                                       "duplicate", result->repeated));
}

static void tables_api_commit(struct http_request *req, void *arg)
{
    struct tables *tables = arg;
    const char *id = http_request_param(req, "table");
    struct tables_commit commit = {.user = http_request_user(req)};
    struct error e = {0};
    uint64_t base = DELTA_NO_VERSION;
    (void)http_request_query_u64(req, "base", 0, INT64_MAX, &base, &e);
    commit.txn_id = http_request_query(req, "txn_id");
    commit.lines = http_request_body(req, &commit.lines_len);
    if (e.code == 0 && uuid_parse(id, &commit.table) < 0)
        (void)error_set(&e, ERR_INVALID, "%.100s: commits go to a table's id", id);
    if (e.code == 0 && (base == DELTA_NO_VERSION || commit.txn_id == NULL))
        (void)error_set(&e, ERR_INVALID,
                        "a commit needs ?base=VERSION, the one that was read, and ?txn_id=TEXT, "
                        "the same when it is repeated");
    if (e.code < 0) {
        http_reply_failure(req, &e, NULL);
        return;
    }
    commit.base = base;
    (void)tables_commit(tables, &commit, tables_api_on_committed, tables_request_new(tables, req));
}

static const struct http_route tables_routes[] = {
    {.method = "GET", .path = "/api/tables", .handler = tables_api_list},
    {.method = "POST", .path = "/api/tables", .handler = tables_api_create},
    {.method = "GET", .path = "/api/tables/{table}", .handler = tables_api_show},
    {.method = "DELETE", .path = "/api/tables/{table}", .handler = tables_api_drop},
    {.method = "GET", .path = "/api/tables/{table}/files", .handler = tables_api_files},
    {.method = "GET", .path = "/api/tables/{table}/history", .handler = tables_api_history},
    {.method = "POST",
     .path = "/api/tables/{table}/commits",
     .flags = HTTP_ROUTE_BYTES,
     .body_max = TABLES_ENTRY_BYTES_MAX,
     .handler = tables_api_commit},
};

void tables_api_add_routes(struct tables *tables)
{
    http_router_add(node_router(tables->node), tables_routes, MEM_COUNT(tables_routes), tables);
}
