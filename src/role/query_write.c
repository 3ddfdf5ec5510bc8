/* Statements that write. Data goes into files first, on whichever workers; then one commit names
 * them (query_commit.c). */
#include <stdlib.h>

#include "base/mem.h"
#include "role/query_internal.h"

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
        if (!query_crowd_take(q))
            query_insert(q);
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
    case SQL_ALTER_TABLE:
        query_alter(q);
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
