/* The prompt: readline in its callback form, beside the cluster's descriptor.
 *
 * Keys, the cluster and signals are served from one poll; so the prompt learns of a new leader
 * while it waits. A line that ends inside a quote or with a backslash asks for the next one; all
 * lines of a statement are one history item. Ctrl-C drops what is typed, Ctrl-D on an empty line
 * leaves. */
#ifndef SHELL_REPL_H
#define SHELL_REPL_H

#include "shell/shell.h"

/* Runs until the user leaves; returns an exit status. Standard input is a terminal. `rc_file`,
 * which may be missing, is run first (NULL: none). */
int repl_run(struct shell *shell, const char *rc_file);

#endif
