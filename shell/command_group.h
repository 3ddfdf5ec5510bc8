/* Groups: commands whose names have the first word in common. Each has a row, which `help GROUP`
 * begins with and the man page clustersh-GROUP(1) is made of. A command of one word alone is a
 * group of its own. */
#ifndef SHELL_COMMAND_GROUP_H
#define SHELL_COMMAND_GROUP_H

#include <stdbool.h>
#include <stddef.h>

#include "shell/command.h"

struct command_group {
    const char *name;     /* NULL ends the table */
    const char *summary;  /* as the one line of a man page: small letter, no full stop */
    const char *text;     /* paragraphs */
    const char *see_also; /* pages, as mdoc_see_also() takes them */
};

extern const struct command_group command_groups[];

/* NULL when there is no such group. */
const struct command_group *command_group_find(const char *name);
/* Whether the command's first word is the group's name. */
bool command_group_has(const struct command_group *group, const struct command *command);

#endif
