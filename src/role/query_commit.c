/* The end of statements that write: one commit names the files that were written. When it is
 * refused because another one removed the same files, a statement that can begins again. Files of a
 * statement that fails are named by no commit, and deleted unless the commit may stand all the
 * same; what a crash leaves of them VACUUM removes. */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "core/delta_commit.h"
#include "role/query_internal.h"
#include "wire/lake_path.h"

enum { QUERY_COMMITS_MAX = 5 }; /* of one statement that begins again */

/* ---- lines of the entry ---------------------------------------------------------------------- */

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

/* ---- sending it ------------------------------------------------------------------------------ */

void query_commit_told(struct query *q, int code)
{
    bool is_refused = code == ERR_CONFLICT || code == ERR_EXISTS || code == ERR_NOT_FOUND ||
                      code == ERR_INVALID || code == ERR_TOO_LARGE;
    q->may_be_committed = !is_refused;
}

static void query_on_committed(void *arg, const struct tables_result *result)
{
    struct query *q = arg;
    q->call = NULL;
    query_commit_told(q, result->code);
    if (result->code == ERR_CONFLICT && q->again != NULL && ++q->retries < QUERY_COMMITS_MAX)
        q->again(q);
    else if (result->code < 0)
        query_fail(q, result->code, SQL_AT_NONE,
                   q->may_be_committed ? "it may stand all the same: look before you repeat it"
                                       : "repeat the statement",
                   "%s", result->text);
    else
        query_done(q);
}

void query_commit_send(struct query *q, const struct query_table *table, query_next_fn again)
{
    struct tables_commit commit = {.table = table->id,
                                   .base = delta_view_version(table->view),
                                   .txn_id = q->txn_id,
                                   .user = q->user,
                                   .lines = buf_cstr(&q->lines),
                                   .lines_len = q->lines.len};
    q->again = again;
    q->may_be_committed = true;
    q->call = tables_commit(node_lake(q->role->node)->tables, &commit, query_on_committed, q);
}

void query_commit(struct query *q)
{
    const struct query_table *table = &q->target_table;
    q->affected = 0;
    query_crowd_leave(q);
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
        err = delta_write_upgrade(&q->lines, &q->schema, delta_view_protocol(table->view));
        if (err == 0)
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
    query_commit_send(q, table, NULL);
}
