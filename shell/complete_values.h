/* The values of one type that begin with what is typed. */
#ifndef SHELL_COMPLETE_VALUES_H
#define SHELL_COMPLETE_VALUES_H

#include "shell/command.h"
#include "shell/complete.h"

void complete_values(struct complete *complete, enum command_type type, const char *choices,
                     complete_names_fn names, void *arg);

#endif
