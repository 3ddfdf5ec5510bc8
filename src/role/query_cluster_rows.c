/* Where the rows of the cluster's state wait for the tasks: in the query while they are few, else
 * in a file below the query's folder in the store, which is deleted with it. */
#include <stdlib.h>

#include "base/mem.h"
#include "role/query_internal.h"
#include "run/object_store.h"
#include "wire/lake_path.h"

/* The rows are where tasks find them. */
static void query_cluster_taken(struct query *q)
{
    struct query_table *table = &q->tables[q->tables_got];
    q->views[q->tables_got] = (struct sql_table){.name = table->name,
                                                 .columns = table->columns,
                                                 .columns_n = query_table_columns(table),
                                                 .files = table->files,
                                                 .files_n = table->files_n,
                                                 .ctx = table};
    q->tables_got++;
    query_snapshots(q);
}

static void query_on_cluster_put(void *arg, const struct object_result *result)
{
    struct query *q = arg;
    struct query_table *table = &q->tables[q->tables_got];
    q->put = NULL;
    free(table->lines);
    table->lines = NULL;
    if (result->code < 0)
        query_fail(q, result->code, SQL_AT_NONE, "see sql.store in the configuration",
                   "the store of tables doesn't take the rows of %s: %s", table->name,
                   result->text);
    else if (q->cluster != NULL)
        query_cluster_more(q->cluster);
    else
        query_cluster_taken(q);
}

/* A piece becomes one more file. */
static void query_cluster_put(struct query *q, size_t len, size_t rows)
{
    struct query_table *table = &q->tables[q->tables_got];
    const struct lake *lake = node_lake(q->role->node);
    size_t cap = table->files_cap;
    MEM_GROW(table->keys, cap, table->files_n + 1);
    MEM_GROW(table->files, table->files_cap, table->files_n + 1);
    if (table->place == NULL)
        table->place = mem_strdup(lake->place);
    char *key = lake_shuffle_file(&q->id, SQL_STAGES_MAX, (unsigned)q->tables_got, 0,
                                  (unsigned)table->files_n);
    table->keys[table->files_n] = key;
    table->files[table->files_n++] = (struct sql_file){len, (int64_t)rows};
    q->has_cluster_files = true;
    struct object_request request = {.verb = OBJECT_PUT,
                                     .place = lake->place,
                                     .key = key,
                                     .body = table->lines,
                                     .body_len = len,
                                     .trace = *trace_context(q->span),
                                     .on_done = query_on_cluster_put,
                                     .arg = q};
    q->put = object_store_call(lake->objects, &request);
}

static void query_on_cluster(struct query *q, char *lines, size_t len, size_t rows, bool more)
{
    struct query_table *table = &q->tables[q->tables_got];
    table->lines = lines;
    if (table->files_n > 0 && len == 0) { /* the pieces were all */
        query_cluster_taken(q);
        return;
    }
    if (table->files_n > 0 || more || len > QUERY_CLUSTER_INLINE_BYTES) {
        if (table->files_n >= QUERY_CLUSTER_PIECES_MAX)
            query_fail(q, ERR_TOO_LARGE, SQL_AT_NONE, "WHERE on its time reads less",
                       "%s has more rows than a statement may read", table->name);
        else
            query_cluster_put(q, len, rows);
        return;
    }
    table->whole = (struct sql_file){len, (int64_t)rows};
    table->files = &table->whole;
    table->files_n = rows > 0;
    query_cluster_taken(q);
}

static const struct query_cluster_table *query_cluster_table(struct query *q, const char *name,
                                                             size_t at)
{
    const struct query_cluster_table *table = query_cluster_find(name);
    if (table == NULL)
        query_fail(q, ERR_NOT_FOUND, at, query_cluster_names(), "there is no table \"cluster.%s\"",
                   name);
    return table;
}

void query_cluster_snapshot(struct query *q, const struct sql_ref *ref)
{
    struct query_table *table = &q->tables[q->tables_got];
    size_t at = sql_at_shift(ref->at, q->source_from, q->source_to);
    const struct query_cluster_table *cluster = query_cluster_table(q, ref->name, at);
    size_t n;
    if (cluster == NULL)
        return;
    if (ref->at_unit[0] != '\0') {
        query_fail(q, ERR_UNSUPPORTED, at, "leave AT out",
                   "the state of the cluster has no versions");
        return;
    }
    table->name = query_table_name(ref->schema, ref->name);
    table->cluster = cluster;
    table->columns = (struct sql_column *)(uintptr_t)query_cluster_columns(cluster, &n);
    q->cluster = query_cluster_load(q, cluster, at, query_on_cluster);
}
