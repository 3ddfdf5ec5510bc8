/* Commits, histories, lists.
 *
 * Happy path of a commit: what decides about it is taken out of its lines (files removed,
 * metadata), and all of it goes to the leader as one change. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "core/delta_commit.h"
#include "role/tables_internal.h"
#include "run/state_tables.h"

/* ---- commit -----------------------------------------------------------------------------------
 */

static void tables_commit_on_reply(void *arg, int code, const char *text,
                                   const Wire__CatalogReply *reply)
{
    struct tables_call *call = arg;
    call->catalog = NULL;
    if (code < 0)
        tables_call_fail(call, code, text);
    else
        tables_call_end(
            call, &(struct tables_result){.version = reply->version, .repeated = reply->again});
}

/* The metaData line, malloc'ed; "" when there is none. */
static char *tables_commit_metadata(const struct tables_commit *commit)
{
    static const char begin[] = "{\"metaData\":";
    const char *at = commit->lines, *end = commit->lines + commit->lines_len;
    while (at < end) {
        const char *line = at;
        const char *newline = memchr(at, '\n', (size_t)(end - at));
        size_t len = newline != NULL ? (size_t)(newline - line) : (size_t)(end - line);
        if (len >= sizeof begin - 1 && memcmp(line, begin, sizeof begin - 1) == 0)
            return mem_strndup(line, len);
        at = newline != NULL ? newline + 1 : end;
    }
    return mem_strdup("");
}

static void tables_commit_ask(struct tables_call *call, const struct tables_commit *commit,
                              const struct delta_change *change)
{
    Wire__CatalogRequest request = WIRE__CATALOG_REQUEST__INIT;
    Wire__TableCommit row = WIRE__TABLE_COMMIT__INIT;
    size_t n = change->removed_n;
    uint8_t *hashes = mem_alloc(n * STATE_TABLES_HASH_BYTES + 1);
    for (size_t i = 0; i < n; i++)
        state_tables_hash(change->removed[i], hashes + i * STATE_TABLES_HASH_BYTES);
    char *metadata = tables_commit_metadata(commit);
    row.id.data = (uint8_t *)(uintptr_t)commit->table.bytes;
    row.id.len = sizeof commit->table.bytes;
    row.read_version = commit->base;
    row.txn_id = (char *)(uintptr_t)commit->txn_id;
    row.entry.data = (uint8_t *)(uintptr_t)commit->lines;
    row.entry.len = commit->lines_len;
    row.removed.data = hashes;
    row.removed.len = n * STATE_TABLES_HASH_BYTES;
    row.metadata = metadata;
    row.whole = change->metadata;
    row.operation = change->operation != NULL ? change->operation : (char *)(uintptr_t) "WRITE";
    row.user = (char *)(uintptr_t)(commit->user != NULL ? commit->user : "");
    row.files_added = (uint32_t)change->added_n;
    row.files_removed = (uint32_t)n;
    row.rows_added = change->rows_added;
    row.bytes_added = change->bytes_added;
    request.commit = &row;
    tables_call_ask(call, &request, tables_commit_on_reply);
    free(metadata);
    free(hashes);
}

struct tables_call *tables_commit(struct tables *tables, const struct tables_commit *commit,
                                  tables_done_fn fn, void *arg)
{
    struct tables_call *call = tables_call_new(tables, fn, arg);
    struct delta_change change;
    struct error e;
    if (tables->stopping) {
        tables_call_fail_later(call, ERR_CLOSED, "this node is stopping");
    } else if (commit->lines_len > TABLES_ENTRY_BYTES_MAX) {
        tables_call_fail_later(call, ERR_TOO_LARGE,
                               "the commit changes too many files at once: do it in parts");
    } else if (commit->txn_id == NULL || commit->txn_id[0] == '\0') {
        tables_call_fail_later(call, ERR_INVALID, "a commit needs a transaction id");
    } else if (delta_change_parse(commit->lines, commit->lines_len, &change, &e) < 0) {
        tables_call_fail_later(call, e.code == ERR_CORRUPT ? ERR_INVALID : e.code, e.text);
    } else {
        tables_commit_ask(call, commit, &change);
        delta_change_done(&change);
    }
    return call;
}

/* ---- history ----------------------------------------------------------------------------------
 */

static void tables_history_on_reply(void *arg, int code, const char *text,
                                    const Wire__CatalogReply *reply)
{
    struct tables_call *call = arg;
    struct tables_table table;
    call->catalog = NULL;
    if (code < 0 || reply->n_tables != 1) {
        tables_call_fail(call, code < 0 ? code : ERR_PROTOCOL, code < 0 ? text : "no table");
        return;
    }
    tables_table_of(reply->tables[0], &table);
    call->entries = mem_calloc(reply->n_entries + 1, sizeof *call->entries);
    for (size_t i = 0; i < reply->n_entries; i++) {
        const Wire__CatalogEntry *row = reply->entries[i];
        call->entries[i] = (struct tables_entry){.version = row->version,
                                                 .at_ms = (int64_t)row->at_ms,
                                                 .operation = row->operation,
                                                 .user = row->user,
                                                 .txn_id = row->txn_id,
                                                 .files_added = row->files_added,
                                                 .files_removed = row->files_removed,
                                                 .rows_added = row->rows_added,
                                                 .bytes_added = row->bytes_added};
    }
    tables_call_end(call, &(struct tables_result){.tables = &table,
                                                  .tables_n = 1,
                                                  .version = table.version,
                                                  .entries = call->entries,
                                                  .entries_n = reply->n_entries});
}

struct tables_call *tables_history(struct tables *tables, const char *name, uint64_t before,
                                   unsigned limit, tables_done_fn fn, void *arg)
{
    struct tables_call *call = tables_call_new(tables, fn, arg);
    Wire__CatalogRequest request = WIRE__CATALOG_REQUEST__INIT;
    Wire__CatalogRead read = WIRE__CATALOG_READ__INIT;
    call->name = tables_name(name);
    read.name = call->name;
    read.from = before;
    read.limit = limit > 0 ? limit : 1;
    request.read = &read;
    if (tables->stopping)
        tables_call_fail_later(call, ERR_CLOSED, "this node is stopping");
    else
        tables_call_ask(call, &request, tables_history_on_reply);
    return call;
}

/* ---- list -------------------------------------------------------------------------------------
 */

static void tables_list_ask(struct tables_call *call);

static void tables_list_on_reply(void *arg, int code, const char *text,
                                 const Wire__CatalogReply *reply)
{
    struct tables_call *call = arg;
    call->catalog = NULL;
    if (code < 0) {
        tables_call_fail(call, code, text);
        return;
    }
    for (size_t i = 0; i < reply->n_tables; i++) {
        MEM_GROW(call->list, call->list_cap, call->list_n + 1);
        struct tables_table *table = &call->list[call->list_n++];
        tables_table_of(reply->tables[i], table);
        table->name = mem_strdup(table->name);
        table->place = mem_strdup(table->place);
        table->broken = mem_strdup(table->broken);
    }
    if (reply->more && reply->n_tables > 0)
        tables_list_ask(call);
    else
        tables_call_end(call,
                        &(struct tables_result){.tables = call->list, .tables_n = call->list_n});
}

static void tables_list_ask(struct tables_call *call)
{
    Wire__CatalogRequest request = WIRE__CATALOG_REQUEST__INIT;
    Wire__CatalogList list = WIRE__CATALOG_LIST__INIT;
    if (call->list_n > 0)
        list.after = (char *)(uintptr_t)call->list[call->list_n - 1].name;
    request.list = &list;
    tables_call_ask(call, &request, tables_list_on_reply);
}

struct tables_call *tables_list(struct tables *tables, tables_done_fn fn, void *arg)
{
    struct tables_call *call = tables_call_new(tables, fn, arg);
    if (tables->stopping)
        tables_call_fail_later(call, ERR_CLOSED, "this node is stopping");
    else
        tables_list_ask(call);
    return call;
}
