#include "run/executor_options.h"

#include <strings.h>

#include "base/error.h"
#include "base/mem.h"

/* What a COPY may say to the readers. The first word is ours or COPY's, the second the reader's. */
struct executor_option {
    const char *name;
    const char *reader;
};

static const struct executor_option executor_options_csv[] = {
    {"allow_quoted_nulls", "allow_quoted_nulls"},
    {"auto_detect", "auto_detect"},
    {"comment", "comment"},
    {"compression", "compression"},
    {"dateformat", "dateformat"},
    {"decimal_separator", "decimal_separator"},
    {"delim", "delim"},
    {"delimiter", "delim"},
    {"encoding", "encoding"},
    {"escape", "escape"},
    {"header", "header"},
    {"ignore_errors", "ignore_errors"},
    {"max_line_size", "max_line_size"},
    {"new_line", "new_line"},
    {"null", "nullstr"},
    {"null_padding", "null_padding"},
    {"nullstr", "nullstr"},
    {"parallel", "parallel"},
    {"quote", "quote"},
    {"sample_size", "sample_size"},
    {"sep", "delim"},
    {"skip", "skip"},
    {"strict_mode", "strict_mode"},
    {"thousands", "thousands"},
    {"timestampformat", "timestampformat"},
};

static const struct executor_option executor_options_json[] = {
    {"compression", "compression"},
    {"dateformat", "dateformat"},
    {"format", "format"},
    {"ignore_errors", "ignore_errors"},
    {"maximum_object_size", "maximum_object_size"},
    {"records", "records"},
    {"timestampformat", "timestampformat"},
};

bool executor_options_have(const Wire__SqlInput *input, const char *name)
{
    for (size_t i = 0; i < input->n_options; i++)
        if (strcasecmp(input->options[i]->name, name) == 0)
            return true;
    return false;
}

int executor_options_add(struct executor_task *task, struct executor_sql *sql,
                         const Wire__SqlInput *input)
{
    bool is_csv = input->format == WIRE__SQL_FORMAT__SQL_FORMAT_CSV;
    const struct executor_option *known = is_csv ? executor_options_csv : executor_options_json;
    size_t known_n = is_csv ? MEM_COUNT(executor_options_csv) : MEM_COUNT(executor_options_json);
    for (size_t i = 0; i < input->n_options; i++) {
        const Wire__SqlOption *option = input->options[i];
        size_t k = 0;
        while (k < known_n && strcasecmp(known[k].name, option->name) != 0)
            k++;
        if (k == known_n)
            return executor_task_fail_text(task, ERR_INVALID, "binder",
                                           "COPY from this format has no option %s", option->name);
        executor_sql_printf(sql, ", %s=", known[k].reader);
        executor_sql_literal(sql, option->value);
    }
    return 0;
}
