#include "shell/format.h"

#include <stddef.h>
#include <string.h>

#include "base/error.h"
#include "base/mem.h"

const char format_choices[] = FORMAT_CHOICES;

static const char *const format_names[] = {
    [FORMAT_TABLE] = "table",       [FORMAT_VERTICAL] = "vertical", [FORMAT_CSV] = "csv",
    [FORMAT_TSV] = "tsv",           [FORMAT_JSON] = "json",         [FORMAT_JSONL] = "jsonl",
    [FORMAT_MARKDOWN] = "markdown",
};

int format_parse(const char *name, enum format *format)
{
    for (size_t i = 0; i < MEM_COUNT(format_names); i++) {
        if (strcmp(name, format_names[i]) == 0) {
            *format = (enum format)i;
            return 0;
        }
    }
    return ERR_INVALID;
}

const char *format_name(enum format format)
{
    return format_names[format];
}

bool format_is_json(enum format format)
{
    return format == FORMAT_JSON || format == FORMAT_JSONL;
}
