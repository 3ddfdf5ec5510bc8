#include "core/sql_path.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/mem.h"
#include "base/str.h"

static enum sql_path_format sql_path_format_named(const char *name)
{
    static const struct {
        const char *name;
        enum sql_path_format format;
    } rows[] = {
        {"parquet", SQL_PATH_PARQUET}, {"json", SQL_PATH_JSON}, {"jsonl", SQL_PATH_JSON},
        {"ndjson", SQL_PATH_JSON},     {"csv", SQL_PATH_CSV},   {"tsv", SQL_PATH_CSV},
        {"txt", SQL_PATH_CSV},
    };
    for (size_t i = 0; i < MEM_COUNT(rows); i++)
        if (strcasecmp(rows[i].name, name) == 0)
            return rows[i].format;
    return SQL_PATH_UNKNOWN;
}

enum sql_path_format sql_path_format(const char *path, const struct sql_option *options, size_t n)
{
    for (size_t i = n; i > 0; i--)
        if (strcmp(options[i - 1].name, "format") == 0)
            return sql_path_format_named(options[i - 1].value != NULL ? options[i - 1].value : "");
    const char *slash = strrchr(path, '/');
    char *name = mem_strdup(slash != NULL ? slash + 1 : path);
    size_t len = strlen(name);
    if (str_ends_with(name, ".gz"))
        name[len - strlen(".gz")] = '\0';
    else if (str_ends_with(name, ".zst"))
        name[len - strlen(".zst")] = '\0';
    const char *dot = strrchr(name, '.');
    enum sql_path_format format = dot == NULL ? SQL_PATH_CSV : sql_path_format_named(dot + 1);
    free(name);
    return format;
}

bool sql_path_split(const char *path, char **root, char **rest)
{
    bool in_bucket = str_starts_with(path, "s3://") && strchr(path + strlen("s3://"), '/') != NULL;
    if (str_starts_with(path, "file:"))
        path += strlen("file:");
    if (path[0] != '/' && !in_bucket)
        return false;
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
