/* VACUUM: deletes files below the table's place that no version within the retention needs: those
 * that were taken out of the table longer ago, and those that no commit ever named, once they are
 * old. The log stays. */
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "base/mem.h"
#include "base/str.h"
#include "role/query_internal.h"
#include "run/object_store.h"
#include "wire/lake_path.h"

enum {
    QUERY_RETAIN_HOURS = 168,
    QUERY_HOUR_MS = 3600 * 1000,
    QUERY_UNKNOWN_MS = QUERY_HOUR_MS, /* a statement that runs may still commit its files */
    QUERY_VACUUM_MAX = 100000,        /* files of one statement */
};

struct query_kept {
    UT_hash_handle hh;
    int64_t removed_ms;
    char path[];
};

struct query_vacuum {
    struct query_kept *removed; /* by path */
    char **keys;                /* to be deleted */
    size_t keys_n, keys_cap;
    size_t deleted;
    char *after;
    int64_t cutoff_ms, now_ms;
};

void query_vacuum_free(struct query_vacuum *v)
{
    struct query_kept *kept, *next;
    if (v == NULL)
        return;
    HASH_ITER (hh, v->removed, kept, next) {
        HASH_DEL(v->removed, kept);
        free(kept);
    }
    for (size_t i = 0; i < v->keys_n; i++)
        free(v->keys[i]);
    free(v->keys);
    free(v->after);
    free(v);
}

static void query_on_tombstone(void *arg, const char *path, int64_t removed_ms)
{
    struct query_vacuum *v = arg;
    struct query_kept *kept = mem_alloc(sizeof *kept + strlen(path) + 1);
    kept->removed_ms = removed_ms;
    strcpy(kept->path, path);
    HASH_ADD_STR(v->removed, path, kept);
}

static bool query_vacuum_wants(const struct query *q, const struct object_entry *entry)
{
    struct query_vacuum *v = q->vacuum;
    struct delta_file file;
    struct query_kept *kept = NULL;
    if (str_starts_with(entry->key, LAKE_LOG_PREFIX) || entry->key[0] == '_' ||
        entry->key[0] == '.')
        return false;
    char *path = lake_action_path(entry->key);
    bool live = delta_view_find(q->target_table.view, path, &file);
    HASH_FIND_STR(v->removed, path, kept);
    free(path);
    if (live)
        return false;
    if (kept != NULL && kept->removed_ms > 0)
        return kept->removed_ms <= v->cutoff_ms;
    int64_t old = v->now_ms - QUERY_UNKNOWN_MS;
    return entry->modified_ms <= v->cutoff_ms && entry->modified_ms <= old;
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
        if (!query_vacuum_wants(q, &result->entries[i]))
            continue;
        MEM_GROW(v->keys, v->keys_cap, v->keys_n + 1);
        v->keys[v->keys_n++] = mem_strdup(result->entries[i].key);
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

static void query_vacuum_begin(struct query *q)
{
    int64_t hours = q->statement.retain_hours >= 0 ? q->statement.retain_hours : QUERY_RETAIN_HOURS;
    q->vacuum = mem_zalloc(sizeof *q->vacuum);
    q->vacuum->now_ms = loop_wall_ms(node_loop(q->role->node));
    q->vacuum->cutoff_ms = q->vacuum->now_ms - hours * QUERY_HOUR_MS;
    delta_view_tombstones(q->target_table.view, query_on_tombstone, q->vacuum);
    query_vacuum_list(q);
}

void query_vacuum(struct query *q)
{
    char *name = query_table_name(q->statement.table.schema, q->statement.table.name);
    query_snapshot(q, name, &q->target_table, query_vacuum_begin);
    free(name);
}
