/* Sets of node names: "n[1-8]", "n1,n3", folded back for display.
 *
 * Bracket ranges keep leading zeros ("n[01-12]"). Groups ("@all", "@worker", "@label=x") and set
 * algebra belong to whoever knows the cluster; see nodeset_parse's resolver. */
#ifndef BASE_NODESET_H
#define BASE_NODESET_H

#include <stddef.h>

#include "base/error.h"

enum { NODESET_NAMES_MAX = 65536 };

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
void nodeset_add(struct nodeset *set, const char *name);

/* Parses a comma-separated list; an item is a name, a bracket pattern or @group; "!item" takes away
 * from what stands left of it, "item&item" intersects. `resolve` may be NULL when groups are not
 * known here. */
int nodeset_parse(struct nodeset *set, const char *text, nodeset_resolve_fn resolve, void *arg,
                  struct error *e);
/* malloc'ed folded form: "n[1-3,7],web" */
char *nodeset_fold(const struct nodeset *set);

#endif
