/* The settings of \pset. */
#ifndef SHELL_CMD_META_PSET_H
#define SHELL_CMD_META_PSET_H

#include "base/error.h"
#include "shell/shell.h"

struct cmd_meta_pset_row {
    const char *name;
    const char *choices; /* "a|b"; NULL: any text */
    const char *help;
};

/* In the order in which they are shown; NULL behind the last. */
const struct cmd_meta_pset_row *cmd_meta_pset_at(size_t index);

/* Sets one; ERR_INVALID for a name or a value that there is not. */
int cmd_meta_pset_set(struct shell *shell, const char *name, const char *value, struct error *e);

/* A remark about a setting: at the prompt, unless QUIET is on. */
void cmd_meta_remark(struct shell *shell, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

#endif
