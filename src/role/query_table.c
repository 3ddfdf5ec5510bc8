/* What a query knows of its tables: columns, files, which of these a condition leaves. */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "role/query_internal.h"

char *query_table_name(const char *schema, const char *name)
{
    if (schema == NULL || schema[0] == '\0' || strcasecmp(schema, "main") == 0)
        return mem_strdup(name);
    return mem_printf("%s.%s", schema, name);
}

bool query_table_may_lack(const struct delta_metadata *metadata)
{
    const char *value = delta_metadata_property(metadata, QUERY_TABLE_LACKS);
    return value != NULL && strcmp(value, "true") == 0;
}

void query_table_take(struct query_table *table, const struct tables_result *result)
{
    const struct tables_table *t = &result->tables[0];
    const struct delta_metadata *metadata = delta_view_metadata(result->view);
    size_t n = metadata->schema.n;
    table->id = t->id;
    table->place = mem_strdup(t->place);
    table->view = result->view;
    /* Nobody knows what other engines did to the tables that they made. */
    table->mixed = !t->owned || query_table_may_lack(metadata);
    table->columns = mem_calloc(n + 1, sizeof *table->columns);
    for (size_t i = 0; i < n; i++) {
        const struct delta_field *field = &metadata->schema.fields[i];
        table->columns[i] = (struct sql_column){field->name, delta_type_duckdb(&field->type),
                                                delta_metadata_partition(metadata, i) != SIZE_MAX};
    }
}

void query_table_files(struct query_table *table)
{
    size_t files = delta_view_files(table->view);
    table->files = mem_calloc(files + 1, sizeof *table->files);
    table->delta = mem_calloc(files + 1, sizeof *table->delta);
    struct delta_file file;
    for (size_t at = 0; table->files_n < files && delta_view_next(table->view, &at, &file);) {
        table->delta[table->files_n] = file;
        table->files[table->files_n++] =
            (struct sql_file){file.size, file.rows == UINT64_MAX ? -1 : (int64_t)file.rows};
    }
}

size_t query_table_columns(const struct query_table *table)
{
    size_t n;
    if (table->cluster == NULL)
        return delta_view_metadata(table->view)->schema.n;
    (void)query_cluster_columns(table->cluster, &n);
    return n;
}

void query_table_done(struct query_table *table)
{
    if (table->view != NULL) {
        for (size_t i = 0; i < query_table_columns(table); i++)
            free((void *)(uintptr_t)table->columns[i].type);
        delta_view_close(table->view);
    }
    if (table->cluster == NULL)
        free(table->columns);
    for (size_t i = 0; table->keys != NULL && i < table->files_n; i++)
        free(table->keys[i]);
    if (table->files != &table->whole)
        free(table->files);
    free(table->keys);
    free(table->lines);
    free(table->delta);
    free(table->place);
    free(table->name);
    *table = (struct query_table){0};
}
