#include "shell/command_man.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mdoc.h"
#include "base/mem.h"
#include "base/str.h"
#include "shell/command_group.h"
#include "shell/topic.h"

/* ---- one row --------------------------------------------------------------------------------- */

/* The row's own options, then the shared ones; NULL behind the last. */
static const struct command_option *command_man_option(const struct command *command, size_t i)
{
    size_t own = 0;
    while (command->options[own].name != NULL)
        own++;
    if (i < own)
        return &command->options[i];
    i -= own;
    for (size_t k = 0; command->shared != NULL && command->shared[k].name != NULL; k++) {
        if (k == i)
            return &command->shared[k];
    }
    return NULL;
}

/* ".Op Fl f Ar FILE" */
static void command_man_usage_option(const struct command_option *option, struct buf *b)
{
    mdoc_macro(b, "Op");
    mdoc_word(b, "Fl");
    if (option->letter != 0) {
        mdoc_arg(b, (const char[]){option->letter, '\0'});
    } else {
        char *dashed = mem_printf("-%s", option->name);
        mdoc_arg(b, dashed);
        free(dashed);
    }
    if (option->value != NULL) {
        mdoc_word(b, "Ar");
        mdoc_arg(b, option->value);
    }
    mdoc_end(b);
}

static void command_man_usage_argument(const struct command_argument *argument, struct buf *b)
{
    bool is_optional =
        argument->count == COMMAND_COUNT_OPTIONAL || argument->count == COMMAND_COUNT_LINE ||
        argument->count == COMMAND_COUNT_ANY || argument->count == COMMAND_COUNT_ARGV_OPTIONAL;
    bool repeats = argument->count != COMMAND_COUNT_ONE &&
                   argument->count != COMMAND_COUNT_OPTIONAL &&
                   argument->count != COMMAND_COUNT_LINE;
    if (argument->count == COMMAND_COUNT_ARGV)
        mdoc_line(b, ".Op Fl \\-");
    mdoc_macro(b, is_optional ? "Op" : "Ar");
    if (is_optional)
        mdoc_word(b, "Ar");
    mdoc_arg(b, argument->name);
    if (repeats)
        mdoc_word(b, "...");
    mdoc_end(b);
}

/* The row's line of SYNOPSIS, or of its own section with `program` NULL. */
static void command_man_usage(const struct command *command, const char *program, struct buf *b)
{
    const struct command_option *option;
    if (program != NULL) {
        mdoc_macro(b, "Nm");
        mdoc_arg(b, program);
        mdoc_end(b);
    }
    if (program == NULL || strcmp(program, command->name) != 0) {
        mdoc_macro(b, "Cm");
        mdoc_arg(b, command->name);
        mdoc_end(b);
    }
    for (size_t i = 0; (option = command_man_option(command, i)) != NULL; i++)
        command_man_usage_option(option, b);
    for (size_t i = 0; i < COMMAND_ARGUMENTS_MAX && command->arguments[i].name != NULL; i++)
        command_man_usage_argument(&command->arguments[i], b);
}

static void command_man_item_option(const struct command_option *option, struct buf *b)
{
    char *dashed = mem_printf("-%s", option->name);
    mdoc_macro(b, "It");
    if (option->letter != 0) {
        mdoc_word(b, "Fl");
        mdoc_arg(b, (const char[]){option->letter, '\0'});
        mdoc_word(b, ",");
    }
    mdoc_word(b, "Fl");
    mdoc_arg(b, dashed);
    if (option->value != NULL) {
        mdoc_word(b, "Ar");
        mdoc_arg(b, option->value);
    }
    mdoc_end(b);
    mdoc_sentence(b, option->help);
    if (option->repeats)
        mdoc_line(b, "May be given several times.");
    free(dashed);
}

static void command_man_items(const struct command *command, struct buf *b)
{
    const struct command_option *option;
    size_t n_arguments = 0;
    while (n_arguments < COMMAND_ARGUMENTS_MAX && command->arguments[n_arguments].name != NULL)
        n_arguments++;
    if (n_arguments == 0 && command_man_option(command, 0) == NULL)
        return;
    mdoc_line(b, ".Bl -tag -width Ds");
    for (size_t i = 0; i < n_arguments; i++) {
        mdoc_macro(b, "It");
        mdoc_word(b, "Ar");
        mdoc_arg(b, command->arguments[i].name);
        mdoc_end(b);
        mdoc_sentence(b, command->arguments[i].help);
    }
    for (size_t i = 0; (option = command_man_option(command, i)) != NULL; i++)
        command_man_item_option(option, b);
    mdoc_line(b, ".El");
}

/* Behind others when they are not the first. */
static void command_man_examples(const struct command_example *examples, bool is_first,
                                 struct buf *b)
{
    for (size_t i = 0; i < COMMAND_EXAMPLES_MAX && examples[i].line != NULL; i++) {
        if (examples[i].what[0] != '\0') {
            if (i > 0 || !is_first)
                mdoc_line(b, ".Pp");
            size_t len = strlen(examples[i].what);
            char *what = mem_printf("%.*s:", (int)len, examples[i].what);
            mdoc_sentence(b, what);
            free(what);
        }
        mdoc_literal(b, examples[i].line);
    }
}

static void command_man_notes(const char *title, const char *macro,
                              const struct command_note *notes, struct buf *b)
{
    if (notes == NULL)
        return;
    mdoc_section(b, title);
    mdoc_line(b, ".Bl -tag -width Ds");
    for (; notes->name != NULL; notes++) {
        mdoc_macro(b, "It");
        if (macro != NULL)
            mdoc_word(b, macro);
        mdoc_arg(b, notes->name);
        mdoc_end(b);
        mdoc_sentence(b, notes->help);
    }
    mdoc_line(b, ".El");
}

/* What the row does, as the section of a command says it: the summary is a command in the grammar's
 * sense, "List the nodes". */
static void command_man_description(const struct command *command, struct buf *b)
{
    mdoc_sentence(b, command->summary);
    if (command->text != NULL) {
        mdoc_line(b, ".Pp");
        mdoc_text(b, command->text);
    }
}

/* ---- a group's page -------------------------------------------------------------------------- */

static void command_man_group_synopsis(const struct command_group *group, struct buf *b)
{
    mdoc_section(b, "SYNOPSIS");
    for (size_t i = 0; command_table[i] != NULL; i++) {
        if (command_group_has(group, command_table[i]))
            command_man_usage(command_table[i], "clustersh", b);
    }
}

static void command_man_group_commands(const struct command_group *group, struct buf *b)
{
    for (size_t i = 0; command_table[i] != NULL; i++) {
        const struct command *command = command_table[i];
        if (!command_group_has(group, command))
            continue;
        mdoc_subsection(b, command->name);
        command_man_description(command, b);
        command_man_items(command, b);
    }
    mdoc_line(b, ".Pp");
    mdoc_line(b, "Every command also takes");
    mdoc_line(b, ".Fl o Ar FORMAT ,");
    mdoc_line(b, "the format of its output, and");
    mdoc_line(b, ".Fl \\-help .");
    mdoc_line(b, "Any unique beginning of a command's words will do.");
    mdoc_line(b, "What comes in front of the command, such as where the cluster is, stands in");
    mdoc_line(b, ".Xr clustersh 1 .");
}

static void command_man_group_examples(const struct command_group *group, struct buf *b)
{
    bool is_first = true;
    for (size_t i = 0; command_table[i] != NULL; i++) {
        const struct command *command = command_table[i];
        if (!command_group_has(group, command) || command->examples[0].line == NULL)
            continue;
        if (is_first)
            mdoc_section(b, "EXAMPLES");
        command_man_examples(command->examples, is_first, b);
        is_first = false;
    }
}

static void command_man_statuses(const struct command *program, struct buf *b)
{
    command_man_notes("EXIT STATUS", NULL, program->statuses, b);
}

static void command_man_group(const struct command *program, const struct command_group *group,
                              struct buf *b)
{
    char *name = mem_printf("clustersh-%s", group->name);
    mdoc_head(b, name, 1, group->summary);
    free(name);
    command_man_group_synopsis(group, b);
    mdoc_section(b, "DESCRIPTION");
    mdoc_text(b, group->text);
    mdoc_section(b, "COMMANDS");
    command_man_group_commands(group, b);
    command_man_statuses(program, b);
    command_man_group_examples(group, b);
    mdoc_see_also(b, group->see_also);
}

/* ---- the program's page ---------------------------------------------------------------------- */

static void command_man_group_list(struct buf *b)
{
    mdoc_section(b, "COMMANDS");
    mdoc_line(b, ".Bl -tag -width Ds");
    for (const struct command_group *group = command_groups; group->name != NULL; group++) {
        (void)buf_printf(b, ".It Xr clustersh-%s 1\n", group->name);
        mdoc_sentence(b, group->summary);
    }
    mdoc_line(b, ".It Xr clustersh-sql 7");
    mdoc_line(b, "Statements of SQL.");
    for (size_t i = 0; command_table[i] != NULL; i++) {
        const struct command *command = command_table[i];
        char *first = mem_strndup(command->name, strcspn(command->name, " "));
        if (!command_is_meta(command) && command_group_find(first) == NULL) {
            mdoc_macro(b, "It");
            mdoc_word(b, "Cm");
            mdoc_arg(b, command->name);
            mdoc_end(b);
            mdoc_sentence(b, command->summary);
        }
        free(first);
    }
    mdoc_line(b, ".El");
}

static void command_man_meta(struct buf *b)
{
    mdoc_section(b, "META-COMMANDS");
    mdoc_text(
        b, "They begin with a backslash and concern the shell itself, or say what becomes of the "
           "statement in front of them.");
    mdoc_line(b, ".Bl -tag -width Ds");
    for (size_t i = 0; command_table[i] != NULL; i++) {
        const struct command *command = command_table[i];
        if (!command_is_meta(command))
            continue;
        mdoc_macro(b, "It");
        mdoc_word(b, "Cm");
        mdoc_arg(b, command->name);
        for (size_t a = 0; a < COMMAND_ARGUMENTS_MAX && command->arguments[a].name != NULL; a++) {
            bool is_needed = command->arguments[a].count == COMMAND_COUNT_ONE;
            mdoc_word(b, is_needed ? "Ar" : "Op Ar");
            mdoc_arg(b, command->arguments[a].name);
        }
        mdoc_end(b);
        command_man_description(command, b);
    }
    mdoc_line(b, ".El");
}

static void command_man_program(const struct command *program, struct buf *b)
{
    mdoc_head(b, program->name, 1, "console of a cluster");
    mdoc_section(b, "SYNOPSIS");
    command_man_usage(program, program->name, b);
    mdoc_section(b, "DESCRIPTION");
    mdoc_text(b, program->text);
    mdoc_line(b, ".Pp");
    mdoc_line(b, "The options are as follows:");
    command_man_items(program, b);
    for (const struct topic *topic = topic_shell; topic->name != NULL; topic++) {
        mdoc_subsection(b, topic->name);
        mdoc_text(b, topic->text);
    }
    command_man_group_list(b);
    command_man_meta(b);
    command_man_notes("ENVIRONMENT", "Ev", program->environment, b);
    command_man_notes("FILES", "Pa", program->files, b);
    command_man_statuses(program, b);
    mdoc_section(b, "EXAMPLES");
    command_man_examples(program->examples, true, b);
    for (const struct topic *topic = topic_shell; topic->name != NULL; topic++)
        command_man_examples(topic->examples, false, b);
    mdoc_see_also(b, "clustertop(1) clusterd.yaml(5) clustersh-sql(7) clusterd(8)");
}

/* ---- SQL ------------------------------------------------------------------------------------- */

static void command_man_sql(struct buf *b)
{
    mdoc_head(b, "clustersh-sql", 7, "statements of SQL of a cluster");
    mdoc_section(b, "DESCRIPTION");
    mdoc_text(
        b,
        "SQL is typed at the prompt of clustersh, given with -c, or sent to POST /api/sql. A "
        "statement ends at a semicolon and may take several lines.\n\n"
        "Tables are Delta Lake tables of Parquet files in the store that sql.store names. Each "
        "statement is one version of its table, seen whole or not at all; readers never wait for "
        "writers. Refused with what to do instead: transactions over several statements, views, "
        "keys, ATTACH, SET, extensions, and files outside of sql.paths.\n\n"
        "Ctrl-C ends a statement on every node.");
    mdoc_section(b, "STATEMENTS");
    for (const struct topic *topic = topic_sql; topic->name != NULL; topic++) {
        mdoc_subsection(b, topic->name);
        mdoc_sentence(b, topic->summary);
        mdoc_literal(b, topic->synopsis);
        mdoc_line(b, ".Pp");
        mdoc_text(b, topic->text);
    }
    mdoc_section(b, "EXAMPLES");
    for (const struct topic *topic = topic_sql; topic->name != NULL; topic++)
        command_man_examples(topic->examples, topic == topic_sql, b);
    mdoc_see_also(b, "clustersh(1) clusterd.yaml(5)");
}

/* ---- pages ----------------------------------------------------------------------------------- */

/* "clustersh-job-submit" for the command "job submit"; NULL for those without a page of their own.
 */
static char *command_man_alias(const struct command *command)
{
    if (command_is_meta(command) || strchr(command->name, ' ') == NULL)
        return NULL;
    char *name = mem_printf("clustersh-%s", command->name);
    for (char *c = name; *c != '\0'; c++)
        *c = *c == ' ' ? '-' : *c;
    return name;
}

void command_man_list(struct buf *b)
{
    (void)buf_append_str(b, "clustersh.1\nclustersh-sql.7\n");
    for (const struct command_group *group = command_groups; group->name != NULL; group++)
        (void)buf_printf(b, "clustersh-%s.1\n", group->name);
    for (size_t i = 0; command_table[i] != NULL; i++) {
        char *alias = command_man_alias(command_table[i]);
        if (alias != NULL)
            (void)buf_printf(b, "%s.1 clustersh-%.*s.1\n", alias,
                             (int)strcspn(command_table[i]->name, " "), command_table[i]->name);
        free(alias);
    }
}

int command_man_page(const struct command *program, const char *page, struct buf *b)
{
    static const char prefix[] = "clustersh-";
    if (strcmp(page, "clustersh.1") == 0) {
        command_man_program(program, b);
        return 0;
    }
    if (strcmp(page, "clustersh-sql.7") == 0) {
        command_man_sql(b);
        return 0;
    }
    size_t len = strlen(page);
    if (!str_starts_with(page, prefix) || len < sizeof prefix + 2 || !str_ends_with(page, ".1"))
        return ERR_NOT_FOUND;
    char *name = mem_strndup(page + sizeof prefix - 1, len - (sizeof prefix - 1) - 2);
    const struct command_group *group = command_group_find(name);
    free(name);
    if (group == NULL)
        return ERR_NOT_FOUND;
    command_man_group(program, group, b);
    return 0;
}

char *command_man_of(const char *const *words, size_t n)
{
    const struct command *command;
    size_t n_words;
    char hint[COMMAND_HINT_MAX];
    const struct topic *topic = n > 0 ? topic_find(words, n) : NULL;
    if (n == 0)
        return mem_strdup("clustersh.1");
    const struct command_group *group = n == 1 ? command_group_find(words[0]) : NULL;
    if (group == NULL && command_find(words, n, &command, &n_words, NULL, hint) == 0) {
        char *first = mem_strndup(command->name, strcspn(command->name, " "));
        group = command_group_find(first);
        free(first);
        if (group == NULL)
            return mem_strdup("clustersh.1");
    }
    if (group != NULL)
        return mem_printf("clustersh-%s.1", group->name);
    if (n == 1 && strcmp(words[0], "sql") == 0)
        return mem_strdup("clustersh-sql.7");
    if (topic == NULL)
        return NULL;
    return mem_strdup(topic->synopsis != NULL ? "clustersh-sql.7" : "clustersh.1");
}
