/* One table a machine: an edge is allowed because it has a row, and the row says what causes it. */
#include "core/job.h"

#include <assert.h>
#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "wire/state.pb-c.h"

_Static_assert(JOB_STATE_CANCELLED == (int)WIRE__JOB_STATE__JOB_STATE_CANCELLED, "wire differs");
_Static_assert(ATTEMPT_STATE_RETURNED == (int)WIRE__ATTEMPT_STATE__ATTEMPT_STATE_RETURNED,
               "wire differs");

static const char *const job_names[] = {
    [JOB_STATE_NONE] = "none",       [JOB_STATE_PENDING] = "pending",
    [JOB_STATE_RUNNING] = "running", [JOB_STATE_COMPLETED] = "completed",
    [JOB_STATE_FAILED] = "failed",   [JOB_STATE_CANCELLED] = "cancelled",
};

static const char *const attempt_names[] = {
    [ATTEMPT_STATE_NONE] = "none",       [ATTEMPT_STATE_ASSIGNED] = "assigned",
    [ATTEMPT_STATE_RUNNING] = "running", [ATTEMPT_STATE_COMPLETED] = "completed",
    [ATTEMPT_STATE_FAILED] = "failed",   [ATTEMPT_STATE_CANCELLED] = "cancelled",
    [ATTEMPT_STATE_LOST] = "lost",       [ATTEMPT_STATE_RETURNED] = "returned",
};

struct job_edge {
    int from;
    int to;
    const char *cause;
};

static const struct job_edge job_edges[] = {
    {JOB_STATE_NONE, JOB_STATE_PENDING, "submitted"},
    {JOB_STATE_PENDING, JOB_STATE_RUNNING, "the first element is assigned to a node"},
    {JOB_STATE_PENDING, JOB_STATE_CANCELLED, "cancelled, or a dependency can never be met"},
    {JOB_STATE_RUNNING, JOB_STATE_COMPLETED, "every element completed"},
    {JOB_STATE_RUNNING, JOB_STATE_FAILED, "every element ended, some failed"},
    {JOB_STATE_RUNNING, JOB_STATE_CANCELLED, "every element ended, some cancelled, none failed"},
    {JOB_STATE_FAILED, JOB_STATE_PENDING, "retried"},
    {JOB_STATE_CANCELLED, JOB_STATE_PENDING, "retried"},
};

static const struct job_edge attempt_edges[] = {
    {ATTEMPT_STATE_NONE, ATTEMPT_STATE_ASSIGNED, "an element is placed on a node"},
    {ATTEMPT_STATE_ASSIGNED, ATTEMPT_STATE_RUNNING, "the node reports that it runs"},
    {ATTEMPT_STATE_ASSIGNED, ATTEMPT_STATE_COMPLETED, "the node reports its end before its start"},
    {ATTEMPT_STATE_ASSIGNED, ATTEMPT_STATE_FAILED, "the node reports its end before its start"},
    {ATTEMPT_STATE_ASSIGNED, ATTEMPT_STATE_CANCELLED, "cancelled, or another attempt counts"},
    {ATTEMPT_STATE_ASSIGNED, ATTEMPT_STATE_LOST, "the node is gone or doesn't hold it"},
    {ATTEMPT_STATE_ASSIGNED, ATTEMPT_STATE_RETURNED, "the node gave it back unstarted"},
    {ATTEMPT_STATE_RUNNING, ATTEMPT_STATE_COMPLETED, "the node reports success"},
    {ATTEMPT_STATE_RUNNING, ATTEMPT_STATE_FAILED, "the node reports failure"},
    {ATTEMPT_STATE_RUNNING, ATTEMPT_STATE_CANCELLED, "cancelled, or another attempt counts"},
    {ATTEMPT_STATE_RUNNING, ATTEMPT_STATE_LOST, "the node is gone or doesn't hold it"},
    {ATTEMPT_STATE_RUNNING, ATTEMPT_STATE_RETURNED, "a drained node stopped it"},
    {ATTEMPT_STATE_LOST, ATTEMPT_STATE_ASSIGNED, "found queued before it was replaced"},
    {ATTEMPT_STATE_LOST, ATTEMPT_STATE_RUNNING, "found running before it was replaced"},
    {ATTEMPT_STATE_LOST, ATTEMPT_STATE_COMPLETED, "found completed while its element was not"},
    {ATTEMPT_STATE_LOST, ATTEMPT_STATE_FAILED, "found failed before it was replaced"},
};

static const struct job_edge *job_edge_find(const struct job_edge *edges, size_t n, int from,
                                            int to)
{
    for (size_t i = 0; i < n; i++) {
        if (edges[i].from == from && edges[i].to == to)
            return &edges[i];
    }
    return NULL;
}

static int job_name_find(const char *const *names, size_t n, const char *name)
{
    for (size_t i = 0; i < n; i++) {
        if (strcmp(names[i], name) == 0)
            return (int)i;
    }
    return ERR_NOT_FOUND;
}

static int job_edges_print(struct buf *out, const struct job_edge *edges, size_t n,
                           const char *const *names)
{
    int err = buf_append_str(out, "| from | to | cause |\n|---|---|---|\n");
    for (size_t i = 0; i < n && err == 0; i++)
        err = buf_printf(out, "| %s | %s | %s |\n", names[edges[i].from], names[edges[i].to],
                         edges[i].cause);
    return err;
}

const char *job_state_name(enum job_state state)
{
    return (size_t)state < MEM_COUNT(job_names) ? job_names[state] : "none";
}

const char *attempt_state_name(enum attempt_state state)
{
    return (size_t)state < MEM_COUNT(attempt_names) ? attempt_names[state] : "none";
}

int job_state_parse(const char *name)
{
    return job_name_find(job_names, MEM_COUNT(job_names), name);
}

int attempt_state_parse(const char *name)
{
    return job_name_find(attempt_names, MEM_COUNT(attempt_names), name);
}

bool job_state_is_ended(enum job_state state)
{
    return state >= JOB_STATE_COMPLETED;
}

bool attempt_state_is_ended(enum attempt_state state)
{
    return state >= ATTEMPT_STATE_COMPLETED;
}

bool job_state_allows(enum job_state from, enum job_state to)
{
    return job_edge_find(job_edges, MEM_COUNT(job_edges), (int)from, (int)to) != NULL;
}

bool attempt_state_allows(enum attempt_state from, enum attempt_state to)
{
    return job_edge_find(attempt_edges, MEM_COUNT(attempt_edges), (int)from, (int)to) != NULL;
}

void job_state_set(enum job_state *state, enum job_state to)
{
    assert(job_state_allows(*state, to));
    *state = to;
}

void attempt_state_set(enum attempt_state *state, enum attempt_state to)
{
    assert(attempt_state_allows(*state, to));
    *state = to;
}

int job_state_print(struct buf *out)
{
    return job_edges_print(out, job_edges, MEM_COUNT(job_edges), job_names);
}

int attempt_state_print(struct buf *out)
{
    return job_edges_print(out, attempt_edges, MEM_COUNT(attempt_edges), attempt_names);
}
