/* ALTER TABLE: one version with another schema and the same files. Files that were there before a
 * column was added lack it; a property of the table says that they may, so that readers look. */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "core/delta_commit.h"
#include "role/query_internal.h"

/* The table's schema, its own; ends in query_fail() when the statement can't be. */
static int query_alter_schema(struct query *q, const struct delta_schema *now,
                              struct delta_schema *out, struct error *e)
{
    const struct sql_statement *s = &q->statement;
    struct buf text;
    buf_init(&text, DELTA_SCHEMA_BYTES_MAX);
    int err = delta_schema_format(now, &text);
    if (err == 0)
        err = delta_schema_parse(buf_cstr(&text), text.len, out, e);
    else
        err = error_set(e, err, "%s", "the schema is too large");
    buf_done(&text);
    if (err < 0)
        return err;
    if (s->columns_n > 0) {
        err = delta_schema_add(out, s->columns[0].name, s->columns[0].type, true, e);
    } else {
        size_t at = delta_schema_find(out, s->names[0]);
        if (at == SIZE_MAX)
            err = error_set(e, ERR_NOT_FOUND, "table \"%s\" has no column \"%s\"",
                            q->target_table.name, s->names[0]);
        else
            out->fields[at].nullable = true;
    }
    if (err < 0)
        delta_schema_done(out);
    return err;
}

static void query_alter_begin(struct query *q);

static void query_alter_commit(struct query *q, const struct delta_schema *schema)
{
    const struct delta_view *view = q->target_table.view;
    struct delta_metadata metadata = *delta_view_metadata(view);
    bool adds = q->statement.columns_n > 0;
    struct delta_property *properties = mem_calloc(metadata.properties_n + 1, sizeof *properties);
    for (size_t i = 0; i < metadata.properties_n; i++)
        properties[i] = metadata.properties[i];
    metadata.schema = *schema;
    metadata.properties = properties;
    if (adds && !query_table_may_lack(&metadata))
        properties[metadata.properties_n++] = (struct delta_property){
            (char *)(uintptr_t)QUERY_TABLE_LACKS, (char *)(uintptr_t) "true"};
    int err = query_write_info(q, adds ? "ADD COLUMNS" : "CHANGE COLUMN", delta_view_version(view));
    if (err == 0)
        err = delta_write_upgrade(&q->lines, schema, delta_view_protocol(view));
    if (err == 0)
        err = delta_write_metadata(&q->lines, &metadata);
    free(properties);
    if (err < 0)
        query_fail(q, err, SQL_AT_NONE, NULL, "the schema is too large for one commit");
    else
        query_commit_send(q, &q->target_table, query_alter_begin);
}

static void query_alter_run(struct query *q)
{
    const struct sql_statement *s = &q->statement;
    const struct delta_schema *now = &delta_view_metadata(q->target_table.view)->schema;
    struct delta_schema schema = {0};
    struct error e = {0};
    if (s->columns_n > 0 && delta_schema_find(now, s->columns[0].name) != SIZE_MAX) {
        if (s->if_not_exists)
            query_done(q);
        else
            query_fail(q, ERR_EXISTS, s->columns[0].at, "ADD COLUMN IF NOT EXISTS",
                       "table \"%s\" has a column \"%s\" already", q->target_table.name,
                       s->columns[0].name);
        return;
    }
    int err = query_alter_schema(q, now, &schema, &e);
    if (err < 0) {
        query_fail(q, err, s->columns_n > 0 ? s->columns[0].at : s->table.at,
                   err == ERR_NOT_FOUND ? "DESCRIBE shows its columns" : NULL, "%s", e.text);
        return;
    }
    query_alter_commit(q, &schema);
    delta_schema_done(&schema);
}

static void query_alter_begin(struct query *q)
{
    char *name = query_table_name(q->statement.table.schema, q->statement.table.name);
    query_snapshot(q, name, &q->target_table, query_alter_run);
    free(name);
}

void query_alter(struct query *q)
{
    query_alter_begin(q);
}
