#include "shell/sql_words.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

const char *const sql_words[] = {
    "all",        "alter",     "analyze",   "and",         "anti",      "any",
    "array",      "as",        "asc",       "asof",        "at",        "attach",
    "begin",      "between",   "bigint",    "blob",        "boolean",   "both",
    "by",         "case",      "cast",      "char",        "check",     "coalesce",
    "collate",    "column",    "commit",    "constraint",  "copy",      "create",
    "cross",      "cube",      "current",   "cycle",       "date",      "decimal",
    "default",    "delete",    "desc",      "describe",    "distinct",  "do",
    "double",     "drop",      "dry",       "else",        "end",       "enum",
    "except",     "exclude",   "exists",    "explain",     "extract",   "false",
    "fetch",      "filter",    "first",     "float",       "following", "for",
    "foreign",    "from",      "full",      "generated",   "glob",      "group",
    "grouping",   "having",    "history",   "hours",       "hugeint",   "if",
    "ignore",     "ilike",     "in",        "inner",       "insert",    "int",
    "integer",    "intersect", "interval",  "into",        "is",        "isnull",
    "join",       "lambda",    "last",      "lateral",     "leading",   "left",
    "like",       "limit",     "load",      "location",    "map",       "materialized",
    "merge",      "natural",   "no",        "not",         "nothing",   "notnull",
    "null",       "nullif",    "nulls",     "numeric",     "offset",    "on",
    "only",       "optimize",  "or",        "order",       "out",       "outer",
    "over",       "overlaps",  "partition", "partitioned", "pivot",     "position",
    "pragma",     "preceding", "primary",   "qualify",     "real",      "recursive",
    "references", "rename",    "replace",   "respect",     "retain",    "returning",
    "right",      "rollback",  "rollup",    "row",         "rows",      "run",
    "select",     "semi",      "set",       "setof",       "sets",      "show",
    "similar",    "smallint",  "some",      "struct",      "substring", "summarize",
    "symmetric",  "table",     "tables",    "tablesample", "temp",      "temporary",
    "text",       "then",      "ties",      "time",        "timestamp", "tinyint",
    "to",         "trailing",  "trim",      "true",        "truncate",  "try_cast",
    "unbounded",  "union",     "unique",    "unpivot",     "update",    "use",
    "using",      "uuid",      "vacuum",    "values",      "varchar",   "version",
    "view",       "when",      "where",     "window",      "with",      "within",
    NULL,
};

const size_t sql_words_n = MEM_COUNT(sql_words) - 1;

enum { SQL_WORDS_LEN_MAX = 16 };

static int sql_words_compare(const void *key, const void *word)
{
    return strcmp(key, *(const char *const *)word);
}

bool sql_words_is_keyword(const char *word, size_t len)
{
    char small[SQL_WORDS_LEN_MAX + 1];
    if (len > SQL_WORDS_LEN_MAX)
        return false;
    for (size_t i = 0; i < len; i++)
        small[i] = (char)tolower((unsigned char)word[i]);
    small[len] = '\0';
    return bsearch(small, sql_words, sql_words_n, sizeof *sql_words, sql_words_compare) != NULL;
}
