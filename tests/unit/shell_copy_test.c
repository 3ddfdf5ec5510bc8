/* \copy: its words, and the files that it reads. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/mem.h"
#include "shell/copy_spec.h"
#include "shell/csv_reader.h"
#include "tests/unit/generated.h"

static struct copy_spec spec;
static struct error error;

static int parse(const char *text)
{
    copy_spec_done(&spec);
    memset(&error, 0, sizeof error);
    return copy_spec_parse(&spec, text, &error);
}

static void tables_and_queries_go_to_files_and_come_from_them(void **state)
{
    (void)state;
    assert_int_equal(parse("t from 'a b.csv'"), 0);
    assert_string_equal(spec.what, "t");
    assert_string_equal(spec.place, "a b.csv");
    assert_true(spec.is_from && spec.has_header && !spec.is_command && !spec.is_query);
    assert_int_equal(spec.format, FORMAT_CSV);
    assert_int_equal(parse("s.\"T x\" (a, \"b\") FROM /tmp/x.tsv (header false, null '-');"), 0);
    assert_string_equal(spec.what, "s.\"T x\"");
    assert_string_equal(spec.columns, "a, \"b\"");
    assert_string_equal(spec.place, "/tmp/x.tsv");
    assert_string_equal(spec.null, "-");
    assert_false(spec.has_header);
    assert_int_equal(spec.format, FORMAT_TSV);
    assert_int_equal(parse("(select f(x), ')' from t) to program 'gzip > x' with (format jsonl)"),
                     0);
    assert_true(spec.is_query && spec.is_command && !spec.is_from);
    assert_string_equal(spec.what, "select f(x), ')' from t");
    assert_int_equal(spec.format, FORMAT_JSONL);
    assert_int_equal(parse("t to stdout"), 0);
    assert_null(spec.place);
    /* as psql has always taken it */
    assert_int_equal(parse("t from stdin csv header delimiter as ';' null as 'x'"), 0);
    assert_int_equal(spec.format, FORMAT_CSV);
    assert_true(spec.has_header && spec.header_given);
    assert_int_equal(spec.delimiter, ';');
    assert_string_equal(spec.null, "x");
    assert_int_equal(parse("t to x.txt with text header off"), 0);
    assert_int_equal(spec.format, FORMAT_TSV);
    assert_false(spec.has_header);
    assert_int_equal(parse("t to x.txt (jsonl)"), 0);
    assert_int_equal(spec.format, FORMAT_JSONL);
    assert_int_equal(parse("t from stdin nosuch"), ERR_INVALID);
    assert_int_equal(parse("t from stdin null"), ERR_INVALID);
    assert_int_equal(parse("t from stdin with (delimiter ';', format CSV)"), 0);
    assert_int_equal(spec.delimiter, ';');
}

static void what_is_wrong_is_said(void **state)
{
    (void)state;
    static const struct {
        const char *text, *why;
    } wrong[] = {
        {"", "\\copy: a table, or a query in parentheses is missing"},
        {"t", "\\copy: FROM or TO is missing"},
        {"t into x", "\\copy: FROM or TO is wanted at \"into x\""},
        {"t from", "\\copy: a file is missing"},
        {"(select 1", "\\copy: a ) is missing"},
        {"(select 1) from x", "\\copy: FROM needs a table, not a query"},
        {"t from x (format json)", "\\copy: files that are read are csv or tsv"},
        {"t from x (format xml)",
         "\\copy: the format \"xml\" is none of table|vertical|csv|tsv|json|jsonl|markdown"},
        {"t from x (nonsense)",
         "\\copy: there is no option \"nonsense\"; FORMAT, HEADER, DELIMITER "
         "and NULL are the ones"},
        {"t from x (delimiter 'ab')", "\\copy: a delimiter is one character"},
        {"t from program ls", "\\copy: a command in quotes is wanted at \"ls\""},
        {"t from 'a' 'b'", "\\copy: the end is wanted at \"'b'\""},
    };
    for (size_t i = 0; i < MEM_COUNT(wrong); i++) {
        assert_int_equal(parse(wrong[i].text), ERR_INVALID);
        assert_string_equal(error.text, wrong[i].why);
    }
    copy_spec_done(&spec);
}

/* Reads a text as [a|b] records, NULL as ~. */
static char *records(const char *text, size_t len, bool is_tsv)
{
    struct csv_reader reader;
    struct buf b;
    FILE *file = fmemopen((void *)(uintptr_t)text, len, "r");
    int rc;
    buf_init(&b, 65536);
    csv_reader_init(&reader, file);
    if (is_tsv) {
        reader.delimiter = '\t';
        reader.quote = '\0';
    }
    memset(&error, 0, sizeof error);
    while ((rc = csv_reader_next(&reader, &error)) > 0) {
        for (size_t i = 0; i < reader.n; i++) {
            const char *field = csv_reader_field(&reader, i);
            (void)buf_printf(&b, "%c%s", i == 0 ? '[' : '|', field != NULL ? field : "~");
        }
        (void)buf_append_byte(&b, ']');
    }
    if (rc < 0)
        (void)buf_printf(&b, "!%s", error.text);
    csv_reader_done(&reader);
    (void)fclose(file);
    return buf_steal(&b, NULL);
}

static void assert_records(const char *text, bool is_tsv, const char *expected)
{
    char *got = records(text, strlen(text), is_tsv);
    assert_string_equal(got, expected);
    free(got);
}

static void csv_is_read_as_the_rfc_says(void **state)
{
    (void)state;
    assert_records("a,b\r\n1,2\n", false, "[a|b][1|2]");
    assert_records("a,\"b,\"\"c\"\"\n\"\n", false, "[a|b,\"c\"\n]");
    assert_records("a,,\"\"\n", false, "[a|~|]");
    assert_records("a\n\n\nb", false, "[a][b]");
    assert_records(",\n", false, "[~|~]");
    assert_records("\"\"\n", false, "[]");
    assert_records("a\"b,c\n", false, "[a\"b|c]");
    assert_records("a\rb,\"c\"\r\n", false, "[a\rb|c]");
    assert_records("a,b\nc,\"d\ne", false, "[a|b]!line 2: a quote is not closed");
    assert_records("a\nb\377\n", false, "[a]!line 2: it is not UTF-8 text");
    char *got = records("a\nb\0c\n", 6, false);
    assert_string_equal(got, "[a]!line 2: it holds a NUL character");
    free(got);
}

static void tab_separated_text_has_escapes(void **state)
{
    (void)state;
    assert_records("a\tb\\tc\n\\N\t\n\\\\N\t\"x\"\n", true, "[a|b\tc][~|][\\N|\"x\"]");
}

static void any_bytes_are_read(void **state)
{
    (void)state;
    struct generated g;
    char text[100];
    generated_init(&g, 5000);
    while (generated_next(&g)) {
        (void)generated_text(&g, "a,\"\n\r\t\\N\377\303\274", sizeof text, text);
        if (text[0] != '\0')
            free(records(text, strlen(text), (g.seed & 1) != 0));
        if (copy_spec_parse(&spec, text, NULL) != 0)
            copy_spec_done(&spec);
        copy_spec_done(&spec);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tables_and_queries_go_to_files_and_come_from_them),
        cmocka_unit_test(what_is_wrong_is_said),
        cmocka_unit_test(csv_is_read_as_the_rfc_says),
        cmocka_unit_test(tab_separated_text_has_escapes),
        cmocka_unit_test(any_bytes_are_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
