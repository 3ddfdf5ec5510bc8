#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/clock.h"
#include "tui/model_vitals.h"

#define T0_MS INT64_C(1700000040000) /* a full minute */

static void feed(struct model_vitals *vitals, int64_t at_ms, int64_t step_ms, const char *nodes)
{
    char at[CLOCK_RFC3339_MAX], line[512];
    int n = snprintf(line, sizeof line,
                     "{\"at\":\"%s\",\"step_ms\":%lld,\"columns\":[\"novelty\",\"cpu_percent\","
                     "\"beat_ms\"],\"nodes\":{%s}}",
                     clock_format_rfc3339(at_ms, at), (long long)step_ms, nodes);
    assert_true(model_vitals_read(vitals, line, (size_t)n));
}

static void feed_cpu(struct model_vitals *vitals, int64_t at_ms, double cpu, double beat)
{
    char nodes[128];
    (void)snprintf(nodes, sizeof nodes, "\"n1\":[9,%.1f,%.1f]", cpu, beat);
    feed(vitals, at_ms, 1000, nodes);
}

static void test_seconds_are_as_they_came(void **state)
{
    struct model_vitals *vitals = model_vitals_new();
    float out[5];
    (void)state;
    for (int i = 0; i < 4; i++)
        if (i != 2)
            feed_cpu(vitals, T0_MS + i * 1000, i * 10, 1);
    feed(vitals, T0_MS + 2000, 1000, "\"n2\":[1,2,3]"); /* late for n1, first for n2 */
    model_vitals_get(vitals, "n1", MODEL_VITAL_CPU, T0_MS + 3000, 1000, 5, out);
    assert_true(isnan(out[0]));
    assert_true(fabsf(out[1]) < 0.01F);
    assert_true(fabsf(out[2] - 10) < 0.1F);
    assert_true(isnan(out[3]));
    assert_true(fabsf(out[4] - 30) < 0.2F);
    assert_true(fabsf(model_vitals_value(vitals, "n1", MODEL_VITAL_CPU, T0_MS + 1500) - 10) < 0.1F);
    assert_true(isnan(model_vitals_value(vitals, "n1", MODEL_VITAL_CPU, T0_MS + 90000)));
    assert_true(isnan(model_vitals_value(vitals, "n9", MODEL_VITAL_CPU, T0_MS)));
    model_vitals_free(vitals);
}

static void test_a_jitter_around_the_second_leaves_no_gap(void **state)
{
    struct model_vitals *vitals = model_vitals_new();
    float out[4];
    (void)state;
    feed_cpu(vitals, T0_MS + 100, 10, 1);
    feed_cpu(vitals, T0_MS + 1990, 20, 1);
    feed_cpu(vitals, T0_MS + 3001, 30, 1);
    feed_cpu(vitals, T0_MS + 5100, 40, 1); /* one was left out */
    model_vitals_get(vitals, "n1", MODEL_VITAL_CPU, T0_MS + 3500, 1000, 4, out);
    for (size_t i = 0; i < 4; i++)
        assert_false(isnan(out[i]));
    model_vitals_get(vitals, "n1", MODEL_VITAL_CPU, T0_MS + 4500, 1000, 1, out);
    assert_true(isnan(out[0]));
    model_vitals_free(vitals);
}

static void test_longer_steps_are_means_and_peaks(void **state)
{
    struct model_vitals *vitals = model_vitals_new();
    float out[2];
    (void)state;
    for (int i = 0; i < 2000; i++)
        feed_cpu(vitals, T0_MS + i * INT64_C(1000), i % 2 == 0 ? 10 : 30, i % 10 == 5 ? 900 : 5);
    int64_t end_ms = T0_MS + 1999000;
    model_vitals_get(vitals, "n1", MODEL_VITAL_CPU, end_ms, 60000, 2, out);
    assert_true(fabsf(out[0] - 20) < 1);
    model_vitals_get(vitals, "n1", MODEL_VITAL_BEAT, end_ms, 60000, 2, out);
    assert_true(fabsf(out[0] - 900) < 4);
    /* beyond what is kept of seconds */
    model_vitals_get(vitals, "n1", MODEL_VITAL_CPU, T0_MS + 100000, 10000, 1, out);
    assert_true(fabsf(out[0] - 20) < 1);
    model_vitals_free(vitals);
}

static void test_malformed_lines_are_refused(void **state)
{
    static const char *const lines[] = {
        "",
        "{}",
        "[]",
        "{\"at\":\"2026-01-01T00:00:00Z\"}",
        "{\"at\":\"x\",\"nodes\":{}}",
        "{\"at\":\"2026-01-01T00:00:00Z\",\"nodes\":{\"n1\":[1,}}",
        "{\"at\":\"2026-01-01T00:00:00Z\",\"step_ms\":-5,\"nodes\":{}}"};
    struct model_vitals *vitals = model_vitals_new();
    (void)state;
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++)
        assert_false(model_vitals_read(vitals, lines[i], strlen(lines[i])));
    feed(vitals, T0_MS, 1000, "\"n1\":[\"a\",{},[1]],\"n2\":7,\"n3\":null");
    feed(vitals, T0_MS, INT64_C(9000000000000), "\"n1\":[1,2,3,4,5,6,7,8,9,10,11]");
    model_vitals_free(vitals);
}

static void test_memory_has_bounds(void **state)
{
    struct model_vitals *vitals = model_vitals_new();
    static char nodes[64 * 1024], line[80 * 1024];
    char at[CLOCK_RFC3339_MAX];
    size_t len = 0;
    (void)state;
    for (unsigned i = 0; i < 1000; i++)
        len += (size_t)snprintf(nodes + len, sizeof nodes - len, "%s\"n%u\":[1,2,3,4,5,6,7,8]",
                                i > 0 ? "," : "", i);
    for (int i = 0; i < 400; i++) {
        int n = snprintf(line, sizeof line, "{\"at\":\"%s\",\"nodes\":{%s}}",
                         clock_format_rfc3339(T0_MS + i * INT64_C(7000), at), nodes);
        assert_true(model_vitals_read(vitals, line, (size_t)n));
    }
    assert_true(model_vitals_bytes(vitals) < 16 * 1024 * 1024);
    model_vitals_clear(vitals);
    assert_int_equal(model_vitals_bytes(vitals), 0);
    model_vitals_free(vitals);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_seconds_are_as_they_came),
        cmocka_unit_test(test_a_jitter_around_the_second_leaves_no_gap),
        cmocka_unit_test(test_longer_steps_are_means_and_peaks),
        cmocka_unit_test(test_malformed_lines_are_refused),
        cmocka_unit_test(test_memory_has_bounds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
