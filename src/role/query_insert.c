/* INSERT and COPY FROM, up to the rows: which of them go into which columns. */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/mem.h"
#include "role/query_internal.h"

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

static void query_insert_planned(struct query *q)
{
    query_run(q, query_commit);
}

void query_insert_run(struct query *q)
{
    query_into_table(q);
    query_plan(q, SIZE_MAX, query_insert_planned);
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
 * none. malloc'ed; the query is at *from in it. */
static char *query_insert_text(const struct query *q, const struct query_table *table,
                               char *const *names, size_t n, size_t *from)
{
    const struct delta_schema *schema = &delta_view_metadata(table->view)->schema;
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
    *from = text.len;
    (void)buf_append_str(&text, q->statement.query.text);
    (void)buf_append_str(&text, "\n) AS q_(");
    for (size_t i = 0; i < n; i++)
        (void)buf_printf(&text, "%sc%zu", i > 0 ? ", " : "", i);
    (void)buf_append_str(&text, ")");
    char *source = buf_steal(&text, NULL);
    buf_done(&text);
    return source;
}

static void query_insert_compose(struct query *q, char *const *names, size_t n)
{
    size_t from;
    char *source = query_insert_text(q, &q->target_table, names, n, &from);
    query_read(q, source, from, q->statement.query.at, query_insert_run);
}

/* False after query_fail(): the query gives `n` columns, and as many are wanted. */
static bool query_insert_has_columns(struct query *q, const struct query_table *table, size_t n)
{
    const struct sql_statement *s = &q->statement;
    size_t wanted = s->names_n > 0 ? s->names_n : delta_view_metadata(table->view)->schema.n;
    if (n != wanted)
        query_fail(q, ERR_INVALID, s->query.at, NULL,
                   "the query gives %zu columns, table \"%s\" takes %zu", n, table->name, wanted);
    return n == wanted;
}

/* The columns of the query are known: as many as the table wants? */
static void query_insert_described(struct query *q)
{
    const struct sql_statement *s = &q->statement;
    const struct delta_schema *schema = &delta_view_metadata(q->target_table.view)->schema;
    if (!s->by_name && !query_insert_has_columns(q, &q->target_table, q->described_n))
        return;
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

/* The columns that the statement names are the table's, once each; false after query_fail(). */
static bool query_insert_has_names(struct query *q, const struct query_table *table)
{
    const struct sql_statement *s = &q->statement;
    const struct delta_schema *schema = &delta_view_metadata(table->view)->schema;
    for (size_t i = 0; i < s->names_n; i++) {
        bool is_known = delta_schema_find(schema, s->names[i]) != SIZE_MAX;
        if (is_known && query_find_name(s->names, i, s->names[i]) == SIZE_MAX)
            continue;
        query_fail(q, is_known ? ERR_INVALID : ERR_NOT_FOUND, s->table.at,
                   is_known ? NULL : "DESCRIBE shows its columns",
                   is_known ? "column \"%s\" is named twice" : "table \"%s\" has no column \"%s\"",
                   is_known ? s->names[i] : table->name, s->names[i]);
        return false;
    }
    return true;
}

bool query_insert_compose_values(struct query *q, const struct query_table *table)
{
    const struct sql_statement *s = &q->statement;
    size_t from = 0;
    if (!query_insert_has_names(q, table) || !query_insert_has_columns(q, table, q->values.columns))
        return false;
    char *source = s->names_n > 0 ? query_insert_text(q, table, s->names, s->names_n, &from)
                                  : mem_strdup(s->query.text);
    query_read_done(q);
    q->source = source;
    q->source_from = from;
    q->source_to = s->query.at;
    return true;
}

static void query_insert_table(struct query *q)
{
    const struct sql_statement *s = &q->statement;
    if (q->values.rows > 0) {
        if (query_insert_compose_values(q, &q->target_table))
            query_insert_run(q);
    } else if (!query_insert_has_names(q, &q->target_table)) {
        return;
    } else if (s->kind == SQL_COPY_FROM) {
        query_copy_begin(q);
    } else {
        query_read(q, mem_strdup(s->query.text), 0, s->query.at, query_insert_read);
    }
}

void query_insert(struct query *q)
{
    const struct sql_statement *s = &q->statement;
    char *name = query_table_name(s->table.schema, s->table.name);
    query_snapshot(q, name, &q->target_table, query_insert_table);
    free(name);
}
