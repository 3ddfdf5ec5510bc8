/* A planner's stages run by hand in one DuckDB, beside the query itself.
 *
 * Tables are cut into files (tables of their own); stages run task after task over views of what
 * the plan says, shuffles are tables. What a plan doesn't ask for isn't there: columns that aren't
 * wanted, files that were pruned. */
#ifndef TESTS_LIB_SQL_ORACLE_H
#define TESTS_LIB_SQL_ORACLE_H

#include <duckdb.h>

#include "core/sql_plan.h"

enum { SQL_ORACLE_TABLES_MAX = 32 };

struct sql_oracle {
    duckdb_database db;
    duckdb_connection connection;
    char *names[SQL_ORACLE_TABLES_MAX];
    struct sql_table tables[SQL_ORACLE_TABLES_MAX];
    size_t tables_n;
    size_t runs; /* of names that are used once */
};

void sql_oracle_init(struct sql_oracle *o);
void sql_oracle_done(struct sql_oracle *o);
void sql_oracle_exec(struct sql_oracle *o, const char *sql); /* fails the test when DuckDB does */
/* Takes a table that is there as one that plans may read, cut into `files`. */
void sql_oracle_table(struct sql_oracle *o, const char *name, size_t files);

/* Parses as an executor does. 0, or DuckDB's refusal in e. */
int sql_oracle_parse(struct sql_oracle *o, const char *sql, json_t **query, char **printed,
                     struct sql_error *e);
/* Plans; fails the test when that isn't possible. */
void sql_oracle_plan(struct sql_oracle *o, const char *sql, const struct sql_plan_options *options,
                     struct sql_plan *plan, struct sql_refs *refs, struct sql_table **tables);

struct sql_oracle_result {
    bool whole;
    size_t stages, tasks;
};
/* Runs the query plainly and by stages and compares names, types and rows (doubles to 1e-9; in
 * order when `ordered`). Returns NULL, or a malloc'ed text of the first difference. A query that
 * DuckDB refuses must be refused by its plan, too. */
char *sql_oracle_check(struct sql_oracle *o, const char *sql,
                       const struct sql_plan_options *options, bool ordered,
                       struct sql_oracle_result *result);

#endif
