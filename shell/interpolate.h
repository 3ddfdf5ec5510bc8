/* :name, :'name', :"name" and :{?name} in statements. */
#ifndef SHELL_INTERPOLATE_H
#define SHELL_INTERPOLATE_H

#include <stddef.h>

#include "base/error.h"
#include "shell/vars.h"

enum { INTERPOLATE_BYTES_MAX = 16 * 1024 * 1024 };

/* The length of what stands at `text`, which begins with a colon, and its malloc'ed value: as it
 * is, or as SQL text or name where the name is in quotes. 0 when that is no variable that is set.
 * With `as_is` quotes around the name change nothing. */
size_t interpolate_at(const struct vars *vars, const char *text, size_t len, bool as_is,
                      char **value);

/* Replaces variables in SQL outside of its quotes and comments; what is not set stays as it is.
 * Malloc'ed; NULL and ERR_TOO_LARGE in `e` past INTERPOLATE_BYTES_MAX. */
char *interpolate_sql(const struct vars *vars, const char *text, size_t len, struct error *e);

/* The same in a command: a variable is one word or a part of it, whatever it holds. A colon behind
 * a letter, a digit or a colon begins none: host:port stays. */
char *interpolate_command(const struct vars *vars, const char *text, size_t len, struct error *e);

#endif
