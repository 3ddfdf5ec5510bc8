#include "run/sqlite_use.h"

#include <errno.h>

int sqlite_use_error(sqlite3 *db, const char *path, const char *what, struct error *e)
{
    int rc = sqlite3_errcode(db);
    int code = ERR_INTERNAL;
    if (rc == SQLITE_FULL)
        code = -ENOSPC;
    else if (rc == SQLITE_CORRUPT || rc == SQLITE_NOTADB)
        code = ERR_CORRUPT;
    else if (rc == SQLITE_IOERR || rc == SQLITE_CANTOPEN)
        code = -EIO;
    else if (rc == SQLITE_BUSY || rc == SQLITE_LOCKED)
        code = ERR_BUSY;
    return error_set(e, code, "%s: %s: %s", path, what, sqlite3_errmsg(db));
}

int sqlite_use_exec(sqlite3 *db, const char *path, const char *sql, struct error *e)
{
    return sqlite3_exec(db, sql, NULL, NULL, NULL) == SQLITE_OK
               ? 0
               : sqlite_use_error(db, path, "state", e);
}

int sqlite_use_integer(sqlite3 *db, const char *path, const char *sql, uint64_t *value,
                       struct error *e)
{
    sqlite3_stmt *stmt = NULL;
    int err = 0;
    if (sqlite3_prepare_v2(db, sql, -1, &stmt, NULL) != SQLITE_OK)
        return sqlite_use_error(db, path, "state", e);
    if (sqlite3_step(stmt) == SQLITE_ROW)
        *value = (uint64_t)sqlite3_column_int64(stmt, 0);
    else
        err = error_set(e, ERR_CORRUPT, "%s: not a state file of clusterd", path);
    sqlite3_finalize(stmt);
    return err;
}

void sqlite_use_bind_u64(sqlite3_stmt *stmt, int column, uint64_t value)
{
    (void)sqlite3_bind_int64(stmt, column, (sqlite3_int64)value);
}

void sqlite_use_bind_text(sqlite3_stmt *stmt, int column, const char *text)
{
    (void)sqlite3_bind_text(stmt, column, text, -1, SQLITE_STATIC);
}

void sqlite_use_bind_bytes(sqlite3_stmt *stmt, int column, ProtobufCBinaryData bytes)
{
    (void)sqlite3_bind_blob64(stmt, column, bytes.data != NULL ? bytes.data : (const void *)"",
                              bytes.len, SQLITE_STATIC);
}

int sqlite_use_run(sqlite3 *db, sqlite3_stmt *stmt, const char *path, const char *what,
                   struct error *e)
{
    int rc = sqlite3_step(stmt);
    int err = rc == SQLITE_DONE ? 0 : sqlite_use_error(db, path, what, e);
    (void)sqlite3_reset(stmt);
    return err;
}
