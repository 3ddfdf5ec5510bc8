/* Words of a statement as JSON, which takes UTF-8 text only. */
#ifndef SHELL_WORDS_H
#define SHELL_WORDS_H

#include <jansson.h>

#include "shell/command.h"
#include "shell/shell.h"

/* An array of strings; NULL after saying which word is no text. */
json_t *words_json(struct shell *shell, const struct command_value *values, size_t n);

/* An object of "NAME=VALUE" words; NULL after saying what is wrong. */
json_t *words_env(struct shell *shell, const struct command_value *values, size_t n);

#endif
