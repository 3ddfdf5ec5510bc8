#include "role/query_work.h"

#include <assert.h>
#include <stdlib.h>

#include "base/mem.h"
#include "core/delta_checkpoint.h"
#include "role/query_internal.h"

struct query_work *query_work_new(struct query *q)
{
    assert(q->work == NULL);
    q->work = mem_zalloc(sizeof *q->work);
    q->work->q = q;
    q->work->error.at = SQL_AT_NONE;
    return q->work;
}

void query_work_end(struct query *q)
{
    struct query_work *work = q->work;
    assert(!work->runs);
    q->work = NULL;
    sql_statement_done(&work->statement);
    json_decref(work->tree);
    sql_refs_done(&work->refs);
    sql_plan_done(&work->plan);
    delta_vacuum_free(work->vacuum);
    free(work->json);
    free(work);
}

bool query_work_runs(const struct query *q)
{
    return q->work != NULL && q->work->runs;
}

static void query_work_pin_view(struct delta_view *view, bool pins)
{
    if (view != NULL && pins)
        delta_view_pin(view);
    else if (view != NULL)
        delta_view_unpin(view);
}

/* Logs go on meanwhile, in copies. */
static void query_work_pin(struct query *q, bool pins)
{
    for (size_t i = 0; i < q->tables_got; i++)
        query_work_pin_view(q->tables[i].view, pins);
    query_work_pin_view(q->target_table.view, pins);
}

static void query_works_go_on(struct queries *role);

static void query_work_on_thread(void *arg)
{
    struct query_work *work = arg;
    work->fn(work);
}

static void query_work_on_done(void *arg, int code)
{
    struct query_work *work = arg;
    struct query *q = work->q;
    struct queries *role = q->role;
    (void)code; /* nobody cancels it */
    role->works_n--;
    work->runs = false;
    query_work_pin(q, false);
    query_works_go_on(role);
    if (q->ended)
        query_over(q);
    else
        work->next(q);
}

static void query_works_go_on(struct queries *role)
{
    struct query_work *work;
    while (role->works_n < QUERY_WORKS_MAX && (work = TAILQ_FIRST(&role->works)) != NULL) {
        TAILQ_REMOVE(&role->works, work, entry);
        work->runs = true;
        role->works_n++;
        query_work_pin(work->q, true);
        (void)loop_work(node_loop(role->node), query_work_on_thread, query_work_on_done, work);
    }
}

void query_work_run(struct query_work *work, size_t bytes, query_work_fn fn,
                    void (*next)(struct query *q))
{
    struct queries *role = work->q->role;
    work->fn = fn;
    work->next = next;
    if (bytes < QUERY_WORK_BYTES) {
        fn(work);
        next(work->q);
        return;
    }
    TAILQ_INSERT_TAIL(&role->works, work, entry);
    query_works_go_on(role);
}

void query_work_cancel(struct query *q)
{
    struct query_work *work = q->work;
    if (work == NULL || work->runs)
        return;
    bool waits = false;
    struct query_work *other;
    TAILQ_FOREACH (other, &q->role->works, entry) {
        waits |= other == work;
    }
    if (waits)
        TAILQ_REMOVE(&q->role->works, work, entry);
    query_work_end(q);
}

static void query_tree_on_thread(void *arg)
{
    json_decref(arg);
}

static void query_tree_on_done(void *arg, int code)
{
    (void)arg;
    (void)code;
}

void query_work_drop_tree(struct queries *role, json_t *tree, size_t bytes)
{
    if (tree != NULL && bytes >= QUERY_WORK_BYTES && !role->stopped)
        (void)loop_work(node_loop(role->node), query_tree_on_thread, query_tree_on_done, tree);
    else
        json_decref(tree);
}
