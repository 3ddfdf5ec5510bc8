/* Rollouts as trees. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "shell/rollout_tree.h"
#include "shell/text.h"

/* `more`: pairs that replace those of a rollout at its second step. */
static void assert_tree(const char *more, size_t width, const char *expected)
{
    json_t *rollout = json_loads(
        "{\"kind\":\"canary\",\"state\":\"watching\",\"step\":1,\"weight\":25,\"since_ms\":1000000,"
        "\"pause_left_ms\":0,\"text\":\"25 % of the traffic are on the canary\","
        "\"steps\":\"5:1m,25:10m,50:wait,100\",\"gates\":[],"
        "\"targets\":[{\"service\":\"web\",\"stable\":\"m1\",\"canary\":\"m2\",\"to_version\":0}]}",
        0, NULL);
    json_t *other = json_loads(more, 0, NULL);
    assert_non_null(rollout);
    assert_non_null(other);
    (void)json_object_update(rollout, other);
    json_decref(other);
    struct buf b;
    buf_init(&b, 1 << 16);
    size_t lines = rollout_tree(rollout, 1123000, width, false, &b);
    assert_string_equal(buf_cstr(&b), expected);
    size_t newlines = 0;
    for (size_t i = 0; i < b.len; i++)
        newlines += b.data[i] == '\n';
    assert_int_equal(lines, newlines);
    buf_done(&b);
    json_decref(rollout);
}

static void a_tree_shows_what_is_done_what_is_measured_and_what_is_left(void **state)
{
    (void)state;
    text_set_utf8(true);
    assert_tree(
        "{\"gates\":[{\"gate\":\"errors<=1%\",\"verdict\":\"pass\",\"text\":\"0.2 % errors of "
        "m2\"},"
        "{\"gate\":\"p95<=250ms\",\"verdict\":\"inconclusive\",\"text\":\"12 requests\"},"
        "{\"gate\":\"command:x\",\"verdict\":\"none\",\"text\":\"\"}]}",
        0,
        "● web  m1 → m2  watching: 25 % of the traffic are on the canary\n"
        "├─ ✔   5 %  1m\n"
        "├─ ●  25 %  10m, 7m57s left\n"
        "│  ├─ ✔ errors<=1%  0.2 % errors of m2\n"
        "│  ├─ ? p95<=250ms  12 requests\n"
        "│  └─ ○ command:x  not measured yet\n"
        "├─ ○  50 %  until promote\n"
        "└─ ○ 100 %\n");
}

static void without_utf_8_a_tree_is_ascii(void **state)
{
    (void)state;
    text_set_utf8(false);
    assert_tree("{\"state\":\"switching\",\"step\":3,\"text\":\"\",\"weight\":50,"
                "\"targets\":[{\"service\":\"web\",\"stable\":\"m1\",\"canary\":\"m2\"},"
                "{\"service\":\"api\",\"stable\":\"a\",\"canary\":\"b\"}]}",
                0,
                "> web  m1 -> m2  switching, 50 % of the traffic\n"
                "> api  a -> b  in the same transactions\n"
                "|- +   5 %  1m\n"
                "|- +  25 %  10m\n"
                "|- +  50 %  until promote\n"
                "`- > 100 %  the nodes agree on it\n");
}

static void how_it_ended_and_what_holds_it_is_told(void **state)
{
    (void)state;
    text_set_utf8(false);
    assert_tree("{\"state\":\"aborted\",\"weight\":0,\"text\":\"gate errors<=1%: 9 %\"}", 0,
                "x web  m1 -> m2  aborted, 0 % of the traffic: gate errors<=1%: 9 %\n"
                "|- +   5 %  1m\n"
                "|- x  25 %  taken back\n"
                "|- .  50 %  until promote\n"
                "`- . 100 %\n");
    assert_tree(
        "{\"state\":\"promoted\",\"weight\":100,\"step\":3,\"text\":\"\",\"steps\":\"50:1m,100\"}",
        0,
        "+ web  m1 -> m2  promoted, 100 % of the traffic\n"
        "|- +  50 %  1m\n"
        "`- + 100 %\n");
    assert_tree(
        "{\"state\":\"paused\",\"pause_left_ms\":90000,\"text\":\"\",\"steps\":\"5,25:10m,100\"}",
        0,
        "= web  m1 -> m2  paused, 25 % of the traffic\n"
        "|- +   5 %\n"
        "|- =  25 %  10m, 1m30s left\n"
        "`- . 100 %\n");
    assert_tree("{\"text\":\"\",\"steps\":\"5,25:2m,100\"}", 0,
                "> web  m1 -> m2  watching, 25 % of the traffic\n"
                "|- +   5 %\n"
                "|- >  25 %  2m are over, the gates must pass\n"
                "`- . 100 %\n");
    assert_tree(
        "{\"kind\":\"rollback\",\"state\":\"rolled_back\",\"weight\":100,\"text\":\"slow\","
        "\"targets\":[{\"service\":\"web\",\"stable\":\"m2\",\"canary\":\"m1\",\"to_version\":3}]}",
        0, "+ web  m2 -> m1 of version 3  rolled_back, 100 % of the traffic: slow\n");
}

static void a_plan_is_a_tree_of_what_is_to_come(void **state)
{
    (void)state;
    text_set_utf8(false);
    assert_tree("{\"state\":\"none\",\"step\":0,\"weight\":0,\"text\":\"\",\"steps\":\"5:1m,100\","
                "\"gates\":[{\"gate\":\"errors<=1%\",\"verdict\":\"none\",\"text\":\"\"}]}",
                0,
                ". web  m1 -> m2  what would be done\n"
                "|- .   5 %  1m\n"
                "|  `- . errors<=1%  not measured yet\n"
                "`- . 100 %\n");
    assert_tree("{\"state\":\"none\",\"step\":0,\"text\":\"\","
                "\"targets\":[{\"service\":\"new\",\"stable\":\"\",\"canary\":\"m2\"}]}",
                0,
                ". new  -> m2  what would be done\n"
                "`- . 100 %  at once: the service is new\n");
}

static void lines_are_cut_to_the_terminal_and_obey_nothing(void **state)
{
    (void)state;
    text_set_utf8(true);
    assert_tree("{\"text\":\"a\\u001b[2Jb\",\"steps\":\"100\",\"step\":0}", 30,
                "● web  m1 → m2  watching, 25 …\n"
                "└─ ● 100 %\n");
    text_set_utf8(false);
    assert_tree("{\"text\":\"a\\u001b[2Jb\",\"steps\":\"100\",\"step\":0}", 0,
                "> web  m1 -> m2  watching, 25 % of the traffic: a\\x1b[2Jb\n"
                "`- > 100 %\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_tree_shows_what_is_done_what_is_measured_and_what_is_left),
        cmocka_unit_test(without_utf_8_a_tree_is_ascii),
        cmocka_unit_test(how_it_ended_and_what_holds_it_is_told),
        cmocka_unit_test(a_plan_is_a_tree_of_what_is_to_come),
        cmocka_unit_test(lines_are_cut_to_the_terminal_and_obey_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
