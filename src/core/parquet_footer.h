/* The footer of a Parquet file: which bytes hold which column of which row group, what their
 * statistics say, and a footer for some of the row groups alone.
 *
 * A copy of a file that has only some of its bytes, at their own places, gets a footer that names
 * only the row groups that are there: whatever a reader does with the copy, it cannot come to a row
 * group that is not. Bloom filters and page indexes are left out of such a footer, so that nothing
 * but column chunks is ever read; so is what writers add for others.
 *
 * Sources: Apache Parquet format, parquet.thrift (FileMetaData, RowGroup, ColumnChunk,
 * ColumnMetaData, SchemaElement, Statistics, LogicalType); Thrift compact protocol. */
#ifndef CORE_PARQUET_FOOTER_H
#define CORE_PARQUET_FOOTER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/error.h"
#include "core/delta_log.h"

enum {
    PARQUET_FOOTER_END = 8, /* at the end of a file: length of the footer, "PAR1" */
    PARQUET_FOOTER_BYTES_MAX = 16 << 20,
    PARQUET_CHUNKS_MAX = 4 << 20, /* columns times row groups */
    PARQUET_DEPTH_MAX = 64,
};

/* Physical types, numbered as in the format. */
enum parquet_physical {
    PARQUET_BOOLEAN,
    PARQUET_INT32,
    PARQUET_INT64,
    PARQUET_INT96,
    PARQUET_FLOAT,
    PARQUET_DOUBLE,
    PARQUET_BYTES,
    PARQUET_FIXED,
};

/* What the values are, as far as statistics can be compared. */
enum parquet_meaning {
    PARQUET_MEANS_PLAIN, /* numbers as they are, bytes without a meaning */
    PARQUET_MEANS_TEXT,
    PARQUET_MEANS_DATE,
    PARQUET_MEANS_DECIMAL,
    PARQUET_MEANS_TIME_MS, /* points of time */
    PARQUET_MEANS_TIME_US,
    PARQUET_MEANS_OTHER,
    PARQUET_MEANS_UNSAID, /* only while a footer is read */
};

struct parquet_leaf {
    char *name;  /* of the column of the table that it belongs to */
    bool nested; /* below a column: a part of its values */
    enum parquet_physical physical;
    enum parquet_meaning meaning;
    unsigned scale; /* DECIMAL */
};

struct parquet_chunk {
    uint64_t offset;
    uint64_t len;
    const uint8_t *min, *max; /* as the format encodes them; NULL: not known */
    size_t min_len, max_len;
    uint64_t nulls; /* UINT64_MAX: not known */
};

struct parquet_group {
    uint64_t rows;
    uint64_t bytes;               /* of all its chunks */
    struct parquet_chunk *chunks; /* by leaf */
    const uint8_t *raw;           /* its own structure in the footer */
    size_t raw_len;
};

struct parquet_footer {
    struct parquet_leaf *leaves;
    size_t leaves_n;
    struct parquet_group *groups;
    size_t groups_n;
    uint64_t data_end; /* where the footer began in the file */
    uint8_t *data;     /* own copy */
    size_t len;
};

/* How long the footer is, by the last PARQUET_FOOTER_END bytes of a file of `size` bytes.
 * ERR_CORRUPT: it is no Parquet file or cut; ERR_UNSUPPORTED: an encrypted one; ERR_TOO_LARGE. */
int parquet_footer_length(const uint8_t end[static PARQUET_FOOTER_END], uint64_t size,
                          uint64_t *len, struct error *e);

/* Reads the footer (without its end) of a file in which it begins at `data_end`: copies what it
 * needs. ERR_CORRUPT: what it says cannot be, or leads out of the file. */
int parquet_footer_parse(const void *data, size_t len, uint64_t data_end,
                         struct parquet_footer **out, struct error *e);
void parquet_footer_free(struct parquet_footer *footer);

/* Appends a footer, with its end, of the groups from `first` up to `end`. ERR_TOO_LARGE. */
int parquet_footer_write(const struct parquet_footer *footer, size_t first, size_t end,
                         struct buf *out);

/* What the statistics of a chunk say of values of `type`, the type of the table's column; as
 * unknown where the file's type is another one or is not compared. */
void parquet_footer_range(const struct parquet_footer *footer, size_t group, size_t leaf,
                          const struct delta_type *type, struct delta_range *range);

#endif
