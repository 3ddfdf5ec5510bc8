/* Happy path: a name, parameters or members in parentheses, then any number of "[]". Members are
 * read by recursion, bounded by DELTA_DEPTH_MAX. */
#include "core/delta_type.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/mem.h"
#include "base/str.h"

struct delta_parser {
    const char *at;
    const char *text;
    const char *column;
    struct error *error;
    unsigned depth;
};

static int delta_parse_any(struct delta_parser *p, struct delta_type *type);

static const struct {
    const char *name; /* upper case */
    enum delta_kind kind;
} delta_spellings[] = {
    {"BOOLEAN", DELTA_BOOLEAN},
    {"BOOL", DELTA_BOOLEAN},
    {"LOGICAL", DELTA_BOOLEAN},
    {"TINYINT", DELTA_BYTE},
    {"INT1", DELTA_BYTE},
    {"SMALLINT", DELTA_SHORT},
    {"INT2", DELTA_SHORT},
    {"INT16", DELTA_SHORT},
    {"SHORT", DELTA_SHORT},
    {"INTEGER", DELTA_INTEGER},
    {"INT", DELTA_INTEGER},
    {"INT4", DELTA_INTEGER},
    {"INT32", DELTA_INTEGER},
    {"SIGNED", DELTA_INTEGER},
    {"BIGINT", DELTA_LONG},
    {"INT8", DELTA_LONG},
    {"INT64", DELTA_LONG},
    {"LONG", DELTA_LONG},
    {"FLOAT", DELTA_FLOAT},
    {"REAL", DELTA_FLOAT},
    {"FLOAT4", DELTA_FLOAT},
    {"DOUBLE", DELTA_DOUBLE},
    {"DOUBLE PRECISION", DELTA_DOUBLE},
    {"FLOAT8", DELTA_DOUBLE},
    {"VARCHAR", DELTA_STRING},
    {"CHAR", DELTA_STRING},
    {"BPCHAR", DELTA_STRING},
    {"TEXT", DELTA_STRING},
    {"STRING", DELTA_STRING},
    {"NVARCHAR", DELTA_STRING},
    {"BLOB", DELTA_BINARY},
    {"BYTEA", DELTA_BINARY},
    {"BINARY", DELTA_BINARY},
    {"VARBINARY", DELTA_BINARY},
    {"DATE", DELTA_DATE},
    {"TIMESTAMP WITH TIME ZONE", DELTA_TIMESTAMP},
    {"TIMESTAMPTZ", DELTA_TIMESTAMP},
    {"TIMESTAMP", DELTA_TIMESTAMP_NTZ},
    {"DATETIME", DELTA_TIMESTAMP_NTZ},
    {"TIMESTAMP WITHOUT TIME ZONE", DELTA_TIMESTAMP_NTZ},
    {"TIMESTAMP_US", DELTA_TIMESTAMP_NTZ},
};

/* What DuckDB has and Delta lacks, and what to use. */
static const struct {
    const char *name;
    const char *instead;
} delta_lacking[] = {
    {"UTINYINT", "SMALLINT"},
    {"UINT8", "SMALLINT"},
    {"USMALLINT", "INTEGER"},
    {"UINT16", "INTEGER"},
    {"UINTEGER", "BIGINT"},
    {"UINT32", "BIGINT"},
    {"UBIGINT", "DECIMAL(20,0)"},
    {"UINT64", "DECIMAL(20,0)"},
    {"HUGEINT", "BIGINT or DECIMAL(38,0)"},
    {"INT128", "BIGINT or DECIMAL(38,0)"},
    {"UHUGEINT", "DECIMAL(38,0)"},
    {"UINT128", "DECIMAL(38,0)"},
    {"BIGNUM", "DECIMAL(38,0) or VARCHAR"},
    {"VARINT", "DECIMAL(38,0) or VARCHAR"},
    {"TIME", "VARCHAR"},
    {"TIME_NS", "VARCHAR"},
    {"TIMETZ", "VARCHAR"},
    {"TIME WITH TIME ZONE", "VARCHAR"},
    {"INTERVAL", "BIGINT or VARCHAR"},
    {"UUID", "VARCHAR"},
    {"JSON", "VARCHAR"},
    {"ENUM", "VARCHAR"},
    {"UNION", "STRUCT"},
    {"BIT", "VARCHAR"},
    {"BITSTRING", "VARCHAR"},
    {"TIMESTAMP_S", "TIMESTAMP"},
    {"TIMESTAMP_MS", "TIMESTAMP"},
    {"TIMESTAMP_NS", "TIMESTAMP"},
    {"VARIANT", "VARCHAR"},
    {"GEOMETRY", "BLOB"},
    {"\"NULL\"", "a type of your choice, by a cast"},
    {"NULL", "a type of your choice, by a cast"},
};

static int delta_parse_fail(struct delta_parser *p)
{
    return error_set(p->error, ERR_INVALID, "column \"%.100s\": \"%.100s\" is not a type",
                     p->column, p->text);
}

static void delta_parse_space(struct delta_parser *p)
{
    while (*p->at == ' ' || *p->at == '\t' || *p->at == '\n')
        p->at++;
}

static bool delta_parse_take(struct delta_parser *p, char c)
{
    delta_parse_space(p);
    if (*p->at != c)
        return false;
    p->at++;
    return true;
}

static bool delta_is_word(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '"';
}

/* One word of a type's name in upper case; false when there is none. */
static bool delta_parse_word(struct delta_parser *p, char *out, size_t size)
{
    size_t n = 0;
    delta_parse_space(p);
    for (; delta_is_word(*p->at) && n < size - 1; p->at++)
        out[n++] = *p->at >= 'a' && *p->at <= 'z' ? (char)(*p->at - 32) : *p->at;
    out[n] = '\0';
    return n > 0 && !delta_is_word(*p->at);
}

/* The words of a name: TIMESTAMP WITH TIME ZONE, DOUBLE PRECISION. */
static bool delta_parse_name(struct delta_parser *p, char *out, size_t size)
{
    char word[32];
    if (!delta_parse_word(p, out, size))
        return false;
    for (;;) {
        const char *back = p->at;
        if (!delta_parse_word(p, word, sizeof word) || strlen(out) + strlen(word) + 2 > size) {
            p->at = back;
            return true;
        }
        strcat(strcat(out, " "), word);
    }
}

/* A name that may be quoted; malloc'ed, NULL when there is none. */
static char *delta_parse_identifier(struct delta_parser *p)
{
    struct buf b;
    delta_parse_space(p);
    buf_init(&b, DELTA_NAME_BYTES_MAX);
    if (*p->at != '"') {
        while (delta_is_word(*p->at) || (unsigned char)*p->at >= 0x80)
            if (buf_append_byte(&b, (uint8_t)*p->at++) < 0)
                break;
    } else {
        for (p->at++; *p->at != '\0'; p->at++) {
            if (*p->at == '"' && *++p->at != '"')
                break;
            if (buf_append_byte(&b, (uint8_t)*p->at) < 0)
                break;
        }
    }
    if (b.len > 0)
        return buf_steal(&b, NULL);
    buf_done(&b);
    return NULL;
}

static bool delta_parse_number(struct delta_parser *p, unsigned *value)
{
    unsigned n = 0, digits = 0;
    delta_parse_space(p);
    for (; *p->at >= '0' && *p->at <= '9' && digits < 6; digits++)
        n = n * 10 + (unsigned)(*p->at++ - '0');
    *value = n;
    return digits > 0;
}

static int delta_parse_decimal(struct delta_parser *p, struct delta_type *type)
{
    *type = (struct delta_type){.kind = DELTA_DECIMAL, .precision = 18, .scale = 3};
    if (!delta_parse_take(p, '('))
        return 0;
    type->scale = 0;
    if (!delta_parse_number(p, &type->precision) ||
        (delta_parse_take(p, ',') && !delta_parse_number(p, &type->scale)) ||
        !delta_parse_take(p, ')') || type->precision < 1 ||
        type->precision > DELTA_DECIMAL_DIGITS_MAX || type->scale > type->precision)
        return error_set(p->error, ERR_INVALID,
                         "column \"%.100s\": DECIMAL(precision, scale) has 1 to %d digits, at "
                         "most all of them behind the point",
                         p->column, DELTA_DECIMAL_DIGITS_MAX);
    return 0;
}

static int delta_parse_struct(struct delta_parser *p, struct delta_type *type)
{
    size_t cap = 0;
    *type = (struct delta_type){.kind = DELTA_STRUCT};
    if (!delta_parse_take(p, '('))
        return delta_parse_fail(p);
    do {
        char *name = delta_parse_identifier(p);
        struct delta_type inner = {0};
        int err = name == NULL ? delta_parse_fail(p) : delta_parse_any(p, &inner);
        if (err < 0) {
            free(name);
            return err;
        }
        MEM_GROW(type->fields, cap, type->fields_n + 1);
        type->fields[type->fields_n++] = (struct delta_field){
            .name = name, .type = inner, .nullable = true, .metadata = mem_strdup("{}")};
    } while (delta_parse_take(p, ',') && type->fields_n < DELTA_COLUMNS_MAX);
    return delta_parse_take(p, ')') ? 0 : delta_parse_fail(p);
}

static int delta_parse_inner(struct delta_parser *p, struct delta_type **inner)
{
    struct delta_type type = {0};
    int err = delta_parse_any(p, &type);
    if (err == 0)
        *inner = mem_dup(&type, sizeof type);
    return err;
}

static int delta_parse_map(struct delta_parser *p, struct delta_type *type)
{
    *type = (struct delta_type){.kind = DELTA_MAP, .element_nullable = true};
    if (!delta_parse_take(p, '('))
        return delta_parse_fail(p);
    int err = delta_parse_inner(p, &type->key);
    if (err == 0 && !delta_parse_take(p, ','))
        err = delta_parse_fail(p);
    if (err == 0)
        err = delta_parse_inner(p, &type->element);
    if (err == 0 && !delta_parse_take(p, ')'))
        err = delta_parse_fail(p);
    return err;
}

static int delta_parse_plain(struct delta_parser *p, const char *name, struct delta_type *type)
{
    for (size_t i = 0; i < MEM_COUNT(delta_spellings); i++) {
        if (strcmp(name, delta_spellings[i].name) != 0)
            continue;
        unsigned ignored;
        type->kind = delta_spellings[i].kind;
        if (type->kind == DELTA_STRING && delta_parse_take(p, '(') &&
            (!delta_parse_number(p, &ignored) || !delta_parse_take(p, ')')))
            return delta_parse_fail(p);
        return 0;
    }
    for (size_t i = 0; i < MEM_COUNT(delta_lacking); i++)
        if (strcmp(name, delta_lacking[i].name) == 0)
            return error_set(p->error, ERR_UNSUPPORTED,
                             "column \"%.100s\": a Delta table has no type %s: use %s", p->column,
                             name, delta_lacking[i].instead);
    return delta_parse_fail(p);
}

/* "[]" behind a type: a list of it. "[3]" is DuckDB's array of fixed length. */
static int delta_parse_lists(struct delta_parser *p, struct delta_type *type)
{
    for (unsigned depth = p->depth; delta_parse_take(p, '['); depth++) {
        if (!delta_parse_take(p, ']'))
            return error_set(p->error, ERR_UNSUPPORTED,
                             "column \"%.100s\": a Delta table has no arrays of fixed length: use "
                             "a list, TYPE[]",
                             p->column);
        if (depth >= DELTA_DEPTH_MAX)
            return delta_parse_fail(p);
        struct delta_type *element = mem_dup(type, sizeof *type);
        *type =
            (struct delta_type){.kind = DELTA_ARRAY, .element = element, .element_nullable = true};
    }
    return 0;
}

static int delta_parse_any(struct delta_parser *p, struct delta_type *type)
{
    char name[64];
    int err;
    if (p->depth == DELTA_DEPTH_MAX || !delta_parse_name(p, name, sizeof name))
        return delta_parse_fail(p);
    p->depth++;
    if (strcmp(name, "DECIMAL") == 0 || strcmp(name, "NUMERIC") == 0 || strcmp(name, "DEC") == 0)
        err = delta_parse_decimal(p, type);
    else if (strcmp(name, "STRUCT") == 0 || strcmp(name, "ROW") == 0)
        err = delta_parse_struct(p, type);
    else if (strcmp(name, "MAP") == 0)
        err = delta_parse_map(p, type);
    else
        err = delta_parse_plain(p, name, type);
    if (err == 0)
        err = delta_parse_lists(p, type);
    p->depth--;
    if (err < 0)
        delta_type_done(type);
    return err;
}

int delta_type_parse(const char *text, const char *column, struct delta_type *type, struct error *e)
{
    struct delta_parser p = {.at = text, .text = text, .column = column, .error = e};
    int err = delta_parse_any(&p, type);
    delta_parse_space(&p);
    if (err == 0 && *p.at != '\0') {
        delta_type_done(type);
        err = delta_parse_fail(&p);
    }
    return err;
}

/* ---- writing ----------------------------------------------------------------------------------
 */

static int delta_format_identifier(const char *name, struct buf *b)
{
    int err = buf_append_byte(b, '"');
    for (; err == 0 && *name != '\0'; name++) {
        if (*name == '"')
            err = buf_append_byte(b, '"');
        if (err == 0)
            err = buf_append_byte(b, (uint8_t)*name);
    }
    return err < 0 ? err : buf_append_byte(b, '"');
}

static int delta_format_struct(const struct delta_type *type, struct buf *b)
{
    int err = buf_append_str(b, "STRUCT(");
    for (size_t i = 0; err == 0 && i < type->fields_n; i++) {
        if (i > 0)
            err = buf_append_str(b, ", ");
        if (err == 0)
            err = delta_format_identifier(type->fields[i].name, b);
        if (err == 0)
            err = buf_append_byte(b, ' ');
        if (err == 0)
            err = delta_type_format(&type->fields[i].type, b);
    }
    return err < 0 ? err : buf_append_byte(b, ')');
}

int delta_type_format(const struct delta_type *type, struct buf *b)
{
    static const char *const names[] = {
        [DELTA_BOOLEAN] = "BOOLEAN",
        [DELTA_BYTE] = "TINYINT",
        [DELTA_SHORT] = "SMALLINT",
        [DELTA_INTEGER] = "INTEGER",
        [DELTA_LONG] = "BIGINT",
        [DELTA_FLOAT] = "FLOAT",
        [DELTA_DOUBLE] = "DOUBLE",
        [DELTA_STRING] = "VARCHAR",
        [DELTA_BINARY] = "BLOB",
        [DELTA_DATE] = "DATE",
        [DELTA_TIMESTAMP] = "TIMESTAMP WITH TIME ZONE",
        [DELTA_TIMESTAMP_NTZ] = "TIMESTAMP",
        [DELTA_VOID] = "\"NULL\"",
    };
    int err;
    switch (type->kind) {
    case DELTA_DECIMAL:
        return buf_printf(b, "DECIMAL(%u,%u)", type->precision, type->scale);
    case DELTA_STRUCT:
        return delta_format_struct(type, b);
    case DELTA_ARRAY:
        err = delta_type_format(type->element, b);
        return err < 0 ? err : buf_append_str(b, "[]");
    case DELTA_MAP:
        err = buf_append_str(b, "MAP(");
        if (err == 0)
            err = delta_type_format(type->key, b);
        if (err == 0)
            err = buf_append_str(b, ", ");
        if (err == 0)
            err = delta_type_format(type->element, b);
        return err < 0 ? err : buf_append_byte(b, ')');
    default:
        return buf_append_str(b, names[type->kind]);
    }
}

char *delta_type_duckdb(const struct delta_type *type)
{
    struct buf b;
    buf_init(&b, DELTA_SCHEMA_BYTES_MAX);
    (void)delta_type_format(type, &b);
    (void)buf_cstr(&b);
    return buf_steal(&b, NULL);
}
