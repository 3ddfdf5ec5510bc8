/* SQL at the prompt: a statement goes to POST /api/sql of the node, its rows come back as lines and
 * are shown in the format of the moment as they come. */
#ifndef SHELL_SQL_H
#define SHELL_SQL_H

#include <stddef.h>

#include "shell/shell.h"

enum {
    SQL_CHUNK_ROWS = 2000, /* shown at once; the widths of a table's columns hold for so many */
    SQL_TRIES_MAX = 5,     /* of a statement that only reads, when its node dies */
};

/* Runs one statement (with or without its semicolon) and returns the exit status. Ctrl-C cancels it
 * on every node. When the node dies, a statement that only reads is sent to another one, as long as
 * nothing of it was shown; of any other one the outcome is not known, which is said. */
int sql_run(struct shell *shell, const char *text, size_t len);

#endif
