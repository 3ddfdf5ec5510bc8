#include <locale.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/mem.h"
#include "shell/highlight.h"
#include "shell/repl_paint.h"
#include "shell/sql_words.h"
#include "shell/text.h"
#include "tests/unit/generated.h"

static struct highlight_span spans[HIGHLIGHT_SPANS_MAX];

/* The parts of a text as "kind:part", the cursor behind it unless `point` says otherwise. */
static char *parts_at(const char *text, bool in_sql, size_t point)
{
    static const char letters[] = "-cokfsnNxvE"; /* as enum highlight_kind counts */
    struct buf b;
    buf_init(&b, 65536);
    size_t n = highlight_find(text, strlen(text), in_sql, point, spans);
    for (size_t i = 0; i < n; i++)
        (void)buf_printf(&b, "%s%c:%.*s", i > 0 ? " | " : "", letters[spans[i].kind],
                         (int)spans[i].len, text + spans[i].at);
    return buf_steal(&b, NULL);
}

static void assert_parts(const char *text, const char *expected)
{
    char *parts = parts_at(text, false, strlen(text));
    assert_string_equal(parts, expected);
    free(parts);
}

static void sql_has_key_words_functions_names_and_values(void **state)
{
    (void)state;
    assert_parts("select Count(*), x + 1.5 from t where y = 'a''b';",
                 "k:select | f:Count | N:1.5 | k:from | k:where | s:'a''b'");
    assert_parts("SELECT \"a b\", t.order -- why\nFROM t /* so */",
                 "k:SELECT | n:\"a b\" | x:-- why | k:FROM | x:/* so */");
    assert_parts("select $$a;b$$, :n, :'n', x::date", "k:select | s:$$a;b$$ | v::n | v::'n' | "
                                                      "k:date");
}

static void quotes_that_are_open_are_seen(void **state)
{
    (void)state;
    assert_parts("select 'abc", "k:select | E:'abc");
    assert_parts("select \"abc", "k:select | E:\"abc");
    assert_parts("kv put k 'abc", "c:kv | c:put | E:'abc");
    assert_parts("\\echo 'abc", "c:\\echo | E:'abc");
}

static void commands_have_names_options_and_text(void **state)
{
    (void)state;
    assert_parts("job submit --name x -- sort -r 'a b' # why",
                 "c:job | c:submit | o:--name | s:'a b' | x:# why");
    assert_parts("j li; node l", "c:j | c:li | c:node | c:l");
    assert_parts("# only this", "x:# only this");
    assert_parts("job show :n", "c:job | c:show | v::n");
}

static void a_command_that_there_is_not_is_wrong_once_it_is_typed(void **state)
{
    (void)state;
    assert_parts("nosuch", "");
    char *parts = parts_at("nosuch thing; status", false, 20);
    assert_string_equal(parts, "E:nosuch | c:status");
    free(parts);
    assert_parts("\\nosuc", "c:\\nosuc");
    parts = parts_at("\\nosuch x", false, 9);
    assert_string_equal(parts, "E:\\nosuch");
    free(parts);
}

static void backslash_commands_stand_behind_statements(void **state)
{
    (void)state;
    assert_parts("select 1 \\gset x", "k:select | N:1 | c:\\gset");
    assert_parts("job list \\watch 2", "c:job | c:list | c:\\watch");
    assert_parts("\\set a `date` :b \\echo 'x'", "c:\\set | v:`date` | v::b | c:\\echo | s:'x'");
    assert_parts("\\! ls 'a", "c:\\!");
    char *parts = parts_at("+ 2 from t", true, 10);
    assert_string_equal(parts, "N:2 | k:from");
    free(parts);
}

static void spans_of_any_text_ascend_and_lie_inside(void **state)
{
    (void)state;
    struct generated g;
    char text[80];
    generated_init(&g, 5000);
    while (generated_next(&g)) {
        (void)generated_text(&g, "as 'e\"l;\\g\n#-*/:1c$t(", sizeof text, text);
        size_t at = 0;
        size_t n = highlight_find(text, strlen(text), (g.seed & 1) != 0, strlen(text), spans);
        for (size_t i = 0; i < n; i++) {
            generated_check(&g, spans[i].at >= at, "span %zu of \"%s\" begins at %zu before %zu", i,
                            text, spans[i].at, at);
            at = spans[i].at + spans[i].len;
            generated_check(&g, at <= strlen(text), "span %zu of \"%s\" ends at %zu", i, text, at);
        }
    }
}

static void key_words_are_found_in_any_case(void **state)
{
    (void)state;
    for (size_t i = 1; i < sql_words_n; i++)
        assert_true(strcmp(sql_words[i - 1], sql_words[i]) < 0);
    assert_true(sql_words_is_keyword("SeLeCt", 6));
    assert_false(sql_words_is_keyword("selec", 5));
    assert_false(sql_words_is_keyword("", 0));
    assert_false(sql_words_is_keyword("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", 40));
}

/* Places */

static void assert_place(const char *line, size_t prompt, size_t width, size_t at, unsigned row,
                         unsigned column)
{
    struct repl_paint_cell cells[64];
    assert_true(repl_paint_layout(line, strlen(line), prompt, width, cells));
    assert_int_equal(cells[at].row, row);
    assert_int_equal(cells[at].column, column);
}

static void characters_stand_where_readline_puts_them(void **state)
{
    (void)state;
    assert_place("abc", 4, 10, 0, 0, 4);
    assert_place("abc", 4, 10, 3, 0, 7);
    assert_place("abcdef", 4, 10, 5, 0, 9);
    assert_place("abcdef", 4, 10, 6, 1, 0); /* the last column is full: the next row */
    assert_place("abcdefg", 4, 10, 6, 1, 0);
    assert_place("a\nbc", 4, 10, 2, 1, 0);
    assert_place("abcdef\ng", 4, 10, 7, 2, 0);
    assert_place("\346\227\245x", 4, 10, 3, 0, 6);      /* two columns */
    assert_place("abcde\346\227\245x", 4, 10, 5, 1, 0); /* does not fit behind five */
    assert_place("abc", 25, 10, 0, 2, 5);               /* a prompt of three rows */
    struct repl_paint_cell cells[64];
    assert_false(repl_paint_layout("a\tb", 3, 4, 10, cells));
    assert_false(repl_paint_layout("a\001b", 3, 4, 10, cells));
    assert_false(repl_paint_layout("a\377b", 3, 4, 10, cells));
    assert_false(repl_paint_layout("e\314\201x", 4, 4, 10, cells)); /* combining */
}

int main(void)
{
    (void)setenv("LC_ALL", "C.UTF-8", 1);
    (void)setlocale(LC_ALL, "");
    text_set_utf8(true);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sql_has_key_words_functions_names_and_values),
        cmocka_unit_test(quotes_that_are_open_are_seen),
        cmocka_unit_test(commands_have_names_options_and_text),
        cmocka_unit_test(a_command_that_there_is_not_is_wrong_once_it_is_typed),
        cmocka_unit_test(backslash_commands_stand_behind_statements),
        cmocka_unit_test(spans_of_any_text_ascend_and_lie_inside),
        cmocka_unit_test(key_words_are_found_in_any_case),
        cmocka_unit_test(characters_stand_where_readline_puts_them),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
