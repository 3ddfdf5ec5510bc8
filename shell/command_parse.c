/* Parsing by the row: options anywhere before "--" and before a command line's own words, the rest
 * are arguments in order. */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "shell/command.h"
#include "shell/format.h"

/* A walk over the words of one statement. */
struct command_parser {
    const struct command *command;
    struct command_call *call;
    const char *const *words;
    size_t n;
    size_t at;
    size_t argument; /* the row's argument that comes next */
    struct error *e;
};

/* Values */

bool command_choices_has(const char *choices, const char *text)
{
    size_t len = strlen(text);
    for (const char *p = choices; len > 0;) {
        size_t n = strcspn(p, "|");
        if (n == len && memcmp(p, text, n) == 0)
            return true;
        if (p[n] == '\0')
            break;
        p += n + 1;
    }
    return false;
}

static int command_check_value(enum command_type type, const char *choices, const char *what,
                               struct command_value *value, struct error *e)
{
    const char *text = value->text;
    int64_t ms;
    switch (type) {
    case COMMAND_TYPE_COUNT:
        if (str_parse_u64(text, 0, UINT32_MAX, &value->number) != 0)
            return error_set(e, ERR_INVALID, "%s: \"%s\" is not a count", what, text);
        break;
    case COMMAND_TYPE_NUMBER:
        if (str_parse_i64(text, INT32_MIN, INT32_MAX, &value->integer) != 0)
            return error_set(e, ERR_INVALID, "%s: \"%s\" is not a whole number", what, text);
        break;
    case COMMAND_TYPE_DURATION:
        if (str_parse_duration_ms(text, &ms) != 0 || ms < 0)
            return error_set(e, ERR_INVALID, "%s: \"%s\" is no duration such as 500ms, 10s, 1h30m",
                             what, text);
        value->number = (uint64_t)ms;
        break;
    case COMMAND_TYPE_BYTES:
        if (str_parse_bytes(text, &value->number) != 0)
            return error_set(e, ERR_INVALID, "%s: \"%s\" is no size such as 64K, 100M, 2G", what,
                             text);
        break;
    case COMMAND_TYPE_FORMAT:
        choices = format_choices;
        /* fall through */
    case COMMAND_TYPE_CHOICE:
        if (!command_choices_has(choices, text))
            return error_set(e, ERR_INVALID, "%s: \"%s\" is none of %s", what, text, choices);
        break;
    default:
        break;
    }
    return 0;
}

static void command_add_value(struct command_values *values, const struct command_value *value)
{
    MEM_GROW(values->values, values->cap, values->n + 1);
    values->values[values->n++] = *value;
}

/* Options */

static bool command_option_is(const struct command_option *option, const char *name, size_t len)
{
    return strlen(option->name) == len && memcmp(option->name, name, len) == 0;
}

/* The option with this long name or, without one, this letter; NULL. */
static const struct command_option *command_find_option(const struct command *command,
                                                        const char *name, size_t len, char letter,
                                                        size_t *index)
{
    const struct command_option *option;
    for (*index = 0; (option = command_option_at(command, *index)) != NULL; ++*index) {
        if (name != NULL ? command_option_is(option, name, len) : option->letter == letter)
            break;
    }
    assert(*index < COMMAND_OPTIONS_MAX);
    return option;
}

static int command_unknown_option(struct command_parser *p, const char *word, size_t len)
{
    const char *best = NULL;
    unsigned best_distance = 3;
    char *given = mem_strndup(word, len);
    char *clean = str_printable(given, len, false);
    const struct command_option *option;
    for (size_t i = 0; (option = command_option_at(p->command, i)) != NULL; i++) {
        unsigned distance = str_distance(given + strspn(given, "-"), option->name);
        if (distance < best_distance) {
            best = option->name;
            best_distance = distance;
        }
    }
    if (best != NULL)
        (void)error_set(p->e, ERR_INVALID, "%s has no option %s, did you mean --%s?",
                        p->command->name, clean, best);
    else
        (void)error_set(p->e, ERR_INVALID, "%s has no option %s", p->command->name, clean);
    free(clean);
    free(given);
    return ERR_INVALID;
}

static int command_set_option(struct command_parser *p, const struct command_option *option,
                              size_t index, const char *text)
{
    char what[64];
    (void)snprintf(what, sizeof what, "--%s", option->name);
    struct command_value value = {.text = text, .at = p->at};
    if (option->type != COMMAND_TYPE_FLAG) {
        int rc = command_check_value(option->type, option->choices, what, &value, p->e);
        if (rc != 0)
            return rc;
    }
    struct command_values *values = &p->call->options[index];
    if (values->n > 0 && !option->repeats && option->type != COMMAND_TYPE_FLAG)
        return error_set(p->e, ERR_INVALID, "%s is given twice", what);
    command_add_value(values, &value);
    if (strcmp(option->name, "help") == 0)
        p->call->help = true;
    return 0;
}

/* Takes the value that belongs to the option at words[at]: attached, or the next word. */
static int command_take_option_value(struct command_parser *p, const struct command_option *option,
                                     size_t index, const char *attached)
{
    if (attached == NULL) {
        if (p->at + 1 >= p->n)
            return error_set(p->e, ERR_INVALID, "--%s needs %s", option->name, option->value);
        p->at++;
        attached = p->words[p->at];
    }
    return command_set_option(p, option, index, attached);
}

static int command_parse_long(struct command_parser *p, const char *word)
{
    const char *name = word + 2;
    size_t len = strcspn(name, "=");
    const char *attached = name[len] == '=' ? name + len + 1 : NULL;
    size_t index;
    const struct command_option *option = command_find_option(p->command, name, len, 0, &index);
    if (option == NULL)
        return command_unknown_option(p, word, 2 + len);
    if (option->type != COMMAND_TYPE_FLAG)
        return command_take_option_value(p, option, index, attached);
    if (attached != NULL)
        return error_set(p->e, ERR_INVALID, "--%s takes no value", option->name);
    return command_set_option(p, option, index, "");
}

static int command_parse_letters(struct command_parser *p, const char *word)
{
    for (const char *letter = word + 1; *letter != '\0'; letter++) {
        size_t index;
        const struct command_option *option =
            command_find_option(p->command, NULL, 0, *letter, &index);
        if (option == NULL)
            return command_unknown_option(p, word, strlen(word));
        if (option->type != COMMAND_TYPE_FLAG)
            return command_take_option_value(p, option, index,
                                             letter[1] != '\0' ? letter + 1 : NULL);
        int rc = command_set_option(p, option, index, "");
        if (rc != 0)
            return rc;
    }
    return 0;
}

/* Arguments */

static int command_add_argument(struct command_parser *p, const char *text)
{
    const struct command_argument *argument = &p->command->arguments[p->argument];
    if (p->argument == COMMAND_ARGUMENTS_MAX || argument->name == NULL) {
        char *clean = str_printable(text, strlen(text), false);
        int rc =
            error_set(p->e, ERR_INVALID, "%s takes no argument \"%.80s\"", p->command->name, clean);
        free(clean);
        return rc;
    }
    struct command_value value = {.text = text, .at = p->at};
    int rc = command_check_value(argument->type, argument->choices, argument->name, &value, p->e);
    if (rc != 0)
        return rc;
    command_add_value(&p->call->arguments[p->argument], &value);
    if (argument->count == COMMAND_COUNT_ONE || argument->count == COMMAND_COUNT_OPTIONAL)
        p->argument++;
    return 0;
}

static bool command_is_operator(char c)
{
    return c == '&' || c == ',';
}

/* A set of nodes may have blanks around its operators: "@worker & !n3" are words that belong
 * together. */
static const char *command_join_nodes(struct command_parser *p, const char *word)
{
    bool is_set = p->argument < COMMAND_ARGUMENTS_MAX &&
                  p->command->arguments[p->argument].name != NULL &&
                  p->command->arguments[p->argument].type == COMMAND_TYPE_NODES;
    while (is_set && p->at + 1 < p->n) {
        const char *next = p->words[p->at + 1];
        size_t len = strlen(word);
        if (!command_is_operator(next[0]) && !(len > 0 && command_is_operator(word[len - 1])))
            break;
        MEM_GROW(p->call->joined, p->call->joined_cap, p->call->n_joined + 1);
        char *both = mem_printf("%s %s", word, next);
        p->call->joined[p->call->n_joined++] = both;
        word = both;
        p->at++;
    }
    return word;
}

/* True when the argument that comes next takes all words that are left. */
static bool command_takes_rest(const struct command_parser *p)
{
    if (p->argument == COMMAND_ARGUMENTS_MAX || p->command->arguments[p->argument].name == NULL)
        return false;
    enum command_count count = p->command->arguments[p->argument].count;
    return count == COMMAND_COUNT_ARGV || count == COMMAND_COUNT_ARGV_OPTIONAL;
}

static int command_check_missing(struct command_parser *p)
{
    for (size_t i = 0; i < COMMAND_ARGUMENTS_MAX && p->command->arguments[i].name != NULL; i++) {
        enum command_count count = p->command->arguments[i].count;
        bool is_needed = count == COMMAND_COUNT_ONE || count == COMMAND_COUNT_MANY ||
                         count == COMMAND_COUNT_ARGV;
        if (is_needed && p->call->arguments[i].n == 0)
            return error_set(p->e, ERR_INVALID, "%s needs %s: %s", p->command->name,
                             p->command->arguments[i].name, p->command->arguments[i].help);
    }
    return 0;
}

static int command_parse_words(struct command_parser *p)
{
    bool options_over = command_is_meta(p->command);
    for (; p->at < p->n; p->at++) {
        const char *word = p->words[p->at];
        int rc = 0;
        if (!options_over && strcmp(word, "--") == 0)
            options_over = true;
        else if (!options_over && word[0] == '-' && word[1] == '-')
            rc = command_parse_long(p, word);
        else if (!options_over && word[0] == '-' && word[1] != '\0')
            rc = command_parse_letters(p, word);
        else {
            options_over = options_over || command_takes_rest(p);
            rc = command_add_argument(p, command_join_nodes(p, word));
        }
        if (rc != 0 || p->call->help)
            return rc;
    }
    return command_check_missing(p);
}

int command_parse(const struct command *command, const char *const *words, size_t n,
                  const char *line, struct command_call *call, struct error *e)
{
    *call = (struct command_call){.command = command};
    struct command_parser p = {.command = command, .call = call, .words = words, .n = n, .e = e};
    if (command->arguments[0].count == COMMAND_COUNT_LINE && line != NULL) {
        command_add_value(&call->arguments[0], &(struct command_value){.text = line});
        return 0;
    }
    return command_parse_words(&p);
}

void command_call_done(struct command_call *call)
{
    for (size_t i = 0; i < COMMAND_OPTIONS_MAX; i++)
        free(call->options[i].values);
    for (size_t i = 0; i < COMMAND_ARGUMENTS_MAX; i++)
        free(call->arguments[i].values);
    for (size_t i = 0; i < call->n_joined; i++)
        free(call->joined[i]);
    free(call->joined);
    *call = (struct command_call){0};
}

/* What was given */

const struct command_value *command_option_all(const struct command_call *call, const char *name,
                                               size_t *n)
{
    size_t index;
    if (command_find_option(call->command, name, strlen(name), 0, &index) != NULL) {
        *n = call->options[index].n;
        return call->options[index].values;
    }
    assert(!"the row has no such option");
    abort();
}

const struct command_value *command_option(const struct command_call *call, const char *name)
{
    size_t n;
    const struct command_value *values = command_option_all(call, name, &n);
    return n > 0 ? &values[n - 1] : NULL;
}

const char *command_option_text(const struct command_call *call, const char *name)
{
    const struct command_value *value = command_option(call, name);
    return value != NULL ? value->text : NULL;
}

bool command_option_given(const struct command_call *call, const char *name)
{
    return command_option(call, name) != NULL;
}

const struct command_value *command_argument_all(const struct command_call *call, size_t index,
                                                 size_t *n)
{
    assert(index < COMMAND_ARGUMENTS_MAX && call->command->arguments[index].name != NULL);
    *n = call->arguments[index].n;
    return call->arguments[index].values;
}

const char *command_argument_text(const struct command_call *call, size_t index)
{
    size_t n;
    const struct command_value *values = command_argument_all(call, index, &n);
    return n > 0 ? values[0].text : NULL;
}
