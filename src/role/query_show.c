/* SHOW TABLES, DESCRIBE, DESCRIBE HISTORY, EXPLAIN. */
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "role/api_json.h"
#include "role/query_internal.h"

enum { QUERY_HISTORY_MAX = 1000 };

static bool query_show_failed(struct query *q, const struct tables_result *result)
{
    q->call = NULL;
    if (result->code == 0)
        return false;
    query_fail(
        q, result->code, q->statement.table.name != NULL ? q->statement.table.at : SQL_AT_NONE,
        result->code == ERR_NOT_FOUND ? "SHOW TABLES lists the tables" : NULL, "%s", result->text);
    return true;
}

static void query_on_tables(void *arg, const struct tables_result *result)
{
    static const char *const names[] = {"name", "version", "location", "created_at", "changed_at"};
    static const char *const types[] = {NULL, "BIGINT", NULL, NULL, NULL};
    struct query *q = arg;
    if (query_show_failed(q, result))
        return;
    json_t *rows = json_array();
    for (size_t i = 0; i < result->tables_n; i++) {
        const struct tables_table *t = &result->tables[i];
        json_array_append_new(rows, json_pack("[s,I,s,o,o]", t->name, (json_int_t)t->version,
                                              t->place, api_json_time((uint64_t)t->created_ms),
                                              api_json_time((uint64_t)t->changed_ms)));
    }
    query_out_table(q, names, types, MEM_COUNT(names), rows);
    query_done(q);
}

static void query_on_history(void *arg, const struct tables_result *result)
{
    static const char *const names[] = {"version",    "at",          "operation",
                                        "user",       "files_added", "files_removed",
                                        "rows_added", "bytes_added"};
    static const char *const types[] = {"BIGINT", NULL,     NULL,     NULL,
                                        "BIGINT", "BIGINT", "BIGINT", "BIGINT"};
    struct query *q = arg;
    if (query_show_failed(q, result))
        return;
    json_t *rows = json_array();
    for (size_t i = 0; i < result->entries_n; i++) {
        const struct tables_entry *e = &result->entries[i];
        json_array_append_new(rows,
                              json_pack("[I,o,o,o,I,I,I,I]", (json_int_t)e->version,
                                        api_json_time((uint64_t)e->at_ms),
                                        api_json_text(e->operation != NULL ? e->operation : ""),
                                        api_json_text(e->user != NULL ? e->user : ""),
                                        (json_int_t)e->files_added, (json_int_t)e->files_removed,
                                        (json_int_t)e->rows_added, (json_int_t)e->bytes_added));
    }
    query_out_table(q, names, types, MEM_COUNT(names), rows);
    query_done(q);
}

static void query_describe_table(struct query *q)
{
    static const char *const names[] = {"column_name", "column_type", "null", "partition"};
    const struct query_table *table = &q->target_table;
    const struct delta_metadata *metadata = delta_view_metadata(table->view);
    json_t *rows = json_array();
    for (size_t i = 0; i < metadata->schema.n; i++)
        json_array_append_new(rows,
                              json_pack("[s,s,s,s]", table->columns[i].name, table->columns[i].type,
                                        metadata->schema.fields[i].nullable ? "YES" : "NO",
                                        table->columns[i].partition ? "YES" : "NO"));
    query_out_table(q, names, NULL, MEM_COUNT(names), rows);
    query_done(q);
}

static void query_describe_cluster(struct query *q)
{
    static const char *const names[] = {"column_name", "column_type", "null", "partition"};
    const struct query_cluster_table *table = query_cluster_find(q->statement.table.name);
    size_t n;
    if (table == NULL) {
        query_fail(q, ERR_NOT_FOUND, q->statement.table.at, query_cluster_names(),
                   "there is no table \"cluster.%s\"", q->statement.table.name);
        return;
    }
    if (q->statement.kind == SQL_DESCRIBE_HISTORY) {
        query_fail(q, ERR_UNSUPPORTED, q->statement.table.at, NULL,
                   "the state of the cluster has no versions");
        return;
    }
    const struct sql_column *columns = query_cluster_columns(table, &n);
    json_t *rows = json_array();
    for (size_t i = 0; i < n; i++)
        json_array_append_new(
            rows, json_pack("[s,s,s,s]", columns[i].name, columns[i].type, "YES", "NO"));
    query_out_table(q, names, NULL, MEM_COUNT(names), rows);
    query_done(q);
}

void query_show(struct query *q)
{
    struct tables *tables = node_lake(q->role->node)->tables;
    if (query_cluster_is(q->statement.table.schema)) {
        query_describe_cluster(q);
        return;
    }
    if (q->statement.kind == SQL_SHOW_TABLES) {
        q->call = tables_list(tables, query_on_tables, q);
        return;
    }
    char *name = query_table_name(q->statement.table.schema, q->statement.table.name);
    if (q->statement.kind == SQL_DESCRIBE_HISTORY)
        q->call =
            tables_history(tables, name, DELTA_NO_VERSION, QUERY_HISTORY_MAX, query_on_history, q);
    else
        query_snapshot(q, name, &q->target_table, query_describe_table);
    free(name);
}

/* ---- EXPLAIN --------------------------------------------------------------------------------- */

static void query_explain_lines(json_t *rows, const char *text)
{
    while (*text != '\0') {
        size_t len = strcspn(text, "\n");
        char *line = mem_strndup(text, len);
        json_t *row = json_array();
        json_array_append_new(row, api_json_text(line));
        json_array_append_new(rows, row);
        free(line);
        text += len + (text[len] == '\n');
    }
}

/* What each stage and task came to. */
static void query_explain_ran(const struct query *q, json_t *rows)
{
    for (size_t s = 0; s < q->plan.stages_n; s++) {
        const struct query_stage *stage = &q->stages[s];
        if (stage->tasks_n == 0)
            continue;
        char *line = mem_printf("stage %zu ran as %zu task%s: %llu rows, %llu bytes, %lld ms%s",
                                s + 1, stage->tasks_n, stage->tasks_n == 1 ? "" : "s",
                                (unsigned long long)stage->rows, (unsigned long long)stage->bytes,
                                (long long)stage->wall_ms,
                                stage->by_alone ? ", together with the stages behind it" : "");
        query_explain_lines(rows, line);
        free(line);
        for (size_t t = 0; t < stage->tasks_n; t++) {
            const struct query_task *task = &stage->tasks[t];
            const Wire__SqlProfile *profile = task->result->profile;
            line = mem_printf("    task %zu on %s, attempt %u: %llu rows, %lld ms%s", t,
                              node_member_name(q->role->node, task->attempts[task->winner].node),
                              task->winner + 1, (unsigned long long)task->rows,
                              (long long)task->wall_ms, profile != NULL ? "" : "");
            query_explain_lines(rows, line);
            free(line);
            if (profile == NULL)
                continue;
            line = mem_printf(
                "        %llu files, %llu bytes read, %llu rows scanned, %.1f ms of processor",
                (unsigned long long)profile->files_in, (unsigned long long)profile->bytes_in,
                (unsigned long long)profile->rows_scanned, (double)profile->cpu_us / 1000);
            query_explain_lines(rows, line);
            free(line);
        }
    }
}

void query_explain(struct query *q)
{
    static const char *const names[] = {"plan"};
    json_t *rows = json_array();
    char *text = sql_plan_explain(&q->plan, &q->refs, q->views);
    query_explain_lines(rows, text);
    free(text);
    if (q->stages != NULL)
        query_explain_ran(q, rows);
    query_out_table(q, names, NULL, 1, rows);
    query_done(q);
}
