#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "shell/statement.h"

/* Joins the words of one statement as [a][b c]. */
static char *words_of(const char *text, size_t len, bool partial)
{
    struct statement s;
    struct error e = {0};
    int rc = statement_split(&s, text, len, partial, &e);
    char *out = mem_strdup(rc == 0 ? "" : e.text);
    for (size_t i = 0; rc == 0 && i < s.n; i++) {
        char *longer = mem_printf("%s[%s]", out, s.texts[i]);
        free(out);
        out = longer;
    }
    statement_done(&s);
    return out;
}

static void assert_words(const char *text, const char *expected)
{
    char *words = words_of(text, strlen(text), false);
    assert_string_equal(words, expected);
    free(words);
}

static void words_are_split_and_quoted_as_in_a_shell(void **state)
{
    (void)state;
    assert_words("job list", "[job][list]");
    assert_words("  a\tb  ", "[a][b]");
    assert_words("a 'b c' \"d e\"", "[a][b c][d e]");
    assert_words("a'b'\"c\"d", "[abcd]");
    assert_words("'' \"\"", "[][]");
    assert_words("'a\\b' \"a\\\"b\\\\c\\d\"", "[a\\b][a\"b\\c\\d]");
    assert_words("a\\ b \\'c \\\\", "[a b]['c][\\]");
    assert_words("a # rest 'of line", "[a]");
    assert_words("a#b '#'", "[a#b][#]");
    assert_words("echo a\\;b ';'", "[echo][a;b][;]");
    assert_words("", "");
    assert_words("# only a comment", "");
    assert_words("'line one\nline two'", "[line one\nline two]");
    assert_words("one\\\ntwo three \\\nfour", "[onetwo][three][four]");
}

static void an_open_quote_is_an_error_unless_it_is_being_typed(void **state)
{
    (void)state;
    assert_words("a 'b", "a ' quote is not closed");
    assert_words("a \"b", "a \" quote is not closed");
    char *words = words_of("a 'b c", 6, true);
    assert_string_equal(words, "[a][b c]");
    free(words);
}

/* Splits a text into its statements, joined by '/'. */
static void assert_statements(const char *text, const char *expected)
{
    char *out = mem_strdup("");
    bool in_sql = false;
    while (*text != '\0') {
        size_t len;
        enum statement_end end =
            in_sql ? statement_next_behind(text, &len) : statement_next(text, &len);
        assert_false(statement_end_is_open(end));
        assert_true(len > 0);
        size_t space = statement_skip_space(text, len);
        bool is_raw = text[space < len ? space : 0] == '\\' ||
                      statement_begins_sql(text + space, len - space) || in_sql;
        char *words = is_raw ? mem_printf("<%.*s>", (int)(len - space - (text[len - 1] == '\n')),
                                          text + space)
                             : words_of(text, len, false);
        in_sql = end == STATEMENT_END_CUT && is_raw ? true : in_sql && text[space] == '\\';
        if (words[0] != '\0') {
            char *longer = mem_printf("%s%s%s", out, out[0] != '\0' ? "/" : "", words);
            free(out);
            out = longer;
        }
        free(words);
        text += len;
    }
    assert_string_equal(out, expected);
    free(out);
}

static void statements_end_at_newlines_and_semicolons(void **state)
{
    (void)state;
    assert_statements("a b\nc", "[a][b]/[c]");
    assert_statements("a; b;;\n\n c ;", "[a]/[b]/[c]");
    assert_statements("a 'x;y\nz'; b", "[a][x;y\nz]/[b]");
    assert_statements("a \\\n b\nc", "[a][b]/[c]");
    assert_statements("# one\na # two; b\nc", "[a]/[c]");
    assert_statements("\\echo a; b\nc", "<\\echo a; b>/[c]");
    assert_statements("\\echo a \\echo b\nc", "<\\echo a >/<\\echo b>/[c]");
    assert_statements("\\echo 'a \\x'\nc", "<\\echo 'a \\x'>/[c]");
    assert_statements("\\x \\\\ c", "<\\x >/<\\\\>/[c]");
    assert_statements("\\! a \\x; b\nc", "<\\! a \\x; b>/[c]");
    assert_statements("\\o |a \\x; b\nc", "<\\o |a \\x; b>/[c]");
    assert_statements("job list \\watch 2\nc", "[job][list]/<\\watch 2>/[c]");
    assert_statements("job list \\g |wc -l\nc", "[job][list]/<\\g |wc -l>/[c]");
    assert_statements("grep \\\\watch; echo '\\watch'", "[grep][\\watch]/[echo][\\watch]");
    assert_statements("a \\watchdog", "[a][watchdog]");
    assert_statements("a \\p b", "[a][p][b]");
    assert_statements("", "");
}

static void sql_is_cut_by_any_backslash_command_outside_of_quotes(void **state)
{
    (void)state;
    assert_statements("select 1 \\g\n+ 1;", "<select 1 >/<\\g>/<+ 1;>");
    assert_statements("select '\\g';\nc", "<select '\\g';>/[c]");
    assert_statements("select 1 \\p\n+ 2;c", "<select 1 >/<\\p>/<+ 2;>/[c]");
    assert_statements("select 1 -- \\g\n;c", "<select 1 -- \\g\n;>/[c]");
    size_t len;
    assert_int_equal(statement_next("select (1", &len), STATEMENT_END_BRACKET);
    assert_int_equal(statement_next("select /* a", &len), STATEMENT_END_COMMENT);
    assert_int_equal(statement_next("select $$ a", &len), STATEMENT_END_QUOTE_SINGLE);
    assert_int_equal(statement_next("select a", &len), STATEMENT_END_SQL);
    assert_int_equal(statement_next_behind("+ 1", &len), STATEMENT_END_SQL);
    assert_int_equal(statement_next_behind("  \\p\n;", &len), STATEMENT_END_COMPLETE);
    assert_int_equal(len, 5);
}

static void a_text_that_is_not_complete_says_what_it_is_in(void **state)
{
    (void)state;
    size_t len;
    assert_int_equal(statement_next("a 'b\n", &len), STATEMENT_END_QUOTE_SINGLE);
    assert_int_equal(len, 5);
    assert_int_equal(statement_next("a \"b\n", &len), STATEMENT_END_QUOTE_DOUBLE);
    assert_int_equal(statement_next("a b \\\n", &len), STATEMENT_END_JOINED);
    assert_int_equal(statement_next("a b \\\\\n", &len), STATEMENT_END_COMPLETE);
    assert_int_equal(statement_next("a b # \\\n", &len), STATEMENT_END_COMPLETE);
    assert_int_equal(statement_next("\\echo 'a\n", &len), STATEMENT_END_COMPLETE);
}

static void a_quoted_word_is_split_back_into_itself(void **state)
{
    (void)state;
    static const char *const words[] = {"plain",     "two words",  "it's",        "",
                                        "a;b",       "#x",         "back\\slash", "\"q\"",
                                        "new\nline", "a=b,c[1-3]", "''"};
    for (size_t i = 0; i < MEM_COUNT(words); i++) {
        char *quoted = statement_quote(words[i]);
        char *line = mem_printf("x %s y", quoted);
        struct statement s;
        assert_int_equal(statement_split(&s, line, strlen(line), false, NULL), 0);
        assert_int_equal(s.n, 3);
        assert_string_equal(s.texts[1], words[i]);
        statement_done(&s);
        free(line);
        free(quoted);
    }
}

static void a_statement_of_too_many_words_is_refused(void **state)
{
    (void)state;
    char *text = mem_zalloc(2 * STATEMENT_WORDS_MAX + 8);
    for (size_t i = 0; i < STATEMENT_WORDS_MAX + 1; i++)
        memcpy(text + 2 * i, "a ", 2);
    struct statement s;
    assert_int_equal(statement_split(&s, text, strlen(text), false, NULL), ERR_TOO_LARGE);
    statement_done(&s);
    free(text);
}

/* Every byte string ends somewhere, and splitting it never reads past its end. */
static void any_bytes_are_walked_to_the_end(void **state)
{
    (void)state;
    static const char alphabet[] = "a \\'\";\n#w\t";
    uint32_t x = 12345;
    for (int round = 0; round < 20000; round++) {
        char text[24];
        size_t n = round % (int)(sizeof text - 1);
        for (size_t i = 0; i < n; i++) {
            x = x * 1664525 + 1013904223;
            text[i] = alphabet[(x >> 16) % (sizeof alphabet - 1)];
        }
        text[n] = '\0';
        char *copy = mem_strdup(text);
        for (size_t at = 0; at < n;) {
            size_t len;
            (void)statement_next(copy + at, &len);
            assert_true(len > 0 && at + len <= n);
            char *words = words_of(copy + at, len, true);
            free(words);
            at += len;
        }
        free(copy);
    }
}

static void sql_ends_at_its_semicolon_only(void **state)
{
    (void)state;
    size_t len, from, sql_len;
    static const char text[] = "  select 1,\n ';' -- one; two\n ; node list\n";
    assert_int_equal(statement_next(text, &len), STATEMENT_END_COMPLETE);
    assert_string_equal(text + len, " node list\n");
    assert_true(statement_is_sql(text, len, &from, &sql_len));
    assert_int_equal(from, 2);
    assert_int_equal(strncmp(text + from, "select 1,\n ';'", 14), 0);
    assert_int_equal(text[from + sql_len], ' ');
    assert_int_equal(statement_next("select 1\n", &len), STATEMENT_END_SQL);
    assert_int_equal(len, 9);
    assert_int_equal(statement_next("-- it's said\n", &len), STATEMENT_END_COMPLETE);
    assert_int_equal(len, strlen("-- it's said\n"));
    assert_int_equal(statement_next("-- it's\nselect 1\n", &len), STATEMENT_END_SQL);
    assert_words("-- it's said\nnode list", "[node][list]");
    assert_int_equal(statement_next("Insert into t values ('a\n", &len),
                     STATEMENT_END_QUOTE_SINGLE);
    assert_int_equal(statement_next("from \"t\n", &len), STATEMENT_END_QUOTE_DOUBLE);
    assert_int_equal(statement_next("node list\nselect 1;\n", &len), STATEMENT_END_COMPLETE);
    assert_int_equal(len, 10);
    static const char noted[] = "/* a;\n /* b */ \\c */ /**/\n select 1; x";
    assert_int_equal(statement_next(noted, &len), STATEMENT_END_COMPLETE);
    assert_string_equal(noted + len, " x");
    assert_true(statement_is_sql(noted, len, &from, &sql_len));
    assert_int_equal(strncmp(noted + from, "select 1", sql_len), 0);
    assert_words("/* a;\nb */ node list", "[node][list]");
    assert_int_equal(statement_next("/* a; /* b */ select 1;\n", &len), STATEMENT_END_COMMENT);
    assert_int_equal(statement_next("/* a */\n", &len), STATEMENT_END_COMPLETE);
    assert_int_equal(statement_next("exec n1 -- ls /*\n", &len), STATEMENT_END_COMPLETE);
    assert_int_equal(len, strlen("exec n1 -- ls /*\n"));
    assert_false(statement_is_sql("selected", 8, &from, &sql_len));
    assert_false(statement_is_sql("node list", 9, &from, &sql_len));
    assert_true(statement_is_sql("(select 1)", 10, &from, &sql_len));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(words_are_split_and_quoted_as_in_a_shell),
        cmocka_unit_test(an_open_quote_is_an_error_unless_it_is_being_typed),
        cmocka_unit_test(statements_end_at_newlines_and_semicolons),
        cmocka_unit_test(sql_is_cut_by_any_backslash_command_outside_of_quotes),
        cmocka_unit_test(a_text_that_is_not_complete_says_what_it_is_in),
        cmocka_unit_test(a_quoted_word_is_split_back_into_itself),
        cmocka_unit_test(a_statement_of_too_many_words_is_refused),
        cmocka_unit_test(any_bytes_are_walked_to_the_end),
        cmocka_unit_test(sql_ends_at_its_semicolon_only),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
