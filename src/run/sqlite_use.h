/* SQLite as the state is kept with it: its errors as ours, parameters of prepared statements. */
#ifndef RUN_SQLITE_USE_H
#define RUN_SQLITE_USE_H

#include <protobuf-c/protobuf-c.h>
#include <sqlite3.h>
#include <stdint.h>

#include "base/error.h"

/* Sets "PATH: WHAT: ..." of what failed last: -ENOSPC, -EIO, ERR_CORRUPT, ERR_BUSY, else
 * ERR_INTERNAL. Returns the code. */
int sqlite_use_error(sqlite3 *db, const char *path, const char *what, struct error *e);

int sqlite_use_exec(sqlite3 *db, const char *path, const char *sql, struct error *e);
/* The first column of the first row; ERR_CORRUPT when there is none. */
int sqlite_use_integer(sqlite3 *db, const char *path, const char *sql, uint64_t *value,
                       struct error *e);

/* Borrow what they bind until the statement is reset. Text may be NULL. */
void sqlite_use_bind_u64(sqlite3_stmt *stmt, int column, uint64_t value);
void sqlite_use_bind_text(sqlite3_stmt *stmt, int column, const char *text);
void sqlite_use_bind_bytes(sqlite3_stmt *stmt, int column, ProtobufCBinaryData bytes);

/* Steps a statement that gives no rows, and resets it. */
int sqlite_use_run(sqlite3 *db, sqlite3_stmt *stmt, const char *path, const char *what,
                   struct error *e);

#endif
