/* Which tables a query names. CTEs hide tables of the same name where they are in scope. */
#include "core/sql_plan_internal.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/mem.h"

/* Names of the CTEs in scope, innermost first. */
struct sql_env {
    const char *name;
    const struct sql_env *outer;
};

struct sql_refs_walk {
    const struct sql_env *env;
    bool files;
    struct sql_refs *out;         /* collects, or */
    const struct sql_refs *known; /* marks */
    struct sql_error *e;
    int code;
};

static void sql_refs_tree(struct sql_refs_walk *w, json_t *tree);

static bool sql_env_has(const struct sql_env *env, const char *name)
{
    for (; env != NULL; env = env->outer) {
        if (strcasecmp(env->name, name) == 0)
            return true;
    }
    return false;
}

/* The text of a constant, also behind a cast; NULL for anything else. */
static char *sql_refs_constant(const json_t *expression)
{
    while (sql_ast_is(expression, "class", "CAST"))
        expression = json_object_get(expression, "child");
    if (!sql_ast_is(expression, "class", "CONSTANT"))
        return NULL;
    const json_t *value = json_object_get(json_object_get(expression, "value"), "value");
    if (json_is_string(value))
        return mem_strdup(json_string_value(value));
    if (json_is_integer(value))
        return mem_printf("%" JSON_INTEGER_FORMAT, json_integer_value(value));
    return NULL;
}

static size_t sql_refs_find(const struct sql_refs *refs, const struct sql_ref *ref)
{
    for (size_t i = 0; i < refs->n; i++) {
        const struct sql_ref *r = &refs->refs[i];
        if (strcasecmp(r->schema, ref->schema) == 0 && strcasecmp(r->name, ref->name) == 0 &&
            strcmp(r->at_unit, ref->at_unit) == 0 && strcmp(r->at_text, ref->at_text) == 0)
            return i;
    }
    return SIZE_MAX;
}

static void sql_ref_done(struct sql_ref *ref)
{
    free(ref->schema);
    free(ref->name);
    free(ref->at_unit);
    free(ref->at_text);
}

static void sql_refs_add(struct sql_refs_walk *w, json_t *table, struct sql_ref *ref)
{
    if (w->known != NULL) {
        size_t i = sql_refs_find(w->known, ref);
        if (i == SIZE_MAX)
            w->code = ERR_NOT_FOUND;
        else
            json_object_set_new(table, "_table", json_integer((json_int_t)i));
        sql_ref_done(ref);
        return;
    }
    if (sql_refs_find(w->out, ref) != SIZE_MAX) {
        sql_ref_done(ref);
        return;
    }
    if (w->out->n >= SQL_TABLES_MAX) {
        w->code = sql_error_set(w->e, ERR_UNSUPPORTED, ref->at, NULL,
                                "the query names more than %d tables", SQL_TABLES_MAX);
        sql_ref_done(ref);
        return;
    }
    w->out->refs = mem_reallocarray(w->out->refs, w->out->n + 1, sizeof *w->out->refs);
    w->out->refs[w->out->n++] = *ref;
}

static void sql_refs_table(struct sql_refs_walk *w, json_t *table)
{
    const char *schema = sql_ast_text(table, "schema_name");
    const char *name = sql_ast_text(table, "table_name");
    if (schema[0] == '\0' && sql_env_has(w->env, name))
        return;
    size_t at = sql_ast_at(table);
    if (sql_ast_text(table, "catalog_name")[0] != '\0') {
        w->code = sql_error_set(w->e, ERR_UNSUPPORTED, at, "write table or schema.table",
                                "a table's name has at most one dot");
        return;
    }
    struct sql_ref ref = {.at = at};
    const json_t *clause = json_object_get(table, "at_clause");
    if (json_is_object(clause)) {
        ref.at_unit = mem_strdup(sql_ast_text(clause, "unit"));
        ref.at_text = sql_refs_constant(json_object_get(clause, "expr"));
        if (ref.at_text == NULL) {
            w->code = sql_error_set(w->e, ERR_UNSUPPORTED, at,
                                    "AT (VERSION => 3), AT (TIMESTAMP => '2025-01-31 12:00:00')",
                                    "the version of \"%s\" must be a constant", name);
            free(ref.at_unit);
            return;
        }
    } else {
        ref.at_unit = mem_strdup("");
        ref.at_text = mem_strdup("");
    }
    ref.schema = mem_strdup(schema);
    ref.name = mem_strdup(name);
    sql_refs_add(w, table, &ref);
}

static bool sql_refs_listed(const char *const *names, size_t n, const char *name)
{
    for (size_t i = 0; i < n; i++) {
        if (strcasecmp(names[i], name) == 0)
            return true;
    }
    return false;
}

static bool sql_refs_reads_files(const char *name)
{
    static const char *const file_ones[] = {"read_csv",
                                            "read_csv_auto",
                                            "sniff_csv",
                                            "read_parquet",
                                            "parquet_scan",
                                            "parquet_metadata",
                                            "parquet_schema",
                                            "parquet_file_metadata",
                                            "parquet_kv_metadata",
                                            "read_json",
                                            "read_json_auto",
                                            "read_ndjson",
                                            "read_ndjson_auto",
                                            "read_json_objects",
                                            "read_json_objects_auto",
                                            "read_ndjson_objects",
                                            "read_text",
                                            "read_blob",
                                            "glob"};
    return sql_refs_listed(file_ones, MEM_COUNT(file_ones), name);
}

static void sql_refs_function(struct sql_refs_walk *w, const json_t *table)
{
    static const char *const free_ones[] = {"range",
                                            "generate_series",
                                            "unnest",
                                            "repeat",
                                            "repeat_row",
                                            "json_each",
                                            "json_tree",
                                            "duckdb_functions",
                                            "duckdb_keywords",
                                            "duckdb_types",
                                            "pg_timezone_names",
                                            "icu_calendar_names",
                                            "test_all_types",
                                            "test_vector_types",
                                            "generate_subscripts",
                                            "regexp_split_to_table",
                                            "histogram_values"};
    const json_t *function = json_object_get(table, "function");
    const char *name = sql_ast_text(function, "function_name");
    if (sql_refs_listed(free_ones, MEM_COUNT(free_ones), name))
        return;
    bool reads = sql_refs_reads_files(name);
    if (reads && w->files)
        return;
    w->code =
        sql_error_set(w->e, ERR_FORBIDDEN, sql_ast_at(table),
                      reads ? "sql.paths in the configuration names folders that queries may read"
                            : "tables, subqueries, range(), unnest() can stand in FROM",
                      "the table function %s isn't allowed", name);
}

/* A query node: its CTEs come into scope one after the other. */
static void sql_refs_query(struct sql_refs_walk *w, json_t *query)
{
    const json_t *map = json_object_get(json_object_get(query, "cte_map"), "map");
    size_t n = json_array_size(map);
    const struct sql_env *outer = w->env;
    struct sql_env *envs = mem_calloc(n + 1, sizeof *envs);
    bool recursive = sql_ast_is(query, "type", "RECURSIVE_CTE_NODE");
    if (recursive) {
        envs[n] = (struct sql_env){sql_ast_text(query, "cte_name"), w->env};
        w->env = &envs[n];
    }
    for (size_t i = 0; i < n; i++) {
        const json_t *entry = json_array_get(map, i);
        sql_refs_tree(w, json_object_get(entry, "value"));
        envs[i] = (struct sql_env){sql_ast_text(entry, "key"), w->env};
        w->env = &envs[i];
    }
    const char *key;
    json_t *value;
    json_object_foreach(query, key, value)
    {
        if (strcmp(key, "cte_map") != 0)
            sql_refs_tree(w, value);
    }
    w->env = outer;
    free(envs);
}

static void sql_refs_tree(struct sql_refs_walk *w, json_t *tree)
{
    json_t *value;
    size_t i;
    const char *key;
    if (w->code < 0)
        return;
    if (json_is_array(tree)) {
        json_array_foreach(tree, i, value) sql_refs_tree(w, value);
        return;
    }
    if (!json_is_object(tree))
        return;
    if (sql_ast_is_query(tree)) {
        sql_refs_query(w, tree);
        return;
    }
    if (sql_ast_is_table(tree) && sql_ast_is(tree, "type", "BASE_TABLE"))
        sql_refs_table(w, tree);
    else if (sql_ast_is_table(tree) && sql_ast_is(tree, "type", "TABLE_FUNCTION"))
        sql_refs_function(w, tree);
    json_object_foreach(tree, key, value) sql_refs_tree(w, value);
}

int sql_refs_collect(const json_t *query, bool files, struct sql_refs *out, struct sql_error *e)
{
    struct sql_refs refs = {0};
    struct sql_refs_walk w = {.files = files, .out = &refs, .e = e};
    sql_refs_tree(&w, (json_t *)query);
    if (w.code < 0) {
        sql_refs_done(&refs);
        return w.code;
    }
    *out = refs;
    return 0;
}

bool sql_mark_tables(json_t *query, const struct sql_refs *refs)
{
    struct sql_refs_walk w = {.files = true, .known = refs};
    sql_refs_tree(&w, query);
    return w.code == 0;
}

/* Texts that DuckDB would take for a file where a table stands. */
static bool sql_refs_like_file(const char *text)
{
    static const char *const ends[] = {".parquet", ".csv", ".tsv", ".json", ".jsonl", ".ndjson"};
    bool like = strchr(text, '/') != NULL;
    for (size_t i = 0; i < MEM_COUNT(ends) && !like; i++)
        like = strcasestr(text, ends[i]) != NULL;
    return like;
}

static int sql_refs_no_file(size_t at, const char *what, struct sql_error *e)
{
    return sql_error_set(e, ERR_FORBIDDEN, at, "PIVOT ... ON column IN (values)",
                         "%.100s isn't allowed in a PIVOT that finds its columns", what);
}

int sql_refs_guess(const char *text, size_t len, bool files,
                   bool (*known)(const char *schema, const char *name, void *ctx), void *ctx,
                   struct sql_refs *out, struct sql_error *e)
{
    struct sql_refs refs = {0};
    struct sql_refs_walk w = {.out = &refs, .e = e};
    struct sql_token token, next;
    for (size_t at = 0; w.code == 0; at = token.at + token.len) {
        token = sql_lex_next(text, len, at);
        if (token.kind == SQL_TOKEN_END)
            break;
        bool is_name = token.kind == SQL_TOKEN_WORD || token.kind == SQL_TOKEN_QUOTED;
        if (!is_name && token.kind != SQL_TOKEN_STRING)
            continue;
        char *name = sql_token_value(text, &token);
        next = sql_lex_next(text, len, token.at + token.len);
        bool calls = is_name && sql_token_is_op(text, &next, "(");
        if (!files && ((calls && sql_refs_reads_files(name)) || sql_refs_like_file(name))) {
            w.code = sql_refs_no_file(token.at, name, e);
        } else if (is_name && !calls && known("", name, ctx)) {
            struct sql_ref ref = {mem_strdup(""), mem_strdup(name), mem_strdup(""), mem_strdup(""),
                                  token.at};
            sql_refs_add(&w, NULL, &ref);
        }
        free(name);
    }
    if (w.code < 0) {
        sql_refs_done(&refs);
        return w.code;
    }
    *out = refs;
    return 0;
}

void sql_refs_done(struct sql_refs *refs)
{
    for (size_t i = 0; i < refs->n; i++)
        sql_ref_done(&refs->refs[i]);
    free(refs->refs);
    *refs = (struct sql_refs){0};
}
