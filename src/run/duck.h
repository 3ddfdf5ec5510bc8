/* DuckDB's C API, loaded at run time: only an executor has the library in its memory.
 *
 * duck.query(...) is duckdb_query(...), and so on; the names and contracts are duckdb.h's, version
 * 1.4. Nothing of it may be called before duck_load(). */
#ifndef RUN_DUCK_H
#define RUN_DUCK_H

#include <duckdb.h>

#include "base/error.h"

#define DUCK_FUNCTIONS(X)                                                                          \
    X(array_type_array_size)                                                                       \
    X(array_type_child_type)                                                                       \
    X(array_vector_get_child)                                                                      \
    X(bind_varchar_length)                                                                         \
    X(close)                                                                                       \
    X(column_count)                                                                                \
    X(column_logical_type)                                                                         \
    X(column_name)                                                                                 \
    X(connect)                                                                                     \
    X(create_config)                                                                               \
    X(data_chunk_get_column_count)                                                                 \
    X(data_chunk_get_size)                                                                         \
    X(data_chunk_get_vector)                                                                       \
    X(decimal_internal_type)                                                                       \
    X(decimal_scale)                                                                               \
    X(decimal_width)                                                                               \
    X(destroy_config)                                                                              \
    X(destroy_data_chunk)                                                                          \
    X(destroy_extracted)                                                                           \
    X(destroy_logical_type)                                                                        \
    X(destroy_pending)                                                                             \
    X(destroy_prepare)                                                                             \
    X(destroy_result)                                                                              \
    X(destroy_value)                                                                               \
    X(disconnect)                                                                                  \
    X(enum_dictionary_size)                                                                        \
    X(enum_dictionary_value)                                                                       \
    X(enum_internal_type)                                                                          \
    X(execute_pending)                                                                             \
    X(execute_prepared)                                                                            \
    X(extract_statements)                                                                          \
    X(extract_statements_error)                                                                    \
    X(fetch_chunk)                                                                                 \
    X(free)                                                                                        \
    X(get_map_key)                                                                                 \
    X(get_map_size)                                                                                \
    X(get_map_value)                                                                               \
    X(get_profiling_info)                                                                          \
    X(get_type_id)                                                                                 \
    X(get_varchar)                                                                                 \
    X(interrupt)                                                                                   \
    X(library_version)                                                                             \
    X(list_type_child_type)                                                                        \
    X(list_vector_get_child)                                                                       \
    X(logical_type_get_alias)                                                                      \
    X(map_type_key_type)                                                                           \
    X(map_type_value_type)                                                                         \
    X(open_ext)                                                                                    \
    X(nparams)                                                                                     \
    X(pending_error)                                                                               \
    X(pending_prepared_streaming)                                                                  \
    X(prepare)                                                                                     \
    X(prepare_error)                                                                               \
    X(prepare_extracted_statement)                                                                 \
    X(prepared_statement_column_count)                                                             \
    X(prepared_statement_column_logical_type)                                                      \
    X(prepared_statement_column_name)                                                              \
    X(prepared_statement_type)                                                                     \
    X(profiling_info_get_metrics)                                                                  \
    X(query)                                                                                       \
    X(query_progress)                                                                              \
    X(result_error)                                                                                \
    X(rows_changed)                                                                                \
    X(struct_type_child_count)                                                                     \
    X(struct_type_child_name)                                                                      \
    X(struct_type_child_type)                                                                      \
    X(struct_vector_get_child)                                                                     \
    X(union_type_member_count)                                                                     \
    X(union_type_member_name)                                                                      \
    X(union_type_member_type)                                                                      \
    X(vector_get_data)                                                                             \
    X(vector_get_validity)

struct duck {
#define DUCK_MEMBER(name) __typeof__(duckdb_##name) *name;
    DUCK_FUNCTIONS(DUCK_MEMBER)
#undef DUCK_MEMBER
};

extern struct duck duck;

/* Loads it. ERR_UNSUPPORTED when it is not there or of another version. */
int duck_load(const char *path, struct error *e);

#endif
