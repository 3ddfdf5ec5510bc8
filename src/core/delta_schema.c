/* Happy path: the schemaString is read by recursion over its types, which json_scan and
 * DELTA_DEPTH_MAX bound. What is malformed or unknown is named with the column that it is in. */
#include "core/delta_schema.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/json_scan.h"
#include "base/json_text.h"
#include "base/mem.h"
#include "base/str.h"
#include "core/delta_type.h"

/* ---- memory -----------------------------------------------------------------------------------
 */

static void delta_field_done(struct delta_field *field)
{
    free(field->name);
    free(field->metadata);
    delta_type_done(&field->type);
}

void delta_type_done(struct delta_type *type)
{
    for (size_t i = 0; i < type->fields_n; i++)
        delta_field_done(&type->fields[i]);
    free(type->fields);
    if (type->key != NULL)
        delta_type_done(type->key);
    if (type->element != NULL)
        delta_type_done(type->element);
    free(type->key);
    free(type->element);
    *type = (struct delta_type){0};
}

void delta_schema_done(struct delta_schema *schema)
{
    for (size_t i = 0; i < schema->n; i++)
        delta_field_done(&schema->fields[i]);
    free(schema->fields);
    *schema = (struct delta_schema){0};
}

/* ---- reading ----------------------------------------------------------------------------------
 */

struct delta_reader {
    struct json_scan scan;
    struct error *error;
    size_t fields; /* of all levels so far */
    unsigned depth;
};

static int delta_read_type(struct delta_reader *r, const char *column, struct delta_type *type);

static int delta_read_fail(struct delta_reader *r, const char *column)
{
    return error_set(r->error, ERR_INVALID, "the table's schema is malformed at byte %zu%s%.100s",
                     json_scan_offset(&r->scan), column[0] != '\0' ? ", in column " : "", column);
}

static const struct {
    const char *name;
    enum delta_kind kind;
} delta_primitives[] = {
    {"boolean", DELTA_BOOLEAN},     {"byte", DELTA_BYTE},
    {"short", DELTA_SHORT},         {"integer", DELTA_INTEGER},
    {"long", DELTA_LONG},           {"float", DELTA_FLOAT},
    {"double", DELTA_DOUBLE},       {"string", DELTA_STRING},
    {"binary", DELTA_BINARY},       {"date", DELTA_DATE},
    {"timestamp", DELTA_TIMESTAMP}, {"timestamp_ntz", DELTA_TIMESTAMP_NTZ},
    {"void", DELTA_VOID},           {"null", DELTA_VOID},
};

static const char *delta_primitive_name(enum delta_kind kind)
{
    for (size_t i = 0; i < MEM_COUNT(delta_primitives); i++)
        if (delta_primitives[i].kind == kind)
            return delta_primitives[i].name;
    return NULL;
}

static bool delta_read_decimal(const char *text, struct delta_type *type)
{
    unsigned precision, scale;
    int end = 0;
    if (sscanf(text, "decimal(%2u,%2u)%n", &precision, &scale, &end) != 2 || text[end] != '\0' ||
        end == 0 || precision < 1 || precision > DELTA_DECIMAL_DIGITS_MAX || scale > precision)
        return false;
    *type = (struct delta_type){.kind = DELTA_DECIMAL, .precision = precision, .scale = scale};
    return true;
}

static int delta_read_primitive(struct delta_reader *r, const char *column,
                                const struct json_slice *name, struct delta_type *type)
{
    char text[64];
    for (size_t i = 0; i < MEM_COUNT(delta_primitives); i++)
        if (json_slice_is(name, delta_primitives[i].name)) {
            *type = (struct delta_type){.kind = delta_primitives[i].kind};
            return 0;
        }
    if (json_slice_is(name, "decimal")) {
        *type = (struct delta_type){.kind = DELTA_DECIMAL, .precision = 10};
        return 0;
    }
    (void)snprintf(text, sizeof text, "%.*s", (int)(name->len < 60 ? name->len : 60), name->text);
    if (delta_read_decimal(text, type))
        return 0;
    return error_set(r->error, ERR_UNSUPPORTED,
                     "column %.100s has the type %s, which this version does not read", column,
                     text);
}

/* An element, key or value type of its own. */
static int delta_read_inner(struct delta_reader *r, const char *column, struct delta_type **inner)
{
    struct delta_type type = {0};
    int err = *inner != NULL ? delta_read_fail(r, column) : delta_read_type(r, column, &type);
    if (err < 0) {
        delta_type_done(&type); /* what was read of it */
        return err;
    }
    *inner = mem_dup(&type, sizeof type);
    return 0;
}

static int delta_check_names(struct delta_reader *r, const struct delta_field *fields, size_t n)
{
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; n <= 512 && j < i; j++)
            if (strcasecmp(fields[i].name, fields[j].name) == 0)
                return error_set(r->error, ERR_INVALID,
                                 "the table's schema has two columns named %.100s", fields[i].name);
    return 0;
}

static int delta_read_field(struct delta_reader *r, struct delta_field *field)
{
    struct json_slice key, value;
    struct json_mark type_at = {0};
    int err = 0;
    field->nullable = true;
    (void)json_scan_object(&r->scan);
    while (err == 0 && json_scan_key(&r->scan, &key)) {
        if (json_slice_is(&key, "name") && field->name == NULL) {
            if (json_scan_string(&r->scan, &value) && memchr(value.text, '\0', value.len) == NULL)
                field->name = json_slice_dup(&value);
        } else if (json_slice_is(&key, "type")) {
            type_at = json_scan_mark(&r->scan);
            (void)json_scan_skip(&r->scan, NULL);
        } else if (json_slice_is(&key, "nullable")) {
            (void)json_scan_bool(&r->scan, &field->nullable);
        } else if (json_slice_is(&key, "metadata") && field->metadata == NULL) {
            if (json_scan_skip(&r->scan, &value))
                field->metadata = json_slice_dup(&value);
        } else {
            (void)json_scan_skip(&r->scan, NULL);
        }
    }
    if (field->metadata == NULL)
        field->metadata = mem_strdup("{}");
    if (json_scan_failed(&r->scan) || field->name == NULL || type_at.at == NULL ||
        field->name[0] == '\0' || strlen(field->name) > DELTA_NAME_BYTES_MAX)
        return delta_read_fail(r, field->name != NULL ? field->name : "");
    struct json_mark end = json_scan_mark(&r->scan);
    json_scan_rewind(&r->scan, type_at);
    err = delta_read_type(r, field->name, &field->type);
    json_scan_rewind(&r->scan, end);
    return err;
}

static int delta_read_fields(struct delta_reader *r, struct delta_field **fields, size_t *n)
{
    size_t cap = 0;
    int err = 0;
    (void)json_scan_array(&r->scan);
    while (err == 0 && json_scan_element(&r->scan)) {
        if (++r->fields > DELTA_COLUMNS_MAX)
            return error_set(r->error, ERR_TOO_LARGE, "a table of more than %d columns",
                             DELTA_COLUMNS_MAX);
        MEM_GROW(*fields, cap, *n + 1);
        (*fields)[*n] = (struct delta_field){0};
        err = delta_read_field(r, &(*fields)[(*n)++]);
    }
    if (err == 0 && json_scan_failed(&r->scan))
        err = delta_read_fail(r, "");
    return err < 0 ? err : delta_check_names(r, *fields, *n);
}

static int delta_read_member(struct delta_reader *r, const char *column,
                             const struct json_slice *key, struct delta_type *type)
{
    if (type->kind == DELTA_STRUCT && json_slice_is(key, "fields") && type->fields == NULL)
        return delta_read_fields(r, &type->fields, &type->fields_n);
    if (type->kind == DELTA_ARRAY && json_slice_is(key, "elementType"))
        return delta_read_inner(r, column, &type->element);
    if (type->kind == DELTA_MAP && json_slice_is(key, "keyType"))
        return delta_read_inner(r, column, &type->key);
    if (type->kind == DELTA_MAP && json_slice_is(key, "valueType"))
        return delta_read_inner(r, column, &type->element);
    if (json_slice_is(key, type->kind == DELTA_MAP ? "valueContainsNull" : "containsNull"))
        (void)json_scan_bool(&r->scan, &type->element_nullable);
    else
        (void)json_scan_skip(&r->scan, NULL);
    return 0;
}

/* {"type": "struct" | "array" | "map", ...}; "type" may come last. */
static int delta_read_nested(struct delta_reader *r, const char *column, struct delta_type *type)
{
    struct json_mark begin = json_scan_mark(&r->scan);
    struct json_slice key, name;
    int err = 0;
    bool found = false;
    (void)json_scan_object(&r->scan);
    while (!found && json_scan_key(&r->scan, &key))
        if (json_slice_is(&key, "type") && json_scan_string(&r->scan, &name))
            found = true;
        else
            (void)json_scan_skip(&r->scan, NULL);
    if (!found)
        return delta_read_fail(r, column);
    type->element_nullable = true;
    if (json_slice_is(&name, "struct"))
        type->kind = DELTA_STRUCT;
    else if (json_slice_is(&name, "array"))
        type->kind = DELTA_ARRAY;
    else if (json_slice_is(&name, "map"))
        type->kind = DELTA_MAP;
    else
        return error_set(r->error, ERR_UNSUPPORTED,
                         "column %.100s has the type %.*s, which this version does not read",
                         column, (int)(name.len < 60 ? name.len : 60), name.text);
    json_scan_rewind(&r->scan, begin);
    (void)json_scan_object(&r->scan);
    while (err == 0 && json_scan_key(&r->scan, &key))
        err = delta_read_member(r, column, &key, type);
    if (err == 0 &&
        (json_scan_failed(&r->scan) || (type->kind != DELTA_STRUCT && type->element == NULL) ||
         (type->kind == DELTA_MAP && type->key == NULL)))
        err = delta_read_fail(r, column);
    return err;
}

static int delta_read_type(struct delta_reader *r, const char *column, struct delta_type *type)
{
    struct json_slice name;
    if (json_scan_peek(&r->scan) == JSON_KIND_STRING && json_scan_string(&r->scan, &name))
        return delta_read_primitive(r, column, &name, type);
    if (json_scan_peek(&r->scan) != JSON_KIND_OBJECT || r->depth == DELTA_DEPTH_MAX)
        return delta_read_fail(r, column);
    r->depth++;
    int err = delta_read_nested(r, column, type);
    r->depth--;
    return err;
}

int delta_schema_parse(const char *json, size_t len, struct delta_schema *schema, struct error *e)
{
    struct delta_reader r = {.error = e};
    struct delta_type type = {0};
    if (len > DELTA_SCHEMA_BYTES_MAX)
        return error_set(e, ERR_TOO_LARGE, "a schema of more than %d bytes",
                         DELTA_SCHEMA_BYTES_MAX);
    json_scan_init(&r.scan, json, len);
    int err = delta_read_type(&r, "", &type);
    if (err == 0 && (!json_scan_end(&r.scan) || type.kind != DELTA_STRUCT))
        err = delta_read_fail(&r, "");
    json_scan_done(&r.scan);
    if (err < 0) {
        delta_type_done(&type);
        return err;
    }
    *schema = (struct delta_schema){.fields = type.fields, .n = type.fields_n};
    return 0;
}

/* ---- writing ----------------------------------------------------------------------------------
 */

static int delta_format_field(const struct delta_field *field, struct buf *b);

static int delta_format_fields(const struct delta_field *fields, size_t n, struct buf *b)
{
    int err = buf_append_str(b, "{\"type\":\"struct\",\"fields\":[");
    for (size_t i = 0; err == 0 && i < n; i++) {
        if (i > 0)
            err = buf_append_byte(b, ',');
        if (err == 0)
            err = delta_format_field(&fields[i], b);
    }
    return err < 0 ? err : buf_append_str(b, "]}");
}

static int delta_format_type(const struct delta_type *type, struct buf *b)
{
    int err;
    switch (type->kind) {
    case DELTA_STRUCT:
        return delta_format_fields(type->fields, type->fields_n, b);
    case DELTA_DECIMAL:
        return buf_printf(b, "\"decimal(%u,%u)\"", type->precision, type->scale);
    case DELTA_ARRAY:
        err = buf_append_str(b, "{\"type\":\"array\",\"elementType\":");
        if (err == 0)
            err = delta_format_type(type->element, b);
        return err < 0 ? err
                       : buf_printf(b, ",\"containsNull\":%s}",
                                    type->element_nullable ? "true" : "false");
    case DELTA_MAP:
        err = buf_append_str(b, "{\"type\":\"map\",\"keyType\":");
        if (err == 0)
            err = delta_format_type(type->key, b);
        if (err == 0)
            err = buf_append_str(b, ",\"valueType\":");
        if (err == 0)
            err = delta_format_type(type->element, b);
        return err < 0 ? err
                       : buf_printf(b, ",\"valueContainsNull\":%s}",
                                    type->element_nullable ? "true" : "false");
    default:
        return buf_printf(b, "\"%s\"", delta_primitive_name(type->kind));
    }
}

static int delta_format_field(const struct delta_field *field, struct buf *b)
{
    int err = buf_append_str(b, "{\"name\":");
    if (err == 0)
        err = json_text_append(b, field->name, strlen(field->name));
    if (err == 0)
        err = buf_append_str(b, ",\"type\":");
    if (err == 0)
        err = delta_format_type(&field->type, b);
    return err < 0 ? err
                   : buf_printf(b, ",\"nullable\":%s,\"metadata\":%s}",
                                field->nullable ? "true" : "false", field->metadata);
}

int delta_schema_format(const struct delta_schema *schema, struct buf *b)
{
    return delta_format_fields(schema->fields, schema->n, b);
}

bool delta_schema_equal(const struct delta_schema *a, const struct delta_schema *b)
{
    struct buf left, right;
    buf_init(&left, DELTA_SCHEMA_BYTES_MAX * 2);
    buf_init(&right, DELTA_SCHEMA_BYTES_MAX * 2);
    bool equal = delta_schema_format(a, &left) == 0 && delta_schema_format(b, &right) == 0 &&
                 left.len == right.len && memcmp(left.data, right.data, left.len) == 0;
    buf_done(&left);
    buf_done(&right);
    return equal;
}

/* ---- columns ----------------------------------------------------------------------------------
 */

size_t delta_schema_find(const struct delta_schema *schema, const char *name)
{
    for (size_t i = 0; i < schema->n; i++)
        if (strcasecmp(schema->fields[i].name, name) == 0)
            return i;
    return SIZE_MAX;
}

static bool delta_type_has_ntz(const struct delta_type *type)
{
    bool has = type->kind == DELTA_TIMESTAMP_NTZ ||
               (type->key != NULL && delta_type_has_ntz(type->key)) ||
               (type->element != NULL && delta_type_has_ntz(type->element));
    for (size_t i = 0; !has && i < type->fields_n; i++)
        has = delta_type_has_ntz(&type->fields[i].type);
    return has;
}

bool delta_schema_needs_ntz(const struct delta_schema *schema)
{
    for (size_t i = 0; i < schema->n; i++)
        if (delta_type_has_ntz(&schema->fields[i].type))
            return true;
    return false;
}

int delta_schema_add(struct delta_schema *schema, const char *name, const char *duckdb_type,
                     bool nullable, struct error *e)
{
    struct delta_type type = {0};
    if (name[0] == '\0' || strlen(name) > DELTA_NAME_BYTES_MAX || !str_is_utf8(name, strlen(name)))
        return error_set(e, ERR_INVALID, "a column's name is UTF-8 of 1 to %d bytes",
                         DELTA_NAME_BYTES_MAX);
    /* Parquet readers of the Delta world refuse these without column mapping. */
    if (strpbrk(name, " ,;{}()\n\t=") != NULL)
        return error_set(e, ERR_INVALID,
                         "column \"%.100s\": a Delta table has no column with a blank or any of "
                         ",;{}()= in its name: choose another name",
                         name);
    if (schema->n == DELTA_COLUMNS_MAX)
        return error_set(e, ERR_TOO_LARGE, "a table of more than %d columns", DELTA_COLUMNS_MAX);
    if (delta_schema_find(schema, name) != SIZE_MAX)
        return error_set(e, ERR_INVALID, "there are two columns named \"%.100s\"", name);
    int err = delta_type_parse(duckdb_type, name, &type, e);
    if (err < 0)
        return err;
    schema->fields = mem_reallocarray(schema->fields, schema->n + 1, sizeof *schema->fields);
    schema->fields[schema->n++] = (struct delta_field){
        .name = mem_strdup(name), .type = type, .nullable = nullable, .metadata = mem_strdup("{}")};
    return 0;
}
