/* COPY: files in and out, in one task. */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/mem.h"
#include "core/sql_path.h"
#include "role/query_internal.h"

static bool query_copy_format(struct query *q, Wire__SqlFormat *format)
{
    static const Wire__SqlFormat formats[] = {
        [SQL_PATH_CSV] = WIRE__SQL_FORMAT__SQL_FORMAT_CSV,
        [SQL_PATH_JSON] = WIRE__SQL_FORMAT__SQL_FORMAT_JSON,
        [SQL_PATH_PARQUET] = WIRE__SQL_FORMAT__SQL_FORMAT_PARQUET,
    };
    const struct sql_statement *s = &q->statement;
    enum sql_path_format known = sql_path_format(s->path, s->options, s->options_n);
    if (known == SQL_PATH_UNKNOWN) {
        query_fail(q, ERR_UNSUPPORTED, SQL_AT_NONE, "(FORMAT csv), json or parquet",
                   "the format of \"%s\" isn't known", s->path);
        return false;
    }
    *format = formats[known];
    return true;
}

static bool query_copy_place(struct query *q, char **root, char **rest)
{
    if (sql_path_split(q->statement.path, root, rest))
        return true;
    query_fail(q, ERR_INVALID, SQL_AT_NONE,
               "the path on the nodes, as /data/rows.csv, or s3://bucket/rows.csv",
               "\"%s\" isn't an absolute path", q->statement.path);
    return false;
}

/* One task reads the files and writes the table's. */
void query_copy_begin(struct query *q)
{
    Wire__SqlFormat format;
    char *root, *rest;
    if (!query_copy_format(q, &format) || !query_copy_place(q, &root, &rest))
        return;
    q->copy_root = root;
    q->copy_path = rest;
    q->copy_format = format;
    const struct sql_statement *s = &q->statement;
    const struct delta_schema *schema = &delta_view_metadata(q->target_table.view)->schema;
    struct buf text;
    buf_init(&text, SQL_AST_BYTES_MAX);
    (void)buf_append_str(&text, "SELECT ");
    for (size_t i = 0; i < schema->n; i++) {
        char *name = sql_quote_name(schema->fields[i].name);
        bool given = s->names_n == 0 ||
                     query_find_name(s->names, s->names_n, schema->fields[i].name) != SIZE_MAX;
        (void)buf_printf(&text, "%s%s%s", i > 0 ? ", " : "", given ? "" : "NULL AS ", name);
        free(name);
    }
    (void)buf_append_str(&text, " FROM copied");
    sql_plan_done(&q->plan);
    struct sql_refs none = {0};
    (void)sql_plan_text(buf_cstr(&text), &none, NULL, &q->plan);
    buf_done(&text);
    q->planned = true;
    query_into_table(q);
    query_find_nodes(q);
    query_run(q, query_commit);
}

Wire__SqlInput *query_copy_input(const struct query *q)
{
    const struct sql_statement *s = &q->statement;
    Wire__SqlInput *input = mem_alloc(sizeof *input);
    wire__sql_input__init(input);
    input->name = mem_strdup("copied");
    input->schema = mem_strdup("");
    input->root = mem_strdup(q->copy_root);
    input->format = q->copy_format;
    size_t n = s->names_n > 0 ? s->names_n : delta_view_metadata(q->target_table.view)->schema.n;
    input->columns = mem_calloc(n + 1, sizeof *input->columns);
    for (size_t i = 0; i < n; i++) {
        size_t at =
            s->names_n > 0
                ? delta_schema_find(&delta_view_metadata(q->target_table.view)->schema, s->names[i])
                : i;
        Wire__SqlColumn *column = mem_alloc(sizeof *column);
        wire__sql_column__init(column);
        column->name = mem_strdup(q->target_table.columns[at].name);
        column->type = mem_strdup(q->target_table.columns[at].type);
        input->columns[input->n_columns++] = column;
    }
    input->files = mem_calloc(1, sizeof *input->files);
    Wire__SqlFile *file = mem_alloc(sizeof *file);
    wire__sql_file__init(file);
    file->path = mem_strdup(q->copy_path);
    input->files[input->n_files++] = file;
    input->options = mem_calloc(s->options_n + 1, sizeof *input->options);
    for (size_t i = 0; i < s->options_n; i++) {
        if (strcmp(s->options[i].name, "format") == 0)
            continue;
        Wire__SqlOption *option = mem_alloc(sizeof *option);
        wire__sql_option__init(option);
        option->name = mem_strdup(s->options[i].name);
        option->value = mem_strdup(s->options[i].value != NULL ? s->options[i].value : "true");
        input->options[input->n_options++] = option;
    }
    return input;
}

static void query_copied(struct query *q)
{
    const struct query_stage *stage = &q->stages[q->stage];
    for (size_t t = 0; t < stage->tasks_n; t++)
        q->affected += stage->tasks[t].rows;
    query_done(q);
}

static void query_copy_to_run(struct query *q)
{
    query_run(q, query_copied);
}

void query_copy_to_read(struct query *q)
{
    char *root, *rest;
    Wire__SqlFormat format;
    if (!query_copy_format(q, &format) || !query_copy_place(q, &root, &rest))
        return;
    q->copy_root = root;
    q->copy_path = rest;
    q->target = (struct query_target){.kind = WIRE__SQL_OUTPUT_KIND__SQL_OUTPUT_KIND_FILE,
                                      .root = q->copy_root,
                                      .path = q->copy_path,
                                      .format = format,
                                      .options = q->statement.options,
                                      .options_n = q->statement.options_n};
    query_plan(q, 1, query_copy_to_run);
}
