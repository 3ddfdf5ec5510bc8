/* COPY: files in and out, in one task. */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/mem.h"
#include "base/str.h"
#include "role/query_internal.h"

static bool query_copy_format(struct query *q, Wire__SqlFormat *format)
{
    const char *name = NULL;
    for (size_t i = 0; i < q->statement.options_n; i++) {
        if (strcmp(q->statement.options[i].name, "format") == 0)
            name = q->statement.options[i].value;
    }
    char *path = mem_strdup(q->statement.path);
    size_t len = strlen(path);
    if (len > 3 && (strcmp(path + len - 3, ".gz") == 0))
        path[len -= 3] = '\0';
    else if (len > 4 && strcmp(path + len - 4, ".zst") == 0)
        path[len -= 4] = '\0';
    const char *dot = strrchr(path, '.');
    if (name == NULL)
        name = dot != NULL ? dot + 1 : "csv";
    bool known = true;
    if (strcasecmp(name, "parquet") == 0)
        *format = WIRE__SQL_FORMAT__SQL_FORMAT_PARQUET;
    else if (strcasecmp(name, "json") == 0 || strcasecmp(name, "jsonl") == 0 ||
             strcasecmp(name, "ndjson") == 0)
        *format = WIRE__SQL_FORMAT__SQL_FORMAT_JSON;
    else if (strcasecmp(name, "csv") == 0 || strcasecmp(name, "tsv") == 0 || dot == NULL ||
             strchr(name, '/') != NULL || strcasecmp(name, "txt") == 0)
        *format = WIRE__SQL_FORMAT__SQL_FORMAT_CSV;
    else
        known = false;
    if (!known)
        query_fail(q, ERR_UNSUPPORTED, SQL_AT_NONE, "(FORMAT csv), json or parquet",
                   "the format of \"%s\" isn't known", q->statement.path);
    free(path);
    return known;
}

/* The folder of a path without wildcards as a URL, and the rest. */
static bool query_copy_place(struct query *q, char **root, char **rest)
{
    const char *path = q->statement.path;
    bool in_bucket = str_starts_with(path, "s3://") && strchr(path + strlen("s3://"), '/') != NULL;
    if (str_starts_with(path, "file:"))
        path += strlen("file:");
    if (path[0] != '/' && !in_bucket) {
        query_fail(q, ERR_INVALID, SQL_AT_NONE,
                   "the path on the nodes, as /data/rows.csv, or s3://bucket/rows.csv",
                   "\"%s\" isn't an absolute path", q->statement.path);
        return false;
    }
    size_t cut = strcspn(path, "*?[{");
    while (cut > 0 && path[cut - 1] != '/')
        cut--;
    if (in_bucket)
        *root = mem_strndup(path, cut - 1);
    else
        *root = cut > 1 ? mem_printf("file:%.*s", (int)cut - 1, path) : mem_strdup("file:/");
    *rest = mem_strdup(path + cut);
    return true;
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
