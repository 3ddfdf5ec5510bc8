#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/mdoc.h"

static void assert_written(struct buf *b, const char *expected)
{
    assert_string_equal(buf_cstr(b), expected);
    buf_done(b);
}

static struct buf text_of(void (*write)(struct buf *, const char *), const char *text)
{
    struct buf b;
    buf_init(&b, MDOC_BYTES_MAX);
    write(&b, text);
    return b;
}

static void a_sentence_is_a_line(void **state)
{
    (void)state;
    struct buf b = text_of(mdoc_text, "One. Two (as well.) And a.b.c stays! E.g. this, that");
    assert_written(&b, "One.\nTwo (as well.)\nAnd a.b.c stays!\nE.g. this, that\n");
}

static void no_line_is_longer_than_mandoc_likes(void **state)
{
    (void)state;
    char words[400];
    for (size_t i = 0; i < sizeof words - 1; i++)
        words[i] = i % 7 == 6 ? ' ' : 'x';
    words[sizeof words - 1] = '\0';
    struct buf b = text_of(mdoc_text, words);
    size_t column = 0;
    for (const char *c = buf_cstr(&b); *c != '\0'; c++) {
        column = *c == '\n' ? 0 : column + 1;
        assert_true(column <= 80);
    }
    buf_done(&b);
}

static void nothing_in_text_is_a_request(void **state)
{
    (void)state;
    struct buf b = text_of(mdoc_text, "'...' is a \\ and .Nm -c (-f) ~ well-known");
    assert_written(&b, "\\&'...' is a \\e and .Nm \\-c (\\-f) \\(ti well-known\n");
    b = text_of(mdoc_literal, ".Sh 'x' | jq -r \"\\n\" ^`\n'y\n");
    assert_written(&b,
                   ".Bd -literal -offset indent\n\\&.Sh \\(aqx\\(aq | jq \\-r \"\\en\" \\(ha\\(ga\n"
                   "\\&\\(aqy\n.Ed\n");
    b = text_of(mdoc_text, "4f12\xe2\x80\xa6 \xc3\xa9");
    assert_written(&b, "4f12\\[u2026] \\[u00E9]\n");
}

static void paragraphs_and_lines_as_they_stand(void **state)
{
    (void)state;
    struct buf b = text_of(mdoc_text, "One.\n\nTwo\nmore\n  as it\n  stands\nThree");
    assert_written(&b, "One.\n.Pp\nTwo more\n.Bd -literal\n  as it\n  stands\n.Ed\n.Pp\nThree\n");
}

static void arguments_are_no_macros(void **state)
{
    (void)state;
    struct buf b;
    buf_init(&b, MDOC_BYTES_MAX);
    mdoc_macro(&b, "It");
    mdoc_word(&b, "Fl");
    mdoc_arg(&b, "-follow");
    mdoc_word(&b, "Ar");
    mdoc_arg(&b, "No");
    mdoc_arg(&b, "a \"b\"");
    mdoc_arg(&b, "|");
    mdoc_arg(&b, "");
    mdoc_end(&b);
    assert_written(&b, ".It Fl \\-follow Ar \\&No \"a \\(dqb\\(dq\" \\&| \"\"\n");
}

static void a_sentence_begins_large_and_ends_with_a_stop(void **state)
{
    (void)state;
    struct buf b = text_of(mdoc_sentence, "don't do this");
    assert_written(&b, "Don't do this.\n");
    b = text_of(mdoc_sentence, "unix:PATH or so");
    assert_written(&b, "unix:PATH or so.\n");
    b = text_of(mdoc_sentence, "auto (default), never");
    assert_written(&b, "auto (default), never.\n");
    b = text_of(mdoc_sentence, "for programs:");
    assert_written(&b, "For programs:\n");
    b = text_of(mdoc_sentence, "");
    assert_written(&b, "");
}

static void a_page_has_a_head_and_refers_to_others(void **state)
{
    (void)state;
    struct buf b;
    buf_init(&b, MDOC_BYTES_MAX);
    mdoc_head(&b, "clustersh-job", 1, "submit jobs");
    assert_non_null(strstr(buf_cstr(&b),
                           "\n.Dt CLUSTERSH-JOB 1\n.Os\n.Sh NAME\n.Nm clustersh\\-job\n"
                           ".Nd \"submit jobs\"\n"));
    buf_clear(&b);
    mdoc_see_also(&b, "clustersh(1) clusterd(8)");
    assert_written(&b, ".Sh \"SEE ALSO\"\n.Xr clustersh 1 ,\n.Xr clusterd 8\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_sentence_is_a_line),
        cmocka_unit_test(no_line_is_longer_than_mandoc_likes),
        cmocka_unit_test(nothing_in_text_is_a_request),
        cmocka_unit_test(paragraphs_and_lines_as_they_stand),
        cmocka_unit_test(arguments_are_no_macros),
        cmocka_unit_test(a_sentence_begins_large_and_ends_with_a_stop),
        cmocka_unit_test(a_page_has_a_head_and_refers_to_others),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
