/* Values of DuckDB's vectors as JSON, in the forms that wire/sql.proto lists under SqlRows. */
#ifndef RUN_EXECUTOR_VALUE_H
#define RUN_EXECUTOR_VALUE_H

#include <duckdb.h>

#include "base/buf.h"
#include "run/executor_type.h"

/* A vector taken apart in the shape of its type. */
struct executor_vector {
    const struct executor_type *type;
    const void *data;
    const uint64_t *validity; /* NULL: no nulls */
    struct executor_vector *children;
};

/* Makes the tree for a type once; executor_vector_bind() points it at each chunk's vector. The type
 * is borrowed. */
void executor_vector_init(struct executor_vector *v, const struct executor_type *type);
void executor_vector_bind(struct executor_vector *v, duckdb_vector vector);
void executor_vector_done(struct executor_vector *v);

/* Appends the value in `row`. ERR_TOO_LARGE when the buffer is full: then a part of it is there. */
int executor_value_append(struct buf *out, const struct executor_vector *v, uint64_t row);

/* The bytes of a VARCHAR, or NULL for null; borrowed as long as the chunk. */
const char *executor_value_text(const struct executor_vector *v, uint64_t row, size_t *len);

#endif
