/* Jobs that ended long ago, or are too many, are forgotten: once a minute, some at a time. */
#include <stdlib.h>

#include "base/mem.h"
#include "role/coordinator_internal.h"
#include "run/state_query.h"

enum {
    COORDINATOR_RETENTION_MS = 60000,
    COORDINATOR_RETENTION_MORE_MS = 100, /* when there are more */
    COORDINATOR_FORGET_MAX = 256,        /* jobs at a time */
};

struct coordinator_forget {
    struct coordinator *coordinator;
    unsigned activation;
    int64_t before_ms;
    uint64_t keep;
    uint64_t seqs[COORDINATOR_FORGET_MAX];
    unsigned n;
};

static int coordinator_forget_query(sqlite3 *db, void *arg)
{
    struct coordinator_forget *forget = arg;
    return state_query_forgettable(db, forget->before_ms, forget->keep, forget->seqs,
                                   COORDINATOR_FORGET_MAX, &forget->n);
}

static void coordinator_on_forgettable(void *arg, int code)
{
    struct coordinator_forget *forget = arg;
    struct coordinator *c = forget->coordinator;
    c->forgetting = false;
    bool current = c->active && forget->activation == c->activation;
    for (unsigned i = 0; code == 0 && current && i < forget->n; i++) {
        Wire__JobForget row = WIRE__JOB_FORGET__INIT;
        Wire__Change change = WIRE__CHANGE__INIT;
        if (coordinator_job_get(c, forget->seqs[i]) != NULL)
            continue; /* being retried */
        row.seq = forget->seqs[i];
        change.of_case = WIRE__CHANGE__OF_JOB_FORGET;
        change.job_forget = &row;
        changes_add(node_replica(c->node)->changes, &change, NULL, NULL);
    }
    if (current && forget->n == COORDINATOR_FORGET_MAX)
        loop_timer_start(&c->retention_timer, COORDINATOR_RETENTION_MORE_MS);
    free(forget);
}

static void coordinator_on_retention(void *arg)
{
    struct coordinator *c = arg;
    const struct node_options *options = node_options(c->node);
    loop_timer_start(&c->retention_timer, COORDINATOR_RETENTION_MS);
    if (!c->active || c->forgetting)
        return;
    struct coordinator_forget *forget = mem_zalloc(sizeof *forget);
    forget->coordinator = c;
    forget->activation = c->activation;
    forget->before_ms = loop_wall_ms(node_loop(c->node)) - (int64_t)options->history_keep_ms;
    forget->keep = options->history_jobs_max;
    c->forgetting = true;
    state_read(node_replica(c->node)->state, STATE_WEAK, coordinator_forget_query,
               coordinator_on_forgettable, forget);
}

void coordinator_retention_start(struct coordinator *c)
{
    loop_timer_init(&c->retention_timer, node_loop(c->node), coordinator_on_retention, c);
}

void coordinator_retention_active(struct coordinator *c)
{
    loop_timer_start(&c->retention_timer, COORDINATOR_RETENTION_MS);
}
