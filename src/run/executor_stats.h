/* Statistics of a data file in the form of Delta's `stats` (protocol, "Per-file Statistics"), from
 * what DuckDB's COPY says about the file's columns. */
#ifndef RUN_EXECUTOR_STATS_H
#define RUN_EXECUTOR_STATS_H

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

#include "wire/message.h"

enum {
    EXECUTOR_STATS_COLUMNS_MAX = 32, /* further ones have none, as elsewhere */
    EXECUTOR_STATS_TEXT_CHARS_MAX = 32,
};

/* `columns`: of the table; `stats`: {"\"column\"": {"min": ..., "max": ..., "null_count": ...}},
 * may be NULL. malloc'ed JSON. */
char *executor_stats_delta(Wire__SqlColumn *const *columns, size_t n, const json_t *stats,
                           uint64_t rows);

#endif
