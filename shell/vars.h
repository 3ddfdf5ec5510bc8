/* Variables: \set NAME VALUE, taken out again as :NAME, :'NAME', :"NAME".
 *
 * Some names steer the shell (vars_special). A switch among them takes on, off, true, false, yes,
 * no, 1, 0; what is unset is as if off, or the default that its row says. */
#ifndef SHELL_VARS_H
#define SHELL_VARS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"

enum { VARS_MAX = 1000, VARS_NAME_MAX = 63, VARS_VALUE_BYTES_MAX = 1024 * 1024 };

struct vars_item {
    char *name;
    char *value;
};

struct vars {
    struct vars_item *items; /* by name */
    size_t n;
    size_t cap;
};

/* A name that means something to the shell. */
struct vars_special {
    const char *name;
    const char *choices; /* "a|b|c"; NULL: any text */
    const char *help;
};

extern const struct vars_special vars_specials[]; /* a NULL name ends them */

void vars_init(struct vars *vars);
void vars_done(struct vars *vars);

/* NULL when it is not set. Borrowed until the variable changes. */
const char *vars_get(const struct vars *vars, const char *name);
/* Letters, digits, '_', beginning with no digit; ERR_INVALID for another name, or a value that a
 * special one does not take; ERR_TOO_LARGE past the limits. */
int vars_set(struct vars *vars, const char *name, const char *value, struct error *e);
/* False when it was not set. */
bool vars_unset(struct vars *vars, const char *name);
/* The value as a switch: `otherwise` where it is not set. */
bool vars_is_on(const struct vars *vars, const char *name, bool otherwise);

/* "on", "TRUE", "yes", "1", their beginnings, and the opposites. ERR_INVALID for anything else. */
int vars_parse_bool(const char *text, bool *value);

/* Whether a name of `len` bytes is one. */
bool vars_is_name(const char *name, size_t len);

#endif
