#include "run/executor_engine.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "run/duck.h"
#include "run/executor_error.h"
#include "run/executor_sql.h"

/* In this order: directories can be allowed only while access is not restricted yet. */
static void executor_engine_settings(struct executor_sql *sql, const Wire__SqlSetup *setup)
{
    executor_sql_add(sql, "SET errors_as_json=true; SET TimeZone='UTC'; SET Calendar='gregorian'; "
                          "SET autoload_known_extensions=false; "
                          "SET autoinstall_known_extensions=false; "
                          "SET allow_community_extensions=false; "
                          "SET allow_persistent_secrets=false; "
                          "SET parquet_metadata_cache=true; "
                          "SET partitioned_write_max_open_files=1024; "
                          "SET progress_bar_time=100; "
                          "SET enable_progress_bar=true; SET enable_progress_bar_print=false; "
                          "SET max_expression_depth=1000; SET home_directory=");
    executor_sql_literal(sql, setup->temp_dir);
    executor_sql_add(sql, "; SET temp_directory=");
    executor_sql_literal(sql, setup->temp_dir);
    executor_sql_printf(sql, "; SET max_temp_directory_size='%lluB'; SET memory_limit='%lluB'; ",
                        (unsigned long long)setup->temp_bytes_max,
                        (unsigned long long)setup->memory_bytes_max);
    executor_sql_printf(sql, "SET threads=%u; SET allowed_directories=[", setup->threads);
    executor_sql_literal(sql, setup->temp_dir);
    for (size_t i = 0; i < setup->n_allowed; i++) {
        executor_sql_add(sql, ", ");
        executor_sql_literal(sql, setup->allowed[i]);
    }
    executor_sql_add(sql, "]; SET enable_external_access=false;");
}

Wire__SqlError *executor_engine_execute(duckdb_connection con, const char *sql)
{
    duckdb_result result;
    Wire__SqlError *error = NULL;
    if (duck.query(con, sql, &result) != DuckDBSuccess)
        error = executor_error_from_duckdb(duck.result_error(&result));
    duck.destroy_result(&result);
    return error;
}

static int executor_engine_must(duckdb_connection con, const char *sql, struct error *e)
{
    Wire__SqlError *error = executor_engine_execute(con, sql);
    if (error == NULL)
        return 0;
    int err = error_set(e, ERR_UNSUPPORTED, "DuckDB cannot be set up: %s", error->message);
    wire__sql_error__free_unpacked(error, NULL);
    return err;
}

static int executor_engine_prepare(duckdb_connection con, const char *sql,
                                   duckdb_prepared_statement *out, struct error *e)
{
    if (duck.prepare(con, sql, out) == DuckDBSuccess)
        return 0;
    return error_set(e, ERR_UNSUPPORTED, "DuckDB cannot be set up: %s", duck.prepare_error(*out));
}

static int executor_engine_configure(struct executor_engine *engine, const Wire__SqlSetup *setup,
                                     struct error *e)
{
    static const char *const profiling =
        "SET TimeZone='UTC'; SET Calendar='gregorian'; "
        "SET enable_profiling='no_output'; SET enable_progress_bar=true; "
        "SET enable_progress_bar_print=false; SET progress_bar_time=100; SET errors_as_json=true; "
        "SET custom_profiling_settings='{\"CUMULATIVE_ROWS_SCANNED\": \"true\", "
        "\"SYSTEM_PEAK_BUFFER_MEMORY\": \"true\", \"SYSTEM_PEAK_TEMP_DIR_SIZE\": \"true\"}';";
    struct executor_sql sql;
    executor_sql_init(&sql);
    executor_engine_settings(&sql, setup);
    int err = executor_engine_must(engine->plain, executor_sql_text(&sql), e);
    executor_sql_done(&sql);
    if (err == 0)
        err = executor_engine_must(engine->profiled, profiling, e);
    if (err == 0)
        err = executor_engine_must(engine->plain, "SET lock_configuration=true", e);
    if (err == 0)
        err = executor_engine_prepare(engine->plain, "SELECT json_deserialize_sql(?::JSON)",
                                      &engine->print, e);
    if (err == 0)
        err = executor_engine_prepare(engine->plain, "SELECT json_serialize_sql(?::VARCHAR)",
                                      &engine->parse, e);
    return err;
}

static void executor_engine_allow(struct executor_engine *engine, const char *dir)
{
    char *real = realpath(dir, NULL);
    engine->allowed =
        mem_reallocarray(engine->allowed, engine->allowed_n + 1, sizeof *engine->allowed);
    engine->allowed[engine->allowed_n++] = real != NULL ? real : mem_strdup(dir);
}

static bool executor_engine_is_below(const char *dir, const char *path)
{
    size_t len = strlen(dir);
    while (len > 1 && dir[len - 1] == '/')
        len--;
    return strncmp(path, dir, len) == 0 && (path[len] == '\0' || path[len] == '/' || len == 1);
}

bool executor_engine_allows(const struct executor_engine *engine, const char *path)
{
    char *there = mem_strdup(path);
    char *real = NULL;
    bool allows = false;
    if (strstr(path, "/../") == NULL && !str_ends_with(path, "/.."))
        while ((real = realpath(there, NULL)) == NULL && *there != '\0')
            *strrchr(there, '/') = '\0';
    for (size_t i = 0; real != NULL && !allows && i < engine->allowed_n; i++)
        /* a directory that is allowed and not made yet: all of the path decides */
        allows = executor_engine_is_below(engine->allowed[i], real) ||
                 (executor_engine_is_below(engine->allowed[i], path) &&
                  executor_engine_is_below(real, engine->allowed[i]));
    free(real);
    free(there);
    return allows;
}

int executor_engine_open(struct executor_engine *engine, const Wire__SqlSetup *setup,
                         struct error *e)
{
    duckdb_config config;
    char *reason = NULL;
    *engine = (struct executor_engine){.temp_dir = mem_strdup(setup->temp_dir),
                                       .memory_bytes_max = setup->memory_bytes_max};
    executor_engine_allow(engine, setup->temp_dir);
    for (size_t i = 0; i < setup->n_allowed; i++)
        executor_engine_allow(engine, setup->allowed[i]);
    if (duck.create_config(&config) != DuckDBSuccess)
        return error_set(e, ERR_UNSUPPORTED, "DuckDB has no configuration");
    duckdb_state state = duck.open_ext(NULL, &engine->db, config, &reason);
    duck.destroy_config(&config);
    if (state != DuckDBSuccess) {
        (void)error_set(e, ERR_UNSUPPORTED, "DuckDB does not start: %s", reason);
        duck.free(reason);
        return ERR_UNSUPPORTED;
    }
    if (duck.connect(engine->db, &engine->plain) != DuckDBSuccess ||
        duck.connect(engine->db, &engine->profiled) != DuckDBSuccess)
        return error_set(e, ERR_UNSUPPORTED, "DuckDB gives no connection");
    return executor_engine_configure(engine, setup, e);
}

void executor_engine_interrupt(struct executor_engine *engine)
{
    duckdb_connection con = atomic_load(&engine->active);
    if (con != NULL)
        duck.interrupt(con);
}

void executor_engine_progress(struct executor_engine *engine, Wire__SqlProgress *progress)
{
    duckdb_connection con = atomic_load(&engine->active);
    if (con == NULL)
        return;
    duckdb_query_progress_type state = duck.query_progress(con);
    if (state.percentage > 0 && state.percentage <= 100)
        progress->permille = (uint32_t)lround(state.percentage * 10);
    progress->rows_done = state.rows_processed;
    progress->rows_total = state.total_rows_to_process;
}

static char *executor_engine_first_text(duckdb_result *result)
{
    char *text = NULL;
    duckdb_data_chunk chunk = duck.fetch_chunk(*result);
    if (chunk == NULL)
        return NULL;
    duckdb_vector vector = duck.data_chunk_get_vector(chunk, 0);
    uint64_t *validity = duck.vector_get_validity(vector);
    if (duck.data_chunk_get_size(chunk) > 0 && (validity == NULL || (*validity & 1) != 0)) {
        duckdb_string_t *s = duck.vector_get_data(vector);
        size_t len = s->value.inlined.length;
        text = mem_strndup(len <= sizeof s->value.inlined.inlined ? s->value.inlined.inlined
                                                                  : s->value.pointer.ptr,
                           len);
    }
    duck.destroy_data_chunk(&chunk);
    return text;
}

char *executor_engine_first(duckdb_prepared_statement statement)
{
    duckdb_result result;
    char *text = NULL;
    if (duck.execute_prepared(statement, &result) == DuckDBSuccess)
        text = executor_engine_first_text(&result);
    duck.destroy_result(&result);
    return text;
}

char *executor_engine_call(duckdb_prepared_statement function, const char *text,
                           Wire__SqlError **error)
{
    duckdb_result result;
    char *answer = NULL;
    if (duck.bind_varchar_length(function, 1, text, strlen(text)) != DuckDBSuccess) {
        *error = executor_error_new(ERR_INVALID, "syntax", "the statement is not valid UTF-8");
        return NULL;
    }
    if (duck.execute_prepared(function, &result) != DuckDBSuccess)
        *error = executor_error_from_duckdb(duck.result_error(&result));
    else
        answer = executor_engine_first_text(&result);
    duck.destroy_result(&result);
    if (answer == NULL && *error == NULL)
        *error = executor_error_new(ERR_INVALID, "syntax", "the statement is empty");
    return answer;
}
