/* CREATE TABLE, CREATE TABLE AS, CREATE OR REPLACE, DROP. A table that is made of a query is there
 * at once with all of its rows, or not at all. */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/mem.h"
#include "base/str.h"
#include "role/query_internal.h"
#include "wire/lake_path.h"

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

static void query_on_created(void *arg, const struct tables_result *result)
{
    struct query *q = arg;
    bool is_ours = result->code == 0 && result->tables_n > 0;
    q->call = NULL;
    query_commit_told(q, is_ours || result->code < 0 ? result->code : ERR_EXISTS);
    if (result->code < 0) {
        query_fail(q, result->code, q->statement.table.at,
                   result->code == ERR_EXISTS ? "CREATE TABLE IF NOT EXISTS, or DROP TABLE" : NULL,
                   "%s", result->text);
        return;
    }
    if (!is_ours)
        q->affected = 0;
    query_done(q);
}

/* Makes the table; with `lines`, of the actions of its first entry, that has files already. */
static void query_create_ask(struct query *q)
{
    const struct sql_statement *s = &q->statement;
    char *name = query_table_name(s->table.schema, s->table.name);
    struct tables_create create = {.name = name,
                                   .place = s->path,
                                   .schema = q->schema.n > 0 ? &q->schema : NULL,
                                   .partitions = (const char *const *)s->names,
                                   .partitions_n = s->names_n,
                                   .txn_id = q->id_text,
                                   .user = q->user,
                                   .if_not_exists = s->if_not_exists};
    if (s->kind == SQL_CREATE_TABLE_AS) {
        create.operation = "CREATE TABLE AS SELECT";
        create.id = &q->target_table.id;
        create.lines = buf_cstr(&q->lines);
        create.lines_len = q->lines.len;
        q->may_be_committed = true;
    }
    q->call = tables_create(node_lake(q->role->node)->tables, &create, query_on_created, q);
    free(name);
}

/* ---- CREATE TABLE AS: files first, then the table with them ------------------------------------
 */

static void query_create_as_commit(struct query *q)
{
    size_t partitions[DELTA_PARTITION_COLUMNS_MAX];
    struct delta_metadata metadata = {.schema = q->schema, .partitions = partitions};
    for (size_t i = 0; i < q->statement.names_n && i < DELTA_PARTITION_COLUMNS_MAX; i++)
        partitions[metadata.partitions_n++] = delta_schema_find(&q->schema, q->statement.names[i]);
    buf_clear(&q->lines);
    q->affected = 0;
    if (query_commit_files(q, &metadata) < 0)
        query_fail(q, ERR_TOO_LARGE, SQL_AT_NONE, "write fewer rows or partitions at once",
                   "the statement made more files than one commit can name");
    else
        query_create_ask(q);
}

static void query_create_as_planned(struct query *q)
{
    query_run(q, query_create_as_commit);
}

static void query_create_as_run(struct query *q)
{
    const struct sql_statement *s = &q->statement;
    struct query_table *table = &q->target_table;
    if (!query_schema(q))
        return;
    uuid_generate(&table->id);
    free(table->place);
    table->place = s->path != NULL
                       ? mem_strdup(s->path)
                       : lake_table_place(node_lake(q->role->node)->place, table->name, &table->id);
    q->target = (struct query_target){.kind = WIRE__SQL_OUTPUT_KIND__SQL_OUTPUT_KIND_TABLE,
                                      .root = table->place,
                                      .schema = &q->schema,
                                      .partitions = s->names,
                                      .partitions_n = s->names_n,
                                      .target_bytes = QUERY_FILE_TARGET_BYTES};
    query_plan(q, SIZE_MAX, query_create_as_planned);
}

static void query_create_as_read(struct query *q)
{
    query_describe(q, query_create_as_run);
}

static void query_create_now(struct query *q)
{
    if (q->statement.kind == SQL_CREATE_TABLE_AS)
        query_read(q, mem_strdup(q->statement.query.text), 0, q->statement.query.at,
                   query_create_as_read);
    else if (query_schema(q))
        query_create_ask(q);
}

/* ---- CREATE OR REPLACE -------------------------------------------------------------------------
 */

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

/* Whether there is such a table decides what the statement does. */
static void query_on_looked(void *arg, const struct tables_result *result)
{
    struct query *q = arg;
    const struct sql_statement *s = &q->statement;
    q->call = NULL;
    if (result->code == ERR_NOT_FOUND) {
        query_create_now(q);
    } else if (result->code < 0) {
        query_fail(q, result->code, s->table.at, NULL, "%s", result->text);
    } else if (!s->or_replace) {
        delta_view_close(result->view);
        if (s->if_not_exists)
            query_done(q);
        else
            query_fail(q, ERR_EXISTS, s->table.at, "CREATE TABLE IF NOT EXISTS, or DROP TABLE",
                       "there is a table \"%s\" already", q->target_table.name);
    } else {
        q->replaces = true;
        query_table_take(&q->target_table, result);
        if (!query_may_write(q))
            return;
        query_table_files(&q->target_table);
        if (s->kind == SQL_CREATE_TABLE_AS)
            query_read(q, mem_strdup(s->query.text), 0, s->query.at, query_replace_read);
        else
            query_replace_run(q);
    }
}

void query_create(struct query *q, const char *name)
{
    const struct sql_statement *s = &q->statement;
    if (!s->or_replace && s->kind != SQL_CREATE_TABLE_AS) {
        query_create_now(q);
        return;
    }
    q->target_table.name = mem_strdup(name);
    q->call = tables_snapshot(node_lake(q->role->node)->tables, name, DELTA_NO_VERSION, 0,
                              query_on_looked, q);
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

void query_drop(struct query *q, const char *name)
{
    q->call = tables_drop(node_lake(q->role->node)->tables, name, q->user, query_on_dropped, q);
}
