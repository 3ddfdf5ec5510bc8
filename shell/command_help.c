#include "shell/command_help.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "shell/command_group.h"
#include "shell/shell.h"
#include "shell/text.h"
#include "shell/topic.h"

static void command_help_argument(const struct command_argument *argument, struct buf *b)
{
    switch (argument->count) {
    case COMMAND_COUNT_ONE:
        (void)buf_printf(b, " %s", argument->name);
        break;
    case COMMAND_COUNT_OPTIONAL:
    case COMMAND_COUNT_LINE:
        (void)buf_printf(b, " [%s]", argument->name);
        break;
    case COMMAND_COUNT_MANY:
        (void)buf_printf(b, " %s...", argument->name);
        break;
    case COMMAND_COUNT_ARGV:
        (void)buf_printf(b, " [--] %s...", argument->name);
        break;
    case COMMAND_COUNT_ANY:
    case COMMAND_COUNT_ARGV_OPTIONAL:
        (void)buf_printf(b, " [%s...]", argument->name);
        break;
    }
}

void command_help_usage(const struct command *command, struct buf *b)
{
    (void)buf_append_str(b, command->name);
    if (command_option_at(command, 0) != NULL)
        (void)buf_append_str(b, " [OPTION]...");
    for (size_t i = 0; i < COMMAND_ARGUMENTS_MAX && command->arguments[i].name != NULL; i++)
        command_help_argument(&command->arguments[i], b);
}

void command_help_row(const char *left, const char *right, size_t column, size_t width,
                      struct buf *b)
{
    struct buf text;
    buf_init(&text, COMMAND_HELP_BYTES_MAX);
    text_append_wrapped(&text, right, column, width);
    const char *wrapped = buf_cstr(&text);
    size_t taken = text_width(left) + 2;
    (void)buf_printf(b, "  %s", left);
    if (taken + 2 > column)
        (void)buf_printf(b, "\n%s", wrapped);
    else
        (void)buf_append_str(b, wrapped + taken);
    buf_done(&text);
}

static char *command_help_option_left(const struct command_option *option)
{
    char letter[8] = "    ";
    if (option->letter != 0)
        (void)snprintf(letter, sizeof letter, "-%c, ", option->letter);
    return mem_printf("%s--%s%s%s%s", letter, option->name, option->value != NULL ? " " : "",
                      option->value != NULL ? option->value : "", option->repeats ? "..." : "");
}

static void command_help_option(const struct command_option *option, size_t width, struct buf *b)
{
    char *left = command_help_option_left(option);
    command_help_row(left, option->help, 28, width, b);
    free(left);
}

void command_help_text(const struct command *command, size_t width, struct buf *b)
{
    (void)buf_append_str(b, "usage: ");
    command_help_usage(command, b);
    (void)buf_append_str(b, "\n\n");
    char *summary = mem_printf("%s.", command->summary);
    text_append_wrapped(b, summary, 0, width);
    free(summary);
    if (command->text != NULL) {
        (void)buf_append_byte(b, '\n');
        text_append_wrapped(b, command->text, 0, width);
    }
    if (command->arguments[0].name != NULL)
        (void)buf_append_byte(b, '\n');
    for (size_t i = 0; i < COMMAND_ARGUMENTS_MAX && command->arguments[i].name != NULL; i++)
        command_help_row(command->arguments[i].name, command->arguments[i].help, 28, width, b);
    if (!command_is_meta(command)) {
        (void)buf_append_str(b, "\noptions:\n");
        const struct command_option *option;
        for (size_t i = 0; (option = command_option_at(command, i)) != NULL; i++)
            command_help_option(option, width, b);
    }
    for (size_t i = 0; command->statuses != NULL && command->statuses[i].name != NULL; i++) {
        (void)buf_append_str(b, i == 0 ? "\nexit status:\n" : "");
        command_help_row(command->statuses[i].name, command->statuses[i].help, 10, width, b);
    }
    if (command->examples[0].line != NULL)
        (void)buf_append_str(b, "\nexamples:\n");
    for (size_t i = 0; i < COMMAND_EXAMPLES_MAX && command->examples[i].line != NULL; i++) {
        (void)buf_printf(b, "  %s\n", command->examples[i].line);
        text_append_wrapped(b, command->examples[i].what, 6, width);
    }
}

void command_help_list(const char *prefix, size_t width, struct buf *b)
{
    for (size_t i = 0; command_table[i] != NULL; i++) {
        const struct command *command = command_table[i];
        if (!str_starts_with(command->name, prefix))
            continue;
        if (i > 0 && command_is_meta(command) && !command_is_meta(command_table[i - 1]))
            (void)buf_append_byte(b, '\n');
        command_help_row(command->name, command->summary, 18, width, b);
    }
}

static size_t command_help_width(struct shell *shell)
{
    output_measure(&shell->output);
    size_t width = shell->output.width;
    return width >= 40 && width < COMMAND_HELP_WIDTH ? width : COMMAND_HELP_WIDTH;
}

static int command_help_print(struct shell *shell, struct buf *b)
{
    if (shell->is_interactive)
        output_page(&shell->output, buf_cstr(b), b->len, 0);
    else
        output_write(&shell->output, buf_cstr(b), b->len);
    output_flush(&shell->output);
    buf_done(b);
    return SHELL_STATUS_OK;
}

int command_help_one(struct shell *shell, const struct command *command)
{
    struct buf b;
    buf_init(&b, COMMAND_HELP_BYTES_MAX);
    command_help_text(command, command_help_width(shell), &b);
    return command_help_print(shell, &b);
}

int command_help_all(struct shell *shell)
{
    struct buf b;
    buf_init(&b, COMMAND_HELP_BYTES_MAX);
    command_help_list("", command_help_width(shell), &b);
    text_append_wrapped(
        &b,
        "\nA unique beginning of a word is enough: no l for node list. "
        "help COMMAND tells more, help -m COMMAND opens its manual page, help topics lists "
        "what else there is.\n",
        0, command_help_width(shell));
    return command_help_print(shell, &b);
}

/* A group's row and its commands. */
static int command_help_of_group(struct shell *shell, const char *name)
{
    struct buf b;
    size_t width = command_help_width(shell);
    const struct command_group *group = command_group_find(name);
    char *prefix = mem_printf("%s ", name);
    buf_init(&b, COMMAND_HELP_BYTES_MAX);
    if (group != NULL) {
        (void)buf_printf(&b, "%s: %s\n\n", group->name, group->summary);
        text_append_wrapped(&b, group->text, 0, width);
        (void)buf_append_byte(&b, '\n');
    }
    size_t len = b.len;
    command_help_list(prefix, width, &b);
    free(prefix);
    if (b.len > len)
        return command_help_print(shell, &b);
    buf_done(&b);
    return -1;
}

/* Topics and statements of SQL; -1 when there is none of that name. */
static int command_help_topic(struct shell *shell, const char *const *words, size_t n)
{
    struct buf b;
    size_t width = command_help_width(shell);
    bool wants_topics = n == 1 && strcmp(words[0], "topics") == 0;
    bool wants_sql = n == 1 && strcmp(words[0], "sql") == 0;
    const struct topic *topic = topic_find(words, n);
    if (topic == NULL && !wants_topics && !wants_sql)
        return -1;
    buf_init(&b, COMMAND_HELP_BYTES_MAX);
    if (wants_topics)
        topic_list(topic_shell, width, &b);
    if (wants_topics || wants_sql)
        topic_list(topic_sql, width, &b);
    else
        topic_help(topic, width, &b);
    return command_help_print(shell, &b);
}

int command_help_meta(struct shell *shell)
{
    struct buf b;
    buf_init(&b, COMMAND_HELP_BYTES_MAX);
    command_help_list("\\", command_help_width(shell), &b);
    text_append_wrapped(
        &b,
        "\n\\? COMMAND tells more; help lists the commands of the cluster, \\h "
        "the statements of SQL, help variables and help prompts what steers the shell.\n",
        0, command_help_width(shell));
    return command_help_print(shell, &b);
}

int command_help_group(struct shell *shell, const char *const *words, size_t n)
{
    const struct command *command;
    size_t n_words;
    struct error e = {0};
    char hint[COMMAND_HINT_MAX];
    int rc = command_find(words, n, &command, &n_words, &e, hint);
    if (rc == 0 && n_words == n)
        return command_help_one(shell, command);
    if (rc == ERR_NOT_FOUND && n == 1 && words[0][0] != '\\') {
        char *meta = mem_printf("\\%s", words[0]);
        rc = command_find((const char *const[]){meta}, 1, &command, &n_words, NULL, hint);
        free(meta);
        if (rc == 0)
            return command_help_one(shell, command);
        rc = ERR_NOT_FOUND;
    }
    int status = rc == ERR_INVALID && n == 1 ? command_help_of_group(shell, words[0]) : -1;
    if (status < 0)
        status = command_help_topic(shell, words, n);
    if (status >= 0)
        return status;
    shell_error(shell, "%s", e.text[0] != '\0' ? e.text : "no such command");
    shell_hint(shell, "help lists the commands, help topics what else there is");
    return SHELL_STATUS_USAGE;
}
