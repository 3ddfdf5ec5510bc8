/* DuckDB's types as this program writes and walks them. */
#ifndef RUN_EXECUTOR_TYPE_H
#define RUN_EXECUTOR_TYPE_H

#include <duckdb.h>

#include "base/buf.h"

enum { EXECUTOR_TYPE_NAME_BYTES_MAX = 1024 * 1024, EXECUTOR_TYPE_DEPTH_MAX = 64 };

/* A type taken apart, for reading its vectors. Children: the element of LIST and ARRAY, the members
 * of STRUCT, key and value of MAP; the tag (UTINYINT), then the members, of UNION. */
struct executor_type {
    duckdb_type id;
    duckdb_type internal; /* of DECIMAL and ENUM: the type in the vector */
    uint8_t scale;        /* of DECIMAL */
    idx_t array_size;     /* of ARRAY */
    size_t n;
    struct executor_type *children;
    char **names; /* of members, or labels of ENUM: as JSON strings with their quotes */
    size_t names_n;
};

/* Members deeper than EXECUTOR_TYPE_DEPTH_MAX have id DUCKDB_TYPE_INVALID. */
void executor_type_init(struct executor_type *type, duckdb_logical_type from);
void executor_type_done(struct executor_type *type);

/* Whether all of it can be written as JSON here; else the column is cast to VARCHAR by DuckDB. */
bool executor_type_is_plain(const struct executor_type *type);

/* Appends "DECIMAL(18,2)", "STRUCT(a INTEGER, \"b c\" VARCHAR[])" ... */
void executor_type_name(struct buf *out, duckdb_logical_type type);

#endif
