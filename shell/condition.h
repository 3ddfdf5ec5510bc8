/* The stack of \if, \elif, \else, \endif of one script or prompt. */
#ifndef SHELL_CONDITION_H
#define SHELL_CONDITION_H

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"

enum { CONDITION_DEPTH_MAX = 64 };

enum condition_state {
    CONDITION_TRUE,      /* this branch runs */
    CONDITION_WAITING,   /* no branch has been true yet */
    CONDITION_OVER,      /* an earlier branch ran, or all around is skipped */
    CONDITION_ELSE_TRUE, /* behind \else */
    CONDITION_ELSE_OVER,
};

struct condition {
    enum condition_state stack[CONDITION_DEPTH_MAX];
    size_t depth;
};

/* Whether what comes now runs. */
bool condition_is_active(const struct condition *c);
/* Whether \elif must look at its expression: only where it may become true. */
bool condition_wants_elif(const struct condition *c);

/* Each ERR_INVALID with a sentence when it does not fit the stack; ERR_TOO_LARGE past
 * CONDITION_DEPTH_MAX. */
int condition_if(struct condition *c, bool value, struct error *e);
int condition_elif(struct condition *c, bool value, struct error *e);
int condition_else(struct condition *c, struct error *e);
int condition_endif(struct condition *c, struct error *e);

#endif
