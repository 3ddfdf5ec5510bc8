/* Which worker runs which task. */
#include "core/sql_places.h"

#include <stdio.h>

#include "base/mem.h"
#include "tests/unit/generated.h"

enum { TASKS = 3 };

static struct sql_place_file files[6];
static const size_t first[TASKS + 1] = {0, 2, 4, 6};
static char names[6][16];

static int setup(void **state)
{
    for (size_t i = 0; i < 6; i++) {
        snprintf(names[i], sizeof names[i], "part-%zu", i);
        files[i] = (struct sql_place_file){"file:/lake/t", names[i], 100};
    }
    *state = sql_places_new();
    return 0;
}

static int teardown(void **state)
{
    sql_places_free(*state);
    return 0;
}

static void tasks_go_where_their_files_were_read(void **state)
{
    const struct sql_place_node nodes[] = {{30, 0}, {10, 0}, {20, 0}};
    size_t out[TASKS];
    for (size_t i = 0; i < 6; i++)
        sql_places_note(*state, &files[i], i < 2 ? 20 : i < 4 ? 30 : 10);
    sql_places_choose(*state, files, first, TASKS, nodes, 3, 2, out);
    assert_int_equal(nodes[out[0]].id, 20);
    assert_int_equal(nodes[out[1]].id, 30);
    assert_int_equal(nodes[out[2]].id, 10);
}

static void all_nodes_agree_about_files_that_nobody_has_read(void **state)
{
    const struct sql_place_node one[] = {{30, 0}, {10, 0}, {20, 0}};
    const struct sql_place_node other[] = {{10, 0}, {20, 0}, {30, 0}};
    size_t a[TASKS], b[TASKS];
    sql_places_choose(*state, files, first, TASKS, one, 3, 2, a);
    sql_places_choose(*state, files, first, TASKS, other, 3, 2, b);
    for (size_t t = 0; t < TASKS; t++) {
        assert_int_equal(one[a[t]].id, other[b[t]].id);
        for (size_t k = 0; k < t; k++)
            assert_int_not_equal(a[k], a[t]);
    }
}

static void no_node_gets_more_than_its_share(void **state)
{
    const struct sql_place_node nodes[] = {{10, 0}, {20, 0}};
    size_t out[TASKS], given[2] = {0, 0};
    for (size_t i = 0; i < 6; i++)
        sql_places_note(*state, &files[i], 10);
    sql_places_choose(*state, files, first, TASKS, nodes, 2, 2, out);
    for (size_t t = 0; t < TASKS; t++)
        given[out[t]]++;
    assert_int_equal(given[0], 2);
    assert_int_equal(given[1], 1);
}

static void a_node_that_is_busy_is_left_alone(void **state)
{
    const struct sql_place_node nodes[] = {{10, 3}, {20, 0}};
    const size_t one[] = {0, 6};
    size_t out;
    for (size_t i = 0; i < 6; i++)
        sql_places_note(*state, &files[i], 10);
    sql_places_choose(*state, files, one, 1, nodes, 2, 2, &out);
    assert_int_equal(nodes[out].id, 20);
    sql_places_choose(*state, files, one, 1, nodes, 2, 3, &out);
    assert_int_equal(nodes[out].id, 10);
}

static void a_node_that_is_gone_is_forgotten_and_any_load_is_spread(void **state)
{
    struct generated g;
    generated_init(&g, 300);
    while (generated_next(&g)) {
        struct sql_place_node nodes[8];
        size_t n = 1 + (size_t)prng_below(&g.prng, 8), out[TASKS], given[8] = {0};
        for (size_t i = 0; i < n; i++)
            nodes[i] = (struct sql_place_node){i + 1, (unsigned)prng_below(&g.prng, 5)};
        for (size_t i = 0; i < 6; i++)
            sql_places_note(*state, &files[i], 1 + prng_below(&g.prng, 12));
        sql_places_choose(*state, files, first, TASKS, nodes, n, 2, out);
        for (size_t t = 0; t < TASKS; t++) {
            generated_check(&g, out[t] < n, "task %zu is nowhere", t);
            given[out[t]]++;
        }
        unsigned idlest = 100;
        for (size_t i = 0; i < n; i++)
            idlest = nodes[i].running < idlest ? nodes[i].running : idlest;
        bool all_free = true;
        for (size_t i = 0; i < n; i++)
            all_free = all_free && nodes[i].running <= idlest + 2;
        for (size_t i = 0; i < n && all_free; i++)
            generated_check(&g, given[i] <= (TASKS + n - 1) / n, "node %zu has %zu tasks", i,
                            given[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(tasks_go_where_their_files_were_read, setup, teardown),
        cmocka_unit_test_setup_teardown(all_nodes_agree_about_files_that_nobody_has_read, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(no_node_gets_more_than_its_share, setup, teardown),
        cmocka_unit_test_setup_teardown(a_node_that_is_busy_is_left_alone, setup, teardown),
        cmocka_unit_test_setup_teardown(a_node_that_is_gone_is_forgotten_and_any_load_is_spread,
                                        setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
