#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "base/error.h"
#include "shell/moment.h"

#define AT   INT64_C(1700000000000) /* 2023-11-14T22:13:20Z */
#define LAST (AT + 600000)

static int set_up(void **state)
{
    (void)state;
    (void)setenv("TZ", "XXX-2", 1); /* two hours ahead */
    tzset();
    return 0;
}

static void moments_are_read_in_every_form(void **state)
{
    static const struct {
        const char *text;
        int64_t want;
    } good[] = {
        {"end", LAST},
        {"10m", AT},
        {"+10s", AT + 10000},
        {"-1m30s", AT - 90000},
        {"2023-11-14T22:13:25Z", AT + 5000},
        {"2023-11-15T00:13:25.250+02:00", AT + 5250},
        {"00:14", AT + 40000},
        {"00:13:21", AT + 1000},
        {"00:13:21.5", AT + 1500},
        {"00:13:21.0259", AT + 1025},
        {"11-14 23:13:20", AT - 3600000},
        {"11-15 00:13:20.001", AT + 1},
        {"11-15 00:15", AT + 100000},
    };
    static const char *const bad[] = {
        "",          "x",  "+",     "-",           "+-1s", "25:00", "00:13:21.",
        "00:13:21x", "::", "11-15", "13-01 00:00", "end ", "--1s"};
    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        int64_t out = 0;
        if (moment_parse(good[i].text, AT, LAST, &out) != 0 || out != good[i].want)
            fail_msg("%s: %lld", good[i].text, (long long)(out - AT));
    }
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        int64_t out = 7;
        if (moment_parse(bad[i], AT, LAST, &out) != ERR_INVALID || out != 7)
            fail_msg("%s: %lld", bad[i], (long long)out);
    }
}

static void what_is_shown_can_be_read(void **state)
{
    char text[MOMENT_TEXT_MAX];
    int64_t out;
    (void)state;
    assert_string_equal(moment_format(AT + 7, text), "11-15 00:13:20.007");
    assert_int_equal(moment_parse(text, AT, LAST, &out), 0);
    assert_true(out == AT + 7);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(moments_are_read_in_every_form),
        cmocka_unit_test(what_is_shown_can_be_read),
    };
    return cmocka_run_group_tests(tests, set_up, NULL);
}
