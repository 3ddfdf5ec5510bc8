/* Which model answers: weights, what is refused, bytes and back. */
#include "tests/unit/generated.h"

#include <stdio.h>
#include <string.h>

#include "core/health.h"
#include "core/health_window.h"
#include "core/routing.h"

static struct routing_state split(int stable, int canary)
{
    struct routing_state state = {.version = 7, .stable_weight = stable, .canary_weight = canary};
    strcpy(state.service, "default");
    strcpy(state.stable, "m1");
    strcpy(state.canary, canary > 0 ? "m2" : "");
    state.txid.bytes[3] = 9;
    return state;
}

static bool knows_m1_and_m2(void *arg, const char *model)
{
    (void)arg;
    return strcmp(model, "m1") == 0 || strcmp(model, "m2") == 0;
}

static int check(const struct routing_state *state, struct error *e)
{
    return routing_check(state, knows_m1_and_m2, NULL, e);
}

static void weights_sum_to_100_and_none_is_negative(void **state)
{
    (void)state;
    struct error e;
    struct routing_state good = split(95, 5);
    assert_int_equal(check(&good, &e), 0);
    struct routing_state bad = split(95, 6);
    assert_int_equal(check(&bad, &e), ERR_INVALID);
    assert_string_equal(e.text, "weights sum to 100; 95 and 6 don't");
    bad = split(105, -5);
    strcpy(bad.canary, "m2");
    assert_int_equal(check(&bad, &e), ERR_INVALID);
    assert_non_null(strstr(e.text, "-5 is negative"));
    bad = split(2147483647, 2147483647);
    assert_int_equal(check(&bad, &e), ERR_INVALID);
}

static void models_are_known_and_differ(void **state)
{
    (void)state;
    struct error e;
    struct routing_state bad = split(95, 5);
    strcpy(bad.canary, "m3");
    assert_int_equal(check(&bad, &e), ERR_NOT_FOUND);
    assert_non_null(strstr(e.text, "model add"));
    strcpy(bad.canary, "m1");
    assert_int_equal(check(&bad, &e), ERR_INVALID);
    strcpy(bad.canary, "");
    assert_int_equal(check(&bad, &e), ERR_INVALID);
    bad = split(100, 0);
    strcpy(bad.stable, "no/name");
    assert_int_equal(check(&bad, &e), ERR_INVALID);
    bad = split(100, 0);
    assert_int_equal(check(&bad, &e), 0);
    assert_string_equal(routing_status(&bad), "stable");
}

static void a_state_survives_as_bytes_and_damage_is_refused(void **state)
{
    (void)state;
    struct routing_state before = split(60, 40);
    strcpy(before.gate.model, "m2");
    before.gate.errors_permille_max = 10;
    before.gate.p95_us_max = 250000;
    before.gate.samples_min = 50;
    strcpy(before.by, "ada");
    strcpy(before.reason, "release 9");
    struct buf bytes;
    buf_init(&bytes, 8192);
    assert_int_equal(routing_encode(&before, &bytes), 0);
    struct routing_state after;
    assert_int_equal(routing_decode(bytes.data, bytes.len, &after), 0);
    assert_memory_equal(&before, &after, sizeof after);
    struct generated g;
    generated_init(&g, 3000);
    while (generated_next(&g)) {
        uint8_t damaged[512];
        assert_true(bytes.len <= sizeof damaged);
        memcpy(damaged, bytes.data, bytes.len);
        size_t len = prng_below(&g.prng, bytes.len + 1);
        if (len > 0)
            damaged[prng_below(&g.prng, len)] ^= (uint8_t)prng_between(&g.prng, 1, 255);
        if (routing_decode(damaged, len, &after) == 0)
            generated_check(&g, check(&after, NULL) != ERR_INVALID, "length %zu", len);
    }
    buf_done(&bytes);
}

static void a_percentile_is_right_within_its_bucket(void **state)
{
    (void)state;
    struct generated g;
    generated_init(&g, 300);
    while (generated_next(&g)) {
        struct health health = {0};
        uint64_t values[200];
        size_t n = 1 + prng_below(&g.prng, 200);
        for (size_t i = 0; i < n; i++) {
            values[i] = prng_below(&g.prng, UINT64_C(1) << prng_between(&g.prng, 1, 26));
            health_count(&health, false, values[i]);
            for (size_t k = i; k > 0 && values[k] < values[k - 1]; k--) {
                uint64_t swap = values[k];
                values[k] = values[k - 1];
                values[k - 1] = swap;
            }
        }
        unsigned permille = (unsigned)prng_between(&g.prng, 1, 1000);
        uint64_t exact = values[(n * permille + 999) / 1000 - 1];
        uint64_t got = health_percentile_us(&health, permille);
        generated_check(&g, got > exact, "%u permille: %llu", permille, (unsigned long long)got);
        generated_check(&g, got <= exact + exact / 4 + HEALTH_LATENCY_US_MIN, "%llu for %llu",
                        (unsigned long long)got, (unsigned long long)exact);
    }
}

static void buckets_cover_every_latency(void **state)
{
    (void)state;
    for (unsigned i = 0; i + 1 < HEALTH_BUCKETS; i++) {
        assert_int_equal(health_bucket(health_bucket_limit_us(i) - 1), i);
        assert_int_equal(health_bucket(health_bucket_limit_us(i)), i + 1);
    }
    assert_int_equal(health_bucket(UINT64_MAX), HEALTH_BUCKETS - 1);
}

static void a_window_is_what_came_since_and_a_restart_begins_anew(void **state)
{
    (void)state;
    struct health before = {0};
    for (int i = 0; i < 10; i++)
        health_count(&before, i == 0, 1000);
    struct health now = before;
    for (int i = 0; i < 5; i++)
        health_count(&now, true, 200000);
    struct health since;
    health_since(&now, &before, &since);
    assert_int_equal(since.requests, 5);
    assert_int_equal(health_errors_permille(&since), 1000);
    assert_true(health_percentile_us(&since, 500) > 200000);
    health_since(&before, &now, &since);
    assert_int_equal(since.requests, 10);
    struct health none = {0};
    assert_int_equal(health_percentile_us(&none, 950), 0);
    assert_int_equal(health_errors_permille(&none), 0);
}

static void a_window_forgets_what_is_older(void **state)
{
    (void)state;
    struct generated g;
    generated_init(&g, 200);
    while (generated_next(&g)) {
        struct health_window window = {0};
        struct health total = {0};
        uint64_t by_second[400];
        int64_t span_ms = (int64_t)prng_between(&g.prng, 5, 120) * 1000;
        for (int second = 0; second < 400; second++) {
            by_second[second] = total.requests;
            for (uint64_t n = prng_below(&g.prng, 5); n > 0; n--)
                health_count(&total, false, 1000);
            health_window_read(&window, second * 1000, span_ms, &total);
        }
        struct health got;
        health_window_get(&window, 399000, span_ms, &got);
        uint64_t most = total.requests - by_second[399 - span_ms / 1000];
        /* it may lack as much as lies between two readings */
        uint64_t least = total.requests - by_second[399 - span_ms / 1000 + span_ms / 15000 + 2];
        generated_check(&g, got.requests <= most && got.requests >= least, "%llu of %llu to %llu",
                        (unsigned long long)got.requests, (unsigned long long)least,
                        (unsigned long long)most);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(weights_sum_to_100_and_none_is_negative),
        cmocka_unit_test(models_are_known_and_differ),
        cmocka_unit_test(a_state_survives_as_bytes_and_damage_is_refused),
        cmocka_unit_test(a_percentile_is_right_within_its_bucket),
        cmocka_unit_test(buckets_cover_every_latency),
        cmocka_unit_test(a_window_is_what_came_since_and_a_restart_begins_anew),
        cmocka_unit_test(a_window_forgets_what_is_older),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
