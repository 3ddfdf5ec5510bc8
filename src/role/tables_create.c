/* Making and dropping tables.
 *
 * Happy path of making one: its place is looked at; where there is no log, entry 0 is put together
 * here and goes to the leader; where there is one, it is read to its end and the table is
 * registered at that version. Dropping asks for the table's id first, so that a repetition never
 * drops a namesake. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "core/delta_commit.h"
#include "role/tables_internal.h"
#include "wire/lake_path.h"

/* ---- entry 0 ----------------------------------------------------------------------------------
 */

static int tables_create_partitions(const struct tables_create *create,
                                    struct delta_metadata *metadata, struct error *e)
{
    if (create->partitions_n > DELTA_PARTITION_COLUMNS_MAX)
        return error_set(e, ERR_INVALID, "a table has at most %d partition columns",
                         DELTA_PARTITION_COLUMNS_MAX);
    metadata->partitions = mem_calloc(create->partitions_n + 1, sizeof *metadata->partitions);
    for (size_t i = 0; i < create->partitions_n; i++) {
        size_t column = delta_schema_find(create->schema, create->partitions[i]);
        char *ignored = NULL;
        if (column == SIZE_MAX)
            return error_set(e, ERR_NOT_FOUND, "there is no column \"%.100s\" to partition by",
                             create->partitions[i]);
        if (delta_partition_format(&create->schema->fields[column].type, NULL, &ignored, NULL) < 0)
            return error_set(e, ERR_UNSUPPORTED,
                             "a table cannot be partitioned by column \"%.100s\": its type has no "
                             "plain text",
                             create->partitions[i]);
        if (delta_metadata_partition(metadata, column) != SIZE_MAX)
            return error_set(e, ERR_INVALID, "\"%.100s\" partitions the table twice",
                             create->partitions[i]);
        metadata->partitions[metadata->partitions_n++] = column;
    }
    if (create->partitions_n >= create->schema->n)
        return error_set(e, ERR_INVALID, "a table needs a column that it is not partitioned by");
    return 0;
}

static int tables_create_lines(const struct tables_call *call, const struct tables_create *create,
                               const char *id, struct buf *b, struct error *e)
{
    const struct node_options *options = node_options(call->tables->node);
    struct delta_metadata metadata = {.id = (char *)(uintptr_t)id,
                                      .name = call->create->name,
                                      .schema = *create->schema,
                                      .properties =
                                          (struct delta_property *)(uintptr_t)create->properties,
                                      .properties_n = create->properties_n};
    char *engine = mem_printf("clusterd/%s", options->version);
    metadata.created_ms = loop_wall_ms(node_loop(call->tables->node));
    struct delta_commit_info info = {.at_ms = metadata.created_ms,
                                     .operation = call->create->operation,
                                     .user = create->user,
                                     .engine = engine,
                                     .txn_id = call->create->txn_id,
                                     .read_version = DELTA_NO_VERSION};
    int err = tables_create_partitions(create, &metadata, e);
    if (err == 0 && (delta_write_info(b, &info) < 0 || delta_write_protocol(b, create->schema) < 0))
        err = error_set(e, ERR_TOO_LARGE, "the table's columns are too many");
    size_t begin = b->len;
    if (err == 0 && delta_write_metadata(b, &metadata) < 0)
        err = error_set(e, ERR_TOO_LARGE, "the table's columns are too many");
    if (err == 0) {
        call->create->metadata = mem_strndup((const char *)b->data + begin, b->len - begin - 1);
    }
    if (err == 0 && create->lines_len > 0 && buf_append(b, create->lines, create->lines_len) < 0)
        err = error_set(e, ERR_TOO_LARGE, "the statement makes too many files at once");
    free(metadata.partitions);
    free(engine);
    return err;
}

/* What the history tells of the files that it has from the beginning. */
static int tables_create_count(struct tables_call *call, const struct tables_create *create,
                               struct error *e)
{
    struct delta_change change;
    if (create->lines_len == 0)
        return 0;
    int err = delta_change_parse(create->lines, create->lines_len, &change, e);
    if (err < 0)
        return err;
    call->create->files_added = (uint32_t)change.added_n;
    call->create->rows_added = change.rows_added;
    call->create->bytes_added = change.bytes_added;
    delta_change_done(&change);
    return 0;
}

static int tables_create_check(const struct tables_create *create, struct error *e)
{
    const char *name = create->name;
    size_t len = strlen(name);
    if (len == 0 || len > TABLES_NAME_BYTES_MAX || !str_is_utf8(name, len))
        return error_set(e, ERR_INVALID, "a table's name has 1 to %d bytes of UTF-8",
                         TABLES_NAME_BYTES_MAX);
    if (strncasecmp(name, "cluster.", 8) == 0)
        return error_set(e, ERR_INVALID, "%.200s: the schema \"cluster\" is the cluster's own",
                         name);
    if (create->schema == NULL && create->place == NULL)
        return error_set(e, ERR_INVALID, "a table needs columns, or a place that holds one");
    if (create->schema != NULL && create->schema->n == 0)
        return error_set(e, ERR_INVALID, "a table needs at least one column");
    return 0;
}

/* ---- making -----------------------------------------------------------------------------------
 */

static void tables_create_on_reply(void *arg, int code, const char *text,
                                   const Wire__CatalogReply *reply)
{
    struct tables_call *call = arg;
    call->catalog = NULL;
    if (code == ERR_EXISTS && call->may_exist) {
        tables_call_end(call, &(struct tables_result){.repeated = true});
        return;
    }
    if (code < 0) {
        tables_call_fail(call, code, text);
        return;
    }
    struct tables_table table = {.name = call->create->name,
                                 .place = call->create->place,
                                 .version = reply->version,
                                 .published = DELTA_NO_VERSION,
                                 .broken = "",
                                 .owned = call->create->owned};
    memcpy(table.id.bytes, call->create->id.data, sizeof table.id.bytes);
    tables_call_end(call, &(struct tables_result){.tables = &table,
                                                  .tables_n = 1,
                                                  .version = reply->version,
                                                  .repeated = reply->again});
}

static void tables_create_ask(struct tables_call *call)
{
    Wire__CatalogRequest request = WIRE__CATALOG_REQUEST__INIT;
    request.create = call->create;
    tables_call_ask(call, &request, tables_create_on_reply);
}

static void tables_create_on_loaded(void *arg, int code, const char *text, struct delta_log *log)
{
    struct tables_call *call = arg;
    struct delta_view *view = NULL;
    struct buf b;
    call->load = NULL;
    if (code < 0) {
        tables_call_fail(call, code, text);
        return;
    }
    buf_init(&b, DELTA_SCHEMA_BYTES_MAX);
    int err = delta_view_open(log, DELTA_NO_VERSION, &view, NULL);
    if (err == 0)
        err = delta_write_metadata(&b, delta_view_metadata(view));
    if (err == 0) {
        call->create->registered = true;
        call->create->version = delta_log_version(log);
        call->create->metadata = mem_strndup((const char *)b.data, b.len - 1);
    }
    delta_view_close(view);
    delta_log_free(log);
    buf_done(&b);
    if (err < 0)
        tables_call_fail(call, err, err_text(err));
    else
        tables_create_ask(call);
}

/* Whether the place holds a log. */
static void tables_create_on_listed(void *arg, const struct object_result *result)
{
    struct tables_call *call = arg;
    struct error e;
    call->object = NULL;
    bool found = result->entries_n > 0;
    if (result->code < 0) {
        tables_call_fail(call, result->code, result->text);
    } else if (found && call->has_schema) {
        (void)error_set(&e, ERR_EXISTS,
                        "%.300s holds a table already: leave the columns out to take it as it is",
                        call->create->place);
        tables_call_fail(call, e.code, e.text);
    } else if (!found && !call->has_schema) {
        (void)error_set(&e, ERR_NOT_FOUND, "%.300s holds no Delta table: there is no %s",
                        call->create->place, LAKE_LOG_DIR);
        tables_call_fail(call, e.code, e.text);
    } else if (found) {
        call->load = tables_load_start(call->tables, call->create->place, DELTA_NO_VERSION,
                                       tables_create_on_loaded, call);
    } else {
        tables_create_ask(call);
    }
}

static int tables_create_fill(struct tables_call *call, const struct tables_create *create,
                              struct error *e)
{
    Wire__TableCreate *row = call->create;
    struct uuid id;
    char text[UUID_TEXT_MAX], txn[UUID_TEXT_MAX];
    struct buf b;
    if (create->id != NULL)
        id = *create->id;
    else
        uuid_generate(&id);
    row->id.len = sizeof id.bytes;
    row->id.data = mem_dup(id.bytes, sizeof id.bytes);
    row->name = tables_name(create->name);
    row->user = mem_strdup(create->user != NULL ? create->user : "");
    row->operation = mem_strdup(create->operation != NULL ? create->operation : "CREATE TABLE");
    row->owned = create->place == NULL;
    if (create->txn_id == NULL) {
        struct uuid random;
        uuid_generate(&random);
        row->txn_id = mem_strdup(uuid_format(&random, txn));
    } else {
        row->txn_id = mem_strdup(create->txn_id);
    }
    int err = tables_create_check(create, e);
    if (err == 0)
        err = tables_create_count(call, create, e);
    struct lake_url url;
    if (err == 0 && create->place == NULL) {
        row->place = lake_table_place(call->tables->place, row->name, &id);
    } else if (err == 0 && (err = lake_url_parse(create->place, &url, e)) == 0) {
        row->place = lake_url_format(&url);
        lake_url_done(&url);
    }
    if (err < 0 || create->schema == NULL)
        return err;
    buf_init(&b, TABLES_ENTRY_BYTES_MAX);
    err = tables_create_lines(call, create, uuid_format(&id, text), &b, e);
    row->entry.len = b.len;
    row->entry.data = (uint8_t *)buf_steal(&b, NULL);
    return err;
}

struct tables_call *tables_create(struct tables *tables, const struct tables_create *create,
                                  tables_done_fn fn, void *arg)
{
    struct tables_call *call = tables_call_new(tables, fn, arg);
    struct error e;
    call->create = mem_zalloc(sizeof *call->create);
    wire__table_create__init(call->create);
    call->has_schema = create->schema != NULL;
    call->may_exist = create->if_not_exists;
    if (tables->stopping) {
        tables_call_fail_later(call, ERR_CLOSED, "this node is stopping");
    } else if (tables_create_fill(call, create, &e) < 0) {
        tables_call_fail_later(call, e.code, e.text);
    } else if (call->create->owned && str_starts_with(call->create->place, "file:")) {
        tables_create_ask(call);
    } else { /* a bucket says here whether it can be used */
        struct object_request request = {.verb = OBJECT_LIST,
                                         .place = call->create->place,
                                         .key = LAKE_LOG_DIR,
                                         .limit = 1,
                                         .on_done = tables_create_on_listed,
                                         .arg = call};
        call->object = object_store_call(tables->objects, &request);
    }
    return call;
}

/* ---- dropping ---------------------------------------------------------------------------------
 */

static void tables_drop_on_dropped(void *arg, int code, const char *text,
                                   const Wire__CatalogReply *reply)
{
    struct tables_call *call = arg;
    (void)reply;
    call->catalog = NULL;
    if (code < 0 && code != ERR_NOT_FOUND) {
        tables_call_fail(call, code, text);
        return;
    }
    struct tables_cached *cached = tables_cached_get(call->tables, &call->id);
    if (cached != NULL && !cached->loading)
        tables_cached_drop(call->tables, cached);
    if (call->owned && lake_url_contains(call->tables->place, call->place)) {
        struct object_request request = {
            .verb = OBJECT_DELETE_PREFIX, .place = call->place, .key = ""};
        (void)object_store_call(call->tables->objects, &request);
    }
    tables_call_end(call, &(struct tables_result){.code = 0});
}

static void tables_drop_on_found(void *arg, int code, const char *text,
                                 const Wire__CatalogReply *reply)
{
    struct tables_call *call = arg;
    call->catalog = NULL;
    if (code < 0 || reply->n_tables != 1) {
        tables_call_fail(call, code < 0 ? code : ERR_PROTOCOL, code < 0 ? text : "no table");
        return;
    }
    Wire__CatalogRequest request = WIRE__CATALOG_REQUEST__INIT;
    Wire__TableDrop drop = WIRE__TABLE_DROP__INIT;
    struct tables_table table;
    tables_table_of(reply->tables[0], &table);
    call->id = table.id;
    call->owned = table.owned;
    call->place = mem_strdup(table.place);
    drop.id.data = call->id.bytes;
    drop.id.len = sizeof call->id.bytes;
    drop.name = call->name;
    drop.place = call->place;
    drop.user = call->user;
    request.drop = &drop;
    tables_call_ask(call, &request, tables_drop_on_dropped);
}

struct tables_call *tables_drop(struct tables *tables, const char *name, const char *user,
                                tables_done_fn fn, void *arg)
{
    struct tables_call *call = tables_call_new(tables, fn, arg);
    Wire__CatalogRequest request = WIRE__CATALOG_REQUEST__INIT;
    Wire__CatalogRead read = WIRE__CATALOG_READ__INIT;
    call->name = tables_name(name);
    call->user = mem_strdup(user != NULL ? user : "");
    read.name = call->name;
    read.from = INT64_MAX;
    request.read = &read;
    if (tables->stopping)
        tables_call_fail_later(call, ERR_CLOSED, "this node is stopping");
    else
        tables_call_ask(call, &request, tables_drop_on_found);
    return call;
}
