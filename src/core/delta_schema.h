/* The schema of a Delta table: its JSON form and DuckDB's types.
 *
 * Sources: Delta protocol, "Schema Serialization Format"; DuckDB documentation, "Data Types".
 *
 *     Delta           DuckDB                        Delta            DuckDB
 *     boolean         BOOLEAN                       decimal(p,s)     DECIMAL(p,s)
 *     byte            TINYINT                       string           VARCHAR
 *     short           SMALLINT                      binary           BLOB
 *     integer         INTEGER                       date             DATE
 *     long            BIGINT                        timestamp        TIMESTAMP WITH TIME ZONE
 *     float           FLOAT                         timestamp_ntz    TIMESTAMP
 *     double          DOUBLE                        array, map, struct   T[], MAP(K, V),
 * STRUCT(...)
 *
 * What DuckDB has beyond these is refused by name, with what to use instead. timestamp_ntz needs
 * the table feature timestampNtz (reader 3, writer 7): delta_schema_needs_ntz(). */
#ifndef CORE_DELTA_SCHEMA_H
#define CORE_DELTA_SCHEMA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/error.h"

enum delta_kind {
    DELTA_BOOLEAN,
    DELTA_BYTE,
    DELTA_SHORT,
    DELTA_INTEGER,
    DELTA_LONG,
    DELTA_FLOAT,
    DELTA_DOUBLE,
    DELTA_DECIMAL,
    DELTA_STRING,
    DELTA_BINARY,
    DELTA_DATE,
    DELTA_TIMESTAMP,
    DELTA_TIMESTAMP_NTZ,
    DELTA_VOID, /* only nulls; read, never written */
    DELTA_STRUCT,
    DELTA_ARRAY,
    DELTA_MAP,
};

enum {
    DELTA_COLUMNS_MAX = 16384, /* fields of all levels */
    DELTA_DEPTH_MAX = 32,
    DELTA_NAME_BYTES_MAX = 1024,
    DELTA_DECIMAL_DIGITS_MAX = 38,
    DELTA_SCHEMA_BYTES_MAX = 16 << 20,
};

struct delta_field;

struct delta_type {
    enum delta_kind kind;
    unsigned precision, scale;  /* DECIMAL */
    struct delta_field *fields; /* STRUCT */
    size_t fields_n;
    struct delta_type *key;     /* MAP */
    struct delta_type *element; /* ARRAY, MAP (the value) */
    bool element_nullable;
};

struct delta_field {
    char *name;
    struct delta_type type;
    bool nullable;
    char *metadata; /* a JSON object as text, kept as it came; "{}" mostly */
};

struct delta_schema {
    struct delta_field *fields;
    size_t n;
};

/* Parses a schemaString. ERR_INVALID (malformed, two names that differ in case alone),
 * ERR_UNSUPPORTED (a type that this version does not know, by name), ERR_TOO_LARGE. */
int delta_schema_parse(const char *json, size_t len, struct delta_schema *schema, struct error *e);
void delta_schema_done(struct delta_schema *schema);
/* Appends the schemaString, not quoted. */
int delta_schema_format(const struct delta_schema *schema, struct buf *b);
bool delta_schema_equal(const struct delta_schema *a, const struct delta_schema *b);

/* Index of a column by name without regard to case, SIZE_MAX when there is none. */
size_t delta_schema_find(const struct delta_schema *schema, const char *name);

bool delta_schema_needs_ntz(const struct delta_schema *schema);

/* Adds a column of a DuckDB type in any of DuckDB's spellings ("int8", "numeric(10,2)",
 * "STRUCT(a INTEGER, \"b c\" VARCHAR)[]"). ERR_UNSUPPORTED, ERR_INVALID naming column and type; the
 * schema is then as before. */
int delta_schema_add(struct delta_schema *schema, const char *name, const char *duckdb_type,
                     bool nullable, struct error *e);

/* Appends DuckDB's name of the type. */
int delta_type_format(const struct delta_type *type, struct buf *b);
char *delta_type_duckdb(const struct delta_type *type); /* malloc'ed */
void delta_type_done(struct delta_type *type);

#endif
