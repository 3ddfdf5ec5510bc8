/* The statement under the cursor is split into words as far as it is typed. The words in front of
 * the last one say what that is: part of a command's name, an option, an option's value, an
 * argument.
 *
 * complete.c finds out what is wanted, complete_words.c from the arguments of a program;
 * complete_values.c lists it. */
#include "shell/complete.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/sql_lex.h"
#include "base/str.h"
#include "shell/command.h"
#include "shell/command_group.h"
#include "shell/complete_place.h"
#include "shell/complete_sql.h"
#include "shell/complete_values.h"
#include "shell/statement.h"

void complete_add(struct complete *complete, const char *text, const char *about)
{
    if (complete->n == COMPLETE_ITEMS_MAX || !str_starts_with(text, complete->prefix))
        return;
    MEM_GROW(complete->items, complete->cap, complete->n + 1);
    complete->items[complete->n++] = (struct complete_item){mem_strdup(text), mem_strdup(about)};
}

void complete_done(struct complete *complete)
{
    for (size_t i = 0; i < complete->n; i++) {
        free(complete->items[i].text);
        free(complete->items[i].about);
    }
    free(complete->items);
    free(complete->prefix);
    *complete = (struct complete){0};
}

char *complete_common(const struct complete *complete)
{
    if (complete->n == 0)
        return NULL;
    const char *first = complete->items[0].text;
    size_t len = strlen(first);
    for (size_t i = 1; i < complete->n; i++) {
        size_t k = 0;
        while (k < len && complete->items[i].text[k] == first[k])
            k++;
        len = k;
    }
    /* never half a character */
    while (len > 0 && ((unsigned char)first[len] & 0xc0) == 0x80)
        len--;
    return mem_strndup(first, len);
}

static int complete_compare(const void *a, const void *b)
{
    return strcmp(((const struct complete_item *)a)->text, ((const struct complete_item *)b)->text);
}

void complete_sort(struct complete *complete)
{
    size_t to = 0;
    if (complete->n > 0)
        qsort(complete->items, complete->n, sizeof *complete->items, complete_compare);
    for (size_t i = 0; i < complete->n; i++) {
        if (to > 0 && strcmp(complete->items[to - 1].text, complete->items[i].text) == 0) {
            free(complete->items[i].text);
            free(complete->items[i].about);
            continue;
        }
        complete->items[to++] = complete->items[i];
    }
    complete->n = to;
}

/* Names of commands */

/* True when the row's name has the words in front, each by its beginning, and one more. */
static bool complete_next_name_word(const struct command *command, const char *const *words,
                                    size_t n, const char **word, size_t *len)
{
    const char *name = command->name;
    for (size_t i = 0; i < n; i++) {
        size_t given = strlen(words[i]);
        if (given > strcspn(name, " ") || strncmp(name, words[i], given) != 0)
            return false;
        name += strcspn(name, " ");
        if (*name == '\0')
            return false;
        name++;
    }
    *word = name;
    *len = strcspn(name, " ");
    return true;
}

void complete_command_names(struct complete *complete, const char *const *words, size_t n)
{
    bool wants_meta = complete->prefix[0] == '\\';
    for (size_t i = 0; command_table[i] != NULL; i++) {
        const char *word;
        size_t len;
        if ((n == 0 && command_is_meta(command_table[i]) != wants_meta) ||
            !complete_next_name_word(command_table[i], words, n, &word, &len))
            continue;
        char *text = mem_strndup(word, len);
        const struct command_group *group = n == 0 ? command_group_find(text) : NULL;
        const char *about = word[len] == '\0' ? command_table[i]->summary
                            : group != NULL   ? group->summary
                                              : NULL;
        complete_add(complete, text, about);
        free(text);
    }
}

/* Options and arguments */

static const struct command_option *complete_find_option(const struct command *command,
                                                         const char *word, size_t *index)
{
    const struct command_option *option;
    bool is_long = word[1] == '-';
    size_t len = strcspn(word, "=");
    for (*index = 0; (option = command_option_at(command, *index)) != NULL; ++*index) {
        bool is_it = is_long ? strlen(option->name) == len - 2 &&
                                   strncmp(option->name, word + 2, len - 2) == 0
                             : option->letter != 0 && option->letter == word[1];
        if (is_it)
            return option;
    }
    return NULL;
}

static bool complete_takes_rest(const struct command_argument *argument)
{
    return argument->name != NULL && (argument->count == COMMAND_COUNT_ARGV ||
                                      argument->count == COMMAND_COUNT_ARGV_OPTIONAL);
}

static void complete_pass_argument(struct complete_place *place)
{
    const struct command_argument *argument = &place->command->arguments[place->argument];
    if (complete_takes_rest(argument))
        place->options_over = true;
    else if (argument->name != NULL && argument->count != COMMAND_COUNT_MANY &&
             place->argument + 1 < COMMAND_ARGUMENTS_MAX)
        place->argument++;
}

void complete_pass(struct complete_place *place, const char *word)
{
    size_t index;
    if (place->value_of != NULL) {
        place->value_of = NULL;
    } else if (!place->options_over && strcmp(word, "--") == 0) {
        place->options_over = true;
    } else if (!place->options_over && word[0] == '-' && word[1] != '\0') {
        const struct command_option *option = complete_find_option(place->command, word, &index);
        if (option == NULL)
            return;
        place->given[index] = true;
        bool is_attached = word[1] == '-' ? strchr(word, '=') != NULL : word[2] != '\0';
        if (option->type != COMMAND_TYPE_FLAG && !is_attached)
            place->value_of = option;
    } else {
        complete_pass_argument(place);
    }
}

void complete_options(struct complete *complete, const struct complete_place *place)
{
    const struct command_option *option;
    for (size_t i = 0; (option = command_option_at(place->command, i)) != NULL; i++) {
        if (place->given[i] && !option->repeats)
            continue;
        char *text = mem_printf("--%s", option->name);
        complete_add(complete, text, option->help);
        free(text);
    }
}

/* "--name=val": the items are whole words again. */
void complete_attached(struct complete *complete, const struct command *command,
                       complete_names_fn names, void *arg)
{
    size_t index;
    const struct command_option *option = complete_find_option(command, complete->prefix, &index);
    if (option == NULL || option->type == COMMAND_TYPE_FLAG)
        return;
    size_t len = strcspn(complete->prefix, "=") + 1;
    struct complete values = {.prefix = mem_strdup(complete->prefix + len)};
    complete_values(&values, option->type, option->choices, names, arg);
    for (size_t i = 0; i < values.n; i++) {
        char *text = mem_printf("%.*s%s", (int)len, complete->prefix, values.items[i].text);
        complete_add(complete, text, values.items[i].about);
        free(text);
    }
    complete->is_open = values.is_open;
    complete_done(&values);
}

void complete_in_command(struct complete *complete, const struct command *command,
                         const char *const *words, size_t n, complete_names_fn names, void *arg)
{
    struct complete_place place = {.command = command, .options_over = command_is_meta(command)};
    for (size_t i = 0; i < n; i++)
        complete_pass(&place, words[i]);
    const struct command_argument *argument = &command->arguments[place.argument];
    if (place.value_of != NULL) {
        complete_values(complete, place.value_of->type, place.value_of->choices, names, arg);
    } else if (!place.options_over && str_starts_with(complete->prefix, "--") &&
               strchr(complete->prefix, '=') != NULL) {
        complete_attached(complete, command, names, arg);
    } else if (!place.options_over && complete->prefix[0] == '-') {
        complete_options(complete, &place);
    } else if (argument->name != NULL && argument->type == COMMAND_TYPE_COMMAND) {
        complete_command_names(complete, words, n);
    } else if (argument->name != NULL) {
        enum command_type type = complete_takes_rest(argument) ? COMMAND_TYPE_FILE : argument->type;
        complete_values(complete, type, argument->choices, names, arg);
    }
}

/* The line */

/* Where the statement begins that ends at the end of `text`. */
static size_t complete_statement_start(const char *text)
{
    size_t at = 0;
    size_t len;
    size_t all = strlen(text);
    while (statement_next(text + at, &len) == STATEMENT_END_COMPLETE && at + len < all)
        at += len;
    bool is_new = all > at && (text[all - 1] == ';' || text[all - 1] == '\n');
    return is_new ? all : at;
}

void complete_line(struct complete *complete, const char *text, size_t point,
                   complete_names_fn names, void *arg)
{
    char *typed = mem_strndup(text, point);
    size_t start = complete_statement_start(typed);
    size_t from, sql_len;
    if (statement_is_sql(typed + start, point - start, &from, &sql_len) &&
        sql_lex_next(typed + start, point - start, from).len < point - start - from) {
        size_t whole;
        (void)statement_next(text + start, &whole);
        *complete = (struct complete){.prefix = NULL};
        complete_sql(complete, text + start, point - start, whole, names, arg);
        complete->from += start;
        complete_sort(complete);
        free(typed);
        return;
    }
    struct statement s;
    const struct command *command;
    size_t n_words = 0;
    char hint[COMMAND_HINT_MAX];
    (void)statement_split(&s, typed + start, point - start, true, NULL);
    bool in_word = s.n > 0 && s.words[s.n - 1].to == point - start;
    size_t n = s.n - in_word;
    *complete = (struct complete){.from = in_word ? start + s.words[n].from : point};
    complete->prefix = mem_strdup(in_word ? s.words[n].text : "");
    if (n > 0 && command_find(s.texts, n, &command, &n_words, NULL, hint) == 0)
        complete_in_command(complete, command, s.texts + n_words, n - n_words, names, arg);
    else
        complete_command_names(complete, s.texts, n);
    if (n == 0 && strlen(complete->prefix) >= 2)
        complete_sql_first_words(complete);
    complete_sort(complete);
    statement_done(&s);
    free(typed);
}
