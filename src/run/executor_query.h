/* One SELECT on the task's connection: checked, bound, run, read chunk by chunk as it is made. */
#ifndef RUN_EXECUTOR_QUERY_H
#define RUN_EXECUTOR_QUERY_H

#include <duckdb.h>
#include <stddef.h>

#include "run/executor_task.h"

struct executor_query {
    struct executor_task *task;
    duckdb_extracted_statements extracted;
    duckdb_prepared_statement statement;
    duckdb_result result;
    bool has_result;
    size_t offset; /* where the user's text is in the SQL that runs */
    size_t len;
};

/* Binds `sql`; what comes before its last statement (a PIVOT's) is executed. The statement must be
 * of type `type`. The user's text is `len` bytes from `offset`; errors count from there (len 0:
 * errors have no place). */
int executor_query_prepare(struct executor_query *query, struct executor_task *task,
                           const char *sql, duckdb_statement_type type, size_t offset, size_t len);

/* Begins to execute; rows come as they are made. */
int executor_query_start(struct executor_query *query);

/* The next chunk, to be destroyed; NULL at the end or, with the task failed, on an error. */
duckdb_data_chunk executor_query_next(struct executor_query *query);

void executor_query_done(struct executor_query *query);

/* The names and types of a bound statement's columns become those of the task. */
void executor_query_tell_columns(struct executor_query *query);

#endif
