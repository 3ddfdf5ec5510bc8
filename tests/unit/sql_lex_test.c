#include "base/sql_lex.h"

#include <string.h>

#include "base/mem.h"
#include "tests/unit/generated.h"

/* The statements of `text`, each between bars, an unfinished one behind a '~' and what is open. */
static char *statements(const char *text)
{
    char *out = mem_strdup("");
    size_t len = strlen(text);
    struct sql_split split;
    for (size_t at = 0; sql_split_next(text + at, len - at, &split); at += split.end) {
        char *more = mem_printf("%s|%.*s%s%s", out, (int)split.len, text + at + split.at,
                                split.complete ? "" : "~",
                                split.open != '\0' ? (char[]){split.open, '\0'} : "");
        free(out);
        out = more;
    }
    return out;
}

static void expect(const char *text, const char *wanted)
{
    char *got = statements(text);
    assert_string_equal(got, wanted);
    free(got);
}

static void statements_end_at_semicolons_outside_of_quotes_and_comments(void **state)
{
    (void)state;
    expect("", "");
    expect(" ;; -- nothing\n /* here; */ ;", "");
    expect("select 1; select 2;", "|select 1|select 2");
    expect("select ';'; x", "|select ';'|x~");
    expect("select 'it''s;' ;", "|select 'it''s;'");
    expect("select E'\\';' ;", "|select E'\\';'");
    expect("select \"a;\"\"b\" ;", "|select \"a;\"\"b\"");
    expect("select $$;$$; select $x$;$$;$x$;", "|select $$;$$|select $x$;$$;$x$");
    expect("select 1 -- ; \n + 2;", "|select 1 -- ; \n + 2");
    expect("select /* ; /* ; */ ; */ 1;", "|select /* ; /* ; */ ; */ 1");
    expect("select $1;", "|select $1");
    expect("-- first\nselect 1 -- last\n;", "|select 1");
}

static void an_unfinished_statement_says_what_is_open(void **state)
{
    (void)state;
    expect("select", "|select~");
    expect("select 'a", "|select 'a~'");
    expect("select \"a", "|select \"a~\"");
    expect("select $$a", "|select $$a~$");
    expect("select (1, [2", "|select (1, [2~[");
    expect("select 1 /* x", "|select 1~*");
    expect("/* x", "|~*");
    expect("'", "|'~'");
}

static struct sql_token token_of(const char *text)
{
    return sql_lex_next(text, strlen(text), 0);
}

static void value_is(const char *text, const char *wanted)
{
    struct sql_token token = token_of(text);
    char *value = sql_token_value(text, &token);
    assert_string_equal(value, wanted);
    free(value);
}

static void values_of_tokens_have_their_quotes_and_escapes_undone(void **state)
{
    (void)state;
    value_is("abc def", "abc");
    value_is("'it''s'", "it's");
    value_is("E'a\\n\\'b'", "a\n'b");
    value_is("\"a\"\"b\"", "a\"b");
    value_is("$$a'b$$", "a'b");
    value_is("$t$a$$b$t$", "a$$b");
    value_is("''", "");
    value_is("1e-5+2", "1e-5");
    value_is("\xc3\xa9t\xc3\xa9 x", "\xc3\xa9t\xc3\xa9");
    char *quoted = sql_quote_name("a\"b");
    assert_string_equal(quoted, "\"a\"\"b\"");
    free(quoted);
    quoted = sql_quote_text("it's");
    assert_string_equal(quoted, "'it''s'");
    free(quoted);
}

static void any_text_is_cut_into_tokens_that_cover_it(void **state)
{
    (void)state;
    static const char alphabet[] = "aE'\"$;-/*\\() \n1.e\xc3\xa9";
    struct generated g;
    generated_init(&g, 5000);
    while (generated_next(&g)) {
        char made[40];
        generated_text(&g, alphabet, sizeof made, made);
        size_t len = strlen(made);
        char *text = mem_dup(made, len + 1); /* its own block, so that overruns show */
        size_t at = 0;
        for (struct sql_token token;; at = token.at + token.len) {
            token = sql_lex_next(text, len, at);
            generated_check(&g, token.at >= at && token.at + token.len <= len, "%s", text);
            if (token.kind == SQL_TOKEN_END)
                break;
            generated_check(&g, token.len > 0, "%s", text);
            char *value = sql_token_value(text, &token);
            generated_check(&g, strlen(value) <= token.len, "%s", text);
            free(value);
        }
        free(statements(text));
        free(text);
    }
}

static void a_quoted_text_is_one_token_with_that_value(void **state)
{
    (void)state;
    struct generated g;
    generated_init(&g, 2000);
    while (generated_next(&g)) {
        char made[30];
        generated_text(&g, "ab'\"\\$;\n-", sizeof made, made);
        char *quoted = prng_chance(&g.prng, 1, 2) ? sql_quote_text(made) : sql_quote_name(made);
        struct sql_token token = token_of(quoted);
        char *value = sql_token_value(quoted, &token);
        generated_check(&g, token.len == strlen(quoted) && strcmp(value, made) == 0, "%s", quoted);
        free(value);
        free(quoted);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(statements_end_at_semicolons_outside_of_quotes_and_comments),
        cmocka_unit_test(an_unfinished_statement_says_what_is_open),
        cmocka_unit_test(values_of_tokens_have_their_quotes_and_escapes_undone),
        cmocka_unit_test(any_text_is_cut_into_tokens_that_cover_it),
        cmocka_unit_test(a_quoted_text_is_one_token_with_that_value),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
