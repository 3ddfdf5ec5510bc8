/* The Tab key. */
#ifndef SHELL_REPL_COMPLETE_H
#define SHELL_REPL_COMPLETE_H

#include "base/buf.h"
#include "shell/shell.h"

/* Binds Tab. `pending` holds the lines in front of the one that is edited. Both are borrowed. */
void repl_complete_install(struct shell *shell, const struct buf *pending);

#endif
