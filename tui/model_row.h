/* One row of a table of the cluster's state: a key and named, typed fields (docs/api.md).
 *
 * A row never changes: a patch makes a new one. So the past keeps rows for the price of a pointer,
 * and whoever holds a reference may look at it as long as it likes. Text is made safe for a
 * terminal when it comes in (str_printable); only the key is kept as the server gave it. */
#ifndef TUI_MODEL_ROW_H
#define TUI_MODEL_ROW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/json_scan.h"

enum {
    MODEL_ROW_FIELDS_MAX = 128,       /* further ones are left out */
    MODEL_ROW_BYTES_MAX = 256 * 1024, /* of one row; fields that don't fit are left out */
    MODEL_ROW_TEXT_MAX = 16 * 1024,   /* of one field; cut */
    MODEL_ROW_KEY_MAX = 512,          /* a row with a longer key is refused */
    MODEL_ROW_FIELD_NAMES_MAX = 2048, /* different names of fields in one process */
};

enum model_type {
    MODEL_TYPE_NULL, /* null, or not there */
    MODEL_TYPE_BOOL,
    MODEL_TYPE_INT,
    MODEL_TYPE_REAL,
    MODEL_TYPE_TEXT,
    MODEL_TYPE_JSON, /* an array or object, as its JSON text */
};

struct model_value {
    enum model_type type;
    int64_t integer;  /* BOOL (0, 1), INT; REAL rounded towards zero */
    double real;      /* REAL, INT */
    const char *text; /* TEXT, JSON; "" otherwise; as long as the row */
};

struct model_row;

/* Reads an object from `s`: the fields of `base` (NULL: none) with those of the object over them. A
 * new row, with one reference; NULL when the JSON is malformed or the key too long. */
struct model_row *model_row_read(struct json_scan *s, const char *key,
                                 const struct model_row *base);

struct model_row *model_row_ref(const struct model_row *row);
void model_row_unref(struct model_row *row); /* NULL allowed */

const char *model_row_key(const struct model_row *row); /* raw: may hold anything but NUL */
size_t model_row_bytes(const struct model_row *row);
/* Of all rows of the process. */
size_t model_row_bytes_all(void);

/* Field by name. MODEL_TYPE_NULL when the row is NULL or has none. */
struct model_value model_row_get(const struct model_row *row, const char *field);
/* Shortcuts: "" , `otherwise`, false when the field is missing or of another type. */
const char *model_row_text(const struct model_row *row, const char *field);
int64_t model_row_int(const struct model_row *row, const char *field, int64_t otherwise);
double model_row_real(const struct model_row *row, const char *field, double otherwise);
bool model_row_bool(const struct model_row *row, const char *field);
/* A time (RFC 3339 text) in ms since the epoch; 0 when there is none. */
int64_t model_row_time(const struct model_row *row, const char *field);

/* Fields by number, in no useful order; for what shows whole rows. */
size_t model_row_n_fields(const struct model_row *row);
const char *model_row_field(const struct model_row *row, size_t i, struct model_value *value);

bool model_row_equal(const struct model_row *a, const struct model_row *b);

/* The value as one line for people: numbers as they are, arrays of simple values as "a,b". Cut at
 * `size`; returns `out`. */
const char *model_value_format(const struct model_value *value, char *out, size_t size);
/* Order for sorting: null first, then numbers by size, then text in natural order (n2 < n10). */
int model_value_compare(const struct model_value *a, const struct model_value *b);
/* A member of a JSON object ("weights" has "stable"), into `out` whose text, if any, is in
 * `storage`. False when there is none. */
bool model_value_member(const struct model_value *value, const char *name, struct model_value *out,
                        char *storage, size_t size);

#endif
