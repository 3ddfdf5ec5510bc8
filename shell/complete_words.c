/* Words as a shell gives them to a program: its own options first, then a command as on the prompt.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "shell/command.h"
#include "shell/complete_place.h"
#include "shell/complete_values.h"

/* The value of -c: the items are what the whole value may become. */
static void complete_words_statement(struct complete *complete, complete_names_fn names, void *arg)
{
    struct complete inner;
    size_t len = strlen(complete->prefix);
    complete_line(&inner, complete->prefix, len, names, arg);
    for (size_t i = 0; i < inner.n; i++) {
        char *text = mem_printf("%.*s%s", (int)inner.from, complete->prefix, inner.items[i].text);
        complete_add(complete, text, inner.items[i].about);
        free(text);
    }
    complete->is_open = true;
    complete_done(&inner);
}

/* How many words in front of the last one are the program's own. */
static size_t complete_words_pass(struct complete_place *place, const char *const *words, size_t n)
{
    for (size_t i = 0; i + 1 < n; i++) {
        complete_pass(place, words[i]);
        if (place->options_over)
            return strcmp(words[i], "--") == 0 ? i + 1 : i;
    }
    return n - 1;
}

static void complete_words_of_program(struct complete *complete, const struct complete_place *place,
                                      complete_names_fn names, void *arg)
{
    const struct command_option *option = place->value_of;
    if (option != NULL && strcmp(option->name, "command") == 0)
        complete_words_statement(complete, names, arg);
    else if (option != NULL)
        complete_values(complete, option->type, option->choices, names, arg);
    else if (str_starts_with(complete->prefix, "--") && strchr(complete->prefix, '=') != NULL)
        complete_attached(complete, place->command, names, arg);
    else if (complete->prefix[0] == '-')
        complete_options(complete, place);
    else
        complete_command_names(complete, NULL, 0);
}

void complete_words(struct complete *complete, const struct command *program,
                    const char *const *words, size_t n, complete_names_fn names, void *arg)
{
    assert(n > 0);
    struct complete_place place = {.command = program};
    const struct command *command;
    size_t n_words;
    char hint[COMMAND_HINT_MAX];
    *complete = (struct complete){.prefix = mem_strdup(words[n - 1]), .leaves_files = true};
    size_t own = complete_words_pass(&place, words, n);
    size_t given = n - 1 - own;
    if (given == 0)
        complete_words_of_program(complete, &place, names, arg);
    else if (command_find(words + own, given, &command, &n_words, NULL, hint) == 0)
        complete_in_command(complete, command, words + own + n_words, given - n_words, names, arg);
    else
        complete_command_names(complete, words + own, given);
    complete_sort(complete);
}
