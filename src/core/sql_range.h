/* The span of time that a query can see of a table with a column of times, from its WHERE: what is
 * outside need not be read. Never too small: what is not understood does not narrow it. */
#ifndef CORE_SQL_RANGE_H
#define CORE_SQL_RANGE_H

#include <jansson.h>
#include <stdint.h>

struct sql_range {
    int64_t since_ms; /* INT64_MIN: no bound */
    int64_t until_ms; /* INT64_MAX: no bound */
};

/* `query` as sql_ast_read() gives it. Only for a SELECT from this table alone, whose conditions are
 * joined by AND. `now_ms` is what now() stands for. */
void sql_range_of(const json_t *query, const char *schema, const char *table, const char *column,
                  int64_t now_ms, struct sql_range *out);

#endif
