/* Plans of syntax trees that DuckDB printed (tests/unit/sql_trees.h), without DuckDB. */
#include "core/sql_plan.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "tests/unit/generated.h"
#include "tests/unit/sql_trees.h"

enum { FILES = 6 };

static const struct sql_column big_columns[] = {{"k", "INTEGER", false},
                                                {"v", "DECIMAL(12,2)", false},
                                                {"s", "VARCHAR", false},
                                                {"d", "DATE", true}};
static const struct sql_column small_columns[] = {{"k", "INTEGER", false},
                                                  {"name", "VARCHAR", false}};
static struct sql_file big_files[FILES];
static struct sql_file small_files[1] = {{100, 10}};

/* d is a partition column: file i has d = 2024-01-0(i+1). */
static void prune(const struct sql_table *table, const struct sql_filter *filters, size_t n,
                  bool *keep)
{
    for (size_t f = 0; f < table->files_n; f++) {
        char day[40];
        snprintf(day, sizeof day, "2024-01-0%zu", f + 1);
        for (size_t i = 0; i < n; i++) {
            if (filters[i].column != 3)
                continue;
            int order = strcmp(day, filters[i].values[0]);
            keep[f] &= filters[i].op == SQL_OP_EQ   ? order == 0
                       : filters[i].op == SQL_OP_GE ? order >= 0
                       : filters[i].op == SQL_OP_LT ? order < 0
                                                    : true;
        }
    }
}

struct planned {
    json_t *query;
    struct sql_refs refs;
    struct sql_table tables[8];
    struct sql_plan plan;
};

static void plan_with(struct planned *p, const char *name, struct sql_plan_options options)
{
    struct sql_error e = {0};
    const struct sql_tree *tree = NULL;
    for (size_t i = 0; i < MEM_COUNT(sql_trees); i++) {
        if (strcmp(sql_trees[i].name, name) == 0)
            tree = &sql_trees[i];
    }
    assert_non_null(tree);
    for (size_t i = 0; i < FILES; i++)
        big_files[i] = (struct sql_file){1000 + i, 100};
    if (sql_ast_read(tree->ast, strlen(tree->ast), &p->query, &e) < 0 ||
        sql_refs_collect(p->query, false, &p->refs, &e) < 0)
        fail_msg("%s: %s", name, e.error.text);
    for (size_t i = 0; i < p->refs.n; i++) {
        bool big = strcmp(p->refs.refs[i].name, "big") == 0;
        p->tables[i] =
            big ? (struct sql_table){"big", big_columns, MEM_COUNT(big_columns), big_files, FILES,
                                     prune, NULL}
                : (struct sql_table){
                      "small", small_columns, MEM_COUNT(small_columns), small_files, 1, NULL, NULL};
    }
    assert_int_equal(
        sql_plan_query(p->query, NULL, tree->sql, &p->refs, p->tables, &options, &p->plan, &e), 0);
}

static void plan(struct planned *p, const char *name)
{
    plan_with(p, name, (struct sql_plan_options){3, 1, 1000, 0, "2025-01-31 12:00:00+00", 0});
}

static void planned_done(struct planned *p)
{
    sql_plan_done(&p->plan);
    sql_refs_done(&p->refs);
    json_decref(p->query);
}

/* The input of a stage that reads a table, by its name. */
static const struct sql_input *input_of(const struct planned *p, size_t stage, const char *table)
{
    const struct sql_stage *s = &p->plan.stages[stage];
    for (size_t i = 0; i < s->inputs_n; i++) {
        if (s->inputs[i].kind == SQL_INPUT_TABLE &&
            strcmp(p->tables[s->inputs[i].index].name, table) == 0)
            return &s->inputs[i];
    }
    fail_msg("stage %zu does not read %s", stage, table);
    return NULL;
}

static void one_worker_runs_what_was_written(void **state)
{
    (void)state;
    struct planned p;
    plan_with(&p, "group", (struct sql_plan_options){1, 1, 0, 0, NULL, 0});
    assert_true(p.plan.whole);
    assert_int_equal(p.plan.stages_n, 1);
    assert_null(p.plan.stages[0].fragment);
    assert_string_equal(
        p.plan.stages[0].text,
        "select k, sum(v), avg(v) as a, count(*) from big group by k order by a limit 3");
    assert_string_equal(p.plan.stages[0].inputs[0].view, "big");
    assert_int_equal(p.plan.stages[0].tasks, 1);
    planned_done(&p);
}

static void what_is_small_stays_whole(void **state)
{
    (void)state;
    struct planned p;
    plan_with(&p, "scan", (struct sql_plan_options){3, 1, 1024 * 1024, 0, NULL, 0});
    assert_true(p.plan.whole);
    planned_done(&p);
}

/* 6,015 bytes: one and a half times what a task is worth are two. */
static void tasks_are_worth_about_so_many_bytes(void **state)
{
    (void)state;
    static const struct {
        uint64_t worth;
        size_t tasks;
    } rows[] = {{2000, 3}, {2500, 2}, {4010, 2}, {4011, 1}, {7000, 1}, {20000, 1}};
    for (size_t i = 0; i < MEM_COUNT(rows); i++) {
        struct planned p;
        plan_with(&p, "scan", (struct sql_plan_options){3, 1, rows[i].worth, 0, NULL, 0});
        assert_int_equal(p.plan.stages[0].tasks, rows[i].tasks);
        planned_done(&p);
    }
}

static void a_scan_is_one_stage_of_several_tasks_that_cover_the_files(void **state)
{
    (void)state;
    struct planned p;
    plan(&p, "scan");
    assert_false(p.plan.whole);
    assert_int_equal(p.plan.stages_n, 1);
    const struct sql_stage *stage = &p.plan.stages[0];
    assert_int_equal(stage->output, SQL_OUTPUT_ROWS);
    assert_int_equal(stage->tasks, 3);
    const struct sql_input *big = input_of(&p, 0, "big");
    assert_true(big->split);
    assert_int_equal(stage->first[0][0], 0);
    assert_int_equal(stage->first[0][3], FILES);
    assert_int_equal(big->columns_n, 2); /* k and s */
    planned_done(&p);
}

static void filters_leave_out_files(void **state)
{
    (void)state;
    struct planned p;
    plan(&p, "filter");
    const struct sql_input *big = input_of(&p, 0, "big");
    assert_int_equal(big->files_n, 3); /* 2024-01-02 to -04 */
    assert_int_equal(big->files[0], 1);
    assert_int_equal(big->filters_n, 3);
    assert_int_equal(big->filters[0].op, SQL_OP_GE);
    assert_string_equal(big->filters[0].values[0], "2024-01-02");
    assert_int_equal(big->filters[2].op, SQL_OP_IN);
    assert_int_equal(big->filters[2].values_n, 2);
    planned_done(&p);
}

static void comparisons_that_would_convert_the_column_leave_out_nothing(void **state)
{
    (void)state;
    struct planned p;
    plan(&p, "inexact");
    const struct sql_input *big = input_of(&p, 0, "big");
    assert_int_equal(big->files_n, FILES);
    assert_int_equal(big->filters_n, 1); /* k < 2.5 */
    assert_string_equal(big->filters[0].values[0], "2.5");
    planned_done(&p);
}

static void aggregates_are_partial_then_shuffled_then_final(void **state)
{
    (void)state;
    struct planned p;
    plan(&p, "group");
    assert_int_equal(p.plan.stages_n, 3);
    const struct sql_stage *map = &p.plan.stages[0];
    assert_int_equal(map->output, SQL_OUTPUT_HASH);
    assert_int_equal(map->partitions, 3);
    assert_int_equal(map->keys_n, 1);
    assert_int_equal(map->key_places[0], 0);
    assert_non_null(strstr(map->fragment, "count_star"));
    const struct sql_stage *reduce = &p.plan.stages[1];
    assert_int_equal(reduce->tasks, 3);
    assert_true(reduce->inputs[0].split);
    assert_int_equal(reduce->limit, 3);
    assert_non_null(reduce->alone);
    assert_int_equal(p.plan.stages[2].tasks, 1);
    assert_int_equal(p.plan.stages[2].output, SQL_OUTPUT_ROWS);
    planned_done(&p);
}

static void the_small_side_of_a_join_is_whole_in_every_task(void **state)
{
    (void)state;
    struct planned p;
    plan(&p, "join");
    assert_true(input_of(&p, 0, "big")->split);
    assert_false(input_of(&p, 0, "small")->split);
    planned_done(&p);
}

static void the_null_side_of_an_outer_join_is_never_split(void **state)
{
    (void)state;
    struct planned p;
    plan(&p, "outer");
    assert_true(p.plan.whole); /* small LEFT JOIN big: small is too small to split */
    planned_done(&p);
}

/* The second place is filtered after the first one was rewritten. */
static void each_place_of_a_table_has_its_own_filters(void **state)
{
    (void)state;
    struct planned p;
    plan_with(&p, "self_join", (struct sql_plan_options){3, 1, 0, 0, NULL, 0});
    const struct sql_stage *stage = &p.plan.stages[p.plan.stages_n - 1];
    assert_int_equal(stage->inputs_n, 2);
    const struct sql_input *a = &stage->inputs[0], *b = &stage->inputs[1];
    assert_int_equal(a->filters_n, 1);
    assert_int_equal(a->filters[0].op, SQL_OP_GE);
    assert_int_equal(a->files_n, FILES - 1);
    assert_int_equal(b->filters_n, 1);
    assert_int_equal(b->filters[0].op, SQL_OP_LT);
    assert_int_equal(b->files_n, 3);
    planned_done(&p);
}

static void median_gets_its_rows_by_key(void **state)
{
    (void)state;
    struct planned p;
    plan(&p, "median");
    assert_int_equal(p.plan.stages_n, 2);
    assert_null(strstr(p.plan.stages[0].fragment, "median"));
    assert_non_null(strstr(p.plan.stages[1].fragment, "median"));
    planned_done(&p);
}

static void windows_are_shuffled_by_their_partition(void **state)
{
    (void)state;
    struct planned p;
    plan(&p, "window");
    assert_int_equal(p.plan.stages_n, 2);
    assert_int_equal(p.plan.stages[0].output, SQL_OUTPUT_HASH);
    assert_int_equal(p.plan.stages[1].tasks, 3);
    planned_done(&p);
}

static void what_does_not_distribute_says_why(void **state)
{
    (void)state;
    static const struct {
        const char *name, *why;
    } rows[] = {{"recursive", "WITH RECURSIVE"},
                {"random", "a function that isn't the same each time"},
                {"sample", "a sample"},
                {"sets", "GROUPING SETS, ROLLUP, CUBE"}};
    for (size_t i = 0; i < MEM_COUNT(rows); i++) {
        struct planned p;
        plan(&p, rows[i].name);
        assert_true(p.plan.whole);
        assert_string_equal(p.plan.why, rows[i].why);
        planned_done(&p);
    }
}

static void two_versions_of_a_table_are_two_inputs(void **state)
{
    (void)state;
    struct planned p;
    plan(&p, "versions");
    assert_int_equal(p.refs.n, 2);
    assert_string_equal(p.refs.refs[0].at_unit, "VERSION");
    assert_string_equal(p.refs.refs[0].at_text, "3");
    assert_string_equal(p.refs.refs[1].at_unit, "TIMESTAMP");
    assert_string_equal(p.refs.refs[1].at_text, "2024-01-31");
    for (size_t s = 0; s < p.plan.stages_n; s++)
        assert_null(p.plan.stages[s].text);
    planned_done(&p);
}

static void names_of_with_hide_tables(void **state)
{
    (void)state;
    struct planned p;
    plan(&p, "with");
    assert_int_equal(p.refs.n, 1);
    assert_string_equal(p.refs.refs[0].name, "big");
    planned_done(&p);
}

static void functions_that_reach_files_are_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < MEM_COUNT(sql_trees); i++) {
        if (strncmp(sql_trees[i].name, "refused", 7) != 0)
            continue;
        json_t *query;
        struct sql_refs refs;
        struct sql_error e;
        assert_int_equal(sql_ast_read(sql_trees[i].ast, strlen(sql_trees[i].ast), &query, &e), 0);
        assert_int_equal(sql_refs_collect(query, false, &refs, &e), ERR_FORBIDDEN);
        assert_true(e.at != SQL_AT_NONE);
        json_decref(query);
    }
}

static void the_same_plan_comes_out_each_time_and_explains_itself(void **state)
{
    (void)state;
    for (size_t i = 0; i < MEM_COUNT(sql_trees); i++) {
        if (strncmp(sql_trees[i].name, "refused", 7) == 0)
            continue;
        struct planned a, b;
        plan(&a, sql_trees[i].name);
        plan(&b, sql_trees[i].name);
        char *left = sql_plan_explain(&a.plan, &a.refs, a.tables);
        char *right = sql_plan_explain(&b.plan, &b.refs, b.tables);
        assert_string_equal(left, right);
        assert_int_equal(strncmp(left, "stage 1: ", 9), 0);
        for (size_t s = 0; s < a.plan.stages_n; s++) {
            if (a.plan.stages[s].fragment != NULL)
                assert_string_equal(a.plan.stages[s].fragment, b.plan.stages[s].fragment);
        }
        free(left);
        free(right);
        planned_done(&a);
        planned_done(&b);
    }
}

static void files_are_dealt_out_evenly_and_in_order(void **state)
{
    (void)state;
    struct generated g;
    generated_init(&g, 3000);
    while (generated_next(&g)) {
        uint64_t bytes[20];
        size_t first[9];
        size_t n = prng_below(&g.prng, 21), tasks = 1 + prng_below(&g.prng, 8);
        uint64_t sum = 0, most = 0, largest = 0;
        for (size_t i = 0; i < n; i++) {
            bytes[i] = prng_below(&g.prng, 100);
            sum += bytes[i];
            most = bytes[i] > most ? bytes[i] : most;
        }
        sql_split_files(bytes, n, tasks, first);
        generated_check(&g, first[tasks] == n && (n == 0 || first[0] == 0), "%zu files", n);
        for (size_t t = 0; t < tasks; t++) {
            uint64_t run = 0;
            generated_check(&g, first[t] <= first[t + 1], "task %zu", t);
            for (size_t i = first[t]; i < first[t + 1]; i++)
                run += bytes[i];
            largest = run > largest ? run : largest;
        }
        generated_check(&g, largest <= sum / tasks + most + 1, "%" PRIu64, largest);
    }
}

/* Any change of a tree that is still JSON is planned or refused, never a crash. */
static void broken_trees_do_no_harm(void **state)
{
    (void)state;
    struct generated g;
    generated_init(&g, 2000);
    while (generated_next(&g)) {
        const struct sql_tree *tree = &sql_trees[prng_below(&g.prng, MEM_COUNT(sql_trees))];
        char *text = mem_strdup(tree->ast);
        size_t len = strlen(text);
        size_t n = 1 + prng_below(&g.prng, 3);
        for (size_t i = 0; i < n; i++)
            text[prng_below(&g.prng, len)] = "\"{}[]:,0aN"[prng_below(&g.prng, 10)];
        json_t *query;
        struct sql_error e;
        struct sql_refs refs;
        if (sql_ast_read(text, len, &query, &e) == 0) {
            if (sql_refs_collect(query, true, &refs, &e) == 0) {
                struct sql_table tables[SQL_TABLES_MAX];
                struct sql_plan_options options = {3, 1, 1000, 0, NULL, 1};
                struct sql_plan out;
                for (size_t i = 0; i < refs.n; i++)
                    tables[i] = (struct sql_table){
                        "big", big_columns, MEM_COUNT(big_columns), big_files, FILES, NULL, NULL};
                if (sql_plan_query(query, NULL, tree->sql, &refs, tables, &options, &out, &e) == 0)
                    sql_plan_done(&out);
                sql_refs_done(&refs);
            }
            json_decref(query);
        }
        free(text);
    }
}

static void a_stage_of_few_bytes_and_many_rows_is_not_small(void **state)
{
    (void)state;
    assert_true(sql_stage_is_small(0, 0, 8 << 20));
    assert_true(sql_stage_is_small(8 << 20, 100000, 8 << 20));
    assert_false(sql_stage_is_small(100 << 20, 1000, 8 << 20));
    assert_false(sql_stage_is_small(8 << 20, 1500000, 8 << 20));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_worker_runs_what_was_written),
        cmocka_unit_test(what_is_small_stays_whole),
        cmocka_unit_test(tasks_are_worth_about_so_many_bytes),
        cmocka_unit_test(a_scan_is_one_stage_of_several_tasks_that_cover_the_files),
        cmocka_unit_test(filters_leave_out_files),
        cmocka_unit_test(comparisons_that_would_convert_the_column_leave_out_nothing),
        cmocka_unit_test(aggregates_are_partial_then_shuffled_then_final),
        cmocka_unit_test(the_small_side_of_a_join_is_whole_in_every_task),
        cmocka_unit_test(the_null_side_of_an_outer_join_is_never_split),
        cmocka_unit_test(each_place_of_a_table_has_its_own_filters),
        cmocka_unit_test(median_gets_its_rows_by_key),
        cmocka_unit_test(windows_are_shuffled_by_their_partition),
        cmocka_unit_test(what_does_not_distribute_says_why),
        cmocka_unit_test(two_versions_of_a_table_are_two_inputs),
        cmocka_unit_test(names_of_with_hide_tables),
        cmocka_unit_test(functions_that_reach_files_are_refused),
        cmocka_unit_test(the_same_plan_comes_out_each_time_and_explains_itself),
        cmocka_unit_test(files_are_dealt_out_evenly_and_in_order),
        cmocka_unit_test(a_stage_of_few_bytes_and_many_rows_is_not_small),
        cmocka_unit_test(broken_trees_do_no_harm),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
