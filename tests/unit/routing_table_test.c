/* What a node serves: choice of a model, rotation, counters. */
#include "tests/unit/generated.h"

#include <stdio.h>
#include <string.h>

#include "role/routing_table.h"

static struct routing_table *table_with(const char *service, uint64_t version, int canary)
{
    struct routing_table *table = routing_table_new();
    struct routing_state state = {
        .version = version, .stable_weight = 100 - canary, .canary_weight = canary};
    strcpy(state.service, service);
    strcpy(state.stable, "m1");
    strcpy(state.canary, "m2");
    strcpy(state.stable_url, "echo:");
    strcpy(state.canary_url, "http://127.0.0.1:9/x");
    routing_table_apply(table, &state);
    return table;
}

static void count_one(void *arg)
{
    (*(int *)arg)++;
}

static void whoever_serves_hears_of_each_change(void **unused)
{
    (void)unused;
    struct routing_table *table = table_with("a", 5, 10);
    int changes = 0;
    routing_table_on_change(table, count_one, &changes);
    struct routing_state state = *routing_table_find(table, "a");
    routing_table_apply(table, &state);
    assert_int_equal(changes, 0);
    state.version++;
    routing_table_apply(table, &state);
    routing_table_set_rotation(table, false, "behind");
    assert_int_equal(changes, 2);
    routing_table_free(table);
}

static void an_older_state_never_replaces_a_newer_one(void **unused)
{
    (void)unused;
    struct routing_table *table = table_with("a", 5, 10);
    struct routing_state old = *routing_table_find(table, "a");
    old.version = 4;
    old.canary_weight = 90;
    routing_table_apply(table, &old);
    assert_int_equal(routing_table_find(table, "a")->canary_weight, 10);
    old.version = 6;
    routing_table_apply(table, &old);
    assert_int_equal(routing_table_find(table, "a")->canary_weight, 90);
    routing_table_free(table);
}

static void a_client_with_a_key_keeps_its_model(void **unused)
{
    (void)unused;
    struct routing_table *table = table_with("a", 1, 50);
    struct routing_target first;
    struct routing_target target;
    struct error e;
    int canary = 0;
    for (int client = 0; client < 100; client++) {
        char key[16];
        snprintf(key, sizeof key, "c%d", client);
        assert_int_equal(routing_table_choose(table, "a", key, &first, &e), 0);
        canary += first.which == ROUTING_MODEL_CANARY;
        for (int i = 0; i < 5; i++) {
            assert_int_equal(routing_table_choose(table, NULL, key, &target, &e), 0);
            assert_string_equal(target.model, first.model);
        }
    }
    assert_in_range(canary, 20, 80);
    routing_table_free(table);
}

static void what_cannot_be_served_says_why(void **unused)
{
    (void)unused;
    struct routing_target target;
    struct error e;
    struct routing_table *table = routing_table_new();
    assert_int_equal(routing_table_choose(table, NULL, NULL, &target, &e), ERR_NOT_FOUND);
    assert_non_null(strstr(e.text, "rollout start"));
    routing_table_free(table);
    table = table_with("a", 1, 100);
    assert_int_equal(routing_table_choose(table, "b", NULL, &target, &e), ERR_NOT_FOUND);
    routing_table_set_rotation(table, false, "behind");
    assert_int_equal(routing_table_choose(table, "a", NULL, &target, &e), ERR_UNAVAILABLE);
    assert_string_equal(e.text, "this node is out of rotation: behind");
    routing_table_set_rotation(table, true, "");
    assert_int_equal(routing_table_choose(table, "a", NULL, &target, &e), 0);
    assert_string_equal(target.url, "http://127.0.0.1:9/x");
    routing_table_free(table);
}

static void two_services_must_be_named(void **unused)
{
    (void)unused;
    struct routing_table *table = table_with("b", 1, 100);
    struct routing_state other = *routing_table_find(table, "b");
    strcpy(other.service, "a");
    routing_table_apply(table, &other);
    struct routing_target target;
    struct error e;
    assert_int_equal(routing_table_choose(table, "", NULL, &target, &e), ERR_NOT_FOUND);
    assert_int_equal(routing_table_choose(table, "b", NULL, &target, &e), 0);
    assert_string_equal(target.url, "http://127.0.0.1:9/x");
    assert_string_equal(routing_table_at(table, 0)->service, "a");
    assert_null(routing_table_at(table, 2));
    routing_table_free(table);
}

static void requests_are_counted_by_service_and_model(void **unused)
{
    (void)unused;
    struct routing_table *table = table_with("a", 1, 100);
    struct routing_target target;
    struct error e;
    assert_null(routing_table_health(table, "a", "m2"));
    assert_int_equal(routing_table_choose(table, "a", NULL, &target, &e), 0);
    routing_table_count(table, target.service, target.model, false, 1000);
    routing_table_count(table, target.service, target.model, true, 2000);
    const struct health *health = routing_table_health(table, "a", "m2");
    assert_int_equal(health->requests, 2);
    assert_int_equal(health->errors, 1);
    const char *service;
    const char *model;
    assert_true(routing_table_health_at(table, 0, &service, &model, &health));
    assert_string_equal(model, "m2");
    assert_false(routing_table_health_at(table, 1, &service, &model, &health));
    const struct health totals = {.requests = 9, .errors = 3};
    routing_table_set_health(table, "a", "m2", &totals);
    assert_int_equal(routing_table_health(table, "a", "m2")->errors, 3);
    routing_table_free(table);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(whoever_serves_hears_of_each_change),
        cmocka_unit_test(an_older_state_never_replaces_a_newer_one),
        cmocka_unit_test(a_client_with_a_key_keeps_its_model),
        cmocka_unit_test(what_cannot_be_served_says_why),
        cmocka_unit_test(two_services_must_be_named),
        cmocka_unit_test(requests_are_counted_by_service_and_model),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
