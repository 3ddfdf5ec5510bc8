/* Plans of one stage with one task, which run what was written; and the end of any plan. */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "core/sql_filter.h"
#include "core/sql_plan_internal.h"

static void sql_input_done(struct sql_input *input)
{
    free(input->schema);
    free(input->view);
    free(input->columns);
    free(input->files);
    sql_filters_free(input->filters, input->filters_n);
}

void sql_stage_done(struct sql_stage *stage)
{
    for (size_t i = 0; i < stage->inputs_n; i++) {
        sql_input_done(&stage->inputs[i]);
        free(stage->first[i]);
    }
    for (size_t i = 0; i < stage->keys_n; i++)
        free(stage->keys[i]);
    free(stage->keys);
    free(stage->key_places);
    free(stage->inputs);
    free(stage->first);
    free(stage->fragment);
    free(stage->text);
    free(stage->alone);
    free(stage->what);
}

/* A second place of the same table: what either wants. */
static void sql_input_join(struct sql_input *into, const struct sql_input *more,
                           const struct sql_table *table)
{
    bool *columns = mem_calloc(table->columns_n + 1, sizeof *columns);
    bool *files = mem_calloc(table->files_n + 1, sizeof *files);
    const struct sql_input *both[] = {into, more};
    for (size_t b = 0; b < 2; b++) {
        for (size_t i = 0; i < both[b]->columns_n; i++)
            columns[both[b]->columns[i]] = true;
        for (size_t i = 0; i < both[b]->files_n; i++)
            files[both[b]->files[i]] = true;
    }
    into->columns_n = into->files_n = 0;
    into->bytes = 0;
    into->files = mem_reallocarray(into->files, table->files_n + 1, sizeof *into->files);
    for (size_t i = 0; i < table->columns_n; i++) {
        if (columns[i])
            into->columns[into->columns_n++] = i;
    }
    for (size_t i = 0; i < table->files_n; i++) {
        if (!files[i])
            continue;
        into->files[into->files_n++] = i;
        into->bytes += table->files[i].bytes;
    }
    sql_filters_free(into->filters, into->filters_n);
    into->filters = NULL;
    into->filters_n = 0;
    free(columns);
    free(files);
}

/* The user's text over views with the tables' names: one for each table, with what all of its
 * places want. */
static void sql_whole_text(struct planner *p, struct sql_stage *stage, const char *text)
{
    size_t kept = 0;
    for (size_t i = 0; i < stage->inputs_n; i++) {
        struct sql_input *input = &stage->inputs[i];
        size_t first = 0;
        while (first < kept && stage->inputs[first].index != input->index)
            first++;
        if (first < kept) {
            sql_input_join(&stage->inputs[first], input, &p->tables[input->index]);
            sql_input_done(input);
            continue;
        }
        stage->inputs[kept++] = *input;
    }
    stage->inputs_n = kept;
    for (size_t i = 0; i < kept; i++) {
        struct sql_input *input = &stage->inputs[i];
        free(input->view);
        free(input->schema);
        input->view = mem_strdup(p->refs->refs[input->index].name);
        input->schema = mem_strdup(p->refs->refs[input->index].schema);
    }
    free(stage->fragment);
    stage->fragment = NULL;
    stage->text = mem_strdup(text);
}

void sql_plan_whole(struct planner *p, const json_t *query, const char *text, const char *why)
{
    json_t *copy = json_deep_copy(query);
    (void)sql_mark_tables(copy, p->refs);
    sql_views_whole(p, copy);
    p->plan->whole = true;
    p->plan->why = why;
    if (text == NULL)
        (void)sql_names_fit(p, &copy);
    size_t stage = sql_stage_close(p, copy, SQL_OUTPUT_ROWS, NULL, 0, "whole query");
    for (size_t i = 0; i < p->refs->n; i++) {
        if (p->refs->refs[i].at_unit[0] != '\0')
            text = NULL;
    }
    if (text != NULL)
        sql_whole_text(p, &p->plan->stages[stage], text);
}

int sql_plan_text(const char *text, const struct sql_refs *refs, const struct sql_table *tables,
                  struct sql_plan *out)
{
    struct sql_plan plan = {.whole = true, .why = "a statement that DuckDB can't take apart"};
    plan.stages = mem_calloc(1, sizeof *plan.stages);
    plan.stages_n = 1;
    struct sql_stage *stage = &plan.stages[0];
    *stage = (struct sql_stage){.text = mem_strdup(text),
                                .output = SQL_OUTPUT_ROWS,
                                .limit = -1,
                                .tasks = 1,
                                .partitions = 1,
                                .what = mem_strdup("whole statement")};
    stage->inputs = mem_calloc(refs->n + 1, sizeof *stage->inputs);
    stage->first = mem_calloc(refs->n + 1, sizeof *stage->first);
    stage->inputs_n = refs->n;
    for (size_t i = 0; i < refs->n; i++) {
        const struct sql_table *table = &tables[i];
        struct sql_input *input = &stage->inputs[i];
        *input = (struct sql_input){.schema = mem_strdup(refs->refs[i].schema),
                                    .view = mem_strdup(refs->refs[i].name),
                                    .index = i};
        input->columns = mem_calloc(table->columns_n + 1, sizeof *input->columns);
        for (size_t c = 0; c < table->columns_n; c++)
            input->columns[input->columns_n++] = c;
        input->files = mem_calloc(table->files_n + 1, sizeof *input->files);
        for (size_t f = 0; f < table->files_n; f++) {
            input->files[input->files_n++] = f;
            input->bytes += table->files[f].bytes;
        }
    }
    *out = plan;
    return 0;
}

void sql_plan_done(struct sql_plan *plan)
{
    for (size_t i = 0; i < plan->stages_n; i++)
        sql_stage_done(&plan->stages[i]);
    for (size_t i = 0; i < plan->names_n; i++)
        free(plan->names[i]);
    free(plan->names);
    free(plan->stages);
    *plan = (struct sql_plan){0};
}
