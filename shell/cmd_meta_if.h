/* \if, \elif, \else, \endif: they are read also where nothing else is. */
#ifndef SHELL_CMD_META_IF_H
#define SHELL_CMD_META_IF_H

#include <stdbool.h>
#include <stddef.h>

#include "shell/command.h"

/* Whether the row (NULL allowed) is one of them. */
bool cmd_meta_if_is(const struct command *command);

/* Changes the conditions of the script that runs; `text` is what follows the name. */
int cmd_meta_if_run(struct shell *shell, const struct command *command, const char *text,
                    size_t len);

#endif
