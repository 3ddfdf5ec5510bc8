/* The tree of a vector is made once for a column and bound to each chunk; then values are appended
 * row by row. */
#include "run/executor_value.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json_text.h"
#include "base/mem.h"
#include "run/duck.h"
#include "run/executor_text.h"

#define EXECUTOR_VALUE_EXACT_MAX ((INT64_C(1) << 53) - 1)

void executor_vector_init(struct executor_vector *v, const struct executor_type *type)
{
    *v = (struct executor_vector){.type = type};
    v->children = type->n > 0 ? mem_calloc(type->n, sizeof *v->children) : NULL;
    for (size_t i = 0; i < type->n; i++)
        executor_vector_init(&v->children[i], &type->children[i]);
}

void executor_vector_done(struct executor_vector *v)
{
    for (size_t i = 0; v->children != NULL && i < v->type->n; i++)
        executor_vector_done(&v->children[i]);
    free(v->children);
    *v = (struct executor_vector){0};
}

void executor_vector_bind(struct executor_vector *v, duckdb_vector vector)
{
    v->data = duck.vector_get_data(vector);
    v->validity = duck.vector_get_validity(vector);
    switch (v->type->id) {
    case DUCKDB_TYPE_LIST:
        executor_vector_bind(&v->children[0], duck.list_vector_get_child(vector));
        break;
    case DUCKDB_TYPE_ARRAY:
        executor_vector_bind(&v->children[0], duck.array_vector_get_child(vector));
        break;
    case DUCKDB_TYPE_MAP: {
        duckdb_vector entries = duck.list_vector_get_child(vector);
        for (idx_t i = 0; i < 2; i++)
            executor_vector_bind(&v->children[i], duck.struct_vector_get_child(entries, i));
        break;
    }
    case DUCKDB_TYPE_STRUCT:
    case DUCKDB_TYPE_UNION:
        for (idx_t i = 0; i < v->type->n; i++)
            executor_vector_bind(&v->children[i], duck.struct_vector_get_child(vector, i));
        break;
    default:
        break;
    }
}

static bool executor_value_is_null(const struct executor_vector *v, uint64_t row)
{
    return v->validity != NULL && (v->validity[row / 64] >> (row % 64) & 1) == 0;
}

static const char *executor_value_bytes(const struct executor_vector *v, uint64_t row, size_t *len)
{
    const duckdb_string_t *s = (const duckdb_string_t *)v->data + row;
    *len = s->value.inlined.length;
    return *len <= sizeof s->value.inlined.inlined ? s->value.inlined.inlined
                                                   : s->value.pointer.ptr;
}

const char *executor_value_text(const struct executor_vector *v, uint64_t row, size_t *len)
{
    return executor_value_is_null(v, row) ? NULL : executor_value_bytes(v, row, len);
}

static int executor_value_quoted(struct buf *out, const char *text, size_t len)
{
    int err = buf_append_byte(out, '"');
    if (err == 0)
        err = buf_append(out, text, len);
    return err == 0 ? buf_append_byte(out, '"') : err;
}

static int executor_value_integer(struct buf *out, __int128 v)
{
    char text[EXECUTOR_TEXT_MAX];
    size_t n = executor_text_hugeint(v, text);
    if (v > EXECUTOR_VALUE_EXACT_MAX || v < -EXECUTOR_VALUE_EXACT_MAX)
        return executor_value_quoted(out, text, n);
    return buf_append(out, text, n);
}

static int executor_value_small_integer(struct buf *out, int64_t v)
{
    char text[EXECUTOR_TEXT_MAX];
    if (v > EXECUTOR_VALUE_EXACT_MAX || v < -EXECUTOR_VALUE_EXACT_MAX)
        return executor_value_integer(out, v);
    size_t n = 0;
    if (v < 0)
        text[n++] = '-';
    n += executor_text_u64(v < 0 ? (uint64_t)-v : (uint64_t)v, text + n);
    return buf_append(out, text, n);
}

static int executor_value_real(struct buf *out, double v, bool is_float)
{
    char text[EXECUTOR_TEXT_MAX];
    if (isnan(v))
        return buf_append_str(out, "\"NaN\"");
    if (isinf(v))
        return buf_append_str(out, v < 0 ? "\"-Infinity\"" : "\"Infinity\"");
    size_t n = is_float ? executor_text_float((float)v, text) : executor_text_double(v, text);
    return buf_append(out, text, n);
}

static __int128 executor_value_hugeint(const void *data, uint64_t row)
{
    const duckdb_hugeint *h = (const duckdb_hugeint *)data + row;
    return (__int128)(((unsigned __int128)(uint64_t)h->upper << 64) | h->lower);
}

/* Of integers of any width up to 64 bits. */
static int64_t executor_value_int(const void *data, duckdb_type type, uint64_t row)
{
    switch (type) {
    case DUCKDB_TYPE_TINYINT:
        return ((const int8_t *)data)[row];
    case DUCKDB_TYPE_SMALLINT:
        return ((const int16_t *)data)[row];
    case DUCKDB_TYPE_INTEGER:
        return ((const int32_t *)data)[row];
    case DUCKDB_TYPE_UTINYINT:
        return ((const uint8_t *)data)[row];
    case DUCKDB_TYPE_USMALLINT:
        return ((const uint16_t *)data)[row];
    case DUCKDB_TYPE_UINTEGER:
        return ((const uint32_t *)data)[row];
    default:
        return ((const int64_t *)data)[row];
    }
}

static int executor_value_decimal(struct buf *out, const struct executor_vector *v, uint64_t row)
{
    char text[EXECUTOR_TEXT_MAX];
    __int128 value = v->type->internal == DUCKDB_TYPE_HUGEINT
                         ? executor_value_hugeint(v->data, row)
                         : executor_value_int(v->data, v->type->internal, row);
    return executor_value_quoted(out, text, executor_text_decimal(value, v->type->scale, text));
}

static int executor_value_blob(struct buf *out, const struct executor_vector *v, uint64_t row)
{
    static const char hex[] = "0123456789abcdef";
    size_t len;
    const char *bytes = executor_value_bytes(v, row, &len);
    int err = buf_append_str(out, "\"\\\\x");
    if (err == 0)
        err = buf_reserve(out, len * 2 + 1);
    if (err < 0)
        return err;
    uint8_t *to = out->data + out->len;
    for (size_t i = 0; i < len; i++) {
        *to++ = (uint8_t)hex[(uint8_t)bytes[i] >> 4];
        *to++ = (uint8_t)hex[(uint8_t)bytes[i] & 15];
    }
    *to = '"';
    out->len += len * 2 + 1;
    return 0;
}

/* What has a text of bounded length. */
static int executor_value_moment(struct buf *out, const struct executor_vector *v, uint64_t row)
{
    char text[EXECUTOR_TEXT_MAX];
    size_t n = 0;
    const int64_t *wide = v->data;
    switch (v->type->id) {
    case DUCKDB_TYPE_DATE:
        n = executor_text_date(((const int32_t *)v->data)[row], text);
        break;
    case DUCKDB_TYPE_TIME:
        n = executor_text_time(wide[row], text);
        break;
    case DUCKDB_TYPE_TIME_TZ:
        n = executor_text_time_tz((uint64_t)wide[row], text);
        break;
    case DUCKDB_TYPE_TIMESTAMP_S:
        n = executor_text_timestamp(wide[row], 1, "", text);
        break;
    case DUCKDB_TYPE_TIMESTAMP_MS:
        n = executor_text_timestamp(wide[row], 1000, "", text);
        break;
    case DUCKDB_TYPE_TIMESTAMP:
        n = executor_text_timestamp(wide[row], 1000000, "", text);
        break;
    case DUCKDB_TYPE_TIMESTAMP_NS:
        n = executor_text_timestamp(wide[row], 1000000000, "", text);
        break;
    case DUCKDB_TYPE_TIMESTAMP_TZ:
        n = executor_text_timestamp(wide[row], 1000000, "+00", text);
        break;
    case DUCKDB_TYPE_INTERVAL: {
        const duckdb_interval *i = (const duckdb_interval *)v->data + row;
        n = executor_text_interval(i->months, i->days, i->micros, text);
        break;
    }
    default: /* UUID */
        n = executor_text_uuid(executor_value_hugeint(v->data, row), text);
    }
    return executor_value_quoted(out, text, n);
}

/* Whether JSON and terminals take the text as it is; DuckDB's is always UTF-8. Characters from
 * U+0080 to U+009F begin with 0xc2. */
static bool executor_value_is_plain(const char *text, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)text[i];
        if (c < 0x20 || c == '"' || c == '\\' || c == 0x7f || c == 0xc2)
            return false;
    }
    return true;
}

static int executor_value_string(struct buf *out, const struct executor_vector *v, uint64_t row)
{
    size_t len;
    const char *text = executor_value_bytes(v, row, &len);
    if (!executor_value_is_plain(text, len))
        return json_text_append(out, text, len);
    int err = buf_reserve(out, len + 2);
    if (err < 0)
        return err;
    uint8_t *to = out->data + out->len;
    *to = '"';
    memcpy(to + 1, text, len);
    to[len + 1] = '"';
    out->len += len + 2;
    return 0;
}

/* ---- nested ---------------------------------------------------------------------------------- */

static int executor_value_elements(struct buf *out, const struct executor_vector *child,
                                   uint64_t from, uint64_t n)
{
    int err = buf_append_byte(out, '[');
    for (uint64_t i = 0; err == 0 && i < n; i++) {
        if (i > 0)
            err = buf_append_byte(out, ',');
        if (err == 0)
            err = executor_value_append(out, child, from + i);
    }
    return err == 0 ? buf_append_byte(out, ']') : err;
}

/* The members of row(1, 2) have no names. */
static int executor_value_struct(struct buf *out, const struct executor_vector *v, uint64_t row)
{
    bool named = v->type->n == 0 || strcmp(v->type->names[0], "\"\"") != 0;
    int err = buf_append_byte(out, named ? '{' : '[');
    for (size_t i = 0; err == 0 && i < v->type->n; i++) {
        if (i > 0)
            err = buf_append_byte(out, ',');
        if (err == 0 && named)
            err = buf_append_str(out, v->type->names[i]);
        if (err == 0 && named)
            err = buf_append_byte(out, ':');
        if (err == 0)
            err = executor_value_append(out, &v->children[i], row);
    }
    return err == 0 ? buf_append_byte(out, named ? '}' : ']') : err;
}

static int executor_value_union(struct buf *out, const struct executor_vector *v, uint64_t row)
{
    uint8_t tag = ((const uint8_t *)v->children[0].data)[row];
    if ((size_t)tag + 1 >= v->type->n)
        return buf_append_str(out, "null");
    int err = buf_append_byte(out, '{');
    if (err == 0)
        err = buf_append_str(out, v->type->names[tag]);
    if (err == 0)
        err = buf_append_byte(out, ':');
    if (err == 0)
        err = executor_value_append(out, &v->children[tag + 1], row);
    return err == 0 ? buf_append_byte(out, '}') : err;
}

/* A key that isn't a string is one after this: its JSON as text. */
static int executor_value_key(struct buf *out, const struct executor_vector *v, uint64_t row)
{
    struct buf key;
    buf_init(&key, out->max);
    int err = executor_value_append(&key, v, row);
    if (err == 0 && key.len > 0 && key.data[0] == '"')
        err = buf_append(out, key.data, key.len);
    else if (err == 0)
        err = json_text_append(out, (const char *)key.data, key.len);
    buf_done(&key);
    return err;
}

static int executor_value_map(struct buf *out, const struct executor_vector *v, uint64_t row)
{
    const duckdb_list_entry *entry = (const duckdb_list_entry *)v->data + row;
    int err = buf_append_byte(out, '{');
    for (uint64_t i = 0; err == 0 && i < entry->length; i++) {
        if (i > 0)
            err = buf_append_byte(out, ',');
        if (err == 0)
            err = executor_value_key(out, &v->children[0], entry->offset + i);
        if (err == 0)
            err = buf_append_byte(out, ':');
        if (err == 0)
            err = executor_value_append(out, &v->children[1], entry->offset + i);
    }
    return err == 0 ? buf_append_byte(out, '}') : err;
}

static int executor_value_enum(struct buf *out, const struct executor_vector *v, uint64_t row)
{
    uint64_t label = (uint64_t)executor_value_int(v->data, v->type->internal, row);
    return buf_append_str(out, label < v->type->names_n ? v->type->names[label] : "null");
}

static int executor_value_nested(struct buf *out, const struct executor_vector *v, uint64_t row)
{
    switch (v->type->id) {
    case DUCKDB_TYPE_LIST: {
        const duckdb_list_entry *entry = (const duckdb_list_entry *)v->data + row;
        return executor_value_elements(out, &v->children[0], entry->offset, entry->length);
    }
    case DUCKDB_TYPE_ARRAY:
        return executor_value_elements(out, &v->children[0], row * v->type->array_size,
                                       v->type->array_size);
    case DUCKDB_TYPE_STRUCT:
        return executor_value_struct(out, v, row);
    case DUCKDB_TYPE_MAP:
        return executor_value_map(out, v, row);
    case DUCKDB_TYPE_UNION:
        return executor_value_union(out, v, row);
    default:
        return executor_value_enum(out, v, row);
    }
}

int executor_value_append(struct buf *out, const struct executor_vector *v, uint64_t row)
{
    if (executor_value_is_null(v, row))
        return buf_append_str(out, "null");
    switch (v->type->id) {
    case DUCKDB_TYPE_SQLNULL:
        return buf_append_str(out, "null");
    case DUCKDB_TYPE_BOOLEAN:
        return buf_append_str(out, ((const uint8_t *)v->data)[row] ? "true" : "false");
    case DUCKDB_TYPE_TINYINT:
    case DUCKDB_TYPE_SMALLINT:
    case DUCKDB_TYPE_INTEGER:
    case DUCKDB_TYPE_BIGINT:
    case DUCKDB_TYPE_UTINYINT:
    case DUCKDB_TYPE_USMALLINT:
    case DUCKDB_TYPE_UINTEGER:
        return executor_value_small_integer(out, executor_value_int(v->data, v->type->id, row));
    case DUCKDB_TYPE_UBIGINT:
        return executor_value_integer(out, (__int128)((const uint64_t *)v->data)[row]);
    case DUCKDB_TYPE_HUGEINT:
        return executor_value_integer(out, executor_value_hugeint(v->data, row));
    case DUCKDB_TYPE_UHUGEINT: {
        char text[EXECUTOR_TEXT_MAX];
        unsigned __int128 u = (unsigned __int128)executor_value_hugeint(v->data, row);
        size_t n = executor_text_uhugeint(u, text);
        return u > (unsigned __int128)EXECUTOR_VALUE_EXACT_MAX ? executor_value_quoted(out, text, n)
                                                               : buf_append(out, text, n);
    }
    case DUCKDB_TYPE_FLOAT:
        return executor_value_real(out, (double)((const float *)v->data)[row], true);
    case DUCKDB_TYPE_DOUBLE:
        return executor_value_real(out, ((const double *)v->data)[row], false);
    case DUCKDB_TYPE_DECIMAL:
        return executor_value_decimal(out, v, row);
    case DUCKDB_TYPE_VARCHAR:
        return executor_value_string(out, v, row);
    case DUCKDB_TYPE_BLOB:
        return executor_value_blob(out, v, row);
    case DUCKDB_TYPE_LIST:
    case DUCKDB_TYPE_ARRAY:
    case DUCKDB_TYPE_STRUCT:
    case DUCKDB_TYPE_MAP:
    case DUCKDB_TYPE_UNION:
    case DUCKDB_TYPE_ENUM:
        return executor_value_nested(out, v, row);
    default:
        return executor_value_moment(out, v, row);
    }
}
