/* Happy path of a commit: the table's row, the id is new, no file that it removes was removed since
 * its base, then three inserts and an update. Every statement is prepared once. */
#include "run/state_tables.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "base/mem.h"
#include "run/sqlite_use.h"

static const char state_tables_schema[] =
    "CREATE TABLE IF NOT EXISTS tables(id BLOB PRIMARY KEY, name TEXT NOT NULL UNIQUE COLLATE "
    "NOCASE,"
    " place TEXT NOT NULL, metadata TEXT NOT NULL, broken TEXT NOT NULL, owned INTEGER NOT NULL,"
    " registered INTEGER NOT NULL, version INTEGER NOT NULL, published INTEGER NOT NULL,"
    " whole_version INTEGER NOT NULL, created_ms INTEGER NOT NULL, changed_ms INTEGER NOT NULL,"
    " txn_id TEXT NOT NULL) WITHOUT ROWID;"
    "CREATE INDEX IF NOT EXISTS tables_unpublished ON tables(id)"
    " WHERE published < version AND broken = '';"
    "CREATE TABLE IF NOT EXISTS table_entries(table_id BLOB NOT NULL, version INTEGER NOT NULL,"
    " at_ms INTEGER NOT NULL, txn_id TEXT NOT NULL, operation TEXT NOT NULL, user TEXT NOT NULL,"
    " files_added INTEGER NOT NULL, files_removed INTEGER NOT NULL, rows_added INTEGER NOT NULL,"
    " bytes_added INTEGER NOT NULL, lines BLOB);"
    "CREATE UNIQUE INDEX IF NOT EXISTS table_entries_version ON table_entries(table_id, version);"
    "CREATE TABLE IF NOT EXISTS table_txns(table_id BLOB NOT NULL, txn_id TEXT NOT NULL,"
    " version INTEGER NOT NULL, PRIMARY KEY(table_id, txn_id)) WITHOUT ROWID;"
    "CREATE TABLE IF NOT EXISTS table_removed(table_id BLOB NOT NULL, path BLOB NOT NULL,"
    " version INTEGER NOT NULL, PRIMARY KEY(table_id, path)) WITHOUT ROWID;"
    "CREATE INDEX IF NOT EXISTS table_removed_version ON table_removed(table_id, version);";

enum state_tables_statement {
    STATE_TABLES_GET,
    STATE_TABLES_NAMED,
    STATE_TABLES_PLACED,
    STATE_TABLES_INSERT,
    STATE_TABLES_DELETE,
    STATE_TABLES_DELETE_ENTRIES,
    STATE_TABLES_DELETE_TXNS,
    STATE_TABLES_DELETE_REMOVED,
    STATE_TABLES_TXN_GET,
    STATE_TABLES_TXN_PUT,
    STATE_TABLES_REMOVED_GET,
    STATE_TABLES_REMOVED_PUT,
    STATE_TABLES_REMOVED_TRIM,
    STATE_TABLES_ENTRY_PUT,
    STATE_TABLES_ADVANCE,
    STATE_TABLES_PUBLISHED,
    STATE_TABLES_ENTRY_TRIM,
    STATE_TABLES_STATEMENTS,
};

static const char *const state_tables_sql[STATE_TABLES_STATEMENTS] = {
    [STATE_TABLES_GET] = "SELECT version, whole_version, broken, published FROM tables WHERE id=?1",
    [STATE_TABLES_NAMED] = "SELECT id, txn_id, version FROM tables WHERE name=?1",
    [STATE_TABLES_PLACED] = "SELECT name FROM tables WHERE place=?1",
    [STATE_TABLES_INSERT] = "INSERT INTO tables VALUES(?1,?2,?3,?4,'',?5,?6,?7,?8,?7,?9,?9,?10)",
    [STATE_TABLES_DELETE] = "DELETE FROM tables WHERE id=?1",
    [STATE_TABLES_DELETE_ENTRIES] = "DELETE FROM table_entries WHERE table_id=?1",
    [STATE_TABLES_DELETE_TXNS] = "DELETE FROM table_txns WHERE table_id=?1",
    [STATE_TABLES_DELETE_REMOVED] = "DELETE FROM table_removed WHERE table_id=?1",
    [STATE_TABLES_TXN_GET] = "SELECT version FROM table_txns WHERE table_id=?1 AND txn_id=?2",
    [STATE_TABLES_TXN_PUT] = "INSERT INTO table_txns VALUES(?1,?2,?3)",
    [STATE_TABLES_REMOVED_GET] = "SELECT version FROM table_removed WHERE table_id=?1 AND path=?2",
    [STATE_TABLES_REMOVED_PUT] = "INSERT OR REPLACE INTO table_removed VALUES(?1,?2,?3)",
    [STATE_TABLES_REMOVED_TRIM] = "DELETE FROM table_removed WHERE table_id=?1 AND version<=?2",
    [STATE_TABLES_ENTRY_PUT] =
        "INSERT INTO table_entries VALUES(?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11)",
    [STATE_TABLES_ADVANCE] =
        "UPDATE tables SET version=?2, changed_ms=?3, metadata=coalesce(?4, metadata),"
        " whole_version=coalesce(?5, whole_version) WHERE id=?1",
    [STATE_TABLES_PUBLISHED] = "UPDATE tables SET published=max(published, ?2),"
                               " broken=iif(?3='', broken, ?3) WHERE id=?1 AND version>=?2",
    [STATE_TABLES_ENTRY_TRIM] = "UPDATE table_entries SET lines=NULL WHERE table_id=?1"
                                " AND version<=?2 AND version>?3 AND lines IS NOT NULL",
};

struct state_tables {
    sqlite3 *db;
    const char *path;
    sqlite3_stmt *statements[STATE_TABLES_STATEMENTS];
};

static int state_tables_error(const struct state_tables *tables, struct error *e)
{
    return sqlite_use_error(tables->db, tables->path, "tables", e);
}

int state_tables_open(struct state_tables **out, sqlite3 *db, const char *path, struct error *e)
{
    struct state_tables *tables = mem_zalloc(sizeof *tables);
    tables->db = db;
    tables->path = path;
    bool good = sqlite3_exec(db, state_tables_schema, NULL, NULL, NULL) == SQLITE_OK;
    for (int i = 0; good && i < STATE_TABLES_STATEMENTS; i++)
        good = sqlite3_prepare_v3(db, state_tables_sql[i], -1, SQLITE_PREPARE_PERSISTENT,
                                  &tables->statements[i], NULL) == SQLITE_OK;
    if (!good) {
        int err = state_tables_error(tables, e);
        state_tables_close(tables);
        return err;
    }
    *out = tables;
    return 0;
}

void state_tables_close(struct state_tables *tables)
{
    if (tables == NULL)
        return;
    for (int i = 0; i < STATE_TABLES_STATEMENTS; i++)
        sqlite3_finalize(tables->statements[i]);
    free(tables);
}

/* ---- statements -------------------------------------------------------------------------------
 */

static sqlite3_stmt *state_tables_bind_id(struct state_tables *tables,
                                          enum state_tables_statement which, ProtobufCBinaryData id)
{
    sqlite3_stmt *stmt = tables->statements[which];
    (void)sqlite3_clear_bindings(stmt);
    (void)sqlite3_bind_blob64(stmt, 1, id.data != NULL ? id.data : (const void *)"", id.len,
                              SQLITE_STATIC);
    return stmt;
}

/* Without rows. */
static int state_tables_run(struct state_tables *tables, sqlite3_stmt *stmt, struct error *e)
{
    int rc = sqlite3_step(stmt);
    int err = rc == SQLITE_DONE ? 0 : state_tables_error(tables, e);
    (void)sqlite3_reset(stmt);
    return err;
}

/* 1: there is a row, whose first column *value is; reset afterwards. */
static int state_tables_step(struct state_tables *tables, sqlite3_stmt *stmt, uint64_t *value,
                             struct error *e)
{
    int rc = sqlite3_step(stmt);
    int err = rc == SQLITE_ROW ? 1 : rc == SQLITE_DONE ? 0 : state_tables_error(tables, e);
    if (rc == SQLITE_ROW && value != NULL)
        *value = (uint64_t)sqlite3_column_int64(stmt, 0);
    (void)sqlite3_reset(stmt);
    return err;
}

void state_tables_hash(const char *path, uint8_t out[static STATE_TABLES_HASH_BYTES])
{
    XXH128_canonical_t canonical;
    XXH128_canonicalFromHash(&canonical, XXH3_128bits(path, strlen(path)));
    memcpy(out, canonical.digest, STATE_TABLES_HASH_BYTES);
}

/* ---- create, drop ------------------------------------------------------------------------------
 */

struct state_tables_entry {
    ProtobufCBinaryData id;
    uint64_t version, at_ms;
    const char *txn_id, *operation, *user;
    uint64_t files_added, files_removed, rows_added, bytes_added;
    ProtobufCBinaryData lines;
};

static int state_tables_put_entry(struct state_tables *tables,
                                  const struct state_tables_entry *entry, struct error *e)
{
    sqlite3_stmt *stmt = state_tables_bind_id(tables, STATE_TABLES_ENTRY_PUT, entry->id);
    sqlite_use_bind_u64(stmt, 2, entry->version);
    sqlite_use_bind_u64(stmt, 3, entry->at_ms);
    sqlite_use_bind_text(stmt, 4, entry->txn_id);
    sqlite_use_bind_text(stmt, 5, entry->operation);
    sqlite_use_bind_text(stmt, 6, entry->user);
    sqlite_use_bind_u64(stmt, 7, entry->files_added);
    sqlite_use_bind_u64(stmt, 8, entry->files_removed);
    sqlite_use_bind_u64(stmt, 9, entry->rows_added);
    sqlite_use_bind_u64(stmt, 10, entry->bytes_added);
    (void)sqlite3_bind_blob64(stmt, 11,
                              entry->lines.data != NULL ? entry->lines.data : (const void *)"",
                              entry->lines.len, SQLITE_STATIC);
    int err = state_tables_run(tables, stmt, e);
    if (err < 0)
        return err;
    stmt = state_tables_bind_id(tables, STATE_TABLES_TXN_PUT, entry->id);
    sqlite_use_bind_text(stmt, 2, entry->txn_id);
    sqlite_use_bind_u64(stmt, 3, entry->version);
    return state_tables_run(tables, stmt, e);
}

/* Whether name or place are taken: 1 with the refusal in `result`. */
static int state_tables_is_taken(struct state_tables *tables, const Wire__TableCreate *create,
                                 struct state_result *result, struct error *e)
{
    sqlite3_stmt *stmt = tables->statements[STATE_TABLES_NAMED];
    sqlite_use_bind_text(stmt, 1, create->name);
    int rc = sqlite3_step(stmt);
    if (rc == SQLITE_ROW) {
        const char *txn_id = (const char *)sqlite3_column_text(stmt, 1);
        result->repeated = strcmp(txn_id, create->txn_id) == 0;
        result->code = result->repeated ? 0 : ERR_EXISTS;
        result->version = (uint64_t)sqlite3_column_int64(stmt, 2);
    }
    int taken = rc == SQLITE_ROW ? 1 : rc == SQLITE_DONE ? 0 : state_tables_error(tables, e);
    (void)sqlite3_reset(stmt);
    if (taken != 0)
        return taken;
    stmt = tables->statements[STATE_TABLES_PLACED];
    sqlite_use_bind_text(stmt, 1, create->place);
    taken = state_tables_step(tables, stmt, NULL, e);
    if (taken == 1)
        result->code = ERR_CONFLICT;
    return taken;
}

int state_tables_create(struct state_tables *tables, const Wire__TableCreate *create,
                        uint64_t at_ms, struct state_result *result, struct error *e)
{
    int taken = state_tables_is_taken(tables, create, result, e);
    if (taken != 0)
        return taken < 0 ? taken : 0;
    if (create->id.len != sizeof(struct uuid) || create->name[0] == '\0') {
        result->code = ERR_INVALID;
        return 0;
    }
    result->version = create->registered ? create->version : 0;
    sqlite3_stmt *stmt = state_tables_bind_id(tables, STATE_TABLES_INSERT, create->id);
    sqlite_use_bind_text(stmt, 2, create->name);
    sqlite_use_bind_text(stmt, 3, create->place);
    sqlite_use_bind_text(stmt, 4, create->metadata);
    sqlite_use_bind_u64(stmt, 5, create->owned);
    sqlite_use_bind_u64(stmt, 6, create->registered);
    sqlite_use_bind_u64(stmt, 7, result->version);
    (void)sqlite3_bind_int64(stmt, 8, create->registered ? (sqlite3_int64)create->version : -1);
    sqlite_use_bind_u64(stmt, 9, at_ms);
    sqlite_use_bind_text(stmt, 10, create->txn_id);
    int err = state_tables_run(tables, stmt, e);
    if (err < 0 || create->registered)
        return err;
    struct state_tables_entry entry = {.id = create->id,
                                       .at_ms = at_ms,
                                       .txn_id = create->txn_id,
                                       .operation = create->operation,
                                       .user = create->user,
                                       .files_added = create->files_added,
                                       .rows_added = create->rows_added,
                                       .bytes_added = create->bytes_added,
                                       .lines = create->entry};
    return state_tables_put_entry(tables, &entry, e);
}

int state_tables_drop(struct state_tables *tables, const Wire__TableDrop *drop,
                      struct state_result *result, struct error *e)
{
    static const enum state_tables_statement statements[] = {
        STATE_TABLES_DELETE_ENTRIES, STATE_TABLES_DELETE_TXNS, STATE_TABLES_DELETE_REMOVED,
        STATE_TABLES_DELETE};
    int err = 0;
    for (size_t i = 0; err == 0 && i < MEM_COUNT(statements); i++)
        err = state_tables_run(tables, state_tables_bind_id(tables, statements[i], drop->id), e);
    if (err == 0 && sqlite3_changes(tables->db) == 0)
        result->code = ERR_NOT_FOUND;
    return err;
}

/* ---- commit ------------------------------------------------------------------------------------
 */

/* Whether a file that the commit removes was removed behind its base: 1 with the version. */
static int state_tables_conflict(struct state_tables *tables, const Wire__TableCommit *commit,
                                 uint64_t version, uint64_t *at, struct error *e)
{
    size_t n = commit->removed.len / STATE_TABLES_HASH_BYTES;
    if (n > 0 && version - commit->read_version >= STATE_TABLES_MEMORY) {
        *at = version;
        return 1;
    }
    for (size_t i = 0; i < n; i++) {
        sqlite3_stmt *stmt = state_tables_bind_id(tables, STATE_TABLES_REMOVED_GET, commit->id);
        (void)sqlite3_bind_blob64(stmt, 2, commit->removed.data + i * STATE_TABLES_HASH_BYTES,
                                  STATE_TABLES_HASH_BYTES, SQLITE_STATIC);
        uint64_t removed;
        int found = state_tables_step(tables, stmt, &removed, e);
        if (found < 0)
            return found;
        if (found == 1 && removed > commit->read_version) {
            *at = removed;
            return 1;
        }
    }
    return 0;
}

static int state_tables_remember(struct state_tables *tables, const Wire__TableCommit *commit,
                                 uint64_t version, struct error *e)
{
    int err = 0;
    size_t n = commit->removed.len / STATE_TABLES_HASH_BYTES;
    for (size_t i = 0; err == 0 && i < n; i++) {
        sqlite3_stmt *stmt = state_tables_bind_id(tables, STATE_TABLES_REMOVED_PUT, commit->id);
        (void)sqlite3_bind_blob64(stmt, 2, commit->removed.data + i * STATE_TABLES_HASH_BYTES,
                                  STATE_TABLES_HASH_BYTES, SQLITE_STATIC);
        sqlite_use_bind_u64(stmt, 3, version);
        err = state_tables_run(tables, stmt, e);
    }
    if (err < 0 || version < STATE_TABLES_MEMORY)
        return err;
    sqlite3_stmt *stmt = state_tables_bind_id(tables, STATE_TABLES_REMOVED_TRIM, commit->id);
    sqlite_use_bind_u64(stmt, 2, version - STATE_TABLES_MEMORY);
    return state_tables_run(tables, stmt, e);
}

static int state_tables_advance(struct state_tables *tables, const Wire__TableCommit *commit,
                                uint64_t version, uint64_t at_ms, struct error *e)
{
    struct state_tables_entry entry = {.id = commit->id,
                                       .version = version,
                                       .at_ms = at_ms,
                                       .txn_id = commit->txn_id,
                                       .operation = commit->operation,
                                       .user = commit->user,
                                       .files_added = commit->files_added,
                                       .files_removed = commit->files_removed,
                                       .rows_added = commit->rows_added,
                                       .bytes_added = commit->bytes_added,
                                       .lines = commit->entry};
    int err = state_tables_put_entry(tables, &entry, e);
    if (err == 0)
        err = state_tables_remember(tables, commit, version, e);
    if (err < 0)
        return err;
    sqlite3_stmt *stmt = state_tables_bind_id(tables, STATE_TABLES_ADVANCE, commit->id);
    sqlite_use_bind_u64(stmt, 2, version);
    sqlite_use_bind_u64(stmt, 3, at_ms);
    if (commit->metadata[0] != '\0')
        sqlite_use_bind_text(stmt, 4, commit->metadata);
    if (commit->whole)
        sqlite_use_bind_u64(stmt, 5, version);
    return state_tables_run(tables, stmt, e);
}

int state_tables_commit(struct state_tables *tables, const Wire__TableCommit *commit,
                        uint64_t at_ms, struct state_result *result, struct error *e)
{
    sqlite3_stmt *stmt = state_tables_bind_id(tables, STATE_TABLES_GET, commit->id);
    int rc = sqlite3_step(stmt);
    uint64_t version = rc == SQLITE_ROW ? (uint64_t)sqlite3_column_int64(stmt, 0) : 0;
    uint64_t whole_version = rc == SQLITE_ROW ? (uint64_t)sqlite3_column_int64(stmt, 1) : 0;
    bool broken = rc == SQLITE_ROW && sqlite3_column_bytes(stmt, 2) > 0;
    /* -1 stands for none: the sum is right */
    uint64_t behind = rc == SQLITE_ROW ? version - (uint64_t)sqlite3_column_int64(stmt, 3) : 0;
    (void)sqlite3_reset(stmt);
    if (rc != SQLITE_ROW) {
        result->code = ERR_NOT_FOUND;
        return rc == SQLITE_DONE ? 0 : state_tables_error(tables, e);
    }
    stmt = state_tables_bind_id(tables, STATE_TABLES_TXN_GET, commit->id);
    sqlite_use_bind_text(stmt, 2, commit->txn_id);
    int seen = state_tables_step(tables, stmt, &result->version, e);
    if (seen != 0) {
        result->repeated = true;
        return seen < 0 ? seen : 0;
    }
    result->version = version;
    if (broken || commit->read_version > version || commit->txn_id[0] == '\0') {
        result->code = broken ? ERR_CORRUPT : ERR_INVALID;
        return 0;
    }
    if (behind >= STATE_TABLES_BEHIND_MAX) {
        result->code = ERR_BUSY; /* the store takes entries more slowly than writers make them */
        return 0;
    }
    if (commit->read_version < (commit->whole ? version : whole_version)) {
        result->code = ERR_CONFLICT;
        return 0;
    }
    int conflict = state_tables_conflict(tables, commit, version, &result->version, e);
    if (conflict != 0) {
        result->code = ERR_CONFLICT;
        return conflict < 0 ? conflict : 0;
    }
    result->version = version + 1;
    return state_tables_advance(tables, commit, version + 1, at_ms, e);
}

int state_tables_published(struct state_tables *tables, const Wire__TablePublished *published,
                           struct error *e)
{
    uint64_t trim = STATE_TABLES_KEEP;
    sqlite3_stmt *stmt = state_tables_bind_id(tables, STATE_TABLES_PUBLISHED, published->id);
    sqlite_use_bind_u64(stmt, 2, published->version);
    sqlite_use_bind_text(stmt, 3, published->broken);
    int err = state_tables_run(tables, stmt, e);
    if (err < 0 || published->version < trim)
        return err;
    /* Lines that are older were dropped by earlier calls; two windows cover any step between them.
     */
    trim = published->version - trim;
    stmt = state_tables_bind_id(tables, STATE_TABLES_ENTRY_TRIM, published->id);
    sqlite_use_bind_u64(stmt, 2, trim);
    (void)sqlite3_bind_int64(stmt, 3, (sqlite3_int64)trim - 4 * STATE_TABLES_KEEP);
    return state_tables_run(tables, stmt, e);
}
