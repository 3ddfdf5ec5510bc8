/* DuckDB inside an executor: one database in memory, locked down, and how statements are run on it.
 *
 * Two connections: DuckDB's profiler can't be turned on any more once the configuration is locked,
 * so the second one has it on. */
#ifndef RUN_EXECUTOR_ENGINE_H
#define RUN_EXECUTOR_ENGINE_H

#include <duckdb.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "base/error.h"
#include "wire/message.h"

struct executor_engine {
    duckdb_database db;
    duckdb_connection plain;
    duckdb_connection profiled;
    _Atomic(duckdb_connection) active; /* of the task that runs; NULL: none */
    duckdb_prepared_statement print;   /* AST to SQL */
    duckdb_prepared_statement parse;   /* SQL to AST */
    uint64_t memory_bytes_max;
    char *temp_dir;
    char **allowed; /* resolved */
    size_t allowed_n;
};

/* Opens, with the limits of `setup`, then nothing of the configuration can change. */
int executor_engine_open(struct executor_engine *engine, const Wire__SqlSetup *setup,
                         struct error *e);

/* Whether `path` (absolute; what is missing of it at its end is still to be made) is in an allowed
 * directory, whatever links lead there. DuckDB looks at the text of paths alone. */
bool executor_engine_allows(const struct executor_engine *engine, const char *path);

/* Has what runs stop soon, from any thread. What begins later isn't concerned. */
void executor_engine_interrupt(struct executor_engine *engine);
/* Of what runs; zeros when nothing is known. Any thread. */
void executor_engine_progress(struct executor_engine *engine, Wire__SqlProgress *progress);

/* Calls a function of DuckDB that takes one text and gives one: malloc'ed, NULL with *error. */
char *executor_engine_call(duckdb_prepared_statement function, const char *text,
                           Wire__SqlError **error);

/* The first value of a bound statement with one VARCHAR column: malloc'ed, NULL when there is none.
 */
char *executor_engine_first(duckdb_prepared_statement statement);

/* Executes what gives no rows (or whose rows don't matter). NULL or an error. */
Wire__SqlError *executor_engine_execute(duckdb_connection con, const char *sql);

#endif
