/* SQL text put together from names and values that come from outside. */
#ifndef RUN_EXECUTOR_SQL_H
#define RUN_EXECUTOR_SQL_H

#include <stddef.h>

#include "base/buf.h"
#include "base/error.h"

enum { EXECUTOR_SQL_BYTES_MAX = 64 * 1024 * 1024 };

/* Buffers of EXECUTOR_SQL_BYTES_MAX, whose failures are kept for the end: what doesn't fit is left
 * out and `failed` says so. */
struct executor_sql {
    struct buf text;
    int failed; /* 0 or ERR_TOO_LARGE */
};

void executor_sql_init(struct executor_sql *sql);
void executor_sql_done(struct executor_sql *sql);
const char *executor_sql_text(struct executor_sql *sql);

void executor_sql_add(struct executor_sql *sql, const char *text);
void executor_sql_printf(struct executor_sql *sql, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
void executor_sql_name(struct executor_sql *sql, const char *name); /* "a ""quoted"" name" */
void executor_sql_literal(struct executor_sql *sql, const char *s); /* 'it''s' */

/* A type's name as DuckDB writes it, checked so far that it can't be anything but a type:
 * ERR_INVALID else. */
int executor_sql_check_type(const char *type);

#endif
