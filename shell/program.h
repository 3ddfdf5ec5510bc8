/* The row of the program itself: options before the command. */
#ifndef SHELL_PROGRAM_H
#define SHELL_PROGRAM_H

#include "shell/command.h"

extern const struct command program_row;

#endif
