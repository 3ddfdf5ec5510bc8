/* The input history: readline's list, kept in a file that several shells append to.
 *
 * The file has one item a line, a newline inside it as \n and a backslash as \\. An item that comes
 * again moves to the end. The file is rewritten, shorter, when it has grown to twice the bound. */
#ifndef SHELL_HIST_H
#define SHELL_HIST_H

#include <stddef.h>

#include "base/error.h"

enum { HIST_ITEMS_MAX = 10000, HIST_ITEM_BYTES_MAX = 64 * 1024 };

/* $CLUSTERSH_HISTORY, else $XDG_STATE_HOME/clustersh/history, else below ~/.local/state. Malloc'ed;
 * NULL when there is no home. */
char *hist_default_path(void);

/* Reads `path` into readline's list. A file that is not there is an empty one. -errno when it can't
 * be read; history then works without a file. */
int hist_load(const char *path, struct error *e);

/* All items, oldest first, each on lines of its own. Malloc'ed. */
char *hist_text(void);

/* Adds an item (text of a statement; trailing white space is cut, an empty one is left out) and
 * appends it to `path` (NULL: nowhere), which is made with mode 0600. -errno when that fails. */
int hist_add(const char *path, const char *item, struct error *e);

#endif
