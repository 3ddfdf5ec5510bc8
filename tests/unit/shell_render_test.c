#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/mem.h"
#include "shell/render.h"
#include "shell/text.h"

static const struct column columns[] = {
    COLUMN("name", NULL, TEXT),
    COLUMN("state", NULL, STATE),
    COLUMN("size_bytes", "size", BYTES),
    COLUMN("wall_ms", "time", DURATION),
    COLUMN("seen_at", "seen", AGE),
    COLUMN_WIDE("address", NULL, TEXT),
    COLUMN_DETAIL("note", NULL, TEXT),
    COLUMN_RAW("count", COUNT),
    COLUMN_END,
};

static const char rows_text[] =
    "[{\"name\":\"n1\",\"state\":\"online\",\"size_bytes\":2048,\"wall_ms\":61000,"
    "\"seen_at\":\"2026-11-20T20:00:00.000Z\",\"address\":\"10.0.0.1\",\"note\":\"a, \\\"b\\\"\","
    "\"count\":7,\"extra\":[1]},"
    "{\"name\":\"a longer name\",\"state\":null,\"size_bytes\":null,\"wall_ms\":5,"
    "\"seen_at\":null,\"address\":\"x|y\\\\z\",\"note\":\"tab\\there\\nline\"}]";

static char *render(enum format format, const char *text, size_t width, bool tuples_only)
{
    struct render r = {.format = format, .tuples_only = tuples_only, .width = width};
    assert_int_equal(clock_parse_rfc3339("2026-11-20T20:00:05Z", &r.now_ms), 0);
    json_t *rows = json_loads(text, 0, NULL);
    assert_non_null(rows);
    struct buf b;
    buf_init(&b, 1 << 20);
    assert_int_equal(render_rows(&r, columns, rows, &b), 0);
    json_decref(rows);
    return buf_steal(&b, NULL);
}

static void assert_render(enum format format, size_t width, bool tuples_only, const char *expected)
{
    char *text = render(format, rows_text, width, tuples_only);
    assert_string_equal(text, expected);
    free(text);
}

static void a_table_is_aligned_and_human(void **state)
{
    (void)state;
    text_set_utf8(false);
    assert_render(FORMAT_TABLE, 0, false,
                  " name          | state  |    size |  time |   seen | address\n"
                  "---------------+--------+---------+-------+--------+----------\n"
                  " n1            | online | 2.0 KiB | 1m01s | 5s ago | 10.0.0.1\n"
                  " a longer name |        |         |   5ms |        | x|y\\z\n"
                  "(2 rows)\n");
    assert_render(FORMAT_TABLE, 0, true,
                  " n1            | online | 2.0 KiB | 1m01s | 5s ago | 10.0.0.1\n"
                  " a longer name |        |         |   5ms |        | x|y\\z\n");
}

static void a_narrow_terminal_loses_wide_columns_then_cuts_text(void **state)
{
    (void)state;
    text_set_utf8(true);
    assert_render(FORMAT_TABLE, 45, false,
                  " name    │ state  │    size │  time │   seen\n"
                  "─────────┼────────┼─────────┼───────┼────────\n"
                  " n1      │ online │ 2.0 KiB │ 1m01s │ 5s ago\n"
                  " a long… │        │         │   5ms │ \n"
                  "(2 rows)\n");
}

static void a_table_that_cannot_fit_becomes_records(void **state)
{
    (void)state;
    text_set_utf8(false);
    assert_render(FORMAT_TABLE, 24, false,
                  "-[ record 1 ]-----------\n"
                  "name    | n1\n"
                  "state   | online\n"
                  "size    | 2.0 KiB\n"
                  "time    | 1m01s\n"
                  "seen    | 2026-11-20 20:00:00.000\n"
                  "address | 10.0.0.1\n"
                  "-[ record 2 ]-----------\n"
                  "name    | a longer name\n"
                  "state   | \n"
                  "size    | \n"
                  "time    | 5ms\n"
                  "seen    | \n"
                  "address | x|y\\z\n");
}

static void formats_for_programs_are_raw(void **state)
{
    (void)state;
    assert_render(FORMAT_CSV, 0, false,
                  "name,state,size_bytes,wall_ms,seen_at,address,note,count\n"
                  "n1,online,2048,61000,2026-11-20T20:00:00.000Z,10.0.0.1,\"a, \"\"b\"\"\",7\n"
                  "a longer name,,,5,,x|y\\z,\"tab\there\nline\",\n");
    assert_render(FORMAT_TSV, 0, true,
                  "n1\tonline\t2048\t61000\t2026-11-20T20:00:00.000Z\t10.0.0.1\ta, \"b\"\t7\n"
                  "a longer name\t\t\t5\t\tx|y\\\\z\ttab\\there\\nline\t\n");
    assert_render(FORMAT_MARKDOWN, 0, false,
                  "| name | state | size_bytes | wall_ms | seen_at | address |\n"
                  "|---|---|---:|---:|---:|---|\n"
                  "| n1 | online | 2.0 KiB | 1m01s | 2026-11-20 20:00:00.000 | 10.0.0.1 |\n"
                  "| a longer name |  |  | 5ms |  | x\\|y\\\\z |\n");
}

static void a_terminal_obeys_nothing_in_any_format(void **state)
{
    (void)state;
    static const enum format formats[] = {FORMAT_CSV, FORMAT_TSV, FORMAT_MARKDOWN, FORMAT_JSON,
                                          FORMAT_TABLE};
    json_t *rows = json_loads("[{\"name\":\"\\u001b[2J\\u0007\"}]", 0, NULL);
    for (size_t i = 0; i < MEM_COUNT(formats); i++) {
        struct render r = {.format = formats[i], .on_terminal = true};
        struct buf b;
        buf_init(&b, 65536);
        assert_int_equal(render_rows(&r, columns, rows, &b), 0);
        assert_null(strpbrk(buf_cstr(&b), "\033\007"));
        buf_done(&b);
    }
    json_decref(rows);
}

static void json_is_whole_objects_with_every_key(void **state)
{
    (void)state;
    char *text = render(FORMAT_JSON, rows_text, 0, false);
    json_t *before = json_loads(rows_text, 0, NULL);
    json_t *after = json_loads(text, 0, NULL);
    assert_true(json_equal(before, after));
    free(text);
    json_decref(before);
    json_decref(after);
    text = render(FORMAT_JSONL, "[{\"b\":1,\"a\":\"x\\ny\"},{}]", 0, false);
    assert_string_equal(text, "{\"b\":1,\"a\":\"x\\ny\"}\n{}\n");
    free(text);
}

static void no_rows_are_said_or_empty(void **state)
{
    (void)state;
    static const struct {
        enum format format;
        const char *text;
    } rows[] = {
        {FORMAT_JSON, "[]\n"},
        {FORMAT_JSONL, ""},
        {FORMAT_CSV, "name,state,size_bytes,wall_ms,seen_at,address,note,count\n"},
        {FORMAT_VERTICAL, "(0 rows)\n"},
    };
    for (size_t i = 0; i < MEM_COUNT(rows); i++) {
        char *text = render(rows[i].format, "[]", 0, false);
        assert_string_equal(text, rows[i].text);
        free(text);
    }
}

static void hostile_bytes_never_reach_a_terminal(void **state)
{
    (void)state;
    static const char hostile[] = "[{\"name\":\"\\u001b]0;x\\u0007\\u009b2J\\n\\u202e\"}]";
    text_set_utf8(true);
    for (int i = 0; i < 2; i++) {
        char *text = render(i == 0 ? FORMAT_TABLE : FORMAT_VERTICAL, hostile, 0, true);
        assert_null(strchr(text, '\033'));
        assert_null(strchr(text, '\007'));
        assert_non_null(strstr(text, "\\x1b]0;x\\x07\\xc2\\x9b2J\\n"));
        assert_null(strstr(text, "\xe2\x80\xae"));
        free(text);
    }
}

static void wide_and_combining_characters_are_measured_by_columns(void **state)
{
    (void)state;
    text_set_utf8(true);
    assert_int_equal(text_width("abc"), 3);
    assert_int_equal(text_width("日本"), 4);
    assert_int_equal(text_width("e\xcc\x81"), 1);
    char *cut = text_cut("日本語", 4);
    assert_string_equal(cut, "日…");
    free(cut);
    char *text = render(FORMAT_TABLE, "[{\"name\":\"日本\"},{\"name\":\"abcde\"}]", 0, true);
    assert_non_null(strstr(text, " 日本  │"));
    assert_non_null(strstr(text, " abcde │"));
    free(text);
}

static void an_ascii_locale_shows_ascii_only(void **state)
{
    (void)state;
    text_set_utf8(false);
    char *text = render(FORMAT_TABLE, "[{\"name\":\"日本é\"}]", 0, false);
    for (const char *p = text; *p != '\0'; p++)
        assert_true((unsigned char)*p < 0x80);
    assert_non_null(strstr(text, " ???"));
    free(text);
}

static void colour_is_only_around_states_and_titles(void **state)
{
    (void)state;
    text_set_utf8(false);
    struct render r = {.format = FORMAT_TABLE, .has_color = true, .tuples_only = true};
    json_t *rows = json_loads("[{\"name\":\"x\",\"state\":\"failed\"}]", 0, NULL);
    struct buf b;
    buf_init(&b, 4096);
    assert_int_equal(render_rows(&r, columns, rows, &b), 0);
    assert_non_null(strstr(buf_cstr(&b), "\033[31mfailed\033[0m"));
    json_decref(rows);
    buf_done(&b);
}

static void what_does_not_fit_the_buffer_is_reported(void **state)
{
    (void)state;
    struct render r = {.format = FORMAT_JSON};
    json_t *rows = json_loads(rows_text, 0, NULL);
    struct buf b;
    buf_init(&b, 8);
    (void)render_rows(&r, columns, rows, &b);
    assert_int_equal(buf_append(&b, "12345678", 8) == 0, b.len == 8);
    json_decref(rows);
    buf_done(&b);
}

static void text_is_wrapped_at_spaces(void **state)
{
    (void)state;
    struct buf b;
    buf_init(&b, 4096);
    text_append_wrapped(&b, "one two three four\n\n  kept as it is, however long\nfive", 2, 12);
    assert_string_equal(buf_cstr(&b), "  one two\n  three four\n\n"
                                      "    kept as it is, however long\n  five\n");
    buf_done(&b);
}

int main(void)
{
    (void)setlocale(LC_ALL, "C.UTF-8");
    (void)setenv("TZ", "UTC", 1);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_table_is_aligned_and_human),
        cmocka_unit_test(a_narrow_terminal_loses_wide_columns_then_cuts_text),
        cmocka_unit_test(a_table_that_cannot_fit_becomes_records),
        cmocka_unit_test(formats_for_programs_are_raw),
        cmocka_unit_test(a_terminal_obeys_nothing_in_any_format),
        cmocka_unit_test(json_is_whole_objects_with_every_key),
        cmocka_unit_test(no_rows_are_said_or_empty),
        cmocka_unit_test(hostile_bytes_never_reach_a_terminal),
        cmocka_unit_test(wide_and_combining_characters_are_measured_by_columns),
        cmocka_unit_test(an_ascii_locale_shows_ascii_only),
        cmocka_unit_test(colour_is_only_around_states_and_titles),
        cmocka_unit_test(what_does_not_fit_the_buffer_is_reported),
        cmocka_unit_test(text_is_wrapped_at_spaces),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
