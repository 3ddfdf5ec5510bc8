/* The row of the program itself: options before the command. */
#ifndef SHELL_PROGRAM_H
#define SHELL_PROGRAM_H

#include "client/client.h"
#include "shell/command.h"

extern const struct command program_row;

/* What the program's options say about the connection. The strings are borrowed from the call. */
void program_connection(const struct command_call *call, struct client_options *options);

#endif
