/* Sets of node names: "n[1-8]", "n1,n3", "@all!n2", folded back for display.
 *
 * Bracket ranges keep leading zeros ("n[01-12]"). What a group holds ("@all", "@worker",
 * "@label=x") knows whoever knows the cluster: the resolver of nodeset_parse. */
#ifndef BASE_NODESET_H
#define BASE_NODESET_H

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"

enum {
    NODESET_NAMES_MAX = 65536, /* that one text writes out, those it takes away again included */
    NODESET_NAME_MAX = 253,    /* bytes of a name */
    NODESET_BRACKETS_MAX = 4,  /* in one pattern; further numbers of a name don't fold */
    NODESET_DIGITS_MAX = 9     /* of a number in a bracket; longer ones don't fold */
};

struct nodeset {
    char **names; /* ascending in natural order (n2 before n10), unique */
    size_t n;
    size_t cap;
};

/* Adds the members of group `name` (without '@') to `set`; ERR_NOT_FOUND when there is no such
 * group. */
typedef int (*nodeset_resolve_fn)(void *arg, const char *name, struct nodeset *set);

void nodeset_init(struct nodeset *set);
void nodeset_done(struct nodeset *set);
/* Copies `name`, which str_is_name takes with NODESET_NAME_MAX. */
void nodeset_add(struct nodeset *set, const char *name);
bool nodeset_contains(const struct nodeset *set, const char *name);

/* <0, 0, >0: natural order, numbers by their value, then n1 before n01; 0 only for equal names. */
int nodeset_compare_names(const char *a, const char *b);

/* Adds the nodes of a list, read from left to right. An item is a name, a bracket pattern
 * ("n[1-8,12]", several brackets multiply) or @group; "a,b" unites, "a&b" intersects and binds
 * tighter than the rest, "a&!b" is a without b, "a!b" or "a,!b" takes away from all that stands
 * left of it. Blanks around items don't count. `resolve` may be NULL when groups are not known
 * here.
 *
 * Fails and leaves the set as it was: ERR_INVALID wrong form, ERR_NOT_FOUND no such group,
 * ERR_TOO_LARGE past NODESET_NAMES_MAX, what `resolve` returned. */
int nodeset_parse(struct nodeset *set, const char *text, nodeset_resolve_fn resolve, void *arg,
                  struct error *e);
/* malloc'ed folded form, "n[1-3,7],web", which nodeset_parse reads back as the same set */
char *nodeset_fold(const struct nodeset *set);

#endif
