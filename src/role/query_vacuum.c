/* VACUUM: deletes files below the table's place that no version within the retention needs
 * (core/delta_checkpoint.h decides which). The log stays. */
#include <stdlib.h>

#include "base/mem.h"
#include "core/delta_checkpoint.h"
#include "role/query_internal.h"
#include "run/object_store.h"

enum {
    QUERY_RETAIN_HOURS = 168,
    QUERY_HOUR_MS = 3600 * 1000,
    QUERY_UNKNOWN_MS = QUERY_HOUR_MS, /* a statement that runs may still commit its files */
    QUERY_VACUUM_MAX = 100000,        /* files of one statement */
    QUERY_VACUUM_FILE_BYTES = 64,     /* of a path, about: when a thread is worth it */
};

struct query_vacuum {
    struct delta_vacuum *judge;
    char **keys; /* to be deleted */
    size_t keys_n, keys_cap;
    size_t deleted;
    char *after;
};

void query_vacuum_free(struct query_vacuum *v)
{
    if (v == NULL)
        return;
    delta_vacuum_free(v->judge);
    for (size_t i = 0; i < v->keys_n; i++)
        free(v->keys[i]);
    free(v->keys);
    free(v->after);
    free(v);
}

static void query_vacuum_report(struct query *q)
{
    static const char *const names[] = {"path"};
    struct query_vacuum *v = q->vacuum;
    json_t *rows = json_array();
    for (size_t i = 0; i < v->keys_n && q->statement.dry_run; i++)
        json_array_append_new(rows, json_pack("[s]", v->keys[i]));
    if (q->statement.dry_run)
        query_out_table(q, names, NULL, 1, rows);
    else
        json_decref(rows);
    q->affected = v->keys_n;
    query_done(q);
}

static void query_vacuum_delete(struct query *q);

static void query_on_deleted(void *arg, const struct object_result *result)
{
    struct query *q = arg;
    q->put = NULL;
    if (result->code < 0) {
        query_fail(q, result->code, SQL_AT_NONE, "repeat the statement", "%s", result->text);
        return;
    }
    q->vacuum->deleted++;
    query_vacuum_delete(q);
}

static void query_vacuum_delete(struct query *q)
{
    struct query_vacuum *v = q->vacuum;
    if (v->deleted == v->keys_n || q->statement.dry_run) {
        query_vacuum_report(q);
        return;
    }
    struct object_request request = {.verb = OBJECT_DELETE,
                                     .place = q->target_table.place,
                                     .key = v->keys[v->deleted],
                                     .on_done = query_on_deleted,
                                     .arg = q};
    q->put = object_store_call(node_lake(q->role->node)->objects, &request);
}

static void query_vacuum_list(struct query *q);

static void query_on_listed(void *arg, const struct object_result *result)
{
    struct query *q = arg;
    struct query_vacuum *v = q->vacuum;
    q->put = NULL;
    if (result->code < 0) {
        query_fail(q, result->code, SQL_AT_NONE, NULL, "%s", result->text);
        return;
    }
    for (size_t i = 0; i < result->entries_n && v->keys_n < QUERY_VACUUM_MAX; i++) {
        const struct object_entry *entry = &result->entries[i];
        if (!delta_vacuum_wants(v->judge, entry->key, entry->modified_ms))
            continue;
        MEM_GROW(v->keys, v->keys_cap, v->keys_n + 1);
        v->keys[v->keys_n++] = mem_strdup(entry->key);
    }
    if (result->more && v->keys_n < QUERY_VACUUM_MAX) {
        free(v->after);
        v->after = mem_strdup(result->entries[result->entries_n - 1].key);
        query_vacuum_list(q);
    } else {
        query_vacuum_delete(q);
    }
}

static void query_vacuum_list(struct query *q)
{
    struct object_request request = {.verb = OBJECT_LIST,
                                     .place = q->target_table.place,
                                     .key = "",
                                     .after = q->vacuum->after,
                                     .on_done = query_on_listed,
                                     .arg = q};
    q->put = object_store_call(node_lake(q->role->node)->objects, &request);
}

static void query_vacuum_judge(struct query_work *work)
{
    const struct query *q = work->q;
    work->vacuum = delta_vacuum_new(q->target_table.view, q->target_table.place, work->before_ms,
                                    work->unknown_before_ms);
}

static void query_vacuum_on_judge(struct query *q)
{
    q->vacuum = mem_zalloc(sizeof *q->vacuum);
    q->vacuum->judge = q->work->vacuum;
    q->work->vacuum = NULL;
    query_work_end(q);
    query_vacuum_list(q);
}

static void query_vacuum_begin(struct query *q)
{
    int64_t hours = q->statement.retain_hours >= 0 ? q->statement.retain_hours : QUERY_RETAIN_HOURS;
    int64_t now_ms = loop_wall_ms(node_loop(q->role->node));
    struct query_work *work = query_work_new(q);
    work->before_ms = now_ms - hours * QUERY_HOUR_MS + 1;
    work->unknown_before_ms = now_ms - QUERY_UNKNOWN_MS;
    query_work_run(work, delta_view_files(q->target_table.view) * QUERY_VACUUM_FILE_BYTES,
                   query_vacuum_judge, query_vacuum_on_judge);
}

void query_vacuum(struct query *q)
{
    char *name = query_table_name(q->statement.table.schema, q->statement.table.name);
    query_snapshot(q, name, &q->target_table, query_vacuum_begin);
    free(name);
}
