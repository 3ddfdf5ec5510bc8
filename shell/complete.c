/* The statement under the cursor is split into words as far as it is typed. The words in front of
 * the last one say what that is: part of a command's name, an option, an option's value, an
 * argument.
 *
 * complete.c finds out what is wanted, complete_words.c from the arguments of a program;
 * complete_values.c lists it. */
#include "shell/complete.h"

#include <assert.h>
#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/buf.h"
#include "base/mem.h"
#include "base/sql_lex.h"
#include "base/str.h"
#include "shell/cmd_meta_pset.h"
#include "shell/command.h"
#include "shell/command_group.h"
#include "shell/complete_place.h"
#include "shell/complete_sql.h"
#include "shell/complete_values.h"
#include "shell/meta_words.h"
#include "shell/statement.h"
#include "shell/topic.h"
#include "shell/vars.h"

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
    complete->is_meta = complete->is_meta || wants_meta;
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

/* Choices that depend on the word in front: of \pset's settings and of variables with a meaning. */
static const char *complete_choices_of(const struct command *command, const char *const *words,
                                       size_t n)
{
    const struct cmd_meta_pset_row *row;
    if (n != 1)
        return NULL;
    if (strcmp(command->name, "\\pset") == 0) {
        for (size_t i = 0; (row = cmd_meta_pset_at(i)) != NULL; i++) {
            if (strcmp(row->name, words[0]) == 0)
                return row->choices;
        }
    }
    for (const struct vars_special *s = vars_specials;
         strcmp(command->name, "\\set") == 0 && s->name != NULL; s++) {
        if (strcmp(s->name, words[0]) == 0)
            return s->choices;
    }
    return NULL;
}

static void complete_word_list(struct complete *complete, const char *const *list, size_t n)
{
    for (size_t i = 0; i < n; i++)
        complete_add(complete, list[i], NULL);
}

/* \copy TABLE FROM FILE */
static void complete_copy(struct complete *complete, const char *const *words, size_t n,
                          complete_names_fn names, void *arg)
{
    static const char *const ways[] = {"from", "to"};
    static const char *const places[] = {"program", "stdin", "stdout"};
    static const char *const options[] = {"(format", "csv,", "tsv,", "header", "delimiter", "null"};
    const char *before = n > 0 ? words[n - 1] : "";
    if (n == 0) {
        complete_values(complete, COMMAND_TYPE_TABLE, NULL, names, arg);
    } else if (strcasecmp(before, "from") == 0 || strcasecmp(before, "to") == 0) {
        complete_word_list(complete, places, MEM_COUNT(places));
        complete_values(complete, COMMAND_TYPE_FILE, NULL, names, arg);
    } else if (n >= 3) {
        complete_word_list(complete, options, MEM_COUNT(options));
    } else {
        complete_word_list(complete, ways, MEM_COUNT(ways));
    }
}

/* The next word of a statement's name, behind those that are there. */
static void complete_sql_names(struct complete *complete, const char *const *words, size_t n)
{
    struct buf so_far;
    buf_init(&so_far, 1024);
    for (size_t i = 0; i < n; i++)
        (void)buf_printf(&so_far, "%s ", words[i]);
    for (const struct topic *topic = topic_sql; topic->name != NULL; topic++) {
        const char *name = topic->name;
        if (strncasecmp(name, buf_cstr(&so_far), so_far.len) != 0)
            continue;
        char *word = mem_strndup(name + so_far.len, strcspn(name + so_far.len, " "));
        bool is_small = islower((unsigned char)complete->prefix[0]) || complete->prefix[0] == '\0';
        for (char *c = word; is_small && *c != '\0'; c++)
            *c = (char)tolower((unsigned char)*c);
        complete_add(complete, word, NULL);
        free(word);
    }
    buf_done(&so_far);
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

/* What may follow `n` words behind a backslash command. */
static void complete_meta_words(struct complete *complete, const struct command *command,
                                const char *const *words, size_t n, complete_names_fn names,
                                void *arg)
{
    const char *choices = complete_choices_of(command, words, n);
    if (choices != NULL)
        complete_values(complete, COMMAND_TYPE_CHOICE, choices, names, arg);
    else if (strcmp(command->name, "\\copy") == 0)
        complete_copy(complete, words, n, names, arg);
    else if (command->arguments[0].type == COMMAND_TYPE_SQL)
        complete_sql_names(complete, words, n);
    else if (command->arguments[0].name != NULL)
        complete_in_command(complete, command, words, n, names, arg);
}

/* The line */

/* Where the statement begins that ends at the end of `text`. */
static size_t complete_statement_start(const char *text)
{
    size_t at = 0;
    size_t len;
    size_t all = strlen(text);
    enum statement_end end;
    while (!statement_end_is_open(end = statement_next(text + at, &len)) && at + len < all)
        at += len;
    bool is_new = all > at && end == STATEMENT_END_COMPLETE &&
                  (text[all - 1] == ';' || text[all - 1] == '\n');
    return is_new ? all : at;
}

/* ":na" */
static bool complete_variable(struct complete *complete, complete_names_fn names, void *arg)
{
    if (complete->prefix[0] != ':')
        return false;
    size_t skip = 1 + (complete->prefix[1] == '\'' || complete->prefix[1] == '"');
    struct complete found = {.prefix = mem_strdup(complete->prefix + skip)};
    names(arg, COMPLETE_NAMES_VARIABLES, &found);
    for (size_t i = 0; i < found.n; i++) {
        char quote[2] = {skip == 2 ? complete->prefix[1] : '\0', '\0'};
        char *text = mem_printf(":%s%s%s", quote, found.items[i].text, quote);
        complete_add(complete, text, found.items[i].about);
        free(text);
    }
    complete->is_sql = complete->n > 0; /* they stand as they are */
    complete_done(&found);
    return complete->n > 0;
}

/* Where the last word begins that ends at the end of `text`; `len` behind a blank. */
static size_t complete_last_word(const char *text, size_t len)
{
    size_t start = len;
    char quote = '\0';
    for (size_t i = 0; i < len; i++) {
        bool is_blank = text[i] == ' ' || text[i] == '\t';
        if (quote != '\0') {
            quote = text[i] == quote ? '\0' : quote;
            continue;
        }
        if (!is_blank && start == len)
            start = i;
        else if (is_blank)
            start = len;
        if (text[i] == '\'' || text[i] == '"' || text[i] == '`')
            quote = text[i];
    }
    return start;
}

/* A backslash command, `len` bytes up to the cursor. */
static void complete_meta(struct complete *complete, const char *text, size_t len,
                          complete_names_fn names, void *arg)
{
    size_t name;
    const struct command *command = meta_words_command(text, len, &name);
    complete->is_meta = true;
    if (name == len) {
        complete->from = 0;
        complete->prefix = mem_strndup(text, len);
        complete_command_names(complete, NULL, 0);
        return;
    }
    struct meta_words words;
    size_t from = name + complete_last_word(text + name, len - name);
    (void)meta_words_read(&words, NULL, text + name, len - name, META_WORDS_PLAIN, false, NULL);
    size_t n = words.n - (from < len && words.n > 0);
    complete->from = from;
    complete->prefix = mem_strdup(from < len && words.n > 0 ? words.texts[n] : "");
    if (command != NULL && !complete_variable(complete, names, arg))
        complete_meta_words(complete, command, (const char *const *)words.texts, n, names, arg);
    meta_words_done(&words);
}

/* "\\wa" behind a command. */
static void complete_suffix(struct complete *complete, const char *typed)
{
    static const char *const words[] = {"\\g", "\\gx", "\\gset", "\\gexec", "\\watch"};
    free(complete->prefix);
    complete->prefix = mem_strdup(typed);
    complete->is_meta = true;
    complete_word_list(complete, words, MEM_COUNT(words));
}

/* A command of the cluster, `len` bytes up to the cursor. */
static void complete_statement(struct complete *complete, const char *text, size_t len,
                               complete_names_fn names, void *arg)
{
    struct statement s;
    const struct command *command;
    size_t n_words = 0;
    char hint[COMMAND_HINT_MAX];
    (void)statement_split(&s, text, len, true, NULL);
    bool in_word = s.n > 0 && s.words[s.n - 1].to == len;
    size_t n = s.n - in_word;
    complete->from = in_word ? s.words[n].from : len;
    complete->prefix = mem_strdup(in_word ? s.words[n].text : "");
    if (n > 0 && in_word && text[s.words[n].from] == '\\')
        complete_suffix(complete, text + s.words[n].from);
    else if (in_word && !s.words[n].quoted && complete_variable(complete, names, arg))
        complete->is_sql = true;
    else if (n > 0 && command_find(s.texts, n, &command, &n_words, NULL, hint) == 0)
        complete_in_command(complete, command, s.texts + n_words, n - n_words, names, arg);
    else
        complete_command_names(complete, s.texts, n);
    if (n == 0 && strlen(complete->prefix) >= 2)
        complete_sql_first_words(complete);
    statement_done(&s);
}

void complete_line(struct complete *complete, const char *text, size_t point,
                   complete_names_fn names, void *arg)
{
    char *typed = mem_strndup(text, point);
    size_t start = complete_statement_start(typed);
    size_t space = statement_skip_space(typed + start, point - start);
    size_t from, sql_len;
    *complete = (struct complete){.from = point};
    if (statement_is_meta(typed + start, point - start) || typed[start + space] == '\\') {
        start += space;
        complete_meta(complete, typed + start, point - start, names, arg);
    } else if (statement_is_sql(typed + start, point - start, &from, &sql_len) &&
               sql_lex_next(typed + start, point - start, from).len < point - start - from) {
        size_t whole;
        (void)statement_next(text + start, &whole);
        complete_sql(complete, text + start, point - start, whole, names, arg);
    } else {
        complete_statement(complete, typed + start, point - start, names, arg);
    }
    complete->from += start;
    complete_sort(complete);
    free(typed);
}
