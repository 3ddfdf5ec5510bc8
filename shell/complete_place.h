/* Within completion: where the words in front of the cursor leave the parser, and what may follow.
 */
#ifndef SHELL_COMPLETE_PLACE_H
#define SHELL_COMPLETE_PLACE_H

#include "shell/command.h"
#include "shell/complete.h"

struct complete_place {
    const struct command *command;
    const struct command_option *value_of; /* the word is this option's value */
    bool options_over;
    size_t argument;
    bool given[COMMAND_OPTIONS_MAX];
};

/* Goes on behind `word`. */
void complete_pass(struct complete_place *place, const char *word);

/* Add items: options that were not given yet; the value in "--name=val", as whole words; the word
 * of a command's name behind `words`; what may follow `words` behind the command's name. */
void complete_options(struct complete *complete, const struct complete_place *place);
void complete_attached(struct complete *complete, const struct command *command,
                       complete_names_fn names, void *arg);
void complete_command_names(struct complete *complete, const char *const *words, size_t n);
void complete_in_command(struct complete *complete, const struct command *command,
                         const char *const *words, size_t n, complete_names_fn names, void *arg);

/* Sorts the items and drops repeated ones. */
void complete_sort(struct complete *complete);

#endif
