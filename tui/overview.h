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
    OVERVIEW_RESTART_MS = 600 * 1000, /* a node that began anew is told so long */
    OVERVIEW_FAILURES_MAX = 3,        /* of jobs, of queries: the newest; the rest is one line */
};

/* What fails in numbers. */
enum overview_failures {
    OVERVIEW_NO_FAILURE,
    OVERVIEW_JOB_FAILURES,
    OVERVIEW_QUERY_FAILURES,
    OVERVIEW_FAILURES,
};

struct overview_problem {
    bool is_bad; /* else a warning */
    int64_t since_ms;
    enum overview_failures failure;
    const struct view *view; /* where it is seen, and as which row; key "": all that failed */
    char key[LIST_KEY_MAX];
    char where[64];
    char what[192];
};

struct overview {
    struct overview_problem problems[OVERVIEW_PROBLEMS_MAX]; /* the worst first, then the newest */
    size_t n;
    size_t n_failures[OVERVIEW_FAILURES]; /* all there are */
    int64_t failures_since_ms[OVERVIEW_FAILURES];
    const struct model_row **nodes; /* by name */
    size_t n_nodes;
    uint64_t nodes_generation;
    const void *nodes_of;
};

/* Of the state that the model shows. */
void overview_find_problems(struct overview *overview, const struct model *model);

#endif
