/* What COPY says of the files that it wrote (RETURN_STATS): names, rows, bytes, statistics,
 * partition values. */
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/error.h"
#include "base/mem.h"
#include "base/str.h"
#include "run/executor_stats.h"
#include "run/executor_write_internal.h"
#include "wire/lake_path.h"

/* Where a file goes, relative to the root: malloc'ed, or NULL with the task failed. Sets what the
 * answer says about partitions. */
static char *executor_write_key(struct executor_write *w, const json_t *keys,
                                Wire__SqlOutputFile *file)
{
    const Wire__SqlOutput *output = w->output;
    if (output->kind == WIRE__SQL_OUTPUT_KIND__SQL_OUTPUT_KIND_FILE)
        return mem_strdup(output->paths[0]);
    if (output->kind == WIRE__SQL_OUTPUT_KIND__SQL_OUTPUT_KIND_HASH) {
        const char *text = json_string_value(json_object_get(keys, EXECUTOR_WRITE_PARTITION));
        uint64_t partition = w->partition;
        if (text != NULL)
            (void)str_parse_u64(text, 0, output->n_paths - 1, &partition);
        file->partition = (uint32_t)partition;
        for (size_t i = 0; i + 1 < w->task->done.n_files; i++)
            if (w->task->done.files[i]->partition == partition) {
                (void)executor_task_fail_text(w->task, ERR_INTERNAL, "internal",
                                              "DuckDB wrote two files for one partition");
                return NULL;
            }
        return mem_strdup(output->paths[partition]);
    }
    struct lake_partition *partitions = mem_calloc(output->n_columns + 1, sizeof *partitions);
    size_t n = 0;
    file->values = mem_calloc(output->n_columns + 1, sizeof(Wire__SqlValue *));
    for (size_t i = 0; i < output->n_columns; i++) {
        if (!output->columns[i]->partition)
            continue;
        const char *text = json_string_value(json_object_get(keys, output->columns[i]->name));
        Wire__SqlValue *value = mem_alloc(sizeof *value);
        wire__sql_value__init(value);
        value->is_null = text == NULL;
        if (text != NULL)
            value->text = mem_strdup(text);
        file->values[file->n_values++] = value;
        partitions[n++] = (struct lake_partition){output->columns[i]->name, text};
    }
    struct uuid id;
    uuid_generate(&id);
    char *key = lake_data_key(partitions, n, &id);
    free(partitions);
    return key;
}

/* A part of a file is where that is, with its values. */
static char *executor_write_part_key(const struct executor_write *w, Wire__SqlOutputFile *file)
{
    char name[UUID_TEXT_MAX];
    struct uuid id;
    const Wire__SqlOutputFile *whole = w->split;
    file->values = mem_calloc(whole->n_values + 1, sizeof(Wire__SqlValue *));
    for (size_t i = 0; i < whole->n_values; i++) {
        Wire__SqlValue *value = mem_alloc(sizeof *value);
        wire__sql_value__init(value);
        value->is_null = whole->values[i]->is_null;
        value->text = mem_strdup(whole->values[i]->text);
        file->values[file->n_values++] = value;
    }
    uuid_generate(&id);
    const char *slash = strrchr(whole->path, '/');
    int dir = slash != NULL ? (int)(slash - whole->path + 1) : 0;
    return mem_printf("%.*spart-%s.parquet", dir, whole->path, uuid_format(&id, name));
}

int executor_write_add(void *arg, const char *row, size_t len)
{
    struct executor_write *w = arg;
    json_t *columns = json_loadb(row, len, 0, NULL);
    const char *name = json_string_value(json_array_get(columns, 0));
    json_int_t rows = json_integer_value(json_array_get(columns, 1));
    int err = 0;
    if (name == NULL) {
        err = executor_task_fail_text(w->task, ERR_INTERNAL, "internal",
                                      "DuckDB does not say what it wrote");
    } else if (rows > 0 || w->output->kind == WIRE__SQL_OUTPUT_KIND__SQL_OUTPUT_KIND_FILE) {
        Wire__SqlOutputFile *file = executor_task_add_file(w->task);
        file->rows = (uint64_t)rows;
        file->bytes = (uint64_t)json_integer_value(json_array_get(columns, 2));
        char *key = w->split != NULL ? executor_write_part_key(w, file)
                                     : executor_write_key(w, json_array_get(columns, 5), file);
        err = key != NULL ? 0 : -1;
        file->path = key != NULL ? key : mem_strdup("");
        if (w->output->kind == WIRE__SQL_OUTPUT_KIND__SQL_OUTPUT_KIND_TABLE)
            file->stats = executor_stats_delta(w->output->columns, w->output->n_columns,
                                               json_array_get(columns, 4), file->rows);
        /* where it is now, until it is published */
        w->task->scratch_names = mem_reallocarray(w->task->scratch_names, w->task->done.n_files,
                                                  sizeof *w->task->scratch_names);
        w->task->scratch_names[w->task->done.n_files - 1] = mem_strdup(name);
    }
    json_decref(columns);
    return err;
}

int executor_write_add_counted(void *arg, const char *row, size_t len)
{
    struct executor_write *w = arg;
    json_t *columns = json_loadb(row, len, 0, NULL);
    struct stat st;
    Wire__SqlOutputFile *file = executor_task_add_file(w->task);
    file->rows = (uint64_t)json_integer_value(json_array_get(columns, 0));
    file->bytes = stat(w->scratch, &st) == 0 ? (uint64_t)st.st_size : 0;
    file->path = mem_strdup(w->output->paths[0]);
    w->task->scratch_names = mem_alloc(sizeof *w->task->scratch_names);
    w->task->scratch_names[0] = mem_strdup(w->scratch);
    json_decref(columns);
    return 0;
}
