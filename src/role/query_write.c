/* Statements that write. Data goes into files first, on whichever workers; then one commit names
 * them. When the commit is refused because another one removed the same files, the statement begins
 * again. Files of a statement that fails are named by no commit, and deleted unless the commit may
 * stand all the same; what a crash leaves of them VACUUM removes. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/mem.h"
#include "base/str.h"
#include "core/delta_commit.h"
#include "role/query_internal.h"
#include "wire/lake_path.h"

/* ---- commits --------------------------------------------------------------------------------- */

static void query_on_committed(void *arg, const struct tables_result *result)
{
    struct query *q = arg;
    q->call = NULL;
    query_commit_told(q, result->code);
    if (result->code < 0)
        query_fail(q, result->code, SQL_AT_NONE,
                   result->code == ERR_CONFLICT ? "repeat the statement" : NULL, "%s",
                   result->text);
    else
        query_done(q);
}

void query_commit_told(struct query *q, int code)
{
    bool is_refused = code == ERR_CONFLICT || code == ERR_EXISTS || code == ERR_NOT_FOUND ||
                      code == ERR_INVALID || code == ERR_TOO_LARGE;
    q->may_be_committed = !is_refused;
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
int query_commit_files(struct query *q, const struct delta_metadata *metadata)
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

void query_commit(struct query *q)
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
    q->may_be_committed = true;
    q->call = tables_commit(node_lake(q->role->node)->tables, &commit, query_on_committed, q);
}

/* ---- INSERT ---------------------------------------------------------------------------------- */

void query_into_table(struct query *q)
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

void query_insert_run(struct query *q)
{
    query_into_table(q);
    if (query_plan(q, SIZE_MAX))
        query_run(q, query_commit);
}

size_t query_find_name(char *const *names, size_t n, const char *name)
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

/* Rows of literals for all of the table's columns: no executor needs to be asked what they are. */
static bool query_insert_is_literal(const struct query *q)
{
    const struct sql_statement *s = &q->statement;
    return s->names_n == 0 && !s->by_name && !s->explain &&
           sql_values_columns(s->query.text, strlen(s->query.text)) ==
               delta_view_metadata(q->target_table.view)->schema.n;
}

static void query_insert_literals(struct query *q)
{
    query_read_done(q);
    q->source = mem_strdup(q->statement.query.text);
    q->source_from = 0;
    q->source_to = q->statement.query.at;
    query_insert_run(q);
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
    else if (query_insert_is_literal(q))
        query_insert_literals(q);
    else
        query_read(q, mem_strdup(s->query.text), 0, s->query.at, query_insert_read);
}

void query_write(struct query *q)
{
    const struct sql_statement *s = &q->statement;
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
        query_create(q, name);
        break;
    case SQL_DROP_TABLE:
        query_drop(q, name);
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
