#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "shell/gather.h"

static void end(struct gather *g, const char *name, const char *out, int exit_code)
{
    struct gather_node *node = gather_node(g, name);
    (void)buf_append_str(&node->output[GATHER_STDOUT], out);
    node->ended = true;
    node->exit_code = exit_code;
    gather_end(node, exit_code == 0 ? "ok" : "exit_nonzero", "");
}

static void lose(struct gather *g, const char *name, const char *text)
{
    struct gather_node *node = gather_node(g, name);
    node->failed = true;
    gather_end(node, "unavailable", text);
}

static void assert_format(const struct gather *g, const char *expected)
{
    struct buf b;
    buf_init(&b, 1 << 20);
    gather_format(g, GATHER_STDOUT, false, false, &b);
    assert_string_equal(buf_cstr(&b), expected);
    buf_done(&b);
}

static void equal_outputs_are_told_once_largest_group_first(void **state)
{
    (void)state;
    struct gather g;
    gather_init(&g);
    end(&g, "n10", "other\n", 0);
    end(&g, "n2", "same\n", 0);
    end(&g, "n3", "same\n", 0);
    end(&g, "n1", "same\n", 0);
    end(&g, "web", "no newline", 0);
    end(&g, "quiet", "", 0);
    assert_format(&g, "---------------\nn[1-3] (3)\n---------------\nsame\n"
                      "---------------\nn10\n---------------\nother\n"
                      "---------------\nweb\n---------------\nno newline\n");
    assert_int_equal(gather_status(&g), 0);
    gather_done(&g);
}

static void failures_are_folded_by_how_they_failed(void **state)
{
    (void)state;
    struct gather g;
    struct buf b;
    gather_init(&g);
    buf_init(&b, 4096);
    end(&g, "n1", "", 0);
    end(&g, "n2", "", 3);
    end(&g, "n3", "", 3);
    end(&g, "n4", "", 137);
    lose(&g, "n5", "n5 is offline");
    gather_failures(&g, &b);
    assert_string_equal(buf_cstr(&b), "n[2-3]: exit status 3\n"
                                      "n4: killed by signal 9\n"
                                      "n5: n5 is offline\n");
    assert_int_equal(gather_status(&g), 137);
    buf_done(&b);
    gather_done(&g);
}

static void a_node_that_could_not_run_it_is_a_failure(void **state)
{
    (void)state;
    struct gather g;
    gather_init(&g);
    end(&g, "n1", "", 0);
    lose(&g, "n2", "gone");
    assert_int_equal(gather_status(&g), 3);
    gather_done(&g);
}

static void who_is_waited_for_is_folded(void **state)
{
    (void)state;
    struct gather g;
    char waiting[32];
    gather_init(&g);
    end(&g, "n1", "", 0);
    gather_node(&g, "n2")->started = true;
    gather_node(&g, "n3")->started = true;
    gather_waiting(&g, waiting, sizeof waiting);
    assert_string_equal(waiting, "n[2-3]");
    assert_int_equal(gather_count_over(&g), 1);
    gather_done(&g);
}

static void output_past_the_limit_is_cut_and_said(void **state)
{
    (void)state;
    struct gather g;
    gather_init(&g);
    struct gather_node *node = gather_node(&g, "n1");
    assert_int_equal(buf_append(&node->output[GATHER_STDOUT], "some\n", 5), 0);
    node->is_cut = true;
    assert_format(&g, "---------------\nn1\n---------------\nsome\n(cut at 64 MiB: use --live)\n");
    gather_done(&g);
}

static void bytes_that_are_no_text_are_escaped_in_json(void **state)
{
    (void)state;
    struct gather g;
    gather_init(&g);
    end(&g, "n1", "\xff\n", 0);
    json_t *rows = gather_json(&g);
    assert_string_equal(json_string_value(json_object_get(json_array_get(rows, 0), "stdout")),
                        "\\xff\n");
    json_decref(rows);
    gather_done(&g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(equal_outputs_are_told_once_largest_group_first),
        cmocka_unit_test(failures_are_folded_by_how_they_failed),
        cmocka_unit_test(a_node_that_could_not_run_it_is_a_failure),
        cmocka_unit_test(who_is_waited_for_is_folded),
        cmocka_unit_test(output_past_the_limit_is_cut_and_said),
        cmocka_unit_test(bytes_that_are_no_text_are_escaped_in_json),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
