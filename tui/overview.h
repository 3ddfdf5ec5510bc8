/* What is wrong in a state of the cluster. */
#ifndef TUI_OVERVIEW_H
#define TUI_OVERVIEW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tui/model.h"
#include "tui/view.h"

enum {
    OVERVIEW_PROBLEMS_MAX = 256,
    OVERVIEW_RECENT_MS = 3600 * 1000, /* what failed longer ago is history */
    OVERVIEW_LAG_MAX = 1000,          /* entries that a replica may be behind */
    OVERVIEW_PENDING_MS = 30 * 1000,  /* that a job may wait */
};

struct overview_problem {
    bool is_bad; /* else a warning */
    int64_t since_ms;
    const struct view *view; /* where it is seen, and as which row */
    char key[LIST_KEY_MAX];
    char where[64];
    char what[192];
};

struct overview {
    struct overview_problem problems[OVERVIEW_PROBLEMS_MAX]; /* the worst first, then the newest */
    size_t n;
    const struct model_row **nodes; /* by name */
    size_t n_nodes;
    uint64_t nodes_generation;
    const void *nodes_of;
};

void overview_find_problems(struct overview *overview, const struct model_state *state,
                            int64_t at_ms);

#endif
