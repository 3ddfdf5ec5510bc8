/* Conditions of a WHERE clause that statistics of files can tell something about. */
#ifndef CORE_SQL_FILTER_H
#define CORE_SQL_FILTER_H

#include "core/sql_plan_internal.h"

/* The conditions on `source` (of `scope`) among those that `where` (may be NULL) joins by AND.
 * malloc'ed; free with sql_filters_free. */
struct sql_filter *sql_filters_of(const json_t *where, const struct sql_scope *scope,
                                  const struct sql_source *source, size_t *n);
void sql_filters_free(struct sql_filter *filters, size_t n);

#endif
