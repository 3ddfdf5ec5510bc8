#include "core/delta_value.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "tests/unit/generated.h"

static const struct delta_type longs = {.kind = DELTA_LONG};
static const struct delta_type decimals = {.kind = DELTA_DECIMAL, .precision = 10, .scale = 2};
static const struct delta_type wide = {.kind = DELTA_DECIMAL, .precision = 38, .scale = 37};
static const struct delta_type dates = {.kind = DELTA_DATE};
static const struct delta_type times = {.kind = DELTA_TIMESTAMP};
static const struct delta_type locals = {.kind = DELTA_TIMESTAMP_NTZ};
static const struct delta_type doubles = {.kind = DELTA_DOUBLE};
static const struct delta_type bools = {.kind = DELTA_BOOLEAN};
static const struct delta_type strings = {.kind = DELTA_STRING};

static struct delta_value parse(const struct delta_type *type, const char *text)
{
    struct delta_value value;
    delta_value_parse(type, text, strlen(text), &value);
    return value;
}

static void check(const struct delta_type *type, const char *text, const char *json,
                  const char *plain)
{
    struct delta_value value = parse(type, text);
    struct buf b;
    if (value.class == DELTA_CLASS_NONE)
        fail_msg("%s is no value", text);
    buf_init(&b, 1000);
    assert_int_equal(delta_value_format_json(type, &value, &b), 0);
    assert_string_equal(buf_cstr(&b), json);
    buf_clear(&b);
    assert_int_equal(delta_value_format_text(type, &value, &b), 0);
    assert_string_equal(buf_cstr(&b), plain);
    buf_done(&b);
}

static void values_are_written_as_statistics_and_for_casts(void **state)
{
    (void)state;
    check(&longs, "-9223372036854775808", "-9223372036854775808", "-9223372036854775808");
    check(&longs, "1e3", "1000", "1000");
    check(&longs, "0", "0", "0");
    check(&decimals, "-0.5", "-0.50", "-0.50");
    check(&decimals, "12345678.9", "12345678.90", "12345678.90");
    check(&wide, "1.2345678901234567890123456789012345678",
          "1.2345678901234567890123456789012345678", "1.2345678901234567890123456789012345678");
    check(&dates, "2024-02-29", "\"2024-02-29\"", "2024-02-29");
    check(&dates, "0001-01-01", "\"0001-01-01\"", "0001-01-01");
    check(&times, "2024-01-02 10:00:00.5+02", "\"2024-01-02T08:00:00.500000Z\"",
          "2024-01-02 08:00:00.500000+00");
    check(&times, "1969-12-31T23:59:59.999999Z", "\"1969-12-31T23:59:59.999999Z\"",
          "1969-12-31 23:59:59.999999+00");
    check(&locals, "2024-01-02", "\"2024-01-02T00:00:00.000000\"", "2024-01-02 00:00:00.000000");
    check(&doubles, "0.1", "0.1", "0.1");
    check(&doubles, "1e300", "1e+300", "1e+300");
    check(&doubles, "-inf", "\"-Infinity\"", "-Infinity");
    check(&bools, "true", "true", "true");
    check(&strings, "a\"\n", "\"a\\\"\\n\"", "a\"\n");
}

static void what_is_no_value_is_none(void **state)
{
    (void)state;
    static const struct {
        const struct delta_type *type;
        const char *text;
    } bad[] = {
        {&longs, ""},
        {&longs, "x"},
        {&longs, "1x"},
        {&longs, "."},
        {&longs, "1e99999"},
        {&longs, "1e99"},
        {&decimals, "NaN"},
        {&dates, "2023-02-29"},
        {&dates, "2024-1"},
        {&dates, "2024-13-01"},
        {&dates, "24-01-01"},
        {&dates, "infinity"},
        {&dates, "2024-01-01 10:00:00"},
        {&times, "10:00"},
        {&times, "2024-01-01 24:00:00"},
        {&times, "2024-01-01 10:00:00 Europe/Berlin"},
        {&locals, "2024-01-01 10:00:00+01"},
        {&doubles, "nan"},
        {&doubles, "0x10"},
        {&doubles, "1,5"},
        {&bools, "yes"},
        {&doubles, " 1"},
    };
    for (size_t i = 0; i < MEM_COUNT(bad); i++)
        if (parse(bad[i].type, bad[i].text).class != DELTA_CLASS_NONE)
            fail_msg("%s was taken", bad[i].text);
}

static void a_literal_between_two_values_of_the_type_lies_between_them(void **state)
{
    (void)state;
    struct delta_value three = parse(&longs, "3"), four = parse(&longs, "4"),
                       between = parse(&longs, "3.5"), below = parse(&longs, "-3.5"),
                       minus_four = parse(&longs, "-4"), minus_three = parse(&longs, "-3");
    assert_true(between.above);
    assert_true(delta_value_compare(&three, &between) < 0);
    assert_true(delta_value_compare(&between, &four) < 0);
    assert_true(delta_value_compare(&minus_four, &below) < 0);
    assert_true(delta_value_compare(&below, &minus_three) < 0);
    struct delta_value cent = parse(&decimals, "0.01"), less = parse(&decimals, "0.009");
    assert_true(delta_value_compare(&less, &cent) < 0);
}

static void partition_values_are_brought_into_deltas_form(void **state)
{
    (void)state;
    static const struct {
        const struct delta_type *type;
        const char *duckdb, *delta;
    } cases[] = {
        {&longs, "42", "42"},
        {&decimals, "1.5", "1.50"},
        {&dates, "2024-01-02", "2024-01-02"},
        {&times, "2024-01-02 10:00:00.25+02", "2024-01-02T08:00:00.250000Z"},
        {&locals, "2024-01-02 10:00:00", "2024-01-02 10:00:00.000000"},
        {&bools, "false", "false"},
        {&strings, "a/b=c %", "a/b=c %"},
        {&strings, "", NULL},
        {&longs, NULL, NULL},
    };
    char *out;
    for (size_t i = 0; i < MEM_COUNT(cases); i++) {
        assert_int_equal(delta_partition_format(cases[i].type, cases[i].duckdb, &out, NULL), 0);
        if (cases[i].delta == NULL)
            assert_null(out);
        else
            assert_string_equal(out, cases[i].delta);
        free(out);
    }
    struct delta_type binary = {.kind = DELTA_BINARY};
    assert_int_equal(delta_partition_format(&binary, "x", &out, NULL), ERR_UNSUPPORTED);
    assert_int_equal(delta_partition_format(&longs, "x", &out, NULL), ERR_INVALID);
}

static void days_of_four_centuries_come_back(void **state)
{
    (void)state;
    struct delta_value value = parse(&dates, "1899-12-31");
    int64_t last = (int64_t)value.whole;
    for (int year = 1900; year < 2301; year++)
        for (int month = 1; month <= 12; month++)
            for (int day = 1; day <= 31; day++) {
                char text[32];
                struct buf b;
                snprintf(text, sizeof text, "%04d-%02d-%02d", year, month, day);
                value = parse(&dates, text);
                if (value.class == DELTA_CLASS_NONE)
                    continue;
                assert_int_equal((int64_t)value.whole, last + 1);
                last++;
                buf_init(&b, 32);
                delta_value_format_text(&dates, &value, &b);
                assert_string_equal(buf_cstr(&b), text);
                buf_done(&b);
            }
    assert_int_equal((int64_t)parse(&dates, "1970-01-01").whole, 0);
}

static void numbers_compare_as_doubles_do(void **state)
{
    (void)state;
    struct generated g;
    generated_init(&g, 20000);
    while (generated_next(&g)) {
        char a[32], b[32];
        int64_t x = (int64_t)prng_below(&g.prng, 4000) - 2000;
        int64_t y = (int64_t)prng_below(&g.prng, 4000) - 2000;
        snprintf(a, sizeof a, "%.3f", (double)x / 1000);
        snprintf(b, sizeof b, "%.3f", (double)y / 1000);
        struct delta_value left = parse(&decimals, a), right = parse(&decimals, b);
        int order = delta_value_compare(&left, &right);
        /* Within one hundredth the order of two literals does not matter. */
        if (x / 10 != y / 10 || left.whole != right.whole)
            generated_check(&g, (order < 0) == (x < y) || left.whole == right.whole, "%s %s", a, b);
        struct delta_value whole = parse(&decimals, "0.25");
        order = delta_value_compare(&whole, &right);
        generated_check(&g, (order < 0) == (250 < y) && (order > 0) == (250 > y), "0.25 %s", b);
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_are_written_as_statistics_and_for_casts),
        cmocka_unit_test(what_is_no_value_is_none),
        cmocka_unit_test(a_literal_between_two_values_of_the_type_lies_between_them),
        cmocka_unit_test(partition_values_are_brought_into_deltas_form),
        cmocka_unit_test(days_of_four_centuries_come_back),
        cmocka_unit_test(numbers_compare_as_doubles_do),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
