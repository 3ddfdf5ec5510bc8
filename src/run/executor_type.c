#include "run/executor_type.h"

#include <stdlib.h>
#include <string.h>

#include "base/json_text.h"
#include "base/mem.h"
#include "run/duck.h"

/* Words that can't name a member without quotes, sorted. */
static const char *const executor_type_reserved[] = {
    "all",          "analyse",     "analyze", "and",       "any",        "array",      "as",
    "asc",          "asymmetric",  "both",    "case",      "cast",       "check",      "collate",
    "column",       "constraint",  "create",  "default",   "deferrable", "desc",       "describe",
    "distinct",     "do",          "else",    "end",       "except",     "false",      "fetch",
    "for",          "foreign",     "from",    "group",     "having",     "in",         "initially",
    "intersect",    "into",        "lambda",  "lateral",   "leading",    "limit",      "not",
    "null",         "offset",      "on",      "only",      "or",         "order",      "pivot",
    "pivot_longer", "pivot_wider", "placing", "primary",   "qualify",    "references", "returning",
    "select",       "show",        "some",    "summarize", "symmetric",  "table",      "then",
    "to",           "trailing",    "true",    "union",     "unique",     "unpivot",    "using",
    "variadic",     "when",        "where",   "window",    "with",
};

static char *executor_type_json_name(const char *name)
{
    struct buf b;
    size_t len = strlen(name);
    buf_init(&b, len * JSON_TEXT_FACTOR_MAX + 3);
    (void)json_text_append(&b, name, len);
    return buf_steal(&b, NULL);
}

static void executor_type_at(struct executor_type *type, duckdb_logical_type from, unsigned depth);

/* Takes `child`. */
static void executor_type_add(struct executor_type *type, duckdb_logical_type child, unsigned depth)
{
    type->children = mem_reallocarray(type->children, type->n + 1, sizeof *type->children);
    executor_type_at(&type->children[type->n++], child, depth + 1);
    duck.destroy_logical_type(&child);
}

/* Takes `name`, which is DuckDB's. */
static void executor_type_add_name(struct executor_type *type, char *name)
{
    type->names = mem_reallocarray(type->names, type->names_n + 1, sizeof *type->names);
    type->names[type->names_n++] = executor_type_json_name(name);
    duck.free(name);
}

static void executor_type_members(struct executor_type *type, duckdb_logical_type from,
                                  unsigned depth)
{
    if (type->id == DUCKDB_TYPE_STRUCT) {
        for (idx_t i = 0; i < duck.struct_type_child_count(from); i++) {
            executor_type_add_name(type, duck.struct_type_child_name(from, i));
            executor_type_add(type, duck.struct_type_child_type(from, i), depth);
        }
        return;
    }
    type->children = mem_zalloc(sizeof *type->children);
    type->children[type->n++].id = DUCKDB_TYPE_UTINYINT;
    for (idx_t i = 0; i < duck.union_type_member_count(from); i++) {
        executor_type_add_name(type, duck.union_type_member_name(from, i));
        executor_type_add(type, duck.union_type_member_type(from, i), depth);
    }
}

static void executor_type_at(struct executor_type *type, duckdb_logical_type from, unsigned depth)
{
    *type = (struct executor_type){.id = duck.get_type_id(from)};
    if (depth > EXECUTOR_TYPE_DEPTH_MAX) {
        type->id = DUCKDB_TYPE_INVALID;
        return;
    }
    switch (type->id) {
    case DUCKDB_TYPE_DECIMAL:
        type->internal = duck.decimal_internal_type(from);
        type->scale = duck.decimal_scale(from);
        break;
    case DUCKDB_TYPE_ENUM:
        type->internal = duck.enum_internal_type(from);
        for (idx_t i = 0; i < duck.enum_dictionary_size(from); i++)
            executor_type_add_name(type, duck.enum_dictionary_value(from, i));
        break;
    case DUCKDB_TYPE_LIST:
        executor_type_add(type, duck.list_type_child_type(from), depth);
        break;
    case DUCKDB_TYPE_ARRAY:
        type->array_size = duck.array_type_array_size(from);
        executor_type_add(type, duck.array_type_child_type(from), depth);
        break;
    case DUCKDB_TYPE_MAP:
        executor_type_add(type, duck.map_type_key_type(from), depth);
        executor_type_add(type, duck.map_type_value_type(from), depth);
        break;
    case DUCKDB_TYPE_STRUCT:
    case DUCKDB_TYPE_UNION:
        executor_type_members(type, from, depth);
        break;
    default:
        break;
    }
}

void executor_type_init(struct executor_type *type, duckdb_logical_type from)
{
    executor_type_at(type, from, 0);
}

void executor_type_done(struct executor_type *type)
{
    for (size_t i = 0; i < type->n; i++)
        executor_type_done(&type->children[i]);
    free(type->children);
    for (size_t i = 0; i < type->names_n; i++)
        free(type->names[i]);
    free(type->names);
    *type = (struct executor_type){0};
}

bool executor_type_is_plain(const struct executor_type *type)
{
    switch (type->id) {
    case DUCKDB_TYPE_INVALID:
    case DUCKDB_TYPE_ANY:
    case DUCKDB_TYPE_BIGNUM:
    case DUCKDB_TYPE_BIT:
    case DUCKDB_TYPE_TIME_NS:
    case DUCKDB_TYPE_STRING_LITERAL:
    case DUCKDB_TYPE_INTEGER_LITERAL:
        return false;
    default:
        break;
    }
    if (type->id > DUCKDB_TYPE_TIME_NS)
        return false;
    for (size_t i = 0; i < type->n; i++)
        if (!executor_type_is_plain(&type->children[i]))
            return false;
    return true;
}

/* ---- names ----------------------------------------------------------------------------------- */

static const char *executor_type_simple_name(duckdb_type id)
{
    static const char *const names[] = {
        [DUCKDB_TYPE_BOOLEAN] = "BOOLEAN",
        [DUCKDB_TYPE_TINYINT] = "TINYINT",
        [DUCKDB_TYPE_SMALLINT] = "SMALLINT",
        [DUCKDB_TYPE_INTEGER] = "INTEGER",
        [DUCKDB_TYPE_BIGINT] = "BIGINT",
        [DUCKDB_TYPE_UTINYINT] = "UTINYINT",
        [DUCKDB_TYPE_USMALLINT] = "USMALLINT",
        [DUCKDB_TYPE_UINTEGER] = "UINTEGER",
        [DUCKDB_TYPE_UBIGINT] = "UBIGINT",
        [DUCKDB_TYPE_FLOAT] = "FLOAT",
        [DUCKDB_TYPE_DOUBLE] = "DOUBLE",
        [DUCKDB_TYPE_TIMESTAMP] = "TIMESTAMP",
        [DUCKDB_TYPE_DATE] = "DATE",
        [DUCKDB_TYPE_TIME] = "TIME",
        [DUCKDB_TYPE_INTERVAL] = "INTERVAL",
        [DUCKDB_TYPE_HUGEINT] = "HUGEINT",
        [DUCKDB_TYPE_UHUGEINT] = "UHUGEINT",
        [DUCKDB_TYPE_VARCHAR] = "VARCHAR",
        [DUCKDB_TYPE_BLOB] = "BLOB",
        [DUCKDB_TYPE_TIMESTAMP_S] = "TIMESTAMP_S",
        [DUCKDB_TYPE_TIMESTAMP_MS] = "TIMESTAMP_MS",
        [DUCKDB_TYPE_TIMESTAMP_NS] = "TIMESTAMP_NS",
        [DUCKDB_TYPE_UUID] = "UUID",
        [DUCKDB_TYPE_BIT] = "BIT",
        [DUCKDB_TYPE_TIME_TZ] = "TIME WITH TIME ZONE",
        [DUCKDB_TYPE_TIMESTAMP_TZ] = "TIMESTAMP WITH TIME ZONE",
        [DUCKDB_TYPE_BIGNUM] = "BIGNUM",
        [DUCKDB_TYPE_SQLNULL] = "\"NULL\"",
        [DUCKDB_TYPE_TIME_NS] = "TIME_NS",
    };
    const char *name = id < MEM_COUNT(names) ? names[id] : NULL;
    return name != NULL ? name : "VARCHAR";
}

static int executor_type_compare_word(const void *key, const void *word)
{
    return strcasecmp(key, *(const char *const *)word);
}

static bool executor_type_needs_quotes(const char *name)
{
    if (strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_0123456789") !=
            strlen(name) ||
        *name == '\0' || (*name >= '0' && *name <= '9'))
        return true;
    return bsearch(name, executor_type_reserved, MEM_COUNT(executor_type_reserved),
                   sizeof *executor_type_reserved, executor_type_compare_word) != NULL;
}

/* Takes `name`, which is DuckDB's. */
static void executor_type_member_name(struct buf *out, char *name)
{
    bool quotes = executor_type_needs_quotes(name);
    if (quotes)
        (void)buf_append_byte(out, '"');
    for (const char *s = name; *s != '\0'; s++) {
        if (quotes && *s == '"')
            (void)buf_append_byte(out, '"');
        (void)buf_append_byte(out, (uint8_t)*s);
    }
    if (quotes)
        (void)buf_append_byte(out, '"');
    (void)buf_append_byte(out, ' ');
    duck.free(name);
}

static void executor_type_name_at(struct buf *out, duckdb_logical_type type, unsigned depth);

/* Takes `child`. */
static void executor_type_child_name(struct buf *out, duckdb_logical_type child, unsigned depth)
{
    executor_type_name_at(out, child, depth + 1);
    duck.destroy_logical_type(&child);
}

static void executor_type_labels(struct buf *out, duckdb_logical_type type)
{
    (void)buf_append_str(out, "ENUM(");
    for (idx_t i = 0; i < duck.enum_dictionary_size(type); i++) {
        char *label = duck.enum_dictionary_value(type, i);
        (void)buf_append_str(out, i > 0 ? ", '" : "'");
        for (const char *s = label; *s != '\0'; s++) {
            if (*s == '\'')
                (void)buf_append_byte(out, '\'');
            (void)buf_append_byte(out, (uint8_t)*s);
        }
        (void)buf_append_byte(out, '\'');
        duck.free(label);
    }
    (void)buf_append_byte(out, ')');
}

static void executor_type_members_name(struct buf *out, duckdb_logical_type type, duckdb_type id,
                                       unsigned depth)
{
    bool is_struct = id == DUCKDB_TYPE_STRUCT;
    idx_t n = is_struct ? duck.struct_type_child_count(type) : duck.union_type_member_count(type);
    (void)buf_append_str(out, is_struct ? "STRUCT(" : "UNION(");
    for (idx_t i = 0; i < n; i++) {
        if (i > 0)
            (void)buf_append_str(out, ", ");
        executor_type_member_name(out, is_struct ? duck.struct_type_child_name(type, i)
                                                 : duck.union_type_member_name(type, i));
        executor_type_child_name(out,
                                 is_struct ? duck.struct_type_child_type(type, i)
                                           : duck.union_type_member_type(type, i),
                                 depth);
    }
    (void)buf_append_byte(out, ')');
}

static void executor_type_name_at(struct buf *out, duckdb_logical_type type, unsigned depth)
{
    duckdb_type id = depth > EXECUTOR_TYPE_DEPTH_MAX ? DUCKDB_TYPE_INVALID : duck.get_type_id(type);
    char *alias = duck.logical_type_get_alias(type);
    if (alias != NULL) {
        (void)buf_append_str(out, alias);
        duck.free(alias);
        return;
    }
    switch (id) {
    case DUCKDB_TYPE_DECIMAL:
        (void)buf_printf(out, "DECIMAL(%u,%u)", duck.decimal_width(type), duck.decimal_scale(type));
        break;
    case DUCKDB_TYPE_ENUM:
        executor_type_labels(out, type);
        break;
    case DUCKDB_TYPE_LIST:
        executor_type_child_name(out, duck.list_type_child_type(type), depth);
        (void)buf_append_str(out, "[]");
        break;
    case DUCKDB_TYPE_ARRAY:
        executor_type_child_name(out, duck.array_type_child_type(type), depth);
        (void)buf_printf(out, "[%llu]", (unsigned long long)duck.array_type_array_size(type));
        break;
    case DUCKDB_TYPE_MAP:
        (void)buf_append_str(out, "MAP(");
        executor_type_child_name(out, duck.map_type_key_type(type), depth);
        (void)buf_append_str(out, ", ");
        executor_type_child_name(out, duck.map_type_value_type(type), depth);
        (void)buf_append_byte(out, ')');
        break;
    case DUCKDB_TYPE_STRUCT:
    case DUCKDB_TYPE_UNION:
        executor_type_members_name(out, type, id, depth);
        break;
    default:
        (void)buf_append_str(out, executor_type_simple_name(id));
    }
}

void executor_type_name(struct buf *out, duckdb_logical_type type)
{
    executor_type_name_at(out, type, 0);
}
