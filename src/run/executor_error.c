#include "run/executor_error.h"

#include <errno.h>
#include <jansson.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "base/str.h"

/* DuckDB's type of an exception, ours. */
static const struct {
    const char *type;
    const char *kind;
    int code;
} executor_error_kinds[] = {
    {"Parser", "syntax", ERR_INVALID},
    {"Syntax", "syntax", ERR_INVALID},
    {"Binder", "binder", ERR_INVALID},
    {"Parameter Not Resolved", "binder", ERR_INVALID},
    {"Parameter Not Allowed", "binder", ERR_INVALID},
    {"Catalog", "catalog", ERR_NOT_FOUND},
    {"Conversion", "conversion", ERR_INVALID},
    {"Mismatch Type", "conversion", ERR_INVALID},
    {"Out of Range", "range", ERR_INVALID},
    {"Decimal", "range", ERR_INVALID},
    {"Divide by Zero", "range", ERR_INVALID},
    {"Invalid Input", "input", ERR_INVALID},
    {"Invalid", "input", ERR_INVALID},
    {"Invalid type", "input", ERR_INVALID},
    {"Expression", "binder", ERR_INVALID},
    {"Constraint", "constraint", ERR_INVALID},
    {"Not implemented", "unsupported", ERR_UNSUPPORTED},
    {"Missing Extension", "unsupported", ERR_UNSUPPORTED},
    {"Out of Memory", "memory", -ENOMEM},
    {"Object Size", "memory", -ENOMEM},
    {"Permission", "permission", ERR_FORBIDDEN},
    {"IO", "file", -EIO},
    {"Serialization", "file", ERR_CORRUPT},
    {"INTERRUPT", "cancelled", ERR_CANCELLED},
};

static char *executor_error_format(const char *fmt, va_list args)
{
    char *text = NULL;
    if (vasprintf(&text, fmt, args) < 0)
        abort();
    if (strlen(text) > EXECUTOR_ERROR_TEXT_MAX) {
        size_t end = EXECUTOR_ERROR_TEXT_MAX;
        while (end > 0 && ((unsigned char)text[end] & 0xc0) == 0x80)
            end--;
        text[end] = '\0';
    }
    if (!str_is_utf8(text, strlen(text))) {
        char *printable = str_printable(text, strlen(text), true);
        free(text);
        text = printable;
    }
    return text;
}

static void executor_error_set_text(char **field, char *text)
{
    if (*field != protobuf_c_empty_string)
        free(*field);
    *field = text;
}

Wire__SqlError *executor_error_new(int code, const char *kind, const char *fmt, ...)
{
    Wire__SqlError *error = mem_alloc(sizeof *error);
    wire__sql_error__init(error);
    error->code = code;
    error->kind = mem_strdup(kind);
    va_list args;
    va_start(args, fmt);
    error->message = executor_error_format(fmt, args);
    va_end(args);
    if (strcmp(kind, "disk") == 0) { /* another node has one of its own */
        executor_error_hint(error, "free space on the node's disk");
        error->elsewhere = true;
    }
    return error;
}

void executor_error_say(Wire__SqlError *error, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    char *text = executor_error_format(fmt, args);
    va_end(args);
    executor_error_set_text(&error->message, text);
}

void executor_error_hint(Wire__SqlError *error, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    char *text = executor_error_format(fmt, args);
    va_end(args);
    executor_error_set_text(&error->hint, text);
}

void executor_error_move(Wire__SqlError *error, size_t offset, size_t len)
{
    if (error->position <= offset || error->position - offset > len + 1)
        error->position = 0;
    else
        error->position -= (uint32_t)offset;
}

static void executor_error_set_kind(Wire__SqlError *error, int code, const char *kind)
{
    error->code = code;
    executor_error_set_text(&error->kind, mem_strdup(kind));
}

/* What a file is or lacks, from the texts that DuckDB's readers have for it. */
static void executor_error_refine_file(Wire__SqlError *error)
{
    static const char *const missing[] = {"No files found", "No such file", "does not exist"};
    static const char *const damaged[] = {
        "magic bytes",
        "too small to be a Parquet",
        "TProtocolException",
        "know what type",
        "No more data to read",
        "Negative size",
        "Exceeded size limit",
        "Unknown field type",
        "Snappy",
        "LZ4",
        "GZIP",
        "page header",
        "ompression failure",
        "orrupt",
        "footer length",
        "Invalid Parquet",
        "but was expecting",
        "Not enough bytes",
        "Out of buffer",
        "Malformed JSON",
        "ecompression",
        "ZSTD",
        "MiniZ",
        "Unexpected end",
    };
    const char *text = error->message;
    bool is_about_files = strcmp(error->kind, "file") == 0 || strcmp(error->kind, "input") == 0;
    for (size_t i = 0; is_about_files && i < MEM_COUNT(missing); i++)
        if (strcmp(error->kind, "file") == 0 && strstr(text, missing[i]) != NULL)
            executor_error_set_kind(error, ERR_NOT_FOUND, "file");
    for (size_t i = 0; is_about_files && i < MEM_COUNT(damaged); i++)
        if (strstr(text, damaged[i]) != NULL)
            executor_error_set_kind(error, ERR_CORRUPT, "file");
    if (strstr(text, "No space left") != NULL || strstr(text, "max_temp_directory_size") != NULL ||
        strstr(text, "failed to offload") != NULL)
        executor_error_set_kind(error, -ENOSPC, "disk");
    if (error->code == -EIO && strstr(text, "disabled by configuration") != NULL)
        executor_error_set_kind(error, ERR_FORBIDDEN, "permission");
}

static void executor_error_set_hint(Wire__SqlError *error, const json_t *info)
{
    const char *candidates = json_string_value(json_object_get(info, "candidates"));
    static const char *const own[] = {"pg_", "duckdb_", "information_schema", "sqlite_"};
    if (candidates == NULL || *candidates == '\0' || strlen(candidates) > 400)
        return;
    for (size_t i = 0; i < MEM_COUNT(own); i++)
        if (str_starts_with(candidates, own[i]))
            return;
    if (json_object_get(info, "call") != NULL)
        executor_error_hint(error, "there is: %s", candidates);
    else
        executor_error_hint(error, "did you mean %s?", candidates);
}

/* A row that goes on to the end of the file stands whole in the message: its beginning stays, and
 * what comes behind it. */
static void executor_error_set_csv(Wire__SqlError *error, const char *text)
{
    enum { ROW_BYTES_MAX = 400 };
    const char *row = strstr(text, "Original Line: ");
    const char *behind = strstr(text, "\n\nPossible fixes:");
    while (behind != NULL && behind > text && behind[-1] != '\n')
        behind--; /* the reason is the line before */
    if (strlen(text) < EXECUTOR_ERROR_TEXT_MAX || row == NULL || behind == NULL ||
        behind - row < ROW_BYTES_MAX) {
        executor_error_say(error, "%s", text);
        return;
    }
    int head = (int)(row - text) + ROW_BYTES_MAX;
    while (((unsigned char)text[head] & 0xc0) == 0x80)
        head--;
    executor_error_say(error, "%.*s\n%s", head, text, behind);
}

/* The first line of DuckDB's message is the sentence; what follows are candidates and advice for
 * its own users. A CSV error has its facts below (executor_csv.c takes them from there). */
static void executor_error_set_message(Wire__SqlError *error, const char *text)
{
    size_t len = strcspn(text, "\n");
    if (str_starts_with(text, "CSV Error")) {
        executor_error_set_csv(error, text);
        return;
    }
    while (len > 0 && (text[len - 1] == '!' || text[len - 1] == '\n'))
        len--;
    executor_error_say(error, "%.*s", (int)len, text);
}

static void executor_error_from_json(Wire__SqlError *error, const json_t *info)
{
    const char *type = json_string_value(json_object_get(info, "exception_type"));
    const char *message = json_string_value(json_object_get(info, "exception_message"));
    const char *position = json_string_value(json_object_get(info, "position"));
    const char *name = json_string_value(json_object_get(info, "name"));
    for (size_t i = 0; type != NULL && i < MEM_COUNT(executor_error_kinds); i++)
        if (strcmp(type, executor_error_kinds[i].type) == 0)
            executor_error_set_kind(error, executor_error_kinds[i].code,
                                    executor_error_kinds[i].kind);
    executor_error_set_message(error, message != NULL ? message : "no reason given");
    uint64_t at;
    if (position != NULL && str_parse_u64(position, 0, UINT32_MAX - 1, &at) == 0)
        error->position = (uint32_t)at + 1;
    if (name != NULL)
        executor_error_set_text(&error->name, mem_strdup(name));
    executor_error_set_hint(error, info);
    executor_error_refine_file(error);
}

static void executor_error_add_hints(Wire__SqlError *error)
{
    if (strcmp(error->kind, "memory") == 0)
        executor_error_hint(error, "it needs more memory than sql.memory allows, even with "
                                   "spilling: select less, or raise the limit");
    else if (strcmp(error->kind, "disk") == 0)
        executor_error_hint(error, "free space on the node's disk, or raise sql.temp_bytes");
    else if (strcmp(error->kind, "permission") == 0)
        executor_error_hint(error, "statements reach the tables and the paths that the "
                                   "configuration allows");
    error->elsewhere = strcmp(error->kind, "disk") == 0 ||
                       (strcmp(error->kind, "file") == 0 && error->code == -EIO) ||
                       error->code == ERR_INTERNAL;
}

Wire__SqlError *executor_error_from_duckdb(const char *raw)
{
    const char *json = raw != NULL ? strchr(raw, '{') : NULL;
    json_t *info = json != NULL ? json_loads(json, JSON_DISABLE_EOF_CHECK, NULL) : NULL;
    Wire__SqlError *error = executor_error_new(ERR_INTERNAL, "internal", "%s",
                                               raw != NULL ? raw : "DuckDB failed without a word");
    if (json_object_get(info, "exception_type") != NULL)
        executor_error_from_json(error, info);
    else if (raw != NULL && strstr(raw, "INTERRUPT") != NULL)
        executor_error_set_kind(error, ERR_CANCELLED, "cancelled");
    json_decref(info);
    executor_error_add_hints(error);
    return error;
}
