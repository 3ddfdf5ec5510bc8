/* Errors of SQL tasks: from what DuckDB says (its JSON form, setting errors_as_json) to one
 * sentence for the user, with a code, a hint and the place in the statement. */
#ifndef RUN_EXECUTOR_ERROR_H
#define RUN_EXECUTOR_ERROR_H

#include <stdint.h>

#include "wire/message.h"

enum { EXECUTOR_ERROR_TEXT_MAX = 2000 };

/* Freed with wire__sql_error__free_unpacked(). */
Wire__SqlError *executor_error_new(int code, const char *kind, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* `raw` may be NULL. The position counts bytes of what was executed. */
Wire__SqlError *executor_error_from_duckdb(const char *raw);

/* The statement began at byte `offset` of what was executed and is `len` long: makes the position
 * one of the statement, or none. */
void executor_error_move(Wire__SqlError *error, size_t offset, size_t len);

/* Replaces the message; `error` keeps the rest. */
void executor_error_say(Wire__SqlError *error, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
void executor_error_hint(Wire__SqlError *error, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

#endif
