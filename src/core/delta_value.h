/* Single values of a Delta table as text and for comparison: partition values, statistics, literals
 * of a query.
 *
 * Sources: Delta protocol, "Partition Value Serialization", "Per-file Statistics". */
#ifndef CORE_DELTA_VALUE_H
#define CORE_DELTA_VALUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "core/delta_schema.h"

enum delta_class {
    DELTA_CLASS_NONE,   /* nothing is known */
    DELTA_CLASS_WHOLE,  /* boolean, integers, decimal (unscaled), date (days), timestamps (µs) */
    DELTA_CLASS_DOUBLE, /* float, double; never NaN */
    DELTA_CLASS_TEXT,   /* string, by bytes */
};

struct delta_value {
    enum delta_class class;
    bool above; /* WHOLE: the value lies between `whole` and its successor */
    __int128 whole;
    double number;
    const char *text; /* borrowed from what was parsed */
    size_t len;
};

/* Parses `text` as a value of `type`: a partition value, or a literal as people write it
 * ("2024-01-01", "3.50", "-1e3", "true"). Times without a zone are UTC. DELTA_CLASS_NONE when it is
 * no such value, NaN, or of a type that is not compared (binary, nested). */
void delta_value_parse(const struct delta_type *type, const char *text, size_t len,
                       struct delta_value *value);

/* Of one class, not NONE: negative, 0, positive. */
int delta_value_compare(const struct delta_value *a, const struct delta_value *b);

/* Appends the value as a JSON literal in statistics (a number, or a string with its quotes), or as
 * plain text that a cast in DuckDB reads. */
int delta_value_format_json(const struct delta_type *type, const struct delta_value *value,
                            struct buf *b);
int delta_value_format_text(const struct delta_type *type, const struct delta_value *value,
                            struct buf *b);

/* Brings the text that DuckDB's cast to VARCHAR gives for a partition column into Delta's form;
 * NULL and "" (which Delta cannot tell from null) give NULL. Malloc'ed. ERR_INVALID: the text is no
 * such value. ERR_UNSUPPORTED: a type that cannot partition. */
int delta_partition_format(const struct delta_type *type, const char *duckdb_text, char **out,
                           struct error *e);

#endif
