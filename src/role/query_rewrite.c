/* DELETE and UPDATE: copy on write. Each file where a row may match is read by one task that writes
 * what is left of it, or all of it with new values; one commit takes the old files out and the new
 * ones in. Another statement that took one of these files away meanwhile makes the commit fail, and
 * this one begins again on the newer version. OPTIMIZE does the same with small files, whose rows
 * stay as they are. */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/mem.h"
#include "core/delta_commit.h"
#include "core/sql_pack.h"
#include "role/query_internal.h"
#include "wire/lake_path.h"

static void query_rewrite_begin(struct query *q);

static bool query_adds_nothing(const struct query_task *task)
{
    for (size_t f = 0; f < task->result->n_files; f++) {
        if (task->result->files[f]->rows > 0)
            return false;
    }
    return true;
}

static void query_rewrite_again(struct query *q)
{
    query_stages_done(q);
    query_rewrite_begin(q);
}

/* The rows of the files of task t before. */
static uint64_t query_rewrite_rows(const struct query *q, size_t t)
{
    const struct sql_stage *plan = &q->plan.stages[0];
    uint64_t rows = 0;
    for (size_t f = plan->first[0][t]; f < plan->first[0][t + 1]; f++) {
        const struct delta_file *file =
            &q->tables[plan->inputs[0].index].delta[plan->inputs[0].files[f]];
        rows += file->rows != UINT64_MAX ? file->rows : 0;
    }
    return rows;
}

static int query_rewrite_task(struct query *q, size_t t, const struct delta_metadata *metadata,
                              int64_t now)
{
    const struct sql_stage *plan = &q->plan.stages[0];
    const struct query_table *table = &q->tables[plan->inputs[0].index];
    const struct query_task *task = &q->stages[0].tasks[t];
    bool changes = q->statement.kind != SQL_OPTIMIZE;
    uint64_t before = query_rewrite_rows(q, t);
    if (q->statement.kind == SQL_DELETE && task->rows == before && before > 0)
        return 0; /* nothing of it matched: it stays */
    if (q->statement.kind == SQL_UPDATE)
        q->affected = q->counted;
    else
        q->affected += q->statement.kind != SQL_DELETE ? before
                       : before > task->rows           ? before - task->rows
                                                       : 0; /* as the log doesn't know it */
    int err = 0;
    for (size_t f = plan->first[0][t]; f < plan->first[0][t + 1] && err == 0; f++)
        err = delta_write_remove(&q->lines, table->view, &table->delta[plan->inputs[0].files[f]],
                                 now, changes);
    for (size_t f = 0; f < task->result->n_files && err == 0 && !query_adds_nothing(task); f++)
        err = query_write_add(q, metadata, task->result->files[f], changes);
    return err;
}

static void query_rewrite_commit(struct query *q)
{
    const struct query_table *table = &q->tables[q->plan.stages[0].inputs[0].index];
    const struct delta_metadata *metadata = delta_view_metadata(table->view);
    int64_t now = loop_wall_ms(node_loop(q->role->node));
    int err =
        query_write_info(q, sql_kind_name(q->statement.kind), delta_view_version(table->view));
    size_t empty = q->lines.len;
    q->affected = 0;
    for (size_t t = 0; t < q->stages[0].tasks_n && err == 0; t++)
        err = query_rewrite_task(q, t, metadata, now);
    if (err < 0) {
        query_fail(q, err, SQL_AT_NONE, "narrow it down by WHERE",
                   "the statement changes more files than one commit can name");
        return;
    }
    if (q->lines.len == empty) {
        query_done(q);
        return;
    }
    query_commit_send(q, table, query_rewrite_again);
}

/* ---- tasks ----------------------------------------------------------------------------------- */

/* Small files become one task, up to the size of a file; others are left alone. */
static void query_optimize_tasks(struct query *q)
{
    struct sql_stage *plan = &q->plan.stages[0];
    const struct query_table *table = &q->tables[plan->inputs[0].index];
    struct sql_input *input = &plan->inputs[0];
    size_t n = input->files_n;
    size_t values_n = delta_view_metadata(table->view)->partitions_n;
    struct sql_pack_file *packed = mem_calloc(n + 1, sizeof *packed);
    const char **values = mem_calloc(n * values_n + 1, sizeof *values);
    size_t *files = mem_calloc(n + 1, sizeof *files);
    size_t *first = mem_calloc(n + 2, sizeof *first);
    for (size_t i = 0; i < n; i++) {
        const struct delta_file *file = &table->delta[input->files[i]];
        packed[i] = (struct sql_pack_file){file->size, &values[i * values_n]};
        for (size_t p = 0; p < values_n; p++)
            values[i * values_n + p] = delta_file_partition(table->view, file, p);
    }
    plan->tasks = sql_pack(packed, n, values_n, QUERY_FILE_TARGET_BYTES, files, first);
    for (size_t i = 0; i < first[plan->tasks]; i++)
        files[i] = input->files[files[i]];
    free(values);
    free(packed);
    free(input->files);
    free(plan->first[0]);
    input->files = files;
    input->files_n = first[plan->tasks];
    plan->first[0] = first;
}

/* Of more files than a stage may have tasks, a task takes several next to each other. */
static void query_rewrite_group(struct sql_stage *stage)
{
    size_t n = stage->tasks;
    if (n <= SQL_TASKS_MAX)
        return;
    size_t *first = mem_calloc(SQL_TASKS_MAX + 1, sizeof *first);
    for (size_t t = 0; t <= SQL_TASKS_MAX; t++)
        first[t] = stage->first[0][t * n / SQL_TASKS_MAX];
    free(stage->first[0]);
    stage->first[0] = first;
    stage->tasks = SQL_TASKS_MAX;
}

static void query_rewrite_planned(struct query *q)
{
    if (q->statement.kind == SQL_OPTIMIZE)
        query_optimize_tasks(q);
    const struct query_table *table = &q->tables[q->plan.stages[0].inputs[0].index];
    const struct delta_metadata *metadata = delta_view_metadata(table->view);
    q->target = (struct query_target){.kind = WIRE__SQL_OUTPUT_KIND__SQL_OUTPUT_KIND_TABLE,
                                      .root = table->place,
                                      .schema = &metadata->schema,
                                      .metadata = metadata,
                                      .target_bytes = QUERY_FILE_TARGET_BYTES};
    if (q->plan.stages[0].tasks == 0) {
        query_done(q);
        return;
    }
    query_rewrite_group(&q->plan.stages[0]);
    query_find_nodes(q);
    query_run(q, query_rewrite_commit);
}

static void query_rewrite_run(struct query *q)
{
    query_plan_files(q, q->statement.kind == SQL_DELETE, query_rewrite_planned);
}

/* UPDATE: each column, or its new value where the condition holds. */
static void query_update_columns(struct query *q, struct buf *text)
{
    const struct sql_statement *s = &q->statement;
    const struct delta_schema *schema = &delta_view_metadata(q->target_table.view)->schema;
    for (size_t i = 0; i < schema->n; i++) {
        char *name = sql_quote_name(schema->fields[i].name);
        const struct sql_assignment *set = NULL;
        for (size_t k = 0; k < s->sets_n; k++) {
            if (strcasecmp(s->sets[k].column, schema->fields[i].name) == 0)
                set = &s->sets[k];
        }
        (void)buf_append_str(text, i > 0 ? ", " : "");
        if (set == NULL)
            (void)buf_append_str(text, name);
        else if (s->where.text == NULL)
            (void)buf_printf(text, "CAST((\n%s\n) AS %s) AS %s", set->value.text,
                             q->target_table.columns[i].type, name);
        else
            (void)buf_printf(text, "CASE WHEN (\n%s\n) THEN CAST((\n%s\n) AS %s) ELSE %s END AS %s",
                             s->where.text, set->value.text, q->target_table.columns[i].type, name,
                             name);
        free(name);
    }
}

/* SELECT ... FROM the table WHERE the condition, for sql_plan_files(). */
static void query_rewrite_compose(struct query *q)
{
    const struct sql_statement *s = &q->statement;
    const struct delta_schema *schema = &delta_view_metadata(q->target_table.view)->schema;
    struct buf text;
    for (size_t k = 0; k < s->sets_n; k++) {
        if (delta_schema_find(schema, s->sets[k].column) == SIZE_MAX) {
            query_fail(q, ERR_NOT_FOUND, s->table.at, "DESCRIBE shows its columns",
                       "table \"%s\" has no column \"%s\"", q->target_table.name,
                       s->sets[k].column);
            return;
        }
    }
    buf_init(&text, SQL_AST_BYTES_MAX);
    (void)buf_append_str(&text, "SELECT ");
    if (s->kind == SQL_UPDATE)
        query_update_columns(q, &text);
    else
        (void)buf_append_str(&text, "*");
    char *schema_name = s->table.schema != NULL ? sql_quote_name(s->table.schema) : NULL;
    char *name = sql_quote_name(s->table.name);
    (void)buf_printf(&text, " FROM %s%s%s", schema_name != NULL ? schema_name : "",
                     schema_name != NULL ? "." : "", name);
    free(schema_name);
    free(name);
    size_t from = text.len;
    if (s->where.text != NULL) {
        (void)buf_append_str(&text, " WHERE (\n");
        from = text.len;
        (void)buf_printf(&text, "%s\n)", s->where.text);
    }
    char *source = buf_steal(&text, NULL);
    buf_done(&text);
    query_read(q, source, from, s->where.at, query_rewrite_run);
}

/* ---- UPDATE counts first ----------------------------------------------------------------------
 */

static void query_counted(struct query *q)
{
    q->counting = false;
    query_stages_done(q);
    if (q->counted == 0) {
        q->target.kind = WIRE__SQL_OUTPUT_KIND__SQL_OUTPUT_KIND_TABLE;
        query_done(q);
        return;
    }
    query_rewrite_compose(q);
}

static void query_count_planned(struct query *q)
{
    query_run(q, query_counted);
}

static void query_count_run(struct query *q)
{
    q->target = (struct query_target){.kind = WIRE__SQL_OUTPUT_KIND__SQL_OUTPUT_KIND_ROWS};
    q->counting = true;
    q->counted = 0;
    query_plan(q, SIZE_MAX, query_count_planned);
}

static void query_count(struct query *q)
{
    const struct sql_statement *s = &q->statement;
    char *schema = s->table.schema != NULL ? sql_quote_name(s->table.schema) : mem_strdup("");
    char *name = sql_quote_name(s->table.name);
    char *head = mem_printf("SELECT count(*) FROM %s%s%s WHERE (\n", schema,
                            schema[0] != '\0' ? "." : "", name);
    size_t from = strlen(head);
    char *source = mem_printf("%s%s\n)", head, s->where.text != NULL ? s->where.text : "true");
    free(schema);
    free(name);
    free(head);
    query_read(q, source, from, s->where.at, query_count_run);
}

/* ---- DELETE of everything: the files go, and none is read -------------------------------------
 */

static void query_empty(struct query *q)
{
    struct query_table *table = &q->target_table;
    int64_t now = loop_wall_ms(node_loop(q->role->node));
    query_table_files(table);
    q->target.kind = WIRE__SQL_OUTPUT_KIND__SQL_OUTPUT_KIND_TABLE;
    q->affected = 0;
    if (table->files_n == 0) {
        query_done(q);
        return;
    }
    int err = query_write_info(q, "DELETE", delta_view_version(table->view));
    for (size_t f = 0; f < table->files_n && err == 0; f++) {
        q->affected += table->delta[f].rows != UINT64_MAX ? table->delta[f].rows : 0;
        err = delta_write_remove(&q->lines, table->view, &table->delta[f], now, true);
    }
    if (err < 0)
        query_fail(q, err, SQL_AT_NONE, "CREATE OR REPLACE TABLE, or OPTIMIZE before",
                   "the table has more files than one commit can name");
    else
        query_commit_send(q, table, query_rewrite_again);
}

static void query_rewrite_begin(struct query *q)
{
    const struct sql_statement *s = &q->statement;
    char *name = query_table_name(s->table.schema, s->table.name);
    bool is_all = s->kind == SQL_DELETE && s->where.text == NULL;
    query_snapshot(q, name, &q->target_table,
                   s->kind == SQL_UPDATE ? query_count
                   : is_all              ? query_empty
                                         : query_rewrite_compose);
    free(name);
}

void query_rewrite(struct query *q)
{
    query_rewrite_begin(q);
}
