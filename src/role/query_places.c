/* Where the tasks of a stage run: at best where the files of the table that is split were read
 * before. What is known is of the queries that this node coordinated. */
#include <stdlib.h>

#include "base/mem.h"
#include "role/query_internal.h"

/* Attempts that run on a node for queries of this one. */
static unsigned query_places_running(const struct queries *role, uint64_t node)
{
    const struct query *q;
    unsigned running = 0;
    TAILQ_FOREACH (q, &role->all, entry) {
        for (size_t s = 0; q->stages != NULL && s <= q->stage; s++) {
            const struct query_stage *stage = &q->stages[s];
            for (size_t t = 0; t < stage->tasks_n; t++) {
                for (unsigned a = 0; a < stage->tasks[t].attempts_n; a++)
                    running += stage->tasks[t].attempts[a].call != 0 &&
                               stage->tasks[t].attempts[a].node == node;
            }
        }
    }
    return running;
}

static bool query_places_knows(const struct query *q, const struct sql_input *input)
{
    return input->kind == SQL_INPUT_TABLE && input->split && q->tables[input->index].delta != NULL;
}

/* The files of the split tables that a task reads, appended to a list that is large enough. */
static size_t query_places_files(const struct query *q, size_t task, struct sql_place_file *out)
{
    const struct sql_stage *plan = &q->plan.stages[q->stage];
    size_t n = 0;
    for (size_t i = 0; i < plan->inputs_n; i++) {
        const struct sql_input *input = &plan->inputs[i];
        if (!query_places_knows(q, input))
            continue;
        const struct query_table *table = &q->tables[input->index];
        for (size_t f = plan->first[i][task]; f < plan->first[i][task + 1]; f++) {
            const struct delta_file *file = &table->delta[input->files[f]];
            out[n++] = (struct sql_place_file){table->place, file->path, file->size};
        }
    }
    return n;
}

static size_t query_places_most(const struct query *q)
{
    const struct sql_stage *plan = &q->plan.stages[q->stage];
    size_t n = 0;
    for (size_t i = 0; i < plan->inputs_n; i++)
        n += query_places_knows(q, &plan->inputs[i]) ? plan->inputs[i].files_n : 0;
    return n;
}

void query_places_choose(struct query *q)
{
    struct query_stage *stage = &q->stages[q->stage];
    struct sql_place_node nodes[SQL_PLACES_NODES_MAX];
    size_t most = query_places_most(q);
    size_t nodes_n = q->nodes_n < SQL_PLACES_NODES_MAX ? q->nodes_n : SQL_PLACES_NODES_MAX;
    if (stage->tasks_n < 2 || most == 0 || nodes_n == 0)
        return;
    struct sql_place_file *files = mem_calloc(most, sizeof *files);
    size_t *first = mem_calloc(stage->tasks_n + 1, sizeof *first);
    size_t *out = mem_calloc(stage->tasks_n, sizeof *out);
    for (size_t t = 0; t < stage->tasks_n; t++)
        first[t + 1] = first[t] + query_places_files(q, t, files + first[t]);
    for (size_t n = 0; n < nodes_n; n++)
        nodes[n] = (struct sql_place_node){q->nodes[n], query_places_running(q->role, q->nodes[n])};
    sql_places_choose(q->role->places, files, first, stage->tasks_n, nodes, nodes_n,
                      node_options(q->role->node)->sql_slots, out);
    for (size_t t = 0; t < stage->tasks_n; t++)
        stage->tasks[t].place = q->nodes[out[t]];
    free(out);
    free(first);
    free(files);
}

void query_places_note(struct query *q, const struct query_task *task, uint64_t node)
{
    size_t most = query_places_most(q);
    if (q->stages[q->stage].tasks_n < 2 || most == 0)
        return;
    struct sql_place_file *files = mem_calloc(most, sizeof *files);
    size_t n = query_places_files(q, task->index, files);
    for (size_t i = 0; i < n; i++)
        sql_places_note(q->role->places, &files[i], node);
    free(files);
}
