/* What a task is told: its fragment, the files of its inputs, where its rows go. */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/mem.h"
#include "role/query_internal.h"
#include "wire/lake_path.h"

Wire__SqlColumn *query_column(const char *name, const char *type, bool partition, bool not_null)
{
    Wire__SqlColumn *column = mem_alloc(sizeof *column);
    wire__sql_column__init(column);
    column->name = mem_strdup(name);
    column->type = mem_strdup(type);
    column->partition = partition;
    column->not_null = not_null;
    return column;
}

/* Where a file of a table is, below the table's place. */
static char *query_file_path(const struct query_table *table, const struct delta_file *file)
{
    char *place = NULL, *key = NULL;
    if (lake_action_resolve(table->place, file->path, &place, &key, NULL) < 0)
        return mem_strdup(file->path);
    char *path = strcmp(place, table->place) == 0 ? mem_strdup(key) : lake_url_join(place, key);
    free(place);
    free(key);
    return path;
}

static Wire__SqlFile *query_table_file(const struct query_table *table,
                                       const struct sql_input *input, size_t index)
{
    const struct delta_metadata *metadata = delta_view_metadata(table->view);
    const struct delta_file *delta = &table->delta[index];
    Wire__SqlFile *file = mem_alloc(sizeof *file);
    wire__sql_file__init(file);
    file->path = query_file_path(table, delta);
    file->bytes = delta->size;
    file->rows = delta->rows == UINT64_MAX ? 0 : delta->rows;
    file->values = mem_calloc(input->columns_n + 1, sizeof *file->values);
    for (size_t i = 0; i < input->columns_n; i++) {
        size_t partition = delta_metadata_partition(metadata, input->columns[i]);
        if (partition == SIZE_MAX)
            continue;
        Wire__SqlValue *value = mem_alloc(sizeof *value);
        wire__sql_value__init(value);
        const char *text = delta_file_partition(table->view, delta, partition);
        value->is_null = text == NULL;
        value->text = mem_strdup(text != NULL ? text : "");
        file->values[file->n_values++] = value;
    }
    return file;
}

static Wire__SqlOption *query_option(const char *name, const char *value)
{
    Wire__SqlOption *out = mem_alloc(sizeof *out);
    wire__sql_option__init(out);
    out->name = mem_strdup(name);
    out->value = mem_strdup(value);
    return out;
}

/* Rows of the cluster's state: in the message, or in files of the store. */
static void query_cluster_input(const struct query_table *table, const struct sql_input *input,
                                size_t first, size_t end, Wire__SqlInput *out)
{
    if (table->keys == NULL) {
        out->format = WIRE__SQL_FORMAT__SQL_FORMAT_LINES;
        out->lines.len = table->whole.bytes;
        out->lines.data = mem_dup(table->lines, table->whole.bytes);
        return;
    }
    static const char *const options[][2] = {{"format", "newline_delimited"},
                                             {"maximum_object_size", "16777216"},
                                             {"compression", "uncompressed"}};
    out->format = WIRE__SQL_FORMAT__SQL_FORMAT_JSON;
    free(out->root);
    out->root = mem_strdup(table->place);
    out->options = mem_calloc(MEM_COUNT(options), sizeof *out->options);
    for (size_t i = 0; i < MEM_COUNT(options); i++)
        out->options[out->n_options++] = query_option(options[i][0], options[i][1]);
    out->files = mem_calloc(end - first, sizeof *out->files);
    for (size_t f = first; f < end; f++) {
        Wire__SqlFile *file = mem_alloc(sizeof *file);
        wire__sql_file__init(file);
        file->path = mem_strdup(table->keys[input->files[f]]);
        file->bytes = table->files[input->files[f]].bytes;
        out->files[out->n_files++] = file;
    }
}

/* The place of a table's column among those that the input wants. */
static size_t query_input_place(const struct sql_input *input, size_t column)
{
    size_t place = 0;
    while (place < input->columns_n && input->columns[place] != column)
        place++;
    return place;
}

/* What lets a worker leave parts of files out. */
static void query_input_conditions(const struct sql_input *input, Wire__SqlInput *out)
{
    static const Wire__SqlConditionOp ops[] = {
        [SQL_OP_EQ] = WIRE__SQL_CONDITION_OP__SQL_CONDITION_OP_EQ,
        [SQL_OP_LT] = WIRE__SQL_CONDITION_OP__SQL_CONDITION_OP_LT,
        [SQL_OP_LE] = WIRE__SQL_CONDITION_OP__SQL_CONDITION_OP_LE,
        [SQL_OP_GT] = WIRE__SQL_CONDITION_OP__SQL_CONDITION_OP_GT,
        [SQL_OP_GE] = WIRE__SQL_CONDITION_OP__SQL_CONDITION_OP_GE,
        [SQL_OP_IS_NULL] = WIRE__SQL_CONDITION_OP__SQL_CONDITION_OP_IS_NULL,
        [SQL_OP_PREFIX] = WIRE__SQL_CONDITION_OP__SQL_CONDITION_OP_GE,
        [SQL_OP_IS_NOT_NULL] = WIRE__SQL_CONDITION_OP__SQL_CONDITION_OP_IS_NOT_NULL,
        [SQL_OP_IN] = WIRE__SQL_CONDITION_OP__SQL_CONDITION_OP_IN,
    };
    out->conditions = mem_calloc(input->filters_n + 1, sizeof *out->conditions);
    for (size_t i = 0; i < input->filters_n; i++) {
        const struct sql_filter *filter = &input->filters[i];
        size_t place = query_input_place(input, filter->column);
        if (place == input->columns_n)
            continue;
        Wire__SqlCondition *condition = mem_alloc(sizeof *condition);
        wire__sql_condition__init(condition);
        condition->column = (uint32_t)place;
        condition->op = ops[filter->op];
        condition->values = mem_calloc(filter->values_n + 1, sizeof *condition->values);
        for (size_t v = 0; v < filter->values_n; v++)
            condition->values[condition->n_values++] = mem_strdup(filter->values[v]);
        out->conditions[out->n_conditions++] = condition;
    }
}

/* Whether some of these files may lack a column that is wanted. Of a column that a file has its
 * statistics say how many values are null; without them somebody must look into the file. */
static bool query_input_lacks(const struct query_table *table, const struct sql_input *input,
                              size_t first, size_t end)
{
    enum { LOOKS_MAX = 200000 };
    struct delta_range range;
    if (!table->mixed || (end - first) * input->columns_n > LOOKS_MAX)
        return table->mixed;
    for (size_t i = 0; i < input->columns_n; i++) {
        if (table->columns[input->columns[i]].partition)
            continue;
        for (size_t f = first; f < end; f++) {
            delta_file_range(table->view, &table->delta[input->files[f]], input->columns[i],
                             &range);
            if (range.nulls == UINT64_MAX)
                return true;
        }
    }
    return false;
}

Wire__SqlInput *query_table_input(const struct query_table *table, const struct sql_input *input,
                                  size_t first, size_t end)
{
    Wire__SqlInput *out = mem_alloc(sizeof *out);
    wire__sql_input__init(out);
    out->name = mem_strdup(input->view);
    out->schema = mem_strdup(input->schema);
    out->root = mem_strdup(table->place != NULL ? table->place : "");
    out->columns = mem_calloc(input->columns_n + 1, sizeof *out->columns);
    for (size_t i = 0; i < input->columns_n; i++) {
        const struct sql_column *column = &table->columns[input->columns[i]];
        out->columns[out->n_columns++] =
            query_column(column->name, column->type, column->partition, false);
    }
    query_input_conditions(input, out);
    if (table->cluster != NULL && end > first)
        query_cluster_input(table, input, first, end, out);
    if (table->cluster != NULL)
        return out;
    out->mixed = query_input_lacks(table, input, first, end);
    out->files = mem_calloc(end - first + 1, sizeof *out->files);
    for (size_t f = first; f < end; f++)
        out->files[out->n_files++] = query_table_file(table, input, input->files[f]);
    return out;
}

/* What an earlier stage wrote: one partition of it, or all. */
static Wire__SqlInput *query_stage_input(const struct query *q, const struct sql_input *input,
                                         size_t partition)
{
    const struct query_stage *stage = &q->stages[input->index];
    Wire__SqlInput *out = mem_alloc(sizeof *out);
    wire__sql_input__init(out);
    out->name = mem_strdup(input->view);
    out->schema = mem_strdup("");
    out->root = mem_strdup(node_lake(q->role->node)->place);
    out->columns = mem_calloc(stage->columns_n + 1, sizeof *out->columns);
    for (size_t i = 0; i < stage->columns_n; i++)
        out->columns[out->n_columns++] =
            query_column(stage->columns[i]->name, stage->columns[i]->type, false, false);
    size_t n = 0;
    for (size_t t = 0; t < stage->tasks_n; t++)
        n += stage->tasks[t].result->n_files;
    out->files = mem_calloc(n + 1, sizeof *out->files);
    for (size_t t = 0; t < stage->tasks_n; t++) {
        const Wire__SqlTaskDone *result = stage->tasks[t].result;
        for (size_t f = 0; f < result->n_files; f++) {
            if (partition != SIZE_MAX && result->files[f]->partition != partition)
                continue;
            Wire__SqlFile *file = mem_alloc(sizeof *file);
            wire__sql_file__init(file);
            file->path = mem_strdup(result->files[f]->path);
            file->bytes = result->files[f]->bytes;
            file->rows = result->files[f]->rows;
            out->files[out->n_files++] = file;
        }
    }
    return out;
}

/* The rows of the last stage. */
static void query_target_output(const struct query *q, Wire__SqlOutput *out)
{
    const struct query_target *target = &q->target;
    out->kind = target->kind;
    out->root = mem_strdup(target->root != NULL ? target->root : "");
    if (target->kind == WIRE__SQL_OUTPUT_KIND__SQL_OUTPUT_KIND_FILE) {
        out->paths = mem_calloc(1, sizeof *out->paths);
        out->paths[out->n_paths++] = mem_strdup(target->path);
        out->format = target->format;
        out->durable = true;
        out->options = mem_calloc(target->options_n + 1, sizeof *out->options);
        for (size_t i = 0; i < target->options_n; i++) {
            if (strcmp(target->options[i].name, "format") != 0)
                out->options[out->n_options++] = query_option(
                    target->options[i].name,
                    target->options[i].value != NULL ? target->options[i].value : "true");
        }
    }
    if (target->kind != WIRE__SQL_OUTPUT_KIND__SQL_OUTPUT_KIND_TABLE)
        return;
    out->durable = true;
    out->file_target_bytes = target->target_bytes;
    out->columns = mem_calloc(target->schema->n + 1, sizeof *out->columns);
    for (size_t i = 0; i < target->schema->n; i++) {
        const struct delta_field *field = &target->schema->fields[i];
        bool partition = target->metadata != NULL
                             ? delta_metadata_partition(target->metadata, i) != SIZE_MAX
                             : false;
        for (size_t p = 0; p < target->partitions_n; p++)
            partition |= strcasecmp(target->partitions[p], field->name) == 0;
        char *type = delta_type_duckdb(&field->type);
        out->columns[out->n_columns++] =
            query_column(field->name, type, partition, !field->nullable);
        free(type);
    }
}

static Wire__SqlOutput *query_output(const struct query *q, const struct query_task *task,
                                     unsigned attempt)
{
    const struct sql_stage *stage = &q->plan.stages[q->stage];
    Wire__SqlOutput *out = mem_alloc(sizeof *out);
    wire__sql_output__init(out);
    if (stage->output == SQL_OUTPUT_ROWS || q->stages[q->stage].by_alone) {
        query_target_output(q, out);
        return out;
    }
    bool hash = stage->output == SQL_OUTPUT_HASH;
    out->kind = hash ? WIRE__SQL_OUTPUT_KIND__SQL_OUTPUT_KIND_HASH
                     : WIRE__SQL_OUTPUT_KIND__SQL_OUTPUT_KIND_FILE;
    out->root = mem_strdup(node_lake(q->role->node)->place);
    size_t partitions = hash ? stage->partitions : 1;
    out->paths = mem_calloc(partitions, sizeof *out->paths);
    for (size_t p = 0; p < partitions; p++)
        out->paths[out->n_paths++] = lake_shuffle_file(&q->id, (unsigned)q->stage,
                                                       (unsigned)task->index, attempt, (unsigned)p);
    out->keys = mem_calloc(stage->keys_n + 1, sizeof *out->keys);
    for (size_t k = 0; k < stage->keys_n; k++)
        out->keys[out->n_keys++] = (uint32_t)stage->key_places[k];
    return out;
}

Wire__SqlRunTask *query_task_message(struct query *q, const struct query_task *task,
                                     unsigned attempt)
{
    const struct sql_stage *plan = &q->plan.stages[q->stage];
    const struct query_stage *stage = &q->stages[q->stage];
    bool all = stage->tasks_n == 1;
    Wire__SqlRunTask *message = mem_alloc(sizeof *message);
    wire__sql_run_task__init(message);
    message->query.data = mem_dup(q->id.bytes, sizeof q->id.bytes);
    message->query.len = sizeof q->id.bytes;
    message->stage = (uint32_t)q->stage;
    message->task = (uint32_t)task->index;
    message->attempt = attempt;
    char trace[TRACE_TEXT_MAX];
    message->traceparent = mem_strdup(trace_format(trace_context(stage->span), trace));
    message->session = mem_strdup(q->session);
    message->user = mem_strdup(q->user);
    message->credit = task->index == q->rows_task ? QUERY_WINDOW_BYTES : QUERY_HELD_BYTES;
    Wire__SqlFragment *fragment = mem_alloc(sizeof *fragment);
    wire__sql_fragment__init(fragment);
    message->fragment = fragment;
    const char *ast = stage->by_alone ? plan->alone : plan->fragment;
    fragment->ast = mem_strdup(ast != NULL && plan->text == NULL ? ast : "");
    fragment->sql = mem_strdup(plan->text != NULL ? plan->text : "");
    fragment->profile = q->statement.analyze;
    fragment->inputs = mem_calloc(plan->inputs_n + 1, sizeof *fragment->inputs);
    if (q->statement.kind == SQL_COPY_FROM)
        fragment->inputs[fragment->n_inputs++] = query_copy_input(q);
    for (size_t i = 0; i < plan->inputs_n; i++) {
        const struct sql_input *input = &plan->inputs[i];
        if (input->kind == SQL_INPUT_STAGE) {
            fragment->inputs[fragment->n_inputs++] =
                query_stage_input(q, input, input->split && !all ? task->index : SIZE_MAX);
            continue;
        }
        size_t first = 0, end = input->files_n;
        if (input->split && !all) {
            first = plan->first[i][task->index];
            end = plan->first[i][task->index + 1];
        }
        fragment->inputs[fragment->n_inputs++] =
            query_table_input(&q->tables[input->index], input, first, end);
    }
    if (q->carries != NULL)
        query_crowd_parts(q, fragment);
    fragment->output = query_output(q, task, attempt);
    return message;
}
