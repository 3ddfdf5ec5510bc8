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
    int before = changes;
    routing_table_on_change(table, NULL, &changes);
    routing_table_set_rotation(table, false, "gone");
    assert_int_equal(changes, before);
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

static void a_request_without_a_service_means_the_default_one(void **unused)
{
    (void)unused;
    struct routing_table *table = routing_table_new();
    assert_null(routing_table_default(table));
    routing_table_free(table);
    table = table_with("b", 1, 100);
    assert_string_equal(routing_table_default(table)->service, "b");
    struct routing_state other = *routing_table_find(table, "b");
    strcpy(other.service, "a");
    routing_table_apply(table, &other);
    assert_null(routing_table_default(table));
    assert_string_equal(routing_table_at(table, 0)->service, "a");
    assert_null(routing_table_at(table, 2));
    strcpy(other.service, "default");
    routing_table_apply(table, &other);
    assert_string_equal(routing_table_default(table)->service, "default");
    routing_table_free(table);
}

static void health_is_kept_by_service_and_model(void **unused)
{
    (void)unused;
    struct routing_table *table = table_with("a", 1, 100);
    struct health told = {.requests = 2, .errors = 1};
    const struct health *health;
    const char *service;
    const char *model;
    assert_null(routing_table_health(table, "a", "m2"));
    routing_table_set_health(table, "a", "m2", &told);
    told.requests = 3;
    routing_table_set_health(table, "a", "m2", &told);
    health = routing_table_health(table, "a", "m2");
    assert_int_equal(health->requests, 3);
    assert_int_equal(health->errors, 1);
    assert_true(routing_table_health_at(table, 0, &service, &model, &health));
    assert_string_equal(model, "m2");
    assert_false(routing_table_health_at(table, 1, &service, &model, &health));
    routing_table_free(table);
}

/* A model that failed, was taken back and is tried again is judged by how it fares now. */
static void health_begins_anew_when_a_model_is_served_again(void **unused)
{
    (void)unused;
    struct routing_table *table = table_with("a", 1, 50);
    struct health told = {.requests = 10, .errors = 10};
    routing_table_set_health(table, "a", "m2", &told);
    struct routing_state state = *routing_table_find(table, "a");
    state.version = 2;
    state.canary_weight = 0;
    state.stable_weight = 100;
    state.canary[0] = '\0';
    routing_table_apply(table, &state);
    told.requests = told.errors = 11; /* one was under way */
    routing_table_set_health(table, "a", "m2", &told);
    assert_int_equal(routing_table_health(table, "a", "m2")->errors, 11);
    state = (struct routing_state){.version = 3, .stable_weight = 50, .canary_weight = 50};
    strcpy(state.service, "a");
    strcpy(state.stable, "m1");
    strcpy(state.canary, "m2");
    routing_table_apply(table, &state);
    assert_int_equal(routing_table_health(table, "a", "m2")->requests, 0);
    told.requests = 15;
    routing_table_set_health(table, "a", "m2", &told);
    assert_int_equal(routing_table_health(table, "a", "m2")->requests, 4);
    assert_int_equal(routing_table_health(table, "a", "m2")->errors, 0);
    state.version = 4;
    state.canary_weight = 80;
    state.stable_weight = 20;
    routing_table_apply(table, &state);
    assert_int_equal(routing_table_health(table, "a", "m2")->requests, 4);
    routing_table_free(table);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(whoever_serves_hears_of_each_change),
        cmocka_unit_test(an_older_state_never_replaces_a_newer_one),
        cmocka_unit_test(a_request_without_a_service_means_the_default_one),
        cmocka_unit_test(health_is_kept_by_service_and_model),
        cmocka_unit_test(health_begins_anew_when_a_model_is_served_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
