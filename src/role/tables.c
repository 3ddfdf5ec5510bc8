/* Happy path of the role: it opens the object store, answers CatalogRequests where this node leads,
 * and keeps the logs of tables that were read, so that the next reader asks for what is new alone.
 */
#include "role/tables.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/log.h"
#include "base/mem.h"
#include "role/tables_internal.h"
#include "run/executor.h"
#include "wire/lake_path.h"

static const struct log_about tables_log = {.role = "tables"};

/* ---- calls ------------------------------------------------------------------------------------
 */

static void tables_call_on_timer(void *arg)
{
    struct tables_call *call = arg;
    call->step(call);
}

struct tables_call *tables_call_new(struct tables *tables, tables_done_fn fn, void *arg)
{
    struct tables_call *call = mem_zalloc(sizeof *call);
    call->tables = tables;
    call->fn = fn;
    call->arg = arg;
    call->version = DELTA_NO_VERSION;
    loop_timer_init(&call->timer, node_loop(tables->node), tables_call_on_timer, call);
    TAILQ_INSERT_TAIL(&tables->calls, call, link);
    return call;
}

static void tables_call_free(struct tables_call *call)
{
    if (call->catalog != NULL)
        catalog_call_cancel(call->catalog);
    if (call->load != NULL)
        tables_load_cancel(call->load);
    if (call->when != NULL)
        tables_when_cancel(call->when);
    if (call->loads)
        tables_snapshot_load_ended(call->tables, &call->id);
    if (call->object != NULL)
        object_call_cancel(call->object);
    loop_timer_stop(&call->timer);
    TAILQ_REMOVE(&call->tables->calls, call, link);
    for (size_t i = 0; i < call->list_n; i++) {
        free((char *)(uintptr_t)call->list[i].name);
        free((char *)(uintptr_t)call->list[i].place);
        free((char *)(uintptr_t)call->list[i].broken);
    }
    free(call->list);
    free(call->entries);
    if (call->create != NULL)
        wire__table_create__free_unpacked(call->create, NULL);
    free(call->name);
    free(call->place);
    free(call->user);
    free(call);
}

void tables_call_end(struct tables_call *call, const struct tables_result *result)
{
    tables_done_fn fn = call->fn;
    void *arg = call->arg;
    struct tables_result copy = *result;
    call->fn = NULL;
    if (copy.text == NULL)
        copy.text = "";
    fn(arg, &copy);
    tables_call_free(call);
}

void tables_call_fail(struct tables_call *call, int code, const char *text)
{
    struct error e;
    (void)error_set(&e, code, "%s", text);
    tables_call_end(call, &(struct tables_result){.code = code, .text = e.text});
}

static void tables_call_step_fail(struct tables_call *call)
{
    tables_call_end(call,
                    &(struct tables_result){.code = call->error.code, .text = call->error.text});
}

void tables_call_fail_later(struct tables_call *call, int code, const char *text)
{
    (void)error_set(&call->error, code, "%s", text);
    call->step = tables_call_step_fail;
    loop_timer_start(&call->timer, 0);
}

void tables_cancel(struct tables_call *call)
{
    tables_call_free(call);
}

char *tables_name(const char *name)
{
    return mem_strdup(strncasecmp(name, "main.", 5) == 0 ? name + 5 : name);
}

void tables_call_ask(struct tables_call *call, const Wire__CatalogRequest *request,
                     catalog_call_fn fn)
{
    assert(call->catalog == NULL);
    call->catalog = catalog_call_start(call->tables->node, request, fn, call);
}

void tables_table_of(const Wire__CatalogTable *row, struct tables_table *table)
{
    *table = (struct tables_table){
        .name = row->name,
        .place = row->place,
        .version = row->version,
        .published = row->published,
        .broken = row->broken,
        .owned = row->owned,
        .created_ms = (int64_t)row->created_ms,
        .changed_ms = (int64_t)row->changed_ms,
    };
    if (row->id.len == sizeof table->id.bytes)
        memcpy(table->id.bytes, row->id.data, sizeof table->id.bytes);
}

/* ---- logs that were read ----------------------------------------------------------------------
 */

struct tables_cached *tables_cached_get(struct tables *tables, const struct uuid *id)
{
    struct tables_cached *cached;
    HASH_FIND(hh, tables->cache, id->bytes, sizeof id->bytes, cached);
    return cached;
}

struct tables_cached *tables_cached_named(struct tables *tables, const char *name)
{
    struct tables_cached *cached;
    for (cached = tables->cache; cached != NULL; cached = cached->hh.next)
        if (strcasecmp(cached->name, name) == 0)
            return cached;
    return NULL;
}

struct tables_cached *tables_cached_put(struct tables *tables, const Wire__CatalogTable *row)
{
    struct tables_table table;
    tables_table_of(row, &table);
    struct tables_cached *cached = tables_cached_get(tables, &table.id);
    if (cached == NULL) {
        struct tables_cached *old = tables_cached_named(tables, row->name);
        if (old != NULL && !old->loading) /* dropped, and made anew */
            tables_cached_drop(tables, old);
        cached = mem_zalloc(sizeof *cached);
        cached->id = table.id;
        cached->name = mem_strdup(row->name);
        cached->place = mem_strdup(row->place);
        HASH_ADD(hh, tables->cache, id, sizeof cached->id, cached);
    }
    cached->used = ++tables->uses;
    return cached;
}

void tables_cached_set(struct tables *tables, struct tables_cached *cached, struct delta_log *log)
{
    delta_log_free(cached->log);
    cached->log = log;
    cached->trimmed = delta_log_version(log);
    tables_cache_trim(tables);
}

void tables_cached_drop(struct tables *tables, struct tables_cached *cached)
{
    HASH_DEL(tables->cache, cached);
    delta_log_free(cached->log);
    free(cached->name);
    free(cached->place);
    free(cached);
}

void tables_cache_trim(struct tables *tables)
{
    for (;;) {
        struct tables_cached *oldest = NULL, *cached;
        size_t bytes = 0, n = 0;
        for (cached = tables->cache; cached != NULL; cached = cached->hh.next) {
            bytes += cached->log != NULL ? delta_log_bytes(cached->log) : 0;
            n += cached->log != NULL;
            if (cached->log != NULL && !cached->loading &&
                (oldest == NULL || cached->used < oldest->used))
                oldest = cached;
        }
        if (bytes <= TABLES_CACHE_BYTES_MAX || n < 2 || oldest == NULL)
            return;
        tables_cached_drop(tables, oldest);
    }
}

/* ---- the role ---------------------------------------------------------------------------------
 */

static void tables_on_grown(void *arg, const uint8_t id[16])
{
    struct tables *tables = arg;
    tables_publish_wake(tables->publish, id);
}

/* NULL: from the environment. */
static const char *tables_option(const char *text)
{
    return text != NULL && text[0] != '\0' ? text : NULL;
}

static int tables_open_store(struct tables *tables, struct error *e)
{
    struct node *node = tables->node;
    const struct node_options *options = node_options(node);
    struct object_store_options object_options = {
        .loop = node_loop(node),
        .http = node_http(node),
        .s3 = {.endpoint = tables_option(options->s3_endpoint),
               .region = tables_option(options->s3_region),
               .credentials_path = tables_option(options->s3_credentials),
               .access_key = tables_option(options->s3_access_key),
               .secret_key = tables_option(options->s3_secret_key)}};
    const char *place = options->lake_place;
    tables->objects = object_store_new(&object_options);
    char *own = mem_printf("file:%s/lake", options->data_dir);
    struct lake_url url;
    int err = lake_url_parse(place != NULL && place[0] != '\0' ? place : own, &url, e);
    free(own);
    if (err < 0)
        return err;
    tables->place = lake_url_format(&url);
    lake_url_done(&url);
    for (size_t i = 0; i < options->sql_paths_n; i++) {
        struct error why;
        bool is_folder = options->sql_paths[i][0] == '/';
        char *path = mem_printf("%s%s", is_folder ? "file:" : "", options->sql_paths[i]);
        if (object_store_allow(tables->objects, path, &why) < 0)
            log_warn(&tables_log, "sql.paths: %s", why.text);
        free(path);
    }
    return object_store_allow(tables->objects, tables->place, e);
}

/* This node is stopping: no call and no checkpoint is under way any more, and none begins. */
static void tables_end_calls(void *arg)
{
    struct tables *tables = arg;
    struct tables_call *call;
    tables->stopping = true;
    tables_publish_active(tables->publish, false);
    while ((call = TAILQ_FIRST(&tables->calls)) != NULL)
        tables_call_fail(call, ERR_CLOSED, "this node is stopping");
}

static int tables_start(struct node *node, void **self, struct error *e)
{
    struct tables *tables = mem_zalloc(sizeof *tables);
    tables->node = node;
    TAILQ_INIT(&tables->calls);
    *self = tables;
    int err = tables_open_store(tables, e);
    if (err < 0)
        return error_prefix(e, "sql.store");
    tables->catalog = catalog_new(node, tables_on_grown, tables);
    tables->publish = tables_publish_new(tables);
    struct lake *lake = node_lake(node);
    lake->objects = tables->objects;
    lake->place = tables->place;
    lake->tables = tables;
    lake->executors_lost = tables_end_calls;
    lake->executors_lost_arg = tables;
    tables_api_add_routes(tables);
    log_info(&tables_log, "tables are kept in %s", tables->place);
    return 0;
}

static void tables_on_part_stopped(void *arg)
{
    struct tables *tables = arg;
    if (--tables->stops == 0)
        node_role_stopped(tables->node);
}

static void tables_on_publish_stopped(void *arg)
{
    struct tables *tables = arg;
    tables->stops = 1 + (tables->executors != NULL);
    if (tables->executors != NULL)
        executor_pool_close(tables->executors, tables_on_part_stopped, tables);
    object_store_close(tables->objects, tables_on_part_stopped, tables);
}

static void tables_stop(void *self)
{
    struct tables *tables = self;
    tables_end_calls(tables);
    *node_lake(tables->node) = (struct lake){0};
    catalog_stop(tables->catalog);
    tables_publish_stop(tables->publish, tables_on_publish_stopped, tables);
}

static void tables_free(void *self)
{
    struct tables *tables = self;
    struct tables_cached *cached, *next;
    HASH_ITER (hh, tables->cache, cached, next)
        tables_cached_drop(tables, cached);
    catalog_free(tables->catalog);
    tables_publish_free(tables->publish);
    free(tables->place);
    free(tables);
}

static void tables_on_active(void *self)
{
    struct tables *tables = self;
    tables_publish_active(tables->publish, true);
}

static void tables_on_inactive(void *self)
{
    struct tables *tables = self;
    tables_publish_active(tables->publish, false);
}

static void tables_on_request(void *self, uint64_t from, const ProtobufCMessage *message)
{
    struct tables *tables = self;
    catalog_receive(tables->catalog, from, (const Wire__CatalogRequest *)message);
}

static const struct role_handler tables_handlers[] = {
    {WIRE_CATALOG_REQUEST, tables_on_request},
    {0},
};

const struct role tables_role = {
    .name = "tables",
    .start = tables_start,
    .stop = tables_stop,
    .free = tables_free,
    .on_active = tables_on_active,
    .on_inactive = tables_on_inactive,
    .handlers = tables_handlers,
};
