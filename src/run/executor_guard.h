/* What a statement may be before DuckDB sees it: one SELECT (or VALUES, FROM, DESCRIBE, PIVOT ...)
 * that calls no function which reaches around the executor's limits: memory by address
 * (arrow_scan), SQL from text that can't be looked at here (query), what other tasks would see
 * (enable_logging).
 *
 * DuckDB's own locks stand behind this: files outside the allowed directories, settings,
 * extensions. Its parser decides what the statement is; here only its tokens are looked at. */
#ifndef RUN_EXECUTOR_GUARD_H
#define RUN_EXECUTOR_GUARD_H

#include "run/executor_engine.h"
#include "wire/message.h"

/* NULL: it may run, and its first `len` bytes are all of it but the semicolon and what is behind.
 */
Wire__SqlError *executor_guard_check(const char *sql, size_t *len);

/* NULL: none of the files that `sql` gives a reader by name is one that could be waited for: a
 * device, a pipe, a socket. Patterns don't match such; what isn't allowed DuckDB refuses. */
Wire__SqlError *executor_guard_files(const struct executor_engine *engine, const char *sql);

#endif
