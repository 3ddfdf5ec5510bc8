/* A row is one piece of memory: head, fields, then the text that they point into by offset.
 * Reading gathers the fields of the base and of the object in a draft and packs those that count.
 * Names of fields are numbers, given out once in the process. */
#include "tui/model_row.h"

#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/hash.h"
#include "base/mem.h"
#include "base/nodeset.h"
#include "tui/model_text.h"

enum { MODEL_ROW_NAME_MAX = 64 };

struct model_field {
    uint16_t name;
    uint8_t type;
    uint32_t offset; /* TEXT, JSON */
    union {
        int64_t integer;
        double real;
    };
};

struct model_row {
    unsigned refs;
    uint32_t bytes;
    uint16_t n_fields;
    uint32_t key; /* offsets from the row's begin */
    struct model_field fields[];
};

static size_t model_row_bytes_total;

/* Names */

struct model_name {
    UT_hash_handle hh;
    uint16_t id;
    char text[];
};

static struct model_name *model_names_by_text;
static struct model_name *model_names[MODEL_ROW_FIELD_NAMES_MAX];
static uint16_t model_n_names;
/* The name that stood behind each when it was last read: rows of a table are alike. */
static uint16_t model_name_next[MODEL_ROW_FIELD_NAMES_MAX];

static int model_name_find(const char *text, size_t len)
{
    struct model_name *name;
    HASH_FIND(hh, model_names_by_text, text, len, name);
    return name != NULL ? name->id : -1;
}

static int model_name_intern(const char *text, size_t len)
{
    int id = model_name_find(text, len);
    if (id >= 0 || len == 0 || len > MODEL_ROW_NAME_MAX ||
        model_n_names == MODEL_ROW_FIELD_NAMES_MAX)
        return id;
    for (size_t i = 0; i < len; i++)
        if (text[i] <= ' ' || text[i] > '~')
            return -1;
    struct model_name *name = mem_zalloc(sizeof *name + len + 1);
    memcpy(name->text, text, len);
    name->id = model_n_names;
    model_names[model_n_names++] = name;
    HASH_ADD_KEYPTR(hh, model_names_by_text, name->text, len, name);
    return name->id;
}

static bool model_name_is(uint16_t id, const char *text, size_t len)
{
    return id < model_n_names && model_names[id]->hh.keylen == len &&
           memcmp(model_names[id]->text, text, len) == 0;
}

/* As model_name_intern(), behind the name `before` in a row; < 0: it is the first. */
static int model_name_intern_behind(int before, const char *text, size_t len)
{
    if (before >= 0 && model_name_is(model_name_next[before], text, len))
        return model_name_next[before];
    int id = model_name_intern(text, len);
    if (before >= 0 && id >= 0)
        model_name_next[before] = (uint16_t)id;
    return id;
}

/* Reading */

struct model_draft_field {
    struct model_field field;
    const char *base_text; /* of the base; NULL: in the draft's text at field.offset */
    size_t len;
};

struct model_draft {
    struct model_draft_field fields[MODEL_ROW_FIELDS_MAX];
    size_t n;
    struct buf text;
};

static void model_draft_base(struct model_draft *draft, const struct model_row *base)
{
    for (size_t i = 0; base != NULL && i < base->n_fields; i++) {
        struct model_draft_field *to = &draft->fields[draft->n++];
        *to = (struct model_draft_field){.field = base->fields[i]};
        if (to->field.type >= MODEL_TYPE_TEXT) {
            to->base_text = (const char *)base + to->field.offset;
            to->len = strlen(to->base_text);
        }
    }
}

static struct model_draft_field *model_draft_find(struct model_draft *draft, uint16_t name)
{
    for (size_t i = 0; i < draft->n; i++)
        if (draft->fields[i].field.name == name)
            return &draft->fields[i];
    return NULL;
}

static void model_draft_text(struct model_draft *draft, struct model_draft_field *to,
                             const struct json_slice *text)
{
    to->field.offset = (uint32_t)draft->text.len;
    to->len = model_text_append(&draft->text, text->text, text->len, MODEL_ROW_TEXT_MAX);
    if (to->len == 0 && text->len > 0)
        to->field.type = MODEL_TYPE_NULL; /* no room */
}

static bool model_draft_number(struct json_scan *s, struct model_field *field)
{
    struct json_mark mark = json_scan_mark(s);
    struct json_slice raw;
    if (!json_scan_skip(s, &raw))
        return false;
    if (memchr(raw.text, '.', raw.len) == NULL && memchr(raw.text, 'e', raw.len) == NULL &&
        memchr(raw.text, 'E', raw.len) == NULL && raw.len < 19) {
        json_scan_rewind(s, mark);
        field->type = MODEL_TYPE_INT;
        return json_scan_i64(s, &field->integer);
    }
    field->type = MODEL_TYPE_REAL;
    field->real = model_text_number(&raw);
    return true;
}

static bool model_draft_value(struct model_draft *draft, struct json_scan *s,
                              struct model_draft_field *to)
{
    struct json_slice text;
    bool truth;
    switch (json_scan_peek(s)) {
    case JSON_KIND_STRING:
        if (!json_scan_string(s, &text))
            return false;
        to->field.type = MODEL_TYPE_TEXT;
        model_draft_text(draft, to, &text);
        return true;
    case JSON_KIND_NUMBER:
        return model_draft_number(s, &to->field);
    case JSON_KIND_TRUE:
    case JSON_KIND_FALSE:
        if (!json_scan_bool(s, &truth))
            return false;
        to->field.type = MODEL_TYPE_BOOL;
        to->field.integer = truth;
        return true;
    case JSON_KIND_ARRAY:
    case JSON_KIND_OBJECT:
        if (!json_scan_skip(s, &text))
            return false;
        if (text.len > MODEL_ROW_TEXT_MAX) /* cut JSON is none */
            return true;
        to->field.type = MODEL_TYPE_JSON;
        model_draft_text(draft, to, &text);
        return true;
    case JSON_KIND_NULL:
        return json_scan_null(s);
    default:
        return json_scan_skip(s, NULL);
    }
}

static bool model_draft_read(struct model_draft *draft, struct json_scan *s)
{
    struct json_slice key;
    int name = -1;
    if (!json_scan_object(s))
        return false;
    while (json_scan_key(s, &key)) {
        name = model_name_intern_behind(name, key.text, key.len);
        struct model_draft_field *to = name >= 0 ? model_draft_find(draft, (uint16_t)name) : NULL;
        if (to == NULL && name >= 0 && draft->n < MODEL_ROW_FIELDS_MAX)
            to = &draft->fields[draft->n++];
        if (to == NULL) {
            (void)json_scan_skip(s, NULL);
            continue;
        }
        *to = (struct model_draft_field){.field = {.name = (uint16_t)name}};
        if (!model_draft_value(draft, s, to))
            return false;
    }
    return !json_scan_failed(s);
}

static struct model_row *model_draft_pack(const struct model_draft *draft, const char *key)
{
    size_t key_len = strlen(key), n = 0, bytes = 0;
    for (size_t i = 0; i < draft->n; i++) {
        const struct model_draft_field *from = &draft->fields[i];
        size_t more =
            sizeof from->field + (from->field.type >= MODEL_TYPE_TEXT ? from->len + 1 : 0);
        if (from->field.type == MODEL_TYPE_NULL)
            continue;
        n++;
        bytes += more;
    }
    bytes += sizeof(struct model_row) + key_len + 1;
    struct model_row *row = mem_alloc(bytes);
    *row = (struct model_row){.refs = 1, .bytes = (uint32_t)bytes, .n_fields = (uint16_t)n};
    char *at = (char *)&row->fields[n];
    row->key = (uint32_t)(at - (char *)row);
    memcpy(at, key, key_len + 1);
    at += key_len + 1;
    n = 0;
    for (size_t i = 0; i < draft->n; i++) {
        const struct model_draft_field *from = &draft->fields[i];
        struct model_field *to = &row->fields[n];
        if (from->field.type == MODEL_TYPE_NULL)
            continue;
        n++;
        *to = from->field;
        if (to->type < MODEL_TYPE_TEXT)
            continue;
        const char *text = from->base_text != NULL
                               ? from->base_text
                               : (const char *)draft->text.data + from->field.offset;
        to->offset = (uint32_t)(at - (char *)row);
        if (from->len > 0)
            memcpy(at, text, from->len);
        at[from->len] = '\0';
        at += from->len + 1;
    }
    assert(at == (char *)row + bytes);
    model_row_bytes_total += bytes;
    return row;
}

struct model_row *model_row_read(struct json_scan *s, const char *key, const struct model_row *base)
{
    if (strlen(key) > MODEL_ROW_KEY_MAX)
        return NULL;
    struct model_draft draft;
    draft.n = 0;
    buf_init(&draft.text, MODEL_ROW_BYTES_MAX);
    model_draft_base(&draft, base);
    struct model_row *row = model_draft_read(&draft, s) ? model_draft_pack(&draft, key) : NULL;
    buf_done(&draft.text);
    return row;
}

struct model_row *model_row_ref(const struct model_row *row)
{
    struct model_row *mine = (struct model_row *)(uintptr_t)row;
    mine->refs++;
    return mine;
}

void model_row_unref(struct model_row *row)
{
    if (row == NULL || --row->refs > 0)
        return;
    model_row_bytes_total -= row->bytes;
    free(row);
}

const char *model_row_key(const struct model_row *row)
{
    return (const char *)row + row->key;
}

size_t model_row_bytes(const struct model_row *row)
{
    return row->bytes;
}

size_t model_row_bytes_all(void)
{
    return model_row_bytes_total;
}

/* Fields */

static struct model_value model_row_value(const struct model_row *row,
                                          const struct model_field *field)
{
    struct model_value value = {.type = field->type, .text = ""};
    switch (value.type) {
    case MODEL_TYPE_BOOL:
    case MODEL_TYPE_INT:
        value.integer = field->integer;
        value.real = (double)field->integer;
        break;
    case MODEL_TYPE_REAL:
        value.real = field->real;
        if (fabs(field->real) < 9e18)
            value.integer = (int64_t)field->real;
        break;
    case MODEL_TYPE_TEXT:
    case MODEL_TYPE_JSON:
        value.text = (const char *)row + field->offset;
        break;
    case MODEL_TYPE_NULL:
        break;
    }
    return value;
}

struct model_value model_row_get(const struct model_row *row, const char *field)
{
    int name = row != NULL ? model_name_find(field, strlen(field)) : -1;
    for (size_t i = 0; name >= 0 && i < row->n_fields; i++)
        if (row->fields[i].name == name)
            return model_row_value(row, &row->fields[i]);
    return (struct model_value){.type = MODEL_TYPE_NULL, .text = ""};
}

const char *model_row_text(const struct model_row *row, const char *field)
{
    return model_row_get(row, field).text;
}

int64_t model_row_int(const struct model_row *row, const char *field, int64_t otherwise)
{
    struct model_value value = model_row_get(row, field);
    return value.type == MODEL_TYPE_INT || value.type == MODEL_TYPE_REAL ? value.integer
                                                                         : otherwise;
}

double model_row_real(const struct model_row *row, const char *field, double otherwise)
{
    struct model_value value = model_row_get(row, field);
    return value.type == MODEL_TYPE_INT || value.type == MODEL_TYPE_REAL ? value.real : otherwise;
}

bool model_row_bool(const struct model_row *row, const char *field)
{
    struct model_value value = model_row_get(row, field);
    return value.type == MODEL_TYPE_BOOL && value.integer != 0;
}

int64_t model_row_time(const struct model_row *row, const char *field)
{
    const char *text = model_row_text(row, field);
    return clock_rfc3339_ms(text, strlen(text));
}

size_t model_row_n_fields(const struct model_row *row)
{
    return row->n_fields;
}

const char *model_row_field(const struct model_row *row, size_t i, struct model_value *value)
{
    assert(i < row->n_fields);
    *value = model_row_value(row, &row->fields[i]);
    return model_names[row->fields[i].name]->text;
}

static bool model_value_equal(const struct model_value *a, const struct model_value *b)
{
    return a->type == b->type && a->integer == b->integer && !(a->real < b->real) &&
           !(a->real > b->real) && strcmp(a->text, b->text) == 0;
}

bool model_row_equal(const struct model_row *a, const struct model_row *b)
{
    if (a == b)
        return true;
    if (a->n_fields != b->n_fields || strcmp(model_row_key(a), model_row_key(b)) != 0)
        return false;
    for (size_t i = 0; i < a->n_fields; i++) {
        struct model_value va, vb;
        vb = model_row_get(b, model_row_field(a, i, &va));
        if (!model_value_equal(&va, &vb))
            return false;
    }
    return true;
}

/* Values */

static const char *model_value_join(const char *json, char *out, size_t size)
{
    struct json_scan s;
    struct json_slice text;
    size_t len = 0;
    bool is_simple = true;
    json_scan_init(&s, json, strlen(json));
    out[0] = '\0';
    is_simple = json_scan_array(&s);
    while (is_simple && json_scan_element(&s)) {
        enum json_kind kind = json_scan_peek(&s);
        is_simple =
            kind != JSON_KIND_OBJECT && kind != JSON_KIND_ARRAY &&
            (kind == JSON_KIND_STRING ? json_scan_string(&s, &text) : json_scan_skip(&s, &text));
        if (!is_simple || len + 1 >= size)
            break;
        struct buf clean; /* an escape may have become what a terminal obeys */
        buf_init(&clean, size);
        (void)model_text_append(&clean, text.text, text.len, size > 4 ? size - 1 : 4);
        int n = snprintf(out + len, size - len, "%s%s", len > 0 ? "," : "", buf_cstr(&clean));
        buf_done(&clean);
        len += n > 0 ? (size_t)n : 0;
    }
    json_scan_done(&s);
    if (!is_simple)
        (void)snprintf(out, size, "%s", json);
    return out;
}

const char *model_value_format(const struct model_value *value, char *out, size_t size)
{
    assert(size > 0);
    switch (value->type) {
    case MODEL_TYPE_NULL:
        out[0] = '\0';
        break;
    case MODEL_TYPE_BOOL:
        (void)snprintf(out, size, "%s", value->integer != 0 ? "yes" : "no");
        break;
    case MODEL_TYPE_INT:
        (void)snprintf(out, size, "%lld", (long long)value->integer);
        break;
    case MODEL_TYPE_REAL:
        (void)snprintf(out, size, "%.1f", value->real);
        break;
    case MODEL_TYPE_TEXT:
        (void)snprintf(out, size, "%s", value->text);
        break;
    case MODEL_TYPE_JSON:
        return model_value_join(value->text, out, size);
    }
    return out;
}

static int model_value_rank(enum model_type type)
{
    if (type == MODEL_TYPE_NULL)
        return 0;
    return type < MODEL_TYPE_TEXT ? 1 : 2;
}

int model_value_compare(const struct model_value *a, const struct model_value *b)
{
    int rank_a = model_value_rank(a->type), rank_b = model_value_rank(b->type);
    if (rank_a != rank_b)
        return rank_a < rank_b ? -1 : 1;
    if (rank_a == 2)
        return nodeset_compare_names(a->text, b->text);
    if (a->type != MODEL_TYPE_REAL && b->type != MODEL_TYPE_REAL)
        return (a->integer > b->integer) - (a->integer < b->integer);
    return (a->real > b->real) - (a->real < b->real);
}

bool model_value_member(const struct model_value *value, const char *name, struct model_value *out,
                        char *storage, size_t size)
{
    struct json_scan s;
    struct json_slice key;
    bool found = false;
    if (value->type != MODEL_TYPE_JSON)
        return false;
    struct model_draft *draft = mem_alloc(sizeof *draft);
    draft->n = 1;
    buf_init(&draft->text, MODEL_ROW_TEXT_MAX * 4);
    json_scan_init(&s, value->text, strlen(value->text));
    (void)json_scan_object(&s);
    while (!found && json_scan_key(&s, &key)) {
        if (!json_slice_is(&key, name)) {
            (void)json_scan_skip(&s, NULL);
            continue;
        }
        struct model_draft_field *field = &draft->fields[0];
        *field = (struct model_draft_field){.field = {.name = 0}};
        if (!model_draft_value(draft, &s, field))
            break;
        found = true;
        struct model_field plain = field->field;
        bool is_text = plain.type >= MODEL_TYPE_TEXT;
        (void)snprintf(storage, size, "%s", is_text ? buf_cstr(&draft->text) + plain.offset : "");
        plain.offset = 0;
        *out = model_row_value((const struct model_row *)(const void *)storage, &plain);
        out->text = is_text ? storage : "";
    }
    json_scan_done(&s);
    buf_done(&draft->text);
    free(draft);
    return found;
}
