#include "base/clock.h"

#include <string.h>

#include "base/error.h"
#include "tests/unit/generated.h"

static void assert_time(const char *text, int64_t want_ms)
{
    int64_t ms = -1;
    assert_int_equal(clock_parse_rfc3339(text, &ms), 0);
    assert_int_equal(ms, want_ms);
}

static void the_examples_of_rfc_3339_are_read(void **state)
{
    (void)state;
    assert_time("1985-04-12T23:20:50.52Z", INT64_C(482196050520));
    assert_time("1996-12-19T16:39:57-08:00", INT64_C(851042397000));
    assert_time("1990-12-31T23:59:60Z", INT64_C(662688000000));
    assert_time("1990-12-31T15:59:60-08:00", INT64_C(662688000000));
    assert_time("1937-01-01T12:00:27.87+00:20", INT64_C(-1041337172130));
}

static void dates_at_the_edges_are_read(void **state)
{
    (void)state;
    assert_time("1970-01-01T00:00:00Z", 0);
    assert_time("1969-12-31t23:59:59.999z", -1);
    assert_time("1970-01-01 00:00:00.123456789Z", 123);
    assert_time("1970-01-01T00:00:00.9999Z", 999);
    assert_time("2000-02-29T00:00:00Z", INT64_C(951782400000));
    assert_time("0000-01-01T00:00:00Z", INT64_C(-62167219200000));
    assert_time("9999-12-31T23:59:59.999Z", INT64_C(253402300799999));
    assert_time("1970-01-01T23:59:00+23:59", 0);
}

static void wrong_forms_are_refused(void **state)
{
    (void)state;
    static const char *const wrong[] = {
        "",
        "2026",
        "2026-11-20",
        "2026-11-20T20:15:04",
        "2026-11-20T20:15Z",
        "2026-11-20T20:15:04.Z",
        "2026-11-20T20:15:04.1234567890Z",
        "2026-11-20T20:15:04Zx",
        "2026-11-20T20:15:04+1:00",
        "2026-11-20T20:15:04+ 1:00",
        "2026-11-20T20:15:04+0100",
        "2026-11-20T20:15:04+24:00",
        "2026-11-20T20:15:04+01:60",
        "2026-1-2T20:15:04Z",
        " 2026-11-20T20:15:04Z",
        "-026-11-20T20:15:04Z",
        "2026-13-01T20:15:04Z",
        "2026-00-01T20:15:04Z",
        "2026-11-31T20:15:04Z",
        "2026-02-29T20:15:04Z",
        "1900-02-29T20:15:04Z",
        "2026-11-00T20:15:04Z",
        "2026-11-20T24:00:00Z",
        "2026-11-20T20:60:00Z",
        "2026-11-20T20:15:61Z",
        "2026-11-20_20:15:04Z",
    };
    int64_t ms = 77;
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        assert_int_equal(clock_parse_rfc3339(wrong[i], &ms), ERR_INVALID);
    assert_int_equal(ms, 77);
}

static void times_read_back_as_written(void **state)
{
    (void)state;
    struct generated g;
    generated_init(&g, 5000);
    while (generated_next(&g)) {
        uint64_t span = UINT64_C(253402300799999) + UINT64_C(62167219200000);
        int64_t ms = (int64_t)prng_between(&g.prng, 0, span) - INT64_C(62167219200000);
        int64_t again = -1;
        char out[CLOCK_RFC3339_MAX];
        clock_format_rfc3339(ms, out);
        generated_check(&g, strlen(out) == 24, "%s", out);
        generated_check(&g, clock_parse_rfc3339(out, &again) == 0, "%s", out);
        generated_check(&g, ms == again, "%" PRId64 " is %s", ms, out);
    }
}

static void times_out_of_range_are_written_as_the_nearest(void **state)
{
    (void)state;
    char out[CLOCK_RFC3339_MAX];
    assert_string_equal(clock_format_rfc3339(INT64_MAX, out), "9999-12-31T23:59:59.999Z");
    assert_string_equal(clock_format_rfc3339(INT64_MIN, out), "0000-01-01T00:00:00.000Z");
}

/* A right time with up to three wrong characters is refused, or reads as some other time. */
static void damaged_times_are_refused_or_read_in_range(void **state)
{
    (void)state;
    struct generated g;
    generated_init(&g, 30000);
    while (generated_next(&g)) {
        char text[] = "2026-11-20T20:15:04.123+01:00";
        static const char alphabet[] = "0123456789-:.TZ+ \xff";
        for (uint64_t n = prng_between(&g.prng, 1, 3); n > 0; n--)
            text[prng_below(&g.prng, sizeof text - 1)] =
                alphabet[prng_below(&g.prng, sizeof alphabet)];
        int64_t ms = 77;
        int64_t again = 78;
        char out[CLOCK_RFC3339_MAX];
        int err = clock_parse_rfc3339(text, &ms);
        generated_check(&g, err == 0 || (err == ERR_INVALID && ms == 77), "\"%s\"", text);
        (void)clock_parse_rfc3339(clock_format_rfc3339(ms, out), &again);
        bool at_an_edge = strncmp(text, "0000", 4) == 0 || strncmp(text, "9999", 4) == 0;
        generated_check(&g, at_an_edge || again == ms, "\"%s\" is %s", text, out);
    }
}

static void the_monotonic_clock_never_goes_back(void **state)
{
    (void)state;
    int64_t before = clock_mono_us();
    for (int i = 0; i < 1000; i++) {
        int64_t now = clock_mono_us();
        assert_true(now >= before);
        before = now;
    }
    assert_true(clock_mono_ms() >= before / 1000);
    assert_true(clock_wall_ms() > INT64_C(1700000000000));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_examples_of_rfc_3339_are_read),
        cmocka_unit_test(dates_at_the_edges_are_read),
        cmocka_unit_test(wrong_forms_are_refused),
        cmocka_unit_test(times_read_back_as_written),
        cmocka_unit_test(times_out_of_range_are_written_as_the_nearest),
        cmocka_unit_test(damaged_times_are_refused_or_read_in_range),
        cmocka_unit_test(the_monotonic_clock_never_goes_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
