/* The prompt: readline in its callback form, beside the cluster's descriptor.
 *
 * Keys, the cluster and signals are served from one poll; so the prompt learns of a new leader
 * while it waits. A statement that is not complete asks for the next line; all lines of a statement
 * are one history item. Ctrl-C drops what is typed, and where nothing is leaves an \if; Ctrl-D on
 * an empty line leaves; Ctrl-Z stops the shell, and when it goes on the line is there again. What
 * is written while the prompt waits stands above it. */
#ifndef SHELL_REPL_H
#define SHELL_REPL_H

#include "shell/shell.h"

/* Runs until the user leaves; returns an exit status. Standard input is a terminal. `rc_file`,
 * which may be missing, is run first (NULL: none). */
int repl_run(struct shell *shell, const char *rc_file);

#endif
