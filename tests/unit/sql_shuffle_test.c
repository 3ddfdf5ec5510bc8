/* Plans of joins whose sides are too large to be read whole, of syntax trees that DuckDB printed
 * (tests/unit/sql_trees.h). */
#include "core/sql_plan.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "tests/unit/generated.h"
#include "tests/unit/sql_trees.h"

enum { FILES = 6, WORKERS = 3 };

static const struct sql_column columns[] = {{"k", "INTEGER", false},
                                            {"v", "DECIMAL(12,2)", false},
                                            {"s", "VARCHAR", false},
                                            {"d", "DATE", false}};
static struct sql_file big_files[FILES];
static struct sql_file small_files[1] = {{100, 10}};

struct planned {
    json_t *query;
    struct sql_refs refs;
    struct sql_table tables[8];
    struct sql_plan plan;
};

static void plan(struct planned *p, const char *name, uint64_t broadcast_bytes)
{
    struct sql_error e = {0};
    struct sql_plan_options options = {WORKERS, 1, 1000, 0, NULL, broadcast_bytes};
    const struct sql_tree *tree = NULL;
    for (size_t i = 0; i < MEM_COUNT(sql_trees); i++) {
        if (strcmp(sql_trees[i].name, name) == 0)
            tree = &sql_trees[i];
    }
    assert_non_null(tree);
    *p = (struct planned){0};
    for (size_t i = 0; i < FILES; i++)
        big_files[i] = (struct sql_file){1000, 100};
    if (sql_ast_read(tree->ast, strlen(tree->ast), &p->query, &e) < 0 ||
        sql_refs_collect(p->query, false, &p->refs, &e) < 0)
        fail_msg("%s: %s", name, e.error.text);
    for (size_t i = 0; i < p->refs.n; i++) {
        bool big = strcmp(p->refs.refs[i].name, "big") == 0;
        p->tables[i] = (struct sql_table){big ? "big" : "small",
                                          columns,
                                          MEM_COUNT(columns),
                                          big ? big_files : small_files,
                                          big ? FILES : 1,
                                          NULL,
                                          NULL};
    }
    assert_int_equal(
        sql_plan_query(p->query, NULL, tree->sql, &p->refs, p->tables, &options, &p->plan, &e), 0);
}

static void planned_done(struct planned *p)
{
    sql_plan_done(&p->plan);
    sql_refs_done(&p->refs);
    json_decref(p->query);
}

/* The stage is a side: it writes partitions by one key. */
static void assert_is_side(const struct planned *p, size_t stage)
{
    const struct sql_stage *s = &p->plan.stages[stage];
    assert_int_equal(s->output, SQL_OUTPUT_HASH);
    assert_int_equal(s->partitions, WORKERS);
    assert_int_equal(s->keys_n, 1);
    assert_non_null(strstr(s->what, "for a join"));
}

/* How many partitions a stage's tasks read side by side. */
static size_t partitions_read(const struct planned *p, size_t stage)
{
    const struct sql_stage *s = &p->plan.stages[stage];
    size_t n = 0;
    for (size_t i = 0; i < s->inputs_n; i++)
        n += s->inputs[i].kind == SQL_INPUT_STAGE && s->inputs[i].split;
    if (n > 0)
        assert_int_equal(s->tasks, WORKERS);
    return n;
}

static void both_sides_are_dealt_by_what_is_equal(void **state)
{
    (void)state;
    struct planned p;
    plan(&p, "shuffle_inner", 1);
    assert_int_equal(p.plan.stages_n, 3);
    assert_is_side(&p, 0);
    assert_is_side(&p, 1);
    assert_string_equal(p.plan.stages[0].keys[0], "k");
    assert_string_equal(p.plan.stages[1].keys[0], "k");
    assert_int_equal(p.plan.stages[0].tasks, WORKERS);
    assert_int_equal(p.plan.stages[0].inputs[0].columns_n, 3); /* k, s and v, which is filtered */
    assert_int_equal(partitions_read(&p, 2), 2);
    assert_int_equal(p.plan.stages[2].output, SQL_OUTPUT_ROWS);
    /* conditions about one side go with it */
    assert_non_null(strstr(p.plan.stages[0].fragment, "COMPARE_GREATERTHAN"));
    assert_null(strstr(p.plan.stages[2].fragment, "COMPARE_GREATERTHAN"));
    planned_done(&p);
}

static void a_side_that_is_small_enough_is_read_whole(void **state)
{
    (void)state;
    struct planned p;
    plan(&p, "shuffle_inner", 1 << 20);
    assert_int_equal(p.plan.stages_n, 1);
    planned_done(&p);
    plan(&p, "shuffle_inner", 0); /* always */
    assert_int_equal(p.plan.stages_n, 1);
    planned_done(&p);
}

/* A condition of ON is about what may match, one of WHERE about what comes out. */
static void the_null_side_of_an_outer_join_takes_only_conditions_of_on(void **state)
{
    (void)state;
    struct planned p;
    plan(&p, "shuffle_left", 1);
    assert_int_equal(p.plan.stages_n, 3);
    assert_int_equal(partitions_read(&p, 2), 2);
    assert_non_null(strstr(p.plan.stages[1].fragment, "COMPARE_GREATERTHAN"));
    assert_null(strstr(p.plan.stages[1].fragment, "OPERATOR_IS_NULL"));
    assert_non_null(strstr(p.plan.stages[2].fragment, "OPERATOR_IS_NULL"));
    planned_done(&p);
}

static void outer_joins_deal_small_sides_when_they_must(void **state)
{
    (void)state;
    static const char *const names[] = {"shuffle_full", "shuffle_null_side"};
    for (size_t i = 0; i < MEM_COUNT(names); i++) {
        struct planned p;
        plan(&p, names[i], 200);
        assert_is_side(&p, 0);
        assert_is_side(&p, 1);
        assert_int_equal(partitions_read(&p, 2), 2);
        planned_done(&p);
    }
}

static void subqueries_are_dealt_where_they_are(void **state)
{
    (void)state;
    struct planned p;
    plan(&p, "shuffle_exists", 1);
    assert_is_side(&p, 0);
    assert_is_side(&p, 1);
    assert_int_equal(p.plan.stages[0].inputs[0].columns_n, 2); /* k, v: "*" of EXISTS is nothing */
    assert_int_equal(partitions_read(&p, 2), 2);
    assert_non_null(strstr(p.plan.stages[2].fragment, "EXISTS"));
    planned_done(&p);
    plan(&p, "shuffle_in", 1);
    assert_is_side(&p, 0);
    assert_is_side(&p, 2); /* the groups, after their own shuffle */
    assert_int_equal(partitions_read(&p, 3), 2);
    planned_done(&p);
}

static void joins_by_different_keys_are_done_one_after_the_other(void **state)
{
    (void)state;
    struct planned p;
    plan(&p, "shuffle_chain", 200);
    assert_int_equal(p.plan.stages_n, 5);
    assert_is_side(&p, 0);
    assert_is_side(&p, 1);
    assert_is_side(&p, 2); /* a and b together, with the small one that is only joined to a */
    assert_int_equal(partitions_read(&p, 2), 2);
    assert_int_equal(p.plan.stages[2].inputs_n, 3);
    assert_is_side(&p, 3);
    assert_int_equal(partitions_read(&p, 4), 2);
    planned_done(&p);
}

static void keys_of_two_types_are_hashed_as_a_third(void **state)
{
    (void)state;
    struct planned p;
    plan(&p, "shuffle_types", 1);
    for (size_t s = 0; s < 2; s++) {
        assert_is_side(&p, s);
        assert_non_null(strstr(p.plan.stages[s].fragment, "\"width\":38"));
        assert_non_null(strstr(p.plan.stages[s].fragment, "\"scale\":2"));
    }
    planned_done(&p);
}

static void what_has_no_common_hash_is_not_dealt(void **state)
{
    (void)state;
    static const char *const names[] = {"shuffle_unlike", "shuffle_star"};
    for (size_t i = 0; i < MEM_COUNT(names); i++) {
        struct planned p;
        plan(&p, names[i], 1);
        assert_null(strstr(p.plan.stages[0].what, "for a join"));
        planned_done(&p);
    }
}

static void what_stands_in_each_branch_of_or_is_a_key(void **state)
{
    (void)state;
    struct planned p;
    plan(&p, "shuffle_either", 1);
    assert_is_side(&p, 0);
    assert_is_side(&p, 1);
    planned_done(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(both_sides_are_dealt_by_what_is_equal),
        cmocka_unit_test(a_side_that_is_small_enough_is_read_whole),
        cmocka_unit_test(the_null_side_of_an_outer_join_takes_only_conditions_of_on),
        cmocka_unit_test(outer_joins_deal_small_sides_when_they_must),
        cmocka_unit_test(subqueries_are_dealt_where_they_are),
        cmocka_unit_test(joins_by_different_keys_are_done_one_after_the_other),
        cmocka_unit_test(keys_of_two_types_are_hashed_as_a_third),
        cmocka_unit_test(what_has_no_common_hash_is_not_dealt),
        cmocka_unit_test(what_stands_in_each_branch_of_or_is_a_key),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
