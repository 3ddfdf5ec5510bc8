/* Happy path: a change becomes a row of the next Raft entry and is answered with what applying it
 * gave; a read goes through the linearisable path and is answered from a reader's thread. A node
 * that does not lead says so, and is asked again by those who look for the leader. */
#include "role/catalog.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "base/uuid.h"
#include "role/changes.h"
#include "role/node.h"
#include "role/state.h"
#include "run/state_tables.h"

enum { CATALOG_TABLES_MAX = 1000, CATALOG_HISTORY_MAX = 10000 };

struct catalog {
    struct node *node;
    catalog_grown_fn grown;
    void *grown_arg;
    unsigned pending;
    bool stopped;
    bool freed;
};

/* One request on its way through the state. */
struct catalog_ask {
    struct catalog *catalog;
    uint64_t from;
    uint64_t call;
    Wire__CatalogRequest *request;
    /* what a read found */
    struct state_table *tables;
    size_t tables_n, tables_cap;
    struct state_table_entries entries;
    uint64_t version;
    bool more;
};

struct catalog *catalog_new(struct node *node, catalog_grown_fn fn, void *arg)
{
    struct catalog *catalog = mem_zalloc(sizeof *catalog);
    catalog->node = node;
    catalog->grown = fn;
    catalog->grown_arg = arg;
    return catalog;
}

void catalog_stop(struct catalog *catalog)
{
    catalog->stopped = true;
}

static void catalog_check_freed(struct catalog *catalog)
{
    if (catalog->freed && catalog->pending == 0)
        free(catalog);
}

void catalog_free(struct catalog *catalog)
{
    if (catalog == NULL)
        return;
    catalog->stopped = catalog->freed = true;
    catalog_check_freed(catalog);
}

/* ---- answers ----------------------------------------------------------------------------------
 */

static void catalog_ask_free(struct catalog_ask *ask)
{
    struct catalog *catalog = ask->catalog;
    for (size_t i = 0; i < ask->tables_n; i++)
        state_table_done(&ask->tables[i]);
    free(ask->tables);
    state_table_entries_done(&ask->entries);
    wire__catalog_request__free_unpacked(ask->request, NULL);
    free(ask);
    catalog->pending--;
    catalog_check_freed(catalog);
}

static void catalog_send(struct catalog_ask *ask, Wire__CatalogReply *reply)
{
    reply->call = ask->call;
    if (!ask->catalog->stopped)
        (void)node_send(ask->catalog->node, ask->from, WIRE_CATALOG_REPLY, &reply->base);
}

static void catalog_refuse(struct catalog_ask *ask, int code, const char *text)
{
    Wire__CatalogReply reply = WIRE__CATALOG_REPLY__INIT;
    reply.code = code;
    reply.text = (char *)(uintptr_t)text;
    catalog_send(ask, &reply);
    catalog_ask_free(ask);
}

/* What applying a change gave, in words. */
static void catalog_explain(const Wire__CatalogRequest *request, const struct state_result *result,
                            struct error *e)
{
    const char *name = request->create != NULL ? request->create->name : "";
    if (request->create != NULL && result->code == ERR_EXISTS)
        (void)error_set(e, result->code, "there is a table %.200s already", name);
    else if (request->create != NULL && result->code == ERR_CONFLICT)
        (void)error_set(e, result->code, "another table lives at %.300s", request->create->place);
    else if (result->code == ERR_NOT_FOUND)
        (void)error_set(e, result->code, "the table was dropped");
    else if (result->code == ERR_CONFLICT)
        (void)error_set(e, result->code,
                        "version %" PRIu64 " was committed meanwhile and changed what this commit "
                        "changes: read the table again and repeat",
                        result->version);
    else if (result->code == ERR_BUSY)
        (void)error_set(e, result->code,
                        "%d versions of the table wait to be written to its store: try again",
                        STATE_TABLES_BEHIND_MAX);
    else if (result->code == ERR_CORRUPT)
        (void)error_set(e, result->code,
                        "the table is read-only: another program wrote an entry into its log");
    else
        (void)error_set(e, result->code, "%s", err_text(result->code));
}

static ProtobufCBinaryData catalog_id(const Wire__CatalogRequest *request)
{
    return request->create != NULL ? request->create->id
           : request->drop != NULL ? request->drop->id
                                   : request->commit->id;
}

static void catalog_on_changed(void *arg, int code, const struct state_result *result)
{
    struct catalog_ask *ask = arg;
    Wire__CatalogReply reply = WIRE__CATALOG_REPLY__INIT;
    struct error e = {0};
    if (code < 0 || result == NULL) {
        catalog_refuse(ask, code < 0 ? code : ERR_OUTCOME_UNKNOWN,
                       err_text(code < 0 ? code : ERR_OUTCOME_UNKNOWN));
        return;
    }
    if (result->code < 0)
        catalog_explain(ask->request, result, &e);
    reply.code = result->code;
    reply.text = e.text;
    reply.version = result->version;
    reply.again = result->repeated;
    catalog_send(ask, &reply);
    ProtobufCBinaryData id = catalog_id(ask->request);
    if (result->code == 0 && !result->repeated && ask->request->drop == NULL && id.len == 16 &&
        !ask->catalog->stopped)
        ask->catalog->grown(ask->catalog->grown_arg, id.data);
    catalog_ask_free(ask);
}

static void catalog_change(struct catalog_ask *ask)
{
    struct changes *changes = node_replica(ask->catalog->node)->changes;
    Wire__CatalogRequest *request = ask->request;
    Wire__Change change = WIRE__CHANGE__INIT;
    if (request->create != NULL) {
        change.of_case = WIRE__CHANGE__OF_TABLE_CREATE;
        change.table_create = request->create;
        changes_audit(changes, request->create->user, "table create", request->create->name,
                      request->create->place);
    } else if (request->drop != NULL) {
        change.of_case = WIRE__CHANGE__OF_TABLE_DROP;
        change.table_drop = request->drop;
        changes_audit(changes, request->drop->user, "table drop", request->drop->name,
                      request->drop->place);
    } else {
        change.of_case = WIRE__CHANGE__OF_TABLE_COMMIT;
        change.table_commit = request->commit;
    }
    changes_add(changes, &change, catalog_on_changed, ask);
}

/* ---- reads ------------------------------------------------------------------------------------
 */

static void catalog_pack_table(const struct state_table *table, Wire__CatalogTable *row)
{
    wire__catalog_table__init(row);
    row->id.data = (uint8_t *)(uintptr_t)table->id.bytes;
    row->id.len = sizeof table->id.bytes;
    row->name = table->name;
    row->place = table->place;
    row->version = table->version;
    row->published = table->published;
    row->created_ms = table->created_ms;
    row->changed_ms = table->changed_ms;
    row->broken = table->broken;
    row->owned = table->owned;
    row->registered = table->registered;
}

static void catalog_pack_entry(const struct state_table_entry *entry, Wire__CatalogEntry *row)
{
    wire__catalog_entry__init(row);
    row->version = entry->version;
    row->at_ms = entry->at_ms;
    row->txn_id = entry->txn_id;
    row->operation = entry->operation;
    row->user = entry->user;
    row->files_added = entry->files_added;
    row->files_removed = entry->files_removed;
    row->rows_added = entry->rows_added;
    row->bytes_added = entry->bytes_added;
    row->lines.data = entry->lines;
    row->lines.len = entry->lines_len;
}

static void catalog_on_read(void *arg, int code)
{
    struct catalog_ask *ask = arg;
    Wire__CatalogReply reply = WIRE__CATALOG_REPLY__INIT;
    struct error e;
    if (code < 0) {
        if (code == ERR_NOT_FOUND && ask->tables_n == 0)
            (void)error_set(&e, code, "there is no table %.200s", ask->request->read->name);
        else if (code == ERR_NOT_FOUND)
            (void)error_set(&e, code, "the table has no version that is so old");
        else
            (void)error_set(&e, code, "%s", err_text(code));
        catalog_refuse(ask, code, e.text);
        return;
    }
    size_t n = ask->entries.n;
    Wire__CatalogTable *tables = mem_calloc(ask->tables_n + 1, sizeof *tables);
    Wire__CatalogTable **table_list = mem_calloc(ask->tables_n + 1, sizeof(Wire__CatalogTable *));
    Wire__CatalogEntry *entries = mem_calloc(n + 1, sizeof *entries);
    Wire__CatalogEntry **entry_list = mem_calloc(n + 1, sizeof(Wire__CatalogEntry *));
    for (size_t i = 0; i < ask->tables_n; i++) {
        catalog_pack_table(&ask->tables[i], &tables[i]);
        table_list[i] = &tables[i];
    }
    for (size_t i = 0; i < n; i++) {
        catalog_pack_entry(&ask->entries.entries[i], &entries[i]);
        entry_list[i] = &entries[i];
    }
    reply.version = ask->version;
    reply.more = ask->more || ask->entries.more;
    reply.tables = table_list;
    reply.n_tables = ask->tables_n;
    reply.entries = entry_list;
    reply.n_entries = n;
    catalog_send(ask, &reply);
    free(tables);
    free(table_list);
    free(entries);
    free(entry_list);
    catalog_ask_free(ask);
}

/* Entries from the wanted one on if all their lines are there, else those that are not published.
 */
static int catalog_query_entries(sqlite3 *db, struct catalog_ask *ask,
                                 const struct state_table *table)
{
    uint64_t from = ask->request->read->from;
    if (from > table->version)
        return 0;
    int err = state_query_table_entries(db, &table->id, from, &ask->entries);
    bool whole = ask->entries.n > 0 && ask->entries.entries[0].version == from;
    for (size_t i = 0; whole && i < ask->entries.n; i++)
        whole = ask->entries.entries[i].lines != NULL;
    if (err < 0 || whole)
        return err;
    state_table_entries_done(&ask->entries);
    uint64_t published = table->published == UINT64_MAX ? 0 : table->published + 1;
    return published > table->version
               ? 0
               : state_query_table_entries(db, &table->id, published, &ask->entries);
}

static int catalog_query_read(sqlite3 *db, void *arg)
{
    struct catalog_ask *ask = arg;
    const Wire__CatalogRead *read = ask->request->read;
    struct state_table table;
    struct uuid id;
    int err;
    if (read->id.len == sizeof id.bytes) {
        memcpy(id.bytes, read->id.data, sizeof id.bytes);
        err = state_query_table(db, &id, &table);
    } else {
        err = state_query_table_named(db, read->name, &table);
    }
    if (err < 0)
        return err;
    MEM_GROW(ask->tables, ask->tables_cap, 1);
    ask->tables[0] = table;
    ask->tables_n = 1;
    ask->version = table.version;
    if (read->limit > 0)
        return state_query_table_history(
            db, &table.id, read->from,
            read->limit < CATALOG_HISTORY_MAX ? read->limit : CATALOG_HISTORY_MAX, &ask->entries);
    err = catalog_query_entries(db, ask, &table);
    if (err == 0 && read->at_ms > 0)
        err = state_query_table_version_at(db, &table.id, read->at_ms, &ask->version);
    if (err == ERR_NOT_FOUND && table.registered) {
        ask->version = UINT64_MAX; /* others wrote it then */
        err = 0;
    }
    return err;
}

static int catalog_take_table(void *arg, struct state_table *table)
{
    struct catalog_ask *ask = arg;
    const char *after = ask->request->list->after;
    if ((after[0] != '\0' && sqlite3_stricmp(table->name, after) <= 0) || ask->more) {
        state_table_done(table);
        return 0;
    }
    if (ask->tables_n == CATALOG_TABLES_MAX) {
        ask->more = true;
        state_table_done(table);
        return 0;
    }
    MEM_GROW(ask->tables, ask->tables_cap, ask->tables_n + 1);
    ask->tables[ask->tables_n++] = *table;
    return 0;
}

static int catalog_query_list(sqlite3 *db, void *arg)
{
    return state_query_tables(db, false, catalog_take_table, arg);
}

/* ---- requests ---------------------------------------------------------------------------------
 */

static Wire__CatalogRequest *catalog_copy(const Wire__CatalogRequest *request)
{
    size_t len = wire__catalog_request__get_packed_size(request);
    uint8_t *packed = mem_alloc(len + 1);
    (void)wire__catalog_request__pack(request, packed);
    Wire__CatalogRequest *copy = wire__catalog_request__unpack(NULL, len, packed);
    free(packed);
    if (copy == NULL)
        abort();
    return copy;
}

void catalog_receive(struct catalog *catalog, uint64_t from, const Wire__CatalogRequest *request)
{
    const struct replica *replica = node_replica(catalog->node);
    struct catalog_ask *ask = mem_zalloc(sizeof *ask);
    ask->catalog = catalog;
    ask->from = from;
    ask->call = request->call;
    ask->request = catalog_copy(request);
    catalog->pending++;
    if (catalog->stopped || replica == NULL || !node_is_active(catalog->node))
        catalog_refuse(ask, ERR_NOT_LEADER, err_text(ERR_NOT_LEADER));
    else if (request->create != NULL || request->drop != NULL || request->commit != NULL)
        catalog_change(ask);
    else if (request->read != NULL)
        state_read(replica->state, STATE_LINEARIZABLE, catalog_query_read, catalog_on_read, ask);
    else if (request->list != NULL)
        state_read(replica->state, STATE_LINEARIZABLE, catalog_query_list, catalog_on_read, ask);
    else
        catalog_refuse(ask, ERR_INVALID, "an empty question about tables");
}
