#include "base/json_scan.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>

#include "base/mem.h"
#include "tests/unit/generated.h"

static void values_are_read_by_kind(void **state)
{
    (void)state;
    static const char text[] =
        " {\"s\":\"a\\n\\u00e9\\ud83d\\ude00\\ud800x\", \"n\" : -12, \"t\":true,\"f\":false,"
        "\"z\":null,\"a\":[1,[2],{\"b\":3}],\"e\":{},\"l\":[]} ";
    struct json_scan s;
    struct json_slice key, value;
    int64_t n = 0;
    bool t = false, f = true;
    json_scan_init(&s, text, sizeof text - 1);
    assert_true(json_scan_object(&s));
    assert_true(json_scan_key(&s, &key) && json_slice_is(&key, "s"));
    assert_true(json_scan_string(&s, &value));
    assert_true(json_slice_is(&value, "a\n\xc3\xa9\xf0\x9f\x98\x80\xef\xbf\xbdx"));
    assert_true(json_scan_key(&s, &key) && json_scan_i64(&s, &n));
    assert_int_equal(n, -12);
    assert_true(json_scan_key(&s, &key) && json_scan_bool(&s, &t));
    assert_true(json_scan_key(&s, &key) && json_scan_bool(&s, &f));
    assert_true(t && !f);
    assert_true(json_scan_key(&s, &key) && json_scan_null(&s));
    assert_true(json_scan_key(&s, &key) && json_scan_skip(&s, &value));
    assert_true(json_slice_is(&value, "[1,[2],{\"b\":3}]"));
    assert_true(json_scan_key(&s, &key) && json_scan_object(&s) && !json_scan_key(&s, &key));
    assert_true(json_scan_key(&s, &key) && json_scan_array(&s) && !json_scan_element(&s));
    assert_false(json_scan_key(&s, &key));
    assert_true(json_scan_end(&s));
    json_scan_done(&s);
}

static bool is_json(const char *text)
{
    struct json_scan s;
    json_scan_init(&s, text, strlen(text));
    bool good = json_scan_skip(&s, NULL) && json_scan_end(&s);
    json_scan_done(&s);
    return good;
}

static void what_is_no_json_is_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "",          "{",        "}",          "[1,]", "[,1]", "{\"a\"}", "{\"a\":}", "{a:1}",
        "[1 2]",     "01",       "1.",         "-",    "1e",   "nul",     "\"a",      "\"\\x\"",
        "\"\\u12\"", "\"a\nb\"", "{\"a\":1,}", "[1]]", "+1",   "tru",     "\"\\",     "{\"a\":1}x",
    };
    for (size_t i = 0; i < MEM_COUNT(bad); i++)
        if (is_json(bad[i]))
            fail_msg("%s was taken", bad[i]);
}

static void what_ends_a_string_is_seen_wherever_it_stands(void **state)
{
    enum { LEN_MAX = 40 };
    static const char fillers[] = {'a', ' ', '!', '#', '[', ']', '\x7f', '\xc3', '\xff'};
    char text[LEN_MAX + 2];
    struct json_slice value;
    struct json_scan s;
    (void)state;
    for (size_t f = 0; f < sizeof fillers; f++) {
        for (size_t len = 0; len < LEN_MAX; len++) {
            memset(text, fillers[f], sizeof text);
            text[0] = text[len + 1] = '"';
            json_scan_init(&s, text, sizeof text);
            assert_true(json_scan_string(&s, &value));
            assert_int_equal(value.len, len);
            json_scan_reset(&s, text, len + 2);
            assert_true(json_scan_skip(&s, NULL) && json_scan_end(&s));
            if (len > 0) {
                text[len] = '\x1f';
                json_scan_reset(&s, text, len + 2);
                assert_false(json_scan_string(&s, &value));
            }
            if (len > 1) {
                text[len - 1] = '\\';
                text[len] = 'n';
                json_scan_reset(&s, text, len + 2);
                assert_true(json_scan_string(&s, &value));
                assert_int_equal(value.len, len - 1);
                assert_int_equal(value.text[len - 2], '\n');
            }
            json_scan_done(&s);
        }
    }
}

static void nesting_is_bounded(void **state)
{
    (void)state;
    char text[300];
    memset(text, '[', sizeof text);
    text[299] = '\0';
    assert_false(is_json(text));
}

static void numbers_out_of_range_are_no_integers(void **state)
{
    (void)state;
    static const char *const bad[] = {"9223372036854775808", "1.5", "1e3", "\"1\"", "true"};
    for (size_t i = 0; i < MEM_COUNT(bad); i++) {
        struct json_scan s;
        int64_t n;
        json_scan_init(&s, bad[i], strlen(bad[i]));
        assert_false(json_scan_i64(&s, &n));
        assert_true(json_scan_failed(&s));
        json_scan_done(&s);
    }
}

/* jansson takes neither NUL in strings nor lone surrogates nor bytes that are not UTF-8, which do
 * not occur here. */
static void it_takes_what_another_reader_takes(void **state)
{
    (void)state;
    static const char *const tokens[] = {"{",    "}",     "[",           "]",      ",",
                                         ":",    "\"a\"", "1",           "-0.5e1", "null",
                                         "true", " ",     "\"\\u0041\"", "\"\\n\""};
    struct generated g;
    generated_init(&g, 20000);
    while (generated_next(&g)) {
        char text[200] = "";
        size_t n = prng_below(&g.prng, 12);
        for (size_t i = 0; i < n; i++)
            strcat(text, tokens[prng_below(&g.prng, MEM_COUNT(tokens))]);
        json_t *json = json_loads(text, JSON_DECODE_ANY, NULL);
        generated_check(&g, is_json(text) == (json != NULL), "%s", text);
        json_decref(json);
    }
}

static void any_bytes_are_safe(void **state)
{
    (void)state;
    struct generated g;
    generated_init(&g, 20000);
    while (generated_next(&g)) {
        char text[64];
        generated_text(&g, "{}[]\",:\\u0d8a1-.eE tn\x01\xff", sizeof text, text);
        (void)is_json(text);
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_are_read_by_kind),
        cmocka_unit_test(what_is_no_json_is_refused),
        cmocka_unit_test(what_ends_a_string_is_seen_wherever_it_stands),
        cmocka_unit_test(nesting_is_bounded),
        cmocka_unit_test(numbers_out_of_range_are_no_integers),
        cmocka_unit_test(it_takes_what_another_reader_takes),
        cmocka_unit_test(any_bytes_are_safe),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
