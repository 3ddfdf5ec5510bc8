/* The table as reference: JSON and Markdown. */
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "base/mem.h"
#include "shell/command_help.h"
#include "shell/format.h"

static const char *command_docs_type(enum command_type type)
{
    static const char *const names[] = {
        [COMMAND_TYPE_FLAG] = "flag",         [COMMAND_TYPE_TEXT] = "text",
        [COMMAND_TYPE_COUNT] = "count",       [COMMAND_TYPE_NUMBER] = "number",
        [COMMAND_TYPE_DURATION] = "duration", [COMMAND_TYPE_BYTES] = "bytes",
        [COMMAND_TYPE_CHOICE] = "choice",     [COMMAND_TYPE_NODE] = "node",
        [COMMAND_TYPE_NODES] = "nodes",       [COMMAND_TYPE_JOB] = "job",
        [COMMAND_TYPE_FILE] = "file",         [COMMAND_TYPE_FORMAT] = "format",
        [COMMAND_TYPE_KEY] = "key",           [COMMAND_TYPE_COMMAND] = "command",
        [COMMAND_TYPE_PIPE] = "pipe",         [COMMAND_TYPE_VARIABLE] = "variable",
        [COMMAND_TYPE_SETTING] = "setting",   [COMMAND_TYPE_ENDPOINT] = "endpoint",
        [COMMAND_TYPE_TABLE] = "table",       [COMMAND_TYPE_FUNCTION] = "function",
        [COMMAND_TYPE_SQL] = "sql",           [COMMAND_TYPE_MODEL] = "model",
        [COMMAND_TYPE_SERVICE] = "service",   [COMMAND_TYPE_CHANNEL] = "channel",
        [COMMAND_TYPE_TXN] = "txn",           [COMMAND_TYPE_QUERY] = "query",
        [COMMAND_TYPE_KINDS] = "kinds",
    };
    return names[type];
}

static const char *command_docs_count(enum command_count count)
{
    static const char *const names[] = {
        [COMMAND_COUNT_ONE] = "one",   [COMMAND_COUNT_OPTIONAL] = "optional",
        [COMMAND_COUNT_MANY] = "many", [COMMAND_COUNT_ARGV] = "command-line",
        [COMMAND_COUNT_LINE] = "line", [COMMAND_COUNT_ARGV_OPTIONAL] = "optional-command-line",
        [COMMAND_COUNT_ANY] = "any",
    };
    return names[count];
}

static json_t *command_docs_choices(enum command_type type, const char *choices)
{
    json_t *list = json_array();
    if (type == COMMAND_TYPE_FORMAT)
        choices = format_choices;
    while (choices != NULL && *choices != '\0') {
        size_t n = strcspn(choices, "|");
        (void)json_array_append_new(list, json_stringn(choices, n));
        choices += n + (choices[n] == '|');
    }
    return list;
}

static json_t *command_docs_option(const struct command_option *option)
{
    char letter[2] = {option->letter, '\0'};
    return json_pack("{s:s, s:s, s:s, s:s*, s:o, s:b, s:s}", "name", option->name, "letter", letter,
                     "type", command_docs_type(option->type), "value", option->value, "choices",
                     command_docs_choices(option->type, option->choices), "repeats",
                     option->repeats, "help", option->help);
}

static json_t *command_docs_command(const struct command *command)
{
    json_t *options = json_array();
    json_t *arguments = json_array();
    json_t *examples = json_array();
    struct buf usage;
    buf_init(&usage, COMMAND_HELP_BYTES_MAX);
    command_help_usage(command, &usage);
    const struct command_option *option;
    for (size_t i = 0; (option = command_option_at(command, i)) != NULL; i++)
        (void)json_array_append_new(options, command_docs_option(option));
    for (size_t i = 0; i < COMMAND_ARGUMENTS_MAX && command->arguments[i].name != NULL; i++) {
        const struct command_argument *a = &command->arguments[i];
        (void)json_array_append_new(
            arguments,
            json_pack("{s:s, s:s, s:s, s:o, s:s}", "name", a->name, "type",
                      command_docs_type(a->type), "count", command_docs_count(a->count), "choices",
                      command_docs_choices(a->type, a->choices), "help", a->help));
    }
    for (size_t i = 0; i < COMMAND_EXAMPLES_MAX && command->examples[i].line != NULL; i++)
        (void)json_array_append_new(examples,
                                    json_pack("{s:s, s:s}", "line", command->examples[i].line,
                                              "what", command->examples[i].what));
    json_t *json = json_pack("{s:s, s:s, s:s, s:s*, s:o, s:o, s:o}", "name", command->name, "usage",
                             buf_cstr(&usage), "summary", command->summary, "text", command->text,
                             "arguments", arguments, "options", options, "examples", examples);
    buf_done(&usage);
    return json;
}

void command_docs_json(const struct command *program, struct buf *b)
{
    json_t *commands = json_array();
    for (size_t i = 0; command_table[i] != NULL; i++)
        (void)json_array_append_new(commands, command_docs_command(command_table[i]));
    json_t *all =
        json_pack("{s:o, s:o}", "program", command_docs_command(program), "commands", commands);
    char *text = json_dumps(all, JSON_INDENT(1));
    (void)buf_append_str(b, text);
    (void)buf_append_byte(b, '\n');
    free(text);
    json_decref(all);
}

/* Markdown */

/* Text of a table cell: '|' would end it. */
static void command_docs_cell(const char *text, struct buf *b)
{
    for (; *text != '\0'; text++) {
        if (*text == '|')
            (void)buf_append_byte(b, '\\');
        (void)buf_append_byte(b, (uint8_t)*text);
    }
}

static void command_docs_option_row(const struct command_option *option, struct buf *b)
{
    (void)buf_append_str(b, "| `");
    if (option->letter != 0)
        (void)buf_printf(b, "-%c`, `", option->letter);
    (void)buf_printf(b, "--%s", option->name);
    if (option->value != NULL)
        (void)buf_printf(b, " %s", option->value);
    (void)buf_printf(b, "`%s | ", option->repeats ? ", may be repeated" : "");
    command_docs_cell(option->help, b);
    (void)buf_append_str(b, " |\n");
}

/* How many options the row has without the common ones. */
static size_t command_docs_own_options(const struct command *command)
{
    size_t own = 0;
    size_t shared = 0;
    while (command->options[own].name != NULL)
        own++;
    while (command->shared != NULL && command->shared[shared].name != NULL)
        shared++;
    return own + shared;
}

static void command_docs_section(const struct command *command, struct buf *b)
{
    size_t n_options = command_docs_own_options(command);
    (void)buf_printf(b, "\n### %s%s\n\n    ", command_is_meta(command) ? "\\" : "", command->name);
    command_help_usage(command, b);
    (void)buf_printf(b, "\n\n%s.\n", command->summary);
    if (command->text != NULL)
        (void)buf_printf(b, "\n%s\n", command->text);
    if (n_options > 0 || command->arguments[0].name != NULL)
        (void)buf_append_str(b, "\n| | |\n|---|---|\n");
    for (size_t i = 0; i < COMMAND_ARGUMENTS_MAX && command->arguments[i].name != NULL; i++) {
        (void)buf_printf(b, "| `%s` | ", command->arguments[i].name);
        command_docs_cell(command->arguments[i].help, b);
        (void)buf_append_str(b, " |\n");
    }
    for (size_t i = 0; i < n_options; i++)
        command_docs_option_row(command_option_at(command, i), b);
    for (size_t i = 0; command->statuses != NULL && command->statuses[i].name != NULL; i++)
        (void)buf_printf(b, "%s| %s | %s |\n", i == 0 ? "\n| exit status | |\n|---|---|\n" : "",
                         command->statuses[i].name, command->statuses[i].help);
    for (size_t i = 0; i < COMMAND_EXAMPLES_MAX && command->examples[i].line != NULL; i++)
        (void)buf_printf(b, "%s    %s  # %s\n", i == 0 ? "\n" : "", command->examples[i].line,
                         command->examples[i].what);
}

void command_docs_markdown(const struct command *program, struct buf *b)
{
    (void)buf_append_str(b, "# clustersh: commands\n\n"
                            "Generated by `clustersh --dump-markdown`; `make check` "
                            "compares. Change the rows in `shell/`.\n\n"
                            "## The program\n");
    command_docs_section(program, b);
    (void)buf_append_str(b, "\n## Commands\n\nThe same on the prompt, as arguments, with `-c`, "
                            "`-f` and on standard input. Each also takes `-o FORMAT` and `--help`. "
                            "Options stand in front of a command line that is to be run.\n");
    bool was_meta = false;
    for (size_t i = 0; command_table[i] != NULL; i++) {
        if (command_is_meta(command_table[i]) && !was_meta) {
            (void)buf_append_str(b, "\n## Meta-commands\n\nThey begin with a backslash and end "
                                    "with the line.\n");
            was_meta = true;
        }
        command_docs_section(command_table[i], b);
    }
}
