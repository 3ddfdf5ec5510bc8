/* Reading tables out of the replicated state; see state_tables.h. */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "run/state_tables.h"

static int state_tables_prepare(sqlite3 *db, const char *sql, sqlite3_stmt **stmt)
{
    return sqlite3_prepare_v2(db, sql, -1, stmt, NULL) == SQLITE_OK
               ? 0
               : (sqlite3_errcode(db) == SQLITE_CORRUPT ? ERR_CORRUPT : ERR_INTERNAL);
}

/* Ends a statement that stopped with `rc`. */
static int state_tables_finish(sqlite3_stmt *stmt, int rc, int result)
{
    (void)sqlite3_finalize(stmt);
    if (rc != SQLITE_ROW && rc != SQLITE_DONE)
        return rc == SQLITE_CORRUPT ? ERR_CORRUPT : ERR_INTERNAL;
    return result;
}

static char *state_tables_text(sqlite3_stmt *stmt, int column)
{
    const char *text = (const char *)sqlite3_column_text(stmt, column);
    return mem_strdup(text != NULL ? text : "");
}

static uint64_t state_tables_u64(sqlite3_stmt *stmt, int column)
{
    return (uint64_t)sqlite3_column_int64(stmt, column);
}

/* ---- tables -----------------------------------------------------------------------------------
 */

#define STATE_TABLES_SELECT                                                                        \
    "SELECT id, name, place, metadata, broken, owned, registered, version, published, created_ms," \
    " changed_ms FROM tables "

void state_table_done(struct state_table *table)
{
    free(table->name);
    free(table->place);
    free(table->metadata);
    free(table->broken);
    *table = (struct state_table){0};
}

static void state_tables_read(sqlite3_stmt *stmt, struct state_table *table)
{
    *table = (struct state_table){
        .name = state_tables_text(stmt, 1),
        .place = state_tables_text(stmt, 2),
        .metadata = state_tables_text(stmt, 3),
        .broken = state_tables_text(stmt, 4),
        .owned = sqlite3_column_int(stmt, 5) != 0,
        .registered = sqlite3_column_int(stmt, 6) != 0,
        .version = state_tables_u64(stmt, 7),
        .published = state_tables_u64(stmt, 8),
        .created_ms = state_tables_u64(stmt, 9),
        .changed_ms = state_tables_u64(stmt, 10),
    };
    if (sqlite3_column_bytes(stmt, 0) == (int)sizeof table->id.bytes)
        memcpy(table->id.bytes, sqlite3_column_blob(stmt, 0), sizeof table->id.bytes);
}

static int state_tables_read_one(sqlite3_stmt *stmt, struct state_table *table)
{
    int rc = sqlite3_step(stmt);
    if (rc == SQLITE_ROW)
        state_tables_read(stmt, table);
    return state_tables_finish(stmt, rc, rc == SQLITE_DONE ? ERR_NOT_FOUND : 0);
}

int state_query_table_named(sqlite3 *db, const char *name, struct state_table *table)
{
    sqlite3_stmt *stmt = NULL;
    int err = state_tables_prepare(db, STATE_TABLES_SELECT "WHERE name=?1", &stmt);
    if (err < 0)
        return err;
    (void)sqlite3_bind_text(stmt, 1, name, -1, SQLITE_STATIC);
    return state_tables_read_one(stmt, table);
}

int state_query_table(sqlite3 *db, const struct uuid *id, struct state_table *table)
{
    sqlite3_stmt *stmt = NULL;
    int err = state_tables_prepare(db, STATE_TABLES_SELECT "WHERE id=?1", &stmt);
    if (err < 0)
        return err;
    (void)sqlite3_bind_blob(stmt, 1, id->bytes, sizeof id->bytes, SQLITE_STATIC);
    return state_tables_read_one(stmt, table);
}

int state_query_tables(sqlite3 *db, bool unpublished, state_query_table_fn fn, void *arg)
{
    sqlite3_stmt *stmt = NULL;
    int err = state_tables_prepare(db,
                                   unpublished ? STATE_TABLES_SELECT
                                       "WHERE published < version AND broken = ''"
                                               : STATE_TABLES_SELECT "ORDER BY name",
                                   &stmt);
    if (err < 0)
        return err;
    int rc = SQLITE_DONE;
    while (err == 0 && (rc = sqlite3_step(stmt)) == SQLITE_ROW) {
        struct state_table table;
        state_tables_read(stmt, &table);
        err = fn(arg, &table);
    }
    return state_tables_finish(stmt, rc, err < 0 ? err : 0);
}

/* ---- entries ----------------------------------------------------------------------------------
 */

#define STATE_TABLES_ENTRY                                                                         \
    "version, at_ms, txn_id, operation, user, files_added, files_removed, rows_added, bytes_added"

void state_table_entries_done(struct state_table_entries *entries)
{
    for (size_t i = 0; i < entries->n; i++) {
        free(entries->entries[i].txn_id);
        free(entries->entries[i].operation);
        free(entries->entries[i].user);
        free(entries->entries[i].lines);
    }
    free(entries->entries);
    *entries = (struct state_table_entries){0};
}

/* Columns of STATE_TABLES_ENTRY, then perhaps the lines. */
static struct state_table_entry *state_tables_read_entry(sqlite3_stmt *stmt,
                                                         struct state_table_entries *entries)
{
    MEM_GROW(entries->entries, entries->cap, entries->n + 1);
    struct state_table_entry *entry = &entries->entries[entries->n++];
    *entry = (struct state_table_entry){
        .version = state_tables_u64(stmt, 0),
        .at_ms = state_tables_u64(stmt, 1),
        .txn_id = state_tables_text(stmt, 2),
        .operation = state_tables_text(stmt, 3),
        .user = state_tables_text(stmt, 4),
        .files_added = (uint32_t)state_tables_u64(stmt, 5),
        .files_removed = (uint32_t)state_tables_u64(stmt, 6),
        .rows_added = state_tables_u64(stmt, 7),
        .bytes_added = state_tables_u64(stmt, 8),
    };
    return entry;
}

int state_query_table_entries(sqlite3 *db, const struct uuid *id, uint64_t from,
                              struct state_table_entries *entries)
{
    sqlite3_stmt *stmt = NULL;
    size_t bytes = 0;
    int err = state_tables_prepare(db,
                                   "SELECT " STATE_TABLES_ENTRY ", lines FROM table_entries"
                                   " WHERE table_id=?1 AND version>=?2 ORDER BY version",
                                   &stmt);
    if (err < 0)
        return err;
    (void)sqlite3_bind_blob(stmt, 1, id->bytes, sizeof id->bytes, SQLITE_STATIC);
    (void)sqlite3_bind_int64(stmt, 2, (sqlite3_int64)from);
    int rc;
    while ((rc = sqlite3_step(stmt)) == SQLITE_ROW) {
        size_t len = (size_t)sqlite3_column_bytes(stmt, 9);
        if (entries->n > 0 && bytes + len > STATE_TABLES_READ_BYTES) {
            entries->more = true;
            break;
        }
        struct state_table_entry *entry = state_tables_read_entry(stmt, entries);
        const void *lines = sqlite3_column_blob(stmt, 9);
        if (sqlite3_column_type(stmt, 9) != SQLITE_NULL) {
            entry->lines = len > 0 ? mem_dup(lines, len) : mem_zalloc(1);
            entry->lines_len = len;
        }
        bytes += len;
    }
    return state_tables_finish(stmt, rc, 0);
}

int state_query_table_history(sqlite3 *db, const struct uuid *id, uint64_t before, unsigned limit,
                              struct state_table_entries *entries)
{
    sqlite3_stmt *stmt = NULL;
    int err =
        state_tables_prepare(db,
                             "SELECT " STATE_TABLES_ENTRY " FROM table_entries WHERE table_id=?1"
                             " AND version<?2 ORDER BY version DESC LIMIT ?3",
                             &stmt);
    if (err < 0)
        return err;
    (void)sqlite3_bind_blob(stmt, 1, id->bytes, sizeof id->bytes, SQLITE_STATIC);
    (void)sqlite3_bind_int64(stmt, 2, before > INT64_MAX ? INT64_MAX : (sqlite3_int64)before);
    (void)sqlite3_bind_int64(stmt, 3, limit);
    int rc;
    while ((rc = sqlite3_step(stmt)) == SQLITE_ROW)
        (void)state_tables_read_entry(stmt, entries);
    return state_tables_finish(stmt, rc, 0);
}

int state_query_table_version_at(sqlite3 *db, const struct uuid *id, uint64_t at_ms,
                                 uint64_t *version)
{
    sqlite3_stmt *stmt = NULL;
    int err = state_tables_prepare(db,
                                   "SELECT version FROM table_entries WHERE table_id=?1"
                                   " AND at_ms<=?2 ORDER BY version DESC LIMIT 1",
                                   &stmt);
    if (err < 0)
        return err;
    (void)sqlite3_bind_blob(stmt, 1, id->bytes, sizeof id->bytes, SQLITE_STATIC);
    (void)sqlite3_bind_int64(stmt, 2, at_ms > INT64_MAX ? INT64_MAX : (sqlite3_int64)at_ms);
    int rc = sqlite3_step(stmt);
    if (rc == SQLITE_ROW)
        *version = state_tables_u64(stmt, 0);
    return state_tables_finish(stmt, rc, rc == SQLITE_DONE ? ERR_NOT_FOUND : 0);
}
