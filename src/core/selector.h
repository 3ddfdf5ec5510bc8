/* Node selectors: which nodes may run a job.
 *
 *   selector = term { "," term }        all terms must hold; an empty selector matches every node
 *   term     = KEY | "!" KEY | KEY "=" VALUE | KEY "!=" VALUE
 *
 * KEY holds when the node has the label KEY or KEY=anything. KEY!=VALUE holds also where KEY is
 * absent. VALUE may hold '*' and '?' wildcards. "name" and "kind" (node or agent) are labels that
 * every node has. Spaces around terms are ignored. */
#ifndef CORE_SELECTOR_H
#define CORE_SELECTOR_H

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"

enum {
    SELECTOR_TERMS_MAX = 32,
    SELECTOR_TEXT_MAX = 1024, /* bytes */
};

enum selector_op {
    SELECTOR_OP_HAS,
    SELECTOR_OP_HAS_NOT,
    SELECTOR_OP_EQUAL,
    SELECTOR_OP_NOT_EQUAL,
};

struct selector_term {
    enum selector_op op;
    char *key;
    char *value; /* NULL for HAS and HAS_NOT */
};

struct selector {
    struct selector_term *terms; /* ascending by key, op, value; no duplicates */
    size_t n;
};

/* What a selector looks at. Borrowed. */
struct selector_node {
    const char *name;
    bool poll;                 /* kind=agent */
    const char *const *labels; /* "key" or "key=value" */
    size_t labels_n;
};

/* Parses `text` (NULL is empty) into `selector`, which need not be initialised; on failure there is
 * nothing to release. ERR_INVALID names the term that is wrong, ERR_TOO_LARGE the limit. */
int selector_parse(struct selector *selector, const char *text, struct error *e);
void selector_done(struct selector *selector);

/* malloc'ed canonical text: equal for selectors that differ only in spaces, order, repetition. */
char *selector_format(const struct selector *selector);

bool selector_matches(const struct selector *selector, const struct selector_node *node);

#endif
