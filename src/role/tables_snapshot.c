/* Happy path: the leader tells the table's version and the entries behind those that this node has;
 * they are applied, and a view of the log is opened. What the leader no longer keeps is read from
 * the object store, by one reader for all who wait. An older version than the log remembers is read
 * apart. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "role/tables_internal.h"

enum { TABLES_TRIM_EVERY = 1024, TABLES_TRIM_KEEP = 64 };

static void tables_snapshot_ask(struct tables_call *call);

static void tables_snapshot_give(struct tables_call *call, struct delta_log *log,
                                 const struct tables_table *table, uint64_t version)
{
    struct delta_view *view;
    struct error e;
    if (delta_view_open(log, version, &view, &e) < 0) {
        tables_call_fail(call, e.code, e.text);
        return;
    }
    tables_call_end(call, &(struct tables_result){
                              .tables = table, .tables_n = 1, .version = version, .view = view});
}

/* ---- loads ------------------------------------------------------------------------------------
 */

/* Those who waited for the load of a table ask again. */
void tables_snapshot_load_ended(struct tables *tables, const struct uuid *id)
{
    struct tables_cached *cached = tables_cached_get(tables, id);
    struct tables_call *call;
    if (cached != NULL)
        cached->loading = false;
    TAILQ_FOREACH (call, &tables->calls, link)
        if (call->waits && uuid_compare(&call->id, id) == 0) {
            call->waits = false;
            call->step = tables_snapshot_ask;
            loop_timer_start(&call->timer, 0);
        }
}

static void tables_snapshot_on_loaded(void *arg, int code, const char *text, struct delta_log *log)
{
    struct tables_call *call = arg;
    struct tables *tables = call->tables;
    struct tables_cached *cached = tables_cached_get(tables, &call->id);
    call->load = NULL;
    call->loads = false;
    if (code == 0 && cached != NULL)
        tables_cached_set(tables, cached, log);
    else if (code == 0)
        delta_log_free(log);
    tables_snapshot_load_ended(tables, &call->id);
    if (code < 0)
        tables_call_fail(call, code, text);
    else
        tables_snapshot_ask(call);
}

static void tables_snapshot_load(struct tables_call *call, struct tables_cached *cached,
                                 uint64_t version)
{
    call->id = cached->id;
    if (cached->loading) {
        call->waits = true;
        return;
    }
    cached->loading = true;
    call->loads = true;
    call->load =
        tables_load_start(call->tables, cached->place, version, tables_snapshot_on_loaded, call);
}

static void tables_snapshot_on_apart(void *arg, int code, const char *text, struct delta_log *log)
{
    struct tables_call *call = arg;
    call->load = NULL;
    if (code < 0) {
        tables_call_fail(call, code, text);
        return;
    }
    struct tables_table table = {
        .name = call->name, .id = call->id, .place = call->place, .broken = ""};
    table.version = delta_log_version(log);
    tables_snapshot_give(call, log, &table, delta_log_version(log));
    delta_log_free(log);
}

/* ---- answers ----------------------------------------------------------------------------------
 */

/* Applies those of the reply's entries that are next. */
static int tables_snapshot_apply(struct tables_cached *cached, const Wire__CatalogReply *reply,
                                 struct error *e)
{
    for (size_t i = 0; i < reply->n_entries; i++) {
        const Wire__CatalogEntry *entry = reply->entries[i];
        if (cached->log == NULL && entry->version == 0)
            cached->log = delta_log_new();
        if (cached->log == NULL)
            return 0;
        uint64_t have = delta_log_version(cached->log);
        if (entry->version != (have == DELTA_NO_VERSION ? 0 : have + 1))
            continue;
        int err = delta_log_apply(cached->log, entry->version, (const char *)entry->lines.data,
                                  entry->lines.len, e);
        if (err < 0)
            return err;
    }
    if (cached->log != NULL && delta_log_version(cached->log) != DELTA_NO_VERSION &&
        delta_log_version(cached->log) >= cached->trimmed + TABLES_TRIM_EVERY) {
        cached->trimmed = delta_log_version(cached->log);
        delta_log_trim(cached->log, cached->trimmed - TABLES_TRIM_KEEP);
    }
    return 0;
}

/* The version of that time is known now: as if it had been asked for. */
static void tables_snapshot_on_when(void *arg, int code, const char *text, uint64_t version)
{
    struct tables_call *call = arg;
    call->when = NULL;
    if (code < 0) {
        tables_call_fail(call, code, text);
        return;
    }
    call->version = version;
    call->at_ms = 0;
    tables_snapshot_ask(call);
}

static void tables_snapshot_take(struct tables_call *call, const Wire__CatalogReply *reply)
{
    struct tables *tables = call->tables;
    struct tables_cached *cached = tables_cached_put(tables, reply->tables[0]);
    struct tables_table table;
    struct error e;
    tables_table_of(reply->tables[0], &table);
    uint64_t want = call->version != DELTA_NO_VERSION ? call->version
                    : call->at_ms > 0                 ? reply->version
                                                      : table.version;
    if (want == DELTA_NO_VERSION) { /* older than what this cluster committed */
        call->id = table.id;
        call->when =
            tables_when_start(tables, table.place, call->at_ms, tables_snapshot_on_when, call);
        return;
    }
    if (want > table.version) {
        (void)error_set(&e, ERR_NOT_FOUND,
                        "table %.200s has no version %" PRIu64 ": its latest is %" PRIu64,
                        table.name, want, table.version);
        tables_call_fail(call, e.code, e.text);
        return;
    }
    if (!cached->loading && tables_snapshot_apply(cached, reply, &e) < 0) {
        (void)error_prefix(&e, "table %.200s", table.name);
        tables_call_fail(call, e.code, e.text);
        return;
    }
    uint64_t have =
        cached->log != NULL && !cached->loading ? delta_log_version(cached->log) : DELTA_NO_VERSION;
    if (have != DELTA_NO_VERSION && have >= want && want >= delta_log_oldest(cached->log)) {
        tables_snapshot_give(call, cached->log, &table, want);
    } else if (have != DELTA_NO_VERSION && want < delta_log_oldest(cached->log)) {
        call->id = table.id;
        call->place = mem_strdup(table.place);
        call->load = tables_load_start(tables, table.place, want, tables_snapshot_on_apart, call);
    } else if (have != DELTA_NO_VERSION && reply->more) {
        tables_snapshot_ask(call);
    } else if (table.published == DELTA_NO_VERSION) {
        tables_call_fail(call, ERR_UNAVAILABLE, "the table's first entry is not there yet");
    } else {
        tables_snapshot_load(call, cached, table.published);
    }
}

static void tables_snapshot_on_reply(void *arg, int code, const char *text,
                                     const Wire__CatalogReply *reply)
{
    struct tables_call *call = arg;
    call->catalog = NULL;
    if (code < 0 || reply->n_tables != 1) {
        tables_call_fail(call, code < 0 ? code : ERR_PROTOCOL, code < 0 ? text : "no table");
        return;
    }
    tables_snapshot_take(call, reply);
}

static void tables_snapshot_ask(struct tables_call *call)
{
    if (++call->rounds > TABLES_ROUNDS_MAX) {
        tables_call_fail_later(call, ERR_BUSY, "the table changes faster than it can be read");
        return;
    }
    struct tables_cached *cached = tables_cached_named(call->tables, call->name);
    uint64_t have =
        cached != NULL && cached->log != NULL ? delta_log_version(cached->log) : DELTA_NO_VERSION;
    Wire__CatalogRequest request = WIRE__CATALOG_REQUEST__INIT;
    Wire__CatalogRead read = WIRE__CATALOG_READ__INIT;
    read.name = call->name;
    read.from = have == DELTA_NO_VERSION ? 0 : have + 1;
    read.at_ms = (uint64_t)call->at_ms;
    request.read = &read;
    tables_call_ask(call, &request, tables_snapshot_on_reply);
}

struct tables_call *tables_snapshot(struct tables *tables, const char *name, uint64_t version,
                                    int64_t at_ms, tables_done_fn fn, void *arg)
{
    struct tables_call *call = tables_call_new(tables, fn, arg);
    call->name = tables_name(name);
    call->version = version;
    call->at_ms = version == DELTA_NO_VERSION && at_ms > 0 ? at_ms : 0;
    if (tables->stopping)
        tables_call_fail_later(call, ERR_CLOSED, "this node is stopping");
    else
        tables_snapshot_ask(call);
    return call;
}
