/* Statements that write. Data goes into files first, on whichever workers; then one commit names
 * them. When the commit is refused because another one removed the same files, the statement begins
 * again. Files of a statement that fails are named by no commit; VACUUM removes them. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/mem.h"
#include "base/str.h"
#include "core/delta_commit.h"
#include "role/query_internal.h"
#include "wire/lake_path.h"

static void query_copy_begin(struct query *q);

/* ---- commits --------------------------------------------------------------------------------- */

static void query_on_committed(void *arg, const struct tables_result *result)
{
    struct query *q = arg;
    q->call = NULL;
    if (result->code < 0)
        query_fail(q, result->code, SQL_AT_NONE,
                   result->code == ERR_CONFLICT ? "repeat the statement" : NULL, "%s",
                   result->text);
    else
        query_done(q);
}

int query_write_add(struct query *q, const struct delta_metadata *metadata,
                    const Wire__SqlOutputFile *file, bool changes)
{
    const char *values[DELTA_PARTITION_COLUMNS_MAX] = {0};
    for (size_t i = 0; i < file->n_values && i < DELTA_PARTITION_COLUMNS_MAX; i++)
        values[i] = file->values[i]->is_null ? NULL : file->values[i]->text;
    char *path = lake_action_path(file->path);
    struct delta_new_file added = {path, values, file->bytes,
                                   loop_wall_ms(node_loop(q->role->node)),
                                   file->stats[0] != '\0' ? file->stats : NULL};
    int err = delta_write_add(&q->lines, metadata, &added, changes);
    free(path);
    return err;
}

int query_write_info(struct query *q, const char *operation, uint64_t read_version)
{
    char id[UUID_TEXT_MAX];
    struct uuid txn;
    uuid_generate(&txn);
    free(q->txn_id);
    q->txn_id = mem_strdup(uuid_format(&txn, id));
    struct delta_commit_info info = {.at_ms = loop_wall_ms(node_loop(q->role->node)),
                                     .operation = operation,
                                     .user = q->user,
                                     .engine = "clusterd",
                                     .txn_id = q->txn_id,
                                     .read_version = read_version};
    buf_clear(&q->lines);
    return delta_write_info(&q->lines, &info);
}

/* Appends an add for each file that the last stage wrote. */
static int query_commit_files(struct query *q, const struct delta_metadata *metadata)
{
    const struct query_stage *stage = &q->stages[q->stage];
    int err = 0;
    for (size_t t = 0; t < stage->tasks_n && err == 0; t++) {
        const Wire__SqlTaskDone *result = stage->tasks[t].result;
        for (size_t f = 0; f < result->n_files && err == 0; f++) {
            const Wire__SqlOutputFile *file = result->files[f];
            err = query_write_add(q, metadata, file, true);
            q->affected += file->rows;
        }
    }
    return err;
}

static void query_commit(struct query *q)
{
    const struct query_table *table = &q->target_table;
    q->affected = 0;
    struct delta_metadata metadata = *delta_view_metadata(table->view);
    size_t partitions[DELTA_PARTITION_COLUMNS_MAX];
    int err = query_write_info(q, q->replaces ? "CREATE OR REPLACE TABLE" : "WRITE",
                               delta_view_version(table->view));
    if (err == 0 && q->replaces) {
        metadata.schema = q->schema;
        metadata.partitions = partitions;
        metadata.partitions_n = 0;
        for (size_t i = 0; i < q->statement.names_n && i < DELTA_PARTITION_COLUMNS_MAX; i++)
            partitions[metadata.partitions_n++] =
                delta_schema_find(&q->schema, q->statement.names[i]);
        err = delta_write_metadata(&q->lines, &metadata);
        for (size_t f = 0; f < table->files_n && err == 0; f++)
            err = delta_write_remove(&q->lines, table->view, &table->delta[f],
                                     loop_wall_ms(node_loop(q->role->node)), true);
    }
    if (err == 0 && q->stages != NULL)
        err = query_commit_files(q, &metadata);
    if (err < 0) {
        query_fail(q, err, SQL_AT_NONE, "write fewer rows or partitions at once",
                   "the statement made more files than one commit can name");
        return;
    }
    if (q->affected == 0 && !q->replaces) {
        query_done(q);
        return;
    }
    struct tables_commit commit = {.table = table->id,
                                   .base = delta_view_version(table->view),
                                   .txn_id = q->txn_id,
                                   .user = q->user,
                                   .lines = buf_cstr(&q->lines),
                                   .lines_len = q->lines.len};
    q->call = tables_commit(node_lake(q->role->node)->tables, &commit, query_on_committed, q);
}

/* ---- INSERT ---------------------------------------------------------------------------------- */

static void query_into_table(struct query *q)
{
    const struct delta_metadata *metadata = delta_view_metadata(q->target_table.view);
    q->target = (struct query_target){.kind = WIRE__SQL_OUTPUT_KIND__SQL_OUTPUT_KIND_TABLE,
                                      .root = q->target_table.place,
                                      .schema = q->replaces ? &q->schema : &metadata->schema,
                                      .metadata = q->replaces ? NULL : metadata,
                                      .partitions = q->replaces ? q->statement.names : NULL,
                                      .partitions_n = q->replaces ? q->statement.names_n : 0,
                                      .target_bytes = QUERY_FILE_TARGET_BYTES};
}

static void query_insert_run(struct query *q)
{
    query_into_table(q);
    if (query_plan(q, SIZE_MAX))
        query_run(q, query_commit);
}

static size_t query_find_name(char *const *names, size_t n, const char *name)
{
    for (size_t i = 0; i < n; i++) {
        if (strcasecmp(names[i], name) == 0)
            return i;
    }
    return SIZE_MAX;
}

/* SELECT the table's columns FROM (the query) AS q(c0, c1, ...), NULL where the statement names
 * none. */
static void query_insert_compose(struct query *q, char *const *names, size_t n)
{
    const struct delta_schema *schema = &delta_view_metadata(q->target_table.view)->schema;
    struct buf text;
    buf_init(&text, SQL_AST_BYTES_MAX);
    (void)buf_append_str(&text, "SELECT ");
    for (size_t i = 0; i < schema->n; i++) {
        size_t at = query_find_name(names, n, schema->fields[i].name);
        if (at == SIZE_MAX)
            (void)buf_printf(&text, "%sNULL AS c_%zu", i > 0 ? ", " : "", i);
        else
            (void)buf_printf(&text, "%sq_.c%zu AS c_%zu", i > 0 ? ", " : "", at, i);
    }
    (void)buf_append_str(&text, " FROM (\n");
    size_t from = text.len;
    (void)buf_append_str(&text, q->statement.query.text);
    (void)buf_append_str(&text, "\n) AS q_(");
    for (size_t i = 0; i < n; i++)
        (void)buf_printf(&text, "%sc%zu", i > 0 ? ", " : "", i);
    (void)buf_append_str(&text, ")");
    char *source = buf_steal(&text, NULL);
    buf_done(&text);
    query_read(q, source, from, q->statement.query.at, query_insert_run);
}

/* The columns of the query are known: as many as the table wants? */
static void query_insert_described(struct query *q)
{
    const struct sql_statement *s = &q->statement;
    const struct delta_schema *schema = &delta_view_metadata(q->target_table.view)->schema;
    size_t wanted = s->names_n > 0 ? s->names_n : schema->n;
    if (!s->by_name && q->described_n != wanted) {
        query_fail(q, ERR_INVALID, s->query.at, NULL,
                   "the query gives %zu columns, table \"%s\" takes %zu", q->described_n,
                   q->target_table.name, wanted);
        return;
    }
    if (s->by_name) {
        char **names = mem_calloc(q->described_n + 1, sizeof *names);
        size_t n = q->described_n;
        bool known = true;
        for (size_t i = 0; i < n; i++) {
            names[i] = mem_strdup(q->described[i]->name);
            if (known && delta_schema_find(schema, names[i]) == SIZE_MAX) {
                query_fail(q, ERR_NOT_FOUND, s->query.at, NULL, "table \"%s\" has no column \"%s\"",
                           q->target_table.name, names[i]);
                known = false;
            }
        }
        if (known)
            query_insert_compose(q, names, n);
        for (size_t i = 0; i < n; i++)
            free(names[i]);
        free(names);
    } else if (s->names_n > 0) {
        query_insert_compose(q, s->names, s->names_n);
    } else {
        query_insert_run(q);
    }
}

static void query_insert_read(struct query *q)
{
    query_describe(q, query_insert_described);
}

static void query_insert_table(struct query *q)
{
    const struct sql_statement *s = &q->statement;
    const struct delta_schema *schema = &delta_view_metadata(q->target_table.view)->schema;
    for (size_t i = 0; i < s->names_n; i++) {
        if (delta_schema_find(schema, s->names[i]) == SIZE_MAX) {
            query_fail(q, ERR_NOT_FOUND, s->table.at, "DESCRIBE shows its columns",
                       "table \"%s\" has no column \"%s\"", q->target_table.name, s->names[i]);
            return;
        }
    }
    if (s->kind == SQL_COPY_FROM)
        query_copy_begin(q);
    else
        query_read(q, mem_strdup(s->query.text), 0, s->query.at, query_insert_read);
}

/* ---- COPY ------------------------------------------------------------------------------------ */

static bool query_copy_format(struct query *q, Wire__SqlFormat *format)
{
    const char *name = NULL;
    for (size_t i = 0; i < q->statement.options_n; i++) {
        if (strcmp(q->statement.options[i].name, "format") == 0)
            name = q->statement.options[i].value;
    }
    char *path = mem_strdup(q->statement.path);
    size_t len = strlen(path);
    if (len > 3 && (strcmp(path + len - 3, ".gz") == 0))
        path[len -= 3] = '\0';
    else if (len > 4 && strcmp(path + len - 4, ".zst") == 0)
        path[len -= 4] = '\0';
    const char *dot = strrchr(path, '.');
    if (name == NULL)
        name = dot != NULL ? dot + 1 : "csv";
    bool known = true;
    if (strcasecmp(name, "parquet") == 0)
        *format = WIRE__SQL_FORMAT__SQL_FORMAT_PARQUET;
    else if (strcasecmp(name, "json") == 0 || strcasecmp(name, "jsonl") == 0 ||
             strcasecmp(name, "ndjson") == 0)
        *format = WIRE__SQL_FORMAT__SQL_FORMAT_JSON;
    else if (strcasecmp(name, "csv") == 0 || strcasecmp(name, "tsv") == 0 || dot == NULL ||
             strchr(name, '/') != NULL || strcasecmp(name, "txt") == 0)
        *format = WIRE__SQL_FORMAT__SQL_FORMAT_CSV;
    else
        known = false;
    if (!known)
        query_fail(q, ERR_UNSUPPORTED, SQL_AT_NONE, "(FORMAT csv), json or parquet",
                   "the format of \"%s\" isn't known", q->statement.path);
    free(path);
    return known;
}

/* The folder of a path without wildcards as a URL, and the rest. */
static bool query_copy_place(struct query *q, char **root, char **rest)
{
    const char *path = q->statement.path;
    bool in_bucket = str_starts_with(path, "s3://") && strchr(path + strlen("s3://"), '/') != NULL;
    if (str_starts_with(path, "file:"))
        path += strlen("file:");
    if (path[0] != '/' && !in_bucket) {
        query_fail(q, ERR_INVALID, SQL_AT_NONE,
                   "the path on the nodes, as /data/rows.csv, or s3://bucket/rows.csv",
                   "\"%s\" isn't an absolute path", q->statement.path);
        return false;
    }
    size_t cut = strcspn(path, "*?[{");
    while (cut > 0 && path[cut - 1] != '/')
        cut--;
    if (in_bucket)
        *root = mem_strndup(path, cut - 1);
    else
        *root = cut > 1 ? mem_printf("file:%.*s", (int)cut - 1, path) : mem_strdup("file:/");
    *rest = mem_strdup(path + cut);
    return true;
}

/* One task reads the files and writes the table's. */
static void query_copy_begin(struct query *q)
{
    Wire__SqlFormat format;
    char *root, *rest;
    if (!query_copy_format(q, &format) || !query_copy_place(q, &root, &rest))
        return;
    q->copy_root = root;
    q->copy_path = rest;
    q->copy_format = format;
    const struct sql_statement *s = &q->statement;
    const struct delta_schema *schema = &delta_view_metadata(q->target_table.view)->schema;
    struct buf text;
    buf_init(&text, SQL_AST_BYTES_MAX);
    (void)buf_append_str(&text, "SELECT ");
    for (size_t i = 0; i < schema->n; i++) {
        char *name = sql_quote_name(schema->fields[i].name);
        bool given = s->names_n == 0 ||
                     query_find_name(s->names, s->names_n, schema->fields[i].name) != SIZE_MAX;
        (void)buf_printf(&text, "%s%s%s", i > 0 ? ", " : "", given ? "" : "NULL AS ", name);
        free(name);
    }
    (void)buf_append_str(&text, " FROM copied");
    sql_plan_done(&q->plan);
    struct sql_refs none = {0};
    (void)sql_plan_text(buf_cstr(&text), &none, NULL, &q->plan);
    buf_done(&text);
    q->planned = true;
    query_into_table(q);
    query_find_nodes(q);
    query_run(q, query_commit);
}

Wire__SqlInput *query_copy_input(const struct query *q)
{
    const struct sql_statement *s = &q->statement;
    Wire__SqlInput *input = mem_alloc(sizeof *input);
    wire__sql_input__init(input);
    input->name = mem_strdup("copied");
    input->schema = mem_strdup("");
    input->root = mem_strdup(q->copy_root);
    input->format = q->copy_format;
    size_t n = s->names_n > 0 ? s->names_n : delta_view_metadata(q->target_table.view)->schema.n;
    input->columns = mem_calloc(n + 1, sizeof *input->columns);
    for (size_t i = 0; i < n; i++) {
        size_t at =
            s->names_n > 0
                ? delta_schema_find(&delta_view_metadata(q->target_table.view)->schema, s->names[i])
                : i;
        Wire__SqlColumn *column = mem_alloc(sizeof *column);
        wire__sql_column__init(column);
        column->name = mem_strdup(q->target_table.columns[at].name);
        column->type = mem_strdup(q->target_table.columns[at].type);
        input->columns[input->n_columns++] = column;
    }
    input->files = mem_calloc(1, sizeof *input->files);
    Wire__SqlFile *file = mem_alloc(sizeof *file);
    wire__sql_file__init(file);
    file->path = mem_strdup(q->copy_path);
    input->files[input->n_files++] = file;
    input->options = mem_calloc(s->options_n + 1, sizeof *input->options);
    for (size_t i = 0; i < s->options_n; i++) {
        if (strcmp(s->options[i].name, "format") == 0)
            continue;
        Wire__SqlOption *option = mem_alloc(sizeof *option);
        wire__sql_option__init(option);
        option->name = mem_strdup(s->options[i].name);
        option->value = mem_strdup(s->options[i].value != NULL ? s->options[i].value : "true");
        input->options[input->n_options++] = option;
    }
    return input;
}

static void query_copied(struct query *q)
{
    const struct query_stage *stage = &q->stages[q->stage];
    for (size_t t = 0; t < stage->tasks_n; t++)
        q->affected += stage->tasks[t].rows;
    query_done(q);
}

static void query_copy_to_read(struct query *q)
{
    char *root, *rest;
    Wire__SqlFormat format;
    if (!query_copy_format(q, &format) || !query_copy_place(q, &root, &rest))
        return;
    q->copy_root = root;
    q->copy_path = rest;
    q->target = (struct query_target){.kind = WIRE__SQL_OUTPUT_KIND__SQL_OUTPUT_KIND_FILE,
                                      .root = q->copy_root,
                                      .path = q->copy_path,
                                      .format = format,
                                      .options = q->statement.options,
                                      .options_n = q->statement.options_n};
    if (query_plan(q, 1))
        query_run(q, query_copied);
}

/* ---- CREATE, DROP ---------------------------------------------------------------------------- */

static void query_created_insert(struct query *q)
{
    query_read(q, mem_strdup(q->statement.query.text), 0, q->statement.query.at, query_insert_run);
}

static void query_on_created(void *arg, const struct tables_result *result)
{
    struct query *q = arg;
    q->call = NULL;
    if (result->code < 0) {
        query_fail(q, result->code, q->statement.table.at,
                   result->code == ERR_EXISTS ? "CREATE TABLE IF NOT EXISTS, or DROP TABLE" : NULL,
                   "%s", result->text);
        return;
    }
    if (q->statement.kind != SQL_CREATE_TABLE_AS || result->repeated) {
        query_done(q);
        return;
    }
    char *name = query_table_name(q->statement.table.schema, q->statement.table.name);
    query_snapshot(q, name, &q->target_table, query_created_insert);
    free(name);
}

/* Types that queries have and Delta hasn't. */
static const char *query_type_for_table(const char *type)
{
    static const struct {
        const char *from, *to;
    } rows[] = {
        {"HUGEINT", "DECIMAL(38,0)"}, {"UHUGEINT", "DECIMAL(38,0)"}, {"UBIGINT", "DECIMAL(20,0)"},
        {"UINTEGER", "BIGINT"},       {"USMALLINT", "INTEGER"},      {"UTINYINT", "SMALLINT"},
        {"\"NULL\"", "INTEGER"},      {"UUID", "VARCHAR"},           {"JSON", "VARCHAR"}};
    for (size_t i = 0; i < MEM_COUNT(rows); i++) {
        if (strcmp(rows[i].from, type) == 0)
            return rows[i].to;
    }
    return str_starts_with(type, "ENUM(") ? "VARCHAR" : type;
}

/* The schema that the statement gives: its list, or what the query gives. */
static bool query_schema(struct query *q)
{
    const struct sql_statement *s = &q->statement;
    struct error e = {0};
    int err = 0;
    bool as = s->kind == SQL_CREATE_TABLE_AS;
    size_t n = as ? q->described_n : s->columns_n;
    delta_schema_done(&q->schema);
    q->schema = (struct delta_schema){0};
    for (size_t i = 0; i < n && err == 0; i++)
        err = as ? delta_schema_add(&q->schema, q->described[i]->name,
                                    query_type_for_table(q->described[i]->type), true, &e)
                 : delta_schema_add(&q->schema, s->columns[i].name, s->columns[i].type,
                                    !s->columns[i].not_null, &e);
    for (size_t i = 0; i < s->names_n && err == 0; i++) {
        if (delta_schema_find(&q->schema, s->names[i]) == SIZE_MAX)
            err = error_set(&e, ERR_NOT_FOUND, "PARTITIONED BY names \"%s\", which is no column",
                            s->names[i]);
    }
    if (err < 0)
        query_fail(q, err, s->table.at, NULL, "%s", e.text);
    return err == 0;
}

static void query_create(struct query *q)
{
    const struct sql_statement *s = &q->statement;
    if (!query_schema(q))
        return;
    char *name = query_table_name(s->table.schema, s->table.name);
    struct tables_create create = {.name = name,
                                   .place = s->path,
                                   .schema = q->schema.n > 0 ? &q->schema : NULL,
                                   .partitions = (const char *const *)s->names,
                                   .partitions_n = s->names_n,
                                   .txn_id = q->id_text,
                                   .user = q->user,
                                   .if_not_exists = s->if_not_exists};
    q->call = tables_create(node_lake(q->role->node)->tables, &create, query_on_created, q);
    free(name);
}

static void query_create_as_read(struct query *q)
{
    query_describe(q, query_create);
}

static void query_create_now(struct query *q)
{
    if (q->statement.kind == SQL_CREATE_TABLE_AS)
        query_read(q, mem_strdup(q->statement.query.text), 0, q->statement.query.at,
                   query_create_as_read);
    else
        query_create(q);
}

/* CREATE OR REPLACE of a table that is there: a version with another schema and other files. */
static void query_replace_run(struct query *q)
{
    if (!query_schema(q))
        return;
    if (q->statement.kind == SQL_CREATE_TABLE_AS)
        query_insert_run(q);
    else
        query_commit(q);
}

static void query_replace_read(struct query *q)
{
    query_describe(q, query_replace_run);
}

static void query_on_replaced(void *arg, const struct tables_result *result)
{
    struct query *q = arg;
    q->call = NULL;
    if (result->code < 0 && result->code != ERR_NOT_FOUND) {
        query_fail(q, result->code, q->statement.table.at, NULL, "%s", result->text);
        return;
    }
    if (result->code == ERR_NOT_FOUND) {
        query_create_now(q);
        return;
    }
    q->replaces = true;
    query_table_take(&q->target_table, result);
    if (q->statement.kind == SQL_CREATE_TABLE_AS)
        query_read(q, mem_strdup(q->statement.query.text), 0, q->statement.query.at,
                   query_replace_read);
    else
        query_replace_run(q);
}

static void query_on_dropped(void *arg, const struct tables_result *result)
{
    struct query *q = arg;
    q->call = NULL;
    if (result->code < 0 && !(result->code == ERR_NOT_FOUND && q->statement.if_exists))
        query_fail(q, result->code, q->statement.table.at, "SHOW TABLES lists the tables", "%s",
                   result->text);
    else
        query_done(q);
}

void query_write(struct query *q)
{
    const struct sql_statement *s = &q->statement;
    struct tables *tables = node_lake(q->role->node)->tables;
    if (query_cluster_is(s->table.schema) && s->kind != SQL_COPY_TO) {
        query_fail(q, ERR_FORBIDDEN, s->table.at,
                   "the commands of clustersh change it: help lists them",
                   "cluster.%s is the state of the cluster, which SQL only reads", s->table.name);
        return;
    }
    char *name = s->table.name != NULL ? query_table_name(s->table.schema, s->table.name) : NULL;
    switch (s->kind) {
    case SQL_CREATE_TABLE:
    case SQL_CREATE_TABLE_AS:
        if (s->or_replace) {
            q->target_table.name = mem_strdup(name);
            q->call = tables_snapshot(tables, name, DELTA_NO_VERSION, 0, query_on_replaced, q);
        } else
            query_create_now(q);
        break;
    case SQL_DROP_TABLE:
        q->call = tables_drop(tables, name, q->user, query_on_dropped, q);
        break;
    case SQL_INSERT:
    case SQL_COPY_FROM:
        query_snapshot(q, name, &q->target_table, query_insert_table);
        break;
    case SQL_COPY_TO: {
        char *source = s->query.text != NULL ? mem_strdup(s->query.text) : NULL;
        if (source == NULL) {
            char *schema = s->table.schema != NULL ? sql_quote_name(s->table.schema) : NULL;
            char *table = sql_quote_name(s->table.name);
            source = mem_printf("SELECT * FROM %s%s%s", schema != NULL ? schema : "",
                                schema != NULL ? "." : "", table);
            free(schema);
            free(table);
        }
        query_read(q, source, 0, s->query.text != NULL ? s->query.at : 0, query_copy_to_read);
        break;
    }
    case SQL_DELETE:
    case SQL_UPDATE:
    case SQL_OPTIMIZE:
        query_rewrite(q);
        break;
    case SQL_VACUUM:
        query_vacuum(q);
        break;
    default:
        query_fail(q, ERR_UNSUPPORTED, SQL_AT_NONE,
                   "CREATE OR REPLACE TABLE t AS SELECT ... FROM t changes its rows",
                   "%s isn't part of this version", sql_kind_name(s->kind));
    }
    free(name);
}

void query_write_done(struct query *q)
{
    query_table_done(&q->target_table);
    delta_schema_done(&q->schema);
    query_vacuum_free(q->vacuum);
    free(q->copy_root);
    free(q->copy_path);
}
