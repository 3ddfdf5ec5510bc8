/* The user's editor. */
#ifndef SHELL_EDITOR_H
#define SHELL_EDITOR_H

#include <stdbool.h>

#include "base/error.h"

enum { EDITOR_BYTES_MAX = 1024 * 1024 };

/* Opens `path`, or a file of its own that holds `text`, and waits for the editor's end. *result is
 * what the file then holds, malloc'ed; *has_changed tells whether it was written. -errno,
 * ERR_TOO_LARGE, ERR_INVALID for a NUL character; ERR_CANCELLED when the editor failed. */
int editor_run(const char *path, const char *text, char **result, bool *has_changed,
               struct error *e);

/* Runs a program that takes the terminal, and gives the terminal back as it was: argv, NULL behind
 * the last. Its exit status, 128 + signal, or -errno. */
int editor_run_program(const char *const *argv);

#endif
